"""A new chapter has the book's form at once; a name that cannot be taken writes nothing."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import test_full_profile
import yaml
from lesson_form import LESSON_CHECKS
from notebook_structure import CHECKS, STORED_VERDICT, exercises, solution_code, solved
from test_exercises import BUILT_ON

from tools import new_chapter, set_repository, stale
from tools.digest import Code
from tools.new_chapter import ChapterError, check_name, fill_form, make_chapter, register
from tools.notebook_files import ROOT, book_metadata, code_cells, read, setup_values, text_of

NAME = "style_transfer"
LISTING = ("_toc.yml", "book/intro.md", "book/article/sections.toml")


def copy_book(root: Path) -> Path:
    """What the tool looks at: code, lists of chapters, one chapter, no results."""
    for folder in ("helpers", "studies", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = ("requirements.txt", "requirements-torch.txt", "pyproject.toml", "notebooks/ruff.toml")
    for file in (*LISTING, "_config.yml", *files, "notebooks/fairness.ipynb"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    return root


def files_of(root: Path) -> dict[Path, bytes]:
    folders = [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path: path.read_bytes() for path in folders}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the book with a new chapter, behind the last one."""
    root = copy_book(tmp_path_factory.mktemp("book"))
    make_chapter(NAME, root=root)
    return root


@pytest.fixture(scope="module")
def chapter(book: Path) -> nbformat.NotebookNode:
    return read(book / "notebooks" / f"{NAME}.ipynb")


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Path]:
    """A copy of the book in which nothing may change."""
    root = copy_book(tmp_path)
    before = files_of(root)
    yield root
    assert files_of(root) == before


@pytest.mark.parametrize("check", [*CHECKS, *LESSON_CHECKS], ids=lambda check: check.__name__)
def test_it_has_the_anatomy_of_a_chapter(check, chapter: nbformat.NotebookNode) -> None:
    """All but bands, which nobody has measured yet."""
    complaints = [one for one in check(chapter) if not one.startswith(STORED_VERDICT)]
    assert complaints == []


def test_its_outputs_are_of_its_code_and_its_bands_are_still_to_be_measured(
    book: Path, chapter: nbformat.NotebookNode
) -> None:
    code = Code(book)
    assert chapter.metadata.book.digest == code.digest_chapter(NAME, "outputs")
    assert stale.judge(code, None, code.digest_chapter(NAME, "quick")) == stale.NONE
    assert any(check(chapter) for check in CHECKS)


def test_it_is_stored_as_chapters_are(book: Path, chapter: nbformat.NotebookNode) -> None:
    nbformat.validate(chapter)
    assert (book / "notebooks" / f"{NAME}.ipynb").read_text(encoding="utf-8") == text_of(chapter)
    text = text_of(chapter)
    assert "my_topic" not in text
    assert "my-topic" not in text
    assert "My topic" not in text
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", f"notebooks/{NAME}.ipynb"]
        done = subprocess.run(ruff, cwd=book, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_it_has_the_address_of_the_book(tmp_path: Path) -> None:
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    changed = set_repository.config_with(config, "https://github.com/owner/name", "next")
    (tmp_path / "_config.yml").write_text(changed, encoding="utf-8")
    setup = code_cells(fill_form(NAME, "8.2", tmp_path))[0].source
    assert setup_values(setup) == ("https://github.com/owner/name", "next")


def test_it_runs_in_the_full_profile(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    names = test_full_profile.run_full(book / "notebooks" / f"{NAME}.ipynb", monkeypatch)
    assert "reference band" in capsys.readouterr().out
    assert names["digits"].name == "MNIST"
    assert np.isfinite(names["history"]["loss"]).all()


def test_its_exercises_pass_when_solved(chapter: nbformat.NotebookNode, capsys: pytest.CaptureFixture) -> None:
    start: dict[str, object] = {}
    for cell in code_cells(chapter):
        if BUILT_ON & book_metadata(cell).keys():
            exec(cell.source, start)
    found = exercises(chapter)
    capsys.readouterr()
    for _, cell, after in found:
        exec(cell.source, dict(start))
        exec(solved(cell.source, solution_code(after)), dict(start))
    assert capsys.readouterr().out == "not yet\npassed\n" * len(found)


def test_it_is_listed_behind_the_last_chapter_and_nothing_else_changes(book: Path) -> None:
    parts = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = [(entry["file"], entry.get("title")) for part in parts for entry in part["chapters"]]
    assert listed[listed.index(("notebooks/fairness", "Fairness")) + 1] == (f"notebooks/{NAME}", "Style transfer")
    added = {
        "_toc.yml": f"      - file: notebooks/{NAME}\n        title: Style transfer\n",
        "book/article/sections.toml": ', "ch-style-transfer"',
    }
    for file, text in added.items():
        assert (book / file).read_text(encoding="utf-8").replace(text, "") == (ROOT / file).read_text(encoding="utf-8")
    intro = (book / "book/intro.md").read_text(encoding="utf-8")
    link = f" · {{doc}}`Style transfer <../notebooks/{NAME}>`"
    assert intro.replace(link, "").replace(f" {NAME}` minutes", "` minutes") == (ROOT / LISTING[1]).read_text("utf-8")


def test_it_can_stand_behind_another_chapter() -> None:
    texts = register(NAME, "vae_math")
    assert f"title: VAE mathematics\n      - file: notebooks/{NAME}\n" in texts[ROOT / "_toc.yml"]
    assert f"{{cpu-minutes}}`gan_math vae_math {NAME}`" in texts[ROOT / "book/intro.md"]
    assert '"ch-vae-math", "ch-style-transfer"' in texts[ROOT / "book/article/sections.toml"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "expected a Python identifier"),
        ("2d", "expected a Python identifier"),
        ("style-transfer", "expected a Python identifier"),
        ("../style", "expected a Python identifier"),
        ("Style", "small letters"),
        ("lambda", "expected a Python identifier"),
        ("style\n", "expected a Python identifier"),
        ("s" * 41, "at most 40"),
        ("fairness", "notebooks/fairness.ipynb exists"),
        ("gan_mnist", "studies/gan_mnist.py exists"),
        ("gan", "_toc.yml lists it already"),
    ],
)
def test_a_name_that_cannot_be_taken_writes_nothing(untouched: Path, name: str, told: str) -> None:
    with pytest.raises(ChapterError, match=told):
        make_chapter(name, root=untouched)


@pytest.mark.parametrize("after", ["nothing", "flow", "fair"])
def test_a_place_that_there_is_not_writes_nothing(untouched: Path, after: str) -> None:
    with pytest.raises(ChapterError, match=f"AFTER is '{after}'"):
        make_chapter(NAME, after, untouched)


def test_what_an_interrupted_run_has_written_is_taken_back(untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, environment: dict) -> None:
        assert path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(new_chapter, "run_notebook", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_chapter(NAME, root=untouched)


def test_the_command_tells_why_or_what_next(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert new_chapter.main(["vae", ""]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("choose a name that nothing has.\nNothing was written.\n")
    made = {"name": NAME, "title": "T", "after": "vae", "section": "3.2", "files": "_toc.yml"}
    monkeypatch.setattr(new_chapter, "make_chapter", lambda *given: made)
    assert new_chapter.main([NAME, ""]) == 0
    steps = capsys.readouterr().out
    places = [steps.index(step) for step in ("parts.svg", "make lab", "make execute", "make bands", "make full")]
    assert places == sorted(places)


def test_a_name_that_is_free_is_taken() -> None:
    check_name(NAME)
    check_name("s" * 40)
