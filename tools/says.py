"""Numbers in prose: a paragraph says what the stored run measured, and its cell's metadata says where that comes from.

`{"book": {"says": {"3.2": "scores.loc['GAN', 'frechet']"}}}` binds a text of the cell to an expression over what the
chapter's names hold after Run all. A code cell binds texts of its figure's caption. `make execute` evaluates the
expressions, rewrites text and key where the number has changed, and keeps the values beside them, under `said`: other
machines get other digits, so a test compares the text with the run that is stored and not with one of its own. An
expression that names `records` and `np` only is asked of the record itself, by the test too.
"""

import ast
import builtins
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from nbformat import NotebookNode

from helpers.book import records
from tools.digest import find_names
from tools.notebook_files import book_metadata

SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
WORDS = f"{SMALL} seventeen eighteen nineteen twenty".split()
WORD = rf"(?i:\b(?:{'|'.join(WORDS)})\b)"
NUMBER = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)"
SLOT = re.compile(rf"(?:(?<!\w)(?P<sign>[-−+]))?(?P<digits>{NUMBER})(?P<percent>\s?(?:%|per ?cent))?|(?P<word>{WORD})")
EITHER = rf"(?:{NUMBER}|{WORD})"
# What a number in prose looks like that somebody has measured; `n` is what must be bound.
MEASURED = {
    "a decimal": r"(?<![\w.])(?P<n>(?:\d+(?:,\d{3})*)?\.\d+)(?!\d|\.\d)",
    "a percentage": rf"(?<![\w.])(?P<n>{NUMBER})\s?(?:%|per ?cent)",
    "a count": rf"(?<![\w.])(?P<n>\d+)\s(?:out\s)?(?:of|in)\s(?:the\s|all\s)?{EITHER}(?!\w)",
    "a count over seeds": rf"(?P<n>{WORD})\s(?:out\s)?(?:of|in)\s(?:the\s|all\s)?{EITHER}\s(?:\w+\s)?(?:seed|run)s",
    "all of the seeds": rf"(?P<n>\b[Aa]ll\s(?:the\s)?{EITHER})\s(?:\w+\s)?(?:seed|run)s",
    "a ratio": rf"(?<![\w.])(?P<n>{EITHER})(?:\stimes\s(?:as|more|less|fewer|the|\w+er)\b|[- ]?fold\b)",
    "a factor": rf"\bfactor\sof\s(?:about\s)?(?P<n>{EITHER})",
    "an amount": rf"(?<![\w.])(?P<n>{NUMBER})\s(?:nats?|bits?\san?\s\w+|dB)\b",
}
NAMED = r"(?:Python|TensorFlow|Keras|NumPy|SciPy|PyTorch|CUDA|version|CC BY|[Ss]ection|[Tt]able|[Ff]igure|[Pp]art)\s"
FROM_RECORDS = {"records": records, "np": np}


class SaysError(ValueError):
    """A text and the expression that it is bound to do not fit."""


class Place(NamedTuple):
    """Where a bound text stands, its key as it is written, and its expression."""

    start: int
    end: int
    key: str
    expression: str


class Change(NamedTuple):
    """A text that was rewritten: old, new, and the line in which it stands now."""

    old: str
    new: str
    line: str


def prose_of(cell: NotebookNode) -> str:
    """The text that a cell may bind: of a markdown cell its source, of a code cell the caption of its figure."""
    if cell.cell_type == "markdown":
        return cell.source
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")


def bound_in(cell: NotebookNode) -> dict[str, str]:
    """A cell's bound texts, {key: expression}."""
    return dict(book_metadata(cell).get("says", {}))


def is_of_records(expression: str) -> bool:
    """Whether the expression names nothing but records, whose values no run of a chapter changes."""
    names = names_of(expression)
    return "records" in names and names <= FROM_RECORDS.keys()


def names_of(expression: str) -> set[str]:
    """The names that an expression takes from the chapter. Raises SyntaxError where it is none."""
    return {name for name, *_ in find_names(ast.parse(expression, mode="eval"))} - vars(builtins).keys()


def mask(text: str) -> str:
    """The text with all but plain prose blanked out: code, formulas, roles, targets of links, options, numbers of §."""
    lines, fences = [], []
    for line in text.split("\n"):
        fence = re.match(r"\s*(`{3,}|:{3,}|~{3,})\s*(.*?)\s*$", line)
        inside = fences and fences[-1][1]
        if fence and fences and not fence[2] and fence[1].startswith(fences[-1][0]):
            fences.pop()
        elif fence and not inside:
            shown = re.match(r"\{(?!code|math|eval)[\w:-]+\}", fence[2])
            fences.append((fence[1], not shown))
            if shown:
                lines.append(line.replace(shown[0], " " * len(shown[0])))
                continue
        option = fences and re.match(r"\s*:[\w-]+:(\s|$)", line)
        lines.append(" " * len(line) if fence or inside or option else line)
    blanked = "\n".join(lines)
    for form in (
        r"\{[\w:-]+\}`[^`]*`|(?<!`)`[^`\n]+`(?!`)",
        r"(?s)(?<!\\)\$\$.*?\$\$",
        r"(?<!\\)\$[^$\n]+\$",
        r"\]\([^)\s]*\)|<?https?://[^\s>)]*>?|(?s:<!--.*?-->)|(?m:^\([\w-]+\)=)",
        r"§+\s*\d+(?:\.\d+)*(?:(?:,|\sand|\sto|\s?[-–])\s*\d+(?:\.\d+)*)*",
    ):
        blanked = re.sub(form, lambda found: re.sub(r"[^\n]", " ", found[0]), blanked)
    return blanked


def find_places(masked: str, text: str) -> list[tuple[int, int]]:
    """Where the text stands in prose as a whole: 3.2 neither in 13.2 nor in 3.25 nor in −3.2."""
    before = r"(?<![\w.])(?<!\d,)(?<!−)(?<!(?<!\w)-)" if re.match(r"[\d.]", text) else r"(?<!\w)"
    after = r"(?!\w)(?!\.\d)(?!,\d{3})" if text[-1:].isdigit() else r"(?!\w)"
    words = r"\s+".join(map(re.escape, text.split()))
    return [found.span() for found in re.finditer(before + words + after, masked)] if words else []


def find_bound(text: str, says: Mapping[str, str]) -> list[Place]:
    """The places of all bound texts, in order.

    `3.2` takes every place where that stands, `3.2#2` the second only; where one text holds another, the longer one
    takes the place. Raises SaysError for a key that takes none.
    """
    masked, taken = mask(text), []
    for key in sorted(says, key=lambda key: ("#" not in key, -len(key), key)):
        written, _, number = key.partition("#")
        places = find_places(masked, written)
        if number:
            places = places[int(number) - 1 : int(number)] if re.fullmatch(r"[1-9]\d*", number) else []
        longer = [one for one in taken if len(one.key.partition("#")[0]) >= len(written)]
        free = [place for place in places if not _overlap(place, longer)]
        if not free or _overlap_any(free, taken):
            raise SaysError(f"{key!r} is not in the text, or all of it is bound by another key")
        taken += [Place(*place, key, says[key]) for place in free]
    return sorted(taken)


def _overlap(place: tuple[int, int], taken: Iterable[Place]) -> bool:
    return any(place[0] < one.end and one.start < place[1] for one in taken)


def _overlap_any(places: Iterable[tuple[int, int]], taken: Iterable[Place]) -> bool:
    return any(_overlap(place, taken) for place in places)


def evaluate(expressions: Iterable[str], names: dict) -> dict:
    """The value of each expression: text, number or list of numbers; {"error": why} where it fails.

    It stands alone: its source is run in a chapter's kernel too.
    """
    import numpy

    found = {}
    for expression in expressions:
        try:
            value = eval(expression, names)
            if not isinstance(value, str):
                array = numpy.asarray(value)
                if array.dtype == bool and array.ndim:
                    array = numpy.array([array.sum(), array.size])
                if array.dtype == bool or array.ndim > 1:
                    raise TypeError("expected a number, a list of numbers or of True and False, or a text")
                rounded = [float(f"{number:.8g}") for number in array.astype(float).ravel()]
                if not all(map(numpy.isfinite, rounded)):
                    raise ValueError(f"{rounded} is not finite")
                value = rounded if array.ndim else rounded[0]
            found[expression] = str(value) if isinstance(value, str) else value
        except Exception as error:
            found[expression] = {"error": f"{type(error).__name__}: {error}"}
    return found


def source_of_evaluate() -> str:
    """The code of `evaluate`, for a kernel that cannot import it."""
    return textwrap.dedent(inspect.getsource(evaluate)).replace("Iterable[str]", "object")


def fill(written: str, value: object) -> str:
    """The text with the value in place of its numbers, to the precision in which they are written.

    A value that is a text takes its place. Raises SaysError where the text has more or fewer numbers than the value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        raise SaysError(f"{written!r}: {value['error']}")
    values, slots = [*value] if isinstance(value, list) else [value], list(SLOT.finditer(written))
    if len(values) != len(slots):
        raise SaysError(f"{written!r} holds {len(slots)} numbers, its expression gives {values}")
    parts, end = [], 0
    for slot, number in zip(slots, values, strict=True):
        parts += [written[end : slot.start()], _format(slot, number)]
        end = slot.end()
    return "".join([*parts, written[end:]])


def _format(slot: re.Match, number: float) -> str:
    """The number in the form of what stands in the slot."""
    if slot["word"]:
        whole = round(number)
        word = WORDS[whole] if 0 <= whole < len(WORDS) else f"{whole:,}"
        return word.capitalize() if slot["word"][0].isupper() else word
    digits, percent = slot["digits"], slot["percent"] or ""
    whole, _, decimals = digits.partition(".")
    number = 100 * number if percent else number
    text = f"{abs(number):{'' if len(whole) > 3 and ',' not in whole else ','}.{len(decimals)}f}"
    negative = number < 0 and float(text.replace(",", "")) != 0
    sign = (slot["sign"] or "−").replace("+", "−") if negative else "+" if slot["sign"] == "+" else ""
    return f"{sign}{text.removeprefix('0') if not whole else text}{percent}"


def rewrite(cell: NotebookNode, values: Mapping[str, object]) -> list[Change]:
    """Puts the values into the cell's text and keys, and keeps under `said` those that a run gave.

    Raises SaysError, and changes nothing, where one does not fit.
    """
    says = bound_in(cell)
    if not says:
        return []
    old = prose_of(cell)
    places = find_bound(old, says)
    new, end, moved = "", 0, []
    for place in places:
        written = place.key.partition("#")[0]
        now = fill(written, values[place.expression])
        new += old[end : place.start]
        start, end = len(new), place.end
        new += old[place.start : end] if now == written else now  # a line break inside stays where nothing changed
        moved.append(Place(start, len(new), now, place.expression))
    new += old[end:]
    cell.metadata.book["says"] = _name(new, moved)
    cell.metadata.book.pop("said", None)
    if said := {place.expression: values[place.expression] for place in moved if not is_of_records(place.expression)}:
        cell.metadata.book["said"] = said
    if cell.cell_type == "markdown":
        cell.source = new
    else:
        cell.metadata.mystnb.figure["caption"] = new
    pairs = zip(places, moved, strict=True)
    return [
        Change(before.key.partition("#")[0], after.key, _line_at(new, after.start))
        for before, after in pairs
        if before.key.partition("#")[0] != after.key
    ]


def _name(text: str, places: list[Place]) -> dict[str, str]:
    """The keys of bound places: the text alone where it means one thing wherever it stands, else with its number."""
    masked, says = mask(text), {}
    for place in places:
        everywhere = find_places(masked, place.key)
        others = [one for one in places if one.key != place.key]
        same = [one[:2] for one in places if one.key == place.key and one.expression == place.expression]
        if place[:2] not in everywhere:
            raise SaysError(f"{place.expression} gives {place.key!r}, which does not stand there as a text of its own")
        alone = all(where in same or _overlap(where, others) for where in everywhere)
        says[place.key if alone else f"{place.key}#{everywhere.index(place[:2]) + 1}"] = place.expression
    return says


def _line_at(text: str, place: int) -> str:
    return text[text.rfind("\n", 0, place) + 1 :].partition("\n")[0].strip()


def find_faults(cell: NotebookNode) -> list[str]:
    """What is wrong with a cell's bound texts: text and value differ, or a key, an expression or a value is missing."""
    says, said = bound_in(cell), book_metadata(cell).get("said", {})
    complaints = list(find_bad_keys(cell))
    if complaints:
        return complaints
    of_records = [one for one in says.values() if is_of_records(one)]
    values = {**said, **evaluate(of_records, dict(FROM_RECORDS))}
    for key, expression in says.items():
        written = key.partition("#")[0]
        if expression not in values:
            complaints.append(f"{key!r}: no value of {expression} is stored: run `make execute`")
            continue
        try:
            now = fill(written, values[expression])
        except SaysError as error:
            complaints.append(str(error))
            continue
        if now != written:
            complaints.append(f"the text says {written!r}, the stored run {now!r} ({expression})")
    if stray := said.keys() - set(says.values()):
        complaints.append(f"values of what nothing says: {sorted(stray)}")
    return complaints


def find_bad_keys(cell: NotebookNode) -> Iterator[str]:
    """What can be told before a run: expressions that are no Python, keys that are not in the text."""
    for key, expression in bound_in(cell).items():
        try:
            names = names_of(expression)
        except SyntaxError as error:
            yield f"{key!r}: {expression} is no expression ({error.msg})"
            continue
        if not names:
            yield f"{key!r}: {expression} names nothing that was measured; what is not goes under `given`"
    try:
        find_bound(prose_of(cell), bound_in(cell))
    except SaysError as error:
        yield str(error)


def find_unbound(cell: NotebookNode, sizes: Iterable[float] = ()) -> list[str]:
    """The measured numbers of a cell's text that nothing binds; sizes: what the config holds, which may be said.

    Not measured: code, formulas, sections of the article, versions, and what the metadata calls `given`, {text: why}.
    """
    text, given = prose_of(cell), book_metadata(cell).get("given", {})
    masked, sizes = mask(text), set(sizes)
    complaints = [f"{one!r} is given, but not in the text" for one in given if not find_places(masked, one)]
    complaints += [f"{one!r} is given without a reason" for one, why in given.items() if not str(why).strip()]
    allowed = [place for one in given for place in find_places(masked, one)]
    try:
        allowed += [place[:2] for place in find_bound(text, bound_in(cell))]
    except SaysError:
        return complaints  # find_faults tells of it
    found = {}
    for what, form in MEASURED.items():
        for match in re.finditer(form, masked):
            start, end = match.span("n")
            bound = any(low <= start and end <= high for low, high in allowed)
            if not bound and not re.search(rf"{NAMED}$", masked[:start]) and not _is_size(match, sizes):
                found.setdefault((start, end), f"{' '.join(match[0].split())!r}, {what}, is bound to nothing")
    return complaints + [found[place] for place in sorted(found)]


def _is_size(match: re.Match, sizes: set[float]) -> bool:
    try:
        number = float(match["n"].replace(",", ""))
    except ValueError:  # a word
        return False
    return number in sizes or ("%" in match[0] and round(number / 100, 12) in sizes)
