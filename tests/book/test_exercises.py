"""Every exercise says `not yet` as given, and `passed` with its folded solution.

It builds on setup, imports and the cells that are marked `for_exercises`, and on nothing else of its chapter.
"""

import functools
from pathlib import Path

import pytest
from nbformat import NotebookNode
from notebook_structure import exercises, solution_code, solved

from tests.memory import give_back_memory
from tools.notebook_files import book_metadata, chapters, code_cells, read

pytestmark = pytest.mark.runs_chapters
BUILT_ON = {"setup", "imports", "for_exercises"}
EVERY_EXERCISE = [
    pytest.param(path, cell, after, id=name) for path in chapters() for name, cell, after in exercises(read(path))
]


@functools.lru_cache(maxsize=1)  # the data of all chapters together would fill a gigabyte
def start_of(path: Path) -> dict[str, object]:
    """The names that an exercise may build on: what the marked cells of its chapter leave."""
    give_back_memory()
    names: dict[str, object] = {}
    for cell in code_cells(read(path)):
        if BUILT_ON & book_metadata(cell).keys():
            exec(cell.source, names)
    return names


@pytest.mark.parametrize("given", [True, False], ids=["as given", "solved"])  # first: one chapter after another
@pytest.mark.parametrize(("path", "cell", "after"), EVERY_EXERCISE)
def test_exercise(
    path: Path, cell: NotebookNode, after: NotebookNode, given: bool, capsys: pytest.CaptureFixture
) -> None:
    names = dict(start_of(path))
    capsys.readouterr()
    exec(cell.source if given else solved(cell.source, solution_code(after)), names)
    assert capsys.readouterr().out == ("not yet\n" if given else "passed\n")
