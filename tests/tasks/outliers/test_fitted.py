"""New rows against reference rows: the scores of core, whatever the partitions and the way."""

import numpy as np
import pytest

from lq_spark import outliers
from lq_spark.core.neighbors import knn_graph
from lq_spark.core.neighbors.search import nearest
from lq_spark.core.neighbors.vectors import prepared
from lq_spark.core.outliers import OutOfDistribution
from lq_spark.core.outliers.distances import are_far, largest_typical, mean_distances
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors import exact
from lq_spark.tasks.outliers import fitted as fitted_module

N, M = 90, 50


def reference_rows():
    rng = np.random.default_rng(0)
    rows = 2.0 + rng.normal(size=(N, 5))
    rows[:20] = rows[3]
    return rows


def new_rows():
    rng = np.random.default_rng(1)
    rows = 2.0 + rng.normal(size=(M, 5)) * (1.0 + 6.0 * (rng.random((M, 1)) < 0.2))
    rows[0], rows[1] = reference_rows()[3], reference_rows()[40]
    return rows


@pytest.fixture
def reference(spark):
    rows = list(enumerate(reference_rows().tolist()))
    return spark.createDataFrame(rows, "id int, features array<double>")


@pytest.fixture
def new(spark):
    rows = [(f"n{n:02}", row) for n, row in enumerate(new_rows().tolist())]
    return spark.createDataFrame(rows, "id string, features array<double>")


@pytest.fixture(params=["carried", "by blocks"])
def way(request, monkeypatch):
    if request.param == "by blocks":
        monkeypatch.setattr(fitted_module, "CARRIED_BYTES", 0)
        monkeypatch.setattr(exact, "_MAX_BLOCK_ROWS", 30)
    return request.param


def scores_of(df):
    return [row["outlier_score"] for row in df.orderBy("id").collect()]


@pytest.mark.parametrize("metric", ["cosine", pytest.param("euclidean", marks=pytest.mark.spark)])
def test_scores_and_flags_are_those_of_core(reference, new, way, metric, tmp_path):
    core = OutOfDistribution({"k": 4, "metric": metric})
    core.fit(features=reference_rows())
    expected = core.score(features=new_rows()).tolist()
    fitted = outliers.fit(reference.repartition(3), k=4, metric=metric)
    rows = new.repartition(7)
    assert scores_of(outliers.score(rows, fitted=fitted)) == expected
    fitted.save(str(tmp_path / "fitted"))
    loaded = outliers.FittedOutliers.load(new.sparkSession, str(tmp_path / "fitted"))
    assert loaded.distances == fitted.distances
    issues = outliers.find_issues(rows, fitted=loaded, threshold=0.5)
    assert scores_of(issues) == expected

    means = mean_distances(knn_graph(reference_rows(), k=4, metric=metric).distances)
    vectors, asked = prepared(reference_rows(), metric), prepared(new_rows(), metric)
    near = nearest(asked, vectors, np.arange(N), 4, metric, same=False)
    limit = largest_typical(*np.quantile(means, [0.25, 0.75]), 0.5)
    flags = are_far(mean_distances(near.distance.reshape(M, 4)), limit)
    assert [row["is_outlier_issue"] for row in issues.orderBy("id").collect()] == flags.tolist()
    assert 0 < flags.sum() < M
    assert outliers.summarize(rows, fitted=loaded, threshold=0.5).n_outliers == flags.sum()
    faster = OutOfDistribution({"k": 4, "metric": metric, "t": 3.0})
    faster.fit(features=reference_rows())
    expected = faster.score(features=new_rows()).tolist()
    assert scores_of(outliers.score(rows, fitted=loaded, t=3.0)) == expected


def test_rows_that_cannot_be_scored(reference, spark, way):
    rows = [(1, [1.0] * 5), (2, None), (3, [1.0]), (4, [float("nan")] * 5)]
    new = spark.createDataFrame(rows, "id int, features array<double>")
    fitted = outliers.fit(reference)
    scores = scores_of(outliers.score(new, fitted=fitted, on_invalid="null"))
    assert [score is None for score in scores] == [False, True, True, True]
    with pytest.raises(Exception, match="cannot be scored") as raised:
        outliers.score(new, fitted=fitted).collect()
    if way == "by blocks":
        assert isinstance(raised.value, InvalidRowsError)


def test_few_references_score_a_stream(reference, new, spark, tmp_path):
    new.write.parquet(str(tmp_path / "new"))
    fitted = outliers.fit(reference)
    stream = spark.readStream.schema(new.schema).parquet(str(tmp_path / "new"))
    assert outliers.score(stream, fitted=fitted).columns == [*new.columns, "outlier_score"]
    with pytest.raises(OptionError, match=r"outliers\.score"):
        outliers.score(stream)


def test_what_cannot_be_fitted(reference):
    with pytest.raises(DataError, match="there are fewer than 2 reference rows"):
        outliers.fit(reference.limit(1))
    with pytest.raises(DataError, match="there are fewer than 2 reference rows"):
        outliers.fit(reference.limit(0))
    with pytest.raises(OptionError, match="k must be below the number of rows"):
        outliers.fit(reference, k=N)
    with pytest.raises(InvalidRowsError, match="id: column 'id' has nulls or values that occur tw"):
        outliers.fit(reference.union(reference))


def test_options_that_do_not_go_with_it_are_refused(reference, new, spark):
    fitted = outliers.fit(reference)
    for options in ({"k": 3}, {"metric": "cosine"}, {"n_features": 5}, {"graph": new}):
        [name] = options
        with pytest.raises(OptionError, match=f"{name} is given, which does not go with fitted"):
            outliers.find_issues(new, fitted=fitted, **options)
    with pytest.raises(OptionError, match="fitted is given, which does not go with pred_probs"):
        outliers.find_issues(new, fitted=fitted, pred_probs="features")
    with pytest.raises(OptionError, match="fitted must be a FittedOutliers or None, got 'x'"):
        outliers.score(new, fitted="x")
    single = new.selectExpr("id", "cast(features as array<float>) features")
    with pytest.raises(OptionError, match="features are float, those of the reference rows are do"):
        outliers.score(single, fitted=fitted)
    wide = new.selectExpr("id", "features[0] x", "features[1] y")
    with pytest.raises(OptionError, match="features names 2 columns, the reference rows have 5 fe"):
        outliers.score(wide, features=["x", "y"], fitted=fitted)
    with pytest.raises(ColumnError, match="outlier_score"):
        outliers.score(new.withColumnRenamed("id", "outlier_score"), fitted=fitted)


def test_places_that_hold_something_else_are_refused(reference, spark, tmp_path):
    fitted = outliers.fit(reference)
    place = tmp_path / "fitted"
    fitted.save(str(place))
    other = outliers.fit(reference.limit(20), k=3)
    other.save(str(place))
    assert outliers.FittedOutliers.load(spark, str(place)).distances == other.distances
    assert (
        outliers.FittedOutliers.load(spark, str(place)).references.count()
        == other.distances.n_distinct
    )
    assert len(list(place.iterdir())) == 2
    fitted.save(str(place))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("mine")
    for there in ("other", "other/a.txt"):
        with pytest.raises(OptionError, match=r"fitted: there is something else at .*/other"):
            fitted.save(str(tmp_path / there))
    assert (tmp_path / "other" / "a.txt").read_text() == "mine"
    with pytest.raises(OptionError, match="fitted: cannot read '/nowhere/at/all'"):
        outliers.FittedOutliers.load(spark, "/nowhere/at/all")
    text = (place / "fitted.json").read_text()
    for wrong in ("{}", text.replace('"cosine"', '"far"'), text.replace('"k": 10', '"k": 0')):
        (place / "fitted.json").write_text(wrong)
        with pytest.raises(OptionError, match="fitted: cannot read"):
            outliers.FittedOutliers.load(spark, str(place))
