"""The page of resources has every entry of the article, §§ 7 and 10, and cites only what the bibliography has."""

import re

import pytest

from tools.notebook_files import ROOT

PAGE = (ROOT / "book" / "resources.md").read_text(encoding="utf-8")
# What the first cell of an entry's row begins with.
ENTRIES = [
    "*Deep Learning*; Goodfellow",
    "*Generative Adversarial Networks: Theory and Applications*; Ivan Evdakov",
    "*变分自编码器：原理与应用*",
    "*Python深度学习*",
    "*Generative Adversarial Nets*",
    "*Variational Autoencoder*",
    "*Attention Is All You Need*",
    "*BERT: Pre-training of Deep Neural Networks",
    "[fast.ai]",
    "Coursera, under `learn/deep-learning`",
    "*Deep Learning Engineer Nanodegree*, Udacity",
    "`distill.pub`",
    "`@joshua_voss`",
    "`@sbgadson`",
    "TensorFlow",
    "PyTorch",
    "Keras",
    "MXNet",
    "NumPy",
    "Pandas",
    "Matplotlib",
    "Seaborn",
]


def find_rows(page):
    """The cells of each row of the tables of the article's list, but for their headers."""
    article = page.split("## The article's list")[1].split("## How to tell")[0]
    rows = [re.split(r"\n  - ", row) for row in re.split(r"(?m)^\* - ", article)[1:]]
    return [row for row in rows if not row[0].startswith("The article has")]


def test_every_entry_of_the_article_has_its_row():
    first_cells = [row[0] for row in find_rows(PAGE)]
    assert len(first_cells) == len(ENTRIES)
    assert [entry for entry in ENTRIES if not any(cell.startswith(entry) for cell in first_cells)] == []


def test_every_row_says_where_the_article_has_it_and_what_we_found():
    assert [row[0] for row in find_rows(PAGE) if len(row) != 3 or "§" not in row[0] or "Checked: " not in row[1]] == []


@pytest.mark.parametrize("name", ["resources", "faq"])
def test_every_work_cited_is_in_the_bibliography(name):
    page = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    cited = {key for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page) for key in keys.split(",")}
    known = set(re.findall(r"(?m)^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8")))
    assert cited - known == set()
