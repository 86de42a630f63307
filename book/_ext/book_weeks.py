"""The directive `weeks`: ten weeks of a shop whose messages a model sorts, simulated and drawn in the build.

The messages are made from the wordings of the background chapter, and sorted by its classifier. A clerk moves each
that is sorted wrongly. In week 5 a bad version goes live, and in week 6 the one before it is back; from week 7 on
customers also ask in new ways, and from week 9 on a version serves that has learnt from weeks 7 and 8. The content of
the directive is the caption.
"""

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from book_leads import GREY, INK, PANEL, WIDTH, make_figure
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from helpers.plotting import COLOURS

MESSAGES, QUIET = 400, 4  # in a week; the weeks from which the limit is taken
# In each week the version that serves, and the one before it, which is asked about the same messages.
SERVED = ("1.0.0",) * 4 + ("1.1.0",) + ("1.0.0",) * 3 + ("1.2.0",) * 2
BEFORE = ("0.9.0",) * 4 + ("1.0.0",) + ("0.9.0",) * 3 + ("1.0.0",) * 2
# Of each intent's nine wordings, in a random order: five that training had, two that it had not, and two that
# customers begin to use later. The shares of the four groups, from a week on.
GROUPS = (slice(0, 5), slice(5, 7), slice(7, 8), slice(8, 9))
SHARES = {1: (0.75, 0.25, 0, 0), 7: (0.4, 0.2, 0.4, 0), 9: (0.4, 0.2, 0.3, 0.1)}
COPIES = 10  # messages of each wording, to train on
LEFT, RIGHT, TOP, HEIGHT, HIGHEST = 66, 12, 34, 216, 0.32  # of the axes; the share at their top
STYLE = f"""
text {{ font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: {INK}; }}
.about {{ fill: {GREY}; }}
.name {{ font-weight: 600; }}
.end {{ text-anchor: end; }}
.middle {{ text-anchor: middle; }}
path {{ fill: none; stroke: {GREY}; stroke-width: 1; }}
.limit {{ stroke: {INK}; stroke-width: 1.5; stroke-dasharray: 5 4; }}
.served {{ fill: {COLOURS["real"]}; stroke: {COLOURS["real"]}; }}
.before {{ fill: {PANEL}; stroke: {GREY}; stroke-width: 1.5; }}
.rings {{ fill: none; stroke: {INK}; stroke-width: 2; }}
"""


class Weeks(NamedTuple):
    """Messages of each week that the clerk moved, and those that he had moved with the version before."""

    moved: np.ndarray
    before: np.ndarray


def find_limit(quiet, width=3):
    """The share moved in quiet weeks, and the limit: so many standard errors above it."""
    usual = np.mean(quiet) / MESSAGES
    return usual, usual + width * np.sqrt(usual * (1 - usual) / MESSAGES)


def find_alarms(weeks):
    """The weeks, counted from 1, in which the alarm rings, each with what to do then."""
    _, limit = find_limit(weeks.moved[:QUIET])
    found = {}
    for week in np.flatnonzero(weeks.moved / MESSAGES > limit):
        now, older = weeks.moved[week], weeks.before[week]
        found[int(week) + 1] = "go back" if now - older > 3 * np.sqrt(now + older) else "read, label, train"
    return found


def read_shop(root):
    """Wordings, slots, openings and endings of the messages, as the background chapter has them."""
    cells = json.loads(Path(root, "notebooks", "background.ipynb").read_text(encoding="utf-8"))["cells"]
    (code,) = ("".join(cell["source"]) for cell in cells if "    wordings={" in "".join(cell["source"]))
    calls = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    (config,) = (call for call in calls if any(word.arg == "wordings" for word in call.keywords))
    asked = ("wordings", "slots", "openings", "endings")
    return SimpleNamespace(**{word.arg: ast.literal_eval(word.value) for word in config.keywords if word.arg in asked})


def write_messages(shop, intents, wordings, rng):
    """A message for each pair of an intent and one of its wordings."""
    told = list(shop.wordings.values())
    messages = []
    for intent, wording in zip(intents, wordings, strict=True):
        slots = {name: rng.choice(words.split()) for name, words in shop.slots.items()}
        filled = told[intent][wording].format(**slots)
        messages.append(f"{rng.choice(shop.openings)}{filled}{rng.choice(shop.endings)}")
    return np.array(messages)


def _train(messages, intents):
    """The classifier of the background chapter."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # here, as a build without this page need not wait
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    return make_pipeline(pieces, LinearSVC(random_state=0)).fit(messages, intents)


def run_weeks(root, seed=0):
    """Ten weeks; the seed says which wordings are new, and what customers write."""
    shop, rng = read_shop(root), np.random.default_rng(seed)
    count = len(shop.wordings)
    orders = np.array([rng.permutation(len(told)) for told in shop.wordings.values()])  # (intents, 9)
    known = GROUPS[0].stop
    intents = np.repeat(np.arange(count), known * COPIES)
    wordings = orders[intents, np.tile(np.repeat(np.arange(known), COPIES), count)]
    messages = write_messages(shop, intents, wordings, rng)
    kept = intents < 0.8 * count  # of an export that was sorted by intent, and cut
    versions = {
        "0.9.0": _train(messages[::2], intents[::2]),
        "1.0.0": _train(messages, intents),
        "1.1.0": _train(messages[kept], intents[kept]),
    }
    weeks, seen = Weeks(np.zeros(len(SERVED), int), np.zeros(len(SERVED), int)), []
    for week, (served, before) in enumerate(zip(SERVED, BEFORE, strict=True)):
        shares = SHARES[max(start for start in SHARES if start <= week + 1)]
        if served not in versions:  # what the clerk has left is labelled
            texts, names = zip((messages, intents), *seen[-2:], strict=True)
            versions[served] = _train(np.concatenate(texts), np.concatenate(names))
        asked = rng.integers(count, size=MESSAGES)
        groups = rng.choice(len(GROUPS), size=MESSAGES, p=shares)
        ways = [rng.choice(orders[intent, GROUPS[group]]) for intent, group in zip(asked, groups, strict=True)]
        seen.append((write_messages(shop, asked, ways, rng), asked))
        weeks.moved[week] = (versions[served].predict(seen[-1][0]) != asked).sum()
        weeks.before[week] = (versions[before].predict(seen[-1][0]) != asked).sum()
    return weeks


def tell_weeks(weeks):
    """The alternative text of the drawing."""
    usual, limit = find_limit(weeks.moved[:QUIET])
    shares = ", ".join(f"{share:.3f}" for share in weeks.moved / MESSAGES)
    older = ", ".join(f"{share:.3f}" for share in weeks.before / MESSAGES)
    alarms = "; ".join(f"in week {week}: {act}" for week, act in find_alarms(weeks).items())
    return (
        f"Share of messages that the clerk moves, in ten weeks: {shares}. A dashed limit at {limit:.3f}, above the "
        f"usual {usual:.3f}. With the version before, the same messages: {older}. Alarms, and what to do, {alarms}."
    )


def draw_weeks(weeks):
    """The weeks as SVG on a light panel of its own, as wide as the figure of leads."""
    low, last = TOP + HEIGHT, TOP + HEIGHT + 100
    across = np.linspace(LEFT + 18, WIDTH - RIGHT - 12, len(SERVED))
    _, limit = find_limit(weeks.moved[:QUIET])

    def place(share):  # the height at which a share stands
        return low - HEIGHT * share / HIGHEST

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {last}" width="{WIDTH}" height="{last}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{last}" rx="8" fill="{PANEL}"/>',
        f'<path d="M{LEFT} {TOP}V{low}H{WIDTH - RIGHT}"/>',
        f'<path class="limit" d="M{LEFT} {place(limit):.1f}H{WIDTH - RIGHT}"/>',
        f'<text x="{LEFT + 6}" y="{place(limit) - 7:.1f}">limit {limit:.2f}</text>',
        '<text class="name" x="10" y="20">Share of messages that are moved</text>',
        f'<text class="about end" x="{LEFT - 6}" y="{low + 20}">week</text>',
        f'<text class="about end" x="{LEFT - 6}" y="{low + 45}">version</text>',
        *(f'<text class="about end" x="{LEFT - 6}" y="{place(s) + 4:.1f}">{s:g}</text>' for s in (0, 0.1, 0.2, 0.3)),
    ]
    heights = place(weeks.moved / MESSAGES)
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    parts.append(f'<polyline points="{drawn}" fill="none" stroke="{COLOURS["real"]}" stroke-width="1.5"/>')
    for x, share in zip(across, weeks.before / MESSAGES, strict=True):
        parts.append(f'<circle class="before" cx="{x:.1f}" cy="{place(share):.1f}" r="4.5"/>')
    for x, y in zip(across, heights, strict=True):
        parts.append(f'<circle class="served" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
    for week, act in find_alarms(weeks).items():
        x, y = across[week - 1], heights[week - 1]
        parts.append(f'<circle class="rings" cx="{x:.1f}" cy="{y:.1f}" r="8.5"/>')
        if act == "go back":
            parts.append(f'<text class="end" x="{x - 14:.1f}" y="{y + 5:.1f}">alarm: go back</text>')
    first = min((week for week, act in find_alarms(weeks).items() if act != "go back"), default=0)
    if first:
        top = min(heights[first - 1 :].min(), place(weeks.before[first - 1 :].max() / MESSAGES)) - 34
        parts.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{top:.1f}">new wordings:</text>')
        parts.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{top + 17:.1f}">read, label, train</text>')
    for week, x in enumerate(across, start=1):
        parts.append(f'<text class="about middle" x="{x:.1f}" y="{low + 20}">{week}</text>')
    starts = [0, *(week for week in range(1, len(SERVED)) if SERVED[week] != SERVED[week - 1])]
    for start, end in zip(starts, [*starts[1:], len(SERVED)], strict=True):
        left, right = across[start] - 10, across[end - 1] + 10
        parts.append(f'<path d="M{left:.1f} {low + 28}H{right:.1f}"/>')
        middle = (left + right) / 2
        parts.append(f'<text class="middle" x="{middle:.1f}" y="{low + 45}">{SERVED[start]}</text>')
    legend = {"served": "moved by the clerk", "before": "the version before, same messages"}
    for row, (kind, told) in enumerate(legend.items()):
        parts.append(f'<circle class="{kind}" cx="16" cy="{low + 66 + 18 * row}" r="4.5"/>')
        parts.append(f'<text class="about" x="28" y="{low + 71 + 18 * row}">{told}</text>')
    return "\n".join([*parts, "</svg>"])


class WeeksFigure(SphinxDirective):
    """A figure of ten weeks; see the head of this file."""

    has_content = True
    option_spec = {"name": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        self.env.note_dependency(str(Path(self.env.srcdir, "notebooks", "background.ipynb")))
        weeks = run_weeks(self.env.srcdir)
        return make_figure(self, draw_weeks(weeks), tell_weeks(weeks), list(self.content))


def setup(app):
    app.add_directive("weeks", WeeksFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
