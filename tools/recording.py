"""What `make studies` and `make full` share: parts measured one by one, and the records that are made of them.

A part is what one run with one seed gave, kept in _build, so that what was stopped goes on where it was. A record is
formed when all parts are there, and written in one step; `helpers.book.records` says what it holds and reads it.
"""

import datetime
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

import numpy as np

from helpers.book import records
from tools.notebook_files import ROOT, write_text

RECORDS = ROOT / "results" / "full"
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy")
AT_ONCE = os.cpu_count() or 1  # each run is a process of its own, with one thread for the most part


class RecordingError(ValueError):
    """What was measured makes no record."""


def read_part(file: Path, digest: str) -> dict | None:
    """What a run gave for the code of this digest; None where that has not been measured, or cannot be read."""
    try:
        part = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return part if isinstance(part, dict) and part.get("digest") == digest else None


def write_part(part: dict, file: Path) -> None:
    """Stores what a run gave, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(part, indent=1, sort_keys=True) + "\n", file)


def measure_missing(jobs: Sequence, measure: Callable[[object], str], threads: int = 1) -> Iterator[str]:
    """Measures the jobs, as many at once as the cores allow for; yields for each what it said and the time left.

    What a job raises is raised when the jobs that had started are done; no other starts then.
    """
    begun = time.perf_counter()
    with ThreadPoolExecutor(max(AT_ONCE // threads, 1)) as pool:
        waiting = [pool.submit(measure, job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                left = (time.perf_counter() - begun) / done * (len(jobs) - done) / 60
                yield f"{future.result()}; {done} of {len(jobs)}, about {left:.0f} minutes left"
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def collect(parts: Sequence[dict]) -> dict[str, dict]:
    """The metrics of all parts: over seeds their mean, standard error and values; a single value with its own error.

    A metric may be missing in a part that did not measure it. Raises RecordingError for two units, two values for one
    seed, or a single value whose standard error (over examples, say) was not measured with it.
    """
    metrics = {}
    for name in dict.fromkeys(name for part in parts for name in part["metrics"]):
        found = [(part["seed"], part["metrics"][name]) for part in parts if name in part["metrics"]]
        seeds, entries = [seed for seed, _ in found], [entry for _, entry in found]
        values, units = [entry["value"] for entry in entries], sorted({entry["unit"] for entry in entries})
        if len(set(seeds)) < len(seeds) or len(units) > 1:
            raise RecordingError(f"{name}: seeds {seeds} in {units}; expected each seed once, in one unit.")
        shared = {"value": float(np.mean(values)), "unit": units[0], "n": len(values), "seeds": seeds}
        if len(values) > 1:
            error = float(np.std(values, ddof=1) / math.sqrt(len(values)))
            metrics[name] = {**shared, "standard_error": error, "values": values}
        elif "standard_error" in entries[0]:
            metrics[name] = {**shared, "standard_error": entries[0]["standard_error"]}
        else:
            raise RecordingError(f"{name}: one value without a standard error; expected two seeds or more, or both.")
    return metrics


def form_record(parts: Sequence[dict], digest: str, profile: str, selection: str, threads: int = 1) -> dict:
    """The record of parts, with where, when and how they were measured."""
    return {
        "metrics": collect(parts),
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "peak_memory_mb": max(part["peak_memory_mb"] for part in parts),
        "profile": profile,
        "device": describe_device(threads),
        "versions": find_versions(),
        "commit": find_commit(),
        "code_digest": digest,
        "date": find_date(),
        "selection_split": selection,
    }


def write_record(record: dict, name: str) -> None:
    """Writes a record in one step. Raises helpers.book.records.RecordError where it is at odds with itself."""
    records.check(record, name)
    RECORDS.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", RECORDS / f"{name}.json")


def describe_device(threads: int = 1) -> str:
    """The kind of processor, its cores, and how many threads each run has."""
    used = "one of" if threads == 1 else f"{threads} of"
    return f"{platform.machine()}, {used} {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)}"


def find_versions() -> dict[str, str]:
    """The versions of Python and of the packages that measured values depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def find_date() -> str:
    """Today, in Greenwich."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def find_commit() -> str:
    """The commit of the checkout, with a plus sign where files differ from it; "unknown" outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return found.stdout.strip() or "unknown"
