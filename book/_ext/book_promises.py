"""The directive `promises`: each promise of the book, the command that tries it, and the figures that it last gave.

Its sentence stands in `book/promises.toml`; which tests try it, the tests themselves say, by `soak.tell`; the figures,
with date, commit and machine, are those of results/soak.json (`make soak`). A promise that only that file knows gets a
row, too.
"""

import ast
import tomllib
from pathlib import Path

from book_costs import CostTable

from helpers.book.full_runs import describe_machine


def read_promises(root):
    """What `promises.toml` says of each promise, by name: `says`, and `command` where no soak test tries it."""
    listed = tomllib.loads(Path(root, "book", "promises.toml").read_text(encoding="utf-8"))["promise"]
    return {promise["name"]: promise for promise in listed}


def tells(called):
    """Whether what is called is `soak.tell`, of the fixture."""
    return isinstance(called, ast.Attribute) and called.attr == "tell" and getattr(called.value, "id", "") == "soak"


def find_tests(root):
    """The files of tests that tell figures of each promise, by its name, without the ending."""
    found = {}
    for path in sorted(Path(root, "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and tells(node.func):
                files = found.setdefault(ast.literal_eval(node.args[0]), [])
                files += [path.stem] if path.stem not in files else []
    return found


def tell_command(promise, tests):
    """The command that tries a promise, as Markdown."""
    if "command" in promise:
        return f"`{promise['command']}`"
    files = " or ".join(tests)
    quoted = f'"{files}"' if len(tests) > 1 else files
    return f"`make soak ONLY={quoted}`" if tests else "no test yet"


def tell_figures(figures):
    """Named figures as Markdown, a line each; of a list how many they are, and which."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, list):
            said = f"{len(value)} ({'; '.join(value)})"
        else:
            said = f"{value:,}" if isinstance(value, int) else str(value)
        lines.append(f"- {name.replace('_', ' ')}: {said}")
    return "\n".join(lines)


class Promises(CostTable):
    """One row for each promise: those of `promises.toml` in its order, then those that only the figures know."""

    header = ("The promise", "The command that tries it", "What it counted last", "When and where")

    def rows(self):
        listed, tests = read_promises(self.env.srcdir), find_tests(self.env.srcdir)
        self.env.note_dependency(str(Path(self.env.srcdir, "book", "promises.toml")))
        stored = self.read_json("soak.json") or {}
        for name in (*listed, *(name for name in stored if name not in listed)):
            promise, run = listed.get(name, {}), stored.get(name)
            said = f"**{name[0].upper()}{name[1:]}.** {promise.get('says', '')}".strip()
            told = ("not run yet", "")
            if run:
                told = (
                    tell_figures(run["figures"]),
                    f"{run['date']}, `{run['commit']}`, {describe_machine(run['machine'])}",
                )
            yield said, tell_command(promise, tests.get(name, ())), *told


def setup(app):
    app.add_directive("promises", Promises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
