"""What every chapter calls first: profile, seed and device, from the environment, and quiet logs."""

import os
from typing import NamedTuple

from helpers.book import surroundings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # must precede the import of TensorFlow to have any effect

PROFILES = ("quick", "full")


class ProfileError(ValueError):
    """BOOK_PROFILE or BOOK_SEED holds something that the book does not know."""


class Settings(NamedTuple):
    """What a run is: its profile ("quick" or "full"), its seed, and the kind of device that it uses."""

    profile: str
    seed: int
    device: str


def start() -> Settings:
    """Seed every random generator, print and return the settings of this run.

    BOOK_PROFILE names the profile; unset, it is "full" where TensorFlow sees a GPU and "quick" elsewhere.
    BOOK_SEED is the seed, 0 unless set. Raises ProfileError where either cannot be understood, and SettingsError where
    Keras has been set to compute otherwise than the book: on another backend, by other images or types.
    """
    surroundings.let_print()
    surroundings.give_matplotlib_a_folder()
    surroundings.check_keras()
    import keras  # here, because settings that the line above names can stop it, and it imports Matplotlib
    import pandas as pd
    import tensorflow as tf

    surroundings.check_keras()
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    settings = Settings(_read_profile(device), _read_seed(), device)
    keras.utils.set_random_seed(settings.seed)
    pd.set_option("future.infer_string", False)  # pandas 3 would make words a type that tables here do not expect
    print(f"profile: {settings.profile} · seed: {settings.seed} · device: {settings.device}")
    return settings


def _read_profile(device: str) -> str:
    profile = os.environ.get("BOOK_PROFILE") or ("full" if device == "GPU" else "quick")
    if profile not in PROFILES:
        raise ProfileError(
            f"BOOK_PROFILE is {profile!r}; expected one of {', '.join(PROFILES)}. Unset it for the default."
        )
    return profile


def _read_seed() -> int:
    seed = os.environ.get("BOOK_SEED") or "0"
    if not (seed.isascii() and seed.isdigit() and int(seed) < 2**31):
        raise ProfileError(f"BOOK_SEED is {seed!r}; expected a whole number from 0 to 2147483647. Unset it for 0.")
    return int(seed)
