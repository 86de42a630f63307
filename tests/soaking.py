"""Tests with a short form, in `make test`, and a long one, in `make soak`, whose figures the page of promises shows.

results/soak.json holds, for each promise, what its tests counted, and which test, of which commit, where and when.
"""

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tools import recording
from tools.notebook_files import ROOT

FIGURES = ROOT / "results" / "soak.json"


class Soak(NamedTuple):
    """What a test with two forms asks, and whom it tells."""

    long: bool
    record: Callable[[str, object], None]

    def choose(self, short: int, long: int) -> int:
        """Of two amounts the one of the form that runs."""
        return long if self.long else short

    def tell(self, promise: str, **figures: float | str) -> None:
        """Say what was counted for a promise, by names that a reader understands: kills=150, ended_the_same=150."""
        self.record("soak", {"promise": promise, "figures": figures})


def find_figures(reports: Iterable) -> dict[str, dict]:
    """What the tests that passed have told, by promise; several tests of one promise add their figures to it."""
    found: dict[str, dict] = {}
    for report in reports:
        for told in (value for name, value in report.user_properties if name == "soak"):
            promise = found.setdefault(told["promise"], {"figures": {}, "tests": []})
            promise["figures"] |= told["figures"]
            promise["tests"] = sorted({*promise["tests"], report.nodeid.partition("[")[0]})
    return found


def store_figures(found: dict[str, dict], file: Path = FIGURES) -> None:
    """Put figures in the place of those that the file holds of the same promises; others stay as they are."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    commit = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    about = {"commit": commit, **recording.describe_run(int(os.environ.get("OMP_NUM_THREADS", "0")))}
    recording.write_json(recording.read_json(file) | {name: one | about for name, one in found.items()}, file)
