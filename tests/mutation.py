"""`make mutation`: do the tests of `helpers` notice a mistake? Each of a seeded sample of mutants should fail one.

In a copy of the tree all those tests run once on whole code: they must pass, and it is kept which lines each runs.
Then, mutant after mutant, those that run the changed statement, and the rest of the module's own test file. What was
found stays in tests/mutants.json, and a later call goes on from there, on any machine: a kill counts while the module
and the test that killed are the same, a survivor while nothing in helpers and its tests has changed.

tests/survivors.toml gives the reason of each survivor, and of each line of `helpers` that these tests do not run.
"""

import argparse
import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.breakages import LEFT_OUT
from tests.mutants import SCOPES, Mutant, find_mutants
from tests.soaking import store_figures
from tools.environment import quick_environment
from tools.notebook_files import ROOT
from tools.recording import read_json, write_json

COUNT, SEED, LEAST = 300, 20, 0.9
TESTS = ("tests/helpers",)
BUDGET = 60  # CPU seconds of tests of other modules
# A test of a mutant may take so many CPU seconds, and so many times what the dearest of its file takes; and a run so
# many seconds of a clock for each of them, on a machine that does much else. What takes longer would never end.
GRACE, SLOWER, CLOCK = 10, 5, 10
EXCUSES = ROOT / "tests" / "survivors.toml"
FOUND = ROOT / "tests" / "mutants.json"
OBSERVED = ROOT / "_build" / "mutation"


class TestsFailError(RuntimeError):
    """Tests that fail before anything is changed."""


def hash_files(*paths: Path) -> str:
    """A digest of what files hold."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def code_files(tree: Path) -> list[Path]:
    """The modules of `helpers` and the tests of them."""
    return [path for folder in ("helpers", *TESTS) for path in sorted((tree / folder).rglob("*.py"))]


def find_all(tree: Path) -> list[Mutant]:
    """All mutants of `helpers`, in an order of their own: the first 300 are a sample that an edit elsewhere keeps."""
    found = []
    for path in sorted((tree / "helpers").rglob("*.py")):
        found += find_mutants(path.read_text(encoding="utf-8"), path.relative_to(tree).as_posix())
    return sorted(found, key=lambda mutant: hashlib.sha256(f"{SEED} {mutant.name}".encode()).digest())


def find_packages(tree: Path) -> list[str]:
    """The modules from elsewhere that `helpers` and its tests import, which each child finds imported."""
    found: set[str] = set()
    for path in code_files(tree):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return sorted(name for name in found if name.partition(".")[0] not in ("helpers", "tests", "tools"))


class Worker:
    """The process that runs tests in a copy of the tree."""

    def __init__(self, process: subprocess.Popen, packages: list[str]) -> None:
        self.process, self.packages = process, packages  # what it imports when there is a first job

    def ask(self, **job: object) -> dict:
        """Its answer to a job."""
        if self.packages:
            self.process.stdin.write(json.dumps({"load": self.packages}) + "\n")
            self.packages = []
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that runs the tests has died; what it said stands above")
        return json.loads(answer)


@contextmanager
def start_worker(tree: Path, log: Path) -> Iterator[Worker]:
    """Starts that process in `tree`, with a home of its own, behind all else that this machine does."""
    with tempfile.TemporaryDirectory() as home:
        settings = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = ["nice", "-n", "10", sys.executable, "-P", str(Path(__file__).with_name("mutant_worker.py"))]
        with subprocess.Popen(
            [*command, str(tree), str(log)],
            cwd=tree,
            env=quick_environment(HOME=home, **settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            yield Worker(process, find_packages(tree))
            process.stdin.close()


def observe(tree: Path, worker: Worker, found: Path) -> dict:
    """Which tests run which line of the whole code, and how long each takes; kept while the code stays the same."""
    digest, kept = hash_files(*code_files(tree)), read_json(found / "observed.json")
    if kept.get("of") != digest:
        kept = worker.ask(observe=list(TESTS)) | {"of": digest}
        if kept["failed"]:
            raise TestsFailError(f"these fail without a mutant, so nothing is proved: {', '.join(kept['failed'])}")
        write_json(kept, found / "observed.json")
    return kept


def choose_tests(mutant: Mutant, observed: dict) -> list[str]:
    """The tests that may kill a mutant, in the order in which they run.

    Those that run the statement, of the module's own file first; where the statement runs on import, or in TensorFlow's
    own copy of a function, those that run anything of the module. Then all others of the module's own file, which may
    use values that the first ones have left in a cache.
    """
    lines, seconds = observed["touched"].get(mutant.file, {}), observed["seconds"]
    first, last = mutant.lines
    touching = {test for line in range(first, last + 1) for test in lines.get(str(line), [])}
    touching = touching or {test for tests in lines.values() for test in tests}
    own = [test for test in seconds if Path(find_file(test)).name == f"test_{Path(mutant.file).stem}.py"]
    chosen = sorted(touching.intersection(own), key=seconds.get)
    spent = 0.0
    for test in sorted(touching.difference(own), key=seconds.get):
        spent += seconds[test]
        chosen += [test] if spent <= BUDGET else []
    return chosen + [test for test in own if test not in touching]


def find_file(test: str) -> str:
    """The file of a test, by the name that pytest gives it."""
    return test.partition("::")[0]


def find_limits(tests: list[str], seconds: dict[str, float], grace: float) -> dict[str, float]:
    """The CPU seconds that each test may take; whichever of a file comes first pays for what the file shares."""
    dearest: dict[str, float] = {}
    for test, taken in seconds.items():
        dearest[find_file(test)] = max(dearest.get(find_file(test), 0.0), taken)
    return {test: grace + SLOWER * dearest[find_file(test)] for test in tests}


def is_known(result: dict | None, mutant: Mutant, tree: Path) -> bool:
    """Whether a result still says something of the code as it stands."""
    return result is not None and result["of"] == find_digest(result["killed_by"], mutant, tree)


def find_digest(killed_by: str, mutant: Mutant, tree: Path) -> str:
    """A digest of what a result depends on."""
    module, file = tree / mutant.file, tree / find_file(killed_by.removeprefix("import of "))
    if not file.is_file():
        return hash_files(*code_files(tree))
    test = re.search(r"::(\w+)", killed_by)
    return hash_files(module) + hash_test(file, test[1]) if test else hash_files(module, file)


def hash_test(file: Path, name: str) -> str:
    """A digest of the text of one test, its parameters among it, of whichever tests stand beside it."""
    source = file.read_text(encoding="utf-8")
    tests = [node for node in ast.parse(source).body if getattr(node, "name", "") == name]
    lines = [line for test in tests for line in read_lines(source, test)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_lines(source: str, test: ast.FunctionDef) -> list[str]:
    """The lines of a function with its decorators."""
    first = min(node.lineno for node in (test, *test.decorator_list))
    return source.splitlines()[first - 1 : test.end_lineno]


def run_mutants(
    tree: Path, chosen: list[Mutant], found: Path, scratch: Path, grace: float = GRACE
) -> tuple[dict[str, str], dict[str, list[int]]]:
    """What has killed each mutant, by its name, empty for a survivor; and what was observed of the whole code.

    found: the file of results, which is read, and written after each mutant. scratch: a folder for what can be lost.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    results = read_json(found)
    with start_worker(tree, scratch / "last_run.txt") as worker:
        observed = observe(tree, worker, scratch)
        for mutant in chosen:
            if is_known(results.get(mutant.name), mutant, tree):
                continue
            answer = try_mutant(mutant, (tree / mutant.file).read_text(encoding="utf-8"), observed, worker, grace)
            results[mutant.name] = answer | {"of": find_digest(answer["killed_by"], mutant, tree)}
            write_json(results, found)
            said = answer["killed_by"] or "SURVIVES"
            print(f"{mutant.name} (line {mutant.lines[0]})\n    {said}, {answer['cpu']} CPU s", flush=True)
    return {mutant.name: results[mutant.name]["killed_by"] for mutant in chosen}, observed


def try_mutant(mutant: Mutant, source: str, observed: dict, worker: Worker, grace: float) -> dict:
    """What the worker says of a mutant; where no test runs anything of the module, it survives unasked."""
    tests = choose_tests(mutant, observed)
    if not tests:
        return {"killed_by": "", "cpu": 0.0}
    limits = find_limits(tests, observed["seconds"], grace)
    todo = (sorted({find_file(test) for test in tests}), limits, 3 * grace)
    seconds = CLOCK * (3 * grace + SLOWER * sum(observed["seconds"][test] for test in tests))
    return worker.ask(file=mutant.file, source=mutant.apply(source), judge=todo, seconds=seconds)


class Line(NamedTuple):
    """A line that no test runs."""

    file: str
    function: str  # as "VAE.call"; empty outside of functions
    code: str

    def is_excused(self, excuse: dict) -> bool:
        """Whether an entry of tests/survivors.toml speaks of it: of its code, or of the whole function."""
        named = self.code in excuse.get("code", []) or self.function == excuse.get("function")
        return self.file == excuse["file"] and named


def find_missed(tree: Path, missed: dict[str, list[int]]) -> list[Line]:
    """The lines that no test runs."""
    found = []
    for file, numbers in missed.items():
        source = (tree / file).read_text(encoding="utf-8")
        functions = find_functions(ast.parse(source))
        for number in numbers:
            around = [name for name, (first, last) in functions.items() if first <= number <= last]
            found.append(Line(file, max(around, key=len, default=""), source.splitlines()[number - 1].strip()))
    return found


def find_functions(node: ast.AST, above: str = "") -> dict[str, tuple[int, int]]:
    """The first and the last line of each function, by its name with those of the classes and functions around it."""
    found = {}
    for child in ast.iter_child_nodes(node):
        name = f"{above}.{child.name}".strip(".") if isinstance(child, SCOPES) else above
        if isinstance(child, ast.FunctionDef):
            found[name] = (child.lineno, child.end_lineno)
        found |= find_functions(child, name)
    return found


def complain(outcome: dict[str, str], lines: list[Line], excuses: dict) -> list[str]:
    """What is not as it should be: too few killed, survivors and lines without a reason, reasons without a case."""
    listed = {one["name"] for one in excuses["survivor"]}
    survivors = {name for name, killed_by in outcome.items() if not killed_by}
    killed = len(outcome) - len(survivors)
    found = [f"only {killed} of {len(outcome)} are killed"] if killed < LEAST * len(outcome) else []
    found += [f"survives, and tests/survivors.toml does not say why: {name}" for name in sorted(survivors - listed)]
    found += [f"is killed by now: {name}" for name in sorted(listed & outcome.keys() - survivors)]
    for line in lines:
        if not any(line.is_excused(excuse) for excuse in excuses["line"]):
            found.append(f"no test runs, and tests/survivors.toml does not say why: {line.file}: {line.code}")
    idle = [one for one in excuses["line"] if not any(line.is_excused(one) for line in lines)]
    return found + [f"is run by now: {one['file']}: {one.get('function', one.get('code'))}" for one in idle]


def main() -> int:
    """Runs the sample and returns the exit status; the figures of a whole one go to the page of promises."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=COUNT, help="mutants; fewer are a look in between")
    count = parser.parse_args().count
    excuses = tomllib.loads(EXCUSES.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "book"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)  # what is edited meanwhile counts for none
        try:
            outcome, observed = run_mutants(tree, find_all(tree)[:count], FOUND, OBSERVED)
        except TestsFailError as error:
            print(error, file=sys.stderr)
            return 1
        missed = find_missed(tree, observed["missed"])
        complaints = complain(outcome, missed, excuses)
    killed = sum(map(bool, outcome.values()))
    share = round(100 * killed / max(1, len(outcome)), 1)
    print(f"\n{len(outcome)} mutants, {killed} killed: {share} %", *complaints, sep="\n")
    print(f"{observed['lines']} lines, {len(missed)} not run by these tests")
    if count >= COUNT and not complaints:
        figures = {"mutants": len(outcome), "killed": killed, "share_percent": share}
        figures |= {"lines": observed["lines"], "lines_excused": len(missed)}
        store_figures({"tests bite": {"figures": figures, "tests": ["tests/mutation.py"]}})
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
