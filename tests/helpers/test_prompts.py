"""What a prompt to change records: every choice once, answers by their shares, attention in hundredths."""

import json
import re

import numpy as np
import pytest

from helpers.book.prompts import show_prompts

DRAWING = ("prompting_anatomy", "A prompt in <six> parts.")


def ask(prompt: str) -> tuple[dict[str, float], np.ndarray]:
    """The last word but one of the prompt, and two heads: one looks at the first token, one at that word."""
    attention = np.zeros((2, len(prompt.split())))
    attention[0, 0], attention[1, -2] = 1, 1
    return {"none": 0.125, prompt.split()[-2]: 0.75, "x": 0.0, "y": 0.0625}, attention


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output))
    return outputs


def show(**others) -> None:
    options = {"ask": ask, "heads": ["one", "two"], "task": "Look.", "note": "Read.", "drawing": DRAWING}
    show_prompts(["a b ?", "a <c ?"], {"p": "d e .", "q": "f ."}, **(options | others))


def test_every_choice_is_recorded_in_order(shown: list) -> None:
    for _ in range(2):
        show()
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    recorded = json.loads(re.search(r'class="recorded">([^<]*)</script>', page)[1])
    assert [" ".join(one["tokens"]) for one in recorded] == [
        *("a b ?", "d e . a b ?", "f . a b ?"),
        *("a <c ?", "d e . a <c ?", "f . a <c ?"),
    ]
    assert recorded[0]["attention"] == [[50, 50, 0], [100, 0, 0], [0, 100, 0]]  # the mean stands first
    assert recorded[3]["answer"] == "“<c”, share 0.750"
    assert recorded[3]["others"] == "; “none” 0.125; “y” 0.062; any other 0.062"


def test_the_first_prompt_stands_without_scripts(shown: list) -> None:
    show()
    page = shown[0]["text/html"]
    assert page.startswith('<div class="book-output book-drawing">')
    assert 'alt="A prompt in &lt;six&gt; parts."' in page
    assert re.findall(r'<select class="(\w+)" aria-label="(\w+)"', page)[:2] == [
        ("question", "Question"),
        ("passage", "Passage"),
    ]
    assert "<option selected>two</option>" in page  # it looks at the answers
    tokens = re.findall(r'<li style="--share:([\d.]+)">([^<]*)<small>([^<]*)</small></li>', page)
    assert tokens == [*(("0.0", token, "") for token in "de.a"), ("1.0", "b", "1.00"), ("0.0", "?", "")]
    assert "The model answers <strong>“b”, share 0.750</strong><span>; “none” 0.125" in page
    assert '<div class="controls" hidden>' in page
    assert not re.search(r"""(?:src|href)="(?!data:)""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


def test_prompts_without_their_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="no likeliest answer is a word of its prompt"):
        show(ask=lambda prompt: ({"none": 1.0}, ask(prompt)[1]))
