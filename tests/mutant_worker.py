"""A process that has imported TensorFlow once and forks a child for each run of tests; `python -P` runs this file.

It works in a copy of the tree, given as its folder, and imports nothing of it itself, so that each child gets the
modules as they then stand. Standard input holds its jobs, one JSON value a line; on standard output it answers each.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import pytest

# Without the tests that have a long form: they measure time and memory, which a busy machine changes, or repeat others.
CHOSEN, ALL = "not slow and not soak", "not slow"
OPTIONS = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "--rootdir", "."]
BROKEN = 70  # exit status of a child in which not the tests but this file has failed
MEMORY = 8 * 2**30  # bytes that a mutant may fill


def cpu_seconds() -> float:
    """CPU seconds that this process and those that it started have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Observer:
    """Which lines each test runs, and how long each takes; of tests with a long form, which lines they run together."""

    def __init__(self, tree: Path) -> None:
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(tree / "helpers")])
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        may_kill = item.get_closest_marker("soak") is None
        self.coverage.switch_context(item.nodeid if may_kill else "")
        before = cpu_seconds()
        try:
            return (yield)
        finally:
            if may_kill:
                self.seconds[item.nodeid] = cpu_seconds() - before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed += [report.nodeid] if report.failed and "soak" not in report.keywords else []


class Chooser:
    """The tests asked for, in that order, each with its own limit of CPU time; and the first that fails."""

    def __init__(self, limits: dict[str, float]) -> None:
        self.limits, self.failed = limits, ""
        self.order = {name: place for place, name in enumerate(limits)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((one for one in items if one.nodeid in self.order), key=lambda one: self.order[one.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime + self.limits[item.nodeid]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed = self.failed or (f"import of {report.nodeid}" if report.failed else "")


def observe(tree: Path, tests: list[str]) -> dict:
    """Runs tests of whole code: per file the tests that run a line, and the lines that none runs; seconds; failures."""
    observer = Observer(tree)
    observer.coverage.start()
    status = pytest.main([*OPTIONS, "-m", ALL, *tests], plugins=[observer])
    observer.coverage.stop()
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {int(status)}, and not because a test failed")
    data, touched, missed, lines = observer.coverage.get_data(), {}, {}, 0
    for path in sorted((tree / "helpers").rglob("*.py")):
        name = path.relative_to(tree).as_posix()
        touched[name] = {line: sorted({*tests} - {""}) for line, tests in data.contexts_by_lineno(str(path)).items()}
        _, statements, _, missed[name], _ = observer.coverage.analysis2(str(path))
        lines += len(statements)
    return {
        "touched": touched,
        "missed": missed,
        "lines": lines,
        "seconds": observer.seconds,
        "failed": observer.failed,
    }


def judge(tests: list[str], limits: dict[str, float], imports: int) -> dict:
    """Runs tests of a mutant, and says which of them has killed it; an empty text is a mutant that survives.

    limits: CPU seconds that each test may take; imports: what all of them may take before the first.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (imports, resource.RLIM_INFINITY))
    chooser = Chooser(limits)
    status = pytest.main([*OPTIONS, "-m", CHOSEN, "-x", *tests], plugins=[chooser])
    survives = status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return {"killed_by": "" if survives else chooser.failed or f"the end of pytest with {int(status)}"}


def run_in_child(work: Callable[[], dict], log: Path, seconds: float) -> dict:
    """What a forked child returns; one that ends otherwise, or not in so many seconds of a clock, is killed by that."""
    answer = log.with_suffix(".json")
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.RLIM_INFINITY))
            answer.write_text(json.dumps(work()), encoding="utf-8")
        except BaseException:
            traceback.print_exc()  # into the log
            os._exit(BROKEN)
        os._exit(0)
    late, before, ended = time.monotonic() + seconds, cpu_seconds(), (0, 0)
    try:
        while not ended[0]:
            if time.monotonic() > late:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.05)
            ended = os.waitpid(child, os.WNOHANG)
    finally:  # what a test started and a mutant left behind; or, after Ctrl-C, all of it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    number = os.waitstatus_to_exitcode(ended[1])
    if number in (0, BROKEN) and not answer.exists():
        raise RuntimeError(f"a run of tests ended without an answer; what it said is in {log}")
    found = json.loads(answer.read_text("utf-8")) if answer.exists() else {"killed_by": f"its end with {number}"}
    return found | {"cpu": round(cpu_seconds() - before, 1)}


def main(folder: str, log: str) -> None:
    """Answers job after job."""
    tree = Path(folder)
    for line in sys.stdin:
        job = json.loads(line)
        if "load" in job:  # before the first child; what this machine lacks, no test of these can need
            for name in job["load"]:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()  # or each child would look through all that they brought, seconds for every run
            continue
        if "observe" in job:
            answer = run_in_child(lambda tests=job["observe"]: observe(tree, tests), Path(log), float("inf"))
        else:
            path = tree / job["file"]
            whole = path.read_bytes()
            try:
                path.write_text(job["source"], encoding="utf-8")
                answer = run_in_child(lambda job=job: judge(*job["judge"]), Path(log), job["seconds"])
            finally:
                path.write_bytes(whole)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
