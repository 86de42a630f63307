"""The table at a chapter's end: does this run match? Every result beside its band, then the yes-or-no lines."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

HEAD = ("Result", "Value", "Band", "Seeds", "Verdict")


class Row(NamedTuple):
    """One result: its band from low to high, infinite on an open side; both None, and no seeds, without a band."""

    metric: str
    value: float
    unit: str
    low: float | None
    high: float | None
    seeds: int

    @property
    def verdict(self) -> str:
        """In plain words."""
        if self.low is None or self.high is None:
            return "no band yet"
        if self.low <= self.value <= self.high and math.isfinite(self.value):
            return "within"
        above, below = self.value - self.high, self.low - self.value
        if not max(above, below) > 0 or math.isinf(self.value):
            return f"outside: {self.value}"
        return f"outside: {above:.2g} above" if above > 0 else f"outside: {below:.2g} below"

    @property
    def band(self) -> str:
        """The band in words."""
        if self.low is None or self.high is None:
            return "none"
        low, high = _format(self.low), _format(self.high)
        if math.isinf(self.low):
            return f"at most {high}"
        return f"at least {low}" if math.isinf(self.high) else f"{low} to {high}"


def count_up(rows: Sequence[Row], answers: dict[str, bool]) -> str:
    """Return in a sentence how many results lie within their bands, and how many yes-or-no lines are True."""
    within = sum(row.verdict == "within" for row in rows)
    told = f"{within} of {len(rows)} results within their bands"
    return f"{told}, {sum(answers.values())} of {len(answers)} checks true." if answers else f"{told}."


def format_table(rows: Sequence[Row], answers: dict[str, bool], provenance: str) -> str:
    """Return the table as HTML.

    rows: one for each result. answers: the yes-or-no lines, {name: truth}. provenance: where the bands are from.
    """
    caption = f"Does this run match? {count_up(rows, answers)} {provenance}"
    head = "".join(f'<th scope="col">{name}</th>' for name in HEAD)
    lines = []
    for row in rows:
        told = f"{_format(row.value)} {row.unit}", row.band, str(row.seeds or "")
        lines.append(_format_line(row.metric, told, row.verdict, row.verdict == "within"))
    lines += [_format_line(name, (), str(truth), truth) for name, truth in answers.items()]
    return (
        '<div class="pst-scrollable-table-container" style="overflow-x: auto">'
        '<table class="table dataframe checks">'
        f'<caption style="caption-side: top; text-align: left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _format(number: float) -> str:
    """Return a number to three digits, a large one in full."""
    return f"{number:,.0f}" if 1e3 <= abs(number) < 1e9 else f"{number:.3g}"


def _format_line(name: str, told: Sequence[str], verdict: str, good: bool) -> str:
    """Return a row of the table; one whose verdict is not as it should be has that in bold."""
    cells = "".join(f"<td>{escape(text)}</td>" for text in told) or f'<td colspan="{len(HEAD) - 2}"></td>'
    last = escape(verdict) if good else f"<strong>{escape(verdict)}</strong>"
    return f'<tr><th scope="row">{escape(name)}</th>{cells}<td>{last}</td></tr>'
