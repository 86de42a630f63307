"""The study of modes: its losses against formulas, what packing is for, its way back after a stop, a break seen."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from studies import mixtures
from studies import modes as study

METHODS = {"plain GAN": {}, "PacGAN2": {"packed": 2}, "stabilised GAN": {"stabilised": True}}
RING = mixtures.build_ring()


def settings(**changes: object) -> dict:
    return study.DEFAULTS | {"mixture": "ring", "batch_size": 16, "steps": 6} | changes


def weights(gan: study.PlaneGAN) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in gan.variables])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "STEPS_PER_PART", 2)
    monkeypatch.setattr(study, "POINTS", 500)


# The runs


def test_every_method_learns_every_mixture() -> None:
    for method, changes in METHODS.items():
        for mixture in study.MIXTURES:
            assert study.RUNS[f"{method}, {mixture}"] == {"mixture": mixture} | changes
            assert f"real data, {mixture}" in study.RUNS


def test_runs_name_known_settings_only() -> None:
    for run in study.RUNS.values():
        assert set(run) <= {"mixture", "seeds", *study.DEFAULTS}


def test_the_long_run_has_the_papers_steps_and_batch() -> None:
    """400 epochs of 100,000 points in batches of 100; Adam with 1e-4, kept, and beta_1 of 0.8."""
    run = study.DEFAULTS | study.RUNS["plain GAN, grid, 400,000 steps"]
    assert run["steps"] * run["batch_size"] == 400 * study.POINTS
    assert (run["learning_rate"], run["final_share"], run["beta_1"], run["averaging"]) == (1e-4, 1.0, 0.8, 0.0)
    assert all(step % study.STEPS_PER_PART == 0 for step in run["looked_at"])
    gan = study.build_gan(run, seed=0)
    gan.optimizers[0].iterations.assign(399_999)
    assert float(gan.optimizers[0].learning_rate) == pytest.approx(1e-4)


# The losses


def test_pairing_loss_is_its_formula() -> None:
    higher, lower = np.array([[2.0], [-1.0]], np.float32), np.array([[0.5], [3.0]], np.float32)
    expected = np.mean(np.log(1.0 + np.exp(lower - higher)))
    assert float(study.pairing_loss(higher, lower)) == pytest.approx(expected)
    assert float(study.pairing_loss(higher + 7.0, lower + 7.0)) == pytest.approx(expected)  # only differences count


def test_gradient_penalty_is_its_formula() -> None:
    assert float(study.gradient_penalty(tf.constant([[3.0, 4.0], [0.0, 1.0]]))) == pytest.approx((25 + 1) / 4)


def test_penalties_fall_from_the_first_weight_to_the_last() -> None:
    gan = study.build_gan(settings(stabilised=True, steps=100), seed=0)
    found = [float(gan.penalty_weight(tf.constant(step))) for step in range(0, 101, 10)]
    assert found[0] == pytest.approx(study.PENALTIES[0])
    assert found[5] == pytest.approx(np.sqrt(np.prod(study.PENALTIES)))
    assert found[-1] == pytest.approx(study.PENALTIES[1])
    assert found == sorted(found, reverse=True)


def test_penalties_hold_real_and_generated_points_alike() -> None:
    """A discriminator w x has the slope w everywhere: at equal logits the loss is log 2 + R1 + R2 = log 2 + |w|^2."""
    gan = study.build_gan(settings(stabilised=True), seed=0)
    gan.discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    gan.discriminator.set_weights([np.array([[0.6], [-0.8]], np.float32)])
    points = tf.random.stateless_normal((16, 2), (1, 2))
    seen = []
    gan.optimizers[1].apply = lambda slopes, weights: seen.append(slopes[0].numpy().ravel())
    gan._update_discriminator(points, points, tf.constant(0))
    assert seen[0] == pytest.approx(2.0 * np.array([0.6, -0.8]), rel=1e-5)  # the slope of |w|^2: no other is left


# Training


@pytest.mark.parametrize("method", METHODS)
def test_training_follows_from_the_seed(method: str, short: None) -> None:
    first, again = (study.build_gan(settings(**METHODS[method]), seed=3) for _ in range(2))
    begun = weights(first)
    first.learn(tf.constant(6))
    for steps in (4, 2):  # in two calls as in one
        again.learn(tf.constant(steps))
    assert np.isfinite(weights(first)).all()
    assert np.array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), begun)


def test_seeds_differ_in_weights_points_and_noise(short: None) -> None:
    first, other = (study.build_gan(settings(), seed) for seed in (3, 4))
    assert not np.array_equal(weights(first), weights(other))
    assert not np.array_equal(first.points, other.points)
    for one, another in zip(first._draw(tf.constant(0)), other._draw(tf.constant(0)), strict=True):
        assert not np.array_equal(one, another)
    latents = [first._draw(tf.constant(step))[1] for step in (0, 1)]
    assert not np.array_equal(*latents)


def test_each_update_moves_its_own_half(short: None) -> None:
    gan = study.build_gan(settings(stabilised=True), seed=0)
    generator, discriminator = (np.copy(part.get_weights()[-2]) for part in (gan.generator, gan.discriminator))
    real, latent = gan._draw(tf.constant(0))
    gan._update_discriminator(real, gan.generator(latent), tf.constant(0))
    assert np.array_equal(gan.generator.get_weights()[-2], generator)
    assert not np.array_equal(gan.discriminator.get_weights()[-2], discriminator)


def test_training_goes_on_after_a_stop(tmp_path: Path, short: None) -> None:
    straight, stopped, resumed = (study.build_gan(settings(), seed=0) for _ in range(3))
    looked: list[int] = []
    (tmp_path / "no").mkdir()
    study.train(straight, tmp_path / "no", "code", looked.append)
    assert looked == [2, 4, 6]

    def stop(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.train(stopped, tmp_path, "code", stop)
    seconds = study.train(resumed, tmp_path, "code", looked.append)
    assert np.array_equal(weights(resumed), weights(straight))
    assert looked == [2, 4, 6] * 2  # what was looked at before the stop is looked at again
    assert len(seconds) == 3
    assert all(second > 0.0 for second in seconds)


def test_states_of_other_code_are_left_alone(tmp_path: Path, short: None) -> None:
    first, second = (study.build_gan(settings(), seed) for seed in (0, 1))
    study.train(first, tmp_path, "code", lambda step: None)
    study.train(second, tmp_path, "other", lambda step: None)
    assert not np.array_equal(weights(first), weights(second))


@pytest.mark.parametrize("averaging", [0.9, 0.0])
def test_after_training_the_generator_has_the_average_of_its_weights(
    averaging: float, tmp_path: Path, short: None
) -> None:
    gan, watched = (study.build_gan(settings(averaging=averaging), seed=0) for _ in range(2))
    study.train(gan, tmp_path, "code", lambda step: None)
    average = None
    for _ in range(6):
        watched.learn(tf.constant(1))
        reached = watched.generator.get_weights()[-2]
        average = reached if average is None else averaging * average + (1.0 - averaging) * reached
    assert gan.generator.get_weights()[-2] == pytest.approx(average, rel=1e-5, abs=1e-6)
    assert np.array_equal(average, reached) == (averaging == 0.0)


# Packing


def test_a_pack_is_neighbouring_points() -> None:
    gan = study.build_gan(settings(packed=2), seed=0)
    packs = gan._pack(tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])).numpy()
    assert packs.tolist() == [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    real, latent = gan._draw(tf.constant(0))
    assert real.shape == (8, 4)
    assert latent.shape == (16, 2)


def find_accuracy(packed: int) -> float:
    """How often a trained discriminator is right about points that agree in pairs on a mode, against real ones."""
    gan = study.build_gan(settings(packed=packed, batch_size=256, steps=150), seed=0)

    def draw(step: int) -> tuple[tf.Tensor, tf.Tensor]:
        rng = np.random.default_rng((5, step))
        modes = rng.integers(8, size=(2, 512))
        modes[1, 1::2] = modes[1, ::2]
        points = RING.centers[modes] + RING.sigma * rng.standard_normal((2, 512, 2))
        return tuple(gan._pack(tf.constant(one, tf.float32)) for one in points)

    update = tf.function(gan._update_discriminator)
    for step in range(gan.run["steps"]):
        update(*draw(step), tf.constant(step))
    real, fake = (gan.discriminator(packs).numpy() for packs in draw(10_000))
    return float(np.mean(real > 0.0) + np.mean(fake < 0.0)) / 2


def test_a_packed_discriminator_sees_what_a_plain_one_cannot() -> None:
    """Each point alone is as likely as a real one; that the two of a pack agree is seen in packs only."""
    assert find_accuracy(packed=1) < 0.6
    assert find_accuracy(packed=2) > 0.8


# What is measured


@pytest.mark.parametrize("mixture", study.MIXTURES)
def test_real_data_score_near_the_best(mixture: str, tmp_path: Path) -> None:
    found = study.measure(f"real data, {mixture}", tmp_path)
    value, unit, error = found[f"high_quality/real data, {mixture}"]
    assert (value, unit) == (pytest.approx(0.989, abs=0.003), "share")
    assert 0.0 < error < 0.002
    assert found[f"modes/real data, {mixture}"] == (len(study.MIXTURES[mixture]().centers), "modes", 0.0)
    assert found[f"reverse_kl/real data, {mixture}"][0] < 0.01
    assert [file.name for file in tmp_path.iterdir()] == [f"real_data_{mixture}.png"]


@pytest.mark.parametrize("label", ["PacGAN2, grid", "plain GAN, grid, 400,000 steps"])
def test_a_run_is_measured(label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: None) -> None:
    looked = (4,) if "seeds" in study.RUNS[label] else ()
    run = study.RUNS[label] | {"batch_size": 16, "steps": 6, "looked_at": looked}
    monkeypatch.setattr(study, "RUNS", {label: run})
    found = study.measure(label, tmp_path)
    ends = [label, *(f"{label}, step {step}" for step in looked)]
    measures = {f"{name}/{end}" for end in ends for name in mixtures.ModeScore._fields}
    assert set(found) == measures | {f"seconds/{label}", f"parameters/{label}"}
    assert all(np.isfinite(entry[0]) for entry in found.values())
    assert {len(entry) for entry in found.values()} == ({3} if looked else {2})  # with an error where one seed is all
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_a_discriminator_with_its_labels_exchanged_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand steps are far from enough, but with real and fake exchanged the points do not come near at all."""
    gans = [study.build_gan(settings(stabilised=True, batch_size=128, steps=1_000), seed=0) for _ in range(2)]
    right = gans[1]._update_discriminator
    monkeypatch.setattr(gans[1], "_update_discriminator", lambda real, fake, step: right(fake, real, step))
    good, broken = (mixtures.score_modes(learn_and_sample(gan), RING) for gan in gans)
    assert good.modes == 8
    assert good.high_quality > 0.2 > 10 * broken.high_quality
    assert good.reverse_kl < 0.2 < broken.reverse_kl


def learn_and_sample(gan: study.PlaneGAN) -> np.ndarray:
    gan.learn(tf.constant(gan.run["steps"]))
    return gan.sample(study.SCORED, seed=1)
