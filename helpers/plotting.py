"""Figures: each function that draws does so on an Axes that it is given and returns it; none shows anything.

Images that could not be told from black or white, being bytes or from -1 to 1, end in an ImageError; NaN is left white.
Other arguments that cannot be drawn end in a LatentError, LabelError or ArgumentError.
"""

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from helpers.arguments import ArgumentError, check_kind, check_positive, check_same_length, check_whole
from helpers.checks import (
    ImageError,
    LabelError,
    LatentError,
    check_labels,
    check_latent,
    check_numbers,
    check_pictures,
    check_whole_type,
    read_numbers,
)

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_COLORS = plt.colormaps["tab10"].colors
# What a colour means is the same in all figures and drawings of the book. They differ for colour-blind eyes too, and
# stand out by 3 to 1 or more from white and from the panel of a drawing.
COLOURS = {
    "real": "#0060A0",
    "generator": "#D55E00",
    "decoder": "#D55E00",
    "discriminator": "#C463A8",
    "latent": "#00704F",
    "encoder": "#00704F",
    "broken": "#3D0A14",
    "baseline": "#8A8A8A",
}


def use_book_style() -> None:
    """Set what all figures of the book share: size, type, quiet axes; in a notebook, twice as many pixels as shown."""
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.2),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "savefig.bbox": "standard",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "legend.frameon": False,
        }
    )
    if shell := _find_shell():
        from matplotlib_inline.config import InlineBackend  # which only a notebook has

        InlineBackend.instance(parent=shell).figure_formats = {"retina"}


def show_images(ax: Axes, images: np.ndarray, columns: int, label: str | None = None) -> Axes:
    """Draw images, (count, 28, 28, 1) in [0, 1], as a grid of so many columns, with a small label above."""
    _check_axes(ax)
    check_kind(str | None, "a text, or None", label=label)
    ax.imshow(tile_images(images, columns), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    ax.set_axis_off()
    if label:
        ax.set_title(label, fontsize=9)
    return ax


def show_rows(ax: Axes, rows: Mapping[str, np.ndarray]) -> Axes:
    """Draw rows of images, {name: (count, 28, 28, 1)}, one under the other, each with its name at the left."""
    _check_axes(ax)
    _check_rows(rows)
    mosaic = tile_images(np.concatenate(list(rows.values())), columns=len(next(iter(rows.values()))))
    ax.imshow(mosaic, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    height = mosaic.shape[0] / len(rows)
    ax.set_yticks([height * (row + 0.5) for row in range(len(rows))], list(rows))
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def plot_curves(
    ax: Axes, curves: Mapping[str, Sequence[float]], x: Sequence[float] | np.ndarray, xlabel: str, ylabel: str
) -> Axes:
    """Draw curves, {name: values}, over x, told apart by colour and line style."""
    _check_axes(ax)
    _check_curves(curves, x)
    check_kind(str, "a text", xlabel=xlabel, ylabel=ylabel)
    for style, (name, values) in zip(itertools.cycle(("-", "--", ":", "-.")), curves.items(), strict=False):
        ax.plot(x, values, style, label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend()
    return ax


def label_lines(ax: Axes, gap: float = 1.2) -> Axes:
    """Write each line's name at its end, in its colour, instead of a legend; names stand gap lines of text apart."""
    _check_axes(ax)
    check_positive(gap=gap)
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    ends = [np.column_stack(line.get_data())[np.isfinite(line.get_ydata())][-1] for line in lines]
    ax.autoscale_view()  # pending until something asks for the limits
    heights = [ax.transAxes.inverted().transform(ax.transData.transform(end))[1] for end in ends]
    size = plt.rcParams["font.size"] * 0.9
    least = gap * size / 72 * ax.figure.dpi / ax.get_window_extent().height
    places: dict[int, float] = {}
    for index in np.argsort(heights):  # from below, each at least so far above the one before
        places[index] = max(heights[index], max(places.values(), default=-np.inf) + least)
    for index, line in enumerate(lines):
        colour = 0.8 * np.array(to_rgb(line.get_color()))  # type needs more contrast than a line
        ax.annotate(
            str(line.get_label()),
            (ends[index][0], places[index]),
            xycoords=("data", "axes fraction"),
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            fontsize=size,
            va="center",
            annotation_clip=False,
        )
    return ax


def plot_latent_plane(ax: Axes, latent: np.ndarray, labels: np.ndarray) -> Axes:
    """Draw latent vectors, (count, 2), as points in their digit's colour, with each digit at its median.

    The points come in an order of chance, so that no digit covers another.
    """
    _check_axes(ax)
    check_numbers(LatentError, arrays=True, latent=latent)
    check_latent(latent, 2)
    check_numbers(LabelError, arrays=True, labels=labels)
    check_labels(labels, len(latent), len(DIGIT_COLORS))
    order = np.random.default_rng(0).permutation(len(latent))
    colors = np.array(DIGIT_COLORS)[labels[order]]
    ax.scatter(*latent[order].T, s=9, color=colors, alpha=0.7, linewidths=0)  # type: ignore[misc]  # two coordinates
    for digit, color in enumerate(DIGIT_COLORS):
        points = latent[labels == digit]
        if not len(points):
            continue
        ax.annotate(
            str(digit),
            np.median(points, axis=0),
            fontsize=13,
            fontweight="bold",
            ha="center",
            va="center",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": color, "linewidth": 1.5},
        )
    ax.set_xlabel("latent dimension 1")
    ax.set_ylabel("latent dimension 2")
    ax.set_aspect("equal")
    return ax


def describe_digits(labels: np.ndarray) -> str:
    """Return in words how many of each digit there are, for alternative texts: "3 digits: 2 zeros, 1 six"."""
    check_labels(labels, classes=len(DIGIT_NAMES))
    check_whole_type(labels)
    counts = np.bincount(labels, minlength=10)
    plurals = ("sixes" if name == "six" else f"{name}s" for name in DIGIT_NAMES)
    names = zip(counts, DIGIT_NAMES, plurals, strict=True)
    listed = ", ".join(f"{count} {name if count == 1 else plural}" for count, name, plural in names if count)
    return f"{len(labels)} digits: {listed}"


def tile_images(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Return images, (count, height, width, 1) in [0, 1], as one picture, so many a row, gap white pixels apart.

    The last row is filled up with white. Returns (height, width), float32.
    """
    check_pictures(images, shown=True)
    check_whole(columns=columns)
    check_whole(0, gap=gap)
    count, height, width, _ = images.shape
    lines = -(-count // columns)
    canvas = np.ones((lines * (height + gap) - gap, columns * (width + gap) - gap), np.float32)
    for index, image in enumerate(images[..., 0]):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def reduce_colours(figure: Figure, colours: int = 16) -> Image.Image:
    """Return a figure as a picture of few colours, for the end of a cell, and close it.

    A grid of grey images takes a third of the bytes so: a chapter holds two megabytes.
    """
    check_kind(Figure, "a figure of matplotlib", figure=figure)
    check_whole(1, 256, colours=colours)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]  # of Agg's canvas
    plt.close(figure)
    return Image.fromarray(pixels).quantize(colours, method=Image.Quantize.MAXCOVERAGE)


def _check_axes(ax: Axes) -> None:
    check_kind(Axes, "axes to draw on, such as plt.gca()", ax=ax)


def _check_curves(curves: Mapping[str, Sequence[float]], x: Sequence[float] | np.ndarray) -> None:
    check_kind(Mapping, "{name: values}", curves=curves)
    if not curves:
        raise ArgumentError("no curves, expected {name: values}, one or more.")
    check_same_length({"x": x, **{str(name): values for name, values in curves.items()}})
    for name, values in {**curves, "x": x}.items():
        if np.ndim(read_numbers(values, str(name), ArgumentError)) != 1:
            raise ArgumentError(f"{name} has shape {np.shape(values)}, expected a list of numbers.")


def _check_rows(rows: Mapping[str, np.ndarray]) -> None:
    if not isinstance(rows, Mapping) or not rows:
        raise ArgumentError(f"rows is a {type(rows).__name__}, expected {{name: images}}, one row or more.")
    for name, images in rows.items():
        check_pictures(read_numbers(images, repr(name), ImageError), repr(name), shown=True)
    first, *others = map(len, rows.values())
    if {first, *others[:-1]} != {first} or others[-1:] > [first]:  # the last one may be filled up with white
        raise ArgumentError(f"rows hold {[first, *others]} images, expected as many in each.")


def _find_shell() -> Any:
    """The notebook's shell, or None in a script."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
