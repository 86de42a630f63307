"""The first page and the page on running the book: complete, and their numbers those that were measured."""

import json
import re

import numpy as np
import pytest
import yaml
from book_door import find_frames, show_frames, tell_measured
from PIL import Image

from helpers.book import records
from tools.notebook_files import NOTEBOOKS, ROOT

INTRO, RUN = ((ROOT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("intro", "how_to_run"))
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
DRAWING = (ROOT / "book" / "_pictures" / "parts.svg").read_text(encoding="utf-8")


def test_the_first_page_leads_to_every_other():
    documents = {chapter["file"] for part in PARTS for chapter in part["chapters"]}
    linked = {f"book/{target}".replace("book/../", "") for target in re.findall(r"\{doc\}`[^`<]+<([^`>]+)>`", INTRO)}
    assert linked == documents - {"book/how_to_run"}
    assert "<how-to-run>" in INTRO


def test_the_drawing_names_every_part_and_chapter():
    said = " · ".join(re.findall(r"<text[^>]*>([^<]+)</text>", DRAWING)).split(" · ")
    chapters = [
        (part["caption"], chapter["title"]) for part in PARTS for chapter in part["chapters"] if "title" in chapter
    ]
    assert {caption for caption, _ in chapters} - set(said) == set()
    assert {title for _, title in chapters} - set(said) == set()


def test_a_row_of_the_first_page_adds_up_the_chapters_that_it_links():
    rows = re.findall(r"(?ms)^\* - .*?(?=^\* - |^:::)", INTRO)
    timed = [row for row in rows if "{cpu-minutes}" in row]
    linked = [re.findall(r"<\.\./notebooks/(\w+)>", row) for row in timed]
    assert [re.search(r"\{cpu-minutes\}`([^`]+)`", row)[1].split() for row in timed] == linked
    assert sorted(name for row in linked for name in row) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_a_measured_number_is_that_of_the_record():
    value = records.load("gan_mnist").get("frechet/conditional GAN")["value"]
    assert tell_measured("gan_mnist | frechet/conditional GAN | .1f") == ("gan_mnist", f"{value:.1f}")
    seconds = records.load("gan_mnist").get("seconds/conditional GAN")["value"]
    assert tell_measured("gan_mnist | seconds/conditional GAN | minutes")[1] == f"{seconds / 60:.0f}"


def test_a_number_that_no_record_holds_stops_the_build():
    with pytest.raises(records.RecordError, match="no 'frechet/dream'"):
        tell_measured("gan_mnist | frechet/dream | .1f")


def test_no_measured_number_is_typed_on_the_first_page():
    prose = re.sub(r"\{[\w-]+\}`[^`]*`", "", INTRO)
    assert re.findall(r"\d+\.\d+|\d+ ?%", prose) == []


def test_pictures_of_a_training_come_in_the_order_of_their_steps(tmp_path):
    for step in (1000, 0, 250):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / f"GAN_step_{step}.png")
    (tmp_path / "GAN.png").touch()
    assert list(find_frames(tmp_path, "GAN")) == [0, 250, 1000]
    assert find_frames(tmp_path, "VAE") == {}


def test_pictures_of_a_training_become_frames_to_play(tmp_path):
    paths = {step: tmp_path / f"GAN_step_{step}.png" for step in (0, 1000)}
    for step, path in paths.items():
        Image.fromarray(np.full((4, 4), step % 256, np.uint8)).save(path)
    shown = show_frames(paths, "noise becomes digits").astext()
    for part in ("<li>step 0</li>", "<li>step 1,000</li>", 'type="range"', 'alt="noise becomes digits"'):
        assert part in shown


def test_the_runtime_told_of_is_that_which_the_book_is_tested_with():
    image = (ROOT / "tools" / "colab_image.txt").read_text(encoding="utf-8")
    assert "image of 2026-08-19" in image
    assert "those of August 19, 2026" in RUN
    for package, name in (("tensorflow", "TensorFlow"), ("keras", "Keras")):
        version = re.search(rf"(?m)^{package}==(\S+)$", image)[1]
        assert f"{name} {version.rpartition('.')[0]}" in RUN
        assert set(re.findall(rf"{package}(?:\[[\w-]+\])?==([\d.]+)", RUN)) <= {version}


def test_what_make_does_is_told_for_those_who_have_none():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in (
        "jupyter lab notebooks",
        "-m helpers.book.doctor",
        "-m tools.execute",
        "jupyter-book build . --all",
    ):
        assert command in makefile
        assert command in RUN


def test_the_first_chapter_told_of_exists():
    for name in re.findall(r"open `(\w+)\.ipynb`", RUN):
        assert (
            "cpu_seconds" in json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]["book"]
        )
