"""Advice that cures: each row makes an error, does literally what its message says, and comes out.

What stands behind "try" or "take" in a message is code, which is run with the names of the message until nothing is
refused any more. Other advice is followed by hand, in the words of the message.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, diagnosis, flow, losses, metrics, models, networks, plotting, scorecard, seeded, training
from helpers import transformers as t
from helpers.book import score_samples
from helpers.checks import check_images

MOST = 4  # pieces of advice, one after the other, that may be needed
RNG = np.random.default_rng(0)
GREY = RNG.random((12, 28, 28, 1), dtype=np.float32)
OTHERS = RNG.random((12, 28, 28, 1), dtype=np.float32)
BYTES = np.round(GREY * 255).astype(np.uint8)
NAN = GREY.copy()
NAN[3, 4, 5] = np.nan
LABELS = np.arange(12) % 10
LATENT = RNG.normal(size=(12, 3)).astype(np.float32)
SPLIT = data.Split(GREY, LABELS)
TOLD: list[str] = []  # every message of this file, for the last test


def read_advice(message: str) -> str:
    """The code in a message."""
    found = re.findall(r"\b(?:try|take) (.+)", message)
    assert found, message
    return found[-1].rstrip(".")


def follow(call: Callable[[Any], Any], name: str, value: Any) -> Any:
    """Give a value, under the name that the message calls it by, and do what is advised until it is taken."""
    for _ in range(MOST):
        try:
            return call(value)
        except Exception as error:
            if not type(error).__module__.startswith("helpers"):
                raise
            TOLD.append(str(error))
            code = read_advice(str(error))
            known = {name: value, "np": np, "tf": tf, "data": data, "Path": Path, "split": value, "history": value}
            value = eval(code, known)
    raise AssertionError(f"{MOST} pieces of advice were not enough; the last was {TOLD[-1]}")


def build_gan() -> models.GAN:
    gan = models.GAN(networks.build_dense_generator(3, (4,)), networks.build_dense_discriminator((4,)))
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def build_conditional() -> models.ConditionalGAN:
    discriminator = networks.give_each_class_a_logit(networks.build_dense_discriminator((4,)))
    gan = models.ConditionalGAN(networks.build_dense_generator(13, (4,)), discriminator)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def build_vae() -> models.VAE:
    vae = models.VAE(networks.build_dense_encoder(3, (4,)), networks.build_dense_decoder(3, (4,)))
    vae.compile(keras.optimizers.SGD(0.1))
    return vae


@pytest.fixture(autouse=True)
def nothing_is_traced() -> Any:
    """Steps are run as they are written: for the few of a test, tracing would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")


# Code in a message

IMAGES = {
    "bytes": BYTES,
    "whole numbers": BYTES.astype(np.int64),
    "black and white bytes": (GREY > 0.5).astype(np.uint8),
    "truths": GREY > 0.5,
    "double": GREY.astype(np.float64),
    "half": GREY.astype(np.float16),
    "a pair with labels": SPLIT,
    "-1..1": GREY * 2 - 1,
    "0..255": GREY * 255,
    "0..255, double": GREY.astype(np.float64) * 255,
    "far outside": GREY * 999,
    "no channel": GREY[..., 0],
    "bytes without a channel": BYTES[..., 0],
    "flat": GREY.reshape(12, 784),
    "channels first": np.moveaxis(GREY, -1, 1),
    "colour": np.tile(GREY, 3),
    "colour in bytes": np.tile(BYTES, 3),
    "one image": GREY[0],
    "one image without a channel": GREY[0, ..., 0],
    "NaN": NAN,
    "a list": GREY.tolist(),
    "a list of arrays": [*GREY],
    "a list of bytes": BYTES.tolist(),
    "a tensor of bytes": tf.constant(BYTES),
    "a tensor without a channel": tf.constant(GREY[..., 0]),
    "a tensor with NaN": tf.constant(NAN),
    "a tensor of -1..1": tf.constant(GREY * 2 - 1),
}


@pytest.mark.parametrize("form", IMAGES)
def test_advice_on_images_leads_to_the_images(form: str) -> None:
    images = follow(check_images, "images", IMAGES[form])
    assert images.shape[1:] == (28, 28, 1)
    if "far" in form or "truths" in form or "black" in form:
        assert images.max() == 1.0
    elif form != "half":
        expected = {"one": GREY[:1], "NaN": np.delete(GREY, 3, axis=0)}
        right = next((some for part, some in expected.items() if part in form), GREY)
        np.testing.assert_allclose(images, right, atol=0.003)


@pytest.mark.parametrize(
    "form", [form for form in IMAGES if form != "a pair with labels"]
)  # of which fit says something else
def test_advice_of_fit_leads_to_training(form: str) -> None:
    vae = build_vae()
    follow(lambda images: vae.fit(images, verbose=0), "images", IMAGES[form])
    assert vae.optimizer.iterations > 0


@pytest.mark.parametrize(
    "form", ["bytes", "-1..1", "0..255", "no channel", "one image", "a list", "colour", "0..255, double"]
)
def test_advice_of_a_figure_leads_to_it(form: str) -> None:
    follow(lambda images: plotting.tile_images(images, 4), "images", IMAGES[form])


@pytest.mark.parametrize("form", ["double", "no channel", "a list", "bytes", "-1..1"])
def test_advice_of_a_draw_leads_to_it(form: str) -> None:
    follow(lambda images: data.draw_binary(images, 0), "images", IMAGES[form])
    follow(metrics.smooth_mean, "images", IMAGES[form])


BINARY = {
    "log_weights": lambda images: build_vae().log_weights(images, 2, 0),
    "validation": lambda images: training.train_vae(
        build_vae(),
        data.Digits("some", SPLIT, SPLIT, data.Split(OTHERS, LABELS)),
        **{"batch_size": 4, "steps_per_epoch": 1, "epochs": 1, "learning_rate": 1e-3, "validation": images},
    ),
    "mixture": lambda images: metrics.bernoulli_mixture_nll(images, OTHERS),
}


@pytest.mark.parametrize("door", BINARY)
@pytest.mark.parametrize("form", ["grey", "bytes"])
def test_advice_on_grey_images_leads_to_binary_ones(door: str, form: str) -> None:
    if (door, form) != ("mixture", "bytes"):
        follow(BINARY[door], "images", {"grey": GREY, "bytes": BYTES}[form])


LABEL_FORMS = {
    "one-hot": np.eye(10)[LABELS],
    "one-hot list": np.eye(10)[LABELS].tolist(),
    "a column": LABELS[:, None],
    "a column in a list": LABELS[:, None].tolist(),
    "text": LABELS.astype(str),
    "text in a list": LABELS.astype(str).tolist(),
    "objects": LABELS.astype(object),
    "from 1": LABELS + 1,
    "a list": LABELS.tolist(),
}


@pytest.mark.parametrize("form", LABEL_FORMS)
def test_advice_on_labels_leads_to_the_labels(form: str) -> None:
    taken = []

    def train(labels: Any) -> None:
        build_conditional().fit(GREY, labels, verbose=0)
        taken.append(labels)

    follow(train, "labels", LABEL_FORMS[form])
    np.testing.assert_array_equal(taken[0], LABELS)
    follow(lambda labels: build_conditional().generate(LATENT, labels), "labels", LABEL_FORMS[form])


OF_OTHERS: dict[str, tuple[Callable[[Any], Any], str, Any]] = {
    "one latent vector": (build_gan().generate, "latent", LATENT[0]),
    "one latent vector, a list": (build_gan().generate, "latent", LATENT[0].tolist()),
    "a count as text": (lambda count: models.draw_latent(count, 2, 0), "count", "3"),
    "a count as a float": (lambda count: models.draw_latent(count, 2, 0), "count", 3.0),
    "one width": (networks.build_dense_discriminator, "widths", 16),
    "one epoch": (lambda epochs: training.SampleRecorder(build_gan().generate, LATENT, epochs), "epochs", 3),
    "a batch too large": (lambda size: data.make_batches(GREY, size, 0, OTHERS), "batch_size", 99),
    "a pair as a split": (lambda split: data.draw_class_gaussians(split, LABELS, 0), "split", (GREY, LABELS)),
    "a list of labels in a split": (
        lambda labels: data.draw_class_gaussians(data.Split(GREY, labels), LABELS, 0),
        "labels",
        LABELS.tolist(),
    ),
    "scans of 16 levels": (data.enlarge, "scans", RNG.integers(0, 17, (3, 8, 8))),
    "flat scans": (data.enlarge, "scans", RNG.random((3, 64))),
    "empty images": (data.center_by_mass, "images", np.concatenate([GREY, np.zeros_like(GREY)])),
    "whole numbers for a loss": (losses.generator_loss, "fake_logits", np.ones((3, 1), int)),
    "a list for a loss": (losses.generator_loss, "fake_logits", [[1.0], [2.0]]),
    "two types for a loss": (
        lambda fake_logits: losses.discriminator_loss(np.ones((3, 1), np.float32), fake_logits),
        "fake_logits",
        np.ones((3, 1)),
    ),
    "one sequence of tokens": (
        lambda tokens: t.build_generator(t.build_decoder_only(5, 6, width=4, heads=1, blocks=1))(tokens, 1),
        "tokens",
        [1, 2],
    ),
    "a split as digits": (scorecard.Scorer, "digits", SPLIT),
    "images in fit as a pair": (lambda pair: fit_pair(build_conditional(), pair), "pair", (GREY, LABELS)),
}


def fit_pair(model: seeded.SeededModel, given: Any) -> Any:
    return given if isinstance(given, keras.callbacks.History) else model.fit(given, verbose=0)


@pytest.mark.parametrize("case", OF_OTHERS)
def test_advice_leads_out(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, name, value = OF_OTHERS[case]
    if case == "images in fit as a pair":  # "try fit(images, labels)"
        with pytest.raises(ValueError, match=r"try fit\(images, labels\)") as caught:
            call(value)
        TOLD.append(str(caught.value))
        images, labels = value
        eval(read_advice(str(caught.value)), {"fit": build_conditional().fit, "images": images, "labels": labels})
    elif case == "a batch too large":  # "try batch_size=12, or less"
        with pytest.raises(ValueError, match="try batch_size=12, or less") as caught:
            call(value)
        TOLD.append(str(caught.value))
        call(12)
    else:
        follow(call, name, value)


def test_a_history_object_leads_to_its_table() -> None:
    gan = build_gan()
    recorder = diagnosis.SpreadRecorder(gan.generate, LATENT, GREY)
    history = gan.fit(GREY, epochs=8, callbacks=[recorder], verbose=0)
    assert follow(diagnosis.diagnose, "history", history) in diagnosis.KINDS


def test_a_folder_in_the_place_of_a_checkpoint_leads_to_a_file_in_it(tmp_path: Path) -> None:
    kept = []
    follow(lambda file: kept.append(training.Checkpoint(file)), "file", tmp_path)
    assert kept[0].file == tmp_path / "training.npz"


TO_SCORE = {
    "-1..1": GREY * 2 - 1,
    "0..255": GREY * 255,
    "other axes": GREY[:, :, None],
    "black and white bytes": (GREY > 0.5).astype(np.uint8),
    "far outside": GREY * 999.0,
}


@pytest.mark.parametrize("form", TO_SCORE)
def test_advice_on_samples_to_score(form: str) -> None:
    """Of score_samples, which says the code before what it does."""
    images = TO_SCORE[form]
    for _ in range(MOST):
        try:
            taken = score_samples.make_images(images)
        except ValueError as error:
            message = str(error)
            TOLD.append(message)
            code = re.search(
                r"try (\.reshape\(.*\))|(\(images \+ 1\) / 2|images / 255|255 \* images)|rescale them", message
            )
            assert code, message
            dotted, plain = code.groups()
            images = eval(f"images{dotted}" if dotted else plain or "images / images.max()", {"images": images})
        else:
            assert taken.shape == GREY.shape
            return
    raise AssertionError(message)


# Words in a message


def test_a_leak_is_mended_by_training_on_others() -> None:
    mixed = np.concatenate([GREY, OTHERS[:2]])
    with pytest.raises(data.LeakError, match=r"2 of the 14 training images .*; train on others"):
        data.make_batches(mixed, 4, 0, OTHERS)
    data.make_batches(mixed[:12], 4, 0, OTHERS)


def test_heads_are_mended_by_a_number_that_divides_the_width() -> None:
    with pytest.raises(t.TransformerError, match="3 heads cannot share a width of 4; choose a number that divides it"):
        t.build_decoder_only(5, 6, width=4, heads=3, blocks=1)
    t.build_decoder_only(5, 6, width=4, heads=2, blocks=1)


def test_labels_of_a_flow_without_classes_are_mended_by_building_it_with_them() -> None:
    with pytest.raises(ValueError, match="build it with classes=10"):
        flow.FlowMatching(networks.build_dense_flow(12, 4, 1)).generate(RNG.normal(size=(1, 784)), [3])
    flow.FlowMatching(networks.build_dense_flow(22, 4, 1), classes=10).generate(RNG.normal(size=(1, 784)), [3])


def test_labels_beside_images_are_mended_by_leaving_them_out() -> None:
    vae, gan = build_vae(), build_conditional()
    with pytest.raises(ValueError, match=r"expected images alone: fit\(images\)"):
        vae.fit(GREY, LABELS, verbose=0)
    vae.fit(GREY, verbose=0)
    with pytest.raises(ValueError, match=r"no labels, .*: fit\(images, labels\)"):
        gan.fit(GREY, verbose=0)
    gan.fit(GREY, LABELS, verbose=0)


def test_weights_of_examples_are_mended_by_repeating_images() -> None:
    vae = build_vae()
    with pytest.raises(seeded.ModelError, match="repeat the images that should count more"):
        vae.fit(GREY, sample_weight=1 + LABELS % 2, verbose=0)
    vae.fit(np.repeat(GREY, 1 + LABELS % 2, axis=0), verbose=0)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_callback_without_a_direction_is_mended_by_giving_one(mode: str) -> None:
    vae = build_vae()
    with pytest.raises(seeded.ModelError, match="give mode='min' or mode='max'"):
        vae.fit(GREY, callbacks=[keras.callbacks.EarlyStopping("kl")], verbose=0)
    vae.fit(GREY, callbacks=[keras.callbacks.EarlyStopping("kl", mode=mode)], verbose=0)


def test_a_broken_checkpoint_is_mended_by_moving_it_away(tmp_path: Path) -> None:
    file, vae = tmp_path / "training.npz", build_vae()
    file.write_bytes(b"half a file")
    with pytest.raises(training.CheckpointError, match="move that file away to begin anew"):
        vae.fit(GREY, callbacks=[training.Checkpoint(file)], verbose=0)
    file.rename(tmp_path / "elsewhere.npz")
    vae.fit(GREY, callbacks=[training.Checkpoint(file)], verbose=0)
    other = models.VAE(vae.encoder, vae.decoder, seed=1)
    other.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(training.CheckpointError, match="give the same, or delete the file to begin anew"):
        other.fit(GREY, callbacks=[training.Checkpoint(file)], verbose=0)
    vae.fit(GREY, callbacks=[training.Checkpoint(file)], verbose=0)  # the same
    file.unlink()
    other.fit(GREY, callbacks=[training.Checkpoint(file)], verbose=0)


def test_a_folder_in_the_place_of_mnist_is_mended_by_naming_the_file_in_it(tmp_path: Path) -> None:
    arrays = {name: np.zeros(3) for name in data.MNIST_SHAPES}
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(data.MnistError, match=r"That is a folder: name the file in it, such as mnist\.npz"):
        data.read_mnist_file(str(tmp_path))
    assert data.read_mnist_file(str(tmp_path / "mnist.npz")).keys() == arrays.keys()
    whole = (tmp_path / "mnist.npz").read_bytes()
    (tmp_path / "mnist.npz").write_bytes(whole[:200])
    with pytest.raises(data.MnistError, match="fetch the file again"):
        data.read_mnist_file(str(tmp_path / "mnist.npz"))
    (tmp_path / "mnist.npz").write_bytes(whole)
    data.read_mnist_file(str(tmp_path / "mnist.npz"))


def test_samples_in_a_list_are_mended_by_writing_plain_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("samples.npy", GREY)
    with pytest.raises(score_samples.SamplesError, match=r"write plain arrays with (np\.savez\(.*\))\.") as caught:
        score_samples.read_samples(Path("samples.npy"))
    code = re.search(r"write plain arrays with (np\.savez\(.*\))\.", str(caught.value))[1]
    eval(code, {"np": np, "images": GREY})
    np.testing.assert_array_equal(score_samples.read_samples(Path("samples.npz")), GREY)


def test_few_labels_are_mended_by_more() -> None:
    with pytest.raises(metrics.SampleSizeError, match="give 100 or more"):
        metrics.count_classes(LABELS)
    assert metrics.count_classes(np.arange(100) % 10) == 10


def test_a_set_without_images_is_mended_by_one_image() -> None:
    with pytest.raises(metrics.SampleSizeError, match="give one or more"):
        metrics.measure_memorisation(GREY[:0], GREY, OTHERS[:6], OTHERS[6:])
    metrics.measure_memorisation(GREY[:1], GREY, OTHERS[:6], OTHERS[6:])
    inked = np.round(GREY)  # whose distances to themselves are exactly 0
    with pytest.raises(metrics.SampleSizeError, match="give real images that are in neither"):
        metrics.measure_memorisation(GREY, inked, OTHERS, inked)
    metrics.measure_memorisation(GREY, GREY, OTHERS[:6], OTHERS[6:])


# All of them


def advice_in_the_code() -> set[str]:
    """What stands behind "try" or "take" in the messages of helpers, up to the first place that is filled in."""
    found = set()
    for path in sorted(Path(data.__file__).parent.glob("*.py")):
        docstrings = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                docstrings.add(node.body[0].value)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                found |= {text for text in re.findall(r"\btry (\S[^{};]*)", node.value) if text.strip()}
    return found


def test_every_piece_of_code_in_a_message_was_followed() -> None:
    """The last of this file: what was told above, and what stands in the code."""
    pieces = advice_in_the_code()
    assert len(pieces) > 10
    if len(TOLD) > 40:  # all of this file has run, in this process
        missing = {piece for piece in pieces if not any(piece.rstrip(".") in told for told in TOLD)}
        assert missing == set()
