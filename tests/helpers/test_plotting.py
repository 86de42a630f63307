"""Figures: each function draws what it is given on the Axes it is given, returns them, and shows nothing."""

from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from helpers import plotting


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


DRAWERS = [
    lambda ax: plotting.show_images(ax, grey_images(0.2, 0.4, 0.6), columns=2, label="some"),
    lambda ax: plotting.show_rows(ax, {"a": grey_images(0.2, 0.4), "b": grey_images(0.6, 0.8)}),
    lambda ax: plotting.plot_curves(ax, {"a": [1, 2], "b": [2, 1]}, [0, 1], "step", "loss"),
    lambda ax: plotting.plot_latent_plane(ax, np.arange(40.0).reshape(20, 2), np.arange(20) % 10),
]


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
    assert len({tuple(points.get_facecolor()[0]) for points in ax.collections}) == 10


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
