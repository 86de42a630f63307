"""Puts every test process, and so every notebook kernel started by nbval, into the one environment of the book.

It stands in the root so that `pytest notebooks/vae.ipynb` alone gets it too.
"""

import os

from tools.environment import UNSET, quick_environment

os.environ.update(quick_environment())
for name in UNSET:
    os.environ.pop(name, None)
