"""The verdicts of the smart home: they turn when the model is robbed of its input, or shares its output."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters


def smart_home_names(cells: str, **sizes: int) -> dict[str, Any]:
    """What cells of the chapter define, and the function of its verdict; sizes replace those of its config."""
    notebook = read(NOTEBOOKS / "smart_home.ipynb")
    sources = {cell.id.removeprefix("smart-home-"): cell.source for cell in code_cells(notebook)}
    settings = SimpleNamespace(profile="quick", seed=0)
    names: dict[str, Any] = {"settings": settings}
    for cell in ("imports", "config", *cells.split()):
        exec(sources[cell], names)
        if cell == "config":
            vars(names["config"]).update(sizes)
            names["rng"] = np.random.default_rng(0)
    verdict = sources["verdict"].partition("\n\n\n")[0]
    assert verdict.startswith("def give_verdict")
    exec(verdict, names)
    return names


@pytest.fixture(scope="module")
def smart_home() -> dict[str, Any]:
    """The chapter's sensors, with fewer weeks than it has."""
    names = smart_home_names("life habits simulate plant data rules profile gauss inputs vae", clean_weeks=30)
    yield names
    keras.backend.clear_session()


def smart_home_found(names: dict[str, Any], score: Any, kinds: Any = slice(None)) -> np.ndarray:
    """Which planted faults a score finds at the chapter's budget."""
    threshold = names["find_threshold"](score(names["homes"]["clean"]), names["config"].budget)
    return np.isfinite(names["find_delays"](score(names["homes"]["faults"][kinds]), threshold)).ravel()


def smart_home_vae(names: dict[str, Any], rows: np.ndarray) -> Any:
    """The chapter's VAE, trained for a short while on rows; returns its score."""
    keras.utils.set_random_seed(0)
    model = names["HomeVAE"](names["SIZES"]["air"])
    model.compile(keras.optimizers.Adam(3e-3), loss=lambda _, nats: nats)
    model.fit(rows, np.zeros(len(rows)), batch_size=128, epochs=12, verbose=0)
    prepare, flatten = names["prepare"], names["flatten"]
    return lambda new: model(flatten(prepare(new, "air"))).numpy().reshape(new.shape[:-1])


def test_smart_home_verdict_on_detectors_turns(smart_home: dict[str, Any]) -> None:
    rows = smart_home["flatten"](smart_home["prepare"](smart_home["normal"], "air"))
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(column) for column in rows.T], axis=1)
    by_range = smart_home_found(smart_home, smart_home["score_range"])
    by_vae, by_shuffled = (smart_home_found(smart_home, smart_home_vae(smart_home, one)) for one in (rows, shuffled))
    give_verdict = smart_home["give_verdict"]
    assert give_verdict(by_range, by_vae)[2] == "take the model"
    assert give_verdict(by_range, by_shuffled)[2] != "take the model"
    assert give_verdict(by_vae, by_vae)[2] == "no difference"
    assert give_verdict(by_vae, by_shuffled)[2] == "keep the baseline"


def test_smart_home_rules_find_what_they_name(smart_home: dict[str, Any]) -> None:
    rings = smart_home["find_named"](smart_home["homes"]["faults"])[..., smart_home["SLOTS"] :]
    found = dict(zip(smart_home["KINDS"], rings.any(axis=-1).mean(axis=-1), strict=True))
    assert found["stuck"] == found["door"] == 1.0
    assert max(found[kind] for kind in ("drift", "leak", "stale air", "window")) < 0.2


def test_smart_home_faults_begin_where_they_should(smart_home: dict[str, Any]) -> None:
    for kind in smart_home["KINDS"]:
        before, read_off = smart_home["plant"](kind, 5, np.random.default_rng(0))
        slots = smart_home["SLOTS"]
        assert np.array_equal(before[:, :slots], read_off[:, :slots])
        changed = np.flatnonzero((before != read_off).any(axis=(0, 1)))
        assert set(changed) == {"stuck": {0}, "drift": {0}, "leak": {1}, "door": {3}, "stale air": {2}}.get(
            kind, {0, 1, 2}
        )


def test_smart_home_threshold_keeps_its_budget(smart_home: dict[str, Any]) -> None:
    scores = np.random.default_rng(0).random((30, 7 * 96))
    for budget in (0.1, 1.0):
        threshold = smart_home["find_threshold"](scores, budget)
        assert 0.8 * budget <= smart_home["count_alarms"](scores, threshold) <= budget


def test_smart_home_verdict_on_heating_turns() -> None:
    names = smart_home_names("home run hysteresis plan follow", tuning_homes=2)

    def save(policy: Any) -> np.ndarray:
        return -names["find_daily"](policy, names["weather"]).mean(axis=1)

    rule = save(names["policies"]["tariff rule, tuned"])
    learnt, shuffled = (
        save(names["follow"](names["plan"](*names["learn_home"](7, shuffled=mixed))[None])) for mixed in (False, True)
    )
    give_verdict = names["give_verdict"]
    assert give_verdict(rule, learnt)[2] == "take the model"
    assert give_verdict(rule, shuffled)[2] == "keep the baseline"
    assert give_verdict(learnt, learnt)[2] == "no difference"
