"""`make breakages` can be trusted: every breakage fits the code, and one that no check catches is reported."""

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests import breakages
from tests.breakage_list import BREAKAGES, Breakage, BreakageError, apply
from tests.breakages import Outcome
from tools.environment import quick_environment
from tools.notebook_files import ROOT, chapters, write

WHOLE = Breakage("nothing", "notebooks/vae.ipynb", "vae", {})
CAUGHT, PASSED = Outcome("tests/test_a.py::test_b", "a line", ""), Outcome("", "", "")


def name_of(breakage: Breakage) -> str:
    return breakage.name


def write_file(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("breakage", BREAKAGES, ids=name_of)
def test_a_breakage_fits_the_code_and_changes_it(breakage: Breakage, tmp_path: Path) -> None:
    write_file((ROOT / breakage.file).read_text(encoding="utf-8"), tmp_path / breakage.file)
    apply(breakage, tmp_path)
    assert (tmp_path / breakage.file).read_bytes() != (ROOT / breakage.file).read_bytes()


def test_every_chapter_is_broken_somehow() -> None:
    assert {breakage.chapter for breakage in BREAKAGES} == {path.stem for path in chapters()}


@pytest.mark.parametrize("text", ["", "a = 1\na = 1\n"])
def test_a_breakage_that_does_not_fit_once_is_an_error(text: str, tmp_path: Path) -> None:
    write_file(text, tmp_path / "helpers" / "x.py")
    with pytest.raises(BreakageError, match="expected once"):
        apply(Breakage("one", "helpers/x.py", "vae", {"a = 1": "a = 2"}), tmp_path)


def test_tests_that_cannot_run_are_no_catch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for status, printed, caught in (
        (0, "", ""),
        (1, "FAILED tests/a.py::b - why", "tests/a.py::b - why"),
        (4, "", None),
    ):
        ended = subprocess.CompletedProcess([], status, stdout=printed, stderr="")
        monkeypatch.setattr(subprocess, "run", lambda *_, ended=ended, **__: ended)
        with nullcontext() if caught is not None else pytest.raises(BreakageError, match="pytest ended with 4"):
            assert breakages.run_unit_tests(BREAKAGES[3], tmp_path, {}) == caught


def test_a_breakage_that_passes_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(breakages.shutil, "copytree", lambda *_, **__: None)
    passing = BREAKAGES[1]
    whole = (passing, *breakages.UNBROKEN)
    monkeypatch.setattr(breakages, "check", lambda breakage, tree: PASSED if breakage in whole else CAUGHT)
    assert breakages.main() == 1
    assert capsys.readouterr().out.endswith(f"NOT CAUGHT: {passing.name}\n")


def test_all_caught_and_nothing_red_unbroken_is_a_success() -> None:
    assert breakages.judge([(WHOLE, PASSED), (BREAKAGES[0], CAUGHT)]) == []


def test_checks_that_are_red_anyway_prove_nothing() -> None:
    assert breakages.judge([(WHOLE, CAUGHT), (BREAKAGES[0], CAUGHT)]) == [
        "the vae chapter fails unbroken, so nothing here is proved for it"
    ]


def chapter_printing(text: str, source: str = "", tags: tuple[str, ...] = ()) -> NotebookNode:
    output = new_output("stream", name="stdout", text=text)
    return new_notebook(cells=[new_code_cell(source, outputs=[output], metadata={"tags": list(tags)})])


@pytest.mark.parametrize(
    ("printed", "tags", "seen"),
    [
        ("VAE KL: outside\n", (), ["VAE KL: outside"]),
        ("VAE KL: within\n", (), []),
        ("VAE KL: outside\n", ("nbval-ignore-output",), []),
    ],
)
def test_differences_are_what_nbval_compares(printed: str, tags: tuple, seen: list[str]) -> None:
    stored, run = chapter_printing("VAE KL: within\n", tags=tags), chapter_printing(printed, tags=tags)
    assert breakages.find_changed(stored, run) == seen


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("print('VAE KL: outside the reference band')", ("VAE KL: outside the reference band",) * 2),
        ("print('cured: False')", ("cured: False", "")),
        ("print('first\\nsecond')", ("first (and 1 more)", "")),
        ("print('VAE KL: within the reference band')", ("", "")),
        ("raise ValueError('leaked\\nand more')", ("ValueError: leaked",) * 2),
    ],
)
def test_a_chapter_is_run_and_compared_with_its_stored_output(source: str, seen: tuple, tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    write(chapter_printing("VAE KL: within the reference band\n", source), tmp_path / WHOLE.file)
    assert breakages.run_chapter(WHOLE, tmp_path, quick_environment()) == seen


def test_a_kernel_that_dies_is_no_catch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def die(*_: object) -> None:
        raise DeadKernelError("Kernel died")

    monkeypatch.setattr(breakages, "run_notebook", die)
    with pytest.raises(BreakageError, match="kernel of the vae chapter died"):
        breakages.run_chapter(WHOLE, tmp_path, quick_environment())
