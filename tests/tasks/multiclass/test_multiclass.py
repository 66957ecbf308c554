import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType

from lq_spark import Thresholds, multiclass
from lq_spark.core import multiclass as core
from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.engine import verbs
from lq_spark.errors import DataError

CLASSES = ["plum", "apple", "", "größe 3", "a`b.c"]  # not in the order of the alphabet
SCORES = {
    **{method: {"method": method} for method in METHODS},
    "adjusted self_confidence": {"method": "self_confidence", "adjust_pred_probs": True},
    "adjusted normalized_margin": {"method": "normalized_margin", "adjust_pred_probs": True},
}


@pytest.fixture
def assert_equals_core(by_id, assert_same_bits):
    """Assert that all five scores of a table are those of core, in every bit, in one query."""

    def check(table, labels, pred_probs, **options):
        classes = {name: options[name] for name in ("classes",) if name in options}
        thresholds = multiclass.fit_thresholds(table, **classes)
        scored = table
        for name, score in SCORES.items():
            if "adjust_pred_probs" in score:
                score = {**score, "thresholds": thresholds}
            scored = multiclass.score(scored, **score, **options)
            scored = scored.withColumnRenamed("label_quality", name)
        actual = np.array(by_id(scored.select("id", F.array(*SCORES).alias("scores")), "scores"))
        for column, (name, score) in enumerate(SCORES.items()):
            expected = core.get_label_quality_scores(labels, pred_probs, **score)
            assert_same_bits(actual[:, column].copy(), expected, name)

    return check


@pytest.mark.parametrize("layout", [64, "shuffled"])
def test_scores_equal_cores_to_the_bit_however_the_table_is_split(
    table_of, data_set, assert_equals_core, layout
):
    table = table_of(*data_set())
    table = table.orderBy(F.rand(1)) if layout == "shuffled" else table.repartition(layout)
    assert_equals_core(table, *data_set())


@pytest.mark.parametrize("rows_a_batch", [1, 7])
def test_scores_equal_cores_to_the_bit_in_batches_of_any_size(
    table_of, data_set, assert_equals_core, batch_size, rows_a_batch
):
    batch_size(rows_a_batch)
    labels, pred_probs = data_set(n_rows=60)
    assert_equals_core(table_of(labels, pred_probs), labels, pred_probs)


@pytest.mark.parametrize(("n_rows", "n_classes"), [(40, 2), (200, 40), (20, 1000)])
def test_scores_equal_cores_to_the_bit_for_few_and_many_classes(
    table_of, data_set, assert_equals_core, n_rows, n_classes
):
    labels, pred_probs = data_set(n_rows, n_classes)
    assert_equals_core(table_of(labels, pred_probs), labels, pred_probs)


@pytest.mark.parametrize("label_type", ["tinyint", "smallint", "int", "bigint"])
def test_a_label_may_be_any_whole_number_type(table_of, data_set, assert_equals_core, label_type):
    table = table_of(*data_set(n_rows=60), label_type)
    assert_equals_core(table, *data_set(n_rows=60), n_classes=5)


def test_a_label_may_be_one_of_the_class_names(table_of, data_set, assert_equals_core):
    labels, pred_probs = data_set(n_rows=60)
    table = table_of(np.array(CLASSES)[labels], pred_probs, "string")
    assert_equals_core(table, labels, pred_probs, classes=CLASSES)


def test_floats_are_scored_as_the_doubles_that_they_are(table_of, data_set, assert_equals_core):
    labels, pred_probs = data_set(dtype=np.float32)
    assert_equals_core(table_of(labels, pred_probs), labels, pred_probs)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_probabilities_may_be_spark_ml_vectors(spark, data_set, assert_equals_core, kind):
    labels, pred_probs = data_set(n_rows=60)

    def vector(row):
        if kind == "dense":
            return Vectors.dense(row)
        return Vectors.sparse(len(row), [(k, value) for k, value in enumerate(row) if value])

    rows = zip(range(60), labels.tolist(), map(vector, pred_probs), strict=True)
    table = spark.createDataFrame(list(rows), ["id", "label", "pred_probs"])
    assert_equals_core(table, labels, pred_probs)


@pytest.mark.parametrize(
    "dtype",
    [pytest.param(np.float32, marks=[pytest.mark.spark, pytest.mark.connect]), np.float64],
)
def test_scores_are_the_same_where_spark_has_no_arrow_udf(
    table_of, data_set, assert_equals_core, monkeypatch, dtype
):
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", False)
    labels, pred_probs = data_set(dtype=dtype)
    assert_equals_core(table_of(labels, pred_probs), labels, pred_probs)


@pytest.mark.parametrize("method", ["self_confidence", "normalized_margin"])
def test_without_thresholds_a_table_is_adjusted_by_its_own(
    table_of, data_set, by_id, assert_same_bits, method
):
    labels, pred_probs = data_set()
    scored = multiclass.score(table_of(labels, pred_probs), method=method, adjust_pred_probs=True)
    expected = core.get_label_quality_scores(
        labels, pred_probs, method=method, adjust_pred_probs=True
    )
    assert_same_bits(np.array(by_id(scored, "label_quality")), expected)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 1), slice(200, 300)], ids=str)
def test_by_frozen_thresholds_a_rows_score_does_not_depend_on_the_other_rows(
    table_of, data_set, by_id, assert_same_bits, rows
):
    thresholds = multiclass.fit_thresholds(table_of(*data_set(seed=1)))
    labels, pred_probs = data_set()
    scored = multiclass.score(
        table_of(labels[rows], pred_probs[rows]), adjust_pred_probs=True, thresholds=thresholds
    )
    expected = score_rows(labels, pred_probs, "self_confidence", thresholds.as_array())
    assert_same_bits(np.array(by_id(scored, "label_quality")), expected[rows])


@pytest.mark.parametrize("adjust", [False, True])
def test_score_starts_no_job_where_k_is_known(unread, adjust):
    table = unread(label="int", pred_probs="array<float>", note="string")
    thresholds = Thresholds((0.5, 0.6, 0.7), (1, 2, 3)) if adjust else None
    scored = multiclass.score(
        table, n_classes=3, adjust_pred_probs=adjust, thresholds=thresholds, predicted_label=True
    )
    assert scored.dtypes == [
        *table.dtypes,
        ("label_quality", "double"),
        ("predicted_label", "int"),
    ]
    with pytest.raises(Exception, match="the table was read"):
        scored.collect()


@pytest.mark.spark_only
def test_all_new_columns_come_from_one_python_pass(table_of, data_set, capsys):
    multiclass.score(table_of(*data_set(20)), predicted_label=True).explain()
    assert capsys.readouterr().out.count("ArrowEvalPython") == 1


@pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "pandas"])
@pytest.mark.parametrize("label_type", ["tinyint", "smallint", "int", "bigint", "string"])
def test_the_predicted_label_has_the_type_of_the_label(
    table_of, by_id, monkeypatch, arrow, label_type
):
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", arrow and verbs.HAS_ARROW_UDF)
    pred_probs = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.25, 0.375, 0.375]])
    labels, predicted, options = [0, 1, 2], [0, 2, 1], {}  # of equal ones the first
    if label_type == "string":
        options = {"classes": ["one", "two", "three"]}
        labels, predicted = ["one", "two", "three"], ["one", "three", "two"]
    scored = multiclass.score(
        table_of(labels, pred_probs, label_type), predicted_label=True, **options
    )
    assert scored.schema["predicted_label"].dataType.simpleString() == label_type
    assert by_id(scored, "predicted_label") == predicted


def test_whole_number_labels_are_predicted_as_numbers_though_classes_have_names(table_of, by_id):
    table = table_of([0, 1], np.array([[0.25, 0.75], [0.25, 0.75]]))
    scored = multiclass.score(table, classes=["no", "yes"], predicted_label=True)
    assert by_id(scored, "predicted_label") == [1, 1]


def assert_same_rows(actual, expected):
    assert actual.schema == expected.schema
    assert sorted(actual.collect(), key=str) == sorted(expected.collect(), key=str)


def test_the_callers_columns_come_back_unchanged_and_in_order(spark):
    names = ["pred probs", "a.b", "given`label", "notes", "row.id", "label"]
    rows = [([0.25, 0.75], 1.5, 1, ["x", None], "r1", None), ([0.5, 0.5], None, 0, None, "r2", "-")]
    types = ["array<double>", "double", "int", "array<string>", "string", "string"]
    table = spark.createDataFrame(rows, ", ".join(f"c{i} {kind}" for i, kind in enumerate(types)))
    table = table.toDF(*names)
    columns = {"label": "given`label", "pred_probs": "pred probs"}

    scored = multiclass.score(table, **columns, adjust_pred_probs=True, predicted_label=True)
    assert scored.columns == [*names, "label_quality", "predicted_label"]
    assert_same_rows(scored.drop("label_quality", "predicted_label"), table)

    checked = multiclass.validate(table, id="row.id", **columns)
    assert checked.columns == [*names, "invalid_reason"]
    assert_same_rows(checked.drop("invalid_reason"), table)


def test_a_class_that_no_row_has_counts_in_the_adjustment_as_in_core(
    table_of, data_set, assert_equals_core
):
    labels, pred_probs = data_set()
    labels = np.where(labels == 3, 0, labels)
    assert_equals_core(table_of(labels, pred_probs), labels, pred_probs)


@pytest.mark.parametrize(
    "options",
    [{"classes": ["a", "b"]}, {"n_classes": 3}, {}, {"predicted_label": True}],
    ids=str,
)
def test_a_table_without_rows_is_scored_to_none(spark, options):
    label_type = "string" if "classes" in options else "int"
    table = spark.createDataFrame([], f"label {label_type}, pred_probs array<float>")
    assert multiclass.score(table, **options).collect() == []
    options.pop("predicted_label", None)
    assert multiclass.validate(table, **options).collect() == []


GOOD = {"label": "int", "pred_probs": "array<float>"}


@pytest.mark.parametrize("function", [multiclass.score, multiclass.validate])
def test_one_class_in_the_first_row_is_refused(spark, function):
    table = spark.createDataFrame([(0, [1.0])], "label int, pred_probs array<float>")
    with pytest.raises(DataError, match="K of at least 2 classes, got K = 1"):
        function(table)


def test_thresholds_bring_their_classes(unread):
    table = unread(label="string", pred_probs="array<float>")
    scored = multiclass.score(
        table, adjust_pred_probs=True, thresholds=Thresholds((0.5, 0.6), (1, 2), ("a", "b"))
    )
    assert scored.columns == ["label", "pred_probs", "label_quality"]


def test_a_predicted_label_that_is_there_stays_where_none_is_asked_for(unread):
    table = unread(**GOOD, predicted_label="int")
    assert multiclass.score(table, n_classes=3).columns == [*table.columns, "label_quality"]


def test_validate_starts_no_job_where_k_is_known(unread):
    checked = multiclass.validate(unread(**GOOD, id="int"), id="id", n_classes=3)
    assert checked.columns == ["label", "pred_probs", "id", "invalid_reason"]
    assert checked.schema["pred_probs"].dataType == ArrayType(FloatType())
