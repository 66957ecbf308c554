"""The batch functions of label sets without a Spark session: Arrow in, Arrow out."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import LongType

from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multilabel.cells import cell_counts, partial_cell_counts
from lq_spark.core.multilabel.cuts import CellCuts, bucket_number, search_cuts
from lq_spark.core.multilabel.rules import cell_order, flagged_cells
from lq_spark.core.multilabel.scores import aggregator_of, score_cells
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multilabel import batches

SCORING = batches.Scoring("self_confidence", None, aggregator_of({}))

BAD = [
    ([0, 1], [0.5, 0.9], None),
    ([], [0.25, 0.0], None),
    (None, [0.5, 0.5], "null labels"),
    ([0, None], [0.5, 0.5], "null label"),
    ([2], [0.5, 0.5], "label out of range"),
    ([-1, 1], [0.5, 0.5], "label out of range"),
    ([1, 0, 1], [0.5, 0.5], "label given twice"),
    ([0], None, "null pred_probs"),
    ([0], [0.5], "pred_probs of wrong length"),
    ([0], [0.5, None], "null probability"),
    ([0], [0.5, float("nan")], "probability not finite"),
    ([0], [-0.5, float("inf")], "probability not finite"),
    ([0], [0.5, -0.5], "probability below 0"),
    ([0], [0.5, 1.5], "probability above 1"),
    ([9, 9], None, "label out of range"),
    ([1], [1.0, 1.0], None),
]


def bad_columns(named):
    labels = [row[0] for row in BAD]
    if named:
        names = {0: "a", 1: "b", None: None}
        labels = [row and [names.get(k, "z") for k in row] for row in labels]
    kind = pa.list_(pa.string() if named else pa.int32())
    return pa.array(labels, kind), pa.array([row[1] for row in BAD], pa.list_(pa.float64()))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("start", [0, 3])
def test_each_bad_row_has_its_reason_and_no_score(named, start):
    labels, pred_probs = (column.slice(start) for column in bad_columns(named))
    classes = ("a", "b") if named else None
    reasons = [row[2] for row in BAD]
    if named:
        unknown = {"label out of range": "label not in classes: 'z'"}
        reasons = [unknown.get(reason, reason) for reason in reasons]
    found = batches.reason_batch(2, classes)(labels, pred_probs)
    assert found["invalid_reason"].to_pylist() == reasons[start:]
    function, schema = batches.score_function(SCORING, class_qualities=True)
    made = batches.usable_sets_batch(function, 2, classes, fail=False)(labels, pred_probs)
    assert list(made) == schema.names
    for column in made.values():
        assert [value is None for value in column.to_pylist()] == [
            reason is not None for reason in reasons[start:]
        ]
    assert made["class_qualities"].to_pylist()[-1] == [0.0, 1.0]
    text = "rows that cannot be scored with K = 2 classes.*multilabel.validate names them all"
    with pytest.raises(InvalidRowsError, match=text):
        batches.usable_sets_batch(function, 2, classes, fail=True)(labels, pred_probs)
    total = batches.summing_batch(lambda bits, probs: np.array([len(bits)]), 2, classes)(
        pa.record_batch([labels, pred_probs], names=["labels", "pred_probs"])
    )
    n_usable = sum(reason is None for reason in reasons[start:])
    assert total.tolist() == [len(labels), len(labels) - n_usable, n_usable]


@pytest.mark.parametrize("labels", [[], [None, None], [[], []]])
def test_columns_without_a_list_or_a_label_have_no_type_under_pandas(labels):
    probs = pa.array([[0.5, 0.5]] * len(labels), pa.list_(pa.float64()))
    found = batches.reason_batch(2, ("a", "b"))(pa.array(labels), probs)["invalid_reason"]
    assert found.to_pylist() == [None if row == [] else "null labels" for row in labels]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    filter_by=st.sampled_from(
        ["prune_by_noise_rate", "prune_by_class", "low_self_confidence", "low_normalized_margin"]
    ),
    levels=st.sampled_from([4, 10, 1 << 20]),
)
def test_cells_up_to_the_cuts_are_those_that_core_flags(seed, filter_by, levels):
    rng = np.random.default_rng(seed)
    n, n_classes = rng.integers(1, 60), rng.integers(2, 6)
    pred_probs = np.round(rng.beta(0.5, 0.5, (n, n_classes)) * levels) / levels
    bits = np.asfortranarray(rng.random((n, n_classes)) < rng.random(n_classes))
    thresholds = rng.uniform(0.3, 0.9, (n_classes, 2))
    rule = Rule(filter_by)
    n_buckets = bucket_number(n_classes)
    vector = partial_cell_counts(bits, pred_probs, thresholds, n_buckets, cell_order(rule))
    counts = cell_counts(vector, n_classes)
    quotas = rng.integers(0, counts.class_counts + 1)
    expected = flagged_cells(bits, pred_probs, thresholds, rule, quotas)

    search = search_cuts(counts, rule, quotas)
    labels = pa.array([np.flatnonzero(row) for row in bits], pa.list_(pa.int64()))
    columns = [labels, pa.array(list(pred_probs)), pa.array(np.arange(n))]
    batch = pa.record_batch(columns, names=["labels", "pred_probs", "key"])
    function, schema = batches.entries_function(search, int(n_classes), None, LongType())
    entries = function(batch)
    assert entries.schema.names == schema.names
    values, keys = search.values.copy(), {}
    for group in np.flatnonzero(search.places):
        mine = sorted(
            (row["value"], row["key"]) for row in entries.to_pylist() if row["group"] == group
        )
        assert 0 < len(mine) <= search.most_cells
        values[group], keys[group] = mine[search.places[group] - 1]
    has_key = np.isin(np.arange(len(values)), list(keys))
    cuts = CellCuts(search.by_bit, values, has_key, search.order)
    made, schema = batches.issue_function(cuts, None, SCORING)
    found = np.zeros(bits.shape, dtype=bool)
    columns = made(bits, pred_probs)
    assert list(columns) == schema.names
    scores = score_cells(bits, pred_probs, "self_confidence")
    for i, cells in enumerate(columns["__lq_cells"].to_pylist()):
        for cell in cells:
            k = cell["class"]
            assert cell["in_given_label"] == bits[i, k]
            assert (cell["class_quality"], cell["pred_prob"]) == (scores[i, k], pred_probs[i, k])
            found[i, k] = cell["tied"] is None or i <= keys[cell["tied"]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("thresholds", [None, np.array([[0.75, 0.5], [0.75, 2.0]])])
def test_rules_without_cuts_judge_each_cell_by_itself(thresholds):
    bits = np.array([[True, False], [False, False], [True, True]])
    pred_probs = np.array([[0.25, 0.75], [0.5, 0.25], [0.125, 0.5]])
    function, _ = batches.issue_function(None, thresholds, SCORING)
    cells = function(bits, pred_probs)["__lq_cells"].to_pylist()
    found = [(i, cell["class"]) for i, row in enumerate(cells) for cell in row]
    assert found == ([(0, 0), (0, 1), (2, 0)] if thresholds is None else [(0, 0), (2, 0)])
