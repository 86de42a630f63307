"""What a chapter hands to the page for a temperature: its logits as they are, and shares where no script runs."""

import base64
import html
import json
import re

import numpy as np
import pytest

from helpers.arguments import ArgumentError
from helpers.book import temperature

TOKENS = ["", "\n", " a", "<", *"bcdefgh"]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output))
    return outputs


def test_logits_stand_as_they_are_and_shares_at_temperature_one(shown: list) -> None:
    logits = np.array([-5.0, 3.0, 2.0, 1.0, *np.zeros(7)])
    for _ in range(2):
        temperature.show_temperature({"A & B": logits, "C": logits / 3}, TOKENS, "Look <here>.")
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    packed = base64.b64decode(re.search(r'data-logits="([^"]*)"', page)[1])
    assert np.array_equal(np.frombuffer(packed, "<f4").reshape(2, 11), np.array([logits, logits / 3], "f4"))
    assert json.loads(html.unescape(re.search(r'data-tokens="([^"]*)"', page)[1]))[:4] == ["∅", "¶", "␣a", "<"]
    shares = [float(one) for one in re.findall(r"--share:([\d.]+)", page)]
    total = np.exp(logits).sum()
    rest = (2 + np.exp(-5)) / total + 1 / total  # of eleven tokens eight have bars
    assert shares == pytest.approx([*np.exp([3, 2, 1]) / total, *[1 / total] * 5, rest - 1 / total], abs=1e-6)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert re.findall(r"<code>(.*?)</code>", page)[:3] == ["¶", "␣a", "&lt;"]
    assert "<code>3 others</code>" in page
    assert "Look &lt;here&gt;." in page
    assert "<option>A &amp; B</option><option>C</option>" in page
    assert 'class="controls" hidden' in page  # of what only a script can do
    assert not re.search(r"""(?:src|href)=|url\(""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


@pytest.mark.parametrize(
    ("held", "told"), [(50.0, "1 of 11 tokens holds 90 %, entropy 0.00"), (0.0, "10 of 11 tokens")]
)
def test_words_count_the_tokens_that_hold_most(shown: list, held: float, told: str) -> None:
    temperature.show_temperature({"A": np.array([held, *np.zeros(10)])}, TOKENS, "Look.")
    assert told in shown[0]["text/html"]


@pytest.mark.parametrize("logits", [["a"] * 11, [[1.0], [1.0, 2.0]], None])
def test_logits_are_numbers(logits: object) -> None:
    with pytest.raises(ArgumentError, match=r"expected (numbers|rows of equal length)"):
        temperature.show_temperature({"A": logits}, TOKENS, "Look.")


@pytest.mark.parametrize("logits", [np.zeros(10), np.zeros((11, 1)), np.array([np.nan, *np.zeros(10)])])
def test_a_beginning_without_a_logit_for_each_token_is_refused(logits: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="expected 11 finite ones for each beginning"):
        temperature.show_temperature({"A": logits}, TOKENS, "Look.")


def test_there_are_more_tokens_than_bars(shown: list) -> None:
    temperature.show_temperature({"A": np.zeros(9)}, TOKENS[:9], "Look.")
    with pytest.raises(ArgumentError, match="8 tokens behind 1 texts, expected 9 or more, behind one"):
        temperature.show_temperature({"A": np.zeros(8)}, TOKENS[:8], "Look.")
    with pytest.raises(ArgumentError, match="11 tokens behind 0 texts"):
        temperature.show_temperature({}, TOKENS, "Look.")
