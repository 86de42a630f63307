"""`make mutation` can be trusted: what is broken it finds or reports, and each excuse fits the code."""

import ast
import tomllib
from pathlib import Path

import pytest

from tests import mutation
from tests.mutants import find_mutants
from tools.notebook_files import ROOT

EXCUSES = tomllib.loads(mutation.EXCUSES.read_text(encoding="utf-8"))
TOY = '''"""A module."""


def clip(value, most=9):
    while value > most:
        value -= 1
    return value


def never():
    return 1
'''
TESTS = """
from helpers import toy

def test_it_clips_what_is_too_large():
    assert toy.clip(11) == 9
"""


def names(source: str) -> list[str]:
    return [mutant.name.removeprefix("m.py ") for mutant in find_mutants(source, "m.py")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A book with one module and one test."""
    for file, text in {"helpers/__init__.py": "", "helpers/toy.py": TOY, "tests/helpers/test_toy.py": TESTS}.items():
        (tmp_path / "book" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "book" / file).write_text(text, encoding="utf-8")
    return tmp_path / "book"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b -> (a <= b)"]),
        ("x = a in b is c", ["a in b is c -> (a not in b is c)", "a in b is c -> (a in b is not c)"]),
        ("x = (a + b) * -c", ["(a + b) * -c -> ((a + b) / -c)", "a + b -> (a - b)", "-c -> c"]),
        ("x = a and b and c", ["a and b and c -> (a or b or c)"]),
        ("x = 1, 2.0, True", ["1 -> 2", "2.0 -> 3.0", "True -> False"]),
        ("x = 'same', 'a line of prose', ''", ["'same' -> 'XXsameXX'"]),
        ("x += y", ["x += y -> x -= y"]),
        ("x = y if z else w", ["z -> (not z)"]),
        ("x = [y for y in z if y if not y]", ["y -> (not y)", "not y -> y"]),
        ("for x in y:\n    f(x)\n    continue", ["f(x) -> pass", "continue -> break"]),
        ("warnings.warn('word', stacklevel=2)", ["warnings.warn('word', stacklevel=2) -> pass"]),
        ("x = 'é', a * b", ["'é' -> 'XXéXX'", "a * b -> (a / b)"]),
    ],
)
def test_mutants_are_small_changes(source: str, expected: list[str]) -> None:
    assert [name.removeprefix(": ") for name in names(source)] == expected


def test_a_text_with_values_in_it_is_rewritten_as_a_whole() -> None:
    source = 'x = f"{a - 1:.2f} {b}"'  # before Python 3.12 its parts do not know where they stand
    assert [one.apply(source) for one in find_mutants(source, "m.py")] == [
        "x = f'{a + 1:.2f} {b}'",
        "x = f'{a - 2:.2f} {b}'",
    ]


def test_mutants_are_named_by_function_and_numbered() -> None:
    source = "class A:\n    def f(self):\n        return [1, 1]\n"
    assert names(source) == ["A.f: return [1, 1] -> return None", "A.f: 1 -> 2", "A.f: 1 -> 2 (2)"]
    assert [one.apply(source).splitlines()[2].strip() for one in find_mutants(source, "m.py")] == [
        "return None",
        "return [2, 1]",
        "return [1, 2]",
    ]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "def f(x: int | 1) -> 'a':\n    'word'",
        "x: list['word'] | 3",
        "raise ValueError(f'{x + 1}', 2)",
        "def __repr__(self):\n    return 'word'",
        "__all__ = ['word']",
        "def f():\n    return None",
    ],
)
def test_what_changes_no_result_is_not_mutated(source: str) -> None:
    assert names(source) == []


def test_each_mutant_of_helpers_is_another_program_and_has_a_name_of_its_own() -> None:
    mutants = mutation.find_all(ROOT)
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 2_000
    for mutant in mutants[:40]:
        source = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source)), mutant.name


def test_a_mutant_is_killed_or_survives_and_is_not_asked_again(tree: Path, tmp_path: Path, capsys) -> None:
    mutants, kept = mutation.find_all(tree), (tmp_path / "found.json", tmp_path / "scratch")
    outcome, observed = mutation.run_mutants(tree, mutants, *kept, grace=1)
    test = "tests/helpers/test_toy.py::test_it_clips_what_is_too_large"
    assert outcome == {
        "helpers/toy.py clip: value > most -> (value >= most)": test,
        "helpers/toy.py clip: value -= 1 -> value += 1": "its end with -24",  # no end, but of its CPU time
        "helpers/toy.py clip: 1 -> 2": "",
        "helpers/toy.py clip: 9 -> 10": test,
        "helpers/toy.py clip: return value -> return None": test,
        "helpers/toy.py never: return 1 -> return None": "",
        "helpers/toy.py never: 1 -> 2": "",
    }
    assert mutation.find_missed(tree, observed["missed"]) == [("helpers/toy.py", "never", "return 1")]
    assert (tree / "helpers" / "toy.py").read_text(encoding="utf-8") == TOY
    assert capsys.readouterr().out.count("SURVIVES") == 3
    assert mutation.run_mutants(tree, mutants, *kept) == (outcome, observed)
    assert capsys.readouterr().out == ""
    more = "\ndef test_it_leaves_the_rest():\n    assert (toy.clip(12, 9), toy.never()) == (9, 1)\n"
    (tree / "tests" / "helpers" / "test_toy.py").write_text(TESTS + more, encoding="utf-8")
    again, _ = mutation.run_mutants(tree, [one for one in mutants if not outcome[one.name]], *kept)
    assert set(again.values()) == {"tests/helpers/test_toy.py::test_it_leaves_the_rest"}
    capsys.readouterr()
    mutation.run_mutants(tree, mutants, *kept)
    asked = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert asked == ["helpers/toy.py clip: value -= 1 -> value += 1 (line 6)"]  # for which no test can be named


def test_tests_that_fail_anyway_prove_nothing(tree: Path, tmp_path: Path) -> None:
    (tree / "tests" / "helpers" / "test_toy.py").write_text(TESTS + "    assert False\n", encoding="utf-8")
    with pytest.raises(mutation.TestsFailError, match=r"fail without a mutant.*test_it_clips"):
        mutation.run_mutants(tree, mutation.find_all(tree), tmp_path / "found.json", tmp_path / "scratch")


def test_a_test_with_a_long_form_runs_lines_but_proves_and_disproves_nothing(tree: Path, tmp_path: Path) -> None:
    long = "\nimport pytest\n\n@pytest.mark.soak\ndef test_that_fails():\n    assert toy.never() == 2\n"
    (tree / "tests" / "helpers" / "test_toy.py").write_text(TESTS + long, encoding="utf-8")
    mutants = [one for one in mutation.find_all(tree) if one.scope == "never"]
    outcome, observed = mutation.run_mutants(tree, mutants, tmp_path / "found.json", tmp_path / "scratch", grace=1)
    assert set(outcome.values()) == {""}
    assert mutation.find_missed(tree, observed["missed"]) == []


def test_a_survivor_or_line_without_a_reason_is_told_and_a_reason_without_a_case_too() -> None:
    lines = [mutation.Line("a.py", "f", "x = 1"), mutation.Line("a.py", "A.g", "y = 1")]
    whole = {"survivor": [{"name": "two"}], "line": [{"file": "a.py", "code": ["x = 1"]}]}
    whole["line"].append({"file": "a.py", "function": "A.g"})
    outcome = dict.fromkeys(map(str, range(19)), "a test") | {"two": ""}
    assert mutation.complain(outcome, lines, whole) == []
    assert mutation.complain(outcome, lines, {"survivor": [], "line": []}) == [
        "survives, and tests/survivors.toml does not say why: two",
        "no test runs, and tests/survivors.toml does not say why: a.py: x = 1",
        "no test runs, and tests/survivors.toml does not say why: a.py: y = 1",
    ]
    assert mutation.complain(outcome | {"two": "a test"}, lines[:1], whole) == [
        "is killed by now: two",
        "is run by now: a.py: A.g",
    ]
    assert mutation.complain({"one": "a test", "two": ""}, lines, whole) == ["only 1 of 2 are killed"]


def test_each_excuse_has_a_reason_and_fits_the_code() -> None:
    known = {mutant.name for mutant in mutation.find_all(ROOT)}
    assert {one["name"] for one in EXCUSES["survivor"]} <= known
    for one in EXCUSES["line"]:
        source = (ROOT / one["file"]).read_text(encoding="utf-8")
        assert set(one.get("code", [])) <= {line.strip() for line in source.splitlines()}
        assert one.get("function", "") in {"", *mutation.find_functions(ast.parse(source))}
    assert all(one["reason"].strip() for kind in EXCUSES.values() for one in kind)
