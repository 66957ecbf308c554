import numpy as np
import pytest

from lq_spark.core.multiclass.scores import score_rows
from lq_spark.core.shared import blocks
from lq_spark.core.shared.blocks import float64_blocks, row_sums

DTYPES = [np.float32, np.float64]
# On both sides of the change of layout at 32 classes and of numpy's vector lengths.
CLASSES = [2, 3, 10, 31, 32, 33, 50, 1000]
SCORES = [
    pytest.param(method, adjust, id=method + "-adjusted" * adjust)
    for method, adjust in [
        ("self_confidence", False),
        ("self_confidence", True),
        ("normalized_margin", False),
        ("normalized_margin", True),
        ("confidence_weighted_entropy", False),
    ]
]


def rows_to_score(n_rows, n_classes, dtype):
    rng = np.random.default_rng(n_classes)
    pred_probs = rng.dirichlet(np.full(n_classes, 0.5), size=n_rows)
    pred_probs[::7] = np.eye(n_classes)[rng.integers(n_classes, size=len(pred_probs[::7]))]
    return rng.integers(n_classes, size=n_rows), pred_probs.astype(dtype)


def thresholds_if(adjust, n_classes):
    return np.random.default_rng(0).uniform(0.1, 0.9, size=n_classes) if adjust else None


@pytest.fixture(params=DTYPES, ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_a_row_scores_the_same_bits_alone_and_in_any_batch(
    method, adjust, n_classes, dtype, assert_same_bits
):
    labels, pred_probs = rows_to_score(150, n_classes, dtype)
    thresholds = thresholds_if(adjust, n_classes)
    whole = score_rows(labels, pred_probs, method, thresholds)

    rng = np.random.default_rng(1)
    random_cuts = np.sort(rng.integers(0, 151, size=12))  # some batches are empty
    for cuts in (np.arange(1, 150), random_cuts):
        batches = zip(np.split(labels, cuts), np.split(pred_probs, cuts), strict=True)
        scores = [score_rows(*batch, method, thresholds) for batch in batches]
        assert_same_bits(np.concatenate(scores), whole)


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_a_row_scores_the_same_bits_in_any_memory_layout(
    method, adjust, n_classes, dtype, assert_same_bits
):
    labels, pred_probs = rows_to_score(150, n_classes, dtype)
    thresholds = thresholds_if(adjust, n_classes)
    whole = score_rows(labels, pred_probs, method, thresholds)

    read_only = pred_probs.copy()
    read_only.flags.writeable = False
    spread = np.zeros((300, 3 * n_classes), dtype=dtype)[::2, 1::3]
    spread[:] = pred_probs
    layouts = [read_only, spread, np.asfortranarray(pred_probs), pred_probs[::-1].copy()[::-1]]
    for layout in layouts:
        assert_same_bits(score_rows(labels, layout, method, thresholds), whole)
    assert_same_bits(score_rows(np.repeat(labels, 2)[::2], pred_probs, method, thresholds), whole)


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_a_row_scores_the_same_bits_in_any_block(
    method, adjust, n_classes, dtype, assert_same_bits
):
    n_rows = 2 * (blocks.BLOCK_ELEMENTS // n_classes) + 7  # two full blocks and a short one
    labels, pred_probs = rows_to_score(n_rows, n_classes, dtype)
    thresholds = thresholds_if(adjust, n_classes)
    whole = score_rows(labels, pred_probs, method, thresholds)

    cuts = np.sort(np.random.default_rng(2).integers(0, n_rows, size=5))
    batches = zip(np.split(labels, cuts), np.split(pred_probs, cuts), strict=True)
    scores = [score_rows(*batch, method, thresholds) for batch in batches]
    assert_same_bits(np.concatenate(scores), whole)


@pytest.mark.parametrize("block_elements", [1, 64, 1000])
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_the_size_of_a_block_changes_no_bit(
    method, adjust, block_elements, dtype, monkeypatch, assert_same_bits
):
    labels, pred_probs = rows_to_score(100, 10, dtype)
    thresholds = thresholds_if(adjust, 10)
    whole = score_rows(labels, pred_probs, method, thresholds)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", block_elements)
    assert_same_bits(score_rows(labels, pred_probs, method, thresholds), whole)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_scoring_changes_no_input(n_classes, dtype):
    labels, pred_probs = rows_to_score(20, n_classes, dtype)
    thresholds = thresholds_if(True, n_classes)
    before = labels.copy(), pred_probs.copy(), thresholds.copy()
    score_rows(labels, pred_probs, "normalized_margin", thresholds)  # overwrites its own block
    for now, then in zip((labels, pred_probs, thresholds), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_no_rows_give_no_scores(n_classes, dtype):
    scores = score_rows(np.empty(0, int), np.empty((0, n_classes), dtype), "self_confidence")
    assert scores.shape == (0,)
    assert scores.dtype == np.float64


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 100])
def test_blocks_hold_every_row_once_in_order_as_float64(n_rows, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 24)
    matrix = np.arange(n_rows * 3, dtype=dtype).reshape(n_rows, 3)
    seen = [(rows, block.copy()) for rows, block in float64_blocks(matrix)]
    assert [i for rows, _ in seen for i in range(n_rows)[rows]] == list(range(n_rows))
    for rows, block in seen:
        assert block.dtype == np.float64
        assert block.size <= 24
        np.testing.assert_array_equal(block, matrix[rows])


def test_a_block_is_the_callers_to_change(dtype):
    matrix = np.ones((10, 3), dtype=dtype)
    for _, block in float64_blocks(matrix):
        block[:] = 0.0
    assert (matrix == 1.0).all()


def test_a_row_longer_than_a_block_is_a_block(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 4)
    assert [block.shape for _, block in float64_blocks(np.zeros((3, 5)))] == [(1, 5)] * 3


@pytest.mark.parametrize("n_classes", CLASSES)
def test_row_sums_are_the_sums_of_the_rows(n_classes, dtype):
    _, pred_probs = rows_to_score(100, n_classes, dtype)
    for _, block in float64_blocks(pred_probs):
        before = block.copy()
        np.testing.assert_allclose(row_sums(block), before.sum(axis=1), rtol=1e-14)
        np.testing.assert_array_equal(block, before)
