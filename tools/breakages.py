"""Breaks the book on purpose: `python -m tools.breakages` shows which check catches each breakage; none may pass.

Each is applied to a scratch copy of the tree, where the unit tests of the module run, and the chapter, as nbval judges
it. A check counts where it sees what the code does. The stored digests and a chapter's listings of source code would
see any edit, so they do not count. The chapter's verdict lines are a column of their own: what they let through, a
learner's own run would let through too.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from tools.breakage_list import BREAKAGES, LOSSES, MODELS, Breakage, BreakageError, apply
from tools.environment import quick_environment
from tools.execute import run_notebook
from tools.notebook_files import ROOT, code_cells, read
from tools.notebook_structure import printed, verdict_lines

AT_ONCE = 2  # each has one thread; a chapter takes up to 1.5 GB
# The same checks on code that is whole: were they red anyway, they would prove nothing.
UNBROKEN = [Breakage("nothing", LOSSES, "vae", {}), Breakage("nothing", MODELS, "gan", {})]


class Outcome(NamedTuple):
    """What the checks said of a breakage; an empty text is a check that let it pass."""

    unit_tests: str
    chapter: str
    verdicts: str

    @property
    def caught(self) -> bool:
        """Whether any check saw it."""
        return any(self)


def copy_tree(scratch: Path) -> None:
    """Copies what git tracks and what it does not ignore, as it stands in the working tree."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, scratch / name)


def environment_of(scratch: Path) -> dict[str, str]:
    """An environment in which `helpers` is the scratch copy's. Raises BreakageError where it is not."""
    environment = quick_environment(PYTHONPATH=str(scratch), PYTHONDONTWRITEBYTECODE="1", COLUMNS="200")
    command = [sys.executable, "-c", "import helpers; print(helpers.__file__)"]
    folder = scratch / "notebooks"  # where kernels start; from the root, python would find the copy in any case
    imported = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
    if not Path(imported).is_relative_to(scratch):
        raise BreakageError(f"the checks would run {imported.strip()}, not the copy in {scratch}")
    return environment


def run_unit_tests(breakage: Breakage, scratch: Path, environment: dict[str, str]) -> str:
    """The first test that fails, and its reason, among those of the broken module or chapter; empty where all pass."""
    if breakage.file.startswith("helpers/"):
        tests = f"tests/helpers/test_{Path(breakage.file).stem}.py"  # those of other modules might see it too, but take minutes
    else:  # the dry run, in which the test images are marked
        tests = f"tests/book/test_full_profile.py::test_chapter_runs_in_the_full_profile[{breakage.chapter}]"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests]
    ended = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True)
    if ended.returncode == 0:
        return ""
    failures = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if not failures:
        raise BreakageError(f"pytest ended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return failures[0].split(" ", 1)[1]


def differences(stored: NotebookNode, run: NotebookNode, listed: set[str]) -> Iterator[str]:
    """The lines that nbval would find changed, without those of a listing of the source."""
    for before, after in zip(code_cells(stored), code_cells(run), strict=True):
        if "nbval-ignore-output" not in before.metadata.get("tags", []):
            expected = printed(before).splitlines()
            yield from (line for line in printed(after).splitlines() if line not in expected and line not in listed)


def run_chapter(breakage: Breakage, scratch: Path, environment: dict[str, str]) -> tuple[str, str]:
    """What differs in the chapter's compared output, and in its verdict lines; empty where nothing does."""
    path = scratch / "notebooks" / f"{breakage.chapter}.ipynb"
    try:
        run = run_notebook(path, environment).notebook
    except CellExecutionError as error:
        return (f"{error.ename}: {error.evalue.splitlines()[0]}",) * 2
    except DeadKernelError as error:  # killed from outside, or out of memory: that says nothing of the breakage
        raise BreakageError(f"{breakage.name}: the kernel of the {breakage.chapter} chapter died") from error
    changed = list(differences(read(path), run, set((scratch / breakage.file).read_text("utf-8").splitlines())))
    others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return "".join(changed[:1]) + others, "; ".join(line for line in verdict_lines(run) if line in changed)


def check(breakage: Breakage, tree: Path) -> Outcome:
    """Breaks a scratch copy of the tree and runs the checks, cheapest first."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder).resolve()
        shutil.copytree(tree, scratch, dirs_exist_ok=True)
        apply(breakage, scratch)
        environment = environment_of(scratch)
        failed = run_unit_tests(breakage, scratch, environment)
        return Outcome(failed, *run_chapter(breakage, scratch, environment))


def report(breakage: Breakage, outcome: Outcome) -> str:
    """The rows of one breakage in the table: what each check said."""
    rows = (
        ("unit tests", outcome.unit_tests or "(passed)"),
        (f"{breakage.chapter} chapter", outcome.chapter or "(passed)"),
        ("verdict lines", outcome.verdicts or "(passed)"),
    )
    return "\n".join([breakage.name, *(f"  {name:14} {said}" for name, said in rows)])


def judge(outcomes: list[tuple[Breakage, Outcome]]) -> list[str]:
    """Complaints: what passed although it is broken, or was caught although it is whole."""
    complaints = []
    for breakage, outcome in outcomes:
        if breakage.edits and not outcome.caught:
            complaints.append(f"NOT CAUGHT: {breakage.name}")
        if not breakage.edits and outcome.caught:
            complaints.append(f"the {breakage.chapter} chapter fails unbroken, so nothing here is proved for it")
    return complaints


def main() -> int:
    """Checks the unbroken tree and every breakage; returns the exit status."""
    outcomes = []
    try:
        with tempfile.TemporaryDirectory() as tree, ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
            copy_tree(Path(tree))  # once, so that what is edited meanwhile does not count for some rows only
            todo = UNBROKEN + BREAKAGES
            for breakage, outcome in zip(todo, pool.map(lambda one: check(one, Path(tree)), todo), strict=True):
                outcomes.append((breakage, outcome))
                print(report(breakage, outcome), flush=True)
    except BreakageError as error:
        print(error, file=sys.stderr)
        return 1
    missed = [breakage.name for breakage, outcome in outcomes if breakage.edits and not outcome.verdicts]
    print(f"\n{len(BREAKAGES)} breakages; verdict lines alone let pass: {', '.join(missed) or 'none'}")
    complaints = judge(outcomes)
    print("\n".join(complaints) or "Every breakage was caught.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
