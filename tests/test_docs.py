"""The pages that people read: their links lead somewhere, and they name what is there."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "jobs/README.md",
        "scripts/README.md",
        "lq_spark/README.md",
        ".github/CONTRIBUTING.md",
    )
]


def anchors(page):
    """Return the anchors of a page's headings, as they are made on the web."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def named_paths(page):
    """Return the paths of this project's files and folders that a page's text names."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w/.-])(?:scripts|conf|jobs|tests|lq_spark)/[\w./-]*\w", text)
    return {path for path in found if not re.search(r"[A-Z]{2}", path.replace("README", ""))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    wrong = []
    for link in links:
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_files_and_folders_that_are_there(page):
    assert not [path for path in sorted(named_paths(page)) if not (ROOT / path).exists()]


def test_the_readme_is_a_front_door():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 210


def test_the_examples_of_the_readme_run(tmp_path, monkeypatch):
    features, labels = load_iris(return_X_y=True)
    probs = LogisticRegression(max_iter=1000).fit(features, labels).predict_proba(features)
    given = np.where(np.arange(len(labels)) == 7, 2, labels)
    rows = {"id": np.arange(len(given)), "label": given}
    with_features = pa.table({**rows, "features": list(features)})
    pq.write_table(pa.table({**rows, "pred_probs": list(probs)}), tmp_path / "labels.parquet")
    pq.write_table(with_features, tmp_path / "train.parquet")
    pq.write_table(with_features.drop_columns(["label"]), tmp_path / "new.parquet")
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.DOTALL):
        exec(code, names)
    assert (tmp_path / "fitted.json").exists()
    assert 7 in {row.id for row in names["issues"].where("is_label_issue").collect()}
    predicted = names["predicted"].orderBy("id").select("predicted_label").collect()
    assert np.mean([row[0] for row in predicted] == labels) > 0.95
    assert names["health"].overall_label_health_score > 0.9
