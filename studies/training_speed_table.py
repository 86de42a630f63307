"""The table of the study `training_speed`, from its record: `python -m studies.training_speed_table` prints it.

What misses its aim is said; nothing fails, because machines differ.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from helpers.book import records

# Of each way: how many times our time it takes. Nothing can be asked of ourselves.
AIMS = {"article's pattern": 3.0, "plain fit": 1.0, "PyTorch eager": 1.0, "products alone": 0.5}


class Row(NamedTuple):
    """One line of the table; met is None where there is no aim."""

    what: str
    measured: str
    aim: str = ""
    met: bool | None = None


def training_rows(metrics: dict[str, dict]) -> Iterator[Row]:
    """What each way to train took, and whether ours meets its aim beside it."""
    for name in (metric.removeprefix("parameters/") for metric in metrics if metric.startswith("parameters/")):
        yield Row(f"{name}: ours", _format_speed(metrics, f"{name}, ours"))
        for way, aim in AIMS.items():
            label, floor = f"{name}, {way}", metrics[f"ratio/{name}, products alone"]["value"]
            if f"ratio/{label}" not in metrics:
                yield Row(f"{name}: {way}", "skipped: PyTorch was not installed")
                continue
            ratio, error = (metrics[f"ratio/{label}"][key] for key in ("value", "standard_error"))
            measured = f"{_format_speed(metrics, label)}, {ratio:.2f} ± {error:.2f} times our time"
            if ratio < aim and ratio / floor < aim:  # no training with these products can meet it
                measured += f"; the products alone: {ratio / floor:.2f}"
            yield Row(f"{name}: {way}", measured, f"{aim:g} or more", ratio >= aim)


def growth_rows(metrics: dict[str, dict]) -> Iterator[Row]:
    """How the cost of our training grows: a row for each model and what grows, sizes in their order."""
    found: dict[tuple[str, str], dict[int, dict]] = {}
    for metric, entry in metrics.items():
        if grown := re.fullmatch(
            r"(?:milliseconds_per_step|seconds_per_pass)/(.+), (batch|width|images) (\d+)", metric
        ):
            found.setdefault((grown[1], grown[2]), {})[int(grown[3])] = entry
    for (name, what), entries in sorted(found.items()):
        values = ", ".join(f"{size:,}: {entries[size]['value']:.3g}" for size in sorted(entries))
        unit = next(iter(entries.values()))["unit"]
        yield Row(f"{name}: {unit} {'a pass' if what == 'images' else 'a step'}, by {what}", values)


def list_rows() -> list[Row]:
    """The rows of the record. Raises RecordError where there is none."""
    metrics = records.load("training_speed").metrics
    return [*training_rows(metrics), *growth_rows(metrics)]


def format_row(row: Row) -> str:
    """The line of a row; what misses its aim says so in capitals."""
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return f"{row.what:36} {row.measured:85} {row.aim:16} {verdict}".rstrip()


def _format_speed(metrics: dict[str, dict], label: str) -> str:
    quantities = ("images_per_second", "milliseconds_per_step")
    rate, step = (metrics[f"{quantity}/{label}"]["value"] for quantity in quantities)
    return f"{rate:,.0f} images/s, {step:.2f} ms a step"


if __name__ == "__main__":
    print(records.load("training_speed").describe())
    for one in list_rows():
        print(format_row(one))
