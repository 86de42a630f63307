"""Real English that every Python ships: prose of its own documentation, the same paragraphs from 3.11 to 3.13.

`pydoc_data.topics` differs between versions, and its topics quote each other. So the paragraphs are chosen by a list,
`static/topics.txt`: the first eight digits of the SHA-256 of each. It holds what is prose and stands in Python 3.11.2,
3.11.4, 3.11.7, 3.14.2 and 3.14.7 alike, each paragraph once; one that shares over a fifth of its pieces of forty
characters with those before it is left out.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from helpers.arguments import check_kind

LIST = Path(__file__).with_name("static") / "topics.txt"
PLAIN = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
)


class CorpusError(ValueError):
    """This Python's documentation lacks paragraphs of the list."""


def load_topics(texts: Iterable[str] | None = None) -> list[str]:
    """Return the paragraphs of the list, each in one line and in ASCII.

    texts: where they are looked for, by default `pydoc_data.topics`. Raises CorpusError where some are missing.
    """
    if texts is None:
        from pydoc_data.topics import topics  # half a megabyte, for whom it is asked

        texts = topics.values()
    check_kind(Iterable, "a list of texts", CorpusError, texts=texts)
    found = {find_digest(paragraph): paragraph for text in texts for paragraph in split_paragraphs(text)}
    listed = LIST.read_text(encoding="utf-8").split()
    missing = [digest for digest in listed if digest not in found]
    if missing:
        raise CorpusError(
            f"{len(missing)} of {len(listed)} paragraphs are not in this Python's pydoc_data.topics: "
            f"{', '.join(missing[:5])}{', ...' if missing[5:] else ''}; use Python 3.11, 3.12 or 3.13."
        )
    return [found[digest] for digest in listed]


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, each in one line, with plain quotation marks and dashes."""
    check_kind(str, "a text", CorpusError, text=text)
    return [" ".join(part.split()).translate(PLAIN) for part in re.split(r"\n\s*\n", text) if part.strip()]


def find_digest(paragraph: str) -> str:
    """Return the first eight hexadecimal digits of a paragraph's SHA-256."""
    return hashlib.sha256(paragraph.encode()).hexdigest()[:8]
