"""The English that Python ships: whole, without duplicates, and a clear error where paragraphs are missing."""

import re
import sys

import pytest

from helpers.book import corpus


@pytest.fixture(scope="module")
def paragraphs() -> list[str]:
    return corpus.load_topics()


def test_the_paragraphs_are_those_of_the_list(paragraphs: list[str]) -> None:
    listed = corpus.LIST.read_text(encoding="utf-8").split()
    assert list(map(corpus.find_digest, paragraphs)) == listed
    assert len(paragraphs) == 655
    assert sum(map(len, paragraphs)) == 142_396


def test_the_paragraphs_are_prose_in_ascii(paragraphs: list[str]) -> None:
    for paragraph in paragraphs:
        assert paragraph.isascii()
        assert not re.search(r"\s\s|\n|::=|>>>", paragraph)
    letters = sum(sign.isalpha() or sign == " " for paragraph in paragraphs for sign in paragraph)
    assert letters > 0.9 * sum(map(len, paragraphs))


def test_no_paragraph_occurs_twice_or_nearly_so(paragraphs: list[str]) -> None:
    assert len(set(paragraphs)) == len(paragraphs)
    seen: set[str] = set()
    for paragraph in paragraphs:
        pieces = {paragraph[start : start + 40] for start in range(len(paragraph) - 39)}
        assert len(pieces & seen) <= 0.2 * len(pieces)
        seen |= pieces


def test_topics_quote_each_other_so_duplicates_must_go() -> None:
    from pydoc_data.topics import topics

    raw = [paragraph for text in topics.values() for paragraph in corpus.split_paragraphs(text)]
    twice = sum(len(paragraph) for paragraph in raw if raw.count(paragraph) > 1)
    assert twice > 0.1 * sum(map(len, raw))


def test_a_digest_does_not_depend_on_line_breaks_or_quotation_marks() -> None:
    one, two = "A \u201cname\u201d is\n  bound \u2013 once.", 'A "name" is bound - once.'
    assert corpus.split_paragraphs(f"{one}\n \n{two}") == [two, two]
    assert corpus.find_digest("") == "e3b0c442"


def test_missing_paragraphs_are_told() -> None:
    with pytest.raises(corpus.CorpusError, match=r"655 of 655 paragraphs .* use Python 3\.11, 3\.12 or 3\.13"):
        corpus.load_topics(["Nothing that is listed."])


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the book ends at Python 3.13")
def test_every_listed_paragraph_is_in_this_python() -> None:
    assert corpus.load_topics()
