"""One environment for every test process and notebook kernel; `--chapter`, `--soak`; and, at the end, what tests cost.

It stands in the root so that `pytest notebooks/vae.ipynb` alone gets it too.
"""

import importlib.util
import os
import resource
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from helpers.book.surroundings import SettingsError, check_keras
from tools.environment import UNSET, quick_environment
from tools.notebook_files import chapters

os.environ.update(quick_environment())
for name in UNSET:
    os.environ.pop(name, None)

GIGABYTE = 1e9 if sys.platform == "darwin" else 1e6  # macOS counts bytes here, Linux kilobytes
DEAREST = 15  # files in the summary
HEAVIEST = 5  # pages in it
SPENT: Counter[str] = Counter()  # CPU seconds by test file, in this process
GROWN: Counter[str] = Counter()  # by how much each file raised this process's peak of memory, in GB
WORKERS: list[dict] = []  # what each worker said of itself when it ended


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--chapter` and `--soak`."""
    parser.addoption("--chapter", metavar="NAME", help="only what concerns this chapter of the book")
    parser.addoption("--soak", action="store_true", help="tests marked soak in their long form, and keep their figures")


def pytest_configure() -> None:
    """Ends at once where Keras's own settings would make every test red, and says which."""
    try:
        check_keras()
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error


# What runs


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps what `--chapter` asks for, and skips what would run PyTorch where that extra is missing."""
    wanted = config.getoption("chapter")
    if wanted is not None:
        try:
            chapters([wanted])
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
        config.hook.pytest_deselected(items=[item for item in items if not concerns(item, wanted)])
        items[:] = [item for item in items if concerns(item, wanted)]
    if importlib.util.find_spec("torch") is None:
        for path in chapters():
            if "import torch" in path.read_text(encoding="utf-8"):
                skip_runs(path, items)


def concerns(item: pytest.Item, chapter: str) -> bool:
    """Whether a test is a cell of the chapter, or has the chapter among its parameters: its name, file or page."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = [getattr(value, "chapter", value) for value in values]
    return chapter in {item.path.stem, *(Path(value).stem for value in named if isinstance(value, str | Path))}


def skip_runs(path: Path, items: list[pytest.Item]) -> None:
    """Skips the cells of a chapter, and the tests that run its code; what reads it stays."""
    for item in items:
        if item.path == path or (concerns(item, path.stem) and item.get_closest_marker("runs_chapters")):
            item.add_marker(pytest.mark.skip(reason="PyTorch is not installed: see requirements-torch.txt"))


# What it costs


def cpu_seconds() -> float:
    """CPU seconds that this process, and those that it started and that have ended, have used, to the microsecond."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def find_peak(who: int) -> float:
    """The most memory that this process, or the largest that it started, has had, in GB."""
    return resource.getrusage(who).ru_maxrss / GIGABYTE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Counts a test's CPU seconds and memory for its file; a chapter's kernel comes with its last cell."""
    before, peak = cpu_seconds(), find_peak(resource.RUSAGE_SELF)
    try:
        return (yield)
    finally:
        SPENT[item.location[0]] += cpu_seconds() - before
        GROWN[item.location[0]] += find_peak(resource.RUSAGE_SELF) - peak


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands what a worker has used to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cost"] = find_cost(session.config.workerinput["workerid"])


def find_cost(name: str) -> dict:
    """What this process has used: CPU seconds in all and by file, and peaks of memory in GB."""
    peaks = {"own": find_peak(resource.RUSAGE_SELF), "started": find_peak(resource.RUSAGE_CHILDREN)}
    return {"name": name, "cpu": cpu_seconds(), "by_file": dict(SPENT), "grown": GROWN.most_common(2), **peaks}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Keeps what a worker handed over; one that crashed has handed over nothing."""
    WORKERS.extend([node.workeroutput["cost"]] if hasattr(node, "workeroutput") else [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the CPU seconds, and how large the processes grew; after all tests, what was measured with other code."""
    costs = WORKERS or [find_cost("pytest")]
    by_file: Counter[str] = Counter()
    for cost in costs:
        by_file.update(cost["by_file"])
    terminalreporter.section("cost")
    for file, seconds in by_file.most_common(DEAREST):
        terminalreporter.line(f"{seconds:7.1f} CPU s  {file}")
    terminalreporter.line(f"{sum(cost['cpu'] for cost in costs):7.1f} CPU s  in all")
    for cost in costs:
        where = ", ".join(f"{size:.1f} in {file}" for file, size in cost["grown"])
        told = f"{cost['name']} grew to {cost['own']:.1f} GB ({where}), the largest process that it started to"
        terminalreporter.line(f"{told} {cost['started']:.1f} GB")
    name_pages(terminalreporter)
    if config.getoption("soak"):
        keep_figures(terminalreporter)
    if config.args_source == pytest.Config.ArgsSource.TESTPATHS:
        name_stale(terminalreporter)


def name_pages(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests in a browser have found of the pages: what axe said, and the heaviest first loads."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    pages = [value for one in reports for name, value in getattr(one, "user_properties", ()) if name == "page"]
    if not pages:
        return
    terminalreporter.section("pages in a browser")
    found: Counter[str] = Counter()
    for page in pages:
        found.update(page["axe"])
    told = ", ".join(f"{found[impact]} {impact}" for impact in ("critical", "serious", "moderate", "minor"))
    asked = max(page["rules"] for page in pages)
    terminalreporter.line(f"{len(pages)} pages, {asked} rules of axe: findings: {told}")
    for page in sorted(pages, key=lambda page: -page["bytes"])[:HEAVIEST]:
        terminalreporter.line(f"{page['bytes'] / 1e3:7.0f} kB in {page['requests']} requests  {page['name']}")


def keep_figures(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints and stores what the long tests have counted; the page of promises shows it."""
    from tests.soaking import find_figures, store_figures  # here, because only this process and `make soak` need it

    found = find_figures(terminalreporter.stats.get("passed", []))
    terminalreporter.section("promises")
    for promise, one in found.items():
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one["figures"].items())
        terminalreporter.line(f"{promise}: {told}")
    if found:
        store_figures(found)


def name_stale(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what was measured with other code: no failure, and `make fresh` mends it."""
    from tools.digest import find_unpinned  # both here, because workers have no use for them
    from tools.stale import find_stale

    terminalreporter.section("measured with other code; `make fresh` measures it again")
    for one in [] if find_unpinned() else find_stale():
        terminalreporter.line(str(one))
