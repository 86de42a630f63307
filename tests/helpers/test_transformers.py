"""The small transformers: what each position can see, shapes, parameters, generation, and clear errors."""

import keras
import numpy as np
import pytest

from helpers import transformers
from helpers.transformers import TransformerError

VOCABULARY, LENGTH, SOURCE_LENGTH = 11, 8, 6
SMALL = {"width": 12, "heads": 3, "blocks": 2}
NAMES = ("decoder_only", "encoder_only", "encoder_decoder")


def build(name: str, **changes) -> keras.Model:
    keras.utils.set_random_seed(0)
    lengths = (SOURCE_LENGTH, LENGTH) if name == "encoder_decoder" else (LENGTH,)
    return getattr(transformers, f"build_{name}")(VOCABULARY, *lengths, **{**SMALL, **changes})


def draw_tokens(count: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, VOCABULARY, (count, length)).astype(np.int32)


def draw_inputs(name: str, count: int = 3, length: int = LENGTH) -> np.ndarray | list[np.ndarray]:
    tokens = draw_tokens(count, length)
    return [draw_tokens(count, SOURCE_LENGTH, seed=1), tokens] if name == "encoder_decoder" else tokens


def find_changed(model: keras.Model, position: int, source: np.ndarray | None = None) -> np.ndarray:
    """At which positions the logits change when one token does."""
    tokens = draw_tokens(1, LENGTH)
    other = tokens.copy()
    other[0, position] = (other[0, position] + 1) % VOCABULARY
    before, after = (model(x if source is None else [source, x]).numpy()[0] for x in (tokens, other))
    return np.abs(before - after).max(axis=-1) > 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [2, 5, LENGTH])
def test_logits_for_every_position(name: str, length: int) -> None:
    assert build(name)(draw_inputs(name, length=length)).shape == (3, length, VOCABULARY)


@pytest.mark.parametrize("position", [0, 3, LENGTH - 1])
def test_a_decoder_sees_no_later_token(position: int) -> None:
    expected = np.arange(LENGTH) >= position
    np.testing.assert_array_equal(find_changed(build("decoder_only"), position), expected)
    source = draw_tokens(1, SOURCE_LENGTH)
    np.testing.assert_array_equal(find_changed(build("encoder_decoder"), position, source), expected)


@pytest.mark.parametrize("position", [0, 3, LENGTH - 1])
def test_without_the_mask_every_position_sees_every_token(position: int) -> None:
    assert find_changed(build("decoder_only", causal=False), position).all()
    assert find_changed(build("encoder_only"), position).all()


@pytest.mark.parametrize("position", [0, SOURCE_LENGTH - 1])
def test_every_position_of_the_decoder_sees_the_whole_source(position: int) -> None:
    model, (source, tokens) = build("encoder_decoder"), draw_inputs("encoder_decoder", count=1)
    other = source.copy()
    other[0, position] = (other[0, position] + 1) % VOCABULARY
    difference = np.abs(model([source, tokens]) - model([other, tokens])).max(axis=-1)
    assert (difference > 1e-4).all()


def test_the_order_of_tokens_counts() -> None:
    tokens = np.array([[1, 2, 3], [2, 1, 3]], np.int32)
    first, second = build("encoder_only")(tokens).numpy()[:, -1]
    assert np.abs(first - second).max() > 1e-4


def test_parameters_are_those_of_the_formula() -> None:
    width, blocks = SMALL["width"], SMALL["blocks"]
    attention, dense, norm = 4 * width * (width + 1), 8 * width**2 + 5 * width, 2 * width
    block = attention + dense + 2 * norm
    head = (width + 1) * VOCABULARY
    stack = VOCABULARY * width + LENGTH * width + blocks * block + norm
    assert build("decoder_only").count_params() == build("encoder_only").count_params() == stack + head
    encoder = stack + (SOURCE_LENGTH - LENGTH) * width
    assert build("encoder_decoder").count_params() == encoder + stack + blocks * (attention + norm) + head


def test_attention_weights_sum_to_one_and_respect_the_mask() -> None:
    weights = transformers.find_attention(build("encoder_decoder"), draw_inputs("encoder_decoder"))
    shapes = {
        "encoder_{}_self": (3, 3, SOURCE_LENGTH, SOURCE_LENGTH),
        "decoder_{}_self": (3, 3, LENGTH, LENGTH),
        "decoder_{}_cross": (3, 3, LENGTH, SOURCE_LENGTH),
    }
    expected = {name.format(block): shape for name, shape in shapes.items() for block in (1, 2)}
    assert {name: tuple(values.shape) for name, values in weights.items()} == expected
    for values in weights.values():
        np.testing.assert_allclose(np.sum(values, axis=-1), 1.0, rtol=1e-5)
    later = np.triu(np.ones((LENGTH, LENGTH), bool), 1)
    assert np.all(weights["decoder_2_self"].numpy()[..., later] == 0.0)
    assert np.all(weights["encoder_2_self"] > 0.0)


@pytest.mark.parametrize("name", ["decoder_only", "encoder_decoder"])
def test_generation_is_the_best_token_step_by_step(name: str) -> None:
    model = build(name)
    model.set_weights([5.0 * values for values in model.get_weights()])  # so that no two logits are close
    source = draw_tokens(4, SOURCE_LENGTH, seed=1) if name == "encoder_decoder" else None
    expected = start = draw_tokens(4, 2)
    for _ in range(LENGTH - 1):
        logits = model(expected if source is None else [source, expected]).numpy()
        expected = np.concatenate([expected, logits[:, -1:].argmax(axis=-1).astype(np.int32)], axis=1)
    generate = transformers.build_generator(model)
    np.testing.assert_array_equal(generate(start, LENGTH - 1, source), expected)
    np.testing.assert_array_equal(generate(start[:1], 3, None if source is None else source[:1]), expected[:1, :5])
    assert len(np.unique(expected)) > 2
    model.set_weights([0.0 * values for values in model.get_weights()])  # generation follows the weights
    assert not np.array_equal(generate(start, LENGTH - 1, source), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("heads", [0, 5])
def test_heads_must_divide_the_width(name: str, heads: int) -> None:
    with pytest.raises(TransformerError, match=f"{heads} heads cannot share a width of 12"):
        build(name, heads=heads)


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(TransformerError, match="a sequence has 9 tokens; the model is built for 8 at most"):
        build(name)(draw_inputs(name, length=LENGTH + 1))


def test_what_cannot_be_generated_is_refused() -> None:
    decoder, both = (transformers.build_generator(build(name)) for name in ("decoder_only", "encoder_decoder"))
    tokens, source = draw_tokens(2, 3), draw_tokens(2, SOURCE_LENGTH)
    with pytest.raises(TransformerError, match="3 tokens and 7 more; expected at least 1, and at most 9 in all"):
        decoder(tokens, 7)
    with pytest.raises(TransformerError, match="0 tokens and 2 more"):
        decoder(tokens[:, :0], 2)
    with pytest.raises(TransformerError, match="a source is for encoder-decoders"):
        decoder(tokens, 2, source)
    with pytest.raises(TransformerError, match="a source is for encoder-decoders"):
        both(tokens, 2)


def test_attention_is_asked_with_what_the_model_reads() -> None:
    both, alone = build("encoder_decoder"), build("encoder_only")
    tokens = draw_tokens(2, 3)
    with pytest.raises(TransformerError, match=r"inputs for 1 of 2 parts, expected \[source, tokens\]"):
        transformers.find_attention(both, tokens)
    with pytest.raises(TransformerError, match=r"tokens have shape \(2, 9\), expected \(batch, 1 to 8\)"):
        transformers.find_attention(alone, draw_tokens(2, 9))
    with pytest.raises(TransformerError, match=r"tokens have shape \(2, 7\), expected \(batch, 1 to 6\)"):
        transformers.find_attention(both, [draw_tokens(2, 7), tokens])
    for model in (alone, build("decoder_only")):
        assert len(transformers.find_attention(model, draw_tokens(2, 8))) == SMALL["blocks"]


def test_a_model_from_elsewhere_is_refused() -> None:
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="dense")
    embedding = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(9, 3)], name="embedding")
    for model in (dense, embedding):
        with pytest.raises(TransformerError, match=f"{model.name} has no layer 'encoder_positions'"):
            transformers.find_attention(model, draw_tokens(2, 4))
    with pytest.raises(TransformerError, match="dense has no layer 'decoder_positions', expected a model"):
        transformers.build_generator(dense)
