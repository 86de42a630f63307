"""The study of likelihoods: bounds, gradients and priors against exact ones, its pixels, its way back after a stop."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from helpers import data, losses, metrics, models, networks, training
from studies import vae_likelihood as study
from studies.likelihood_models import BoundVAE, FlowPrior, FusedAdam, NormalPrior

IMAGE = (28, 28, 1)
PIXELS = 28 * 28
COUNT = 40
GRID = np.linspace(-12.0, 12.0, 4_001)
SMALL = {
    "dense": {"network": "dense", "width": 6, "latent_size": 4},
    "flow": {"network": "dense", "width": 6, "latent_size": 4, "couplings": 2, "coupling_width": 5},
    "convolutional": {"network": "convolutional", "channels": 2, "width": 6, "latent_size": 4},
}


def binary_images(count: int, seed: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).random((count, *IMAGE), dtype=np.float32))


# One latent dimension and linear networks: integrals over it on a fine grid are exact


def linear_vae(samples: int = 1) -> BoundVAE:
    rng = np.random.default_rng(7)
    encoder = networks.build_dense_encoder(1, widths=())
    vae = BoundVAE(encoder, networks.build_dense_decoder(1, widths=()), NormalPrior(), samples)
    kernel = rng.normal(scale=0.005, size=(PIXELS, 1))
    for network, weights in (
        (vae.encoder, (kernel, [0.3], kernel[::-1], [-0.2])),
        (vae.decoder, (rng.normal(scale=0.06, size=(1, PIXELS)), rng.normal(scale=0.5, size=PIXELS))),
    ):
        network.set_weights([np.asarray(array, np.float32) for array in weights])
    return vae


def integrate(vae: models.VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The exact negative ELBO and NLL of binary images, (count,) each."""
    mean, log_variance = (np.float64(part) for part in vae.encode(images))  # (count, 1)
    logits = vae.decoder(GRID[:, None].astype(np.float32)).numpy().reshape(-1, PIXELS).astype(np.float64)
    log_likelihood = images.reshape(-1, PIXELS) @ logits.T - np.logaddexp(0.0, logits).sum(axis=1)  # (count, grid)
    log_q, log_prior = stats.norm.logpdf(GRID, mean, np.exp(0.5 * log_variance)), stats.norm.logpdf(GRID)
    step = GRID[1] - GRID[0]
    elbo = (np.exp(log_q) * (log_likelihood + log_prior - log_q)).sum(axis=1) * step
    return -elbo, -logsumexp(log_likelihood + log_prior, axis=1) - np.log(step)


def average_terms(samples: int, steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Means of loss, reconstruction and kl over steps of training, and their standard errors, (3,) each."""
    vae, images = linear_vae(samples), tf.constant(binary_images(COUNT))
    take = tf.function(lambda step: tf.stack(vae.compute_terms(images, step, True)))
    terms = np.array([take(tf.constant(step)).numpy() for step in range(steps)], np.float64)
    return terms.mean(axis=0), terms.std(axis=0, ddof=1) / np.sqrt(steps)


def test_loss_of_one_sample_is_the_elbo() -> None:
    exact = integrate(linear_vae(1), binary_images(COUNT))[0].mean()
    means, errors = average_terms(1)
    assert 0.0 < errors[0] < 0.2
    assert abs(means[0] - exact) < 5.0 * errors[0]
    assert means[0] == pytest.approx(means[1] + means[2], rel=1e-6)  # of one sample, no mean over weights is taken


def test_loss_of_more_samples_lies_between_elbo_and_likelihood() -> None:
    elbo, nll = (values.mean() for values in integrate(linear_vae(1), binary_images(COUNT)))
    (few, few_error), (many, many_error) = average_terms(2), average_terms(50)
    assert elbo - few[0] > 5.0 * few_error[0]
    assert few[0] - many[0] > 5.0 * few_error[0]
    assert many[0] == pytest.approx(nll, abs=5.0 * many_error[0] + 0.01)


def test_terms_of_more_samples_are_means_over_them() -> None:
    """Loss apart, the terms are those of one sample: their means do not depend on how many there are."""
    (one, one_error), (five, five_error) = average_terms(1), average_terms(5)
    assert np.all(np.abs(one - five)[1:] < 5.0 * np.hypot(one_error, five_error)[1:])


def test_loss_teaches_both_networks() -> None:
    vae = linear_vae(5)
    vae.compile(keras.optimizers.SGD(0.01))
    before = vae.get_weights()
    vae.train_step(tf.constant(binary_images(4)))
    assert all(np.any(old != new) for old, new in zip(before, vae.get_weights(), strict=True))


def test_evaluation_finds_the_exact_likelihood(tmp_path: Path) -> None:
    vae, images = linear_vae(), binary_images(COUNT)
    elbo, nll = integrate(vae, images)
    bounds = study.Evaluation(vae, 2_500, tmp_path).take("test", images, samples=3_000)
    assert bounds.shape == (COUNT, 3)
    assert bounds[:, 0].mean() == pytest.approx(elbo.mean(), abs=0.1)
    np.testing.assert_allclose(bounds[:, 2], nll, atol=0.1)
    assert bounds[:, 2].mean() == pytest.approx(nll.mean(), abs=0.02)
    assert np.all(bounds[:, 0] > bounds[:, 2])


def test_bounds_are_those_of_the_metric() -> None:
    weights = np.random.default_rng(0).normal(-90.0, 4.0, size=(600, 30)).astype(np.float32)
    elbo, few, every = study.take_bounds(weights).T
    assert study.average(few) == pytest.approx(metrics.importance_weighted_nll(weights[: study.FEW]))
    assert study.average(every) == pytest.approx(metrics.importance_weighted_nll(weights))
    np.testing.assert_allclose(elbo, -weights.mean(axis=0), rtol=1e-5)


def swap_logsumexp(weights: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(weights, axis=axis) + np.log(len(weights))


@pytest.mark.parametrize(
    ("owner", "name", "broken", "check"),
    [
        (
            tf,
            "reduce_logsumexp",
            lambda right: lambda x, axis: tf.reduce_mean(x, axis) + np.log(x.shape[0]),
            test_loss_of_more_samples_lies_between_elbo_and_likelihood,
        ),
        (
            tf,
            "reduce_logsumexp",
            lambda right: lambda x, axis: right(x, axis) + np.log(x.shape[0]),
            test_loss_of_more_samples_lies_between_elbo_and_likelihood,
        ),
        (losses, "normal_log_density", lambda right: lambda *a: -right(*a), test_loss_of_one_sample_is_the_elbo),
        (
            losses,
            "reparameterise",
            lambda right: lambda m, v, n: right(m, v, 0.0 * n),
            test_loss_of_one_sample_is_the_elbo,
        ),
        (study, "logsumexp", lambda right: swap_logsumexp, test_bounds_are_those_of_the_metric),
    ],
    ids=["mean of logs", "sum, not mean", "KL sign", "no noise", "mean of logs in the bound"],
)
def test_a_broken_bound_is_caught(owner, name: str, broken, check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))
    with pytest.raises(AssertionError):
        check()


@pytest.mark.parametrize(
    "broken",
    [
        lambda weights: np.tile(-weights.mean(axis=0), (3, 1)).T,
        lambda weights: np.tile(-logsumexp(weights, axis=0), (3, 1)).T,
    ],
    ids=["mean of logs", "sum, not mean"],
)
def test_a_broken_evaluation_is_caught(broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "take_bounds", broken)
    with pytest.raises(AssertionError):
        test_evaluation_finds_the_exact_likelihood(tmp_path)


# The doubly reparameterised gradient, on the same networks


def take_bound_gradients(vae: BoundVAE, images: tf.Tensor, step: tf.Tensor) -> list[tf.Tensor]:
    """Those of the bound itself, as Burda et al. follow them."""
    with tf.GradientTape() as tape:
        loss = vae.compute_terms(images, step, training=True)[0]
    return tape.gradient(loss, vae.trainable_variables)


def take_gradients(vae: BoundVAE, images: tf.Tensor, step: tf.Tensor) -> list[tf.Tensor]:
    return vae.find_gradients(images, step)[0]


def average_gradients(take, steps: int = 300) -> tuple:
    """Means over steps of the gradients by the biases of encoder (two) and decoder (their sum); errors: (3,) each."""
    vae, images = linear_vae(5), tf.constant(binary_images(8))
    biases = [place for place, one in enumerate(vae.trainable_variables) if one.path.endswith("bias")]
    assert len(biases) == 3

    @tf.function
    def pick(step: tf.Tensor) -> tf.Tensor:
        gradients = take(vae, images, step)
        return tf.stack([tf.reduce_sum(gradients[place]) for place in biases])

    found = np.array([pick(tf.constant(step)).numpy() for step in range(steps)], np.float64)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(steps)


def check_gradients() -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of both estimators, (3,) each."""
    (plain, plain_errors), (ours, errors) = (average_gradients(take) for take in (take_bound_gradients, take_gradients))
    assert np.all(np.abs(plain - ours) < 5.0 * np.hypot(plain_errors, errors))
    return plain_errors, errors


def test_gradient_is_that_of_the_bound_with_less_noise() -> None:
    plain_errors, errors = check_gradients()
    assert np.all(errors[:2] < plain_errors[:2])


@pytest.mark.parametrize("broken", [tf.ones_like, lambda shares: tf.sqrt(shares)], ids=["no shares", "wrong shares"])
def test_a_broken_gradient_is_caught(broken, monkeypatch: pytest.MonkeyPatch) -> None:
    right = tf.nn.softmax
    monkeypatch.setattr(tf.nn, "softmax", lambda weights, axis: broken(right(weights, axis)))
    with pytest.raises(AssertionError):
        test_gradient_is_that_of_the_bound_with_less_noise()


# The priors


def make_flow_prior(scale: float = 0.3) -> FlowPrior:
    prior, rng = FlowPrior(4, 3, 5), np.random.default_rng(2)
    prior.set_weights([rng.normal(scale=scale, size=array.shape) for array in prior.get_weights()])
    return prior


def test_flow_prior_begins_as_the_standard_normal() -> None:
    latent, prior = models.draw_latent(20, 4, seed=0), FlowPrior(4, 2, 5)
    np.testing.assert_allclose(prior(latent), stats.norm.logpdf(latent).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(prior.transform(latent), latent)


def test_flow_prior_is_the_density_of_its_draws() -> None:
    """By the change of variables from noise to draws, with the Jacobian taken by TensorFlow."""
    prior, noise = make_flow_prior(), tf.constant(models.draw_latent(20, 4, seed=0))
    with tf.GradientTape() as tape:
        tape.watch(noise)
        draws = prior.transform(noise)
    log_volume = np.linalg.slogdet(tape.batch_jacobian(draws, noise))[1]
    expected = stats.norm.logpdf(noise).sum(axis=1) - log_volume
    np.testing.assert_allclose(prior(draws), expected, atol=1e-4)
    np.testing.assert_allclose(prior(draws[None])[0], expected, atol=1e-4)  # (samples, batch, latent_size) too
    assert np.std(expected - stats.norm.logpdf(draws).sum(axis=1)) > 0.1


def test_likelihood_under_a_flow_prior_is_exact(tmp_path: Path) -> None:
    """Two latent dimensions, one each half, and a grid over the plane."""
    rng, axis, images = np.random.default_rng(4), np.linspace(-9.0, 9.0, 121), binary_images(COUNT)
    prior = FlowPrior(2, 2, 4)
    prior.set_weights([rng.normal(scale=0.4, size=array.shape) for array in prior.get_weights()])
    vae = BoundVAE(networks.build_dense_encoder(2, widths=()), networks.build_dense_decoder(2, widths=()), prior)
    for network, scale in ((vae.encoder, 0.005), (vae.decoder, 0.06)):
        network.set_weights([rng.normal(scale=scale, size=array.shape) for array in network.get_weights()])
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    logits = vae.decoder(points).numpy().reshape(-1, PIXELS).astype(np.float64)
    log_likelihood = images.reshape(-1, PIXELS) @ logits.T - np.logaddexp(0.0, logits).sum(axis=1)
    log_prior = prior(points).numpy().astype(np.float64)
    log_cell = 2.0 * np.log(axis[1] - axis[0])
    assert logsumexp(log_prior) + log_cell == pytest.approx(0.0, abs=1e-3)
    nll = -logsumexp(log_likelihood + log_prior, axis=1) - log_cell
    bounds = study.Evaluation(vae, 2_500, tmp_path).take("test", images, samples=3_000)
    assert bounds[:, 2].mean() == pytest.approx(nll.mean(), abs=0.02)


def test_adam_in_one_call_is_that_of_keras() -> None:
    start, trained = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), []
    for adam in (keras.optimizers.Adam, FusedAdam):
        variable = keras.Variable(start)
        optimizer = adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
        for step in range(5):
            optimizer.apply([tf.constant(start) * (step - 2.0)], [variable])
        trained.append([variable.numpy(), *(one.numpy() for one in optimizer.variables)])
    for expected, found in zip(*trained, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(trained[0][0] - start).min() > 0.01


# The pixels


def check_redrawn(images: np.ndarray) -> None:
    share, error = study.measure_redrawn(images, seed=0)
    expected = np.mean(2.0 * images * (1.0 - images))  # of two draws of Bernoulli(x)
    assert 0.0 < error < share < 0.5
    assert share == pytest.approx(expected, abs=5.0 * error)


def test_pixels_are_redrawn_in_each_pass_of_training() -> None:
    check_redrawn(data.load_small_digits().train.images[:20])


@pytest.mark.skipif(not os.environ.get("MNIST_NPZ"), reason="MNIST_NPZ names no copy of MNIST")
def test_pixels_of_mnist_are_redrawn() -> None:
    check_redrawn(data.load("full").train.images[:200:10])


def test_pixels_that_stay_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = data.make_batches

    def draw_once(images, *rest, **options):
        return right(data.draw_binary(images, 0), *rest, **options)

    monkeypatch.setattr(data, "make_batches", draw_once)
    with pytest.raises(AssertionError):
        test_pixels_are_redrawn_in_each_pass_of_training()


# Networks and training


def build_small(kind: str, images: np.ndarray, seed: int = 0) -> BoundVAE:
    return study.build(SMALL[kind], metrics.smooth_mean(images), seed)


@pytest.mark.parametrize("kind", SMALL)
def test_networks_start_at_the_per_pixel_model(kind: str) -> None:
    images = data.load_small_digits().train.images
    vae = build_small(kind, images)
    encoded = vae.encoder(images[:5])
    assert [part.shape for part in encoded] == [(5, 4), (5, 4)]
    assert vae.decoder(tf.zeros((5, 4))).shape == (5, *IMAGE)
    assert vae.sample(3, seed=0).shape == (3, *IMAGE)
    vae.decoder.set_weights([np.zeros_like(array) for array in vae.decoder.get_weights()])
    np.testing.assert_allclose(vae.decode(np.ones((1, 4)))[0], metrics.smooth_mean(images), atol=1e-5)


def test_training_teaches_the_prior_too() -> None:
    vae = build_small("flow", data.load_small_digits().train.images, seed=4)
    vae.compile(FusedAdam(0.01))
    before = {id(one): one.numpy() for one in vae.trainable_variables}
    for _ in range(2):  # the first step leaves alone what comes before layers that begin at zero
        vae.train_step(tf.constant(binary_images(4)))
    assert {id(one) for one in vae.prior.trainable_variables} <= before.keys()
    assert all(np.any(before[id(one)] != one.numpy()) for one in vae.trainable_variables)
    assert (vae.samples, vae.seed) == (1, 4)


class KilledError(Exception):
    """Stands in for the end of a process."""


class KilledAfterTwo(training.Checkpoint):
    """A checkpoint of a process that ends in its third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KilledError


def train_small(folder: Path, phases: tuple) -> tuple[list[np.ndarray], dict]:
    run = SMALL["flow"] | {"phases": phases, "batch_size": 200, "learning_rate": 1e-2, "rows": 100}
    digits = data.load_small_digits()
    keras.utils.set_random_seed(1)
    vae = build_small("flow", digits.train.images, seed=3)
    found = study.train(vae, digits.train.images, digits.test.images, binary_images(60), run, folder)
    return vae.get_weights(), {name: value for name, (value, _, _) in found.items()}


def test_training_goes_on_after_a_stop_as_if_there_were_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped within its first phase, after a look; the second phase has more samples in the loss."""
    monkeypatch.setattr(study, "CHECKPOINT_EPOCHS", 1)
    monkeypatch.setattr(study, "LOOKS", (0.25, 0.75))
    phases, stopped = ((1, 3), (3, 4)), tmp_path / "stopped"
    expected, told = train_small(tmp_path / "whole", phases)
    with monkeypatch.context() as patch:
        patch.setattr(training, "Checkpoint", KilledAfterTwo)
        with pytest.raises(KilledError):
            train_small(stopped, phases)
    with np.load(stopped / "training.npz") as stored:
        arrays = dict(stored)
    assert arrays["epochs"] == 2
    np.savez(stopped / "training.npz", **(arrays | {"seconds": 1_000.0}))  # a long way to there
    resumed, found = train_small(stopped, phases)
    for one, other in zip(expected, resumed, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 1_000.0 < found["seconds"] < 1_100.0
    assert found["look_1_seconds"] < 1_000.0 < found["look_2_seconds"] < found["seconds"]
    assert [found[f"look_{one}_nll"] for one in (1, 2)] == [told[f"look_{one}_nll"] for one in (1, 2)]
    assert told["look_1_nll"] != told["look_2_nll"]


def test_a_finished_training_is_only_read_again(tmp_path: Path) -> None:
    """Its last epoch is stored though it is not a fifth one."""
    train_small(tmp_path, ((1, 1),))
    file = tmp_path / "training.npz"
    with np.load(file) as stored:
        arrays = dict(stored)
    np.savez(file, **(arrays | {"variable_0": 0.0 * arrays["variable_0"]}))
    read_again, _ = train_small(tmp_path, ((1, 1),))
    assert not read_again[0].any()


def test_evaluation_goes_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "BLOCK", 3)
    vae, images = linear_vae(1), binary_images(8)
    whole = study.Evaluation(vae, 30, tmp_path)
    expected = whole.take("whole", images, samples=20)
    study.Evaluation(vae, 30, tmp_path).take("parts", images[:6], samples=20)
    monkeypatch.setattr(
        vae, "log_weights", lambda block, *rest, **more: models.VAE.log_weights(vae, block[:2], *rest, **more)
    )
    resumed = study.Evaluation(vae, 30, tmp_path)
    np.testing.assert_array_equal(resumed.take("parts", images, samples=20), expected)
    assert resumed.seconds > 0.0
    assert len({tuple(row) for row in expected}) == 8


def test_units_that_say_nothing_are_not_counted() -> None:
    vae = build_small("dense", data.load_small_digits().train.images)
    *kept, kernel, bias = (array for array in vae.encoder.get_weights()[:-2])
    kernel[:, 1:] = 0.0
    vae.encoder.set_weights([*kept, 100.0 * kernel, bias, *vae.encoder.get_weights()[-2:]])
    found = study.count_units(vae, binary_images(50))
    assert (found["active_units"][0], found["latent_size"][0]) == (1, 4)


# All of it, small


@pytest.mark.parametrize(("kind", "fully"), [("flow", 60), ("convolutional", 40), ("none", 0)])
def test_a_run_measures_all_that_its_table_needs(kind: str, fully: int, tmp_path: Path, monkeypatch) -> None:
    digits, label = data.load_small_digits(), "some label"
    few = digits._replace(test=data.Split(digits.test.images[:60], digits.test.labels[:60]))
    small = {"file": "small", "phases": ((1, 1), (2, 2)), "batch_size": 500, "learning_rate": 1e-3, "rows": 100}
    monkeypatch.setattr(data, "load", lambda profile: few)
    monkeypatch.setattr(study, "RUNS", {label: {"network": kind, **small, "fully": fully, **SMALL.get(kind, {})}})
    for name, value in {"MANY": 12, "FEW": 4, "PART": 40, "BLOCK": 20, "LOOKS": (0.5,)}.items():
        monkeypatch.setattr(study, name, value)
    found = study.measure(label, tmp_path)
    names = {name.removesuffix(f"/{label}") for name in found}
    assert {"test_nll", "parameters", "pixels_redrawn_in_training", "pixels_redrawn_in_test"} <= names
    assert all(np.isfinite((value, error)).all() for value, _, error in found.values())
    if kind != "none":
        value = {name: found[f"{name}/{label}"][0] for name in names}
        assert value["test_nll_500_first_1000"] > value["test_nll_first_1000"]
        assert value["sampling_gap_first_1000"] == pytest.approx(
            value["test_nll_500_first_1000"] - value["test_nll_first_1000"]
        )
        assert value["second_draw_gap"] == pytest.approx(value["test_nll_500_second_draw"] - value["test_nll_500"])
        assert value["elbo_gap"] == pytest.approx(value["test_negative_elbo"] - value["test_nll"])
        assert value["test_negative_elbo"] > value["test_nll_500"] >= value["test_nll"]
        assert (value["test_samples"], value["epochs"]) == (12 if fully == 60 else 4, 2)
        assert value["parameters"] > 784
        assert value["look_1_seconds"] < value["seconds"]
        with np.load(tmp_path / "nll_small.npz") as stored:
            assert stored["nll_500"].mean() == pytest.approx(value["test_nll_500"], abs=1e-3)
        assert (tmp_path / "small.png").stat().st_size > 1_000


def test_each_run_ships_the_bounds_of_its_images() -> None:
    files = [f"nll_{run['file']}.npz" for run in study.RUNS.values() if run["network"] != "none"]
    assert sorted(files) == sorted(study.WEIGHTS)
