"""What paper and readers share: all pages of a site that is built, in one document, in a browser without a network.

`book_pdf` prints that document, `book_epub` takes its pages out as XML; `paper/paper.js` makes stills of frames, opens
folds and sets links before.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import yaml
from book_card import SIDES
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "paper"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND")  # no host can be reached
PATIENCE = 600_000  # milliseconds: for all formulas of the book, on a slow machine
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)


class PaperError(RuntimeError):
    """There is no site, or no browser, to make a book of."""


class Book(NamedTuple):
    """What a book is made of: title, whose it is, and its parts, [(caption, [page])], pages as `notebooks/gan`."""

    title: str
    author: str
    parts: list[tuple[str, list[str]]]

    @property
    def pages(self) -> list[str]:
        """All pages, in order."""
        return [page for _, pages in self.parts for page in pages]


def read_book(root: Path = ROOT) -> Book:
    """The book that `_config.yml` and `_toc.yml` of a folder tell of."""
    config, toc = (yaml.safe_load((root / name).read_text(encoding="utf-8")) for name in ("_config.yml", "_toc.yml"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]]
    return Book(config["title"], config["author"], [("", [toc["root"]]), *parts])


def read_article(site: Path, page: str) -> str:
    """The text of one page as it stands in the site, without its scripts. Raises PaperError where there is no page."""
    path = site / f"{page}.html"
    if not path.is_file():
        raise PaperError(f"{path} is missing: build the site first, with `make book`.")
    html = path.read_text(encoding="utf-8")
    start, end = html.index(">", html.index('<article class="bd-article"')) + 1, html.rindex("</article>")
    return SCRIPT.sub("", html[start:end])


def read_styles(site: Path, page: str) -> str:
    """The tags of one page's head that load its styles, in order."""
    html = (site / f"{page}.html").read_text(encoding="utf-8").split("</head>")[0]
    return "\n".join(re.findall(r'<link\b[^>]*rel="stylesheet"[^>]*>', html))


def write_document(site: Path, book: Book) -> str:
    """All pages of the book in one HTML document, which has to stand one folder below the site's root."""
    pages = [f'<section class="page" data-page="{page}">\n{read_article(site, page)}</section>' for page in book.pages]
    options = '{enableMenu: false, enableAssistiveMml: false, processHtmlClass: "math"}'
    return f"""<!doctype html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8"><title>{escape(book.title)}</title>
{read_styles(site, book.pages[0])}
<style>{(FOLDER / "paper.css").read_text(encoding="utf-8")}</style>
<script>window.MathJax = {{options: {options}, startup: {{typeset: false}}}};</script>
<script src="../_static/mathjax/tex-chtml.js"></script>
<script>{(FOLDER / "paper.js").read_text(encoding="utf-8")}</script></head>
<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<article class="bd-article">{"".join(pages)}</article></div></div></main></body></html>"""


def find_browser() -> str:
    """The path of a Chromium-like browser. Raises PaperError where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise PaperError(
            "no browser: `apt-get install chromium` brings one, or put one of these on the PATH: " + ", ".join(BROWSERS)
        )
    return path


@contextlib.contextmanager
def open_document(site: Path, html: str) -> Iterator[Page]:
    """A browser's page with that document, prepared for paper; it stands in the site while it is open."""
    path = site.resolve() / "book" / "whole-book.html"
    browser_path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        try:
            path.write_text(html, encoding="utf-8")
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.emulate_media(media="print", color_scheme="light")
            page.goto(path.as_uri())
            page.evaluate("Paper.prepare()")
            yield page
        finally:
            path.unlink(missing_ok=True)
            browser.close()


def find_pictures(root: Path = ROOT) -> dict[Path, str]:
    """The two pictures of the cover, with what is said below each."""
    return {root / "results" / "full" / "gan_mnist" / f"{name}.png": told for name, told in SIDES.items()}
