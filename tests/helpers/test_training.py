"""What stands around fit: training recipes, and the recorder of samples."""

import keras
import numpy as np
import pytest

from helpers import data, flow, models, networks, training
from helpers.arguments import ArgumentError

LATENT = models.draw_latent(3, 2, seed=0)


@pytest.fixture(scope="module")
def recorded() -> tuple[training.SampleRecorder, models.VAE, np.ndarray]:
    """A recorder after three epochs, its model, and what the model drew before them."""
    vae = models.VAE(networks.build_dense_encoder(2, (8,)), networks.build_dense_decoder(2, (8,)))
    vae.compile(keras.optimizers.SGD(1e-3))
    before = vae.decode(LATENT)
    recorder = training.SampleRecorder(vae.decode, LATENT, epochs=(0, 2, 3, 9))
    images = np.round(np.random.default_rng(0).random((8, 28, 28, 1), dtype=np.float32))
    vae.fit(images, batch_size=4, epochs=3, callbacks=[recorder], verbose=0)
    return recorder, vae, before


def test_frames_stand_at_the_epochs_asked_for(recorded) -> None:
    recorder, _, _ = recorded
    assert list(recorder.frames) == [0, 2, 3]  # in order; an epoch that never comes leaves no frame
    assert {frame.shape for frame in recorder.frames.values()} == {(3, 28, 28, 1)}


def test_the_first_frame_is_the_untrained_model_and_the_last_the_trained(recorded) -> None:
    recorder, vae, before = recorded
    np.testing.assert_array_equal(recorder.frames[0], before)
    np.testing.assert_array_equal(recorder.frames[3], vae.decode(LATENT))
    assert np.abs(recorder.frames[3] - recorder.frames[0]).max() > 1e-3
    assert np.abs(recorder.frames[3] - recorder.frames[2]).max() > 0.0


# Training itself

RECIPE = {"batch_size": 64, "learning_rate": 4e-3, "steps_per_epoch": 10, "epochs": 3}


def build_vae(seed: int = 0) -> models.VAE:
    keras.utils.set_random_seed(seed)
    return models.VAE(networks.build_dense_encoder(2, (8,)), networks.build_dense_decoder(2, (8,)), seed)


def build_gan(seed: int = 0) -> models.GAN:
    keras.utils.set_random_seed(seed)
    return models.GAN(networks.build_dense_generator(4, (8,)), networks.build_dense_discriminator((8,)), seed)


@pytest.mark.parametrize(("build", "train"), [(build_vae, training.train_vae), (build_gan, training.train_gan)])
def test_no_test_image_reaches_fit(build, train, digits, monkeypatch) -> None:
    """Whatever the guard is told: test images are marked by an inked corner, which binary draws keep."""
    marked = digits.test.images.copy()
    marked[:, 0, 0] = 1.0
    handed = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, x, **options: handed.append(x) or keras.callbacks.History())
    monkeypatch.setattr(keras.callbacks.History, "history", {}, raising=False)
    train(build(), digits._replace(test=data.Split(marked, digits.test.labels)), **RECIPE)
    batches = [batch.numpy() for batch in handed[0].take(30)]  # two passes
    assert sum(len(batch) for batch in batches) > len(digits.train.images)
    assert not any((batch[:, 0, 0] == 1.0).any() for batch in batches)


@pytest.mark.parametrize(("build", "train"), [(build_vae, training.train_vae), (build_gan, training.train_gan)])
def test_training_on_test_images_is_refused(build, train, digits) -> None:
    leaked = digits._replace(train=digits.test)
    with pytest.raises(data.LeakError, match="360 of the 360 training images are held out"):
        train(build(), leaked, **RECIPE)


@pytest.mark.parametrize("given", [{}, {"each": training.FirstStep()}, training.FirstStep(), None])
def test_callbacks_that_are_no_list_are_refused(given: object, digits: data.Digits) -> None:
    with pytest.raises(ArgumentError, match=r"^callbacks is .*expected a list of callbacks"):
        training.train_vae(build_vae(), digits, **RECIPE, callbacks=given)


def test_a_vae_learns(digits: data.Digits) -> None:
    validation = data.draw_binary(digits.validation.images, seed=0)
    vae = build_vae()
    history = training.train_vae(vae, digits, validation=validation, **RECIPE)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ("loss", "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl"), 3
    )
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert int(vae.optimizer.iterations) == 30


def test_a_gan_trains_both_halves(digits: data.Digits) -> None:
    gan = build_gan()
    before = [weight.numpy() for half in (gan.generator, gan.discriminator) for weight in half.trainable_weights]
    history = training.train_gan(gan, digits, beta_1=0.25, **RECIPE)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ("d_loss", "g_loss", "d_real", "d_fake", "loss"), 3
    )
    after = [weight.numpy() for half in (gan.generator, gan.discriminator) for weight in half.trainable_weights]
    assert all(np.abs(new - old).max() > 0 for old, new in zip(before, after, strict=True))
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        assert (int(optimizer.iterations), optimizer.beta_1) == (30, 0.25)


@pytest.mark.parametrize(("build", "train"), [(build_vae, training.train_vae), (build_gan, training.train_gan)])
def test_how_many_steps_a_call_takes_changes_no_weight(build, train, digits, monkeypatch) -> None:
    many, single = build(), build()
    train(many, digits, **RECIPE)
    monkeypatch.setattr(training, "MOST_STEPS_PER_CALL", 1)
    train(single, digits, **RECIPE)
    assert (many.steps_per_execution, single.steps_per_execution) == (10, 1)
    for one, other in zip(many.weights, single.weights, strict=True):
        np.testing.assert_array_equal(one, other)


# Checkpoints


class KilledError(Exception):
    """Stands in for the end of a process."""


class Killed(keras.callbacks.Callback):
    """Ends the process, as it were, within the third epoch."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if int(self.model.optimizer.iterations) >= 5:
            raise KilledError


def build_droplet(seed: int = 0) -> models.ConditionalGAN:
    """A conditional GAN whose discriminator leaves out units at random: a state that Keras's own backups forget."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.3, seed=1), keras.layers.Dense(8), keras.layers.Dense(1)]
    discriminator = networks.give_each_class_a_logit(keras.Sequential([keras.Input((28, 28, 1)), *layers]))
    return models.ConditionalGAN(networks.build_dense_generator(14, (8,)), discriminator, seed, 0.5)


def build_flow(seed: int = 0) -> flow.FlowMatching:
    """A flow that is told labels."""
    keras.utils.set_random_seed(seed)
    return flow.FlowMatching(networks.build_dense_flow(22, width=8, blocks=1), seed, classes=10)


SHORT = {"batch_size": 64, "learning_rate": 4e-3, "steps_per_epoch": 2, "epochs": 4}
HELD_OUT = np.round(np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32))
KINDS = [
    pytest.param(build_droplet, training.train_gan, {"beta_2": 0.9}, id="gan"),
    pytest.param(build_vae, training.train_vae, {"validation": HELD_OUT}, id="vae"),
    pytest.param(build_flow, training.train_flow, {}, id="flow"),
]


@pytest.mark.parametrize(("build", "train", "more"), KINDS)
def test_a_killed_training_goes_on_as_if_it_had_not_been(build, train, more, digits, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training, "MOST_STEPS_PER_CALL", 1)  # so that it can be killed within an epoch
    file = tmp_path / "on a drive" / "training.npz"
    straight, resumed, again = build(), build(), build()
    expected = train(straight, digits, **SHORT, **more)
    with pytest.raises(KilledError):
        train(build(), digits, **SHORT, **more, callbacks=[training.Checkpoint(file), Killed()])
    half = file.read_bytes()
    checkpoint = training.Checkpoint(file)
    found = train(resumed, digits, **SHORT, **more, callbacks=[checkpoint])
    assert found == expected
    assert [*map(len, found.values())] == [4] * len(found)
    assert checkpoint.seconds > 0.0
    for one, other in zip(straight.variables, resumed.variables, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes(), one.path
    monkeypatch.setattr(type(again), "train_step", None)  # what is finished is only read
    assert train(again, digits, **SHORT, **more, callbacks=[training.Checkpoint(file)]) == expected
    for one, other in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    file.write_bytes(half)
    for change, name in (
        ({"learning_rate": 1e-3}, "initial_learning_rate = 0.004, this training has 0.001"),
        ({"batch_size": 32}, "batch_size = 64, this training has 32"),
        ({"steps_per_epoch": 1}, "this training has"),
    ):
        with pytest.raises(training.CheckpointError, match=name):
            train(build(), digits, **(SHORT | change), **more, callbacks=[training.Checkpoint(file)])
    with pytest.raises(training.CheckpointError, match="code = None, this training has new"):
        train(build(), digits, **SHORT, **more, callbacks=[training.Checkpoint(file, code="new")])
    other = build()
    other.seed = 5
    with pytest.raises(training.CheckpointError, match="model/seed = 0, this training has 5"):
        train(other, digits, **SHORT, **more, callbacks=[training.Checkpoint(file)])


def test_a_state_is_the_old_one_or_the_new(tmp_path, monkeypatch) -> None:
    file, variable = tmp_path / "state.npz", keras.Variable(1.0)
    training.save_state(file, {"code": "a"}, [variable], seconds=3.0)
    variable.assign(2.0)
    monkeypatch.setattr(np, "savez", lambda stream, **arrays: stream.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.save_state(file, {"code": "a"}, [variable], seconds=4.0)
    assert training.restore_state(file, {"code": "a"}, [variable])["seconds"] == 3.0
    assert float(variable) == 1.0
    assert training.restore_state(tmp_path / "missing.npz", {}, []) is None


@pytest.mark.parametrize(("build", "optimizers"), [(build_vae, 1), (build_gan, 2)])
def test_a_fit_of_ones_own_goes_on_too(build, optimizers, digits, tmp_path) -> None:
    """As the docstring says it: the batches begin where the checkpoint stands; running averages of weights come along.

    A flow that is fitted so is killed in test_resume.py.
    """

    def train(epochs: int, file) -> keras.Model:
        model, checkpoint = build(), training.Checkpoint(file, every=9)
        model.compile(*(keras.optimizers.Adam(1e-3, use_ema=True) for _ in range(optimizers)))
        binary = optimizers == 1
        batches = data.make_batches(
            digits.train.images, 64, 0, digits.test.images, binary=binary, start=checkpoint.read
        )
        model.fit(batches, epochs=epochs, steps_per_epoch=2, callbacks=[checkpoint], verbose=0)
        return model

    straight = train(2, tmp_path / "straight.npz")
    train(1, tmp_path / "stopped.npz")
    resumed = train(2, tmp_path / "stopped.npz")
    for one, other in zip(straight.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for one, other in zip(straight.optimizer.variables, resumed.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert any("average" in one.path for one in resumed.optimizer.variables)


@pytest.mark.parametrize(("steps", "expected"), [(75, 25), (250, 25), (10, 10), (36, 18), (29, 1), (1, 1)])
def test_calls_never_overrun_an_epoch(steps: int, expected: int) -> None:
    assert training.find_steps_per_call(steps) == expected


def test_the_learning_rate_falls_to_zero() -> None:
    rate = training.build_optimizer(0.5, steps=100)._learning_rate
    assert [float(rate(step)) for step in (0, 50, 100, 200)] == pytest.approx([0.5, 0.25, 0.0, 0.0], abs=1e-6)
