"""Many annotators batch by batch, without a Spark session: to the bit what core says of all."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.core.activelab import get_active_learning_scores_ensemble
from lq_spark.core.multiannotator.annotations import checked_annotations
from lq_spark.core.multiannotator.annotators import merge_annotators
from lq_spark.core.multiannotator.items import Dataset
from lq_spark.core.multiannotator.majority import merge_votes
from lq_spark.errors import DataError, InvalidRowsError
from lq_spark.tasks.activelab.batches import active_batch
from lq_spark.tasks.activelab.scores import active_model
from lq_spark.tasks.multiannotator.batches import (
    SUMS_SCHEMA,
    annotator_batch,
    rate_batch,
    sum_batch,
)
from lq_spark.tasks.multiannotator.columns import CODE_BITS, NO_ANNOTATOR, NULL_CODE, UNKNOWN_CODE
from lq_spark.tasks.multiannotator.options import ConsensusOptions
from lq_spark.tasks.multiannotator.passes import counts_of_labels, fit_annotators, sum_thresholds
from lq_spark.tasks.multiannotator.reader import ItemReader

K, A = 4, 9
OPTIONS = [
    ConsensusOptions(),
    ConsensusOptions("majority_vote"),
    ConsensusOptions("best_quality", "agreement"),
    ConsensusOptions(calibrate_probs=True),
    ConsensusOptions(calibrate_probs=True, cleanlab_compatible=True),
    ConsensusOptions("best_quality", "agreement", cleanlab_compatible=True),
]


def columns_of(labels, models, ids=None):
    """Return the gathered columns of items: labels as a list of (annotator, code) for each."""
    packed = [sorted((who << CODE_BITS) | code for who, code in of_item) for of_item in labels]
    return [
        pa.array([True] * len(packed)),
        pa.array(np.arange(len(packed)) if ids is None else ids),
        pa.array(packed, pa.list_(pa.int64())),
        *(pa.array(list(model), pa.list_(pa.from_numpy_dtype(model.dtype))) for model in models),
    ]


def pairs_of(wide):
    return [[(a, int(label)) for a, label in enumerate(row) if not np.isnan(label)] for row in wide]


class Items:
    """Gathered items in memory, in batches: what passes over a table are given."""

    def __init__(self, columns, n_batches, reader):
        self.columns, self.reader = columns, reader
        self.probabilities = columns[3:]
        bounds = np.linspace(0, len(columns[0]), n_batches + 1).astype(int)
        self.bounds = list(itertools.pairwise(bounds))

    def batches(self):
        return [[c.slice(a, b - a) for c in self.columns] for a, b in self.bounds if b > a]

    def reduce(self, partial, merge):
        return reduce(merge, [partial(self.reader.read(batch)) for batch in self.batches()])

    def map(self, function):
        made = [function(*batch) for batch in self.batches()]
        return {name: pa.concat_arrays([part[name] for part in made]) for name in made[0]}


def items_of(labels, models, n_batches=1, **options):
    reader = ItemReader(A, K, 1e-3, **{"fail": True, **options})
    return Items(columns_of(labels, models), n_batches, reader)


def fitted(items, options):
    counts = items.reduce(counts_of_labels, merge_votes)
    return fit_annotators(items, counts, tuple("abcdefghi"), None, options)


def long_of(wide):
    items, annotators = np.nonzero(~np.isnan(wide))
    labels = wide[items, annotators].astype(np.int64)
    return checked_annotations(items, annotators, labels, n_classes=K, n_annotators=A)


def flat_numbers(column):
    return column.flatten().to_numpy(zero_copy_only=False)


@pytest.mark.parametrize(
    ("options", "method", "adjusted", "n_batches"),
    [
        *((options, "self_confidence", False, 7) for options in OPTIONS),
        *((OPTIONS[0], "self_confidence", False, n_batches) for n_batches in (1, 2, 64)),
        *((options, "normalized_margin", True, 7) for options in OPTIONS[:3]),
        (OPTIONS[0], "confidence_weighted_entropy", False, 2),
    ],
    ids=str,
)
def test_ratings_are_cores_to_the_bit(
    assert_same_bits, crowd, options, method, adjusted, n_batches
):
    wide, models = crowd(n_models=2 if n_batches == 7 else 1)
    items = items_of(pairs_of(wide), models, n_batches)
    model = fitted(items, options)
    thresholds = sum_thresholds(items, model) if adjusted else None
    found = items.map(rate_batch(items.reader, model, method, thresholds))

    whole = Dataset.of(
        long_of(wide),
        models,
        calibrate=options.calibrate_probs,
        cleanlab_compatible=options.cleanlab_compatible,
    )
    consensus = whole.items.majority
    if options.consensus_method == "best_quality":
        consensus = whole.best_consensus(options.quality_method)
    rated = whole.rated(
        consensus, options.quality_method, method=method, adjust_pred_probs=adjusted
    )
    assert found["__lq_consensus"].to_pylist() == rated.consensus.tolist()
    assert_same_bits(found["__lq_quality"].to_numpy(), rated.quality)
    assert_same_bits(found["__lq_agreement"].to_numpy(), rated.agreement)
    assert_same_bits(flat_numbers(found["__lq_label_qualities"]), rated.label_quality)
    assert found["__lq_n_labels"].to_pylist() == (~np.isnan(wide)).sum(axis=1).tolist()

    table = whole.annotator_table(rated)
    sums = annotator_sums(items, found, n_batches)
    rows = annotator_batch(model)(sums)
    assert_same_bits(rows["annotator_quality"].to_numpy(zero_copy_only=False), table.quality)
    assert_same_bits(rows["agreement_with_consensus"].to_numpy(), table.agreement)
    assert rows["worst_class"].to_pylist() == table.worst_class.tolist()
    assert rows["num_examples_labeled"].to_pylist() == table.num_labels.tolist()
    expected = [None] * A if rated.weights is None else rated.weights.annotators.tolist()
    assert rows["annotator_weight"].to_pylist() == expected


@pytest.mark.parametrize("compatible", [True, False])
def test_temperatures_of_probabilities_that_are_0_are_cores(crowd, compatible):
    wide, models = crowd(n_models=2)
    models = [np.where(model < 0.3, 0.0, model) + 1e-300 * np.eye(K)[0] for model in models]
    models = [model / model.sum(axis=1, keepdims=True) for model in models]
    assert all((model == 0).mean() > 0.3 for model in models)
    options = ConsensusOptions(calibrate_probs=True, cleanlab_compatible=compatible)
    found = fitted(items_of(pairs_of(wide), models, 7), options)
    whole = Dataset.of(long_of(wide), models, calibrate=True, cleanlab_compatible=compatible)
    assert found.temperatures == tuple(model.temperature for model in whole.items.models)


def annotator_sums(items, found, n_batches):
    """Return the sums of each annotator as a list of structs, as they come from a grouping."""
    names = ("__lq_consensus", "__lq_quality", "__lq_label_qualities")
    rated = pa.RecordBatch.from_arrays(
        [items.columns[2], *(found[name] for name in names)], names=["labels", *names]
    )
    step = -(-rated.num_rows // n_batches)
    parts = [rated.slice(start, step) for start in range(0, rated.num_rows, step)]
    sums = reduce(merge_annotators, map(sum_batch(A, K), parts))
    columns = [getattr(sums, name) for name in SUMS_SCHEMA.names]
    rows = pa.StructArray.from_arrays([pa.array(c) for c in columns], names=SUMS_SCHEMA.names)
    offsets = np.searchsorted(sums.keys, np.arange(A + 1) * K).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), rows)


@pytest.mark.parametrize("n_batches", [1, 7])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("sizes", [(1, 5), (1, 1), (0, 0)], ids=["several", "single", "none"])
def test_active_scores_are_cores_to_the_bit(assert_same_bits, crowd, sizes, n_models, n_batches):
    wide, models = crowd(n_models=n_models, sizes=sizes)
    wide[::3] = np.nan
    labelled = ~np.isnan(wide).all(axis=1)
    items = items_of(pairs_of(wide), models, n_batches, needs_labels=False)
    counts = items.reduce(counts_of_labels, merge_votes)
    model = active_model(items, counts, tuple("abcdefghi"))
    found = items.map(active_batch(items.reader, model))
    scores = found["__lq_score"].to_numpy()
    if labelled.any():
        wanted = get_active_learning_scores_ensemble(
            wide[labelled], models[:, labelled], models[:, ~labelled]
        )
    else:
        wanted = get_active_learning_scores_ensemble(None, None, models)
    assert_same_bits(scores[labelled], wanted[0])
    assert_same_bits(scores[~labelled], wanted[1])
    assert found["__lq_n_labels"].to_pylist() == (~np.isnan(wide)).sum(axis=1).tolist()
    assert np.array_equal(np.asarray(found["__lq_consensus"].is_valid()), labelled)


# (annotator, code) that cannot be scored, of five items, and what is said of them.
BAD_LABELS = {
    (0, K): "1 annotations with label out of range",
    (1, (1 << 31) - 1): "1 annotations with label out of range",
    (2, NULL_CODE): "1 annotations with null label",
    (3, UNKNOWN_CODE): "1 annotations with label not in classes",
    (NO_ANNOTATOR, 1): "1 annotations with null annotator",
    (A, 1): "1 annotations with annotator not fitted",
}


@pytest.fixture
def spoilt(crowd):
    """A crowd with bad rows; as gathered columns, with what is fit of it beside."""
    wide, models = crowd(60)
    labels = pairs_of(wide)
    for i, bad in enumerate(BAD_LABELS):
        labels[10 + i].append(bad)
        labels[10 + i] = [pair for pair in labels[10 + i] if pair[0] != bad[0] or pair == bad]
    labels[20] += [(labels[20][0][0], (labels[20][0][1] + 1) % K)]  # labelled twice
    fit = [
        [
            pair
            for pair in of_item
            if pair not in BAD_LABELS and [who for who, _ in of_item].count(pair[0]) == 1
        ]
        for of_item in labels
    ]
    labels[30] = fit[30] = []
    columns = columns_of(labels, models)
    columns[0] = pa.array([i != 40 for i in range(60)])
    probs = columns[3].to_pylist()
    probs[40], probs[41], probs[42] = None, [0.25] * (K + 1), [np.nan] * K
    columns[3] = pa.array(probs)
    return columns, fit, models


def test_each_fault_is_counted(spoilt):
    columns, fit, _ = spoilt
    n_empty = sum(not of_item for i, of_item in enumerate(fit) if i not in (40, 41, 42))
    n_labels = [len(columns[2][i]) for i in range(60)]
    with pytest.raises(InvalidRowsError) as error:
        ItemReader(A, K, 1e-3, fail=True).read(columns)
    text = str(error.value)
    assert text.startswith(
        "items or annotations cannot be scored with K = 4 classes, in one batch of 60 items: "
    )
    for said in (
        *list(BAD_LABELS.values())[2:],
        "2 annotations with label out of range",
        "2 annotations with item labelled twice by the annotator",
        f"{n_labels[40]} annotations with item not in the items",
        f"{n_labels[41] + n_labels[42]} annotations with item that cannot be scored",
        "1 items with pred_probs of wrong length",
        "1 items with probability not finite",
        f"{n_empty} items with no annotation",
    ):
        assert said in text
    assert text.endswith("multiannotator.validate names them all")
    assert text.count("items with") + text.count("annotations with") == 11


def test_without_labels_an_item_is_fit_for_active_learning_alone(spoilt):
    columns, _, _ = spoilt
    one = [column.slice(30, 1) for column in columns]
    with pytest.raises(InvalidRowsError, match="1 items with no annotation"):
        ItemReader(A, K, 1e-3, fail=True).read(one)
    batch = ItemReader(A, K, 1e-3, fail=True, needs_labels=False).read(one)
    assert (batch.rows.tolist(), batch.unlabelled.tolist()) == ([], [0])


@pytest.mark.parametrize("n_batches", [1, 7])
def test_what_cannot_be_scored_is_left_out_and_null(spoilt, n_batches):
    columns, fit, models = spoilt
    reader = ItemReader(A, K, 1e-3, fail=False)
    items = Items(columns, n_batches, reader)
    model = fitted(items, ConsensusOptions(calibrate_probs=True))
    found = items.map(rate_batch(reader, model, "self_confidence", None))

    kept = [i for i in range(60) if i not in (30, 40, 41, 42) and fit[i]]
    part = Items(columns_of([fit[i] for i in kept], models[:, kept]), 1, replace(reader, fail=True))
    expected = part.map(
        rate_batch(
            reader, fitted(part, ConsensusOptions(calibrate_probs=True)), "self_confidence", None
        )
    )
    for name in ("__lq_consensus", "__lq_quality", "__lq_agreement", "__lq_n_labels"):
        values = found[name].to_pylist()
        assert [values[i] for i in kept] == expected[name].to_pylist()
        assert all(values[i] is None for i in range(60) if i not in kept)
    for i, of_item in enumerate(found["__lq_label_qualities"].to_pylist()):
        pairs = [(p >> CODE_BITS, p % (1 << CODE_BITS)) for p in columns[2][i].as_py()]
        usable_labels = [i in kept and pair in fit[i] for pair in pairs]
        assert [quality is not None for quality in of_item] == usable_labels
    sums = annotator_sums(items, found, n_batches)
    assert sums.equals(annotator_sums(part, expected, 1))


def test_what_cannot_be_scored_has_no_active_learning_score(spoilt):
    columns, fit, models = spoilt
    reader = ItemReader(A, K, 1e-3, fail=False, needs_labels=False)
    items = Items(columns, 7, reader)
    counts = items.reduce(counts_of_labels, merge_votes)
    found = items.map(active_batch(reader, active_model(items, counts, tuple("abcdefghi"))))
    kept = [i for i in range(60) if i not in (40, 41, 42)]
    part = Items(columns_of([fit[i] for i in kept], models[:, kept]), 1, replace(reader, fail=True))
    counts = part.reduce(counts_of_labels, merge_votes)
    expected = part.map(active_batch(reader, active_model(part, counts, tuple("abcdefghi"))))
    for name, values in found.items():
        values = values.to_pylist()
        assert [values[i] for i in kept] == expected[name].to_pylist()
        assert [values[i] for i in (40, 41, 42)] == [None] * 3
    wrong = replace(reader, fail=True, validate="activelab.validate")
    with pytest.raises(InvalidRowsError, match=r"activelab\.validate names them all"):
        active_batch(wrong, active_model(items, counts, tuple("abcdefghi")))(*columns)


def test_an_annotator_with_nothing_in_common_has_no_quality(crowd):
    wide, models = crowd(sizes=(2, 5))
    wide[:, 8] = np.nan
    wide[0] = np.nan
    wide[0, 8] = 1
    wide[np.isnan(wide).all(axis=1), 0] = 2
    items = items_of(pairs_of(wide), models)
    model = fitted(items, ConsensusOptions())
    found = items.map(rate_batch(items.reader, model, "self_confidence", None))
    rows = annotator_batch(model)(annotator_sums(items, found, 1))
    assert rows["annotator_quality"].to_pylist().index(None) == 8
    assert rows["annotator_weight"].null_count == 0


def test_nothing_to_compare_is_refused(crowd):
    wide, models = crowd(sizes=(1, 1))
    with pytest.raises(DataError, match="each item has one label, so annotators cannot be compar"):
        fitted(items_of(pairs_of(wide), models), ConsensusOptions())


def test_a_tie_is_drawn_by_the_items_hash_and_not_by_its_place():
    n = 1000
    models = np.full((1, n, K), 1 / K)
    labels = [[(0, 0), (1, 1)]] * n + [[(0, 0), (1, 0)], [(0, 1), (1, 1)]]
    models = np.full((1, n + 2, K), 1 / K)
    reader = ItemReader(2, K, 1e-3, fail=True)
    ids = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, n + 2)
    order = np.random.default_rng(1).permutation(n + 2)

    def majority(order):
        columns = columns_of([labels[i] for i in order], models[:, order], ids[order])
        items = Items(columns, 3, reader)
        counts = items.reduce(counts_of_labels, merge_votes)
        model = fit_annotators(
            items, counts, (7, 8), None, ConsensusOptions("majority_vote", "agreement")
        )
        rated = items.map(rate_batch(reader, model, "self_confidence", None))
        return np.array(rated["__lq_consensus"].to_pylist())

    drawn = majority(np.arange(n + 2))
    assert 0.4 < drawn.mean() < 0.6
    np.testing.assert_array_equal(majority(order), drawn[order])
