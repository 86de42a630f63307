"""Pictures that studies leave beside their records."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from helpers import plotting


def draw_grid(images: np.ndarray, file: Path) -> None:
    """Draw 100 images, (100, 28, 28, 1), ten by ten, into a grey PNG file."""
    figure, ax = plt.subplots(figsize=(3.4, 3.4), dpi=110, layout="constrained")
    plotting.show_images(ax, images, columns=10)
    figure.canvas.draw()
    Image.fromarray(np.array(figure.canvas.buffer_rgba())[..., 0]).save(file, optimize=True)
    plt.close(figure)
