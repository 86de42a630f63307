"""The syllabus: weeks in order, minutes of the chapters that a week reads, exercises that exist, and the whole book."""

import re

import pytest
from notebook_structure import exercises

from tools.notebook_files import NOTEBOOKS, ROOT, read

PAGE = (ROOT / "book" / "syllabus.md").read_text(encoding="utf-8")
CHAPTERS = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
FORM = re.compile(r"(?m)^\*\*(\d)\. ")  # how an exercise begins


def read_weeks(name: str) -> list[list[str]]:
    """The cells of each week of a table, by its name."""
    table = PAGE.split(f":name: {name}")[1].split("\n:::")[0]
    return [re.split(r"\n  - ", row) for row in re.split(r"(?m)^\* - ", table)[2:]]


def read_chapters(cell: str) -> list[str]:
    """The chapters that a cell links to, in order; the page of products is none that runs."""
    names = [label.replace("-", "_") for label in re.findall(r"\{ref\}`ch-([\w-]+)`", cell)]
    return [name for name in names if name != "product"]


@pytest.fixture(scope="module")
def numbers() -> dict[str, set[str]]:
    """The numbers of each chapter's exercises."""
    notebooks = {name: read(NOTEBOOKS / f"{name}.ipynb") for name in CHAPTERS}
    texts = {
        name: "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for name, notebook in notebooks.items()
    }
    found = {name: set(FORM.findall(text.split("\n## Exercises")[1].split("\n## ")[0])) for name, text in texts.items()}
    for name, notebook in notebooks.items():
        assert len(found[name]) > len(exercises(notebook))  # those that check themselves, and a judgement
    return found


@pytest.mark.parametrize(("name", "count"), [("tab-syllabus-four", 4), ("tab-syllabus-twelve", 12)])
def test_each_week_says_what_it_is_for_what_comes_before_and_what_it_takes(
    name: str, count: int, numbers: dict[str, set[str]]
) -> None:
    weeks = read_weeks(name)
    assert [re.match(r"\*\*(\d+)\. [^*]+\.\*\* [A-Z]", week[0])[1] for week in weeks] == [
        str(number) for number in range(1, count + 1)
    ]
    for about, chapters, tasks, minutes in weeks:
        assert re.search(r"\*Before: [^*]+\.\*$", about)
        assert minutes.strip() == f"{{cpu-minutes}}`{' '.join(read_chapters(chapters))}`"
        assert set(read_chapters(tasks)) == set(read_chapters(chapters))
        for label, given in re.findall(r"\{ref\}`ch-([\w-]+)` ([\d, ]+)", tasks):
            assert set(given.strip().split(", ")) <= numbers[label.replace("-", "_")], label


def test_twelve_weeks_read_each_chapter_once() -> None:
    read = [chapter for week in read_weeks("tab-syllabus-twelve") for chapter in read_chapters(week[1])]
    assert sorted(read) == sorted(CHAPTERS)


def test_no_minute_is_typed_by_hand() -> None:
    prose = re.sub(r"\{[\w-]+\}`[^`]*`", "", PAGE)
    assert re.findall(r"\d+ (?:minutes|seconds)", prose) == []
