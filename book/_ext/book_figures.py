"""Pack the figures of each page into one zip, for slides and handouts: `_figures/NAME.zip` in the built site.

They are those of the page as it stands: pictures of stored outputs, drawings as SVG, and of frames to play the one that
stands first. A file is named by the figure's number and the beginning of its caption. Beside the files lie
`captions.txt`, with what each shows in words, and `ATTRIBUTION.txt`, which says who made them and what one may do.
The page offers the zip among its downloads; the directive `figure-packs` lists the zips of all chapters.
"""

import base64
import io
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

from book_tables import Table
from docutils import nodes
from PIL import Image
from sphinx import addnodes

from tools.notebook_files import ROOT

FOLDER = "_figures"
SLUG = 50  # letters of a file's name at most, after the number
EPOCH = (2026, 1, 1, 0, 0, 0)  # of every file in a zip, so that one build gives the zip of another
PIXELATED = 4  # times as wide: frames of few pixels, which a page shows twice as large
SMALL = 300  # pixels: what is narrower is of that kind (helpers/book/page.py)
INSIDE = re.compile(r'<img\b[^>]*?\bsrc="data:image/(png|svg\+xml);base64,([^"]+)"[^>]*>')
ALT = re.compile(r'\balt="([^"]*)"')
STRIP = re.compile(r"--count:(\d+);--frame:(\d+)")
LICENCE = "Creative Commons Attribution 4.0 International (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/"
ATTRIBUTION = """\
Figures of "{page}", a page of "{book}".

Licence: {licence}
You may use and change them for any purpose, in slides too, if you name the source, link the licence and say what you
have changed. A line that does it:

    Figure {number} of "{book}" by {author}, {year}.{address} CC BY 4.0.

Some figures show data of others, such as digits of MNIST; captions.txt says what each shows, and the page names its
sources.
"""


class Picture(NamedTuple):
    """One file of a figure: its suffix, its bytes, and what it shows in words."""

    suffix: str
    content: bytes
    alt: str


class Figure(NamedTuple):
    """A figure of a page: its number, such as 6.3 ("" where pages have none), its caption, and its pictures."""

    number: str
    caption: str
    pictures: list[Picture]


def take_still(strip: bytes, count: int, frame: int) -> bytes:
    """One frame of a picture that holds so many under each other, as PNG; small ones with larger pixels."""
    with Image.open(io.BytesIO(strip)) as whole:
        height = whole.height // count
        still = whole.crop((0, frame * height, whole.width, (frame + 1) * height))
    if still.width < SMALL:
        still = still.resize((still.width * PIXELATED, still.height * PIXELATED), Image.Resampling.NEAREST)
    file = io.BytesIO()
    still.save(file, "PNG", optimize=True)
    return file.getvalue()


def read_inside(html: str) -> Iterator[Picture]:
    """The pictures that a piece of HTML holds within itself; of frames to play, the one that stands there first."""
    end = 0
    for image in INSIDE.finditer(html):
        content, alt = base64.b64decode(image[2]), ALT.search(image[0])
        if image[1] == "png" and (strip := STRIP.search(html, end, image.start())):
            content = take_still(content, int(strip[1]), int(strip[2]))
        end = image.end()
        yield Picture(image[1].partition("+")[0], content, unescape(alt[1]) if alt else "")


def read_pictures(figure: nodes.figure, root: Path) -> Iterator[Picture]:
    """The pictures of a figure, in order. root: from where the files are found that images name."""
    for node in figure.findall():
        if isinstance(node, nodes.raw) and "html" in node["format"].split():
            yield from read_inside(node.astext())
        elif isinstance(node, nodes.image):
            uri, alt = node["uri"], node.get("alt", "")
            if uri.startswith("data:"):
                yield from (one._replace(alt=alt) for one in read_inside(f'<img src="{uri}">'))
            elif (path := root / uri.removeprefix("/")).is_file():
                yield Picture(path.suffix.removeprefix("."), path.read_bytes(), alt)


def read_figures(env, name: str, doctree: nodes.document) -> list[Figure]:
    """The figures of a page, with the numbers that readers see; those without a picture are left out."""
    numbers = env.toc_fignumbers.get(name, {}).get("figure", {})
    found = []
    for node in doctree.findall(nodes.figure):
        number = next((numbers[one] for one in node["ids"] if one in numbers), ())
        caption = next((" ".join(one.astext().split()) for one in node.findall(nodes.caption)), "")
        figure = Figure(".".join(map(str, number)), caption, list(read_pictures(node, Path(env.srcdir))))
        found += [figure] if figure.pictures else []
    return found


def name_file(figure: Figure, place: int) -> str:
    """What one picture of a figure is called, such as figure-6.03-a-ring-of-eight.png; a letter tells several apart."""
    *chapter, last = figure.number.split(".")
    number = ".".join([*chapter, last.zfill(2)])
    words = re.sub(r"[^a-z0-9]+", "-", figure.caption.lower()).strip("-")[: SLUG + 1]
    words = words.rpartition("-")[0] if len(words) > SLUG else words
    letter = "abcdefghijklmnopqrstuvwxyz"[place] if len(figure.pictures) > 1 else ""
    return "-".join(filter(None, ["figure", f"{number}{letter}", words])) + f".{figure.pictures[place].suffix}"


def pack(figures: list[Figure], told: dict[str, str], licence: str) -> bytes:
    """The zip of a page's figures. told: what ATTRIBUTION asks for, besides its number. licence: the whole text."""
    lines, file = [], io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:

        def add(name: str, content: bytes | str) -> None:
            stored = name.endswith(".png")  # which is packed already
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)

        for figure in figures:
            for place, picture in enumerate(figure.pictures):
                name = name_file(figure, place)
                add(name, picture.content)
                lines += [name, f"Figure {figure.number}: {figure.caption}", f"Shown: {picture.alt}", ""]
        add("captions.txt", "\n".join(lines))
        add("ATTRIBUTION.txt", ATTRIBUTION.format(number=figures[0].number, licence=LICENCE, **told))
        add("LICENSE.txt", licence)
    return file.getvalue()


def find_zip(app, name: str) -> Path:
    """Where the zip of a page lies, or would."""
    return Path(app.outdir, FOLDER, f"{Path(name).name}.zip")


def write_figures(app, doctree, docname):
    """Write the zip of a page that has figures with numbers."""
    if app.builder.name != "html":
        return
    figures = [one for one in read_figures(app.env, docname, doctree) if one.number]
    if not figures:
        return
    base = app.config.html_baseurl
    told = {
        "page": app.env.titles[docname].astext(),
        "book": app.config.html_title or app.config.project,
        "author": app.config.author,
        "year": app.config.copyright,
        "address": f" {base}{app.builder.get_target_uri(docname)}." if base else "",
    }
    path = find_zip(app, docname)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(figures, told, (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")))


def offer_figures(app, pagename, templatename, context, doctree):
    """Offer the zip of a page among its downloads, where the theme has such a list."""
    path = find_zip(app, pagename)
    if app.builder.name != "html" or doctree is None or not path.exists():
        return
    for group in context.get("header_buttons", ()):
        if group.get("label") == "download-buttons":
            group["buttons"].append(
                {
                    "type": "link",
                    "url": context["pathto"](f"{FOLDER}/{path.name}", 1),
                    "text": "figures.zip",
                    "tooltip": "Download all figures of this page",
                    "icon": "fas fa-images",
                    "label": "download-figures-button",
                }
            )


class FigurePacks(Table):
    """A row for each chapter: its seconds, and the zip of its figures; on a site alone, since nothing else has zips."""

    header = ("Chapter", "CPU seconds", "Figures")

    def rows(self):
        for name in self.config.external_site_map:
            if name.startswith("notebooks/"):
                chapter = Path(name).name
                target = f"{'../' * self.env.docname.count('/')}{FOLDER}/{chapter}.zip"
                link = f'<a href="{target}" download>{chapter}.zip</a>'
                yield f"{{doc}}`/{name}`", f"{{cpu-seconds}}`{chapter}`", link

    def run(self):
        return [addnodes.only("", *super().run(), expr="builder_html")]


def setup(app):
    app.add_directive("figure-packs", FigurePacks)
    app.connect("doctree-resolved", write_figures, priority=900)  # all is in its place
    app.connect("html-page-context", offer_figures, priority=600)  # after the theme's own buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
