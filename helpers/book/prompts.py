"""A prompt that a reader changes: a model's answers and its attention, recorded for all that the controls offer."""

import html
import itertools
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from helpers.book.page import FOLDER, _display, _image, _read, _wrap

TOLD = 3  # answers, and words with the most attention, that are named with their shares
Ask = Callable[[str], tuple[Mapping[str, float], np.ndarray]]


def show_prompts(
    questions: Sequence[str],
    passages: Mapping[str, str],
    ask: Ask,
    heads: Sequence[str],
    task: str,
    note: str,
    drawing: tuple[str, str],
) -> None:
    """Display a prompt to change: a question to choose, a passage before it to choose or to hide, a head to look at.

    passages: {name: text}. ask: prompt -> ({answer: its share}, attention that the last token pays, (heads, tokens)),
    asked for each question without and with each passage, and recorded. heads: a name for each. task: a sentence of
    what to look for, above it; note: what to know when reading it, below. drawing: one of `drawings/` and its
    alternative text, which stands above. First stands the head that pays, on average, most to the word that is the
    likeliest answer. Raises ValueError where no likeliest answer is a word of its prompt.
    """
    recorded, on_answers = [], []
    for question, passage in itertools.product(questions, ["", *passages.values()]):
        tokens = f"{passage} {question}".split()
        shares, attention = ask(" ".join(tokens))
        told = sorted(shares.items(), key=lambda one: -one[1])[:TOLD]
        if told[0][0] in tokens:
            on_answers.append(attention[:, tokens.index(told[0][0])])
        others = max(0.0, 1 - sum(share for _, share in told))
        seen = np.round(100 * np.concatenate([attention.mean(axis=0, keepdims=True), attention])).astype(int)
        recorded.append(
            {
                "tokens": tokens,
                "answer": f"“{told[0][0]}”, share {told[0][1]:.3f}",
                "others": "".join(f"; “{name}” {share:.3f}" for name, share in told[1:]) + f"; any other {others:.3f}",
                "attention": seen.tolist(),  # hundredths, (1 + heads, tokens): the mean of all heads stands first
            }
        )
    if not on_answers:
        raise ValueError("no likeliest answer is a word of its prompt: there is no head to begin with.")
    head, first = 1 + int(np.mean(on_answers, axis=0).argmax()), recorded[1]
    controls = [
        _choose("Question", "question", questions),
        _choose("Passage", "passage", list(passages)),
        '<label><input type="checkbox" autocomplete="off" checked> The model sees the passage</label>',
        _choose("Attention of", "head", [f"all {len(heads)} heads, their mean", *heads], head),
    ]
    data = json.dumps(recorded, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    body = (
        f'<div class="prompts">\n<p class="task">{html.escape(task)}</p>\n'
        f'<div class="controls" hidden>{"".join(controls)}</div>\n'
        '<ol class="tokens" aria-label="Tokens of the prompt, each with its share of the attention">'
        f"{''.join(map(_format_token, first['tokens'], first['attention'][head]))}</ol>\n"
        f'<p class="told" aria-live="polite">The model answers <strong>{html.escape(first["answer"])}</strong>'
        f"<span>{html.escape(first['others'])}</span></p>\n"
        f'<p class="caption">{html.escape(note)}</p>\n'
        f'<script type="application/json" class="recorded">{data}</script>\n</div>\n'
        f'<script>\n(() => {{\n"use strict";\n{_read("prompts.js")}}})();\n</script>'
    )
    name, alt = drawing
    above = _wrap("drawing", _image((FOLDER / "drawings" / f"{name}.svg").read_bytes(), "svg+xml", alt))
    _display(above + _wrap("prompts", body), f"{alt}\nA prompt to change. {task} {note}")


def _choose(label: str, name: str, options: Sequence[str], first: int = 0) -> str:
    """A select with its label."""
    told = [f"<option{' selected' * (one == first)}>{html.escape(text)}</option>" for one, text in enumerate(options)]
    kind = f'class="{name}" aria-label="{label}" autocomplete="off"'
    return f"<label>{label} <select {kind}>{''.join(told)}</select></label>"


def _format_token(token: str, hundredths: int) -> str:
    """A token on a ground as strong as its attention, which stands below as a number."""
    number = f"{hundredths / 100:.2f}".removeprefix("0") if hundredths else ""
    return f'<li style="--share:{hundredths / 100}">{html.escape(token)}<small>{number}</small></li>'
