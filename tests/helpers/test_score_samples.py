"""Anyone's images on the book's scorecard: the same numbers as by hand, and every other file refused by name."""

import io
import os
import pickle
import re
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import data, metrics
from helpers.book import score_samples
from helpers.checks import ImageError
from helpers.scorecard import Scorer
from tools.notebook_files import ROOT

GREY = np.random.default_rng(0).random((6, 28, 28), np.float32)
MEASURES = ["Fréchet", "told apart", "coverage", "memorisation"]


def save(folder: Path, *arrays: np.ndarray, **named: np.ndarray) -> Path:
    np.savez(folder / "samples.npz", *arrays, **named)
    return folder / "samples.npz"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, digits: data.Digits, scorer: Scorer) -> None:
    """The digits and the scorer that this file of tests has already."""
    monkeypatch.setitem(score_samples.DIGITS, "small", lambda: digits)
    monkeypatch.setattr(score_samples, "Scorer", lambda given: scorer)


# The numbers


def test_real_digits_score_as_by_hand(digits: data.Digits, scorer: Scorer) -> None:
    held_out, test = digits.validation.images, digits.test.images
    found = score_samples.compare(held_out, digits, scorer)
    assert list(found.columns) == MEASURES
    assert found.loc["your samples", MEASURES[:2]].tolist() == list(scorer.score(held_out))
    coverage = metrics.measure_coverage(scorer.extract(test), scorer.extract(held_out))
    assert found.loc["your samples", "coverage"] == coverage
    assert found.loc["your samples"].tolist() == found.loc["real digits, held out"].tolist()
    assert 0.9 < found.loc["your samples", "memorisation"] < 1.1


def test_what_stands_beside_them_has_the_right_order(digits: data.Digits, scorer: Scorer) -> None:
    """Training digits in the samples' place; the rows themselves are held to the study that chose the measures."""
    found = score_samples.compare(digits.train.images, digits, scorer)
    yours, real, copies, noise = (row for _, row in found.iterrows())
    assert yours.tolist() == copies.tolist()
    assert copies.memorisation < 1e-6  # what rounding leaves of distances
    assert min(real.memorisation, noise.memorisation) > 0.9
    assert max(real["Fréchet"], copies["Fréchet"]) < 2.0 < 10.0 < noise["Fréchet"]
    assert max(real["told apart"], copies["told apart"]) < 0.6 < 0.99 < noise["told apart"]
    assert noise.coverage < 0.3 < 0.9 < min(real.coverage, copies.coverage)


def test_more_images_than_needed_are_drawn_from_all_of_them() -> None:
    images = np.broadcast_to(np.arange(900, dtype=np.float32)[:, None, None, None], (900, 28, 28, 1))
    chosen = score_samples.choose(images, 360)[:, 0, 0, 0]
    assert len(chosen) == 360
    assert (np.diff(chosen) > 0).all()  # each once, in their order
    assert chosen[0] < 50
    assert chosen[-1] > 850
    assert np.array_equal(score_samples.choose(images, 900), images)


@pytest.mark.parametrize("count", [0, 359])
def test_too_few_images_are_refused(digits: data.Digits, scorer: Scorer, count: int) -> None:
    with pytest.raises(score_samples.SamplesError, match=rf"^{count} images, expected 360 or more"):
        score_samples.compare(digits.validation.images[:count], digits, scorer)


def test_the_table_that_a_page_shows_is_that_of_its_samples(digits: data.Digits, scorer: Scorer) -> None:
    page = (ROOT / "book" / "how_to_run.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(360 of .*?)\n```", page, re.DOTALL)[1]
    gaussians = data.draw_class_gaussians(digits.train, digits.test.labels, seed=0)
    for name, row in score_samples.compare(gaussians, digits, scorer).iterrows():
        numbers = re.search(rf"(?m)^{name} +(.*)$", shown)[1].split()
        assert [float(number) for number in numbers] == pytest.approx(row.tolist(), rel=0.02, abs=0.01)
    assert score_samples.READING in shown


# What is taken


@pytest.mark.parametrize("shape", [(6, 28, 28), (6, 28, 28, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32, np.float64, ">f4"])
def test_images_of_either_shape_and_kind_are_taken(tmp_path: Path, shape: tuple, kind: Any) -> None:
    whole = np.dtype(kind) == np.uint8
    found = score_samples.read_samples(save(tmp_path, (GREY * 255 if whole else GREY).astype(kind).reshape(shape)))
    assert found.shape == (6, 28, 28, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], GREY, atol={1: 1 / 255, 2: 1e-3}.get(np.dtype(kind).itemsize, 1e-7))


def test_bytes_become_what_the_book_makes_of_them() -> None:
    pixels = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
    expected = pixels[..., None].astype(np.float32) / 255.0  # as data.load_mnist
    assert np.array_equal(score_samples.make_images(pixels), expected)


def test_the_array_of_images_is_found_or_named(tmp_path: Path) -> None:
    path = save(tmp_path, labels=np.arange(6), first=GREY)
    assert np.array_equal(score_samples.read_samples(path)[..., 0], GREY)
    path = save(tmp_path, first=GREY, second=1 - GREY, pickled=np.array([None]))
    assert np.array_equal(score_samples.read_samples(path, "second")[..., 0], 1 - GREY)


# What is refused


def test_several_arrays_of_images_are_not_guessed_at(tmp_path: Path) -> None:
    path = save(tmp_path, first=GREY, second=GREY, labels=np.arange(6))
    said = r"holds 2 arrays of images, of \{.*'labels': \(6,\)\}; name one of \['first', 'second'\] with --key"
    with pytest.raises(score_samples.SamplesError, match=said):
        score_samples.read_samples(path)
    with pytest.raises(score_samples.SamplesError, match=r"no array 'third'; expected one of \['first', 'second', "):
        score_samples.read_samples(path, "third")


def test_no_array_of_images_among_several(tmp_path: Path) -> None:
    with pytest.raises(score_samples.SamplesError, match=r"holds no arrays of images, of .*; expected images"):
        score_samples.read_samples(save(tmp_path, np.arange(6), np.zeros((6, 32, 32))))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "samples.npz").write_bytes(pickle.dumps(Trap()))
    paths = [tmp_path / "samples.npz"]
    (tmp_path / "in").mkdir()
    paths.append(save(tmp_path / "in", images=np.array([Trap()])))
    for path in paths:
        with pytest.raises(score_samples.SamplesError, match=r"allow_pickle=False.*plain arrays with np\.savez"):
            score_samples.read_samples(path)
    assert not (tmp_path / "sprung").exists()


def test_a_pixel_at_the_bound_is_bright_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((2, 28, 28, 1), np.float32)
    images[0, 14, 14] = 0.5
    for bound, warnings in ((0.5, 0), (0.51, 1)):
        monkeypatch.setattr(score_samples, "DIM", bound)
        assert len(score_samples.find_warnings(images)) == warnings


@pytest.mark.parametrize(("frame", "warnings"), [(0.74, 0), (0.76, 1)])
def test_paper_is_told_by_the_outermost_pixels_alone(frame: float, warnings: int) -> None:
    images = np.full((2, 28, 28, 1), frame, np.float32)
    images[:, 1:-1, 1:-1] = 0
    assert len(score_samples.find_warnings(images)) == warnings


def test_the_module_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["score_samples", "gone.npz"])
    monkeypatch.delitem(sys.modules, score_samples.__name__)  # which runpy would warn of
    with pytest.raises(SystemExit, match="1"):
        runpy.run_module(score_samples.__name__, run_name="__main__")
    assert "gone.npz: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["none", "folder", "empty", "page", "npy", "cut", "archive"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, GREY)
    whole = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "npy":
        with path.open("wb") as stream:
            np.save(stream, GREY)
    elif kind == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.txt", "six")
    elif kind != "none":
        path.write_bytes({"empty": b"", "page": b"<html>404</html>", "cut": whole[: len(whole) // 2]}[kind])
    error = ImageError if kind == "archive" else score_samples.SamplesError
    with pytest.raises(error, match=r"expected (an \.npz file with )?images \(count, 28, 28\) or"):
        score_samples.read_samples(path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GREY * 255, r"floats from .* to 255, expected 0 to 1; images / 255 takes"),
        (GREY * 2 - 1, r"floats from -1 to 1, expected 0 to 1; \(images \+ 1\) / 2 takes"),
        (GREY * 1.01, r"expected 0 to 1; images / 255|expected 0 to 1; rescale"),
        (GREY * 900, r"floats from .*, expected 0 to 1; rescale them, or clip"),
        (np.where(GREY > 0.5, np.nan, GREY), r"^[\d,]+ values that are not finite"),
        (np.where(GREY > 0.5, np.inf, GREY), r"^[\d,]+ values that are not finite"),
        ((GREY > 0.5).astype(np.uint8), r"whole numbers that end at 1, .*take 255 \* images"),
        (GREY > 0.5, r"type bool, expected images"),
        ((GREY * 255).astype(np.int64), r"type int64, .*try \.astype\('uint8'\)"),
        (GREY + 0j, r"type complex64, expected images"),
        (GREY.reshape(6, 784), r"shape \(6, 784\), .*try \.reshape\(-1, 28, 28\)"),
        (GREY[:, None], r"shape \(6, 1, 28, 28\), .*try \.reshape"),
        (GREY[0], r"shape \(28, 28\), expected .*from 0 to 1\.$"),
        (np.zeros((6, 28, 28, 3)), r"shape \(6, 28, 28, 3\), expected .*from 0 to 1\.$"),
        (np.zeros((6, 32, 32)), r"shape \(6, 32, 32\), expected"),
        (np.float32(1), r"shape \(\), expected"),
    ],
)
def test_other_arrays_are_refused_with_a_cure(array: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        score_samples.make_images(array)


def test_what_could_be_meant_is_a_warning(digits: data.Digits) -> None:
    images = digits.validation.images
    assert score_samples.find_warnings(images) == []
    assert score_samples.find_warnings(GREY[..., None]) == []  # noise has no polarity
    (said,) = score_samples.find_warnings(1 - images)
    assert re.match(r"black ink on white\? The frame's mean is (1\.00|0\.9\d), .*try 1 - images", said)
    (said,) = score_samples.find_warnings(images / 255)
    assert said == "no pixel is above 0.00392, where 1 is white: divided by 255 twice?"


# The command


@pytest.mark.usefixtures("given")
def test_the_command_prints_to_a_console_without_accents(tmp_path: Path, digits: data.Digits, monkeypatch) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp932")
    monkeypatch.setattr(sys, "stdout", console)
    assert score_samples.main([str(save(tmp_path, digits.validation.images))]) == 0
    console.flush()
    assert "Fr?chet" in console.buffer.getvalue().decode("cp932")


@pytest.mark.usefixtures("given")
def test_the_command_prints_the_table(tmp_path: Path, digits: data.Digits, scorer: Scorer, capsys: Any) -> None:
    images = np.concatenate([digits.validation.images, digits.validation.images])
    assert score_samples.main([str(save(tmp_path, 1 - images))]) == 0
    printed, warned = capsys.readouterr()
    assert "360 of 720 images, against as many test images of scikit-learn digits:" in printed
    score = scorer.score(score_samples.choose(1 - images, 360))
    assert re.search(rf"your samples +{score.frechet:.3f} +{score.told_apart:.3f} ", printed)
    score = scorer.score(digits.validation.images)
    assert re.search(rf"real digits, held out +{score.frechet:.3f} +{score.told_apart:.3f} ", printed)
    for measure in MEASURES:
        assert re.search(rf"(?m)^{measure} ", printed)  # how to read it
    assert warned.startswith("Warning: black ink on white?")


@pytest.mark.usefixtures("given")
def test_the_command_refuses_without_a_traceback(tmp_path: Path, digits: data.Digits, capsys: Any) -> None:
    path = str(save(tmp_path, x=digits.validation.images[:10], y=digits.validation.images * 255))
    for arguments, said in (
        ([path], "SamplesError: .*--key"),
        ([path, "--key", "x"], "SamplesError: 10 images, expected 360"),
        ([path, "--key", "y"], "ImageError: floats from 0 to 255"),
    ):
        assert score_samples.main(arguments) == 1
        printed, refused = capsys.readouterr()
        assert printed == ""
        assert re.match(said, refused)


def test_mnist_that_is_not_found_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "none.npz"))
    assert score_samples.main([str(save(tmp_path, GREY)), "--digits", "mnist"]) == 1
    assert re.match(r"MnistError: .*none\.npz: there is no such file; MNIST_NPZ should name", capsys.readouterr().err)
