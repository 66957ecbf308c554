"""The line that says what a long call is doing."""

import io
import re
import sys
import time

import pytest

from lq_spark import audit, multiclass, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def as_at_first():
    yield
    progress.show(None)


def shown(monkeypatch, stream, wanted=None, wait=0.0):
    monkeypatch.setattr(sys, "stderr", stream)
    progress.show(wanted)
    with progress.step("audit"):
        for number, check in enumerate(("label", "outlier"), 1):
            with progress.step(check, number, 2):
                time.sleep(wait)
    return stream.getvalue()


def test_a_log_has_nothing_unless_asked(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == ""


def test_a_log_has_a_line_a_step_if_asked(monkeypatch):
    text = shown(monkeypatch, io.StringIO(), True)
    assert text.splitlines() == ["audit", "audit: label (1 of 2)", "audit: outlier (2 of 2)"]


def test_a_terminal_has_one_line_that_is_gone_in_the_end(monkeypatch):
    text = shown(monkeypatch, Terminal())
    assert "\n" not in text
    lines = [line.removesuffix("\x1b[K") for line in text.split("\r")[1:]]
    assert lines[:3] == ["audit, 0 s", "audit: label (1 of 2), 0 s", "audit, 0 s"]
    assert lines[-1] == ""


def test_nothing_is_shown_if_not_wanted(monkeypatch):
    assert shown(monkeypatch, Terminal(), False) == ""


def test_the_seconds_go_on_while_a_step_lasts(monkeypatch):
    monkeypatch.setattr(progress, "TICK", 0.01)
    text = shown(monkeypatch, Terminal(), wait=0.1)
    assert len(re.findall(r"label \(1 of 2\), 0 s", text)) > 2
    written = len(sys.stderr.getvalue())
    time.sleep(0.1)
    assert len(sys.stderr.getvalue()) == written  # nobody looks at the clock any more


def test_a_step_that_fails_leaves_no_line(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(ValueError, match="no"), progress.step("audit"):
        raise ValueError("no")
    with progress.step("another"):
        pass
    assert stream.getvalue().split("\r")[-2:] == ["another, 0 s\x1b[K", "\x1b[K"]


def test_a_stream_that_is_closed_is_no_matter(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.step("audit"):
        stream.close()


def test_long_calls_tell_their_steps(spark, capsys):
    rows = [(i, i % 2, [0.5 + 0.4 * (-1) ** i, 0.5 - 0.4 * (-1) ** i]) for i in range(20)]
    df = spark.createDataFrame(rows, "id bigint, label bigint, pred_probs array<double>")
    progress.show(True)
    multiclass.find_issues(df).count()
    assert capsys.readouterr().err.splitlines() == [
        "class thresholds (1 of 2)",
        "label issues of 20 rows (2 of 2)",
    ]
    checks = ["label", "near_duplicate"]
    audit.find_issues(
        df, label="label", pred_probs="pred_probs", features="pred_probs", checks=checks
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "check label (1 of 2)"
    assert "check near_duplicate (2 of 2): neighbours of 20 rows" in lines
    assert lines[-1] == "all checks together"


def test_a_notebook_has_one_output_that_is_empty_in_the_end(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, **how):
            shown.append(data["text/plain"])

    def display(data, **how):
        shown.append(data["text/plain"])
        return Handle()

    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.step("audit"), progress.step("label", 1, 2):
        pass
    assert shown == ["audit, 0 s", "audit: label (1 of 2), 0 s", "audit, 0 s", ""]
    assert stream.getvalue() == ""
