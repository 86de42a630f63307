"""Two noises that a reader mixes: the browser draws what a conditional generator makes of the mixture, by a label."""

import json

import keras
import numpy as np

from helpers.book.page import _display, _image, _pack, _wrap
from helpers.book.widgets import _canvas, _caption, _run, dequantise, format_network
from helpers.plotting import tile_images

COLUMNS = 9  # of a sheet: so many mixtures from one noise to the other, both ends among them


def show_mixture(generator: keras.Model, noises: np.ndarray, task: str, alt: str, label: int = 0) -> None:
    """Display a slider from one noise to another, a label to choose, and the digit that the generator draws.

    generator: (batch, noise and labels, of which one is 1) -> (batch, 28, 28, 1) in [0, 1]. noises: standard normal
    draws, (count, latent_size), two by two; the first two stand there first, as a sheet with a row for each label, and
    where no script runs. task: a sentence of what to look for. alt: what the sheet shows. label: the one that stands
    there first, halfway. What 8 bits change is measured over the sheets of all pairs, and stands below.
    Raises ExportError; ValueError for an odd number of noises, or a label that the generator does not have.
    """
    kinds = generator.input_shape[-1] - noises.shape[-1]
    if len(noises) < 2 or len(noises) % 2:
        raise ValueError(f"{len(noises)} noises were given; expected pairs: 2, 4 or more.")
    if not 0 <= label < kinds:
        raise ValueError(f"label is {label}; expected one of the {max(kinds, 0)} that stand behind the noise.")
    noises = np.round(noises.astype(float), 2)  # as short as they can be written
    inputs = np.concatenate([_list_inputs(pair, kinds) for pair in noises.reshape(-1, 2, noises.shape[-1])])
    exact, rounded = (np.asarray(one(inputs)) for one in (generator, dequantise(generator)))
    apart = np.abs(exact - rounded)
    told = (
        f"Your browser computes the trained generator, weights rounded to 8 bits: over {len(inputs)} mixtures "
        f"a pixel (0 to 1) differs from the chapter's by {apart.mean():.4f} on average, {apart.max():.3f} at most."
    )
    said, sheet = f"{label}, half of each noise", exact[: kinds * COLUMNS]
    png = _pack(np.round(255 * tile_images(sheet, COLUMNS, gap=0))[None].astype(np.uint8))
    options = "".join(f"<option{' selected' * (one == label)}>{one}</option>" for one in range(kinds))
    body = (
        f'<div class="mix" data-noises="{json.dumps(noises.tolist(), separators=(",", ":"))}" '
        f'data-columns="{COLUMNS}">\n<div class="sheet" style="--columns:{COLUMNS};--kinds:{kinds}">'
        f"{_image(png, 'png', alt)}<i hidden></i></div>\n"
        f'<div class="drawn">{_canvas(sheet[label * COLUMNS + COLUMNS // 2], "What the generator draws")}'
        f'<p class="told">{said}</p></div>\n<div class="controls" hidden>'
        f'<label>Digit <select autocomplete="off">{options}</select></label>'
        '<label>Mixture <input type="range" min="0" max="1" step="0.02" value="0.5" autocomplete="off"></label>'
        '<button type="button">Two other noises</button></div>\n'
        f"{_caption(task, 'Choose a digit and drag the slider, or tap the sheet.', told)}"
        f"{format_network(generator)}\n</div>\n{_run('mix.js')}"
    )
    _display(_wrap("mix", body), f"Two noises to mix. {task} {told} {alt}")


def _list_inputs(pair: np.ndarray, kinds: int) -> np.ndarray:
    """What a sheet is drawn from, label by label, (kinds * COLUMNS, latent_size + kinds): a draw of N(0, I) each."""
    angles = np.linspace(0, np.pi / 2, COLUMNS)[:, None]
    way = np.cos(angles) * pair[0] + np.sin(angles) * pair[1]  # (COLUMNS, latent_size)
    labels = np.repeat(np.eye(kinds), COLUMNS, axis=0)
    return np.concatenate([np.tile(way, (kinds, 1)), labels], axis=1).astype(np.float32)
