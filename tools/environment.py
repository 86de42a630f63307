"""The one environment in which chapters are executed, tested and banded.

Thread counts change floating point, so the stored outputs, the reference bands and the tests must share them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
QUICK: Mapping[str, str] = {
    **dict.fromkeys(THREADS, "1"),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONHASHSEED": "0",
    "BOOK_PROFILE": "quick",
    "BOOK_SEED": "0",
}

# Settings of the caller's shell that would change what a chapter computes, prints, draws or installs.
UNSET = ("MPLBACKEND", "BOOK_REPOSITORY", "COLAB_RELEASE_TAG")
UNSET += ("KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


def quick_environment(**changes: str) -> dict[str, str]:
    """The caller's environment with QUICK on top, and `changes` on top of that (`BOOK_SEED="3"` for a band run).

    BOOK_THREADS, which only a test of the same answers elsewhere sets, is another number of threads.
    """
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    threads = dict.fromkeys(THREADS, kept.get("BOOK_THREADS", QUICK[THREADS[0]]))
    return {**kept, **QUICK, **threads, **changes}


def environment_for(profile: str, **changes: str) -> dict[str, str]:
    """The environment of a run in a profile: "full" uses a GPU where there is one, and finds MNIST from any folder."""
    environment = quick_environment(BOOK_PROFILE=profile, **changes)
    if profile == "full":
        environment.pop("CUDA_VISIBLE_DEVICES")
        kept = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        if os.environ.get("MNIST_NPZ"):  # a kernel starts in the folder of its notebook
            kept["MNIST_NPZ"] = str(Path(os.environ["MNIST_NPZ"]).resolve())
        environment |= {name: value for name, value in kept.items() if value is not None}
    return environment
