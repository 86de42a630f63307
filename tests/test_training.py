"""What stands around fit: the recorder of samples."""

import keras
import numpy as np
import pytest

from helpers import models, networks, training

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
