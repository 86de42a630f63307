"""A saved generator answers over HTTP what it answers by itself, refuses the rest by name, and outlives both."""

import base64
import http.client
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers import networks
from helpers.book import service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    place = tmp_path_factory.mktemp("versions") / "digits-2.1.0"
    service.save_version(networks.build_dense_decoder(4, (8,)), place, "2.1.0", most=5)
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[service.Server]:
    with service.Server(service.Service(folder)) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    told = json.loads(reply.read())
    connection.close()
    return reply.status, told


def read_png(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))), float) / 255


def test_it_draws_over_http_what_it_draws_by_itself(server: service.Server) -> None:
    status, told = ask(server.server_port, "POST", "/draw", {"count": 3, "seed": 7})
    assert (status, told["version"], told["seed"]) == (200, "2.1.0", 7)
    (answer,) = server.service.answer([{"count": 3, "seed": 7}])
    side_by_side = np.concatenate(answer["images"][..., 0], axis=1)
    np.testing.assert_allclose(read_png(told["images"]), side_by_side, atol=0.5 / 255 + 1e-6)
    _, other = ask(server.server_port, "POST", "/draw", {"count": 3, "seed": 8})
    assert np.abs(read_png(told["images"]) - read_png(other["images"])).max() > 0.01


def test_it_says_what_it_serves(server: service.Server) -> None:
    status, told = ask(server.server_port, "GET", "/card")
    assert status == 200
    assert told == {"version": "2.1.0", "most": 5, "usual": server.service.card["usual"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "complaint"),
    [
        ("GET", "/draw", None, 404, "expected GET /card or POST /draw"),
        ("POST", "/other", {}, 404, "expected GET /card or POST /draw"),
        ("POST", "/draw", b"", 400, "expected JSON"),
        ("POST", "/draw", b"\xff", 400, "expected JSON"),
        ("POST", "/draw", b"[" * 999, 400, "expected JSON"),
        ("POST", "/draw", [1], 400, "expected an object"),
        ("POST", "/draw", {"count": 6}, 400, "count 6; expected 1 to 5"),
        ("POST", "/draw", {"seed": -1}, 400, "seed -1; expected a whole number"),
        ("POST", "/draw", {"cuont": 2}, 400, "'cuont' is unknown; expected count and seed"),
        ("POST", "/draw", b"1" * 1_001, 413, "1001 bytes; expected 1,000 at most"),
    ],
)
def test_a_bad_request_is_refused_and_told_why(
    server: service.Server, method: str, path: str, body: Any, status: int, complaint: str
) -> None:
    found, told = ask(server.server_port, method, path, body)
    assert found == status
    assert complaint in told["error"]
    assert ask(server.server_port, "POST", "/draw", {})[0] == 200  # the next one is answered


def test_every_seed_up_to_the_last_is_drawn(server: service.Server) -> None:
    for seed in (0, 2**32 - 1):
        status, told = ask(server.server_port, "POST", "/draw", {"count": 5, "seed": seed})
        assert (status, told["seed"]) == (200, seed)


def test_black_and_white_are_colours_of_an_image(server: service.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in (0.0, 1.0):
        monkeypatch.setattr(server.service, "draw", lambda noise, level=level: keras.ops.full((1, 28, 28, 1), level))
        assert ask(server.server_port, "POST", "/draw", {})[0] == 200


def test_a_request_must_say_how_long_it_is(server: service.Server) -> None:
    status, told = ask(server.server_port, "POST", "/draw", b"{}", **{"Content-Length": "two"})
    assert (status, told["error"]) == (411, "expected a Content-Length")


def test_many_may_ask_at_once(server: service.Server) -> None:
    def draw(seed: int) -> str:
        return ask(server.server_port, "POST", "/draw", {"count": 2, "seed": seed})[1]["images"]

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(draw, [1, 2, 3, 4] * 5))
    assert told == told[:4] * 5
    assert len(set(told)) == 4


def test_what_is_no_image_is_not_served(server: service.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.service, "draw", lambda noise: keras.ops.full((1, 28, 28, 1), np.nan))
    status, told = ask(server.server_port, "POST", "/draw", {})
    assert (status, told["error"]) == (500, "the network drew what is no image")


def test_only_this_machine_reaches_it(server: service.Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_one_version_is_never_written_twice(folder: Path) -> None:
    before = (folder / "generator.keras").read_bytes()
    with pytest.raises(FileExistsError):
        service.save_version(networks.build_dense_decoder(4, (8,)), folder, "2.1.0")
    assert (folder / "generator.keras").read_bytes() == before


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """What is started in the background of a shell ignores Ctrl-C, and so does all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_the_command_serves_and_stops(folder: Path) -> None:
    """As a user starts it, with a version that is there; Ctrl-C ends it without a traceback."""
    command = [sys.executable, "-m", "helpers.book.service", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = "".join(process.stdout.readline() for _ in range(3))
        port = re.fullmatch(rf"Serving {folder} on\nhttp://127\.0\.0\.1:(\d+)\nCtrl-C ends it\.\n", told)
        assert port is not None
        assert ask(int(port[1]), "POST", "/draw", {"seed": 3})[0] == 200
        process.send_signal(signal.SIGINT)
        try:
            told, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, told) == (0, "Stopped.\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize("spoilt", ["card.json", "generator.keras", "port"])
def test_a_folder_or_port_that_cannot_be_served_is_named(
    spoilt: str, folder: Path, tmp_path: Path, server: service.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "digits-3.0.0"
    service.save_version(networks.build_dense_decoder(4, (8,)), place, "3.0.0")
    if spoilt != "port":
        (place / spoilt).write_bytes((folder / spoilt).read_bytes())  # of another version
    port = server.server_port if spoilt == "port" else 0
    assert service.main([str(place), "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert ("in use" if spoilt == "port" else "draws otherwise") in told
    assert "Choose another port" in told


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"no JSON", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["card.json", "generator.keras"])
def test_a_file_that_is_cut_off_or_another_one_is_named(
    name: str, content: bytes, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "digits-3.0.0"
    shutil.copytree(folder, place)
    (place / name).write_bytes(content)
    assert service.main([str(place), "--port", "0"]) == 1
    assert f"{place} is not served" in capsys.readouterr().err


def test_a_file_that_claims_too_much_is_not_unpacked(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "digits-3.0.0"
    shutil.copytree(folder, place)
    with zipfile.ZipFile(place / "generator.keras") as archive:
        size = sum(member.file_size for member in archive.infolist())
    monkeypatch.setattr(service, "MOST_BYTES", size)
    service.Service(place)
    monkeypatch.setattr(service, "MOST_BYTES", size - 1)
    with pytest.raises(service.VersionError, match=f"it claims more than {size - 1:,} bytes.*; save it anew"):
        service.Service(place)


def test_a_save_that_stops_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Sequential, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        service.save_version(networks.build_dense_decoder(4, (8,)), tmp_path / "digits-3.0.0", "3.0.0")
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_it_trains_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(service, "train_generator", lambda: networks.build_dense_decoder(16, (8,)))
    monkeypatch.setattr(service.Server, "serve_forever", lambda one: tried.append(one.service.card["version"]))
    assert service.main([str(tmp_path / "digits-1.0.0"), "--port", "0"]) == 0
    assert tried == ["1.0.0"]
    assert sorted(path.name for path in (tmp_path / "digits-1.0.0").iterdir()) == ["card.json", "generator.keras"]


def test_ctrl_c_ends_it_without_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: service.Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service.Server, "serve_forever", stop)
    assert service.main([str(folder), "--port", "0"]) == 0
    assert capsys.readouterr().out.endswith("Ctrl-C ends it.\nStopped.\n")


def test_the_generator_that_it_trains_draws_digits_and_is_always_the_same() -> None:
    first, again = (service.train_generator(epochs=3) for _ in range(2))
    assert (first.input_shape, first.output_shape) == ((None, 16), (None, 28, 28, 1))
    assert all((one == other).all() for one, other in zip(first.get_weights(), again.get_weights(), strict=True))
    untrained = networks.build_dense_decoder(16)
    ink = tf.sigmoid(first(tf.zeros((1, 16)))).numpy().mean(), tf.sigmoid(untrained(tf.zeros((1, 16)))).numpy().mean()
    assert ink[0] < 0.3 < ink[1]  # most of a digit's image is ground
