"""The study `training_speed`: its rows and aims, and that the ways which it compares do the same work, and train."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, losses, models, networks
from studies import training_speed, training_speed_table, training_speed_ways
from studies.training_speed_article import ArticleGan, ArticleVae
from studies.training_speed_ways import CASES, GROWING, Case, build, grown, growth_metric
from tests.apart import open_process
from tools import studies

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
STEPS = 3
TINY = {"width": 8, "batch_size": 8, "epoch_images": 16}


@pytest.fixture(scope="module")
def batches() -> np.ndarray:
    """So many batches of digits, (STEPS, 16, 28, 28, 1)."""
    return data.load_small_digits().train.images[: STEPS * 16].reshape(STEPS, 16, 28, 28, 1)


@pytest.fixture(scope="module")
def apart() -> Iterator[Callable]:
    """Runs a function in a process apart: PyTorch, once loaded, takes memory until its process ends."""
    with open_process(pieces=100) as call:
        yield call


def noise_of(model: keras.Model, step: int) -> np.ndarray:
    return tf.random.stateless_normal((16, model.latent_size), (model.seed, step)).numpy()


def adam(rate: float) -> keras.optimizers.Adam:
    return keras.optimizers.Adam(rate, beta_1=0.5)


def train_gan(case: Case, batches: np.ndarray, rate: float) -> list[tuple[float, float]]:
    """Our losses of D and of G in each step."""
    gan, found = build(case, seed=3), []
    gan.compile(adam(rate), adam(rate))
    for batch in batches:
        gan.reset_metrics()
        logs = gan.train_step(tf.constant(batch))
        found.append((float(logs["d_loss"]), float(logs["g_loss"])))
    return found


def train_vae(case: Case, batches: np.ndarray, rate: float) -> list[float]:
    """Our loss in each step."""
    vae, found = build(case, seed=3), []
    vae.compile(keras.optimizers.Adam(rate))
    vae.optimizer.build(vae.trainable_variables)
    for batch in batches:
        vae.reset_metrics()
        found.append(float(vae.train_step(tf.constant(batch))["loss"]))
    return found


# The ways to train: the same numbers as ours


def test_article_gan_has_our_losses(batches: np.ndarray) -> None:
    gan = build(CASES["GAN"], seed=3)
    latent = noise_of(gan, 0)
    inferred = gan.generator(latent, training=False)  # `predict` draws in inference mode
    expected = losses.discriminator_loss(gan.discriminator(batches[0]), gan.discriminator(inferred))
    on_real, on_fake, of_generator = ArticleGan(gan, [adam(0.0), adam(0.0)]).step(batches[0], latent)
    ours = train_gan(CASES["GAN"], batches[:1], rate=0.0)[0]
    # The second value that train_on_batch gives is the mean of both.
    assert 2 * on_fake == pytest.approx(float(expected), rel=1e-4)
    assert on_real == pytest.approx(float(tf.reduce_mean(tf.nn.softplus(-gan.discriminator(batches[0])))), rel=1e-4)
    assert of_generator == pytest.approx(ours[1], rel=1e-4)


@pytest.mark.parametrize(("rates", "moving"), [((0.01, 0.0), "generator"), ((0.0, 0.01), "discriminator")])
def test_each_step_of_the_article_gan_moves_its_half_only(batches: np.ndarray, rates: tuple, moving: str) -> None:
    gan = build(CASES["GAN"], seed=3)
    rival = ArticleGan(gan, [adam(rate) for rate in rates])  # with a rate of zero a half moves in the other's step only
    for batch in batches:
        before = {name: getattr(gan, name).get_weights()[0] for name in ("generator", "discriminator")}
        rival.step(batch, noise_of(gan, 0))
        moved = {name for name in before if np.any(getattr(gan, name).get_weights()[0] != before[name])}
        assert moved == {moving}


def test_article_vae_takes_our_steps(batches: np.ndarray) -> None:
    binary, rate = data.draw_binary(batches, seed=1), 4e-3
    rival = ArticleVae(build(CASES["VAE"], seed=3), [keras.optimizers.Adam(rate)])
    means = [rival.step(batch) for batch in binary]
    ours = train_vae(CASES["VAE"], binary, rate)
    np.testing.assert_allclose(means, np.cumsum(ours) / np.arange(1, STEPS + 1), rtol=1e-4)
    assert ours[0] > ours[-1]


def train_torch_gan(case: Case, batches: np.ndarray, rate: float) -> list[tuple[float, float]]:
    """Its losses of D and of G in each step, from the weights and the noise of `train_gan`."""
    import torch

    from studies.training_speed_torch import TorchGan

    gan = build(case, seed=3)
    rival = TorchGan(gan, rate, 10**9, 0.5)  # over so many steps the learning rate stays as it is
    return [rival.step(*map(torch.tensor, (batch, noise_of(gan, step)))) for step, batch in enumerate(batches)]


def train_torch_vae(case: Case, batches: np.ndarray, rate: float) -> list[float]:
    """Its loss in each step, from the weights and the noise of `train_vae`."""
    import torch

    from studies.training_speed_torch import TorchVae

    vae = build(case, seed=3)
    rival = TorchVae(vae, rate, 10**9, 0.9)
    return [rival.step(*map(torch.tensor, (batch, noise_of(vae, step)))) for step, batch in enumerate(batches)]


def move_torch_generator() -> list[tuple[bool, bool]]:
    """For each weight of the discriminator, after a step of the generator: whether it moved, and has a gradient."""
    import torch

    from studies.training_speed_torch import TorchGan, update

    rival = TorchGan(build(CASES["GAN"], seed=3), 1e-2, 100, 0.5)
    before = [weights.detach().clone() for weights in rival.discriminator.parameters()]
    logits = rival.discriminator(rival.generator(torch.zeros(16, 100)))
    update(rival.generator, logits.mean(), *rival.optimizers[0])
    after = list(rival.discriminator.parameters())
    return [(not torch.equal(old, new), new.grad is not None) for old, new in zip(before, after, strict=True)]


def convert_dropout() -> None:
    from studies.training_speed_torch import convert

    convert([keras.layers.Dropout(0.5, name="dropout")])


def time_way(way: str, name: str) -> float:
    """Seconds of a step of a tiny case."""
    return training_speed_ways.ways()[way](CASES[name]._replace(**TINY), 0)


@needs_torch
@pytest.mark.parametrize("name", ["GAN", "convolutional GAN"])
def test_torch_gan_takes_our_steps(apart: Callable, batches: np.ndarray, name: str) -> None:
    found, ours = (apart(train, CASES[name], batches, 1e-3) for train in (train_torch_gan, train_gan))
    assert found[0][0] == pytest.approx(ours[0][0], rel=1e-4)  # before any step
    # The two Adams add their small constant before and after the correction of the bias: steps differ a little.
    np.testing.assert_allclose(found, ours, rtol=1e-2)  # without momentum Adam takes rounding for direction: 4e-3 here
    assert len(set(found)) == STEPS


@needs_torch
def test_torch_vae_takes_our_steps(apart: Callable, batches: np.ndarray) -> None:
    binary = data.draw_binary(batches, seed=1)
    found, ours = (apart(train, CASES["VAE"], binary, 4e-3) for train in (train_torch_vae, train_vae))
    np.testing.assert_allclose(found, ours, rtol=1e-4)


@needs_torch
def test_torch_update_moves_no_other_half(apart: Callable) -> None:
    moved = apart(move_torch_generator)
    assert moved == [(False, False)] * 6  # the kernel and bias of three layers


@needs_torch
def test_a_layer_without_a_way_to_torch_is_named(apart: Callable) -> None:
    with pytest.raises(ValueError, match="dropout: no way to PyTorch for a Dropout"):
        apart(convert_dropout)


@pytest.mark.parametrize("way", training_speed_ways.ways())
def test_every_way_is_timed(apart: Callable, way: str) -> None:
    assert all(apart(time_way, way, name) > 0 for name in GROWING)


def test_another_number_of_weights_is_refused() -> None:
    vae = build(CASES["VAE"], seed=0)
    count = training_speed_ways.count_weights(vae)
    training_speed_ways.check_same_work(vae, count)
    with pytest.raises(training_speed_ways.WorkError, match="mend the rival"):
        training_speed_ways.check_same_work(vae, count + 1)


def test_products_are_those_of_a_step_forward_and_backward() -> None:
    vae = build(CASES["VAE"]._replace(**TINY), seed=0)
    vae.compile(adam(1e-3))
    vae.optimizer.build(vae.trainable_variables)
    shapes = sorted(tuple(product.shape) for product in training_speed_ways.products_of(vae.train_step, 8)())
    dense = [(784, 8), (8, 10), (8, 10), (10, 8), (8, 784)]  # of kernels: five layers
    forward = [(8, outputs) for _, outputs in dense]
    backward = dense + [(8, inputs) for inputs, _ in dense[1:]]  # the images need no gradient
    assert shapes == sorted(forward + backward)


# Sizes


def test_sizes_of_the_vae_are_those_of_its_chapter() -> None:
    config, case = studies.run_cells("vae", "config")["config"], CASES["VAE"]
    assert (case.batch_size, case.learning_rate) == (config.batch_size, config.learning_rate)
    assert (case.latent_size, (case.width,)) == (config.code, config.widths)


def test_sizes_of_the_gan_are_those_of_its_chapter() -> None:
    config, case = studies.run_cells("gan", "config")["config"], CASES["GAN"]
    assert (case.batch_size, case.learning_rate) == (config.batch_size, config.learning_rate)
    assert (case.latent_size, training_speed_ways.MOMENTUM[models.GAN]) == (config.latent_size, config.beta_1)
    for name in ("GAN", "convolutional GAN"):
        kind = CASES[name].network
        generator = getattr(networks, f"build_{kind}_generator")(config.latent_size)  # with the widths that it has
        discriminator = getattr(networks, f"build_{kind}_discriminator")()
        shapes = [weight.shape for weight in (*generator.weights, *discriminator.weights)]
        gan = build(CASES[name], seed=0)
        assert [weight.shape for weight in (*gan.generator.weights, *gan.discriminator.weights)] == shapes


def test_data_sets_grow_without_new_images() -> None:
    small, large = (training_speed_ways.load(CASES["VAE"]._replace(image_count=count)) for count in (1_077, 2_000))
    assert len(small.train.images) == 1_077
    assert len(large.train.images) == len(large.train.labels) == 2_000
    np.testing.assert_array_equal(large.train.images[1_077:], small.train.images[:923])


# The table, on made-up numbers


def made_up(ratios: dict[str, float]) -> dict[str, dict]:
    """Metrics of a run in which each way takes so many times our time."""
    values = {f"parameters/{name}": 1.0 for name in CASES}
    for name in CASES:
        for way, ratio in {"ours": 1.0, **ratios}.items():
            label = f"{name}, {way}"
            values |= {f"images_per_second/{label}": 64 / ratio, f"milliseconds_per_step/{label}": 1e3 * ratio}
            values |= {f"ratio/{label}": ratio} if way != "ours" else {}
    for name in GROWING:
        for what, cases in grown(CASES[name]).items():
            values |= {growth_metric(name, what, size): size / 100 for size in cases}
    return {name: {"value": value, "unit": "ms", "standard_error": 0.01} for name, value in values.items()}


RATIOS = {"article's pattern": 3.0, "plain fit": 1.0, "PyTorch eager": 1.2, "products alone": 0.5}


def test_a_row_that_reaches_its_aim_says_met() -> None:
    lines = [training_speed_table.format_row(row) for row in training_speed_table.training_rows(made_up(RATIOS))]
    assert len(lines) == 5 * len(CASES)
    assert sum(line.endswith(" met") for line in lines) == 4 * len(CASES)
    assert not any("MISSED" in line for line in lines)
    assert "64 images/s" in lines[0]
    assert "3.00 ± 0.01 times our time" in lines[1]


@pytest.mark.parametrize("way", RATIOS)
def test_a_row_below_its_aim_says_missed(way: str) -> None:
    missed = made_up(RATIOS | {way: training_speed_table.AIMS[way] * 0.99})
    rows = {row.what: row for row in training_speed_table.training_rows(missed)}
    assert {what for what, row in rows.items() if row.met is False} == {f"{name}: {way}" for name in CASES}
    assert "MISSED" in training_speed_table.format_row(rows[f"VAE: {way}"])


def test_an_aim_that_the_products_alone_cannot_meet_says_so() -> None:
    ratios = RATIOS | {"article's pattern": 1.5, "products alone": 0.6}
    row = next(
        row for row in training_speed_table.training_rows(made_up(ratios)) if row.what == "VAE: article's pattern"
    )
    assert row.measured.endswith("1.50 ± 0.01 times our time; the products alone: 2.50")
    assert row.met is False


def test_a_missing_torch_is_said() -> None:
    without = made_up({way: ratio for way, ratio in RATIOS.items() if way != "PyTorch eager"})
    rows = {row.what: row for row in training_speed_table.training_rows(without)}
    assert rows["GAN: PyTorch eager"].measured == "skipped: PyTorch was not installed"
    assert rows["GAN: PyTorch eager"].met is None


def test_growth_is_told_and_drawn(tmp_path: Path) -> None:
    metrics = made_up(RATIOS)
    rows = list(training_speed_table.growth_rows(metrics))
    assert len(rows) == 3 * len(GROWING)
    assert rows[0].what == "GAN: ms a step, by batch"
    assert rows[0].measured == "16: 0.16, 64: 0.64, 256: 2.56, 1,024: 10.2"
    drawn = {name: (entry["value"], entry["unit"]) for name, entry in metrics.items()}
    training_speed.draw_growth(drawn, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_the_stored_record_has_every_row() -> None:
    assert len(training_speed_table.list_rows()) == 5 * len(CASES) + 3 * len(GROWING)


def test_a_round_is_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure_round(seed: int) -> dict[str, tuple[float, str]]:
        return {name: (entry["value"] + seed, "ms") for name, entry in made_up(RATIOS).items()}

    monkeypatch.setattr(training_speed, "measure_round", measure_round)
    monkeypatch.setenv("BOOK_SEED", "2")
    assert training_speed.measure("ways", tmp_path)["ratio/VAE, plain fit"] == (3.0, "ms")
    assert (tmp_path / "scaling.png").exists()
