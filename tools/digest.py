"""What measured values and stored outputs depend on: digests of the definitions that a chapter or study reaches.

Reached is what the code names, and what that names in turn, through helpers, studies and tools: functions, classes and
assignments, one by one; a module that is handed on as a whole, or asked by `getattr`, counts as a whole. What a module
does besides (calls, loops) counts as soon as any of its names is reached. Trees are compared: comments, docstrings,
layout, type hints and the messages of exceptions do not count. The config cell is run, and its values count, for the
one profile. The versions that requirements.txt pins count, and the bytes of shipped weights that are named.
Doors do not count, which let through what they are given or raise: helpers.checks, bare calls of any `check_...` or
`_check_...`, and methods that besides these hand on what they are given to their parent's. Nor does what carries a
training from one process to the next: tests hold that it ends with the same bits.

- outputs: all cells but the setup cell, in quick, and the records that cells with `{"record": NAME}` show: a page that
  shows a record is out of date when the record is measured again.
- quick, full: what a chapter measures in that profile, without cells that only draw, exercises and records, and without
  helpers that only show (plotting, book). Records are not part of it: a band does not hang on what stands beside it.
- a study: `measure`, the chapter's cells that it runs, and the settings of its label alone.

`python -m tools.digest` prints all of them, as JSON: so a checkout of a commit is asked for its own.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from nbformat import NotebookNode

from tools.notebook_files import ROOT, book_metadata, chapters, code_cells, only_draws, read

PACKAGES = ("helpers", "studies", "tools")
SHOWING = ("helpers.plotting", "helpers.book")
NEVER = ("tools.digest", "helpers.checks", "helpers.checkpoints")  # with the first no study measures that names it
# What helpers.training had of the last until November 30, 2026, and lends since
CARRIES = {"FirstStep", "Checkpoint", "CheckpointError", "save_state", "restore_state", "_flatten", "UNSTABLE"}
CARRIES = {("helpers.training", name) for name in CARRIES}
PINNED = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn")
WHERE_USED = ("torch", "pandas")  # packages whose version counts for code that names them only
KINDS = ("outputs", "quick", "full")
NEEDED = ("SEEDS", "SELECTION")  # of a study's literals
LITERALS = {"SEEDS": int, "SELECTION": str, "PROFILE": str, "THREADS": int, "ALONE": bool}
LITERALS |= {"CELLS": tuple, "WEIGHTS": tuple, "RUNS": dict}
OF_ALL_LABELS = ("RUNS", "SEEDS")  # of these a run depends on its own settings only
VALUES = (type(None), bool, int, float, complex, str, bytes, range)


class DigestError(ValueError):
    """Code whose digest cannot be taken, or a study that does not say what it must."""


class Module(NamedTuple):
    """A module's code: its definitions by name, what it does besides, and what its imports bind."""

    name: str
    definitions: dict[str, list[ast.stmt]]
    loose: list[ast.stmt]
    imports: dict[str, set[tuple[str, str | None]]]  # bound name: (module, name in it)


class Piece(NamedTuple):
    """What is kept of some statements: their digest, what of the book they name, and which weights."""

    digest: str
    reached: frozenset[tuple[str, str | None]]
    weights: frozenset[str]
    packages: frozenset[str]  # those of WHERE_USED


class Code:
    """A tree of the book, whose files are read once: what is asked later is asked of the code as it stood."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.pins = {name: version for name, version in read_pins(root).items() if name in (*PINNED, *WHERE_USED)}
        self._modules: dict[str, Module | None] = {}
        self._notebooks: dict[str, tuple[list[NotebookNode], Module]] = {}
        self._pieces: dict[tuple, Piece] = {}

    def digest_chapter(self, chapter: str, kind: str) -> str:
        """What a chapter depends on for one of KINDS. Raises DigestError where its config cannot be evaluated."""
        cells, _ = self._read_notebook(chapter)
        cells = [cell for cell in cells if "setup" not in book_metadata(cell)]
        if kind == "outputs":
            shown = sorted({book_metadata(cell).get("record") for cell in cells} - {None})
            records = [hash_file(self.root / "results" / "full" / f"{name}.json") for name in shown]
            return _hash(records, self._take(chapter, cells, "quick", without=()))
        aside = {"exercise", "record"}
        counted = [cell for cell in cells if not (only_draws(cell) or aside & book_metadata(cell).keys())]
        return _hash(self._take(chapter, counted, kind, SHOWING))

    def digest_run(self, study: str, label: str | None = None) -> str:
        """What one run of a study depends on, whatever its seed; label: of its settings, None without RUNS."""
        found, name = self.settings(study), f"studies.{study}"
        if "measure" not in self._find_module(name).definitions:
            raise DigestError(f"studies/{study}.py: expected a function `measure` at its top level.")
        given = {key: value for key, value in found.get("RUNS", {}).get(label, {}).items() if key != "seeds"}
        says = found["PROFILE"], found["THREADS"], found.get("CELLS"), label, repr(given)
        started = [self._cut(name, "measure")]
        aside = {*((name, one) for one in OF_ALL_LABELS), *found.get("WEIGHTS", ())}  # nor what it makes itself
        if "CELLS" not in found:
            return _hash(says, self._close(started, SHOWING, aside))
        cells = self.cells_until(*found["CELLS"])
        cells = [cell for cell in cells if not {"setup", "imports"} & book_metadata(cell).keys()]
        return _hash(says, self._take(found["CELLS"][0], cells, found["PROFILE"], SHOWING, started, aside))

    def digest_study(self, study: str) -> str:
        """What the record of a study depends on: all of its runs, and how many seeds each has."""
        return _hash([(label, self.digest_run(study, label), seeds) for label, seeds in self.labels(study).items()])

    def settings(self, study: str) -> dict:
        """The literals at the top level of a study's script, see tools/studies.py. Raises DigestError for others."""
        found, definitions = {"PROFILE": "quick", "THREADS": 1}, self._find_module(f"studies.{study}").definitions
        for name, kind in LITERALS.items():
            if name not in definitions and name not in NEEDED:
                continue
            with suppress(KeyError, AttributeError, ValueError):
                found[name] = ast.literal_eval(definitions[name][0].value)
            if not isinstance(found.get(name), kind):
                raise DigestError(f"studies/{study}.py: expected {name} = a literal {kind.__name__} at its top level.")
        return found

    def labels(self, study: str) -> dict[str | None, int]:
        """How many seeds each label of a study has; the one label None without RUNS."""
        found = self.settings(study)
        return {label: given.get("seeds", found["SEEDS"]) for label, given in found.get("RUNS", {None: {}}).items()}

    def studies(self) -> list[str]:
        """The names of all studies: the scripts in studies/ that say how many SEEDS they have."""
        names = sorted(path.stem for path in (self.root / "studies").glob("*.py"))
        return [name for name in names if "SEEDS" in self._find_module(f"studies.{name}").definitions]

    def cells_until(self, chapter: str, name: str) -> list[NotebookNode]:
        """A chapter's code cells from the first to the one that defines name. Raises DigestError where none does."""
        cells, _ = self._read_notebook(chapter)
        for count, cell in enumerate(cells, start=1):
            if any(name in _bound_by(node) for node in ast.parse(cell.source).body):
                return cells[:count]
        raise DigestError(f"{chapter}: no cell defines {name}; expected a function or variable of that name.")

    def _take(
        self,
        chapter: str,
        counted: list[NotebookNode],
        profile: str,
        without: tuple[str, ...],
        started: list[Piece] = (),
        aside: set = frozenset(),
    ) -> list:
        """The cells that count, the config by its values, and all that they reach."""
        _, notebook = self._read_notebook(chapter)
        values, pieces = [], list(started)
        for cell in counted:
            if book_metadata(cell).get("config"):
                values.append(describe_config(cell.source, profile, f"{chapter}.ipynb"))
                continue
            key = chapter, cell.source
            if key not in self._pieces:
                self._pieces[key] = self._keep([strip(ast.parse(cell.source))], notebook)
            pieces.append(self._pieces[key])
        return [values, *self._close(pieces, without, aside)]

    def _close(self, pieces: list[Piece], without: tuple[str, ...], aside: set = frozenset()) -> list:
        """Pieces and all definitions that they reach, with the weights and the versions that these depend on."""
        every, found = list(pieces), {}
        waiting = [one for piece in pieces for one in piece.reached]
        while waiting:
            module, name = one = waiting.pop()
            left_out = any(module == other or module.startswith(f"{other}.") for other in (*without, *NEVER))
            if one in found or one in aside | CARRIES or left_out or self._find_module(module) is None:
                continue
            every.append(self._cut(module, name))
            found[one] = every[-1].digest
            waiting += [*every[-1].reached, (module, "")]  # "" is what the module does besides
        weights = {name for piece in every for name in piece.weights if name not in aside}
        counted = {*PINNED}.union(*(piece.packages for piece in every))
        return [
            [piece.digest for piece in pieces],
            {f"{module} {name}": digest for (module, name), digest in sorted(found.items(), key=repr)},
            {name: hash_file(self.root / "results" / "weights" / name) for name in sorted(weights)},
            {name: version for name, version in self.pins.items() if name in counted},
        ]

    def _cut(self, module_name: str, name: str | None) -> Piece:
        """The piece of a module that a name stands for: "" what it does besides its definitions, None all of it."""
        key = module_name, name, "of a module"
        if key not in self._pieces:
            module = self._find_module(module_name)
            piece = self._keep(module.definitions.get(name, []) if name else module.loose, module)
            more = {(module_name, one) for one in module.definitions} if name is None else set()
            more |= {self._locate(*target, ()) for target in module.imports.get(name, ()) if _is_ours(target[0])}
            self._pieces[key] = piece._replace(reached=piece.reached | more)
        return self._pieces[key]

    def _keep(self, trees: list[ast.AST], module: Module) -> Piece:
        """The piece of statements in a module, or in a chapter's cell."""
        reached, outside = set(), set()
        for name, *attributes in {names for tree in trees for names in find_names(tree)}:
            if name in module.definitions:
                reached.add((module.name, name))
            for origin, imported in module.imports.get(name, ()):
                if _is_ours(origin):
                    reached.add(self._locate(origin, imported, attributes))
                else:
                    outside.add(f"{name} = {'.'.join(filter(None, (origin, imported)))}")
        texts = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        weights = {text for text in texts if isinstance(text, str) and re.fullmatch(r"[\w.-]+\.npz", text)}
        packages = {name for name in WHERE_USED if any(re.search(rf" = {name}\b", one) for one in outside)}
        digest = _hash(list(map(canonical, trees)), sorted(outside))
        return Piece(digest, frozenset(reached), frozenset(weights), frozenset(packages))

    def _locate(self, origin: str, imported: str | None, attributes: list[str]) -> tuple[str, str | None]:
        """The module and the name in it to which an import and attributes lead; None: the module as a whole."""
        steps = [*([imported] if imported else []), *attributes]
        while steps and self._find_module(f"{origin}.{steps[0]}"):
            origin = f"{origin}.{steps.pop(0)}"
        return origin, steps[0] if steps else None

    def _find_module(self, name: str) -> Module | None:
        if name not in self._modules:
            place = self.root.joinpath(*name.split("."))
            files = [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
            if files:
                tree = strip(ast.parse(files[0].read_text(encoding="utf-8"), str(files[0])))
                self._modules[name] = _as_module(name, [tree], is_package=files[0].name == "__init__.py")
            else:
                self._modules[name] = Module(name, {}, [], {}) if name in PACKAGES and place.is_dir() else None
        return self._modules[name]

    def _read_notebook(self, chapter: str) -> tuple[list[NotebookNode], Module]:
        """A chapter's code cells, and what their imports bind; what else they define they have among themselves."""
        if chapter not in self._notebooks:
            cells = code_cells(read(self.root / "notebooks" / f"{chapter}.ipynb"))
            trees = [ast.parse(cell.source, f"{chapter}.ipynb cell {cell.get('id')}") for cell in cells]
            self._notebooks[chapter] = cells, _as_module(chapter, trees)._replace(definitions={})
        return self._notebooks[chapter]


def read_pins(root: Path = ROOT) -> dict[str, str]:
    """The version of each package that requirements.txt and requirements-torch.txt pin."""
    texts = [(root / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-torch.txt")]
    return dict(re.findall(r"^([\w-]+)==(\S+)", "\n".join(texts), re.MULTILINE))


def find_versions(names: Sequence[str]) -> dict[str, str]:
    """The installed version of each package, as far as it is installed."""
    found = {}
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def find_unpinned(root: Path = ROOT) -> dict[str, str]:
    """The installed version of each package that is not as pinned: with others, staleness is not judged."""
    pins, installed = read_pins(root), find_versions(PINNED)
    return {name: installed.get(name, "none") for name in PINNED if pins.get(name) not in (None, installed.get(name))}


def evaluate_config(source: str, profile: str, where: str) -> dict[str, object]:
    """What the names of a chapter's config cell hold in a profile.

    Raises DigestError where it needs more than settings, SimpleNamespace and plain Python.
    """
    given = {"settings": SimpleNamespace(profile=profile, seed=0, device="CPU"), "SimpleNamespace": SimpleNamespace}
    names = dict(given)
    try:
        exec(compile(source, where, "exec"), names)
    except Exception as error:
        raise DigestError(
            f"{where}: the config cell cannot be evaluated ({type(error).__name__}: {error}); expected nothing but "
            "settings, SimpleNamespace and plain Python."
        ) from error
    return {name: value for name, value in names.items() if name not in (*given, "__builtins__")}


def describe_config(source: str, profile: str, where: str) -> object:
    """The config as digests take it: by its values; one that is no plain value, such as a function, by its tree."""
    return _describe_value(evaluate_config(source, profile, where), canonical(strip(ast.parse(source))))


def _describe_value(value: object, otherwise: object) -> object:
    if isinstance(value, SimpleNamespace):
        return "namespace", _describe_value(dict(sorted(vars(value).items())), otherwise)
    if isinstance(value, dict):
        return "dict", tuple((repr(key), _describe_value(item, otherwise)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(_describe_value(item, otherwise) for item in value)
    if isinstance(value, set | frozenset):
        return "set", tuple(sorted(map(repr, value)))
    return repr(value) if isinstance(value, VALUES) else otherwise


def find_names(tree: ast.AST) -> set[tuple[str, ...]]:
    """The names that code takes from outside of its functions, with their attributes: ("losses", "generator_loss")."""
    names = _Names()
    names.visit(tree)
    return names.found


class _Names(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: set[tuple[str, ...]] = set()
        self.scopes: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        self._add(node.id, ())

    def visit_Attribute(self, node: ast.Attribute) -> None:
        attributes, value = [], node
        while isinstance(value, ast.Attribute):
            attributes.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self._add(value.id, reversed(attributes))
        else:
            self.visit(value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        for outside in (*getattr(node, "decorator_list", ()), node.args):  # of the arguments the defaults
            self.visit(outside)
        body = node.body if isinstance(node.body, list) else [node.body]
        bound = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        self._visit_in(bound | _bound_in(body), body)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        bound = {name for generator in node.generators for name in _stored(generator.target)}
        self._visit_in(bound, list(ast.iter_child_nodes(node)))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def _visit_in(self, bound: set[str], nodes: list[ast.AST]) -> None:
        self.scopes.append(bound)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()

    def _add(self, name: str, attributes: Iterator[str]) -> None:
        if not any(name in scope for scope in self.scopes):
            self.found.add((name, *attributes))


def _bound_in(body: list[ast.stmt]) -> set[str]:
    """The names that are local to a function because its own body binds them."""
    bound, shared, waiting = set(), set(), list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            shared.update(node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting += ast.iter_child_nodes(node)
    return bound - shared


def _as_module(name: str, trees: list[ast.Module], is_package: bool = False) -> Module:
    module = Module(name, {}, [], {})
    for statement in (node for tree in trees for node in tree.body):
        bound = _bound_by(statement)
        for one in bound:
            module.definitions.setdefault(one, []).append(statement)
        if not bound and not isinstance(statement, ast.Import | ast.ImportFrom) and not _is_main_guard(statement):
            module.loose.append(statement)
    package = name if is_package else name.rpartition(".")[0]
    for node in (node for tree in trees for node in ast.walk(tree)):
        for bound_name, target in _bindings(node, package):
            module.imports.setdefault(bound_name, set()).add(target)
    return module


def _bindings(node: ast.AST, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """What an import binds: the name here, and (module, name in it) that it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, (whole, None)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        origin = ".".join(filter(None, (*above, node.module)))
        for alias in node.names:
            if alias.name == "*" and _is_ours(origin):
                raise DigestError(f"{package}: `from {origin} import *` hides what is reached; name what is imported.")
            yield alias.asname or alias.name, (origin, alias.name)


def _is_ours(origin: str) -> bool:
    return origin.partition(".")[0] in PACKAGES


def _bound_by(statement: ast.stmt) -> set[str]:
    """The names that a definition or an assignment to names binds; none for another statement."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return set()
    plain = all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
    return {name for target in targets for name in _stored(target)} if plain else set()


def _stored(target: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _is_door(name: str) -> bool:
    return name.lstrip("_").startswith("check_")


def _only_hands_on(method: ast.stmt) -> bool:
    """Whether a stripped method of a class is its parent's."""
    name = getattr(method, "name", "of_no_method")
    plain = f"def {name}(self, *given, **options):\n    return super().{name}(*given, **options)"
    return canonical(method) == canonical(ast.parse(plain).body[0])


class _Strip(ast.NodeTransformer):
    """Takes away what does not count: docstrings, type hints, messages of exceptions, doors."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        called = node.value.func if isinstance(node.value, ast.Call) else None
        is_door = _is_door(getattr(called, "attr", getattr(called, "id", "")))
        return None if is_text or is_door else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = tuple(ast.unparse(one.target) for one in node.body if isinstance(one, ast.AnnAssign))
        self.generic_visit(node)
        named = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
        node.body = [one for one in node.body if not _is_door(name := getattr(one, "name", "")) or name in named]
        node.body = [one for one in node.body if not _only_hands_on(one)]
        if re.search("dataclass|NamedTuple", " ".join(map(ast.unparse, (*node.decorator_list, *node.bases)))):
            node.body.append(ast.Expr(ast.Constant(fields)))  # there an annotation makes a field
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def strip(tree: ast.Module) -> ast.Module:
    """The tree without what does not count. It is changed in place."""
    return _Strip().visit(tree)


def canonical(node: object) -> object:
    """A syntax tree as nested tuples that are the same for every Python from 3.11 on.

    `ast.dump` is not: newer versions add empty fields to a node or leave them out.
    """
    if isinstance(node, list):
        return tuple(canonical(item) for item in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return type(node).__name__, *((name, canonical(value)) for name, value in fields)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def hash_file(file: Path) -> str | None:
    """The digest of a file's bytes; None where there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def list_digests(root: Path = ROOT) -> dict[str, str]:
    """Every digest of a tree: "KIND CHAPTER", "study NAME"."""
    code = Code(root)
    names = [path.stem for path in chapters(root=root)]
    found = {f"{kind} {name}": code.digest_chapter(name, kind) for name in names for kind in KINDS}
    return found | {f"study {name}": code.digest_study(name) for name in code.studies()}


if __name__ == "__main__":
    print(json.dumps(list_digests(), indent=1))
