"""The book on paper and for readers: two pages printed and written out, the checker of EPUBs, and how a page prints."""

import re
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import book_epub
import book_offline
import book_paper
import book_pdf
import check_epub
import numpy as np
import pikepdf
import pytest
from book_paper import Book, PaperError

from helpers.book import page

ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "book" / "_static"
BOOK = Book("Two <pages>", "somebody", [("", ["book/first"]), ("A part & more", ["notebooks/second"])])
SHELL = """<!doctype html><html><head><link rel="stylesheet" href="../_static/book.css" type="text/css" />
<link rel="stylesheet" href="../_static/print.css" type="text/css" media="print" /></head><body>
<nav class="bd-sidebar-primary">x</nav><main class="bd-main"><article class="bd-article">{}</article></main></html>"""
FIRST = """<section id="first"><h1>First<a class="headerlink" href="#first">#</a></h1><p class="take-along"></p>
<p>See <a href="../notebooks/second.html#place">there</a> and <a href="gone.html">nowhere</a>: 1 &lt; 2.<br></p>
<p><span class="math">\\(x_1 < y\\)</span></p><script>document.title = "a script"</script></section>"""
SECOND = """<section id="second"><h1>2. Second</h1><p id="place">Here.</p>
<div class="cell tag_hide-cell"><details><summary><p class="collapsed">Setup</p></summary>start</details></div>
<div class="cell tag_hide-cell"><details><summary><p class="collapsed">Sizes</p></summary>count</details></div>
<div class="cell tag_hide-input"><details class="hide"><summary>Show</summary>code of a figure</details></div>
<details><summary>Solution</summary><p>forty-two</p></details>
<div class="highlight"><pre>%s</pre></div>
<figure>%s<figcaption>What moves. Drag the slider, or press play.</figcaption></figure>
<div class="math" id="equation-e"><span class="eqno">(2.1)</span>\\[\\mathbb{E}[x] = 0\\]</div>
<section id="checks"><div class="cell"><div class="cell_input">code of a check</div><div class="cell_output">
<div class="output stream">line of a check</div><table><tr><td>a band</td></tr></table></div></div>
</section></section>"""


def make_frames() -> str:
    """Three frames, of which the last, white, stands still, as a chapter stores them."""
    return page.format_frames(
        np.stack([np.full((8, 8), level) for level in (0.0, 0.5, 1.0)]), ["a", "b", "c"], "Light."
    )


@pytest.fixture
def small_book(tmp_path, monkeypatch) -> Path:
    """A site of two pages with what chapters have."""
    for folder in ("book", "notebooks", "_static"):
        (tmp_path / folder).mkdir()
    (tmp_path / "book" / "first.html").write_text(SHELL.format(FIRST), encoding="utf-8")
    second = SECOND % ("wide_name = " * 40, make_frames())
    (tmp_path / "notebooks" / "second.html").write_text(SHELL.format(second), encoding="utf-8")
    for name in ("book.css", "print.css"):
        (tmp_path / "_static" / name).symlink_to(STYLES / name)
    mathjax = distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax")
    (tmp_path / "_static" / "mathjax").symlink_to(mathjax)
    monkeypatch.setattr(book_paper, "read_book", lambda root: BOOK)
    return tmp_path


# The book itself.


@pytest.mark.usefixtures("needs_browser")
def test_the_pdf_has_contents_links_and_marks(small_book, monkeypatch):
    seen = []
    monkeypatch.setattr(book_paper, "find_pictures", lambda: {})
    finish = book_pdf.finish
    monkeypatch.setattr(book_pdf, "finish", lambda *given: seen.append(book_pdf.find_numbers(*given)) or finish(*given))
    path, pages = book_pdf.make_pdf(small_book)
    assert (pages, seen) == (4, [{"book/first": 3, "notebooks/second": 4}])
    assert not list(small_book.glob("book/whole*"))
    with pikepdf.open(path) as pdf:
        assert str(pdf.docinfo["/Title"]) == BOOK.title
        assert pdf.Root.MarkInfo.Marked
        links = [note for note in pdf.pages[2].Annots if note.Subtype == "/Link"]
        assert [str(note.get("/Dest") or note.A.get("/D")) for note in links] == ["/second--place"]
        with pdf.open_outline() as outline:
            assert [entry.title for entry in outline.root[-2:]] == ["First", "2. Second"]


@pytest.mark.usefixtures("needs_browser")
def test_nothing_is_cut_off_on_paper(small_book):
    with book_paper.open_document(small_book, book_paper.write_document(small_book, BOOK)) as opened:
        opened.set_viewport_size({"width": 640, "height": 900})
        assert opened.evaluate("document.documentElement.scrollWidth") == 640
        told = opened.evaluate("document.body.innerText")
        picture = opened.evaluate("(([one]) => [one.naturalWidth, one.naturalHeight])(document.images)")
    assert picture == [8, 8]
    assert "frame 3 of 3; on the site they move" in told
    for text in ("Sizes\n\ncount", "Solution\n\nforty-two", "What moves.", "a band"):
        assert text in told
    for text in ("start", "code of a figure", "Drag", "#", "of a check"):
        assert text not in told


@pytest.mark.usefixtures("needs_browser")
def test_the_epub_is_sound_and_has_formulas_as_mathml(small_book):
    path = book_epub.make_epub(small_book)
    with zipfile.ZipFile(path) as archive:
        first, second, nav = (archive.read(f"EPUB/{name}.xhtml").decode() for name in ("first", "second", "contents"))
        stills = [name for name in archive.namelist() if name.endswith(".png") and "cover" not in name]
    assert 'href="second.xhtml#place"' in first
    assert "nowhere" in re.sub("<a .*?</a>", "", first)
    assert 'alttext="x_1 &lt; y"' in first
    assert "&lt; 2." in first
    assert ('display="block"' in second, "(2.1)" in second, len(stills)) == (True, True, 1)
    assert "<span>A part &amp; more</span>" in nav
    assert 'properties="mathml"' in zipfile.ZipFile(path).read("EPUB/book.opf").decode()


def test_without_a_site_or_a_browser_one_line_says_so(tmp_path, monkeypatch):
    with pytest.raises(PaperError, match="build the site first, with `make book`"):
        book_paper.read_article(tmp_path, "book/intro")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(PaperError, match="no browser: `apt-get install chromium`"):
        book_paper.find_browser()


def test_the_book_has_the_pages_of_the_table_of_contents():
    book = book_paper.read_book()
    assert book.pages[0] == "book/intro"
    assert "notebooks/gan" in book.pages
    slugs = [name.rpartition("/")[2] for name in book.pages]
    assert len(set(slugs)) == len(slugs) > 30  # they name the parts of the PDF, and the files of the EPUB
    assert not {"cover", "contents"} & set(slugs)


def test_pages_name_the_files_that_there_are(small_book):
    first = small_book / "book" / "first.html"
    assert book_offline.link_files(small_book) == []
    assert '<p class="take-along"></p>' in first.read_text()
    for suffix, size in ((".pdf", 2_600_000), (".epub", 100)):
        (small_book / f"{book_offline.NAME}{suffix}").write_bytes(bytes(size))
    for _ in range(2):
        assert len(book_offline.link_files(small_book)) == 2
        assert f'<a href="../{book_offline.NAME}.pdf">PDF</a> (3 MB) or an <a' in first.read_text()
        assert first.read_text().count("<p class=") == 1


# The checker of EPUBs: it must see what is broken, and nothing where all is well.

OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:identifier>1</dc:identifier><dc:title>t</dc:title><dc:language>en</dc:language></metadata><manifest>
<item id="n" href="nav.xhtml" properties="nav"/><item id="a" href="a.xhtml"/><item id="p" href="p.png"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/></spine></package>"""
SOUND = {
    "nav.xhtml": b'<html><a href="a.xhtml#x">a</a></html>',
    "a.xhtml": b'<html><p id="x"><img src="p.png" alt=""/><span class="math"><math/></span></p></html>',
    "p.png": b"",
    "book.opf": OPF.encode(),
}


def complaints_of(folder: Path, **changed: bytes) -> list[str]:
    """What the checker says of a sound book in which files are changed; a__xhtml is a.xhtml."""
    book_epub.pack(folder / "x.epub", SOUND | {name.replace("__", "."): text for name, text in changed.items()})
    return check_epub.find_complaints(folder / "x.epub")


def test_a_sound_epub_has_no_complaints(tmp_path):
    assert complaints_of(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("a__xhtml", "</p>", "<br></p>", "EPUB/a.xhtml is no XML"),
        ("a__xhtml", "<math/>", "x^2", "EPUB/a.xhtml: a formula is left as TeX"),
        ("a__xhtml", ' alt=""', "", "EPUB/a.xhtml: a picture without a text"),
        ("a__xhtml", "</p>", "<script/></p>", "EPUB/a.xhtml: a script"),
        ("a__xhtml", "</p>", '<a download="">zip</a></p>', "EPUB/a.xhtml: a link to nothing"),
        ("a__xhtml", "</p>", '<b id="x"/></p>', "EPUB/a.xhtml: x is the id of two"),
        ("a__xhtml", "p.png", "q.png", "EPUB/a.xhtml: q.png leads nowhere"),
        ("nav__xhtml", "#x", "#y", "EPUB/nav.xhtml: a.xhtml#y leads nowhere"),
        ("book__opf", '<item id="p" href="p.png"/>', "", "EPUB/p.png is not listed"),
        ("book__opf", '"p.png"/>', '"p.png"/><item id="q" href="q.css"/>', "EPUB/q.css is listed and missing"),
        ("book__opf", '<itemref idref="a"/>', "", "EPUB/a.xhtml is never read"),
        ("book__opf", '<itemref idref="a"/>', '<itemref idref="a"/><itemref idref="z"/>', "the order names z"),
        ("book__opf", ' properties="nav"', "", "no contents, or more than one"),
        ("book__opf", "<dc:language>en</dc:language>", "", "the book has no language"),
    ],
)
def test_what_is_wrong_with_an_epub_is_seen(tmp_path, file, old, new, complaint):
    text = SOUND[file.replace("__", ".")].decode()
    assert text.count(old) == 1
    (found,) = complaints_of(tmp_path, **{file: text.replace(old, new).encode()})[:1]
    assert found.startswith(complaint)


def test_a_packed_mimetype_and_a_missing_package_are_seen(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.epub", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", check_epub.MIMETYPE)
    assert len(check_epub.find_complaints(tmp_path / "x.epub")) == 2


# A page of the site, printed by its reader.


def test_a_printed_page_has_its_folds_open_and_nothing_around_it(browser, small_book):
    browser.visit((small_book / "notebooks" / "second.html").as_uri())
    read = "['nav', 'article > section > details p'].map(one => document.querySelector(one).checkVisibility())"
    assert browser.evaluate(read) == [True, False]
    browser.page.emulate_media(media="print")
    assert browser.evaluate(read) == [False, True]
    shown = "[...document.querySelectorAll('.cell')].map(one => one.checkVisibility() && one.innerText.trim() !== '')"
    assert browser.evaluate(shown) == [False, True, False, True]
    assert browser.evaluate("document.querySelector('#checks').innerText.trim()") == "a band"
    browser.page.emulate_media(media="screen")


def test_a_dark_page_prints_light(browser, small_site):
    script = (STYLES / "checks.js").read_text(encoding="utf-8")
    site = small_site(page_html=f"<html data-theme='dark'><title>x</title><script>{script}</script></html>")
    browser.visit(f"{site.as_uri()}/page.html", theme="dark")
    for event, theme in (("beforeprint", "light"), ("afterprint", "dark")):
        browser.evaluate(f"dispatchEvent(new Event('{event}'))")
        assert browser.evaluate("document.documentElement.dataset.theme") == theme
