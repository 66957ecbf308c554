"""How scores lie, counted in a pass over a table."""

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.tasks.shared.histograms import N_BINS, score_histograms

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("n_partitions", [1, 3])
def test_counts_are_numpys_and_issues_are_apart(spark, n_partitions):
    rng = np.random.default_rng(0)
    # Not at the edges of bins but for 0 and 1: there a rounded product decides.
    scores = np.append(rng.random(500), [0.0, 1.0, 1.0])
    flags = rng.random(503) < 0.3
    table = pa.table({"score": scores, "is_issue": flags, "other": scores[::-1].copy()})
    df = spark.createDataFrame(table.to_pandas()).repartition(n_partitions)
    df = df.selectExpr("*", "if(score < 0.01, null, other) AS some")
    found = score_histograms(
        df, {"the_score": ("score", "is_issue"), "some": ("some", None), "empty": ("other", None)}
    )
    assert [chart.title for chart in found] == ["the score", "some", "empty"]
    edges = np.linspace(0, 1, N_BINS + 1)
    expected = {
        "other rows": np.histogram(scores[~flags], edges)[0].tolist(),
        "issues": np.histogram(scores[flags], edges)[0].tolist(),
    }
    assert found[0].counts == expected
    there = scores[::-1][scores >= 0.01]
    assert found[1].counts == {"rows": np.histogram(there, edges)[0].tolist()}


def test_a_table_without_rows_or_issues_has_no_issues(spark):
    df = spark.createDataFrame([(0.5, False)], "score double, is_issue boolean")
    [found] = score_histograms(df, {"score": ("score", "is_issue")})
    assert list(found.counts) == ["other rows"]
    assert sum(found.counts["other rows"]) == 1
    [found] = score_histograms(df.where("score > 1"), {"score": ("score", "is_issue")})
    assert sum(found.counts["other rows"]) == 0
