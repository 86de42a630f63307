"""`make studies`: seeds in processes of their own, going on where it stopped, records of the code as it stands."""

import json
import os
import time
import warnings
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.book import records
from tools import environment, recording, studies
from tools.notebook_files import write

TOY = '''\
"""A study that takes no time."""
import os

SEEDS = 3
SELECTION = "validation"


def measure():
    seed = int(os.environ["BOOK_SEED"])
    found = {"loss/toy": (10.0 + seed, "nats")}
    return found | ({} if seed == 1 else {"rare/toy": (2.0 * seed, "share")})
'''
DIGEST = "of this code"


def part(seed: int, unit: str = "nats", **more: float) -> dict:
    metrics = {"loss": {"value": 1.0 + seed, "unit": unit}}
    return {"seed": seed, "metrics": metrics | {name: {"value": v, "unit": "s"} for name, v in more.items()}}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book whose only study is the toy; each seed is measured in this process."""
    for module, name in ((studies, "STUDIES"), (studies, "PARTS"), (recording, "RECORDS")):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
    monkeypatch.setattr(recording, "AT_ONCE", 1)  # the runs share this process and its environment
    studies.STUDIES.mkdir()
    path = studies.STUDIES / "toy.py"
    path.write_text(TOY, encoding="utf-8")

    def start(run: studies.Run) -> None:
        monkeypatch.setenv("BOOK_SEED", str(run.seed))
        studies.measure(run)

    monkeypatch.setattr(studies, "start", start)
    return path


@pytest.fixture
def started(toy: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the toy that have been started, in order."""
    seeds, start = [], studies.start
    monkeypatch.setattr(studies, "start", lambda run: seeds.append(run.seed) or start(run))
    return seeds


def record_of(path: Path) -> Path:
    return recording.RECORDS / f"{path.stem}.json"


# The records of the book


def test_every_record_of_a_study_is_of_the_code_as_it_stands() -> None:
    stale = studies.find_stale()
    unfinished = [name for name, reason in stale.items() if "of other code" not in reason]
    for name in unfinished:  # not red: it takes hours, and nothing shows what is not there
        warnings.warn(f"study {name}: {stale.pop(name)}", stacklevel=1)
    assert stale == {}


def test_every_record_is_whole() -> None:
    for path in recording.RECORDS.glob("*.json"):
        records.check(json.loads(path.read_text(encoding="utf-8")), path.stem)


# One seed


def test_a_seed_is_measured_in_a_process_of_its_own(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real `start`
    run = studies.Run(toy, None, 2, tmp_path / "deep")
    studies.start(run)
    stored = recording.read_part(run.file, studies.study_digest(toy))
    assert stored["metrics"] == {
        "loss/toy": {"unit": "nats", "value": 12.0},
        "rare/toy": {"unit": "share", "value": 4.0},
    }
    assert stored["seed"] == 2
    assert stored["seconds"] > 0
    assert stored["peak_memory_mb"] > 10


def test_a_process_that_fails_says_why(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    toy.write_text(TOY.replace("10.0 + seed", "float('nan')"), encoding="utf-8")
    with pytest.raises(studies.StudyError, match=r"toy, seed 0: expected finite values, found {'loss/toy': .* nan"):
        studies.start(run := studies.Run(toy, None, 0, tmp_path / "deep"))
    assert not run.file.exists()


def test_a_seed_that_measures_nothing_is_refused(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_text(TOY.split("    seed =")[0] + "    return {}\n", encoding="utf-8")
    with pytest.raises(studies.StudyError, match="none at all"):
        studies.start(studies.Run(toy, None, 0, tmp_path))


# All seeds


def test_a_study_writes_its_record(toy: Path, capsys: pytest.CaptureFixture) -> None:
    assert studies.main([]) == 0
    record = json.loads(record_of(toy).read_text(encoding="utf-8"))
    assert record["metrics"]["loss/toy"] == {
        "value": 11.0,
        "unit": "nats",
        "standard_error": pytest.approx(3**-0.5),
        "n": 3,
        "seeds": [0, 1, 2],
        "values": [10.0, 11.0, 12.0],
    }
    assert record["metrics"]["rare/toy"]["seeds"] == [0, 2]
    assert record["code_digest"] == studies.study_digest(toy)
    assert record["selection_split"] == "validation"
    assert record["profile"] == "quick"
    assert record["device"].endswith(", 1 thread")
    records.check(record, "toy")
    assert "toy, seed 2:" in capsys.readouterr().out


def test_a_record_tells_how_many_threads_each_run_had(toy: Path) -> None:
    toy.write_text(TOY.replace("SEEDS", "THREADS = 3\nSEEDS"), encoding="utf-8")
    assert studies.main([]) == 0
    device = json.loads(record_of(toy).read_text(encoding="utf-8"))["device"]
    assert device.endswith(f", 3 of {os.cpu_count()} cores, 3 threads")


def test_a_study_that_is_up_to_date_is_not_run(toy: Path, started: list[int], capsys: pytest.CaptureFixture) -> None:
    assert studies.main([]) == studies.main(["toy"]) == 0
    assert started == [0, 1, 2]
    assert "its record is that of the code as it stands" in capsys.readouterr().out


def test_a_study_goes_on_where_it_was_stopped(toy: Path, started: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    start = studies.start

    def stop(run: studies.Run) -> None:
        if run.seed == 2:
            raise KeyboardInterrupt
        start(run)

    with monkeypatch.context() as patch:
        patch.setattr(studies, "start", stop)
        with pytest.raises(KeyboardInterrupt):
            studies.main([])
    assert not record_of(toy).exists()
    assert studies.main([]) == 0
    assert started == [0, 1, 2]
    assert record_of(toy).exists()


def test_seeds_of_other_code_are_measured_again(toy: Path, started: list[int]) -> None:
    assert studies.main([]) == 0
    # Of another length: Python takes code of the same second and the same length for unchanged.
    toy.write_text(TOY.replace("10.0", "20.00"), encoding="utf-8")
    assert studies.find_stale() == {"toy": "its record is of other code; run `make studies`"}
    assert studies.main([]) == 0
    assert started == [0, 1, 2] * 2
    assert records.check(record := json.loads(record_of(toy).read_text(encoding="utf-8")), "toy") is None
    assert record["metrics"]["loss/toy"]["value"] == 21.0
    assert studies.find_stale() == {}


def test_a_study_without_a_record_is_reported(toy: Path) -> None:
    assert studies.find_stale() == {"toy": "it has no record yet; run `make studies`"}


def test_code_that_changes_while_it_runs_makes_no_record(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    start = studies.start

    def edit(run: studies.Run) -> None:
        toy.write_text(TOY.replace("10.0", "20.00"), encoding="utf-8")
        start(run)

    monkeypatch.setattr(studies, "start", edit)
    assert studies.main([]) == 1
    assert "toy, seed 0: the code has changed" in capsys.readouterr().err
    assert not record_of(toy).exists()


@pytest.mark.parametrize("text", ["", '{"digest": "of th', "[", "null", '{"digest": "of other code"}'])
def test_a_part_that_is_unreadable_or_of_other_code_counts_as_not_measured(tmp_path: Path, text: str) -> None:
    (tmp_path / "0.json").write_text(text, encoding="utf-8")
    assert recording.read_part(tmp_path / "0.json", DIGEST) is None
    assert recording.read_part(tmp_path / "1.json", DIGEST) is None


def test_an_interrupted_write_leaves_the_old_record(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert studies.main([]) == 0
    before = record_of(toy).read_bytes()
    toy.write_text(TOY.replace("10.0", "20.00"), encoding="utf-8")
    replace = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if Path(target) == record_of(toy):
            raise OSError("no space left")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        studies.main([])
    assert record_of(toy).read_bytes() == before


def test_a_seed_that_fails_leaves_the_old_record(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert studies.main([]) == 0
    before = record_of(toy).read_bytes()
    toy.write_text(TOY.replace("10.0 + seed", "float('inf')"), encoding="utf-8")
    assert studies.main([]) == 1
    assert "expected finite values" in capsys.readouterr().err
    assert record_of(toy).read_bytes() == before


# What is refused


def test_an_unknown_study_is_refused_by_name(toy: Path, capsys: pytest.CaptureFixture) -> None:
    assert studies.main(["other"]) == 1
    assert "no study is called other; there are toy" in capsys.readouterr().err


@pytest.mark.parametrize(("line", "name"), [("SEEDS = 3\n", "SEEDS"), ('SELECTION = "validation"\n', "SELECTION")])
def test_a_study_says_how_many_seeds_and_how_it_was_set(toy: Path, line: str, name: str) -> None:
    toy.write_text(TOY.replace(line, ""), encoding="utf-8")
    with pytest.raises(studies.StudyError, match=f"toy.py: expected {name} = a literal"):
        studies.settings(toy)


def test_one_value_makes_no_standard_error() -> None:
    with pytest.raises(recording.RecordingError, match="rare: one value without a standard error"):
        recording.collect([part(0), part(1, rare=2.0)])


def test_one_value_keeps_the_standard_error_that_was_measured_with_it() -> None:
    alone = part(0, rare=2.0)
    alone["metrics"]["rare"]["standard_error"] = 0.5
    assert recording.collect([alone, part(1)])["rare"] == {
        "value": 2.0,
        "unit": "s",
        "standard_error": 0.5,
        "n": 1,
        "seeds": [0],
    }


def test_two_units_make_no_metric() -> None:
    with pytest.raises(recording.RecordingError, match=r"loss: seeds \[0, 1\] in \['bits', 'nats'\]"):
        recording.collect([part(0), part(1, unit="bits")])


def test_one_seed_counts_once() -> None:
    with pytest.raises(recording.RecordingError, match=r"loss: seeds \[1, 1\]"):
        recording.collect([part(1), part(1)])


# Runs with settings of their own

WITH_RUNS = """\
import os

SEEDS = 2
SELECTION = "none"
RUNS = {"first, of two": {"size": 1}, "second": {"size": 2, "seeds": 1}}


def measure(label, folder):
    value = 10 * RUNS[label]["size"] + int(os.environ["BOOK_SEED"])
    (folder / f"{value}.png").write_text("a picture", encoding="utf-8")
    return {f"loss/{label}": (value, "nats", 0.25)}
"""


@pytest.fixture
def with_runs(toy: Path) -> Path:
    toy.write_text(WITH_RUNS, encoding="utf-8")
    return toy


def test_each_run_is_measured_with_its_seeds(with_runs: Path) -> None:
    assert studies.main([]) == 0
    record = json.loads(record_of(with_runs).read_text(encoding="utf-8"))
    assert record["metrics"]["loss/first, of two"]["values"] == [10.0, 11.0]
    assert record["metrics"]["loss/second"]["value"] == 20.0
    assert record["metrics"]["loss/second"]["standard_error"] == 0.25
    assert studies.find_stale() == {}


def test_seconds_before_an_interruption_count(with_runs: Path) -> None:
    with_runs.write_text(WITH_RUNS.replace('f"loss/{label}"', 'f"seconds/{label}"').replace('"nats"', '"s"'), "utf-8")
    with_runs.write_text(with_runs.read_text("utf-8").replace("10 *", "1_000_000 *"), "utf-8")
    assert studies.main([]) == 0
    assert json.loads(record_of(with_runs).read_text(encoding="utf-8"))["seconds"] == 4_000_001.0


def test_a_record_names_what_it_lacks(with_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = studies.start

    def stop(run: studies.Run) -> None:
        if run.label == "second":
            raise studies.StudyError("stopped")
        start(run)

    with monkeypatch.context() as patch:
        patch.setattr(studies, "start", stop)
        assert studies.main([]) == 1
    record = json.loads(record_of(with_runs).read_text(encoding="utf-8"))
    assert record["missing"] == ["second"]
    assert list(record["metrics"]) == ["loss/first, of two"]
    assert studies.find_stale() == {"toy": "its record lacks second; run `make studies`"}
    assert studies.main([]) == 0
    assert "missing" not in json.loads(record_of(with_runs).read_text(encoding="utf-8"))


def test_pictures_of_seed_0_stand_beside_the_record_in_place_of_older_ones(with_runs: Path) -> None:
    older = recording.RECORDS / "toy" / "older.png"
    older.parent.mkdir(parents=True)
    older.write_text("an older picture", encoding="utf-8")
    assert studies.main([]) == 0
    assert sorted(picture.name for picture in older.parent.iterdir()) == ["10.png", "20.png"]


@pytest.mark.parametrize(
    ("old", "new", "measured"),
    [
        ('"seeds": 1}', '"seeds": 1}, "third": {"size": 3}', 2),
        ('"size": 2', '"size": 4', 1),
        ("10 *", "100 *", 3),
        ("SEEDS = 2", "SEEDS = 3", 1),
    ],
    ids=["a run more", "other settings", "other code", "more seeds"],
)
def test_a_run_is_measured_again_only_where_it_changed(
    with_runs: Path, started: list[int], old: str, new: str, measured: int
) -> None:
    assert studies.main([]) == 0
    started.clear()
    with_runs.write_text(WITH_RUNS.replace(old, new), encoding="utf-8")
    assert studies.find_stale() != {}
    assert studies.main([]) == 0
    assert len(started) == measured


def test_a_study_of_the_full_profile_has_its_environment(toy: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.undo()
    script = TOY.replace("SEEDS", 'PROFILE = "full"\nSEEDS').replace("10.0 + seed", "len(os.environ['BOOK_PROFILE'])")
    toy.write_text(script, encoding="utf-8")
    run = studies.Run(toy, None, 0, tmp_path / "deep")
    studies.start(run)
    assert recording.read_part(run.file, run.digest)["metrics"]["loss/toy"]["value"] == len("full")


def test_a_study_has_the_threads_that_it_asks_for(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    counted = f"sum(int(os.environ[name]) for name in {environment.THREADS})"
    script = TOY.replace("SEEDS", "THREADS = 3\nSEEDS").replace("10.0 + seed", counted)
    toy.write_text(script, encoding="utf-8")
    run = studies.Run(toy, None, 0, tmp_path / "deep")
    studies.start(run)
    assert recording.read_part(run.file, run.digest)["metrics"]["loss/toy"]["value"] == 12


@pytest.mark.parametrize(("threads", "most"), [(1, 4), (2, 2), (8, 1)])
def test_no_more_runs_at_once_than_the_cores_have_threads_for(
    threads: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "AT_ONCE", 4)
    running, seen = set(), []

    def measure(job: int) -> str:
        running.add(job)
        seen.append(len(running))
        time.sleep(0.05)
        running.remove(job)
        return ""

    assert len(list(recording.measure_missing(range(8), measure, threads))) == 8
    assert max(seen) == most


# A chapter's own code


@pytest.fixture
def chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chapter of four cells, of which a study may run the first three."""
    monkeypatch.setattr(studies, "NOTEBOOKS", tmp_path)
    sources = ("import math", "size = 3  # why", "def train():\n    return math.sqrt(size)", "raise RuntimeError")
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["book"] = {"imports": True}
    write(new_notebook(cells=cells), tmp_path / "toy.ipynb")
    return tmp_path / "toy.ipynb"


def test_a_chapter_is_run_up_to_the_cell_that_is_asked_for(chapter: Path) -> None:
    assert studies.run_cells("toy", "train")["train"]() == 3**0.5
    assert studies.run_cells("toy", "size")["size"] == 3
    with pytest.raises(studies.StudyError, match="no cell of the chapter toy defines trane"):
        studies.run_cells("toy", "trane")


def digest_with(toy: Path, chapter: Path, old: str = "", new: str = "") -> str:
    """The toy's digest where it runs the chapter's cells, with a change to the chapter's file."""
    toy.write_text(TOY + 'CELLS = ("toy", "train")\n', encoding="utf-8")
    before = chapter.read_text(encoding="utf-8")
    assert old in before
    chapter.write_text(before.replace(old, new), encoding="utf-8")
    digest = studies.study_digest(toy)
    chapter.write_text(before, encoding="utf-8")
    return digest


@pytest.mark.parametrize(("old", "new"), [("size = 3", "size = 4"), ("math.sqrt", "math.cbrt")])
def test_the_digest_holds_the_cells_that_are_run(toy: Path, chapter: Path, old: str, new: str) -> None:
    assert digest_with(toy, chapter, old, new) != digest_with(toy, chapter)


@pytest.mark.parametrize(
    ("old", "new"), [("# why", "# because"), ("raise RuntimeError", "done = True"), ("import math", "import math, ast")]
)
def test_the_digest_leaves_out_what_does_not_count(toy: Path, chapter: Path, old: str, new: str) -> None:
    assert digest_with(toy, chapter, old, new) == digest_with(toy, chapter)


def test_the_digest_holds_the_study_that_a_script_imports_from(with_runs: Path) -> None:
    importing = studies.STUDIES / "importing.py"
    importing.write_text("from studies.toy import measure\n" + TOY, encoding="utf-8")
    before = studies.study_digest(importing)
    with_runs.write_text(WITH_RUNS.replace("SEEDS = 2", "SEEDS = 4").replace('"size": 2', '"size": 3'), "utf-8")
    assert studies.study_digest(importing) == before  # what the other one measures does not count
    with_runs.write_text(WITH_RUNS.replace("10 *", "20 *"), "utf-8")
    assert studies.study_digest(importing) != before


def test_the_digest_holds_the_helpers_that_measure(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_text(TOY + "from helpers import losses, plotting\n", encoding="utf-8")
    reached, before = studies.helpers_reached, studies.study_digest(toy)
    for module, counts in (("losses", True), ("plotting", False)):
        changed = {**reached([studies._parse(toy)]), module: studies.ast.parse("x = 1")}
        monkeypatch.setattr(studies, "helpers_reached", lambda trees, changed=changed: changed)
        assert (studies.study_digest(toy) != before) is counts
