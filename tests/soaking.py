"""Tests with a short form, in `make test`, and a long one, in `make soak`, whose figures the page of promises shows.

results/soak.json holds, for each promise, what its tests counted, and which test, of which commit, where and when.
"""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tools import recording
from tools.environment import THREADS, quick_environment
from tools.notebook_files import ROOT

FIGURES = ROOT / "results" / "soak.json"
WRITTEN = ("results/soak.json", "tests/mutants.json")  # by long runs themselves


class Soak(NamedTuple):
    """What a test with two forms asks, and whom it tells."""

    long: bool
    record: Callable[[str, object], None]

    def choose(self, short: int, long: int) -> int:
        """Of two amounts the one of the form that runs."""
        return long if self.long else short

    def tell(self, promise: str, **figures: float | str | list[str]) -> None:
        """Say what was counted for a promise, by names that a reader understands: kills=150, ended_the_same=150."""
        self.record("soak", {"promise": promise, "figures": figures})


def find_figures(reports: Iterable) -> dict[str, dict]:
    """What the tests that passed have told, by promise. Of one name, whole numbers are added up, and lists joined."""
    found: dict[str, dict] = {}
    for report in reports:
        for told in (value for name, value in report.user_properties if name == "soak"):
            promise = found.setdefault(told["promise"], {"figures": {}, "tests": []})
            for name, one in told["figures"].items():
                adds_up = name in promise["figures"] and isinstance(one, int | list)
                promise["figures"][name] = promise["figures"][name] + one if adds_up else one
            promise["tests"] = sorted({*promise["tests"], report.nodeid.partition("[")[0]})
    return found


def describe_code(root: Path = ROOT) -> str:
    """The commit of the code, "-dirty" where a tracked file differs from it that no long run has written."""

    def ask(*command: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *command], check=True, capture_output=True, encoding="utf-8"
        ).stdout.strip()

    but = [f":(exclude){name}" for name in WRITTEN]
    changed = ask("status", "--porcelain", "--untracked-files=no", "--", ".", *but)
    return ask("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def store_figures(found: dict[str, dict], file: Path = FIGURES) -> None:
    """Put figures in the place of those that the file holds of the same promises, or beside them, if of one commit."""
    commit = describe_code()
    about = {"commit": commit, **recording.describe_run(int(quick_environment()[THREADS[0]]))}
    stored = recording.read_json(file)
    for name, one in found.items():
        before = stored.get(name, {}) if stored.get(name, {}).get("commit") == commit else {"figures": {}, "tests": []}
        figures, tests = before["figures"] | one["figures"], sorted({*before["tests"], *one["tests"]})
        for figure, listed in one["figures"].items():
            if isinstance(listed, list):  # of the tests of one list some may have run before
                figures[figure] = list(dict.fromkeys([*before["figures"].get(figure, []), *listed]))
        stored[name] = {"figures": figures, "tests": tests} | about
    recording.write_json(stored, file)
