"""Runs chapters in the full profile, as `make full` does: `python -m tools.full [CHAPTER ...]`.

Each chapter is run with three seeds or more, each in a kernel of its own in the environment of the tests, as many at
once as there are cores; on a machine with a GPU that is what it uses. What a seed gave is kept in _build/full/CHAPTER,
the notebook as it ran beside it, so that what was stopped goes on where it was. A chapter whose seeds are done gets its
record, results/full/CHAPTER.json, its picture, and its bands in results/bands/full.json. A chapter whose record is that
of the code as it stands is not run.
"""

import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from helpers import data
from helpers.book.bands import MINIMUM_SEEDS
from tools import bands, recording
from tools.environment import environment_for
from tools.execute import Run, run_notebook, without_text_chunks
from tools.notebook_files import ROOT, band_digest, chapters, code_cells, read, text_of, write_text
from tools.notebook_structure import printed

PARTS = ROOT / "_build" / "full"
SEEDS = range(MINIMUM_SEEDS["full"])
# Where three seeds differ so much that their bands would hold a broken model too, there are more.
MORE_SEEDS = {"background": range(5)}
# The picture of seed 0 that a chapter shows beside its own
FIGURES = {
    "background": "fig-background-learning",
    "code_gan": "fig-code-gan-grid",
    "code_vae": "fig-code-vae-losses",
    "code_vae_pytorch": "fig-torch-samples",
    "data_quality": "fig-data-quality-costs",
    "evaluation": "fig-evaluation-f1",
    "failures": "fig-failures-histories",
    "gan": "fig-gan-grid",
    "gan_math": "fig-gan-math-digits",
    "gan_vs_vae": "fig-gan-vs-vae-samples",
    "large_models": "fig-large-models-attention",
    "prompting": "fig-prompting-examples",
    "results": "fig-results-samples",
    "vae": "fig-vae-plane",
    "vae_math": "fig-vae-math-linear",
}
# The unit of a metric is that of the first of these words in its name.
UNITS = {
    "NLL": "nats",
    "KL": "nats",
    "JSD": "nats",
    "ELBO": "nats",
    "gap": "nats",
    "bound": "nats",
    "Frechet": "squared feature units",
    "AUC": "share of pairs",
    "next-character loss": "nats a character",
    "word loss": "nats a word",
    "correct sentences": "share",
    "gain, VAE": "share",
    "accuracy": "share",
    "named rightly": "share",
    "hit rate": "share",
    "adjusted Rand index": "share",
    "label errors found": "share",
    "gain from synthetic": "share",
    "article's F1": "share",
    "average precision": "share",
    "best return": "share",
    "keyword followed": "share",
    "asked for": "share",
    "coverage": "share",
    "told apart": "share",
    "neighbours named": "share",
    "reconstruction error": "squared grey value",
    "ratio": "ratio",
    "spread": "multiple of that of real digits",
    "deviation": "share",
}


class Job(NamedTuple):
    """A chapter to be run with a seed."""

    path: Path
    seed: int

    @property
    def file(self) -> Path:
        """Where what it gave is kept."""
        return PARTS / self.path.stem / f"{self.seed}.json"


def seeds_of(path: Path) -> range:
    """The seeds with which a chapter is run."""
    return MORE_SEEDS.get(path.stem, SEEDS)


def find_unit(metric: str) -> str:
    """The unit of a metric. Raises RecordingError for one of which none is known."""
    for word, unit in UNITS.items():
        if word in metric:
            return unit
    raise recording.RecordingError(f"{metric}: no unit is known; add a word of it to UNITS in tools/full.py.")


def name_in_record(metric: str) -> str:
    """What a record calls a chapter's metric: a likelihood is test_nll/MODEL, so that records can be compared."""
    found = re.fullmatch(r"test NLL(?: (?:of|in) (?:the )?(.*))?", metric)
    return f"test_nll/{found[1] or 'VAE'}" if found else metric


def measure(job: Job) -> str:
    """Runs a chapter with a seed and keeps what it gave; returns that, or why it failed, in a line."""
    digest = band_digest(job.path, "full")  # before the run: what is edited meanwhile is not measured
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "results.jsonl")
        environment = environment_for("full", BOOK_SEED=str(job.seed), BOOK_BAND_LOG=str(log))
        try:
            run = run_notebook(job.path, environment, leave_out="record")
        except (CellExecutionError, DeadKernelError) as error:  # the other chapters go on
            return f"{job.path.stem}, seed {job.seed}: FAILED: {error}"
        entries, held = bands.read_log(log)
    job.file.parent.mkdir(parents=True, exist_ok=True)
    write_text(text_of(run.notebook), job.file.with_suffix(".ipynb"))
    found = {entry["metric"]: entry["value"] for entry in entries}
    part = {
        "digest": digest,
        "seed": job.seed,
        "metrics": {name_in_record(name): {"value": value, "unit": find_unit(name)} for name, value in found.items()},
        "entries": entries,
        "held_against_bands": held,
        "seconds": round(run.cpu_seconds, 1),
        "peak_memory_mb": run.peak_memory_mb,
        "pictures": dict(find_pictures(run)),
    }
    recording.write_part(part, job.file)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    return f"{job.path.stem}, seed {job.seed}: {run.seconds:.0f} s; {shown}"


def find_pictures(run: Run) -> Iterator[tuple[str, str]]:
    """The named pictures of a run, as PNG in base 64."""
    for cell in run.notebook.cells:
        about = cell.metadata.get("mystnb", {})
        pictures = [out.data["image/png"] for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
        if pictures and "figure" in about:
            yield about["figure"]["name"], pictures[0]


def write_results(path: Path, parts: list[dict], digest: str) -> None:
    """Writes a chapter's record, with what came out otherwise than in quick; its picture; and its bands in full.

    The record keeps what the runs held against the bands, broken models for the most part: while they ran, there were
    none, and whether a band that is formed now would let one through has to be asked afterwards.

    Raises RecordingError where there is no such picture, or the seeds report different metrics.
    """
    metrics = bands.collect([part["entries"] for part in parts], MINIMUM_SEEDS["full"])
    record = recording.form_record(parts, digest, "full", "validation")
    for metric in metrics:  # by which name the bands know it
        record["metrics"][name_in_record(metric)]["band"] = metric
    runs = [read(Job(path, part["seed"]).file.with_suffix(".ipynb")) for part in parts]
    record["unlike_quick"] = find_unlike(read(path), runs)
    held = [entry for part in parts for entry in part.get("held_against_bands", [])]
    record["held_against_bands"] = {
        metric: [entry["value"] for entry in held if entry["metric"] == metric]
        for metric in dict.fromkeys(entry["metric"] for entry in held)
    }
    name = FIGURES[path.stem]
    if name not in parts[0]["pictures"]:
        raise recording.RecordingError(f"{path.stem}: no picture {name}; there are {', '.join(parts[0]['pictures'])}.")
    recording.write_record(record, path.stem)
    folder = recording.RECORDS / path.stem
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.png").write_bytes(compact(base64.b64decode(parts[0]["pictures"][name])))
    bands.store(path.stem, digest, [part["seed"] for part in parts], metrics, "full")


def find_unlike(quick: NotebookNode, runs: list[NotebookNode]) -> dict[str, list[bool]]:
    """The yes-or-no lines of a chapter that full runs did not all answer as the quick one did, with their answers."""
    expected, *found = map(read_answers, (quick, *runs))
    given = {line: [answers[line] for answers in found if line in answers] for line in expected}
    return {line: answers for line, answers in given.items() if set(answers) - {expected[line]}}


def read_answers(notebook: NotebookNode) -> dict[str, bool]:
    """The lines `...: True` and `...: False` of a notebook; not those about bands, which are not there yet."""
    text = "\n".join(map(printed, code_cells(notebook)))
    found = re.findall(r"^(.+): (True|False)$", text, re.MULTILINE)
    return {line: answer == "True" for line, answer in found if not re.search(r"\b(outside|band)\b", line)}


def compact(png: bytes) -> bytes:
    """The same picture, opaque, in fewer bytes: a chapter holds its pictures, and has to stay below 1 MB."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(packed, "PNG", optimize=True)
    return without_text_chunks(packed.getvalue())


def find_stale() -> dict[str, str]:
    """What is wrong with the chapters' records of full runs, by chapter: none yet, or of other code."""
    found = {}
    for path in chapters():
        file = recording.RECORDS / f"{path.stem}.json"
        if not file.exists():
            found[path.stem] = "it has no record yet; run `make full`"
            continue
        record = json.loads(file.read_text(encoding="utf-8"))
        if record.get("code_digest") != band_digest(path, "full"):
            found[path.stem] = "its record is of other code; run `make full`"
        elif any(entry["n"] < len(seeds_of(path)) for entry in record["metrics"].values()):
            found[path.stem] = f"its record is of fewer than {len(seeds_of(path))} seeds; run `make full`"
    return found


def write_finished(paths: list[Path], digests: dict[Path, str]) -> list[Path]:
    """Writes the results of the chapters whose seeds are all done; returns the others."""
    waiting = []
    for path in paths:
        parts = [recording.read_part(Job(path, seed).file, digests[path]) for seed in seeds_of(path)]
        if all(parts):
            write_results(path, parts, digests[path])
        else:
            waiting.append(path)
    return waiting


def main(names: list[str]) -> int:
    """Runs the named chapters, or all, where their record is not that of the code; returns the exit status."""
    try:
        paths = chapters(names)
        stale = find_stale()
        waiting = [path for path in paths if path.stem in stale]
        if not waiting:
            print("The records are those of the code as it stands.")
            return 0
        data.load_mnist()  # refused here, where it is missing, and not once for each chapter
        digests = {path: band_digest(path, "full") for path in waiting}
        jobs = [Job(path, seed) for path in waiting for seed in seeds_of(path)]
        jobs = [job for job in jobs if recording.read_part(job.file, digests[job.path]) is None]
        for line in recording.measure_missing(jobs, measure):
            print(line, flush=True)
            waiting = write_finished(waiting, digests)
        waiting = write_finished(waiting, digests)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if waiting:
        print(f"without a new record: {', '.join(path.stem for path in waiting)}", file=sys.stderr)
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
