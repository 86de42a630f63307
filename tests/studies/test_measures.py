"""The study of measures: its own measures by their definitions, its gaps by hand, and a tiny run of the whole."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from helpers import data, networks, scorecard
from tools.notebook_files import ROOT

spec = importlib.util.spec_from_file_location("measures", ROOT / "studies" / "measures.py")
measures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(measures)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20140612)


def test_manifolds_are_compared_as_their_definitions_say(rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(40, 3)), 1.5 * rng.normal(size=(40, 3)) + 0.5
    n, between = 40, cdist(real, fake)
    radii = [[sorted(np.delete(row, i))[4] for i, row in enumerate(cdist(one, one))] for one in (real, fake)]
    expected = {
        "precision": sum(any(between[i, j] < radii[0][i] for i in range(n)) for j in range(n)) / n,
        "recall": sum(any(between[i, j] < radii[1][j] for j in range(n)) for i in range(n)) / n,
        "density": sum(between[i, j] < radii[0][i] for i in range(n) for j in range(n)) / (5 * n),
    }
    assert len(set(expected.values())) == 3  # so that no two may be exchanged
    assert measures.compare_manifolds(real, fake) == pytest.approx(expected)


def test_kernel_distance_is_the_mean_over_pairs(rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(2, 6, 4))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / 4 + 1) ** 3

    apart = [(i, j) for i in range(6) for j in range(6) if i != j]
    within = sum(kernel(one[i], one[j]) for one in (real, fake) for i, j in apart) / len(apart)
    between = np.mean([kernel(a, b) for a in real for b in fake])
    assert measures.kernel_distance(real, fake) == pytest.approx(within - 2 * between)


def test_kernel_distance_of_one_distribution_is_zero_on_average(rng: np.random.Generator) -> None:
    values = [measures.kernel_distance(*rng.normal(size=(2, 50, 3))) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


NOISE = np.array([-0.1, 0.0, 0.1, 0.05, -0.05])


def order_rows(**changes: float) -> dict[str, np.ndarray]:
    """Measures that all see the order of the tiers, five values each; but for changes of precision, by row."""
    values = {row: float(-tier) for tier, names in enumerate(measures.TIERS) for row in names}
    values |= {measures.COPIES: -1.0, measures.TENTH: -1.5}
    signs = measures.MEASURES.items()
    found = {f"{name}/{row}": sign * value + NOISE for row, value in values.items() for name, sign in signs}
    return found | {f"precision/{row}": value - NOISE for row, value in changes.items()}


def test_gaps_are_those_of_the_worst_pair() -> None:
    found = measures.summarise(order_rows(VAE=-2.5), "toy")
    error = np.std(2 * NOISE, ddof=1) / 5**0.5  # the VAE's noise is the others' with its sign turned
    for gap, value, spread in (("1", 1.0, 0.0), ("2", 1.5, error), ("3", 0.5, error), ("4", 1.0, 0.0)):
        assert found[f"gap {gap}/precision, toy"][1] == "share"
        assert found[f"gap {gap}/precision, toy"][::2] == pytest.approx((value, spread), abs=1e-12)
        assert found[f"gap {gap}/frechet, toy"][0] == pytest.approx(1.0)  # less is better
    assert found["precision/VAE, toy"][::2] == pytest.approx((-2.5 - 0.01, error / 2), abs=0.02)


def test_a_gap_against_the_order_is_negative() -> None:
    found = measures.summarise(order_rows(**{"mean image": -1.5, measures.COPIES: 0.5}), "toy")
    assert found["gap 4/precision, toy"][0] == pytest.approx(-1.5, abs=0.05)
    assert found["gap copies/precision, toy"][0] == pytest.approx(-0.5, abs=0.05)
    assert found["gap copies/recall, toy"][0] == pytest.approx(1.0)
    assert found["gap tenth/recall, toy"][0] == pytest.approx(0.5)


def test_errors_are_counted_with_their_sign() -> None:
    assert measures.count_errors(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0 * 3**0.5)
    assert measures.count_errors(np.array([-1.0, -1.0])) == -np.inf
    assert measures.count_errors(np.zeros(5)) == 0.0


def test_a_tiny_run_measures_every_row_and_leaves_weights(
    digits: data.Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"STEPS_PER_EPOCH": 2, "EARLY": 1, "COLLAPSED": 1, "CLASSIFIERS": 2}.items():
        monkeypatch.setattr(measures, name, value)
    monkeypatch.setitem(measures.RECIPE, "steps_per_epoch", 2)
    monkeypatch.setattr(scorecard, "MOST", 100)
    tiny = {"gan_steps": 4, "vae_steps": 2, "classifier_epochs": 1}
    monkeypatch.setitem(measures.RUNS, "digits", measures.RUNS["digits"] | tiny)
    found = measures.measure("digits", tmp_path)
    rows = [row for tier in measures.TIERS for row in tier] + [measures.TENTH, measures.COPIES]
    gaps = [f"gap {step}" for step in (1, 2, 3, 4, "copies", "tenth")]
    names = {f"{measure}/{row}, digits" for measure in measures.MEASURES for row in rows}
    names |= {f"{gap}/{measure}, digits" for gap in gaps for measure in measures.MEASURES}
    assert found.keys() == names | {"accuracy/classifier, digits"}
    assert found["memorisation/copies of training images, digits"][0] == pytest.approx(0.0, abs=1e-6)
    ten = [found[f"memorisation/{row}, digits"][0] for row in ("GAN", measures.TENTH)]
    assert ten[1] / ten[0] == pytest.approx(0.9, abs=0.03)
    assert found["told apart/mean image, digits"][0] == 1.0

    with np.load(tmp_path / "classifier_digits.npz") as file:
        stored = [file[key] for key in file.files]
    for weight, expected in zip(stored, networks.build_classifier().weights, strict=True):
        assert weight.dtype == np.float16
        assert weight.shape == expected.shape
    for name in ("draw_rows", "train_classifier", "compare_manifolds"):  # what is there is not made again
        monkeypatch.setattr(measures, name, lambda *given: pytest.fail("made again"))
    assert measures.measure("digits", tmp_path) == found


def test_only_training_images_reach_a_classifier(digits: data.Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, *given, **options: handed.append(given))
    measures.train_classifier(digits, measures.RUNS["digits"], seed=0)
    ((images, labels),) = handed
    np.testing.assert_array_equal(images, digits.train.images)
    np.testing.assert_array_equal(labels, digits.train.labels)
