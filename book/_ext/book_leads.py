"""The directive `leads`: how far a model was ahead of something plainer, as one dot for each seed, drawn in the build.

Its content is a list, and the caption. An item of the list is one strip of dots:

    - problem | rival | unit | bands:CHAPTER/METRIC

A minus before bands: turns the difference round, so that to the right is always the model's side. Strips of one problem
follow each other and share a scale; on it the seed that is farthest from zero touches the edge.
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
TOP, HEIGHT, DOTS, BOTTOM = 34, 40, 18, 62  # above the strips, of one, from its words to its dots, and below them all
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
    for value in np.sort(lead.values):
        x = MIDDLE + REACH * value / most
        yield f'<circle cx="{x:.1f}" cy="{line}" r="4.5" fill="{FILLS[lead.verdict]}" fill-opacity="0.75"/>'


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
        holder = nodes.Element()
        place = self.content_offset + len(rows)
        self.state.nested_parse(StringList(rest, source=self.env.doc2path(self.env.docname)), place, holder)
        (words,) = holder.children
        caption = nodes.caption(words.rawsource, "", *words.children)
        caption.source, caption.line = words.source, words.line
        drawing = base64.b64encode(draw_leads(leads).encode()).decode()
        image = nodes.image(uri=f"data:image/svg+xml;base64,{drawing}", alt=tell_leads(leads), width="480px")
        figure = nodes.figure("", image, caption)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def setup(app):
    app.add_directive("leads", Leads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
