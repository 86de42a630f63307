"""Figures: each function draws on an Axes that it is given and returns it; none of them shows anything."""

import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_COLORS = plt.colormaps["tab10"].colors


def use_book_style() -> None:
    """Set what all figures of the book share: size, resolution, type, quiet axes."""
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


def show_images(ax: Axes, images: np.ndarray, columns: int, label: str | None = None) -> Axes:
    """Draw images, (count, 28, 28, 1) in [0, 1], as a grid of so many columns, with a small label above."""
    ax.imshow(_tile(images, columns), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    ax.set_axis_off()
    if label:
        ax.set_title(label, fontsize=9)
    return ax


def show_rows(ax: Axes, rows: Mapping[str, np.ndarray]) -> Axes:
    """Draw rows of images, {name: (count, 28, 28, 1)}, one under the other, each with its name at the left."""
    mosaic = _tile(np.concatenate(list(rows.values())), columns=len(next(iter(rows.values()))))
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
    for style, (name, values) in zip(itertools.cycle(("-", "--", ":", "-.")), curves.items(), strict=False):
        ax.plot(x, values, style, label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend()
    return ax


def plot_latent_plane(ax: Axes, latent: np.ndarray, labels: np.ndarray) -> Axes:
    """Draw latent vectors, (count, 2), as points in their digit's colour, with each digit at its median."""
    for digit, color in enumerate(DIGIT_COLORS):
        points = latent[labels == digit]
        if not len(points):
            continue
        ax.scatter(points[:, 0], points[:, 1], s=9, color=color, alpha=0.7, linewidths=0)
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
    counts = np.bincount(labels, minlength=10)
    plurals = ("sixes" if name == "six" else f"{name}s" for name in DIGIT_NAMES)
    names = zip(counts, DIGIT_NAMES, plurals, strict=True)
    listed = ", ".join(f"{count} {name if count == 1 else plural}" for count, name, plural in names if count)
    return f"{len(labels)} digits: {listed}"


def _tile(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Return images as one picture, gap white pixels apart; the last row is filled up with white."""
    count, height, width, _ = images.shape
    lines = -(-count // columns)
    canvas = np.ones((lines * (height + gap) - gap, columns * (width + gap) - gap), np.float32)
    for index, image in enumerate(images[..., 0]):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas
