"""The package `helpers` keeps its shape: who imports whom, no tricks, readable in one sitting."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.notebook_files import ROOT

MODULES = {path.stem: path for path in sorted((ROOT / "helpers").glob("*.py"))}
# Which modules of helpers each may import; all else stands on its own.
MAY_IMPORT = {
    "conditional": {"checks", "data", "losses", "models"},
    "data": {"checks"},
    "networks": {"checks"},
    "records": {"bands"},
    "models": {"checks", "losses"},
    "scorecard": {"checks", "data", "metrics", "networks"},
    "training": {"data"},
}
EXPECTED = {
    "bands",
    "checks",
    "conditional",
    "data",
    "diagnosis",
    "doctor",
    "losses",
    "metrics",
    "mixtures",
    "models",
    "networks",
    "plotting",
    "records",
    "runtime",
    "scorecard",
    "training",
    "transformers",
}
MAX_LINES, MAX_LINES_IN_ALL = 200, 1_150


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def helpers_imported(tree: ast.AST) -> Iterator[str]:
    """The names of the modules of helpers that an import in this code names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = f"helpers.{node.module or ''}".rstrip(".") if node.level else node.module
            names = [f"{origin}.{alias.name}" for alias in node.names] if origin == "helpers" else [origin]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("helpers."))


def wrong_imports(module: str, tree: ast.AST) -> set[str]:
    return set(helpers_imported(tree)) - MAY_IMPORT.get(module, set())


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
    assert set(MODULES) - {"__init__"} == EXPECTED


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_it_may(module: str) -> None:
    assert wrong_imports(module, parsed(MODULES[module])) == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_leaves_the_import_path_alone(module: str) -> None:
    assert not changes_import_path(parsed(MODULES[module]))


def test_the_package_itself_offers_nothing() -> None:
    assert code_lines(MODULES["__init__"].read_text(encoding="utf-8")) == 0


def test_helpers_can_be_read_in_one_sitting() -> None:
    lines = {module: code_lines(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}
    assert sum(lines.values()) <= MAX_LINES_IN_ALL


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("metrics", "from helpers import models"),
        ("metrics", "from . import models"),
        ("metrics", "from .models import VAE"),
        ("metrics", "import helpers.models as networks"),
        ("losses", "def late():\n    from helpers.models import VAE"),
        ("models", "from helpers import losses, training"),
        ("training", "from helpers import plotting"),
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
