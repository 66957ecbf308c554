"""The noise model: its arrays equal cleanlab's, its file comes back to the bit, others refused."""

import json
import tracemalloc

import numpy as np
import pytest
from cleanlab import count
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs

from lq_spark import NoiseModel, Thresholds
from lq_spark.core.confident import calibrate_confident_joint, compute_confident_joint
from lq_spark.core.confident.joint import (
    COLLISION_RULES,
    SparseMatrix,
    confident_counts,
    counted_pairs,
    row_facts,
)
from lq_spark.core.confident.thresholds import finish_thresholds, partial_class_sums
from lq_spark.core.label_issues.quotas import prune_quotas
from lq_spark.errors import DataError, OptionError, TableError

SEEDS = st.integers(0, 2**32 - 1)
RULES = st.sampled_from(list(COLLISION_RULES))
RUNS = settings(deadline=None, max_examples=50)
SMALL = NoiseModel(
    Thresholds((1 / 3, 2e-6, 2.0), (3, 2, 0), ("plum", "größe", 'a\n"b"')),
    counted_pairs(3, np.array([0, 0, 1]), np.array([0, 2, 0]), np.array([2, 1, 1])),
    n_label_issues=2,
    collision_rule="highest_reached",
)


@pytest.fixture
def content():
    """What a file of a noise model holds, to be changed."""
    return json.loads(SMALL.to_json())


def data_set(seed):
    """Return labels and pred_probs: absent, rare and common classes, many labels wrong."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 13))
    n = int(rng.integers(n_classes + 2, 200))
    labels = rng.choice(n_classes, n, p=rng.dirichlet(np.full(n_classes, 0.5)))
    labels[:2] = rng.choice(n_classes, 2, replace=False)  # cleanlab wants two classes
    pred_probs = rng.dirichlet(np.full(n_classes, rng.choice([0.2, 1.0, 5.0])), n)
    return labels, pred_probs


def model_of(labels, pred_probs, rule="highest_of_all"):
    sums = partial_class_sums(labels, pred_probs)
    thresholds = finish_thresholds(sums)
    facts = row_facts(labels, pred_probs, thresholds, rule)
    return NoiseModel(
        Thresholds(tuple(thresholds.tolist()), tuple(sums.counts.tolist())),
        confident_counts(labels, facts, pred_probs.shape[1]),
        int(facts.is_confident_issue(labels).sum()),
        rule,
    )


def assert_same_model(actual, expected, assert_same_bits):
    assert actual.thresholds == expected.thresholds
    assert_same_bits(actual.thresholds.as_array(), expected.thresholds.as_array())
    assert actual.n_label_issues == expected.n_label_issues
    assert actual.collision_rule == expected.collision_rule
    for name in ("given", "guess", "values"):
        found, wanted = (getattr(model.confident_counts, name) for model in (actual, expected))
        assert_same_bits(found, wanted, name)
    for name in ("noise_matrix", "inverse_noise_matrix", "prior"):
        assert_same_bits(getattr(actual, name), getattr(expected, name), name)


@RUNS
@given(seed=SEEDS, rule=RULES)
def test_a_model_comes_back_from_its_text_to_the_bit(assert_same_bits, seed, rule):
    model = model_of(*data_set(seed), rule)
    again = NoiseModel.from_json(model.to_json())
    assert_same_model(again, model, assert_same_bits)
    assert again.to_json() == model.to_json()


def test_a_model_comes_back_from_a_file_with_its_class_names(tmp_path, assert_same_bits):
    SMALL.save(tmp_path / "model.json")
    again = NoiseModel.load(str(tmp_path / "model.json"))
    assert_same_model(again, SMALL, assert_same_bits)
    assert again.classes == ("plum", "größe", 'a\n"b"')
    assert (again.n_rows, again.n_classes, again.class_counts.tolist()) == (5, 3, [3, 2, 0])
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_the_text_says_what_it_is_and_holds_the_pairs_that_occur(content):
    assert content == {
        "format": "lq_spark.noise_model",
        "format_version": 1,
        "collision_rule": "highest_reached",
        "n_label_issues": 2,
        "thresholds": {
            "n_rows": 5,
            "classes": ["plum", "größe", 'a\n"b"'],
            "class_counts": [3, 2, 0],
            "thresholds": [1 / 3, 2e-6, 2.0],
        },
        "confident_counts": {"given": [0, 0, 1], "guess": [0, 2, 0], "count": [2, 1, 1]},
    }


@RUNS
@given(seed=SEEDS, rule=RULES)
def test_the_calibrated_joint_is_the_confident_joint_of_the_rows(seed, rule):
    labels, pred_probs = data_set(seed)
    joint = model_of(labels, pred_probs, rule).confident_joint
    ours = compute_confident_joint(labels, pred_probs, collision_rule=rule)
    np.testing.assert_array_equal(joint, ours)
    if rule == "highest_of_all":
        theirs = cleanlabs(count.compute_confident_joint, labels, pred_probs)
        np.testing.assert_array_equal(joint, theirs)


@RUNS
@given(seed=SEEDS)
def test_the_joint_is_scaled_to_other_rows_as_cleanlab_scales_it(seed):
    labels, pred_probs = data_set(seed)
    n_classes = pred_probs.shape[1]
    others = np.random.default_rng(seed).integers(0, n_classes, 500)
    found = model_of(labels, pred_probs).calibrated_joint(np.bincount(others, minlength=n_classes))
    joint = cleanlabs(count.compute_confident_joint, labels, pred_probs, calibrate=False)
    expected = cleanlabs(count.calibrate_confident_joint, joint, others)
    np.testing.assert_array_equal(found.dense(), expected)


@pytest.mark.parametrize("in_order", [np.ascontiguousarray, np.asfortranarray])
def test_counts_that_are_given_are_scaled_as_cleanlab_scales_them(in_order):
    rng = np.random.default_rng(5)
    # Of two entries of 47.5 and 28.5 the last bit of the sum of all decides which is rounded up.
    counts, labels = np.array([[35, 21], [2, 4]]), np.repeat([0, 1], [76, 7])
    halves = {np.ascontiguousarray: [48, 28], np.asfortranarray: [47, 29]}[in_order]
    assert calibrate_confident_joint(in_order(counts), labels)[0].tolist() == halves
    for n_classes in (2, 3, 8):
        labels = np.append(np.arange(n_classes), rng.integers(0, n_classes, 60))
        for _ in range(20):
            drawn = rng.integers(0, 9, (n_classes, n_classes)) + np.eye(n_classes, dtype=int)
            counts = in_order(drawn)
            np.testing.assert_array_equal(
                calibrate_confident_joint(counts, labels),
                cleanlabs(count.calibrate_confident_joint, counts, labels),
            )


@RUNS
@given(seed=SEEDS)
def test_prior_and_noise_matrices_equal_cleanlabs(seed):
    labels, pred_probs = data_set(seed)
    model = model_of(labels, pred_probs)
    *latent, joint = cleanlabs(
        count.estimate_py_and_noise_matrices_from_probabilities,
        labels,
        pred_probs,
        converge_latent_estimates=False,
    )
    np.testing.assert_array_equal(model.confident_joint, joint)
    again = cleanlabs(count.estimate_latent, joint, labels)
    found = (model.prior, model.noise_matrix, model.inverse_noise_matrix)
    for ours, theirs, same in zip(found, latent, again, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ours, same, rtol=0, atol=1e-12)


def test_at_many_classes_no_square_array_is_made(monkeypatch):
    n = 20_000
    thresholds = Thresholds((0.5,) * n, (10,) * n)
    given_classes = np.arange(n).repeat(2)
    guesses = (given_classes + np.tile([0, 1], n)) % n
    model = NoiseModel(thresholds, counted_pairs(n, given_classes, guesses, np.tile([7, 3], n)), 5)
    monkeypatch.delattr(SparseMatrix, "dense")
    tracemalloc.start()
    again = NoiseModel.from_json(model.to_json())
    joint = again.calibrated_joint()
    quotas = prune_quotas(joint, again.class_counts)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6  # a K × K array of bytes is 400 MB
    np.testing.assert_array_equal(joint.values, again.confident_counts.values)
    np.testing.assert_array_equal(quotas.per_class, np.full(n, 3))


@pytest.mark.parametrize("text", ["", "{", "noise model"])
def test_a_text_that_is_no_json_is_refused(text):
    with pytest.raises(DataError, match=r"^noise_model: not JSON \("):
        NoiseModel.from_json(text)


@pytest.mark.parametrize("text", ["[]", "null", "{}", SMALL.thresholds.to_json()])
def test_json_of_something_else_is_refused(text):
    with pytest.raises(DataError) as error:
        NoiseModel.from_json(text)
    assert str(error.value) == "noise_model: the JSON has no 'format': 'lq_spark.noise_model'"


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_format_version_is_refused(content, version):
    content["format_version"] = version
    with pytest.raises(DataError) as error:
        NoiseModel.from_json(json.dumps(content))
    assert str(error.value) == f"noise_model: format version {version!r}, this package reads 1"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        *(
            ([key], f"noise_model: the JSON lacks '{key}'")
            for key in ("collision_rule", "n_label_issues", "thresholds", "confident_counts")
        ),
        *(
            (["confident_counts", key], f"noise_model: the JSON lacks '{key}'")
            for key in ("given", "guess", "count")
        ),
        *(
            (["thresholds", key], f"thresholds: the JSON lacks '{key}'")
            for key in ("thresholds", "class_counts", "classes")
        ),
    ],
    ids=str,
)
def test_a_missing_key_is_named(content, path, message):
    *parents, key = path
    place = content[parents[0]] if parents else content
    del place[key]
    with pytest.raises(DataError) as error:
        NoiseModel.from_json(json.dumps(content))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("collision_rule", "highest", "noise_model: collision_rule is 'highest'"),
        ("collision_rule", None, "noise_model: collision_rule is None"),
        ("collision_rule", ["highest_reached"], "noise_model:"),
        ("n_label_issues", 1.5, "noise_model: .*n_label_issues 1.5"),
        ("n_label_issues", "2", "noise_model: .*n_label_issues '2'"),
        ("n_label_issues", True, "noise_model:"),
        ("n_label_issues", -1, "noise_model:"),
        ("thresholds", [0.5], "noise_model: 'thresholds' and 'confident_counts' must be objects"),
        ("confident_counts", None, "noise_model: 'thresholds' and 'confident_counts' must be"),
        ("thresholds.thresholds", ["a", "b", "c"], "thresholds: 'thresholds' must be a list of"),
        ("thresholds.thresholds", [0.5, 0.5, 2.5], "thresholds must lie in 0..1, or be 2"),
        ("thresholds.class_counts", [1, 2], "thresholds, class counts and classes differ in"),
        ("confident_counts.count", [2, 1], "are no counts of pairs of classes"),
        ("confident_counts.count", [2, 1, -1], "are no counts of pairs of classes"),
        ("confident_counts.count", [2, 1, 1.5], "noise_model: 'count' must be a list of int"),
        ("confident_counts.count", [2, 1, True], "noise_model: 'count' must be a list of int"),
        ("confident_counts.count", 4, "noise_model: 'count' must be a list of int, got 4"),
        ("confident_counts.count", [2, 1, 2**70], "noise_model:"),
        ("confident_counts.given", [0, 0, 3], "are no counts of pairs of classes"),
        ("confident_counts.guess", [0, -1, 0], "are no counts of pairs of classes"),
    ],
    ids=str,
)
def test_content_that_is_none_is_refused(content, path, value, message):
    *parents, key = path.split(".")
    place = content[parents[0]] if parents else content
    place[key] = value
    with pytest.raises(DataError, match=message):
        NoiseModel.from_json(json.dumps(content))


def test_a_file_that_is_not_a_noise_model_is_named(tmp_path):
    path = tmp_path / "model.json"
    with pytest.raises(OptionError, match=r"^noise_model: cannot read '.*model\.json' \("):
        NoiseModel.load(path)
    SMALL.thresholds.save(path)
    with pytest.raises(OptionError, match=r"^noise_model: the JSON has no .*, in '.*model\.json'$"):
        NoiseModel.load(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TableError, match=r"^noise_model: cannot write '.*no_folder/m\.json' \("):
        SMALL.save(tmp_path / "no_folder" / "m.json")
