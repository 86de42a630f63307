"""What Keras promises of a model holds for ours, or is refused in one sentence before any training is lost."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import data, models, networks, seeded, training
from helpers.arguments import ArgumentError
from helpers.checks import ImageError, LabelError

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
IMAGE = (28, 28, 1)
IMAGES = np.round(np.random.default_rng(0).random((10, *IMAGE), dtype=np.float32))
LABELS = np.arange(10)
RECIPE = {"batch_size": 32, "learning_rate": 1e-2, "steps_per_epoch": 2, "epochs": 4}


def build_gan(**options: float) -> models.GAN:
    keras.utils.set_random_seed(0)
    return models.GAN(
        networks.build_dense_generator(4, (8,), batch_norm=True), networks.build_dense_discriminator((8,)), 0, **options
    )


def build_conditional(**options: float) -> models.ConditionalGAN:
    keras.utils.set_random_seed(0)
    discriminator = networks.give_each_class_a_logit(networks.build_dense_discriminator((8,)))
    return models.ConditionalGAN(networks.build_dense_generator(14, (8,), batch_norm=True), discriminator, 0, **options)


def build_vae() -> models.VAE:
    keras.utils.set_random_seed(0)
    return models.VAE(networks.build_dense_encoder(3, (8,)), networks.build_dense_decoder(3, (8,)), 0)


MODELS = {"gan": build_gan, "conditional": build_conditional, "vae": build_vae}


def compiled(kind: str, rate: float = 0.1, **options: float) -> seeded.SeededModel:
    model = MODELS[kind](**options)
    optimizers = [keras.optimizers.SGD(rate) for _ in range(1 if kind == "vae" else 2)]
    model.compile(*optimizers)
    return model


def given(kind: str) -> tuple:
    return (IMAGES, LABELS) if kind == "conditional" else (IMAGES,)


def train(model: seeded.SeededModel, digits: data.Digits, **options: object) -> dict:
    recipe = training.train_vae if isinstance(model, models.VAE) else training.train_gan
    return recipe(model, digits, **(RECIPE | options))


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(first.tobytes() == second.tobytes() for first, second in pairs)


def vars_of(model: seeded.SeededModel) -> list:
    names = ("seed", "latent_size", "classes", "penalty_weight", "kl_weight", "steps_per_execution")
    return [getattr(model, name, None) for name in names]


@pytest.fixture(autouse=True)
def nothing_is_traced() -> Iterator[None]:
    """Steps are run as they are written: for the few of a test, tracing would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


class StoppedError(Exception):
    """Stands in for the end of a process."""


class Stops(keras.callbacks.Callback):
    """Ends the process, as it were, after an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == 1:
            raise StoppedError


# Data


@pytest.mark.parametrize(
    ("kind", "wrong", "error", "message"),
    [
        ("vae", (IMAGES, IMAGES), LabelError, r"expected images alone: fit\(images\)"),
        ("vae", (IMAGES, LABELS), LabelError, "expected images alone"),
        ("vae", (IMAGES, None, np.ones(10)), seeded.ModelError, "weights of examples"),
        ("vae", (IMAGES[..., 0],), ImageError, r"shape \(\w+, 28, 28\), expected \(batch, 28, 28, 1\)"),
        ("gan", (IMAGES, LABELS), LabelError, "expected images alone"),
        ("gan", ((255 * IMAGES).astype(np.uint8),), ImageError, "type uint8, expected float32"),
        ("conditional", (IMAGES,), LabelError, "no labels, expected one of 10"),
        ("conditional", (IMAGES, np.eye(10)[LABELS]), LabelError, "expected whole numbers"),
        ("conditional", (IMAGES, LABELS + 1), LabelError, "whole numbers from 0 to 9"),
    ],
)
def test_data_of_another_kind_are_refused_before_training(
    kind: str, wrong: tuple, error: type[Exception], message: str
) -> None:
    model, untrained = compiled(kind), compiled(kind)
    images, labels, weights = (*wrong, None, None)[:3]
    stream = tf.data.Dataset.from_tensors(tuple(part for part in wrong if part is not None)).repeat()
    ways = [lambda: model.fit(*given(kind), validation_data=wrong, verbose=0)]
    ways.append(lambda: model.fit(images, labels, sample_weight=weights, verbose=0))
    if weights is None and message != "whole numbers from 0 to 9":  # a stream does not tell its values
        ways.append(lambda: model.fit(stream, steps_per_epoch=1, verbose=0))
        ways.append(lambda: model.fit(*given(kind), validation_data=stream, validation_steps=1, verbose=0))
        ways.append(lambda: model.fit((batch for batch in stream), steps_per_epoch=1, verbose=0))
        ways.append(lambda: model.evaluate(images, labels, verbose=0))
    for way in ways:
        with pytest.raises(error, match=message):
            way()
    assert same_weights(model, untrained)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": 5}, "images are a int, expected an array or a stream of them"),
        ({"x": "digits.npz"}, "images are a str, expected an array"),
        ({"x": IMAGES, "validation_data": [*IMAGES[:4]]}, "validation_data are a list, expected an array"),
        ({"x": IMAGES, "validation_data": tuple(IMAGES[:4])}, "validation_data are a tuple, expected an array"),
    ],
)
def test_what_is_no_array_of_images_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        compiled("vae").fit(**given, verbose=0)


def test_labels_of_any_type_of_whole_numbers_serve() -> None:
    trained = []
    for kind in (np.int64, np.uint8, np.int32):
        gan = compiled("conditional")
        gan.train_step((tf.constant(IMAGES), LABELS.astype(kind)))
        trained.append(gan)
    assert same_weights(trained[0], trained[1])
    assert same_weights(trained[0], trained[2])


# Means over images, not over batches


@pytest.mark.parametrize("kind", MODELS)
def test_a_small_last_batch_counts_by_its_images(kind: str) -> None:
    model = compiled(kind, rate=0.0)
    images = np.concatenate([IMAGES[:8], 1.0 - IMAGES[8:]])
    rest = given(kind)[1:]
    parts = [
        model.evaluate(images[part], *(labels[part] for labels in rest), verbose=0, return_dict=True)
        for part in (slice(0, 8), slice(8, 10))
    ]
    whole = model.evaluate(images, *rest, batch_size=8, verbose=0, return_dict=True)
    for name, value in whole.items():
        assert value == pytest.approx(0.8 * parts[0][name] + 0.2 * parts[1][name], rel=1e-5)
    assert any(abs(parts[0][name] - parts[1][name]) > 1e-3 for name in whole)


def test_validation_and_training_report_means_over_images() -> None:
    vae, images = compiled("vae", rate=0.0), np.concatenate([IMAGES[:8], 1.0 - IMAGES[8:]])
    steps = [vae.compute_terms(tf.constant(part), step, True) for step, part in enumerate((images[:8], images[8:]))]
    whole = vae.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    history = vae.fit(images, batch_size=8, shuffle=False, validation_data=(images,), verbose=0).history
    assert {name: history[f"val_{name}"][0] for name in whole} == pytest.approx(whole, rel=1e-6)
    for name, first, second in zip(("loss", "reconstruction", "kl"), *steps, strict=True):
        assert history[name][0] == pytest.approx(0.8 * float(first) + 0.2 * float(second), rel=1e-6)


# Callbacks


@pytest.mark.parametrize("kind", MODELS)
def test_a_rate_that_is_set_is_the_rate_of_training(kind: str) -> None:
    model, untrained = compiled(kind), MODELS[kind]()
    still = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    history = model.fit(*given(kind), epochs=2, callbacks=[still], verbose=0).history
    assert history["learning_rate"] == [0.0, 0.0]
    for one, other in zip(model.trainable_weights, untrained.trainable_weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_two_rates_keep_their_ratio_on_a_plateau() -> None:
    gan = build_gan()
    gan.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(4e-3))
    lower = keras.callbacks.ReduceLROnPlateau("d_loss", factor=0.1, patience=1, mode="min", min_delta=1e9)
    history = gan.fit(IMAGES, epochs=3, callbacks=[lower], verbose=0).history
    assert history["learning_rate"][-1] < 1e-3
    rates = [float(optimizer.learning_rate) for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer)]
    assert rates[0] < 1e-3
    assert rates[1] == pytest.approx(4 * rates[0])


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_rates_of_a_schedule_are_not_set_and_the_advice_works(kind: str, digits: data.Digits) -> None:
    model, untrained = MODELS[kind](), MODELS[kind]()
    callbacks = [keras.callbacks.ReduceLROnPlateau("loss"), keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)]
    for callback in callbacks:
        with pytest.raises(seeded.ModelError, match=r"follows a schedule.*plain rate, keras\.optimizers\.Adam\(1e-3\)"):
            train(model, digits, callbacks=[callback])
    assert same_weights(model, untrained)
    model.compile(*(keras.optimizers.Adam(1e-3) for _ in model.optimizers))
    model.fit(*given(kind), callbacks=callbacks, verbose=0)


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_training_ends_where_numbers_end(kind: str, digits: data.Digits) -> None:
    history = train(MODELS[kind](), digits, learning_rate=1e30, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history["loss"]) < RECIPE["epochs"]
    assert not np.isfinite(history["loss"][-1])


def test_a_value_to_watch_needs_a_direction() -> None:
    gan, untrained = compiled("gan"), compiled("gan")
    for watch in (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau):
        with pytest.raises(seeded.ModelError, match=r"watches d_real.*give mode='min' or mode='max'"):
            gan.fit(IMAGES, callbacks=[watch("val_d_real")], verbose=0)
    assert same_weights(gan, untrained)
    gan.fit(IMAGES, validation_data=IMAGES, callbacks=[watch("val_d_real", mode="max")], verbose=0)


def test_early_stopping_brings_the_best_weights_back() -> None:
    gan, once = compiled("gan"), compiled("gan")
    once.fit(IMAGES, verbose=0)
    stop = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=1e9, restore_best_weights=True)
    history = gan.fit(IMAGES, epochs=9, callbacks=[stop], verbose=0).history
    assert len(history["loss"]) == 3
    assert same_weights(gan, once)


@pytest.mark.parametrize("kind", ["conditional", "vae"])
def test_backups_go_on_with_the_batches_not_had(kind: str, digits: data.Digits, tmp_path: Path) -> None:
    straight, stopped, resumed = (MODELS[kind]() for _ in range(3))
    train(straight, digits)
    with pytest.raises(StoppedError):
        train(stopped, digits, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), Stops()])
    assert not same_weights(straight, stopped)
    train(resumed, digits, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert same_weights(straight, resumed)
    assert len(train(resumed, digits, epochs=1)["loss"]) == 1  # the next training begins at its beginning
    with pytest.raises(seeded.ModelError, match="leave save_freq at 'epoch'"):
        train(MODELS[kind](), digits, callbacks=[keras.callbacks.BackupAndRestore(tmp_path, save_freq=1)])


# Saving, looking, asking


@pytest.mark.parametrize("kind", ["conditional", "vae"])
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(kind: str, tmp_path: Path) -> None:
    model = MODELS[kind](**({} if kind == "vae" else {"penalty_weight": 0.5}))
    optimizers = [training.build_optimizer(1e-2, 10, 0.5) for _ in range(1 if kind == "vae" else 2)]
    model.compile(*optimizers, steps_per_execution=1)
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss")
    model.fit(*given(kind), batch_size=5, shuffle=False, callbacks=[keep], verbose=0)
    for file in (tmp_path / "model.keras", tmp_path / "best.keras"):
        model.save(file) if file.stem == "model" else None
        loaded = keras.saving.load_model(file)
        assert type(loaded) is type(model)
        assert loaded.get_config().keys() == model.get_config().keys()
        assert vars_of(loaded) == vars_of(model)
        assert same_weights(loaded, model)
        np.testing.assert_array_equal(loaded.sample(3, seed=1), model.sample(3, seed=1))
    for one in (model, loaded):
        one.fit(*given(kind), batch_size=5, shuffle=False, epochs=2, verbose=0)
    assert same_weights(loaded, model)
    assert int(loaded.optimizer.iterations) == 6


@pytest.mark.parametrize("kind", MODELS)
def test_weights_alone_are_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    model, other = compiled(kind), compiled(kind)
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "w.weights.h5", save_weights_only=True)
    model.fit(*given(kind), callbacks=[keep], verbose=0)
    assert not same_weights(model, other)
    other.load_weights(tmp_path / "w.weights.h5")
    assert same_weights(model, other)


SIZES = {"fit": ("batch_size", "steps_per_epoch", "validation_batch_size", "validation_steps")}
SIZES["evaluate"] = ("batch_size", "steps")


@pytest.mark.parametrize(("way", "name"), [(way, name) for way, names in SIZES.items() for name in names])
@pytest.mark.parametrize("wrong", [0, -1, 2.5, "8"])
def test_a_size_that_counts_nothing_is_refused_by_its_name(way: str, name: str, wrong: object) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} is "):
        getattr(compiled("vae"), way)(IMAGES, verbose=0, **{name: wrong})


def test_predict_is_what_the_models_own_functions_give() -> None:
    latent = models.draw_latent(10, 4, seed=0)
    gan, conditional, vae = build_gan(), build_conditional(), build_vae()
    np.testing.assert_allclose(gan.predict(latent, verbose=0), gan.generate(latent), atol=1e-6)
    expected = conditional.generate(latent, LABELS)
    np.testing.assert_allclose(conditional.predict([latent, LABELS], verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(vae.predict(IMAGES, verbose=0), vae.reconstruct(IMAGES), atol=1e-6)


def test_a_gan_is_evaluated_on_images_held_out() -> None:
    gan = compiled("gan")
    found = gan.evaluate(IMAGES, verbose=0, return_dict=True)
    noise = tf.random.stateless_normal((10, 4), (0, seeded.HELD_OUT_STEP))
    real, fake = (gan.discriminator(images).numpy() for images in (IMAGES, gan.generator(noise)))
    expected = {
        "d_loss": np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(),
        "g_loss": np.logaddexp(0, -fake).mean(),
        "d_real": (1 / (1 + np.exp(-real))).mean(),
        "d_fake": (1 / (1 + np.exp(-fake))).mean(),
    }
    assert found == pytest.approx(expected | {"loss": expected["d_loss"] + expected["g_loss"]}, rel=1e-5)
    assert gan.evaluate(IMAGES, verbose=0, return_dict=True) == pytest.approx(found)


@pytest.mark.parametrize("kind", MODELS)
def test_a_summary_tells_shapes(kind: str) -> None:
    lines: list[str] = []
    MODELS[kind]().summary(print_fn=lines.append)
    told = "\n".join(lines)
    assert "(None, 28, 28, 1)" in told
    assert "?" not in told


# Types


@pytest.mark.parametrize(("kind", "policy"), [("gan", "mixed_float16"), ("vae", "mixed_bfloat16"), ("vae", "float64")])
def test_other_precision_is_refused_and_the_advice_works(kind: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        with pytest.raises(seeded.ModelError, match=r"expected float32.*set_dtype_policy\('float32'\)"):
            MODELS[kind]()
        keras.config.set_dtype_policy("float32")
        made_before = MODELS[kind]()
        keras.config.set_dtype_policy(policy)
        made_before.compile(*(keras.optimizers.SGD(0.1) for _ in range(1 if kind == "vae" else 2)))
        made_before.fit(*given(kind), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert made_before.sample(2, seed=0).dtype == np.float32


# Several devices: two that are one processor, in a process of its own because TensorFlow is told before it starts

TWO_DEVICES = """
import sys
import keras, numpy as np, tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
import test_seeded as t
from helpers import losses, models

drawn = []
class Watched(models.GAN):
    def draw_noise(self, shape, step):
        noise = super().draw_noise(shape, step)
        tf.py_function(lambda values: drawn.append(values.numpy()), [noise], [])
        return noise

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    keras.utils.set_random_seed(0)
    nets = (keras.Sequential([keras.Input((4,)), keras.layers.Dense(784), keras.layers.Reshape((28, 28, 1))]),
            keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]))
    gan = Watched(*nets, 0, penalty_weight=0.5)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1))
kernel, bias = (weight.numpy() for weight in gan.discriminator.weights)
history = gan.fit(t.IMAGES, batch_size=10, shuffle=False, verbose=0).history
assert len(drawn) == 2 and drawn[0].shape == (5, 4), drawn
assert not np.isclose(drawn[0], drawn[1]).any(), "both devices draw the same noise"
latent = np.concatenate(drawn)
with tf.GradientTape() as tape:  # one step on all ten images, by hand
    weights = [tf.Variable(kernel), tf.Variable(bias)]
    judge = lambda images: tf.reshape(images, (-1, 784)) @ weights[0] + weights[1]
    loss = losses.discriminator_loss(judge(t.IMAGES), judge(gan.generator(latent)))
    np.testing.assert_allclose(history["d_loss"][0], loss, rtol=1e-5)
    loss += 0.5 * 0.5 * tf.reduce_sum(weights[0] ** 2)
for weight, gradient, moved in zip(weights, tape.gradient(loss, weights), gan.discriminator.weights):
    np.testing.assert_allclose(moved.numpy(), weight - 0.1 * gradient, rtol=1e-4, atol=1e-6)

print("as on one device")
"""


def test_each_device_draws_its_own_noise_and_a_step_is_that_of_all_images() -> None:
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES, str(here)], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("as on one device\n"), done.stderr[-2_000:]
