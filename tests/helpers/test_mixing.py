"""What a chapter hands to the page for two noises to mix: a sheet where no script runs, and the generator itself."""

import base64
import io
import json
import re

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from helpers import networks
from helpers.book import mixing, widgets

NOISES = np.random.default_rng(1).normal(size=(4, 5))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output))
    return outputs


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    """A generator of five numbers of noise and three labels, with weights that make contrasts."""
    model, rng = networks.build_dense_generator(8), np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.15, weight.shape) for weight in model.get_weights()])
    return model


def picture_in(page: str) -> np.ndarray:
    png = re.search(r'<img src="data:image/png;base64,([^"]+)"', page)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")).astype(float)


def test_a_sheet_stands_there_in_each_run_and_without_scripts(shown: list, generator: keras.Model) -> None:
    for _ in range(2):
        mixing.show_mixture(generator, NOISES, "Look <here>.", alt="Blots.", label=2)
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    sheet = picture_in(page)
    assert sheet.shape == (3 * 28, 9 * 28)
    for label, column in ((0, 0), (2, 4), (1, 8)):
        angle = column / 8 * np.pi / 2
        noise = np.cos(angle) * NOISES.round(2)[0] + np.sin(angle) * NOISES.round(2)[1]
        expected = 255 * np.asarray(generator(np.concatenate([noise, np.eye(3)[label]])[None]))[0, ..., 0]
        part = sheet[28 * label : 28 * (label + 1), 28 * column : 28 * (column + 1)]
        assert part == pytest.approx(expected, abs=9)  # sixteen grey levels
        assert np.ptp(expected) > 40
    assert json.loads(re.search('data-noises="([^"]*)"', page)[1]) == NOISES.round(2).tolist()
    assert page.count('<p class="told">2, half of each noise</p>') == 1
    assert re.findall("<option[^>]*>", page) == ["<option>", "<option>", "<option selected>"]
    assert "Look &lt;here&gt;." in page
    assert re.search('class="guide" hidden', page)
    assert re.search('class="controls" hidden', page)
    assert not re.search(r"""(?:src|href)="(?!data:)|url\((?!data:)""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


def test_what_eight_bits_change_is_said_as_it_is(shown: list, generator: keras.Model) -> None:
    mixing.show_mixture(generator, NOISES, "Look.", alt="Blots.")
    inputs = []
    for near, far in NOISES.round(2).reshape(2, 2, 5):
        for label in np.eye(3):
            ways = np.linspace(0, np.pi / 2, 9)
            inputs += [np.concatenate([np.cos(way) * near + np.sin(way) * far, label]) for way in ways]
    exact, rounded = (np.asarray(one(np.array(inputs))) for one in (generator, widgets.dequantise(generator)))
    apart = np.abs(exact - rounded)
    told = f"over 54 mixtures a pixel (0 to 1) differs from the chapter's by {apart.mean():.4f} on average, "
    assert apart.mean() > 0.0001
    assert f"{told}{apart.max():.3f} at most." in " ".join(shown[0]["text/plain"].split())


@pytest.mark.parametrize(
    ("count", "label", "message"),
    [
        (3, 0, "3 noises were given; expected pairs"),
        (0, 0, "0 noises were given; expected pairs"),
        (2, 3, "label is 3; expected one of the 3"),
        (2, -1, "label is -1; expected one of the 3"),
    ],
)
def test_what_cannot_be_mixed_is_refused(generator: keras.Model, count: int, label: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        mixing.show_mixture(generator, NOISES[:count], "Look.", alt="Blots.", label=label)


def test_a_generator_that_a_page_cannot_compute_is_refused() -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(784, "gelu"), layers.Reshape((28, 28, 1))])
    with pytest.raises(widgets.ExportError, match="cannot compute this Dense"):
        mixing.show_mixture(model, NOISES, "Look.", alt="Blots.")
