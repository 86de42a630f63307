"""One version of a generator, saved with a card, and served over HTTP on this machine alone.

`python -m helpers.book.service` serves the folder `digits-1.0.0`, and makes it where it is not there yet.
"""

import argparse
import base64
import io
import json
import os
import secrets
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from helpers import data, models, networks, training
from helpers.arguments import MOST_UNITS, check_kind, check_whole, tell
from helpers.book import surroundings
from helpers.checks import check_latent, check_pictures
from helpers.files import read_json

MOST_BYTES, MOST_IN_ANSWER = 2**28, 10_000  # of a file, unpacked; of images in an answer
LONGEST_REQUEST = 1_000  # bytes: a count and a seed need fewer than a hundred


class VersionError(ValueError, RuntimeError):
    """A folder holds no generator that can be served, or another one than its card tells of.

    It is a RuntimeError too, because readers' programs may catch that.
    """


class BadRequestError(ValueError):
    """The request cannot be answered; the message says what was wrong."""


def describe(images: np.ndarray) -> dict[str, float]:
    """Mean ink of images, (count, 28, 28, 1), and how far they are from their mean."""
    apart = (images - images.mean(axis=0)).reshape(len(images), -1)
    spread = np.linalg.norm(apart, axis=1).mean()
    return {"ink": float(images.mean()), "spread": float(spread)}


def draw_noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal noise that depends on the seed alone."""
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def save_version(decoder: keras.Model, folder: Path, version: str, most: int = 64) -> dict[str, Any]:
    """Save a decoder, noise (count, latent_size) to logits (count, 28, 28, 1), and a card beside it; return the card.

    most: images in one answer. Raises FileExistsError where this version exists already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; choose another version")
    generator = keras.Sequential([decoder, keras.layers.Activation("sigmoid")])
    noise = draw_noise(0, (500, decoder.input_shape[-1]))
    drawn = generator(noise, training=False).numpy()  # (500, 28, 28, 1)
    card = {
        "version": version,
        "latent_size": noise.shape[1],
        "most": most,
        "usual": describe(drawn),
        "noise": noise[:8].tolist(),
        "images": drawn[:8].round(4).tolist(),
    }
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:  # a stop on the way leaves no half a version
        unfinished = Path(place, folder.name)
        unfinished.mkdir()
        generator.save(unfinished / "generator.keras")
        (unfinished / "card.json").write_text(json.dumps(card), encoding="utf-8")
        unfinished.rename(folder)
    return card


def _check_card(card: Any) -> None:
    """Raise ValueError unless a card is of the form that save_version writes."""
    check_kind(dict, "an object, as save_version writes it", card=card)
    check_kind(str, "a text", version=card["version"])
    check_whole(1, MOST_UNITS, latent_size=card["latent_size"])
    check_whole(1, MOST_IN_ANSWER, **{"most images": card["most"]})
    check_kind(dict, "ink and spread", usual=card["usual"])
    check_latent(card["noise"], card["latent_size"])
    check_pictures(np.array(card["images"], "float32"))


def _check_network(path: Path) -> None:
    """Raise ValueError for a file of Keras that claims more than MOST_BYTES, or weights that are not in it."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"it claims more than {MOST_BYTES:,} bytes")
        if wrong := archive.testzip():
            raise ValueError(f"{wrong} is damaged")
        config = json.loads(archive.read("config.json"))
    if (most := max(_find_sizes(config), default=0)) > MOST_UNITS:
        raise ValueError(f"it claims a layer of {most:,} units, expected {MOST_UNITS:,} at most")


def _find_sizes(config: Any) -> Iterator[int]:
    """Yield the whole numbers of a nested config, but for the ids of its objects, which may be any."""
    if isinstance(config, dict | list):
        parts = (
            [part for name, part in config.items() if name != "shared_object_id"]
            if isinstance(config, dict)
            else config
        )
        for part in parts:
            yield from _find_sizes(part)
    elif isinstance(config, int):
        yield abs(config)


class Service:
    """A generator that has been loaded, compared with its card, and warmed up.

    folder: as save_version has written it; code that a file holds is never run. Raises VersionError for any other.
    """

    def __init__(self, folder: Path) -> None:
        check_kind(str | os.PathLike, "the path of a folder", VersionError, folder=folder)
        try:
            self.card = read_json(Path(folder) / "card.json", VersionError)
            _check_card(self.card)
            _check_network(Path(folder) / "generator.keras")
            network = keras.saving.load_model(Path(folder) / "generator.keras")
            self.draw = tf.function(
                lambda noise: network(noise, training=False),
                input_signature=[tf.TensorSpec((None, self.card["latent_size"]))],
                autograph=False,
            )
            images = self.draw(np.array(self.card["noise"], "float32"))
            alike = np.shape(images) == np.shape(self.card["images"]) and np.allclose(
                images, self.card["images"], atol=1e-3
            )
        except VersionError:
            raise
        except Exception as error:  # a file may hold anything
            told = f"{type(error).__name__}: {str(error)[:500]}"
            raise VersionError(f"{folder} holds no generator that can be served ({told}); save it anew.") from error
        if not alike:
            raise VersionError(f"{folder} draws otherwise than when it was saved")

    def read(self, request: Any) -> tuple[int, int]:
        """Count and seed of a request; {"count": 4, "seed": 7} names both."""
        if not isinstance(request, dict):
            raise BadRequestError("expected an object with count and seed")
        if unknown := request.keys() - {"count", "seed"}:
            raise BadRequestError(f"{tell(min(unknown, key=str))} is unknown; expected count and seed")
        count, seed = request.get("count", 1), request.get("seed")
        seed = secrets.randbits(32) if seed is None else seed
        if type(count) is not int or not 1 <= count <= self.card["most"]:
            raise BadRequestError(f"count {tell(count)}; expected 1 to {self.card['most']}")
        if type(seed) is not int or not 0 <= seed < 2**32:
            raise BadRequestError(f"seed {tell(seed)}; expected a whole number below 2**32")
        return count, seed

    def answer(self, requests: list[Any]) -> list[dict[str, Any]]:
        """Answer requests together: one call of the network draws all their images."""
        if not (isinstance(requests, list | tuple) and requests):
            raise BadRequestError("expected a list of requests, one or more")
        asked = [self.read(request) for request in requests]
        size = self.card["latent_size"]
        noise = [draw_noise(seed, (n, size)) for n, seed in asked]
        images = self.draw(np.concatenate(noise)).numpy()
        if not (images.min() >= 0 and images.max() <= 1):  # refuses nan too
            raise RuntimeError("the network drew what is no image")
        ends = np.cumsum([n for n, _ in asked])
        answers = []
        for (n, seed), end in zip(asked, ends, strict=True):
            mine = images[end - n : end]
            answers.append({"version": self.card["version"], "seed": seed, "images": mine})
        return answers


def encode_png(images: np.ndarray) -> str:
    """Images, (count, 28, 28, 1) in [0, 1], side by side as one PNG, in base64."""
    stream = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * np.concatenate(images[..., 0], axis=1)))).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class Reply(NamedTuple):
    """What goes back over HTTP."""

    status: HTTPStatus
    about: dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """GET /card says what is served; POST /draw, with count and seed in JSON, draws."""

    server: "Server"
    timeout = 10  # seconds that a caller may be silent

    def do_GET(self) -> None:
        if self.path != "/card":
            return self._send(Reply(HTTPStatus.NOT_FOUND, {"error": "expected GET /card or POST /draw"}))
        card = self.server.service.card
        self._send(Reply(HTTPStatus.OK, {key: card[key] for key in ("version", "most", "usual")}))

    def do_POST(self) -> None:
        self._send(self._draw())

    def _draw(self) -> Reply:
        if self.path != "/draw":
            return Reply(HTTPStatus.NOT_FOUND, {"error": "expected GET /card or POST /draw"})
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return Reply(HTTPStatus.LENGTH_REQUIRED, {"error": "expected a Content-Length"})
        if int(length) > LONGEST_REQUEST:
            told = f"{length} bytes; expected {LONGEST_REQUEST:,} at most"
            return Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": told})
        try:
            request = json.loads(self.rfile.read(int(length)))
            with self.server.lock:  # one call of the network at a time
                (answer,) = self.server.service.answer([request])
        except BadRequestError as error:
            return Reply(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except (ValueError, RecursionError):  # no JSON, or no UTF-8
            return Reply(HTTPStatus.BAD_REQUEST, {"error": 'expected JSON such as {"count": 4, "seed": 7}'})
        except RuntimeError as error:
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})
        return Reply(HTTPStatus.OK, answer | {"images": encode_png(answer["images"])})

    def _send(self, reply: Reply) -> None:
        body = json.dumps(reply.about).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if reply.status >= HTTPStatus.BAD_REQUEST:
            self.send_header("Connection", "close")  # what is left unread of the request goes with it
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A service behind HTTP that only this machine reaches. port 0: any that is free (`server_port` has it)."""

    daemon_threads = True

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service, self.lock = service, threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)


def train_generator(epochs: int = 20) -> keras.Model:
    """The decoder of a small VAE, trained for a few seconds on the small digits."""
    keras.utils.set_random_seed(0)
    vae = models.VAE(networks.build_dense_encoder(16), networks.build_dense_decoder(16))
    digits = data.load("quick")
    training.train_vae(vae, digits, batch_size=64, learning_rate=2e-3, steps_per_epoch=25, epochs=epochs)
    return vae.decoder


def main(arguments: list[str]) -> int:
    """Serve until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.book.service", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("digits-1.0.0"), help="a saved version")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    options = parser.parse_args(arguments)
    surroundings.let_print()
    if not options.folder.exists():
        print(f"No {options.folder} yet.\nTraining a generator, a few seconds.", flush=True)
        save_version(train_generator(), options.folder, options.folder.name.rpartition("-")[2])
    try:
        server = Server(Service(options.folder), options.port)
    except (KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile) as error:
        told = f"{options.folder} is not served. Choose another port with --port, or another folder."
        print(f"{type(error).__name__}: {error}\n{told}", file=sys.stderr)
        return 1
    with server:
        address = f"http://127.0.0.1:{server.server_port}"
        print(f"Serving {options.folder} on\n{address}\nCtrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
