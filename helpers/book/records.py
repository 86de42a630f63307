"""Records of studies and full runs: what was measured once, over seeds, with where, when and how."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from helpers.arguments import check_kind, check_whole, list_some, tell
from helpers.book import full_runs
from helpers.book.bands import WITHIN, Reference, find_results, form_band
from helpers.files import check_json

KEYS = ("metrics", "seconds", "peak_memory_mb", "versions", "commit", "date")
EITHER = (("digest", "code_digest"), ("machine", "device"))  # the second: in records from before November 28, 2026
NAME = re.compile(r"\w{1,100}")
HUGE = 1e100  # of a value
METRIC_KEYS = ("value", "unit", "standard_error", "n", "seeds")


class RecordError(ValueError):
    """A record is missing, incomplete or at odds with itself, or lacks what is asked of it."""


class Record(NamedTuple):
    """A measured record: its name, metrics by name, and the whole of it as stored."""

    name: str
    metrics: dict
    stored: dict

    def get(self, metric: str) -> dict[str, Any]:
        """Return one metric's entry: value, unit, standard_error, n, seeds. Raises RecordError for an unknown name."""
        check_kind(str, "the name of a metric", RecordError, metric=metric)
        if metric not in self.metrics:
            raise RecordError(
                f"{self.name}: the record holds no {metric!r:.200}; expected one of {list_some(self.metrics)}."
            )
        return self.metrics[metric]

    def values(self, metric: str) -> np.ndarray:
        """Return a metric's value for each seed, (n,). Raises RecordError where the record keeps only their mean."""
        entry = self.get(metric)
        if "values" not in entry:
            raise RecordError(f"{self.name}: {metric!r} has no values by seed; expected them; measure it again.")
        return np.asarray(entry["values"], np.float64)

    def includes(self, metric: str, value: float, *, worse: str = "either", log: bool = False) -> bool:
        """Return whether value, a live run's, lies where the record's seeds let it be expected; see bands.form_band."""
        check_kind(int | float | np.number, "a number", RecordError, value=value)
        return form_band(self.values(metric), worse, log).judge(value) == WITHIN

    def format_table(self, rows: Sequence[str], columns: Sequence[str], digits: int = 2) -> str:
        """Return a table as text, value ± standard error if any: a line for each row, of the metrics "column/row".

        A metric that the record does not hold is left blank. Raises RecordError where it holds none of them.
        """
        _check_names(rows, columns)
        check_whole(0, 20, RecordError, digits=digits)
        names = [f"{column}/{row}" for row in rows for column in columns]
        if not self.metrics.keys() & set(names):
            raise RecordError(f"{self.name}: no metric for {tell(rows)} and {tell(columns)}; names are column/row.")
        cells = [[row, *(_format(self.metrics.get(f"{column}/{row}"), digits) for column in columns)] for row in rows]
        return _align([["", *columns], *cells])

    def find_picture(self) -> Path:
        """Return the path of the picture beside the record. Raises RecordError where there is not one."""
        folder = find_results() / "full" / self.name
        pictures = list(folder.glob("*.png"))
        if len(pictures) != 1:
            raise RecordError(
                f"{self.name}: {len(pictures)} pictures in {folder}; expected the one that `make full` writes."
            )
        return pictures[0]

    def describe(self) -> str:
        """Return in two lines where, when and how the record was measured."""
        seeds = max(entry["n"] for entry in self.metrics.values())
        first = f"{self.name}: {seeds} seeds, measured {self.stored['date']}, commit {self.stored['commit']}"
        return f"{first}\nin {full_runs.tell_price(self.stored)}"


def load(name: str) -> Record:
    """Return the record of a study or full run by its name. Raises RecordError where there is none, or a bad one."""
    _check_name(name)
    path = find_results() / "full" / f"{name}.json"
    check_json(path, RecordError)
    if not path.exists():
        raise RecordError(f"{name}: no record at {path}; expected one written by `make studies` or `make full`.")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{name}: the record is not JSON ({error}); restore it or measure it again.") from error
    check(stored, name)
    return Record(name, stored["metrics"], stored)


def load_published(table: str) -> dict[str, Any]:
    """Return a table of published numbers, {row: {column: value, "source": its key in the bibliography, "where": ...}}.

    Raises RecordError for an unknown table.
    """
    check_kind(str, "the name of a table", RecordError, table=table)
    check_json(find_results() / "published.json", RecordError)
    tables = json.loads((find_results() / "published.json").read_text(encoding="utf-8"))
    check_kind(dict, "tables by name", RecordError, tables=tables)
    if table not in tables:
        raise RecordError(f"no published table is called {table!r}; there are {', '.join(sorted(tables))}.")
    return tables[table]


def show_full_run(chapter: str) -> Any:
    """Return the picture of a chapter's full run, for display. Raises RecordError where it has no such record."""
    from IPython.display import Image  # which only a notebook has

    return Image(filename=str(load(chapter).find_picture()))


def show_full_numbers(chapter: str) -> None:
    """Display the numbers of a chapter's full run beside quick, and the yes-or-no lines that differ.

    Raises RecordError where the chapter has no record of a full run.
    """
    full_runs.show(load(chapter).stored, Reference(chapter, "quick").metrics)


def check(stored: Any, name: str) -> None:
    """Raise RecordError, naming the first thing that is wrong, unless stored is a whole record, true to its values."""
    _check_form(stored, name)
    lacks = not isinstance(stored, dict) or not stored.get("metrics") or set(KEYS) - stored.keys()
    if lacks or not all(stored.keys() & set(either) for either in EITHER):
        needed = ", ".join((*KEYS, *(either[0] for either in EITHER)))
        raise RecordError(f"{name}: a record needs {needed}, and a metric at least; measure it again.")
    for metric, entry in stored["metrics"].items():
        if set(METRIC_KEYS) - entry.keys():
            raise RecordError(f"{name}: {metric} needs {', '.join(METRIC_KEYS)}, found {', '.join(entry)}.")
        values, count = entry.get("values"), entry["n"]
        if len(entry["seeds"]) != count or (values is not None and len(values) != count):
            raise RecordError(f"{name}: {metric} says n = {count}; expected as many seeds and values; do not edit it.")
        if not all(map(math.isfinite, (entry["value"], entry["standard_error"], *(values or [])))):
            raise RecordError(f"{name}: {metric} holds a number that is not finite; expected none; measure it again.")
        if values and not math.isclose(entry["value"], np.mean(values), rel_tol=1e-9, abs_tol=1e-12):
            raise RecordError(f"{name}: {metric} is not the mean of its values; do not edit it, measure it again.")
        if values and not math.isclose(
            entry["standard_error"], full_runs.find_standard_error(values), rel_tol=1e-9, abs_tol=1e-12
        ):
            raise RecordError(f"{name}: {metric}: the standard error is not that of its values; measure it again.")


def _check_form(stored: Any, name: str) -> None:
    """Raise RecordError for parts of a record that are of no form in which it could be judged."""
    check_kind(str, "the name of a record", RecordError, name=name)
    stored = stored if isinstance(stored, dict) else {}
    metrics = stored.get("metrics") or {}
    check_kind(dict, "an object", RecordError, **{f"{name}: metrics": metrics})
    check_kind(int | float, "seconds", RecordError, **{f"{name}: seconds": stored.get("seconds", 0)})
    machine = stored.get("machine", {})
    if not stored.get("device") and isinstance(machine, dict) and machine:
        words = {f"{name}: {part}": machine.get(part) or "" for part in ("cpu", "gpu")}
        check_kind(str, "a text", RecordError, **words)
        missing = {"cpu", "threads", "cores"} - machine.keys()
        if missing:
            raise RecordError(f"{name}: the machine lacks {', '.join(missing)}; measure it again.")
    elif not isinstance(machine, dict) or not isinstance(stored.get("device", ""), str):
        raise RecordError(f"{name}: the machine is not told as `make studies` does; measure it again.")
    for metric, entry in metrics.items():
        check_kind(dict, "an object", RecordError, **{f"{name}: {metric}": entry})
        check_kind(list, "a list", RecordError, **{f"{name}: {metric}, seeds": entry.get("seeds", [])})
        given = {
            f"{name}: {metric}, {part}": entry[part] for part in ("seeds", "values") if entry.get(part) is not None
        }
        check_kind(list, "a list", RecordError, **given)
        check_kind(int, "a whole number", RecordError, **{f"{name}: {metric}, n": entry.get("n", 0)})
        values = (entry.get("value", 0), entry.get("standard_error", 0), *(entry.get("values") or ()))
        for value in values:
            check_kind(int | float, "a number", RecordError, **{f"{name}: {metric}": value})
            if HUGE < abs(value) < math.inf:
                raise RecordError(f"{name}: {metric} holds {tell(value)}; do not edit it, measure it again.")
        if entry.get("values") is not None and len(values) < 3:
            raise RecordError(f"{name}: {metric} has no values; do not edit it, measure it again.")


def _check_name(name: Any) -> None:
    check_kind(str, "the name of a record", RecordError, name=name)
    if not NAME.fullmatch(name):
        raise RecordError(f"{tell(name)} is no name of a record; expected letters, digits and _, such as 'vae'.")


def _check_names(rows: Any, columns: Any) -> None:
    for name, some in {"rows": rows, "columns": columns}.items():
        check_kind(list | tuple, "a list of names", RecordError, **{name: some})
        for one in some:
            check_kind(str, "a name", RecordError, **{f"one of {name}": one})


def _align(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of texts as one text: the first column to the left, the others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(
        f"{line[0]:{first}}{''.join(f'{text:>{width + 2}}' for text, width in zip(line[1:], others, strict=True))}"
        for line in lines
    )


def _format(entry: dict[str, Any] | None, digits: int) -> str:
    """Return value ± standard error; an exact number, such as a count, without."""
    if not entry:
        return ""
    value, error = entry["value"], entry["standard_error"]
    if error or entry["n"] > 1:  # seeds that agree are no proof
        return f"{value:,.{digits}f} ± {error:,.{digits}f}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.{digits}f}"
