"""The verdicts of the finance chapter: a shuffled input turns them, and so does the model's output as baseline."""

import ast
import functools

import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters

FINTECH = ("imports", "config", "vae", "train", "likelihood", "returns", "tests", "day-vae")


@functools.cache
def fintech_names() -> dict[str, object]:
    """What the cells of the chapter leave that forecast the value at risk, and the rule of its verdicts."""
    cells = {cell.id.removeprefix("fintech-"): cell.source for cell in code_cells(read(NOTEBOOKS / "fintech.ipynb"))}
    names: dict[str, object] = {}
    exec(cells["setup"], names)
    for name in FINTECH:
        tree = ast.parse(cells[name])
        if name == "likelihood":  # without the VAE of loans, which is not asked here
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            names["count"] = 0
        exec(compile(tree, name, "exec"), names)
        if name == "config":
            vars(names["config"]).update(day_steps=1_000, forecast_draws=200, resampling_draws=300)
    names["prior"] = 0.3  # the share of bad loans, which a function of the same cell takes by default
    functions = [node for node in ast.parse(cells["decide"]).body if isinstance(node, ast.FunctionDef)]
    exec(compile(ast.Module(functions, []), "decide", "exec"), names)
    names["forecast"] = names["learn_days"](names["told_spreads"])
    return names


def fintech_verdict(told: np.ndarray, baseline: np.ndarray | None = None) -> str:
    """The verdict on the VAE's value at risk at 5 %, told so; the baseline is one limit for all days, if not given."""
    names, chance = fintech_names(), np.random.default_rng(0)
    days, forecasts = names["days"], names["forecasts"]
    limits = np.full_like(forecasts["RiskMetrics"], np.nan)
    limits[days:] = names["forecast"](told[days:], chance)
    forecasts["model"] = limits
    forecasts["baseline"] = forecasts["the same every day"] if baseline is None else limits
    return names["decide"](names["spare"]("model", "baseline", 0.05), names["config"].block)[3]


def test_fintech_the_model_wins_where_its_input_counts() -> None:
    assert fintech_verdict(fintech_names()["told_spreads"]) == "model"


def test_fintech_a_shuffled_input_turns_the_verdict() -> None:
    names = fintech_names()
    told = names["told_spreads"].copy()
    told[names["days"] :] = np.random.default_rng(0).permutation(told[names["days"] :])
    assert fintech_verdict(told) != "model"


def test_fintech_a_baseline_with_the_models_output_turns_the_verdict() -> None:
    told = fintech_names()["told_spreads"]
    assert fintech_verdict(told, baseline=told) == "baseline: no difference"


def test_fintech_the_verdict_can_go_to_the_baseline() -> None:
    names = fintech_names()
    gains = names["spare"]("the same every day", "RiskMetrics", 0.05)
    assert names["decide"](gains, names["config"].block)[3] == "baseline"
