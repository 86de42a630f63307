"""The page on products: its programs ask a running service, print what the page shows, and draw what it shows.

`python tests/book/test_product.py` runs them and writes what they print, and the picture, into the page.
"""

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import Any

import faq_page
import numpy as np
import pytest
from PIL import Image

from helpers.book import service

PAGE = faq_page.ROOT / "book" / "product.md"
PICTURE = faq_page.ROOT / "book" / "_pictures" / "product_served.png"
BLOCKS = faq_page.find_blocks(PAGE.read_text(encoding="utf-8"))


def run_page(names: dict[str, Any]) -> list[str]:
    """Run the page's blocks in this folder, against a service of its own; return what each prints."""
    service.save_version(service.train_generator(), Path("digits-1.0.0"), "1.0.0")
    with service.Server(service.Service(Path("digits-1.0.0"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        printed = faq_page.run(
            [(code.replace(":8000/", f":{server.server_port}/"), shown) for code, shown in BLOCKS], names
        )
        server.shutdown()
    return printed


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any], Path]:
    """What the page's blocks print, the names that they define, and the folder in which they ran."""
    folder, names = tmp_path_factory.mktemp("product"), {"__name__": "product"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_page(names), names, folder


def test_each_block_prints_what_the_page_shows(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    assert len(BLOCKS) == 2
    for (_, shown), printed in zip(BLOCKS, ran[0], strict=True):
        assert shown is not None
        (shown_form, wanted), (form, numbers) = faq_page.read_numbers(shown), faq_page.read_numbers(printed)
        assert form == shown_form
        np.testing.assert_allclose(numbers, wanted, rtol=0.1, atol=0.01)


def test_the_picture_is_what_the_service_draws(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    shown = np.asarray(Image.open(PICTURE), float)
    drawn = np.asarray(Image.open(ran[2] / "twelve.png"), float)
    assert np.abs(np.kron(drawn, np.ones((3, 3))) - shown).mean() < 0.03 * 255


def test_a_device_with_other_weights_is_seen(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    _, names, _ = ran
    assert np.abs(names["on_device"] - names["served"]).max() < 0.01
    swapped = [*names["loaded"][:-2], -names["loaded"][-2], names["loaded"][-1]]
    assert np.abs(names["draw_on_device"](names["noise"], swapped) - names["served"]).max() > 0.1


def test_the_command_on_the_page_is_the_one_that_there_is() -> None:
    assert f"python -m {service.__name__}\n" in PAGE.read_text(encoding="utf-8")
    assert "http://127.0.0.1:8000/draw" in BLOCKS[0][0]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        outputs = run_page({"__name__": "product"})
        with Image.open("twelve.png") as twelve:
            twelve.resize((1008, 84), Image.Resampling.NEAREST).save(PICTURE)
    faq_page.write_outputs(PAGE, outputs)
