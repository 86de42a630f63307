"""The zips of figures: what is taken from a page, what the files are called, and what lies beside them."""

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from book_figures import EPOCH, Figure, Picture, name_file, pack, read_inside, read_pictures, take_still
from docutils import nodes
from PIL import Image

TOLD = {"page": "GAN", "book": "The book", "author": "its contributors", "year": "2026", "address": ""}
DOT = Picture("png", b"png", "a dot")


def make_png(levels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def read_levels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def put_inside(content: bytes, kind: str = "png", alt: str = "what is &lt;there&gt;") -> str:
    return f'<img src="data:image/{kind};base64,{base64.b64encode(content).decode()}" alt="{alt}">'


STRIP = np.arange(3)[:, None, None] * np.ones((3, 2, 5)) * 100  # three frames, 2 by 5 pixels


@pytest.mark.parametrize("frame", [0, 2])
def test_a_still_is_one_frame_with_larger_pixels(frame: int) -> None:
    still = read_levels(take_still(make_png(STRIP.reshape(6, 5)), 3, frame))
    assert still.shape == (8, 20)
    assert (still == 100 * frame).all()


def test_a_still_of_many_pixels_keeps_its_size() -> None:
    assert read_levels(take_still(make_png(np.zeros((40, 400))), 2, 1)).shape == (20, 400)


def test_pictures_within_a_page_are_read_and_only_frames_are_cut() -> None:
    strip = f'<div class="strip" style="--count:3;--frame:1">{put_inside(make_png(STRIP.reshape(6, 5)))}</div>'
    whole, drawing = make_png(np.full((6, 5), 7)), b"<svg/>"
    found = list(read_inside(strip + put_inside(whole) + put_inside(drawing, "svg+xml")))
    assert [one.suffix for one in found] == ["png", "png", "svg"]
    assert (read_levels(found[0].content) == 100).all()
    assert [found[1].content, found[2].content] == [whole, drawing]
    assert found[0].alt == "what is <there>"


def test_pictures_of_a_figure_are_files_and_what_stands_within_the_page(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"file")
    figure = nodes.figure("", nodes.image(uri="/a.png", alt="one"), nodes.image(uri="gone.png", alt="none"))
    figure += nodes.image(uri="data:image/svg+xml;base64,PHN2Zy8+", alt="two")
    figure += nodes.raw("", put_inside(b"<svg/>", "svg+xml", "three"), format="html")
    found = list(read_pictures(figure, tmp_path))
    assert [(one.content, one.alt) for one in found] == [(b"file", "one"), (b"<svg/>", "two"), (b"<svg/>", "three")]


@pytest.mark.parametrize(
    ("figure", "place", "name"),
    [
        (Figure("6.3", "A ring of eight.", [DOT]), 0, "figure-6.03-a-ring-of-eight.png"),
        (Figure("6.12", "Samples, D(x) = ½", [DOT, DOT]), 1, "figure-6.12b-samples-d-x.png"),
        (Figure("1.1", "word " * 30, [DOT]), 0, f"figure-1.01-{'-'.join(['word'] * 10)}.png"),
    ],
)
def test_a_file_is_named_by_number_and_caption(figure: Figure, place: int, name: str) -> None:
    assert name_file(figure, place) == name


def test_a_zip_says_whose_it_is_and_is_the_same_each_time() -> None:
    figures = [Figure("6.1", "One.", [DOT]), Figure("6.2", "Two.", [DOT, DOT._replace(suffix="svg")])]
    packed = pack(figures, TOLD, "the licence")
    assert packed == pack(figures, TOLD, "the licence")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {EPOCH}
        names, texts = archive.namelist(), {name: archive.read(name).decode() for name in archive.namelist()}
    assert names[:3] == ["figure-6.01-one.png", "figure-6.02a-two.png", "figure-6.02b-two.svg"]
    assert texts["LICENSE.txt"] == "the licence"
    assert 'Figure 6.1 of "The book" by its contributors, 2026. CC BY 4.0.' in texts["ATTRIBUTION.txt"]
    for name in names[:3]:
        assert f"{name}\nFigure {name[7:8]}." in texts["captions.txt"]
