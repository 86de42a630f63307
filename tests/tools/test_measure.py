"""The engine: what it measures and what it refuses, going on where it stopped; parts, bands and records; provenance."""

import fcntl
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from helpers.book import records
from helpers.book.bands import BandError
from tests.book.test_results import find_unfounded
from tests.tools.conftest import commit_all
from tools import environment, measure, recording, stale, studies
from tools.digest import Code
from tools.environment import environment_for, quick_environment
from tools.notebook_files import ROOT


def verdict(value: float, metric: str = "test NLL", worse: str = "either") -> dict:
    return {"kind": "verdict", "metric": metric, "value": value, "unit": "nats", "worse": worse, "log": False}


def write_a_part(job: measure.Job, tree: Path) -> None:
    """Stands in for a run in a process of its own: it takes no time."""
    given = {
        "verdicts": [verdict(10.0 + job.seed + 10.0 * (job.profile == "full"))],
        "held": [{"kind": "held", "metric": "test NLL", "value": 1e9}],
        "checks": {"large": job.profile == "full", "small": True},
    }
    if job.kind == "studies":
        given = {"metrics": {f"loss/{job.label or 'all'}": {"value": 1.0 + job.seed, "unit": "nats"}}}
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").save(folder / recording.PICTURE)
    if job.label == "a":  # each file is made by one of the runs
        (folder / "toy.npz").write_text("new weights", encoding="utf-8")
    part = {"digest": job.digest, "seed": job.seed, **given, "seconds": 2.0, "peak_memory_mb": 100}
    recording.write_json(part | recording.describe_run(job.threads), folder / recording.PART)


@pytest.fixture
def book(make_book: Callable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small book under git, of which the engine measures in no time."""
    root = make_book()
    commit_all(root)
    monkeypatch.setattr(measure, "ROOT", root)
    monkeypatch.setattr(measure, "start", write_a_part)
    monkeypatch.setattr(measure, "need_mnist", lambda targets, code: False)
    return root


@pytest.fixture
def started(book: Path, monkeypatch: pytest.MonkeyPatch) -> list[measure.Job]:
    """The runs that have been started."""
    jobs, start = [], measure.start
    monkeypatch.setattr(measure, "start", lambda job, tree: jobs.append(job) or start(job, tree))
    return jobs


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def results(book: Path, name: str) -> dict:
    return json.loads((book / "results" / f"{name}.json").read_text(encoding="utf-8"))


def named(book: Path) -> dict[str, str]:
    return {f"{one.kind} {one.name}": one.reason for one in stale.find_stale(Code(book))}


# What is written


def test_fresh_measures_what_is_stale_and_nothing_is_left(
    book: Path, started: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = []
    monkeypatch.setattr(measure.execute, "main", lambda names: executed.append(names) or 0)
    assert named(book) == {
        **dict.fromkeys(("outputs toy", "bands toy", "full toy", "studies of_cells", "studies small"), stale.NONE),
        "weights toy.npz": "made by no study that has a record",
    }
    assert measure.main(["fresh"]) == 0
    assert len(started) == 10 + 3 + 2 + 4
    assert executed == [["toy"]]
    assert named(book).keys() == {"outputs toy", "weights toy.npz"}
    assert measure.main(["fresh"]) == 0
    assert len(started) == 19


def test_bands_are_written_with_how_they_were_measured(book: Path) -> None:
    assert measure.main(["bands", "toy"]) == 0
    entry = results(book, "bands/quick")["toy"]
    assert entry["metrics"] == {
        "test NLL": {"unit": "nats", "worse": "either", "log": False, "values": [10.0 + seed for seed in range(10)]}
    }
    assert entry["checks"] == {"large": [False] * 10, "small": [True] * 10}
    assert entry["seeds"] == list(range(10))
    assert (entry["seconds"], entry["peak_memory_mb"]) == (20.0, 100)
    assert len(entry["commit"]) == 12
    assert entry["digest"] == Code(book).digest_chapter("toy", "quick")
    assert entry["machine"] == {"cpu": recording.find_processor(), "cores": os.cpu_count(), "threads": 1}
    assert {"tensorflow", "keras", "numpy", "python"} <= entry["versions"].keys()


def test_a_full_run_gets_its_record_its_picture_and_its_bands(book: Path) -> None:
    assert measure.main(["bands"]) == measure.main(["full"]) == 0
    record = results(book, "full/toy")
    records.check(record, "toy")
    assert record["metrics"]["test NLL"]["values"] == [20.0, 21.0, 22.0]
    assert record["unlike_quick"] == {"large": [True, True, True]}
    assert record["held_against_bands"] == {"test NLL": [1e9] * 3}
    with Image.open(book / "results" / "full" / "toy" / "fig-toy.png") as picture:
        assert picture.size == (256, 256)
    assert results(book, "bands/full")["toy"]["metrics"]["test NLL"]["values"] == [20.0, 21.0, 22.0]


def test_a_chapter_that_asks_for_more_seeds_gets_them(book: Path) -> None:
    assert measure.main(["bands"]) == measure.main(["full"]) == 0
    edit(
        book / "notebooks" / "toy.ipynb",
        '"metadata": {},\n "nbformat"',
        '"metadata": {"book": {"full_seeds": 4}},\n "nbformat"',
    )
    commit_all(book)
    assert named(book)["full toy"] == "of fewer than 4 seeds"
    assert measure.main(["full"]) == 0
    assert results(book, "full/toy")["metrics"]["test NLL"]["seeds"] == [0, 1, 2, 3]


def test_a_study_gets_its_record_and_its_weights(book: Path) -> None:
    edit(book / "studies" / "small.py", "SEEDS = 2", 'WEIGHTS = ("toy.npz",)\nSEEDS = 2')
    commit_all(book)
    assert measure.main(["studies", "small"]) == 0
    record = results(book, "full/small")
    records.check(record, "small")
    assert record["metrics"]["loss/a"]["values"] == [1.0, 2.0]
    assert record["digest"] == Code(book).digest_study("small")
    assert record["selection_split"] == "validation"
    assert (book / "results" / "weights" / "toy.npz").read_text(encoding="utf-8") == "new weights"
    assert "weights toy.npz" not in named(book)
    (book / "results" / "weights" / "toy.npz").write_text("by hand", encoding="utf-8")
    assert named(book)["weights toy.npz"] == "not the file that the record of small tells of"


def test_pictures_of_a_study_replace_older_ones(tmp_path: Path) -> None:
    older, newer = tmp_path / "results" / "older.png", tmp_path / "newer.png"
    older.parent.mkdir()
    older.write_bytes(b"older")
    newer.write_bytes(b"newer")
    recording.replace_pictures(older.parent, {"a.png": newer})
    assert [file.read_bytes() for file in older.parent.iterdir()] == [b"newer"]


# Only what belongs to the commit


@pytest.mark.parametrize("kind", ["bands", "full", "studies"])
def test_code_that_differs_from_its_commit_is_not_measured(
    book: Path, started: list, capsys: pytest.CaptureFixture, kind: str
) -> None:
    measure.main(["bands"])
    before = sorted((book / "results").rglob("*")), len(started)
    edit(book / "helpers" / "first.py", "math.sqrt", "math.cbrt")
    assert measure.main([kind]) == 1
    said = capsys.readouterr().err
    assert "differs from that of the last commit; commit first what has changed: helpers/first.py" in said
    assert (sorted((book / "results").rglob("*")), len(started)) == before


def test_tools_that_differ_from_the_commit_do_not_measure(book: Path, capsys: pytest.CaptureFixture) -> None:
    """Else the digest of a record would not be that which its commit's own tools find."""
    (book / "tools").mkdir()
    (book / "tools" / "digest.py").write_text("", encoding="utf-8")
    assert measure.main(["bands"]) == 1
    assert "commit first what has changed: tools/digest.py" in capsys.readouterr().err


def test_a_chapter_that_is_not_committed_is_not_measured(book: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copy(book / "notebooks" / "toy.ipynb", book / "notebooks" / "new.ipynb")
    assert measure.main(["bands", "new"]) == 1
    assert "notebooks/new.ipynb" in capsys.readouterr().err


def test_work_beside_a_run_changes_nothing(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit_meanwhile(job: measure.Job, tree: Path) -> None:
        (book / "helpers" / "first.py").write_text("broken(", encoding="utf-8")
        assert "math.sqrt" in (tree / "helpers" / "first.py").read_text(encoding="utf-8")
        write_a_part(job, tree)

    digest = Code(book).digest_chapter("toy", "quick")
    monkeypatch.setattr(measure, "start", edit_meanwhile)
    assert measure.main(["bands"]) == 0
    assert results(book, "bands/quick")["toy"]["digest"] == digest


def test_parts_of_other_code_are_never_found(book: Path, started: list) -> None:
    assert measure.main(["studies", "small"]) == 0
    edit(book / "helpers" / "first.py", "math.sqrt", "math.cbrt")
    commit_all(book)
    assert measure.main(["studies", "small"]) == 0
    assert len(started) == 8
    assert len({job.folder for job in started}) == 8


@pytest.mark.parametrize("text", ["", '{"digest": "of th', "[", "null", '{"digest": "of other code"}'])
def test_a_part_that_is_unreadable_or_of_other_code_counts_as_not_measured(tmp_path: Path, text: str) -> None:
    (tmp_path / recording.PART).write_text(text, encoding="utf-8")
    assert recording.read_part(tmp_path, "of this code") is None
    assert recording.read_part(tmp_path / "nowhere", "of this code") is None


@pytest.mark.parametrize(
    ("old", "new", "measured"),
    [
        ('"seeds": 2}', '"seeds": 2}, "c": {"size": 3}', 2),
        ('"size": 2', '"size": 4', 2),
        ("SEEDS = 2", "SEEDS = 3", 1),
        ("os.environ", "os . environ", 0),
        ("first.used(1)", "first.used(2)", 4),
    ],
    ids=["a label more", "other settings", "more seeds", "layout", "other code"],
)
def test_a_run_is_measured_again_only_where_it_changed(
    book: Path, started: list, old: str, new: str, measured: int
) -> None:
    assert measure.main(["studies", "small"]) == 0
    started.clear()
    edit(book / "studies" / "small.py", old, new)
    commit_all(book)
    assert measure.main(["studies", "small"]) == 0
    assert len(started) == measured
    assert "studies small" not in named(book)


def test_the_worktree_goes_unless_another_command_uses_it(book: Path) -> None:
    with measure.check_out() as (tree, _):
        assert (tree / "helpers" / "first.py").exists()
        with (tree.parent / f"{tree.name}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with measure.check_out() as (same, _):
                assert same == tree
            assert tree.exists()
    assert not tree.exists()


def test_the_worktree_of_a_command_that_was_killed_goes_with_the_next(book: Path) -> None:
    with measure.check_out() as (tree, _):
        killed = tree.rename(tree.with_name("killed"))
        subprocess.run(["git", "-C", book, "worktree", "repair", killed], check=True, capture_output=True)
    killed.with_name("killed.lock").touch()
    with measure.check_out() as (other, _):
        assert (other.exists(), killed.exists()) == (True, False)


# Interruptions and failures


def failing_at(seed: int, error: BaseException) -> Callable:
    def start(job: measure.Job, tree: Path) -> None:
        if job.seed == seed:
            raise error
        write_a_part(job, tree)

    return start


def test_it_goes_on_where_it_was_stopped(book: Path, started: list, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(measure, "CORES", 1)
        patch.setattr(measure, "start", failing_at(2, measure.MeasureError("killed")))
        assert measure.main(["bands"]) == 1
    assert not (book / "results" / "bands").exists()
    assert measure.main(["bands"]) == 0
    assert [job.seed for job in started] == list(range(2, 10))


def test_a_failure_is_said_and_leaves_the_old_bands(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    measure.main(["bands"])
    before = (book / "results" / "bands" / "quick.json").read_bytes()
    edit(book / "helpers" / "first.py", "math.sqrt", "math.cbrt")
    commit_all(book)
    monkeypatch.setattr(measure, "start", failing_at(9, measure.MeasureError("the kernel died")))
    assert measure.main(["bands"]) == 1
    assert "the kernel died" in capsys.readouterr().err
    assert (book / "results" / "bands" / "quick.json").read_bytes() == before


def test_a_record_names_what_it_lacks(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(job: measure.Job, tree: Path) -> None:
        if job.label == "b":
            raise measure.MeasureError("stopped")
        write_a_part(job, tree)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "start", start)
        assert measure.main(["studies", "small"]) == 1
    assert list(results(book, "full/small")["metrics"]) == ["loss/a"]
    assert named(book)["studies small"] == "lacks b"
    assert measure.main(["studies", "small"]) == 0
    assert "missing" not in results(book, "full/small")


def test_an_interrupted_write_leaves_the_old_record(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure.main(["studies", "small"]) == 0
    before = (book / "results" / "full" / "small.json").read_bytes()
    edit(book / "helpers" / "first.py", "math.sqrt", "math.cbrt")
    commit_all(book)
    replace = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if Path(target).name == "small.json":
            raise OSError("no space left")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        measure.main(["studies", "small"])
    assert (book / "results" / "full" / "small.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected bands, full, studies or fresh"),
        (["all"], "expected bands, full, studies or fresh"),
        (["bands", "vea"], "bands: there is no vea; there are toy"),
        (["studies", "toy"], "studies: there is no toy; there are of_cells, small"),
        (["full", "toy"], "toy: the full run is compared with the quick one; first `make bands CHAPTER=toy`"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    book: Path, started: list, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    assert measure.main(arguments) == 1
    assert message in capsys.readouterr().err
    assert started == []


def test_a_full_run_without_a_marked_picture_is_refused(book: Path, capsys: pytest.CaptureFixture) -> None:
    measure.main(["bands"])
    edit(book / "notebooks" / "toy.ipynb", '"record_figure": true', '"other": true')
    commit_all(book)
    assert measure.main(["full"]) == 1
    assert "toy: expected one cell marked record_figure" in capsys.readouterr().err


def test_versions_other_than_pinned_are_not_measured(book: Path, capsys: pytest.CaptureFixture) -> None:
    edit(book / "requirements.txt", "keras==3.13.2", "keras==3.12.0")
    assert measure.main(["bands"]) == 1
    assert (
        "expected the versions that requirements.txt pins, installed are {'keras': '3.13.2'}" in capsys.readouterr().err
    )


# Bands and records of parts


def of_seeds(*given: list[dict], checks: dict | None = None) -> list[dict]:
    return [{"seed": seed, "verdicts": verdicts, "checks": checks or {}} for seed, verdicts in enumerate(given)]


@pytest.mark.parametrize(
    "odd",
    [[], [verdict(3.0), verdict(1.0)], [verdict(3.0, "other")], [verdict(3.0, worse="lower")]],
    ids=["nothing", "one more", "another name", "another side"],
)
def test_runs_that_report_differently_form_no_bands(odd: list[dict]) -> None:
    given = [[verdict(1.0 + seed)] for seed in range(10)]
    for place in (0, 9):
        with pytest.raises(recording.RecordingError, match="different metrics"):
            recording.form_bands(of_seeds(*given[:place], odd, *given[place + 1 :]), "quick")


def test_values_that_form_no_band_are_refused() -> None:
    with pytest.raises(BandError, match="10 or more finite values"):
        recording.form_bands(of_seeds(*[[verdict(1.0 + seed)] for seed in range(9)]), "quick")
    with pytest.raises(BandError, match="finite"):
        recording.form_bands(of_seeds(*[[verdict(1.0 + seed)] for seed in range(9)], [verdict(math.nan)]), "quick")


def part(seed: int, unit: str = "nats", **more: float) -> dict:
    metrics = {"loss": {"value": 1.0 + seed, "unit": unit}}
    return {"seed": seed, "metrics": metrics | {name: {"value": v, "unit": "s"} for name, v in more.items()}}


def test_metrics_are_means_over_seeds() -> None:
    metrics = recording.collect_metrics([part(0), part(1, rare=2.0), part(2, rare=3.0)])
    loss = {"value": 2.0, "unit": "nats", "n": 3, "seeds": [0, 1, 2], "values": [1.0, 2.0, 3.0]}
    assert metrics["loss"] == {**loss, "standard_error": pytest.approx(3**-0.5)}
    assert metrics["rare"]["seeds"] == [1, 2]


def test_one_value_keeps_the_standard_error_that_was_measured_with_it() -> None:
    alone = part(0, rare=2.0)
    with pytest.raises(recording.RecordingError, match="rare: one value without a standard error"):
        recording.collect_metrics([alone, part(1)])
    alone["metrics"]["rare"]["standard_error"] = 0.5
    rare = {"value": 2.0, "unit": "s", "standard_error": 0.5, "n": 1, "seeds": [0]}
    assert recording.collect_metrics([alone, part(1)])["rare"] == rare


def test_two_units_or_one_seed_twice_make_no_metric() -> None:
    with pytest.raises(recording.RecordingError, match=r"loss: seeds \[0, 1\] in \['bits', 'nats'\]"):
        recording.collect_metrics([part(0), part(1, unit="bits")])
    with pytest.raises(recording.RecordingError, match=r"loss: seeds \[1, 1\]"):
        recording.collect_metrics([part(1), part(1)])


def test_a_record_of_two_machines_names_both() -> None:
    run = {"seconds": 1.0, "peak_memory_mb": 1, "versions": {}}
    machines = [{"cpu": cpu, "cores": 2, "threads": 1} for cpu in ("new", "old")]
    parts = [
        {**run, "machine": machines[0], "date": "2026-11-28"},
        {**run, "machine": machines[1], "date": "2026-11-27"},
    ]
    merged = recording.merge_runs(parts, "d", "c")
    assert (merged["machine"]["cpu"], merged["seconds"], merged["date"]) == ("new and old", 2.0, "2026-11-28")


def test_a_picture_is_packed_without_loss() -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGBA").save(file, "PNG", compress_level=0)
    packed = recording.compact(file.getvalue())
    assert len(packed) < len(file.getvalue())
    assert Image.open(io.BytesIO(packed)).convert("RGBA").tobytes() == Image.open(file).tobytes()


# Runs in processes of their own


def test_a_chapter_and_a_study_are_run_with_the_code_of_their_commit(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tools", "helpers/book"):
        shutil.copytree(ROOT / name, book / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("arguments", "checks", "files"):  # which those call
        shutil.copy(ROOT / "helpers" / f"{name}.py", book / "helpers" / f"{name}.py")
    commit_all(book)
    checks = {"toy": {"checks": {"large": [False]}}}
    recording.write_json(checks, book / "results" / "bands" / "quick.json")
    targets = [("full", "toy"), ("studies", "small")]
    command = [sys.executable, "-c", f"from tools import measure; print(measure.measure({targets}))"]
    environment = quick_environment(PYTHONPATH=str(book))
    ended = subprocess.run(command, cwd=book, env=environment, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1:] == ["[]"], ended.stdout + ended.stderr
    record = results(book, "full/toy")
    assert record["metrics"]["test NLL"]["values"] == [20.0, 21.0, 22.0]
    assert (record["unlike_quick"], record["held_against_bands"]) == ({"large": [True] * 3}, {"test NLL": [1e9] * 3})
    assert record["seconds"] > 0
    assert 30 < record["peak_memory_mb"] < 1_000
    small = results(book, "full/small")
    assert small["metrics"]["loss/b"]["values"] == [2 + 2**0.5, 3 + 2**0.5]
    assert sorted(file.name for file in (book / "results" / "full" / "small").iterdir()) == ["a.png", "b.png"]
    found = find_unfounded(book, tmp := book / "_build" / "archives")
    assert found == []
    record["digest"] = "of code that nobody can find"
    recording.write_json(record, book / "results" / "full" / "toy.json")
    assert find_unfounded(book, tmp) == ["full toy"]


def test_a_run_that_fails_says_why(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    job = measure.Job("studies", "small", "a", 0, "quick", 1, False, "d", str(book / "_build" / "part"))
    with pytest.raises(measure.MeasureError, match=r"small, a, seed 0: [\s\S]*Error"):
        measure.start(job, book)  # this book has no helpers.book
    assert not (book / "_build" / "part").exists()


@pytest.mark.parametrize("value", ["{}", "{'loss': (float('nan'), 'nats')}"])
def test_a_study_that_measures_nothing_finite_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "empty.py").write_text(f"def measure():\n    return {value}\n", encoding="utf-8")
    monkeypatch.setattr("studies.__path__", [str(tmp_path / "studies")])
    monkeypatch.delitem(sys.modules, "studies.empty", raising=False)
    with pytest.raises(studies.StudyError, match="expected finite values, found"):
        studies.measure("empty", None, tmp_path)


def test_seconds_before_an_interruption_count() -> None:
    metrics = {"seconds/a": {"value": 1e6}, "evaluation_seconds/a": {"value": 1.0}, "seconds/b": {"value": 5.0}}
    assert studies.told_seconds(metrics, "a") == 1e6 + 1.0


@pytest.mark.parametrize(("threads", "alone", "most"), [(1, False, 4), (2, False, 2), (8, False, 1), (1, True, 1)])
def test_no_more_runs_at_once_than_the_cores_have_threads_for(
    threads: int, alone: bool, most: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running, seen = set(), []

    def start(job: measure.Job, tree: Path) -> None:
        running.add(job)
        seen.append(len(running))
        time.sleep(0.05)
        running.remove(job)

    monkeypatch.setattr(measure, "CORES", 4)
    monkeypatch.setattr(measure, "start", start)
    monkeypatch.setattr(measure, "_read", lambda job: {"seconds": 1.0})
    jobs = [measure.Job("studies", "small", None, seed, "quick", threads, alone, "d", "") for seed in range(8)]
    assert len(list(measure.run_all(jobs, tmp_path))) == 8
    assert max(seen) == most


def test_a_run_has_the_threads_and_the_profile_that_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look(command: list, env: dict, **options: object) -> subprocess.CompletedProcess:
        asked.append((env["BOOK_PROFILE"], env["BOOK_SEED"], {env[name] for name in environment.THREADS}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", look)
    measure.start(measure.Job("studies", "small", None, 5, "full", 3, False, "d", ""), ROOT)
    assert asked == [("full", "5", {"3"})]


def test_the_full_profile_finds_mnist_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_NPZ", "somewhere/mnist.npz")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = environment_for("full", BOOK_SEED="2")
    assert found["MNIST_NPZ"] == str(Path.cwd() / "somewhere" / "mnist.npz")
    assert (found["BOOK_PROFILE"], found["BOOK_SEED"], found["CUDA_VISIBLE_DEVICES"]) == ("full", "2", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "CUDA_VISIBLE_DEVICES" not in environment_for("full")
    assert environment_for("quick")["CUDA_VISIBLE_DEVICES"] == "-1"
