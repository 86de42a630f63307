"""The article held against the book: its sections, statements, errors and claims, from the data files in book/article.

A claim's verdict is computed, from rules that the data file holds and from values that the book has measured: see the
head of book/article/claims.toml. `book/_ext/book_article.py` makes the pages of it.
"""

import functools
import math
import operator
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.book import bands, records
from tools.notebook_files import NOTEBOOKS, ROOT, code_cells, read

FOLDER = ROOT / "book" / "article"
DIRECTIONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
HOLDS, LIMITED, FAILS = "holds", "holds with limits", "fails"
UNTESTABLE, UNTESTED = "not testable here", "not tested yet"
VERDICTS = (HOLDS, LIMITED, FAILS, UNTESTABLE, UNTESTED)
PROFILES = ("quick", "full")
ENDS = {"share": (0.0, 1.0)} | dict.fromkeys(("nats", "bits", "squared", "ratio"), (0.0, math.inf))
# the least and the most that a unit allows, by its first word
PARTS = ("metric", "minus", "over", "start", "goal")  # of a rule: what names a metric


class ArticleError(ValueError):
    """A data file about the article is at odds with itself, or names what the book does not hold."""


class Measured(NamedTuple):
    """What a rule compares: a mean over seeds with its standard error; a number without seeds has none."""

    value: float
    standard_error: float = 0.0


class Judged(NamedTuple):
    """A claim's verdict, with what each of its rules compared, by profile, and whether that met it there.

    A published number belongs to no profile; it stands under "".
    """

    verdict: str
    measured: tuple[dict[str, Measured], ...]
    met: tuple[dict[str, bool], ...]


def read_rows(name: str) -> list[dict]:
    """The rows of a data file: sections, statements, errata, claims or metrics, as they stand there.

    Raises ArticleError where the file is no TOML, or holds no rows.
    """
    path = FOLDER / f"{name}.toml"
    try:
        (rows,) = tomllib.loads(path.read_text(encoding="utf-8")).values()
    except (FileNotFoundError, ValueError) as error:
        raise ArticleError(f"{path}: {error}; expected one list of tables.") from error
    return rows


def find_values(metric: str, profile: str = "quick") -> np.ndarray:
    """A metric's values by seed, or a single number: SOURCE:NAME, as the head of claims.toml says.

    Raises ArticleError for one that the book does not hold.
    """
    source, _, name = metric.partition(":")
    try:
        if source == "bands":
            chapter, name = name.split("/", 1)
            return np.asarray(bands.Reference(chapter, profile or "quick").metrics[name]["values"])
        if source == "checks":
            chapter, name = name.split("/", 1)
            return np.asarray(_find_checks(chapter, profile or "quick")[name], np.float64)
        if source == "record":
            record, name = name.split("/", 1)
            found = records.load(record)
            one = found.get(name)
            return np.asarray([one["value"]]) if one["n"] == 1 else found.values(name)
        if source == "published":
            table, row, column = name.split("/")
            return np.asarray([records.load_published(table)[row][column]], np.float64)
    except (KeyError, ValueError) as error:
        raise ArticleError(f"{metric}: the book does not hold it ({error}).") from error
    raise ArticleError(f"{metric}: expected it to begin with bands:, checks:, record: or published:.")


def tell_metric(metric: str) -> str:
    """What a page says of a metric: "3 of 10" for a check, its runs that came out so; else the mean over seeds."""
    values = find_values(metric)
    if metric.startswith("checks:"):
        return f"{int(values.sum())} of {len(values)}"
    return tell_number(float(values.mean()))


def tell_spread(metric: str) -> str:
    """What a page says of a metric that differs between seeds: its mean, and from where to where it goes."""
    values = find_values(metric)
    least, most = (tell_number(float(end)) for end in (values.min(), values.max()))
    return f"{tell_number(float(values.mean()))} ({least} to {most})"


def find_profiles(rule: dict) -> tuple[str, ...]:
    """The profiles in which all that a rule compares was measured; ("",) where that is published numbers alone.

    Raises ArticleError where its parts have no profile in common.
    """
    common = set(PROFILES)
    parts = [rule[part] for part in PARTS if part in rule]
    for source, _, name in (metric.partition(":") for metric in parts):
        chapter, _, rest = name.partition("/")
        if source == "bands":
            common &= {profile for profile in PROFILES if rest in bands.Reference(chapter, profile).metrics}
        elif source == "checks":
            common &= {profile for profile in PROFILES if rest in _find_checks(chapter, profile)}
        elif source == "record":
            common &= {records.load(chapter).stored.get("profile", "quick")}
    if not common:
        raise ArticleError(f"{' and '.join(parts)}: no profile has them all; expected one that the book has measured.")
    if not any(metric.startswith(("bands:", "checks:", "record:")) for metric in parts):
        return ("",)
    return tuple(profile for profile in PROFILES if profile in common)


def measure_rule(rule: dict, profile: str = "quick") -> Measured:
    """What a rule compares, by its metric, and by what is subtracted or divided by where it says so.

    A difference is taken seed by seed where both sides have the same seeds, a quotient, or a share of a way, of the
    means.
    """
    values = find_values(rule["metric"], profile)
    if "over" in rule:
        values = np.asarray([values.mean() / find_values(rule["over"], profile).mean()])
    elif "minus" in rule:
        others = find_values(rule["minus"], profile)
        if len(others) != len(values):
            values, others = values.mean(keepdims=True), others.mean(keepdims=True)
        values = values - others
    elif "start" in rule:
        values = np.asarray([_find_share_of_way(rule, values.mean(), profile)])
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
    return Measured(float(values.mean()), error)


def _find_share_of_way(rule: dict, reached: float, profile: str) -> float:
    """The share of the way from a rule's start to its goal that a value has gone."""
    start, goal = (find_values(rule[end], profile).mean() for end in ("start", "goal"))
    return float((start - reached) / (start - goal))


def _find_checks(chapter: str, profile: str) -> dict[str, list[bool]]:
    """A chapter's yes-or-no results in one profile, each with its outcome by seed."""
    return bands.Reference(chapter, profile).stored.get("checks", {})


def find_reach(rule: dict, profile: str = "quick") -> tuple[Measured, Measured]:
    """The least and the most that a rule could have compared, with its baseline and its error as they were measured.

    The ends of a metric are in metrics.toml, or follow from its unit: a share lies between 0 and 1. A published number
    could have been that of any other row of its table. Raises ArticleError for a metric without ends.
    """
    source, _, name = rule["metric"].partition(":")
    if source == "published":
        table, _, column = name.split("/")
        column_values = [row[column] for row in records.load_published(table).values() if column in row]
        ends = [min(column_values), max(column_values)]
    elif source == "checks":
        ends = list(ENDS["share"])
    else:
        given = next((row for row in read_rows("metrics") if row["metric"] == name and "least" in row), None)
        if given:
            ends = [given["least"], given["most"]]
        elif (unit := _find_unit(source, name).partition(" ")[0]) in ENDS:
            ends = list(ENDS[unit])
        else:
            raise ArticleError(f"{rule['metric']}: how small and how large can it be? Say so in metrics.toml.")
    error = measure_rule(rule, profile).standard_error
    if "over" in rule:
        ends = [end / find_values(rule["over"], profile).mean() for end in ends]
    elif "minus" in rule:
        ends = [end - find_values(rule["minus"], profile).mean() for end in ends]
    elif "start" in rule:
        ends = [_find_share_of_way(rule, end, profile) for end in ends]
    least, most = sorted(Measured(float(end), error) for end in ends)
    return least, most


def _find_unit(source: str, name: str) -> str:
    """The unit of a metric, "" for one without; chapters measured before they told units have them in their records."""
    holder, _, metric = name.partition("/")
    if source == "bands" and (unit := bands.Reference(holder, "quick").metrics.get(metric, {}).get("unit")):
        return unit
    try:
        return records.load(holder).get(metric)["unit"]
    except records.RecordError:
        return ""


def meets(rule: dict, measured: Measured) -> bool:
    """Whether what was measured lies on the rule's side of its threshold, by its margin if it has one."""
    inward = -1 if rule["direction"].startswith(">") else 1
    strict = measured.value + inward * rule.get("margin", 0) * measured.standard_error
    return DIRECTIONS[rule["direction"]](strict, rule["threshold"])


def judge(claim: dict, measure: Callable[[dict, str], Measured] = measure_rule) -> Judged:
    """A claim's verdict: it holds where all rules are met, with limits where some are, and fails where none is.

    A rule is met if it is met in each profile that has its numbers: the worse one counts.
    """
    rules = claim.get("rules", [])
    measured = tuple({profile: measure(rule, profile) for profile in find_profiles(rule)} for rule in rules)
    met = tuple(
        {profile: meets(rule, value) for profile, value in found.items()}
        for rule, found in zip(rules, measured, strict=True)
    )
    if not rules:
        return Judged(UNTESTED if "until" in claim else UNTESTABLE, (), ())
    whole = [all(by_profile.values()) for by_profile in met]
    return Judged((FAILS, LIMITED, HOLDS)[any(whole) + all(whole)], measured, met)


def describe_daggers(claims: list[dict]) -> str:
    """How many verdicts of each kind rest on a rule that was written when its numbers were known, in one sentence."""
    tested = [(judge(claim).verdict, claim["rule_set"] == "after") for claim in claims if "rules" in claim]
    later = [[known for found, known in tested if found == verdict] for verdict in (HOLDS, LIMITED, FAILS)]
    held, limited, failed = (f"{sum(known)} of {len(known)}" for known in later)
    return f"A dagger stands beside {held} that hold, {limited} that hold with limits, and {failed} that fail"


def describe_rule(rule: dict, measured: dict[str, Measured]) -> str:
    """A rule and what was measured for it, in one line of text: a value for each profile, marked as met or not."""
    told = _name(rule["metric"])
    told += f" − {_name(rule['minus'])}" if "minus" in rule else f" / {_name(rule['over'])}" if "over" in rule else ""
    told += f", share of the way from {_name(rule['start'])} to {_name(rule['goal'])}" if "start" in rule else ""
    values = []
    for profile, found in measured.items():
        error = f" ± {found.standard_error:.2g}" if found.standard_error > 1e-9 else ""  # less is rounding
        mark = "✓" if meets(rule, found) else "✗"
        words = f"{f'{profile} ' if profile else ''}{tell_number(found.value)}{error} {mark}"
        values.append(words.replace(" ", "\N{NO-BREAK SPACE}"))  # a mark belongs to its value
    margin = f" by {rule['margin']} standard errors" if "margin" in rule else ""
    wanted = rule["direction"].replace(">=", "≥").replace("<=", "≤")
    return f"{told}, wanted {wanted} {tell_number(rule['threshold'])}{margin}: {', '.join(values)}"


def tell_number(value: float) -> str:
    """A number as a reader is told it: with a true minus, large ones in millions or billions."""
    for size, word in ((1e9, " billion"), (1e6, " million")):
        if abs(value) >= size:
            return f"{value / size:,.4g}{word}".replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}").replace("-", "−")


def _name(metric: str) -> str:
    """A metric as a reader is told of it: by the name in metrics.toml, else by its own, without its source."""
    source, _, name = metric.partition(":")
    parts = name.split("/")
    if source == "published":
        return f"{parts[2].replace('_', ' ')} of {parts[1]}"
    return _names().get(name, ", ".join(parts[1:]))


@functools.cache
def _names() -> dict[str, str]:
    return {row["metric"]: row["name"] for row in read_rows("metrics") if "name" in row}


def find_section(section: str, sections: list[dict]) -> str:
    """The row of the map under which a section of the article falls, 2.1.1 under 2.1, and 5.2 over 5.2.1.

    Raises ArticleError for a section that the article does not have.
    """
    known = {row["section"] for row in sections}
    for known_section in known:
        if f"{section}.".startswith(f"{known_section}.") or f"{known_section}.".startswith(f"{section}."):
            return known_section
    raise ArticleError(f"§ {section} is not on the map; expected one under {', '.join(sorted(known))}.")


def find_cell(chapter: str, cell: str) -> Path:
    """The notebook that has the code cell. Raises ArticleError where there is no such chapter, or cell in it."""
    path = NOTEBOOKS / f"{chapter}.ipynb"
    known = [found.id for found in code_cells(read(path))] if path.exists() else []
    if cell not in known:
        raise ArticleError(f"{chapter}: no code cell {cell!r}; expected one of {', '.join(known) or 'a chapter'}.")
    return path
