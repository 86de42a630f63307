"""The engine that measures: `python -m tools.measure bands|full|studies|fresh [NAME ...]`.

- bands: each chapter in quick with ten seeds: results/bands/quick.json.
- full: each chapter in full with three seeds, or as many as its metadata `book.full_seeds` asks for: its record
  results/full/NAME.json, the picture of its cell marked `record_figure`, and results/bands/full.json.
- studies: each label and seed of a study, see tools/studies.py: results/full/NAME.json.
- fresh: all that tools/stale.py names, the stored outputs of chapters last.

What is current is not measured. The code that is measured is that of HEAD, in a git worktree in _build/measure, so that
work here can go on beside it; where the code here differs, nothing is measured. Each run is a process of its own in the
environment of the tests, as many at once as the cores have threads for. What it gave is kept at once in
_build/parts/NAME-DIGEST/SEED: what was stopped goes on where it was, and code that differs finds none of it.
"""

import base64
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import helpers
from helpers.book.bands import MINIMUM_SEEDS
from tools import execute, recording, stale, studies
from tools.digest import Code, find_unpinned, hash_file
from tools.environment import THREADS, environment_for
from tools.notebook_files import ROOT, book_metadata, chapters, code_cells, read, text_of, write_text

KINDS = ("bands", "full", "studies")
CODE = ("helpers", "notebooks", "studies", "tools", "requirements.txt", "requirements-torch.txt", "results/weights")
CORES = os.cpu_count() or 1


class MeasureError(ValueError):
    """Nothing can be measured, or a run has failed."""


class Job(NamedTuple):
    """One run: of a chapter in a profile, or of a study; label: of a study's settings, None without any."""

    kind: str
    name: str
    label: str | None
    seed: int
    profile: str
    threads: int
    alone: bool
    digest: str
    folder: str

    @property
    def cores(self) -> int:
        """How many cores it takes from others."""
        return CORES if self.alone else min(self.threads, CORES)

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.name, self.label, f"seed {self.seed}")))


def plan(kind: str, name: str, code: Code, parts: Path) -> list[Job]:
    """All runs of a chapter's bands, of its full run, or of a study."""
    if kind == "studies":
        settings = code.settings(name)
        labels = [(label, seeds, code.digest_run(name, label)) for label, seeds in code.labels(name).items()]
        how = settings["PROFILE"], settings["THREADS"], settings.get("ALONE", False)
    else:
        how = "full" if kind == "full" else "quick", 1, False
        seeds = stale.find_seeds(code, name) if kind == "full" else MINIMUM_SEEDS["quick"]
        labels = [(None, seeds, code.digest_chapter(name, how[0]))]
    return [
        Job(kind, name, label, seed, *how, digest, str(parts / f"{name}-{digest[:16]}" / str(seed)))
        for label, seeds, digest in labels
        for seed in range(seeds)
    ]


def start(job: Job, tree: Path) -> None:
    """Measures a run with the code of a tree, in a process of its own. Raises MeasureError with what that said."""
    threads = dict.fromkeys(THREADS, str(job.threads))
    environment = environment_for(job.profile, BOOK_SEED=str(job.seed), PYTHONPATH=str(tree), **threads)
    command = [sys.executable, "-m", "tools.measure", "--job", json.dumps(job)]
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise MeasureError(f"{job}: {ended.stderr.strip()[-2000:] or f'exit status {ended.returncode}'}")


def run(job: Job) -> None:
    """Measures a run in this process, and keeps what it gave."""
    if Path(helpers.__file__).parents[1] != ROOT:
        raise MeasureError(f"helpers is {helpers.__file__}, expected that of {ROOT}.")
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    measured = studies.measure(job.name, job.label, folder) if job.kind == "studies" else run_chapter(job, folder)
    part = {"digest": job.digest, "seed": job.seed, **measured, **recording.describe_run(job.threads)}
    recording.write_json(part, folder / recording.PART)


def run_chapter(job: Job, folder: Path) -> dict:
    """Runs a chapter, and returns what it reported and what that took; of a full run notebook and picture are kept."""
    ended = execute.run_notebook(ROOT / "notebooks" / f"{job.name}.ipynb", os.environ, leave_out="record")
    by_kind = {kind: [one for one in ended.reports if one["kind"] == kind] for kind in ("verdict", "held", "check")}
    checks = {one["name"]: one["truth"] for one in by_kind["check"] if not one["about_band"]}
    if job.kind == "full":
        write_text(text_of(ended.notebook), folder / "run.ipynb")
        (folder / recording.PICTURE).write_bytes(recording.compact(find_picture(ended.notebook, job.name)))
    return {
        "verdicts": by_kind["verdict"],
        "held": by_kind["held"],
        "checks": checks,
        "seconds": round(ended.cpu_seconds, 1),
        "peak_memory_mb": ended.peak_memory_mb,
    }


def find_picture(notebook: execute.NotebookNode, name: str) -> bytes:
    """The picture that a full run's record keeps. Raises MeasureError where it was not drawn."""
    for output in (output for cell in find_figures(notebook) for output in cell.outputs):
        if "image/png" in output.get("data", {}):
            return base64.b64decode(output.data["image/png"])
    raise MeasureError(f"{name}: the cell marked record_figure has drawn no picture.")


def find_figures(notebook: execute.NotebookNode) -> list[execute.NotebookNode]:
    """The cells marked as the one whose picture the record keeps."""
    return [cell for cell in code_cells(notebook) if book_metadata(cell).get("record_figure")]


@contextmanager
def check_out() -> Iterator[tuple[Path, str]]:
    """A worktree of HEAD, made or found, and the commit; it goes when the last command that uses it has ended."""
    commit = _git("rev-parse", "HEAD")
    places = ROOT / "_build" / "measure"
    places.mkdir(parents=True, exist_ok=True)
    remove_unused(places)
    try:
        with (places / f"{commit}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not (tree := places / commit).exists():
                fcntl.flock(lock, fcntl.LOCK_EX)
                _git("worktree", "add", "--force", "--detach", str(tree), commit)
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield tree, commit[:12]
    finally:
        remove_unused(places)


def remove_unused(places: Path) -> None:
    """Removes the worktrees that no command uses, such as one that was killed."""
    for file in places.glob("*.lock"):
        with file.open() as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.with_suffix("").exists():
                _git("worktree", "remove", "--force", str(file.with_suffix("")))


def _git(*arguments: str) -> str:
    ended = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise MeasureError(f"git {' '.join(arguments)}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def check_same(targets: list[tuple[str, str]], here: Code, there: Code) -> None:
    """Raise MeasureError where the code of a target, or these tools, differ from HEAD's, naming the files that do."""
    tools = [{file.name: hash_file(file) for file in (code.root / "tools").glob("*.py")} for code in (here, there)]
    for kind, name in targets:
        if tools[0] != tools[1] or digest(kind, name, here) != digest(kind, name, there):
            changed = _git("diff", "--name-only", "HEAD", "--", *CODE)
            new = _git("ls-files", "--others", "--exclude-standard", "--", *CODE)
            raise MeasureError(
                f"{kind} {name}: the code differs from that of the last commit; commit first what has changed: "
                f"{', '.join((changed + chr(10) + new).split())}."
            )


def digest(kind: str, name: str, code: Code) -> str | None:
    """What a target depends on; None in a tree that does not have it."""
    if kind == "studies":
        return code.digest_study(name) if name in code.studies() else None
    there = (code.root / "notebooks" / f"{name}.ipynb").exists()
    return code.digest_chapter(name, "full" if kind == "full" else "quick") if there else None


def check_full(name: str, tree: Path, targets: list[tuple[str, str]]) -> None:
    """Raise MeasureError where a chapter's full run could not be recorded, before it takes hours."""
    if len(find_figures(read(tree / "notebooks" / f"{name}.ipynb"))) != 1:
        raise MeasureError(f"{name}: expected one cell marked record_figure; see CONTRIBUTING.md.")
    quick = recording.read_json(ROOT / "results" / "bands" / "quick.json")
    if ("bands", name) not in targets and "checks" not in quick.get(name, {}):
        raise MeasureError(f"{name}: the full run is compared with the quick one; first `make bands CHAPTER={name}`.")


def measure(targets: list[tuple[str, str]]) -> list[str]:
    """Measures targets, (kind, name) each, and writes their bands and records; returns what has failed.

    Raises MeasureError, before anything is measured, where the code differs from that of HEAD.
    """
    with check_out() as (tree, commit):
        code = Code(tree)
        check_same(targets, Code(ROOT), code)
        jobs = {target: plan(*target, code, ROOT / "_build" / "parts") for target in targets}
        for name in (name for kind, name in targets if kind == "full"):
            check_full(name, tree, targets)
        failed, done = [], set()
        missing = [job for every in jobs.values() for job in every if _read(job) is None]
        for target, every in jobs.items():
            failed += write(target, every, code, commit) if not set(every) & set(missing) else []
        for job, error in run_all(missing, tree):
            if error:
                failed.append(str(error))
            elif job.digest not in done and all(
                _read(one) for one in jobs[job.kind, job.name] if one.digest == job.digest
            ):
                done.add(job.digest)
                failed += write((job.kind, job.name), jobs[job.kind, job.name], code, commit)
    return failed


def write(target: tuple[str, str], jobs: list[Job], code: Code, commit: str) -> list[str]:
    """Writes what can be made of a target's finished runs; returns why where nothing can."""
    (kind, name), results = target, ROOT / "results"
    parts = {job: _read(job) for job in jobs}
    missing = {job.label for job, part in parts.items() if part is None}
    done = {Path(job.folder): part for job, part in parts.items() if job.label not in missing}
    of = digest(kind, name, code), commit
    try:
        if kind == "bands":
            recording.write_bands(results, name, done, *of)
        elif kind == "full":
            (cell,) = find_figures(read(code.root / "notebooks" / f"{name}.ipynb"))
            recording.write_full(results, name, cell.metadata.mystnb.figure.name, done, *of)
        else:
            recording.write_study(results, name, code.settings(name), done, missing, *of)
    except ValueError as error:
        return [f"{kind} {name}: {error}"]
    print(f"{kind} {name}: written" + f", without {', '.join(sorted(missing))}" * bool(missing), flush=True)
    return []


def run_all(jobs: list[Job], tree: Path) -> Iterator[tuple[Job, Exception | None]]:
    """Starts jobs, as many at once as the cores have threads for, and yields each that ends, with its error if any.

    Where a run fails, those of the same code that have not started are left.
    """
    waiting, running, begun, done = list(jobs), {}, time.perf_counter(), 0
    with ThreadPoolExecutor(CORES) as pool:
        while waiting or running:
            free = CORES - sum(job.cores for job in running.values())
            while waiting and waiting[0].cores <= free:
                job = waiting.pop(0)
                running[pool.submit(start, job, tree)] = job
                free -= job.cores
            ended: set[Future] = wait(running, return_when=FIRST_COMPLETED).done
            for future in ended:
                job, error, done = running.pop(future), future.exception(), done + 1
                if error:
                    waiting = [other for other in waiting if other.digest != job.digest]
                total = done + len(running) + len(waiting)
                left = (time.perf_counter() - begun) / done * (total - done) / 60
                said = f"FAILED: {error}" if error else f"{_read(job)['seconds']:.0f} s of CPU time"
                print(f"{job.kind} {job}: {said}; {done} of {total}, about {left:.0f} minutes left", flush=True)
                yield job, error


def _read(job: Job) -> dict | None:
    return recording.read_part(Path(job.folder), job.digest)


def choose(kind: str, names: list[str], code: Code) -> list[tuple[str, str]]:
    """What of a kind, or of all kinds for "fresh", is to be measured. Raises MeasureError for an unknown name."""
    known = [path.stem for path in chapters(root=code.root)] * (kind != "studies")
    known += code.studies() * (kind in ("studies", "fresh"))
    if unknown := [name for name in names if name not in known]:
        raise MeasureError(f"{kind}: there is no {', '.join(unknown)}; there are {', '.join(known)}.")
    kinds, wanted = KINDS if kind == "fresh" else (kind,), names or known
    return [(one.kind, one.name) for one in stale.find_stale(code) if one.kind in kinds and one.name in wanted]


def need_mnist(targets: list[tuple[str, str]], code: Code) -> bool:
    """Whether any of the runs is one on MNIST."""
    return any(
        kind == "full" or (kind == "studies" and code.settings(name)["PROFILE"] == "full") for kind, name in targets
    )


def main(arguments: list[str]) -> int:
    """Measures what is asked for and is not current; returns the exit status."""
    if arguments[:1] == ["--job"]:  # how `start` calls
        run(Job(*json.loads(arguments[1])))
        return 0
    if not arguments or arguments[0] not in (*KINDS, "fresh"):
        print("expected bands, full, studies or fresh, and names; see tools/measure.py", file=sys.stderr)
        return 1
    kind, *names = arguments
    try:
        if unpinned := find_unpinned(ROOT):
            raise MeasureError(f"expected the versions that requirements.txt pins, installed are {unpinned}.")
        targets = choose(kind, names, code := Code(ROOT))
        if need_mnist(targets, code):
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            from helpers import data  # here, because it takes seconds

            data.load_mnist()  # refused now, where it is missing, and not once for each run
        failed = measure(targets) if targets else []
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if not targets:
        print("All that was asked for is of the code as it stands.")
    for line in failed:
        print(line, file=sys.stderr)
    if kind == "fresh" and not failed:
        outputs = [one.name for one in stale.find_stale(Code(ROOT)) if one.kind == "outputs"]
        return execute.main(outputs) if outputs else 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
