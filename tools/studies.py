"""What a study is, and what it may use.

A study is a script studies/NAME.py with these literals at its top level: SEEDS, how many there are, counted from 0;
SELECTION, the split by which its settings were chosen; PROFILE, "quick" unless it says "full"; THREADS, how many each
run has, 1 unless it says more; ALONE, True where no other run may take part of the machine; CELLS, (chapter, name),
where it trains with a chapter's own code, see `run_cells`; WEIGHTS, the files that seed 0 leaves in its folder and that
results/weights ships. Its function `measure()` returns {metric: (value, unit)} for the seed in BOOK_SEED, or (value,
unit, standard error) for a metric that a single seed measures. With RUNS, {label: settings}, it is
`measure(label, folder)` instead, once for each label and seed; settings may hold
"seeds", a number of their own. The folder is that of this code alone, so what takes long may keep checkpoints there and
go on. Pictures that seed 0 leaves there as PNG are stored beside the record. A script without SEEDS is shared code.

`tools.measure` runs them: each label and seed in a process of its own.
"""

import importlib
import math
import resource
import sys
import time
from pathlib import Path

from tools.digest import Code
from tools.notebook_files import ROOT


class StudyError(ValueError):
    """What a study measured makes no record."""


def run_cells(chapter: str, name: str) -> dict:
    """Run a chapter's code up to the cell that defines name, and return all the names that it leaves.

    A study that trains with these has the sizes and the code of the chapter, and no copy of them.
    """
    names: dict = {}
    for cell in Code(ROOT).cells_until(chapter, name):
        exec(compile(cell.source, f"{chapter}, cell {cell.get('id')}", "exec"), names)
    return names


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in megabytes of 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, on macOS bytes
    return round(peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024))


def measure(study: str, label: str | None, folder: Path) -> dict:
    """Measures one run in this process, with the seed that BOOK_SEED names; returns metrics, seconds and memory."""
    module = importlib.import_module(f"studies.{study}")
    measured = module.measure() if label is None else module.measure(label, folder)
    metrics = {name: as_entry(*given) for name, given in measured.items()}
    wrong = {name: entry for name, entry in metrics.items() if not all(map(math.isfinite, _numbers(entry)))}
    if wrong or not metrics:
        raise StudyError(f"expected finite values, found {wrong or 'none at all'}.")
    seconds = round(max(time.process_time(), told_seconds(metrics, label)), 1)
    return {"metrics": metrics, "seconds": seconds, "peak_memory_mb": peak_memory_mb()}


def told_seconds(metrics: dict[str, dict], label: str | None) -> float:
    """The seconds that a run says it took: more than its process has, where it went on after an interruption."""
    names = (f"seconds/{label}", f"evaluation_seconds/{label}")
    return sum(metrics[name]["value"] for name in names if name in metrics)


def as_entry(value: float, unit: str, error: float | None = None) -> dict:
    """A metric as a part keeps it; the standard error only where one was measured with the value."""
    return {"value": float(value), "unit": unit} | ({} if error is None else {"standard_error": float(error)})


def _numbers(entry: dict) -> list[float]:
    return [number for number in entry.values() if isinstance(number, float)]
