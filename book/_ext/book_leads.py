"""The directive `leads`: how far a model was ahead of something plainer, as one dot for each seed, drawn in the build.

Its content is a list, and the caption. An item of the list is one strip of dots:

    - problem | rival | unit | bands:CHAPTER/METRIC

A minus before bands: turns the difference round, so that to the right is always the model's side. Strips of one problem
follow each other and share a scale; on it the seed that is farthest from zero touches the edge.

The directive `lead` draws one lead twice: by run, and with the standard error that another look at it has. Its list:

    - one | bands:CHAPTER/METRIC
    - other | bands:CHAPTER/METRIC
    - what the other standard error is about | the standard error
"""

import base64
from html import escape
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import article
import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from helpers.plotting import COLOURS

WIDTH, MIDDLE, REACH = 360, 180, 160  # of the drawing, its zero, and from there to the farthest seed
TOP, HEIGHT, DOTS, BOTTOM = 34, 48, 22, 62  # above the strips, of one, from its words to its dots, and below them all
RADIUS, STEPS = 3.5, (0, 1, -1, 2, -2, 3, -3)  # of a dot; where it goes, above or below, to hide no other
INK, GREY, PANEL = "#1f2328", "#57606a", "#f6f8fa"
AHEAD, BEHIND, APART = "the generative model ahead in all runs", "behind in all runs", "the runs disagree"
FILLS = {AHEAD: COLOURS["generator"], BEHIND: COLOURS["baseline"], APART: "#fff"}
STYLE = f"""
text {{ font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: {INK}; }}
.name {{ font-weight: 600; }}
.about {{ fill: {GREY}; }}
.end {{ text-anchor: end; }}
path {{ stroke: {GREY}; stroke-width: 1; }}
circle {{ stroke: {INK}; stroke-width: 1; }}
"""


class Lead(NamedTuple):
    """One strip: by how much a model was ahead of a rival, by seed."""

    problem: str
    rival: str
    unit: str
    values: np.ndarray

    @property
    def verdict(self):
        """Whether all seeds lie on one side."""
        ahead = self.values > 0
        return AHEAD if ahead.all() else BEHIND if (self.values < 0).all() else APART

    @property
    def size(self):
        """The mean with its sign; the least and the most where seeds disagree, since then the mean says little."""
        if self.verdict == APART:
            least, most = (f"{end:.1g}" for end in (self.values.min(), self.values.max()))
            return f"{least} to {most} {self.unit}".replace("-", "−")
        mean = self.values.mean()
        return f"{'+' if mean > 0 else ''}{article.tell_number(mean)} {self.unit}"

    def tell(self):
        """The strip in words, for those who do not see it."""
        ahead = f"{(self.values > 0).sum()} of {len(self.values)}"
        return f"{self.problem}, against {self.rival}: ahead in {ahead}, lead {self.size}."


def read_lead(line):
    """The strip that a line of the list names. Raises ArticleError for a line of another form."""
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 4:
        raise article.ArticleError(f"{line!r}: expected - problem | rival | unit | bands:CHAPTER/METRIC.")
    *words, metric = parts
    sign = -1 if metric.startswith("-") else 1
    return Lead(*words, sign * article.find_values(metric.removeprefix("-")))


def tell_leads(leads):
    """The alternative text of the drawing."""
    told = "Strips of dots, one dot for each run with its own seed; to the right of zero the generative model is ahead."
    return " ".join([told, *(lead.tell() for lead in leads)])


def draw_leads(leads):
    """The strips as SVG, 360 wide, on a light panel of its own: an image cannot see the theme of the page."""
    height = TOP + HEIGHT * len(leads) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PANEL}"/>',
        '<text class="about" x="10" y="20">← plainer thing ahead</text>',
        f'<text class="about end" x="{WIDTH - 10}" y="20">generative ahead →</text>',
    ]
    y = TOP
    for _, group in groupby(leads, lambda lead: lead.problem):
        group = list(group)
        most = max(np.abs(lead.values).max() for lead in group)
        for lead in group:
            parts += _draw_strip(lead, most, y)
            y += HEIGHT
    for place, (verdict, fill) in enumerate(FILLS.items()):
        parts.append(f'<circle cx="16" cy="{y + 10 + 18 * place}" r="4.5" fill="{fill}"/>')
        parts.append(f'<text class="about" x="28" y="{y + 15 + 18 * place}">{verdict}</text>')
    return "\n".join([*parts, "</svg>"])


def _draw_strip(lead, most, y):
    """One strip, whose words stand on top: y is its upper end, and most the value at the edge."""
    line = y + DOTS + 10
    yield f'<text x="10" y="{y + 14}"><tspan class="name">{escape(lead.problem)}</tspan>'
    yield f'<tspan class="about" dx="6">{escape(lead.rival)}</tspan></text>'
    yield f'<text class="end" x="{WIDTH - 10}" y="{y + 14}">{escape(lead.size)}</text>'
    yield f'<path d="M{MIDDLE - REACH} {line}H{MIDDLE + REACH}M{MIDDLE} {line - 8}V{line + 8}"/>'
    across = MIDDLE + REACH * np.sort(lead.values) / most
    for x, y in zip(across, spread_dots(across), strict=True):
        yield f'<circle cx="{x:.1f}" cy="{line + y:.1f}" r="{RADIUS}" fill="{FILLS[lead.verdict]}"/>'


def spread_dots(across):
    """How far above or below its line each dot goes, so that none hides another; they come from left to right."""
    rows = []
    for place, x in enumerate(across):
        near = [row for other, row in zip(across[:place], rows, strict=True) if x - other < 2 * RADIUS + 1]
        rows.append(next((step for step in STEPS if step not in near), 0))
    return np.array(rows) * (RADIUS + 0.5)


class Doubts(NamedTuple):
    """A lead by run, and a second standard error of it."""

    one: str
    other: str
    values: np.ndarray
    about: str
    second: float

    @property
    def errors(self):
        """The standard errors, by what was drawn again."""
        by_run = self.values.std(ddof=1) / np.sqrt(len(self.values))
        return {"run": by_run, self.about: self.second}

    def tell(self):
        """Both intervals in words."""
        ahead = f"{(self.values > 0).sum()} of {len(self.values)}"
        ends = (f"by {name} within {tell_ends(self.values.mean(), error)}" for name, error in self.errors.items())
        return f"{self.one} ahead of {self.other} in {ahead} runs; the mean lead {', '.join(ends)}."


def tell_ends(mean, error):
    """The ends of an interval of two standard errors on either side."""
    return f"{mean - 2 * error:.3f} to {mean + 2 * error:.3f}".replace("-", "−")


def read_doubts(lines):
    """The lead that a list of three lines names. Raises ArticleError for a list of another form."""
    parts = [[part.strip() for part in line.split("|")] for line in lines]
    if [len(pair) for pair in parts] != [2, 2, 2]:
        raise article.ArticleError(f"{lines!r}: expected one, other, and a standard error.")
    (one, first), (other, second), (about, error) = parts
    return Doubts(one, other, article.find_values(first) - article.find_values(second), about, float(error))


def draw_doubts(doubts):
    """The ten runs as dots, and below them an interval of two standard errors for each of the two."""
    mean = doubts.values.mean()
    reach = max(np.abs(doubts.values).max(), *(abs(mean) + 2 * error for error in doubts.errors.values()))
    height, across = 174, MIDDLE + REACH * doubts.values / reach
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PANEL}"/>',
        f'<text class="about" x="10" y="20">← {escape(doubts.other)} ahead</text>',
        f'<text class="about end" x="{WIDTH - 10}" y="20">{escape(doubts.one)} ahead →</text>',
        f'<path d="M{MIDDLE} 30V{height - 10}"/>',
        '<text class="name" x="10" y="55">ten runs</text>',
    ]
    for x, y in zip(np.sort(across), spread_dots(np.sort(across)), strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{50 + y:.1f}" r="{RADIUS}" fill="#fff"/>')
    for row, (name, error) in enumerate(doubts.errors.items()):
        y = 100 + 50 * row
        low, middle, high = (MIDDLE + REACH * (mean + side * error) / reach for side in (-2, 0, 2))
        parts.append(f'<text class="name" x="10" y="{y - 14}">by {escape(name)}</text>')
        parts.append(f'<text class="end" x="{WIDTH - 10}" y="{y - 14}">{tell_ends(mean, error)}</text>')
        parts.append(f'<path d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 5}V{y + 5}M{high:.1f} {y - 5}V{y + 5}"/>')
        parts.append(f'<circle cx="{middle:.1f}" cy="{y}" r="{RADIUS}" fill="{INK}"/>')
    return "\n".join([*parts, "</svg>"])


class OneLead(SphinxDirective):
    """A figure of one lead; see the head of this file."""

    has_content = True
    option_spec = {"name": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        self.env.note_dependency(str(Path(self.env.srcdir, "results", "bands", "quick.json")))
        rows = [line for line in self.content if line.startswith("- ")]
        rest = [line for line in self.content if not line.startswith("- ")]
        doubts = read_doubts([line.removeprefix("- ") for line in rows])
        return make_figure(self, draw_doubts(doubts), doubts.tell(), rest, len(rows))


class Leads(SphinxDirective):
    """A figure of strips; see the head of this file."""

    has_content = True
    option_spec = {"name": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        bands = Path(self.env.srcdir, "results", "bands", "quick.json")
        self.env.note_dependency(str(bands))
        rows = [line for line in self.content if line.startswith("- ")]
        rest = [line for line in self.content if not line.startswith("- ")]
        leads = [read_lead(line.removeprefix("- ")) for line in rows]
        return make_figure(self, draw_leads(leads), tell_leads(leads), rest, len(rows))


def make_figure(directive, drawing, alt, told, above=0):
    """A directive's figure: a drawing in SVG, its alternative text, and the caption, above which stand lines."""
    holder = nodes.Element()
    content = StringList(told, source=directive.env.doc2path(directive.env.docname))
    directive.state.nested_parse(content, directive.content_offset + above, holder)
    (words,) = holder.children
    caption = nodes.caption(words.rawsource, "", *words.children)
    caption.source, caption.line = words.source, words.line
    encoded = base64.b64encode(drawing.encode()).decode()
    image = nodes.image(uri=f"data:image/svg+xml;base64,{encoded}", alt=alt, width="480px")
    figure = nodes.figure("", image, caption)
    directive.set_source_info(figure)
    directive.add_name(figure)
    return [figure]


def setup(app):
    app.add_directive("leads", Leads)
    app.add_directive("lead", OneLead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
