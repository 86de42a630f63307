"""Write the whole book as an EPUB: `python book/_ext/book_epub.py _build/html`.

The pages are those of the site, taken out of a browser as XML, with formulas as MathML: readers run no scripts. Sphinx
has a builder for EPUB, but leaves formulas as TeX there, and HTML that a chapter stores as it is, which is no XML.
"""

import base64
import hashlib
import io
import re
import sys
import textwrap
import time
import uuid
import zipfile
from datetime import UTC, datetime
from html import escape, unescape
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import book_offline
import book_paper
import check_epub
from book_card import GREY, INK, find_font
from book_paper import Book, PaperError
from PIL import Image, ImageDraw

TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".xhtml": "application/xhtml+xml"}
TYPES |= {".css": "text/css", ".ncx": "application/x-dtbncx+xml"}
SOURCE = re.compile(r'(?<= src=")(data:image/(png|svg\+xml);base64,([^"]+)|file:[^"]+)(?=")')
XHTML = "http://www.w3.org/1999/xhtml"
COVER = (1200, 1600)
CONTAINER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="EPUB/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
Files = dict[str, bytes]  # of the EPUB, by their path in the folder EPUB


def take_pictures(body: str, files: Files) -> str:
    """A page whose pictures, in it or in the site, are files of the EPUB."""

    def take(match: re.Match[str]) -> str:
        if match[2]:
            content, suffix = base64.b64decode(match[3]), ".png" if match[2] == "png" else ".svg"
        else:
            path = Path(url2pathname(urlsplit(unescape(match[1])).path))
            content, suffix = path.read_bytes(), path.suffix
        name = f"images/{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
        files[name] = content
        return name

    return SOURCE.sub(take, body)


def write_page(title: str, body: str) -> bytes:
    """A page as XHTML."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n<html xmlns="{XHTML}" '
        f'xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en"><head><title>{escape(title)}</title>'
        f'<link rel="stylesheet" type="text/css" href="book.css"/></head>\n<body>{body}</body></html>\n'
    ).encode()


def draw_cover(title: str) -> bytes:
    """The cover as a PNG: the title above real digits and digits that a network has made."""
    cover = Image.new("RGB", COVER, "white")
    pen, left, top, side = ImageDraw.Draw(cover), 90, 560, 490
    lines = textwrap.wrap(title, 22)
    pen.multiline_text((left, 150), "\n".join(lines), fill=INK, font=find_font("bold", 76), spacing=30)
    for path, told in book_paper.find_pictures().items():
        cover.paste(Image.open(path).convert("RGB").resize((side, side), Image.Resampling.NEAREST), (left, top))
        pen.text((left, top + side + 25), told, fill=GREY, font=find_font("normal", 34))
        left += side + 40
    file = io.BytesIO()
    cover.save(file, "PNG", optimize=True)
    return file.getvalue()


def write_nav(book: Book, pages: dict[str, dict[str, Any]]) -> bytes:
    """The contents: the parts, in each its pages, in each its sections."""
    lines = ['<nav epub:type="toc" id="toc"><h1>Contents</h1><ol>']
    for caption, names in book.parts:
        items = "".join(_write_entry(pages[name]) for name in names)
        lines.append(f"<li><span>{escape(caption)}</span><ol>{items}</ol></li>" if caption else items)
    return write_page("Contents", "".join([*lines, "</ol></nav>"]))


def _write_entry(page: dict[str, Any]) -> str:
    file = f"{page['slug']}.xhtml"
    sections = [
        f'<li><a href="{file}#{escape(place)}">{escape(text)}</a></li>'
        for level, place, text in page["headings"]
        if level == 2 and place
    ]
    below = f"<ol>{''.join(sections)}</ol>" if sections else ""
    return f'<li><a href="{file}">{escape(page["title"])}</a>{below}</li>'


def write_package(book: Book, pages: dict[str, dict[str, Any]], files: Files) -> bytes:
    """What the EPUB is, which files it has, and in which order they are read."""
    spine = ["cover.xhtml", "contents.xhtml", *(f"{page['slug']}.xhtml" for page in pages.values())]
    properties = {"contents.xhtml": "nav", "images/cover.png": "cover-image"}
    for page in pages.values():
        told = " ".join([*(["mathml"] if page["math"] else []), *(["svg"] if page["svg"] else [])])
        properties |= {f"{page['slug']}.xhtml": told} if told else {}
    ids = {name: f"f{number}" for number, name in enumerate(sorted(files))}
    items = [
        f'<item id="{ids[name]}" href="{name}" media-type="{TYPES[PurePosixPath(name).suffix]}"'
        + (f' properties="{properties[name]}"' if name in properties else "")
        + "/>"
        for name in sorted(files)
    ]
    order = "".join(f'<itemref idref="{ids[name]}"/>' for name in spine)
    digest = hashlib.sha256(b"".join(files[name] for name in sorted(files))).digest()
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id" xml:lang="en"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}</dc:identifier>'
        f"<dc:title>{escape(book.title)}</dc:title><dc:creator>{escape(book.author)}</dc:creator>"
        "<dc:language>en</dc:language><dc:rights>Text: CC BY 4.0. Code: MIT.</dc:rights>"
        f'<meta property="dcterms:modified">{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}</meta></metadata>\n'
        f"<manifest>{chr(10).join(items)}</manifest>\n"
        f"<spine>{order}</spine></package>\n"
    ).encode()


def pack(path: Path, files: Files) -> None:
    """Write an EPUB: a zip file whose first file, as it is, says what it is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", check_epub.MIMETYPE, zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER)
        for name, content in files.items():
            archive.writestr(f"EPUB/{name}", content)


def make_epub(site: Path, root: Path = book_paper.ROOT) -> Path:
    """Write the EPUB into the site and return its path. Raises PaperError where it is not sound."""
    book, path = book_paper.read_book(root), site / f"{book_offline.NAME}.epub"
    with book_paper.open_document(site, book_paper.write_document(site, book)) as browser_page:
        pages = dict(zip(book.pages, browser_page.evaluate("Paper.extract()"), strict=True))
    alt = "Two squares of a hundred digits each: written by people, and made by a network."
    files: Files = {
        "images/cover.png": draw_cover(book.title),
        "book.css": (book_paper.FOLDER / "epub.css").read_bytes(),
    }
    files["cover.xhtml"] = write_page(book.title, f'<div class="cover"><img src="images/cover.png" alt="{alt}"/></div>')
    files["contents.xhtml"] = write_nav(book, pages)
    for page in pages.values():
        files[f"{page['slug']}.xhtml"] = write_page(page["title"], take_pictures(page["body"], files))
    files["book.opf"] = write_package(book, pages, files)
    pack(path, files)
    if complaints := check_epub.find_complaints(path):
        raise PaperError("\n".join(["The EPUB is not sound:", *complaints]))
    return path


def main() -> int:
    """Make the EPUB, say what it is, and return the exit status."""
    began, site = time.monotonic(), Path(sys.argv[1])
    try:
        path = make_epub(site)
    except PaperError as error:
        print(error, file=sys.stderr)
        return 1
    book_offline.link_files(site)
    with zipfile.ZipFile(path) as archive:
        told = f"{sum(name.endswith('.xhtml') for name in archive.namelist())} pages"
    print(f"{path}: {told}, {path.stat().st_size / 1e6:.1f} MB, in {time.monotonic() - began:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
