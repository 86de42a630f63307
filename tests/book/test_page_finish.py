"""Pages as the build finishes them: what is replaced in them, their images, and the icons that stay."""

import book_icons
import book_pages
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

FONT = next((book_icons.THEME / "vendor" / "fontawesome").iterdir()) / "webfonts" / "fa-solid-900.ttf"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<p>\n<script src="../_static/vendor/fontawesome/6.5.2/js/all.min.js?digest=1"></script>', "<p>"),
        ('<link rel="preload" as="font" crossorigin href="_static/vendor/fontawesome/6/x.woff2" />', ""),
        ('<summary aria-label="Toggle hidden content">Setup</summary>', "<summary>Setup</summary>"),
        (
            '<button class="btn search-button-field b" title="Search" aria-label="Search" id="x">',
            '<button class="btn search-button-field b" title="Search" id="x">',
        ),
        (
            '<div class="sidebar-primary-items__start x">\n <div class="sidebar-primary-item">',
            '<div class="sidebar-primary-items__start x">\n <div class="sidebar-primary-item" role="navigation" '
            'aria-label="Home">',
        ),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
        ('<th class="head"></th><th><p> </p></th>', '<td class="head"></td><td></td>'),
    ],
)
def test_what_the_theme_writes_is_replaced(before, after):
    assert book_pages.replace(before) == after
    assert book_pages.replace(after) == after


@pytest.mark.parametrize(
    "kept",
    [
        '<script src="_static/book.js"></script>',
        '<link rel="preload" as="script" href="x.js" />',
        '<button class="btn search-button" title="Search" aria-label="Search">',  # an icon alone
        "<th>A</th><thead></thead>",
    ],
)
def test_what_is_sound_is_kept(kept):
    assert book_pages.replace(kept) == kept


def test_images_get_a_size_and_all_but_the_first_are_lazy(tmp_path):
    (tmp_path / "_images").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / "_images" / "a.png")
    image = '<img alt="A." src="_images/a.png" style="width: 100%;"{} />'
    others = '<img src="_static/logo.svg"><img src="data:image/png;base64,x"><img src="_images/gone.png">'
    page = others + image.format("") + image.format(' width="9"')
    size = ' width="30" height="20"'
    expected = others + image.format(size) + image.format(' width="9" loading="lazy"')
    assert book_pages.settle_images(page, tmp_path) == expected
    assert book_pages.settle_images(expected, tmp_path) == expected


def test_icons_are_known_by_name_and_by_sign():
    assert book_icons.find_names(['<i class="fa-solid fa-bars"></i>', "x.className = 'fa-xmark'"]) == {
        "fa-solid",
        "fa-bars",
        "fa-xmark",
    }
    assert book_icons.find_signs(['a::after{content:"\\f02d"}', 'b{--icon:"\uf0f3"}', 'c{content:"\\201c"}']) == {
        0xF02D,
        0xF0F3,
    }


def test_styles_lose_fonts_and_icons_that_nobody_names():
    kept = '.fa-lg{line-height:1}.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}'
    css = "@font-face{src:url(x)}" + kept + '.fa-x:before{content:"\\58"}'
    assert book_icons.cut_styles(css, {"fa-bars"}) == (kept, {0xF0C9})


def test_a_font_is_cut_to_its_signs(tmp_path, monkeypatch):
    assert book_icons.cut_font(FONT, {0xF0C9, 0xF02D, 0x1234}, tmp_path / "cut.woff")
    assert TTFont(tmp_path / "cut.woff").getBestCmap().keys() == {0xF0C9, 0xF02D}
    assert (tmp_path / "cut.woff").stat().st_size < 2_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "4102444800")  # on another day, in 2100
    assert book_icons.cut_font(FONT, {0xF0C9, 0xF02D, 0x1234}, tmp_path / "again.woff")
    assert (tmp_path / "cut.woff").read_bytes() == (tmp_path / "again.woff").read_bytes()
    assert not book_icons.cut_font(FONT, {0x1234}, tmp_path / "none.woff")
    assert not (tmp_path / "none.woff").exists()
