"""The GAN that draws the digit asked for: shapes, errors, what a step moves, and what it learns in a few of them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, models, networks, training
from helpers.checks import ImageError, LabelError, LatentError
from helpers.scorecard import Scorer

LATENT_SIZE = 6


def build(penalty_weight: float = 0.5, rates: tuple[float, float] = (0.1, 0.1)) -> models.ConditionalGAN:
    keras.utils.set_random_seed(0)
    discriminator = networks.give_each_class_a_logit(networks.build_dense_discriminator((16,)))
    generator = networks.build_dense_generator(LATENT_SIZE + 10, (16,))
    gan = models.ConditionalGAN(generator, discriminator, seed=0, penalty_weight=penalty_weight)
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates))
    return gan


def take_batches(digits: data.Digits, count: int, seed: int = 0, batch_size: int = 32) -> list[tuple]:
    stream = make_batches(digits.train, batch_size, seed, digits.test.images)
    return list(itertools.islice(stream, count))


def make_batches(split: data.Split, batch_size: int, seed: int, held_out: np.ndarray) -> tf.data.Dataset:
    return data.make_batches(split.images, batch_size, seed, held_out, labels=split.labels)


def weights_of(network: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in network.trainable_variables]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, one, other))


# Shapes and errors


def test_it_draws_an_image_for_each_label() -> None:
    images = build().generate(models.draw_latent(4, LATENT_SIZE, seed=1), [3, 1, 4, 1])
    assert images.shape == (4, 28, 28, 1)
    assert images.min() >= 0.0
    assert images.max() <= 1.0


def test_the_label_changes_the_image() -> None:
    latent = np.repeat(models.draw_latent(1, LATENT_SIZE, seed=1), 2, axis=0)
    first, second = build().generate(latent, [3, 5])
    assert not np.array_equal(first, second)


def test_without_labels_the_digits_take_turns() -> None:
    gan, latent = build(), models.draw_latent(12, LATENT_SIZE, seed=4)
    expected = gan.generate(latent, [*range(10), 0, 1])
    np.testing.assert_array_equal(gan.generate(latent), expected)
    np.testing.assert_array_equal(gan.sample(12, seed=4), expected)


@pytest.mark.parametrize(
    "labels", [[3, 10], [-1, 3], [3], [3, 3, 3], [[3], [3]], [0.5, 3.0], ["3", "5"], [np.nan, 3.0]], ids=str
)
def test_bad_labels_are_refused(labels: list) -> None:
    with pytest.raises(LabelError, match="expected 2 whole numbers"):
        build().generate(models.draw_latent(2, LATENT_SIZE, seed=1), labels)


def test_latent_vectors_that_hold_the_label_already_are_refused() -> None:
    with pytest.raises(LatentError, match=r"expected \(count, 6\)"):
        build().generate(models.draw_latent(2, LATENT_SIZE + 10, seed=1), [1, 2])


@pytest.mark.parametrize(
    "discriminator", [networks.build_dense_discriminator(), networks.build_convolutional_discriminator(2)]
)
def test_each_class_gets_a_logit(discriminator: keras.Model) -> None:
    told = networks.give_each_class_a_logit(discriminator)
    assert told.output_shape == (None, 10)
    assert len(told.layers[-1].trainable_variables) == 2
    assert told.layers[-2] is discriminator.layers[-2]


# Training


def test_the_discriminator_judges_by_the_label(digits: data.Digits) -> None:
    gan, images = build(), digits.train.images[:2]
    straight, swapped = (
        gan.tell_labels(tf.constant(labels))[1](images, training=True).numpy() for labels in ([3, 5], [5, 3])
    )
    logits = gan.discriminator(images).numpy()
    np.testing.assert_allclose(straight, [[logits[0, 3]], [logits[1, 5]]])
    assert (straight != swapped).all()


def test_a_step_moves_both_halves(digits: data.Digits) -> None:
    gan, (batch,) = build(), take_batches(digits, 1)
    before = weights_of(gan.generator), weights_of(gan.discriminator)
    logs = gan.train_step(batch)
    assert not equal(before[0], weights_of(gan.generator))
    assert not equal(before[1], weights_of(gan.discriminator))
    assert logs.keys() == {"d_loss", "g_loss", "d_real", "d_fake", "loss"}
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.parametrize(
    ("half", "other", "rates"),
    [("generator", "discriminator", (0.1, 0.0)), ("discriminator", "generator", (0.0, 0.1))],
)
def test_each_update_moves_its_own_half_only(half: str, other: str, rates: tuple, digits: data.Digits) -> None:
    gan, (batch,) = build(rates=rates), take_batches(digits, 1)
    before = {name: weights_of(getattr(gan, name)) for name in (half, other)}
    gan.train_step(batch)
    assert equal(before[other], weights_of(getattr(gan, other)))
    assert not equal(before[half], weights_of(getattr(gan, half)))


def test_only_the_logit_of_a_label_in_the_batch_learns(digits: data.Digits) -> None:
    gan, images = build(), digits.train.images[digits.train.labels == 3][:8]
    before = gan.discriminator.layers[-1].bias.numpy()
    gan.train_step((tf.constant(images), tf.constant([3] * 8)))
    assert np.flatnonzero(gan.discriminator.layers[-1].bias.numpy() != before).tolist() == [3]


def test_a_step_depends_on_seed_and_step_alone(digits: data.Digits) -> None:
    batches = take_batches(digits, 2)
    trained = []
    for seed in (0, 0, 1):
        gan = build()
        gan.seed = seed
        for batch in batches:
            gan.train_step(batch)
        trained.append(weights_of(gan.generator))
    assert equal(trained[0], trained[1])
    assert not equal(trained[0], trained[2])


def test_the_penalty_flattens_the_discriminator(digits: data.Digits) -> None:
    batches, slopes = take_batches(digits, 40), []
    for penalty_weight in (0.0, 10.0):
        gan = build(penalty_weight=penalty_weight)
        take_step = tf.function(gan.train_step)
        for batch in batches:
            take_step(batch)
        images, labels = batches[0]
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = gan.tell_labels(labels)[1](images, training=True)
        slopes.append(float(tf.norm(tape.gradient(logits, images))))
    assert slopes[1] < slopes[0] / 2


def step_by_hand(gan: models.GAN, optimizers: list, real: tf.Tensor, labels: tf.Tensor | None, step: int) -> None:
    """One step of either GAN as its two classes had it when each had a step of its own."""
    latent = tf.random.stateless_normal((len(real), LATENT_SIZE), (gan.seed, step))
    if labels is not None:
        latent = tf.concat([latent, tf.one_hot(labels, 10)], axis=1)

    def judge(images: tf.Tensor) -> tf.Tensor:
        logits = gan.discriminator(images, training=True)
        return logits if labels is None else tf.gather(logits, labels[:, None], batch_dims=1)

    with tf.GradientTape() as tape:
        fake = gan.generator(latent, training=True)
        with tape.stop_recording():
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    inner.watch(real)
                    real_logits = judge(real)
                loss = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(judge(fake)))
                squares = tf.reduce_sum(tf.square(inner.gradient(real_logits, real)), axis=[1, 2, 3])
                loss += gan.penalty_weight * (0.5 * tf.reduce_mean(squares))
            weights = gan.discriminator.trainable_variables
            optimizers[1].apply(outer.gradient(loss, weights), weights)
        g_loss = tf.reduce_mean(tf.nn.softplus(-judge(fake)))
    weights = gan.generator.trainable_variables
    optimizers[0].apply(tape.gradient(g_loss, weights), weights)


def build_plain() -> models.GAN:
    keras.utils.set_random_seed(0)
    halves = networks.build_dense_generator(LATENT_SIZE, (16,)), networks.build_dense_discriminator((16,))
    return models.GAN(*halves, seed=0, penalty_weight=0.5)


@pytest.mark.parametrize("build_one", [build_plain, build])
def test_three_steps_are_bit_for_bit_those_written_out(build_one, digits: data.Digits) -> None:
    gan, by_hand = build_one(), build_one()
    gan.compile(*(training.build_optimizer(1e-2, 9, 0.5) for _ in range(2)))
    optimizers = [training.build_optimizer(1e-2, 9, 0.5) for _ in range(2)]
    for step, (real, labels) in enumerate(take_batches(digits, 3)):
        gan.train_step((real, labels) if gan.classes else real)
        step_by_hand(by_hand, optimizers, real, labels if gan.classes else None, step)
    assert equal(gan.get_weights(), by_hand.get_weights())
    assert not equal(gan.get_weights(), build_one().get_weights())


def test_samples_come_from_the_average_when_training_ends(digits: data.Digits) -> None:
    seen: list[list[np.ndarray]] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            seen.append([*map(weights_of, (self.model.generator, self.model.discriminator))])

    gan = build()
    gan.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.8), keras.optimizers.Adam(1e-2))
    batches = data.make_batches(digits.train.images, 16, 0, digits.test.images, labels=digits.train.labels)
    gan.fit(batches, steps_per_epoch=1, epochs=4, callbacks=[Watch()], verbose=0)
    average = seen[0][0]
    for generator, _ in seen[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, generator, strict=True)]
    for one, other in zip(weights_of(gan.generator), average, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert equal(weights_of(gan.discriminator), seen[-1][1])
    assert not equal(weights_of(gan.generator), seen[-1][0])


def test_it_learns_which_digit_is_which(digits: data.Digits, scorer: Scorer) -> None:
    keras.utils.set_random_seed(0)
    discriminator = networks.give_each_class_a_logit(networks.build_dense_discriminator((64,)))
    generator = networks.build_dense_generator(LATENT_SIZE + 10, (64,))
    gan = models.ConditionalGAN(generator, discriminator, seed=0, penalty_weight=0.5)
    training.train_gan(gan, digits, batch_size=64, learning_rate=3e-3, steps_per_epoch=400, epochs=1)
    found = scorer.classify(gan.sample(200, seed=1))
    assert np.mean(found == np.arange(200) % 10) > 0.5


# Labelled batches


def test_labels_stay_with_their_images(digits: data.Digits) -> None:
    known = {image.tobytes(): label for image, label in zip(*digits.train, strict=True)}
    for images, labels in take_batches(digits, 40):  # more than a pass
        assert images.shape == (32, 28, 28, 1)
        assert [known[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()


def test_labelled_batches_are_those_of_make_batches(digits: data.Digits) -> None:
    plain = itertools.islice(data.make_batches(digits.train.images, 32, 3, digits.test.images), 3)
    for (images, _), expected in zip(take_batches(digits, 3, seed=3), plain, strict=True):
        np.testing.assert_array_equal(images, expected)


def test_batches_begin_at_the_step_asked_for(digits: data.Digits) -> None:
    steps = [7]
    options = {"batch_size": 500, "seed": 3, "held_out": digits.test.images, "labels": digits.train.labels}
    whole = list(itertools.islice(data.make_batches(digits.train.images, **options, binary=True), 9))
    for start in (7, lambda: np.int64(steps[0])):
        stream = data.make_batches(digits.train.images, **options, binary=True, start=start)
        assert stream.element_spec[0].shape == (500, 28, 28, 1)
        for begun in (7, 6):  # a function is asked anew by each iterator
            steps[0] = begun
            first = 7 if start == 7 else begun
            for (images, labels), expected in zip(itertools.islice(stream, 2), whole[first:], strict=False):
                np.testing.assert_array_equal(images, expected[0])
                np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda labels: labels[:600], r"shape \(600,\), expected 1077 whole numbers"),
        (lambda labels: np.eye(10)[labels], r"take labels\.argmax\(axis=1\)"),
        (lambda labels: labels - 1, "whole numbers from 0 on"),
        (lambda labels: labels.astype(str), "whole numbers from 0 on"),
        (lambda labels: labels + 0.5, "whole numbers from 0 on"),
    ],
)
def test_labels_that_do_not_fit_the_images_are_refused(labels, message: str, digits: data.Digits) -> None:
    with pytest.raises(LabelError, match=message):
        make_batches(data.Split(digits.train.images, labels(digits.train.labels)), 32, 0, digits.test.images)


def test_labelled_batches_with_held_out_images_are_refused(digits: data.Digits) -> None:
    with pytest.raises(data.LeakError, match="360 of the 360"):
        make_batches(digits.test, 32, 0, digits.test.images)


def test_too_few_images_for_a_labelled_batch_are_refused(digits: data.Digits) -> None:
    with pytest.raises(ImageError, match="do not fill a batch"):
        make_batches(digits.train, 2_000, 0, digits.test.images)
