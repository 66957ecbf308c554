"""The pages that people read: their links lead somewhere, and they name what is there."""

import re
from pathlib import Path

import pytest

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
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 200
