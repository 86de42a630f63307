"""What a chapter writes out is what the package does: equal losses and networks, steps that end at the same weights.

Cells are marked under `book`: `same_as` {function of the page: one of helpers}, equal as syntax trees; `same_network`
{expression of the page: one of helpers}, equal layer by layer and in output; `same_step`, two models that three steps
take to the same weights, bit for bit.
"""

import ast
import functools
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from nbformat import NotebookNode

from helpers import data, transformers
from tools.digest import canonical, strip
from tools.notebook_files import book_metadata, chapters, code_cells, read

pytestmark = pytest.mark.runs_chapters
MODULES = ("data", "flow", "losses", "models", "networks", "training", "transformers")
RUN = {"setup", "imports", "config", "for_exercises", "same_as", "same_network", "same_step"}
STEPS, BATCH_SIZE = 3, 16
NUMBERED = {"name", "build_config", "inbound_nodes", "input_layers", "output_layers"}


def marks(kind: str) -> list[Any]:
    """Every mark of a kind: the chapter's path, and what the mark says."""
    return [
        pytest.param(path, said, id=f"{path.stem}: {said[0] if isinstance(said, tuple) else cell.id}")
        for path in chapters()
        for cell in code_cells(read(path))
        for said in _list(book_metadata(cell).get(kind))
    ]


def _list(said: NotebookNode | None) -> list[Any]:
    if not said:
        return []
    return [said] if "page" in said else list(said.items())


@functools.cache
def names_of(path: Path) -> dict[str, Any]:
    """What a chapter's marked cells define, with helpers' modules beside it."""
    names = {module: importlib.import_module(f"helpers.{module}") for module in MODULES}
    for cell in code_cells(read(path)):
        if RUN & book_metadata(cell).keys():
            exec(cell.source, names)
    return names


def find_function(path: Path, name: str) -> str:
    """The source of a function that a marked cell defines."""
    for cell in code_cells(read(path)):
        if name in book_metadata(cell).get("same_as", {}):
            tree = ast.parse(cell.source)
            found = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef) and part.name == name]
            return ast.unparse(found[0])
    raise LookupError(name)


class _Bare(ast.NodeTransformer):
    """Takes away checks of arguments."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        return None if called and ast.unparse(called).split(".")[-1].startswith(("check_", "_check")) else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        refuses = all(isinstance(part, ast.Raise) for part in node.body) and not node.orelse
        return None if refuses else self.generic_visit(node)


def bare_tree(source: str) -> tuple:
    """A function as a tree, without its name, docstring, annotations and checks of its arguments."""
    (function,) = _Bare().visit(strip(ast.parse(textwrap.dedent(source)))).body
    function.name, function.decorator_list = "", []
    return canonical(function)


def layers_of(network: keras.Model) -> list[tuple]:
    """A network's layers: class and config, without the names that Keras numbers."""
    layers = (layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer))
    return [(type(layer).__name__, _unnamed(layer.get_config())) for layer in layers]


def _unnamed(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _unnamed(value) for key, value in config.items() if key not in NUMBERED}
    return [_unnamed(value) for value in config] if isinstance(config, list | tuple) else config


def assert_same_network(ours: keras.Model, theirs: keras.Model) -> None:
    """Layer by layer, and with the same weights in output, bit for bit."""
    assert layers_of(ours) == layers_of(theirs)
    ours.set_weights(theirs.get_weights())
    inputs = draw_inputs(ours)
    for mine, other in zip(_outputs(ours, inputs), _outputs(theirs, inputs), strict=True):
        assert np.array_equal(mine, other)


def draw_inputs(network: keras.Model) -> np.ndarray | list[np.ndarray]:
    """Two examples: of tokens where the network reads them, as many as it has inputs; else of one input's numbers."""
    rng = np.random.default_rng(0)
    if network.inputs[0].dtype == "int32":
        drawn = [rng.integers(0, 4, (2, 4), np.int32) for _ in network.inputs]
        return drawn if len(drawn) > 1 else drawn[0]
    return rng.random((2, *network.input_shape[1:]), dtype=np.float32)


def _outputs(network: keras.Model, inputs: np.ndarray | list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(output) for output in keras.tree.flatten(network(inputs))]


def train(make: str, names: dict[str, Any], said: dict[str, Any]) -> list[np.ndarray]:
    """The weights of a model, made by an expression, after three steps from one seed."""
    keras.utils.set_random_seed(0)
    model = eval(make, names)
    model.compile(*(keras.optimizers.Adam(1e-3) for _ in range(said.get("optimizers", 1))))
    small = data.load_small_digits()
    labels = small.train.labels if said.get("labels") else None
    batches = data.make_batches(
        small.train.images, BATCH_SIZE, 0, small.test.images, binary=said.get("binary", False), labels=labels
    )
    model.fit(batches, steps_per_epoch=STEPS, verbose=0)
    return [np.asarray(weight) for weight in model.trainable_weights]


def assert_same_step(names: dict[str, Any], said: dict[str, Any]) -> None:
    """Three steps of both models end at the same weights, which are not those of the start."""
    keras.utils.set_random_seed(0)
    start = [np.asarray(weight) for weight in eval(said["package"], names).trainable_weights]
    ours, theirs = (train(said[side], names, said) for side in ("page", "package"))
    assert len(ours) == len(theirs)
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not any(np.array_equal(one, other) for one, other in zip(start, theirs, strict=True))


@pytest.fixture(autouse=True)
def forget_graphs() -> Iterator[None]:
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize(("path", "said"), marks("same_as"))
def test_a_function_of_the_page_is_that_of_helpers(path: Path, said: tuple[str, str]) -> None:
    ours, theirs = said
    module, function = theirs.split(".")
    package = getattr(importlib.import_module(f"helpers.{module}"), function)
    assert bare_tree(find_function(path, ours)) == bare_tree(inspect.getsource(package))


@pytest.mark.parametrize(("path", "said"), marks("same_network"))
def test_a_network_of_the_page_is_that_of_helpers(path: Path, said: tuple[str, str]) -> None:
    assert_same_network(*(eval(expression, names_of(path)) for expression in said))


@pytest.mark.parametrize(("path", "said"), marks("same_step"))
def test_steps_of_the_page_are_those_of_helpers(path: Path, said: dict[str, Any]) -> None:
    assert_same_step(names_of(path), said)


# What is held equal, and seen to fail where it is not.


def test_trees_tell_apart_what_differs_and_nothing_else() -> None:
    package = '''
def find_loss(logits: tf.Tensor) -> tf.Tensor:
    """Return the loss."""
    check_logits(logits)
    if len(logits) < 1:
        raise LogitError("none")
    return tf.reduce_mean(-logits)
'''
    assert bare_tree("def loss(logits):  # (batch, 1)\n    return tf.reduce_mean(-logits)") == bare_tree(package)
    assert bare_tree("def loss(logits):\n    return tf.reduce_mean(logits)") != bare_tree(package)
    assert bare_tree("def loss(logits):\n    return tf.reduce_sum(-logits)") != bare_tree(package)


def build(width: int = 3, slope: float = 0.2, second: bool = False) -> keras.Model:
    parts = [keras.layers.Dense(width), keras.layers.LeakyReLU(slope)]
    return keras.Sequential([keras.Input((4,)), *parts, *([keras.layers.Dense(1)] if second else [])])


@pytest.mark.parametrize("other", [{"width": 5}, {"slope": 0.3}, {"second": True}])
def test_a_network_that_differs_is_seen(other: dict[str, Any]) -> None:
    assert_same_network(build(), build())
    with pytest.raises(AssertionError):
        assert_same_network(build(), build(**other))


def test_a_mask_that_is_missing_is_seen() -> None:
    one, same, blind = (
        transformers.build_decoder_only(5, 4, width=8, heads=2, blocks=1, causal=causal)
        for causal in (True, True, False)
    )
    assert_same_network(one, same)
    with pytest.raises(AssertionError):
        assert_same_network(one, blind)


GAN = "models.GAN(networks.build_dense_generator(4, (8,)), networks.build_dense_discriminator((8,)), {seed}, {penalty})"
HONEST = {"page": GAN.format(seed=0, penalty=0.0), "package": GAN.format(seed=0, penalty=0.0), "optimizers": 2}


@pytest.mark.parametrize("page", [GAN.format(seed=1, penalty=0.0), GAN.format(seed=0, penalty=0.5)])
def test_a_step_that_differs_is_seen(page: str) -> None:
    names = {module: importlib.import_module(f"helpers.{module}") for module in MODULES}
    assert_same_step(names, HONEST)
    with pytest.raises(AssertionError):
        assert_same_step(names, HONEST | {"page": page})
