"""What functions ask of their arguments before they use them; the doors themselves are tried in test_doors.py."""

import numpy as np
import pytest
import tensorflow as tf

from helpers import arguments


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (np.zeros((2, 3)), (2, 3)),
        (tf.TensorSpec((None, 28)), (None, 28)),
        (tf.TensorSpec(None), None),  # of a stream that does not tell how many axes there are
        (5.0, ()),
    ],
)
def test_a_shape_is_read_from_whatever_has_one(given: object, shape: tuple | None) -> None:
    assert arguments.read_shape(given) == shape
