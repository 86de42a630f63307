"""Flow matching: the loss by hand, exact flows of a Gaussian, seeds, saving, what is refused, and numbers that end."""

import itertools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, flow, models, networks, seeded, training
from helpers.checks import ImageError, LabelError, LatentError, check_images

IMAGES = np.random.default_rng(0).random((10, 28, 28, 1), dtype=np.float32)
LABELS = np.arange(10)
MEAN, DEVIATION = 0.5, 0.2  # of the data in one dimension, where the noise is standard normal
RECIPE = {"batch_size": 32, "learning_rate": 3e-3, "steps_per_epoch": 5, "epochs": 4}


def build(classes: int = 0, seed: int = 0, width: int = 16) -> flow.FlowMatching:
    keras.utils.set_random_seed(0)
    network = networks.build_dense_flow(2 * flow.TIME_WAVES + classes, width, blocks=1)
    model = flow.FlowMatching(network, seed, classes)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def given(classes: int) -> tuple[np.ndarray, ...]:
    return (IMAGES, LABELS) if classes else (IMAGES,)


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def bend(state: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
    """The exact velocity that carries standard normal noise to N(MEAN, DEVIATION^2), in closed form."""
    variance = (1.0 - time) ** 2 + (time * DEVIATION) ** 2
    slope = (time * DEVIATION**2 - (1.0 - time)) / variance
    return MEAN + slope * (state - time * MEAN)


def follow(method: Callable, points: np.ndarray, steps: int) -> np.ndarray:
    return tf.function(lambda state: method(bend, state, steps))(tf.constant(points)).numpy()


# The parts by hand


def test_time_is_told_by_waves() -> None:
    told = flow.describe_time(tf.constant([[0.0], [0.5]])).numpy()
    assert told.shape == (2, 12)
    np.testing.assert_allclose(told[0], [1.0] * 6 + [0.0] * 6, atol=1e-6)
    np.testing.assert_allclose(told[1], [0.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], atol=1e-5)


def test_the_loss_by_hand() -> None:
    guess, target, time = tf.constant([[0.5], [0.8]]), tf.constant([[1.0], [1.0]]), tf.constant([[0.5], [0.999]])
    expected = ((0.5 / 0.5) ** 2 + (0.2 / 0.05) ** 2) / 2
    assert float(flow.flow_loss(guess, target, time)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_that_of_the_velocity_along_the_line() -> None:
    noise, target, time = tf.constant([[-1.0]]), tf.constant([[0.6]]), tf.constant([[0.25]])
    state, guess = (1 - time) * noise + time * target, tf.constant([[0.1]])
    error = (guess - state) / (1 - time) - (target - noise)
    assert float(flow.flow_loss(guess, target, time)) == pytest.approx(float(error[0, 0]) ** 2, rel=1e-5)


def test_the_exact_velocity_is_the_mean_of_the_lines_that_pass() -> None:
    rng = np.random.default_rng(0)
    noise, ends = rng.standard_normal(400_000), MEAN + DEVIATION * rng.standard_normal(400_000)
    for time, place in itertools.product((0.2, 0.7), (-0.3, 0.4)):
        near = np.abs((1 - time) * noise + time * ends - place) < 0.02
        mean = np.mean((ends - noise)[near])
        error = np.std((ends - noise)[near]) / np.sqrt(near.sum())
        assert abs(float(bend(place, time)) - mean) < 4 * error + 0.02


# The solvers


@pytest.mark.parametrize(("method", "order", "steps"), [(flow.follow_euler, 1, 100), (flow.follow_heun, 2, 50)])
def test_solvers_reach_the_data_and_err_less_by_their_order(method: Callable, order: int, steps: int) -> None:
    noise = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    exact = MEAN + DEVIATION * noise
    few, many = (np.abs(follow(method, noise, count) - exact).max() for count in (steps, 2 * steps))
    assert many < 0.01
    assert few / many > 0.75 * 2**order


def test_one_step_is_the_step_of_the_first_velocity() -> None:
    noise = np.array([[-1.0], [2.0]], np.float32)
    for method in (flow.follow_euler, flow.follow_heun):
        np.testing.assert_allclose(follow(method, noise, 1), noise + bend(noise, 0.0), rtol=1e-6)


def test_heun_asks_for_two_velocities_a_step_and_one_in_the_last() -> None:
    asked: list[float] = []

    def velocity(state: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        asked.append(float(time))
        return tf.zeros_like(state)

    flow.follow_heun(velocity, tf.zeros((1, 1)), 3)  # outside of a graph
    np.testing.assert_allclose(asked, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3], atol=1e-6)
    asked.clear()
    flow.follow_euler(velocity, tf.zeros((1, 1)), 4)
    np.testing.assert_allclose(asked, [0, 0.25, 0.5, 0.75])


# The model


def test_layers_that_training_disturbs_are_at_rest_in_what_a_flow_answers() -> None:
    """With dropout no two answers to one question would be the same."""
    inner = networks.build_dense_flow(width=4, blocks=1)
    told = keras.Input(inner.input_shape[1:])
    model = flow.FlowMatching(keras.Model(told, keras.layers.Dropout(0.5)(inner(keras.layers.Dropout(0.5)(told)))))
    latent = models.draw_latent(4, model.latent_size, seed=0)
    for answer in (lambda: model.generate(latent, steps=2), lambda: np.asarray(model(latent))):
        np.testing.assert_array_equal(answer(), answer())


def test_the_loss_of_the_model_by_hand() -> None:
    model = build()
    for weights in model.network.trainable_variables:
        weights.assign(tf.zeros_like(weights))  # it guesses grey, 0, everywhere
    drawn = model.draw_noise((10, 785), 7).numpy()
    left = np.maximum(1 - 1 / (1 + np.exp(-drawn[:, :1])), 0.05)
    expected = np.mean(((2 * IMAGES.reshape(10, 784) - 1) / left) ** 2)
    assert float(model.find_loss(tf.constant(IMAGES), None, 7, training=False)) == pytest.approx(expected, rel=1e-5)


def test_the_network_is_told_state_time_and_label() -> None:
    model, seen = build(classes=10), []
    model.network = lambda told, training: seen.append(told.numpy()) or told[:, :784]
    state, time = tf.random.stateless_normal((2, 784), (0, 0)), tf.constant([[0.0], [0.5]])
    model.guess_end(state, time, tf.constant([3, 0]), training=False)
    np.testing.assert_array_equal(seen[0][:, :784], time * state)
    np.testing.assert_allclose(seen[0][:, 784:796], flow.describe_time(time))
    np.testing.assert_array_equal(seen[0][:, 796:], flow.LOUDNESS * np.eye(10)[[3, 0]])


def test_one_step_gives_the_guess_from_noise() -> None:
    model, latent = build(), models.draw_latent(3, 784, seed=1)
    guess = model.guess_end(tf.constant(latent), tf.zeros((3, 1)), None, training=False).numpy()
    images = model.generate(latent, steps=1)
    np.testing.assert_allclose(images.reshape(3, 784), (guess + 1) / 2, atol=1e-5)
    np.testing.assert_allclose(images[0], images[1], atol=1e-6)  # noise says nothing of its line's end


@pytest.mark.parametrize("heun", [False, True])
def test_the_last_step_ends_at_a_guess(heun: bool) -> None:
    model = build()
    for weights in model.network.trainable_variables:  # a guess that knows nothing, and is not zero
        weights.assign(tf.zeros_like(weights) if weights.ndim == 2 else tf.linspace(-1.0, 1.0, weights.shape[0]))
    images = model.generate(models.draw_latent(4, 784, seed=1), steps=5, heun=heun)
    np.testing.assert_allclose(images, np.broadcast_to(images[:1], images.shape), atol=1e-5)


def test_images_depend_on_the_seed_alone() -> None:
    model = build()
    np.testing.assert_array_equal(model.sample(3, seed=1), build(seed=5).sample(3, seed=1))
    assert not np.array_equal(model.sample(3, seed=1), model.sample(3, seed=2))


@pytest.mark.parametrize("classes", [0, 10])
def test_training_depends_on_seed_and_step_alone(classes: int) -> None:
    one, same, other = build(classes), build(classes), build(classes, seed=1)
    for model in (one, same, other):
        model.fit(*given(classes), batch_size=5, epochs=2, shuffle=False, verbose=0)
    assert same_weights(one, same)
    assert not same_weights(one, other)
    losses = [float(one.find_loss(tf.constant(IMAGES), LABELS, step, training=False)) for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_held_out_images_have_one_draw_of_noise() -> None:
    model = build()
    found = model.evaluate(IMAGES, verbose=0, return_dict=True)
    expected = float(model.find_loss(tf.constant(IMAGES), None, seeded.HELD_OUT_STEP, training=False))
    assert found == pytest.approx({"loss": expected}, rel=1e-5)


@pytest.mark.parametrize("classes", [0, 10])
def test_predict_is_generate(classes: int) -> None:
    model, latent = build(classes), models.draw_latent(10, 784, seed=1)
    inputs = [latent, LABELS] if classes else latent
    expected = model.generate(latent, LABELS if classes else None)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, atol=1e-5)


def test_labels_change_the_image_and_take_turns() -> None:
    model, latent = build(10), np.repeat(models.draw_latent(1, 784, seed=1), 12, axis=0)
    images = model.generate(latent)
    assert not np.array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[:2], images[10:])
    np.testing.assert_array_equal(images, model.generate(latent, [*range(10), 0, 1]))


def test_any_number_of_steps_is_one_graph() -> None:
    model, latent = build(), models.draw_latent(2, 784, seed=1)
    for steps in (1, 3, np.int64(7)):
        model.generate(latent, steps=steps)
    assert model._follow.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("classes", [0, 10])
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(classes: int, tmp_path: Path) -> None:
    model = build(classes, seed=3)
    model.compile(training.build_optimizer(1e-2, 10))
    model.fit(*given(classes), batch_size=5, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (type(loaded), loaded.seed, loaded.classes) == (flow.FlowMatching, 3, classes)
    np.testing.assert_array_equal(loaded.sample(3, seed=1), model.sample(3, seed=1))
    for one in (model, loaded):
        one.fit(*given(classes), batch_size=5, shuffle=False, verbose=0)
    assert same_weights(model, loaded)
    assert int(loaded.optimizer.iterations) == 4


# What is refused


@pytest.mark.parametrize("latent", [np.zeros((2, 783)), np.zeros((2, 28, 28, 1)), np.full((2, 784), np.nan)], ids=str)
def test_bad_latent_vectors_are_refused(latent: np.ndarray) -> None:
    with pytest.raises(LatentError):
        build().generate(latent)


@pytest.mark.parametrize("labels", [[3, 10], [-1, 3], [3], [[3], [3]], [0.5, 3.0]], ids=str)
def test_bad_labels_are_refused(labels: list) -> None:
    with pytest.raises(LabelError, match="expected 2 whole numbers"):
        build(10).generate(models.draw_latent(2, 784, seed=1), labels)


def test_labels_that_nobody_asked_for_are_refused() -> None:
    with pytest.raises(LabelError, match="build it with classes=10"):
        build().generate(models.draw_latent(2, 784, seed=1), [3, 4])


@pytest.mark.parametrize("steps", [0, -1, 2.5, "20"])
def test_steps_that_are_none_are_refused(steps: object) -> None:
    with pytest.raises(flow.StepError, match="expected a whole number, 1 or more"):
        build().generate(models.draw_latent(2, 784, seed=1), steps=steps)


@pytest.mark.parametrize(
    ("classes", "wrong", "error"),
    [
        (0, (IMAGES, LABELS), LabelError),
        (0, (IMAGES[..., 0],), ImageError),
        (0, (IMAGES.reshape(10, 784),), ImageError),
        (0, ((255 * IMAGES).astype(np.uint8),), ImageError),
        (10, (IMAGES,), LabelError),
        (10, (IMAGES, LABELS + 1), LabelError),
    ],
)
def test_data_of_another_kind_are_refused_before_training(classes: int, wrong: tuple, error: type[Exception]) -> None:
    model = build(classes)
    with pytest.raises(error):
        model.fit(*wrong, verbose=0)
    assert same_weights(model, build(classes))


# Training


@pytest.mark.parametrize("classes", [0, 10])
def test_a_few_steps_lower_the_loss_on_images_held_out(classes: int, digits: data.Digits) -> None:
    model = build(classes, width=64)
    held_out = digits.validation.images, digits.validation.labels if classes else None
    before = model.evaluate(*held_out, verbose=0)
    history = training.train_flow(model, digits, **RECIPE)
    assert len(history["loss"]) == 4
    assert model.evaluate(*held_out, verbose=0) < 0.8 * before


def test_images_held_out_are_not_trained_on(digits: data.Digits) -> None:
    with pytest.raises(data.LeakError):
        training.train_flow(build(), digits._replace(train=digits.test), **RECIPE)


def test_it_learns_the_one_image_that_there_is() -> None:
    model, image = build(width=32), np.round(IMAGES[:1])
    image = np.repeat(np.repeat(image[:, ::4, ::4], 4, axis=1), 4, axis=2)  # blocks, which half the size can show
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(np.repeat(image, 100, axis=0), batch_size=20, epochs=20, verbose=0)
    errors = np.abs(model.sample(20, seed=1) - image).mean(axis=(1, 2, 3))
    assert errors.max() < 0.1


@pytest.mark.parametrize(
    ("count", "scale", "steps", "heun"),
    [(2_000, 1.0, 20, False), (200, 1e3, 1, False), (200, 1e3, 50, False), (200, 1e3, 20, True)],
)
def test_samples_are_finite_whatever_the_weights(count: int, scale: float, steps: int, heun: bool) -> None:
    model = build()
    model.network.set_weights([scale * weight for weight in model.network.get_weights()])
    images = model.generate(models.draw_latent(count, 784, seed=1), steps=steps, heun=heun)
    assert images.shape == (count, 28, 28, 1)
    assert np.isfinite(images).all()
    check_images(images)  # within [0, 1], to the last bit
