"""GAN and VAE: who moves in an update, what is minimised, and that a seed gives the same numbers in any process."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import expit, logsumexp

from helpers import losses, metrics, models, networks
from helpers.arguments import ArgumentError
from helpers.checks import ImageError, LatentError

IMAGE = (28, 28, 1)
PIXELS = 28 * 28


def uniform_images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *IMAGE), dtype=np.float32)


def binary_images(count: int, seed: int = 0) -> np.ndarray:
    return np.round(uniform_images(count, seed))


def fill(network: keras.Model, *weights: object) -> None:
    network.set_weights([np.asarray(array, np.float32) for array in weights])


def values_of(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [variable.value.numpy().copy() for variable in variables]


def which_moved(before: list[np.ndarray], variables: list[keras.Variable]) -> list[bool]:
    return [old.tobytes() != new.tobytes() for old, new in zip(before, values_of(variables), strict=True)]


# What both have in common


def test_a_model_without_weights_of_its_losses_has_the_plain_ones() -> None:
    gan = models.GAN(networks.build_dense_generator(3, (4,)), networks.build_dense_discriminator((4,)))
    vae = models.VAE(networks.build_dense_encoder(3, (4,)), networks.build_dense_decoder(3, (4,)))
    assert (gan.get_config()["penalty_weight"], vae.get_config()["kl_weight"]) == (0.0, 1.0)


@pytest.mark.parametrize("model", [models.GAN, models.VAE])
def test_what_is_no_network_is_refused(model: type) -> None:
    network = networks.build_dense_generator(3, (4,))
    for pair in ((network, "a discriminator"), (None, network)):
        with pytest.raises(ArgumentError, match="expected a network, such as"):
            model(*pair)


def test_a_seed_has_31_bits() -> None:
    pair = networks.build_dense_encoder(3, (4,)), networks.build_dense_decoder(3, (4,))
    assert models.VAE(*pair, seed=2**31 - 1).seed == 2**31 - 1
    with pytest.raises(ArgumentError, match="seed is 2147483648, expected a whole number"):
        models.VAE(*pair, seed=2**31)


def test_a_gan_is_trained_by_two_optimisers() -> None:
    gan = models.GAN(networks.build_dense_generator(3, (4,)), networks.build_dense_discriminator((4,)))
    for pair in (("adam", keras.optimizers.Adam()), (keras.optimizers.Adam(), "adam")):
        with pytest.raises(ArgumentError, match="expected an optimiser"):
            gan.compile(*pair)


def test_layers_that_training_disturbs_are_at_rest_in_what_a_vae_answers() -> None:
    """With dropout no two answers to one question would be the same."""
    mean_and_log_variance = networks.build_dense_encoder(3, (4,))
    image = keras.Input(IMAGE)
    encoder = keras.Model(image, mean_and_log_variance(keras.layers.Dropout(0.5)(image)))
    code = keras.Input((3,))
    decoder = keras.Model(code, networks.build_dense_decoder(3, (4,))(keras.layers.Dropout(0.5)(code)))
    vae, images, latent = models.VAE(encoder, decoder), binary_images(4), models.draw_latent(4, 3, seed=1)
    answers = {
        "encode": lambda: np.concatenate(vae.encode(images)),
        "decode": lambda: vae.decode(latent),
        "reconstruct": lambda: vae.reconstruct(images),
        "sample": lambda: vae.sample(4, seed=2),
        "log_weights": lambda: vae.log_weights(images, 3, seed=2),
        "call": lambda: np.asarray(vae(images)),
    }
    for name, answer in answers.items():
        np.testing.assert_array_equal(answer(), answer(), err_msg=name)


# The GAN: each update moves its own half


def build_gan(seed: int = 0, penalty_weight: float = 0.0, rates: tuple[float, float] = (0.1, 0.1)) -> models.GAN:
    gan = models.GAN(
        networks.build_dense_generator(3, widths=(8,), batch_norm=True),
        networks.build_dense_discriminator(widths=(8,)),
        seed=seed,
        penalty_weight=penalty_weight,
    )
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates))
    return gan


def test_discriminator_update_leaves_the_generator() -> None:
    gan = build_gan(rates=(0.0, 0.1))
    generator, discriminator = gan.generator.trainable_variables, gan.discriminator.trainable_variables
    before = values_of(generator), values_of(discriminator)
    gan.train_step(tf.constant(uniform_images(5)))
    moved = which_moved(before[0], generator), which_moved(before[1], discriminator)
    assert not any(moved[0])
    assert all(moved[1])


def test_generator_update_leaves_the_discriminator() -> None:
    gan = build_gan(rates=(0.1, 0.0))
    generator, discriminator = gan.generator.trainable_variables, gan.discriminator.variables
    before = values_of(generator), values_of(discriminator)
    gan.train_step(tf.constant(uniform_images(5)))
    moved = which_moved(before[0], generator), which_moved(before[1], discriminator)
    assert all(moved[0])
    assert not any(moved[1])


def test_moving_statistics_belong_to_the_generator() -> None:
    gan = build_gan(rates=(0.0, 0.0))
    moving = gan.generator.non_trainable_variables
    before = values_of(moving)
    gan.train_step(tf.constant(uniform_images(5)))
    assert len(moving) == 2  # mean and variance of the one normalised layer
    assert all(which_moved(before, moving))
    assert not {variable.path for variable in moving} & {v.path for v in gan.discriminator.variables}


class MovesDiscriminatorTwice(models.GAN):
    """A GAN in which the generator's update trains the discriminator to please it."""

    def compile(self, generator_optimizer, discriminator_optimizer, **options):
        generator_optimizer.build([*self.generator.trainable_variables, *self.discriminator.trainable_variables])
        super().compile(generator_optimizer, discriminator_optimizer, **options)

    def train_step(self, real):
        logs = super().train_step(real)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            fake = self.generator(tf.ones((1, self.latent_size)))
            loss = losses.generator_loss(self.discriminator(fake))
        self.generator_optimizer.apply(tape.gradient(loss, variables), variables)
        return logs


class MovesGeneratorTwice(models.GAN):
    """A GAN in which the discriminator's update also moves the generator."""

    def _update_discriminator(self, real, fake, judge):
        for variable in self.generator.trainable_variables:
            variable.assign_sub(tf.ones_like(variable) * 1e-3)
        return super()._update_discriminator(real, fake, judge)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (MovesDiscriminatorTwice, test_generator_update_leaves_the_discriminator),
        (MovesGeneratorTwice, test_discriminator_update_leaves_the_generator),
    ],
)
def test_a_half_that_moves_out_of_turn_is_caught(broken, check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "GAN", broken)
    with pytest.raises(AssertionError):
        check()


# The GAN: one step by hand, with a linear discriminator w and a generator that draws one image b whatever the noise


def check_step_by_hand(slope: np.ndarray, penalty_weight: float) -> None:
    rate, real, drawn = 0.1, uniform_images(4).reshape(4, PIXELS), uniform_images(1, seed=1).ravel()
    discriminator = keras.Sequential(
        [keras.Input(IMAGE), keras.layers.Flatten(), keras.layers.Dense(1, use_bias=False)]
    )
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(PIXELS), keras.layers.Reshape(IMAGE)])
    fill(discriminator, slope[:, None])
    fill(generator, np.zeros((2, PIXELS)), drawn)
    gan = models.GAN(generator, discriminator, penalty_weight=penalty_weight)
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    logs = gan.train_step(tf.constant(real.reshape(4, *IMAGE)))

    real_logits, fake_logit = real @ slope, drawn @ slope
    uphill = (expit(-real_logits)[:, None] * real).mean(axis=0) - expit(fake_logit) * drawn - penalty_weight * slope
    moved = slope + rate * uphill
    np.testing.assert_allclose(discriminator.get_weights()[0][:, 0], moved, rtol=1e-3, atol=1e-6)
    stale, fresh = (drawn + rate * expit(-drawn @ seen) * seen for seen in (slope, moved))
    assert np.abs(fresh - stale).max() > 1e-3  # so that the next line tells which discriminator the generator saw
    np.testing.assert_allclose(generator.get_weights()[1], fresh, rtol=1e-4, atol=1e-6)

    expected = {
        "d_loss": -np.log(expit(real_logits)).mean() - np.log(expit(-fake_logit)),  # without the penalty
        "g_loss": -np.log(expit(drawn @ moved)),
        "d_real": expit(real_logits).mean(),
        "d_fake": expit(fake_logit),
    }
    expected["loss"] = expected["d_loss"] + expected["g_loss"]
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(expected, rel=1e-3)


def test_generator_sees_the_discriminator_as_just_updated() -> None:
    """Before its first update this discriminator is flat: a generator that saw that one would not move at all."""
    check_step_by_hand(np.zeros(PIXELS), penalty_weight=0.0)


def test_penalty_pulls_the_slope_towards_zero() -> None:
    slope = np.random.default_rng(2).normal(scale=0.05, size=PIXELS)
    check_step_by_hand(slope, penalty_weight=0.7)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("discriminator_loss", lambda right: lambda real, fake: right(fake, real)),
        ("generator_loss", lambda right: lambda fake: -right(-fake)),
        ("gradient_penalty", lambda right: lambda slopes: right(slopes) / PIXELS),
    ],
    ids=["labels swapped", "saturating", "penalty mean"],
)
def test_a_step_with_a_broken_loss_is_caught(name: str, broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, name, broken(getattr(losses, name)))
    with pytest.raises(AssertionError):
        test_penalty_pulls_the_slope_towards_zero()


# The VAE: a loss in nats, known exactly


def build_vae(latent_size: int = 2, seed: int = 0, kl_weight: float = 1.0, rate: float = 0.0) -> models.VAE:
    encoder = networks.build_dense_encoder(latent_size, widths=(8,))
    decoder = networks.build_dense_decoder(latent_size, widths=(8,))
    vae = models.VAE(encoder, decoder, seed=seed, kl_weight=kl_weight)
    vae.compile(keras.optimizers.SGD(rate))
    return vae


def test_loss_is_known_where_codes_say_nothing() -> None:
    """All weights zero but the bias of the mean: each pixel costs log 2, each latent mean**2 / 2."""
    vae = build_vae(latent_size=3, kl_weight=4.0)
    for variable in vae.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    vae.encoder.get_layer("mean").bias.assign([2.0, 0.0, 1.0])
    loss, reconstruction, kl = (float(term) for term in vae.compute_terms(binary_images(6), 0, training=True))
    assert reconstruction == pytest.approx(PIXELS * np.log(2.0), rel=1e-5)
    assert kl == pytest.approx(2.5, rel=1e-5)
    assert loss == pytest.approx(reconstruction + 4.0 * kl, rel=1e-5)


def test_training_and_testing_share_one_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, images = build_vae(), tf.constant(binary_images(6))

    def read(step) -> dict[str, float]:
        for tracker in vae.metrics:
            tracker.reset_state()
        return {name: float(value) for name, value in step(images).items()}

    apart = read(vae.test_step)
    monkeypatch.setattr(models, "HELD_OUT_STEP", 0)  # the noise of the first training step
    tested, trained = read(vae.test_step), read(vae.train_step)
    assert tested == pytest.approx(trained, rel=1e-6)
    assert apart["kl"] == tested["kl"]
    assert apart["loss"] != tested["loss"]


# The VAE with one latent dimension: integrals over it on a fine grid are exact

GRID = np.linspace(-12.0, 12.0, 4_001)


class Exact:
    """What a VAE with one latent dimension should find for binary images, by numerical integration; (count,) each."""

    def __init__(self, vae: models.VAE, images: np.ndarray) -> None:
        mean, log_variance = (np.float64(part) for part in vae.encode(images))  # (count, 1)
        logits = vae.decoder(GRID[:, None].astype(np.float32)).numpy().reshape(-1, PIXELS).astype(np.float64)
        pixels = images.reshape(-1, PIXELS)
        log_likelihood = pixels @ logits.T - np.logaddexp(0.0, logits).sum(axis=1)  # (count, grid)
        log_q = stats.norm.logpdf(GRID, mean, np.exp(0.5 * log_variance))
        log_prior = stats.norm.logpdf(GRID)
        step = GRID[1] - GRID[0]
        self.nll = -logsumexp(log_likelihood + log_prior, axis=1) - np.log(step)
        self.reconstruction = -(np.exp(log_q) * log_likelihood).sum(axis=1) * step
        self.kl = (np.exp(log_q) * (log_q - log_prior)).sum(axis=1) * step


def build_one_dimensional_vae() -> models.VAE:
    rng = np.random.default_rng(7)
    vae = models.VAE(networks.build_dense_encoder(1, widths=()), networks.build_dense_decoder(1, widths=()))
    kernel = rng.normal(scale=0.005, size=(PIXELS, 1))
    fill(vae.encoder, kernel, [0.3], kernel[::-1], [-0.2])
    fill(vae.decoder, rng.normal(scale=0.06, size=(1, PIXELS)), rng.normal(scale=0.5, size=PIXELS))
    return vae


def test_terms_average_to_the_exact_elbo() -> None:
    vae, images = build_one_dimensional_vae(), binary_images(50)
    exact = Exact(vae, images)
    terms = np.array([[float(term) for term in vae.compute_terms(images, step, False)] for step in range(60)])
    standard_error = terms[:, 1].std(ddof=1) / np.sqrt(len(terms))
    assert 0.0 < standard_error < 0.2
    assert abs(terms[:, 1].mean() - exact.reconstruction.mean()) < 5.0 * standard_error
    np.testing.assert_allclose(terms[:, 2], exact.kl.mean(), rtol=1e-4)
    np.testing.assert_allclose(terms[:, 0], terms[:, 1] + terms[:, 2], rtol=1e-6)


def test_importance_weights_average_to_the_exact_likelihood() -> None:
    vae, images = build_one_dimensional_vae(), binary_images(5)
    exact = Exact(vae, images)
    ratios = np.exp(vae.log_weights(images, samples=5_000, seed=0) + exact.nll)  # (samples, count), mean 1
    standard_errors = ratios.std(axis=0, ddof=1) / np.sqrt(len(ratios))
    assert np.all(standard_errors < 0.05)
    assert np.all(np.abs(ratios.mean(axis=0) - 1.0) < 5.0 * standard_errors)


def test_bounds_tighten_with_more_samples_and_stay_above_the_likelihood() -> None:
    vae, images = build_one_dimensional_vae(), binary_images(40)
    weights, exact = vae.log_weights(images, samples=3_000, seed=0), Exact(vae, images)
    bounds = [
        -logsumexp(weights.reshape(-1, samples, 40), axis=1, b=1.0 / samples).mean() for samples in (1, 5, 50, 3_000)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == pytest.approx((exact.reconstruction + exact.kl).mean(), abs=0.2)  # one sample: the ELBO
    assert bounds[0] - bounds[-1] > 0.1
    assert bounds[-1] == pytest.approx(exact.nll.mean(), abs=0.02)
    assert bounds[-1] == pytest.approx(metrics.importance_weighted_nll(weights)[0])


def test_every_weight_is_the_likelihood_where_the_code_does_not_matter() -> None:
    vae, images = build_one_dimensional_vae(), binary_images(5)
    logits = np.random.default_rng(8).normal(size=PIXELS)
    fill(vae.encoder, np.zeros((PIXELS, 1)), [0.0], np.zeros((PIXELS, 1)), [0.0])  # the prior
    fill(vae.decoder, np.zeros((1, PIXELS)), logits)
    expected = stats.bernoulli.logpmf(images.reshape(5, PIXELS), expit(logits)).sum(axis=1)
    found = vae.log_weights(images, samples=7, seed=0)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (7, 5)), rtol=1e-5)


def test_blocks_of_weights_have_their_own_noise() -> None:
    """One image six times, in blocks of two images and three samples: no block repeats another."""
    vae, images = build_one_dimensional_vae(), np.repeat(binary_images(1), 6, axis=0)
    weights = vae.log_weights(images, samples=7, seed=0, batch_size=2, draws_at_once=3)
    assert weights.shape == (7, 6)
    blocks = [weights[first : first + 3, start : start + 2] for first in (0, 3) for start in (0, 2, 4)]
    assert min(np.abs(one - other).max() for one, other in itertools.combinations(blocks, 2)) > 0.01


@pytest.mark.parametrize(
    ("name", "broken", "check"),
    [
        ("kl_to_standard_normal", lambda right: lambda *a: -right(*a), test_loss_is_known_where_codes_say_nothing),
        ("kl_to_standard_normal", lambda right: lambda *a: right(*a) / 3, test_loss_is_known_where_codes_say_nothing),
        (
            "bernoulli_log_likelihood",
            lambda right: lambda *a: right(*a) / PIXELS,
            test_loss_is_known_where_codes_say_nothing,
        ),
        ("reparameterise", lambda right: lambda m, v, n: right(m, v, 0.0 * n), test_terms_average_to_the_exact_elbo),
        ("reparameterise", lambda right: lambda m, v, n: right(m, 2 * v, n), test_terms_average_to_the_exact_elbo),
        (
            "reparameterise",
            lambda right: lambda m, v, n: right(m, v, 0.0 * n),
            test_importance_weights_average_to_the_exact_likelihood,
        ),
        (
            "normal_log_density",
            lambda right: lambda *a: right(*a) / 2,
            test_importance_weights_average_to_the_exact_likelihood,
        ),
    ],
    ids=[
        "KL sign",
        "KL mean",
        "pixel mean",
        "no noise in training",
        "noise too wide",
        "no noise in weights",
        "half the density",
    ],
)
def test_a_broken_vae_is_caught(name: str, broken, check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, name, broken(getattr(losses, name)))
    with pytest.raises(AssertionError):
        check()


# Both under fit()


def test_gan_history_has_losses_and_probabilities() -> None:
    history = build_gan(penalty_weight=1.0).fit(uniform_images(8), batch_size=4, epochs=2, verbose=0).history
    assert set(history) == {"d_loss", "g_loss", "d_real", "d_fake", "loss"}
    assert np.isfinite(list(history.values())).all()
    assert {len(values) for values in history.values()} == {2}


def test_noise_is_new_in_each_step_and_fixed_in_validation() -> None:
    """At learning rate zero: new noise in each step, one mean for each epoch, the same noise in each validation."""
    vae, images, held_out = build_vae(), binary_images(4), binary_images(6, seed=1)
    batches = tf.data.Dataset.from_tensors(images).repeat()
    history = vae.fit(batches, steps_per_epoch=2, epochs=3, validation_data=held_out, verbose=0).history
    assert set(history) == {f"{prefix}{name}" for prefix in ("", "val_") for name in ("loss", "reconstruction", "kl")}
    steps = [float(vae.compute_terms(images, step, training=True)[0]) for step in range(6)]
    assert len(set(steps)) == 6
    np.testing.assert_allclose(history["loss"], np.mean(np.reshape(steps, (3, 2)), axis=1), rtol=1e-6)
    assert history["val_loss"] == pytest.approx([history["val_loss"][0]] * 3, rel=1e-7)


class NewValidationNoise(models.VAE):
    """A VAE that draws other noise at each validation."""

    def test_step(self, images):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        return self.report(images, *self.compute_terms(images, step, training=False))


class SameTrainingNoise(models.VAE):
    """A VAE that draws the same noise in each step."""

    def compute_terms(self, images, step, training):
        return super().compute_terms(images, 0, training)


class SameNoiseInEachBlock(models.VAE):
    """A VAE that repeats its noise from block to block of importance weights."""

    def _draw_log_weights(self, images, draws, seed):
        return super()._draw_log_weights(images, draws, 0 * seed)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (NewValidationNoise, test_noise_is_new_in_each_step_and_fixed_in_validation),
        (SameTrainingNoise, test_noise_is_new_in_each_step_and_fixed_in_validation),
        (SameNoiseInEachBlock, test_blocks_of_weights_have_their_own_noise),
    ],
)
def test_wrong_noise_is_caught(broken, check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "VAE", broken)
    with pytest.raises(AssertionError):
        check()


# Seeds


def train_briefly(kind: str, seed: int) -> str:
    """Return a digest of all that three steps of training make: weights, history and samples."""
    keras.utils.set_random_seed(seed)
    model = build_gan(seed, penalty_weight=1.0) if kind == "gan" else build_vae(seed=seed, rate=1e-3)
    history = model.fit(binary_images(12), batch_size=4, shuffle=False, verbose=0).history
    arrays = [*model.get_weights(), *(np.array(history[name]) for name in sorted(history)), model.sample(2, seed=0)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def test_a_seed_gives_the_same_numbers_in_two_runs_and_two_processes() -> None:
    here = [train_briefly(kind, seed=3) for kind in ("gan", "vae")]
    assert [train_briefly(kind, seed=3) for kind in ("gan", "vae")] == here
    command = "import test_models as t; print(t.train_briefly('gan', 3), t.train_briefly('vae', 3))"
    places = [str(Path(models.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONHASHSEED": "7"}
    there = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)
    assert there.stdout.split() == here


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_another_seed_gives_other_numbers(kind: str) -> None:
    assert train_briefly(kind, seed=3) != train_briefly(kind, seed=4)


@pytest.mark.parametrize("build", [build_gan, build_vae])
def test_the_models_own_seed_draws_the_noise(build) -> None:
    one, same, other = (build(seed=seed) for seed in (0, 0, 1))
    for model in (same, other):
        model.set_weights(one.get_weights())
    logs = [model.train_step(tf.constant(binary_images(5))) for model in (one, same, other)]
    values = [[float(value) for value in step.values()] for step in logs]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("build", [build_gan, build_vae])
def test_samples_depend_on_their_seed(build) -> None:
    model = build()
    assert np.array_equal(model.sample(3, seed=1), model.sample(3, seed=1))
    assert not np.array_equal(model.sample(3, seed=1), model.sample(3, seed=2))


def test_latent_vectors_are_standard_normal() -> None:
    latent = models.draw_latent(20_000, 3, seed=0)
    assert latent.dtype == np.float32
    assert latent.shape == (20_000, 3)
    assert stats.kstest(latent.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(latent.T) - np.eye(3)).max() < 0.05


# What goes in and comes out


def test_shapes_and_ranges_of_what_a_gan_draws() -> None:
    gan = build_gan()
    for images in (gan.generate(models.draw_latent(4, 3, seed=0)), gan.sample(4, seed=0)):
        assert images.shape == (4, *IMAGE)
        assert images.dtype == np.float32
        assert 0.0 <= images.min() < images.max() <= 1.0


def test_a_gan_draws_an_image_the_same_in_any_batch() -> None:
    gan, latent = build_gan(), models.draw_latent(6, 3, seed=0)
    np.testing.assert_allclose(gan.generate(latent)[:1], gan.generate(latent[:1]), atol=1e-6)


def test_shapes_and_ranges_of_what_a_vae_draws() -> None:
    vae, images = build_vae(latent_size=5), uniform_images(4)
    mean, log_variance = vae.encode(images)
    assert mean.shape == log_variance.shape == (4, 5)
    for drawn in (vae.decode(mean), vae.reconstruct(images), vae.sample(4, seed=0)):
        assert drawn.shape == (4, *IMAGE)
        assert 0.0 <= drawn.min() < drawn.max() <= 1.0
    np.testing.assert_array_equal(vae.reconstruct(images), vae.decode(mean))
    logits = vae.decoder(mean).numpy().astype(np.float64)
    np.testing.assert_allclose(vae.decode(mean), expit(logits), rtol=1e-5)


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (np.zeros((2, 4)), r"shape \(2, 4\), expected \(count, 3\)"),
        (np.zeros(3), r"shape \(3,\), expected \(count, 3\)"),
        (np.full((2, 3), np.nan), "not finite"),
    ],
    ids=["size", "one vector", "NaN"],
)
def test_wrong_latent_vectors_are_refused(latent: np.ndarray, message: str) -> None:
    for draw in (build_gan().generate, build_vae(latent_size=3).decode):
        with pytest.raises(LatentError, match=message):
            draw(latent)


def test_wrong_images_are_refused() -> None:
    vae = build_vae()
    for method in (vae.encode, vae.reconstruct):
        with pytest.raises(ImageError, match="expected float32"):
            method(np.zeros((2, *IMAGE), np.uint8))
    with pytest.raises(ImageError, match="grey pixels"):
        vae.log_weights(uniform_images(2), samples=3, seed=0)
