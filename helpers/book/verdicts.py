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
        if math.isinf(self.low):
            return f"at most {self.high:.3g}"
        return f"at least {self.low:.3g}" if math.isinf(self.high) else f"{self.low:.3g} to {self.high:.3g}"


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
        told = f"{row.value:.4g} {row.unit}", row.band, str(row.seeds or ""), row.verdict
        lines.append((row.metric, told, row.verdict == "within"))
    for name, truth in answers.items():
        lines.append((name, ("", "", "", str(truth)), truth))
    body = "".join(_format_line(*line) for line in lines)
    return (
        '<div class="pst-scrollable-table-container" style="overflow-x: auto">'
        f'<table class="table checks"><caption style="caption-side: top; text-align: left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _format_line(name: str, told: Sequence[str], good: bool) -> str:
    *cells, last = map(escape, told)
    last = last if good else f"<strong>{last}</strong>"
    cells = [f'<th scope="row">{escape(name)}</th>', *(f"<td>{text}</td>" for text in (*cells, last))]
    return f"<tr>{''.join(cells)}</tr>"
