"""The mutants of a module: one small change each, such as `<=` for `<`, which some test should notice.

They are those that mutation testers agree on: another comparison, arithmetic or boolean operator, a condition turned
round, a number one larger, a flag flipped, a name or key spelt otherwise, nothing returned, a call left out.
Not made is what changes nothing that a test should hold: docstrings, type hints, what `raise` says, warnings and
`__repr__`, and texts with a space in them, which are prose or HTML for a reader.

The text of a file stays as it is, but for the changed expression: line numbers, and source that pages show, fit.
"""

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

SWAPS: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
    **{ast.Break: ast.Continue, ast.Continue: ast.Break},
}
SILENT = ("annotation", "returns", "format_spec", "cause")  # fields that change no result
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPOUND = (*SCOPES, ast.If, ast.For, ast.While, ast.With, ast.Try)


class Mutant(NamedTuple):
    """One change of one file, and where it is."""

    file: str  # "helpers/losses.py"
    scope: str  # "GAN.train_step"; empty at the top of the module
    before: str
    after: str
    number: int  # 1 where it is the first of this kind in its scope
    lines: tuple[int, int]  # of the statement, of a compound one only its head
    span: tuple[int, int]  # bytes of the file that `after` takes the place of

    @property
    def name(self) -> str:
        """What it is called in lists and files: the same as long as its function has not changed much."""
        again = f" ({self.number})" if self.number > 1 else ""
        return " ".join(f"{self.file} {self.scope}: {self.before} -> {self.after}{again}".split())

    def apply(self, source: str) -> str:
        """The file with this change."""
        raw = source.encode()
        return (raw[: self.span[0]] + self.after.encode() + raw[self.span[1] :]).decode()


def is_silent(node: ast.AST) -> bool:
    """Whether nothing inside is mutated: what an error or a warning says, a docstring, how an object prints itself."""
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return True
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("warnings.warn"):
        return True
    names = [ast.unparse(target) for target in node.targets] if isinstance(node, ast.Assign) else []
    return getattr(node, "name", "") == "__repr__" or names == ["__all__"]


def is_plain(test: ast.expr) -> bool:
    """Whether a condition has no operator of its own that is changed anyway."""
    return not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant)


def change(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each part of a node that gets something else in its place, and that."""
    match node:
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                other = copy.copy(node)
                other.ops = [*operators[:place], SWAPS[type(operator)](), *operators[place + 1 :]]
                yield node, other
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in SWAPS:
            other = copy.copy(node)
            other.op = SWAPS[type(operator)]()
            yield node, other
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield node, operand
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if is_plain(test):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.comprehension(ifs=tests):
            yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in tests if is_plain(test))
        case ast.Constant(value=bool() as value):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(value + 1)
        case ast.Constant(value=str() as value) if value and not any(letter.isspace() for letter in value):
            yield node, ast.Constant(f"XX{value}XX")
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield node, ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield node, ast.Pass()
        case ast.Break() | ast.Continue():
            yield node, SWAPS[type(node)]()


class _Finder:
    """Walks one file."""

    def __init__(self, source: str, file: str) -> None:
        self.file, self.found = file, list[Mutant]()
        self.raw = source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.walk(ast.parse(source), (), (0, 0), None)

    def walk(self, node: ast.AST, scope: tuple[str, ...], lines: tuple[int, int], text: ast.JoinedStr | None) -> None:
        """Finds the mutants in a node; `text` is the f-string around it, which is rewritten as a whole."""
        if is_silent(node):
            return
        if isinstance(node, ast.stmt):
            last = node.body[0].lineno - 1 if isinstance(node, COMPOUND) else node.end_lineno
            lines = (node.lineno, max(node.lineno, last))
        for part, other in change(node):
            self.add(part, other, scope, lines, text)
        inner = (*scope, node.name) if isinstance(node, SCOPES) else scope
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                of_text = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
                if field not in SILENT and isinstance(child, ast.AST) and not of_text:
                    around = node if text is None and isinstance(node, ast.JoinedStr) else text
                    self.walk(child, inner, lines, around)

    def add(self, part: ast.AST, other: ast.AST, scope: tuple, lines: tuple[int, int], text: ast.AST | None) -> None:
        """Keeps one."""
        whole = part if text is None else text
        start, end = (
            self.starts[line - 1] + column
            for line, column in ((whole.lineno, whole.col_offset), (whole.end_lineno, whole.end_col_offset))
        )
        after = ast.unparse(other if text is None else copy.deepcopy(text, {id(part): other}))
        if isinstance(other, ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp) and text is None:
            after = f"({after})"  # its neighbours must not bind tighter
        before = self.raw[start:end].decode()
        same = [one for one in self.found if (one.scope, one.before, one.after) == (".".join(scope), before, after)]
        self.found.append(Mutant(self.file, ".".join(scope), before, after, len(same) + 1, lines, (start, end)))


def find_mutants(source: str, file: str) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    return _Finder(source, file).found
