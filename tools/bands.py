"""Measures the reference bands: `python -m tools.bands [CHAPTER ...]` runs chapters once for each of ten seeds.

Only a chapter whose code has changed since its last measurement is run, and only chapters that all ten seeds have
finished are written, so that an interruption leaves the old bands. `helpers.book.bands` forms the bands from the values.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbclient.exceptions import CellExecutionError, DeadKernelError

from helpers.book.bands import MINIMUM_SEEDS, ROLES, form_band
from tools import recording
from tools.environment import quick_environment
from tools.execute import run_notebook
from tools.notebook_files import ROOT, band_digest, chapters, write_text

BANDS = ROOT / "results" / "bands"
SEEDS = range(MINIMUM_SEEDS["quick"])


class MeasurementError(ValueError):
    """The runs of one chapter do not report the same metrics, or not in the same way."""


def measure(path: Path, seed: int) -> list[dict]:
    """Runs a chapter with a seed and returns what its verdict lines judged, in order."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "results.jsonl")
        environment = quick_environment(BOOK_SEED=str(seed), BOOK_BAND_LOG=str(log))
        run = run_notebook(path, environment, leave_out="record")
        entries, _ = read_log(log)
    shown = ", ".join(f"{entry['metric']} {entry['value']:.4g}" for entry in entries)
    print(f"{path.stem}, seed {seed}: {run.seconds:.0f} s; {shown}", flush=True)
    return entries


def read_log(log: Path) -> tuple[list[dict], list[dict]]:
    """What a run reported, in order: the results that form bands, and what it held against them."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    roles = [entry.pop("role") for entry in entries]
    results, held = ([entry for entry, its in zip(entries, roles, strict=True) if its == role] for role in ROLES)
    return results, held


def collect(runs: list[list[dict]], minimum: int = MINIMUM_SEEDS["quick"]) -> dict[str, dict]:
    """The values of each metric over the runs, minimum of them or more, with the form of its band.

    Raises MeasurementError where the runs differ in what they report, BandError where no band can be formed.
    """
    forms = [[(entry["metric"], entry["worse"], entry["log"]) for entry in entries] for entries in runs]
    if not forms[0] or any(form != forms[0] for form in forms):
        raise MeasurementError(f"the seeds report different metrics: {forms}")
    metrics = {}
    for place, (metric, worse, log) in enumerate(forms[0]):
        values = [entries[place]["value"] for entries in runs]
        form_band(values, worse, log, minimum)
        metrics[metric] = {"worse": worse, "log": log, "values": values}
    return metrics


def read_stored(profile: str = "quick") -> dict:
    """What the file of a profile's bands holds: by chapter its digest and each metric's values."""
    file = BANDS / f"{profile}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def store(chapter: str, digest: str, seeds: list[int], metrics: dict, profile: str = "quick") -> None:
    """Writes a chapter's values into the file of a profile's bands, in one step."""
    stored = read_stored(profile)  # now, and not before the runs: another command may have written meanwhile
    stored[chapter] = {
        "digest": digest,
        "seeds": seeds,
        "metrics": metrics,
        "machine": recording.describe_device(),
        "versions": recording.find_versions(),
        "date": recording.find_date(),
    }
    BANDS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(stored, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(text, BANDS / f"{profile}.json")


def stale(paths: list[Path], stored: dict) -> Iterator[Path]:
    """The chapters whose code is not that of their stored values."""
    return (path for path in paths if stored.get(path.stem, {}).get("digest") != band_digest(path))


def main(names: list[str]) -> int:
    """Measures the named chapters, or all, where they have changed; returns the exit status."""
    try:
        paths = list(stale(chapters(names), read_stored()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if not paths:
        print("The bands are those of the code as it stands.")
    for path in paths:
        digest = band_digest(path)  # before the runs: what is edited meanwhile is not measured
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # each run is a process of its own with one thread
                metrics = collect(list(pool.map(lambda seed, path=path: measure(path, seed), SEEDS)))
        except (CellExecutionError, DeadKernelError, ValueError) as error:
            print(f"{path.stem}: {error}\nIts bands are left as they were.", file=sys.stderr)
            return 1
        store(path.stem, digest, list(SEEDS), metrics)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
