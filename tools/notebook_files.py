"""Chapters as files: where they are, reading and writing them, the setup cell, and digests of the code they run."""

import ast
import hashlib
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
MEASURING_NOTHING = ("plotting", "bands", "records")  # modules of helpers that show and compare
PARSING = threading.Lock()

# The setup cell: the same in every chapter, byte for byte. `make set-repository` fills in the two values.
SETUP_CELL = """\
import importlib.util, os, subprocess, sys  # the same cell in every chapter
from pathlib import Path

REPOSITORY, BRANCH = "{repository}", "{branch}"  # written by `make set-repository URL=...`
repository = os.environ.get("BOOK_REPOSITORY", REPOSITORY)
found = importlib.util.find_spec("helpers")
places = (found and found.submodule_search_locations) or ()
if not any(Path(place, "book", "runtime.py").exists() for place in places):
    if found and found.origin:  # a file of yours, which Python would take for them
        sys.exit(f"{{found.origin}} hides the book's helpers: move it, then restart.")
    if not repository or "COLAB_RELEASE_TAG" not in os.environ:  # there install them
        sys.exit("No helpers here: use `make lab`; for Colab, first `make set-repository`.")
    install = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, f"git+{{repository}}@{{BRANCH}}"], check=True)
from helpers.book import runtime

settings = runtime.start()  # profile, seed, device"""


def chapters(names: list[str] | None = None) -> list[Path]:
    """The chapters' files in alphabetical order, or those of the given names.

    Raises ValueError for a name that no chapter has.
    """
    paths = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    unknown = [name for name in names or [] if name not in paths]
    if unknown:
        raise ValueError(f"no chapter is called {', '.join(unknown)}; there are {', '.join(paths) or 'none'}")
    return [paths[name] for name in names] if names else list(paths.values())


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


def text_of(notebook: NotebookNode) -> str:
    """The one form in which a notebook is stored: sorted keys, an indent of one, real letters, a closing newline."""
    return nbformat.writes(notebook) + "\n"


def write(notebook: NotebookNode, path: Path) -> None:
    """Replaces the file by the notebook in one step, so that an interruption leaves the old or the new, never half."""
    write_text(text_of(notebook), path)


def write_text(text: str, path: Path) -> None:
    """Replaces the file by the text in one step, keeping its permissions."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=path.parent, delete=False) as file:
        file.write(text)
    written = Path(file.name)
    written.chmod(path.stat().st_mode if path.exists() else 0o644)
    written.replace(path)


def book_metadata(cell: NotebookNode) -> dict:
    """What the cell's metadata holds under `book`: setup, imports, exercise, record, alt_from."""
    return cell.metadata.get("book", {})


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The notebook's code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def only_draws(cell: NotebookNode) -> bool:
    """Whether the cell does nothing but draw a named figure: its code is then hidden; one that computes is shown."""
    return "figure" in cell.metadata.get("mystnb", {}) and "hide-input" in cell.metadata.get("tags", [])


def setup_source(repository: str, branch: str) -> str:
    """The source of the setup cell for a repository's address (empty: none yet) and branch."""
    return SETUP_CELL.format(repository=repository, branch=branch)


def setup_values(source: str) -> tuple[str, str] | None:
    """Address and branch written in a setup cell's source, or None where the source is not the setup cell's."""
    pattern = re.escape(setup_source("<1>", "<2>")).replace("<1>", '([^"]*)').replace("<2>", '([^"]*)')
    match = re.fullmatch(pattern, source)
    return (match[1], match[2]) if match else None


def parse_code(source: str, name: str = "<unknown>") -> ast.Module:
    """The syntax tree of source, which errors call by name; everything in tools parses here.

    One thread at a time: two that parse at once raise SystemError now and then in Python 3.11, python/cpython#106905.
    """
    with PARSING:
        return ast.parse(source, name)


def code_digest(path: Path) -> str:
    """What a chapter's stored outputs depend on: its code cells and every module of helpers that it reaches.

    Comments, docstrings and layout do not count, nor the setup cell, which is the same everywhere, nor what a choice
    by `quick` holds for the full profile.
    """
    return _digest(path, "quick", lambda cell: True, without=())


def band_digest(path: Path, profile: str = "quick") -> str:
    """What a chapter's measured values in a profile depend on: as `code_digest`, without what measures nothing.

    That is: figures, comparisons with stored results, and exercises.
    """
    return _digest(
        path,
        profile,
        lambda cell: not (only_draws(cell) or {"exercise", "record"} & book_metadata(cell).keys()),
        without=MEASURING_NOTHING,
    )


def _digest(path: Path, profile: str, counts: Callable[[NotebookNode], bool], without: tuple[str, ...]) -> str:
    cells = [cell for cell in code_cells(read(path)) if "setup" not in book_metadata(cell)]
    every_tree = [as_run(parse_code(cell.source, f"{path.name} cell {cell.get('id')}"), profile) for cell in cells]
    counted = [canonical(tree) for cell, tree in zip(cells, every_tree, strict=True) if counts(cell)]
    modules = {name: canonical(tree) for name, tree in helpers_reached(every_tree).items() if name not in without}
    return hashlib.sha256(repr((counted, sorted(modules.items()))).encode()).hexdigest()


def as_run(tree: ast.Module, profile: str) -> ast.Module:
    """A chapter's code as a profile runs it: of every `A if quick else B` the one side that is taken."""

    class TakeOneSide(ast.NodeTransformer):
        def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
            self.generic_visit(node)
            chosen = isinstance(node.test, ast.Name) and node.test.id == "quick"
            return (node.body if profile == "quick" else node.orelse) if chosen else node

    return TakeOneSide().visit(tree)


def helpers_reached(trees: list[ast.Module], package: Path = ROOT / "helpers") -> dict[str, ast.Module]:
    """The modules of helpers that the code imports, directly or through one another, by name."""
    reached: dict[str, ast.Module] = {}
    waiting = list(trees)
    while waiting:
        for name in helpers_imported(waiting.pop()):
            file = package / f"{name}.py"
            if name not in reached and file.exists():
                reached[name] = parse_code(file.read_text(encoding="utf-8"), str(file))
                waiting.append(reached[name])
    return reached


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


def canonical(node: object) -> object:
    """A syntax tree as nested tuples that are the same for every Python from 3.11 on.

    `ast.dump` is not: newer versions add empty fields to a node or leave them out.
    """
    if isinstance(node, list):
        return tuple(canonical(item) for item in node)
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = fields["body"][1:]
    return type(node).__name__, *((name, canonical(value)) for name, value in fields.items())
