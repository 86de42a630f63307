"""The checks of a page in a browser: each must see what is broken, and nothing where all is well."""

import page_checks
import pytest
import site_browser

SOUND = """<!doctype html><html lang="en"><title>x</title><main><h1>A</h1><h2>B</h2><h3>C</h3><h2>D</h2>
<p>Text, and <code>code</code>.</p><img src="point.svg" alt="A point."></main>"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'


@pytest.fixture
def show(browser, small_site):
    """A function that opens a page of this HTML and returns the address of its site."""
    with site_browser.serve(small_site(favicon_ico="", point_svg=PICTURE)) as address:

        def open_page(html, width=1280):
            small_site(page_html=html)
            browser.visit(f"{address}page.html", width)
            return address

        yield open_page


def test_a_sound_page_has_no_complaints(browser, show):
    home = show(SOUND)
    seen = browser.seen
    assert seen.requests[0] == f"{home}page.html"
    assert page_checks.find_foreign_requests(seen, home) == []
    assert page_checks.find_messages(seen) == page_checks.find_failures(seen) == []
    assert page_checks.find_formula_faults(browser) == page_checks.find_missing_pictures(browser) == []
    assert page_checks.find_heading_faults(browser) == page_checks.find_sideways_scroll(browser, 1280) == []
    answer = page_checks.run_axe(browser)
    assert page_checks.find_grave(answer) == []
    assert page_checks.count_rules(answer) > 50
    assert page_checks.count_findings(answer).total() == 0


def test_a_foreign_request_is_seen(browser, show):
    home = show("<script>fetch('https://example.org/').catch(() => null)</script>")
    assert page_checks.find_foreign_requests(browser.seen, home) == ["requests https://example.org/"]


def test_a_message_is_seen(browser, show):
    show("<script>console.error('one'); console.warn('two'); console.log('no'); throw new Error('three')</script>")
    assert page_checks.find_messages(browser.seen) == ["console error: one", "console warning: two", "throws three"]


def test_a_failure_is_seen(browser, show):
    home = show("<script src='gone.js'></script>")
    assert page_checks.find_failures(browser.seen)[0] == f"404: {home}gone.js"


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ('<p class="math">\\(x\\)</p>', "a formula is not set"),
        ('<p class="math"><mjx-container data-mjx-error="Undefined control sequence"></p>', "a formula is wrong"),
        ('<p class="math"><mjx-container>x</mjx-container></p>', "formulas are set without"),
    ],
)
def test_a_formula_that_is_not_set_is_seen(browser, show, html, complaint):
    show(html)
    assert any(one.startswith(complaint) for one in page_checks.find_formula_faults(browser))


def test_a_missing_picture_is_seen_far_down_too(browser, show):
    show('<p style="height: 20000px">x</p><img src="gone.png" alt="x" loading="lazy">')
    assert browser.seen.failures == []  # nothing has asked for it
    assert len(page_checks.find_missing_pictures(browser)) == 1


@pytest.mark.parametrize("html", ["<h2>A</h2>", "<h1>A</h1><h1>B</h1>", "<h1>A</h1><h2>B</h2><h4>C</h4>"])
def test_headings_out_of_order_are_seen(browser, show, html):
    show(html)
    assert page_checks.find_heading_faults(browser)


def test_a_page_that_scrolls_sideways_is_seen(browser, show):
    show("<div style='width: 400px'>x</div>", width=375)
    assert page_checks.find_sideways_scroll(browser, 375) != []
    browser.show_as(1280, "dark")
    assert page_checks.find_sideways_scroll(browser, 1280) == []


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ("<p style='color: #aaa; background: #fff'>faint</p>", "color-contrast"),
        ("<img src='point.svg'>", "image-alt"),
        ("<button></button>", "button-name"),
        (f"<pre style='overflow: auto' tabindex='-1'>{'wide ' * 99}</pre>", "scrollable-region-focusable"),
        ("<button aria-label='Search'>Find</button>", "label-content-name-mismatch"),
    ],
)
def test_what_keeps_somebody_from_reading_is_seen(browser, show, html, rule):
    show(SOUND.replace("</main>", f"{html}</main>"))
    (complaint,) = page_checks.find_grave(page_checks.run_axe(browser))
    assert complaint.startswith(f"{rule}: ")
    assert page_checks.find_grave(page_checks.run_axe(browser, "html-has-lang")) == []
    assert page_checks.count_findings(page_checks.run_axe(browser, rule)).total() == 1


def test_faint_text_is_seen_in_the_dark(browser, show):
    style = "<style>@media (prefers-color-scheme: dark) { p { color: #333; background: #000 } }</style>"
    show(SOUND.replace("<main>", f"{style}<main>"))
    assert page_checks.find_grave(page_checks.run_axe(browser, "color-contrast")) == []
    browser.show_as(375, "dark")
    assert len(page_checks.find_grave(page_checks.run_axe(browser, "color-contrast"))) == 1


def test_what_is_folded_is_looked_at(browser, show):
    show(SOUND.replace("</main>", "<details><summary>s</summary><p style='color: #ddd'>faint</p></details></main>"))
    assert page_checks.find_grave(page_checks.run_axe(browser)) == []
    page_checks.open_folds(browser)
    assert len(page_checks.find_grave(page_checks.run_axe(browser))) == 1


def test_thin_code_keeps_a_word_of_each_kind_in_each_box(browser, show):
    line = '<pre><span class="k">if</span> <span class="n">a</span> <span class="k">else</span></pre>'
    show(f'{line}{line}<div class="output">{line}</div><mjx-container><mjx-math>x</mjx-math>y</mjx-container>')
    page_checks.thin_code(browser)
    assert browser.evaluate("document.querySelector('mjx-container').textContent") == "y"
    assert browser.evaluate("[...document.querySelectorAll('span')].map(one => one.textContent)") == ["if", "a"] * 2


def test_a_text_weighs_what_gzip_makes_of_it(browser, show, tmp_path):
    (tmp_path / "text.js").write_text("//" + "x" * 1_600_000)
    home = show("<script src='text.js'></script>")
    weight, requests = page_checks.weigh_load(browser.seen.requests, home, tmp_path)
    assert 1_000 < weight < 10_000
    assert requests == 2
    assert page_checks.find_heavy_load(weight, requests) == []


def test_a_heavy_load_is_seen(browser, show, tmp_path):
    (tmp_path / "noise.png").write_bytes(bytes(1_600_000))
    home = show("<script>for (let i = 0; i < 50; i++) fetch(`noise.png?${i}`)</script>")
    weight, requests = page_checks.weigh_load(browser.seen.requests, home, tmp_path)
    assert len(page_checks.find_heavy_load(weight, requests)) == 2
