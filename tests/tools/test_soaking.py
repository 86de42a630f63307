"""Tests with a short and a long form: which amount they take, and what they tell."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.soaking import FIGURES, WRITTEN, Soak, describe_code, find_figures, store_figures
from tests.tools.conftest import commit_all


def report(nodeid: str, *told: tuple[str, dict]) -> SimpleNamespace:
    """A report of a test that told something."""
    kept: list[tuple[str, object]] = [("page", {"name": "index"})]
    for promise, figures in told:
        Soak(True, lambda name, value: kept.append((name, value))).tell(promise, **figures)
    return SimpleNamespace(nodeid=nodeid, user_properties=kept)


def test_the_form_decides_on_the_amount() -> None:
    assert [Soak(long, print).choose(3, 50) for long in (False, True)] == [3, 50]


def test_figures_are_gathered_by_promise_and_stored_beside_those_of_others(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    file.write_text(json.dumps({"resume": {"figures": {"kills": 1}}, "bad input": {"figures": {"tried": 5}}}), "utf-8")
    reports = [report("tests/a.py::test_kill[gan]", ("resume", {"kills": 50, "not_here": "none", "of": ["gan"]}))]
    reports += [report("tests/a.py::test_kill[vae]", ("resume", {"kills": 50, "of": ["vae"]}))]
    store_figures(find_figures([*reports, report("tests/a.py::test_b")]), file)
    store_figures(find_figures([report("tests/c.py::test_cost", ("resume", {"percent": 1.5}))]), file)
    store_figures(find_figures([report("tests/a.py::test_kill[vae]", ("resume", {"of": ["vae"]}))]), file)  # again
    stored = json.loads(file.read_text("utf-8"))
    assert stored["bad input"] == {"figures": {"tried": 5}}
    told = {"kills": 100, "not_here": "none", "percent": 1.5, "of": ["gan", "vae"]}
    assert stored["resume"]["figures"] == told  # of three runs
    assert stored["resume"]["tests"] == ["tests/a.py::test_kill", "tests/c.py::test_cost"]
    stored["resume"]["commit"] = "an earlier one"
    file.write_text(json.dumps(stored), "utf-8")
    store_figures(find_figures([report("tests/c.py::test_cost", ("resume", {"percent": 1.4}))]), file)
    assert json.loads(file.read_text("utf-8"))["resume"]["figures"] == {"percent": 1.4}
    assert {"commit", "date", "machine", "versions"} <= stored["resume"].keys()


def test_threads_are_those_of_the_tests_also_where_a_command_only_starts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOOK_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # as in `make mutation`
    store_figures(find_figures([report("tests/mutation.py", ("tests bite", {"killed": 1}))]), file := tmp_path / "f")
    assert json.loads(file.read_text("utf-8"))["tests bite"]["machine"]["threads"] == 1


def test_what_a_long_run_writes_makes_no_code_dirty(tmp_path: Path) -> None:
    for name in (*WRITTEN, "code.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", "utf-8")
    clean = commit_all(tmp_path)[:12]
    assert describe_code(tmp_path) == clean
    for name in WRITTEN:
        (tmp_path / name).write_text("2", "utf-8")
    (tmp_path / "new.py").write_text("1", "utf-8")
    assert describe_code(tmp_path) == clean
    (tmp_path / "code.py").write_text("2", "utf-8")
    assert describe_code(tmp_path) == f"{clean}-dirty"


def test_stored_figures_are_of_code_that_git_holds() -> None:
    stored = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    assert [name for name, one in stored.items() if one["commit"].endswith("-dirty")] == []
