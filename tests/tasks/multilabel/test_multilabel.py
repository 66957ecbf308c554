"""Tables of label sets, against core and cleanlab on the same rows in the order of their ids."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from cleanlab.multilabel_classification import filter as rules
from oracle import cleanlabs
from pyspark.sql import functions as F

from lq_spark import MultilabelModel, multilabel
from lq_spark.core import multilabel as core
from lq_spark.core.multilabel.health import multilabel_health_summary
from lq_spark.engine import select, verbs
from lq_spark.errors import ColumnError, OptionError
from lq_spark.tasks.multilabel import passes as multilabel_passes

CLASSES = ["cat", "dog", "indoor", "night", "person"]
FILTERS = [
    ("prune_by_noise_rate", 1, "double"),
    ("prune_by_class", 7, "float"),
    ("both", 2, "vector"),
    ("confident_learning", 7, "float"),
    ("predicted_neq_given", 2, "double"),
    ("low_normalized_margin", 2, "double"),
]


def data_set(n=400, n_classes=5, seed=0, levels=None, dtype=np.float64):
    """Return labels and pred_probs: a class in every row, one in none, one in few; rows of none.

    With ``levels`` the probabilities have so many values and tie.
    """
    rng = np.random.default_rng(seed)
    pred_probs = rng.beta(0.4, 0.6, (n, n_classes))
    right = rng.random((n, n_classes)) < 0.85
    bits = np.where(right, pred_probs > 0.5, rng.random((n, n_classes)) < 0.5)
    bits[:10] = False
    bits[:, 0], bits[:, 1] = True, False
    bits[:, 2] &= rng.random(n) < 0.05
    pred_probs = pred_probs.clip(1e-6, 1 - 1e-6)
    if levels:
        pred_probs = np.round(pred_probs * levels) / levels
    return [np.flatnonzero(row).tolist() for row in bits], pred_probs.astype(dtype)


@pytest.fixture
def table_of(spark, tmp_path):
    """Make a table of label sets, its rows in random order, in some partitions."""

    def make(labels, pred_probs, n_partitions=2, classes=None):
        order = np.random.default_rng(7).permutation(len(labels))
        given = [labels[i] for i in order]
        if classes:
            given = [[classes[k] for k in row] for row in given]
        kind = pa.list_(pa.string() if classes else pa.int32())
        columns = {"id": order, "labels": pa.array(given, kind)}
        columns["pred_probs"] = pa.array(list(pred_probs[order]))
        # A file of its own: of a path that was cached Spark would give the rows of then.
        path = str(tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet")
        pq.write_table(pa.table(columns), path)
        table = spark.read.parquet(path)
        # Kept: or each pass would share out the rows again.
        return (table.coalesce(1) if n_partitions == 1 else table.repartition(n_partitions)).cache()

    return make


@pytest.fixture
def rows(quietly):
    """Return a table's rows in the order of id, as pandas."""

    def read(function, *args, **kwargs):
        found = quietly(function, *args, **kwargs)
        return found.drop("pred_probs").toPandas().sort_values("id", ignore_index=True)

    return read


def cleanlabs_cells(labels, pred_probs, **options):
    """Return what cleanlab flags of the classes that it bears: some are absent in some rows."""
    some = [[k - 2 for k in row if k > 1] for row in labels]
    doubles = pred_probs[:, 2:].astype(np.float64)
    return cleanlabs(rules.find_multilabel_issues_per_class, some, doubles, **options)


@pytest.mark.parametrize(("filter_by", "n_partitions", "element"), FILTERS)
def test_issues_equal_cores_and_cleanlabs(
    table_of, as_vectors, rows, quietly, assert_same_bits, filter_by, n_partitions, element
):
    labels, pred_probs = data_set(dtype=np.float32 if element == "float" else np.float64)
    table = table_of(labels, pred_probs, n_partitions)
    if element == "vector":
        table = as_vectors(table, n_partitions)
    found = rows(multilabel.find_issues, table, n_classes=5, filter_by=filter_by)
    expected = quietly(core.find_label_issues, labels, pred_probs, filter_by=filter_by)
    np.testing.assert_array_equal(found["is_label_issue"], expected)
    assert 0 < expected.sum() < len(labels)
    scores = core.get_label_quality_scores(labels, pred_probs)
    assert_same_bits(found["label_quality"].to_numpy(), scores)

    mask = quietly(core.find_multilabel_issues_per_class, labels, pred_probs, filter_by=filter_by)
    np.testing.assert_array_equal(
        mask[:, 2:], cleanlabs_cells(labels, pred_probs, filter_by=filter_by)
    )
    if filter_by.startswith("low_"):  # it judges rows: suspect is what is predicted otherwise
        mask = (per_row(labels, pred_probs) ^ (pred_probs > 0.5)) & expected[:, np.newaxis]
    for i, one in found.iterrows():
        suspects = np.flatnonzero(mask[i]).tolist()
        assert list(one["suspect_classes"]) == suspects
        assert set(one["suggested_labels"]) == set(labels[i]) ^ set(suspects)


def test_issues_by_class_equal_cores(table_of, quietly, assert_same_bits):
    labels, pred_probs = data_set(dtype=np.float32)
    filter_by = "confident_learning"
    table = table_of(labels, pred_probs)
    cells = quietly(multilabel.find_issues_per_class, table, n_classes=5, filter_by=filter_by)
    by_cell = cells.toPandas().sort_values(["id", "class"], ignore_index=True)
    mask = quietly(core.find_multilabel_issues_per_class, labels, pred_probs, filter_by=filter_by)
    row, column = np.nonzero(mask)
    np.testing.assert_array_equal(by_cell[["id", "class"]], np.stack([row, column], axis=-1))
    given = [k in labels[i] for i, k in zip(row, column, strict=True)]
    np.testing.assert_array_equal(by_cell["in_given_label"], given)
    np.testing.assert_array_equal(by_cell["pred_prob"], pred_probs[row, column].astype(float))
    per_class = core.get_label_quality_scores_per_class(labels, pred_probs)[row, column]
    assert_same_bits(by_cell["class_quality"].to_numpy(), per_class)


def per_row(labels, pred_probs):
    bits = np.zeros(pred_probs.shape, dtype=bool)
    for i, row in enumerate(labels):
        bits[i, row] = True
    return bits


@pytest.mark.parametrize(
    ("filter_by", "n_partitions", "narrowed"),
    [
        ("prune_by_noise_rate", 7, True),
        ("low_self_confidence", 2, False),
    ],
)
def test_ties_at_the_cut_are_told_apart_by_id(
    table_of, quietly, monkeypatch, filter_by, n_partitions, narrowed
):
    if narrowed:  # as where a bucket has many cells
        monkeypatch.setattr(select, "MAX_SORTED", 10)
        monkeypatch.setattr(multilabel_passes, "MAX_SORTED", 10)
    labels, pred_probs = data_set(1000, levels=8)
    options = {"filter_by": filter_by}
    mask = quietly(core.find_multilabel_issues_per_class, labels, pred_probs, **options)
    backwards = quietly(
        core.find_multilabel_issues_per_class, labels[::-1], pred_probs[::-1], **options
    )
    assert (mask != backwards[::-1]).any()  # the order of the rows decides
    table = table_of(labels, pred_probs, n_partitions)
    cells = quietly(multilabel.find_issues_per_class, table, n_classes=5, **options).toPandas()
    found = np.zeros(mask.shape, dtype=bool)
    found[cells["id"], cells["class"]] = True
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("filter_by", ["low_normalized_margin", "low_self_confidence"])
def test_cells_of_different_bits_that_tie_are_cores(table_of, quietly, filter_by):
    labels, pred_probs = data_set(seed=5, levels=10)
    table = table_of(labels, pred_probs)
    found = quietly(
        multilabel.find_issues_per_class, table, n_classes=5, filter_by=filter_by
    ).toPandas()
    mask = np.zeros(pred_probs.shape, dtype=bool)
    mask[found["id"], found["class"]] = True
    expected = core.find_multilabel_issues_per_class(labels, pred_probs, filter_by=filter_by)
    np.testing.assert_array_equal(mask, expected)
    other = {"low_normalized_margin", "low_self_confidence"} - {filter_by}
    others = core.find_multilabel_issues_per_class(labels, pred_probs, filter_by=other.pop())
    assert (expected != others).any()


@pytest.mark.parametrize(
    ("filter_by", "expected"),
    [("prune_by_noise_rate", []), ("predicted_neq_given", [1, 4]), ("low_self_confidence", [1])],
)
def test_a_class_that_all_rows_have_is_suspect_only_where_predicted_otherwise(
    table_of, rows, filter_by, expected
):
    labels = [[0], [0, 1], [0], [0, 1], [0]]
    pred_probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.3], [0.95, 0.2], [0.4, 0.6]])
    found = rows(multilabel.find_issues, table_of(labels, pred_probs), filter_by=filter_by)
    suspect = [i for i, classes in enumerate(found["suspect_classes"]) if 0 in list(classes)]
    assert suspect == expected


def test_rows_of_equal_score_at_the_cut_are_told_apart_by_id(table_of, rows):
    labels, pred_probs = data_set(1000, levels=4)
    options = {"filter_by": "low_self_confidence"}
    expected = core.find_label_issues(labels, pred_probs, **options)
    backwards = core.find_label_issues(labels[::-1], pred_probs[::-1], **options)
    assert (expected != backwards[::-1]).any()
    found = rows(multilabel.find_issues, table_of(labels, pred_probs), **options)
    np.testing.assert_array_equal(found["is_label_issue"], expected)


def test_names_and_ids_of_any_type_stand_beside_the_callers_columns(
    table_of, quietly, assert_same_bits
):
    labels, pred_probs = data_set(levels=8)
    table = table_of(labels, pred_probs, classes=CLASSES).select(
        F.col("id").cast("string").alias("row.id"),
        (F.col("id") + 1).alias("group"),
        F.col("labels").alias("given`labels"),
        F.col("pred_probs").alias("pred probs"),
    )
    options = {"id": "row.id", "labels": "given`labels", "pred_probs": "pred probs"}
    options |= {"classes": CLASSES, "method": "normalized_margin", "adjust_pred_probs": True}
    softmin = {"method": "softmin", "temperature": 0.2}
    found = quietly(
        multilabel.find_issues, table, issue_rank=True, aggregator_kwargs=softmin, **options
    )
    assert found.dtypes == [
        *table.dtypes,
        ("is_label_issue", "boolean"),
        ("suspect_classes", "array<string>"),
        ("suggested_labels", "array<string>"),
        ("label_quality", "double"),
        ("issue_rank", "bigint"),
    ]
    order = sorted(range(len(labels)), key=str)
    in_order = [labels[i] for i in order], pred_probs[order]
    mask = quietly(core.find_multilabel_issues_per_class, *in_order)
    rows = found.toPandas().sort_values("row.id", ignore_index=True)
    np.testing.assert_array_equal(rows["is_label_issue"], mask.any(axis=1))
    for i, one in rows.iterrows():
        suspects = [CLASSES[k] for k in np.flatnonzero(mask[i])]
        given = [CLASSES[k] for k in in_order[0][i]]
        assert list(one["suspect_classes"]) == suspects
        expected = [name for name in given if name not in suspects]
        assert list(one["suggested_labels"]) == expected + [
            name for name in suspects if name not in given
        ]
    scores = core.get_label_quality_scores(
        *in_order, method="normalized_margin", adjust_pred_probs=True, aggregator_kwargs=softmin
    )
    assert_same_bits(rows["label_quality"].to_numpy(), scores)
    issues = rows[rows["is_label_issue"]].sort_values(["label_quality", "row.id"])
    assert issues["issue_rank"].tolist() == list(range(1, len(issues) + 1))
    np.testing.assert_array_equal(rows["group"], np.array(order) + 1)

    cells = quietly(multilabel.find_issues_per_class, table, **options).toPandas()
    pairs = {(key, CLASSES.index(name)) for key, name in cells[["row.id", "class"]].values}
    assert pairs == {(str(order[i]), k) for i, k in np.argwhere(mask)}


@pytest.mark.parametrize("arrow", [True, pytest.param(False, marks=pytest.mark.spark)])
def test_scores_equal_cores_to_the_bit(
    table_of, rows, assert_same_bits, monkeypatch, batch_size, arrow
):
    batch_size(90)
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", arrow)
    labels, pred_probs = data_set(dtype=np.float32)
    table = table_of(labels, pred_probs, 7)
    for method, adjust in (("confidence_weighted_entropy", False), ("self_confidence", True)):
        options = {"method": method, "adjust_pred_probs": adjust}
        found = rows(multilabel.score, table, class_qualities=True, **options)
        expected = core.get_label_quality_scores_per_class(labels, pred_probs, **options)
        assert_same_bits(np.stack(found["class_qualities"]), expected)
        expected = core.get_label_quality_scores(labels, pred_probs, **options)
        assert_same_bits(found["label_quality"].to_numpy(), expected)


@pytest.mark.parametrize("n_partitions", [1, 64])
def test_models_are_the_same_on_any_partitions(table_of, n_partitions):
    labels, pred_probs = data_set(seed=1)
    model = multilabel.fit(table_of(labels, pred_probs, n_partitions))
    assert model.to_json() == core.fit(labels, pred_probs).to_json()


def test_a_model_judges_other_rows(table_of, quietly, rows, tmp_path):
    labels, pred_probs = data_set(seed=1)
    model = multilabel.fit(table_of(labels, pred_probs))
    model.save(tmp_path / "model.json")
    model = multilabel.MultilabelModel.load(tmp_path / "model.json")
    more = data_set(seed=2)
    options = {"fitted": model, "filter_by": "confident_learning"}
    found = rows(multilabel.find_issues, table_of(*more), **options)["is_label_issue"]
    bits = per_row(*more)
    absent, present = model.thresholds.T - 1e-6
    wrong = bits & (1 - more[1] >= absent) & (more[1] < 0.5 - 1e-6)
    missing = ~bits & (more[1] >= present) & (more[1] > 0.5 + 1e-6)
    np.testing.assert_array_equal(found, (wrong | missing).any(axis=1))
    # Of its own rows a model says what no model says.
    own = table_of(labels, pred_probs)
    assert_df_equality(
        quietly(multilabel.find_issues, own, fitted=model).orderBy("id"),
        quietly(multilabel.find_issues, own).orderBy("id"),
    )


def test_health_equals_cores(table_of, quietly):
    labels, pred_probs = data_set(levels=16)
    expected = quietly(multilabel_health_summary, labels, pred_probs, class_names=CLASSES)
    table = table_of(labels, pred_probs, 7, classes=CLASSES)
    health = quietly(multilabel.summarize, table, classes=CLASSES)
    assert health.overall_multilabel_health_score == expected["overall_multilabel_health_score"]
    for name in ("classes_by_multilabel_quality", "common_multilabel_issues"):
        assert getattr(health, name).equals(expected[name])


def test_options_of_pruning_are_cores(table_of, quietly):
    labels, pred_probs = data_set()
    table = table_of(labels, pred_probs)
    for options in (
        {"frac_noise": 0.5, "min_examples_per_class": 12},
        {"num_to_remove_per_class": [5, 0, 2, 20, 1], "filter_by": "both"},
    ):
        mask = quietly(core.find_multilabel_issues_per_class, labels, pred_probs, **options)
        if "frac_noise" in options:
            np.testing.assert_array_equal(
                mask[:, 2:], cleanlabs_cells(labels, pred_probs, **options)
            )
        cells = quietly(multilabel.find_issues_per_class, table, **options).toPandas()
        pairs = set(zip(cells["id"], cells["class"], strict=True))
        assert pairs == set(zip(*np.nonzero(mask), strict=True))


def test_a_table_without_rows_has_no_issues(spark):
    empty = spark.createDataFrame([], "id int, labels array<string>, pred_probs array<float>")
    assert multilabel.find_issues(empty, classes=CLASSES).count() == 0
    options = {"classes": CLASSES, "filter_by": "low_self_confidence"}
    assert multilabel.find_issues(empty, **options).count() == 0
    assert multilabel.find_issues_per_class(empty, **options).count() == 0


def test_classes_too_small_to_prune_are_named_where_issues_are_asked_for(table_of):
    table = table_of([[0, 1], [0], [1, 2]], np.full((3, 3), 0.5))
    with pytest.warns(UserWarning, match="classes 2 are given to at most 1 rows") as warned:
        multilabel.find_issues(table)
    assert [one.filename for one in warned if one.category is UserWarning] == [__file__]


def test_a_label_type_too_small_for_all_classes_is_refused_before_a_job(unread):
    table = unread(id="int", labels="array<tinyint>", pred_probs="array<float>")
    for function in (multilabel.score, multilabel.find_issues, multilabel.fit):
        with pytest.raises(ColumnError, match="is tinyint, too small"):
            function(table, n_classes=200)


def test_an_id_named_as_a_column_of_cells_is_refused_before_a_job(unread):
    table = unread(**{"labels": "array<int>", "pred_probs": "array<float>", "class": "int"})
    with pytest.raises(ColumnError, match="id: column 'class' is named as"):
        multilabel.find_issues_per_class(table, id="class", n_classes=2)


def test_numbers_of_other_classes_are_refused(spark):
    good = spark.range(1).selectExpr("id", "array(0) labels", "array(0.1D, 0.2D, 0.3D) p")
    with pytest.raises(OptionError, match="fitted has K = 2 classes, the table has K = 3"):
        ones = np.ones((2, 2), int), np.ones((2, 2, 2), int)
        unnamed = MultilabelModel(np.full((2, 2), 0.5), *ones, 0)
        multilabel.find_issues(good, pred_probs="p", fitted=unnamed)
    with pytest.raises(OptionError, match="num_to_remove_per_class must be 3 numbers"):
        multilabel.find_issues(good, pred_probs="p", num_to_remove_per_class=[2, 0, 0])
