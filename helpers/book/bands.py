"""Reference bands: what a chapter's results must fall in, and the line that says whether they do."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from helpers.arguments import check_choice, check_flags, check_kind, check_whole, tell
from helpers.book import full_runs, verdicts
from helpers.checks import check_not_huge, check_numbers, read_numbers
from helpers.files import check_json

CONTENT, CONFIDENCE = 0.99, 0.95  # a band holds 99 % of runs with 95 % confidence, if runs are normal
MINIMUM_SEEDS = {"quick": 10, "full": 3}  # by profile; fewer make a band wider
AGREED_REACH = 0.02  # of the value, where all seeds gave the same
WORSE = ("higher", "lower", "either")
WITHIN = "within the reference band"


class BandError(ValueError):
    """A band cannot be formed."""


class Band(NamedTuple):
    """The interval in which a result counts as reproduced; an open side is infinite."""

    low: float
    high: float

    def judge(self, value: float) -> str:
        """Return in words whether value lies in the band, else by how much and on which side it misses."""
        if value > self.high:
            return (
                f"outside the reference band: {value:.4g}, {value - self.high:.2g} above its upper end {self.high:.4g}"
            )
        if value < self.low:
            return f"outside the reference band: {value:.4g}, {self.low - value:.2g} below its lower end {self.low:.4g}"
        if math.isfinite(value):
            return WITHIN
        return f"outside the reference band: {value} cannot be compared"


class Reference:
    """The measured results of one chapter in one profile, against which a run is judged.

    reports: what the chapter has said of its results so far, in order. The engine of tools/measure.py collects it when
    the last cell has run: {"kind": "verdict", "held" or "check", ...}, the rest as it was given.
    """

    def __init__(self, chapter: str, profile: str) -> None:
        check_kind(str, "a chapter's name", BandError, chapter=chapter)
        check_choice(MINIMUM_SEEDS, profile=profile)
        self.chapter, self.minimum = chapter, MINIMUM_SEEDS[profile]
        path = find_results() / "bands" / f"{profile}.json"
        check_json(path, BandError)
        chapters = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        check_kind(dict, "chapters by name", BandError, chapters=chapters)
        self.stored = chapters.get(chapter, {})
        _check_stored(self.stored, f"{path}: {chapter}")
        self.metrics = self.stored.get("metrics", {})
        self.reports: list[dict[str, Any]] = []

    def verdict(self, metric: str, value: float, *, worse: str, unit: str, log: bool = False) -> None:
        """Print one line that says whether value, this run's result, lies in the metric's band.

        unit: in words, such as "nats" or "share of pairs". worse, log: as for form_band. They are measured with the
        values; a band that was formed otherwise, because the chapter has changed since, counts as none. A result
        outside its band, or without one, is printed and not raised, so that a learner's Run all goes on.
        """
        _check_report(metric, value, worse, log)
        check_kind(str, "a text", BandError, unit=unit)
        self.reports.append(
            {"kind": "verdict", "metric": metric, "value": float(value), "unit": unit, "worse": worse, "log": log}
        )
        band = self.find_band(metric, worse, log)
        print(f"{self.chapter.upper()} {metric}: {band.judge(value) if band else 'no reference band yet'}")

    def excludes(self, metric: str, value: float, *, worse: str, log: bool = False) -> bool:
        """Return whether the metric has a band and value, such as that of a broken model, lies outside it."""
        _check_report(metric, value, worse, log)
        self.reports.append({"kind": "held", "metric": metric, "value": float(value)})
        band = self.find_band(metric, worse, log)
        return band is not None and band.judge(value) != WITHIN

    def check(self, name: str, truth: object) -> None:
        """Print one line, `name: True` or `name: False`: a yes-or-no result that full runs are compared by.

        A check that comes right after `excludes` tells of a band, which may not be there yet: those are not compared.
        """
        _check_answer(name, truth)
        about_band = bool(self.reports) and self.reports[-1]["kind"] == "held"
        self.reports.append({"kind": "check", "name": name, "truth": bool(truth), "about_band": about_band})
        print(f"{name}: {bool(truth)}")

    def show_checks(self) -> None:
        """Display one table of all results and yes-or-no lines so far, and the full run's: the last call of a chapter.

        Of a result that was reported twice, as by a cell that was run again, the last one counts.
        """
        from IPython.display import display  # which only a notebook has

        results = {report["metric"]: report for report in self.reports if report["kind"] == "verdict"}
        answers = {report["name"]: report["truth"] for report in self.reports if report["kind"] == "check"}
        rows = []
        for metric, report in results.items():
            band = self.find_band(metric, report["worse"], report["log"])
            seeds = len(self.metrics[metric]["values"]) if band else 0
            low, high = band or (None, None)
            rows.append(verdicts.Row(metric, report["value"], report["unit"], low, high, seeds))
        html = verdicts.format_table(rows, answers, self.describe_bands())
        display({"text/html": html, "text/plain": verdicts.count_up(rows, answers)}, raw=True)
        full = find_results() / "full" / f"{self.chapter}.json"
        if full.exists():
            full_runs.show(json.loads(full.read_text(encoding="utf-8")), Reference(self.chapter, "quick").metrics)

    def describe_bands(self) -> str:
        """Return in a sentence when, at which commit and on which machine the bands were measured."""
        if not self.stored:
            return "No bands have been measured yet."
        machine, commit = self.stored["machine"], self.stored.get("commit")
        told = f"The bands were measured on {self.stored['date']}{f' at commit {commit}' if commit else ''}, on "
        return f"{told}{machine['cpu'] if isinstance(machine, dict) else machine}."

    def find_band(self, metric: str, worse: str, log: bool = False) -> Band | None:
        """Return the band of a metric, None where none has been measured, or one that was formed in another way."""
        _check_report(metric, 0.0, worse, log)
        record = self.metrics.get(metric)
        if record is None or (record["worse"], record["log"]) != (worse, log):
            return None
        return form_band(record["values"], worse, log, self.minimum)


def form_band(values: ArrayLike, worse: str, log: bool = False, minimum: int = MINIMUM_SEEDS["quick"]) -> Band:
    """Return the normal tolerance interval of one metric from its values over seeds.

    values: one finite number for each seed, minimum of them or more; the fewer, the wider the band. worse: "higher" or
    "lower" leaves the better side open, "either" closes both. log: form it over the logarithms, for positive skewed
    values. Raises BandError.
    Source: Howe 1969 for two sides; the noncentral t distribution for one.
    """
    _check_worse(worse)
    check_whole(2, error=BandError, minimum=minimum)
    check_flags(log=log)
    check_numbers(BandError, values=values)
    check_not_huge(BandError, values=values)
    values = np.asarray(values, np.float64)
    if worse not in WORSE:
        raise BandError(f"worse is {worse!r}; expected one of {', '.join(WORSE)}.")
    if values.ndim != 1 or len(values) < minimum or not np.isfinite(values).all() or (log and values.min() <= 0):
        raise BandError(f"{tell(values.tolist())}: expected {minimum} or more finite values, positive for a log band.")
    scaled = np.log(values) if log else values
    reach = scaled.std(ddof=1) * find_tolerance_factor(len(values), two_sided=worse == "either")
    if np.ptp(scaled) == 0.0:  # a part of the run that no seed changes; other machines still round differently
        reach = AGREED_REACH * abs(scaled.mean())
    low = -math.inf if worse == "higher" else scaled.mean() - reach
    high = math.inf if worse == "lower" else scaled.mean() + reach
    return Band(float(np.exp(low)), float(np.exp(high))) if log else Band(float(low), float(high))


def find_tolerance_factor(count: int, two_sided: bool) -> float:
    """Return how many standard deviations a tolerance interval reaches from the mean of count values."""
    if not two_sided:
        quantile = stats.norm.ppf(CONTENT)
        return stats.nct.ppf(CONFIDENCE, count - 1, quantile * math.sqrt(count)) / math.sqrt(count)
    quantile = stats.norm.ppf((1 + CONTENT) / 2)
    return quantile * math.sqrt((count - 1) * (1 + 1 / count) / stats.chi2.ppf(1 - CONFIDENCE, count - 1))


def _check_stored(stored: Any, where: str) -> None:
    """Raise BandError unless what is stored of a chapter is as tools/measure.py has written it."""
    metrics = stored.get("metrics", {}) if isinstance(stored, dict) else None
    right = isinstance(metrics, dict) and (not stored or {"machine", "date"} <= stored.keys())
    right = right and ("cpu" in stored["machine"] if isinstance(stored.get("machine"), dict) else True)
    for record in metrics.values() if isinstance(metrics, dict) else ():
        forms = {"worse": str, "log": bool, "values": list}
        right = right and isinstance(record, dict)
        right = right and all(isinstance(record.get(name), form) for name, form in forms.items())
    if not right:
        raise BandError(f"{where}: no bands as `make bands` writes them; restore the file, or measure them again.")


def _check_worse(worse: Any) -> None:
    if not (isinstance(worse, str) and worse in WORSE):
        raise BandError(f"worse is {tell(worse)}; expected one of {', '.join(WORSE)}.")


def _check_report(metric: Any, value: Any, worse: Any, log: Any) -> None:
    """Raise BandError unless a value is a number, which need not be finite, of a metric with a name."""
    check_kind(str, "a text", BandError, metric=metric)
    _check_worse(worse)
    check_flags(log=log)
    if np.ndim(read_numbers(value, "value", BandError)):
        raise BandError(f"value is {tell(value)}, expected a number.")


def _check_answer(name: Any, truth: Any) -> None:
    """Raise BandError unless an answer is yes or no, as None is: a text that says False would count as yes."""
    check_kind(str, "a text", BandError, name=name)
    answer = read_numbers(truth is not None and truth, "truth", BandError)
    if answer.ndim or answer.dtype.kind == "f":
        raise BandError(f"truth is {tell(truth)}, expected True or False; of an array, try truth.all().")


def find_results() -> Path:
    """Return the folder of results: inside the installed package (as on Colab), else beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "results"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "results"
