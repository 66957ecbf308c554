"""Numbers and their predictions: tables against core, to the bit, whatever the partitions."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import regression
from lq_spark.core.regression import find_label_issues, get_label_quality_scores
from lq_spark.core.regression.rules import OUTRE_THRESHOLD, QUANTILES
from lq_spark.engine import verbs
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.regression import passes


def numbers(n_rows=400, seed=0):
    """Return labels, predictions and uncertainties; some rows alike, some labels far off."""
    rng = np.random.default_rng(seed)
    labels = np.exp(rng.normal(size=n_rows))
    predictions = labels * np.exp(0.2 * rng.normal(size=n_rows))
    labels[:4] *= 1000.0
    labels[10:40], predictions[10:40] = 0.0, 0.25
    return labels, predictions, rng.random(n_rows)


@pytest.fixture
def table(spark):
    """Make a table of numbers, with the row number as id."""

    def make(labels, predictions, uncertainties=None, kind="double"):
        given = np.zeros(len(labels)) if uncertainties is None else uncertainties
        columns = (range(len(labels)), labels.tolist(), predictions.tolist(), given.tolist())
        schema = "id int, label double, prediction double, uncertainty double"
        rows = spark.createDataFrame(list(zip(*columns, strict=True)), schema)
        rows = rows.withColumn("deviation", F.lit("as it was"))
        return rows.withColumn("label", F.col("label").cast(kind))

    return make


@pytest.mark.parametrize(
    ("options", "n_partitions"),
    [
        ({"method": "residual"}, 64),
        ({}, 1),
        ({}, 64),
        ({"exact_up_to": 399}, 1),
        ({"exact_up_to": 399}, 64),
    ],
    ids=str,
)
def test_scores_equal_those_of_core(table, by_id, monkeypatch, options, n_partitions):
    if n_partitions > 1:  # share out the distances over tasks
        monkeypatch.setattr(passes, "PAIRS_OF_A_PART", 1 << 14)
    labels, predictions, _ = numbers()
    rows = table(labels, predictions).repartition(n_partitions)
    scored = regression.score(rows, **options)
    assert scored.columns == [*rows.columns, "label_quality"]
    expected = get_label_quality_scores(labels, predictions, **options)
    assert by_id(scored, "label_quality") == expected.tolist()


@pytest.mark.parametrize("n_partitions", [7, 64])
def test_issues_by_uncertainty_equal_those_of_core(table, by_id, n_partitions):
    labels, predictions, uncertainties = numbers(90)
    uncertainties[:3] = 0.0
    rows = table(labels, predictions, uncertainties).repartition(n_partitions)
    found = regression.find_issues(
        rows, method="uncertainty", uncertainty="uncertainty", frac_issues=0.1, issue_rank=True
    )
    new = ["is_label_issue", "predicted_label", "label_quality", "issue_rank"]
    assert found.columns == [*rows.columns, *new]
    found = found.localCheckpoint()
    expected = find_label_issues(labels, predictions, uncertainty=uncertainties, frac_issues=0.1)
    for name in new[:-1]:
        assert by_id(found, name) == expected[name].tolist()
    ranks = [rank for rank in by_id(found, "issue_rank") if rank is not None]
    assert sorted(ranks) == list(range(1, 10))
    by_rank = found.where("is_label_issue").orderBy("issue_rank").collect()
    scores = [row["label_quality"] for row in by_rank]
    assert scores == sorted(scores)


def test_one_uncertainty_for_all_rows(table, by_id):
    labels, predictions, _ = numbers(91)
    scored = regression.score(table(labels, predictions), method="uncertainty", uncertainty=0.5)
    expected = find_label_issues(labels, predictions, uncertainty=0.5, frac_issues=0)
    assert by_id(scored, "label_quality") == expected["label_quality"].tolist()


def test_issues_are_the_rows_below_a_threshold(table, by_id):
    labels, predictions, _ = numbers()
    rows = table(labels, predictions).coalesce(1)
    scores = get_label_quality_scores(labels, predictions)
    # As cleanlab's Datalab: the median score is exp(-1).
    np.testing.assert_allclose(OUTRE_THRESHOLD, 0.05 * np.median(scores), rtol=1e-3)
    for options, threshold in (({}, OUTRE_THRESHOLD), ({"threshold": 0.25}, 0.25)):
        found = regression.find_issues(rows, **options)
        flags = by_id(found, "is_label_issue")
        assert flags == (scores < threshold).tolist()
        assert any(flags)
    assert by_id(found, "predicted_label") == predictions.tolist()


def test_a_share_takes_the_largest_residuals_also_where_all_scores_are_0(table, by_id):
    labels = np.zeros(12)
    predictions = np.array([1e4, 3e4, 2e4, 0.5] + [0.25] * 8)
    rows = table(labels, predictions).coalesce(1)
    found = regression.find_issues(rows, method="residual", frac_issues=0.5, issue_rank=True)
    found = found.localCheckpoint()
    # Of the equal ones those with the lowest ids.
    assert by_id(found, "is_label_issue") == [True] * 6 + [False] * 6
    assert by_id(found, "issue_rank") == [3, 1, 2, 4, 5, 6] + [None] * 6
    assert by_id(found, "label_quality")[:3] == [0.0] * 3


@pytest.mark.parametrize("kind", ["int", "decimal(12,2)"])
def test_labels_may_be_numbers_of_any_type(table, by_id, kind):
    labels, predictions, _ = numbers(50)
    rows = table(np.round(labels * 4), predictions, kind=kind).coalesce(1)
    found = regression.find_issues(rows, method="residual", threshold=0.5)
    expected = get_label_quality_scores(np.round(labels * 4), predictions, method="residual")
    assert by_id(found, "label_quality") == expected.tolist()
    # Predictions of whole labels are not cut to whole numbers.
    assert by_id(found, "predicted_label") == predictions.tolist()


@pytest.mark.spark
def test_scores_under_a_pandas_udf_are_the_same(table, by_id, monkeypatch):
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", False)
    labels, predictions, _ = numbers(60)
    rows = table(labels, predictions).withColumn("label", F.expr("if(id = 59, null, label)"))
    scored = regression.score(rows.coalesce(1), on_invalid="null")
    expected = get_label_quality_scores(labels[:59], predictions[:59])
    assert by_id(scored, "label_quality") == [*expected.tolist(), None]


def test_the_health_of_a_table(table):
    labels, predictions, _ = numbers()
    health = regression.summarize(table(labels, predictions).repartition(3))
    scores, residuals = get_label_quality_scores(labels, predictions), predictions - labels
    assert (health.n_rows, health.n_label_issues) == (400, (scores < OUTRE_THRESHOLD).sum())
    assert health.issue_rate == health.n_label_issues / 400
    assert health.mean_label_quality == pytest.approx(scores.mean(), rel=1e-12)
    assert health.r_squared == pytest.approx(1 - (residuals**2).mean() / labels.var(), rel=1e-12)
    assert health.mean_residual == pytest.approx(residuals.mean(), rel=1e-12)
    assert health.rms_residual == pytest.approx(np.sqrt((residuals**2).mean()), rel=1e-12)
    quantiles = np.quantile(residuals, QUANTILES, method="inverted_cdf")
    assert health.residual_quantiles == dict(zip(QUANTILES, quantiles, strict=True))


def test_a_table_without_rows_has_results_without_rows(table):
    nothing = table(*numbers(3)).where("false")
    assert regression.score(nothing).collect() == []
    options = {"method": "uncertainty", "uncertainty": "uncertainty", "frac_issues": 0.5}
    assert regression.find_issues(nothing, **options, issue_rank=True).collect() == []
    health = regression.summarize(nothing)
    assert (health.n_rows, health.issue_rate, health.residual_quantiles) == (0, None, {})


@pytest.mark.parametrize("method", ["outre", "uncertainty"])
def test_a_table_of_one_row_is_scored(table, method):
    row = table(np.array([5.0]), np.array([9.0]), np.array([1.0]))
    options = {"uncertainty": "uncertainty"} if method == "uncertainty" else {}
    [scored] = regression.score(row, method=method, **options).collect()
    assert scored["label_quality"] == (1.0 if method == "outre" else np.exp(-1.0))


NAN, INF = float("nan"), float("inf")
ROWS = [
    (0, 1.0, 1.5, 0.5, None),
    (1, None, 1.0, 1.0, "null label"),
    (2, 1.0, None, 1.0, "null prediction"),
    (3, NAN, 1.0, 1.0, "label not finite"),
    (4, -INF, 1.0, 1.0, "label not finite"),
    (5, 1.0, INF, 1.0, "prediction not finite"),
    (6, 1.0, 1.1e300, 1.0, "prediction not finite"),
    (7, 1e300, -1e300, 1.0, None),
    (8, 1.0, 2.0, None, "null uncertainty"),
    (9, 1.0, 3.0, NAN, "uncertainty not finite"),
    (10, 1.0, 4.0, -0.5, "uncertainty below 0"),
    (11, 2.0, 2.0, 0.0, None),
    (12, 2.0, 2.0, 1.0, "duplicate id"),
    (12, NAN, 2.0, 1.0, "duplicate id"),
    (None, 2.0, 2.0, 1.0, "null id"),
]


@pytest.fixture
def unfit(spark):
    """Rows with each fault among good ones; ``row`` tells them apart, ``reason`` is why."""
    rows = [(n, *row) for n, row in enumerate(ROWS)]
    schema = "row int, `row.id` int, label double, prediction double, u double, reason string"
    return spark.createDataFrame(rows, schema).coalesce(1)


def test_validate_looks_at_an_uncertainty_where_there_is_one(unfit, by_id):
    checked = regression.validate(unfit, id="row.id", uncertainty="u")
    assert checked.columns == [*unfit.columns, "invalid_reason"]
    assert by_id(checked, "invalid_reason", id="row") == [row[-1] for row in ROWS]
    # Without an id and an uncertainty to look at:
    of_numbers = {n: row[-1] for n, row in enumerate(ROWS) if n in (1, 2, 3, 4, 5, 6)}
    of_numbers[13] = "label not finite"
    found = by_id(regression.validate(unfit), "invalid_reason", id="row")
    assert found == [of_numbers.get(n) for n in range(len(ROWS))]


def test_scores_are_those_of_core_without_the_rows_that_cannot_be_scored(unfit, by_id):
    rows = unfit.where("abs(label) < 1e300 or label is null or isnan(label)")
    faulty = {1, 2, 3, 5, 6, 13}
    good = [n for n in range(len(ROWS)) if n not in {*faulty, 4, 7}]
    scores = get_label_quality_scores([ROWS[n][1] for n in good], [ROWS[n][2] for n in good])
    scored = regression.score(rows, on_invalid="null").select("row", "label_quality").collect()
    expected = {**dict.fromkeys(faulty), **dict(zip(good, scores.tolist(), strict=True))}
    assert dict(map(tuple, scored)) == expected


@pytest.mark.spark
def test_rows_that_cannot_be_scored_fail(unfit):
    with pytest.raises(InvalidRowsError, match=r"^7 of 15 rows cannot be scored; regression\.vali"):
        regression.score(unfit)
    with pytest.raises(InvalidRowsError, match=r"^10 of 15 rows cannot be scored"):
        regression.score(unfit, method="uncertainty", uncertainty="u")
    with pytest.raises(
        Exception, match=r"1 of 1 rows in one batch cannot be scored; regression\.val"
    ):
        regression.score(unfit.where("row = 2"), method="residual").collect()
    with pytest.raises(InvalidRowsError, match=r"^id: column 'row\.id' has nulls or values that o"):
        regression.find_issues(unfit, id="row.id")


def test_the_largest_numbers_are_scored(unfit, by_id):
    rows = unfit.where("row in (0, 7, 11)")
    labels, predictions = np.array([1.0, 1e300, 2.0]), np.array([1.5, -1e300, 2.0])
    expected = get_label_quality_scores(labels, predictions)
    assert by_id(regression.score(rows), "label_quality", id="row") == expected.tolist()
    assert np.isfinite(expected).all()
