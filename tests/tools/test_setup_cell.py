"""The setup cell takes the book's own helpers, and no other file or folder of that name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.notebook_files import setup_source

BOOK = {
    "helpers/__init__.py": "",
    "helpers/book/__init__.py": "",
    "helpers/book/runtime.py": "def start():\n    print('the book')\n",
}


def run_setup(folder: Path, files: dict[str, str], path: str = "", **variables: str) -> subprocess.CompletedProcess:
    """The cell run in a folder with these files, by a Python that has no packages but those on path."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONPATH": path, **variables}
    code = setup_source("file:///no/such/repository", "main")
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_books_own_package_is_taken(tmp_path: Path) -> None:
    assert run_setup(tmp_path, BOOK).stdout == "the book\n"


@pytest.mark.parametrize("name", ["helpers.py", "helpers/__init__.py"])
@pytest.mark.parametrize("colab", [{}, {"COLAB_RELEASE_TAG": "any"}])
def test_a_file_that_hides_it_is_named(name: str, colab: dict[str, str], tmp_path: Path) -> None:
    """Though the book's is installed, a folder further down the path, and nothing would change by installing it."""
    installed, here = tmp_path / "site-packages", tmp_path / "here"
    run_setup(installed, BOOK)
    here.mkdir()
    done = run_setup(here, {name: "x = 1\n"}, str(installed), **colab)
    assert done.returncode == 1
    assert done.stderr == f"{here / name} hides the book's helpers: move it, then restart.\n"


def test_a_folder_of_notes_hides_nothing(tmp_path: Path) -> None:
    installed, here = tmp_path / "site-packages", tmp_path / "here"
    run_setup(installed, BOOK)
    here.mkdir()
    notes = {"helpers/notes.txt": "", "helpers/book/notes.txt": ""}
    assert run_setup(here, notes, str(installed)).stdout == "the book\n"
    assert "No helpers here" in run_setup(here, notes).stderr
    assert "pip" in run_setup(here, notes, COLAB_RELEASE_TAG="any").stderr  # it tries to install them
