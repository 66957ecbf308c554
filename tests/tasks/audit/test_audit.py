"""Which checks of an audit run, what of a failing one is said, and checks of the user's own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from lq_spark import audit, duplicates, groups, outliers, spurious
from lq_spark.core.audit.checks import NAMES
from lq_spark.errors import ColumnError, InvalidRowsError, LqError, OptionError
from lq_spark.tasks.audit.issues import CHECKS
from lq_spark.tasks.neighbors import features as searches

N, K = 90, 3


def rows(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, N)
    features = np.eye(K, 5)[labels] * 4.0 + rng.normal(size=(N, 5))
    features[5] = features[6]
    features[7] *= 20.0
    probs = 0.7 * np.eye(K)[labels] + 0.1
    given = np.where(rng.random(N) < 0.1, (labels + 1) % K, labels)
    names = np.array(["ant", "bee", "cow"])
    return pd.DataFrame(
        {
            "id": [f"r{n:03}" for n in range(N)],
            "kind": names[given],
            "features": features.tolist(),
            "probs": probs.tolist(),
            "number": np.arange(N),
            "time": rng.permutation(N),
            "light": given + rng.normal(size=N) * 0.1,
            "noise": rng.normal(size=N),
        }
    )


GIVEN = {"label": "kind", "pred_probs": "probs", "classes": ["ant", "bee", "cow"]}


@pytest.fixture
def df(spark):
    return spark.createDataFrame(rows())


def pandas_of(found):
    return found.issues.toPandas().sort_values("id", ignore_index=True)


ALL = (
    *("null", "label", "outlier", "near_duplicate", "exact_duplicate", "non_iid"),
    *("class_imbalance", "underperforming_group", "data_valuation", "identifier_column"),
    "spurious_correlations",
)


@pytest.fixture
def calls(monkeypatch):
    """The searches for neighbours that are made."""
    calls, searched = [], searches.distinct_rows

    def counted(*args, **options):
        calls.append(args)
        return searched(*args, **options)

    monkeypatch.setattr(searches, "distinct_rows", counted)
    return calls


def test_checks_are_called_the_same_where_spark_is_not_imported():
    names = {task: [kind.name for kind in kinds] for task, kinds in CHECKS.items()}
    assert names["classification"] == list(NAMES) == list(ALL)
    assert all(set(of_task) <= set(NAMES) for of_task in names.values())


def test_labels_by_near_rows_are_of_the_same_search_if_it_is_euclidean(df, calls):
    table = df.selectExpr("*", "features[0] x", "features[1] y")
    found = audit.find_issues(table, label="kind", classes=GIVEN["classes"], features=["x", "y"])
    assert found.failed == {}
    assert found.statistics["knn_metric"] == "euclidean"
    assert len(calls) == 1


def test_neighbors_are_looked_for_once_and_partitions_change_nothing(df, calls):
    given = {**GIVEN, "features": "features", "properties": ["light", "noise"]}
    found = audit.find_issues(df, **given, checks=ALL)
    assert found.failed == {}
    assert found.summary["check"].tolist() == list(ALL)
    assert len(calls) == 1
    expected = pandas_of(found)
    again = audit.find_issues(df.repartition(7, "time"), **given, checks=ALL[::-1])
    pd.testing.assert_frame_equal(pandas_of(again), expected, check_exact=True)
    pd.testing.assert_frame_equal(again.summary, found.summary, check_exact=True)
    assert len(calls) == 2


def test_a_check_says_what_its_own_function_says(df):
    options = {
        "outlier": {"t": 2.0, "threshold": 0.6},
        "near_duplicate": {"threshold": 0.7},
        "non_iid": {"order": "time", "num_permutations": 9},
        "underperforming_group": {"eps": 0.3, "min_samples": 3, "min_cluster_samples": 2},
    }
    found = audit.find_issues(df, **GIVEN, features="features", k=4, checks=options)
    assert found.failed == {}
    ours = pandas_of(found)
    alone = {
        "outlier": outliers.find_issues(df, features="features", k=4, t=2.0, threshold=0.6),
        "near_duplicate": duplicates.find_issues(df, features="features", k=4, threshold=0.7),
        "underperforming_group": groups.find_issues(
            df, **GIVEN, features="features", k=4, **options["underperforming_group"]
        ),
    }
    for check, table in alone.items():
        theirs = table.toPandas().sort_values("id", ignore_index=True)
        names = [name for name in ours.columns if name in theirs.columns]
        pd.testing.assert_frame_equal(ours[names], theirs[names], check_exact=True)
        assert {f"is_{check}_issue", f"{check}_score"} <= set(names)
    assert ours["is_near_duplicate_issue"].sum() > 2


def test_exact_duplicates_and_identifiers_are_found_on_request(df):
    found = audit.find_issues(
        df, features="features", checks=["exact_duplicate", "identifier_column"]
    )
    ours = pandas_of(found)
    assert ours.loc[ours["is_exact_duplicate_issue"], "id"].tolist() == ["r005", "r006"]
    assert sorted(set(ours["exact_duplicate_score"])) == [0.0, 1.0]
    summary = found.summary.set_index("check")
    assert summary.loc["identifier_column"].tolist() == [0.0, 2.0]
    assert found.info["identifier_column"].identifiers == ("number", "time")
    assert found.columns["identifier_column"] == []


def test_properties_that_tell_the_classes_apart_are_found_where_some_are_given(df):
    properties = ["noise", "light"]
    found = audit.find_issues(df, label="kind", classes=GIVEN["classes"], properties=properties)
    assert found.failed == {}
    assert found.summary["check"].tolist() == ["null", "class_imbalance", "spurious_correlations"]
    expected = spurious.summarize(df, properties=properties, label="kind", classes=GIVEN["classes"])
    assert expected.issues == ("light",)
    assert found.info["spurious_correlations"] == expected
    summary = found.summary.set_index("check").loc["spurious_correlations"]
    assert summary.tolist() == [expected.scores[1], 1.0]
    assert found.columns["spurious_correlations"] == []
    assert {*found.issues.columns} >= {"id", "is_null_issue", "num_issues"}
    assert not [name for name in found.issues.columns if "spurious" in name]
    report = found.report()
    assert "spurious_correlations: 1 issues, lowest scores:" in report
    assert f"light  {expected.scores[1]:.6f}  {expected.accuracies[1]:.6f}" in report
    checks = {"spurious_correlations": {"threshold": 0.0, "n_folds": 3}}
    found = audit.find_issues(
        df, label="kind", classes=GIVEN["classes"], properties=properties, checks=checks
    )
    assert found.summary["num_issues"].tolist() == [0]
    other = spurious.summarize(
        df, properties=properties, label="kind", classes=GIVEN["classes"], n_folds=3
    )
    assert found.info["spurious_correlations"].accuracies == other.accuracies
    assert other.accuracies != expected.accuracies


def test_properties_that_cannot_be_looked_at_leave_the_other_checks(df):
    bad = df.withColumn("light", F.expr("nullif(light, light)"))
    given = {"label": "kind", "classes": GIVEN["classes"], "properties": ["light"]}
    found = audit.find_issues(bad, **given)
    assert found.summary["check"].tolist() == ["null", "class_imbalance"]
    assert found.failed == {
        "spurious_correlations": "90 of 90 rows cannot be scored, 90 with null property; "
        "spurious.validate says which"
    }
    checked = audit.validate(bad, **given)
    reasons = {row["invalid_reason"] for row in checked.collect()}
    assert reasons == {"null property"}


def test_a_check_that_fails_does_not_take_the_others_down(df):
    few = df.where("number < 8")
    with pytest.warns(UserWarning, match="at most 10 rows"):
        found = audit.find_issues(few, **GIVEN, features="features", k=8)
    assert found.summary["check"].tolist() == ["null", "label", "class_imbalance"]
    why = (
        "k must be below the number of rows, for a row is no neighbour of its own: got 8 of 8 rows"
    )
    assert found.failed == dict.fromkeys(
        ("outlier", "near_duplicate", "non_iid", "underperforming_group"), why
    )
    ours = pandas_of(found)
    assert ours["outlier_score"].isna().all()
    assert ours["near_duplicate_set"].isna().all()
    assert ours["label_score"].notna().all()
    assert f"outlier failed: {why}" in found.report()
    limited = pytest.raises(OptionError, match="k must be below the number of rows")
    with pytest.warns(UserWarning, match="at most 10 rows"), limited:
        audit.find_issues(few, **GIVEN, features="features", k=8, on_check_error="fail")


def test_a_row_that_cannot_be_scored_fails_the_checks_that_need_it(spark):
    table = rows()
    table.loc[4, "kind"] = "dog"
    found = audit.find_issues(spark.createDataFrame(table), **GIVEN, features="features")
    assert set(found.failed) == {"label", "class_imbalance", "underperforming_group"}
    assert "1 of 90 rows cannot be scored" in found.failed["class_imbalance"]
    assert "'dog'" in found.failed["class_imbalance"]


@dataclass(frozen=True)
class OddNumber(audit.Check):
    name = "odd_number"
    further: ClassVar = {"half": "double"}
    column: str = "number"

    def missing(self, table):
        return "" if self.column in table.df.columns else f"a column {self.column}"

    def find_issues(self, table):
        value = F.col(self.column)
        score = F.when(value % 2 == 1, 0.25).otherwise(1.0)
        added = {"is_odd_number_issue": value % 2 == 1, "odd_number_score": score}
        return audit.Checked(table.df.withColumns({**added, "half": value / 2}), info="odd")


class Failing(audit.Check):
    name = "failing"

    def find_issues(self, table):
        raise ZeroDivisionError("by nothing\nat all")


class WithoutScore(audit.Check):
    name = "without_score"

    def find_issues(self, table):
        return audit.Checked(table.df.withColumn("is_without_score_issue", F.lit(True)))


def test_checks_of_ones_own_run_like_the_others(df):
    found = audit.find_issues(df, checks=["null", OddNumber(), Failing(), WithoutScore()])
    assert found.summary["check"].tolist() == ["null", "odd_number"]
    assert found.summary["score"].tolist() == [1.0, 0.625]
    assert found.summary["num_issues"].tolist() == [0, 45]
    assert found.failed["failing"] == "ZeroDivisionError: by nothing"
    assert found.failed["without_score"] == "its rows have no 'without_score_score'"
    assert found.info["odd_number"] == "odd"
    worst = found.worst("odd_number", 3)
    assert worst["id"].tolist() == ["r001", "r003", "r005"]
    assert worst["half"].tolist() == [0.5, 1.5, 2.5]
    assert "odd_number: 45 issues, the worst" in found.report(n=2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": "lable"}, ColumnError, "lable"),
        ({"features": "feature"}, ColumnError, "feature"),
        ({"pred_probs": "prob"}, ColumnError, "prob"),
        ({"task": "tokens"}, OptionError, "task must be one of 'classification', "),
        ({"checks": ["outliers"]}, OptionError, "checks: 'outliers' is none of .*'outlier'"),
        ({"checks": ["label"]}, OptionError, "checks: 'label' needs a label"),
        ({"checks": ["outlier"]}, OptionError, "'outlier' needs features, a graph or pred_probs"),
        (
            {"checks": {"outlier": {"treshold": 1}}, "features": "features"},
            OptionError,
            "'outlier' has no option 'treshold'; it has 't', 'threshold'; did you mean",
        ),
        (
            {"checks": {"outlier": {"threshold": 2}}, "features": "features"},
            OptionError,
            "threshold must be a number from 0",
        ),
        (
            {"checks": {"non_iid": {"order": "tme"}}, "features": "features"},
            ColumnError,
            "order: .*'tme'",
        ),
        ({"checks": [OddNumber("nmber")]}, OptionError, "'odd_number' needs a column nmber"),
        ({"checks": [OddNumber(), OddNumber("time")]}, OptionError, "each may be there once"),
        ({"checks": [OddNumber]}, OptionError, "must be names or objects of Check"),
        ({"checks": []}, OptionError, "checks: none is named"),
        (
            {"checks": ["spurious_correlations"], "label": "time"},
            OptionError,
            "'spurious_correlations' needs a label and properties",
        ),
        (
            {"properties": ["light"]},
            OptionError,
            "properties are given, which go with labels that are classes",
        ),
        (
            {"properties": ["light"], "label": "light", "task": "regression"},
            OptionError,
            "properties are given, which go with labels that are classes",
        ),
        (
            {"properties": ["lights"], "label": "time"},
            ColumnError,
            "properties: no column 'lights' in the table",
        ),
        (
            {"properties": ["kind"], "label": "time"},
            ColumnError,
            "properties: column 'kind' is string; allowed are whole numbers, float, double and",
        ),
        (
            {
                "properties": ["light"],
                "label": "time",
                "checks": {"spurious_correlations": {"threshold": 2}},
            },
            OptionError,
            "threshold must be a number from 0",
        ),
        ({"on_check_error": "ignore"}, OptionError, "on_check_error must be one of"),
        (
            {"k": 0, "features": "features"},
            OptionError,
            "k must be a whole number of neighbours",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_audited_is_refused(df, options, error, message):
    with pytest.raises(error, match=message):
        audit.find_issues(df, **options)


def test_ids_must_tell_rows_apart(df):
    with pytest.raises(InvalidRowsError, match="id"):
        audit.find_issues(df.union(df.limit(1)))


def test_an_audit_of_no_rows_says_so(df):
    found = audit.find_issues(df.where("number < 0"), **GIVEN, features="features")
    assert found.issues.count() == 0
    assert found.statistics["num_rows"] == 0
    assert "audit of 0 rows" in found.report()


def test_only_checks_that_ran_have_a_worst_row(df):
    found = audit.find_issues(df, checks=["null", "identifier_column"])
    for name in ("outlier", "identifier_column"):
        with pytest.raises(OptionError, match="check must be one of 'null'"):
            found.worst(name)
    assert found.worst("null").empty
    assert issubclass(OptionError, LqError)
