"""Breaks the book on purpose: `python -m tests.breakages` shows which check catches each breakage; none may pass.

Each is applied to a copy of the tree, where the unit tests of the module run, and the chapter, as nbval judges it. The
chapter's verdict lines are a column of their own: what they let through, a learner's own run would let through too.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from tests.breakage_list import BREAKAGES, LOSSES, MODELS, Breakage, BreakageError, apply
from tools.environment import quick_environment
from tools.execute import run_notebook
from tools.notebook_files import ROOT, code_cells, printed, read, verdict_lines

AT_ONCE = 2  # each has one thread; a chapter takes up to 1.5 GB
LEFT_OUT = shutil.ignore_patterns("_build", ".*", "__pycache__")
# The same checks on code that is whole: were they red anyway, they would prove nothing.
UNBROKEN = [Breakage("nothing", LOSSES, "vae", {}), Breakage("nothing", MODELS, "gan", {})]


class Outcome(NamedTuple):
    """What the checks said of a breakage; an empty text is a check that let it pass."""

    unit_tests: str
    chapter: str
    verdicts: str


def run_unit_tests(breakage: Breakage, scratch: Path, environment: dict[str, str]) -> str:
    """The first test that fails, and its reason, among those of the broken module or chapter; empty where all pass."""
    if breakage.file.startswith("helpers/"):  # those of other modules might see it too, but take minutes
        tests = f"tests/helpers/test_{Path(breakage.file).stem}.py"
    else:  # the dry run, in which the test images are marked
        tests = f"tests/book/test_full_profile.py::test_chapter_runs_in_the_full_profile[{breakage.chapter}]"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests]
    ended = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True)
    failures = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if ended.returncode and not failures:
        raise BreakageError(f"pytest ended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return failures[0].split(" ", 1)[1] if ended.returncode else ""


def find_changed(stored: NotebookNode, run: NotebookNode) -> list[str]:
    """The lines that nbval would find changed."""
    changed = []
    for before, after in zip(code_cells(stored), code_cells(run), strict=True):
        if "nbval-ignore-output" not in before.metadata.get("tags", []):
            expected = printed(before).splitlines()
            changed += [line for line in printed(after).splitlines() if line not in expected]
    return changed


def run_chapter(breakage: Breakage, scratch: Path, environment: dict[str, str]) -> tuple[str, str]:
    """What differs in the chapter's compared output, and in its verdict lines; empty where nothing does."""
    path = scratch / "notebooks" / f"{breakage.chapter}.ipynb"
    try:
        run = run_notebook(path, environment).notebook
    except CellExecutionError as error:
        return (f"{error.ename}: {error.evalue.splitlines()[0]}",) * 2
    except DeadKernelError as error:  # killed from outside, or out of memory: that says nothing of the breakage
        raise BreakageError(f"{breakage.name}: the kernel of the {breakage.chapter} chapter died") from error
    changed = find_changed(read(path), run)
    others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return "".join(changed[:1]) + others, "; ".join(line for line in verdict_lines(run) if line in changed)


def check(breakage: Breakage, tree: Path) -> Outcome:
    """Breaks a copy of the tree and runs the checks, cheapest first."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, "book").resolve()
        shutil.copytree(tree, scratch)
        apply(breakage, scratch)
        environment = quick_environment(PYTHONPATH=str(scratch), PYTHONDONTWRITEBYTECODE="1", COLUMNS="200")
        return Outcome(run_unit_tests(breakage, scratch, environment), *run_chapter(breakage, scratch, environment))


def judge(outcomes: list[tuple[Breakage, Outcome]]) -> list[str]:
    """Complaints: what passed although it is broken, or was caught although it is whole."""
    passed = [f"NOT CAUGHT: {breakage.name}" for breakage, outcome in outcomes if breakage.edits and not any(outcome)]
    red = [breakage.chapter for breakage, outcome in outcomes if not breakage.edits and any(outcome)]
    return passed + [f"the {chapter} chapter fails unbroken, so nothing here is proved for it" for chapter in red]


def main() -> int:
    """Checks the unbroken tree and every breakage; returns the exit status."""
    outcomes = []
    try:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
            tree, todo = Path(folder, "book"), UNBROKEN + BREAKAGES
            shutil.copytree(ROOT, tree, ignore=LEFT_OUT)  # once: what is edited meanwhile counts for none
            for breakage, outcome in zip(todo, pool.map(lambda one: check(one, tree), todo), strict=True):
                outcomes.append((breakage, outcome))
                said = zip(("unit tests", f"{breakage.chapter} chapter", "verdict lines"), outcome, strict=True)
                rows = (f"  {name:20} {text or '(passed)'}" for name, text in said)
                print("\n".join((breakage.name, *rows)), flush=True)
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
