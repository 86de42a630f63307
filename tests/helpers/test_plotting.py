"""Figures: each function draws what it is given on the Axes it is given, returns them, and shows nothing."""

import itertools
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.colors
import matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.axes import Axes
from matplotlib_inline.config import InlineBackend

from helpers import plotting
from helpers.arguments import ArgumentError


def grey_images(*levels: float) -> np.ndarray:
    """One 2 x 3 image of each grey level."""
    return np.array(levels, np.float32)[:, None, None, None] * np.ones((1, 2, 3, 1), np.float32)


@pytest.fixture
def ax(monkeypatch: pytest.MonkeyPatch) -> Iterator[Axes]:
    """Axes beside others that are the current ones; any call of show fails the test."""
    monkeypatch.setattr(plt, "show", lambda *args, **options: pytest.fail("show was called"))
    plt.close("all")  # what other files' tests have left
    with matplotlib.rc_context():
        figure, (given, current) = plt.subplots(1, 2)
        plt.sca(current)
        yield given
        assert not current.has_data()
        assert plt.get_fignums() == [figure.number]
        plt.close(figure)


def test_a_notebook_is_known_by_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: "the shell"))
    assert plotting._find_shell() == "the shell"
    monkeypatch.delitem(sys.modules, "IPython")
    assert plotting._find_shell() is None


def test_a_name_stands_for_each_part_of_a_model() -> None:
    parts = {"real", "generator", "decoder", "discriminator", "latent", "encoder", "broken", "baseline"}
    assert plotting.COLOURS.keys() == parts


def test_rows_but_the_last_hold_as_many_images() -> None:
    levels = np.linspace(0.0, 1.0, 3)
    rows = {name: grey_images(*levels) for name in "abcd"}
    with pytest.raises(ArgumentError, match=r"rows hold \[3, 3, 2, 3\] images"):
        plotting.show_rows(plt.gca(), rows | {"c": grey_images(0.1, 0.2)})
    plotting.show_rows(plt.gca(), rows | {"d": grey_images(0.1)})
    plotting.show_rows(plt.gca(), rows | {"b": grey_images(*levels, np.nan)[1:]})  # what is only shown may have gaps


@pytest.mark.parametrize(
    ("curves", "message"),
    [({}, "no curves, expected {name: values}, one or more"), ({"loss": [[1], [2]]}, r"loss has shape \(2, 1\)")],
)
def test_curves_are_lists_of_numbers(curves: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        plotting.plot_curves(plt.gca(), curves, [0, 1], "step", "loss")


DRAWERS = [
    lambda ax: plotting.show_images(ax, grey_images(0.2, 0.4, 0.6), columns=2, label="some"),
    lambda ax: plotting.show_rows(ax, {"a": grey_images(0.2, 0.4), "b": grey_images(0.6, 0.8)}),
    lambda ax: plotting.plot_curves(ax, {"a": [1, 2], "b": [2, 1]}, [0, 1], "step", "loss"),
    lambda ax: plotting.plot_latent_plane(ax, np.arange(40.0).reshape(20, 2), np.arange(20) % 10),
]


@pytest.mark.parametrize("draw", [*DRAWERS, plotting.label_lines])
def test_what_is_no_axes_is_refused(ax: Axes, draw) -> None:
    with pytest.raises(ArgumentError, match=r"expected axes to draw on, such as plt\.gca\(\)"):
        draw(ax.figure)


@pytest.mark.parametrize("draw", DRAWERS, ids=["show_images", "show_rows", "plot_curves", "plot_latent_plane"])
def test_figures_draw_on_the_axes_given_and_return_them(ax: Axes, draw) -> None:
    assert draw(ax) is ax
    assert ax.has_data()
    ax.figure.canvas.draw()


def test_images_stand_in_a_grid_row_by_row(ax: Axes) -> None:
    plotting.show_images(ax, grey_images(0.1, 0.2, 0.3), columns=2, label="some")
    picture = np.asarray(ax.images[0].get_array())  # two rows and columns of 2 x 3, 2 white pixels between
    assert picture.shape == (6, 8)
    assert [picture[:2, :3].max(), picture[:2, 5:].max(), picture[4:, :3].max()] == pytest.approx([0.1, 0.2, 0.3])
    assert picture[2:4].min() == picture[:, 3:5].min() == picture[4:, 5:].min() == 1.0
    assert ax.images[0].get_clim() == (0.0, 1.0)  # grey stays grey, however dark the images
    assert ax.get_title() == "some"


def test_rows_have_their_names_beside_them(ax: Axes) -> None:
    plotting.show_rows(ax, {"real": grey_images(0.1, 0.2, 0.3), "fake": grey_images(0.4, 0.5, 0.6)})
    picture = np.asarray(ax.images[0].get_array())
    assert picture.shape == (6, 13)
    assert picture[:2, :3].max() == pytest.approx(0.1)
    assert picture[4:, 10:].max() == pytest.approx(0.6)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["real", "fake"]
    assert [0 <= tick < 3 for tick in ax.get_yticks()] == [True, False]


def test_curves_can_be_told_apart_without_colour(ax: Axes) -> None:
    curves = {"one": [1.0, 2.0], "two": [3.0, 4.0], "three": [5.0, 6.0], "four": [7.0, 8.0]}
    plotting.plot_curves(ax, curves, [10, 20], "step", "loss (nats)")
    assert {line.get_label(): list(line.get_ydata()) for line in ax.lines} == curves
    assert all(list(line.get_xdata()) == [10, 20] for line in ax.lines)
    assert len({line.get_linestyle() for line in ax.lines}) == 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss (nats)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(curves)


def test_no_curve_is_left_out(ax: Axes) -> None:
    plotting.plot_curves(ax, {str(number): [0, number] for number in range(5)}, [0, 1], "step", "loss")
    assert len(ax.lines) == 5


def test_the_latent_plane_names_each_digit_at_its_median(ax: Axes) -> None:
    labels = np.arange(30) % 10
    latent = np.stack([labels * 10.0, -labels * 1.0], axis=1)
    latent[:10] += 1_000.0  # one of three points of each digit lies far away
    plotting.plot_latent_plane(ax, latent, labels)
    assert {text.get_text(): tuple(text.xy) for text in ax.texts} == {str(d): (10.0 * d, -1.0 * d) for d in range(10)}
    drawn = np.concatenate([points.get_offsets() for points in ax.collections])
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, latent))
    colours = [tuple(colour) for points in ax.collections for colour in points.get_facecolor()]
    by_digit = {(int(-y), colour) for (_, y), colour in zip(drawn, colours, strict=True) if y <= 0.0}
    assert len(by_digit) == len(set(colours)) == 10  # one for each digit, and another for each


def test_the_latent_plane_does_without_a_digit_that_is_missing(ax: Axes) -> None:
    labels = np.array([0, 1, 2, 2, 9])
    plotting.plot_latent_plane(ax, np.stack([labels, labels], axis=1) * 1.0, labels)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2", "9"]


def test_no_digit_covers_another_in_the_plane(ax: Axes) -> None:
    labels = np.repeat(np.arange(10), 100)
    plotting.plot_latent_plane(ax, np.stack([labels, labels], axis=1) * 1.0, labels)
    (points,) = ax.collections
    changes = np.diff(np.asarray(points.get_offsets())[:, 0])
    assert np.mean(changes != 0.0) > 0.8  # drawn one by one, not digit by digit


def test_names_stand_at_the_ends_of_their_lines_one_above_the_other(ax: Axes) -> None:
    for name, end in {"high": 1.0, "low": 0.0, "also low": 0.01, "none": 0.5}.items():
        ax.plot([0, 1, 2], [0.5, end, np.nan], color="red", label="_none" if name == "none" else name)
    assert plotting.label_lines(ax) is ax
    places = {text.get_text(): text.xy for text in ax.texts}
    assert set(places) == {"high", "low", "also low"}
    assert {x for x, _ in places.values()} == {1.0}  # the last point that there is
    low, also, high = (places[name][1] for name in ("low", "also low", "high"))
    assert low < also - 0.04 < high - 0.5
    margin = ax.margins()[1] / (1 + 2 * ax.margins()[1])
    assert (low, high) == (pytest.approx(margin), pytest.approx(1 - margin))


# What a red, green or blue of 1 becomes, in linear light, for eyes that lack one kind of cone.
# Source: Machado, Oliveira and Fernandes 2009, table 1, severity 1.0.
SEEN_BY = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: str) -> np.ndarray:
    """A colour "#rrggbb" in linear light."""
    value = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def as_lab(light: np.ndarray) -> np.ndarray:
    """Linear light in CIE L*a*b*, where distances are about as large as they look."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ light / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_colours_of_the_book_differ_for_all_eyes(eyes: str) -> None:
    colours = [as_lab(np.clip(SEEN_BY[eyes] @ linear(one), 0, 1)) for one in sorted(set(plotting.COLOURS.values()))]
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(colours, 2)]
    assert len(colours) == 6
    assert min(apart) > 10


@pytest.mark.parametrize("colour", sorted(set(plotting.COLOURS.values())))
@pytest.mark.parametrize("ground", ["#ffffff", "#f6f8fa"])  # a figure's, a drawing's
def test_colours_of_the_book_stand_out(colour: str, ground: str) -> None:
    dark, light = (linear(one) @ (0.2126, 0.7152, 0.0722) for one in (colour, ground))
    assert (light + 0.05) / (dark + 0.05) >= 3


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([6, 0, 0], "3 digits: 2 zeros, 1 six"),
        ([6, 6], "2 digits: 2 sixes"),
        (list(range(10)), "10 digits: 1 zero, 1 one, 1 two, 1 three, 1 four, 1 five, 1 six, 1 seven, 1 eight, 1 nine"),
        ([9] * 11, "11 digits: 11 nines"),
    ],
)
def test_digits_are_described_in_words(labels: list[int], words: str) -> None:
    assert plotting.describe_digits(np.array(labels)) == words


def test_the_style_pins_size_and_resolution() -> None:
    with matplotlib.rc_context():
        plotting.use_book_style()
        figure = plt.figure()
        assert tuple(figure.get_size_inches() * figure.dpi) == (770.0, 352.0)
        assert plt.rcParams["savefig.bbox"] in (None, "standard")
        plt.close(figure)


@pytest.mark.filterwarnings("ignore:InlineBackend:DeprecationWarning")  # of matplotlib-inline itself
def test_figures_in_a_notebook_have_two_pixels_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell()
    backend = InlineBackend.instance(parent=shell)
    monkeypatch.setattr(plotting, "_find_shell", lambda: shell)
    try:
        with matplotlib.rc_context():
            plotting.use_book_style()
        assert backend.figure_formats == {"retina"}
    finally:
        InlineBackend.clear_instance()


def test_a_picture_of_few_colours_is_still_the_figure() -> None:
    figure, ax = plt.subplots(figsize=(2, 1), dpi=100)
    ax.imshow(np.linspace(0, 1, 200).reshape(10, 20), cmap="gray")
    ax.set_axis_off()
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    picture = plotting.reduce_colours(figure, 16)
    assert len(np.unique(np.asarray(picture))) <= 16
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).max() < 20
    assert not plt.fignum_exists(figure.number)
