"""Finish each page as it is written: what keeps somebody from reading it, or makes it heavy, and no setting changes.

A page that is finished stays as it is, so that an incremental build may meet it again.
"""

import re
from pathlib import Path

from PIL import Image

# What the theme and its extensions write, and what stands in its place.
REPLACED = {
    # The script draws the icons that the style sheet draws too; the fonts are cut, and loaded where one is needed.
    r'\s*<script src="[^"]*/fontawesome/[^"]*"></script>': "",
    r'\s*<link rel="preload" as="font"[^>]*/fontawesome/[^>]*>': "",
    # A name that is not the text on it: who speaks to the machine says what stands there.
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    r'(<button class="btn search-button-field[^>]*) aria-label="Search"': r"\1",
    # The way home is a part of the page that one can go to, as the table of contents below it is.
    r'(sidebar-primary-items__start[^>]*>\s*<div class="sidebar-primary-item")>': (
        r'\1 role="navigation" aria-label="Home">'
    ),
    # The children of a list are its items.
    r'role="doc-biblioentry"': 'role="listitem"',
    # A cell that heads nothing.
    r"<th\b([^>]*)>\s*(?:<p>\s*</p>\s*)?</th>": r"<td\1></td>",
}
IMAGE = re.compile(r'<img\b(?=[^>]*\ssrc="([^"]+)")[^>]*?(?=\s*/?>)')


def replace(html: str) -> str:
    """The page with each of REPLACED in its place."""
    for pattern, text in REPLACED.items():
        html = re.sub(pattern, text, html)
    return html


def settle_images(html: str, folder: Path) -> str:
    """The page with sizes for its images, so that nothing jumps, and all but the first loaded when they come near.

    A width that a style gives holds; the size then keeps the height free. folder: of the page, from where its images
    are found. Those within the page itself and those of the theme are left.
    """
    first = True

    def settle(match: re.Match[str]) -> str:
        nonlocal first
        tag, path = match[0], folder / match[1]
        if "_images/" not in match[1] or not path.is_file():
            return tag
        if path.suffix == ".png" and not re.search(r"\b(?:width=|height[=:])", tag):
            with Image.open(path) as image:
                tag += f' width="{image.width}" height="{image.height}"'
        if not first and "loading=" not in tag:
            tag += ' loading="lazy"'
        first = False
        return tag

    return IMAGE.sub(settle, html)


def finish_pages(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        finished = settle_images(replace(html), path.parent)
        if finished != html:
            path.write_text(finished, encoding="utf-8")


def setup(app):
    app.add_js_file("scrolling.js", loading_method="defer")
    app.connect("build-finished", finish_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
