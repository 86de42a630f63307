"""Runs chapters in place, as `make execute` does: `python -m tools.execute [CHAPTER ...]`.

What a run leaves in the file depends on the code alone, but for the measured time and memory: no timestamps, no
version of a library inside a picture, 256 colours in each, cells counted from 1. Numbers in prose become those of the
run (tools/says.py). A chapter that fails is left as it was.
"""

import base64
import io
import json
import re
import struct
import sys
import time
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from PIL import Image

from tools import says
from tools.digest import Code
from tools.environment import quick_environment
from tools.notebook_files import ROOT, book_metadata, chapters, code_cells, read, write

CELL_TIMEOUT_S = 3600
SAID_BY_THE_CHAPTER = ("full_seeds",)  # metadata of a notebook that is not measured
KEPT = ("tags", "mystnb", "book", "cellView")  # metadata of a cell; the last folds it in Colab


class Run(NamedTuple):
    """A notebook as a kernel left it, and what that took."""

    notebook: NotebookNode
    seconds: float  # from starting the kernel to the end of the last cell
    cpu_seconds: float  # of all threads of the kernel's process
    peak_memory_mb: int  # largest resident memory of the kernel's process
    alt_texts: dict[int, str]  # by index of the cell
    reports: list[dict]  # of the chapter's results; see helpers.book.bands.Reference
    said: dict[str, object]  # the values of the expressions that prose is bound to; see tools/says.py


class _OneKernel(KernelSpecManager):
    """Gives a chosen interpreter's kernel for every name: a `python3` kernel in the user's home may be another's."""

    def __init__(self, python: str) -> None:
        super().__init__()
        self._python = python

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel of the chosen interpreter, whatever the name."""
        argv = [self._python, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def run_notebook(
    path: Path,
    environment: Mapping[str, str],
    python: str = sys.executable,
    folder: Path | None = None,
    leave_out: str | None = None,
) -> Run:
    """Runs every cell of the notebook, in a kernel of its own, and leaves the file alone.

    environment: all of the kernel's environment variables (see `tools.environment.quick_environment`).
    python: the interpreter whose kernel runs it. folder: where it runs, by default the notebook's own. leave_out: a key
    of the cells' metadata under `book`; cells that have it are left out.
    Raises nbclient's CellExecutionError at the first cell that fails without the tag `raises-exception`.
    """
    notebook = read(path)
    notebook.cells = [cell for cell in notebook.cells if leave_out not in book_metadata(cell)]
    expressions = {
        str(index): book_metadata(cell)["alt_from"]
        for index, cell in enumerate(notebook.cells)
        if "alt_from" in book_metadata(cell)
    }
    said = dict.fromkeys(expression for cell in notebook.cells for expression in says.bound_in(cell).values())
    working = deepcopy(notebook)
    working.cells.append(new_code_cell(_probe(expressions, list(said))))
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_OneKernel(python))
    client = NotebookClient(working, km=manager, timeout=CELL_TIMEOUT_S, record_timing=False, coalesce_streams=True)
    *cells, probe = working.cells
    start = time.perf_counter()
    with client.setup_kernel(env=dict(environment), cwd=str(folder or path.parent), cleanup_kc=True):
        for index, cell in enumerate(cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        client.execute_cell(probe, len(cells), store_history=False)
    found = json.loads(probe.outputs[0].text)
    notebook.cells = cells
    alt_texts = {int(index): text for index, text in found["alt"].items()}
    return Run(notebook, seconds, found["cpu"], found["memory"], alt_texts, found["reports"], found["said"])


def _probe(expressions: Mapping[str, str], said: list[str]) -> str:
    """Code that prints what the kernel has used and, from its live variables, alternative texts, reports and values."""
    return (
        "import json, pathlib, re, resource, sys, time\n"
        "cpu = time.process_time()\n"
        "if sys.platform == 'linux':\n"  # where ru_maxrss begins at the size of the process that started this one
        "    memory = re.search(r'VmHWM:\\s*(\\d+) kB', pathlib.Path('/proc/self/status').read_text())\n"
        "    memory = round(int(memory[1]) * 1024 / 1e6)\n"
        "else:\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"  # kilobytes, on macOS bytes
        "    memory = round(peak / (1e6 if sys.platform == 'darwin' else 1e6 / 1024))\n"
        f"alt = {{index: str(eval(text)) for index, text in {dict(expressions)!r}.items()}}\n"
        "references = {id(v): v for v in list(globals().values()) if type(v).__name__ == 'Reference'}\n"
        "reports = [report for reference in references.values() for report in reference.reports]\n"
        f"{says.source_of_evaluate()}\n"
        f"said = evaluate({said!r}, dict(globals()))\n"
        "print(json.dumps({'cpu': cpu, 'memory': memory, 'alt': alt, 'reports': reports, 'said': said}))"
    )


def clean(run: Run, digest: str) -> NotebookNode:
    """The notebook of a run as it is stored: own metadata only, cells counted from 1, pictures without versions."""
    notebook = deepcopy(run.notebook)
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
        book={
            **{key: value for key, value in notebook.metadata.get("book", {}).items() if key in SAID_BY_THE_CHAPTER},
            "digest": digest,
            "seconds": round(run.seconds, 1),
            "cpu_seconds": round(run.cpu_seconds, 1),
            "peak_memory_mb": run.peak_memory_mb,
        },
    )
    for index, text in run.alt_texts.items():
        notebook.cells[index].metadata.setdefault("mystnb", {}).setdefault("image", {})["alt"] = text
    for cell in notebook.cells:
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in KEPT})
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if output.output_type == "error":
                output.traceback = own_frames(output.traceback)
            if output.output_type in ("display_data", "execute_result"):
                about = output.metadata.get("image/png", {})  # a height beside the width would squeeze it on a phone
                output.metadata = {"image/png": {"width": about["width"]}} if "width" in about else {}
                if "image/png" in output.data:
                    picture = without_text_chunks(base64.b64decode(output.data["image/png"]))
                    if "record" not in book_metadata(cell):  # what shows a record's picture shows that one
                        picture = in_few_colours(picture)
                    output.data["image/png"] = base64.b64encode(picture).decode()
    return notebook


def own_frames(traceback: list[str]) -> list[str]:
    """A traceback without the frames inside libraries: a page shows where the chapter fails, and with what message."""
    plain = (re.sub(r"\x1b\[[0-9;]*m", "", entry) for entry in traceback)
    return [entry for entry, text in zip(traceback, plain, strict=True) if not text.startswith("File ")]


def without_text_chunks(png: bytes) -> bytes:
    """The picture without its text and time chunks, in which matplotlib writes its own version."""
    kept, position = [png[:8]], 8  # the signature, then chunks: length, type, data, checksum
    while position < len(png):
        end = position + 12 + struct.unpack_from(">I", png, position)[0]
        if png[position + 4 : position + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"tIME"):
            kept.append(png[position:end])
        position = end
    return b"".join(kept)


def in_few_colours(png: bytes) -> bytes:
    """The picture in the 256 colours that serve it best, half as large; one with a palette or translucent, as it is."""
    picture, small = Image.open(io.BytesIO(png)), io.BytesIO()
    if picture.mode != "RGBA" or picture.getextrema()[3] != (255, 255):
        return png
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def say(notebook: NotebookNode, values: Mapping[str, object]) -> list[str]:
    """Puts a run's values where the prose says them; returns what to read again.

    Raises SaysError, naming every cell and text that does not fit.
    """
    told, wrong = [], []
    for cell in notebook.cells:
        try:
            changes = says.rewrite(cell, values)
        except says.SaysError as error:
            wrong.append(f"cell {cell.id}: {error}")
            continue
        told += [f"cell {cell.id}: {one.old} is now {one.new}: {one.line}" for one in changes]
    if wrong:
        raise says.SaysError("\n".join(wrong))
    return told


def check_says(notebook: NotebookNode) -> None:
    """Raises SaysError for what can be told of bound texts before a run, which may take minutes."""
    wrong = [f"cell {cell.id}: {what}" for cell in notebook.cells for what in says.find_bad_keys(cell)]
    if wrong:
        raise says.SaysError("\n".join(wrong))


def main(names: list[str]) -> int:
    """Executes the named chapters, or all, and returns the exit status."""
    try:
        paths = chapters(names)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for path in paths:
        shown = path.relative_to(ROOT)
        digest = Code(ROOT).digest_chapter(path.stem, "outputs")  # before the run: a later edit was not run
        try:
            check_says(read(path))
            run = run_notebook(path, quick_environment())
            notebook = clean(run, digest)
            told = say(notebook, run.said)
        except (CellExecutionError, DeadKernelError, says.SaysError) as error:
            print(f"{error}\n{shown} failed and is left as it was.", file=sys.stderr)
            failed += 1
            continue
        write(notebook, path)
        print(f"{shown}: {run.seconds:.1f} s, {run.cpu_seconds:.1f} of CPU time, {run.peak_memory_mb} MB", flush=True)
        print("".join(f"  read again, {one}\n" for one in told), end="", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
