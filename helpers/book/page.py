"""What a chapter shows as HTML that works outside of the site too: source, tables, frames that move, drawings.

Each output brings its own style, from `static/`, because Colab and JupyterLab know none of the book's; the text that
stands for it elsewhere is the same in each run.
"""

import base64
import hashlib
import html
import inspect
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from helpers.plotting import tile_images

if TYPE_CHECKING:  # whoever has a table has imported it
    from pandas import DataFrame

FOLDER = Path(__file__).parent
TEXT_WIDTH = 88  # of a line of the text that stands for an output
ARROWS = {"low": ("↓", "lower is better"), "high": ("↑", "higher is better")}
MAX_FRAMES_BYTES = 120_000  # of the PNG: a chapter has three of them, and 2 MB in all
PIXELATED_BELOW = 300  # pixels: narrower frames are shown twice as large, each pixel a square
Format = str | Callable[[Any], str]


def show_source(*objects: Any) -> None:
    """Display the source of functions, classes or methods of helpers in one fold, in colours.

    Raises ValueError where nothing is given.
    """
    if not objects:
        raise ValueError("show_source got nothing; expected functions, classes or methods of helpers.")
    names = [f"{one.__module__.rpartition('.')[2]}.{one.__qualname__}" for one in objects]
    files = list(dict.fromkeys(f"{one.__module__.replace('.', '/')}.py" for one in objects))
    code = "\n\n".join(textwrap.dedent(inspect.getsource(one)) for one in objects)
    told = ", ".join([_join([f"<code>{html.escape(name)}</code>" for name in names]), *files])
    body = highlight(code, PythonLexer(), HtmlFormatter(cssclass="highlight"))
    fold = f"<details><summary>Source of {told}</summary>\n{body}</details>"
    _display(_wrap("source", fold), f"Source of {', '.join([_join(names), *files])}")


def show_table(
    frame: "DataFrame",
    caption: str,
    units: Mapping[str, str] | None = None,
    baselines: Sequence[Any] = (),
    best: Mapping[str, str] | None = None,
    formats: Format | Mapping[str, Format] | None = None,
) -> None:
    """Display a table: its rows and columns as they stand, units in the head, baselines grey, the best in bold.

    frame: with one level of rows and of columns; the name of its index heads the first column. units: {column: text}.
    baselines: rows that are there to compare with, and never the best. best: {column: "low" or "high"}. formats: for
    all columns of numbers, or {column: a format string or function}; by default "{:,}" for integers, "{:,.2f}" else.
    Raises ValueError for a row or column that the frame lacks, or another word than low and high.
    """
    units, best = units or {}, best or {}
    numbers = [column for column in frame.columns if frame[column].dtype.kind in "iuf"]
    by_column = formats if isinstance(formats, Mapping) else dict.fromkeys(numbers, formats) if formats else {}
    for what, given, known in (
        ("column", [*units, *best, *by_column], list(frame.columns)),
        ("row", baselines, list(frame.index)),
        ("best", best.values(), list(ARROWS)),
    ):
        if unknown := [one for one in given if one not in known]:
            raise ValueError(f"show_table: no {what} is called {unknown[0]!r}; expected one of {known}.")
    if not (frame.index.is_unique and frame.columns.is_unique):
        raise ValueError("show_table: two rows or columns have one name; expected each once.")
    told = frame.apply(lambda column: column.map(_formatter(column, by_column.get(column.name))))
    cells, others = told.map(html.escape).rename_axis(None), [row for row in frame.index if row not in baselines]
    for column, wanted in best.items():
        extreme = frame.loc[others, column].agg("idxmin" if wanted == "low" else "idxmax")
        equal = [row for row in others if told.loc[row, column] == told.loc[extreme, column]]
        cells.loc[equal, column] = [f"<strong>{cells.loc[row, column]}</strong>" for row in equal]
    classes = cells.map(lambda _: "")
    classes.loc[:, numbers] = "number"
    classes.loc[list(baselines)] += " baseline"
    uuid = hashlib.sha256(caption.encode()).hexdigest()[:8]  # by itself, pandas takes another one in each run
    table = (
        cells.style.set_uuid(uuid)
        .set_caption(f"<span>{html.escape(caption)}</span>")
        .set_td_classes(classes)
        .format_index(lambda row: html.escape(str(row)), axis=0)
        .format_index(lambda column: _head(column, units, best), axis=1)
    )
    table.cell_ids = False
    told = told.rename(columns=lambda column: _head(column, units, best, plain=True))
    text = f"{caption}\n{told.to_string(index_names=False, line_width=TEXT_WIDTH)}"
    corner = html.escape(str(frame.index.name or ""))
    body = _name_heads(table.to_html(), corner, {f"col{frame.columns.get_loc(column)}" for column in numbers})
    box = f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(caption)}">\n{body}</div>'
    _display(_wrap("table", box), text)


def show_frames(frames: np.ndarray, labels: Sequence[str], alt: str, **options: Any) -> None:
    """Display what format_frames makes of frames."""
    page = format_frames(frames, labels, alt, **options)
    _display(page, f"{len(labels)} frames, from {labels[0]} to {labels[-1]}. {alt}")


def format_frames(
    frames: np.ndarray,
    labels: Sequence[str],
    alt: str,
    columns: int = 8,
    width: int | None = None,
    colours: int = 16,
    still: int = -1,
) -> str:
    """Return frames to drag and to play as HTML; one of them stands there first, and where no script runs.

    frames: pictures, (count, height, width) or (count, height, width, 1 or 3), or images to be tiled into so many
    columns a frame, (count, images, height, width, 1); floats in [0, 1] or uint8. labels: one for each frame. alt: what
    there is to see. width: in CSS pixels. colours: 16, at four bits a pixel, up to 256. still: the
    frame that stands there first, counted as in a list. Raises ValueError for other shapes, another number of labels, a
    frame that there is not, or a picture above 120 kB.
    """
    pictures = _as_pictures(np.asarray(frames), columns)
    if len(labels) != len(pictures):
        raise ValueError(f"{len(pictures)} frames have {len(labels)} labels; expected one for each.")
    if not -len(pictures) <= still < len(pictures):
        raise ValueError(f"still is {still}; expected one of {len(pictures)} frames, counted as in a list.")
    png = _pack(pictures, colours)
    if len(png) > MAX_FRAMES_BYTES:
        raise ValueError(
            f"the frames take {len(png):,} bytes; expected at most {MAX_FRAMES_BYTES:,}: take fewer, smaller ones."
        )
    count, tall, wide = pictures.shape[:3]
    small, last, first = wide < PIXELATED_BELOW, count - 1, still % count
    names = [html.escape(str(label)) for label in labels]
    size = f"aspect-ratio:{wide}/{tall};--count:{count};--frame:{first}"
    told = f'aria-label="Frame" aria-valuetext="{names[first]}"'
    return _wrap(
        "frames",
        f'<div class="player{" pixelated" * small}" style="max-width:{width or wide * (1 + small)}px">\n'
        f'<div class="strip" style="{size}">{_image(png, "png", alt)}</div>\n'
        '<div class="controls"><button type="button" aria-label="Play" hidden>▶</button>'
        f'<input type="range" min="0" max="{last}" value="{first}" {told} hidden><span>{names[first]}</span></div>\n'
        f"<ol hidden>{''.join(f'<li>{name}</li>' for name in names)}</ol>\n"
        f"</div>\n<script>\n{_read('frames.js')}</script>",
    )


def draw_frames(
    draw: Callable[[Any, Any], object],
    items: Iterable[Any],
    figsize: tuple[float, float] = (4.0, 4.0),
    panels: int = 1,
    dpi: int = 110,
) -> np.ndarray:
    """Return what draw(ax, item) draws for each item on fresh axes, (count, height, width, 3), uint8.

    panels: how many axes stand side by side; draw gets all of them where there is more than one.
    """
    frames = []
    for item in items:
        figure = Figure(figsize=figsize, dpi=dpi, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure.subplots(1, panels), item)
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)


def _pack(pictures: np.ndarray, colours: int = 16) -> bytes:
    """Return pictures, (count, height, width) or with 3 channels, uint8, one under the other as one indexed PNG.

    They keep their colours where there are no more of them than are allowed. Else grey levels are evenly spaced, and
    of other colours those stay that cover much and are far from the others; each pixel takes the nearest.
    """
    strip = pictures.reshape(-1, *pictures.shape[2:])
    if strip.ndim == 2:
        if len(np.unique(strip)) > colours:
            strip = np.round(np.round(strip / 255 * (colours - 1)) * 255 / (colours - 1)).astype(np.uint8)
        strip = np.repeat(strip[..., None], 3, axis=-1)
    codes = strip.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, indices, counts = np.unique(codes, return_inverse=True, return_counts=True)
    palette = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1).astype(np.int64)
    if len(palette) > colours:
        apart, kept = np.full(len(palette), np.inf), [int(counts.argmax())]
        nearest = np.zeros(len(palette), np.uint8)
        while True:
            away = np.square(palette - palette[kept[-1]]).sum(axis=-1)
            nearest[away < apart] = len(kept) - 1
            apart = np.minimum(apart, away)
            if len(kept) == colours:
                break
            kept.append(int((counts * apart).argmax()))
        palette, indices = palette[kept], nearest[indices]
    picture = Image.fromarray(indices.reshape(strip.shape[:2]).astype(np.uint8))
    picture.putpalette(palette.astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, bits=next(bits for bits in (1, 2, 4, 8) if len(palette) <= 1 << bits))
    return file.getvalue()


def show_drawing(name: str, alt: str) -> None:
    """Display a drawing of `drawings/` on a light panel of its own; alt says in words what it shows.

    Raises ValueError for a drawing that there is not, or an empty alternative text.
    """
    drawings = {path.stem: path for path in sorted((FOLDER / "drawings").glob("*.svg"))}
    if name not in drawings:
        raise ValueError(f"no drawing is called {name!r}; there are {', '.join(drawings)}.")
    _display(_wrap("drawing", _image(drawings[name].read_bytes(), "svg+xml", alt)), alt)


def _image(content: bytes, kind: str, alt: str) -> str:
    """Return an element that holds a picture within itself. Raises ValueError for an empty alternative text."""
    if not alt.strip():
        raise ValueError("a picture needs an alternative text that says what it shows.")
    return f'<img src="data:image/{kind};base64,{base64.b64encode(content).decode()}" alt="{html.escape(alt)}">'


def _wrap(kind: str, body: str) -> str:
    """Return an output's HTML together with its style, `static/KIND.css`."""
    return f'<div class="book-output book-{kind}">\n<style>\n{_read(f"{kind}.css")}</style>\n{body}\n</div>'


def _display(page: str, text: str) -> None:
    """Display HTML, and text of at most 88 columns where HTML is not shown."""
    from IPython.display import display  # which only a notebook has

    lines = [textwrap.fill(line, TEXT_WIDTH) if len(line) > TEXT_WIDTH else line for line in text.splitlines()]
    display({"text/html": page, "text/plain": "\n".join(lines)}, raw=True)


def _read(name: str) -> str:
    """Return the text of a style or script of `static/`."""
    return (FOLDER / "static" / name).read_text(encoding="utf-8")


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _formatter(column: Any, form: Format | None) -> Callable[[Any], str]:
    """What turns a value of the column into text; a missing one into a dash."""
    default = {"i": "{:,}", "u": "{:,}", "f": "{:,.2f}"}.get(column.dtype.kind, "{}")
    write = form if callable(form) else (form or default).format
    return lambda value: "–" if value is None or value != value else write(value)


def _head(column: Any, units: Mapping[str, str], best: Mapping[str, str], plain: bool = False) -> str:
    """The head of a column: its name, an arrow to where the best is, its unit."""
    arrow, meaning = ARROWS[best[column]] if column in best else ("", "")
    if plain:
        return " ".join(filter(None, (str(column), arrow, f"({units[column]})" if column in units else "")))
    sign = f' <span role="img" aria-label="{meaning}" title="{meaning}">{arrow}</span>' if arrow else ""
    unit = f"<br><small>{html.escape(units[column])}</small>" if column in units else ""
    return f"{html.escape(str(column))}{sign}{unit}"


def _name_heads(table: str, corner: str, numbers: set[str]) -> str:
    """The table as pandas writes it, with what it leaves out: whose head a cell is, and a name in the corner."""
    table = re.sub(r"<style.*?</style>\n", "", table, flags=re.DOTALL)
    first = f'<th scope="col">{corner}</th>' if corner else "<td></td>"
    table = re.sub(r'<th class="blank level0" >&nbsp;</th>', lambda _: first, table)
    table = re.sub(r'<th class="row_heading level0 row\d+" >', '<th scope="row">', table)
    table = re.sub(r'<td class="data row\d+ col\d+ ?([a-z ]*)" >', lambda found: _cell("td", found[1]), table)
    return re.sub(
        r'<th class="col_heading level0 (col\d+)" >',
        lambda found: _cell('th scope="col"', "number" if found[1] in numbers else ""),
        table,
    )


def _cell(tag: str, classes: str) -> str:
    return f'<{tag} class="{classes.strip()}">' if classes.strip() else f"<{tag}>"


def _as_pictures(frames: np.ndarray, columns: int) -> np.ndarray:
    """The frames as whole pictures, (count, height, width) or (count, height, width, 3), uint8."""
    if frames.ndim == 5 and frames.shape[-1] == 1:
        levels = frames / 255 if frames.dtype == np.uint8 else frames
        frames = np.stack([tile_images(images, columns) for images in levels])
    if frames.ndim == 4 and frames.shape[-1] == 1:
        frames = frames[..., 0]
    if not (frames.ndim == 3 or (frames.ndim == 4 and frames.shape[-1] == 3)) or not frames.size:
        raise ValueError(
            f"frames have shape {frames.shape}; expected (count, height, width), with 1 or 3 channels behind, or "
            "(count, images, height, width, 1)."
        )
    return frames if frames.dtype == np.uint8 else np.round(np.clip(frames, 0.0, 1.0) * 255).astype(np.uint8)
