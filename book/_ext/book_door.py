"""What the first page is made of: the role `measured`, and the directive `real-and-generated`.

{measured}`gan_mnist | frechet/conditional GAN | .1f` is a number of a record in a sentence, so that no measured number
is typed by hand; `minutes` in place of a format turns seconds into whole minutes.
"""

import re
from pathlib import Path

import numpy as np
from book_stale import mark
from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.util.docutils import SphinxDirective, SphinxRole

from helpers.book import page, records


def tell_measured(text):
    """The name of a record and one of its numbers as text, for "record | metric | format"."""
    name, metric, form = (part.strip() for part in text.split("|"))
    value = records.load(name).get(metric)["value"]
    return name, f"{value / 60:.0f}" if form == "minutes" else f"{value:{form}}"


def note_record(env, name):
    """Have the page that is read built again when the record changes."""
    env.note_dependency(str(Path(env.srcdir, "results", "full", f"{name}.json")))


class Measured(SphinxRole):
    """A number of a record, as text."""

    def run(self):
        name, text = tell_measured(self.text)
        note_record(self.env, name)
        return [nodes.Text(text)], []


class RealAndGenerated(SphinxDirective):
    """A figure of two pictures of a record side by side: real data, and what a model made.

    Its argument is the record; its content is three paragraphs: a line above each picture, and the caption. Where the
    record's folder holds pictures of the training, NAME_step_STEP.png for the NAME of `generated`, they take the place
    of that picture, as frames to play.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "name": directives.unchanged_required,
        "real": directives.unchanged_required,
        "generated": directives.unchanged_required,
        "real-alt": directives.unchanged_required,
        "generated-alt": directives.unchanged_required,
    }

    def run(self):
        record = self.arguments[0]
        note_record(self.env, record)
        content = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, content)
        *lines, words = content.children
        figure, pair = nodes.figure("", classes=["side-by-side"]), nodes.container(classes=["pair"])
        for side, line in zip(("real", "generated"), lines, strict=True):
            pair += nodes.container("", line, self._show(side, record))
        caption = nodes.caption(words.rawsource, "", *words.children)
        caption.source, caption.line = words.source, words.line
        if mark(self.env.app, "studies", record):
            caption += nodes.Text(" (Measured with earlier code.)")
        figure += [pair, caption]
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]

    def _show(self, side, record):
        name, alt = self.options[side], self.options[f"{side}-alt"]
        frames = find_frames(Path(self.env.srcdir, "results", "full", record), name) if side == "generated" else {}
        return (
            show_frames(frames, alt) if frames else nodes.image("", uri=f"/results/full/{record}/{name}.png", alt=alt)
        )


def find_frames(folder, name):
    """The pictures of a training in a folder, by step: {step: path}, in order."""
    steps = {int(re.search(r"(\d+)$", path.stem)[1]): path for path in folder.glob(f"{name}_step_*.png")}
    return dict(sorted(steps.items()))


def show_frames(frames, alt):
    """Frames to play, as a node: the pictures of a training, {step: path}."""
    pictures = np.stack([np.asarray(Image.open(path).convert("L")) for path in frames.values()])
    html = page.format_frames(pictures, [f"step {step:,}" for step in frames], alt)
    return nodes.raw("", html, format="html")


def setup(app):
    app.add_role("measured", Measured())
    app.add_directive("real-and-generated", RealAndGenerated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
