"""How a chapter's full run is told: its numbers beside those of quick, and what came out otherwise."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame


def show(stored: Mapping[str, Any], quick: Mapping[str, Any]) -> None:
    """Display a stored full run beside quick, and the yes-or-no lines that differ.

    stored: the whole record. quick: the chapter's metrics in quick, with the values of each seed.
    """
    from pandas import DataFrame  # here, because it takes seconds that only a notebook has to give

    from helpers.book import page

    seeds = max(entry["n"] for entry in stored["metrics"].values())
    caption = f"Mean ± standard error over seeds; full: {seeds} seeds, {tell_price(stored)}."
    page.show_table(compare(stored["metrics"], quick), caption)
    unlike = stored.get("unlike_quick")
    if unlike:
        told = {line.strip(): f"true in {sum(answers)} of {len(answers)} seeds" for line, answers in unlike.items()}
        page.show_table(DataFrame({"in full": told}), "Lines of the checks that came out otherwise in full.")


def compare(full: Mapping[str, Any], quick: Mapping[str, Any]) -> "DataFrame":
    """Return mean ± standard error over seeds of each metric: in the quick profile, in the full run.

    What the chapter has measured no longer since then has a dash in quick.
    """
    from pandas import DataFrame

    rows = {}
    for name, entry in full.items():
        band = entry.get("band", name)  # older records call some metrics otherwise than the bands do
        values = quick[band]["values"] if band in quick else None
        in_quick = tell_mean(np.mean(values), find_standard_error(values)) if values else "–"
        in_full = tell_mean(entry["value"], entry["standard_error"])
        rows[f"{band} ({entry['unit']})" if entry["unit"] else band] = {"quick": in_quick, "full": in_full}
    return DataFrame.from_dict(rows, orient="index", columns=["quick", "full"])


def tell_price(stored: Mapping[str, Any]) -> str:
    """Return in words how long a record took, and on which machine."""
    machine = stored.get("device") or describe_machine(stored["machine"])
    return f"{stored['seconds'] / 60:.0f} minutes of {machine}"


def describe_machine(machine: Mapping[str, Any]) -> str:
    """Return in words the machine of a record: its processor, and the threads that each run had of its cores."""
    named = " and ".join(filter(None, (machine.get("gpu"), machine["cpu"])))
    return f"{named}, {machine['threads']} of {machine['cores']} cores"


def tell_mean(mean: float, error: float) -> str:
    """Return mean ± error, both to the second digit of the error; seeds that agree but for rounding have none."""
    if error <= 1e-12 * abs(mean):
        return f"{mean:.4g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:,.{digits}f} ± {error:,.{digits}f}"


def find_standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of some values, one a seed."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
