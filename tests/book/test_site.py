"""The site as it is built: complete, whole, light, the same for everyone, and needing no other host."""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import page_checks
import pytest
import site_browser
import site_checks
import yaml

from tools.colab_copies import write_copies
from tools.notebook_files import book_metadata, code_cells, read, setup_values
from tools.push_colab import BRANCH

ROOT = Path(__file__).resolve().parents[2]
BUILD = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]


def read_toc(path=ROOT / "_toc.yml"):
    toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    files = [toc["root"]]
    for part in toc["parts"]:
        files += [chapter["file"] for chapter in part["chapters"]]
    return files


DOCUMENTS = read_toc()
CHAPTERS = [name for name in DOCUMENTS if name.startswith("notebooks/")]
RUN = "book/how_to_run"
ADDRESS = "https://github.com/someone/some.book.git/"
# Of a build's surroundings what its pages could hold: the order of sets, the day, the language
ELSEWHERE = {"PYTHONHASHSEED": "20", "TZ": "Pacific/Kiritimati", "LC_ALL": "POSIX"}


def build(target, repository, source=ROOT, strict=("-n", "-W", "--keep-going"), **changes):
    """Build the site as `make book` does and return (folder of the site, what the build printed)."""
    command = [*BUILD, str(source), "--path-output", str(target), "--quiet", *strict]
    environment = {**os.environ, "BOOK_REPOSITORY": repository, "BOOK_COLAB_BRANCH": BRANCH, "BOOK_SITE": "", **changes}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    printed = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, printed
    return target / "_build" / "html", printed


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site"), repository="")


@pytest.fixture(scope="session")
def site(built):
    return built[0]


@pytest.fixture(scope="session")
def site_with_address(tmp_path_factory):
    """A site of two pages and one chapter, whose links to the others lead nowhere: what an address adds shows there."""
    source = make_small_source(tmp_path_factory.mktemp("small"))
    return build(tmp_path_factory.mktemp("addressed"), ADDRESS, source, strict=())[0]


def make_small_source(folder):
    """Make the source of that site in a folder."""
    for name in ("_config.yml", "book", "notebooks", "results", "studies", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    files = [{"file": name} for name in (CHAPTERS[0], RUN)]
    toc = yaml.safe_dump({"format": "jb-book", "root": DOCUMENTS[0], "chapters": files})
    (folder / "_toc.yml").write_text(toc, encoding="utf-8")
    return folder


# The built site.


def test_no_page_asks_another_host(site):
    assert site_checks.find_foreign_requests(site) == []


def test_every_page_is_in_the_table_of_contents(site):
    assert site_checks.find_toc_mismatches(site, DOCUMENTS) == []


def test_every_source_is_in_the_table_of_contents():
    sources = [*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    missing = {path.relative_to(ROOT).with_suffix("").as_posix() for path in sources} - set(DOCUMENTS)
    assert missing == set()


def test_no_link_is_broken(site):
    assert site_checks.find_broken_links(site) == []


def test_every_image_says_what_it_shows(site):
    assert site_checks.find_silent_images(site) == []


def test_every_icon_has_its_sign(site, site_with_address):
    assert site_checks.find_icon_gaps(site) == site_checks.find_icon_gaps(site_with_address) == []


def test_mathjax_is_part_of_the_site(site):
    assert site_checks.find_mathjax_gaps(site) == []


def test_the_search_index_knows_every_page(site):
    assert site_checks.find_search_gaps(site, DOCUMENTS) == []


def test_no_page_is_heavy(site):
    assert site_checks.find_heavy_pages(site) == []


def test_without_an_address_there_are_no_buttons_and_one_line_says_why(built):
    site, printed = built
    assert site_checks.find_colab_links(site) == {}
    assert "github.com" not in (site / "notebooks" / Path(CHAPTERS[0]).name).with_suffix(".html").read_text()
    assert len(re.findall("No Colab, edit or repository buttons: .*make set-repository", printed)) == 1


def test_with_an_address_a_chapter_has_its_colab_button(site_with_address):
    name = CHAPTERS[0]
    expected = {name: [f"{site_checks.COLAB}github/someone/some.book/blob/{BRANCH}/{name}.ipynb"]}
    assert site_checks.find_colab_links(site_with_address) == expected


def test_how_to_get_the_book_names_its_address_once_there_is_one(site, site_with_address):
    without, with_it = ((place / f"{RUN}.html").read_text(encoding="utf-8") for place in (site, site_with_address))
    assert "git clone" not in without
    assert "no address on the web yet" in without
    told = re.sub(r"<[^>]+>", "", with_it)
    for part in (
        "git clone https://github.com/someone/some.book book",
        "git+https://github.com/someone/some.book@main",
    ):
        assert part in told
    assert 'href="https://github.com/someone/some.book/archive/refs/heads/main.zip">main.zip<' in with_it
    assert "no address on the web yet" not in told
    assert "ADDRESS" not in told


def test_an_address_adds_no_request(site_with_address):
    assert site_checks.find_foreign_requests(site_with_address) == []
    assert site_checks.find_broken_links(site_with_address) == []


# The same for everyone


def hash_files(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.soak
def test_a_build_elsewhere_is_the_same_byte_for_byte(site_with_address, soak, tmp_path):
    """Short: of the small site. Long: of the whole book, from two clones of its last commit."""
    if soak.long:
        clones = [tmp_path / "one", tmp_path / "another folder"]
        for clone in clones:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        changes = zip(clones, ({"PYTHONHASHSEED": "0"}, ELSEWHERE), strict=True)
        sites = [  # by PYTHONPATH with the helpers and tools of the clone
            build(clone.with_suffix(".site"), "", clone, strict=(), PYTHONPATH=str(clone), **change)[0]
            for clone, change in changes
        ]
    else:
        source = tmp_path / "another folder"
        source.mkdir()
        again = build(tmp_path / "target", ADDRESS, make_small_source(source), strict=(), **ELSEWHERE)[0]
        sites = [site_with_address, again]
    one, other = map(hash_files, sites)
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == set()
    soak.tell("the site is built the same twice", files=len(one), files_that_differ=0)


# What the site tells of itself, and the copies of its chapters for Colab.

PUBLISHED = "https://someone.github.io/some.book/"


def test_every_page_is_listed_with_a_sentence(site):
    told = (site / "llms.txt").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^- \[[^]]+\]\((.+)\.html\): (.+[.?!])$", told, re.MULTILINE))
    assert list(listed) == DOCUMENTS
    assert len(set(listed.values())) == len(listed)  # of its own, not a line that many have


def test_without_an_address_nothing_names_one(site):
    assert not (site / "sitemap.xml").exists()
    assert 'property="og:url"' not in (site / f"{RUN}.html").read_text(encoding="utf-8")


def test_with_an_address_pages_and_their_card_are_found(site_with_address):
    pages = [PUBLISHED + name + ".html" for name in (DOCUMENTS[0], CHAPTERS[0], RUN)]
    sitemap = (site_with_address / "sitemap.xml").read_text(encoding="utf-8")
    assert re.findall("<loc>(.+?)</loc>", sitemap) == pages
    head = (site_with_address / f"{CHAPTERS[0]}.html").read_text(encoding="utf-8").split("</head>")[0]
    told = dict(re.findall(r'<meta property="([^"]+)" content="([^"]+)">', head))
    assert f'<link rel="canonical" href="{pages[1]}"' in head
    assert told["og:url"] == pages[1]
    assert (site_with_address / told["og:image"].removeprefix(PUBLISHED)).stat().st_size < 300_000
    assert told["og:description"] in head.split('name="description"')[1]


@pytest.fixture(scope="session")
def copies(site):
    return {path.stem: read(path) for path in write_copies("https://github.com/someone/some.book", site.parent)}


MYST = re.compile(r":::|\{[\w:-]+\}`|^[`~]{3,}\{|^\([\w-]+\)=|\$\$ \(", re.MULTILINE)


def test_copies_for_colab_are_plain_markdown(copies):
    left = {
        f"{name}/{cell.id}": MYST.findall(cell.source)
        for name, copy in copies.items()
        for cell in copy.cells
        if cell.cell_type == "markdown"
    }
    assert {f"notebooks/{name}" for name in copies} == set(CHAPTERS)
    assert {cell: found for cell, found in left.items() if found} == {}


def test_copies_for_colab_have_the_chapters_code_and_outputs(copies):
    for name, copy in copies.items():
        nbformat.validate(copy)
        for cell, own in zip(code_cells(copy), code_cells(read(ROOT / "notebooks" / f"{name}.ipynb")), strict=True):
            if book_metadata(cell).get("setup"):
                assert setup_values(cell.source) == ("https://github.com/someone/some.book", BRANCH)
            else:
                assert cell.source == own.source
            assert (cell.id, cell.outputs) == (own.id, own.outputs)


def test_links_of_copies_lead_to_the_site(copies, site):
    ids = {name: page.ids for name, page in site_checks.read_pages(site).items()}
    links = {
        link
        for copy in copies.values()
        for cell in copy.cells
        for link in re.findall(rf"\({re.escape(PUBLISHED)}([^)\s]+)\)", cell.source)
    }
    assert len(links) > 300
    parts = {link: link.replace(".html", "").partition("#") for link in links}
    assert [link for link, (page, _, anchor) in parts.items() if anchor not in {"", *ids.get(page, ())}] == []


def test_measured_times_come_from_the_notebooks(site):
    page = (site / "book" / "costs.html").read_text(encoding="utf-8")
    for name in CHAPTERS:
        measured = json.loads((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]["book"]
        row = re.search(rf"<tr[^>]*>(?:(?!</tr>).)*{name}\.html(?:(?!</tr>).)*</tr>", page, re.DOTALL)
        assert row, name
        assert f">{measured['cpu_seconds']:.0f}<" in row[0]
        assert f">{measured['peak_memory_mb']:,.0f}<" in row[0]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_offers_all_of_its_figures(site, name):
    """A file of each figure at least, with its number, and the words beside them; found from the page.

    Bars that a script draws of HTML, like those of the temperature, are no picture that could be packed.
    """
    stem = Path(name).name
    assert f'href="../_figures/{stem}.zip"' in (site / f"{name}.html").read_text(encoding="utf-8")
    figures = [cell for cell in read(ROOT / f"{name}.ipynb").cells if (cell.metadata.get("mystnb") or {}).get("figure")]
    wanted = [cell for cell in figures if re.search(r"<img|image/(png|svg)", json.dumps(cell.outputs))]
    with zipfile.ZipFile(site / "_figures" / f"{stem}.zip") as archive:
        files = archive.namelist()
    packed = {found[1] for file in files if (found := re.match(r"figure-(\d+\.\d+)[a-z]?-", file))}
    assert len(packed) == len(wanted)
    assert {"captions.txt", "ATTRIBUTION.txt", "LICENSE.txt"} <= set(files)


def test_the_prose_can_be_translated():
    texts = {path.name: [path.read_text(encoding="utf-8")] for path in ROOT.glob("book/*.md")}
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path.name] = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = [(name, site_checks.find_untranslatable(text)) for name, parts in texts.items() for text in parts]
    assert [(name, complaints) for name, complaints in found if complaints] == []


def test_what_the_pages_tell_to_do_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *ROOT.glob("book/*.md")]:
        text = path.read_text(encoding="utf-8")
        assert site_checks.find_unknown_commands(text, makefile) == [], path.name
        assert site_checks.find_unknown_names(text, ROOT / "helpers") == [], path.name
    assert site_checks.find_dead_paths((ROOT / "README.md").read_text(encoding="utf-8"), ROOT) == []


# The checks themselves: each must see what is broken.


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<script src="//example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        '<link rel="preload" href="https://example.org/x.woff2">',
        '<img src="http://example.org/x.png" alt="x">',
        '<img src="x.png" srcset="x.png 1x, https://example.org/x.png 2x" alt="x">',
        '<iframe src="https://example.org"></iframe>',
        "<style>@import 'https://example.org/x.css';</style>",
        '<p style="background: url(https://example.org/x.png)">x</p>',
        '<script>load("https://unpkg.com/thebe")</script>',
    ],
)
def test_a_foreign_request_in_a_page_is_seen(small_site, page):
    assert len(site_checks.find_foreign_requests(small_site(page_html=page))) == 1


def test_a_foreign_request_in_a_style_or_script_is_seen(small_site):
    site = small_site(
        a_css="@font-face { src: url('https://fonts.gstatic.com/x.woff2') }",
        b_css="@import url(//example.org/x.css);",
        c_js='const there = "https://cdn.jsdelivr.net/npm/x";',
    )
    assert len(site_checks.find_foreign_requests(site)) == 3


def test_a_link_to_another_host_is_no_request(small_site):
    page = '<link rel="canonical" href="https://example.org/"><a href="https://example.org/">there</a>'
    assert site_checks.find_foreign_requests(small_site(page_html=page)) == []


def test_a_missing_or_an_extra_page_is_seen(small_site):
    site = small_site(extra_html="", index_html="", search_html="")
    assert site_checks.find_toc_mismatches(site, ["extra"]) == []
    assert len(site_checks.find_toc_mismatches(site, ["missing"])) == 2


@pytest.mark.parametrize("link", ["gone.html", "#gone", "other.html#gone", "gone.css"])
def test_a_broken_link_is_seen(small_site, link):
    page = f'<a href="{link}" id="here">x</a><a href="other.html#there">x</a>'
    site = small_site(page_html=page, other_html='<p id="there">')
    assert len(site_checks.find_broken_links(site)) == 1


@pytest.mark.parametrize("image", ['<img src="x.png">', '<img src="x.png" alt="">', '<img src="x.png" alt="x.png">'])
def test_an_image_without_a_text_is_seen(small_site, image):
    assert len(site_checks.find_silent_images(small_site(page_html=image))) == 1


def test_an_icon_without_a_sign_or_a_font_is_seen(small_site):
    page = '<i class="fa-solid fa-bars"></i><b class="fa-lg fa-gone"></b>'
    site = small_site(page_html=page, icons_css=".fa-solid{}.fa-lg{}.fa-bars:before{}@font-face{src:url(gone.woff)}")
    icons = site / "_static" / "vendor" / "fontawesome" / "6" / "css"
    icons.mkdir(parents=True)
    (site / "icons.css").rename(icons / "all.min.css")
    assert site_checks.find_icon_gaps(site) == ["page: no rule for fa-gone", "all.min.css: no font gone.woff"]


def test_missing_mathjax_is_seen(small_site):
    script = '<script src="https://cdn.example.org/mathjax/tex-chtml.js"></script>'
    complaints = site_checks.find_mathjax_gaps(small_site(page_html=f'{script}<span class="math">x</span>'))
    assert len(complaints) == 4  # the page, and three parts


def test_a_page_missing_from_the_search_index_is_seen(small_site):
    assert len(site_checks.find_search_gaps(small_site(), ["a"])) == 1
    site = small_site(searchindex_js='Search.setIndex({"docnames": ["a"]})')
    assert len(site_checks.find_search_gaps(site, ["a", "b"])) == 1


def test_a_heavy_page_is_seen(small_site):
    site = small_site(page_html="<script src='big.js'></script>" + "x" * 500, big_js="x" * 2000)
    assert len(site_checks.find_heavy_pages(site, page_limit=400, shared_limit=1000)) == 2
    assert site_checks.find_heavy_pages(site, page_limit=1000, shared_limit=3000) == []


@pytest.mark.parametrize(
    "text",
    [
        "A claim.[^1]",
        "It took {glue:text}`seconds` to run.",
        "```{table} Caption\n| a |\n```",
        "| a | b |",
        "<div>Some text</div>",
    ],
)
def test_prose_that_cannot_be_translated_is_seen(text):
    assert site_checks.find_untranslatable(text)


def test_code_is_not_taken_for_prose():
    text = "Use `x[^1]`:\n\n```html\n<p>text</p>\n```\n\n:::{list-table}\n* - a\n:::"
    assert site_checks.find_untranslatable(text) == []


def test_a_dead_path_or_an_unknown_command_is_seen(tmp_path):
    assert len(site_checks.find_dead_paths("[a](gone.md) and [b](https://example.org)", tmp_path)) == 1
    text = "Run `make book`, then:\n\n```\nmake test\nX=1 make gone URL=x\n```\n\nYou make progress; `make lost`."
    assert len(site_checks.find_unknown_commands(text, "book: x\n\ttouch\n\ntest:\n")) == 2


def test_an_unknown_name_is_seen(tmp_path):
    (tmp_path / "losses.py").write_text("def kept(): pass", encoding="utf-8")
    assert len(site_checks.find_unknown_names("`losses.kept`, `losses.gone`, `tf.sigmoid`", tmp_path)) == 1


# In a browser that can reach no other host.


@pytest.fixture(scope="session")
def address(site):
    with site_browser.serve(site) as address:
        yield address


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_works_in_a_browser(browser, address, site, name, record_property):
    """Wide and light, narrow and dark: each is looked at for what it may change."""
    browser.visit(f"{address}{name}.html")
    weight, requests = page_checks.weigh_load(browser.seen.requests, address, site)  # before pictures further down
    complaints = page_checks.find_heavy_load(weight, requests)
    complaints += page_checks.find_formula_faults(browser) + page_checks.find_heading_faults(browser)
    complaints += page_checks.find_missing_pictures(browser)
    page_checks.open_folds(browser)
    complaints += page_checks.find_sideways_scroll(browser, 1280)
    browser.show_as(375, "dark")
    complaints += page_checks.find_sideways_scroll(browser, 375)
    answers = {"narrow": page_checks.run_axe(browser, page_checks.SCROLLABLE)}
    page_checks.thin_code(browser)
    answers["dark"] = page_checks.run_axe(browser, page_checks.CONTRAST)
    browser.show_as(1280, "light")
    answers["light"] = page_checks.run_axe(browser)
    complaints += [f"{seen}: {one}" for seen, answer in answers.items() for one in page_checks.find_grave(answer)]
    complaints += page_checks.find_foreign_requests(browser.seen, address)
    complaints += page_checks.find_messages(browser.seen) + page_checks.find_failures(browser.seen)
    found = {
        "axe": dict(page_checks.count_findings(*answers.values())),
        "rules": page_checks.count_rules(answers["light"]),
    }
    record_property("page", {"name": name, "bytes": weight, "requests": requests, **found})
    assert not complaints, "\n".join(complaints)


FOUND = "document.querySelectorAll('#search-results li').length >= 2"


def test_search_finds_pages(browser, address):
    browser.visit(f"{address}search.html?q=encoder", ready=FOUND)
    assert page_checks.find_messages(browser.seen) == page_checks.find_failures(browser.seen) == []


def test_search_works_from_the_disk(browser, site):
    browser.visit(f"{site.as_uri()}/search.html?q=encoder", ready=FOUND)
    assert page_checks.find_foreign_requests(browser.seen, "file:") == []


def test_a_page_with_formulas_works_from_the_disk(browser, site):
    browser.visit(f"{site.as_uri()}/book/notation.html")
    assert page_checks.find_foreign_requests(browser.seen, "file:") == []
    assert page_checks.find_formula_faults(browser) == []
    assert browser.evaluate("document.querySelectorAll('mjx-container').length") > 10
