"""The programs on the page of questions run as they are printed, print what the page shows, and do what it says."""

import re

import faq_page
import keras
import numpy as np
import pytest
from killed_page import assert_same_end, run_killed
from PIL import Image

PAGE = faq_page.PAGE.read_text(encoding="utf-8")
BLOCKS = faq_page.find_blocks(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("faq")


@pytest.fixture(scope="module")
def ran(folder):
    """The names that the page's blocks define, run in order in an empty folder, and what each printed."""
    names: dict = {"__name__": "faq"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        printed = faq_page.run(BLOCKS[:-1], names)
        names["service"] = names["Service"](names["folder"])
    return names, printed


@pytest.fixture(scope="module")
def page(ran):
    return ran[0]


def test_nothing_is_put_off():
    assert "planned" not in PAGE


def test_each_block_prints_what_the_page_shows(ran):
    assert [bool(text) for text in ran[1]] == [output is not None for _, output in BLOCKS[:-1]]
    for (code, output), text in zip(BLOCKS, ran[1], strict=False):
        if output is None:
            continue
        (shown_form, shown), (form, numbers) = faq_page.read_numbers(output), faq_page.read_numbers(text)
        assert form == shown_form
        if not faq_page.is_timed(code):
            np.testing.assert_allclose(numbers, shown, rtol=0.1, atol=0.05)


def test_an_output_of_another_number_or_word_is_seen():
    assert faq_page.read_numbers("seed 7:  1,000 of\n0.25") == ("seed #: # of #", [7, 1000, 0.25])
    assert faq_page.find_blocks("```python\nx\n```\n\n```text\ny\n```\n\n```python\nz\n```\n") == [
        ("x\n", "y\n"),
        ("z\n", None),
    ]


def test_the_picture_is_the_one_that_the_page_shows(ran, folder):
    drawn, shown = (np.asarray(Image.open(path), float) for path in (folder / "served.png", faq_page.PICTURE))
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 0.03 * 255


def test_the_loaded_generator_draws_as_the_saved_one(page):
    noise = np.random.default_rng(3).standard_normal((5, 16)).astype("float32")
    np.testing.assert_allclose(page["service"].draw(noise), page["generator"](noise), atol=1e-6)
    np.testing.assert_allclose(page["generator"](noise), page["vae"].decode(noise), atol=1e-6)


def test_an_image_depends_on_its_seed_and_place_alone(page):
    answer = page["service"].answer
    four, sixty = (answer([{"count": count, "seed": 7}])[0] for count in (4, 60))
    np.testing.assert_allclose(four["images"], sixty["images"][:4], atol=1e-5)
    other = answer([{"count": 4, "seed": 8}])[0]
    assert np.abs(four["images"] - other["images"]).max() > 0.1


def test_a_request_without_a_seed_is_told_the_one_that_it_got(page):
    first, second = page["service"].answer([{}, {}])
    assert first["seed"] != second["seed"]
    again = page["service"].answer([{"seed": first["seed"]}])[0]
    np.testing.assert_allclose(first["images"], again["images"], atol=1e-5)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (None, "expected an object"),
        ([], "expected an object"),
        ({"count": 0}, "count 0; expected 1 to 64"),
        ({"count": 65}, "expected 1 to 64"),
        ({"count": True}, "expected 1 to 64"),
        ({"count": 2.0}, "expected 1 to 64"),
        ({"seed": -1}, "expected a whole number"),
        ({"seed": 2**32}, "expected a whole number"),
        ({"seed": "7"}, "expected a whole number"),
    ],
)
def test_a_bad_request_is_refused_and_told_why(page, request_, complaint):
    with pytest.raises(page["BadRequestError"], match=complaint):
        page["service"].answer([{"count": 1}, request_])


def test_what_is_no_image_is_not_served(page, monkeypatch):
    for value in (np.nan, 1.5):
        monkeypatch.setattr(page["service"], "draw", lambda noise, value=value: keras.ops.full((1, 28, 28, 1), value))
        with pytest.raises(RuntimeError, match="no image"):
            page["service"].answer([{}])


def test_batches_pay_and_predict_does_not(ran):
    """As printed, with wide margins: other processes run meanwhile."""
    printed = next(text for (code, _), text in zip(BLOCKS, ran[1], strict=False) if faq_page.is_timed(code))
    median = {name: float(value) for name, value in re.findall(r"(?m)^ *([a-z ]+[a-z]|\d+) +(\d+\.\d+)", printed)}
    assert median["64"] < 20 * median["1"]
    assert median["predict"] > 5 * median["the graph"]


def test_the_alarm_rings_for_two_services_and_not_for_the_third(page):
    usual, rand, same = (page["watch"](images, page["card"]["usual"])["spread"] for images in page["served"].values())
    assert 0.8 < usual < 1.2
    assert rand < 0.8
    assert same < 0.01


def test_a_lost_training_goes_on_as_the_page_says(tmp_path, monkeypatch):
    """The same lines three times: killed in the third epoch, again, and elsewhere without a stop."""
    code, folders = BLOCKS[-1][0], [tmp_path / "drive of a session", tmp_path / "another"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    assert run_killed(code, epoch=2)[1] == [0, 1, 2]
    resumed, epochs = run_killed(code)
    assert epochs in ([1, 2, 3], [2, 3])  # the second was kept, if it did not take too long
    monkeypatch.chdir(folders[1])
    straight, epochs = run_killed(code)
    assert epochs == [0, 1, 2, 3]
    assert_same_end(resumed, straight, "gan")
