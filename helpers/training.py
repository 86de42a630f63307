"""What stands around fit(): batches, optimisers that slow down to a stop, callbacks."""

from collections.abc import Sequence

import keras
import numpy as np

from helpers import data, models

# Steps that run as one graph call, with less of Python between them: the weights are the same bit for bit.
MOST_STEPS_PER_CALL = 25


def train_gan(
    gan: models.GAN,
    digits: data.Digits,
    *,
    batch_size: int,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    beta_1: float = 0.5,
    beta_2: float = 0.999,
    ema_momentum: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train a models.GAN on the training images of digits, a data.Digits; return the history, {name: values by epoch}.

    A conditional one gets their labels too. Both networks have Adam with beta_1 and beta_2, whose learning rate falls
    from learning_rate to zero along a cosine. ema_momentum: the weight of the past in a running average of the
    generator's weights, which takes their place when training ends; None for none. An epoch is a number of steps, not a
    pass. Raises ImageError for fewer images than a batch, LeakError where a training image is also a test image.
    """
    steps = epochs * steps_per_epoch
    betas = {"beta_1": beta_1, "beta_2": beta_2}
    gan.compile(
        build_optimizer(learning_rate, steps, **betas, ema_momentum=ema_momentum),
        build_optimizer(learning_rate, steps, **betas),
        steps_per_execution=find_steps_per_call(steps_per_epoch),
    )
    first_step = FirstStep()
    batches = data.make_batches(
        digits.train.images,
        batch_size,
        gan.seed,
        held_out=digits.test.images,
        labels=digits.train.labels if gan.classes else None,
        start=first_step.read,
    )
    return gan.fit(
        batches, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=[*callbacks, first_step], verbose=verbose
    ).history


def train_vae(
    vae: models.VAE,
    digits: data.Digits,
    *,
    batch_size: int,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    validation: np.ndarray | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train a models.VAE on binary draws of the training images of digits; return the history, {name: values by epoch}.

    validation: binary images, (count, 28, 28, 1), on which the terms are also taken after each epoch. Otherwise as
    train_gan, with one optimiser and Adam's own beta_1.
    """
    optimizer = build_optimizer(learning_rate, epochs * steps_per_epoch)
    vae.compile(optimizer, steps_per_execution=find_steps_per_call(steps_per_epoch))
    first_step = FirstStep()
    batches = data.make_batches(
        digits.train.images,
        batch_size,
        vae.seed,
        held_out=digits.test.images,
        binary=True,
        start=first_step.read,
    )
    return vae.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation,
        validation_batch_size=1_000,
        callbacks=[*callbacks, first_step],
        verbose=verbose,
    ).history


def build_optimizer(
    learning_rate: float, steps: int, beta_1: float = 0.9, beta_2: float = 0.999, ema_momentum: float | None = None
) -> keras.optimizers.Adam:
    """Return Adam whose learning rate falls to zero over so many steps, along a cosine (Loshchilov and Hutter 2017).

    ema_momentum: as for train_gan; None for no running average.
    """
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    average = {} if ema_momentum is None else {"use_ema": True, "ema_momentum": ema_momentum}
    return keras.optimizers.Adam(schedule, beta_1=beta_1, beta_2=beta_2, **average)


def find_steps_per_call(steps_per_epoch: int) -> int:
    """Return the most steps, 25 or fewer, that divide an epoch: Keras overruns an epoch that they do not divide."""
    return max(steps for steps in range(1, MOST_STEPS_PER_CALL + 1) if steps_per_epoch % steps == 0)


class FirstStep(keras.callbacks.Callback):
    """Knows the step that training begins with: not 0 after a callback, earlier in the list, has restored a model."""

    step = np.int64(0)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look before the first step, because the stream may ask while that is under way."""
        self.step = np.int64(self.model.optimizer.iterations.numpy())

    def read(self) -> np.int64:
        """Return the step, for data.make_batches."""
        return self.step


class SampleRecorder(keras.callbacks.Callback):
    """Keeps what a model makes of the same latent vectors while it trains.

    draw: the model's own function from latent vectors, (count, latent_size), to images: GAN.generate or VAE.decode.
    epochs: when to look; 0 is before training. frames: {epoch: (count, 28, 28, 1)}.
    """

    def __init__(self, draw, latent, epochs):
        super().__init__()
        self.draw, self.latent, self.epochs, self.frames = draw, latent, frozenset(epochs), {}

    def on_train_begin(self, logs=None):
        """Record epoch 0: the untrained model."""
        self._record(0)

    def on_epoch_end(self, epoch, logs=None):
        """Record the model after this epoch, counted from 1."""
        self._record(epoch + 1)

    def _record(self, epoch):
        if epoch in self.epochs:
            self.frames[epoch] = self.draw(self.latent)
