"""A noise model fitted on old rows, saved, loaded and applied to new ones."""

import numpy as np
import pytest
from cleanlab import count
from cleanlab import filter as rules
from pyspark.sql import functions as F

from lq_spark import NoiseModel, Thresholds, multiclass
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.errors import OptionError

CLASSES = ["plum", "apple", "", "größe", "fig"]  # not in the order of the alphabet
SCHEMA = "id bigint, label string, pred_probs array<double>"
ISSUES = ["is_label_issue", "predicted_label", "label_quality"]


@pytest.fixture(scope="module")
def cleanlabs(quietly):
    """Call cleanlab with a stable argsort: its own breaks ties by the processor it runs on."""
    argsort = np.argsort

    def stable(values, axis=-1, kind=None, **kwargs):
        return argsort(values, axis=axis, kind="stable", **kwargs)

    def call(function, *args, **kwargs):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np, "argsort", stable)
            return quietly(function, *args, **kwargs)

    return call


def rows_of(seed, n, classes):
    """Return labels of some classes and pred_probs in tenths, many labels wrong, many ties."""
    rng = np.random.default_rng(seed)
    pred_probs = rng.multinomial(10, rng.dirichlet(np.full(5, 0.6), n)) / 10
    wrong = rng.choice(classes, n)
    predicted = np.where(
        np.isin(pred_probs.argmax(axis=1), classes), pred_probs.argmax(axis=1), wrong
    )
    return np.where(rng.random(n) < 0.7, predicted, wrong), pred_probs


OLD = rows_of(1, 400, [0, 1, 2, 3])  # none of class 4
NEW = rows_of(2, 300, [0, 2, 3, 4])  # none of class 1


def named(spark, labels, pred_probs):
    names = np.array(CLASSES)[labels].tolist()
    rows = list(zip(range(len(names)), names, pred_probs.tolist(), strict=True))
    return spark.createDataFrame(rows, SCHEMA).repartition(3)


@pytest.fixture(scope="module")
def model(_spark_session, tmp_path_factory):
    """The model of the old rows, as it comes back from its file."""
    path = tmp_path_factory.mktemp("fitted") / "model.json"
    multiclass.fit(named(_spark_session, *OLD), classes=CLASSES).save(path)
    return NoiseModel.load(path)


@pytest.fixture
def flags(by_id, quietly):
    def find(table, **options):
        found = quietly(multiclass.find_issues, table, **options)
        return np.array(by_id(found, "is_label_issue"))

    return find


@pytest.mark.parametrize("filter_by", ["prune_by_noise_rate", "prune_by_class"])
def test_new_rows_are_pruned_by_the_old_joint_scaled_to_their_labels(
    spark, model, flags, cleanlabs, filter_by
):
    joint = cleanlabs(count.compute_confident_joint, *OLD, calibrate=False)
    scaled = cleanlabs(count.calibrate_confident_joint, joint, NEW[0])
    options = {"filter_by": filter_by, "n_jobs": 1}
    expected = cleanlabs(rules.find_label_issues, *NEW, confident_joint=scaled, **options)
    assert (expected != cleanlabs(rules.find_label_issues, *NEW, **options)).any()
    found = flags(named(spark, *NEW), fitted=model, filter_by=filter_by)
    np.testing.assert_array_equal(found, expected)


def confident_issues(cleanlabs, model):
    """Return which new rows are confidently of another class by the old rows' thresholds."""
    labels, pred_probs = NEW
    _, found = cleanlabs(
        count.compute_confident_joint,
        *NEW,
        thresholds=model.thresholds.as_array(),
        return_indices_of_off_diagonals=True,
    )
    raised = pred_probs + 1e-6 * np.eye(5)[labels]
    return np.isin(np.arange(len(labels)), found) & (raised.argmax(axis=1) != labels)


def test_new_rows_are_confident_by_the_old_thresholds(spark, model, flags, cleanlabs):
    table = named(spark, *NEW)
    expected = confident_issues(cleanlabs, model)
    by_their_own = rules.find_label_issues(*NEW, filter_by="confident_learning", n_jobs=1)
    assert expected.sum() != by_their_own.sum()
    found = flags(table, fitted=model, filter_by="confident_learning")
    np.testing.assert_array_equal(found, expected)

    order = np.argsort(score_rows(*NEW, "normalized_margin"), kind="stable")
    found = flags(table, fitted=model, filter_by="low_normalized_margin")
    np.testing.assert_array_equal(np.flatnonzero(found), np.sort(order[: expected.sum()]))


def test_new_scores_are_adjusted_by_the_old_thresholds(spark, model, by_id, assert_same_bits):
    options = {"fitted": model, "filter_by": "predicted_neq_given", "adjust_pred_probs": True}
    found = multiclass.find_issues(named(spark, *NEW), **options)
    expected = score_rows(*NEW, "self_confidence", model.thresholds.as_array())
    assert_same_bits(np.array(by_id(found, "label_quality")), expected)


def test_fitted_on_the_same_rows_it_changes_nothing(spark, model, flags):
    table = named(spark, *OLD)
    found = flags(table, fitted=model)
    assert 0 < found.sum() < len(found)
    np.testing.assert_array_equal(found, flags(table, classes=CLASSES))


@pytest.mark.parametrize("filter_by", ["both", "low_self_confidence", "predicted_neq_given"])
def test_no_new_rows_have_no_issues(spark, model, filter_by):
    empty = spark.createDataFrame([], SCHEMA)
    found = multiclass.find_issues(empty, fitted=model, filter_by=filter_by)
    assert found.columns == [*empty.columns, *ISSUES]
    assert found.collect() == []


@pytest.mark.connect
def test_rows_judged_by_themselves_are_not_read_before_the_result_is(spark, model):
    bomb = F.raise_error(F.lit("the table was read"))
    table = spark.range(3).select(
        "id", bomb.cast("string").alias("label"), bomb.cast("array<double>").alias("pred_probs")
    )
    for filter_by in ("confident_learning", "predicted_neq_given"):
        found = multiclass.find_issues(table, fitted=model, filter_by=filter_by)
        assert found.columns == [*table.columns, *ISSUES]
        with pytest.raises(Exception, match="the table was read"):
            found.collect()


def test_a_model_of_one_class_judges_rows_of_several(table_of, flags):
    pred_probs = np.array([[0.9, 0.1], [0.8, 0.2]])
    one_class = multiclass.fit(table_of([0, 0], pred_probs))
    table = table_of([0, 1], pred_probs)
    found = flags(table, fitted=one_class, filter_by="predicted_neq_given")
    assert found.tolist() == [False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"classes": CLASSES[::-1]},
            f"fitted has classes {CLASSES}, classes is {CLASSES[::-1]}",
        ),
        (
            {"classes": ["plum", "apple"]},
            f"fitted has classes {CLASSES}, classes is ['plum', 'apple']",
        ),
        (
            {"collision_rule": "highest_reached"},
            "fitted was made with collision_rule 'highest_of_all', got 'highest_reached'",
        ),
    ],
    ids=str,
)
def test_a_model_of_other_classes_or_another_rule_is_refused(unread, model, options, message):
    table = unread(id="int", label="string", pred_probs="array<float>")
    with pytest.raises(OptionError) as error:
        multiclass.find_issues(table, fitted=model, **options)
    assert str(error.value) == message


def test_a_model_of_another_number_of_classes_is_refused(spark, model):
    rows = spark.createDataFrame([(0, "fig", [0.5, 0.25, 0.25])], SCHEMA)
    numbered = rows.selectExpr("id", "2 as label", "pred_probs")
    unnamed = NoiseModel(
        Thresholds(model.thresholds.values, model.thresholds.class_counts),
        model.confident_counts,
        model.n_label_issues,
    )
    with pytest.raises(OptionError) as error:
        multiclass.find_issues(numbered, fitted=unnamed)
    assert str(error.value) == "fitted has K = 5 classes, the table has K = 3"
    with pytest.raises(OptionError, match=r"^classes has 3 names, K is 5$"):
        multiclass.find_issues(rows, fitted=unnamed, classes=["fig", "plum", "apple"])


@pytest.mark.parametrize("fitted", [Thresholds((0.5, 0.6), (1, 2)), "model.json", {}, 0], ids=str)
def test_what_is_no_noise_model_is_refused(unread, fitted):
    table = unread(id="int", label="int", pred_probs="array<float>")
    with pytest.raises(OptionError) as error:
        multiclass.find_issues(table, fitted=fitted)
    assert str(error.value) == f"fitted must be a NoiseModel or None, got {fitted!r}"
