"""Flow matching: a network learns where straight lines from noise to images lead, and a solver follows it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.arguments import (
    check_alike,
    check_flags,
    check_floats,
    check_kind,
    check_room,
    check_same_rows,
    check_whole,
)
from helpers.checks import IMAGE_SHAPE, LabelError, check_labels, check_latent
from helpers.models import draw_latent
from helpers.seeded import HELD_OUT_STEP, SeededModel

PIXELS = 28 * 28
TIME_WAVES = 6  # of which a network is told cosine and sine
LEAST_LEFT = 0.05  # of the time, in the loss: without it the last moments would outweigh all others
LOUDNESS = 10.0  # of a label, a single one among 784 pixels
STEPS = 20  # of the solver, where nobody asks for more
Velocity = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # of points, (count, dimensions), and of the time, a scalar


class StepError(ValueError):
    """The solver is asked for something other than one or more whole steps."""


def _check_steps(steps: Any) -> None:
    if not tf.is_symbolic_tensor(steps):
        check_whole(error=StepError, steps=steps)


def describe_time(time: tf.Tensor) -> tf.Tensor:
    """Return cosines and sines, (batch, 12), of times in [0, 1], (batch, 1): a network sees small differences in them.

    Source: Vaswani et al. 2017, section 3.5, for places in a text.
    """
    check_floats((1,), 2, time=time)
    angles = np.pi * 2.0 ** np.arange(TIME_WAVES, dtype="float32") * time  # (batch, 6)
    return tf.concat([tf.cos(angles), tf.sin(angles)], axis=1)


def flow_loss(guess: tf.Tensor, target: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
    """Return the mean squared error of the velocity that a guess of the line's end implies, a scalar.

    guess, target: (batch, dimensions), the end as guessed and as it is; time: (batch, 1). From the same place the two
    velocities differ by (guess - target) / (1 - time); the time left is not taken to be below LEAST_LEFT.
    Source: Lipman et al. 2023, equation 9, for straight lines.
    """
    check_floats(guess=guess, target=target)
    check_alike(guess=guess, target=target)
    check_floats((1,), 2, time=time)
    check_same_rows(guess=guess, time=time)
    left = tf.maximum(1.0 - time, LEAST_LEFT)
    return tf.reduce_mean(tf.square((guess - target) / left))


def follow_euler(velocity: Velocity, state: tf.Tensor, steps: Any) -> tf.Tensor:
    """Return where points, (count, dimensions), arrive that follow a velocity from time 0 to 1, in equal Euler steps.

    velocity: of points and the time. steps: a whole number, or a tensor with one; call it inside a tf.function.
    """
    check_kind(Callable, "a function of points and the time", velocity=velocity)
    check_floats(rank=2, state=state)
    _check_steps(steps)
    length = 1.0 / tf.cast(steps, tf.float32)
    for step in tf.range(steps):
        time = tf.cast(step, tf.float32) * length
        state += length * velocity(state, time)
    return state


def follow_heun(velocity: Velocity, state: tf.Tensor, steps: Any) -> tf.Tensor:
    """Return the same by Heun's method: each step goes with the mean of the velocities at its start and its end.

    The last step is Euler's, since at time 1 the velocity of a guess of the end is zero over zero. So it asks for
    2 * steps - 1 velocities. Source: Karras et al. 2022, algorithm 1.
    """
    check_kind(Callable, "a function of points and the time", velocity=velocity)
    check_floats(rank=2, state=state)
    _check_steps(steps)
    length = 1.0 / tf.cast(steps, tf.float32)
    for step in tf.range(steps):
        time = tf.cast(step, tf.float32) * length
        here = velocity(state, time)
        if step + 1 < steps:
            there = velocity(state + length * here, time + length)
            state += length * 0.5 * (here + there)
        else:
            state += length * here
    return state


@keras.saving.register_keras_serializable(package="book")
class FlowMatching(SeededModel):
    """A network that carries noise to images along a velocity, trained under fit() on straight lines between the two.

    network: (batch, 784 + 12 + classes) -> (batch, 784) in [-1, 1]: it is told the state at a time, the time and, where
    classes is not 0, a label as a one-hot vector, and guesses the image at the line's end; the velocity follows from
    the guess. On the way pixels lie in [-1, 1]; images outside are in [0, 1]. Noise and times depend on (seed, step)
    alone. predict() takes latent vectors, with labels [latent vectors, labels]; evaluate() takes held-out images.
    Source: Lipman et al. 2023; Liu et al. 2023; Albergo and Vanden-Eijnden 2023.
    """

    seen_by = "door"
    door = SimpleNamespace(input_shape=(None, *IMAGE_SHAPE))  # of what fit() may be given; the network sees it flat

    def __init__(self, network: keras.Model, seed: int = 0, classes: int = 0) -> None:
        check_kind(keras.Model, "a network such as networks.build_dense_flow()", network=network)
        check_whole(0, 1_000, classes=classes)
        super().__init__({"network": network}, ("loss",), seed)
        self.classes, self.latent_size = classes, PIXELS

    def guess_end(self, state: tf.Tensor, time: tf.Tensor, labels: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Return the network's guess of the line's end, (batch, 784), from a state, (batch, 784), at times (batch, 1).

        The state is multiplied by the time: it counts for as much as it can tell, at time 0, as pure noise, for
        nothing. Seen as it is, about one sample in fifty ran away to white.
        labels: (batch,), or None where the model takes none.
        """
        told = [time * state, describe_time(time)]
        if self.classes:
            told.append(LOUDNESS * tf.one_hot(tf.cast(labels, tf.int32), self.classes))
        return self.network(tf.concat(told, axis=1), training=training)

    def find_loss(self, images: tf.Tensor, labels: tf.Tensor | None, step: Any, training: bool) -> tf.Tensor:
        """Return flow_loss, a scalar, at a place of chance on the line from noise to each image, (batch, 28, 28, 1)."""
        drawn = self.draw_noise((tf.shape(images)[0], PIXELS + 1), step)
        noise, time = drawn[:, 1:], tf.sigmoid(drawn[:, :1])  # (batch, 784), (batch, 1)
        target = 2.0 * tf.reshape(images, (-1, PIXELS)) - 1.0
        state = (1.0 - time) * noise + time * target
        return flow_loss(self.guess_end(state, time, labels, training), target, time)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Update the network once on images, (batch, 28, 28, 1), or on them and their labels; return the mean loss."""
        images, labels = self.read_batch(data)
        with tf.GradientTape() as tape:
            loss = self.find_loss(images, labels, tf.cast(self.optimizer.iterations, tf.int32), training=True)
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables, output_gradients=self.find_share(images))
        self.optimizer.apply(gradients, variables)
        return self.report(images, loss)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Return the same loss on held-out images, with one fixed draw of noise and times."""
        images, labels = self.read_batch(data)
        return self.report(images, self.find_loss(images, labels, HELD_OUT_STEP, training=False))

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Return the images, (batch, 28, 28, 1), of latent vectors, (batch, 784), or of them and labels, (batch,)."""
        latent, labels = inputs if self.classes else (inputs, None)
        return self._follow(latent, labels, tf.constant(STEPS), False)

    def generate(self, latent: np.ndarray, labels: Any = None, steps: int = STEPS, heun: bool = False) -> np.ndarray:
        """Return images, (count, 28, 28, 1) in [0, 1], of latent vectors, (count, 784), in one call of a graph.

        labels: (count,); where the model takes them and gets none, the digits take turns. steps: of the solver, one or
        more; heun: by Heun's method, with two networks a step in the place of one. Raises LatentError, LabelError,
        StepError.
        """
        check_whole(error=StepError, steps=steps)
        check_flags(heun=heun)
        latent, count = check_latent(latent, self.latent_size), len(latent)
        if self.classes and labels is None:
            labels = np.arange(count) % self.classes
        elif labels is not None and not self.classes:
            raise LabelError("labels for a model that was trained without them; build it with classes=10.")
        if labels is not None:
            labels = tf.constant(check_labels(labels, count, self.classes))
        if not isinstance(steps, int | np.integer) or steps < 1:
            raise StepError(f"{steps!r} steps of the solver, expected a whole number, one or more.")
        return self._follow(tf.constant(latent), labels, tf.constant(int(steps)), heun).numpy()

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Return images, (count, 28, 28, 1), of latent vectors drawn from N(0, I) with this seed."""
        check_whole(count=count)
        check_room(count, PIXELS)
        return self.generate(draw_latent(count, self.latent_size, seed))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"classes": self.classes}

    @property
    def optimizers(self) -> tuple:
        return (self.optimizer,)

    def find_velocity(self, state: tf.Tensor, time: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Return the velocity, (count, 784), at which states, (count, 784), move at one time, a scalar below 1."""
        times = tf.fill((tf.shape(state)[0], 1), time)
        return (self.guess_end(state, times, labels, training=False) - state) / (1.0 - time)

    @tf.function(reduce_retracing=True)
    def _follow(self, latent: tf.Tensor, labels: tf.Tensor | None, steps: tf.Tensor, heun: bool) -> tf.Tensor:
        """Return the images, (count, 28, 28, 1), at which latent vectors, (count, 784), arrive."""
        follow = follow_heun if heun else follow_euler
        state = follow(lambda state, time: self.find_velocity(state, time, labels), latent, steps)
        grey = tf.clip_by_value(0.5 * (state + 1.0), 0.0, 1.0)  # rounding leaves it by 1e-7
        return tf.reshape(grey, (-1, *IMAGE_SHAPE))
