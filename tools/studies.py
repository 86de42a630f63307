"""Runs studies: `python -m tools.studies [STUDY ...]` measures each seed of a study and writes its record.

A study is a script studies/NAME.py with these names at its top level: SEEDS, how many seeds there are, counted from 0;
SELECTION, the split by which its settings were chosen; CELLS, (chapter, name), where it trains with a chapter's own
code, see `run_cells`; and `measure()`, which returns {metric: (value, unit)} for the seed in BOOK_SEED. Each seed is a
process of its own in the environment of the tests. What a seed gave is kept in _build/studies/NAME/SEED.json, so that
a study which was stopped goes on where it was; the record, results/full/NAME.json, is written in one step when all
seeds are done. A study whose record is that of the code as it stands is not run.
"""

import ast
import datetime
import hashlib
import importlib.util
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from nbformat import NotebookNode

from helpers import records
from tools.environment import QUICK, quick_environment
from tools.notebook_files import (
    NOTEBOOKS,
    ROOT,
    book_metadata,
    canonical,
    code_cells,
    helpers_reached,
    read,
    write_text,
)

STUDIES = ROOT / "studies"
RECORDS = ROOT / "results" / "full"
PARTS = ROOT / "_build" / "studies"
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy")
WITHOUT = ("plotting", "bands", "records")  # modules of helpers that show and compare, but measure nothing
SETTINGS = {"SEEDS": int, "SELECTION": str}


class StudyError(ValueError):
    """A study cannot be run, or what it measured makes no record."""


def studies(names: list[str] | None = None) -> list[Path]:
    """The scripts of all studies in alphabetical order, or of the named ones. Raises StudyError for an unknown name."""
    paths = {path.stem: path for path in sorted(STUDIES.glob("*.py"))}
    unknown = [name for name in names or [] if name not in paths]
    if unknown:
        raise StudyError(f"no study is called {', '.join(unknown)}; there are {', '.join(paths) or 'none'}")
    return [paths[name] for name in names] if names else list(paths.values())


def settings(path: Path) -> dict:
    """The literal values at the top level of a study's script. Raises StudyError for no SEEDS or no SELECTION."""
    found = {}
    for node in _parse(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    for name, kind in SETTINGS.items():
        if not isinstance(found.get(name), kind):
            raise StudyError(f"{path.name}: expected {name} = a literal {kind.__name__} at its top level.")
    return found


def cells_until(chapter: str, name: str) -> list[NotebookNode]:
    """The code cells of a chapter from the first to the one that defines name. Raises StudyError where none does."""
    cells = code_cells(read(NOTEBOOKS / f"{chapter}.ipynb"))
    for count, cell in enumerate(cells, start=1):
        if name in _defined(ast.parse(cell.source)):
            return cells[:count]
    raise StudyError(f"no cell of the chapter {chapter} defines {name}; expected a function or variable of that name.")


def run_cells(chapter: str, name: str) -> dict:
    """Run a chapter's code up to the cell that defines name, and return all the names that it leaves.

    A study that trains with these has the sizes and the code of the chapter, and no copy of them.
    """
    names: dict = {}
    for cell in cells_until(chapter, name):
        exec(compile(cell.source, f"{chapter}, cell {cell.get('id')}", "exec"), names)
    return names


def study_digest(path: Path) -> str:
    """What a study's values depend on: its script, the chapter's cells that it runs, and the helpers of both.

    Comments, docstrings and layout do not count, nor do setup and imports cells, nor helpers that show and compare.
    """
    script, origin = _parse(path), settings(path).get("CELLS")
    cells = [cell for cell in cells_until(*origin) if "setup" not in book_metadata(cell)] if origin else []
    trees = [ast.parse(cell.source) for cell in cells]
    counted = [canonical(t) for cell, t in zip(cells, trees, strict=True) if "imports" not in book_metadata(cell)]
    reached = helpers_reached([script, *trees])
    modules = sorted((name, canonical(tree)) for name, tree in reached.items() if name not in WITHOUT)
    return hashlib.sha256(repr((canonical(script), counted, modules)).encode()).hexdigest()


def measure(path: Path, seed: int, file: Path) -> None:
    """Measures the seed that BOOK_SEED names, in this process, and stores what it gave in the file, in one step."""
    digest = study_digest(path)  # before the run: what is edited meanwhile is not measured
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    measured = module.measure()
    wrong = {name: value for name, (value, _) in measured.items() if not math.isfinite(value)}
    if wrong or not measured:
        raise StudyError(f"expected finite values, found {wrong or 'none at all'}.")
    part = {
        "digest": digest,
        "seed": seed,
        "metrics": {name: {"value": float(value), "unit": unit} for name, (value, unit) in measured.items()},
        "seconds": round(time.process_time(), 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(part, indent=1, sort_keys=True) + "\n", file)


def start(path: Path, seed: int, file: Path) -> None:
    """Measures one seed in a process of its own. Raises StudyError where that fails, with what it said."""
    command = [sys.executable, "-m", "tools.studies", "--seed", str(seed), str(path), str(file)]
    environment = quick_environment(BOOK_SEED=str(seed))
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise StudyError(f"{path.stem}, seed {seed}: {ended.stderr.strip() or f'exit status {ended.returncode}'}")


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in megabytes of 1,024 * 1,024 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, on macOS bytes
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def read_part(file: Path, digest: str) -> dict | None:
    """What a seed gave for the code of this digest; None where that has not been measured, or cannot be read."""
    try:
        part = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return part if isinstance(part, dict) and part.get("digest") == digest else None


def collect(parts: list[dict]) -> dict[str, dict]:
    """The metrics of all seeds: mean, standard error and the values themselves.

    A metric may be missing where a seed did not measure it. Raises StudyError for fewer than two values, or two units.
    """
    metrics = {}
    for name in dict.fromkeys(name for part in parts for name in part["metrics"]):
        found = {part["seed"]: part["metrics"][name] for part in parts if name in part["metrics"]}
        values, units = [entry["value"] for entry in found.values()], {entry["unit"] for entry in found.values()}
        if len(values) < 2 or len(units) > 1:
            raise StudyError(f"{name}: {len(values)} values in {sorted(units)}; expected two or more, in one unit.")
        metrics[name] = {
            "value": float(np.mean(values)),
            "unit": units.pop(),
            "standard_error": float(np.std(values, ddof=1) / math.sqrt(len(values))),
            "n": len(values),
            "seeds": list(found),
            "values": values,
        }
    return metrics


def form_record(path: Path, digest: str, parts: list[dict]) -> dict:
    """The record of a study from the parts of all its seeds, with where, when and how it was measured."""
    return {
        "metrics": collect(parts),
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "peak_memory_mb": max(part["peak_memory_mb"] for part in parts),
        "profile": QUICK["BOOK_PROFILE"],
        "device": f"{platform.machine()}, one of {os.cpu_count()} cores, {QUICK['TF_NUM_INTRAOP_THREADS']} thread",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": find_commit(),
        "code_digest": digest,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "selection_split": settings(path)["SELECTION"],
    }


def find_commit() -> str:
    """The commit of the checkout, with a plus sign where files differ from it; "unknown" outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return found.stdout.strip() or "unknown"


def find_stale() -> dict[str, str]:
    """What is wrong with the stored records of studies, by study: none yet, or measured with other code."""
    found = {}
    for path in studies():
        file = RECORDS / f"{path.stem}.json"
        if not file.exists():
            found[path.stem] = "it has no record yet; run `make studies`"
        elif json.loads(file.read_text(encoding="utf-8")).get("code_digest") != study_digest(path):
            found[path.stem] = "its record is of other code; run `make studies`"
    return found


def run(path: Path) -> None:
    """Measures the seeds of a study that are missing, one after the other, and writes its record.

    Raises StudyError where a seed fails; the seeds before it are kept, and the record stays as it was.
    """
    digest, begun = study_digest(path), time.perf_counter()
    files = {seed: PARTS / path.stem / f"{seed}.json" for seed in range(settings(path)["SEEDS"])}
    missing = [seed for seed, file in files.items() if read_part(file, digest) is None]
    for done, seed in enumerate(missing, start=1):
        start(path, seed, files[seed])
        part = read_part(files[seed], digest)
        if part is None:
            raise StudyError(f"{path.stem}, seed {seed}: the code has changed since the study began; start it again.")
        left = (time.perf_counter() - begun) / done * (len(missing) - done) / 60
        print(f"{path.stem}, seed {seed}: {part['seconds']:.0f} s; about {left:.0f} minutes left", flush=True)
    record = form_record(path, digest, [read_part(file, digest) for file in files.values()])
    records.check(record, path.stem)
    RECORDS.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", RECORDS / f"{path.stem}.json")


def main(arguments: list[str]) -> int:
    """Runs the named studies, or all, where their record is not that of the code; returns the exit status."""
    try:
        if arguments[:1] == ["--seed"]:  # how `start` calls
            seed, path, file = arguments[1:]
            measure(Path(path), int(seed), Path(file))
            return 0
        for path in studies(arguments):
            if path.stem in find_stale():
                run(path)
            else:
                print(f"{path.stem}: its record is that of the code as it stands")
    except (StudyError, records.RecordError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _defined(tree: ast.Module) -> set[str]:
    """The names that a cell defines or assigns at its top level."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
