"""Say what is wrong with an EPUB: its zip file, its list of files, its XML, links, pictures and formulas.

What each reader trips over, without Java; EPUBCheck, which knows all rules, looks at the book every week.
"""

import re
import zipfile
from collections import Counter
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote
from xml.etree import ElementTree

MIMETYPE = "application/epub+zip"
CONTAINER = "META-INF/container.xml"
XML = (".xhtml", ".opf", ".xml", ".svg")


def find_complaints(path: Path) -> list[str]:
    """What is wrong with an EPUB, a line each."""
    with zipfile.ZipFile(path) as archive:
        names, first = archive.namelist(), archive.infolist()[0]
        told = (first.filename, first.compress_type, archive.read(first).decode("latin-1"))
        complaints = [] if told == ("mimetype", zipfile.ZIP_STORED, MIMETYPE) else ["the first file is no mimetype"]
        trees: dict[str, ElementTree.Element] = {}
        for name in names:
            try:
                trees |= {name: ElementTree.fromstring(archive.read(name))} if name.endswith(XML) else {}
            except ElementTree.ParseError as error:
                complaints.append(f"{name} is no XML: {error}")
    roots = [one.get("full-path", "") for one in find(trees.get(CONTAINER), "rootfile")]
    if len(roots) != 1 or roots[0] not in trees:
        return [*complaints, "the container names no package"]
    ids = {name: Counter(one.get("id") for one in tree.iter() if one.get("id")) for name, tree in trees.items()}
    for name in filter(lambda name: name.endswith(".xhtml"), trees):
        complaints += check_page(name, trees[name], ids, names)
    return complaints + check_package(roots[0], trees[roots[0]], names)


def find(tree: ElementTree.Element | None, *tags: str) -> list[ElementTree.Element]:
    """All elements with one of these names, of whichever kind of XML."""
    return [] if tree is None else [one for one in tree.iter() if one.tag.rpartition("}")[2] in tags]


def check_package(name: str, package: ElementTree.Element, names: list[str]) -> list[str]:
    """What the list of files lacks or has too much, and what the order of reading does not know."""
    found = find(package, "item")
    items = {one.get("id"): normpath(join(dirname(name), unquote(one.get("href", "")))) for one in found}
    listed, there = set(items.values()), {*names} - {name, "mimetype", CONTAINER}
    complaints = [f"{one} is listed and missing" for one in sorted(listed - there)]
    complaints += [f"{one} is not listed" for one in sorted(there - listed)]
    order = [one.get("idref") for one in find(package, "itemref")]
    complaints += [f"the order names {one}, which nothing is called" for one in order if one not in items]
    read = {items.get(one) for one in order}
    complaints += [f"{one} is never read" for one in sorted(there - read) if one.endswith(".xhtml")]
    if sum("nav" in one.get("properties", "").split() for one in found) != 1:
        complaints.append("no contents, or more than one")
    for wanted in ("identifier", "title", "language"):
        if not any((one.text or "").strip() for one in find(package, wanted)):
            complaints.append(f"the book has no {wanted}")
    return complaints


def check_page(name: str, tree: ElementTree.Element, ids: dict[str, Counter], names: list[str]) -> list[str]:
    """What leads nowhere in a page, what two things are called, scripts, silent pictures, and formulas left as TeX."""
    complaints = [f"{name}: {one} is the id of two" for one, count in ids[name].items() if count > 1]
    complaints += [f"{name}: a script" for _ in find(tree, "script")]
    complaints += [f"{name}: a link to nothing" for one in find(tree, "a") if one.get("href") is None]
    complaints += [f"{name}: a picture without a text" for one in find(tree, "img") if one.get("alt") is None]
    for one in find(tree, "span", "div"):
        if "math" in one.get("class", "").split() and not find(one, "math"):
            complaints.append(f"{name}: a formula is left as TeX")
    for one in tree.iter():
        target = one.get("src") or one.get("href") or ""
        if not target or re.match(r"https?:|mailto:", target):
            continue
        path, _, place = map(unquote, target.partition("#"))
        file = normpath(join(dirname(name), path)) if path else name
        if file not in names or (place and place not in ids.get(file, ())):
            complaints.append(f"{name}: {target} leads nowhere")
    return complaints
