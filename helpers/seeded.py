"""What the GAN and the VAE share as models of Keras: noise from (seed, step), means over images, promises kept."""

from collections.abc import Mapping, Set
from typing import Any

import keras
import tensorflow as tf

from helpers.arguments import check_kind, check_whole
from helpers.checks import ImageError, check_batch, check_values

HELD_OUT_STEP = -1  # the noise of validation: no training step has this number


class ModelError(ValueError):
    """A model is built or trained with something of Keras that does not go with it."""


class SeededModel(keras.Model):
    """What the GAN and the VAE share: noise that depends on (seed, step) alone, means over images, checks before fit().

    networks: by name, built and float32; each becomes an attribute. tracked: names of the values that a step reports.
    Under a tf.distribute strategy each device draws noise of its own. Raises ModelError for networks of another type,
    such as those made under a mixed policy.
    """

    classes = 0  # of the labels that the model is told; 0: it takes none

    def __init__(self, networks: dict[str, keras.Model], tracked: tuple[str, ...], seed: int) -> None:
        check_whole(0, 2**31 - 1, seed=seed)
        super().__init__(name=type(self).__name__.lower(), dtype="float32")
        for name, network in networks.items():
            if types := {part.compute_dtype for part in (network, *network.layers)} - {"float32"}:
                raise ModelError(
                    f"the {name} computes in {', '.join(sorted(types))}, expected float32, for which the losses are "
                    "made; call keras.config.set_dtype_policy('float32') before you build it."
                )
            setattr(self, name, network)
        self.network_names, self.seed = tuple(networks), seed
        self.trackers = {name: keras.metrics.Mean(name) for name in tracked}
        self.built = True  # as its networks are

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, **options: Any) -> Any:
        """Train as keras.Model.fit does; what would end or spoil the training later is refused before it begins.

        Raises ImageError and LabelError for data, held-out data included, that the model does not train on, ModelError
        for weights of examples and for callbacks that could not do what they promise, and ArgumentError for numbers
        that are no numbers of steps, epochs or images. What arrays and tensors hold is looked at once; what a stream
        holds cannot be seen: data.make_batches looks at it.
        """
        self._check_given(x, y, options.get("sample_weight", options.get("class_weight")))
        self._check_held_out(options.get("validation_data"))
        self._check_sizes(batch_size=batch_size, epochs=epochs, **options)
        callbacks = options.get("callbacks") or ()
        for callback in getattr(callbacks, "callbacks", callbacks):
            self._check_callback(callback)
        try:
            return super().fit(x, y=y, batch_size=batch_size, epochs=epochs, **options)
        finally:
            self._initial_epoch = None  # where a callback went on from, which Keras would do again in the next fit()

    def evaluate(self, *given: Any, **options: Any) -> Any:
        """Return the values of held-out images as keras.Model.evaluate does. Raises as fit() does."""
        self._check_evaluation(*given, **options)
        return super().evaluate(*given, **options)

    def read_batch(self, data: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return the images and labels of what fit() hands to a step. Raises as fit() does, by shape and type alone."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        self._check_data(images, labels, weights)
        return images, labels

    def draw_noise(self, shape: Any, step: tf.Tensor | int) -> tf.Tensor:
        """Return standard normal noise of a shape: the same for the same seed and step, another on each device."""
        seed, device = (self.seed, step), tf.distribute.get_replica_context()
        if device and device.num_replicas_in_sync > 1:
            seed = tf.random.fold_in(seed, device.replica_id_in_sync_group)
        return tf.random.stateless_normal(shape, seed)

    def find_share(self, images: tf.Tensor) -> tf.Tensor:
        """Return this device's share of a step's images: 1 on a single device. Keras adds up the devices' gradients."""
        count, device = tf.cast(tf.shape(images)[0], tf.float32), tf.distribute.get_replica_context()
        if device and device.num_replicas_in_sync > 1:
            return count / device.all_reduce(tf.distribute.ReduceOp.SUM, count)
        return tf.ones(())

    def report(self, images: tf.Tensor, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Add a step's values, each a mean over its images, to the running means over all images; return these."""
        for tracker, value in zip(self.metrics, values, strict=True):
            tracker.update_state(value, sample_weight=tf.shape(images)[0])
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def get_config(self) -> dict[str, Any]:
        """Return what __init__ takes, the networks serialised, from which load_model makes the model again."""
        networks = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.network_names}
        return networks | {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> "SeededModel":
        """Return the model that get_config tells of, with new weights."""
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects))

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers that fit() resets before each epoch."""
        return list(self.trackers.values())

    def _check_data(self, images: Any, labels: Any, weights: Any) -> None:
        if isinstance(images, tf.data.Dataset):
            images, labels, weights = keras.utils.unpack_x_y_sample_weight(images.element_spec)
        if weights is not None:
            raise ModelError("weights of examples or classes, expected none; repeat the images that should count more.")
        _check_fit_for_keras(images)
        if hasattr(images, "shape") or isinstance(images, list | tuple):
            check_batch(images, labels, getattr(self, self.seen_by).input_shape[1:], self.classes)
        # a generator does not tell; the step looks at what it yields

    def _check_given(self, images: Any, labels: Any, weights: Any) -> None:
        """Raise as _check_data does, and for values, which are looked at once, before the first step."""
        if images is None:
            raise ImageError("no images, expected an array or a stream of them: fit(images).")
        self._check_data(images, labels, weights)
        if hasattr(images, "shape"):
            check_values(images, labels, self.classes)

    def _check_evaluation(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *_: Any, **options: Any
    ) -> None:
        self._check_given(x, y, options.get("sample_weight"))
        self._check_sizes(batch_size=batch_size, steps=options.get("steps"))

    def _check_held_out(self, given: Any) -> None:
        if isinstance(given, list | tuple) and len(given) > 3:  # of images, not of parts as Keras has them
            raise ImageError(f"validation_data are a {type(given).__name__}, expected an array; try np.array(images).")
        if given is not None:
            self._check_given(*keras.utils.unpack_x_y_sample_weight(given))

    def _check_sizes(self, **options: Any) -> None:
        for name in ("batch_size", "steps", "steps_per_epoch", "validation_steps", "validation_batch_size"):
            if options.get(name) is not None:
                check_whole(**{name: options[name]})
        check_whole(0, epochs=options.get("epochs", 0), initial_epoch=options.get("initial_epoch", 0))

    def _check_callback(self, callback: keras.callbacks.Callback) -> None:
        """Raise ModelError for what is no callback, or one of Keras that could not do what it promises here."""
        check_kind(keras.callbacks.Callback, "a callback of Keras", ModelError, callback=callback)
        rates = [optimizer.get_config()["learning_rate"] for optimizer in self.optimizers]
        sets_rate = isinstance(callback, keras.callbacks.LearningRateScheduler | keras.callbacks.ReduceLROnPlateau)
        if sets_rate and any(isinstance(rate, dict) for rate in rates):
            raise ModelError(
                f"{type(callback).__name__} sets the learning rate, which follows a schedule here, as train_gan and "
                "train_vae set one; compile the model with a plain rate, keras.optimizers.Adam(1e-3), and call fit."
            )
        watched = getattr(callback, "monitor", "loss").removeprefix("val_")
        if watched in self.trackers and watched != "loss" and getattr(callback, "mode", "") == "auto":
            raise ModelError(
                f"{type(callback).__name__} watches {watched}, of which Keras does not know whether it should fall; "
                "give mode='min' or mode='max'."
            )
        if isinstance(callback, keras.callbacks.BackupAndRestore) and callback.save_freq != "epoch":
            raise ModelError("BackupAndRestore within an epoch takes steps of it twice; leave save_freq at 'epoch'.")


def _check_fit_for_keras(images: Any) -> None:
    if hasattr(images, "shape"):
        return
    wrong = isinstance(images, str | bytes | Mapping | Set | range)
    if wrong or not (hasattr(images, "__iter__") or hasattr(images, "__getitem__")):
        raise ImageError(f"images are a {type(images).__name__}, expected an array or a stream of them: fit(images).")


class PairedOptimizers(keras.optimizers.Optimizer):
    """The two optimisers of a GAN as the one that Keras and its callbacks know: what is set here is set for both.

    A learning rate set here is the generator's; the discriminator's keeps its ratio to it.
    """

    def __init__(self, generator_optimizer: keras.Optimizer, discriminator_optimizer: keras.Optimizer) -> None:
        super().__init__(0.0, name="pair")
        self.pair = (generator_optimizer, discriminator_optimizer)
        first, second = (float(keras.ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in self.pair)
        self.ratio = second / first if first else 1.0
        self.built = True

    @property
    def learning_rate(self) -> Any:
        return self.pair[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.pair[0].learning_rate, self.pair[1].learning_rate = rate, rate * self.ratio

    @property
    def iterations(self) -> keras.Variable:
        return self.pair[1].iterations

    @property
    def variables(self) -> list[keras.Variable]:
        return [variable for optimizer in self.pair for variable in optimizer.variables]

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Put running averages in the place of weights, for each optimiser with use_ema."""
        for optimizer in self.pair:
            optimizer.finalize_variable_values(optimizer._trainable_variables)

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: the model's two optimisers are saved by their own names."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing."""
