"""The study of modes: its runs, its networks, what is measured, a break seen."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.book import records
from studies import adversaries, mixtures, modes_trials
from studies import modes as study
from tools.notebook_files import ROOT

METHODS = {"plain GAN": {}, "PacGAN2": {"packed": 2}, "stabilised GAN": {"stabilised": True}}
TUNED = {"learning_rate", "steps"}
RECORD = ROOT / "results" / "full" / "modes_trials.json"
RING = mixtures.build_ring()


def settings(**changes: object) -> dict:
    return study.DEFAULTS | {"mixture": "ring", "batch_size": 16, "steps": 6} | changes


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "STEPS_PER_PART", 2)
    monkeypatch.setattr(study, "POINTS", 500)


# The runs


def test_every_method_learns_every_mixture_and_differs_in_nothing_more() -> None:
    for method, changes in METHODS.items():
        for mixture in study.MIXTURES:
            run = study.RUNS[f"{method}, {mixture}"]
            assert {name: run[name] for name in run if name not in TUNED} == {"mixture": mixture} | changes
            assert f"real data, {mixture}" in study.RUNS


def test_every_method_had_the_same_trials() -> None:
    rates = {run["learning_rate"] for run in modes_trials.RUNS.values()}
    for method, changes in METHODS.items():
        runs = [modes_trials.RUNS[f"{method}, {rate}"] for rate in rates]
        assert len({run["steps"] for run in runs}) == 1
        assert all({name: run[name] for name in run if name not in TUNED} == changes for run in runs)
        assert study.RUNS[f"{method}, grid"].get("learning_rate", study.DEFAULTS["learning_rate"]) in rates
    assert len(modes_trials.RUNS) == len(rates) * len(METHODS)


@pytest.mark.skipif(not RECORD.exists(), reason="the trials have not been measured yet")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_best_rate_of_its_trials(method: str) -> None:
    trials = records.load("modes_trials")

    def miss(label: str) -> float:
        return trials.get(f"reverse_kl/{label}")["value"] + 1.0 - trials.get(f"high_quality/{label}")["value"]

    best = min((label for label in modes_trials.RUNS if label.startswith(method)), key=miss)
    for mixture in study.MIXTURES:
        run = study.DEFAULTS | study.RUNS[f"{method}, {mixture}"]
        assert run["learning_rate"] == modes_trials.RUNS[best]["learning_rate"]


def test_trials_are_on_seeds_that_the_study_leaves_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seeds = []
    monkeypatch.setattr(study, "measure_run", lambda run, label, folder, seed: seeds.append(seed))
    for seed in range(modes_trials.SEEDS):
        monkeypatch.setenv("BOOK_SEED", str(seed))
        modes_trials.measure("plain GAN, 0.003", tmp_path)
    assert len(set(seeds)) == modes_trials.SEEDS
    assert min(seeds) >= study.SEEDS


def test_runs_name_known_settings_only() -> None:
    for run in (*study.RUNS.values(), *modes_trials.RUNS.values()):
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


# What is learnt from, and by what


def test_points_and_noise_follow_from_seed_and_step(short: None) -> None:
    first, again, other = (study.build_gan(settings(), seed) for seed in (3, 3, 4))
    real, latent = first.draw(tf.constant(5))
    assert real.shape == latent.shape == (16, 2)
    for one, same, of_seed, of_step in zip(
        *(gan.draw(tf.constant(5)) for gan in (first, again, other)), first.draw(tf.constant(6)), strict=True
    ):
        assert np.array_equal(one, same)
        assert not np.array_equal(one, of_seed)
        assert not np.array_equal(one, of_step)


def test_points_are_learnt_from_at_one_scale(short: None) -> None:
    """On the grid the coordinates are 8 on average of squares; the networks see 1, and samples are scaled back."""
    gan = study.build_gan(settings(mixture="grid", batch_size=5_000), seed=0)
    assert np.mean(np.square(gan.draw(tf.constant(0))[0])) == pytest.approx(1.0, rel=0.1)
    gan.sample = lambda latent: latent
    assert np.std(study.sample(gan, 5_000, seed=1)) == pytest.approx(8**0.5, rel=0.05)


def test_the_generator_jumps_from_the_start() -> None:
    """Along a line most latent points hardly move the sample, and a few move it far."""
    keras.utils.set_random_seed(0)
    line = np.stack([np.linspace(-2.0, 2.0, 4_001), np.zeros(4_001)], axis=1).astype(np.float32)
    moves = np.linalg.norm(np.diff(study.build_generator()(line).numpy(), axis=0), axis=1)
    assert moves.max() > 20 * np.median(moves)


def test_maxout_is_the_largest_of_five() -> None:
    network = study.build_pacgan_discriminator(1)
    points = tf.random.stateless_normal((7, 2), (1, 2))
    linear = network.layers[0](points).numpy()  # (7, 1000)
    found = keras.Model(network.inputs, network.layers[3].output)(points).numpy()
    assert np.array_equal(found, linear.reshape(7, 200, 5).max(axis=2))


def test_networks_of_pacgan_are_the_published_ones() -> None:
    """Four layers of 400 without bias but with the two weights of a normalisation each; maxout of 3 x 200 x 5."""
    generator, discriminator = study.build_pacgan_generator(), study.build_pacgan_discriminator(2)
    trained = sum(int(np.prod(weight.shape)) for weight in generator.trainable_weights)
    assert trained == 2 * 400 + 3 * 400**2 + 4 * 2 * 400 + 2 * 400 + 2
    assert discriminator.count_params() == 5 * 1_000 + 2 * 201 * 1_000 + 201


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


@pytest.mark.parametrize(
    "label", ["PacGAN2, grid", "PacGAN2, grid, networks of the paper", "plain GAN, grid, 400,000 steps"]
)
def test_a_run_is_measured(label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: None) -> None:
    looked = (4,) if "looked_at" in study.RUNS[label] else ()
    run = study.RUNS[label] | {"batch_size": 16, "steps": 6, "looked_at": looked}
    monkeypatch.setattr(study, "RUNS", {label: run})
    found = study.measure(label, tmp_path)
    ends = [label, *(f"{label}, step {step}" for step in looked)]
    measures = {f"{name}/{end}" for end in ends for name in mixtures.ModeScore._fields}
    assert set(found) == measures | {f"seconds/{label}", f"parameters/{label}"}
    assert all(np.isfinite(entry[0]) for entry in found.values())
    assert {len(entry) for entry in found.values()} == {
        3 if "seeds" in run else 2
    }  # with an error where one seed is all
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


def learn_and_sample(gan: adversaries.Adversaries) -> np.ndarray:
    gan.learn(tf.constant(gan.run["steps"]))
    return study.sample(gan, study.SCORED, seed=1)
