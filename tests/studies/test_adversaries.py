"""The engine of the studies of modes: losses against formulas, averages, packs, its way back after a stop."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from studies import adversaries, mixtures
from studies.adversaries import Adversaries

METHODS = {"plain GAN": {}, "PacGAN2": {"packed": 2}, "stabilised GAN": {"stabilised": True}}
RING = mixtures.build_ring()


@pytest.fixture(autouse=True)
def eagerly() -> Iterator[None]:
    """Six steps one by one take less time than the graph of a step."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def build_gan(seed: int = 0, **changes: object) -> Adversaries:
    """A GAN of points on the ring, (16, 2), small and for six steps."""
    run = adversaries.DEFAULTS | {"steps": 6, "learning_rate": 3e-3, "batch_size": 16} | changes
    points = tf.constant(mixtures.draw_points(RING, 500, seed))

    def draw(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.random.stateless_uniform((run["batch_size"],), (seed, step), 0, 500, tf.int32)
        return tf.gather(points, chosen), tf.random.stateless_normal((run["batch_size"], 2), (seed, step))

    def build() -> list[keras.Model]:
        return [build_network(2, 2), build_network(2 * run["packed"], 1)]

    return Adversaries(build, draw, run, seed)


def build_network(inputs: int, outputs: int) -> keras.Model:
    hidden = [keras.layers.Dense(32, activation="leaky_relu", kernel_initializer="he_normal") for _ in range(2)]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs)])


def weights(gan: Adversaries) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in gan.variables])


# The losses


def test_pairing_loss_is_its_formula() -> None:
    higher, lower = np.array([[2.0], [-1.0]], np.float32), np.array([[0.5], [3.0]], np.float32)
    expected = np.mean(np.log(1.0 + np.exp(lower - higher)))
    assert float(adversaries.pairing_loss(higher, lower)) == pytest.approx(expected)
    assert float(adversaries.pairing_loss(higher + 7.0, lower + 7.0)) == pytest.approx(expected)  # differences count


@pytest.mark.parametrize("shape", [(2, 4), (2, 2, 2, 1)])
def test_gradient_penalty_is_its_formula(shape: tuple[int, ...]) -> None:
    gradients = tf.reshape(tf.constant([3.0, 0.0, 4.0, 0.0, 0.0, 1.0, 0.0, 0.0]), shape)
    assert float(adversaries.gradient_penalty(gradients)) == pytest.approx((25 + 1) / 4)


def test_penalties_fall_from_the_first_weight_to_the_last() -> None:
    gan = build_gan(steps=100, penalties=(1.0, 1e-4))
    found = [float(gan.penalty_weight(tf.constant(step))) for step in range(0, 101, 10)]
    assert [found[0], found[5], found[-1]] == pytest.approx([1.0, 1e-2, 1e-4])
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("penalised", "step", "times"), [(1, 0, 1), (1, 3, 1), (4, 0, 4), (4, 3, 0), (4, 8, 4)])
def test_penalties_hold_real_and_generated_points_alike(penalised: int, step: int, times: int) -> None:
    """A discriminator w x has the slope w everywhere: at equal logits the loss is log 2 + R1 + R2 = log 2 + |w|^2."""
    gan = build_gan(stabilised=True, penalised=penalised)
    gan.discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    gan.discriminator.set_weights([np.array([[0.6], [-0.8]], np.float32)])
    points = tf.random.stateless_normal((16, 2), (1, 2))
    seen = []
    gan.optimizers[1].apply = lambda slopes, weights: seen.append(slopes[0].numpy().ravel())
    gan._update_discriminator(points, points, tf.constant(step))
    slope = times * 2.0 * np.array([0.6, -0.8])  # of |w|^2; that of the pairing loss is zero
    assert seen[0] == pytest.approx(slope, rel=1e-5, abs=1e-6)


# Training


@pytest.mark.parametrize("method", METHODS)
def test_training_follows_from_the_seed(method: str) -> None:
    first, again, other = (build_gan(seed, **METHODS[method]) for seed in (3, 3, 4))
    begun = weights(first)
    assert not np.array_equal(begun, weights(other))
    first.learn(tf.constant(6))
    for steps in (4, 2):  # in two calls as in one
        again.learn(tf.constant(steps))
    assert np.isfinite(weights(first)).all()
    assert np.array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), begun)


def test_the_graph_learns_what_single_steps_learn() -> None:
    eager, graph = (build_gan(stabilised=True, learning_rate=1e-3) for _ in range(2))
    eager.learn(tf.constant(6))
    tf.config.run_functions_eagerly(False)
    graph.learn(tf.constant(6))
    assert weights(graph) == pytest.approx(weights(eager), rel=1e-3, abs=1e-5)


def test_each_update_moves_its_own_half() -> None:
    gan = build_gan(stabilised=True)
    generator, discriminator = (np.copy(part.get_weights()[-2]) for part in (gan.generator, gan.discriminator))
    real, latent = gan.draw(tf.constant(0))
    gan._update_discriminator(real, gan.generator(latent), tf.constant(0))
    assert np.array_equal(gan.generator.get_weights()[-2], generator)
    assert not np.array_equal(gan.discriminator.get_weights()[-2], discriminator)


def test_the_generator_trains_in_its_training_mode() -> None:
    """Averages of a normalisation move with training, and are what samples are normalised by."""
    gan = build_gan()
    gan.generator = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(momentum=0.0)])
    gan.optimizers[0] = keras.optimizers.Adam(0.0)
    gan.optimizers[0].build(gan.generator.trainable_variables)
    gan.learn(tf.constant(1))
    latent = gan.draw(tf.constant(0))[1].numpy()
    assert gan.sample(latent).mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-5)
    assert gan.sample(latent + 1.0).mean(axis=0) == pytest.approx(1.0 / latent.std(axis=0), rel=0.01)


def test_parameters_are_those_that_training_changes() -> None:
    gan = build_gan()
    assert gan.parameters == 2 * 3 * 32 + 2 * 32 * 33 + 33 * 2 + 33
    gan.generator = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    assert gan.parameters == 3 * 32 + 32 * 33 + 33 + 4


def test_training_goes_on_after_a_stop(tmp_path: Path) -> None:
    straight, stopped, resumed = (build_gan() for _ in range(3))
    looked: list[int] = []
    (tmp_path / "no").mkdir()
    adversaries.train(straight, tmp_path / "no", 2, looked.append)
    assert looked == [2, 4, 6]

    def stop(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adversaries.train(stopped, tmp_path, 2, stop)
    seconds = adversaries.train(resumed, tmp_path, 2, looked.append)
    assert np.array_equal(weights(resumed), weights(straight))
    assert looked == [2, 4, 6] * 2  # what was looked at before the stop is looked at again
    assert len(seconds) == 3
    assert all(second > 0.0 for second in seconds)


def test_states_of_another_run_are_refused(tmp_path: Path) -> None:
    adversaries.train(build_gan(), tmp_path, 6)
    with pytest.raises(ValueError, match="beta_1"):
        adversaries.train(build_gan(beta_1=0.9), tmp_path, 6)


@pytest.mark.parametrize("averaging", [0.9, 0.0])
def test_after_training_the_generator_has_the_average_of_its_weights(averaging: float, tmp_path: Path) -> None:
    gan, watched = (build_gan(averaging=averaging) for _ in range(2))
    adversaries.train(gan, tmp_path, 6)
    average = None
    for _ in range(6):
        watched.learn(tf.constant(1))
        reached = watched.generator.get_weights()[-2]
        average = reached if average is None else averaging * average + (1.0 - averaging) * reached
    assert gan.generator.get_weights()[-2] == pytest.approx(average, rel=1e-5, abs=1e-6)
    assert np.array_equal(average, reached) == (averaging == 0.0)


# Packing


def test_a_pack_is_things_side_by_side_each_used_once() -> None:
    gan = build_gan(packed=2)
    packs = gan.pack(tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])).numpy()
    assert packs.tolist() == [[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]
    images = tf.random.stateless_uniform((4, 28, 28, 3), (1, 2))
    pack = gan.pack(images)
    assert pack.shape == (2, 28, 28, 6)
    assert np.array_equal(pack[1, ..., 3:], images[3])


def find_accuracy(packed: int) -> float:
    """How often a trained discriminator is right about points that agree in pairs on a mode, against real ones."""
    tf.config.run_functions_eagerly(False)
    gan = build_gan(packed=packed, steps=150, batch_size=256)

    def draw(step: int) -> tuple[tf.Tensor, tf.Tensor]:
        rng = np.random.default_rng((5, step))
        modes = rng.integers(8, size=(2, 512))
        modes[1, 256:] = modes[1, :256]
        points = RING.centers[modes] + RING.sigma * rng.standard_normal((2, 512, 2))
        return tuple(gan.pack(tf.constant(one, tf.float32)) for one in points)

    update = tf.function(gan._update_discriminator)
    for step in range(gan.run["steps"]):
        update(*draw(step), tf.constant(step))
    real, fake = (gan.discriminator(packs).numpy() for packs in draw(10_000))
    return float(np.mean(real > 0.0) + np.mean(fake < 0.0)) / 2


def test_a_packed_discriminator_sees_what_a_plain_one_cannot() -> None:
    """Each point alone is as likely as a real one; that the two of a pack agree is seen in packs only."""
    assert find_accuracy(packed=1) < 0.6
    assert find_accuracy(packed=2) > 0.8


# What is told


def test_means_have_an_error_where_one_run_gives_several_scores() -> None:
    units = {"modes": "modes"}
    assert adversaries.summarise([{"modes": 5.0}], units, "GAN") == {"modes/GAN": (5.0, "modes")}
    found = adversaries.summarise([{"modes": 4.0}, {"modes": 6.0}], units, "GAN")
    assert found == {"modes/GAN": (5.0, "modes", pytest.approx(1.0))}


def test_costs_have_an_error_where_one_run_is_all() -> None:
    gan = build_gan()
    assert adversaries.tell_costs(gan, [1.0, 3.0], "GAN", alone=False) == {
        "seconds/GAN": (4.0, "s of one core"),
        "parameters/GAN": (gan.parameters, "parameters"),
    }
    found = adversaries.tell_costs(gan, [1.0, 3.0], "GAN", alone=True)
    assert found["seconds/GAN"] == (4.0, "s of one core", pytest.approx(2.0**0.5))
    assert found["parameters/GAN"][2] == 0.0


def test_a_picture_is_named_after_its_run() -> None:
    assert adversaries.name_picture("plain GAN, grid, 400,000 steps") == "plain_gan_grid_400_000_steps.png"
