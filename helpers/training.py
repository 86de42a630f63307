"""What stands around fit(): batches, optimisers that slow down to a stop, callbacks."""

import keras

from helpers.data import make_batches

# Steps that run as one graph call, with less of Python between them: the weights are the same bit for bit.
MOST_STEPS_PER_CALL = 25


def train_gan(
    gan, digits, *, batch_size, learning_rate, steps_per_epoch, epochs, momentum=0.5, callbacks=(), verbose=0
):
    """Train a models.GAN on the training images of digits, a data.Digits; return the history, {name: values by epoch}.

    Both halves have Adam, whose learning rate falls from learning_rate to zero along a cosine; momentum is its beta_1.
    An epoch is a number of steps, not a pass. Raises ImageError for fewer images than a batch, LeakError where a
    training image is also a test image.
    """
    steps = epochs * steps_per_epoch
    halves = [build_optimizer(learning_rate, steps, momentum) for _ in range(2)]
    gan.compile(*halves, steps_per_execution=find_steps_per_call(steps_per_epoch))
    batches = make_batches(digits.train.images, batch_size, gan.seed, held_out=digits.test.images)
    return gan.fit(
        batches, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=list(callbacks), verbose=verbose
    ).history


def train_vae(
    vae, digits, *, batch_size, learning_rate, steps_per_epoch, epochs, validation=None, callbacks=(), verbose=0
):
    """Train a models.VAE on binary draws of the training images of digits; return the history, {name: values by epoch}.

    validation: binary images, (count, 28, 28, 1), on which the terms are also taken after each epoch. Otherwise as
    train_gan, with one optimiser and Adam's own momentum.
    """
    optimizer = build_optimizer(learning_rate, epochs * steps_per_epoch)
    vae.compile(optimizer, steps_per_execution=find_steps_per_call(steps_per_epoch))
    batches = make_batches(digits.train.images, batch_size, vae.seed, held_out=digits.test.images, binary=True)
    return vae.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation,
        validation_batch_size=1_000,
        callbacks=list(callbacks),
        verbose=verbose,
    ).history


def build_optimizer(learning_rate, steps, momentum=0.9):
    """Return Adam whose learning rate falls to zero over so many steps, along a cosine (Loshchilov and Hutter 2017)."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps), beta_1=momentum)


def find_steps_per_call(steps_per_epoch):
    """Return the most steps, 25 or fewer, that divide an epoch: Keras overruns an epoch that they do not divide."""
    return max(steps for steps in range(1, MOST_STEPS_PER_CALL + 1) if steps_per_epoch % steps == 0)


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
