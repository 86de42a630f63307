"""What a reader touches, in a real browser and from the disk: JavaScript and Keras agree on the same weights."""

import base64
import html
import io
import json
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from site_browser import LEFT

from helpers import networks
from helpers.book import mixing, page, runs, temperature, widgets
from tools.notebook_files import ROOT, chapters, code_cells, read

TOLERANCE = 1e-4  # of JavaScript against Keras, on the same weights


def randomised(model: keras.Model) -> keras.Model:
    """The model with weights of a usual size and biases that are not zero."""
    rng = np.random.default_rng(0)
    sizes = [(2 / len(weight)) ** 0.5 if weight.ndim == 2 else 0.3 for weight in model.get_weights()]
    model.set_weights([rng.normal(0, size, one.shape) for size, one in zip(sizes, model.get_weights(), strict=True)])
    return model


def build_curved() -> keras.Model:
    inner = [layers.Dense(30, activation=name) for name in ("silu", "tanh", "sigmoid")]
    return keras.Sequential([keras.Input((7,)), *inner, layers.Dense(5, use_bias=False), layers.Activation("silu")])


def build_flat_image() -> keras.Model:
    start = [keras.Input((4,)), layers.Dense(6), layers.Reshape((3, 2, 1))]  # higher than wide
    return keras.Sequential(
        [*start, layers.UpSampling2D(2, interpolation="bilinear"), layers.Flatten(), layers.Dense(3)]
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: networks.build_dense_decoder(2, (200,)),
        lambda: networks.build_dense_generator(110),
        build_curved,
        build_flat_image,
    ],
    ids=["decoder", "generator", "curved", "flat"],
)
def test_the_browser_computes_what_keras_computes(open_page: Callable[..., Any], build: Callable) -> None:
    model = randomised(build())
    inputs = np.random.default_rng(1).normal(size=(50, model.input_shape[-1])).astype(np.float32)
    run = f"(() => {{ {page._read('network.js')} window.read = readNetwork; }})()"
    tab = open_page(f"{widgets.format_network(model)}<script>{run}</script>")
    computed = tab.evaluate(
        "async inputs => { const run = await read(document.querySelector('.weights'));"
        "return inputs.map(one => [...run(one)]); }",
        inputs.tolist(),
    )
    expected = np.asarray(widgets.dequantise(model)(inputs)).reshape(len(inputs), -1)
    assert expected.std() > 0.01
    apart = np.abs(np.array(computed) - expected).max()
    print(f"{model.name}: JavaScript and Keras differ by {apart:.1e} at most")
    assert apart < TOLERANCE


# The plane.


@pytest.fixture(scope="module")
def decoder() -> keras.Model:
    return randomised(networks.build_dense_decoder(2, (200,)))


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch, decoder: keras.Model) -> str:
    """The output of a plane with two codes."""
    outputs: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    codes, labels = np.array([[0.6, -1], [-2, 2]]), np.array([6, 1])
    widgets.show_plane(decoder, codes, labels, "Look.", start=(0.5, -1.0))
    return outputs[0]


def drawn_pixels(canvas: Any) -> np.ndarray:
    """The grey levels on a canvas, (28, 28), all of them opaque."""
    png = base64.b64decode(canvas.evaluate("one => one.toDataURL()").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    assert pixels.shape == (28, 28, 4)
    assert (pixels[..., 3] == 255).all()
    assert (pixels[..., :3] == pixels[..., :1]).all()
    return pixels[..., 0]


def assert_drawn(tab: Any, decoder: keras.Model, place: tuple[float, float]) -> None:
    """The canvas shows what Keras draws from a place with the same weights, and the mark and the words say where."""
    logits = widgets.dequantise(decoder)(np.array([place], np.float32))
    expected = 255 * np.asarray(keras.ops.sigmoid(logits)).reshape(28, 28)
    assert drawn_pixels(tab.locator("canvas")) == pytest.approx(expected, abs=0.51)
    field = tab.get_by_role("slider", name="Code in the plane")
    told = ", ".join(f"{value:.2f}".replace("-", "−") for value in place)
    assert field.get_attribute("aria-valuetext").startswith(f"code ({told}), nearest that of a ")
    assert float(field.get_attribute("aria-valuenow")) == pytest.approx(place[0], abs=0.006)
    assert tab.locator(".told").text_content() == field.get_attribute("aria-valuetext")
    x, y = map(float, re.findall(r"[\d.]+", tab.locator(".mark").get_attribute("transform")))
    assert (x, y) == pytest.approx((100 * (3.2 + place[0]), 100 * (3.2 - place[1])), abs=0.01)


def test_the_plane_follows_the_keyboard(open_page: Callable[..., Any], plane: str, decoder: keras.Model) -> None:
    tab = open_page(plane)
    field = tab.get_by_role("slider", name="Code in the plane")
    field.wait_for()
    assert_drawn(tab, decoder, (0.5, -1.0))
    tab.keyboard.press("Tab")
    assert field.evaluate("one => one === document.activeElement")
    assert field.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "Shift+ArrowLeft"):
        tab.keyboard.press(key)
    assert_drawn(tab, decoder, (0.1, -0.8))
    assert field.get_attribute("aria-valuetext").endswith("nearest that of a 6")
    for _ in range(9):
        tab.keyboard.press("Shift+ArrowDown")
    assert_drawn(tab, decoder, (0.1, -3.2))  # no farther
    tab.keyboard.press("Home")
    assert_drawn(tab, decoder, (0.0, 0.0))
    assert tab.evaluate(LEFT) == []


@pytest.mark.parametrize("width", [1280, 375])
def test_the_plane_follows_the_pointer(
    open_page: Callable[..., Any], plane: str, decoder: keras.Model, width: int
) -> None:
    tab = open_page(plane, viewport={"width": width, "height": 900})
    tab.get_by_role("slider", name="Code in the plane").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    box = tab.locator(".field").bounding_box()

    def place_of(x: float, y: float) -> tuple[float, float]:
        return 3.2 * (2 * (x - box["x"]) / box["width"] - 1), 3.2 * (1 - 2 * (y - box["y"]) / box["height"])

    start = round(box["x"] + 0.2 * box["width"]), round(box["y"] + 0.2 * box["height"])
    tab.mouse.move(*start)
    assert_drawn(tab, decoder, (0.5, -1.0))  # not yet: no button is pressed
    tab.mouse.down()
    assert_drawn(tab, decoder, place_of(*start))
    assert tab.locator(".told").text_content().endswith("nearest that of a 1")
    end = round(box["x"] + 0.7 * box["width"]), round(box["y"] + 0.6 * box["height"])
    tab.mouse.move(*end)
    assert_drawn(tab, decoder, place_of(*end))
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] + 200)  # beyond the edge, still held
    assert_drawn(tab, decoder, (place_of(box["x"] + 0.5 * box["width"], 0)[0], -3.2))
    tab.mouse.up()
    tab.mouse.move(*start)
    assert tab.locator(".told").text_content().startswith("code (0.00, −3.20)")


def test_the_plane_follows_a_finger(open_page: Callable[..., Any], plane: str) -> None:
    tab = open_page(plane, viewport={"width": 375, "height": 700}, has_touch=True)
    tab.get_by_role("slider", name="Code in the plane").wait_for()
    tab.locator(".field").tap(position={"x": 30, "y": 30})
    assert tab.locator(".told").text_content().endswith("nearest that of a 1")
    assert tab.locator(".field").evaluate("one => getComputedStyle(one).touchAction") == "none"


def test_two_planes_do_not_meet(open_page: Callable[..., Any], plane: str) -> None:
    tab = open_page(plane + plane)
    fields = tab.get_by_role("slider", name="Code in the plane")
    fields.nth(1).press("ArrowLeft")
    assert [one.split(",")[0] for one in tab.locator(".told").all_text_contents()] == ["code (0.50", "code (0.40"]
    assert tab.evaluate(LEFT) == []


@pytest.mark.parametrize("script", ["", "delete window.DecompressionStream"], ids=["no script", "older browser"])
def test_a_picture_stands_where_the_plane_cannot_work(open_page: Callable[..., Any], plane: str, script: str) -> None:
    tab = open_page(plane, script, java_script_enabled=bool(script))
    assert tab.get_by_role("img").count() == 2
    assert tab.get_by_role("slider").count() == 0
    assert tab.locator(".guide").is_hidden()
    assert tab.locator(".told").text_content() == "code (0.50, -1.00)"
    assert tab.get_by_role("img", name="What the decoder draws").is_visible()


# The number of steps.


@pytest.fixture(scope="module")
def ring() -> keras.Model:
    """A network that guesses the end of a walk in the plane, somewhere between where it stands and chance."""
    network = keras.Sequential([keras.Input((3,)), *(layers.Dense(16, "relu") for _ in range(2)), layers.Dense(2)])
    return randomised(network)


NOISE = np.random.default_rng(3).normal(size=(30, 2)).round(2)
CENTRES = np.array([[1.0, 0.0], [-1.0, 0.0]])
RADIUS = 0.7


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, ring: keras.Model) -> str:
    """The output of a slider of 1, 2, 5 and 20 steps."""
    outputs: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    digits = {count: np.full((8, 28, 28, 1), count / 20) for count in (1, 2, 5, 20)}
    widgets.show_steps(ring, NOISE, CENTRES, RADIUS, digits, "Look.", alt="Grey squares.")
    return outputs[0]


def assert_walked(tab: Any, ring: keras.Model, count: int) -> None:
    """The drawing shows where Keras arrives in so many steps with the same weights, and the words count the arrived."""
    network, state, way = widgets.dequantise(ring), NOISE.astype(np.float32), [NOISE]
    for step in range(count):
        times = np.full((len(state), 1), step / count, np.float32)
        state = state + (np.asarray(network(np.hstack([state, times]))) - state) / (count - step)
        way.append(state)
    ends = np.array([re.findall(r"-?\d+", one)[:2] for one in tab.locator(".ends").get_attribute("d").split("M")[1:]])
    assert ends.astype(int) == pytest.approx(100 * (2.1 + state * (1, -1)), abs=0.6)
    first = re.findall(r"-?\d+", tab.locator(".ways").get_attribute("d").split("M")[1])
    assert np.reshape(first, (-1, 2)).astype(int) == pytest.approx(100 * (2.1 + np.array(way)[:, 0] * (1, -1)), abs=0.6)
    inside = np.sum(np.linalg.norm(state[:, None] - CENTRES, axis=2).min(axis=1) < RADIUS)
    told = f"{count} {'step' if count == 1 else 'steps'}: {inside} of 30 points end in a circle"
    assert tab.locator(".told").text_content() == told
    assert tab.get_by_label("Number of steps").get_attribute("aria-valuetext") == told
    assert tab.locator(".strip").evaluate(
        "one => Math.round((one.getBoundingClientRect().top - one.firstChild.getBoundingClientRect().top)"
        " / one.getBoundingClientRect().height)"
    ) == (1, 2, 5, 20).index(count)


@pytest.mark.parametrize("width", [1280, 375])
def test_points_and_digits_follow_the_slider(
    open_page: Callable[..., Any], steps: str, ring: keras.Model, width: int
) -> None:
    tab = open_page(steps, viewport={"width": width, "height": 900})
    slider = tab.get_by_label("Number of steps")
    slider.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert_walked(tab, ring, 5)
    tab.keyboard.press("Tab")
    assert slider.evaluate("one => one === document.activeElement")
    for key, count in (("ArrowRight", 20), ("Home", 1), ("ArrowRight", 2)):
        tab.keyboard.press(key)
        assert_walked(tab, ring, count)
    box = slider.bounding_box()
    tab.mouse.click(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    assert_walked(tab, ring, 20)
    assert tab.evaluate(LEFT) == []


@pytest.mark.parametrize("script", ["", "delete window.DecompressionStream"], ids=["no script", "older browser"])
def test_a_walk_stands_where_the_slider_cannot_work(
    open_page: Callable[..., Any], steps: str, ring: keras.Model, script: str
) -> None:
    tab = open_page(steps, script, java_script_enabled=bool(script))
    assert tab.get_by_role("img").count() == 2
    assert tab.get_by_role("slider").count() == 0
    assert tab.locator(".guide").is_hidden()
    assert tab.locator(".told").text_content().startswith("5 steps: ")


# The temperature.

BEHIND = ("The", "Look & see", "in the")
WORDS = ("", "\n", " the", '"<b>', *(f" word{place}" for place in range(56)))
LOGITS = dict(zip(BEHIND, np.random.default_rng(5).normal(0, 3, (3, 60)), strict=True))


@pytest.fixture
def heat(monkeypatch: pytest.MonkeyPatch) -> str:
    """The output of three beginnings with sixty tokens."""
    outputs: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    temperature.show_temperature(LOGITS, WORDS, "Look.")
    return outputs[0]


def assert_heated(tab: Any, logits: np.ndarray, words: Sequence[str], warmth: float) -> None:
    """Bars, shares and words are what NumPy finds for a row of logits at a temperature."""
    scaled = logits.astype(np.float32).astype(float) / warmth
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    order = np.argsort(-scaled, kind="stable")
    expected = np.array([*shares[order[:8]], shares[order[8:]].sum()])
    rows = tab.locator("li")
    found = rows.evaluate_all("all => all.map(one => Number(one.style.getPropertyValue('--share')))")
    assert found == pytest.approx(expected, abs=TOLERANCE)
    shown = [word.replace(" ", "␣").replace("\n", "¶") or "∅" for word in (words[token] for token in order[:8])]
    assert rows.locator("code").all_text_contents() == [*shown, f"{len(words) - 8} others"]
    told = [float(one.removesuffix(" %")) for one in rows.locator("span").all_text_contents()]
    assert told == pytest.approx(100 * expected, abs=0.0501)
    track = rows.evaluate_all(
        "all => all.map(({children: [word, bar, share]}) => bar.getBoundingClientRect().width"
        " / (share.getBoundingClientRect().left - bar.getBoundingClientRect().left))"
    )
    assert np.argmax(track) == np.argmax(expected)  # the longest bar is that of the largest share
    held = np.searchsorted(shares[order].cumsum(), 0.9) + 1
    entropy = -np.sum(shares * np.log2(np.maximum(shares, 1e-300)))
    pattern = rf"temperature {warmth:.2f}: (\d+) of {len(words)} tokens holds? 90 %, entropy (\d+\.\d\d) bits"
    count, bits = re.fullmatch(pattern, tab.locator(".told").text_content()).groups()
    assert int(count) == held
    assert float(bits) == pytest.approx(entropy, abs=0.00501)


@pytest.mark.parametrize("width", [1280, 375])
def test_shares_follow_the_temperature(open_page: Callable[..., Any], heat: str, width: int) -> None:
    tab = open_page(heat, viewport={"width": width, "height": 900})
    slider, choice = tab.get_by_label("Temperature"), tab.get_by_label("Text so far")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert_heated(tab, LOGITS["The"], WORDS, 1.0)
    tab.keyboard.press("Tab")
    assert choice.evaluate("one => one === document.activeElement")
    tab.keyboard.press("Tab")
    assert slider.evaluate("one => one === document.activeElement")
    assert slider.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    for key, warmth in (("ArrowRight", 1.05), ("Home", 0.1), ("End", 3.0), ("ArrowLeft", 2.95)):
        tab.keyboard.press(key)
        assert_heated(tab, LOGITS["The"], WORDS, warmth)
        assert slider.get_attribute("aria-valuetext") == f"{warmth:.2f}"
    for name in reversed(BEHIND):
        choice.select_option(name)
        assert tab.locator(".begun").text_content() == name
        assert_heated(tab, LOGITS[name], WORDS, 2.95)
    box = slider.bounding_box()
    tab.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    assert_heated(tab, LOGITS["The"], WORDS, 0.1)
    assert tab.evaluate(LEFT) == []


def test_twenty_draws_follow_the_shares(open_page: Callable[..., Any], heat: str) -> None:
    drawn = []
    for _ in range(2):
        tab = open_page(heat)
        told, press = tab.locator(".drawn"), tab.get_by_role("button", name="Draw 20")
        counts: dict[str, int] = {}
        for _ in range(50):
            press.click()
            head, _, items = told.text_content().partition(": ")
            pairs = [item.rsplit(" ×", 1) for item in items.split(", ")]
            assert head == f"20 draws, {len(pairs)} different"
            assert sum(int(count) for _, count in pairs) == 20
            for word, count in pairs:
                counts[word] = counts.get(word, 0) + int(count)
        drawn.append(counts)
        tab.get_by_label("Temperature").press("ArrowLeft")
        assert told.text_content() == ""  # what was drawn belongs to another temperature
    assert drawn[0] == drawn[1]  # the generator has a seed
    shares = np.exp(LOGITS["The"]) / np.exp(LOGITS["The"]).sum()
    likely = int(np.argmax(shares))
    error = 4 * np.sqrt(shares[likely] * (1 - shares[likely]) / 1_000)
    assert drawn[0][WORDS[likely].replace(" ", "␣")] / 1_000 == pytest.approx(shares[likely], abs=error)


def test_shares_stand_where_no_script_runs(open_page: Callable[..., Any], heat: str) -> None:
    tab = open_page(heat, java_script_enabled=False)
    assert tab.get_by_role("listitem").count() == 9
    assert tab.locator("li").first.is_visible()
    assert tab.locator(".controls").is_hidden()
    assert tab.locator(".drawn").is_hidden()
    still = tab.locator(".heat").inner_text()
    running = open_page(heat)
    running.locator(".controls").evaluate("one => { one.hidden = true; }")
    running.locator(".drawn").evaluate("one => { one.hidden = true; }")
    assert running.locator(".heat").inner_text() == still


def test_two_temperatures_do_not_meet(open_page: Callable[..., Any], heat: str) -> None:
    tab = open_page(heat + heat)
    tab.get_by_label("Temperature").nth(1).press("End")
    told = [one.partition(":")[0] for one in tab.locator(".told").all_text_contents()]
    assert told == ["temperature 1.00", "temperature 3.00"]
    assert tab.evaluate(LEFT) == []


# The mixture.

PAIRS = np.random.default_rng(7).normal(size=(4, 6)).round(2)


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return randomised(networks.build_dense_generator(6 + 4))


@pytest.fixture
def mixture(monkeypatch: pytest.MonkeyPatch, generator: keras.Model) -> str:
    """The output of two pairs of noises with four labels."""
    outputs: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    mixing.show_mixture(generator, PAIRS, "Look.", alt="Blots.", label=3)
    return outputs[0]


def assert_mixed(tab: Any, model: keras.Model, noises: np.ndarray, label: int, share: float) -> None:
    """The canvas shows what Keras makes of the mixture with the same weights; the sheet's mark and the words follow."""
    angle, kinds = share * np.pi / 2, model.input_shape[-1] - noises.shape[-1]
    noise = np.cos(angle) * noises[0] + np.sin(angle) * noises[1]
    expected = 255 * np.asarray(model(np.concatenate([noise, np.eye(kinds)[label]])[None])).reshape(28, 28)
    assert drawn_pixels(tab.locator("canvas")) == pytest.approx(expected, abs=0.51)
    way = f"{round(100 * share)} % of the way to the other noise"
    told = f"{label}, {'half of each noise' if share == 0.5 else way}"
    assert tab.locator(".told").text_content() == tab.get_by_label("Mixture").get_attribute("aria-valuetext") == told
    sheet, mark = (tab.locator(one).bounding_box() for one in (".sheet", ".sheet i"))
    middle = mark["x"] + mark["width"] / 2 - sheet["x"], mark["y"] + mark["height"] / 2 - sheet["y"]
    place = (8 * share + 0.5) / 9 * sheet["width"], (label + 0.5) / kinds * sheet["height"]
    assert middle == pytest.approx(place, abs=1)


@pytest.mark.parametrize("width", [1280, 375])
def test_a_digit_follows_label_and_mixture(
    open_page: Callable[..., Any], mixture: str, generator: keras.Model, width: int
) -> None:
    model = widgets.dequantise(generator)
    tab = open_page(mixture, viewport={"width": width, "height": 900})
    choice, slider = tab.get_by_label("Digit"), tab.get_by_label("Mixture")
    slider.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert_mixed(tab, model, PAIRS[:2], 3, 0.5)
    tab.keyboard.press("Tab")
    assert choice.evaluate("one => one === document.activeElement")
    choice.select_option("1")
    assert_mixed(tab, model, PAIRS[:2], 1, 0.5)
    slider.focus()
    assert slider.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    for key, share in (("ArrowRight", 0.52), ("Home", 0), ("End", 1), ("ArrowLeft", 0.98)):
        tab.keyboard.press(key)
        assert_mixed(tab, model, PAIRS[:2], 1, share)
    assert tab.evaluate(LEFT) == []


def test_the_sheet_is_tapped_and_drawn_anew_for_other_noises(
    open_page: Callable[..., Any], mixture: str, generator: keras.Model
) -> None:
    model = widgets.dequantise(generator)
    tab = open_page(mixture, viewport={"width": 1280, "height": 900})
    press = tab.get_by_role("button", name="Two other noises")
    press.wait_for()
    box = tab.locator(".sheet").bounding_box()

    def tap(label: int, column: int) -> None:
        tab.mouse.click(box["x"] + (column + 0.5) / 9 * box["width"], box["y"] + (label + 0.5) / 4 * box["height"])

    tap(0, 0)
    assert_mixed(tab, model, PAIRS[:2], 0, 0)
    tap(2, 8)
    assert_mixed(tab, model, PAIRS[:2], 2, 1)
    tap(2, 6)
    assert_mixed(tab, model, PAIRS[:2], 2, 0.74)  # the step of the slider that is next
    sheets = [tab.get_by_role("img", name="Blots.").get_attribute("src")]
    for noises in (PAIRS[2:], PAIRS[:2]):
        press.click()
        assert_mixed(tab, model, noises, 2, 0.74)
        sheets.append(tab.get_by_role("img", name="Blots.").get_attribute("src"))
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheets[-1].partition(",")[2]))).convert("L"))
        assert pixels.shape == (4 * 28, 9 * 28)
        noise = np.cos(np.pi / 4) * noises[0] + np.sin(np.pi / 4) * noises[1]
        expected = 255 * np.asarray(model(np.concatenate([noise, np.eye(4)[1]])[None])).reshape(28, 28)
        assert pixels[28:56, 4 * 28 : 5 * 28].astype(float) == pytest.approx(expected, abs=0.51)
    assert len(set(sheets)) == 3
    assert tab.evaluate(LEFT) == []


@pytest.mark.parametrize("script", ["", "delete window.DecompressionStream"], ids=["no script", "older browser"])
def test_a_sheet_stands_where_the_mixture_cannot_work(open_page: Callable[..., Any], mixture: str, script: str) -> None:
    tab = open_page(mixture, script, java_script_enabled=bool(script))
    assert tab.get_by_role("img").count() == 2
    assert tab.get_by_role("slider").count() == tab.get_by_role("button").count() == 0
    assert tab.locator(".guide").is_hidden()
    assert tab.locator(".sheet i").is_hidden()
    assert tab.locator(".told").text_content() == "3, half of each noise"


def test_two_mixtures_do_not_meet(open_page: Callable[..., Any], mixture: str) -> None:
    tab = open_page(mixture + mixture)
    tab.get_by_label("Mixture").nth(1).press("Home")
    assert tab.locator(".told").all_text_contents() == [
        "3, half of each noise",
        "3, 0 % of the way to the other noise",
    ]
    assert tab.evaluate(LEFT) == []


# Recorded runs.

RATES = ("0.1", "1", "10")
MOMENTS = ("step 0", "step 5", "step 9")


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> str:
    """The output of three runs of three frames, each of a grey level of its own."""
    outputs: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    levels = np.arange(9, dtype=np.uint8).reshape(3, 3) * 25
    grey = {
        rate: np.stack([np.full((40, 40, 3), one, np.uint8) for one in row])
        for rate, row in zip(RATES, levels, strict=True)
    }
    told = {rate: [f"{rate} at {moment}" for moment in MOMENTS] for rate in RATES}
    runs.show_runs(grey, MOMENTS, told, choice="Rate", task="Look.", alt="Grey panels.")
    return outputs[0]


def assert_run(tab: Any, run: int, frame: int) -> None:
    """The window shows one frame of one run, and the words say so."""
    pixels = Image.open(io.BytesIO(tab.locator(".strip").screenshot())).convert("L")
    near = 0.1, 0.9  # the edge: at the edge itself a browser blends what is enlarged
    seen = [pixels.getpixel((int(x * pixels.width), int(y * pixels.height))) for x in near for y in near]
    assert seen == pytest.approx([25 * (3 * run + frame)] * 4, abs=2)
    assert tab.locator(".told").text_content() == f"{RATES[run]} at {MOMENTS[frame]}"
    assert tab.get_by_label("Frame").get_attribute("aria-valuetext") == MOMENTS[frame]


@pytest.mark.parametrize("width", [1280, 375])
def test_a_run_is_chosen_and_played(open_page: Callable[..., Any], rates: str, width: int) -> None:
    tab = open_page(rates, viewport={"width": width, "height": 900})
    choice, slider = tab.get_by_label("Rate"), tab.get_by_label("Frame")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(".heads").is_hidden()
    assert_run(tab, 0, 2)
    tab.keyboard.press("Tab")
    assert choice.evaluate("one => one === document.activeElement")
    assert choice.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    choice.select_option("10")
    assert_run(tab, 2, 2)
    for key, frame in (("Home", 0), ("ArrowRight", 1)):
        slider.press(key)
        assert_run(tab, 2, frame)
    choice.select_option("1")
    assert_run(tab, 1, 1)  # at the same step
    tab.get_by_role("button", name="Play").click()
    tab.locator("p.told", has_text="1 at step 9").wait_for()
    tab.get_by_role("button", name="Play").wait_for()  # at the end it stops
    assert_run(tab, 1, 2)
    assert tab.evaluate(LEFT) == []


def test_runs_go_a_frame_a_press_where_motion_is_reduced(open_page: Callable[..., Any], rates: str) -> None:
    tab = open_page(rates, reduced_motion="reduce")
    for frame in (0, 1, 2):
        tab.get_by_role("button", name="Play").click()
        assert_run(tab, 0, frame)


def test_runs_stand_side_by_side_where_no_script_runs(open_page: Callable[..., Any], rates: str) -> None:
    tab = open_page(rates, java_script_enabled=False)
    assert tab.get_by_role("listitem").all_text_contents() == [f"{rate}{rate} at step 9" for rate in RATES]
    assert tab.get_by_role("combobox").count() == tab.get_by_role("slider").count() == 0
    pixels = Image.open(io.BytesIO(tab.locator(".strip").screenshot())).convert("L")
    row = [pixels.getpixel((pixels.width * (2 * run + 1) // 6, pixels.height // 2)) for run in range(3)]
    assert row == pytest.approx([50, 125, 200], abs=2)


def test_two_outputs_of_runs_do_not_meet(open_page: Callable[..., Any], rates: str) -> None:
    tab = open_page(rates + rates)
    tab.get_by_label("Rate").nth(1).select_option("10")
    assert tab.locator("p.told").all_text_contents() == ["0.1 at step 9", "10 at step 9"]
    assert tab.evaluate(LEFT) == []


# The chapters.

CHAPTERS = ("flow", "gan", "large_models", "vae")


def stored_widget(chapter: str) -> str:
    """The one output of a chapter that a reader touches, beyond frames."""
    outputs = [output for cell in code_cells(read(ROOT / "notebooks" / f"{chapter}.ipynb")) for output in cell.outputs]
    pages = [output.get("data", {}).get("text/html", "") for output in outputs]
    (stored,) = [one for one in pages if 'class="weights"' in one or "data-logits" in one]
    return stored


def test_each_chapter_with_a_widget_is_tested() -> None:
    calls = r"(?:widgets\.show_(?:plane|steps)|temperature\.show_temperature|mixing\.show_mixture|runs\.show_runs)\("
    found = [path.stem for path in chapters() if any(re.search(calls, cell.source) for cell in code_cells(read(path)))]
    assert tuple(found) == CHAPTERS


@pytest.mark.parametrize(
    ("chapter", "files"),
    [
        ("flow", ("network.js", "steps.js", "steps.css")),
        ("gan", ("network.js", "mix.js", "mix.css")),
        ("large_models", ("heat.js", "heat.css")),
        ("vae", ("network.js", "plane.js", "plane.css")),
    ],
)
def test_a_chapter_brings_scripts_and_style_as_they_stand(chapter: str, files: tuple[str, ...]) -> None:
    """No digest covers them, so here is said who has to run `make execute` after a change."""
    stored = stored_widget(chapter)
    for name in files:
        assert page._read(name) in stored, f"{name} has changed: make execute CHAPTER={chapter}"


def test_the_decoder_of_the_chapter_draws_what_stood_there(open_page: Callable[..., Any]) -> None:
    stored = stored_widget("vae")
    tab = open_page(stored)
    tab.locator(".guide").wait_for()
    png = re.search(r"background-image:url\(data:image/png;base64,([\w+/=]+)\)", stored)[1]
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")).astype(int)
    assert drawn_pixels(tab.locator("canvas")) == pytest.approx(still, abs=12)  # the still has sixteen grey levels


def test_the_flow_of_the_chapter_walks_where_points_stood(open_page: Callable[..., Any]) -> None:
    stored = stored_widget("flow")
    ends = [re.search(r'class="ends" d="([^"]*)"', stored)[1]]
    tab = open_page(stored)
    tab.locator(".guide").wait_for()
    ends.append(tab.locator(".ends").get_attribute("d"))
    before, after = (np.array(re.findall(r"M(-?\d+) (-?\d+)", one)).astype(int) for one in ends)
    assert len(before) == len(after) == 100
    assert np.median(np.abs(before - after)) <= 1  # hundredths: what 8 bits change
    tab.get_by_label("Number of steps").press("Home")
    middle = np.array(re.findall(r"M(-?\d+) (-?\d+)", tab.locator(".ends").get_attribute("d"))).astype(int)
    assert np.abs(middle - 210).max() < 15  # in one step all go to the mean of the data


def test_the_temperature_of_the_chapter_holds_what_stood_there(open_page: Callable[..., Any]) -> None:
    stored = stored_widget("large_models")
    words = json.loads(html.unescape(re.search(r'data-tokens="([^"]*)"', stored)[1]))
    logits = np.frombuffer(base64.b64decode(re.search(r'data-logits="([^"]*)"', stored)[1]), "<f4").reshape(6, -1)
    assert logits.shape == (6, len(words)) == (6, 512)
    tab = open_page(stored)
    assert re.findall(r"--share:([\d.]+)", stored) == tab.locator("li").evaluate_all(
        "all => all.map(one => one.style.getPropertyValue('--share'))"
    )
    for place, row in enumerate(logits):
        tab.get_by_label("Text so far").select_option(index=place)
        for key, warmth in (("Home", 0.1), ("End", 3.0)):
            tab.get_by_label("Temperature").press(key)
            assert_heated(tab, row, words, warmth)


def test_the_generator_of_the_chapter_draws_what_keras_draws(open_page: Callable[..., Any]) -> None:
    stored = stored_widget("gan")
    packed = re.search(r'class="weights"[^>]*>([\w+/=]+)<', stored)[1]
    weights, begin, sizes = zlib.decompress(base64.b64decode(packed)), 0, ((110, 256), (256, 256), (256, 196))
    assert len(weights) == sum(inputs * outputs + 8 * outputs for inputs, outputs in sizes) <= widgets.MAX_BYTES
    parts: list[np.ndarray] = []
    for inputs, outputs in sizes:
        whole = np.frombuffer(weights, np.int8, inputs * outputs, begin).reshape(outputs, inputs).T
        scale, bias = np.frombuffer(weights, "<f4", 2 * outputs, begin + inputs * outputs).reshape(2, outputs)
        parts += [whole * scale, bias]
        begin += inputs * outputs + 8 * outputs
    model = networks.build_dense_generator(110)
    model.set_weights(parts)
    inputs = np.random.default_rng(2).normal(size=(50, 110)).astype(np.float32)
    inputs[:, 100:] = np.eye(10)[np.arange(50) % 10]
    run = f"(() => {{ {page._read('network.js')} window.read = readNetwork; }})()"
    tab = open_page(f"<script>{run}</script>{stored}")
    tab.get_by_label("Mixture").wait_for()
    computed = tab.evaluate(
        "async inputs => { const run = await read(document.querySelector('.weights'));"
        "return inputs.map(one => [...run(one)]); }",
        inputs.tolist(),
    )
    apart = np.abs(np.array(computed) - np.asarray(model(inputs)).reshape(50, -1)).max()
    print(f"the chapter's generator: JavaScript and Keras differ by {apart:.1e} at most")
    assert apart < TOLERANCE
    noises = np.array(json.loads(re.search('data-noises="([^"]*)"', stored)[1]))
    assert_mixed(tab, model, noises[:2], 8, 0.5)
    tab.get_by_label("Digit").select_option("4")
    tab.get_by_label("Mixture").press("End")
    assert_mixed(tab, model, noises[:2], 4, 1)


def test_the_runs_of_the_chapter_stand_as_they_were_recorded(open_page: Callable[..., Any]) -> None:
    cells = code_cells(read(ROOT / "notebooks" / "gan.ipynb"))
    pages = [out.get("data", {}).get("text/html", "") for cell in cells for out in cell.outputs]
    (stored,) = [one for one in pages if "book-runs" in one]
    for name in ("runs.js", "runs.css", "frames.js", "frames.css"):
        assert page._read(name) in stored, f"{name} has changed: make execute CHAPTER=gan"
    told = json.loads(html.unescape(re.search('data-told="([^"]*)"', stored)[1]))
    tab = open_page(stored)
    for run in range(4):
        tab.get_by_label("Discriminator's learning rate").select_option(index=run)
        assert tab.locator("p.told").text_content() == told[run][-1]
