"""What stands around fit(): callbacks."""

import keras


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
