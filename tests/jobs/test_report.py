"""The report of a run, and the file that says how it ended: for every task, good and bad."""

import html
import json
import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from browser import PHONE, WIDE
from runs import run_job
from task_cases import CASES

from lq_spark.errors import OptionError
from lq_spark.job.record.history import metric_history
from lq_spark.job.results import RunResults

LOOKS = [(WIDE, False), (PHONE, True)]
"""A wide window, light; a phone, dark."""

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "</svg></style></title><b>bold",
    "{{ 7 * 7 }} {% raw %} &amp; $x^2$",
    "שלום עולם \u202eabc",
    "👩‍🔬 mad\u0000\u0007 scientist",
    "long " * 2000,
]


def text_of(page):
    """Return the text of a page, without what is between its tags."""
    body = page[page.index("<body>") :]
    return html.unescape(re.sub(r"<[^>]*>", " ", body))


@pytest.fixture
def reported(spark, tmp_path):
    """Run a job that writes a report and its results; return both."""

    def run(source, task, ends=0, **keys):
        places = {"report": str(tmp_path / "r.html"), "run_results": str(tmp_path / "r.json")}
        done = run_job(spark, tmp_path, source, task, ends, **places, **keys)
        page = Path(places["report"])
        results = json.loads(Path(places["run_results"]).read_text(encoding="utf-8"))
        return done, page, RunResults.model_validate(results, strict=False)

    return run


@pytest.mark.parametrize("name", CASES)
def test_each_task_has_a_report_that_everybody_can_read(reported, browser, tmp_path, name):
    case = CASES[name]
    keys = {**case.options, "report_columns": [case.key]} if case.inputs == ("input",) else {}
    shares_key = "token_index" in case.options
    if shares_key:
        del keys["report_columns"]
    reported(case.tables(), case.task, **{**case.options, **keys})
    done, page, results = reported(case.tables(), case.task, **{**case.options, **keys})
    text = page.read_text(encoding="utf-8")
    assert len(text) < 2 << 20
    shown = text_of(text)
    for metric in {metric for metric, _ in done.metrics}:
        if metric in {**done.config.meanings[0], **done.config.meanings[1]}:
            assert metric in shown
    assert done.run_id in shown
    assert {"succeeded", "gate_failed"} >= {results.status}
    found = {(one.metric, one.of): one.value for one in results.metrics}
    assert found == {key: done.metrics[key] for key in found}
    assert results.run_id == done.run_id
    for width, dark in LOOKS:
        browser.open(page, width=width, dark=dark)
        assert browser.problems() == []


@pytest.fixture
def hostile():
    """Return rows whose ids, labels, classes and texts a page could take for its own."""
    n = 70
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(len(HOSTILE)), n)
    return pa.table(
        {
            "<id>": [f"{HOSTILE[i % 7]}{i:02}" for i in range(n)],
            "label": [HOSTILE[i % 7] for i in range(n)],
            "pred_probs": list(probs),
            "<b>note": [HOSTILE[i % 5] for i in range(n)],
            "image": [b"<svg onload=alert(1)>" if i % 2 else None for i in range(n)],
        }
    )


def test_what_looks_like_a_page_is_shown_as_text(reported, browser, hostile):
    source = {
        "id": "<id>",
        "classes": HOSTILE,
        "find_issues": True,
        "report_columns": ["<b>note"],
        "report_image": "image",
        "warn_if": ["rows < 1"],
    }
    reported(hostile, "multiclass", **source)
    _, page, _ = reported(hostile, "multiclass", **source)
    browser.open(page)
    assert browser.problems() == []
    shown = browser.run("document.body.textContent")
    for text in HOSTILE[:4]:
        assert " ".join(text.split()) in shown
    assert "שלום" in shown
    assert "👩‍🔬 mad\ufffd\ufffd scientist" in shown
    assert "not an image" in shown
    assert "long long" in shown
    assert len(page.read_text(encoding="utf-8")) < 300_000
    assert browser.run("document.querySelectorAll('b, img, script').length") == 0


def digits_like(n=40):
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([0.3, 0.3], n)
    return {
        "id": np.arange(n),
        "label": rng.integers(0, 2, n),
        "pred_probs": list(probs),
        "note": [f"note {i}" for i in range(n)],
    }


def png(side=4):
    import io

    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 200, np.uint8)).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize(
    "images",
    [
        lambda n: [png()] * n,
        lambda n: pa.array([{"bytes": png(), "path": None}] * n),
        lambda n: list(np.tile(np.arange(16), (n, 1))),
        lambda n: [[[0.0, 0.5], [1.0, 0.25]]] * n,
        lambda n: [[[[1, 2, 3], [4, 5, 6]]]] * n,
    ],
)
def test_images_of_the_lowest_rows_are_shown(reported, browser, images):
    table = pa.table({**digits_like(), "image": images(40)})
    keys = {"report_image": "image", "report_columns": ["note"]}
    done, page, _ = reported(table, "multiclass", **keys)
    browser.open(page)
    assert browser.problems() == []
    assert browser.run("document.images.length") == 10
    lowest = done.scores.sort_by([("label_quality", "ascending"), ("id", "ascending")])["id"][0]
    [first] = browser.run(
        "[...document.querySelectorAll('tr')].filter(r => r.querySelector('img')).slice(0, 1)"
        ".map(r => [...r.cells].map(c => c.textContent || c.querySelector('img').alt))"
    )
    assert first[0] == str(lowest)
    assert first[1] == f"image of id {lowest}"
    assert first[-1] == f"note {lowest}"


@pytest.mark.spark
def test_a_report_tells_what_has_changed_since_the_run_before(reported, browser):
    columns = digits_like(200)
    before, _, _ = reported(pa.table(columns), "multiclass", find_issues=True)
    columns["label"][:100] = 1 - columns["label"][:100]
    done, page, results = reported(
        pa.table(columns),
        "multiclass",
        find_issues=True,
        fail_if=["rows > 100"],
        warn_if=["rows < 5"],
        ends=3,
    )
    assert results.status == "gate_failed"
    assert results.exit_code == 3
    assert [(one.option, one.met) for one in results.gate] == [
        ("fail_if", True),
        ("warn_if", False),
    ]
    browser.open(page)
    assert browser.problems() == []
    shown = browser.run("document.body.innerText")
    value = done.metrics["label_issues", None]
    assert re.search(rf"label issues\s+{value:.0f}\s*[+-]\d+ since the run before", shown)
    assert "MET" in shown
    assert "Classes since the run before" in shown
    [first] = browser.run(
        "[...document.querySelectorAll('caption')].filter(c => c.textContent.includes('changed'))"
        ".map(c => [...c.parentElement.tBodies[0].rows[0].cells].map(d => d.textContent))"
    )
    metric = (f"class_{first[1].replace(' ', '_')}", first[0])
    assert float(first[2].replace(",", "")) == pytest.approx(before.metrics[metric], rel=1e-3)
    assert float(first[3].replace(",", "")) == pytest.approx(done.metrics[metric], rel=1e-3)
    titles = browser.run("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    at = titles.index("Earlier runs")
    drawn = browser.run(
        f"document.querySelectorAll('section')[{at}].querySelectorAll('svg').length"
    )
    assert drawn >= 3


def test_the_history_has_runs_whose_gate_failed_and_not_those_that_failed(reported, spark):
    columns = digits_like()
    reported(pa.table(columns), "multiclass")
    gate = {"fail_if": ["rows > 1"], "ends": 3}
    reported(
        pa.table({name: values[:30] for name, values in columns.items()}), "multiclass", **gate
    )
    reported(pa.table(columns), "multiclass", label="note", ends=2)
    done, _, _ = reported(pa.table(columns), "multiclass")
    now = datetime.now(timezone.utc)
    names = ["rows", "mean_label_quality", "issue_rate"]
    found = metric_history(spark, done.config, names, now, {("rows", None): 50.0})
    assert found.values["rows"] == [40.0, 30.0, 40.0, 50.0]
    assert found.values["mean_label_quality"][-2:] == [
        done.metrics["mean_label_quality", None],
        None,
    ]
    assert found.values["issue_rate"] == [None] * 4
    assert found.started_at == sorted(found.started_at)


@pytest.mark.spark
def test_rows_that_could_not_be_scored_are_counted_in_both(reported):
    columns = digits_like()
    columns["label"][:3] = 7
    done, page, results = reported(pa.table(columns), "multiclass", on_invalid="quarantine")
    assert (results.rows.read, results.rows.scored, results.rows.quarantined) == (40, 37, 3)
    assert "label out of range" in text_of(page.read_text(encoding="utf-8"))
    written = {table.option: Path(table.name) for table in results.tables}
    assert set(written) == {"output", "quarantine", "metrics"}
    assert all(place.exists() for place in written.values())
    assert results.files["report"] == str(page)
    assert set(results.seconds) >= {"open", "scores", "report", "write"}
    assert done.code == results.exit_code == 0


def test_a_run_that_fails_says_so_and_leaves_the_report_as_it_was(reported, tmp_path):
    (tmp_path / "r.html").write_text("before")
    columns = digits_like()
    columns["label"][:3] = 7
    done, page, results = reported(pa.table(columns), "multiclass", ends=1)
    assert (results.status, results.exit_code) == ("failed", 1)
    assert results.error.type == "InvalidRowsError"
    assert done.error.endswith(results.error.message)
    assert page.read_text() == "before"
    assert results.tables == []
    _, _, results = reported(pa.table(columns), "multiclass", ends=2, label="labl")
    assert (results.status, results.exit_code) == ("failed", 2)
    assert "labl" in results.error.message


def test_an_empty_table_has_a_report(reported, browser):
    table = pa.table({**digits_like()}).slice(0, 0)
    _, page, results = reported(table, "multiclass", n_classes=2)
    browser.open(page)
    assert browser.problems() == []
    assert results.rows.read == 0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"report_columns": ["nte"]}, "report_columns: no column 'nte'"),
        ({"report_image": "label"}, "report_image: column 'label' is bigint; it must be binary"),
        ({"report_image": "nte"}, "report_image: no column 'nte'"),
    ],
)
def test_what_cannot_be_shown_is_said_before_the_run(reported, keys, message, tmp_path):
    done, page, _ = reported(pa.table(digits_like()), "multiclass", ends=2, **keys)
    assert message in done.error
    assert not page.exists()
    assert not (tmp_path / "scores").exists()


def test_a_report_without_what_makes_it_is_refused_before_the_run(reported, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done, _, _ = reported(pa.table(digits_like()), "multiclass", ends=2)
    assert "a report needs Jinja2 and Matplotlib" in done.error
    assert "lq-spark[report]" in done.error


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"report_columns": ["a"]}, "report_columns is given, so report must be given"),
        ({"report": "s3://b/r.html"}, "report: must be a path on this machine"),
        ({"report": "out/scores/r.html"}, "report must be a place of its own"),
        ({"run_results": "out/scores_metrics/r.json"}, "run_results must be a place of its own"),
    ],
)
def test_places_that_do_not_go_together_are_refused(keys, message):
    from runs import config_of

    with pytest.raises(OptionError, match=re.escape(message)):
        config_of("multiclass", None, input="./in", output="out/scores", **keys)
