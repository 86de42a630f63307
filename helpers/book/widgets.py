"""What a reader touches: a chapter's trained network as 8-bit integers, which the browser computes by itself.

The script `static/network.js` is the one engine; each widget brings it along, with a picture that stands there where no
script runs. `dequantise` gives the same network to Keras, so that the two can be compared on the same weights.
"""

import base64
import html
import json
import random
import zlib
from collections.abc import Iterator, Mapping

import keras
import numpy as np
from matplotlib.colors import to_hex

from helpers.arguments import check_kind, check_positive
from helpers.book.page import _display, _image, _pack, _read, _wrap
from helpers.checks import LabelError, check_labels, check_latent, check_numbers, check_whole_type
from helpers.plotting import DIGIT_COLORS, tile_images

MAX_BYTES = 300_000  # of the weights of a widget, before they are packed
LEVELS = 127  # of an 8-bit integer, to each side of zero
ACTIVATIONS = {"linear": [], **{name: [[name]] for name in ("relu", "silu", "tanh", "sigmoid")}}
PASSED = (keras.layers.InputLayer, keras.layers.Reshape, keras.layers.Flatten)  # numbers stay in their order
REACH = 3.2  # of the plane, to each side
WALK_REACH, WAYS = 2.1, 24  # of the plane in which points walk; how many of their ways are drawn
UNIT = 100  # of a drawing of the plane, for 1 in latent space: places are whole numbers there
MAX_CODES = 1_000  # in a drawing of the plane


class ExportError(ValueError):
    """A network that a page cannot compute, or that is too heavy for it."""


def export_network(model: keras.Model) -> tuple[list[list], bytes]:
    """Return a network as the steps that network.js knows, [name, sizes ...], and its weights, in order of the steps.

    model: a keras.Sequential of Dense layers (linear, ReLU, SiLU, tanh, sigmoid), LeakyReLU, Activation, Reshape,
    Flatten, and bilinear UpSampling2D by two of images with one channel. A Dense layer gives its kernel as int8,
    (outputs, inputs), a scale for each output unit and the biases as float32, (outputs,) each.
    Raises ExportError for anything else, and above 300 kB.
    """
    check_kind(keras.Model, "a keras.Sequential, without branches", ExportError, model=model)
    if not isinstance(model, keras.Sequential):
        raise ExportError(f"{model.name} is a {type(model).__name__}; expected a keras.Sequential, without branches.")
    steps: list[list] = []
    parts: list[bytes] = []
    for layer in model.layers:
        steps += _describe(layer)
        if isinstance(layer, keras.layers.Dense):
            whole, scale = _quantise(np.asarray(layer.kernel))
            bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(len(scale))
            parts += [
                np.ascontiguousarray(whole.T).tobytes(),
                *(part.astype("<f4").tobytes() for part in (scale, bias)),
            ]
    weights = b"".join(parts)
    if len(weights) > MAX_BYTES:
        raise ExportError(f"the weights take {len(weights):,} bytes; expected at most {MAX_BYTES:,} for a page.")
    return steps, weights


def dequantise(model: keras.Model) -> keras.Model:
    """Return a copy of a network with the weights that the page computes with: those of export_network, as floats.

    It draws no random number, so what a chapter trains afterwards stays the same. Raises ExportError.
    """
    export_network(model)
    state = random.getstate()  # from which Keras takes seeds of first weights
    copy = keras.models.clone_model(model)
    random.setstate(state)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        if isinstance(layer, keras.layers.Dense):
            whole, scale = _quantise(np.asarray(layer.kernel))
            layer.kernel.assign(whole * scale)
    return copy


def format_network(model: keras.Model, *more: str) -> str:
    """Return the element that holds a network for readNetwork of network.js; more: activations behind its last step.

    Raises ExportError.
    """
    steps, weights = export_network(model)
    told = html.escape(json.dumps([*steps, *([name] for name in more)]))
    packed = base64.b64encode(zlib.compress(weights, 9)).decode()
    return f'<script type="text/plain" class="weights" data-steps="{told}">{packed}</script>'


def show_plane(
    decoder: keras.Model,
    codes: np.ndarray,
    labels: np.ndarray,
    task: str,
    start: tuple[float, float] = (0.0, 0.0),
    above: str = "",
) -> None:
    """Display the plane of codes to drag on, and the digit that the decoder draws from the place.

    decoder: (batch, 2) -> logits of 28 x 28 pixels. codes, labels: of digits, (count, 2) and (count,), which stand
    behind as points, at most 1,000. task: a sentence of what to look for. start: the code that stands there first.
    above: HTML that stands above it, such as what page.format_frames returns. What 8 bits change is measured on a grid
    over the plane, and stands below. Raises ExportError.
    """
    check_kind(keras.Model, "a decoder of two numbers", ExportError, decoder=decoder)
    check_kind(str, "a text", ExportError, task=task, above=above)
    check_latent(np.array([start]), 2)
    check_latent(codes, 2)
    check_numbers(LabelError, arrays=True, codes=codes, labels=labels)
    check_labels(labels, len(codes), len(DIGIT_COLORS))
    check_whole_type(labels)
    ticks = np.linspace(-REACH, REACH, 17, dtype=np.float32)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)  # (289, 2)
    apart = np.abs(_decode(decoder, grid) - _decode(dequantise(decoder), grid))
    told = (
        f"Your browser computes the trained decoder, weights rounded to 8 bits: over {len(grid)} codes of the plane "
        f"a pixel (0 to 1) differs from the chapter's by {apart.mean():.4f} on average, {apart.max():.3f} at most."
    )
    side, (x, y) = round(2 * REACH * UNIT), _place(np.array(start), REACH)
    label = "The plane of codes: those of digits as points, each kind in its colour and with its number."
    body = (
        f'<div class="plane" data-reach="{REACH}" data-start="{start[0]} {start[1]}">\n'
        f'<div class="field"><svg viewBox="0 0 {side} {side}" role="img" aria-label="{label}">'
        f'{_draw_codes(codes, labels)}<g class="mark" transform="translate({x} {y})"><circle r="18"/>'
        '<path d="M-44 0h22M22 0h22M0 -44v22M0 22v22"/></g></svg></div>\n'
        f'<div class="drawn">{_canvas(_decode(decoder, np.array([start], np.float32))[0], "What the decoder draws")}'
        f'<p class="told">code ({start[0]:.2f}, {start[1]:.2f})</p></div>\n'
        f"{_caption(task, 'Drag, tap, or use the arrow keys (Shift for long steps, Home for the middle).', told)}"
        f"{format_network(decoder, 'sigmoid')}\n</div>\n{_run('plane.js')}"
    )
    _display(above + _wrap("plane", body), f"A plane of codes to touch. {task} {told}")


def show_steps(
    network: keras.Model,
    noise: np.ndarray,
    centres: np.ndarray,
    radius: float,
    digits: Mapping[int, np.ndarray],
    task: str,
    alt: str,
    first: int = 5,
) -> None:
    """Display points that a flow in the plane carries in as many steps as the reader chooses, and digits beside them.

    network: (batch, 3), a place and the time, -> (batch, 2), the guess of the end, which the browser computes. noise:
    where points begin, (count, 2). centres, (clouds, 2), and radius: of the circles in which they should end. digits:
    {number of steps: images, (count, 28, 28, 1) in [0, 1], of the same noise each time}, drawn beforehand; alt: what
    they show. task: a sentence of what to look for. first: the number of steps that stands there first. What 8 bits
    change is measured at the most steps, and stands below. Raises ExportError; ValueError where first has no digits.
    """
    if first not in digits:
        raise ValueError(f"first is {first}; expected one of the numbers of steps, {', '.join(map(str, digits))}.")
    check_latent(noise, 2)
    check_latent(centres, 2)
    check_positive(radius=radius)
    counts, noise = list(digits), np.round(noise, 2)
    way, frame = _walk(network, noise, first), counts.index(first)
    exact, rounded = (_walk(one, noise, max(counts))[-1] for one in (network, dequantise(network)))
    apart = np.linalg.norm(exact - rounded, axis=1)
    inside = np.linalg.norm(way[-1][:, None] - centres, axis=2).min(axis=1) < radius
    said = f"{first} steps: {inside.sum()} of {len(noise)} points end in a circle"
    told = (
        f"Your browser computes the network of the plane, weights rounded to 8 bits: after {max(counts)} steps a point "
        f"lies {np.median(apart):.4f} from where the chapter's lies (median; a circle has the radius {radius:g}), and "
        f"{np.sum(apart > radius)} of {len(noise)} lie farther off than a radius. The digits were drawn beforehand."
    )
    sheets = np.stack([np.round(255 * tile_images(images, 4)) for images in digits.values()]).astype(np.uint8)
    _, high, wide = sheets.shape
    given = {"noise": noise.tolist(), "centres": np.round(centres, 4).tolist(), "counts": counts}
    data = " ".join(f'data-{name}="{json.dumps(values)}"' for name, values in given.items())
    body = (
        f'<div class="walk" {data} data-radius="{radius:g}" data-unit="{UNIT}" data-reach="{WALK_REACH}">\n'
        f"{_draw_walk(way, centres, radius)}\n"
        f'<div class="strip" style="aspect-ratio:{wide}/{high};--count:{len(counts)};--frame:{frame}">'
        f'{_image(_pack(sheets), "png", alt)}</div>\n<div class="controls"><input type="range" min="0" '
        f'max="{len(counts) - 1}" value="{frame}" aria-label="Number of steps" aria-valuetext="{said}" hidden>'
        f'<p class="told">{said}</p></div>\n{_caption(task, "Drag the slider, or use the arrow keys.", told)}'
        f"{format_network(network)}\n</div>\n{_run('steps.js')}"
    )
    _display(_wrap("steps", body), f"A number of steps to choose. {task} {told} {alt}")


def _describe(layer: keras.layers.Layer) -> Iterator[list]:
    """The steps of one layer."""
    kinds = keras.layers
    if isinstance(layer, kinds.Dense | kinds.Activation):
        name = getattr(layer.activation, "__name__", "")
        if name in ACTIVATIONS and not (
            isinstance(layer, kinds.Dense) and len(layer.kernel.shape) != len(layer.input.shape)
        ):
            yield from [["dense", *layer.kernel.shape]] if isinstance(layer, kinds.Dense) else []
            yield from ACTIVATIONS[name]
            return
    elif isinstance(layer, kinds.LeakyReLU):
        yield ["leaky_relu", float(layer.negative_slope)]
        return
    elif isinstance(layer, kinds.UpSampling2D):
        _, height, width, channels = layer.input.shape
        if (layer.size, layer.interpolation, channels) == ((2, 2), "bilinear", 1):
            yield ["enlarge", height, width]
            return
    elif isinstance(layer, PASSED):
        return
    raise ExportError(f"{layer.name}: a page cannot compute this {type(layer).__name__}; see widgets.export_network.")


def _quantise(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel, (inputs, outputs), as int8 and the scale of each output unit, float32, (outputs,)."""
    most = np.abs(kernel).max(axis=0)
    scale = (np.where(most > 0, most, 1.0) / LEVELS).astype(np.float32)
    return np.round(kernel / scale).astype(np.int8), scale


def _run(script: str) -> str:
    """The element that runs a script of `static/` with the engine, and leaves no name behind."""
    return f'<script>\n(() => {{\n"use strict";\n{_read("network.js")}{_read(script)}}})();\n</script>'


def _decode(decoder: keras.Model, codes: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1], (count, 28, 28, 1), of codes, (count, 2)."""
    return np.asarray(keras.ops.sigmoid(decoder(codes)))


def _canvas(image: np.ndarray, label: str) -> str:
    """The element on which a script paints an image, (28, 28, 1) in [0, 1]; until it does, the image stands there."""
    png = base64.b64encode(_pack(np.round(255 * image[None, ..., 0]).astype(np.uint8))).decode()
    return (
        f'<canvas width="28" height="28" role="img" aria-label="{html.escape(label)}" '
        f'style="background-image:url(data:image/png;base64,{png})"></canvas>'
    )


def _caption(task: str, guide: str, told: str) -> str:
    """What to look for, how (which shows where a script runs), and what the rounding of weights changes."""
    return (
        f'<p class="caption">{html.escape(task)} <span class="guide" hidden>{html.escape(guide)}</span> '
        f"{html.escape(told)}</p>\n"
    )


def _place(points: np.ndarray, reach: float) -> np.ndarray:
    """Where points, (..., 2), lie in a drawing of the plane, whole numbers from its upper left."""
    return np.round(UNIT * (reach + points * (1, -1))).astype(int)


def _draw_points(points: np.ndarray, reach: float) -> str:
    """The data of a path that is a dot at each point, (count, 2)."""
    return "".join(f"M{x} {y}h0" for x, y in _place(points, reach))


def _draw_codes(codes: np.ndarray, labels: np.ndarray) -> str:
    """The points of codes in the colours of their digits, a number at each median, and a circle of radius 2."""
    inside = np.abs(codes).max(axis=1) < REACH
    codes, labels = codes[inside][:MAX_CODES], labels[inside][:MAX_CODES]
    middle, kinds = round(UNIT * REACH), np.unique(labels)
    drawn = [f'<circle class="ring" cx="{middle}" cy="{middle}" r="{2 * UNIT}"/>']
    for digit in kinds:
        points = _draw_points(codes[labels == digit], REACH)
        drawn.append(f'<path data-digit="{digit}" stroke="{to_hex(DIGIT_COLORS[digit])}" d="{points}"/>')
    for digit in kinds:
        x, y = _place(np.median(codes[labels == digit], axis=0), REACH)
        drawn.append(f'<text x="{x}" y="{y}">{digit}</text>')
    return "".join(drawn)


def _draw_walk(way: np.ndarray, centres: np.ndarray, radius: float) -> str:
    """The drawing of points that walk, (steps + 1, count, 2): circles, some of the ways, and where all of them end."""
    side = round(2 * WALK_REACH * UNIT)
    drawn = [
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="Points that walk from noise to circles on a ring">'
    ]
    for x, y in _place(centres, WALK_REACH):
        drawn.append(f'<circle class="goal" cx="{x}" cy="{y}" r="{UNIT * radius:.0f}"/>')
    lines = _place(way[:, :WAYS].swapaxes(0, 1), WALK_REACH)  # (ways, steps + 1, 2)
    ways = "".join("M" + "L".join(f"{x} {y}" for x, y in line) for line in lines)
    drawn.append(f'<path class="ways" data-count="{WAYS}" d="{ways}"/>')
    drawn.append(f'<path class="starts" d="{_draw_points(way[0, :WAYS], WALK_REACH)}"/>')
    drawn.append(f'<path class="ends" d="{_draw_points(way[-1], WALK_REACH)}"/></svg>')
    return "".join(drawn)


def _walk(network: keras.Model, noise: np.ndarray, steps: int) -> np.ndarray:
    """Where points, (count, 2), are after each of so many Euler steps, (steps + 1, count, 2)."""
    way = [noise.astype(np.float32)]
    for step in range(steps):
        times = np.full((len(noise), 1), step / steps, np.float32)
        ends = np.asarray(network(np.concatenate([way[-1], times], axis=1)))
        way.append(way[-1] + (ends - way[-1]) / (steps - step))  # a step at the velocity of the guess
    return np.stack(way)
