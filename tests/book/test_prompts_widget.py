"""A prompt that the reader changes, in a real browser and from the disk: the page shows what the model says."""

import itertools
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from site_browser import LEFT

from helpers.book import page
from tests.book.test_page_code import names_of
from tools.notebook_files import ROOT, code_cells, read

PATH = ROOT / "notebooks" / "prompting.ipynb"
CHANGES = ("", "nine", "tea"), ("", "eleven", "bike")  # a word of the passage, and what stands for it
HEADS = 8
ROUNDED = 0.0051  # attention is shown in hundredths
FIELDS = ("Question", "Passage", "Attention of")


@pytest.fixture(scope="module")
def stored() -> str:
    """The one output of the chapter that holds prompts to change."""
    outputs = [output for cell in code_cells(read(PATH)) for output in cell.outputs]
    pages = [output.get("data", {}).get("text/html", "") for output in outputs]
    (found,) = [one for one in pages if 'class="recorded"' in one]
    return found


def shown_tokens(tab: Any) -> tuple[list[str], list[float]]:
    """The tokens on the page and the numbers below them, which are those of their tints too."""
    told = tab.locator(".tokens li").evaluate_all(
        "all => all.map(one => [one.firstChild.data, one.querySelector('small').textContent,"
        "one.style.getPropertyValue('--share')])"
    )
    numbers = [float(number or 0) for _, number, _ in told]
    assert numbers == [float(tint) for *_, tint in told]
    return [token for token, *_ in told], numbers


def test_the_page_has_script_and_style_as_they_stand(stored: str) -> None:
    for name in ("prompts.js", "prompts.css"):
        assert page._read(name) in stored, f"{name} has changed: make execute CHAPTER=prompting"


@pytest.mark.runs_chapters
def test_the_page_shows_what_the_model_says(open_page: Callable[..., Any], stored: str) -> None:
    names = names_of(PATH)
    reader, seen = names["build_reader"]()
    reader.set_weights(names["shipped"])
    tab = open_page(stored)
    questions = tab.get_by_label("Question", exact=True).locator("option").all_text_contents()
    assert questions[0] == names["question"]
    choices = list(itertools.product(range(len(questions)), (None, 0, 1, 2), range(1 + HEADS)))
    doubtful = (3, 2, 1)  # the bike shop's passage, and a question about the cheese shop
    for question, passage, head in [doubtful, *random.Random(0).sample(choices, 24)]:
        tab.get_by_role("checkbox").set_checked(passage is not None)
        for label, index in zip(FIELDS, (question, passage, head), strict=True):
            if index is not None:
                tab.get_by_label(label, exact=True).select_option(index=index)
        text = "" if passage is None else names["passage"].replace(CHANGES[0][passage] or "?", CHANGES[1][passage])
        prompt = f"{text} {questions[question]}".strip()
        answer = names["answer"]([prompt])[0]
        tokens = np.array([names["encode"]([(prompt, False), (f"{answer} .", True)])[0]])
        count = len(prompt.split())
        chances = tf.nn.softmax(reader(tokens)).numpy()[0]
        share = np.prod([chances[place - 1, tokens[0, place]] for place in range(count, tokens.shape[1])])
        said = re.fullmatch(r"The model answers “([^”]+)”, share ([\d.]+); .*", tab.locator(".told").text_content())
        assert said[1] == answer
        assert float(said[2]) == pytest.approx(share, abs=0.0006)
        heads = np.concatenate([one[0, :, -1] for one in seen(tokens[:, :count])])
        expected = heads.mean(axis=0) if head == 0 else heads[head - 1]
        words, numbers = shown_tokens(tab)
        assert words == prompt.split()
        assert numbers == pytest.approx(expected.tolist(), abs=ROUNDED)


@pytest.mark.parametrize("width", [1280, 375])
def test_the_prompt_follows_the_keyboard(
    open_page: Callable[..., Any],
    stored: str,
    width: int,
) -> None:
    tab = open_page(stored, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    told = tab.locator(".told")
    assert told.get_attribute("aria-live") == "polite"
    first = told.text_content()
    tab.keyboard.press("Tab")
    assert tab.get_by_label("Question", exact=True).evaluate("one => one === document.activeElement")
    assert tab.get_by_label("Question", exact=True).evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    assert "“eleven”" in told.text_content()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert told.text_content().startswith("The model answers “not stated”")
    assert tab.get_by_label("Passage", exact=True).is_disabled()
    assert len(shown_tokens(tab)[0]) == 7
    tab.keyboard.press("Space")
    tab.get_by_label("Passage", exact=True).press("ArrowUp")
    assert told.text_content() == first
    before = shown_tokens(tab)
    tab.get_by_label("Attention of", exact=True).press("Home")
    assert shown_tokens(tab)[0] == before[0]
    assert shown_tokens(tab)[1] != before[1]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(LEFT) == []


def test_what_stands_first_is_what_the_script_draws(open_page: Callable[..., Any], stored: str) -> None:
    tab = open_page(stored + stored)
    first, second = (tab.locator(".tokens").nth(place) for place in (0, 1))
    assert first.inner_html() == second.inner_html()
    before = first.inner_text(), tab.locator(".told").nth(0).text_content()
    tab.get_by_role("checkbox").nth(1).uncheck()
    assert first.inner_text() != second.inner_text()  # two of them do not meet
    tab.get_by_role("checkbox").nth(1).check()
    assert (second.inner_text(), tab.locator(".told").nth(1).text_content()) == before


def test_a_prompt_stands_where_no_script_runs(open_page: Callable[..., Any], stored: str) -> None:
    tab = open_page(stored, java_script_enabled=False)
    assert tab.locator(".controls").is_hidden()
    assert tab.locator(".tokens li").count() == 35
    assert tab.locator(".told").text_content().startswith("The model answers “nine”, share 0.9")
    assert tab.get_by_role("img").count() == 1
