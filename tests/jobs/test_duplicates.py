"""The job of duplicates: its configuration, a run by spark-submit, rows set aside, texts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, parsed

from lq_spark.core.duplicates import (
    find_near_duplicate_texts,
    find_near_duplicates,
    rows_to_keep,
)
from lq_spark.core.neighbors import knn_graph
from lq_spark.errors import OptionError

PLACES = {"input": "data/in", "output": "data/out"}
QUALITY = np.random.default_rng(2).random(150).round(1)


def embeddings(n_rows=150, seed=0):
    """Return features of which a few are copies, a few nearly."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, 6))
    features[20:26] = features[20]
    features[40:44] = features[40] + 1e-4 * rng.normal(size=(4, 6))
    return features


def table_of(features):
    ids = np.arange(len(features))
    more = {"path": [f"{n}.png" for n in ids], "quality": QUALITY}
    return pa.table({"id": ids, "features": list(features), **more})


def expected(features):
    graph = knn_graph(features)
    return find_near_duplicates(graph.neighbors, graph.distances)


def test_features_are_compared_unless_there_is_a_text():
    assert config_of("duplicates", **PLACES).features == "features"
    assert config_of("duplicates", **PLACES, text="t").features is None
    assert config_of("duplicates", **PLACES, features=["x", "y"]).features == ["x", "y"]
    assert parsed("duplicates", "--features", "x,y")["features"] == ["x", "y"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"features": "x", "text": "t"}, "features and text are given together; one of them"),
        ({"similarity": 0.5}, "similarity is given, which does not go with features"),
        ({"text": "t", "threshold": 0.1}, "threshold is given, which does not go with text"),
        ({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'"),
        ({"text": "t", "shingles": "words"}, "shingles must be one of 'word', 'character', got"),
        ({"text": "t", "similarity": 0.0}, "similarity"),
        ({"threshold": -1.0}, "threshold"),
        ({"fail_if": ["duplicates > 1"]}, "fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("duplicates", **PLACES, **keys)
    assert message in str(error.value)


def test_a_good_run_finds_duplicates_and_tells_of_them(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    features = embeddings()
    table = table_of(features)
    write_folder(table, tmp_path / "in")
    done = submit(
        *("--task", "duplicates", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--keep-columns", "path", "--label-quality", "quality"),
        *("--fail-if", "rows_to_drop > 100"),
    )
    assert done.code == 0, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), table["id"])
    assert found.column_names == [
        *("id", "path", "is_near_duplicate_issue", "is_exact_duplicate_issue"),
        *("near_duplicate_score", "distance_to_nearest_neighbor", "near_duplicate_set"),
        *("duplicate_group", "keep"),
    ]
    core = expected(features)
    assert found["near_duplicate_score"].to_pylist() == core.score.tolist()
    assert found["is_near_duplicate_issue"].to_pylist() == core.is_near_duplicate.tolist()
    assert found["duplicate_group"].to_pylist() == core.component.tolist()
    kept = rows_to_keep(core.component, QUALITY)
    assert found["keep"].to_pylist() == kept.tolist()
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["near_duplicates", None] == core.is_near_duplicate.sum() == 10
    assert metrics["exact_duplicates", None] == core.is_exact_duplicate.sum() == 6
    assert metrics["duplicate_groups", None] == 2
    assert metrics["rows_to_drop", None] == (~kept).sum() == 8
    assert metrics["issue_rate", None] == 10 / 150
    assert "near duplicates 10 of 150 rows, 6.67%, 6 of them exact\n" in done.stdout
    assert "by features, within 0.13 of the median distance to the nearest row\n" in done.stdout
    assert "groups 2, rows to drop if one row of each is kept 8\n" in done.stdout
    _, _, lowest = done.stdout.partition("(0 there twice, 1 far from all others):\n")
    shown = [line.split()[:3] for line in lowest.splitlines()[1:7]]
    assert shown == [[str(n), "20", str(kept[n])] for n in range(20, 26)]


def test_rows_set_aside_leave_the_others_the_duplicates_of_their_own(run, by_id):
    features = embeddings()
    given = features.copy()
    given[20, 2] = np.nan
    done = run(table_of(given), "duplicates", on_invalid="quarantine")
    assert done.reasons == {"feature not finite": 1}
    fit = np.arange(150) != 20
    found = by_id(done.scores, pa.array(np.arange(150)[fit]))
    core = expected(features[fit])
    assert found["near_duplicate_score"].to_pylist() == core.score.tolist()
    assert found["duplicate_group"].to_pylist() == np.arange(150)[fit][core.component].tolist()


def test_rows_of_another_length_stop_a_run_that_guessed_it(run):
    features = [row[:5] if n == 4 else row for n, row in enumerate(embeddings())]
    done = run(table_of(features), "duplicates", on_invalid="quarantine", ends=1)
    assert "6 features were read off the first row, give n_features" in done.error
    done = run(table_of(features), "duplicates", on_invalid="quarantine", n_features=6)
    assert done.reasons == {"features of wrong length": 1}


def test_duplicates_by_text(run, by_id):
    texts = [f"a text of some words that are mostly the same {n % 3} {n // 40}" for n in range(90)]
    texts[5] = None
    table = pa.table({"id": np.arange(90), "text": texts})
    keys = {"text": "text", "similarity": 0.7, "on_invalid": "quarantine"}
    done = run(table, "duplicates", **keys, shingles="character", n=3, seed=2)
    assert done.reasons == {"null text": 1}
    good = [text for text in texts if text is not None]
    core = find_near_duplicate_texts(good, threshold=0.7, kind="character", n=3, seed=2)
    ids = np.delete(np.arange(90), 5)
    found = by_id(done.scores, pa.array(ids))
    assert found["is_near_duplicate_issue"].to_pylist() == core.is_near_duplicate.tolist()
    assert found["is_exact_duplicate_issue"].to_pylist() == core.is_exact_duplicate.tolist()
    assert found["duplicate_group"].to_pylist() == ids[core.component].tolist()
    assert done.metrics["exact_duplicates", None] == core.is_exact_duplicate.sum()
    assert "by text, with 0.7 of the runs of 3 characters the same\n" in done.printed
