"""A page of the site as a reader's browser shows it: Debian's Chromium, or whichever there is, driven by Playwright.

`PYTHONPATH=book/_ext python tests/book/site_browser.py _build/html FOLDER` takes a picture of every page: light and
dark, wide and narrow; with book/_pictures/site.png for the folder, the one in the README.
"""

import contextlib
import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from book_paper import find_browser
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host can be reached
)
# A page of a test's own: what stands before its body, and the names that its scripts have left in the window.
HEAD = '<!doctype html><meta charset="utf-8"><title>x</title><link rel="icon" href="data:,">'
HEAD += "<script>var before = Object.getOwnPropertyNames(window)</script>"
LEFT = "Object.getOwnPropertyNames(window).filter(name => !before.includes(name))"
HEIGHT = 900  # of the window
PATIENCE = 120_000  # milliseconds: a page that takes a second does so on a machine of its own
SETTLED = "() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"
# A picture that cannot be loaded is settled too.
LOADED = """() => Promise.all([...document.images].map(image => {
  image.loading = "eager";
  return image.complete || new Promise(done => image.onload = image.onerror = done);
}))"""
LATE = 100  # milliseconds in which a page may still ask for something, or complain
SLIDE = 300  # milliseconds in which the theme's sidebars come and go
# The theme's own word for light and dark; a page without the theme has none.
IN_THEME = "theme => [undefined, theme].includes(document.documentElement.dataset.theme)"


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, yielding its address."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Seen:
    """What a page has asked for and said since it was opened."""

    requests: list[str] = field(default_factory=list)  # addresses, in order
    failures: list[str] = field(default_factory=list)  # what was not found, or refused
    messages: list[str] = field(default_factory=list)  # exceptions, and the console's errors and warnings

    def forget(self) -> None:
        """Begin anew."""
        for noted in (self.requests, self.failures, self.messages):
            noted.clear()

    def watch(self, page: Page) -> None:
        """Note what happens in a page from now on."""
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.failures.append(f"{request.failure}: {request.url}"))
        page.on("response", lambda answer: self._note_status(answer.status, answer.url))
        page.on("pageerror", lambda error: self.messages.append(f"throws {error}"))
        page.on("console", self._note_message)

    def _note_status(self, status: int, address: str) -> None:
        if status >= 400:
            self.failures.append(f"{status}: {address}")

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.messages.append(f"console {message.type}: {message.text}")


class Browser:
    """A headless Chromium with one page open at a time: `page`, and what that did: `seen`. `close` ends it."""

    def __init__(self, path: str) -> None:
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(executable_path=path, args=OPTIONS)
        self.page = self._chromium.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.seen = Seen()
        self.seen.watch(self.page)

    def close(self) -> None:
        """End the browser."""
        self._chromium.close()
        self._playwright.stop()

    def visit(self, address: str, width: int = 1280, theme: str = "light", ready: str = "true") -> None:
        """Open a page, and wait until it is settled and the JavaScript `ready` holds.

        Raises playwright's TimeoutError where that does not happen.
        """
        self.page.goto("about:blank")  # what the page before asks for late is none of this page's business
        self.seen.forget()
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=theme)
        self.page.goto(address)
        self.page.evaluate(SETTLED)
        self.page.wait_for_function(ready)
        self.page.wait_for_function(IN_THEME, arg=theme)
        self.page.wait_for_timeout(LATE)

    def show_as(self, width: int, theme: str) -> None:
        """Show the page that is open at another width, to a reader whose system is light or dark."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=theme)
        self.page.wait_for_function(IN_THEME, arg=theme)
        self.page.wait_for_timeout(SLIDE)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page, waiting for it where it is a promise."""
        return self.page.evaluate(expression)

    def load_pictures(self) -> None:
        """Have the pictures further down loaded too, as if the reader had scrolled there."""
        self.page.evaluate(LOADED)

    def take_picture(self, path: Path, whole: bool = True) -> None:
        """Write a PNG of the page that is open, or of what its window shows of it."""
        self.load_pictures()
        self.page.wait_for_timeout(1000)  # the sidebar slides, an anchor scrolls
        self.page.screenshot(path=path, full_page=whole)


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a browser. Raises PaperError where there is none."""
    browser = Browser(find_browser())
    try:
        yield browser
    finally:
        browser.close()


def take_pictures(site: Path, folder: Path) -> None:
    """Write a picture of every page of a site into a folder, in each theme and at each width."""
    folder.mkdir(parents=True, exist_ok=True)
    with serve(site) as address, open_browser() as browser:
        for path in sorted([*site.glob("book/*.html"), *site.glob("notebooks/*.html")]):
            for width in (1280, 375):
                for theme in ("light", "dark"):
                    browser.visit(f"{address}{path.relative_to(site).as_posix()}", width, theme)
                    browser.take_picture(folder / f"{path.stem}-{width}-{theme}.png")
                    print(path.stem, width, theme, *browser.seen.messages)


def take_readme_picture(site: Path, path: Path, page: str = "book/intro.html") -> None:
    """Write the picture of one page, as a reader's window shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with serve(site) as address, open_browser() as browser:
        browser.visit(address + page)
        browser.take_picture(path, whole=False)


if __name__ == "__main__":
    (take_readme_picture if sys.argv[2].endswith(".png") else take_pictures)(*map(Path, sys.argv[1:]))
