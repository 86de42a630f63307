"""What a page must keep to as a browser shows it: each check looks at the open page and returns its complaints."""

import functools
import gzip
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import axe_playwright_python
from site_browser import Browser, Seen

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
GRAVE = ("serious", "critical")  # findings that keep somebody from reading; the lesser ones are counted
SCROLLABLE, CONTRAST = "scrollable-region-focusable", "color-contrast"  # rules that ask for a width, for a theme
MOST_BYTES, MOST_REQUESTS = 1_500_000, 40  # of a first load
PACKED = {".css", ".html", ".js", ".json", ".svg", ".ttf"}  # what a server sends as gzip; the rest is packed already
WIDTH = "document.documentElement.scrollWidth"
UNSET = """document.fonts.ready.then(() => [
  ...[...document.querySelectorAll(".math")].filter(one => !one.querySelector("mjx-container"))
    .map(one => `a formula is not set: ${one.textContent}`),
  ...[...document.querySelectorAll("mjx-merror, [data-mjx-error]")]
    .map(one => `a formula is wrong: ${one.dataset.mjxError || one.textContent}`),
  ...(document.querySelector("mjx-container") &&
    ![...document.fonts].some(font => font.family.includes("MJX") && font.status === "loaded")
    ? ["formulas are set without the fonts of MathJax"] : []),
])"""
BROKEN = "[...document.images].filter(one => !one.naturalWidth).map(one => `${one.src.slice(0, 200)} is not loaded`)"
LEVELS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter(one => one.checkVisibility()).map(one => [Number(one.tagName[1]), one.textContent.trim()])"""
# Only the rules asked for; where there are none, all, with the one that axe leaves out as an experiment.
RUN = """rules => axe.run({
  resultTypes: ["violations"], preload: false,
  ...(rules.length ? {runOnly: rules} : {rules: {"label-content-name-mismatch": {enabled: true}}}),
})"""
OPEN = "for (const fold of document.querySelectorAll('details')) fold.open = true"
# What a word of code looks like depends on its kind and on the boxes around it, in any theme. What is drawn of a
# formula is no text; the formula itself stands beside it, for whoever has it read out.
THIN = """() => {
  const seen = new Set();
  for (const word of document.querySelectorAll("pre span")) {
    let look = word.className;
    for (let box = word.parentElement; box.tagName != "SECTION" && box != document.body; box = box.parentElement)
      look += ` ${box.tagName} ${box.className}`;
    if (seen.has(look)) word.remove();
    seen.add(look);
  }
  for (const drawn of document.querySelectorAll("mjx-math")) drawn.replaceChildren();
}"""


def find_foreign_requests(seen: Seen, home: str) -> list[str]:
    """A request to another host than the page's own."""
    return [f"requests {one}" for one in seen.requests if not one.startswith((home, "data:", "blob:"))]


def find_messages(seen: Seen) -> list[str]:
    """An exception, or an error or a warning in the console."""
    return list(seen.messages)


def find_failures(seen: Seen) -> list[str]:
    """A request that was refused, or whose answer is not there."""
    return list(seen.failures)


def find_formula_faults(browser: Browser) -> list[str]:
    """A formula that is shown as it was typed, or as an error."""
    return browser.evaluate(UNSET)


def find_missing_pictures(browser: Browser) -> list[str]:
    """A picture that does not load, wherever on the page it stands."""
    browser.load_pictures()
    return browser.evaluate(BROKEN)


def find_heading_faults(browser: Browser) -> list[str]:
    """Another number of titles than one, or a heading two levels or more below the one before."""
    headings = browser.evaluate(LEVELS)
    titles = [text for level, text in headings if level == 1]
    complaints = [f"{len(titles)} titles: {titles}"] * (len(titles) != 1)
    before = 0
    for level, text in headings:
        if level > before + 1:
            complaints.append(f"{text!r} is a heading of level {level} behind one of level {before}")
        before = level
    return complaints


def find_sideways_scroll(browser: Browser, width: int) -> list[str]:
    """A page wider than its window."""
    wide = browser.evaluate(WIDTH)
    return [f"scrolls sideways: {wide} px wide in a window of {width}"] * (wide > width)


def open_folds(browser: Browser) -> None:
    """Unfold what is folded: axe passes over what is hidden."""
    browser.evaluate(OPEN)


def thin_code(browser: Browser) -> None:
    """Leave one word of each kind in the page's code: axe takes a millisecond for each, and a chapter has ten thousand.

    What needs code and formulas at their full width goes before.
    """
    browser.evaluate(THIN)


def run_axe(browser: Browser, *rules: str) -> dict[str, Any]:
    """Return what axe-core has found in the page by these rules, by all where none is named.

    Its answer holds violations, each with its id, impact, help and nodes.
    """
    if browser.evaluate("typeof axe") == "undefined":
        browser.page.evaluate(AXE.read_text(encoding="utf-8"))
    return browser.page.evaluate(RUN, list(rules))


def find_grave(answer: dict[str, Any]) -> list[str]:
    """What axe calls serious or critical: one complaint a rule, with the first places."""
    complaints = []
    for found in answer["violations"]:
        if found["impact"] in GRAVE:
            nodes = found["nodes"]
            first = "; ".join(f"{node['html'][:150]}: {node['failureSummary']}" for node in nodes[:3])
            complaints.append(f"{found['id']}: {found['help']}, {len(nodes)} times: {first}")
    return complaints


def count_rules(answer: dict[str, Any]) -> int:
    """How many rules have been asked."""
    kinds = ("passes", "violations", "incomplete", "inapplicable")
    return len({rule["id"] for kind in kinds for rule in answer[kind]})


def count_findings(*answers: dict[str, Any]) -> Counter[str]:
    """How many places break a rule, by how grave that is."""
    counts: Counter[str] = Counter()
    for found in (one for answer in answers for one in answer["violations"]):
        counts[found["impact"]] += len(found["nodes"])
    return counts


@functools.cache
def _weigh(path: Path) -> int:
    """Bytes of a file as a server would send it."""
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in PACKED else len(content)


def weigh_load(addresses: list[str], home: str, site: Path) -> tuple[int, int]:
    """Return (bytes as gzip would send them, requests) of what a page has asked its own site for."""
    own = [urlsplit(one.removeprefix(home)).path for one in addresses if one.startswith(home)]
    paths = [site / unquote(path) for path in own]
    return sum(_weigh(path) for path in set(paths) if path.is_file()), len(own)


def find_heavy_load(weight: int, requests: int) -> list[str]:
    """A first load of more bytes, or in more requests, than a reader on the way should wait for."""
    complaints = [f"loads {weight:,} bytes, more than {MOST_BYTES:,}"] * (weight > MOST_BYTES)
    return complaints + [f"asks {requests} times, more than {MOST_REQUESTS}"] * (requests > MOST_REQUESTS)
