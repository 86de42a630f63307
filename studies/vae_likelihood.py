"""Test NLL of VAEs on dynamically binarised MNIST, in nats, to stand beside the tables of Burda et al. 2016 and others.

Training draws the pixels afresh whenever an image comes up. The test images are binarised once, with a fixed seed, as
Burda et al. do; a second draw of all of them shows how much hangs on that one. NLL is the importance-weighted bound,
which lies above the true value and falls towards it with more samples. The row that leads among the dense ones has
5,000 samples for all test images; the others 500 for all and 5,000 for the first 1,000, so that the gap between the two
is measured on the same images: their test_nll is that of all, the looser one. The bounds of each image with 500 samples
are shipped, by which rows compare in pairs.
Training goes on after a stop as if there were none: noise and order follow from seed and step.

Settings were chosen by validation images after short trainings on the other 50,000. These rows train on all 60,000, as
Burda et al. do on 59,600 (datasets.py in https://github.com/yburda/iwae).
An earlier record trained on 50,000 images with Keras's Adam, a standard normal prior and the bound's own gradient: 85.5
for k = 1 after 220 epochs, 87.7 for k = 1 then 5 after 125. That the better bound did worse came of equal seconds: a
step of five samples takes more than twice as long as a step of one, so that it had 57 % of the updates. Burda et al.
give each bound the same updates. Here IWAE has three quarters of the VAE's, and its last ones count five samples.
Tried, in CPU ms a step of 200 images on a busy core: one sample 33, five 80, a flow prior 44, a VampPrior of 500 images
68, which is why the learned prior is a flow; batches of 100 and 500 images 21 and 60; of each, Keras's Adam takes 11
and ours 5. A flow prior needs no warm-up: trained along from the start, the negative ELBO of 1,000 validation images is
99.2 after six passes. Bfloat16 products were 1.2 to 2.6 times as fast on this CPU and are not used: others would be
slower by them. None of the rows has been tuned at its full length.
"""

import time

import keras
import numpy as np
from scipy.special import logsumexp

from helpers import data, metrics, training
from helpers.book import runtime
from studies.likelihood_models import (
    BoundVAE,
    FlowPrior,
    FusedAdam,
    NormalPrior,
    build_convolutional,
    build_dense,
)
from studies.pictures import draw_grid

SEEDS = 1
SELECTION = "validation"
PROFILE = "full"
# The bounds of all test images with 500 samples, from each run
WEIGHTS = ("nll_vae.npz", "nll_iwae.npz", "nll_flow.npz", "nll_convolutional.npz")
# file: what the run's files are called. phases: (samples in the loss, the epoch until which). rows: latent vectors that
# evaluation decodes at once. fully: how many test images have 5,000 importance samples.
RUNS = {
    "per-pixel Bernoulli": {"network": "none"},
    "VAE, k=1": {
        "file": "vae",
        "network": "dense",
        "width": 300,
        "latent_size": 40,
        "phases": ((1, 600),),
        "batch_size": 200,
        "learning_rate": 2e-3,
        "rows": 2_500,
        "fully": 1_000,
    },
    "IWAE, k=1 then 5": {
        "file": "iwae",
        "network": "dense",
        "width": 300,
        "latent_size": 40,
        "phases": ((1, 350), (5, 450)),
        "batch_size": 200,
        "learning_rate": 2e-3,
        "rows": 2_500,
        "fully": 1_000,
    },
    "flow prior, k=1 then 5": {
        "file": "flow",
        "network": "dense",
        "width": 300,
        "latent_size": 40,
        "couplings": 6,
        "coupling_width": 128,
        "phases": ((1, 300), (5, 370)),
        "batch_size": 200,
        "learning_rate": 2e-3,
        "rows": 2_500,
        "fully": 10_000,
        "seeds": 3,
    },
    "convolutional, flow prior, k=1": {
        "file": "convolutional",
        "network": "convolutional",
        "channels": 16,
        "width": 256,
        "latent_size": 40,
        "couplings": 6,
        "coupling_width": 128,
        "phases": ((1, 110),),
        "batch_size": 100,
        "learning_rate": 2e-3,
        "rows": 500,
        "fully": 1_000,
    },
}

TEST_DRAW, SECOND_DRAW = 2, 3  # seeds of the binary pixels
EVALUATION_SEED = 5
MANY, FEW, LOOK = 5_000, 500, 100  # importance samples an image
PART = 1_000  # images of comparisons
BLOCK = 50  # images whose weights are held at once
CHECKPOINT_EPOCHS = 5
LOOKS = (0.05, 0.1, 0.2, 0.4, 0.7)  # when in training the NLL of part of the test images is taken, as a share of epochs
CPU = "s of one core"
ACTIVE = 0.01  # variance over images of a unit's mean, above which it says something: Burda et al. 2016, section 5


def measure(label, folder):
    """Train the model that RUNS has under the label, if it trains one; return likelihoods of test images, and costs."""
    run, settings = RUNS[label], runtime.start()
    digits = data.load(settings.profile)
    images = np.concatenate([digits.train.images, digits.validation.images])
    test, second = (data.draw_binary(digits.test.images, draw) for draw in (TEST_DRAW, SECOND_DRAW))
    mean = metrics.smooth_mean(images)
    found = {
        "pixels_redrawn_in_training": (*measure_redrawn(digits.train.images[:PART:20], settings.seed), "share"),
        "pixels_redrawn_in_test": (*average(np.mean(test != second, axis=(1, 2, 3))), "share"),
    }
    if run["network"] == "none":
        nlls = [metrics.bernoulli_mixture_nll(image[None], mean[None]) for image in test]
        found |= {"test_nll": (*average(nlls), "nats"), "parameters": (mean.size, 0.0, "parameters")}
    else:
        vae = build(run, mean, settings.seed)
        found |= train(vae, images, digits.test.images, test[:PART], run, folder)
        found |= compare_bounds(Evaluation(vae, run["rows"], folder), test, second, run)
        found |= count_units(vae, test)
        draw_grid(vae.sample(100, seed=4), folder / f"{run['file']}.png")
    return {f"{name}/{label}": (value, unit, error) for name, (value, error, unit) in found.items()}


def measure_redrawn(images, seed):
    """Return the share of pixels that differ from one pass of training to the next, with its error over images.

    images: grey, (count, 28, 28, 1). Each goes through the batches of training on its own, so that passes line up.
    """
    shares = []
    for image in images:
        passes = data.make_batches(image[None], 1, seed, held_out=images[:0], binary=True).take(2)
        first, second = passes.as_numpy_iterator()
        shares.append(np.mean(first != second))
    return average(shares)


def average(values):
    """Return the mean of values, one for each image, and its standard error over images."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def build(run, mean, seed):
    """Return the untrained model of a run; mean: that of the training images, pixel by pixel, (28, 28, 1)."""
    size = run["latent_size"]
    if run["network"] == "dense":
        encoder, decoder = build_dense(run["width"], size, mean)
    else:
        encoder, decoder = build_convolutional(run["channels"], run["width"], size, mean)
    prior = NormalPrior()
    if "couplings" in run:
        prior = FlowPrior(size, run["couplings"], run["coupling_width"])
    return BoundVAE(encoder, decoder, prior, seed=seed)


def train(vae, images, held_out, looked_at, run, folder):
    """Train to the last of the run's epochs, from a checkpoint in folder if there is one.

    Returns {name: (value, error, unit)}: sizes, CPU seconds, and the NLL of the binary images looked_at along the way.
    The learning rate falls to zero over all phases, along one cosine. Raises LeakError and ImageError.
    """
    steps, last = len(images) // run["batch_size"], run["phases"][-1][1]
    optimizer = FusedAdam(keras.optimizers.schedules.CosineDecay(run["learning_rate"], last * steps))
    checkpoint = training.Checkpoint(folder / "training.npz", CHECKPOINT_EPOCHS)
    batches = data.make_batches(images, run["batch_size"], vae.seed, held_out, binary=True, start=checkpoint.read)
    marks, found, begun = [round(last * share) for share in LOOKS], {}, 0
    for samples, end in run["phases"]:
        vae.samples = samples
        vae.compile(optimizer, steps_per_execution=training.find_steps_per_call(steps))
        for epoch in (*(mark for mark in marks if begun < mark < end), end):
            vae.fit(batches, epochs=epoch, steps_per_epoch=steps, callbacks=[checkpoint], verbose=0)
            if epoch in marks:
                place = f"look_{marks.index(epoch) + 1}"
                nlls, seconds = look(vae, looked_at, run["rows"], folder / f"{place}.npz", checkpoint.seconds)
                found |= {f"{place}_nll": (*average(nlls), "nats"), f"{place}_seconds": (seconds, 0.0, CPU)}
        begun = end
    return found | {
        "parameters": (sum(variable.shape.num_elements() for variable in vae.trainable_variables), 0.0, "parameters"),
        "seconds": (checkpoint.seconds, 0.0, CPU),
        "epochs": (last, 0.0, "epochs"),
    }


def look(vae, images, rows, file, seconds):
    """Return the NLL of binary images with 100 samples, (count,), and the seconds of training until then.

    What file holds is from when training stood there: then it is returned, and whatever came later is not looked at.
    """
    stored = training.restore_state(file, {}, ())
    if stored is None:
        weights = vae.log_weights(images, LOOK, EVALUATION_SEED, BLOCK, rows // BLOCK)
        stored = {"nlls": take_bounds(weights)[:, 2], "seconds": np.float64(seconds)}
        training.save_state(file, {}, (), **stored)
    return stored["nlls"], float(stored["seconds"])


class Evaluation:
    """Takes the importance-weighted bounds of a trained model, and goes on after a stop from what folder keeps.

    rows: how many latent vectors are decoded at once.
    """

    def __init__(self, vae, rows, folder):
        self.vae, self.draws, self.folder, self.seconds = vae, rows // BLOCK, folder, 0.0

    def take(self, name, images, samples):
        """Return the bounds of binary images, (count, 28, 28, 1), as take_bounds does; name is that of the file."""
        file = self.folder / f"{name}.npz"
        stored = training.restore_state(file, {}, ()) or {"bounds": np.empty((0, 3)), "seconds": 0.0}
        bounds, spent, begun = stored["bounds"], float(stored["seconds"]), time.process_time()
        seconds = spent
        for start in range(len(bounds), len(images), BLOCK):
            block = images[start : start + BLOCK]
            weights = self.vae.log_weights(block, samples, EVALUATION_SEED + start, draws_at_once=self.draws)
            bounds = np.concatenate([bounds, take_bounds(weights)])
            seconds = spent + time.process_time() - begun
            training.save_state(file, {}, (), bounds=bounds, seconds=seconds)
        self.seconds += seconds
        return bounds


def take_bounds(log_weights):
    """Return the negative ELBO and the bounds with the first 500 and with all samples, in nats, (count, 3).

    log_weights: (samples, count), log p(x, z) - log q(z | x) for z drawn from q(z | x).
    """
    weights = log_weights.astype(np.float64)
    bounds = [np.log(len(part)) - logsumexp(part, axis=0) for part in (weights[:FEW], weights)]
    return np.stack([-weights.mean(axis=0), *bounds], axis=1)


def compare_bounds(evaluation, test, second, run):
    """Return {name: (value, error, unit)}: likelihoods, how they hang on samples and pixels, and what they cost.

    test, second: two binary draws of the test images, (count, 28, 28, 1). Errors of gaps are those of pairs.
    """
    fully = run["fully"]
    bounds = [evaluation.take("test", test[:fully], MANY)]
    if fully < len(test):
        bounds.append(evaluation.take("test_rest", test[fully:], FEW))
    elbo, few, many = np.concatenate(bounds).T  # (count,) each; the last ones with FEW samples where that is all
    again = evaluation.take("test_second_draw", second, FEW)[:, 1]
    np.savez(evaluation.folder / f"nll_{run['file']}.npz", nll_500=few.astype(np.float32))
    headline, samples = (many, MANY) if fully == len(test) else (few, FEW)
    nlls = {
        "test_nll": headline,
        "test_negative_elbo": elbo,
        "elbo_gap": elbo - headline,
        "test_nll_500": few,
        "test_nll_first_1000": many[:PART],
        "test_nll_500_first_1000": few[:PART],
        "sampling_gap_first_1000": few[:PART] - many[:PART],
        "test_nll_500_second_draw": again,
        "second_draw_gap": again - few,
    }
    return {name: (*average(values), "nats") for name, values in nlls.items()} | {
        "test_samples": (samples, 0.0, "importance samples"),
        "test_images": (len(test), 0.0, "images"),
        "evaluation_seconds": (evaluation.seconds, 0.0, CPU),
    }


def count_units(vae, images):
    """Return {name: (value, error, unit)}: how many latent dimensions the means of the images vary in, and of how many.

    images: binary, (count, 28, 28, 1). Source: Burda et al. 2016, section 5, with their threshold.
    """
    mean, _ = vae.encode(images)
    active = np.sum(mean.var(axis=0) > ACTIVE)
    return {"active_units": (active, 0.0, "dimensions"), "latent_size": (vae.latent_size, 0.0, "dimensions")}
