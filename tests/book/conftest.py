"""Fixtures for the tests of the site: a browser, and sites made of a few files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import site_browser
from book_paper import PaperError, find_browser
from playwright.sync_api import Browser as Driven
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def needs_browser() -> None:
    """Skips, and says what to install, where there is no browser."""
    try:
        find_browser()
    except PaperError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser(needs_browser: None) -> Iterator[site_browser.Browser]:
    """A browser that can reach no other host.

    It ends with the file of tests: while it runs, so does Playwright's event loop, which those of chapters would meet.
    """
    with site_browser.open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def chromium(needs_browser: None) -> Iterator[Driven]:
    """The same browser without what a page of the site needs, for pages of a test's own."""
    with sync_playwright() as driver:
        driven = driver.chromium.launch(executable_path=find_browser(), args=site_browser.OPTIONS)
        yield driven
        driven.close()


@pytest.fixture
def open_page(chromium: Driven, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that opens HTML from the disk; at the end the page has said nothing and asked for no other file."""
    opened, said = [], []

    def open_one(body: str, script: str = "", **options: Any) -> Any:
        place = tmp_path / f"page{len(opened)}.html"
        place.write_text(site_browser.HEAD + body, encoding="utf-8")
        tab = chromium.new_page(**options)
        tab.add_init_script(script)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith("data:") else None)
        opened.append((tab, place.as_uri()))
        tab.goto(place.as_uri())
        return tab

    yield open_one
    for tab, _ in opened:
        tab.close()
    assert said == [address for _, address in opened]


@pytest.fixture
def small_site(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes files into an empty site and returns its folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            (tmp_path / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
        return tmp_path

    return write
