"""Small transformers from Keras layers, greedy generation inside one graph, and the attention weights for drawing.

Sizes that are no whole numbers, 1 or more, and tokens that the vocabulary does not have end in a TransformerError.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers.arguments import MOST_BLOCKS, MOST_UNITS, check_flags, check_kind, check_whole
from helpers.checks import check_tokens


class TransformerError(ValueError):
    """A transformer is built, or used, in a way that cannot work."""


class Positions(layers.Layer):
    """Adds a learnt vector for each position: (batch, positions, width) -> the same, positions up to length."""

    def __init__(self, length: int, **options: Any) -> None:
        _check_sizes(length=length)
        super().__init__(**options)
        self.length = length

    def build(self, shape: tuple) -> None:
        """Create the vectors, (length, width)."""
        self.vectors = self.add_weight(shape=(self.length, shape[-1]), initializer="random_normal", name="vectors")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if x.shape[1] is not None and x.shape[1] > self.length:
            raise TransformerError(f"a sequence has {x.shape[1]} tokens; the model is built for {self.length} at most.")
        return x + self.vectors[: tf.shape(x)[1]]


def apply_block(
    x: keras.KerasTensor, heads: int, *, causal: bool, memory: keras.KerasTensor | None = None, name: str = "block"
) -> keras.KerasTensor:
    """Add one pre-norm transformer block to a Keras graph: (batch, positions, width) -> (batch, positions, width).

    Each part reads its layer-normalised input and adds to it: self-attention, in which a position sees itself and
    earlier ones only where causal; cross-attention to memory, (batch, others, width), where given; two dense layers.
    Its attention layers are called NAME_self and NAME_cross. Raises TransformerError unless heads divide the width.
    Source: Vaswani et al. 2017; the norm comes before each part as in Radford et al. 2019.
    """
    check_flags(causal=causal)
    _check_sizes(heads=max(heads, 1) if isinstance(heads, int) else heads)  # others than whole numbers
    width = x.shape[-1]
    if heads < 1 or width % heads:
        raise TransformerError(f"{heads} heads cannot share a width of {width}; choose a number that divides it.")
    normal = layers.LayerNormalization(name=f"{name}_self_norm")(x)
    attend = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_self")
    x = x + attend(normal, normal, use_causal_mask=causal, return_attention_scores=True)[0]
    if memory is not None:
        normal = layers.LayerNormalization(name=f"{name}_cross_norm")(x)
        attend = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_cross")
        x = x + attend(normal, memory, return_attention_scores=True)[0]
    normal = layers.LayerNormalization(name=f"{name}_dense_norm")(x)
    hidden = layers.Dense(4 * width, activation="relu", name=f"{name}_hidden")(normal)  # (batch, positions, 4 * width)
    return x + layers.Dense(width, name=f"{name}_out")(hidden)


def build_decoder_only(
    vocabulary: int, length: int, *, width: int = 64, heads: int = 4, blocks: int = 2, causal: bool = True
) -> keras.Model:
    """Return a model, tokens (batch, positions) int32 -> logits (batch, positions, vocabulary) of the next token.

    positions: up to length. causal=False takes the mask away, so that each position sees the whole sequence.
    """
    _check_sizes(vocabulary=vocabulary, length=length, width=width)
    _check_blocks(blocks)
    check_flags(causal=causal)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = _apply_stack(tokens, vocabulary, length, width, heads, blocks, causal=causal, name="decoder")
    return keras.Model(tokens, layers.Dense(vocabulary, name="logits")(x), name="decoder_only")


def build_encoder_only(
    vocabulary: int, length: int, *, width: int = 64, heads: int = 4, blocks: int = 2
) -> keras.Model:
    """Return a model, tokens (batch, positions) int32 -> logits (batch, positions, vocabulary) of the same positions.

    Each position sees the whole sequence; vectors for other uses are the output of its layer "encoder_norm".
    """
    _check_sizes(vocabulary=vocabulary, length=length, width=width)
    _check_blocks(blocks)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = _apply_stack(tokens, vocabulary, length, width, heads, blocks, causal=False, name="encoder")
    return keras.Model(tokens, layers.Dense(vocabulary, name="logits")(x), name="encoder_only")


def build_encoder_decoder(
    vocabulary: int, source_length: int, length: int, *, width: int = 64, heads: int = 4, blocks: int = 2
) -> keras.Model:
    """Return a model, [source (batch, others), tokens (batch, positions)] int32 -> logits as build_decoder_only.

    The encoder sees the whole source, the decoder its own tokens so far and all that the encoder makes of the source.
    """
    _check_sizes(vocabulary=vocabulary, source_length=source_length, length=length)
    _check_sizes(width=width)
    _check_blocks(blocks)
    source, tokens = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "tokens"))
    memory = _apply_stack(source, vocabulary, source_length, width, heads, blocks, causal=False, name="encoder")
    x = _apply_stack(tokens, vocabulary, length, width, heads, blocks, causal=True, memory=memory, name="decoder")
    return keras.Model([source, tokens], layers.Dense(vocabulary, name="logits")(x), name="encoder_decoder")


def find_attention(model: keras.Model, inputs: Any) -> dict[str, tf.Tensor]:
    """Return the attention weights of a model, {layer: (batch, heads, positions, positions seen)}; they sum to one."""
    check_kind(keras.Model, "a model of build_decoder_only and the like", TransformerError, model=model)
    _check_inputs(model, inputs)
    attending = [layer for layer in model.layers if isinstance(layer, layers.MultiHeadAttention)]
    return keras.Model(model.input, {layer.name: layer.output[1] for layer in attending})(inputs)


def build_generator(model: keras.Model) -> Callable[..., np.ndarray]:
    """Return generate(tokens, count, source=None): the most probable next token, count times, in one graph.

    tokens: (batch, start) int32, start > 0; returns (batch, start + count). source: what an encoder-decoder reads,
    (batch, others); it is encoded once. generate uses the weights as they are when called, and the graph that is
    traced here, for all shapes. Raises TransformerError where start is 0, or start + count exceeds the length of the
    model by more than one: the last token need not be read.
    """
    _check_transformer(model, "decoder_positions")
    length, reads_source = model.get_layer("decoder_positions").length, len(model.inputs) == 2
    if reads_source:
        memory = model.get_layer("encoder_norm").output
        encoder = keras.Model(model.inputs[0], memory)
        decoder = keras.Model([memory, model.inputs[1]], model.output)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2 + [tf.TensorSpec((), tf.int32)])
    def extend(source: tf.Tensor, tokens: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        read = encoder(source) if reads_source else None
        while tf.shape(tokens)[1] < end:
            tf.autograph.experimental.set_loop_options(shape_invariants=[(tokens, tf.TensorShape((None, None)))])
            logits = decoder([read, tokens]) if reads_source else model(tokens)
            best = tf.argmax(logits[:, -1], axis=-1, output_type=tf.int32)  # (batch,)
            tokens = tf.concat([tokens, best[:, None]], axis=1)
        return tokens

    def generate(tokens: np.ndarray, count: int, source: np.ndarray | None = None) -> np.ndarray:
        check_tokens(tokens, model.output_shape[-1], TransformerError)
        check_whole(0, error=TransformerError, count=count)
        start = np.shape(tokens)[1]
        if start < 1 or start + count > length + 1:
            raise TransformerError(
                f"{start} tokens and {count} more; expected at least 1, and at most {length + 1} in all."
            )
        if reads_source != (source is not None):
            raise TransformerError(
                "a source is for encoder-decoders; give one where the model reads it, not elsewhere."
            )
        _check_source(source, len(tokens), model)
        given = (tokens if source is None else source, tokens, start + count)
        return traced(*(tf.constant(np.asarray(value, np.int32)) for value in given)).numpy()

    traced = extend.get_concrete_function()
    return generate


def _check_sizes(**sizes: int) -> None:
    check_whole(1, MOST_UNITS, TransformerError, **sizes)


def _check_blocks(blocks: int) -> None:
    check_whole(1, MOST_BLOCKS, TransformerError, blocks=blocks)


def _check_inputs(model: keras.Model, inputs: Any) -> None:
    """Raise TransformerError unless inputs are tokens, for an encoder-decoder a pair of source and tokens."""
    both = inputs if len(model.inputs) == 2 and isinstance(inputs, list | tuple) else [inputs]
    if len(both) != len(model.inputs):
        raise TransformerError(f"inputs for {len(both)} of {len(model.inputs)} parts, expected [source, tokens].")
    alone = "decoder" if "decoder_positions" in [layer.name for layer in model.layers] else "encoder"
    for part, tokens in zip(("encoder", "decoder") if len(both) == 2 else (alone,), both, strict=True):
        _check_transformer(model, f"{part}_positions")
        check_tokens(tokens, model.get_layer(f"{part}_embedding").input_dim, TransformerError)
        longest = model.get_layer(f"{part}_positions").length
        if not 1 <= np.shape(tokens)[1] <= longest:
            raise TransformerError(f"tokens have shape {np.shape(tokens)}, expected (batch, 1 to {longest}).")


def _check_transformer(model: Any, name: str) -> None:
    """Raise TransformerError unless a model is of this module, and has a layer of that name."""
    check_kind(keras.Model, "a model of build_decoder_only and the like", TransformerError, model=model)
    if name not in [layer.name for layer in model.layers]:
        raise TransformerError(f"{model.name} has no layer {name!r}, expected a model that was built here.")


def _check_source(source: Any, count: int, model: keras.Model) -> None:
    """Raise TransformerError for a source of other tokens, or another number of them, than an encoder-decoder reads."""
    if source is None:
        return
    check_tokens(source, model.get_layer("encoder_embedding").input_dim, TransformerError)
    longest, (rows, positions) = model.get_layer("encoder_positions").length, np.shape(source)
    if rows != count or not 1 <= positions <= longest:
        raise TransformerError(
            f"source has shape {(rows, positions)}, expected ({count}, positions), 1 to {longest} of them."
        )


def _apply_stack(
    tokens: keras.KerasTensor,
    vocabulary: int,
    length: int,
    width: int,
    heads: int,
    blocks: int,
    *,
    causal: bool,
    name: str,
    memory: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Embedding, positions, blocks and a last norm: tokens (batch, positions) -> (batch, positions, width)."""
    x = layers.Embedding(vocabulary, width, name=f"{name}_embedding")(tokens)
    x = Positions(length, name=f"{name}_positions")(x)
    for block in range(1, blocks + 1):
        x = apply_block(x, heads, causal=causal, memory=memory, name=f"{name}_{block}")
    return layers.LayerNormalization(name=f"{name}_norm")(x)
