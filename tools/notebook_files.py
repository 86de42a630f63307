"""Chapters as files: where they are, reading and writing them, and the setup cell."""

import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"

HIDING = {"hide-input", "hide-cell"}  # the tags that fold code away
SETUP_TITLE = "# @title Setup\n"  # what Colab shows in place of a folded cell; chapters of the old form lack it
# The setup cell: the same in every chapter, byte for byte. `make set-repository` fills in the two values; an address
# has a line to itself, since a line may be too long only where it ends with one.
VALUES = 'REPOSITORY, BRANCH = "{repository}", "{branch}"  # written by `make set-repository URL=...`'
VALUES_WITH_ADDRESS = 'REPOSITORY = "{repository}"\nBRANCH = "{branch}"'
SETUP_CELL = """\
import importlib.util, os, subprocess, sys  # the same cell in every chapter
from pathlib import Path

{values}
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


def chapters(names: list[str] | None = None, root: Path = ROOT) -> list[Path]:
    """The chapters' files in alphabetical order, or those of the given names.

    Raises ValueError for a name that no chapter has.
    """
    paths = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
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
    """What the cell's metadata holds under `book`; CONTRIBUTING.md lists the keys."""
    return cell.metadata.get("book", {})


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The notebook's code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: NotebookNode) -> str:
    """What the cell wrote to its standard output."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def verdict_lines(notebook: NotebookNode) -> list[str]:
    """The lines in which a chapter says whether a result lies in its reference band."""
    lines = [line for cell in code_cells(notebook) for line in printed(cell).splitlines()]
    return [line for line in lines if re.match(r"[^:]+: .*\breference band\b", line)]


def only_draws(cell: NotebookNode) -> bool:
    """Whether the cell does nothing but draw a named figure: its code is then hidden; one that computes is shown."""
    return "figure" in cell.metadata.get("mystnb", {}) and bool(HIDING & set(cell.metadata.get("tags", [])))


def setup_source(repository: str, branch: str) -> str:
    """The source of the setup cell for a repository's address (empty: none yet) and branch."""
    values = VALUES_WITH_ADDRESS if repository else VALUES
    return SETUP_CELL.format(values=values.format(repository=repository, branch=branch))


def setup_values(source: str) -> tuple[str, str] | None:
    """Address and branch written in a setup cell's source, or None where the source is not the setup cell's."""
    source = source.removeprefix(SETUP_TITLE)
    for values in (VALUES, VALUES_WITH_ADDRESS):
        pattern = re.escape(values.format(repository="<>", branch="<>")).replace("<>", '([^"\n]*)')
        found = re.search(pattern, source)
        if found and setup_source(*found.groups()) == source:
            return found[1], found[2]
    return None
