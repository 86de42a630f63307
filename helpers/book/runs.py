"""Several recorded runs of one training: a reader chooses which, and plays it; side by side where no script runs."""

import html
import json
from collections.abc import Mapping, Sequence

import numpy as np

from helpers.book.page import MAX_FRAMES_BYTES, _display, _image, _pack, _read, _wrap

WIDTH = 680  # CSS pixels of all runs side by side


def show_runs(
    runs: Mapping[str, np.ndarray],
    labels: Sequence[str],
    told: Mapping[str, Sequence[str]],
    choice: str,
    task: str,
    alt: str,
) -> None:
    """Display runs to choose from and to play, at the last frame first.

    runs: {name: frames of equal shape, (count, height, width, 3), uint8}. labels: one for each frame, the same in all
    runs. told: {name: what to say of each frame}. choice: what the names are. task: a sentence of what to look for.
    alt: what there is to see, all runs side by side. The frames share one picture of 16 colours.
    Raises ValueError where labels, texts or shapes do not fit, or the picture takes more than 120 kB.
    """
    shapes = {frames.shape for frames in runs.values()}
    counts = {len(labels), *(len(frames) for frames in runs.values()), *(len(told[name]) for name in runs)}
    if len(shapes) != 1 or len(counts) != 1:
        raise ValueError(f"runs have the shapes {shapes} and {counts} frames, labels or texts; expected one of each.")
    whole = np.concatenate([*runs.values()], axis=2)  # (count, height, runs * width, 3)
    png = _pack(whole)
    if len(png) > MAX_FRAMES_BYTES:
        raise ValueError(f"the runs take {len(png):,} bytes; expected at most {MAX_FRAMES_BYTES:,}: take fewer frames.")
    (count, height, width, _), last = whole.shape, len(labels) - 1
    said = json.dumps([list(told[name]) for name in runs], ensure_ascii=False)
    names = [html.escape(label) for label in labels]
    heads = "".join(f"<li>{html.escape(name)}<small>{html.escape(told[name][-1])}</small></li>" for name in runs)
    options = "".join(f"<option>{html.escape(name)}</option>" for name in runs)
    size = f"aspect-ratio:{width}/{height};--ratio:{width / len(runs):g}/{height};--runs:{len(runs)};--run:0"
    player = (
        f'<div class="player" style="max-width:{WIDTH}px">\n'
        f'<div class="strip" style="{size};--count:{count};--frame:{last}">{_image(png, "png", alt)}</div>\n'
        '<div class="controls"><button type="button" aria-label="Play" hidden>▶</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="Frame" aria-valuetext="{names[-1]}" '
        f"hidden><span>{names[-1]}</span></div>\n<ol hidden>{''.join(f'<li>{name}</li>' for name in names)}</ol>\n"
        f"</div>\n<script>\n{_read('frames.js')}</script>"
    )
    body = (
        f'<div class="runs" data-told="{html.escape(said)}">\n'
        f'<label hidden>{html.escape(choice)} <select autocomplete="off">{options}</select></label>\n'
        f'<ol class="heads" role="list">{heads}</ol>\n{_wrap("frames", player)}\n<p class="told" hidden></p>\n'
        f'<p class="caption">{html.escape(task)}</p>\n</div>\n'
        f'<script>\n(() => {{\n"use strict";\n{_read("runs.js")}}})();\n</script>'
    )
    _display(_wrap("runs", body), f"{len(runs)} runs, {labels[0]} to {labels[-1]}. {choice}. {task} {alt}")
