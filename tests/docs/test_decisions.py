"""Each decision is one short page of the same shape, and the list knows them all."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

pytestmark = pytest.mark.quick
FOLDER = DOCS / "decisions"
LONGEST = 40  # lines
PAGES = sorted(FOLDER.glob("[0-9]*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_decision_says_situation_choice_and_price_on_one_page(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    assert re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE) == ["Situation", "Choice", "What we gave up"]


def test_they_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in PAGES] == list(range(1, len(PAGES) + 1))
    assert all(path.read_text().startswith(f"# {int(path.name[:4])}. ") for path in PAGES)


def test_the_list_has_each_with_its_title() -> None:
    titles = {path.name: path.read_text().splitlines()[0].partition(". ")[2] for path in PAGES}
    assert {file: title for title, file in re.findall(r"\[(.+)\]\((.+\.md)\)", (FOLDER / "README.md").read_text())} == titles
