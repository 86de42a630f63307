"""The glossary: each word in one sentence, in order, with a place that uses it; and the page of prerequisites."""

import functools
import re

import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, ROOT, read

GLOSSARY, PREREQUISITES = (
    (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("glossary", "prerequisites")
)
PLACE = re.compile(r" \(\{ref\}`([^`<]+) <([\w-]+)>`\)\.$")


def read_entries(page: str) -> list[tuple[list[str], str]]:
    """The words of each entry, and what it says."""
    (body,) = re.findall(r"(?s)```\{glossary\}\n(.*?)```", page)
    entries = [entry.splitlines() for entry in body.strip().split("\n\n")]
    return [(lines[:-1], lines[-1].strip()) for lines in entries]


@functools.cache
def read_prose(chapter: str) -> str:
    cells = read(NOTEBOOKS / f"{chapter}.ipynb").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def stem(word: str) -> str:
    """What stays of a word as prose bends it: "clip" of clipping, "fine-tun" of fine-tuning, "held-out" of its data."""
    return re.sub(r"(?:(?<=p)ping|ing|ation|al model| weighting| data|s)$", "", word.lower())


ENTRIES = read_entries(GLOSSARY)


def test_entries_stand_in_order_and_each_word_once() -> None:
    words = [words[0].lower() for words, _ in ENTRIES]
    every = [word for words, _ in ENTRIES for word in words]
    assert words == sorted(words)
    assert len(set(every)) == len(every)
    assert 60 <= len(ENTRIES) <= 90


@pytest.mark.parametrize(("words", "told"), ENTRIES, ids=[words[0] for words, _ in ENTRIES])
def test_an_entry_is_one_sentence_with_a_place_that_uses_the_word(words: list[str], told: str) -> None:
    found = PLACE.search(told)
    assert found, "expected ({ref}`name <label>`). at the end"
    sentence = told[: found.start()]
    assert not re.search(r"[.?!] [A-Z]", sentence)
    assert len(sentence.split()) <= 32
    places = [path.stem for path in NOTEBOOKS.glob("*.ipynb") if f"({found[2]})=" in read_prose(path.stem)]
    assert len(places) == 1, found[2]
    prose = read_prose(places[0]).lower()
    assert any(stem(word) in prose for word in words), f"{places[0]} does not use {words}"


# The answers of the self test, computed.
ANSWERS = {
    "(28, 28, 28)": (np.zeros((28, 28, 1)) - np.ones(28)).shape,
    "0.095": f"{0.3 / np.sqrt(10):.3f}",
    "−4": f"{2 * (1.0 - 3):.0f}".replace("-", "−"),
    "1.4": f"{1 - 0.1 * 2 * (1.0 - 3):.1f}",
    "0.69": f"{-np.log(0.5):.2f}",
}


@pytest.mark.parametrize("text", ANSWERS)
def test_the_answers_of_the_self_test_are_right(text: str) -> None:
    answers = "".join(re.findall(r"(?s)````\{dropdown\} Answer\n(.*?)````", PREREQUISITES))
    assert str(ANSWERS[text]) == text
    assert text in answers


def test_every_question_has_its_answer_folded() -> None:
    questions = re.findall(r"(?m)^\*\*(\d)\.", PREREQUISITES)
    assert questions == [str(number) for number in range(1, len(questions) + 1)]
    assert PREREQUISITES.count("````{dropdown} Answer\n") == len(questions)
