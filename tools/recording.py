"""What was measured, as files: parts that one run with one seed gave, and the bands and records that are made of them.

Each says of which code it is (digest, commit), when and where it was measured, and with which versions.
`helpers.book.bands` and `helpers.book.records` say what they hold, and read them.
"""

import datetime
import io
import json
import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.book import records
from helpers.book.bands import MINIMUM_SEEDS, form_band
from tools.digest import PINNED, WHERE_USED, find_versions, hash_file
from tools.execute import without_text_chunks
from tools.notebook_files import write_text

PART, PICTURE = "part.json", "picture.png"


class RecordingError(ValueError):
    """What was measured makes no band or record."""


def read_part(folder: Path, digest: str) -> dict | None:
    """What a run left in its folder; None where it has not been measured, or is of other code, or cannot be read."""
    try:
        part = json.loads((folder / PART).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return part if isinstance(part, dict) and part.get("digest") == digest else None


def write_json(value: dict, file: Path) -> None:
    """Stores a value in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", file)


def read_json(file: Path) -> dict:
    """What a file holds; nothing where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def describe_run(threads: int) -> dict:
    """Where, when and with what a run takes place: machine, versions, date."""
    versions = {"python": platform.python_version(), **find_versions((*PINNED, *WHERE_USED))}
    machine = {"cpu": find_processor(), "cores": os.cpu_count(), "threads": threads} | find_gpu()
    return {"machine": machine, "versions": versions, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}


def find_processor() -> str:
    """The model name of the processor."""
    information = Path("/proc/cpuinfo")
    found = re.findall(r"model name\s*: (.*)", information.read_text("utf-8")) if information.exists() else []
    return found[0] if found else platform.processor() or platform.machine()


def find_gpu() -> dict[str, str]:
    """The model name of the GPU that a run may use, if there is one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1" or not shutil.which("nvidia-smi"):
        return {}
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.splitlines()
    return {"gpu": found[0]} if found else {}


def merge_runs(parts: Sequence[dict], digest: str, commit: str) -> dict:
    """What a band entry and a record say of how they were measured; the newest part's word where parts differ."""
    newest = max(parts, key=lambda part: part["date"])
    processors = sorted({part["machine"]["cpu"] for part in parts})
    return {
        "digest": digest,
        "commit": commit,
        "date": newest["date"],
        "machine": {**newest["machine"], "cpu": " and ".join(processors)},
        "versions": newest["versions"],
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "peak_memory_mb": max(part["peak_memory_mb"] for part in parts),
    }


def collect_metrics(parts: Sequence[dict]) -> dict[str, dict]:
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


def form_bands(parts: Sequence[dict], profile: str) -> dict:
    """What a chapter's runs reported: the values of each metric with the form of its band, and all yes-or-no answers.

    Raises RecordingError where the runs differ in what they report, BandError where no band can be formed.
    """
    forms = [[(one["metric"], one["unit"], one["worse"], one["log"]) for one in part["verdicts"]] for part in parts]
    if not forms[0] or any(form != forms[0] for form in forms):
        raise RecordingError(f"the seeds report different metrics: {forms}")
    metrics = {}
    for place, (metric, unit, worse, log) in enumerate(forms[0]):
        values = [part["verdicts"][place]["value"] for part in parts]
        form_band(values, worse, log, MINIMUM_SEEDS[profile])
        metrics[metric] = {"worse": worse, "log": log, "unit": unit, "values": values}
    names = dict.fromkeys(name for part in parts for name in part["checks"])
    checks = {name: [part["checks"][name] for part in parts if name in part["checks"]] for name in names}
    return {"metrics": metrics, "checks": checks, "seeds": [part["seed"] for part in parts]}


def store_bands(results: Path, chapter: str, profile: str, entry: dict) -> None:
    """Writes a chapter's entry into the file of a profile's bands, in one step."""
    file = results / "bands" / f"{profile}.json"
    write_json(read_json(file) | {chapter: entry}, file)  # read now: another command may have written meanwhile


def write_bands(results: Path, chapter: str, parts: dict[Path, dict], digest: str, commit: str) -> None:
    """Writes a chapter's bands in quick. parts: by the folder of each run, here and in what follows."""
    given = list(parts.values())
    store_bands(results, chapter, "quick", merge_runs(given, digest, commit) | form_bands(given, "quick"))


def write_full(results: Path, chapter: str, picture: str, parts: dict[Path, dict], digest: str, commit: str) -> None:
    """Writes a chapter's record, with what came out otherwise than in quick; its picture; and its bands in full.

    The record keeps what the runs held against the bands, broken models for the most part: while they ran, there may
    have been none, and whether a band that is formed now would let one through has to be asked afterwards.
    """
    folders, given = list(parts), list(parts.values())
    run, formed = merge_runs(given, digest, commit), form_bands(given, "full")
    quick = read_json(results / "bands" / "quick.json").get(chapter, {}).get("checks")
    if quick is None:
        raise RecordingError(f"its bands in quick do not tell its answers; first `make bands CHAPTER={chapter}`.")
    verdicts = [
        {"seed": part["seed"], "metrics": {one["metric"]: {key: one[key] for key in ("value", "unit")}}}
        for part in given
        for one in part["verdicts"]
    ]
    held: dict[str, list[float]] = {}
    for one in (one for part in given for one in part["held"]):
        held.setdefault(one["metric"], []).append(one["value"])
    checks = formed["checks"].items()
    record = run | {
        "metrics": collect_metrics(verdicts),
        "profile": "full",
        "unlike_quick": {name: answers for name, answers in checks if set(answers) - set(quick.get(name, [None])[:1])},
        "held_against_bands": held,
    }
    write_record(results, chapter, record)
    replace_pictures(results / "full" / chapter, {f"{picture}.png": folders[0] / PICTURE})
    store_bands(results, chapter, "full", run | formed)


def write_study(
    results: Path, study: str, settings: dict, parts: dict[Path, dict], missing: set[str], digest: str, commit: str
) -> None:
    """Writes a study's record, its pictures, and the weights that it ships; missing: labels not measured yet."""
    given, first = list(parts.values()), [folder for folder, part in parts.items() if part["seed"] == 0]
    record = merge_runs(given, digest, commit) | {"metrics": collect_metrics(given)}
    record |= {"profile": settings["PROFILE"], "selection_split": settings["SELECTION"]}
    record |= {"missing": sorted(missing)} if missing else {}
    files = [folder / name for name in settings.get("WEIGHTS", ()) for folder in first]
    shipped = {file.name: file for file in files if file.exists()}
    record |= {"weights": {name: hash_file(file) for name, file in shipped.items()}} if shipped else {}
    write_record(results, study, record)
    for name, file in shipped.items():
        (results / "weights").mkdir(exist_ok=True)
        shutil.copy(file, results / "weights" / name)
    replace_pictures(results / "full" / study, {file.name: file for one in first for file in sorted(one.glob("*.png"))})


def write_record(results: Path, name: str, record: dict) -> None:
    """Writes a record in one step. Raises helpers.book.records.RecordError where it is at odds with itself."""
    records.check(record, name)
    write_json(record, results / "full" / f"{name}.json")


def replace_pictures(folder: Path, pictures: dict[str, Path]) -> None:
    """Puts pictures beside a record, in the place of those that were there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, file in pictures.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file.read_bytes())


def compact(png: bytes) -> bytes:
    """The same picture, opaque, in fewer bytes: a chapter holds its pictures, and has to stay below 1 MB."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(packed, "PNG", optimize=True)
    return without_text_chunks(packed.getvalue())
