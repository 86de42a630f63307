"""Digits: splits, batches and their order, drawn pixels; and every way in which MNIST or images can be wrong."""

import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, losses, models, networks
from helpers.checks import ImageError, LabelError, check_images, check_labels

IMAGE = (28, 28, 1)


def uniform_images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *IMAGE), dtype=np.float32)


def digests(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


# The digits that scikit-learn ships


@pytest.fixture(scope="module")
def digits() -> data.Digits:
    return data.load("quick")


def test_small_digits_are_split_in_three_that_share_no_image(digits: data.Digits) -> None:
    sizes = [len(split.images) for split in digits[1:]]
    assert sizes == [1_077, 360, 360]
    assert len(set().union(*(digests(split.images) for split in digits[1:]))) == sum(sizes)


def test_each_split_has_all_classes_in_equal_shares(digits: data.Digits) -> None:
    shares = [np.bincount(split.labels, minlength=10) / len(split.labels) for split in digits[1:]]
    assert np.ptp(shares, axis=0).max() < 0.01


def test_small_digits_are_images_as_the_book_has_them(digits: data.Digits) -> None:
    for images, labels in digits[1:]:
        assert check_images(images) is images
        assert images.max() > 0.9
        assert labels.dtype == np.int64
        assert labels.shape == (len(images),)


def test_small_digits_are_the_same_each_time(digits: data.Digits) -> None:
    again = data.load_small_digits()
    for one, other in zip(digits[1:], again[1:], strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels, other.labels)


def test_labels_belong_to_their_images(digits: data.Digits) -> None:
    """The nearest training image of a test image shows the same digit nearly always."""
    flat = digits.test.images.reshape(360, -1), digits.train.images.reshape(1_077, -1)
    distances = np.square(flat[0]).sum(axis=1)[:, None] - 2 * flat[0] @ flat[1].T + np.square(flat[1]).sum(axis=1)
    assert np.mean(digits.train.labels[distances.argmin(axis=1)] == digits.test.labels) > 0.95


def test_small_digits_are_placed_as_mnist_places_its_own(digits: data.Digits) -> None:
    images = digits.train.images[..., 0]
    mass, pixels = images.sum(axis=(1, 2)), np.arange(28)
    for axis in (1, 2):
        center = (images.sum(axis=axis) @ pixels) / mass
        assert np.abs(center - 13.5).max() <= 0.5 + 1e-3
    inked = [np.flatnonzero(images.max(axis=(0, axis)) > 0.5) for axis in (1, 2)]
    assert all(ink.min() >= 1 and ink.max() <= 26 for ink in inked)


def describe(images: np.ndarray) -> dict[str, float]:
    """Height of what is more ink than paper, in pixels; mean ink; share of grey pixels; nats an image."""
    p = np.clip(images[..., 0].astype(np.float64), 1e-9, 1 - 1e-9)
    return {
        "height": float((p > 0.5).any(axis=2).sum(axis=1).mean()),
        "ink": float(p.mean()),
        "grey": float(((p > 0.1) & (p < 0.9)).mean()),
        "entropy": float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(axis=(1, 2)).mean()),
    }


# Of MNIST's 10,000 test images, and how far the small digits may differ: their pen is broader, they have fewer cells.
MNIST_LOOKS = {"height": (19.6, 0.6), "ink": (0.133, 0.03), "grey": (0.086, 0.005), "entropy": (45.5, 5.0)}


def check_looks(images: np.ndarray) -> None:
    for name, value in describe(images).items():
        expected, tolerance = MNIST_LOOKS[name]
        assert value == pytest.approx(expected, abs=tolerance), name


def test_small_digits_look_as_those_of_mnist(digits: data.Digits) -> None:
    check_looks(np.concatenate([split.images for split in digits[1:]]))


@pytest.mark.parametrize(
    ("name", "broken"),
    [("decide_ink", lambda points: np.clip(points, 0.0, 1.0)), ("HALF_INK", 0.3), ("COARSE", 5)],
    ids=["no contrast", "everything is ink", "a smaller digit"],
)
def test_other_pens_do_not_look_so(name: str, broken: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, name, broken)
    with pytest.raises(AssertionError):
        check_looks(data.load_small_digits().train.images)


@pytest.mark.skipif(not os.environ.get("MNIST_NPZ"), reason="MNIST_NPZ names no file")
def test_mnist_looks_as_said() -> None:
    for name, value in describe(data.load_mnist().test.images).items():
        assert value == pytest.approx(MNIST_LOOKS[name][0], rel=0.01), name


def test_a_scan_is_enlarged_by_a_spline_through_its_cells() -> None:
    """Ten points a cell, none at its middle: the mean of the two beside it is the cell's value to a few thousandths."""
    scans = np.random.default_rng(0).random((2, 8, 8))
    points = data.enlarge(scans)
    assert points.shape == (2, 100, 100)
    middles = points[:, 14:90, 14:90].reshape(2, 76, 76)
    near = (middles[:, ::10, ::10] + middles[:, 1::10, ::10] + middles[:, ::10, 1::10] + middles[:, 1::10, 1::10]) / 4
    np.testing.assert_allclose(near, scans, atol=0.02)


def test_ink_is_decided_at_one_half() -> None:
    decided = data.decide_ink(np.array([-0.3, 0.0, 0.4, 0.5, 0.6, 1.0, 1.2]))
    np.testing.assert_allclose(decided, [0.0, 0.0, 0.119, 0.5, 0.881, 1.0, 1.0], atol=1e-3)  # 1 / (1 + e^2) = .119
    assert decided[[0, 1, 5, 6]].tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("scans", "message"),
    [
        (np.zeros((3, 28, 28)), r"shape \(3, 28, 28\), expected \(count, 8, 8\)"),
        (np.zeros((8, 8)), r"shape \(8, 8\)"),
        (np.zeros((0, 8, 8)), r"shape \(0, 8, 8\)"),
        (np.full((2, 8, 8), 16.0), "range from 16 to 16, expected .0, 1.; divide by 16"),
        (np.full((2, 8, 8), np.nan), "range from nan to nan"),
        (np.zeros((2, 8, 8)), "2 images hold no ink"),
    ],
    ids=["pixels", "one scan", "none", "sixteenths", "NaN", "empty"],
)
def test_other_scans_are_refused(scans: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        data.draw_pen_strokes(scans)


def test_an_image_off_centre_is_moved_to_the_middle() -> None:
    image = np.zeros((1, 20, 20, 1), np.float32)
    image[0, 4:8, 10:16] = 1.0  # centre of mass at (5.5, 12.5)
    placed = data.center_by_mass(image)[0, ..., 0]
    assert placed.shape == (28, 28)
    assert placed[12:16, 11:17].sum() == placed.sum() == 24.0


def test_an_image_too_large_is_cut_around_its_centre() -> None:
    image = np.zeros((1, 40, 30, 1), np.float32)
    image[0, 30:34, 2:8] = 1.0
    placed = data.center_by_mass(image)[0, ..., 0]
    assert placed.shape == (28, 28)
    assert placed[12:16, 11:17].sum() == placed.sum() == 24.0


# Batches


def index_images(count: int) -> np.ndarray:
    """Images that carry their number as their grey value."""
    return np.broadcast_to((np.arange(count, dtype=np.float32) / count)[:, None, None, None], (count, *IMAGE)).copy()


def numbers_of(batches: tf.data.Dataset, steps: int, count: int) -> np.ndarray:
    """Which of the index images stand in each of the first batches, (steps, batch)."""
    return np.stack([np.round(batch[:, 0, 0, 0] * count).astype(int) for batch in batches.take(steps)])


HELD_OUT = np.ones((1, *IMAGE), np.float32)


def test_each_pass_takes_each_image_once_in_a_new_order() -> None:
    passes = numbers_of(data.make_batches(index_images(40), 8, 0, HELD_OUT), 15, 40).reshape(3, 40)
    assert [sorted(numbers) for numbers in passes] == [list(range(40))] * 3
    assert len({tuple(numbers) for numbers in [*passes, range(40)]}) == 4


def test_a_pass_leaves_out_what_does_not_fill_a_batch() -> None:
    passes = numbers_of(data.make_batches(index_images(40), 15, 0, HELD_OUT), 60, 40).reshape(30, 30)
    assert all(len(set(numbers)) == 30 for numbers in passes)
    assert len(set(passes.ravel())) == 40  # not always the same ones


def test_batches_depend_on_seed_and_step_alone() -> None:
    images = uniform_images(12)
    batches = [np.stack(list(data.make_batches(images, 4, seed, HELD_OUT, binary=True).take(7))) for seed in (3, 3, 4)]
    later = np.stack(list(data.make_batches(images, 4, 3, HELD_OUT, binary=True).skip(5).take(2)))
    assert np.array_equal(batches[0], batches[1])
    assert np.array_equal(batches[0][5:], later)
    assert not np.array_equal(batches[0], batches[2])


def test_grey_batches_are_the_images_themselves() -> None:
    images = uniform_images(12)
    batch = next(iter(data.make_batches(images, 12, 0, HELD_OUT))).numpy()
    assert digests(batch) == digests(images)


def test_binary_pixels_are_drawn_afresh_with_the_probability_of_their_grey() -> None:
    grey = np.linspace(0.0, 1.0, 784, dtype=np.float32).reshape(IMAGE)
    batches = data.make_batches(np.repeat(grey[None], 50, axis=0), 50, 0, HELD_OUT, binary=True)
    draws = np.concatenate(list(batches.take(20)))  # (1000, 28, 28, 1), one image in 20 passes
    assert set(np.unique(draws)) == {0.0, 1.0}
    z = (draws.mean(axis=0) - grey) / np.sqrt(grey * (1 - grey) / len(draws) + 1e-12)
    assert np.abs(z).max() < 5.0
    assert 0.8 < z.std() < 1.2
    differing = np.mean(draws[:50] != draws[50:100])  # two draws of one pixel differ with probability 2 g (1 - g)
    assert differing == pytest.approx(np.mean(2 * grey * (1 - grey)), abs=0.02)


def strongest_link(pixels: np.ndarray, noise: np.ndarray) -> float:
    """The largest correlation between drawn pixels and the noise, or its size, up to three places apart; in sds."""
    pixels = pixels.ravel() - pixels.mean()
    links = [
        np.corrcoef(pixels, np.roll(values.ravel(), places))[0, 1]
        for places in range(-3, 4)
        for values in (noise, np.abs(noise))
    ]
    return float(np.abs(links).max() * np.sqrt(pixels.size))


def latent_noise_of(vae: models.VAE, step: int, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The noise that a VAE draws in a training step."""
    drawn = []
    with monkeypatch.context() as patch:
        patch.setattr(losses, "reparameterise", lambda mean, log_variance, noise: drawn.append(noise) or mean)
        vae.compute_terms(np.zeros((8, *IMAGE), np.float32), step, training=True)
    return drawn[0].numpy()


def test_pixel_noise_is_not_the_latent_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    seed, step = 5, 3
    vae = models.VAE(networks.build_dense_encoder(784, ()), networks.build_dense_decoder(784, ()), seed=seed)
    latent = latent_noise_of(vae, step, monkeypatch)  # (8, 784), as many as pixels
    grey = np.full((8, *IMAGE), 0.5, np.float32)
    pixels = np.stack(list(data.make_batches(grey, 8, seed, HELD_OUT, binary=True).take(step + 1)))[step]
    same_stream = (tf.random.stateless_uniform(pixels.shape, (seed, step)) < 0.5).numpy().astype(float)
    assert strongest_link(same_stream, latent) > 20.0  # what it would be without a stream of its own
    assert strongest_link(pixels, latent) < 5.0


def test_too_few_images_for_a_batch_are_refused() -> None:
    with pytest.raises(ImageError, match="5 images do not fill a batch of 8"):
        data.make_batches(uniform_images(5), 8, 0, HELD_OUT)


# Held-out images


def check_leak() -> None:
    images = uniform_images(10)
    with pytest.raises(data.LeakError, match="2 of the 10 training images are held out"):
        data.make_batches(images, 4, 0, np.concatenate([images[3:5], uniform_images(5, seed=1)]))


def test_held_out_images_are_refused_for_training() -> None:
    check_leak()


def test_other_images_are_not_refused(digits: data.Digits) -> None:
    data.refuse_held_out(digits.train.images, digits.test.images)
    data.refuse_held_out(digits.train.images, digits.validation.images)


@pytest.mark.parametrize(
    "broken",
    [
        {"refuse_held_out": lambda images, held_out: None},
        {"_digest": lambda images: {len(images)}, "check_shared": lambda images, held_out, error: None},
    ],
    ids=["no guard", "guards that compare counts"],
)
def test_a_leak_that_nobody_refuses_is_caught(broken: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, instead in broken.items():
        monkeypatch.setattr(data, name, instead)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_leak()


def test_fixed_binary_images_follow_grey_and_seed() -> None:
    grey = uniform_images(300)
    one, same, other = (data.draw_binary(grey, seed) for seed in (1, 1, 2))
    assert check_images(one, binary=True).dtype == np.float32
    assert np.array_equal(one, same)
    assert np.mean(one != other) == pytest.approx(1 / 3, abs=0.01)  # the mean of 2 g (1 - g) over [0, 1]
    assert np.mean(one[grey > 0.9]) == pytest.approx(0.95, abs=0.01)
    assert np.mean(one[grey < 0.1]) == pytest.approx(0.05, abs=0.01)


# Images at the door


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), r"shape \(2, 28, 28\), expected \(count, 28, 28, 1\); try images"),
        (np.zeros((2, 32, 32, 1), np.float32), r"shape \(2, 32, 32, 1\)"),
        (np.zeros((2, *IMAGE), np.uint8), "type uint8, expected float32"),
        (np.zeros((2, *IMAGE)), "type float64, expected float32"),
        (np.full((2, *IMAGE), np.nan, np.float32), "1568 values that are not finite"),
        (np.full((2, *IMAGE), np.inf, np.float32), "not finite"),
        (np.full((2, *IMAGE), 255.0, np.float32), r"range from 255 to 255, expected \[0, 1\]"),
        (np.full((2, *IMAGE), -0.5, np.float32), r"range from -0.5 to -0.5, expected \[0, 1\]"),
    ],
    ids=["no channel", "size", "bytes", "double", "NaN", "infinite", "above", "below"],
)
def test_wrong_images_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_images(images)
    with pytest.raises(ImageError, match=message):
        data.make_batches(images, 2, 0, HELD_OUT)


def test_grey_images_are_refused_where_binary_ones_are_asked_for() -> None:
    assert check_images(uniform_images(2)).shape == (2, *IMAGE)
    with pytest.raises(ImageError, match="draw_binary"):
        check_images(uniform_images(2), binary=True)


# MNIST: a stand-in with its shapes, types and labels, whose digests count as MNIST's

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def stand_in() -> Arrays:
    """Its four arrays; 55 MB, which no other file's tests should carry along."""
    return {
        name: np.resize(np.arange(251 if name.startswith("x") else 10, dtype=np.uint8), shape)
        for name, shape in data.MNIST_SHAPES.items()
    }


@pytest.fixture
def mnist_file(stand_in: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where MNIST_NPZ points. Any fall back to the download fails the test."""
    path = tmp_path / "mnist.npz"
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in stand_in.items()}
    monkeypatch.setenv("MNIST_NPZ", str(path))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pytest.fail("fell back to the download"))
    monkeypatch.setattr(data, "MNIST_SHA256", digests)
    yield path
    if path.is_file():
        path.unlink()  # 55 MB that pytest would keep


def test_mnist_is_read_from_the_file_named(mnist_file: Path, stand_in: Arrays) -> None:
    np.savez(mnist_file, **stand_in)
    mnist = data.load("full")
    assert [len(split.images) for split in mnist[1:]] == [50_000, 10_000, 10_000]
    for images, labels in mnist[1:]:
        check_images(images)
        assert np.ptp(np.bincount(labels)) == 0  # stratified: the stand-in has as many of each class
        assert labels.dtype == np.int64
    assert np.array_equal(np.round(mnist.test.images[..., 0] * 255), stand_in["x_test"])
    assert np.array_equal(mnist.test.labels, stand_in["y_test"])
    brightness = [split.images.mean(axis=(1, 2, 3)) * 255 for split in (mnist.train, mnist.validation)]
    expected = stand_in["x_train"].mean(axis=(1, 2))
    np.testing.assert_allclose(np.sort(np.concatenate(brightness)), np.sort(expected), rtol=1e-4)


@pytest.fixture
def cached_file(mnist_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Keras keeps MNIST; any question to Keras fails the test, for it would delete the file."""
    monkeypatch.delenv("MNIST_NPZ")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets" / "mnist.npz"


def test_a_good_file_in_the_cache_of_keras_is_taken_and_stays(cached_file: Path, stand_in: Arrays) -> None:
    np.savez(cached_file, **stand_in)  # another zip than Keras's own
    before = cached_file.read_bytes()
    assert len(data.load("full").test.images) == 10_000
    assert cached_file.read_bytes() == before
    cached_file.unlink()


@pytest.mark.parametrize("arrays", [{}, {name: np.zeros(2, np.uint8) for name in data.MNIST_SHAPES}])
def test_a_bad_file_in_the_cache_of_keras_is_named_and_stays(cached_file: Path, arrays: dict, monkeypatch) -> None:
    np.savez(cached_file, **arrays)
    before = cached_file.read_bytes()
    with pytest.raises(data.MnistError, match=rf"^{cached_file}: .*\. Move it away for a download, or set MNIST_NPZ"):
        data.load("full")
    assert cached_file.read_bytes() == before
    cached_file.rename(cached_file.with_suffix(".bad"))  # as advised
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: 1 / 0)
    with pytest.raises(data.MnistError, match="could not be downloaded"):
        data.load("full")


def test_a_file_that_is_named_goes_before_the_cache(cached_file: Path, mnist_file: Path, monkeypatch) -> None:
    cached_file.write_text("a web page", encoding="utf-8")
    monkeypatch.setenv("MNIST_NPZ", str(mnist_file))
    data.check_cached_mnist()
    assert os.environ["MNIST_NPZ"] == str(mnist_file)


def test_a_relative_path_is_told_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_NPZ", "data/mnist.npz")
    with pytest.raises(
        data.MnistError, match=rf"^{tmp_path}/data/mnist.npz: there is no such file.* by its whole path"
    ):
        data.load("full")


def put(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {name: change(arrays[name])}


def altered(name: str, at: object, value: object) -> Callable[[Arrays], Arrays]:
    def alter(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[at] = value
        return array

    return put(name, alter)


def swapped(*pairs: tuple[str, str]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {one: arrays[other] for pair in pairs for one, other in (pair, pair[::-1])}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            put("x_train", lambda x: x.reshape(-1, 784)),
            r"x_train has shape \(60000, 784\), expected .60000, 28, 28",
        ),
        (put("y_test", lambda y: y[:-1]), r"y_test has shape \(9999,\), expected \(10000,\)"),
        (put("x_test", lambda x: x.astype(np.float32)), "x_test has type float32, expected uint8"),
        (put("y_train", lambda y: y.astype(np.int64)), "y_train has type int64, expected uint8"),
        (put("x_train", lambda x: x // 250), "pixels of x_train end at 1, expected 0 to 255"),
        (altered("y_train", 7, 10), r"labels in y_train are \[0, .*10\], expected .* 0 to 9"),
        (put("y_test", lambda y: np.minimum(y, 8)), r"labels in y_test are \[0, .*8\], expected .* 0 to 9"),
        (swapped(("x_train", "x_test"), ("y_train", "y_test")), "x_train has shape .*seem to be swapped"),
        (swapped(("x_train", "y_train")), "x_train has shape .*seem to be swapped"),
        (swapped(("y_train", "y_test")), "y_train has shape"),
        (altered("x_test", (5, 6, 7), 255), "x_test is not MNIST's"),
        (put("x_train", lambda x: np.concatenate([x[1::-1], x[2:]])), "x_train is not MNIST's"),
    ],
    ids=[
        "shape",
        "length",
        "image type",
        "label type",
        "range",
        "an eleventh label",
        "nine labels",
        "training and test swapped",
        "images and labels swapped",
        "labels swapped",
        "one pixel",
        "order",
    ],
)
def test_arrays_that_are_not_mnist_are_refused(
    mnist_file: Path, stand_in: Arrays, changes: Callable[[Arrays], Arrays], message: str
) -> None:
    np.savez(mnist_file, **(stand_in | changes(stand_in)))
    with pytest.raises(data.MnistError, match=f"^{re.escape(str(mnist_file))}: .*{message}"):
        data.load("full")


def test_a_missing_array_is_refused_by_name(mnist_file: Path, stand_in: Arrays) -> None:
    np.savez(mnist_file, **{name: array for name, array in stand_in.items() if name != "y_test"})
    with pytest.raises(
        data.MnistError, match=r"no array y_test; expected .*, found \['x_train', 'y_train', 'x_test'\]"
    ):
        data.load("full")


SMALL = {name: np.ones((2,) * len(shape), np.uint8) for name, shape in data.MNIST_SHAPES.items()}


def packed(save) -> bytes:
    file = io.BytesIO()
    save(file, **SMALL)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_cut_short_anywhere_is_refused(mnist_file: Path, save) -> None:
    whole = packed(save)
    mnist_file.write_bytes(whole)
    assert set(data.read_mnist_file(mnist_file)) == set(SMALL)
    for length in range(0, len(whole), 7):
        mnist_file.write_bytes(whole[:length])
        with pytest.raises(data.MnistError, match=r"cannot be read .*fetch the file again"):
            data.load("full")


def test_a_file_with_wrong_bytes_gives_arrays_or_a_named_error(mnist_file: Path) -> None:
    whole, rng = packed(np.savez), np.random.default_rng(0)
    refused = 0
    for place in rng.integers(len(whole), size=400):
        mnist_file.write_bytes(whole[:place] + bytes([whole[place] ^ rng.integers(1, 256)]) + whole[place + 1 :])
        try:
            data.read_mnist_file(mnist_file)
        except data.MnistError:
            refused += 1
    assert refused > 100


def test_an_array_longer_than_it_says_is_refused(mnist_file: Path) -> None:
    members = {name: io.BytesIO() for name in SMALL}
    for name, stream in members.items():
        np.save(stream, SMALL[name])
    members["y_test"].write(b"more")
    with zipfile.ZipFile(mnist_file, "w") as archive:
        for name, stream in members.items():
            archive.writestr(f"{name}.npy", stream.getvalue())
    with pytest.raises(data.MnistError, match=r"y_test\.npy claims 2 bytes and holds 6"):
        data.load("full")


@pytest.mark.parametrize(
    ("low", "high", "advice"),
    [
        (-1.0, 1.0, r"try \(images \+ 1\) / 2"),
        (-0.9, 1.5, "rescale them, or try np.clip"),
        (-1.5, 1.0, "rescale them, or try np.clip"),
        (0.0, 255.0, "try images / 255"),
        (0.0, 256.0, "rescale them, or try np.clip"),
    ],
)
def test_advice_follows_the_range(low: float, high: float, advice: str) -> None:
    with pytest.raises(ImageError, match=advice):
        check_images(np.linspace(low, high, 2 * 784, dtype=np.float32).reshape(2, 28, 28, 1))


@pytest.mark.parametrize("seed", [0, 1_000, 2**63 - 1])
def test_a_stream_takes_any_seed_of_63_bits(seed: int) -> None:
    images = np.zeros((4, 28, 28, 1), np.float32)
    assert next(iter(data.make_batches(images, 2, seed, np.ones((1, 28, 28, 1), np.float32)))).shape == images[:2].shape


def test_whole_numbers_are_not_told_to_become_whole() -> None:
    with pytest.raises(LabelError, match=r"expected 5 whole numbers, \(5,\)\.$"):
        check_labels(np.arange(3), 5)
    with pytest.raises(LabelError, match=r"try np\.array\(labels\)\.astype\(int\)"):
        check_labels(np.array(["1", "2"]), 2)


class Payload:
    """What a hostile pickle would do on being read: make a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


def save_pickled_arrays(path: Path, proof: Path) -> None:
    np.savez(path, **(SMALL | {"x_train": np.array([Payload(proof)], dtype=object)}))


def save_bare_pickle(path: Path, proof: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(proof)))


@pytest.mark.parametrize("save", [save_pickled_arrays, save_bare_pickle])
def test_pickled_objects_are_refused_and_never_unpickled(mnist_file: Path, tmp_path: Path, save) -> None:
    proof = tmp_path / "unpickled"
    save(mnist_file, proof)
    with pytest.raises(data.MnistError, match=r"cannot be read .*pickled objects"):
        data.load("full")
    assert not proof.exists()
    loaded = np.load(mnist_file, allow_pickle=True)
    if save is save_pickled_arrays:
        loaded["x_train"]
    assert proof.exists()  # the payload works, so the line above could have failed


def save_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, SMALL["x_train"])


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: path.write_text("<!DOCTYPE html><title>404</title>"), "cannot be read .*A web page saved under"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "there is no such file; MNIST_NPZ should name an .npz file with the arrays x_train,"),
        (save_one_array, "cannot be read|one array"),
    ],
    ids=["web page", "folder", "missing", "npy"],
)
def test_a_path_that_holds_no_npz_file_is_refused(mnist_file: Path, save, message: str) -> None:
    save(mnist_file)
    with pytest.raises(data.MnistError, match=message):
        data.load("full")


def test_a_failed_download_names_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail():
        raise Exception("URL fetch failure on https://example.invalid: None")

    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(data.MnistError, match=r"URL fetch failure.* Set MNIST_NPZ .* or BOOK_PROFILE=quick"):
        data.load("full")


def test_the_download_is_checked_like_a_file(stand_in: Arrays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pairs = ((stand_in["x_train"], stand_in["y_train"]), (stand_in["x_test"], stand_in["y_test"]))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pairs)
    with pytest.raises(data.MnistError, match="the download: x_train is not MNIST's"):
        data.load("full")


@pytest.mark.skipif(not os.environ.get("MNIST_NPZ"), reason="MNIST_NPZ names no copy of MNIST")
def test_the_real_mnist_is_accepted() -> None:
    mnist = data.load("full")
    assert [len(split.images) for split in mnist[1:]] == [50_000, 10_000, 10_000]
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert not digests(mnist.train.images) & digests(mnist.test.images)


# A baseline that knows the labels


def test_class_gaussians_have_the_moments_of_their_class() -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0.4, 0.6, (200, 28, 28, 1)).astype(np.float32)
    images[::2, 3, 4] -= 0.2
    split = data.Split(images, np.tile([7, 2], 100))
    draws = data.draw_class_gaussians(split, np.full(2_000, 7), seed=1)
    assert (draws.shape, draws.dtype) == ((2_000, 28, 28, 1), np.float32)
    members = images[::2]
    np.testing.assert_allclose(draws.mean(axis=0), members.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(draws.std(axis=0), members.std(axis=0), atol=0.01)


def test_class_gaussians_follow_the_labels_and_stay_in_range() -> None:
    digits = data.load_small_digits()
    draws = data.draw_class_gaussians(digits.train, digits.test.labels, seed=1)
    assert draws.min() >= 0.0
    assert draws.max() <= 1.0
    means = np.stack([digits.train.images[digits.train.labels == digit].mean(axis=0) for digit in range(10)])
    distances = np.square(draws[:, None] - means[None]).sum(axis=(2, 3, 4))
    assert np.mean(distances.argmin(axis=1) == digits.test.labels) > 0.95


def test_a_class_without_images_has_no_mean() -> None:
    split = data.Split(np.zeros((2, 28, 28, 1), np.float32), np.array([1, 1]))
    with pytest.raises(ImageError, match=r"no image of \[4\] to take a mean of"):
        data.draw_class_gaussians(split, np.array([1, 4]), seed=0)
