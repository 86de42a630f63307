"""The studies of GANs on MNIST, on tiny data and in a few steps."""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest

from helpers import data, models, networks, training
from helpers.checks import IMAGE_SHAPE
from helpers.scorecard import Scorer
from tools import recording, studies

LATENT_SIZE = 6
gan_mnist, dcgan_tutorial = (importlib.import_module(f"studies.{name}") for name in ("gan_mnist", "dcgan_tutorial"))


# The study of our GANs


SMALL = {"channels": 2, "steps": 4}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The studies on scikit-learn's digits, in four steps."""
    monkeypatch.setenv("BOOK_PROFILE", "quick")
    monkeypatch.setenv("BOOK_SEED", "0")
    for study in (gan_mnist, dcgan_tutorial):
        monkeypatch.setattr(study, "LOOKED_AT", (1, 2))
    monkeypatch.setitem(gan_mnist.RECIPE, "batch_size", 16)
    monkeypatch.setattr(gan_mnist, "EPOCHS", 2)
    monkeypatch.setattr(gan_mnist, "SHOWN", (0, 2))
    monkeypatch.setattr(gan_mnist, "CLUSTERS", 5)
    for study in (gan_mnist, dcgan_tutorial):
        for label, run in study.RUNS.items():
            small = {name: size for name, size in SMALL.items() if name in run and "steps" in run}
            monkeypatch.setitem(study.RUNS, label, run | small)


def form_entries(measured: dict) -> dict:
    """What tools.studies makes of a study's result: it refuses a value without a standard error."""
    entries = {name: studies.as_entry(*given) for name, given in measured.items()}
    return recording.collect_metrics([{"seed": 0, "metrics": entries}])


SCORES = {"frechet", "told_apart", "coverage", "confident"}
GANS = ("GAN", "GAN told clusters", "conditional GAN")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("label", GANS)
def test_the_study_measures_a_gan(label: str, tmp_path: Path) -> None:
    measured = form_entries(gan_mnist.measure(label, tmp_path))
    more = {"as_asked"} if label == "conditional GAN" else set()
    points = {f"{name}/{label}, step {step}" for name in ("frechet", "seconds") for step in (2, 4)}
    assert measured.keys() == {f"{name}/{label}" for name in SCORES | more | {"parameters", "seconds"}} | points
    last = measured[f"frechet/{label}, step 4"]
    assert last["value"] == measured[f"frechet/{label}"]["value"]
    assert measured[f"seconds/{label}, step 4"]["value"] == measured[f"seconds/{label}"]["value"]
    name = label.replace(" ", "_")
    assert {file.name for file in tmp_path.iterdir()} == {f"{name}{end}.png" for end in ("_step_0", "_step_4", "")}
    assert (tmp_path / f"{name}.png").read_bytes() == (tmp_path / f"{name}_step_4.png").read_bytes()


@pytest.mark.usefixtures("tiny")
def test_the_study_measures_its_references(tmp_path: Path) -> None:
    measured = form_entries(gan_mnist.measure("references", tmp_path))
    rows = ("real digits", "class Gaussians")
    assert measured.keys() == {f"{name}/{row}" for name in SCORES for row in rows} | {"accuracy/classifier"}
    real, trivial = (measured[f"frechet/{row}"] for row in rows)
    assert real["value"] + 3 * real["standard_error"] < trivial["value"]


def build_small(label: str, classes: int) -> tuple:
    """A run with narrow networks, and its untrained GAN."""
    run = gan_mnist.RUNS[label] | {"channels": 2}
    return run, gan_mnist.build_gan(run, classes, seed=0)


def test_only_training_images_reach_a_gan(digits: data.Digits) -> None:
    run, gan = build_small("GAN", 1)
    leaked = digits._replace(train=digits.test)
    with pytest.raises(data.LeakError):
        gan_mnist.train(gan, leaked, np.zeros_like(leaked.train.labels), run, [])


def test_a_gan_told_nothing_draws_the_same_under_its_one_label() -> None:
    run, gan = build_small("GAN", 1)
    latent, labels = gan_mnist.choose_shown(run, gan.latent_size, np.zeros(7, np.int64))
    assert not labels.any()
    np.testing.assert_array_equal(gan.generate(latent, labels), gan.generate(latent))


def test_ten_of_each_digit_are_drawn_in_rows_from_the_same_noises() -> None:
    run, gan = build_small("conditional GAN", 10)
    latent, labels = gan_mnist.choose_shown(run, gan.latent_size, np.zeros(7, np.int64))
    rows = gan.generate(latent, labels).reshape(10, 10, 28, 28, 1)
    np.testing.assert_allclose(rows[7], gan.generate(latent[:10], [7] * 10), atol=1e-6)


def test_clusters_are_found_without_digits(digits: data.Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan_mnist, "CLUSTERS", 20)
    clusters = gan_mnist.find_labels(digits.train, "clusters", seed=0)
    shuffled = digits.train._replace(labels=np.roll(digits.train.labels, 1))
    np.testing.assert_array_equal(clusters, gan_mnist.find_labels(shuffled, "clusters", seed=0))
    counts = np.array([np.bincount(digits.train.labels[clusters == one], minlength=10) for one in range(20)])
    assert counts.sum(axis=1).min() > 0
    assert 0.6 < counts.max(axis=1).sum() / counts.sum() < 0.99  # each is mostly one digit


@pytest.mark.parametrize(("step", "weight"), [(0, 2.0), (1, 0.0), (3, 0.0), (4, 2.0)])
def test_the_penalty_comes_in_every_fourth_step_with_four_times_the_weight(step: int, weight: float) -> None:
    _, lazy = build_small("GAN", 1)
    assert (gan_mnist.PENALTY_WEIGHT, gan_mnist.PENALTY_EVERY) == (0.5, 4)
    plain = models.ConditionalGAN(*map(copy, (lazy.generator, lazy.discriminator)), seed=0, penalty_weight=weight)
    images = np.random.default_rng(0).random((8, 28, 28, 1), np.float32)
    for gan in (lazy, plain):
        gan.compile(*(keras.optimizers.SGD(0.1) for _ in range(2)))
        for optimizer in gan.optimizers:
            optimizer.iterations.assign(step)
        gan.train_on_batch(images, np.zeros(8, np.int64))
    for one, other in zip(lazy.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def copy(network: keras.Model) -> keras.Model:
    """The same network with the same weights, in variables of its own."""
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    return twin


def test_the_jackknife_knows_the_error_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 10_000)
    value, error = gan_mnist.jackknife(lambda chosen: {"mean": values[chosen].mean()}, len(values))["mean"]
    assert value == values.mean()
    assert 0.01 < error < 0.04  # 0.02 in expectation, from ten parts


def test_scores_are_those_of_the_scorecard(digits: data.Digits, scorer: Scorer) -> None:
    images = digits.validation.images
    found, expected = gan_mnist.score(scorer, digits, images), scorer.score(images)._asdict()
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value)


def test_the_share_drawn_as_asked_is_counted(digits: data.Digits, scorer: Scorer) -> None:
    images = digits.validation.images
    labels = scorer.classify(images)
    half_wrong = np.where(np.arange(len(labels)) % 2, labels, (labels + 1) % 10)
    assert gan_mnist.score(scorer, digits, images, labels)["as_asked"] == (1.0, "share", 0.0)
    assert gan_mnist.score(scorer, digits, images, half_wrong)["as_asked"][0] == 0.5


# The study of the tutorial's network


TINY_RUN = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-4, "latent_size": 100}


def train_tutorial(digits: data.Digits, scorer: Scorer, folder: Path, **changes: float) -> tuple:
    run = TINY_RUN | changes
    keras.utils.set_random_seed(0)
    tutorial = dcgan_tutorial.Tutorial(run["latent_size"], run["learning_rate"], seed=0)
    folder.mkdir(exist_ok=True)
    return tutorial, *dcgan_tutorial.train(tutorial, digits, scorer, run, folder)


@pytest.fixture
def few(digits: data.Digits, monkeypatch: pytest.MonkeyPatch) -> data.Digits:
    """Two batches of training images, for networks that are smaller than the tutorial's, but with dropout."""

    def build_small_discriminator(seed: int) -> keras.Model:
        dropout = keras.layers.Dropout(0.3, seed=seed)
        return keras.Sequential([keras.Input(IMAGE_SHAPE), dropout, networks.build_dense_discriminator((8,))])

    monkeypatch.setattr(dcgan_tutorial, "build_generator", lambda size: networks.build_dense_generator(size, (8,)))
    monkeypatch.setattr(dcgan_tutorial, "build_discriminator", build_small_discriminator)
    return digits._replace(train=data.Split(*(part[:16] for part in digits.train)))


def test_the_networks_have_the_sizes_of_the_tutorial() -> None:
    tutorial = dcgan_tutorial.Tutorial(100, 1e-4, 0)
    assert tutorial.generator.output_shape == (None, 28, 28, 1)
    weights = [7 * 7 * 256 * 102, 25 * 256 * 128 + 2 * 128, 25 * 128 * 64 + 2 * 64, 25 * 64]
    statistics = 2 * (7 * 7 * 256 + 128 + 64)
    assert tutorial.generator.count_params() == sum(weights) + statistics
    assert tutorial.discriminator.count_params() == 26 * 64 + (25 * 64 + 1) * 128 + 7 * 7 * 128 + 1
    samples = tutorial.sample(3, seed=0)
    assert samples.shape == (3, 28, 28, 1)
    assert samples.min() >= 0.0
    assert samples.max() <= 1.0


def test_the_tutorial_goes_on_as_if_it_had_not_been_stopped(
    few: data.Digits, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcgan_tutorial, "LOOKED_AT", (1,))
    straight, seconds, distances = train_tutorial(few, scorer, tmp_path / "straight")
    train_tutorial(few, scorer, tmp_path / "stopped", epochs=1)
    resumed, *_ = train_tutorial(few, scorer, tmp_path / "stopped")
    assert len(seconds) == 2
    assert distances.keys() == {1, 2}
    for one, other in zip(straight.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_an_earlier_epoch_can_be_reported_without_training(
    few: data.Digits, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcgan_tutorial, "LOOKED_AT", (1,))
    _, seconds, distances = train_tutorial(few, scorer, tmp_path)
    monkeypatch.delattr(dcgan_tutorial.Tutorial, "learn")
    _, again, found = train_tutorial(few, scorer, tmp_path, epochs=1)
    assert again == seconds[:1]
    assert found == {1: distances[1]}


def test_states_of_other_settings_are_refused(few: data.Digits, scorer: Scorer, tmp_path: Path) -> None:
    train_tutorial(few, scorer, tmp_path, epochs=1)
    with pytest.raises(training.CheckpointError, match=r"made with learning_rate = 0\.0001, this training has 0\.001"):
        train_tutorial(few, scorer, tmp_path, epochs=1, learning_rate=1e-3)


def test_the_tutorial_learns_from_training_images_only(few: data.Digits, scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(data.LeakError):
        train_tutorial(few._replace(train=few.test), scorer, tmp_path)


@pytest.mark.usefixtures("tiny", "few")
def test_the_study_measures_the_tutorial_on_fair_terms(tmp_path: Path) -> None:
    label = "tutorial networks by our recipe"
    measured = form_entries(dcgan_tutorial.measure(label, tmp_path))
    assert measured.keys() >= {f"{name}/{label}" for name in SCORES | {"parameters", "seconds"}}
    assert (tmp_path / f"{label.replace(' ', '_')}.png").exists()


def test_the_tutorials_networks_keep_their_sizes_under_the_recipe() -> None:
    run = dcgan_tutorial.RUNS["tutorial networks by our recipe"]
    gan, tutorial = dcgan_tutorial.build_for_recipe(run, 1, seed=0), dcgan_tutorial.Tutorial(65, 1e-4, seed=0)
    for one, other in ((gan.generator, tutorial.generator), (gan.discriminator, tutorial.discriminator)):
        assert one.count_params() == other.count_params()
    images = gan.sample(3, seed=0)
    assert 0.0 <= images.min() < images.max() <= 1.0


def test_the_longer_run_is_that_of_our_gan_for_ten_times_the_steps() -> None:
    ours = gan_mnist.RUNS["GAN"]
    assert dcgan_tutorial.RUNS["GAN for ten times the steps"] == ours | {"steps": 10 * ours["steps"]}
