"""Print the whole book as one PDF: `python book/_ext/book_pdf.py _build/html`.

A browser prints all pages of the site as one document, so that links within the book work, and marks what is a heading
or a figure for those who cannot see it. It prints twice: the contents name pages that only a first print knows.
"""

import base64
import sys
import time
from html import escape
from pathlib import Path

import book_offline
import book_paper
import pikepdf
from book_paper import Book, PaperError

PRINT = {"prefer_css_page_size": True, "print_background": True}
MARKED = {"outline": True, "tagged": True}  # for who finds a way by headings, or hears the book


WIDTH = 642  # of the text in CSS pixels: A4 without the margins of paper.css


def write_cover(book: Book) -> str:
    """The first page: the title, and the digits of the first page of the site."""
    figures = [
        f'<figure><img alt="" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        f"<figcaption>{told}</figcaption></figure>"
        for path, told in book_paper.find_pictures().items()
    ]
    return (
        f'<section id="cover"><h1>{escape(book.title)}</h1><div class="pictures">{"".join(figures)}</div>'
        '<p class="foot">Text: CC BY 4.0. Code: MIT.</p></section>'
    )


def write_contents(book: Book, titles: dict[str, str]) -> str:
    """The list of all pages by parts, with room for the number of each."""
    lines = ['<section id="contents"><h1>Contents</h1>']
    for caption, pages in book.parts:
        lines += [f'<p class="part">{escape(caption)}</p>'] if caption else []
        items = "".join(
            f'<li><a href="#{page.rpartition("/")[2]}">{escape(titles[page])}</a><span></span></li>' for page in pages
        )
        lines.append(f"<ol>{items}</ol>")
    return "".join([*lines, "</section>"])


def write_heads(titles: dict[str, str]) -> str:
    """Styles that give each chapter its own name at the head of its pages, but not above its title."""
    rules = []
    for number, (page, title) in enumerate(titles.items()):
        told = title.replace("\\", "").replace('"', '\\"')
        rules.append(f'[data-page="{page}"] {{ page: p{number}; }}')
        rules.append(f'@page p{number} {{ @top-right {{ content: "{told}"; font: 9pt sans-serif; color: #57606a; }} }}')
    return "\n".join(rules)


def find_numbers(path: Path, book: Book) -> dict[str, int]:
    """The number of the page on which each page of the site begins: {its name: number}."""
    with pikepdf.open(path) as pdf:
        numbers = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}
        places = pdf.Root.Dests
        return {page: numbers[places[f"/{page.rpartition('/')[2]}"][0].objgen] for page in book.pages}


def finish(path: Path, book: Book) -> int:
    """Write into the PDF what book it is, pack it, which halves it, and return how many pages it has."""
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        pdf.docinfo["/Title"], pdf.docinfo["/Author"] = book.title, book.author
        pdf.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        return len(pdf.pages)


def make_pdf(site: Path, root: Path = book_paper.ROOT) -> tuple[Path, int]:
    """Write the PDF into the site; return its path and how many pages it has."""
    book, path = book_paper.read_book(root), site / f"{book_offline.NAME}.pdf"
    with book_paper.open_document(site, book_paper.write_document(site, book)) as page:
        page.evaluate("Paper.linkWithin()")
        titles = page.evaluate(
            "Object.fromEntries(Paper.pages().map(p => [p.dataset.page, p.querySelector('h1').textContent.trim()]))"
        )
        before = write_cover(book) + write_contents(book, titles)
        page.evaluate("html => document.body.insertAdjacentHTML('afterbegin', html)", before)
        page.add_style_tag(content=write_heads(titles))
        page.set_viewport_size({"width": WIDTH, "height": 900})
        page.evaluate("Paper.typeset()")
        if not page.evaluate("Paper.knowsChinese()"):
            print("No font here has Chinese letters: they show as boxes (Debian: apt-get install fonts-wqy-microhei).")
        page.pdf(path=path, **PRINT)
        numbers = find_numbers(path, book)
        page.evaluate(
            "all => document.querySelectorAll('#contents span').forEach((one, i) => one.textContent = all[i])",
            [numbers[name] for name in book.pages],
        )
        page.pdf(path=path, **PRINT, **MARKED)
    if find_numbers(path, book) != numbers:
        raise PaperError("the second print has other page numbers than the first: the contents are wrong.")
    return path, finish(path, book)


def main() -> int:
    """Make the PDF, say what it is, and return the exit status."""
    began, site = time.monotonic(), Path(sys.argv[1])
    try:
        path, pages = make_pdf(site)
    except PaperError as error:
        print(error, file=sys.stderr)
        return 1
    book_offline.link_files(site)
    print(f"{path}: {pages} pages, {path.stat().st_size / 1e6:.1f} MB, in {time.monotonic() - began:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
