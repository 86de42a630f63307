"""Trainings that pages show, run as they are printed, and killed in an epoch."""

import keras
import numpy as np
import pytest

from helpers import training


def run_killed(code, epoch=None):
    """Run a page's code, which ends at that epoch, if one is given; return its names and the epochs that it began."""
    names, begun = {}, []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, number, logs=None):
            begun.append(number)
            if number == epoch:
                raise KeyboardInterrupt

    def watch(batches, callbacks):
        return batches, [*callbacks, Watch()]

    keras.utils.set_random_seed(0)
    prepare = training._prepare_fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_prepare_fit", lambda *given, **more: watch(*prepare(*given, **more)))
        if epoch is None:
            exec(code, names)
        else:
            with pytest.raises(KeyboardInterrupt):
                exec(code, names)
    return names, begun


def assert_same_end(one, other, model):
    """Hold two runs' histories and the weights of the model of that name to each other, bit for bit."""
    assert one["history"] == other["history"]
    for mine, its in zip(one[model].get_weights(), other[model].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
