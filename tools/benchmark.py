"""Measures what training costs: `python -m tools.benchmark [--record]` prints one table, measured in one run.

The book's training stands beside the article's pattern, plain fit() and PyTorch, and beside the time of its own
products and convolutions; `tools.benchmark_ways` says what each row does. What misses its aim is said; nothing fails,
because machines differ. Seconds and memory of the chapters are those that `make execute` stored. --record writes what
was measured to results/full/benchmark.json, the table with it, and the figure of how the cost grows.
"""

import hashlib
import importlib.util
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from tools.environment import QUICK, quick_environment

os.environ.update(quick_environment())  # before TensorFlow reads it

import matplotlib.pyplot as plt
import tensorflow as tf
from matplotlib.ticker import LogLocator

from helpers import plotting
from tools import recording
from tools.benchmark_ways import CASES, EPOCHS, GROWING, ROUNDS, grown, growth_metric, measure_round
from tools.notebook_files import MEASURING_NOTHING, ROOT, canonical, chapters, helpers_reached, parse_code, read
from tools.studies import peak_memory_mb

NAME = "benchmark"
SCRIPTS = ("benchmark_ways", "benchmark_article", "benchmark_torch")  # what is measured depends on these
# Of each way: how many times our time it takes. Nothing can be asked of ourselves.
AIMS = {"article's pattern": 3.0, "plain fit": 1.0, "PyTorch eager": 1.0, "products alone": 0.5}
SECONDS = {"gan": 120}  # of a chapter; the others have 60
MEMORY_GB = 3.0
AXES = {"batch": "batch (images)", "width": "width (units)", "images": "data set (images)"}


class Row(NamedTuple):
    """One line of the table; met is None where there is no aim."""

    what: str
    measured: str
    aim: str = ""
    met: bool | None = None


def training_rows(metrics: dict[str, dict]) -> Iterator[Row]:
    """What each way to train took, and whether ours meets its aim beside it."""
    for name in CASES:
        yield Row(f"{name}: ours", _format_speed(metrics, f"{name}, ours"))
        for way, aim in AIMS.items():
            label, floor = f"{name}, {way}", metrics[f"ratio/{name}, products alone"]["value"]
            if f"ratio/{label}" not in metrics:
                yield Row(f"{name}: {way}", "skipped: PyTorch is not installed")
                continue
            ratio, error = (metrics[f"ratio/{label}"][key] for key in ("value", "standard_error"))
            measured = f"{_format_speed(metrics, label)}  {ratio:6.2f} ± {error:.2f} times our time"
            if ratio < aim and ratio / floor < aim:  # no training with these products can meet it
                measured += f"; the products alone: {ratio / floor:.2f}"
            yield Row(f"{name}: {way}", measured, f"{aim:g} or more", ratio >= aim)


def growth_rows(metrics: dict[str, dict]) -> Iterator[Row]:
    """How the cost of our training grows."""
    for name in GROWING:
        for what, cases in grown(CASES[name]).items():
            entries = [metrics[growth_metric(name, what, size)] for size in cases]
            values = ", ".join(f"{size:,}: {entry['value']:.3g}" for size, entry in zip(cases, entries, strict=True))
            each = "a pass" if what == "images" else "a step"
            yield Row(f"{name}: {entries[0]['unit']} {each}, by {what}", values)


def chapter_rows() -> Iterator[Row]:
    """Seconds and memory of each chapter in the quick profile, as `make execute` stored them."""
    for path in chapters():
        stored, name, aim = read(path).metadata.get("book"), f"chapter {path.stem}", SECONDS.get(path.stem, 60)
        if stored is None:
            yield Row(name, "not executed yet")
            continue
        memory_gb = stored.peak_memory_mb / 1e3
        yield Row(f"{name}: time", f"{stored.seconds:.0f} s", f"{aim} s or less", stored.seconds <= aim)
        yield Row(f"{name}: memory", f"{memory_gb:.2f} GB", f"{MEMORY_GB:g} GB or less", memory_gb <= MEMORY_GB)


def format_row(row: Row) -> str:
    """The line of a row; what misses its aim says so in capitals."""
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return f"{row.what:36} {row.measured:85} {row.aim:16} {verdict}".rstrip()


def measure() -> list[dict]:
    """All rounds, one after the other, as parts of a record; a round's number is its seed."""
    tf.get_logger().setLevel("ERROR")  # it warns when many models are compiled, as here
    parts = []
    for seed in range(ROUNDS):
        start = time.process_time()
        metrics = {name: {"value": value, "unit": unit} for name, (value, unit) in measure_round(seed).items()}
        seconds = round(time.process_time() - start, 1)
        parts.append({"seed": seed, "metrics": metrics, "seconds": seconds, "peak_memory_mb": peak_memory_mb()})
        print(f"round {seed + 1} of {ROUNDS}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return parts


def code_digest() -> str:
    """What the record depends on: the scripts that measure and the helpers that they reach, without what only shows."""
    trees = {name: parse_code((ROOT / "tools" / f"{name}.py").read_text(encoding="utf-8")) for name in SCRIPTS}
    trees |= {n: t for n, t in helpers_reached(list(trees.values())).items() if n not in MEASURING_NOTHING}
    return hashlib.sha256(repr(sorted((name, canonical(tree)) for name, tree in trees.items())).encode()).hexdigest()


def find_stale() -> str | None:
    """What is wrong with the stored record: none yet, or measured with other code; None where nothing is."""
    file = recording.RECORDS / f"{NAME}.json"
    if not file.exists():
        return "it has no record yet; run `python -m tools.benchmark --record` on an idle machine"
    current = json.loads(file.read_text(encoding="utf-8")).get("code_digest") == code_digest()
    return None if current else "its record is of other code; run `python -m tools.benchmark --record`"


def write_record(parts: list[dict], digest: str) -> None:
    """Writes results/full/benchmark.json and the figure beside it."""
    record = recording.form_record(parts, digest, QUICK["BOOK_PROFILE"], "none")
    record["machine"], metrics = describe_machine(), record["metrics"]
    rows = (*training_rows(metrics), *growth_rows(metrics))
    record["rows"] = [row._replace(measured=" ".join(row.measured.split()))._asdict() for row in rows]  # for the book
    record["versions"] |= {name: version(name) for name in packages() if name not in record["versions"]}
    recording.write_record(record, NAME)
    folder = recording.RECORDS / NAME
    folder.mkdir(exist_ok=True)
    draw_growth(metrics, folder / "scaling.png")


def draw_growth(metrics: dict[str, dict], path: Path) -> None:
    """Draws how the cost grows with batch, width and data, each on logarithmic axes; dotted: in proportion."""
    plotting.use_book_style()
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8))
    for ax, (what, xlabel) in zip(axes, AXES.items(), strict=True):
        for name, style in zip(GROWING, ("o-", "s--"), strict=True):
            sizes = list(grown(CASES[name])[what])
            values = [metrics[growth_metric(name, what, size)]["value"] for size in sizes]
            ax.loglog(sizes, values, style, label=name, markersize=4)
        ax.loglog(sizes, [values[-1] * size / sizes[-1] for size in sizes], ":", color="grey", label="in proportion")
        for axis, marks in ((ax.xaxis, (1, 3)), (ax.yaxis, (1, 2, 5))):
            axis.set_major_locator(LogLocator(subs=marks))
            axis.set_major_formatter("{x:,g}")
        ax.minorticks_off()
        ax.set_xlabel(xlabel)
        ax.set_ylabel("seconds a pass" if what == "images" else "milliseconds a step")
    axes[0].legend(fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def packages() -> list[str]:
    """What the ways to train run on, as far as it is installed."""
    return ["tensorflow", "keras", "numpy"] + ["torch"] * bool(importlib.util.find_spec("torch"))


def describe_machine() -> str:
    """The processor, its cores, the threads that are used of them, and the versions."""
    information = Path("/proc/cpuinfo")
    found = re.findall(r"model name\s*: (.*)", information.read_text("utf-8")) if information.exists() else []
    processor = found[0] if found else platform.processor()
    versions = ", ".join(f"{name} {version(name)}" for name in packages())
    threads = f"{os.cpu_count()} cores, {QUICK['TF_NUM_INTRAOP_THREADS']} thread used"
    return f"{platform.machine()}, {processor}, {threads}; Python {platform.python_version()}, {versions}"


def main(arguments: list[str]) -> int:
    """Prints the table and, with --record, writes the record; returns the exit status."""
    if arguments not in ([], ["--record"]):
        print("expected no argument, or --record", file=sys.stderr)
        return 1
    start, digest = time.perf_counter(), code_digest()  # before the run: what is edited meanwhile is not measured
    parts = measure()
    metrics = recording.collect(parts)
    print(describe_machine())
    print(f"CPU time of one thread: mean ± standard error of {ROUNDS} rounds, in each the shortest of {EPOCHS} epochs")
    for row in (*training_rows(metrics), *growth_rows(metrics), *chapter_rows()):
        print(format_row(row))
    print(f"measured in {time.perf_counter() - start:.0f} s, {sum(part['seconds'] for part in parts):.0f} of CPU time")
    if arguments:
        write_record(parts, digest)
        print(f"written to {recording.RECORDS / NAME}.json")
    return 0


def _format_speed(metrics: dict[str, dict], label: str) -> str:
    quantities = ("images_per_second", "milliseconds_per_step")
    rate, step = (metrics[f"{quantity}/{label}"]["value"] for quantity in quantities)
    return f"{rate:8,.0f} images/s {step:8.2f} ms a step"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
