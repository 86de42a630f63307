"""The same training in PyTorch, eager, for the study `training_speed`: the book's networks, layer by layer."""

from collections.abc import Iterable

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from helpers import models

PADDING = 1  # what Keras calls "same" for a kernel of 4 and steps of 2
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


class Permute(nn.Module):
    """Puts the axes in another order, without moving a number."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, array: torch.Tensor) -> torch.Tensor:
        return array.permute(self.axes)


class TorchGan(nn.Module):
    """The turn of models.GAN without a gradient penalty, on PyTorch copies of its two networks."""

    def __init__(self, gan: models.GAN, learning_rate: float, steps: int, momentum: float) -> None:
        super().__init__()
        self.generator, self.discriminator = convert(gan.generator.layers), convert(gan.discriminator.layers)
        halves = (self.generator, self.discriminator)
        self.optimizers = [build_optimizer(half, learning_rate, steps, momentum) for half in halves]

    def step(self, real: torch.Tensor, latent: torch.Tensor) -> tuple[float, float]:
        """Train on real images, (batch, 28, 28, 1), and latent vectors; return the losses of D and of G."""
        fake = self.generator(latent)  # (batch, 28, 28, 1)
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake.detach())
        d_loss = functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()
        update(self.discriminator, d_loss, *self.optimizers[1])
        g_loss = functional.softplus(-self.discriminator(fake)).mean()
        update(self.generator, g_loss, *self.optimizers[0])
        return d_loss.item(), g_loss.item()


class TorchVae(nn.Module):
    """The step of models.VAE on PyTorch copies of its two networks."""

    def __init__(self, vae: models.VAE, learning_rate: float, steps: int, momentum: float) -> None:
        super().__init__()
        *hidden, mean, log_variance = vae.encoder.layers[1:]  # the first is the input
        self.hidden, self.decoder = convert(hidden), convert(vae.decoder.layers)
        self.mean, self.log_variance = convert([mean]), convert([log_variance])
        self.optimizer = build_optimizer(self, learning_rate, steps, momentum)

    def step(self, images: torch.Tensor, noise: torch.Tensor) -> float:
        """Train on binary images, (batch, 28, 28, 1), and the noise of their codes; return the negative ELBO."""
        hidden = self.hidden(images)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        logits = self.decoder(mean + torch.exp(0.5 * log_variance) * noise)
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        kl = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum()
        loss = (cross_entropy + kl) / len(images)
        update(self, loss, *self.optimizer)
        return loss.item()


def build_optimizer(module: nn.Module, learning_rate: float, steps: int, momentum: float) -> tuple:
    """Adam with Keras's small constant, and its learning rate's way to zero: as training.build_optimizer."""
    adam = torch.optim.Adam(module.parameters(), learning_rate, betas=(momentum, 0.999), eps=1e-7)
    return adam, torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)


def update(module: nn.Module, loss: torch.Tensor, adam: torch.optim.Optimizer, schedule: object) -> None:
    """One step of the module's own weights down the loss."""
    adam.zero_grad()
    loss.backward(inputs=list(module.parameters()))  # of no others: the discriminator's would be thrown away
    adam.step()
    schedule.step()


def convert(layers: Iterable[keras.layers.Layer]) -> nn.Sequential:
    """Keras layers that follow one another as a PyTorch network with the same weights; images keep channels last."""
    return nn.Sequential(*(module for layer in layers for module in convert_layer(layer)))


def convert_layer(layer: keras.layers.Layer) -> list[nn.Module]:
    """One layer. Raises ValueError for a kind that the networks of GAN and VAE do not have."""
    match layer:
        case keras.layers.Dense():
            return _with_weights(nn.Linear(*layer.kernel.shape, bias=layer.use_bias), layer)
        case keras.layers.Conv2DTranspose() | keras.layers.Conv2D():
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            kind = nn.ConvTranspose2d if transposed else nn.Conv2d
            sizes = layer.kernel.shape[:1:-1] if transposed else layer.kernel.shape[2:]  # channels in and out
            module = kind(*sizes, layer.kernel_size, layer.strides, PADDING, bias=layer.use_bias)
            modules = _with_weights(module, layer)
            return [Permute(CHANNELS_FIRST), modules[0], Permute(CHANNELS_LAST), *modules[1:]]
        case keras.layers.BatchNormalization():
            flat = len(layer.input.shape) == 2
            kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
            module = kind(layer.gamma.shape[0], layer.epsilon, 1 - layer.momentum)
            return [module] if flat else [Permute(CHANNELS_FIRST), module, Permute(CHANNELS_LAST)]
        case keras.layers.LeakyReLU():
            return [nn.LeakyReLU(layer.negative_slope)]
        case keras.layers.UpSampling2D():
            enlarge = nn.Upsample(scale_factor=layer.size, mode=layer.interpolation)
            return [Permute(CHANNELS_FIRST), enlarge, Permute(CHANNELS_LAST)]
        case keras.layers.Activation():
            return [ACTIVATIONS[layer.activation.__name__]()]
        case keras.layers.Reshape():
            return [nn.Unflatten(1, layer.target_shape)]
        case keras.layers.Flatten():
            return [nn.Flatten()]
    raise ValueError(f"{layer.name}: no way to PyTorch for a {type(layer).__name__}; expected a layer of the book's.")


def _with_weights(module: nn.Module, layer: keras.layers.Layer) -> list[nn.Module]:
    """The module with the layer's kernel and bias, and the activation that the layer ends in, if any."""
    kernel = np.moveaxis(np.transpose(layer.kernel), -1, -2) if layer.kernel.ndim == 4 else np.transpose(layer.kernel)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(kernel.copy()))
        if layer.use_bias:
            module.bias.copy_(torch.tensor(layer.bias.numpy()))
    activation = layer.activation.__name__
    return [module] if activation == "linear" else [module, ACTIVATIONS[activation]()]
