"""The page that an audit writes."""

import re

import numpy as np
import pandas as pd
import pytest

from lq_spark import audit
from lq_spark.errors import OptionError, TableError


@pytest.fixture
def found(spark):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    features = np.eye(2, 4)[labels] * 4.0 + rng.normal(size=(60, 4))
    features[:7] = features[7]
    given = np.where(rng.random(60) < 0.1, 1 - labels, labels)
    rows = pd.DataFrame(
        {
            "<b>id": [f"<i>{n:02}" for n in range(60)],
            "label": np.array(["<script>alert(1)</script>", "$x$"])[given],
            "pred_probs": (0.7 * np.eye(2)[labels] + 0.15).tolist(),
            "features": features.tolist(),
        }
    )
    return audit.find_issues(
        spark.createDataFrame(rows),
        id="<b>id",
        label="label",
        pred_probs="pred_probs",
        features="features",
        classes=["<script>alert(1)</script>", "$x$"],
    )


def test_a_page_has_the_checks_their_worst_rows_and_how_scores_lie(found, browser, tmp_path):
    path = tmp_path / "audit.html"
    text = found.report(str(path), n=3)
    assert text == found.report(n=3)
    for width in (1400, 360):
        browser.open(path, width=width)
        assert browser.problems() == []
    [checks, *worst] = browser.run(
        "[...document.querySelectorAll('table')].map(t => "
        "[...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent)))"
    )
    summary = found.summary.itertuples(index=False)
    assert checks == [[name, f"{score:.4f}", f"{n:,}"] for name, score, n in summary]
    with_issues = found.summary.loc[found.summary["num_issues"] > 0, "check"]
    titles = browser.run("[...document.querySelectorAll('caption')].map(c => c.textContent)")
    assert [title.partition(":")[0] for title in titles[1:]] == with_issues.tolist()
    for rows, check in zip(worst, with_issues, strict=True):
        assert [row[0] for row in rows] == found.worst(check, 3)["<b>id"].tolist()
        assert len(rows) <= 3
    assert "<script>alert(1)</script>" in browser.run("document.body.textContent")
    n_checks = sum(column.endswith("_score") for column in found.issues.columns)
    assert browser.run("document.querySelectorAll('svg').length") == n_checks
    shown = browser.run("document.body.innerText")
    health = f"{found.statistics['health_score']:.4g}"
    assert re.search(rf"rows\s+60\s+health score\s+{re.escape(health)}\s+classes\s+2", shown)


def test_a_page_that_cannot_be_written_or_made_is_refused(found, tmp_path, monkeypatch):
    with pytest.raises(TableError, match="report: cannot write"):
        found.report(str(tmp_path / "nowhere" / "audit.html"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match="path: a report needs Jinja2 and Matplotlib"):
        found.report(str(tmp_path / "audit.html"))
    assert found.report().startswith("audit of 60 rows")
