"""The package `helpers` keeps its shape: who imports whom, no tricks, readable in one sitting."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from tools.notebook_files import ROOT

PACKAGE = ROOT / "helpers"
TAUGHT = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}
BOOK = {f"book.{path.stem}": path for path in sorted((PACKAGE / "book").glob("*.py"))}
MODULES = TAUGHT | BOOK
DOORS = ("arguments", "checks", "files", "leaks")  # what looks at what the others are given
KEEPERS = ("checkpoints", "states")  # what a training leaves for the process after its own
# Which modules of helpers each may import; all else stands on its own.
MAY_IMPORT = {
    "checks": {"arguments"},
    "files": {"arguments"},
    "data": {*DOORS, "book.surroundings"},
    "diagnosis": {"arguments", "checks"},
    "flow": {"arguments", "checks", "models", "seeded"},
    "losses": {"arguments"},
    "metrics": {"arguments", "checks"},
    "networks": {"arguments", "book.surroundings", "checks"},
    "models": {"arguments", "checks", "losses", "seeded"},
    "plotting": {"arguments", "checks"},
    "seeded": {"arguments", "checks"},
    "scorecard": {"arguments", "book.bands", "checks", "data", "files", "metrics", "networks"},
    "checkpoints": {"arguments", "states"},
    "training": {"arguments", "checkpoints", "checks", "data", "flow", "models"},
    "transformers": {"arguments", "checks"},
    "book.doctor": {"book.surroundings"},
    "book.runtime": {"book.surroundings"},
    "book.page": {"plotting"},
    "book.full_runs": {"book.page"},
    "book.bands": {"arguments", "book.full_runs", "book.verdicts", "checks", "files"},
    "book.corpus": {"arguments"},
    "book.datasets": {"arguments"},
    "book.records": {"arguments", "book.bands", "book.full_runs", "files"},
    "book.temperature": {"arguments", "book.page", "checks"},
    "book.widgets": {"arguments", "book.page", "checks", "plotting"},
    "book.prompts": {"book.page"},
    "book.mixing": {"book.page", "book.widgets", "plotting"},
    "book.runs": {"book.page"},
    "book.service": {"arguments", "book.surroundings", "checks", "files", "data", "models", "networks", "training"},
    "book.score_samples": {"arguments", "book.surroundings", "checks", "data", "files", "metrics", "scorecard"},
}
EXPECTED = {
    *DOORS,
    "checkpoints",
    "data",
    "diagnosis",
    "flow",
    "losses",
    "metrics",
    "models",
    "networks",
    "plotting",
    "scorecard",
    "seeded",
    "states",
    "training",
    "transformers",
    "book.bands",
    "book.corpus",
    "book.datasets",
    "book.doctor",
    "book.full_runs",
    "book.mixing",
    "book.page",
    "book.prompts",
    "book.records",
    "book.runs",
    "book.runtime",
    "book.score_samples",
    "book.service",
    "book.surroundings",
    "book.temperature",
    "book.verdicts",
    "book.widgets",
}
MAX_LINES = 240  # of a module, of which doors are some 20
# Of what chapters teach, each function with its door; of the doors; of what holds the book together, a third of it
# widgets
MAX_TAUGHT, MAX_DOORS, MAX_KEEPERS, MAX_BOOK = 1_560, 480, 230, 1_730


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def wrong_imports(module: str, tree: ast.AST) -> set[str]:
    """The modules of helpers that the code of one imports and should not, as "metrics" or "book.bands"."""
    package = f"helpers.{module}".rsplit(".", 1)[0]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        inside = [name.removeprefix("helpers.") for name in names if name.startswith("helpers.")]
        found |= {next((known for known in MODULES if f"{name}.".startswith(f"{known}.")), name) for name in inside}
    return found - MAY_IMPORT.get(module, set())


def find_circle() -> list[str]:
    """The modules that import one another in a circle, by MAY_IMPORT; empty where there is none."""
    left = dict(MAY_IMPORT)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def changes_import_path(tree: ast.AST) -> bool:
    """Whether the code reaches for `sys.path`, by whatever way it imports it."""
    return any(
        (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path")
        or (isinstance(node, ast.ImportFrom) and node.module == "sys" and any(a.name == "path" for a in node.names))
        for node in ast.walk(tree)
    )


def code_lines(source: str) -> int:
    """Lines that hold code: no blank lines, no comments, no docstrings."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_modules_are_those_of_the_design() -> None:
    assert set(MODULES) - {"__init__", "book.__init__"} == EXPECTED


def test_no_circle() -> None:
    assert find_circle() == []


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_it_may(module: str) -> None:
    assert wrong_imports(module, parsed(MODULES[module])) == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_leaves_the_import_path_alone(module: str) -> None:
    assert not changes_import_path(parsed(MODULES[module]))


@pytest.mark.parametrize("module", ["__init__", "book.__init__"])
def test_the_package_itself_offers_nothing(module: str) -> None:
    assert code_lines(MODULES[module].read_text(encoding="utf-8")) == 0


def test_helpers_can_be_read_in_one_sitting() -> None:
    lines = {module: code_lines(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}
    assert sum(lines[module] for module in TAUGHT if module not in (*DOORS, *KEEPERS)) <= MAX_TAUGHT
    assert sum(lines[module] for module in KEEPERS) <= MAX_KEEPERS
    assert sum(lines[module] for module in DOORS) <= MAX_DOORS
    assert sum(lines[module] for module in BOOK) <= MAX_BOOK


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("metrics", "from helpers import models"),
        ("checks", "from helpers import data"),
        ("metrics", "from . import models"),
        ("metrics", "from .models import VAE"),
        ("metrics", "import helpers.models as networks"),
        ("losses", "def late():\n    from helpers.models import VAE"),
        ("models", "from helpers import losses, training"),
        ("training", "from helpers import plotting"),
        ("models", "from helpers.book import records"),
        ("models", "import helpers.book.bands"),
        ("book.doctor", "from . import records"),
        ("book.bands", "from .. import metrics"),
        ("book.bands", "from helpers.book.records import load"),
    ],
)
def test_a_wrong_import_is_caught(module: str, source: str) -> None:
    assert wrong_imports(module, ast.parse(source)) != set()


@pytest.mark.parametrize("source", ["import sys\nsys.path.insert(0, '..')", "from sys import path"])
def test_a_change_of_the_import_path_is_caught(source: str) -> None:
    assert changes_import_path(ast.parse(source))


def test_lines_of_code_are_counted() -> None:
    source = (
        '"""Module.\n\nText."""\n\n# comment\nx = (\n    1\n)\n\n\ndef f():\n    """Text."""\n    return x  # why\n'
    )
    assert code_lines(source) == 5
