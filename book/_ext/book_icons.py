"""Cut the theme's icon font to the icons that the site shows.

The theme brings all of Font Awesome, as a script of half a megabyte that draws what its style sheet draws too, and as
three fonts. What a page names, and what a style sheet puts before or after something, stays; pages lose the script.
"""

import re
from pathlib import Path

import pydata_sphinx_theme
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
# Of Font Awesome's style sheet: the rules that give icons their signs, and the fonts.
SIGN = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
FACE = re.compile(r"@font-face\{.*?\}", re.DOTALL)
NAME = re.compile(r"fa-[a-z0-9-]+")
# In other style sheets: a sign of the private use area, as it is or escaped.
OWN_SIGN = re.compile(r"[\ue000-\uf8ff]|\\([ef][0-9a-f]{3})\b")
# The fonts: family, weight, and the classes that ask for one; the theme's own style sheet asks for the first.
FONTS = {
    "fa-solid-900": ("Font Awesome 6 Free", 900, ()),
    "fa-regular-400": ("Font Awesome 6 Free", 400, ("fa-regular", "far")),
    "fa-brands-400": ("Font Awesome 6 Brands", 400, ("fa-brands", "fab")),
}


def find_names(texts: list[str]) -> set[str]:
    """The icons, sizes and styles, such as fa-bars, that pages and scripts name."""
    return {name for text in texts for name in NAME.findall(text)}


def find_signs(styles: list[str]) -> set[int]:
    """The signs that style sheets put on a page themselves."""
    found = [match for style in styles for match in OWN_SIGN.finditer(style)]
    return {int(match[1], 16) if match[1] else ord(match[0]) for match in found}


def cut_styles(css: str, names: set[str]) -> tuple[str, set[int]]:
    """Font Awesome's style sheet without fonts and without the icons that nobody names; and the signs of the others."""
    signs = set()

    def keep(rule: re.Match[str]) -> str:
        if not names & set(NAME.findall(rule[1])):
            return ""
        signs.add(int(rule[2], 16))
        return rule[0]

    return SIGN.sub(keep, FACE.sub("", css)), signs


def cut_font(source: Path, signs: set[int], target: Path) -> bool:
    """Write a font of those signs; return whether it has any."""
    font = TTFont(source, recalcTimestamp=False)  # the same bytes whenever the site is built
    if not signs & font.getBestCmap().keys():
        return False
    subsetter = Subsetter(Options(layout_features=[], hinting=False, notdef_outline=True))
    subsetter.populate(unicodes=signs)
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(target)
    return True


def cut_icons(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    sources = [path.parents[1] for path in (THEME / "vendor" / "fontawesome").glob("*/css/all.min.css")]
    if not sources:  # a newer theme, which draws its icons otherwise: they stay whole
        return
    (source,) = sources  # its version
    folder = static / "vendor" / "fontawesome" / source.name
    own = [path for path in static.rglob("*") if "vendor" not in path.parts and "mathjax" not in path.parts]
    pages = [path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")]
    names = find_names(pages + [path.read_text(encoding="utf-8") for path in own if path.suffix == ".js"])
    css, signs = cut_styles((source / "css" / "all.min.css").read_text(encoding="utf-8"), names)
    signs |= find_signs([path.read_text(encoding="utf-8") for path in own if path.suffix == ".css"])
    for path in [*folder.glob("webfonts/*"), *folder.glob("js/*")]:
        path.unlink()
    for name, (family, weight, classes) in FONTS.items():
        wanted = not classes or any(re.search(rf'class="[^"]*\b{one}\b', page) for page in pages for one in classes)
        if wanted and cut_font(source / "webfonts" / f"{name}.ttf", signs, folder / "webfonts" / f"{name}.woff"):
            css += (
                f'@font-face{{font-family:"{family}";font-weight:{weight};font-display:block;'
                f'src:url(../webfonts/{name}.woff) format("woff")}}'
            )
    (folder / "css" / "all.min.css").write_text(css, encoding="utf-8")


def setup(app):
    app.connect("build-finished", cut_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
