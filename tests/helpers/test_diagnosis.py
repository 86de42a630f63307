"""Reading a training history: every kind, the order of the rules, edge cases, and the spread that is recorded."""

import keras
import numpy as np
import pytest

from helpers import data, diagnosis, models, networks, training
from helpers.arguments import ArgumentError

LOOKS = 20


def make_history(d_real: object = 0.55, d_fake: object = 0.45, spread: object = 1.0, looks: int = LOOKS) -> dict:
    """A history whose series are constant, or as given."""
    series = {"d_real": d_real, "d_fake": d_fake, "spread": spread}
    return {name: np.broadcast_to(values, looks).tolist() for name, values in series.items()}


def test_even_answers_and_varied_samples_are_healthy() -> None:
    assert diagnosis.diagnose(make_history()) == "healthy"


def test_sure_answers_are_a_discriminator_winning() -> None:
    assert diagnosis.diagnose(make_history(0.99, 0.02)) == "discriminator winning"


def test_low_spread_under_even_answers_is_collapse() -> None:
    assert diagnosis.diagnose(make_history(spread=0.15)) == "collapsed"


def test_no_spread_at_all_is_collapse() -> None:
    assert diagnosis.diagnose(make_history(spread=0.0)) == "collapsed"


def test_rising_spread_is_not_converged_even_where_it_is_low() -> None:
    assert diagnosis.diagnose(make_history(spread=np.linspace(0.1, 0.3, LOOKS))) == "not converged"


def test_falling_spread_is_not_converged_even_where_it_is_high() -> None:
    assert diagnosis.diagnose(make_history(spread=np.linspace(1.5, 0.6, LOOKS))) == "not converged"


def test_answers_that_still_move_are_not_converged() -> None:
    assert diagnosis.diagnose(make_history(d_real=np.linspace(0.95, 0.55, LOOKS))) == "not converged"


def test_a_recorder_compares_as_many_samples_as_real_images() -> None:
    latent, real = np.zeros((3, 2), np.float32), np.zeros((4, 28, 28, 1), np.float32)
    with pytest.raises(ArgumentError, match="expected as many of each"):
        diagnosis.SpreadRecorder(lambda latent: real, latent, real)


@pytest.mark.parametrize(("moved", "kind"), [(0.25, "healthy"), (0.2, "not converged")])
def test_a_move_as_large_as_is_allowed_is_none(monkeypatch: pytest.MonkeyPatch, moved: float, kind: str) -> None:
    monkeypatch.setattr(diagnosis, "MOVED", moved)
    quarters = np.repeat([0.0, 0.0, 0.0, 0.25], LOOKS // 4)  # whose last step both rules allow, or both do not
    assert diagnosis.diagnose(make_history(0.5 + quarters, 0.5)) == kind
    assert diagnosis.diagnose(make_history(spread=1.0 + quarters)) == kind


def test_a_winning_discriminator_is_named_before_the_collapse_that_it_leads_to() -> None:
    assert diagnosis.diagnose(make_history(0.99, 0.02, spread=0.05)) == "discriminator winning"


def test_a_winning_discriminator_is_named_before_what_still_moves() -> None:
    history = make_history(0.99, 0.02, spread=np.linspace(0.1, 0.5, LOOKS))
    assert diagnosis.diagnose(history) == "discriminator winning"


def test_only_the_last_half_counts() -> None:
    history = make_history(spread=np.r_[np.linspace(0.0, 1.0, LOOKS // 2), np.ones(LOOKS // 2)])
    assert diagnosis.diagnose(history) == "healthy"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["d_real", "d_fake", "spread", "g_loss"])
def test_a_value_that_is_not_finite_is_a_run_that_diverged(name: str, value: float) -> None:
    history = make_history() | {"g_loss": [0.7] * LOOKS}
    history[name][3] = value
    assert diagnosis.diagnose(history) == "not converged"


@pytest.mark.parametrize("name", diagnosis.SERIES)
def test_a_missing_series_is_named(name: str) -> None:
    history = make_history()
    del history[name]
    with pytest.raises(diagnosis.HistoryError, match=f"has no {name}; expected d_real, d_fake, spread"):
        diagnosis.diagnose(history)


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(diagnosis.HistoryError, match="has no d_real, d_fake, spread"):
        diagnosis.diagnose({})


@pytest.mark.parametrize("looks", [0, 1, diagnosis.FEWEST_LOOKS - 1])
def test_a_short_history_is_refused(looks: int) -> None:
    with pytest.raises(diagnosis.HistoryError, match=f"'d_real': {looks}.*{diagnosis.FEWEST_LOOKS} or more"):
        diagnosis.diagnose(make_history(looks=looks))


def test_the_shortest_history_is_read() -> None:
    assert diagnosis.diagnose(make_history(looks=diagnosis.FEWEST_LOOKS)) == "healthy"


def test_series_of_unequal_length_are_refused() -> None:
    with pytest.raises(diagnosis.HistoryError, match="expected as many of each"):
        diagnosis.diagnose(make_history() | {"spread": [1.0] * (LOOKS - 1)})


def test_a_history_is_not_changed_by_reading_it() -> None:
    history = make_history()
    diagnosis.diagnose(history)
    assert history == make_history()


def test_quarters_are_the_last_two() -> None:
    assert diagnosis.compare_quarters([9.0] * 4 + [1.0, 3.0, 5.0, 7.0]) == (2.0, 6.0)


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return data.load_small_digits().train.images[:100]


def test_copies_have_no_spread(real: np.ndarray) -> None:
    assert diagnosis.measure_spread(np.repeat(real[:1], 50, axis=0)) < 1e-6


def test_two_images_repeated_have_no_spread_although_their_pixels_vary(real: np.ndarray) -> None:
    images = np.concatenate([real[:2]] * 25)
    assert images.std(axis=0).mean() > 0.05
    assert diagnosis.measure_spread(images) < 1e-6


def test_speckle_is_no_spread(real: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (50, 28, 28, 1))
    speckled = np.clip(real[:1] + noise, 0, 1)
    assert diagnosis.measure_spread(speckled) < 0.5 * diagnosis.measure_spread(real[:50])


def test_spread_is_the_distance_of_blocks_to_their_nearest() -> None:
    images = np.zeros((3, 28, 28, 1), np.float32)
    images[1, :4, :4], images[2, :4, :4] = 1.0, 3.0
    assert diagnosis.measure_spread(images) == pytest.approx((1 + 1 + 2) / 3)


def test_images_with_nan_have_the_spread_nan(real: np.ndarray) -> None:
    images = real.copy()
    images[0, 0, 0] = np.nan
    assert np.isnan(diagnosis.measure_spread(images))


def test_the_callback_adds_the_series_to_the_history_in_units_of_real_images(real: np.ndarray) -> None:
    digits = data.load_small_digits()
    keras.utils.set_random_seed(0)
    gan = models.GAN(networks.build_dense_generator(8, (16,)), networks.build_dense_discriminator((16,)))
    noise = models.draw_latent(len(real), 8, seed=1)
    given = {"batch_size": 16, "learning_rate": 1e-3, "steps_per_epoch": 2, "epochs": 3}
    recorder = diagnosis.SpreadRecorder(gan.generate, noise, real)
    history = training.train_gan(gan, digits, callbacks=[recorder], **given)
    assert len(history["spread"]) == len(history["d_real"]) == 3
    expected = diagnosis.measure_spread(gan.generate(noise)) / diagnosis.measure_spread(real)
    assert history["spread"][-1] == pytest.approx(expected)
    keras.backend.clear_session()
