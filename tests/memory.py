"""What tests built, given back to the system: a worker runs files one after another, and must stay small."""

import ctypes
import gc
import sys

import keras


def give_back_memory() -> None:
    """Forget Keras's graphs, which refer to each other in circles, and return the pages that glibc keeps for later."""
    keras.backend.clear_session()
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
