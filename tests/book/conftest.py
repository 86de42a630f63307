"""Fixtures for the tests of the site: a browser, and sites made of a few files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import site_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[site_browser.Browser]:
    """A browser that can reach no other host.

    It ends with the file of tests: while it runs, so does Playwright's event loop, which those of chapters would meet.
    """
    if site_browser.find_chromium() is None:
        pytest.skip(site_browser.MISSING)
    with site_browser.open_browser() as browser:
        yield browser


@pytest.fixture
def small_site(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes files into an empty site and returns its folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            (tmp_path / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
        return tmp_path

    return write
