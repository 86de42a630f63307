"""Runs studies: `python -m tools.studies [STUDY ...]` measures each run and seed of a study and writes its record.

A study is a script studies/NAME.py with these names at its top level: SEEDS, how many seeds there are, counted from 0;
SELECTION, the split by which its settings were chosen; PROFILE, "quick" unless it says "full"; THREADS, how many each
run has, 1 unless it says more; CELLS, (chapter, name), where it trains with a chapter's own code, see `run_cells`; and
`measure()`, which returns {metric: (value, unit)} for the seed in BOOK_SEED, or (value, unit, standard error) for a
metric that one seed alone measures. With RUNS, a literal {label: settings}, it is `measure(label, folder)` instead,
once for each label and seed; settings may hold "seeds", a number of their own, and the folder,
_build/studies/NAME/LABEL/SEED, keeps checkpoints of what takes long. Pictures that seed 0 leaves there as PNG are
stored beside the record.

Each run and seed is a process of its own in the environment of the tests, as many at once as the cores allow for. What
it gave is kept beside its folder, so that a study which was stopped goes on where it was, and settings that are added
to RUNS leave the others as measured. A record is written when all seeds of a label are done, and names what it lacks. A
study whose record is whole, and that of the code as it stands, is not run.
"""

import ast
import hashlib
import importlib.util
import json
import math
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from helpers.book import records
from tools import recording
from tools.environment import THREADS, environment_for
from tools.notebook_files import (
    MEASURING_NOTHING,
    NOTEBOOKS,
    ROOT,
    as_run,
    book_metadata,
    canonical,
    code_cells,
    helpers_reached,
    parse_code,
    read,
)

STUDIES = ROOT / "studies"
PARTS = ROOT / "_build" / "studies"
SETTINGS = {"SEEDS": int, "SELECTION": str}


class StudyError(ValueError):
    """A study cannot be run, or what it measured makes no record."""


class Run(NamedTuple):
    """One thing to measure: a study's script, the label of the settings (None without RUNS), the seed; where to."""

    path: Path
    label: str | None
    seed: int
    parts: Path

    @property
    def folder(self) -> Path:
        """Where the run keeps what it needs to go on after an interruption."""
        label = [re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-")] if self.label else []
        return self.parts.joinpath(self.path.stem, *label, str(self.seed))

    @property
    def file(self) -> Path:
        """Where what it gave is kept."""
        return self.folder.with_name(f"{self.seed}.json")

    @property
    def digest(self) -> str:
        """What it depends on; see `study_digest`."""
        return study_digest(self.path, self.label)

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.path.stem, self.label, f"seed {self.seed}")))


def studies(names: list[str] | None = None) -> list[Path]:
    """The scripts of all studies in alphabetical order, or of the named ones. Raises StudyError for an unknown name."""
    paths = {path.stem: path for path in sorted(STUDIES.glob("*.py"))}
    unknown = [name for name in names or [] if name not in paths]
    if unknown:
        raise StudyError(f"no study is called {', '.join(unknown)}; there are {', '.join(paths) or 'none'}")
    return [paths[name] for name in names] if names else list(paths.values())


def settings(path: Path) -> dict:
    """The literal values at the top level of a study's script. Raises StudyError for no SEEDS or no SELECTION."""
    found = {"PROFILE": "quick", "THREADS": 1}
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


def runs(path: Path) -> list[Run]:
    """All that a study measures: each label with each of its seeds."""
    found = settings(path)
    labels = found.get("RUNS", {None: {}})
    seeds = {label: range(given.get("seeds", found["SEEDS"])) for label, given in labels.items()}
    return [Run(path, label, seed, PARTS) for label in labels for seed in seeds[label]]


def cells_until(chapter: str, name: str) -> list[NotebookNode]:
    """The code cells of a chapter from the first to the one that defines name. Raises StudyError where none does."""
    cells = code_cells(read(NOTEBOOKS / f"{chapter}.ipynb"))
    for count, cell in enumerate(cells, start=1):
        if name in _defined(parse_code(cell.source)):
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


def study_digest(path: Path, label: str | None = None) -> str:
    """What a study's values depend on: its script, studies that it imports from, the cells that it runs, and helpers.

    label: only what that run depends on, not the settings of others nor how many seeds there are. Comments, docstrings
    and layout do not count, nor do setup and imports cells, nor helpers that show and compare.
    """
    script, found = _parse(path), settings(path)
    cells = cells_until(*found["CELLS"]) if "CELLS" in found else []
    cells = [cell for cell in cells if "setup" not in book_metadata(cell)]
    trees = [as_run(parse_code(cell.source), found["PROFILE"]) for cell in cells]
    counted = [canonical(t) for cell, t in zip(cells, trees, strict=True) if "imports" not in book_metadata(cell)]
    others = [_without_runs(_parse(STUDIES / f"{name}.py")) for name in studies_imported(script)]
    counted += map(canonical, others)
    reached = helpers_reached([script, *others, *trees])
    modules = sorted((name, canonical(tree)) for name, tree in reached.items() if name not in MEASURING_NOTHING)
    if label is not None:
        script = _without_runs(script)
        counted.append((label, repr(found["RUNS"][label])))
    return hashlib.sha256(repr((canonical(script), counted, modules)).encode()).hexdigest()


def measure(run: Run) -> None:
    """Measures one run, in this process, with the seed that BOOK_SEED names, and stores what it gave."""
    digest = run.digest  # before the run: what is edited meanwhile is not measured
    spec = importlib.util.spec_from_file_location(run.path.stem, run.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if run.label is None:
        measured = module.measure()
    else:
        run.folder.mkdir(parents=True, exist_ok=True)
        measured = module.measure(run.label, run.folder)
    metrics = {name: _as_entry(*given) for name, given in measured.items()}
    wrong = {name: entry for name, entry in metrics.items() if not all(map(math.isfinite, _numbers(entry)))}
    if wrong or not metrics:
        raise StudyError(f"expected finite values, found {wrong or 'none at all'}.")
    part = {
        "digest": digest,
        "seed": run.seed,
        "metrics": metrics,
        "seconds": round(max(time.process_time(), told_seconds(metrics, run.label)), 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    recording.write_part(part, run.file)


def told_seconds(metrics: dict[str, dict], label: str | None) -> float:
    """The seconds that a run says it took: more than its process has, where it went on after an interruption."""
    names = (f"seconds/{label}", f"evaluation_seconds/{label}")
    return sum(metrics[name]["value"] for name in names if name in metrics)


def start(run: Run) -> None:
    """Measures a run in a process of its own. Raises StudyError where that fails, with what it said."""
    command = [
        sys.executable,
        "-m",
        "tools.studies",
        "--run",
        str(run.path),
        run.label or "",
        str(run.seed),
        str(run.parts),
    ]
    found = settings(run.path)
    threads = dict.fromkeys(THREADS, str(found["THREADS"]))
    environment = environment_for(found["PROFILE"], BOOK_SEED=str(run.seed), **threads)
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise StudyError(f"{run}: {ended.stderr.strip() or f'exit status {ended.returncode}'}")


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in megabytes of 1,024 * 1,024 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, on macOS bytes
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def find_stale() -> dict[str, str]:
    """What is wrong with the stored records of studies, by study: none yet, measured with other code, or not whole."""
    found = {}
    for path in studies():
        file = recording.RECORDS / f"{path.stem}.json"
        stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        if stored is None:
            found[path.stem] = "it has no record yet; run `make studies`"
        elif stored.get("code_digest") != study_digest(path):
            found[path.stem] = "its record is of other code; run `make studies`"
        elif "missing" in stored:
            found[path.stem] = f"its record lacks {'; '.join(stored['missing'])}; run `make studies`"
    return found


def run(path: Path) -> None:
    """Measures what is missing of a study and writes its record.

    Raises StudyError where a run fails; what others gave is kept, and the record stays as it was.
    """
    digest = study_digest(path)
    digests = {one: one.digest for one in runs(path)}

    def measure_one(one: Run) -> str:
        start(one)
        part = recording.read_part(one.file, digests[one])
        if part is None:
            raise StudyError(f"{one}: the code has changed since the study began; start it again.")
        return f"{one}: {part['seconds']:.0f} s"

    missing = [one for one in digests if recording.read_part(one.file, digests[one]) is None]
    for line in recording.measure_missing(missing, measure_one, settings(path)["THREADS"]):
        print(line, flush=True)
        write_record(path, digest, digests)
    write_record(path, digest, digests)


def write_record(path: Path, digest: str, digests: dict[Run, str]) -> None:
    """Writes a study's record from the labels whose seeds are all measured, if there are any; it names the others."""
    parts = {one: recording.read_part(one.file, digests[one]) for one in digests}
    missing = {one.label for one, part in parts.items() if part is None}
    done = {one: part for one, part in parts.items() if one.label not in missing}
    if not done:
        return
    found = settings(path)
    record = recording.form_record(list(done.values()), digest, found["PROFILE"], found["SELECTION"], found["THREADS"])
    if missing:
        record["missing"] = sorted(missing)
    recording.write_record(record, path.stem)
    store_pictures([one.folder for one in done if one.seed == 0], recording.RECORDS / path.stem)


def store_pictures(folders: list[Path], target: Path) -> None:
    """Puts the pictures of the runs beside the record, in the place of those that were there."""
    shutil.rmtree(target, ignore_errors=True)
    for picture in sorted(picture for folder in folders for picture in folder.glob("*.png")):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target / picture.name)


def main(arguments: list[str]) -> int:
    """Runs the named studies, or all, where their record is not that of the code; returns the exit status."""
    try:
        if arguments[:1] == ["--run"]:  # how `start` calls
            path, label, seed, parts = arguments[1:]
            measure(Run(Path(path), label or None, int(seed), Path(parts)))
            return 0
        for path in studies(arguments):
            if path.stem in find_stale():
                run(path)
            else:
                print(f"{path.stem}: its record is that of the code as it stands")
    except (StudyError, recording.RecordingError, records.RecordError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse(path: Path) -> ast.Module:
    return parse_code(path.read_text(encoding="utf-8"), str(path))


def studies_imported(script: ast.Module) -> list[str]:
    """The names of the studies that a script imports from, as `from studies.NAME import ...`."""
    origins = (node.module or "" for node in ast.walk(script) if isinstance(node, ast.ImportFrom))
    return sorted(origin.removeprefix("studies.") for origin in origins if origin.startswith("studies."))


def _without_runs(script: ast.Module) -> ast.Module:
    """A study's script without its settings by label and its number of seeds."""
    script.body = [node for node in script.body if not {"RUNS", "SEEDS"} & _assigned(node)]
    return script


def _assigned(node: ast.AST) -> set[str]:
    """The names that a statement assigns; none where it is no assignment."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _defined(tree: ast.Module) -> set[str]:
    """The names that a cell defines or assigns at its top level."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return names.union(*map(_assigned, tree.body))


def _as_entry(value: float, unit: str, error: float | None = None) -> dict:
    """A metric as a part keeps it; the standard error only where one was measured with the value."""
    return {"value": float(value), "unit": unit} | ({} if error is None else {"standard_error": float(error)})


def _numbers(entry: dict) -> list[float]:
    return [number for number in entry.values() if isinstance(number, float)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
