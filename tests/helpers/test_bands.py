"""Reference bands: their factors against published tables, how often they hold, and what the verdict line says."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from helpers.book import bands, verdicts

VALUES = [3.0, 5.0, 4.0, 6.0, 2.0, 4.5, 3.5, 5.5, 2.5, 4.0]  # mean 4
SPREAD = float(np.std(VALUES, ddof=1))


# Factors and bands: published for a content of 99 % and a confidence of 95 %

TWO_SIDED = {10: 4.433, 15: 3.878, 20: 3.615, 30: 3.350, 50: 3.126}  # exact; Howe's are up to 0.015 wider
ONE_SIDED = {10: 3.981, 15: 3.520, 20: 3.295, 30: 3.064, 50: 2.863}


@pytest.mark.parametrize(("count", "published"), TWO_SIDED.items())
def test_two_sided_factors_are_those_of_the_tables(count: int, published: float) -> None:
    assert bands.find_tolerance_factor(count, two_sided=True) == pytest.approx(published, abs=0.015)


@pytest.mark.parametrize(("count", "published"), ONE_SIDED.items())
def test_one_sided_factors_are_those_of_the_tables(count: int, published: float) -> None:
    assert bands.find_tolerance_factor(count, two_sided=False) == pytest.approx(published, abs=0.002)


def test_a_band_is_open_where_nothing_is_bad() -> None:
    both, one = TWO_SIDED[10] * SPREAD, ONE_SIDED[10] * SPREAD
    assert bands.form_band(VALUES, "either") == pytest.approx((4.0 - both, 4.0 + both), abs=0.015 * SPREAD)
    assert bands.form_band(VALUES, "higher") == (-math.inf, pytest.approx(4.0 + one, abs=1e-3))
    assert bands.form_band(VALUES, "lower") == (pytest.approx(4.0 - one, abs=1e-3), math.inf)


@pytest.mark.parametrize("worse", bands.WORSE)
def test_a_log_band_is_the_band_of_the_logarithms(worse: str) -> None:
    low, high = bands.form_band(np.exp(VALUES), worse, log=True)
    expected = bands.form_band(VALUES, worse)
    assert (np.log(low) if low > 0 else -math.inf, np.log(high)) == pytest.approx(expected)
    assert low >= 0.0


@pytest.mark.parametrize("worse", bands.WORSE)
def test_bands_hold_what_they_promise(worse: str) -> None:
    """Of bands from ten normal values, 95 % hold 99 % of all further values or more."""
    rng = np.random.default_rng(1)
    formed = [bands.form_band(rng.normal(7.0, 3.0, size=10), worse) for _ in range(1_500)]
    lows, highs = np.transpose(formed)
    contents = stats.norm.cdf(highs, 7.0, 3.0) - stats.norm.cdf(lows, 7.0, 3.0)
    assert np.mean(contents >= 0.99) == pytest.approx(0.95, abs=0.02)  # 3.5 standard errors of 1,500 bands


def test_a_band_of_three_standard_deviations_would_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "find_tolerance_factor", lambda count, two_sided: 3.0)
    with pytest.raises(AssertionError):
        test_bands_hold_what_they_promise("either")


@pytest.mark.parametrize(
    ("values", "worse", "log", "message"),
    [
        (VALUES, "bigger", False, "worse is 'bigger'; expected one of higher, lower, either"),
        (VALUES[:9], "either", False, "expected 10 or more finite values"),
        ([*VALUES, math.nan], "either", False, "expected 10 or more finite values"),
        ([*VALUES, math.inf], "higher", False, "expected 10 or more finite values"),
        ([*VALUES, 0.0], "higher", True, "positive for a log band"),
        ([VALUES], "either", False, "expected 10 or more finite values"),
    ],
    ids=["side", "nine seeds", "NaN", "infinite", "zero in a log band", "nested"],
)
def test_values_that_form_no_band_are_refused(values: list, worse: str, log: bool, message: str) -> None:
    with pytest.raises(bands.BandError, match=message):
        bands.form_band(values, worse, log)


# The verdict line


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.0, "within the reference band"),
        (1.0, "within the reference band"),
        (3.0, "within the reference band"),
        (3.25, "outside the reference band: 3.25, 0.25 above its upper end 3"),
        (0.5, "outside the reference band: 0.5, 0.5 below its lower end 1"),
        (math.inf, "outside the reference band: inf, inf above its upper end 3"),
        (math.nan, "outside the reference band: nan cannot be compared"),
    ],
)
def test_a_band_says_on_which_side_and_by_how_much(value: float, said: str) -> None:
    assert bands.Band(1.0, 3.0).judge(value) == said


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_band_holds_what_is_not_finite(value: float) -> None:
    for band in (bands.Band(-math.inf, 3.0), bands.Band(1.0, math.inf)):
        assert band.judge(value).startswith("outside the reference band")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results with one metric of one chapter."""
    monkeypatch.setattr(bands, "find_results", lambda: tmp_path)
    metric = {"values": VALUES, "worse": "higher", "log": False}
    made = {"date": "2026-11-28", "commit": "abc", "machine": {"cpu": "a CPU"}}
    (tmp_path / "bands").mkdir()
    (tmp_path / "bands" / "quick.json").write_text(json.dumps({"vae": {**made, "metrics": {"test NLL": metric}}}))
    return tmp_path


def test_verdicts_name_chapter_metric_and_judgement(results: Path, capsys: pytest.CaptureFixture) -> None:
    reference = bands.Reference("vae", "quick")
    reference.verdict("test NLL", 4.2, unit="nats", worse="higher")
    reference.verdict("test NLL", 1e6, unit="nats", worse="higher")
    reference.verdict("another metric", 4.2, unit="nats", worse="higher")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "VAE test NLL: within the reference band"
    assert lines[1].startswith("VAE test NLL: outside the reference band: 1e+06, 1e+06 above its upper end")
    assert lines[2] == "VAE another metric: no reference band yet"


@pytest.mark.parametrize(("chapter", "profile"), [("gan", "quick"), ("vae", "full")])
def test_chapter_or_profile_without_results_has_no_band_yet(
    results: Path, capsys: pytest.CaptureFixture, chapter: str, profile: str
) -> None:
    bands.Reference(chapter, profile).verdict("test NLL", 4.2, unit="nats", worse="higher")
    assert capsys.readouterr().out == f"{chapter.upper()} test NLL: no reference band yet\n"


@pytest.mark.parametrize(("worse", "log"), [("lower", False), ("either", False), ("higher", True)])
def test_a_band_formed_otherwise_counts_as_none(
    results: Path, capsys: pytest.CaptureFixture, worse: str, log: bool
) -> None:
    """Else a chapter that bands a metric in another way than before could never be measured."""
    reference = bands.Reference("vae", "quick")
    reference.verdict("test NLL", 4.2, unit="nats", worse=worse, log=log)
    assert capsys.readouterr().out == "VAE test NLL: no reference band yet\n"
    assert not reference.excludes("test NLL", 1e6, worse=worse, log=log)


def test_a_reference_keeps_what_it_was_told(results: Path, capsys: pytest.CaptureFixture) -> None:
    reference = bands.Reference("vae", "quick")
    reference.verdict("test NLL", np.float32(4.25), worse="higher", unit="nats")
    reference.verdict("another metric", 1e6, worse="lower", log=True, unit="share")
    reference.check("broken, outside the band", reference.excludes("test NLL", 9.0, worse="higher"))
    reference.check("cured", np.bool_(True))
    assert reference.reports == [
        {"kind": "verdict", "metric": "test NLL", "value": 4.25, "unit": "nats", "worse": "higher", "log": False},
        {"kind": "verdict", "metric": "another metric", "value": 1e6, "unit": "share", "worse": "lower", "log": True},
        {"kind": "held", "metric": "test NLL", "value": 9.0},
        {"kind": "check", "name": "broken, outside the band", "truth": False, "about_band": True},
        {"kind": "check", "name": "cured", "truth": True, "about_band": False},
    ]
    assert capsys.readouterr().out.splitlines()[2:] == ["broken, outside the band: False", "cured: True"]
    assert json.loads(json.dumps(reference.reports)) == reference.reports


# The table of checks


@pytest.mark.parametrize(
    ("low", "high", "value", "band", "verdict"),
    [
        (1.0, 3.0, 2.0, "1 to 3", "within"),
        (1.0, 3.0, 3.25, "1 to 3", "outside: 0.25 above"),
        (1.0, 3.0, 0.5, "1 to 3", "outside: 0.5 below"),
        (-math.inf, 3.0, -9.0, "at most 3", "within"),
        (1.0, math.inf, 0.9, "at least 1", "outside: 0.1 below"),
        (1.0, 3.0, math.nan, "1 to 3", "outside: nan"),
        (1.0, math.inf, math.inf, "at least 1", "outside: inf"),
        (0.00123, 76543.2, 2.0, "0.00123 to 76,543", "within"),
        (None, None, 2.0, "none", "no band yet"),
    ],
)
def test_a_row_says_in_plain_words_what_the_line_says(
    low: float | None, high: float | None, value: float, band: str, verdict: str
) -> None:
    row = verdicts.Row("x", value, "nats", low, high, 10)
    assert (row.band, row.verdict) == (band, verdict)
    if low is not None:
        assert (bands.Band(low, high).judge(value) == bands.WITHIN) == (verdict == "within")


def test_one_table_shows_results_and_answers(
    results: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bands.Reference("vae", "quick")
    for value in (1e6, 4.2):  # a cell that is run again counts once
        reference.verdict("test NLL", value, unit="nats", worse="higher")
    reference.verdict("<another>", 0.25, unit="share", worse="lower")
    reference.check("broken, outside the band", reference.excludes("test NLL", 1e6, worse="higher"))
    reference.check("cured & well", False)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    reference.show_checks()
    ((html, plain),) = [(data["text/html"], data["text/plain"]) for data in shown]
    assert plain == "1 of 2 results within their bands, 1 of 2 checks true."
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", html)
    assert [re.findall(r">([^<]+)<", row) for row in rows] == [
        ["test NLL", "4.2 nats", "at most 9.14", "10", "within"],
        ["&lt;another&gt;", "0.25 share", "none", "no band yet"],
        ["broken, outside the band", "True"],
        ["cured &amp; well", "False"],
    ]
    assert "<strong>False</strong>" in html
    assert "measured on 2026-11-28 at commit abc, on a CPU" in html
    assert html.count('scope="col"') == 5


@pytest.mark.parametrize(
    ("number", "told"),
    [(999.4, "999"), (1e3, "1,000"), (999_999_999.0, "999,999,999"), (1e9, "1e+09"), (-2e3, "-2,000")],
)
def test_numbers_are_told_in_full_up_to_a_thousand_million(number: float, told: str) -> None:
    assert verdicts.Row("x", number, "nats", number, math.inf, 10).band == f"at least {told}"


@pytest.mark.parametrize(
    "report",
    [
        lambda reference: reference.verdict(5, 1.0, unit="", worse="lower"),
        lambda reference: reference.excludes(5, 1.0, worse="lower"),
        lambda reference: reference.check(5, True),
        lambda reference: reference.find_band(5, worse="lower"),
    ],
)
def test_a_result_has_a_name(results: Path, report) -> None:
    with pytest.raises(bands.BandError, match="is 5, a int; expected a text"):
        report(bands.Reference("vae", "quick"))


def test_a_result_is_one_number(results: Path) -> None:
    with pytest.raises(bands.BandError, match=r"value is \[1\.0, 2\.0\], expected a number"):
        bands.Reference("vae", "quick").verdict("test NLL", [1.0, 2.0], unit="nats", worse="higher")


@pytest.mark.parametrize("truth", ["False", np.nan, {}, np.array([True, True])])
def test_an_answer_is_yes_or_no(results: Path, truth: object) -> None:
    reference = bands.Reference("vae", "quick")
    with pytest.raises(bands.BandError, match="truth"):
        reference.check("held", truth)
    assert not reference.reports
    for answer in (np.bool_(True), None, 1):
        reference.check("held", answer)
    assert [report["truth"] for report in reference.reports] == [True, False, True]


def test_a_chapter_without_bands_says_so(results: Path) -> None:
    assert bands.Reference("gan", "quick").describe_bands() == "No bands have been measured yet."


# Where results are


def test_results_stand_in_the_package_or_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "helpers"
    package.mkdir()
    monkeypatch.setattr(bands, "__file__", str(package / "book" / "bands.py"))
    assert bands.find_results() == tmp_path / "results"
    (package / "results").mkdir()
    assert bands.find_results() == package / "results"


def test_seeds_that_agree_leave_room_for_rounding_elsewhere() -> None:
    band = bands.form_band([0.95] * 10, worse="lower")
    assert band.judge(0.947) == bands.WITHIN
    assert band.judge(0.92) != bands.WITHIN
