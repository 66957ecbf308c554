"""Slices of tables: the tests of core, whatever the partitions."""

import numpy as np
import pytest

from lq_spark import groups, multiclass
from lq_spark.core.groups import find_worse_groups
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.groups import by_columns

N = 600


def data():
    rng = np.random.default_rng(0)
    device = rng.choice(["web", "app", "scan"], N, p=[0.5, 0.4, 0.1])
    country = rng.integers(0, 4, N)
    quality = np.clip(rng.normal(0.8, 0.1, N) - 0.2 * ((device == "scan") | (country == 2)), 0, 1)
    return device, country, quality


@pytest.fixture
def table(spark):
    device, country, quality = data()
    rows = zip(device.tolist(), country.tolist(), quality.tolist(), strict=True)
    return spark.createDataFrame(list(rows), "device string, country int, quality double")


@pytest.mark.spark
@pytest.mark.connect
@pytest.mark.parametrize("n_partitions", [1, 7])
@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
def test_slices_of_a_column_are_the_groups_of_core(table, n_partitions, correction):
    device, _, quality = data()
    expected = find_worse_groups(device, quality, correction=correction)
    found = groups.slices(
        table.repartition(n_partitions),
        by=["device"],
        label_quality="quality",
        correction=correction,
    )
    assert found["device"].tolist() == expected.groups.tolist()
    assert found["slice"].tolist() == [f"device = {name}" for name in expected.groups]
    for name, of_core in (
        ("rows", expected.counts),
        ("mean_label_quality", expected.means),
        ("mean_of_rest", expected.rest_means),
        ("difference", expected.differences),
        ("p_value", expected.p_values),
        ("adjusted_p_value", expected.adjusted_p_values),
        ("is_worse", expected.is_worse),
    ):
        assert found[name].tolist() == of_core.tolist()
    assert found["is_worse"].sum() == 1


def test_pairs_of_columns_are_slices_too_and_all_are_corrected_together(table):
    device, country, quality = data()
    both = np.array([f"{d}/{c}" for d, c in zip(device, country, strict=True)])
    found = groups.slices(table, by=["device", "country"], label_quality="quality", min_rows=10)
    single = {
        name: find_worse_groups(of, quality, min_rows=10)
        for name, of in (("device", device), ("country", country), ("both", both))
    }
    assert len(found) == sum(len(tests.groups) for tests in single.values())
    pair = found[found["slice"] == "device = scan, country = 2"].iloc[0]
    place = single["both"].groups.tolist().index("scan/2")
    assert pair["p_value"] == single["both"].p_values[place]
    assert pair["adjusted_p_value"] > single["both"].adjusted_p_values[place]
    assert (pair["device"], pair["country"]) == ("scan", 2)
    alone = groups.slices(
        table, by=["device", "country"], label_quality="quality", max_columns=1, min_rows=10
    )
    assert set(alone["slice"]) == {s for s in found["slice"] if "," not in s}
    assert found["is_worse"].is_monotonic_decreasing


def test_nulls_are_a_slice_and_one_group_alone_is_not_compared(table):
    some = table.selectExpr("if(device = 'app', null, device) device", "1 one", "quality")
    found = groups.slices(some, by=["device", "one"], label_quality="quality", max_columns=1)
    assert set(found["slice"]) == {"device = None", "device = web", "device = scan"}
    assert len(groups.slices(some, by=["one"], label_quality="quality")) == 0
    nothing = groups.slices(some.where("false"), by=["device"], label_quality="quality")
    assert nothing.columns.tolist() == found.drop(columns="one").columns.tolist()


def test_self_confidence_is_the_label_quality_where_none_is_given(spark):
    rng = np.random.default_rng(1)
    probs, labels = rng.dirichlet(np.ones(3), N), rng.integers(0, 3, N)
    rows = zip(labels.tolist(), probs.tolist(), (labels % 2).tolist(), strict=True)
    df = spark.createDataFrame(list(rows), "label int, pred_probs array<double>, odd int")
    scored = multiclass.score(df)
    by_column = groups.slices(scored, by=["odd"], label_quality="label_quality")
    assert groups.slices(df, by=["odd"]).equals(by_column)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": []}, OptionError, "by must name columns, each once, got []"),
        ({"by": ["device", "device"]}, OptionError, "by must name columns, each once"),
        ({"by": ["x"]}, ColumnError, "by: no column 'x' in the table"),
        ({"by": ["quality"]}, ColumnError, "by: column 'quality' is double; allowed are whole"),
        ({"label_quality": "device"}, ColumnError, "label_quality: column 'device' is string"),
        ({"alpha": 2.0}, OptionError, "alpha must be a number from 0 to 1, got 2.0"),
        ({"correction": "hol"}, OptionError, "correction must be one of 'holm', "),
        ({"min_rows": 1}, OptionError, "min_rows must be a whole number of at least 2, got 1"),
        ({"max_columns": 0}, OptionError, "max_columns must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(table, options, error, message):
    with pytest.raises(error) as raised:
        groups.slices(table, **{"by": ["device"], "label_quality": "quality", **options})
    assert message in str(raised.value)


def test_qualities_that_are_none_and_too_many_slices_are_refused(table, monkeypatch):
    bad = table.selectExpr("device", "if(country = 0, 1.5, quality) quality")
    with pytest.raises(InvalidRowsError, match=r"^\d+ of 600 rows cannot be scored"):
        groups.slices(bad, by=["device"], label_quality="quality")
    monkeypatch.setattr(by_columns, "_MOST_SLICES", 2)
    with pytest.raises(DataError, match="there are more than 2 slices of at least 30 rows"):
        groups.slices(table, by=["device", "country"], label_quality="quality")
