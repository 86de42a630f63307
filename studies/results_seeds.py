"""What the statements of § 5.4 of the article are judged by, over ten seeds: the record behind the chapter `results`.

A dense GAN and a dense VAE on the small digits, with the settings of the chapters on the two models and fewer steps;
none was chosen here. Of the GAN it asks what its samples are worth, early and late, and whether its discriminator has
learned; of the VAE how near reconstructions come to their originals, and what its codes are worth to a classifier.
"""

import keras
import numpy as np
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from helpers import data, metrics, models, networks, scorecard, training
from helpers.book import runtime

SEEDS = 10
SELECTION = "none"
UNITS = {
    "rank correlation of distance and steps": "correlation",
    "answers farther apart": "difference of probabilities",
}
SIZES = {"batch_size": 64, "steps_per_epoch": 200}
GAN_RECIPE = {"learning_rate": 2e-3, "beta_1": 0.0, "beta_2": 0.99, "epochs": 6}
VAE_RECIPE = {"learning_rate": 4e-3, "epochs": 10}
LATENT_SIZE, CODE_SIZE = 100, 10
GAN_WIDTHS, VAE_WIDTHS = (256, 256), (300,)
PENALTY_WEIGHT = 0.5
LOOKS = (0, 1, 2, 4, 6)  # after how many epochs of the GAN its samples are looked at
FEW_LABELS = 50


class KeepFirst(keras.callbacks.Callback):
    """Keeps a copy of the discriminator as it was after the first epoch, as `first`."""

    def on_epoch_end(self, epoch, logs=None):
        """Copy it."""
        if epoch == 0:
            self.first = keras.models.clone_model(self.model.discriminator)
            self.first.set_weights(self.model.discriminator.get_weights())


def measure() -> dict[str, tuple[float, str]]:
    """Train both models with the seed in BOOK_SEED; return what is measured of them, mostly shares and ratios."""
    settings = runtime.start()
    digits = data.load(settings.profile)
    measured = measure_gan(digits, settings.seed) | measure_vae(digits, settings.seed)
    return {name: (float(value), UNITS.get(name, "share")) for name, value in measured.items()}


def measure_gan(digits, seed):
    """Train a GAN; return {name: value} of its samples and of its discriminator."""
    generator = networks.build_dense_generator(LATENT_SIZE, GAN_WIDTHS)
    discriminator = networks.build_dense_discriminator(GAN_WIDTHS[::-1])
    gan, keeper = models.GAN(generator, discriminator, seed, PENALTY_WEIGHT), KeepFirst()
    latent = models.draw_latent(len(digits.validation.images), LATENT_SIZE, seed=4)
    recorder = training.SampleRecorder(gan.generate, latent, LOOKS)
    history = training.train_gan(gan, digits, **SIZES, **GAN_RECIPE, callbacks=[recorder, keeper])

    scorer = scorecard.Scorer(digits)
    count, labels = scorer.count, digits.test.labels[: scorer.count]
    real, samples = digits.validation.images[:count], gan.sample(count, seed=4)
    trivial = scorer.score(data.draw_class_gaussians(digits.train, labels, seed=3)).frechet
    floor, reached = scorer.score(real).frechet, scorer.score(samples).frechet
    features = scorer.extract(digits.test.images[:count])
    distances = [metrics.frechet_distance(features, scorer.extract(recorder.frames[look])) for look in LOOKS]
    gap = np.subtract(history["d_real"], history["d_fake"])  # (epochs,)
    auc = [compare_auc(discriminator, real, samples) for discriminator in (keeper.first, gan.discriminator)]
    return {
        "way from trivial to real": (trivial - reached) / (trivial - floor),
        "told from real": ask_judge(real, samples, np.arange(2 * count)),
        "rank correlation of distance and steps": spearmanr(LOOKS, distances).statistic,
        "answers farther apart": gap[-1] - gap[0],
        "AUC gained": auc[1] - auc[0],
    }


def measure_vae(digits, seed):
    """Train a VAE; return {name: value} of its reconstructions of the test digits and of its codes."""
    encoder = networks.build_dense_encoder(CODE_SIZE, VAE_WIDTHS)
    vae = models.VAE(encoder, networks.build_dense_decoder(CODE_SIZE, VAE_WIDTHS[::-1]), seed)
    training.train_vae(vae, digits, **SIZES, **VAE_RECIPE)

    images, labels = digits.test.images, digits.test.labels
    again = vae.reconstruct(images)  # (count, 28, 28, 1)
    train_flat, test_flat = (part.images.reshape(-1, 784) for part in (digits.train, digits.test))
    pca = PCA(CODE_SIZE, random_state=0).fit(train_flat)
    pca_again = np.clip(pca.inverse_transform(pca.transform(test_flat)), 0, 1)
    scorer = scorecard.Scorer(digits)
    read = [np.mean(scorer.classify(part) == labels) for part in (images, again)]
    codes = [vae.encode(part.images)[0] for part in (digits.train, digits.test)]
    few = np.random.default_rng(seed).permutation(len(train_flat))[:FEW_LABELS]
    by_codes, by_pixels = (name_digits(digits, few, *seen) for seen in (codes, (train_flat, test_flat)))
    near, line = by_codes - by_pixels
    return {
        "read worse": read[0] - read[1],
        "error to that of PCA": np.mean((again - images) ** 2) / np.mean((pca_again - test_flat) ** 2),
        "nearest to its own original": np.mean(metrics.find_nearest(again, images)[0] == np.arange(len(images))),
        "told from its original": ask_judge(images, again, np.tile(np.arange(len(images)), 2)),
        "change of roughness": abs(measure_roughness(again) / measure_roughness(images) - 1),
        "gained for neighbours": near,
        "gained for few labels": line,
    }


def name_digits(digits, few, known, asked):
    """Return shares of test digits named rightly: by five neighbours, and by logistic regression on a few labels.

    known, asked: what is seen of training and test digits, (count, dimensions) each. few: which training digits, (50,).
    """
    near = KNeighborsClassifier(5).fit(known, digits.train.labels)
    line = LogisticRegression(max_iter=2_000).fit(known[few], digits.train.labels[few])
    return np.array([model.score(asked, digits.test.labels) for model in (near, line)])


def ask_judge(first, second, groups):
    """Return the share of images that a support vector machine, trained on others, puts in the right one of two sets.

    first, second: (count, 28, 28, 1). groups: (2 * count,), what must stay on one side: pairs, or each image alone.
    """
    images = np.concatenate([first, second]).reshape(2 * len(first), -1)
    kinds = np.repeat([0, 1], len(first))
    halves = GroupKFold(2).split(images, kinds, groups)
    return cross_val_score(SVC(C=10.0), images, kinds, cv=halves).mean()


def compare_auc(discriminator, real, samples):
    """Return the share of pairs, a real image and a sample, in which the real one has the higher logit."""
    logits = [discriminator(part).numpy()[:, 0] for part in (real, samples)]
    return roc_auc_score(np.repeat([1, 0], len(real)), np.concatenate(logits))


def measure_roughness(images):
    """Return how sharply grey levels bend from pixel to pixel, along rows and columns: the mean second difference."""
    return sum(np.abs(np.diff(images, n=2, axis=axis)).mean() for axis in (1, 2))
