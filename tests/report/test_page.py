"""A page of every part, in a browser; what it shows and what it refuses to be."""

import re

import pytest
from browser import PHONE, WIDE

from lq_spark.errors import TableError
from lq_spark.report.page import html_of, save
from lq_spark.report.parts import (
    Code,
    Curve,
    Figure,
    Figures,
    Heatmap,
    Histogram,
    Meanings,
    Page,
    Section,
    Table,
    count,
    number,
    share,
    text_of,
)

BARS = Table(
    "quality",
    ("class", "rows", "mean", "share"),
    [("cat", count(1500), number(0.25), share(0.5)), ("dog", count(750), None, share(0.0))],
    {"rows": None, "mean": 1.0, "share": 1.0},
    meaning="How good they are.",
)
PARTS = [
    "a line",
    "",
    "another line",
    BARS,
    Table("without rows", ("a",), []),
    Histogram("label quality", {"other rows": [0, 2, 3, 5], "issues": [4, 1, 0, 0]}),
    Histogram("nothing", {"rows": [0, 0, 0, 0]}),
    Heatmap("confused", ["cat", "dog"], [[5, 1], [2, 5]], ("given", "true"), "Who is who."),
    Heatmap("not confused", ["cat", "dog"], [[5, 0], [0, 5]], ("given", "true")),
    Curve("share", [0.1, 0.9], [0.2, 0.8], ("x", "y"), is_share=True),
    Curve("runs", [0, 1, 2], [3.0, None, 4000.0], ("run", "rows"), ("first", "last")),
    Figures("figures", [Figure("issue_rate", 0.25, 0.2), Figure("rows", 10.0, 10.0)]),
    Figures("more", [Figure("recall", None, 0.5), Figure("new", 3.0)]),
    Code("its text", "a: 1\nb: <2>"),
    Meanings("words", {"issue_rate": "Share of issues."}),
    Table("wide", [f"column {n}" for n in range(30)], [["of a row"] * 30]),
]
PAGE = Page("A report", "of a run", [Section("All", PARTS), Section("Nothing", ["", ""])])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    save(PAGE, str(path))
    return path


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_read_every_part(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.problems() == []
    assert browser.run("document.querySelectorAll('svg').length") == 6
    assert browser.run("[...document.querySelectorAll('h2')].map(h => h.textContent)") == ["All"]


def test_the_page_says_what_the_parts_say(browser, page):
    browser.open(page)
    rows = browser.run(
        "[...document.querySelector('table').rows].map(r => [...r.cells].map(c => c.textContent))"
    )
    assert rows == [
        ["class", "rows", "mean", "share"],
        ["cat", "1,500", "0.2500", "50.00%"],
        ["dog", "750", "-", "0.00%"],
    ]
    bars = browser.run(
        "[...document.querySelectorAll('.bar')].map(c => c.style.getPropertyValue('--share'))"
    )
    assert bars == ["100.0%", "25.0%", "50.0%", "50.0%", "0.0%"]
    text = browser.run("document.body.innerText")
    assert re.search(r"issue rate\s+0.25\s*\+0.05 since the run before", text)
    assert re.search(r"rows\s+10\s*no change", text)
    assert re.search(r"recall\s+-\s+new\s+3\s", text)
    assert browser.run("document.querySelector('pre').textContent") == "a: 1\nb: <2>"


def test_drawings_are_light_on_dark_and_dark_on_light(browser, page):
    inks = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        inks.append(browser.run("getComputedStyle(document.querySelector('svg text')).fill"))
    assert inks[0] != inks[1]


def test_the_same_parts_make_the_same_page():
    assert html_of(PAGE) == html_of(PAGE)


def test_a_bar_of_nothing_has_no_length():
    table = Table("t", ("n",), [(count(0),)], {"n": None})
    assert "--share: 0%" in html_of(Page("p", "", [Section("s", [table])]))


def test_dollars_are_no_formula():
    chart = Heatmap("t", ["$x^2$", "$y"], [[0, 1], [1, 0]], ("given", "true"))
    assert (
        html_of(Page("p", "", [Section("s", [chart])])).count(">$x^2$</text>") == 2
    )  # at both axes


def test_a_page_is_written_whole_or_not_at_all(page, tmp_path):
    with pytest.raises(TableError, match="report: cannot write"):
        save(PAGE, str(tmp_path / "nowhere" / "r.html"))
    assert "</html>" in page.read_text(encoding="utf-8")


def test_a_console_shows_lines_and_tables_alone():
    assert text_of(PARTS) == [
        *("a line", "", "another line", "", "quality:"),
        "  class   rows    mean   share",
        "    cat  1,500  0.2500  50.00%",
        "    dog    750       -   0.00%",
        *("", "wide:", "  " + "  ".join(f"column {n}" for n in range(30))),
        "  " + "  ".join("of a row".rjust(len(f"column {n}")) for n in range(29)) + "  of a row",
    ]


def test_text_at_the_end_of_a_line_begins_at_the_left():
    table = Table("t", ("id", "text"), [("a", "long text"), ("b", "x"), ("c", "")])
    lines = ["", "t:", "  id  text", "   a  long text", "   b  x", "   c"]
    assert text_of([table]) == lines
