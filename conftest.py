"""Puts every test process, and so every notebook kernel started by nbval, into the one environment of the book.

It stands in the root so that `pytest notebooks/vae.ipynb` alone gets it too.
"""

import importlib.util
import os

import pytest

from tools.digest import find_unpinned
from tools.environment import UNSET, quick_environment
from tools.stale import find_stale

os.environ.update(quick_environment())
for name in UNSET:
    os.environ.pop(name, None)

TORCH_CHAPTER = "code_vae_pytorch"
RUNNING_IT = {f"{TORCH_CHAPTER}.ipynb", "test_exercises.py", "test_full_profile.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what runs the chapter on PyTorch where that extra is missing; its outputs are still checked."""
    if importlib.util.find_spec("torch") is None:
        for item in items:
            if item.path.name in RUNNING_IT and TORCH_CHAPTER in item.nodeid.replace("-", "_"):
                item.add_marker(pytest.mark.skip(reason="PyTorch is not installed: see requirements-torch.txt"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Names what was measured with other code after a run of all tests: no failure, and `make fresh` mends it."""
    if config.args_source != pytest.Config.ArgsSource.TESTPATHS or find_unpinned():
        return
    terminalreporter.section("measured with other code, `make fresh` measures it again", sep="-")
    for one in find_stale():
        terminalreporter.write_line(str(one))
