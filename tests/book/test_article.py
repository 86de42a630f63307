"""The article held against the book: each statement has a place, each erratum and claim a cell, each verdict a rule."""

import functools
import re
from itertools import chain
from pathlib import Path

import article
import numpy as np
import pytest
from article import FAILS, HOLDS, LIMITED, UNTESTABLE, UNTESTED, ArticleError, Measured, judge, meets
from nbformat import NotebookNode

from tools.notebook_files import ROOT, chapters, code_cells, read

SECTIONS, STATEMENTS, ERRATA, CLAIMS = map(article.read_rows, ("sections", "statements", "errata", "claims"))
TESTABLE = [claim for claim in CLAIMS if claim.get("rules")]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Every section of the article that has one place or more in the book
EXPECTED = (
    *("1", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "4.1", "4.2", "4.3", "5.1", "5.2.1", "5.2.2", "5.3", "5.4"),
    *("6.1", "6.2", "6.3", "6.4", "7", "8.1", "8.2", "9", "10"),
)
# Defects that were known before the book was written, by section and a word of the row
KNOWN = [
    *[("1", "middle"), ("1", "billions"), ("2.1.1", "encoder"), ("2.4.2", "F1"), ("3", "core"), ("3.2", "KL")],
    *[("4.1.2", "mean squared"), ("4.1.2", "bracket"), ("4.1.3", "sum"), ("4.2.1", "parameters"), ("4.2.1", "minus")],
    *[("4.2.3", "plus"), ("5.1", "Windows"), ("5.1", "activate.sh"), ("5.2.1", "6,272"), ("5.2.1", "compiled")],
    *[("5.2.1", "frozen"), ("5.2.1", "`np`"), ("5.2.1", "normal"), ("5.2.1", "steps"), ("5.2.1", "predict")],
    *[("5.2.2", "objectives"), ("5.2.2", "sharpen_image"), ("5.2.2", "drawn again"), ("5.2.2", "(14, 14, 1)")],
    *[("5.2.2", "backend"), ("5.2.2", "add_loss"), ("5.2.2", "shape (batch,)"), ("5.2.2", "averaged over latent")],
    *[("5.2.2", "nn.Linear"), ("5.2.2", "means of"), ("5.2.2", "data_loader"), ("5.4.1", "0]"), ("5.4.2", "loader")],
    *[("5.4.2", ".numpy()"), ("5.4", "cannot run"), ("6.1", "diagnosis"), ("6.2", "credit"), ("6.3", "GAN")],
    *[("6.4", "VAE"), ("7.1", "Evdakov"), ("7.1", "Kingma"), ("7.1", "Medium"), ("7.2", "Keras"), ("7.2", "MXNet")],
    *[("7.3", "Variational Autoencoder"), ("7.3", "BERT")],
]


BEYOND = {"ch-flow"}  # chapters about what came after the article


def first_cell(path: Path) -> NotebookNode:
    return read(path).cells[0]


@functools.cache
def labels() -> set[str]:
    """The labels of chapters, their sections, and pages."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")]
    texts += [cell.source for path in chapters() for cell in read(path).cells if cell.cell_type == "markdown"]
    return set(chain.from_iterable(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE) for text in texts))


def figures() -> set[str]:
    cells = [cell for path in chapters() for cell in code_cells(read(path))]
    return {cell.metadata.mystnb.figure.name for cell in cells if "figure" in cell.metadata.get("mystnb", {})}


def value_beyond(rule: dict, met: bool) -> Measured:
    """A value that lies on the side of the rule's threshold where it is met, or on the other."""
    upward = rule["direction"].startswith(">") == met
    step = 1.0 + abs(rule["threshold"])
    return Measured(rule["threshold"] + (step if upward else -step), 0.01)


def judge_with(claim: dict, outcomes: list[bool]) -> article.Judged:
    fed = iter([value_beyond(rule, met) for rule, met in zip(claim["rules"], outcomes, strict=True)])
    by_rule = {id(rule): next(fed) for rule in claim["rules"]}
    return judge(claim, lambda rule, profile: by_rule[id(rule)])


def in_all_profiles(claim: dict, outcomes: list[bool]) -> tuple[dict[str, bool], ...]:
    """What judge tells of each rule that comes out in one way in every profile."""
    return tuple(
        dict.fromkeys(article.find_profiles(rule), met) for rule, met in zip(claim["rules"], outcomes, strict=True)
    )


# The map


def test_every_section_of_the_article_is_on_the_map_once() -> None:
    assert [row["section"] for row in SECTIONS] == list(EXPECTED)


def test_every_place_on_the_map_exists() -> None:
    places = set(chain.from_iterable(row.get("places", ()) for row in SECTIONS))
    assert places - labels() == set()


def test_only_fields_of_application_and_challenges_are_planned() -> None:
    planned = {row["section"] for row in SECTIONS if not row.get("places")}
    assert all(section.startswith(("6.", "8.")) for section in planned)


def test_every_chapter_is_on_the_map_or_says_why_not() -> None:
    first = {re.match(r"\((ch-[\w-]+)\)=", cell.source)[1]: cell.source for cell in map(first_cell, chapters())}
    beyond = {label for label, source in first.items() if "mirrors no section of the article" in source}
    assert first.keys() - set(chain.from_iterable(row.get("places", ()) for row in SECTIONS)) == beyond
    assert beyond == BEYOND


def test_every_statement_has_a_row_or_a_place_but_those_whose_chapters_are_not_there() -> None:
    for row in STATEMENTS:
        assert {"section", "says"} <= row.keys() <= {"section", "says", "claims", "errata", "places"}
        assert article.find_section(row["section"], SECTIONS)
        assert row.keys() & {"claims", "errata", "places"} or row["section"].startswith("6")
        assert set(row.get("places", ())) <= labels()
    stated = {article.find_section(row["section"], SECTIONS) for row in STATEMENTS}
    missing = {row["section"] for row in SECTIONS} - stated
    assert not missing


@pytest.mark.parametrize(("name", "rows"), [("claims", CLAIMS), ("errata", ERRATA)])
def test_every_row_belongs_to_a_statement_and_quotes_the_article(name: str, rows: list[dict]) -> None:
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert set(ids) == set(chain.from_iterable(row.get(name, ()) for row in STATEMENTS))
    assert all(CHINESE.search(row["quote"]) or row["quote"].startswith(("`", "“", "BERT")) for row in rows)


# Errata


@pytest.mark.parametrize("row", ERRATA, ids=lambda row: f"{row['section']} {row['printed'][:30]}")
def test_an_erratum_says_what_holds_and_points_to_what_exists(row: dict) -> None:
    needed = {"id", "section", "printed", "quote", "holds"}
    assert needed <= row.keys() <= needed | {"chapter", "cell", "page"}
    assert article.find_section(row["section"], SECTIONS)
    if "page" in row:
        assert row["page"] in labels()
    else:
        article.find_cell(row["chapter"], row["cell"])


@pytest.mark.parametrize(("section", "word"), KNOWN)
def test_no_known_defect_is_missing(section: str, word: str) -> None:
    assert [row for row in ERRATA if row["section"] == section and word in row["printed"]]


# Claims


def test_there_are_claims_enough_and_each_has_rules_or_says_why_not() -> None:
    assert len(TESTABLE) >= 25
    for claim in CLAIMS:
        assert len(claim.keys() & {"rules", "why", "until"}) == 1
        assert ("rule_set" in claim) == ("rules" in claim)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_a_claim_has_no_word_that_nothing_reads(claim: dict) -> None:
    known = {"id", "section", "claim", "quote", "chapter", "cell", "figure", "rule_set", "rules", "why", "until"}
    assert claim.keys() <= known
    for rule in claim.get("rules", ()):
        assert {"metric", "direction", "threshold"} <= rule.keys()
        assert rule.keys() <= {*article.PARTS, "direction", "threshold", "margin"}
        assert (rule.keys() & set(article.PARTS)) - {"metric"} in (set(), {"minus"}, {"over"}, {"start", "goal"})
        # a margin in standard errors is nothing where there are none
        for profile in article.find_profiles(rule):
            assert "margin" not in rule or article.measure_rule(rule, profile).standard_error > 0


@pytest.mark.parametrize("claim", TESTABLE, ids=lambda claim: claim["id"])
def test_a_claim_is_decided_by_what_the_book_has_measured(claim: dict) -> None:
    article.find_cell(claim["chapter"], claim["cell"])
    assert claim.get("figure") in figures() | {None}
    assert claim["rule_set"] in ("before", "after")
    assert article.find_section(claim["section"], SECTIONS)
    judged = judge(claim)
    assert all(np.isfinite(value.value) for found in judged.measured for value in found.values())
    assert judged.verdict in (HOLDS, LIMITED, FAILS)


@pytest.mark.parametrize("claim", TESTABLE, ids=lambda claim: claim["id"])
def test_each_rule_can_come_out_both_ways_with_the_data_at_hand(claim: dict) -> None:
    for rule in claim["rules"]:
        for profile in article.find_profiles(rule):
            ends = article.find_reach(rule, profile)
            assert {meets(rule, end) for end in ends} == {True, False}
            assert ends[0].value <= article.measure_rule(rule, profile).value <= ends[1].value


def test_a_rule_that_no_model_could_meet_is_found() -> None:
    # the network names so many digits rightly that one that is always right is better by less than this
    rule = {
        "metric": "bands:evaluation/digits named rightly",
        "minus": "bands:evaluation/digits named rightly",
        "direction": ">=",
        "threshold": 0.05,
    }
    assert {meets(rule, end) for end in article.find_reach(rule)} == {False}


def test_a_metric_whose_ends_nobody_knows_is_refused_by_name() -> None:
    rule = {"metric": "bands:gan_math/distance by the critic", "direction": "<", "threshold": 1.0}
    with pytest.raises(ArticleError, match="distance by the critic"):
        article.find_reach(rule)


@pytest.mark.parametrize("claim", TESTABLE, ids=lambda claim: claim["id"])
def test_the_opposite_values_turn_a_verdict(claim: dict) -> None:
    whole = [all(by_profile.values()) for by_profile in judge(claim).met]
    turned = judge_with(claim, [not met for met in whole])
    assert turned.met == in_all_profiles(claim, [not met for met in whole])
    assert turned.verdict == {HOLDS: FAILS, FAILS: HOLDS, LIMITED: LIMITED}[judge(claim).verdict]
    assert judge_with(claim, [True] * len(whole)).verdict == HOLDS
    assert judge_with(claim, [False] * len(whole)).verdict == FAILS


def test_the_worse_profile_decides() -> None:
    rule = {"metric": "bands:gan/memorisation ratio", "direction": ">=", "threshold": 0.5}
    assert article.find_profiles(rule) == ("quick", "full")

    def measure(worse: str | None) -> article.Judged:
        return judge({"rules": [rule]}, lambda rule, profile: Measured(0.0 if profile == worse else 1.0))

    assert measure(None).verdict == HOLDS
    for profile in article.PROFILES:
        assert measure(profile).verdict == FAILS
        assert measure(profile).met == ({name: name != profile for name in article.PROFILES},)


def test_the_profiles_of_a_rule_are_those_that_hold_all_its_numbers() -> None:
    published = {"metric": "published:models/GPT-3/parameters"}
    record = {"metric": "record:gan_vs_vae_seeds/failed/VAE"}
    assert article.find_profiles(published) == ("",)
    assert article.find_profiles(record) == ("quick",)
    assert article.find_profiles({"metric": "bands:gan/Frechet distance", "minus": record["metric"]}) == ("quick",)
    with pytest.raises(ArticleError, match="gan_mnist"):  # one of MNIST, one of the small digits
        article.find_profiles({"metric": record["metric"], "minus": "record:gan_mnist/frechet/GAN"})
    digits, mnist = (article.find_values("bands:gan/Frechet distance", profile) for profile in article.PROFILES)
    assert len(digits) > len(mnist)


@pytest.mark.parametrize("claim", TESTABLE, ids=lambda claim: claim["id"])
def test_every_rule_of_a_claim_counts(claim: dict) -> None:
    count = len(claim["rules"])
    for place in range(count):
        one_missed = judge_with(claim, [index != place for index in range(count)])
        assert one_missed.verdict == (LIMITED if count > 1 else FAILS)


def test_a_claim_without_rules_is_not_testable_or_not_tested_yet() -> None:
    assert judge({"why": "nothing to run"}) == (UNTESTABLE, (), ())
    assert judge({"until": "the chapter is there"}) == (UNTESTED, (), ())


@pytest.mark.parametrize(
    ("direction", "value", "margin", "met"),
    [
        (">", 1.0, 0, False),
        (">=", 1.0, 0, True),
        ("<", 1.0, 0, False),
        ("<=", 1.0, 0, True),
        (">", 1.15, 2, False),  # within two standard errors of 0.1
        (">", 1.25, 2, True),
        ("<", 0.85, 2, False),
        ("<", 0.75, 2, True),
    ],
)
def test_a_rule_is_met_on_its_side_and_by_its_margin(direction: str, value: float, margin: float, met: bool) -> None:
    rule = {"direction": direction, "threshold": 1.0, "margin": margin}
    assert meets(rule, Measured(value, 0.1)) == met


def test_a_reader_is_told_of_a_metric_by_its_own_name_or_a_plainer_one() -> None:
    rules = [rule for claim in CLAIMS for rule in claim.get("rules", ())]
    used = {rule[part].partition(":")[2] for rule in rules for part in article.PARTS if part in rule}
    names = {row["metric"]: row["name"] for row in article.read_rows("metrics") if "name" in row}
    assert {row["metric"] for row in article.read_rows("metrics")} <= used  # what nothing bears is misspelt
    assert len(set(names.values())) == len(names)
    rule = {
        "metric": "record:results_seeds/read worse",
        "minus": "bands:gan/Frechet distance",
        "direction": ">",
        "threshold": 0.5,
    }
    told = article.describe_rule(rule, {"quick": Measured(0.75), "full": Measured(0.25, 0.1)})
    told = told.replace("\N{NO-BREAK SPACE}", " ")
    name = names["results_seeds/read worse"]
    assert told == f"{name} − Frechet distance, wanted > 0.5: quick 0.75 ✓, full 0.25 ± 0.1 ✗"
    assert article.describe_rule(rule, {"": Measured(0.75)}).endswith("wanted > 0.5: 0.75\N{NO-BREAK SPACE}✓")


def test_a_page_tells_counts_of_checks_and_means_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"checks:a/wins": np.array([1.0, 0.0, 1.0]), "bands:a/gain": np.array([-0.25, -0.75])}
    monkeypatch.setattr(article, "find_values", values.__getitem__)
    assert [article.tell_metric(name) for name in values] == ["2 of 3", "−0.5"]


def test_a_difference_is_taken_seed_by_seed() -> None:
    rule = {
        "metric": "record:gan_vs_vae_seeds/frechet/VAE",
        "minus": "record:gan_vs_vae_seeds/frechet/GAN",
        "direction": ">",
        "threshold": 0.0,
    }
    difference = article.find_values(rule["metric"]) - article.find_values(rule["minus"])
    found = article.measure_rule(rule)
    assert found.value == pytest.approx(difference.mean())
    assert found.standard_error == pytest.approx(difference.std(ddof=1) / np.sqrt(len(difference)))


def test_a_share_of_a_way_begins_at_its_start_and_ends_at_its_goal() -> None:
    ends = {
        "start": "record:three_models/frechet/class Gaussians on digits",
        "goal": "record:three_models/frechet/real digits on digits",
    }

    def gone(metric: str) -> float:
        return article.measure_rule({"metric": metric, **ends}).value

    assert [gone(metric) for metric in ends.values()] == pytest.approx([0, 1])
    metric = "record:three_models/frechet/GAN on digits"
    start, goal, reached = (article.find_values(name).mean() for name in (*ends.values(), metric))
    assert start - gone(metric) * (start - goal) == pytest.approx(reached)


def test_a_check_counts_as_the_share_of_seeds_in_which_it_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {"quick": {"nearer": [True, True, False, True]}, "full": {}}
    monkeypatch.setattr(article, "_find_checks", lambda chapter, profile: checks[profile])
    rule = {"metric": "checks:vae/nearer", "direction": ">=", "threshold": 0.9}
    judged = judge({"rules": [rule]})
    assert article.measure_rule(rule).value == 0.75
    assert (judged.verdict, judged.met) == (FAILS, ({"quick": False},))
    assert [end.value for end in article.find_reach(rule)] == [0, 1]


def test_daggers_are_counted_by_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [{"rules": verdict, "rule_set": date} for verdict, date in [(HOLDS, "after"), (HOLDS, "before")]]
    claims += [{"rules": FAILS, "rule_set": "after"}, {"rules": LIMITED, "rule_set": "before"}, {"why": ""}]
    monkeypatch.setattr(article, "judge", lambda claim: article.Judged(claim["rules"], (), ()))
    told = article.describe_daggers(claims)
    assert told == "A dagger stands beside 1 of 2 that hold, 0 of 1 that hold with limits, and 1 of 1 that fail"


@pytest.mark.parametrize(
    "metric",
    [
        "bands:gan/no such metric",
        "checks:vae/no such check",
        "bands:no such chapter/Frechet distance",
        "record:no such record/frechet/GAN",
        "record:gan_vs_vae_seeds/no such metric",
        "published:no such table/row/column",
        "published:models/no such row/parameters",
        "Frechet distance",
    ],
)
def test_a_metric_that_the_book_does_not_hold_is_refused_by_name(metric: str) -> None:
    with pytest.raises(ArticleError, match=re.escape(metric)):
        article.find_values(metric)


def test_a_cell_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ArticleError, match="no-such-cell"):
        article.find_cell("gan", "no-such-cell")
    with pytest.raises(ArticleError, match="no-such-chapter"):
        article.find_cell("no-such-chapter", "gan-00")


def test_a_broken_data_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, "FOLDER", tmp_path)
    (tmp_path / "claims.toml").write_text("[[claim]\n", encoding="utf-8")
    for name in ("claims", "missing"):
        with pytest.raises(ArticleError, match=name):
            article.read_rows(name)
