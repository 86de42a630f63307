"""What a temperature does to the next token: the reader moves it, and the browser divides the logits of the chapter."""

import base64
import html
import json
from collections.abc import Mapping, Sequence

import numpy as np

from helpers.arguments import ArgumentError, check_kind
from helpers.book.page import _display, _read, _wrap
from helpers.checks import check_not_huge, check_numbers

BARS = 8  # tokens that have one of their own


def show_temperature(logits: Mapping[str, np.ndarray], tokens: Sequence[str], task: str) -> None:
    """Display the shares of the likeliest next tokens behind a beginning, and a temperature to move.

    logits: {beginning: those of the next token, (tokens,)}, which the page holds as float32; the first beginning
    stands there first, at temperature 1, and where no script runs. tokens: their texts, more than eight. task: a
    sentence of what to look for. Raises ValueError unless a beginning has one finite logit for each token.
    """
    _check_given(logits, tokens, task)
    values = np.array([*logits.values()], "<f4")
    if values.shape != (len(logits), len(tokens)) or not np.isfinite(values).all():
        raise ValueError(f"logits are {values.shape}; expected {len(tokens)} finite ones for each beginning.")
    words = [token.replace(" ", "␣").replace("\n", "¶") or "∅" for token in tokens]
    shares = np.exp(values[0].astype(float) - values[0].max())
    shares /= shares.sum()
    order = np.argsort(-values[0], kind="stable")
    held = np.searchsorted(shares[order].cumsum(), 0.9) + 1
    entropy = -shares @ np.log2(np.maximum(shares, 1e-300))
    said = (
        f"temperature 1.00: {held} of {len(tokens)} tokens {'holds' if held == 1 else 'hold'} 90 %, "
        f"entropy {entropy:.2f} bits"
    )
    bars = [_draw_bar(words[token], shares[token]) for token in order[:BARS]]
    bars.append(_draw_bar(f"{len(tokens) - BARS} others", shares[order[BARS:]].sum()))
    choices = "".join(f"<option>{html.escape(name)}</option>" for name in logits)
    body = (
        f'<div class="heat" data-tokens="{html.escape(json.dumps(words))}" '
        f'data-logits="{base64.b64encode(values.tobytes()).decode()}">\n'
        f'<div class="controls" hidden><label>Text so far <select>{choices}</select></label>'
        '<label>Temperature <input type="range" min="0.1" max="3" step="0.05" value="1"></label>'
        '<button type="button">Draw 20</button></div>\n'
        f'<p>Next token behind “<b class="begun">{html.escape(next(iter(logits)))}</b>”:</p>\n'
        f'<ol role="list">{"".join(bars)}</ol>\n<p class="told" aria-live="polite">{said}</p>'
        '<p class="drawn" aria-live="polite" hidden></p>\n'
        f'<p class="caption">{html.escape(task)} ␣ is a space, ¶ the end of a line.</p></div>\n'
        f'<script>\n(() => {{\n"use strict";\n{_read("heat.js")}}})();\n</script>'
    )
    _display(_wrap("heat", body), f"A temperature to move. {task} Behind “{next(iter(logits))}”, {said}.")


def _check_given(logits: Mapping[str, np.ndarray], tokens: Sequence[str], task: str) -> None:
    check_kind(Mapping, "{beginning: logits}", logits=logits)
    check_kind(list | tuple, "a list of texts", tokens=tokens)
    for text in (task, *tokens, *logits):
        check_kind(str, "a text", text=text)
    if len(tokens) <= BARS or not logits:
        raise ArgumentError(
            f"{len(tokens)} tokens behind {len(logits)} texts, expected {BARS + 1} or more, behind one."
        )
    for some in logits.values():
        check_numbers(ArgumentError, logits=some)
        check_not_huge(ArgumentError, logits=some)
        if np.shape(some) != (len(tokens),) or not np.isfinite(some).all():
            shape = np.shape(some)
            raise ArgumentError(f"logits are {shape}; expected {len(tokens)} finite ones for each beginning.")


def _draw_bar(word: str, share: float) -> str:
    """The row of a token: its text, a bar, and its share of the probability."""
    return (
        f'<li style="--share:{share:.6f}"><code>{html.escape(word)}</code><i></i><span>{100 * share:.1f} %</span></li>'
    )
