"""Every exercise says `not yet` as given, and `passed` with its folded solution, from setup and imports alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.notebook_files import NOTEBOOKS, book_metadata, chapters, code_cells, read
from tools.notebook_structure import exercises, solution_code, solved

EVERY_EXERCISE = [
    pytest.param(path, cell, after, id=name) for path in chapters() for name, cell, after in exercises(read(path))
]


@pytest.fixture(scope="module")
def preambles() -> dict[Path, str]:
    """What an exercise may build on: the code of its chapter's setup and imports cells."""
    return {
        path: "\n".join(
            cell.source for cell in code_cells(read(path)) if {"setup", "imports"} & book_metadata(cell).keys()
        )
        for path in chapters()
    }


@pytest.mark.parametrize(("path", "cell", "after"), EVERY_EXERCISE)
@pytest.mark.parametrize("given", [True, False], ids=["as given", "solved"])
def test_exercise(path: Path, cell, after, given: bool, preambles: dict[Path, str]) -> None:
    code = cell.source if given else solved(cell.source, solution_code(after))
    command = [sys.executable, "-c", f"{preambles[path]}\n{code}"]
    ended = subprocess.run(command, cwd=NOTEBOOKS, capture_output=True, encoding="utf-8", timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ("not yet" in ended.stdout, "passed" in ended.stdout) == (given, not given), ended.stdout
