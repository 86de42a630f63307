"""Each loss against its definition: closed forms, scipy, Monte Carlo; and each check against a broken loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, optimize, stats
from scipy.special import expit

from helpers import losses
from helpers.arguments import ArgumentError

DRAWS = 200_000
PIXELS = 28 * 28


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20140612)


def assert_mean(draws: np.ndarray, expected: np.ndarray) -> None:
    """Each column's mean lies within five standard errors of what is expected."""
    standard_errors = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert np.all(standard_errors > 0.0)
    assert np.all(np.abs(draws.mean(axis=0) - expected) < 5.0 * standard_errors)


# The KL divergence


def test_kl_is_its_definition_by_monte_carlo() -> None:
    mean = np.array([[0.0, 1.5, -2.0], [0.3, 0.0, 0.1]], np.float32)
    log_variance = np.array([[0.0, -3.0, 1.0], [-0.5, 2.0, 0.0]], np.float32)
    spread = np.exp(0.5 * log_variance)
    values = mean + spread * np.random.default_rng(1).standard_normal((DRAWS, *mean.shape))
    log_ratios = stats.norm.logpdf(values, mean, spread) - stats.norm.logpdf(values)
    assert_mean(log_ratios.sum(axis=-1), losses.kl_to_standard_normal(mean, log_variance).numpy())


def test_kl_is_its_definition_by_integration() -> None:
    mean, log_variance = 1.2, -0.7
    q = stats.norm(mean, np.exp(0.5 * log_variance))
    integral = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), -10, 10)[0]
    found = losses.kl_to_standard_normal(np.full((1, 4), mean, np.float32), np.full((1, 4), log_variance, np.float32))
    np.testing.assert_allclose(found, [4 * integral], rtol=1e-5)  # four independent latents cost four times as much


def test_kl_is_least_at_the_prior(rng: np.random.Generator) -> None:
    around = rng.normal(scale=0.1, size=(100, 2, 5)).astype(np.float32)
    assert losses.kl_to_standard_normal(np.zeros((1, 5)), np.zeros((1, 5))).numpy() == [0.0]
    assert np.all(losses.kl_to_standard_normal(around[:, 0], around[:, 1]) > 0.0)


# The likelihood of pixels


def test_likelihood_is_scipys() -> None:
    rng = np.random.default_rng(2)
    images = (rng.random((5, 28, 28, 1)) < 0.3).astype(np.float32)
    logits = rng.normal(scale=2.0, size=images.shape).astype(np.float32)
    expected = stats.bernoulli.logpmf(images, expit(logits.astype(np.float64))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.bernoulli_log_likelihood(images, logits), expected, rtol=1e-5)


def test_likelihood_is_summed_over_pixels() -> None:
    images = np.ones((3, 28, 28, 1), np.float32)
    expected = np.full(3, -PIXELS * np.log(2.0))  # a fair coin a pixel: log 2 nats each, summed
    np.testing.assert_allclose(losses.bernoulli_log_likelihood(images, tf.zeros_like(images)), expected, rtol=1e-5)


def test_likelihood_of_grey_pixels_is_the_mean_over_their_draws(rng: np.random.Generator) -> None:
    grey = rng.random((1, 4, 4, 1)).astype(np.float32)
    logits = rng.normal(size=grey.shape).astype(np.float32)
    draws = (rng.random((20_000, 4, 4, 1)) < grey).astype(np.float32)
    values = losses.bernoulli_log_likelihood(draws, np.broadcast_to(logits, draws.shape)).numpy()
    assert_mean(values[:, None], losses.bernoulli_log_likelihood(grey, logits).numpy())


def test_probabilities_of_all_images_add_up_to_one(rng: np.random.Generator) -> None:
    images = np.array(list(np.ndindex((2,) * 6)), np.float32).reshape(64, 2, 3, 1)
    logits = np.broadcast_to(rng.normal(size=(1, 2, 3, 1)).astype(np.float32), images.shape)
    assert np.exp(losses.bernoulli_log_likelihood(images, logits)).sum() == pytest.approx(1.0, rel=1e-5)


# The normal density


def test_normal_density_is_scipys(rng: np.random.Generator) -> None:
    values, mean, log_variance = rng.normal(size=(3, 6, 4)).astype(np.float32)
    found = losses.normal_log_density(values, mean, log_variance)
    for row in range(6):
        expected = stats.multivariate_normal(mean[row], np.diag(np.exp(log_variance[row]))).logpdf(values[row])
        assert found[row].numpy() == pytest.approx(expected, rel=1e-5)


def test_normal_density_broadcasts_draws_against_examples(rng: np.random.Generator) -> None:
    values = rng.normal(size=(7, 3, 2)).astype(np.float32)
    mean, log_variance = rng.normal(size=(2, 3, 2)).astype(np.float32)
    expected = stats.norm.logpdf(values, mean, np.exp(0.5 * log_variance)).sum(axis=-1)
    np.testing.assert_allclose(losses.normal_log_density(values, mean, log_variance), expected, rtol=1e-4)


# The reparameterisation


def test_draws_have_the_mean_and_variance_asked_for() -> None:
    mean, log_variance = np.array([[1.0, -2.0]], np.float32), np.array([[0.5, -3.0]], np.float32)
    noise = np.random.default_rng(3).standard_normal((DRAWS, 1, 2)).astype(np.float32)
    draws = losses.reparameterise(mean, log_variance, noise).numpy()[:, 0].astype(np.float64)
    assert_mean(draws, mean[0])
    assert_mean(np.square(draws - mean[0]), np.exp(log_variance[0]))


def test_gradients_reach_mean_and_variance() -> None:
    mean, log_variance = tf.constant([[1.0, -2.0]]), tf.constant([[0.5, -3.0]])
    noise = tf.constant([[0.8, -1.1]])
    with tf.GradientTape() as tape:
        tape.watch((mean, log_variance))
        draws = losses.reparameterise(mean, log_variance, noise)
    by_mean, by_log_variance = tape.gradient(draws, (mean, log_variance), unconnected_gradients="zero")
    np.testing.assert_allclose(by_mean, [[1.0, 1.0]])
    np.testing.assert_allclose(by_log_variance, 0.5 * np.exp([[0.25, -1.5]]) * noise.numpy(), rtol=1e-5)


# The two players' losses


def test_discriminator_loss_is_the_printed_formula() -> None:
    rng = np.random.default_rng(4)
    real, fake = rng.normal(1.0, size=(50, 1)), rng.normal(-0.5, size=(50, 1))
    expected = -np.log(expit(real)).mean() - np.log(1.0 - expit(fake)).mean()
    assert float(losses.discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-6)


def test_best_discriminator_is_the_share_of_data() -> None:
    """Minimised numerically over three points, the loss gives D = p_data / (p_data + p_generator)."""
    real, fake = [0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 2, 2]  # which point each example of a batch is
    p_data, p_generator = np.bincount(real) / 6, np.bincount(fake) / 6

    def loss(logits: np.ndarray) -> float:
        return float(losses.discriminator_loss(logits[real], logits[fake]))

    best = optimize.minimize(loss, np.array([0.5, -0.5, 0.2]), method="Nelder-Mead", options={"xatol": 1e-5})
    np.testing.assert_allclose(expit(best.x), p_data / (p_data + p_generator), atol=1e-3)


def test_generator_loss_is_the_printed_formula() -> None:
    fake = np.random.default_rng(5).normal(size=(50, 1))
    assert float(losses.generator_loss(fake)) == pytest.approx(-np.log(expit(fake)).mean(), rel=1e-6)


def test_losses_of_a_discriminator_that_cannot_tell() -> None:
    undecided = np.zeros((8, 1))
    assert float(losses.discriminator_loss(undecided, undecided)) == pytest.approx(2.0 * np.log(2.0))
    assert float(losses.generator_loss(undecided)) == pytest.approx(np.log(2.0))


def test_losses_of_the_players_are_means_over_the_batch(rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(2, 5, 1))
    twice = [np.concatenate([logits, logits]) for logits in (real, fake)]
    assert float(losses.discriminator_loss(*twice)) == pytest.approx(float(losses.discriminator_loss(real, fake)))
    assert float(losses.generator_loss(twice[1])) == pytest.approx(float(losses.generator_loss(fake)))


@pytest.mark.parametrize("logit", [-200.0, 200.0])
@pytest.mark.parametrize(
    ("loss", "cost"),  # the cost of a logit t; both tend to a straight line, with slope 1 or 0
    [
        (lambda logits: losses.discriminator_loss(logits, tf.fill((1, 1), -200.0)), lambda t: max(-t, 0.0)),
        (lambda logits: losses.discriminator_loss(tf.fill((1, 1), 200.0), logits), lambda t: max(t, 0.0)),
        (losses.generator_loss, lambda t: max(-t, 0.0)),
        (lambda logits: -losses.bernoulli_log_likelihood(tf.ones((1, 1, 1, 1)), logits), lambda t: max(-t, 0.0)),
        (lambda logits: -losses.bernoulli_log_likelihood(tf.zeros((1, 1, 1, 1)), logits), lambda t: max(t, 0.0)),
    ],
    ids=["real", "fake", "generator", "ink", "paper"],
)
def test_extreme_logits_have_exact_losses_and_slopes(loss, cost, logit: float) -> None:
    logits = tf.fill((1, 1, 1, 1), logit)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(loss(logits))
    assert float(value) == cost(logit)
    assert tape.gradient(value, logits).numpy().item() == cost(np.sign(logit)) * np.sign(logit)


# The gradient penalty


def test_penalty_of_a_linear_discriminator_is_half_its_squared_weights() -> None:
    linear = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    weights = np.random.default_rng(6).normal(size=(PIXELS, 1)).astype(np.float32)
    linear.layers[-1].set_weights([weights, np.ones(1)])
    images = tf.random.stateless_uniform((3, 28, 28, 1), (0, 0))
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = linear(images)
    penalty = losses.gradient_penalty(tape.gradient(logits, images))
    assert float(penalty) == pytest.approx(0.5 * float(np.sum(np.square(weights))), rel=1e-5)


def test_penalty_is_the_mean_over_the_batch() -> None:
    slopes = np.zeros((2, 28, 28, 1), np.float32)
    slopes[0, 3, 4], slopes[1, 5, 6] = 3.0, 1.0
    assert float(losses.gradient_penalty(slopes)) == pytest.approx(0.5 * (9.0 + 1.0) / 2)


# Each check sees the breakage that it is there for.


@pytest.mark.parametrize(
    ("name", "broken", "check"),
    [
        pytest.param(
            "kl_to_standard_normal",
            lambda right: lambda *args: -right(*args),
            test_kl_is_its_definition_by_monte_carlo,
            id="KL sign",
        ),
        pytest.param(
            "kl_to_standard_normal",
            lambda right: lambda mean, log_variance: right(mean, log_variance) / mean.shape[-1],
            test_kl_is_its_definition_by_integration,
            id="KL mean",
        ),
        pytest.param(
            "bernoulli_log_likelihood",
            lambda right: lambda *args: right(*args) / PIXELS,
            test_likelihood_is_summed_over_pixels,
            id="pixel mean",
        ),
        pytest.param(
            "bernoulli_log_likelihood",
            lambda right: lambda images, logits: right(images, -logits),
            test_likelihood_is_scipys,
            id="ink and paper swapped",
        ),
        pytest.param(
            "reparameterise",
            lambda right: lambda mean, log_variance, noise: right(mean, log_variance, 0.0 * noise),
            test_draws_have_the_mean_and_variance_asked_for,
            id="no noise",
        ),
        pytest.param(
            "reparameterise",
            lambda right: lambda mean, log_variance, noise: right(mean, tf.stop_gradient(log_variance), noise),
            test_gradients_reach_mean_and_variance,
            id="no gradient",
        ),
        pytest.param(
            "discriminator_loss",
            lambda right: lambda real, fake: right(fake, real),
            test_discriminator_loss_is_the_printed_formula,
            id="labels swapped",
        ),
        pytest.param(
            "discriminator_loss",
            lambda right: lambda real, fake: right(fake, real),
            test_best_discriminator_is_the_share_of_data,
            id="labels swapped, by the minimum",
        ),
        pytest.param(
            "generator_loss",
            lambda right: lambda fake: -right(-fake),
            test_generator_loss_is_the_printed_formula,
            id="saturating",
        ),
        pytest.param(
            "gradient_penalty",
            lambda right: lambda slopes: right(slopes) / PIXELS,
            test_penalty_of_a_linear_discriminator_is_half_its_squared_weights,
            id="penalty mean",
        ),
    ],
)
def test_breakage_is_caught(name, broken, check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, name, broken(getattr(losses, name)))
    with pytest.raises(AssertionError):
        check()


def test_rows_of_unequal_length_are_no_tensor() -> None:
    with pytest.raises(ArgumentError, match="expected a tensor"):
        losses.generator_loss(tf.ragged.constant([[1.0], [1.0, 2.0]]))


def test_what_a_graph_does_not_know_yet_is_let_through() -> None:
    loss = tf.function(losses.generator_loss, input_signature=[tf.TensorSpec(None)])
    assert float(loss(tf.zeros((3, 1)))) == pytest.approx(np.log(2), rel=1e-6)


def test_a_batch_that_chance_drew_empty_has_an_answer_for_each() -> None:
    none, images = tf.zeros((0, 8)), tf.zeros((0, 28, 28, 1))
    assert losses.reparameterise(none, none, none).shape == (0, 8)
    assert losses.kl_to_standard_normal(none, none).shape == (0,)
    assert losses.normal_log_density(none, none, none).shape == (0,)
    assert losses.bernoulli_log_likelihood(images, images).shape == (0,)
    with pytest.raises(ArgumentError, match="none 0"):  # a mean over nothing
        losses.generator_loss(tf.zeros((0, 1)))
