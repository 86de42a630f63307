"""The GAN that draws the digit asked for, and the studies of GANs on MNIST, on tiny data and in a few steps."""

import importlib.util
import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import conditional, data, models, networks, training
from helpers.checks import IMAGE_SHAPE, ImageError, LatentError
from helpers.scorecard import Scorer
from tools import recording, studies
from tools.notebook_files import ROOT

LATENT_SIZE = 6


def load_study(name: str) -> object:
    """A study as a module, loaded as tools.studies loads it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "studies" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gan_mnist, dcgan_tutorial = load_study("gan_mnist"), load_study("dcgan_tutorial")


@pytest.fixture(scope="module")
def digits() -> data.Digits:
    return data.load_small_digits()


@pytest.fixture(scope="module")
def scorer(digits: data.Digits) -> Scorer:
    return Scorer(digits, epochs=4)


def build(penalty_weight: float = 0.5, rates: tuple[float, float] = (0.1, 0.1)) -> conditional.ConditionalGAN:
    keras.utils.set_random_seed(0)
    discriminator = conditional.give_each_class_a_logit(networks.build_dense_discriminator((16,)))
    generator = networks.build_dense_generator(LATENT_SIZE + 10, (16,))
    gan = conditional.ConditionalGAN(generator, discriminator, seed=0, penalty_weight=penalty_weight)
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates))
    return gan


def take_batches(digits: data.Digits, count: int, seed: int = 0, batch_size: int = 32) -> list[tuple]:
    stream = conditional.make_labelled_batches(digits.train, batch_size, seed, digits.test.images)
    return list(itertools.islice(stream, count))


def weights_of(network: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in network.trainable_variables]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, one, other))


# The conditional GAN: shapes and errors


def test_it_draws_an_image_for_each_label() -> None:
    images = build().generate(models.draw_latent(4, LATENT_SIZE, seed=1), [3, 1, 4, 1])
    assert images.shape == (4, 28, 28, 1)
    assert images.min() >= 0.0
    assert images.max() <= 1.0


def test_the_label_changes_the_image() -> None:
    latent = np.repeat(models.draw_latent(1, LATENT_SIZE, seed=1), 2, axis=0)
    first, second = build().generate(latent, [3, 5])
    assert not np.array_equal(first, second)


def test_without_labels_the_digits_take_turns() -> None:
    gan, latent = build(), models.draw_latent(12, LATENT_SIZE, seed=4)
    expected = gan.generate(latent, [*range(10), 0, 1])
    np.testing.assert_array_equal(gan.generate(latent), expected)
    np.testing.assert_array_equal(gan.sample(12, seed=4), expected)


@pytest.mark.parametrize(
    "labels", [[3, 10], [-1, 3], [3], [3, 3, 3], [[3], [3]], [0.5, 3.0], ["3", "5"], [np.nan, 3.0]], ids=str
)
def test_bad_labels_are_refused(labels: list) -> None:
    with pytest.raises(conditional.LabelError, match="expected 2 whole numbers from 0 to 9"):
        build().generate(models.draw_latent(2, LATENT_SIZE, seed=1), labels)


def test_latent_vectors_that_hold_the_label_already_are_refused() -> None:
    with pytest.raises(LatentError, match=r"expected \(count, 6\)"):
        build().generate(models.draw_latent(2, LATENT_SIZE + 10, seed=1), [1, 2])


@pytest.mark.parametrize(
    "discriminator", [networks.build_dense_discriminator(), networks.build_convolutional_discriminator(2)]
)
def test_each_class_gets_a_logit(discriminator: keras.Model) -> None:
    told = conditional.give_each_class_a_logit(discriminator)
    assert told.output_shape == (None, 10)
    assert len(told.layers[-1].trainable_variables) == 2
    assert told.layers[-2] is discriminator.layers[-2]


# The conditional GAN: training


def test_the_discriminator_judges_by_the_label(digits: data.Digits) -> None:
    gan, images = build(), digits.train.images[:2]
    straight, swapped = (gan.judge(images, tf.constant(labels)).numpy() for labels in ([3, 5], [5, 3]))
    logits = gan.discriminator(images).numpy()
    np.testing.assert_allclose(straight, [[logits[0, 3]], [logits[1, 5]]])
    assert (straight != swapped).all()


def test_a_step_moves_both_halves(digits: data.Digits) -> None:
    gan, (batch,) = build(), take_batches(digits, 1)
    before = weights_of(gan.generator), weights_of(gan.discriminator)
    logs = gan.train_step(batch)
    assert not equal(before[0], weights_of(gan.generator))
    assert not equal(before[1], weights_of(gan.discriminator))
    assert logs.keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.parametrize(
    ("half", "other", "rates"),
    [("generator", "discriminator", (0.1, 0.0)), ("discriminator", "generator", (0.0, 0.1))],
)
def test_each_update_moves_its_own_half_only(half: str, other: str, rates: tuple, digits: data.Digits) -> None:
    gan, (batch,) = build(rates=rates), take_batches(digits, 1)
    before = {name: weights_of(getattr(gan, name)) for name in (half, other)}
    gan.train_step(batch)
    assert equal(before[other], weights_of(getattr(gan, other)))
    assert not equal(before[half], weights_of(getattr(gan, half)))


def test_only_the_logit_of_a_label_in_the_batch_learns(digits: data.Digits) -> None:
    gan, images = build(), digits.train.images[digits.train.labels == 3][:8]
    before = gan.discriminator.layers[-1].bias.numpy()
    gan.train_step((tf.constant(images), tf.constant([3] * 8)))
    assert np.flatnonzero(gan.discriminator.layers[-1].bias.numpy() != before).tolist() == [3]


def test_a_step_depends_on_seed_and_step_alone(digits: data.Digits) -> None:
    batches = take_batches(digits, 2)
    trained = []
    for seed in (0, 0, 1):
        gan = build()
        gan.seed = seed
        for batch in batches:
            gan.train_step(batch)
        trained.append(weights_of(gan.generator))
    assert equal(trained[0], trained[1])
    assert not equal(trained[0], trained[2])


def test_the_penalty_flattens_the_discriminator(digits: data.Digits) -> None:
    batches, slopes = take_batches(digits, 40), []
    for penalty_weight in (0.0, 10.0):
        gan = build(penalty_weight=penalty_weight)
        take_step = tf.function(gan.train_step)
        for batch in batches:
            take_step(batch)
        images, labels = batches[0]
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = gan.judge(images, labels)
        slopes.append(float(tf.norm(tape.gradient(logits, images))))
    assert slopes[1] < slopes[0] / 2


def test_it_learns_which_digit_is_which(digits: data.Digits, scorer: Scorer) -> None:
    keras.utils.set_random_seed(0)
    discriminator = conditional.give_each_class_a_logit(networks.build_dense_discriminator((64,)))
    generator = networks.build_dense_generator(LATENT_SIZE + 10, (64,))
    gan = conditional.ConditionalGAN(generator, discriminator, seed=0, penalty_weight=0.5)
    gan.compile(*(training.build_optimizer(3e-3, 400, momentum=0.5) for _ in range(2)), steps_per_execution=25)
    stream = conditional.make_labelled_batches(digits.train, 64, 0, digits.test.images)
    gan.fit(stream, steps_per_epoch=400, verbose=0)
    found = scorer.classify(gan.sample(200, seed=1))
    assert np.mean(found == np.arange(200) % 10) > 0.5


# Labelled batches


def test_labels_stay_with_their_images(digits: data.Digits) -> None:
    known = {image.tobytes(): label for image, label in zip(*digits.train, strict=True)}
    for images, labels in take_batches(digits, 40):  # more than a pass
        assert images.shape == (32, 28, 28, 1)
        assert [known[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()


def test_labelled_batches_are_those_of_make_batches(digits: data.Digits) -> None:
    plain = itertools.islice(data.make_batches(digits.train.images, 32, 3, digits.test.images), 3)
    for (images, _), expected in zip(take_batches(digits, 3, seed=3), plain, strict=True):
        np.testing.assert_array_equal(images, expected)


def test_labelled_batches_with_held_out_images_are_refused(digits: data.Digits) -> None:
    with pytest.raises(data.LeakError, match="360 of the 360"):
        conditional.make_labelled_batches(digits.test, 32, 0, digits.test.images)


def test_too_few_images_for_a_labelled_batch_are_refused(digits: data.Digits) -> None:
    with pytest.raises(ImageError, match="do not fill a batch"):
        conditional.make_labelled_batches(digits.train, 2_000, 0, digits.test.images)


# The study of our GANs


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study on scikit-learn's digits, in four steps."""
    monkeypatch.setenv("BOOK_PROFILE", "quick")
    monkeypatch.setenv("BOOK_SEED", "0")
    for study in (gan_mnist, dcgan_tutorial):
        monkeypatch.setattr(study, "CLASSIFIER_EPOCHS", 1)
        monkeypatch.setattr(study, "LOOKED_AT", (1, 2))
    monkeypatch.setattr(gan_mnist, "EPOCHS", 2)
    for label, run in gan_mnist.RUNS.items():
        small = run | {"channels": 2, "steps": 4, "batch_size": 16}
        monkeypatch.setitem(gan_mnist.RUNS, label, small if run else run)


def form_entries(measured: dict) -> dict:
    """What tools.studies makes of a study's result: it refuses a value without a standard error."""
    return recording.collect([{"seed": 0, "metrics": {name: studies._as_entry(*it) for name, it in measured.items()}}])


SCORES = {"frechet", "precision", "recall", "density", "coverage", "classes", "imbalance", "confident"}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("label", ["GAN", "conditional GAN"])
def test_the_study_measures_a_gan(label: str, tmp_path: Path) -> None:
    measured = form_entries(gan_mnist.measure(label, tmp_path))
    more = {"as_asked"} if label == "conditional GAN" else set()
    points = {f"{name}/{label}, step {step}" for name in ("frechet", "seconds") for step in (2, 4)}
    assert measured.keys() == {f"{name}/{label}" for name in SCORES | more | {"parameters", "seconds"}} | points
    last = measured[f"frechet/{label}, step 4"]
    assert last["value"] == measured[f"frechet/{label}"]["value"]
    assert measured[f"seconds/{label}, step 4"]["value"] == measured[f"seconds/{label}"]["value"]
    assert [file.suffix for file in tmp_path.iterdir()] == [".png"]


@pytest.mark.usefixtures("tiny")
def test_the_study_measures_its_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan_mnist, "CLASSIFIER_EPOCHS", 4)
    measured = form_entries(gan_mnist.measure("references", tmp_path))
    rows = ("real digits", "class Gaussians")
    assert measured.keys() == {f"{name}/{row}" for name in SCORES for row in rows} | {"accuracy/classifier"}
    real, trivial = (measured[f"frechet/{row}"] for row in rows)
    assert real["value"] + 3 * real["standard_error"] < trivial["value"]
    assert measured["imbalance/real digits"]["value"] < 0.1


def test_only_training_images_reach_a_gan(digits: data.Digits) -> None:
    leaked = digits._replace(train=digits.test)
    for label in ("GAN", "conditional GAN"):
        run = gan_mnist.RUNS[label] | {"channels": 2}
        with pytest.raises(data.LeakError):
            gan_mnist.train(gan_mnist.build_gan(run, 0), leaked, run, None)


def test_ten_of_each_digit_are_drawn_in_rows_from_the_same_noises() -> None:
    run = gan_mnist.RUNS["conditional GAN"] | {"channels": 2}
    gan = gan_mnist.build_gan(run, 0)
    latent = models.draw_latent(10, gan.latent_size, seed=2)
    rows = gan_mnist.draw_samples(gan, run).reshape(10, 10, 28, 28, 1)
    np.testing.assert_allclose(rows[7], gan.generate(latent, [7] * 10), atol=1e-6)


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
    assert found["imbalance"][0] < 0.1
    assert 0.5 < found["confident"][0] <= 1.0


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
    with pytest.raises(ValueError, match=r"was made with .*0\.0001.*, expected .*0\.001.*; delete"):
        train_tutorial(few, scorer, tmp_path, epochs=1, learning_rate=1e-3)


def test_the_tutorial_learns_from_training_images_only(few: data.Digits, scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(data.LeakError):
        train_tutorial(few._replace(train=few.test), scorer, tmp_path)
