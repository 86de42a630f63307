"""What a chapter shows as HTML: the same in each run, whole, legible by ear, and needing nothing from elsewhere."""

import ast
import base64
import html
import inspect
import io
import re
import textwrap
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from helpers import losses, plotting
from helpers.book import bands, page

DRAWINGS = sorted((page.FOLDER / "drawings").glob("*.svg"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """All that is displayed, in order; whatever it is, its text has lines of at most 88 columns."""

    def display(output: dict[str, str], raw: bool) -> None:
        assert raw
        assert max(map(len, output["text/plain"].splitlines())) <= 88
        outputs.append(output)

    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", display)
    return outputs


def elements(output: dict[str, str], tag: str) -> list[tuple[dict[str, str], str]]:
    """Attributes and content of each element of that name."""
    found = re.findall(rf"<{tag}\b([^>]*)>(.*?)</{tag}>", output["text/html"], re.DOTALL)
    return [(dict(re.findall(r'([\w-]+)="([^"]*)"', attributes)), content) for attributes, content in found]


def picture(output: dict[str, str]) -> tuple[bytes, str]:
    """The bytes of the one picture, and its alternative text."""
    ((data, alt),) = re.findall(r'<img src="data:[^;]*;base64,([^"]*)" alt="([^"]*)">', output["text/html"])
    return base64.b64decode(data), html.unescape(alt)


# Source.


def test_source_is_whole_and_in_one_fold(shown: list) -> None:
    given = (losses.generator_loss, bands.Reference.verdict)
    page.show_source(*given)
    ((_, told),) = elements(shown[0], "summary")
    assert re.sub("<[^>]*>", "", told) == (
        "Source of losses.generator_loss and bands.Reference.verdict, helpers/losses.py, helpers/book/bands.py"
    )
    ((_, code),) = elements(shown[0], "pre")
    trees = ast.parse(html.unescape(re.sub("<[^>]*>", "", code))).body
    expected = [ast.parse(textwrap.dedent(inspect.getsource(one))).body[0] for one in given]
    assert [ast.dump(tree) for tree in trees] == [ast.dump(tree) for tree in expected]


def test_nothing_has_no_source(shown: list) -> None:
    with pytest.raises(ValueError, match="got nothing"):
        page.show_source()


# Tables.


def example() -> pd.DataFrame:
    columns = {
        "distance": [9.2, 3.2, 2.2, 2.801],
        "recall": [0.0, 0.61, 0.7, np.nan],
        "images": [1000] * 4,
        "from": ["<mean>", "a", "b", "c"],
    }
    return pd.DataFrame(columns, index=pd.Index(["noise", "GAN", "real", "wider & deeper"], name="samples"))


def show_example(**options: object) -> None:
    best = {"distance": "low", "recall": "high"}
    page.show_table(example(), "Of <some> samples.", {"distance": "nats"}, ["noise", "real"], best, **options)


def test_a_table_is_the_same_in_each_run(shown: list) -> None:
    show_example()
    show_example()
    assert shown[0] == shown[1]


def test_a_table_shows_its_values_as_they_stand(shown: list) -> None:
    show_example(formats={"recall": "{:.0%}"})
    rows = [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<(?:th|td)\b[^>]*>(.*?)</(?:th|td)>", row)]
        for _, row in elements(shown[0], "tr")
    ]
    assert rows == [
        ["samples", "distance ↓nats", "recall ↑", "images", "from"],
        ["noise", "9.20", "0%", "1,000", "&lt;mean&gt;"],
        ["GAN", "3.20", "61%", "1,000", "a"],
        ["real", "2.20", "70%", "1,000", "b"],
        ["wider &amp; deeper", "2.80", "–", "1,000", "c"],
    ]
    assert elements(shown[0], "caption")[0][1] == "<span>Of &lt;some&gt; samples.</span>"


def test_the_best_is_bold_and_never_a_baseline(shown: list) -> None:
    show_example()
    assert [text for _, text in elements(shown[0], "strong")] == ["0.61", "2.80"]
    grey = [text for attributes, text in elements(shown[0], "td") if "baseline" in attributes.get("class", "")]
    assert grey == ["9.20", "0.00", "1,000", "&lt;mean&gt;", "2.20", "0.70", "1,000", "b"]


def test_equal_to_the_eye_is_equal(shown: list) -> None:
    page.show_table(pd.DataFrame({"a": [1.001, 1.002, 2.0]}), "Three.", best={"a": "low"})
    assert [text for _, text in elements(shown[0], "strong")] == ["1.00", "1.00"]


def test_each_head_says_what_it_heads(shown: list) -> None:
    show_example()
    heads = elements(shown[0], "th")
    assert [attributes["scope"] for attributes, _ in heads] == ["col"] * 5 + ["row"] * 4
    assert all(text for _, text in heads)
    assert [given.get("class") for given, _ in heads[:5]] == [None, "number", "number", "number", None]
    assert ({"role": "img", "aria-label": "lower is better", "title": "lower is better"}, "↓") in elements(
        shown[0], "span"
    )


def test_a_wide_table_has_a_text_that_is_not(shown: list) -> None:
    page.show_table(pd.DataFrame({f"column {i}": [i / 7] for i in range(20)}), "Of many columns. " * 10)


@pytest.mark.parametrize(
    "options",
    [
        {"units": {"gone": "s"}},
        {"baselines": ["gone"]},
        {"best": {"gone": "low"}},
        {"best": {"distance": "lowest"}},
        {"formats": {"gone": "{}"}},
    ],
)
def test_a_table_refuses_what_it_lacks(options: dict) -> None:
    with pytest.raises(ValueError, match=r"is called 'gone'|'lowest'"):
        page.show_table(example(), "Caption.", **options)


def test_a_table_refuses_two_of_one_name() -> None:
    with pytest.raises(ValueError, match="each once"):
        page.show_table(pd.DataFrame({"a": [1, 2]}, index=["x", "x"]), "Caption.")


# Frames.


def some_frames() -> np.ndarray:
    """Three pictures of 4 x 6 pixels in eight colours."""
    return np.random.default_rng(0).integers(0, 2, (3, 4, 6, 3), np.uint8) * 255


def unpacked(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_frames_are_stored_as_they_are_one_under_the_other(shown: list) -> None:
    page.show_frames(some_frames(), ["a", "b", "c"], alt="Dots.")
    png, _ = picture(shown[0])
    assert (unpacked(png).reshape(3, 4, 6, 3) == some_frames()).all()
    assert png[24:26] == bytes([4, 3])  # bits for each pixel; indexed
    assert "--count:3;--frame:2" in shown[0]["text/html"]  # the last one stands where no script runs


def test_another_frame_may_stand_first(shown: list) -> None:
    for still in (1, -2):
        page.show_frames(some_frames(), ["a", "b", "c"], alt="Dots.", still=still)
    assert shown[0] == shown[1]
    for told in ("--count:3;--frame:1", 'aria-valuetext="b"', 'value="1"', "<span>b</span>"):
        assert told in shown[0]["text/html"]
    for still in (3, -4):
        with pytest.raises(ValueError, match=f"still is {still}; expected one of 3 frames"):
            page.show_frames(some_frames(), ["a", "b", "c"], alt="Dots.", still=still)


def test_frames_are_the_same_in_each_run(shown: list) -> None:
    for _ in range(2):
        page.show_frames(some_frames(), ["a", "b", "c"], alt="Dots.")
    assert shown[0] == shown[1]


def test_images_are_tiled_into_each_frame(shown: list) -> None:
    images = np.random.default_rng(0).integers(0, 16, (2, 6, 4, 4, 1)) / 15
    page.show_frames(images, ["a", "b"], alt="Six images.", columns=3)
    expected = np.stack([plotting.tile_images(frame, 3) for frame in images])
    assert unpacked(picture(shown[0])[0])[..., 0].reshape(expected.shape) == pytest.approx(expected * 255, abs=0.5)


def test_grey_pictures_may_have_a_channel_axis_or_none(shown: list) -> None:
    grey = some_frames()[..., 0]
    for frames in (grey, grey[..., None], grey / 255.0):
        page.show_frames(frames, ["a", "b", "c"], alt="Grey dots.")
    assert shown[0] == shown[1] == shown[2]
    assert (unpacked(picture(shown[0])[0]).reshape(3, 4, 6, 3) == grey[..., None]).all()


def test_many_grey_levels_become_sixteen(shown: list) -> None:
    levels = np.linspace(0, 1, 256).reshape(1, 16, 16)
    page.show_frames(levels, ["a"], alt="A ramp.")
    stored = unpacked(picture(shown[0])[0])[..., 0]
    assert len(np.unique(stored)) == 16
    assert stored.ravel() / 255 == pytest.approx(levels.ravel(), abs=0.5 / 15 + 0.002)


def test_as_many_levels_stay_as_are_asked_for(shown: list) -> None:
    levels = np.linspace(0, 1, 256).reshape(1, 16, 16)
    page.show_frames(levels, ["a"], alt="A ramp.", colours=64)
    assert len(np.unique(unpacked(picture(shown[0])[0])[..., 0])) == 64


def test_of_many_colours_the_common_and_the_far_ones_stay(shown: list) -> None:
    frame = np.full((40, 40, 3), 255, np.uint8)
    frame[:10] = np.random.default_rng(0).integers(100, 255, (10, 40, 3))
    frame[20:22, :5] = (0, 0x60, 0xA0)
    page.show_frames(frame[None], ["a"], alt="A ground, noise and a stroke.")
    stored = unpacked(picture(shown[0])[0])
    assert (stored[22:] == 255).all()
    assert (stored[20:22, :5] == (0, 0x60, 0xA0)).all()
    assert len(np.unique(stored.reshape(-1, 3), axis=0)) == 16


def test_labels_and_alternative_text_are_escaped(shown: list) -> None:
    page.show_frames(some_frames(), ["a", '<b>"', "x & y"], alt='A "quoted" <i>')
    text = shown[0]["text/html"]
    assert picture(shown[0])[1] == 'A "quoted" <i>'
    assert [label for _, label in elements(shown[0], "li")] == ["a", "&lt;b&gt;&quot;", "x &amp; y"]
    assert 'aria-valuetext="x &amp; y"' in text
    assert "<b>" not in text
    assert "<i>" not in text


@pytest.mark.parametrize(
    ("frames", "labels", "alt", "message"),
    [
        (some_frames(), ["a"], "x", "3 frames have 1 labels"),
        (some_frames(), ["a", "b", "c"], " ", "alternative text"),
        (np.zeros((3, 4)), ["a"] * 3, "x", r"shape \(3, 4\)"),
        (np.zeros((0, 4, 4)), [], "x", "shape"),
        (np.random.default_rng(0).random((1, 600, 600)), ["a"], "x", "expected at most 120,000"),
    ],
)
def test_frames_refuse_what_cannot_be_shown(frames: np.ndarray, labels: list[str], alt: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        page.show_frames(frames, labels, alt=alt)


def test_frames_are_drawn_one_for_each_item() -> None:
    plt.close("all")
    frames = page.draw_frames(lambda ax, height: ax.axhspan(0, height, color="black"), [0.2, 0.8], figsize=(2, 1))
    assert (frames.shape, frames.dtype) == ((2, 110, 220, 3), np.uint8)
    assert frames[0].mean() != frames[1].mean()
    assert plt.get_fignums() == []  # nothing is left that a notebook would show
    pairs = page.draw_frames(lambda axes, _: [ax.plot([1, 2]) for ax in axes], [None], panels=2)
    assert pairs.shape == (1, 440, 440, 3)


# Drawings.

INK = "#1f2328"
FRAMEWORKS = ("#5B4FA2", "#8C6D1F")  # Keras and PyTorch, in the figures of their chapter: parts of no model


def test_a_drawing_is_within_the_page(shown: list) -> None:
    page.show_drawing("gan", alt="Two networks.")
    assert picture(shown[0]) == ((page.FOLDER / "drawings" / "gan.svg").read_bytes(), "Two networks.")
    assert shown[0]["text/plain"] == "Two networks."


def test_an_unknown_drawing_or_a_silent_one_is_refused() -> None:
    there = ", ".join(path.stem for path in DRAWINGS)
    with pytest.raises(ValueError, match=f"no drawing is called 'gone'; there are {there}"):
        page.show_drawing("gone", alt="Nothing.")
    with pytest.raises(ValueError, match="alternative text"):
        page.show_drawing("gan", alt="")


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_legible_on_a_phone_and_in_the_colours_of_the_book(path) -> None:
    """311 pixels are left for it there, and type is to have 12."""
    text = path.read_text(encoding="utf-8")
    drawing = ElementTree.fromstring(text)
    width = float(drawing.get("viewBox").split()[2])
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (\d+)px", text)]
    assert min(sizes) * 311 / width > 12
    strokes = set(re.findall(r"\.\w+ { stroke: (#\w+)", text))
    paper = "#fff"  # also the ink of digits, which are white on black
    assert strokes <= {*plotting.COLOURS.values(), INK, paper, *(FRAMEWORKS if path.stem == "port" else ())}
    assert drawing.findall(".//{*}text")
    assert "href" not in text
