"""Two networks that train against each other on whatever is drawn for them: the engine of the studies of modes."""

import math
import time

import keras
import numpy as np
import tensorflow as tf

from helpers import losses, training

DEFAULTS = {
    "packed": 1,  # things that the discriminator judges at once
    "stabilised": False,
    "penalties": (1.0, 1.0),  # the weight of both gradient penalties at the first step and at the last
    "penalised": 4,  # of so many steps one, with so many times the weight
    "final_share": 0.0,  # of the learning rate, which falls along a cosine
    "beta_1": 0.5,
    "beta_2": 0.99,  # of squared gradients: they change as the other network learns, and 0.999 is slow to notice
    "averaging": 0.999,  # the weight of the past in the generator's running average; 0 for none
    "looked_at": (),  # steps on the way after which the modes are counted too
}


def pairing_loss(higher_logits, lower_logits):
    """Return the relativistic pairing loss, log(1 + exp(lower - higher)), the mean over the batch, a scalar.

    higher_logits, lower_logits: (batch, 1). The discriminator takes it of (D(x), D(G(z))), so that real things should
    have the higher logit of each pair; the generator of (D(G(z)), D(x)). Only differences count, hence samples at one
    mode do not suffice: the pairs with real things elsewhere still push.
    Source: Jolicoeur-Martineau 2019; Huang et al. 2024, section 2.
    """
    return tf.reduce_mean(tf.nn.softplus(lower_logits - higher_logits))


def gradient_penalty(gradients):
    """Return half the squared length of the discriminator's gradients, the mean over the batch, a scalar.

    gradients: (batch, ...), of the logits with respect to what is judged: real things (R1) and generated ones (R2). It
    keeps both networks from circling around the solution, where gradients are zero.
    Source: Mescheder et al. 2018, equation 9; Huang et al. 2024, section 2, for both at once.
    """
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=range(1, len(gradients.shape))))


class Adversaries:
    """A generator and a discriminator with their optimisers; a step moves the discriminator first.

    build: without arguments to the generator, (batch, latent_size) -> (batch, ...), and the discriminator,
    (batch, ...) -> (batch, 1) logits, with packs of things side by side in the last axis. draw: from a step, a scalar
    tensor, to real things, (batch, ...), and latent vectors, (batch, latent_size). run: settings, with all of DEFAULTS
    and "steps" and "learning_rate". All is the same for the same seed if draw is.
    """

    def __init__(self, build, draw, run, seed):
        keras.utils.set_random_seed(seed)
        self.generator, self.discriminator = build()
        self.draw, self.run = draw, run
        rate = keras.optimizers.schedules.CosineDecay(run["learning_rate"], run["steps"], alpha=run["final_share"])
        betas = {name: run[name] for name in ("beta_1", "beta_2")}
        averages = {"use_ema": True, "ema_momentum": run["averaging"]} if run["averaging"] else {}
        self.optimizers = [keras.optimizers.Adam(rate, **betas, **more) for more in (averages, {})]
        for optimizer, network in zip(self.optimizers, (self.generator, self.discriminator), strict=True):
            optimizer.build(network.trainable_variables)

    @property
    def variables(self):
        """Return all that a step changes: the weights and the state of Adam, with the averages."""
        parts = (self.generator, self.discriminator, *self.optimizers)
        return [variable for part in parts for variable in part.variables]

    @property
    def parameters(self):
        """Return how many weights a step can change."""
        return sum(
            np.prod(weight.shape) for part in (self.generator, self.discriminator) for weight in part.trainable_weights
        )

    @tf.function
    def learn(self, steps):
        """Take so many steps, in one call of the graph."""
        for _ in tf.range(steps):
            step = tf.cast(self.optimizers[0].iterations, tf.int32)
            real, latent = self.draw(step)
            real = self.pack(real)
            with tf.GradientTape() as tape:
                fake = self.pack(self.generator(latent, training=True))
                with tape.stop_recording():
                    self._update_discriminator(real, fake, step)
                fake_logits = self.discriminator(fake)
                if self.run["stabilised"]:
                    loss = pairing_loss(fake_logits, self.discriminator(real))
                else:
                    loss = losses.generator_loss(fake_logits)
            weights = self.generator.trainable_variables
            self.optimizers[0].apply(tape.gradient(loss, weights), weights)

    def average(self):
        """Put their running averages in the place of the generator's weights, where the run keeps any.

        The generator circles around a solution, and the average lies nearer to it. Source: Yazici et al. 2019.
        """
        self.optimizers[0].finalize_variable_values(self.generator.trainable_variables)

    def _update_discriminator(self, real, fake, step):
        both = tf.concat([real, fake], axis=0)
        with tf.GradientTape() as tape:
            pair = tf.split(self.discriminator(both), 2)
            if self.run["stabilised"]:
                loss = pairing_loss(*pair)
                loss += tf.cond(step % self.run["penalised"] == 0, lambda: self._penalise(both, step), lambda: 0.0)
            else:
                loss = losses.discriminator_loss(*pair)
        weights = self.discriminator.trainable_variables
        self.optimizers[1].apply(tape.gradient(loss, weights), weights)

    def _penalise(self, both, step):
        """Return the weighted sum of R1 and R2 for real and generated things, (2 * batch, ...), a scalar.

        Every few steps are enough, with as many times the weight. Source: Karras et al. 2020, section 3.1.
        """
        with tf.GradientTape() as tape:
            tape.watch(both)
            logits = self.discriminator(both)
        penalty = 2.0 * gradient_penalty(tape.gradient(logits, both))  # twice the mean over both kinds: R1 + R2
        return self.run["penalised"] * self.penalty_weight(step) * penalty

    def penalty_weight(self, step):
        """Return the weight of the penalties, which goes along a cosine in its logarithm.

        Strong at first, they keep all modes in reach; a discriminator that tells narrow modes apart is steep.
        """
        first, last = (math.log(weight) for weight in self.run["penalties"])
        turned = 0.5 + 0.5 * tf.cos(math.pi * tf.cast(step, tf.float32) / self.run["steps"])
        return tf.exp(last + (first - last) * turned)

    def pack(self, things):
        """Return things, (batch, ..., size), side by side in packs, (batch / packed, ..., packed * size).

        Those of a pack are independent draws. Source: Lin et al. 2018, section 1.1.
        """
        return tf.concat(tf.split(things, self.run["packed"]), axis=-1)

    def sample(self, latent):
        """Return what the generator makes of latent vectors, (count, latent_size)."""
        return self.generator(latent, training=False).numpy()


def train(gan, folder, steps_per_part, look=lambda step: None):
    """Train to the run's last step, and average; return the seconds of one core that each part took.

    look: called with the step after each part. The state after each is kept in folder, which is that of this code and
    run alone, and training goes on from there.
    """
    seconds = []
    for step in range(0, gan.run["steps"], steps_per_part):
        reached = min(step + steps_per_part, gan.run["steps"])
        file = folder / f"{reached:06d}.npz"
        if file.exists():
            seconds = training.restore_state(file, gan.run, gan.variables)["seconds"].tolist()
        else:
            begun = time.process_time()
            gan.learn(tf.constant(reached - step))
            seconds = [*seconds, time.process_time() - begun]
            training.save_state(file, gan.run, gan.variables, seconds=seconds)
        look(reached)
    gan.average()
    return seconds


def summarise(scores, units, label):
    """Return the means of scores, {name: value} each, as a study gives them; with standard errors over several scores.

    units: {name: unit}.
    """
    found = {}
    for name in scores[0]:
        values = [one[name] for one in scores]
        error = (np.std(values, ddof=1) / math.sqrt(len(values)),) if len(values) > 1 else ()
        found[f"{name}/{label}"] = (np.mean(values), units[name], *error)
    return found


def tell_costs(gan, seconds, label, alone):
    """Return what a run has cost, as a study gives it; alone: with standard errors, as no other seed gives any.

    seconds: of each part of the training, whose spread is the error of the sum.
    """
    errors = ((np.std(seconds) * len(seconds) ** 0.5,), (0.0,)) if alone else ((), ())
    return {
        f"seconds/{label}": (sum(seconds), "s of one core", *errors[0]),
        f"parameters/{label}": (gan.parameters, "parameters", *errors[1]),
    }


def name_picture(label):
    """Return the name of the PNG file that a run draws."""
    return "_".join("".join(sign if sign.isalnum() else " " for sign in label.lower()).split()) + ".png"
