"""What moves on a page, under a reader's mouse and keyboard: players of frames, and what is folded."""

from pathlib import Path

import numpy as np
import page_checks
import pytest

from helpers.book import page

ROOT = Path(__file__).resolve().parents[2]
PLAYERS = """({
  frames: [...document.querySelectorAll(".strip")].map(one => Number(one.style.getPropertyValue("--frame"))),
  shown: [...document.querySelectorAll(".strip")].map(one => {
    const [box, picture] = [one.getBoundingClientRect(), one.firstChild.getBoundingClientRect()];
    return Math.round((box.top - picture.top) / box.height);
  }),
  told: [...document.querySelectorAll(".book-frames input")].map(one => one.getAttribute("aria-valuetext")),
  labels: [...document.querySelectorAll(".controls span")].map(one => one.textContent),
  buttons: [...document.querySelectorAll("button")].map(one => one.getAttribute("aria-label")),
  left: Object.getOwnPropertyNames(window).filter(name => !before.includes(name)),
})"""


def players(expected):
    """What PLAYERS says of two players that stand still at these of their frames."""
    told = ["<start>" if frame == 0 else f"step {frame}" for frame in expected]
    return {
        "frames": expected,
        "shown": expected,
        "told": told,
        "labels": told,
        "buttons": ["Play", "Play"],
        "left": [],
    }


@pytest.fixture
def two_players(browser, tmp_path, monkeypatch):
    """A page of two outputs of page.show_frames, opened from the disk."""
    outputs = ["<title>x</title><script>var before = Object.getOwnPropertyNames(window)</script>"]
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output["text/html"]))
    for count in (4, 12):
        frames = np.linspace(0, 1, count)[:, None, None] * np.ones((count, 8, 8))
        page.show_frames(
            frames,
            ["<start>", *(f"step {step}" for step in range(1, count))],
            alt="Black turns white.",
            still=-1 if count == 4 else 6,
            width=400,
        )
    (tmp_path / "players.html").write_text("\n".join(outputs), encoding="utf-8")
    browser.visit((tmp_path / "players.html").as_uri())
    assert page_checks.find_messages(browser.seen) == page_checks.find_failures(browser.seen) == []
    return browser.page


def test_frames_stand_where_they_should_and_follow_the_keyboard(two_players):
    assert two_players.evaluate(PLAYERS) == players([3, 6])
    slider = two_players.get_by_label("Frame").nth(1)
    slider.press("ArrowLeft")
    assert two_players.evaluate(PLAYERS) == players([3, 5])
    slider.press("Home")
    assert two_players.evaluate(PLAYERS) == players([3, 0])


def test_frames_follow_the_mouse(two_players):
    slider = two_players.get_by_label("Frame").nth(1)
    slider.click(position={"x": 1, "y": 5})
    assert two_players.evaluate(PLAYERS) == players([3, 0])
    slider.drag_to(slider, source_position={"x": 8, "y": 8}, target_position={"x": 1000, "y": 8}, force=True)
    assert two_players.evaluate(PLAYERS) == players([3, 11])


def test_frames_play_from_the_first_to_the_last_and_can_be_paused(two_players):
    frame = "document.querySelectorAll('.book-frames input')[{}].value"
    first, second = (two_players.locator(".book-frames button").nth(place) for place in (0, 1))
    second.press(" ")
    assert two_players.evaluate(PLAYERS)["buttons"] == ["Play", "Pause"]
    two_players.wait_for_function(f"{frame.format(1)} == 2")
    second.press(" ")
    paused = two_players.evaluate(PLAYERS)
    assert 2 <= paused["frames"][1] < 11
    first.click()
    two_players.wait_for_function(f"{frame.format(0)} == 3 && document.querySelector('button').ariaLabel == 'Play'")
    assert two_players.evaluate(PLAYERS) == players([3, paused["frames"][1]])  # the other one still stands


def test_frames_move_one_by_one_where_less_motion_is_wanted(two_players):
    two_players.emulate_media(reduced_motion="reduce")
    for expected in (0, 1):
        two_players.get_by_role("button", name="Play").first.press(" ")
        two_players.wait_for_timeout(700)  # longer than a frame stands
        assert two_players.evaluate(PLAYERS) == players([expected, 6])


FOLDED = """<title>x</title><a id="link" href="#checks">checks</a><div style="height: 3000px"></div>
<section id="checks"><h2>Checks</h2><details class="fold"><summary>all</summary><p id="inside">x</p></details></section>
<script>%s</script>"""
IS_OPEN = "document.querySelector('details').open"


@pytest.fixture
def folded(browser, small_site):
    """A page with a fold far down, opened from the disk."""
    script = (ROOT / "book" / "_static" / "checks.js").read_text(encoding="utf-8")
    browser.visit(f"{small_site(page_html=FOLDED % script).as_uri()}/page.html")
    assert page_checks.find_messages(browser.seen) == page_checks.find_failures(browser.seen) == []
    assert browser.evaluate(IS_OPEN) is False
    return browser


@pytest.mark.parametrize("target", ["checks", "inside"])
def test_a_link_into_a_fold_opens_it_from_the_disk(folded, target):
    address = f"{folded.page.url}#{target}"
    folded.evaluate(f"location.hash = '{target}'")
    folded.page.wait_for_function(IS_OPEN)
    assert folded.evaluate("scrollY") > 1000
    folded.visit(address, ready=IS_OPEN)  # from another page
    assert folded.evaluate("scrollY") > 1000


def test_a_fold_opens_for_a_second_click_and_for_printing(folded):
    for _ in range(2):
        folded.page.get_by_role("link", name="checks").click()
        folded.page.wait_for_function(IS_OPEN)
        folded.evaluate("document.querySelector('details').open = false; scrollTo(0, 0)")
    for event, is_open in (("beforeprint", True), ("afterprint", False)):
        folded.evaluate(f"dispatchEvent(new Event('{event}'))")
        assert folded.evaluate(IS_OPEN) is is_open


WIDE = """<!doctype html><title>x</title><div class="pst-scrollable-table-container" style="overflow: auto"><table>
<caption>What was measured<a href="#">#</a></caption><tr><td style="min-width: 800px">x</td></tr></table></div>
<mjx-container display="true" style="display: block; overflow: auto"><p style="width: 800px">x</p></mjx-container>
<mjx-container display="true" style="display: block; overflow: auto"><p>x</p></mjx-container><script>%s</script>"""
STOPS = "[...document.querySelectorAll('[tabindex]')].map(one => [one.tabIndex, one.ariaLabel, one.role])"


def test_what_scrolls_can_be_reached_and_has_a_name(browser, small_site):
    script = (ROOT / "book" / "_static" / "scrolling.js").read_text(encoding="utf-8")
    browser.visit(f"{small_site(page_html=WIDE % script).as_uri()}/page.html", width=375)
    assert browser.evaluate(STOPS) == [[0, "What was measured", "group"], [0, "Formula", "group"]]
    browser.show_as(1280, "light")
    browser.page.wait_for_function(f"{STOPS}.length === 0")
