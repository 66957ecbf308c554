"""The job of outliers among the rows of an earlier run."""

import numpy as np
import pyarrow as pa
import pytest
from runs import config_of

from lq_spark import outliers
from lq_spark.core.outliers import OutOfDistribution
from lq_spark.errors import OptionError

N = 60


def rows(seed, n, first=0):
    features = np.random.default_rng(seed).normal(size=(n, 5))
    features[:2] *= [[-4.0], [9.0]]
    return pa.table({"id": np.arange(first, first + n), "features": list(features)})


def matrix(table):
    return np.array(table["features"].to_pylist())


def test_rows_are_scored_among_those_of_an_earlier_run(run, spark, tmp_path, by_id):
    reference, new, folder = rows(0, N), rows(1, 20, first=1000), str(tmp_path / "fitted")
    first = run(reference, "outliers", k=4, save_fitted=folder)
    alone = run(reference, "outliers", k=4, output=str(tmp_path / "alone"))
    both = [by_id(done.scores, reference["id"]) for done in (first, alone)]
    assert both[0].equals(both[1])
    assert "save_fitted" in first.printed
    done = run(new, "outliers", fitted=folder, output=str(tmp_path / "new"))
    found = by_id(done.scores, new["id"])
    expected = OutOfDistribution({"k": 4})
    expected.fit(features=matrix(reference))
    assert found["outlier_score"].to_pylist() == expected.score(features=matrix(new)).tolist()
    fitted = outliers.FittedOutliers.load(spark, folder)
    df = spark.createDataFrame(new.to_pandas())
    table = outliers.find_issues(df, fitted=fitted).orderBy("id").collect()
    assert found["is_outlier_issue"].to_pylist() == [row["is_outlier_issue"] for row in table]
    assert 0 < sum(row["is_outlier_issue"] for row in table) < 20
    assert f"by features, among the rows of {folder}\n" in done.printed


def test_new_rows_that_cannot_be_scored_are_set_aside(run, tmp_path, by_id):
    folder = str(tmp_path / "fitted")
    run(rows(0, N), "outliers", save_fitted=folder)
    new = rows(1, 20)
    bad = matrix(new)
    bad[7, 1] = np.inf
    lists = [row[:3] if n == 4 else row for n, row in enumerate(bad)]
    table = pa.table({"id": new["id"], "features": lists})
    other = str(tmp_path / "new")
    done = run(table, "outliers", fitted=folder, output=other, on_invalid="quarantine")
    assert done.reasons == {"feature not finite": 1, "features of wrong length": 1}
    good = [n for n in range(20) if n not in (4, 7)]
    alone = run(new.take(good), "outliers", fitted=folder, output=str(tmp_path / "alone"))
    ids = pa.chunked_array([good])
    assert by_id(done.scores, ids).equals(by_id(alone.scores, ids))


def test_what_was_saved_is_replaced_and_must_be_there(run, spark, tmp_path):
    folder = str(tmp_path / "fitted")
    table = rows(0, N)
    done = run(table, "outliers", fitted=folder, ends=2)
    assert f"fitted: cannot read {folder!r}" in done.error
    run(table, "outliers", save_fitted=folder)
    run(rows(3, 40), "outliers", save_fitted=folder, output=str(tmp_path / "again"))
    assert outliers.FittedOutliers.load(spark, folder).distances.n_rows == 40
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.txt").write_text("mine")
    done = run(table, "outliers", save_fitted=str(mine), output=str(tmp_path / "other"), ends=2)
    assert f"there is something else at {str(mine)!r}; it must be a new folder" in done.error
    narrow = pa.table({"id": table["id"], "features": [row[:3] for row in matrix(table)]})
    done = run(narrow, "outliers", fitted=folder, output=str(tmp_path / "other"), ends=1)
    assert "60 of 60 rows cannot be scored: features of wrong length" in done.error
    floats = pa.table(
        {
            "id": table["id"],
            "features": pa.array(list(matrix(table).astype(np.float32)), pa.list_(pa.float32())),
        }
    )
    done = run(floats, "outliers", fitted=folder, output=str(tmp_path / "other"), ends=2)
    assert "features are float, those of the reference rows are double" in done.error


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"fitted": "./f", "k": 3}, "k is given, which does not go with fitted"),
        ({"fitted": "./f", "save_fitted": "./g"}, "save_fitted is given, which does not go with"),
        ({"fitted": "./f", "pred_probs": "p"}, "fitted is given, which does not go with pred_pr"),
        ({"save_fitted": "./out"}, "save_fitted must be a place of its own, outside of the ta"),
        ({"save_fitted": "./out/f"}, "save_fitted must be a place of its own"),
        ({"save_fitted": "./in/.."}, "save_fitted must be a place of its own"),
        ({"save_fitted": "./out_metrics/"}, "save_fitted must be a place of its own"),
        ({"fitted": "./f", "graph": "./g"}, "fitted is given, which does not go with graph"),
    ],
    ids=str,
)
def test_a_key_that_does_not_go_with_a_reference_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("outliers", input="./in", output="./out", **keys)
    assert message in str(error.value)
