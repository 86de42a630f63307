"""The form of a lesson, as small checks: a notebook in, complaints out."""

import ast
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

from nbformat import NotebookNode
from notebook_structure import MAX_BYTES, exercises, solution_code, solved

from tools import says
from tools.digest import DigestError, evaluate_config, find_names
from tools.notebook_files import HIDING, SETUP_TITLE, book_metadata, code_cells, printed, text_of

CELL_COUNTS = range(25, 61)
CELL_LINES, EXERCISE_LINES, LINE = 20, 30, 88
MENTIONS = 3  # of the article, outside its box and the first cell
BOUND = 8  # numbers that the prose says
# Before the first picture: lines of visible code and words of prose; before the first that this run draws: lines.
FIRST_LINES, FIRST_WORDS, OWN_LINES = 30, 300, 70
ENDING = ("Exercises", "Summary", "Further reading", "Checks")
REFERENCE = {"verdict", "check", "excludes", "show_checks"}
FOLDED = ("setup", "imports", "config")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Cell(NamedTuple):
    """A cell with the heading of level two under which it stands, and how complaints call it."""

    where: str
    section: str
    node: NotebookNode
    begins: str = ""

    @property
    def is_code(self) -> bool:
        """Whether it holds code."""
        return self.node.cell_type == "code"

    @property
    def tags(self) -> set[str]:
        """Its tags."""
        return set(self.node.metadata.get("tags", []))

    @property
    def book(self) -> dict:
        """Its metadata under `book`."""
        return book_metadata(self.node)

    @property
    def is_visible(self) -> bool:
        """Whether a reader of the page sees its code."""
        return self.is_code and not self.tags & (HIDING | {"remove-cell", "remove-input"})


def walk(notebook: NotebookNode) -> Iterator[Cell]:
    """The cells in order. A cell with several headings stands under its last, and begins in the section before."""
    section = ""
    for number, node in enumerate(notebook.cells, start=1):
        begins = section
        if node.cell_type == "markdown":
            section = [section, *headings(node.source)][-1]
        yield Cell(f"cell {number} ({node.get('id', '')})", section, node, begins)


def headings(source: str) -> list[str]:
    """The headings of level two, outside code."""
    return re.findall(r"(?m)^## +(.+?)\s*$", re.sub(r"(?ms)^(`{3,})(?![`{]).*?^\1\s*$", "", source))


def find_boxes(source: str, name: str) -> list[str]:
    """The whole text of each admonition of a class."""
    fence = r"(?ms)^(?P<f>:{3,}|`{3,})\{admonition\}[^\n]*\n(?P<options>(?::[\w-]+:[^\n]*\n)*).*?^(?P=f)[ \t]*$"
    found = re.finditer(fence, source)
    return [one[0] for one in found if re.search(rf"(?m)^:class:.*\b{name}\b", one["options"])]


def find_folds(source: str, title: str) -> list[str]:
    """The text inside each fold of this title."""
    return re.findall(rf"(?ms)^(?:`{{3,}}|:{{3,}})\{{dropdown\}} {title}\s*?\n(.*?)^(?:`{{3,}}|:{{3,}})[ \t]*$", source)


def code_lines(source: str) -> list[str]:
    """The lines that are not blank."""
    return [line for line in source.splitlines() if line.strip()]


def has_picture(cell: Cell) -> bool:
    """Whether an output of the cell is a picture; one in Markdown is a file that Colab does not have."""
    for output in cell.node.get("outputs", []):
        shown = output.get("data", {})
        if any(kind.startswith("image/") for kind in shown) or re.search("<(?:img|svg)", shown.get("text/html", "")):
            return True
    return False


def calls_of(cell: Cell, names: set[str], of: str = "") -> list[str]:
    """The functions among names, `of` an object where one is named, that a cell uses, called or handed on."""
    found = find_names(ast.parse(cell.node.source))
    return sorted({one[-1] for one in found if one[-1] in names and (not of or of in one[:-1])})


def opening(notebook: NotebookNode) -> list[str]:
    """The first cell: title, question, three promises, what it presumes, minutes, sections of the article."""
    first = notebook.cells[0].source if notebook.cells[0].cell_type == "markdown" else ""
    before, _, after = first.partition("You will be able to")
    promises = re.search(r"\A.*?\n+((?:(?:[-*]|\d\.) .*\n?|  +.*\n?)+)", after)
    minutes = re.search(r"(\d+) minutes?\b[^\n]* CPU", first)
    spent = notebook.metadata.get("book", {}).get("cpu_seconds", 0.0) / 60
    wanted = {
        "does not open with a label (ch-...)= and a title": re.match(r"\(ch-[a-z0-9-]+\)=\n# \S", first),
        "asks no question before what you will be able to do": re.search(r"(?m)\?\**[ \t]*$", before),
        'has no "You will be able to" with three list items': promises
        and len(re.findall(r"(?m)^(?:[-*]|\d\.) ", promises[1])) == 3,
        'does not say what it presumes, "You need ..."': re.search(r"(?m)(?:^|\. )You need ", first),
        'does not say "N minutes on a CPU"': minutes,
        "does not name the sections (§) of the article in one line": len(re.findall(r"(?m)^.*§.*$", first)) == 1,
    }
    complaints = [f"the first cell {what}" for what, found in wanted.items() if not found]
    if minutes and not max(1, spent / 2) <= int(minutes[1]) <= max(1, 2 * spent):
        complaints.append(f"the first cell says {minutes[0]!r}, the stored run took {spent:.1f}")
    return complaints


def folded(notebook: NotebookNode) -> list[str]:
    """Setup, imports and config are folded: on the site by hide-cell, in Colab by a form with a title."""
    complaints = []
    for cell in walk(notebook):
        marks = [mark for mark in FOLDED if cell.book.get(mark)]
        if not marks:
            complaints += [f"{cell.where}: cellView folds a cell that computes"] * ("cellView" in cell.node.metadata)
            continue
        if "hide-cell" not in cell.tags or cell.node.metadata.get("cellView") != "form":
            complaints.append(f'{cell.where}: {marks[0]} lacks the tag hide-cell or "cellView": "form"')
        if not re.match(r"# @title \w.*\n", cell.node.source):
            complaints.append(f"{cell.where}: {marks[0]} does not begin with a line `# @title ...`")
        if "setup" in marks and not cell.node.source.startswith(SETUP_TITLE):
            complaints.append(f"{cell.where}: the setup cell does not begin with {SETUP_TITLE.strip()!r}")
    return complaints


def first_picture(notebook: NotebookNode) -> list[str]:
    """A picture comes early, and soon one that this run has drawn."""
    lines = words = own = 0
    seen = complaints = None
    for cell in walk(notebook):
        if not cell.is_code:
            words += len(re.findall(r"[^\W\d_]{2,}", says.mask(cell.node.source)))
            continue
        lines += len(code_lines(cell.node.source)) if cell.is_visible else 0
        if not has_picture(cell):
            continue
        if seen is None:
            seen = lines, words
        if "record" not in cell.book and not calls_of(cell, {"show_drawing", "show_full_run"}):
            own = lines
            break
    else:
        complaints = ["no picture that this run draws"]
    complaints = complaints or []
    if seen and seen[0] > FIRST_LINES:
        complaints.append(f"{seen[0]} lines of code before the first picture, expected at most {FIRST_LINES}")
    if seen and seen[1] > FIRST_WORDS:
        complaints.append(f"{seen[1]} words before the first picture, expected at most {FIRST_WORDS}")
    if own > OWN_LINES:
        complaints.append(f"{own} lines of code before the first picture of this run, expected at most {OWN_LINES}")
    return complaints


def lines(notebook: NotebookNode) -> list[str]:
    """What is seen fits the page: 20 lines a cell, 88 characters a line, of code, of what is printed, of failures."""
    complaints = []
    for cell in walk(notebook):
        if not cell.is_code or "remove-cell" in cell.tags:
            continue
        most = EXERCISE_LINES if "exercise" in cell.book else CELL_LINES
        count = len(code_lines(cell.node.source))
        if cell.is_visible and cell.section != "Checks" and count > most:
            complaints.append(f"{cell.where}: {count} lines of code, expected at most {most}")
        outputs = [
            output.get("text", "") + "\n" + output.get("data", {}).get("text/plain", "") for output in _out(cell)
        ]
        outputs += [line for output in _out(cell) for line in output.get("traceback", [])]
        source = cell.node.source.splitlines() if cell.is_visible and cell.section != "Checks" else []
        told = [*source, *ANSI.sub("", "\n".join(outputs)).splitlines()]
        complaints += [f"{cell.where}: {len(line)} characters: {line[:40]}..." for line in told if len(line) > LINE]
    return complaints


def _displayed(cell: Cell) -> str:
    """What outputs show as text or HTML."""
    shown = [output.get("data", {}) for output in _out(cell)]
    return "\n".join(data.get(kind, "") for data in shown for kind in ("text/plain", "text/html"))


def _out(cell: Cell) -> list[NotebookNode]:
    return cell.node.get("outputs", [])


def size(notebook: NotebookNode) -> list[str]:
    """A chapter can be read in one sitting: 25 to 60 cells, less than 2 MB."""
    count, weight = len(notebook.cells), len(text_of(notebook).encode())
    complaints = [] if count in CELL_COUNTS else [f"{count} cells, expected {CELL_COUNTS.start} to {CELL_COUNTS[-1]}"]
    return complaints + [f"{weight / 1e6:.1f} MB, expected less than {MAX_BYTES / 1e6:.0f}"] * (weight >= MAX_BYTES)


def judgements(notebook: NotebookNode) -> list[str]:
    """All that judges the run stands in the last section, and nowhere else: no verdict, no yes-or-no line."""
    cells, complaints = list(walk(notebook)), []
    named = [name for cell in notebook.cells if cell.cell_type == "markdown" for name in headings(cell.source)]
    if named.count("Checks") != 1 or named[-1:] != ["Checks"]:
        complaints.append('no heading "## Checks", or another heading behind it')
    elif not any(cell.source.splitlines()[:1] == ["## Checks"] for cell in notebook.cells):
        complaints.append('"## Checks" does not begin its cell: a reader would take what stands before it for a check')
    for cell in cells:
        if not cell.is_code or cell.section == "Checks":
            continue
        used = calls_of(cell, REFERENCE, "reference")
        complaints += [f"{cell.where}: reference.{name} stands outside of Checks" for name in used]
        text = "" if "shows_source" in cell.book else printed(cell.node) + _displayed(cell)
        if re.search(r"(?im)\b(?:true|false)\b[.!]?\s*(?:$|</)|[:=]\s*(?:yes|no)\s*(?:$|</)|[✓✔✗✘]", text):
            complaints.append(f"{cell.where}: a yes-or-no line outside of Checks")
        if "reference band" in text:
            complaints.append(f"{cell.where}: a verdict line outside of Checks")
    last = cells[-1]
    shows = last.is_code and last.node.source.strip().splitlines()[-1:] == ["reference.show_checks()"]
    if not shows or last.section != "Checks" or "nbval-ignore-output" not in last.tags:
        complaints.append("the last cell is not reference.show_checks() with the tag nbval-ignore-output")
    if shows and calls_of(last, REFERENCE - {"show_checks"}, "reference"):
        complaints.append("the last cell prints lines that nbval is to compare; they belong before it")
    if shows and not any("<table" in output.get("data", {}).get("text/html", "") for output in _out(last)):
        complaints.append("the last cell shows no table: run it with `make execute`")
    return complaints


def no_source(notebook: NotebookNode) -> list[str]:
    """No source printed in grey: `show_source` shows it in colours."""
    return [f"{cell.where}: getsource; use show_source" for cell in walk(notebook) if "getsource" in _code(cell)]


def _code(cell: Cell) -> str:
    return cell.node.source if cell.is_code else ""


def article(notebook: NotebookNode) -> list[str]:
    """One box says what the article says; the lesson itself mentions it three times at most."""
    boxes, mentions = 0, []
    for cell in list(walk(notebook))[1:]:
        text = says.prose_of(cell.node)
        for box in find_boxes(text, "article"):
            boxes += 1
            text = text.replace(box, "")
        bare = re.sub(r"(?ms)^(`{3,})(?![`{]).*?^\1\s*$", "", text)
        found = re.findall(r"(?i)\bthe\s+article\b|§+|\{cite[^}]*\}`[^`]*\bzenandart\b", bare)
        mentions += [f"{cell.where}: {one}" for one in found]
    complaints = [] if boxes == 1 else [f"{boxes} boxes `What the article says` of class article, expected one"]
    if len(mentions) > MENTIONS:
        complaints.append(f"{len(mentions)} mentions of the article, expected at most {MENTIONS}: {mentions}")
    return complaints


def product(notebook: NotebookNode) -> list[str]:
    """A box tells someone who must decide what follows, in two to five sentences."""
    boxes = [box for cell in walk(notebook) if not cell.is_code for box in find_boxes(cell.node.source, "product")]
    if len(boxes) != 1:
        return [f"{len(boxes)} boxes `For your product` of class product, expected one"]
    body = re.sub(r"(?m)^(?:[:`]{3,}.*|:[\w-]+:.*)$", "", boxes[0])
    count = len(re.findall(r"[.!?](?=\s|$)", says.mask(body)))
    return [] if 2 <= count <= 5 else [f"the box `For your product` has {count} sentences, expected two to five"]


def exercise_form(notebook: NotebookNode) -> list[str]:
    """A warm-up and an experiment that check themselves, hints before solutions; a judgement without code."""
    complaints, cells = [], list(walk(notebook))
    asked = [
        (kind, number, cell)
        for cell in cells
        if not cell.is_code and "Exercises" in (cell.begins, cell.section)
        for number, kind in re.findall(r"(?m)^\*\*(\d)\. (Warm-up|Experiment|Judgement)\b", cell.node.source)
    ]
    kinds = [kind for kind, _, _ in asked]
    if [int(number) for _, number, _ in asked] != list(range(1, len(asked) + 1)):
        complaints.append("the exercises are not numbered **1. ...**, **2. ...** in order")
    if not {"Warm-up", "Experiment"} <= set(kinds) or kinds.count("Judgement") != 1:
        complaints.append(f"exercises {kinds}; expected a Warm-up, an Experiment and one Judgement")
    found = exercises(notebook)
    if len(found) not in (2, 3) or len(found) != len(kinds) - kinds.count("Judgement"):
        complaints.append(f"{len(found)} exercises with code for {kinds}; expected two or three, one each")
    if len({name for name, _, _ in found}) != len(found):
        complaints.append("two exercises have the same name")
    for name, cell, after in found:
        complaints += [f"exercise {name}: {what}" for what in _exercise_faults(cell, after)]
    for (kind, _, cell), (_, _, following) in zip(asked, [*asked[1:], ("", "", None)], strict=True):
        text = _question(cells, cell, following, kind)
        if kind == "Experiment" and not re.search(r"(?i)\bpredict|\bwhat do you expect", text):
            complaints.append("an experiment does not ask for a prediction first")
        if kind == "Judgement" and (not any(map(str.strip, find_folds(text, "Answer"))) or "```python" in text):
            complaints.append("a judgement has no folded Answer, or asks for code")
    return complaints


def _question(cells: list[Cell], start: Cell, following: Cell | None, kind: str) -> str:
    """The prose of one exercise: from its number to the next one, or the end of the section."""
    place = cells.index(start)
    stop = cells.index(following) + 1 if following else len(cells)
    texts = [c.node.source for c in cells[place:stop] if not c.is_code and c.section == start.section]
    return re.split(r"(?m)^\*\*\d\. ", "\n\n".join(texts).partition(f". {kind}")[2])[0]


def _exercise_faults(cell: NotebookNode, after: NotebookNode | None) -> Iterator[str]:
    if "not yet" not in printed(cell):
        yield "as given it does not print `not yet`"
    solution = solution_code(after)
    if solution is None:
        yield "the next cell is not a fold `Hint` and then a fold `Solution` around one block of Python"
        return
    if not any(map(str.strip, find_folds(after.source.partition("} Solution")[0], "Hint"))):
        yield "no fold `Hint` before the solution"
    try:
        ast.parse(solved(cell.source, solution))
    except (ValueError, SyntaxError) as error:
        yield str(error)


def ending(notebook: NotebookNode) -> list[str]:
    """Exercises, a summary whose three points name what kept each promise, further reading, checks: in this order."""
    cells = list(walk(notebook))
    named = [name for cell in cells if not cell.is_code for name in headings(cell.node.source)]
    complaints = [] if tuple(named[-4:]) == ENDING else [f"the last headings are {named[-4:]}, expected {ENDING}"]
    prose = "\n\n".join(cell.node.source for cell in cells if not cell.is_code)
    summary = re.search(r"(?ms)^## Summary\s*$(.*?)(?=^## |\Z)", prose)
    points = re.findall(r"(?ms)^(?:[-*]|\d\.) .*?(?=^(?:[-*]|\d\.) |^\S|\Z)", summary[1] if summary else "")
    known = set(re.findall(r"(?m)^\((.+?)\)=|^:name: (\S+)|\$\$ \(([\w-]+)\)", prose))
    known = {name for names in known for name in names}
    known |= {cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in code_cells(notebook)}
    if len(points) != 3:
        complaints.append(f"the summary has {len(points)} points, expected three, one for each promise")
    for point in points:
        named_there = re.findall(r"\{(?:numref|ref|eq)\}`(?:[^`<]*<)?([\w-]+)>?`", point)
        if not known & set(named_there):
            complaints.append(f"a point of the summary names no output of this chapter: {point.strip()[:40]}...")
    reading = re.search(r"(?ms)^## Further reading\s*$(.*?)(?=^## |\Z)", prose)
    if not reading or "{cite" not in reading[1]:
        complaints.append('no {cite} under "## Further reading"')
    return complaints


def numbers(notebook: NotebookNode) -> list[str]:
    """Every measured number of the prose is bound to what gives it, and is the one of the stored run."""
    complaints, sizes = [], find_sizes(notebook)
    defined = {one for cell in code_cells(notebook) for one in _bound_names(cell.source)}
    for cell in walk(notebook):
        faults = [f"{cell.where}: {what}" for what in says.find_faults(cell.node)]
        complaints += faults
        if cell.section != "Further reading":
            complaints += [f"{cell.where}: {what}" for what in says.find_unbound(cell.node, sizes)]
        for expression in [] if faults else says.bound_in(cell.node).values():
            unknown = says.names_of(expression) - defined
            complaints += [f"{cell.where}: {expression}: no cell binds {name}" for name in sorted(unknown)]
    bound = sum(len(says.bound_in(cell)) for cell in notebook.cells)
    if bound < BOUND:
        complaints.append(f"{bound} numbers of the prose are bound, expected {BOUND} or more")
    return complaints


def find_sizes(notebook: NotebookNode) -> set[float]:
    """The numbers that the config holds, in either profile."""
    found: set[float] = set()
    for cell in code_cells(notebook):
        if book_metadata(cell).get("config"):
            for profile in ("quick", "full"):
                try:
                    values = evaluate_config(cell.source, profile, "here")
                except DigestError:  # the check `config` tells of it
                    continue
                found |= set(_numbers_in(values))
    return found


def _numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | SimpleNamespace):
        for item in (value if isinstance(value, dict) else vars(value)).values():
            yield from _numbers_in(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _numbers_in(item)


def _bound_names(source: str) -> Iterator[str]:
    """What a cell may bind, at any depth: assignments, functions, classes, imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)


LESSON_CHECKS: tuple[Callable[[NotebookNode], list[str]], ...] = (
    opening,
    folded,
    first_picture,
    lines,
    size,
    judgements,
    no_source,
    article,
    product,
    exercise_form,
    ending,
    numbers,
)
