"""The study of stacked digits, on the digits that scikit-learn ships and in a few steps."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data
from helpers.scorecard import Scorer
from studies import stacked_digits as study

SMALL = {"SCORED": 200, "GENERATOR_WIDTHS": (8,), "DISCRIMINATOR_WIDTHS": (8,), "STEPS_PER_PART": 2}
METHODS = {"plain GAN": {}, "PacGAN2": {"packed": 2}, "stabilised GAN": {"stabilised": True}}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_PROFILE", "quick")
    monkeypatch.setenv("BOOK_SEED", "0")
    for name, value in SMALL.items():
        monkeypatch.setattr(study, name, value)
    for label, run in study.RUNS.items():
        small = {} if "triples" in run else {"steps": 4, "batch_size": 16}
        monkeypatch.setitem(study.RUNS, label, run | small)


# The runs


def test_methods_differ_in_nothing_but_the_method_and_its_steps() -> None:
    for label, run in METHODS.items():
        found = study.RUNS[label]
        assert {name: value for name, value in found.items() if name not in ("steps", "seeds")} == run
        assert set(found) <= {"seeds", *study.DEFAULTS, "steps"}


@pytest.mark.parametrize("packed", [1, 2])
def test_shared_weights_treat_all_digits_alike(packed: int) -> None:
    """Moving a digit to another channel moves what is made of it, and nothing else."""
    generator, discriminator = study.build_generator(True), study.build_discriminator(packed, True)
    codes = tf.random.stateless_normal((2, 3, study.CODE_SIZE), (1, 2))
    draw = keras.Sequential(generator.layers[4:])  # after the codes
    assert draw(codes[:, ::-1]).numpy() == pytest.approx(draw(codes).numpy()[..., ::-1], abs=1e-5)
    assert generator.output_shape[1:] == (28, 28, 3)
    look = keras.Model(discriminator.inputs, discriminator.layers[5].output)
    stacks = tf.random.stateless_uniform((2, 28, 28, 3 * packed), (1, 2))
    assert look(stacks[..., ::-1]).numpy() == pytest.approx(look(stacks).numpy()[:, ::-1], abs=1e-4)


def test_states_divide_the_steps_of_each_run() -> None:
    assert all(run.get("steps", 0) % study.STEPS_PER_PART == 0 for run in study.RUNS.values())


# Real stacks


def test_stacks_are_three_digits_drawn_each_on_its_own(digits: data.Digits) -> None:
    stacks, shown = study.stack_digits(digits.test, 1_000, 3_000, seed=1)
    assert stacks.shape == (3_000, 28, 28, 3)
    assert shown.shape == (3_000, 3)
    every = digits.test.images[..., 0]
    for stack, labels in zip(stacks[:5], shown, strict=False):
        for channel in range(3):
            (found,) = np.flatnonzero((every == stack[..., channel]).all(axis=(1, 2)))[:1]
            assert digits.test.labels[found] == labels[channel]
    assert np.corrcoef(shown.T)[np.triu_indices(3, 1)] == pytest.approx(np.zeros(3), abs=0.08)


@pytest.mark.parametrize("triples", [1, 100])
def test_so_many_triples_are_equally_likely(triples: int, digits: data.Digits) -> None:
    _, shown = study.stack_digits(digits.test, triples, 10_000, seed=1)
    counts = study.count_triples(shown)
    assert np.sum(counts > 0) == triples
    assert np.abs(counts[counts > 0] - 10_000 / triples).max() < 5 * (10_000 / triples) ** 0.5


@pytest.mark.parametrize("triples", [100, 1_000])
def test_stacks_follow_from_the_seed(triples: int, digits: data.Digits) -> None:
    first, again, other = (study.stack_digits(digits.test, triples, 50, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_training_stacks_are_training_digits(digits: data.Digits, tiny: None) -> None:
    gan = study.build_gan(digits.train.images, study.DEFAULTS | study.RUNS["plain GAN"], seed=3)
    real, latent = gan.draw(tf.constant(7))
    assert real.shape == (16, 28, 28, 3)
    assert latent.shape == (16, study.LATENT_SIZE)
    every = {image.tobytes() for image in digits.train.images}
    assert {real[row, ..., channel].numpy().tobytes() for row in range(16) for channel in range(3)} <= every
    assert not np.array_equal(real, gan.draw(tf.constant(8))[0])


# Counting


def test_triples_are_counted_by_their_digits() -> None:
    counts = study.count_triples(np.array([[0, 0, 7], [9, 9, 9], [0, 0, 7]]))
    assert counts.shape == (1_000,)
    assert (counts[7], counts[999], counts.sum()) == (2, 1, 3)


def test_dependence_is_what_single_digits_do_not_explain() -> None:
    uneven = np.arange(1, 11)
    apart = np.einsum("a,b,c->abc", uneven, uneven, np.full(10, 4)).ravel()
    assert study.measure_dependence(apart) == pytest.approx(0.0, abs=1e-9)
    together = np.zeros((10, 10, 10), int)
    together[range(10), range(10), range(10)] = 5  # each digit as likely as another, but three times the same
    assert study.measure_dependence(together.ravel()) == pytest.approx(2.0 * math.log(10.0))


def test_digits_are_read_channel_by_channel(digits: data.Digits, scorer: Scorer) -> None:
    stacks, _ = study.stack_digits(digits.test, 1_000, 40, seed=1)
    read, chances = study.read_stacks(scorer.classifier, stacks)
    for channel in range(3):
        assert np.array_equal(read[:, channel], scorer.classify(stacks[..., [channel]]))
    assert read.shape == chances.shape == (40, 3)
    assert ((chances > 0.1) & (chances <= 1.0)).all()


def test_what_is_read_is_compared_with_what_is_shown(digits: data.Digits, scorer: Scorer) -> None:
    """Of one triple, the others are errors of reading: found modes above one, and reverse KL just under its most."""
    stacks, shown = study.stack_digits(digits.test, 1, 500, seed=1)
    found = study.score(scorer.classifier, stacks, shown)
    assert found["true_modes"] == 1
    assert found["true_reverse_kl"] == pytest.approx(math.log(1_000))
    assert 0.7 < found["read_right"] <= 1.0
    assert found["modes"] - 1 <= 500 * (1 - found["read_right"])
    assert found["reverse_kl"] <= found["true_reverse_kl"]
    wrong = study.score(scorer.classifier, stacks, (shown + 1) % 10)
    assert wrong["read_right"] < 0.1


def test_real_stacks_find_as_many_triples_as_fair_draws_do(digits: data.Digits) -> None:
    """Of 1,000 triples, n draws miss 1,000 (1 - 1/1,000)^n; these digits are nearly as likely as one another."""
    for count in (500, 2_000):
        _, shown = study.stack_digits(digits.test, 1_000, count, seed=1)
        found = np.sum(study.count_triples(shown) > 0)
        assert found == pytest.approx(1_000 * (1.0 - 0.999**count), abs=25)


# What is measured


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("label", study.RUNS)
def test_a_run_is_measured(label: str, tmp_path: Path) -> None:
    found = study.measure(label, tmp_path)
    real = "triples" in study.RUNS[label]
    more = {"true_modes", "true_reverse_kl", "read_right"} if real else {"seconds", "parameters"}
    assert set(found) == {f"{name}/{label}" for name in {"modes", "reverse_kl", "dependence", "confident"} | more}
    assert {len(entry) for entry in found.values()} == {3 if "seeds" in study.RUNS[label] else 2}
    assert all(np.isfinite(entry[0]) for entry in found.values())
    assert len(list(tmp_path.glob("*.png"))) == 1
