"""What a chapter hands to the browser: the right 8-bit weights, or a clear refusal; and a picture without scripts."""

import base64
import html
import json
import random
import re
import zlib

import keras
import numpy as np
import pytest
from keras import layers

from helpers import networks
from helpers.book import widgets


def randomised(model: keras.Model) -> keras.Model:
    """The model with other weights and biases, none of them zero."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    return model


def small_network() -> keras.Model:
    return randomised(keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]))


def test_each_layer_gives_integers_scales_and_biases() -> None:
    model = small_network()
    kernel, bias, *_ = model.get_weights()
    steps, weights = widgets.export_network(model)
    assert steps == [["dense", 3, 4], ["relu"], ["dense", 4, 2]]
    assert len(weights) == 3 * 4 + 8 * 4 + 4 * 2 + 8 * 2
    whole = np.frombuffer(weights, np.int8, 12).reshape(4, 3).T  # (inputs, outputs), as Keras has them
    scales, biases = np.frombuffer(weights, "<f4", 8, offset=12).reshape(2, 4)
    assert np.abs(whole).max(axis=0).tolist() == [127] * 4  # each unit uses all of the range
    assert np.abs(whole * scales - kernel).max() <= scales.max() / 2 + 1e-7
    assert (biases == bias).all()


def test_keras_gets_the_weights_that_the_page_has() -> None:
    model = small_network()
    before, state = model.get_weights(), random.getstate()
    rounded = widgets.dequantise(model)
    assert random.getstate() == state  # of what Keras draws seeds from: a chapter trains on as without the widget
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))
    assert widgets.export_network(rounded)[1] == widgets.export_network(model)[1]
    kernel, bias, *_ = rounded.get_weights()
    assert 0 < np.abs(kernel - before[0]).max() < 0.01
    assert (bias == before[1]).all()


def test_a_unit_of_zeros_and_a_layer_without_biases_stay_so() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, use_bias=False)])
    model.set_weights([np.array([[0, 1], [0, -2], [0, 0.5]])])
    _, weights = widgets.export_network(model)
    assert np.frombuffer(weights, np.int8, 6).tolist() == [0, 0, 0, 64, -127, 32]
    assert np.frombuffer(weights, "<f4", 2, offset=14).tolist() == [0, 0]
    assert (widgets.dequantise(model).get_weights()[0][:, 0] == 0).all()


def test_the_networks_of_the_book_have_steps() -> None:
    steps, _ = widgets.export_network(networks.build_dense_generator(110))
    assert [kind for kind, *_ in steps] == [*["dense", "leaky_relu"] * 2, "dense", "enlarge", "sigmoid"]
    assert ["enlarge", 14, 14] in steps
    assert steps[1] == ["leaky_relu", pytest.approx(0.2)]
    assert widgets.export_network(networks.build_dense_decoder(2, (200,)))[0][-1] == ["dense", 200, 784]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: networks.build_dense_encoder(2), "encoder is a Functional; expected a keras.Sequential"),
        (lambda: networks.build_classifier(), "cannot compute this Conv2D"),
        (lambda: keras.Sequential([keras.Input((2,)), layers.Dense(2, "gelu")]), "cannot compute this Dense"),
        (lambda: keras.Sequential([keras.Input((2, 2)), layers.Dense(2)]), "cannot compute this Dense"),
        (lambda: keras.Sequential([keras.Input((2,)), layers.Activation("softmax")]), "cannot compute this Activation"),
        (
            lambda: keras.Sequential([keras.Input((2, 2, 1)), layers.UpSampling2D(2)]),
            "cannot compute this UpSampling2D",
        ),
        (lambda: keras.Sequential([keras.Input((2,)), layers.BatchNormalization()]), "this BatchNormalization"),
        (lambda: keras.Sequential([keras.Input((600,)), layers.Dense(500)]), "304,000 bytes; expected at most 300,000"),
    ],
)
def test_what_a_page_cannot_compute_is_refused(model, message: str) -> None:
    for export in (widgets.export_network, widgets.dequantise):
        with pytest.raises(widgets.ExportError, match=re.escape(message)):
            export(model())


def test_weights_are_packed_into_the_page() -> None:
    model = small_network()
    element = widgets.format_network(model, "sigmoid")
    found = re.fullmatch(r'<script type="text/plain" class="weights" data-steps="([^"]*)">([\w+/=]*)</script>', element)
    steps, weights = widgets.export_network(model)
    assert json.loads(html.unescape(found[1])) == [*steps, ["sigmoid"]]
    assert zlib.decompress(base64.b64decode(found[2])) == weights


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output))
    return outputs


def test_a_plane_is_the_same_in_each_run_and_stands_without_scripts(shown: list) -> None:
    decoder = randomised(networks.build_dense_decoder(2, (8,)))
    codes, labels = np.array([[1, 2], [1, 1], [-3, 0.5], [9, 9]]), np.array([4, 4, 7, 7])
    for _ in range(2):
        widgets.show_plane(decoder, codes, labels, 'Where is "<b>"?', start=(0.5, -1), above="<p>before</p>")
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    assert page.startswith('<p>before</p><div class="book-output book-plane">')
    assert "M420 120h0M420 220h0" in page  # from the upper left, 100 units for 1
    assert "M20 270h0" in page
    assert len(re.findall(r"M\d+ \d+h0", page)) == 3  # the fourth code lies beyond the plane
    assert "translate(370 420)" in page
    assert "code (0.50, -1.00)" in page
    assert "Where is &quot;&lt;b&gt;&quot;?" in page
    assert re.search(r"over 289 codes of the plane a pixel \(0 to 1\) differs from .* by 0\.\d{4} on average", page)
    assert 'class="guide" hidden' in page  # of what only a script can do
    assert not re.search(r"""(?:src|href)=|url\((?!data:)""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


def test_a_plane_holds_a_thousand_codes_at_most(shown: list) -> None:
    codes = np.random.default_rng(0).uniform(-3, 3, (1_500, 2))
    widgets.show_plane(randomised(networks.build_dense_decoder(2, (8,))), codes, np.zeros(1_500, int), "Look.")
    assert len(re.findall(r"M\d+ \d+h0", shown[0]["text/html"])) == 1_000
    assert 'data-start="0.0 0.0"' in shown[0]["text/html"]


def test_a_walk_is_the_same_in_each_run_and_stands_without_scripts(shown: list) -> None:
    network = randomised(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    network.set_weights([np.zeros((3, 2)), np.array([1.0, 0.0])])  # all points go to (1, 0)
    digits = {1: np.zeros((8, 28, 28, 1)), 5: np.ones((8, 28, 28, 1))}
    noise, centres = np.array([[0.123, 0.5], [-1, -2]]), np.array([[1, 0], [0, 1]])
    for _ in range(2):
        widgets.show_steps(network, noise, centres, 0.15, digits, "Look <here>.", alt="Black, then white.")
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    assert 'class="ends" d="M310 210h0M310 210h0"' in page
    assert re.search(r'class="ways" data-count="\d+" d="(M\d+ \d+(L\d+ \d+)+){2}"', page)
    assert page.count('<p class="told">5 steps: 2 of 2 points end in a circle</p>') == 1
    assert "--count:2;--frame:1" in page
    assert 'data-noise="[[0.12, 0.5], [-1.0, -2.0]]"' in page
    assert 'data-counts="[1, 5]"' in page
    assert 'alt="Black, then white."' in page
    assert "Look &lt;here&gt;." in page
    assert "lies 0.0000 from where the chapter&#x27;s lies" in page
    assert not re.search(r"""(?:src|href)="(?!data:)""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


def test_a_walk_refuses_a_number_of_steps_without_digits() -> None:
    network = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="first is 5; expected one of the numbers of steps, 1, 20"):
        widgets.show_steps(network, np.zeros((1, 2)), np.zeros((1, 2)), 0.1, dict.fromkeys((1, 20)), "Look.", alt="x")
