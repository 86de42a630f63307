"""Numbers in prose: which texts are found, how values are written into them, and what counts as measured."""

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.book import records
from tools import execute, says
from tools.notebook_files import read, write


def paragraph(text: str, bound: dict | None = None, **more: object) -> NotebookNode:
    return new_markdown_cell(text, metadata={"book": {"says": bound or {}, **more}})


# Where a text stands


@pytest.mark.parametrize(
    ("text", "key", "count"),
    [
        ("It is 3.2, not 13.2, 3.25, 3.2.1 or −3.2.", "3.2", 1),
        ("It is 3.2 here and 3.2\nthere.", "3.2", 2),
        ("It is −3.2 or -3.2.", "−3.2", 1),
        ("From 1-3.2 up.", "3.2", 1),
        ("Of 1,234 and 234 images, 34.", "234", 1),
        ("In 9 of\n10 seeds, not 19 of 10.", "9 of 10", 1),
        ("It is ahead, not aheads.", "ahead", 1),
        ("A share of 87 %, or 87%.", "87 %", 1),
        ("`3.2` and $3.2$ and [a](3.2) and {ref}`3.2 <x>` and § 3.2.", "3.2", 0),
        ("$$\n3.2\n$$ (eq)\n\n```python\n3.2\n```\n\n<!-- 3.2 -->", "3.2", 0),
        ("````{dropdown} Hint 3.2\n:class: x3.2\n\n```python\n3.2\n```\n3.2\n````\n\n3.2", "3.2", 3),
    ],
)
def test_a_text_is_found_as_a_whole_in_prose_only(text: str, key: str, count: int) -> None:
    assert len(says.find_places(says.mask(text), key)) == count
    assert len(says.mask(text)) == len(text)


def test_the_longer_text_takes_its_place() -> None:
    places = says.find_bound("In 9 of 10 seeds; 9 are left.", {"9 of 10": "a", "9": "b"})
    assert [(one.key, one.expression) for one in places] == [("9 of 10", "a"), ("9", "b")]


@pytest.mark.parametrize(
    "bound",
    [{"4.1": "x"}, {"3.2#3": "x"}, {"3.2#0": "x"}, {"3.2#b": "x"}, {"": "x"}, {"9 of 10": "x", "9": "y"}],
)
def test_a_text_that_takes_no_place_is_refused(bound: dict) -> None:
    with pytest.raises(says.SaysError, match="not in the text"):
        says.find_bound("It is 3.2 or 3.2, in 9 of 10 seeds.", bound)


# What is written


@pytest.mark.parametrize(
    ("written", "value", "now"),
    [
        ("3.2", 3.449, "3.4"),
        (".31", 0.456, ".46"),
        (".31", 1.456, "1.46"),
        ("1,797", 1234567.0, "1,234,567"),
        ("999", 1003.0, "1,003"),
        ("1797", 1803.0, "1803"),
        ("72", 71.6, "72"),
        ("87 %", 0.9132, "91 %"),
        ("0.4%", 0.01234, "1.2%"),
        ("87 per cent", 0.9132, "91 per cent"),
        ("−3.2", -4.16, "−4.2"),
        ("-3.2", 4.16, "4.2"),
        ("3.2", -4.16, "−4.2"),
        ("3.2", -0.01, "0.0"),
        ("+3.2", 0.4, "+0.4"),
        ("Nine", 8.0, "Eight"),
        ("nine", 21.0, "21"),
        ("9 of 10", [7.0, 10.0], "7 of 10"),
        ("nine of ten", [7.0, 10.0], "seven of ten"),
        ("3.2 ± 0.44", [3.3, 0.515], "3.3 ± 0.52"),
        ("ahead", "behind", "behind"),
    ],
)
def test_a_value_takes_the_form_of_the_text(written: str, value: object, now: str) -> None:
    assert says.fill(written, value) == now


@pytest.mark.parametrize(
    ("written", "value"),
    [("3.2", [1.0, 2.0]), ("9 of 10", 9.0), ("ahead", 1.0), ("3.2", {"error": "NameError: no x"})],
)
def test_a_value_that_does_not_fit_is_refused(written: str, value: object) -> None:
    with pytest.raises(says.SaysError, match=written):
        says.fill(written, value)


def test_expressions_are_evaluated_to_plain_values() -> None:
    names = {"x": np.float32(0.1), "wins": np.array([True, True, False]), "np": np}
    given = ["x", "wins", "'a' * 2", "(1, 2)", "y", "np.nan", "x > 0", "np.eye(2)", "print"]
    found = says.evaluate(given, names)
    assert [found[one] for one in given[:4]] == [0.1, [2.0, 3.0], "aa", [1.0, 2.0]]
    assert found["y"] == {"error": "NameError: name 'y' is not defined"}
    assert all("error" in found[one] for one in given[4:])


# Rewriting


def test_a_changed_number_is_rewritten_in_text_and_key() -> None:
    cell = paragraph("The GAN reaches 3.2,\nthe floor is 2.2; 3.2 again.", {"3.2": "gan", "2.2": "floor"})
    changes = says.rewrite(cell, {"gan": 3.44, "floor": 2.21})
    assert cell.source == "The GAN reaches 3.4,\nthe floor is 2.2; 3.4 again."
    assert cell.metadata.book == {"says": {"3.4": "gan", "2.2": "floor"}, "said": {"gan": 3.44, "floor": 2.21}}
    assert [one.line for one in changes] == ["The GAN reaches 3.4,", "the floor is 2.2; 3.4 again."]
    assert says.rewrite(cell, {"gan": 3.44, "floor": 2.21}) == []
    assert says.find_faults(cell) == []


def test_keys_are_numbered_where_two_numbers_read_the_same() -> None:
    cell = paragraph("First 3.2, second 3.3, and 3.3 of a formula.", {"3.2": "a", "3.3#1": "b"})
    says.rewrite(cell, {"a": 3.3, "b": 3.3})
    assert cell.metadata.book.says == {"3.3#1": "a", "3.3#2": "b"}
    says.rewrite(cell, {"a": 3.4, "b": 3.3})
    assert cell.source == "First 3.4, second 3.3, and 3.3 of a formula."
    assert cell.metadata.book.says == {"3.4": "a", "3.3#1": "b"}


def test_two_keys_that_read_the_same_are_told_apart_again() -> None:
    cell = paragraph("First 3.2, second 3.2.", {"3.2#1": "a", "3.2#2": "b"})
    says.rewrite(cell, {"a": 3.2, "b": 3.5})
    assert (cell.source, cell.metadata.book.says) == ("First 3.2, second 3.5.", {"3.2": "a", "3.5": "b"})


def test_a_caption_is_rewritten_too() -> None:
    figure = {"mystnb": {"figure": {"name": "fig-x", "caption": "At 3.2."}}, "book": {"says": {"3.2": "a"}}}
    cell = new_code_cell("draw()", metadata=figure)
    says.rewrite(cell, {"a": 3.5})
    assert cell.metadata.mystnb.figure.caption == "At 3.5."
    assert cell.metadata.book.says == {"3.5": "a"}


def test_nothing_is_half_written() -> None:
    cell = paragraph("3.2 and 4.1", {"3.2": "a", "4.1": "b"})
    before = deepcopy(cell)
    for value in ([1.0, 2.0], {"error": "NameError"}, "`4`"):
        with pytest.raises(says.SaysError):
            says.rewrite(cell, {"a": 9.9, "b": value})
        assert cell == before


# What the test of chapters finds


@pytest.mark.parametrize(
    "cell",
    [
        paragraph("It is 3.3.", {"3.3": "a"}, said={"a": 3.24}),  # a text that was edited, with its key
        paragraph("It is 3.3.", {"3.2": "a"}, said={"a": 3.24}),  # or without
        paragraph("It is 3.2.", {"3.2": "b"}, said={"a": 3.24}),  # an expression that was
        paragraph("It is 3.2.", {"3.2": "a +"}, said={"a +": 3.24}),
        paragraph("It is 3.2.", {"3.2": "3.2"}, said={"3.2": 3.2}),
        paragraph("It is 3.2.", {"3.2": "a"}, said={"a": [3.2, 1.0]}),
        paragraph("It is 3.2.", {"3.2": "records.load('nothing')"}),
        paragraph("It is 3.2.", {"3.2": "a"}, said={"a": 3.2, "b": 1.0}),
    ],
)
def test_text_and_stored_value_that_differ_are_caught(cell: NotebookNode) -> None:
    assert says.find_faults(cell) != []


def test_a_record_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    expression = "records.load('gan').get('frechet')['value']"
    record = records.Record("gan", {"frechet": {"value": 3.24}}, {})
    monkeypatch.setattr(records, "load", {"gan": record}.get)
    cell = paragraph("It is 3.2.", {"3.2": expression})
    assert says.find_faults(cell) == []
    record.metrics["frechet"]["value"] = 3.3
    assert says.find_faults(cell) != []
    says.rewrite(cell, says.evaluate([expression], {"records": records}))
    assert cell.source == "It is 3.3."
    assert "said" not in cell.metadata.book


@pytest.mark.parametrize(
    "text",
    [
        "The distance is 3.2.",
        "a share of .31",
        "1,234.5 of them",
        "it took 0.4s",
        "In 87 % of pairs",
        "87% of pairs",
        "87 per cent",
        "ahead in 9 of 10 seeds",
        "in 9 out of 10",
        "nine of ten seeds",
        "in all ten seeds",
        "3 times as far",
        "three times the error",
        "five times larger",
        "a 7-fold error",
        "by a factor of 8",
        "about 72 nats",
        "8 bits an image",
        "5.1 sections",  # the sign § is what makes a section
    ],
)
def test_a_measured_number_that_is_bound_to_nothing_is_found(text: str) -> None:
    assert len(says.find_unbound(paragraph(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Of 1,797 digits of 28x28 pixels, in 2014, ResNet-50 knows 10.",
        "§ 5.1 and §§ 3.2, 5.2.2 and 5.4; {cite:t}`someone2014` in Python 3.11 and TensorFlow 2.20.0.",
        "With `0.5` or $p = 0.5$ or [there](https://a.org/3.2).",
        "```python\nx = 0.5\n```",
        "One of the two networks, three times in a row; repeat it 3 times.",
        "A learning rate of 0.004, and 10 %.",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert says.find_unbound(paragraph(text), sizes=[0.004, 0.1]) == []


def test_what_is_bound_or_given_with_a_reason_is_not_found() -> None:
    text = "It is 3.2 in 9 of 10 seeds; a fair coin gives 0.5."
    bound = {"3.2": "a", "9 of 10": "b"}
    assert says.find_unbound(paragraph(text, bound, given={"0.5": "a fair coin"})) == []
    assert len(says.find_unbound(paragraph(text, bound))) == 1
    assert len(says.find_unbound(paragraph(text, bound, given={"0.5": " "}))) == 1
    assert len(says.find_unbound(paragraph(text, bound, given={"0.5": "a coin", "0.7": "another"}))) == 1


# `make execute`


@pytest.fixture
def chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "small.ipynb"
    text = paragraph("It is 1.1 here,\nin 3 of 4 seeds.", {"1.1": "x", "3 of 4": "wins"})
    code = new_code_cell("import numpy as np\nx = 2.34\nwins = np.array([True, False, False, True])")
    write(new_notebook(cells=[code, text]), path)
    monkeypatch.setattr(execute, "chapters", lambda names: [path])
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "Code", lambda root: SimpleNamespace(digest_chapter=lambda name, kind: "digest"))
    return path


def test_a_run_writes_its_numbers_and_tells_what_to_read_again(chapter: Path, capsys: pytest.CaptureFixture) -> None:
    assert execute.main([]) == 0
    cell = read(chapter).cells[1]
    assert cell.source == "It is 2.3 here,\nin 2 of 4 seeds."
    assert cell.metadata.book.said == {"x": 2.34, "wins": [2.0, 4.0]}
    told = capsys.readouterr().out
    assert f"read again, cell {cell.id}: 1.1 is now 2.3: It is 2.3 here," in told
    assert f"read again, cell {cell.id}: 3 of 4 is now 2 of 4: in 2 of 4 seeds." in told


@pytest.mark.parametrize(
    ("bound", "message"),
    [({"1.1": "y"}, "NameError"), ({"1.2": "x"}, "'1.2' is not in the text"), ({"1.1": "wins"}, "holds 1 numbers")],
)
def test_a_text_that_cannot_be_written_leaves_the_chapter_as_it_was(
    chapter: Path, bound: dict, message: str, capsys: pytest.CaptureFixture
) -> None:
    notebook = read(chapter)
    notebook.cells[1].metadata.book.says = bound
    write(notebook, chapter)
    before = chapter.read_bytes()
    assert execute.main([]) == 1
    told = capsys.readouterr().err
    assert f"cell {notebook.cells[1].id}: " in told
    assert message in told
    assert chapter.read_bytes() == before
