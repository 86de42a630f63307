"""Privacy: the accountant agrees with others, gradients are clipped one by one, and the verdicts can turn."""

import linecache
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters
PRIVATE_TRAINING = "imports config data auc terms clip steps means bound accountant private verdict"


@pytest.fixture(scope="module")
def privacy() -> dict[str, Any]:
    """What the chapter's cells about private training define, and the function of its verdict."""
    sources = {cell.id.removeprefix("privacy-"): cell.source for cell in code_cells(read(NOTEBOOKS / "privacy.ipynb"))}
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    sources["verdict"] = sources["verdict"].partition("\n\n\n")[0]
    assert sources["verdict"].startswith("def give_verdict")
    for cell in PRIVATE_TRAINING.split():
        source, name = sources[cell], f"privacy, cell {cell}"
        if cell == "auc":  # what follows the functions is of a trained model
            source = source.rpartition("\n\n\n")[0]
        # A loop becomes part of a graph by its source.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), names)
    yield names
    keras.backend.clear_session()


def spend(privacy: dict[str, Any], sampled: float, noise: float, steps: int, delta: float) -> float:
    return privacy["find_epsilon"](steps * privacy["find_renyi"](sampled, noise), delta)


@pytest.mark.parametrize(
    ("sampled", "noise", "steps", "delta", "expected"),
    [  # from dp-accounting 0.6.0 (its RdpAccountant, orders 2 to 256), installed once with --target --no-deps
        (0.01, 4.0, 10_000, 1e-5, 1.0354900660362436),
        (256 / 60_000, 1.12, 14_063, 1e-5, 2.521558861805894),
        (0.25, 2.0, 400, 1e-4, 14.81191476581606),
        (0.2, 6.0, 300, 1e-4, 2.2664485447592675),
        (0.01, 1.0, 1_000, 1e-5, 2.1077530754515745),
    ],
)
def test_privacy_accountant_agrees_with_dp_accounting(
    privacy: dict[str, Any], sampled: float, noise: float, steps: int, delta: float, expected: float
) -> None:
    assert spend(privacy, sampled, noise, steps, delta) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("sampled", "noise", "steps", "orders", "published"),
    [
        (0.01, 4.0, 10_000, None, 1.26),  # Abadi et al. 2016, section 3.2: 100 epochs
        (256 / 60_000, 1.12, 60 * 235, (10, 20, 100), 2.95),  # documentation of Opacus, compute_dp_sgd_privacy
    ],
)
def test_privacy_accountant_gives_published_values(
    privacy: dict[str, Any], sampled: float, noise: float, steps: int, orders: tuple | None, published: float
) -> None:
    """They turn what the steps tell into epsilon by an older, looser formula, which stands here."""
    known, delta = privacy["ORDERS"], 1e-5
    told = steps * privacy["find_renyi"](sampled, noise) - np.log(delta) / (known - 1)
    epsilon = told[np.isin(known, orders)].min() if orders else told.min()
    assert epsilon == pytest.approx(published, abs=0.006)
    assert spend(privacy, sampled, noise, steps, delta) < epsilon


def test_privacy_noise_spends_what_it_may(privacy: dict[str, Any]) -> None:
    find_noise, find_epsilon, delta = privacy["find_noise"], privacy["find_epsilon"], privacy["config"].delta
    noises = []
    for epsilon, steps in privacy["config"].shorter_steps.items():
        noises.append(find_noise(epsilon, lambda noise, steps=steps: privacy["spend"](steps, 4.0, noise)))
        assert find_epsilon(privacy["spend"](steps, 4.0, noises[-1]), delta) == pytest.approx(epsilon, rel=5e-3)
    assert noises == sorted(noises, reverse=True)


def test_privacy_no_image_pulls_further_than_the_clip(privacy: dict[str, Any]) -> None:
    """With and without one image, the sum of a step differs by the clip at most, in all weights together."""
    images = privacy["pool"][:6].reshape(6, 784)
    weights = [tf.Variable(array) for array in privacy["draw_weights"](0)]
    noise = np.random.default_rng(0).normal(size=(6, privacy["config"].latent)).astype("float32")
    for clip in (0.5, 3.0):
        both = [
            privacy["add_clipped"](weights, np.float32(0.2), images[:count], noise[:count], clip)[0] for count in (6, 5)
        ]
        change = np.sqrt(sum(np.square(a - b).sum() for a, b in zip(*both, strict=True)))
        assert change == pytest.approx(clip, rel=1e-3)  # each gradient here is longer


def test_privacy_means_are_noisy_sums_of_short_images(privacy: dict[str, Any]) -> None:
    images, labels = np.ones((40, 28, 28, 1), "float32"), np.arange(40) % 10
    privacy["config"].private_images, size = 40, privacy["config"].private_images
    try:
        means = privacy["publish_means"](images, labels, 0.0, 0.0, 0)
        noisy = privacy["publish_means"](images, labels, 0.01, 0.0, 0)
        halved = privacy["publish_means"](images, labels, 0.0, 0.0, 0, np.full(40, 2))
    finally:
        privacy["config"].private_images = size
    assert means == pytest.approx(privacy["config"].ink / 28, abs=1e-4)
    spread = 0.01 * privacy["config"].ink / 4
    assert (noisy - means).std() == pytest.approx(spread, rel=0.1)
    assert halved == pytest.approx(means / 2)  # each owner has two images, and the length of one


def test_privacy_no_image_moves_the_means_further_than_its_ink(privacy: dict[str, Any]) -> None:
    """One image is in one digit's sum, by its ink at most: ten noisy sums cost what one costs."""
    images, labels, config = privacy["pool"][:50], privacy["pool_labels"][:50], privacy["config"]
    both = [privacy["publish_means"](images[:n], labels[:n], 0.0, 0.0, 0) for n in (50, 49)]
    change = np.linalg.norm(both[0] - both[1]) * config.private_images / 10
    assert 0 < change <= config.ink + 1e-3


def test_privacy_auc_of_the_same_and_of_apart(privacy: dict[str, Any]) -> None:
    losses = np.random.default_rng(0).normal(size=200)
    assert privacy["find_auc"](losses, losses) == pytest.approx(0.5)
    assert privacy["find_auc"](losses - 100, losses) == 1.0
    low, high = privacy["find_interval"](losses[:100], losses[100:])
    assert low < privacy["find_auc"](losses[:100], losses[100:]) < high


def shuffle(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each pixel comes from another image of the same digit."""
    rng, mixed = np.random.default_rng(0), images.copy()
    for digit in range(10):
        mixed[labels == digit] = rng.permuted(images[labels == digit], axis=0)
    return mixed


def test_privacy_verdict_turns(privacy: dict[str, Any]) -> None:
    config, strangers = privacy["config"], (privacy["strangers"], privacy["stranger_labels"])
    crowd, labels = (privacy[name][: config.private_images] for name in ("pool", "pool_labels"))
    tight = {"clip": config.clip, "noise": 2.0, "table": 0.5, "steps": 200}
    piles = crowd, shuffle(crowd, labels)
    model, robbed = (privacy["train_private"](images, labels, **tight)(*strangers) for images in piles)
    table = privacy["choose_means"](crowd, labels, 0.3)
    pixels = privacy["find_mean_loss"](table, *strangers)
    give_verdict = privacy["give_verdict"]
    assert give_verdict(pixels, model)[2] == "take the model"
    assert give_verdict(pixels, robbed)[0] < 0.5 * give_verdict(pixels, model)[0]  # better means, and no more
    assert give_verdict(pixels, pixels)[2] == "no difference"
    assert give_verdict(model, pixels)[2] == "keep the baseline"
    assert give_verdict(model, model)[2] == "no difference"
    assert give_verdict(model, robbed)[2] == "keep the baseline"
    runs = np.stack([pixels + 5, pixels - 5, pixels + 3])  # of which one is against the model
    assert give_verdict(runs, pixels)[2] == "no difference"


def test_privacy_bound_lies_below_the_negative_elbo(privacy: dict[str, Any]) -> None:
    """With one draw the bound is the ELBO itself, on average; with more it comes down, and stays above the truth."""
    config = privacy["config"]
    strangers = privacy["strangers"][:100], privacy["stranger_labels"][:100]
    crowd = (privacy[name][: config.private_images] for name in ("pool", "pool_labels"))
    find = privacy["train_private"](*crowd, config.clip, steps=100)
    weights, means = find.args
    noise = np.random.default_rng(0).normal(size=(100, config.latent)).astype("float32")
    elbo = privacy["find_terms"](weights, means[strangers[1]], strangers[0].reshape(100, 784), noise)[0]
    given, bounds = config.bound_draws, []
    try:
        for config.bound_draws in (1, 20):
            bounds.append(find(*strangers).mean())
    finally:
        config.bound_draws = given
    assert bounds[0] == pytest.approx(elbo.numpy().mean(), abs=2.0)
    assert 1.0 < bounds[0] - bounds[1] < 10.0


def test_privacy_ceiling_is_the_lowest_over_deltas(privacy: dict[str, Any]) -> None:
    """Of a release with normal noise the best test is known: the ceiling lies above it, and below one pair's."""
    cell = next(cell for cell in code_cells(read(NOTEBOOKS / "privacy.ipynb")) if cell.id == "privacy-early")
    source = cell.source[cell.source.index("def find_most") : cell.source.index("told_by, most")]
    exec(compile(source, "privacy, find_most", "exec"), privacy)
    shift = 0.8  # in standard deviations
    told = privacy["ORDERS"] * shift**2 / 2
    ceiling = privacy["find_most"](told, np.geomspace(1e-6, 0.5, 99))
    best = norm.cdf(norm.ppf(0.05) + shift)
    assert best < ceiling < 1.5 * best
    assert ceiling < privacy["find_most"](told, np.array([1e-4]))


def sums_of_steps(privacy: dict[str, Any], images: np.ndarray, owners: np.ndarray) -> list[float]:
    """How far the sum of each step pulls, all weights together, without noise."""
    limits = (3.0 / np.bincount(owners)[owners]).astype("float32")
    sums: list[float] = []

    def note(total: list[tf.Tensor], variables: list[tf.Variable]) -> None:
        sums.append(float(tf.linalg.global_norm(total)))

    means = np.full((len(images), 784), 0.2, "float32")
    given = images.reshape(len(images), 784), means, limits, 3.0, 0.0, owners, 3, 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(privacy, "optimizer", SimpleNamespace(apply=note))
        tf.config.run_functions_eagerly(True)
        try:
            privacy["run_steps"].python_function(*(tf.constant(part) for part in given))
        finally:
            tf.config.run_functions_eagerly(False)
    return [privacy["config"].sampled * privacy["config"].private_images * one for one in sums]


def test_privacy_owner_pulls_no_further_than_one_image(privacy: dict[str, Any]) -> None:
    """Pages of one owner enter a step together or not at all, and pull by the clip at most, as one image does."""
    pages = privacy["pool"][:60]
    together = sums_of_steps(privacy, pages, np.zeros(60, int))
    assert 0.0 == min(together) < max(together) <= 3.001
    assert max(sums_of_steps(privacy, pages, np.arange(60))) > 6.0


def test_privacy_owner_shares_one_clip(privacy: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Training hands each image its part of what its owner may pull, and publishes means in which an owner is one."""
    seen: list[tf.Tensor] = []
    monkeypatch.setitem(privacy, "run_steps", lambda *given: seen.extend(given))
    images, labels = np.repeat(privacy["pool"][:1], 61, axis=0), np.zeros(61, int)
    privacy["train_private"](images, labels, 3.0, owners=np.minimum(np.arange(61), 1))
    means, limits, owners = (seen[place].numpy() for place in (1, 2, 5))
    assert np.bincount(owners, limits) == pytest.approx([3.0, 3.0])
    alone = privacy["choose_means"](images[:2], labels[:2], 0.0)
    assert means[0] == pytest.approx(alone[0], abs=1e-6)
