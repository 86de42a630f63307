"""Trainings killed at any moment end as if they had not been; keeping them costs little; nothing piles up in memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from helpers import data, flow, models, networks, training
from tests.soaking import Soak
from tests.trainer import SHORT, TRAIN, open_trainer

CALLS = ("write", "fsync", "replace")  # of the system, in a save
WINDOW = 2  # epochs, in each of which a training is killed once: a save in it is known by the one before


@pytest.fixture(scope="module")
def call() -> Iterator[Callable]:
    """What calls a function of tests/trainer.py in a process of its own."""
    with open_trainer() as called:
        yield called


def draw_kills(rng: np.random.Generator, count: int) -> list[dict]:
    """One moment in each window of a training, that of one of them within a save."""
    inside = rng.integers(count)
    kills = []
    for window in range(count):
        if window == inside:
            share, after = rng.random(), bool(rng.integers(2))
            kills.append({"epoch": WINDOW * window + 1, "call": str(rng.choice(CALLS)), "share": share, "after": after})
        else:
            step = SHORT["steps_per_epoch"] * WINDOW * window + rng.integers(SHORT["steps_per_epoch"] * WINDOW)
            kills.append({"step": int(step), "seconds": rng.uniform(0.0, 0.01)})
    return kills


@pytest.mark.soak
def test_a_killed_training_ends_as_if_it_had_not_been(call: Callable, soak: Soak, tmp_path: Path) -> None:
    """By SIGKILL, in the midst of steps and of saves; the next process goes on, and is killed too."""
    trainings, kills_each = soak.choose(1, 10), soak.choose(2, 5)
    assert WINDOW * kills_each < SHORT["epochs"]
    killed = inside = same = 0
    for model in TRAIN:
        straight = call("train", model=model, file=None, kill=None)
        assert {len(values) for values in straight["history"].values()} == {SHORT["epochs"]}
        for number in range(trainings):
            file = str(tmp_path / f"{model}_{number}.npz")
            kills = draw_kills(np.random.default_rng([number, *model.encode()]), kills_each)
            for kill in kills:
                assert call("train", model=model, file=file, kill=kill) is None, kill
                killed, inside = killed + 1, inside + ("call" in kill)
            resumed = call("train", model=model, file=file, kill=None)
            assert resumed == straight, kills
            same += 1
    assert (killed, inside, same) == (3 * trainings * kills_each, 3 * trainings, 3 * trainings)
    soak.tell("a killed training goes on", trainings=same, kills=killed, inside_a_save=inside, ended_the_same=same)


@pytest.mark.soak
def test_trainings_do_not_pile_up_in_memory(call: Callable, soak: Soak) -> None:
    """Peaks are compared, since rubbish is collected now and then."""
    trainings, looked_at = soak.choose(12, 200), soak.choose(3, 30)
    resident = call("measure_growth", trainings=trainings)
    first, last = (max(some) for some in (resident[len(TRAIN) : len(TRAIN) + looked_at], resident[-looked_at:]))
    growth = 100.0 * (last / first - 1.0)
    assert growth < 10.0, resident
    soak.tell("no leaks", trainings=trainings, growth_percent=round(growth, 1))


# Costs, at the sizes of the chapters' small runs: at full size an epoch takes longer


def train_gan(callbacks: list) -> None:
    gan = models.GAN(networks.build_dense_generator(100), networks.build_dense_discriminator(), penalty_weight=0.5)
    recipe = {"batch_size": 64, "learning_rate": 2e-3, "steps_per_epoch": 50, "epochs": 12}
    training.train_gan(gan, data.load("quick"), **recipe, callbacks=callbacks)


def train_vae(callbacks: list) -> None:
    vae = models.VAE(networks.build_dense_encoder(10, (200,)), networks.build_dense_decoder(10, (200,)))
    recipe = {"batch_size": 64, "learning_rate": 4e-3, "steps_per_epoch": 75, "epochs": 10}
    training.train_vae(vae, data.load("quick"), **recipe, callbacks=callbacks)


def train_flow(callbacks: list) -> None:
    model = flow.FlowMatching(networks.build_dense_flow())
    recipe = {"batch_size": 128, "learning_rate": 1.5e-3, "steps_per_epoch": 125, "epochs": 12}
    training.train_flow(model, data.load("quick"), **recipe, callbacks=callbacks)


class TimedCheckpoint(training.Checkpoint):
    """A checkpoint that adds up what it takes of the CPU."""

    taken = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        begun = time.process_time()
        super().on_train_begin(logs)
        self.taken += time.process_time() - begun

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        begun = time.process_time()
        super().on_epoch_end(epoch, logs)
        self.taken += time.process_time() - begun


@pytest.mark.soak
def test_keeping_a_training_costs_little(soak: Soak, tmp_path: Path) -> None:
    shares = {}
    for train in (train_vae, train_gan, train_flow)[: soak.choose(1, 3)]:
        keras.utils.set_random_seed(0)
        checkpoint = TimedCheckpoint(tmp_path / f"{train.__name__}.npz", every=None)
        train([checkpoint])
        shares[train.__name__] = 100.0 * checkpoint.taken / checkpoint.seconds
    assert max(shares.values()) < 2.0, shares
    soak.tell("keeping a training costs little", most_percent_of_its_cpu_seconds=round(max(shares.values()), 2))
