"""What every chapter that trains must have, as small checks: a notebook in, complaints out."""

import ast
import html
import re
from collections.abc import Callable, Iterator

from nbformat import NotebookNode

from helpers.book.bands import WITHIN
from tools.digest import DigestError, evaluate_config, find_names
from tools.notebook_files import HIDING, ROOT, book_metadata, code_cells, printed, setup_values, verdict_lines

MAX_BYTES = 2_000_000  # pictures have twice the pixels that are shown
CELL_COUNTS = range(25, 61)
STORED_VERDICT = "stored verdict: "  # how a complaint about a result outside its band begins
SETUP_LINES = 16
TAGS = {*HIDING, "remove-cell", "raises-exception", "nbval-ignore-output"}
NOTEBOOK_METADATA = {"kernelspec", "language_info", "book"}
CELL_METADATA = {"tags", "mystnb", "book", "cellView"}
FOLDED = {"setup", "imports", "config"}  # marks of cells that may be hidden though they compute


def outputs_as_text(cell: NotebookNode) -> str:
    """Everything readable in the cell's outputs: printed, shown as text or HTML, raised."""
    parts = []
    for out in cell.outputs:
        shown = out.get("data", {})
        page = re.sub(r'<(style|script)>.*?</\1>|data:[^"]*', "", shown.get("text/html", ""), flags=re.DOTALL)
        parts += [out.get("text", ""), shown.get("text/plain", ""), page]
        parts += [out.get("evalue", ""), *out.get("traceback", [])]
    return "\n".join(parts)


def exercises(notebook: NotebookNode) -> list[tuple[str, NotebookNode, NotebookNode | None]]:
    """Name, cell and following cell of each exercise."""
    followed = zip(notebook.cells, [*notebook.cells[1:], None], strict=True)
    return [
        (book_metadata(cell)["exercise"], cell, after) for cell, after in followed if "exercise" in book_metadata(cell)
    ]


def solution_code(cell: NotebookNode | None) -> str | None:
    """The Python in the fold of a solution's cell; None where more stands there than it, hint and next exercise."""
    fold = r"(?:(`{4,}|:{3,})\{dropdown\} Hint\n(?:(?!\1)[^\n]*\n)+\1\n\n)?"
    fold += r"(`{4,}|:{3,})\{dropdown\} Solution\n(?::[a-z-]+:.*\n)*\s*```python\n(?P<code>.*?)\n```\s*\2"
    fold += r"(?:\n\n\*\*\d\..*)?"
    found = re.fullmatch(fold, cell.source.strip(), re.DOTALL) if cell and cell.cell_type == "markdown" else None
    return found["code"] if found else None


def solved(exercise: str, solution: str) -> str:
    """The source of an exercise with the solution in place of what stands between `# your code` and `# check`."""
    parts = re.fullmatch(r"(.*^ *# your code[^\n]*\n).*?(^ *# check.*)", exercise, re.DOTALL | re.MULTILINE)
    if not parts:
        raise ValueError("the exercise lacks the comment lines `# your code` and, after it, `# check`")
    return f"{parts[1]}{solution}\n{parts[2]}"


def _markdown(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _numbered(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        yield f"code cell {number}", cell


def setup(notebook: NotebookNode) -> list[str]:
    """The second cell is the setup cell, and the only one."""
    marked = [cell for cell in notebook.cells if book_metadata(cell).get("setup")]
    if marked != notebook.cells[1:2]:
        return ["the second cell, and no other, must be marked as the setup cell"]
    if setup_values(marked[0].source) is None:
        return ["the setup cell differs from the one in tools/notebook_files.py"]
    if len([line for line in marked[0].source.splitlines() if line]) > SETUP_LINES:
        return [f"the setup cell has over {SETUP_LINES} lines"]
    return []


def imports(notebook: NotebookNode) -> list[str]:
    """One marked cell of imports, the third code cell at the latest; exercises build on it and the setup cell alone."""
    marked = [index for index, cell in enumerate(code_cells(notebook)) if book_metadata(cell).get("imports")]
    if len(marked) != 1 or marked[0] > 2:
        return ["one of the first three code cells, and no other, must be marked as the imports cell"]
    return []


def config(notebook: NotebookNode) -> list[str]:
    """The chapter's sizes are in one marked cell of plain Python; no other cell asks for the profile."""
    marked = [cell for cell in code_cells(notebook) if book_metadata(cell).get("config")]
    if len(marked) != 1:
        return [f"{len(marked)} cells are marked as the config cell, expected one"]
    complaints = []
    try:
        if "config" not in evaluate_config(marked[0].source, "quick", "here"):
            complaints.append("the config cell does not assign `config`")
    except DigestError as error:
        complaints.append(str(error))
    for name, cell in _numbered(notebook):
        if cell is not marked[0] and asks_for_profile(ast.parse(cell.source)):
            complaints.append(f"{name}: asks for the profile; put the choice into config")
    return complaints


def asks_for_profile(tree: ast.AST) -> bool:
    """Whether the code uses `quick`, or compares `settings.profile` with anything; to hand it on is no question."""
    return any(
        (isinstance(node, ast.Name) and node.id == "quick")
        or (isinstance(node, ast.Compare) and "settings.profile" in map(ast.unparse, [node.left, *node.comparators]))
        for node in ast.walk(tree)
    )


def checks(notebook: NotebookNode) -> list[str]:
    """Every yes-or-no line is a `reference.check` that nbval compares, and no two have one name."""
    complaints, names = [], []
    for where, cell in _numbered(notebook):
        found = re.findall(r"^(.+): (?:True|False) *$", printed(cell), re.MULTILINE)
        reported = [_pattern(call.args[0]) for call in _calls(cell, "reference.check")]
        complaints += [
            f"{where}: `{name}: ...` is printed; use reference.check"
            for name in found
            if not any(re.fullmatch(pattern, name) for pattern in reported)
        ]
        if reported and "nbval-ignore-output" in _tags(cell):
            complaints.append(f"{where}: a check that nbval-ignore-output hides from comparison")
        names += found
    return complaints + [f"two checks are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]


def _calls(cell: NotebookNode, function: str) -> list[ast.Call]:
    calls = (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func) == function]


def _pattern(text: ast.expr) -> str:
    """A regular expression for what the expression can be: a text as it is, anything in place of a variable."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in parts)


def sources(notebook: NotebookNode) -> list[str]:
    """A cell that shows source shows nothing else, is marked so, and nbval leaves it to the comparison of trees."""
    complaints = []
    for where, cell in _numbered(notebook):
        shows = bool(_calls(cell, "inspect.getsource") or _calls(cell, "page.show_source"))
        if shows != bool(book_metadata(cell).get("shows_source")):
            complaints.append(f"{where}: the mark shows_source and the call that shows source belong together")
        if shows and "nbval-ignore-output" not in _tags(cell):
            complaints.append(f"{where}: shows source, but lacks the tag nbval-ignore-output")
        body = ast.parse(cell.source).body
        if shows and len(body) != len(_calls(cell, "print")) + len(_calls(cell, "page.show_source")):
            complaints.append(f"{where}: does more than show source; split it")
    return complaints


def record_figure(notebook: NotebookNode) -> list[str]:
    """One named figure is marked: its picture is what the record of a full run keeps."""
    marked = [cell for cell in code_cells(notebook) if book_metadata(cell).get("record_figure")]
    if len(marked) != 1:
        return [f"{len(marked)} cells are marked record_figure, expected one"]
    return [] if "figure" in marked[0].metadata.get("mystnb", {}) else ["record_figure marks a cell without a figure"]


def verdicts(notebook: NotebookNode) -> list[str]:
    """At least one verdict line, all of them within their bands, none where nbval does not compare it."""
    complaints = [f"{STORED_VERDICT}{line}" for line in verdict_lines(notebook) if not line.endswith(f": {WITHIN}")]
    if not verdict_lines(notebook):
        complaints.append("no verdict line in the outputs")
    for name, cell in _numbered(notebook):
        if "nbval-ignore-output" in _tags(cell) and "reference band" in printed(cell):
            complaints.append(f"{name}: a verdict line that nbval-ignore-output hides from comparison")
    return complaints


def tags(notebook: NotebookNode) -> list[str]:
    """Only the allowed tags, and nbval-ignore-output only where there are floats or timings to ignore."""
    complaints = []
    for cell in notebook.cells:
        complaints += [f"tag {tag}" for tag in _tags(cell) if tag not in TAGS]
    for name, cell in _numbered(notebook):
        excused = book_metadata(cell).get("shows_source") or "book-frames" in outputs_as_text(cell)
        if (
            "nbval-ignore-output" in _tags(cell)
            and not excused
            and not re.search(r"\d\.\d|\d ?m?s\b|\de[-+]?\d", outputs_as_text(cell))
        ):
            complaints.append(f"{name}: nbval-ignore-output, but no float or timing in its output")
    return complaints


def alternative_texts(cell: NotebookNode) -> Iterator[str]:
    """What stands for each picture of the cell: in its metadata, or, where HTML holds the picture, beside it."""
    for out in cell.outputs:
        shown = out.get("data", {})
        if any(kind.startswith("image/") for kind in shown):
            yield cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        for element in re.findall(r"<img\b[^>]*>", shown.get("text/html", "")):
            told = re.search(r'\balt="([^"]*)"', element)
            yield html.unescape(told[1]) if told else ""
        if "book-heat" in shown.get("text/html", ""):  # bars of HTML, which say their words and shares themselves
            yield shown.get("text/plain", "")


def figures(notebook: NotebookNode) -> list[str]:
    """Every picture is the only one of its cell and has a name of its own, a caption and an alternative text."""
    complaints, names = [], []
    for where, cell in _numbered(notebook):
        pictures = list(alternative_texts(cell))
        about = cell.metadata.get("mystnb", {})
        figure = about.get("figure", {})
        if not pictures:
            complaints += [f"{where}: describes a figure, but shows none"] if figure else []
            continue
        if len(pictures) > 1:
            complaints.append(f"{where}: more than one picture")
        if not re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")):
            complaints.append(f"{where}: a picture without a figure name fig-...")
        if not figure.get("caption", "").strip():
            complaints.append(f"{where}: a picture without a caption")
        if not all(text.strip() for text in pictures):
            complaints.append(f"{where}: a picture without an alternative text")
        names.append(figure.get("name"))
    return complaints + [f"two figures are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]


def hidden(notebook: NotebookNode) -> list[str]:
    """What is hidden only draws, so bands may leave it out: no later cell uses a value that a hidden cell computed."""
    complaints, hidden_names = [], set()
    for where, cell in _numbered(notebook):
        tree = ast.parse(cell.source)
        stored = set(_bound_at_top(tree))
        if HIDING & set(_tags(cell)) and not FOLDED & book_metadata(cell).keys():
            hidden_names |= stored
            continue
        used = {name for name, *_ in find_names(tree)} & hidden_names - stored
        complaints += [f"{where}: uses {name}, which a hidden cell computes" for name in sorted(used)]
        hidden_names -= stored
    return complaints


def _bound_at_top(node: ast.AST) -> Iterator[str]:
    """The names that code binds outside of its functions and comprehensions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield child.name
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _bound_at_top(child)


def executed(notebook: NotebookNode) -> list[str]:
    """Run from top to bottom in one go, failing only where it says so."""
    complaints = []
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        complaints.append("execution counts are not 1, 2, 3, ...: run it with `make execute`")
    for name, cell in _numbered(notebook):
        failed = any(out.output_type == "error" for out in cell.outputs)
        if failed and "raises-exception" not in _tags(cell):
            complaints.append(f"{name}: a stored error without the tag raises-exception")
        if "raises-exception" in _tags(cell) and not failed:
            complaints.append(f"{name}: the tag raises-exception, but nothing was raised")
        if any(out.output_type == "stream" and out.name == "stderr" for out in cell.outputs):
            complaints.append(f"{name}: writes to the error stream; silence the warning where it comes from")
    return complaints


def endings(notebook: NotebookNode) -> list[str]:
    """No cell ends in a semicolon: nbval runs it without history, and then it hides nothing (nbval issue 194)."""
    return [
        f"{name}: ends in a semicolon; assign the last value to `_` instead"
        for name, cell in _numbered(notebook)
        if re.search(r";[ \t]*(#.*)?\Z", cell.source)
    ]


def traces(notebook: NotebookNode) -> list[str]:
    """Nothing of the machine that ran it, but for the measured time and memory."""
    complaints = [f"notebook metadata {key}" for key in notebook.metadata if key not in NOTEBOOK_METADATA]
    for key, kind in (("digest", str), ("seconds", float), ("cpu_seconds", float), ("peak_memory_mb", int)):
        if not isinstance(notebook.metadata.get("book", {}).get(key), kind):
            complaints.append(f"notebook metadata book.{key} is missing: run it with `make execute`")
    for cell in notebook.cells:
        complaints += [f"cell metadata {key}" for key in cell.metadata if key not in CELL_METADATA]
    home = re.compile(rf"{re.escape(str(ROOT))}|(?<![\w.])/(?:home|root|Users|tmp|private)/")
    complaints += [
        f"{name}: a path of this machine in its output"
        for name, cell in _numbered(notebook)
        if home.search(outputs_as_text(cell))
    ]
    return complaints


# What every chapter must hold, beside the form of a lesson.
CHECKS: tuple[Callable[[NotebookNode], list[str]], ...] = (
    setup,
    imports,
    config,
    verdicts,
    checks,
    sources,
    record_figure,
    tags,
    figures,
    hidden,
    executed,
    endings,
    traces,
)
