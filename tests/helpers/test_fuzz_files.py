"""Files of chance: whatever a file holds, reading it ends in what it should hold or in words, and runs nothing.

Of each kind of file a good one is made. Seeded changes spoil its bytes, the members of its archive, its arrays or its
JSON. What would eat the memory is read in a process that may have little of it.
"""

import io
import json
import pickle
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from helpers import data, networks, scorecard, training
from helpers.book import bands, records, score_samples, service
from tests.odd_input import is_named, time_limit
from tests.soaking import Soak
from tools.notebook_files import ROOT

RESULTS = bands.find_results()
SHORT, LONG = 40, 1_000  # files of each kind
CLAIMED = 0xF0000000  # bytes that a bomb unpacks to: nearly as many as an archive of the old form can say
ROOM = 3 * 2**30  # bytes of address space that are left to the process that reads it
MOST_GROWN = 400_000  # kilobytes by which that may grow
SHORT_BOMBS = ("MNIST",)


class Kind(NamedTuple):
    """How a good file is written into an empty folder, which returns its path, and how it is read."""

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]


class Payload:
    """An object that leaves a file behind where its pickle is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple:
        return (open, (self.trace, "w"))


# The kinds


def write_mnist(folder: Path) -> Path:
    rng, file = np.random.default_rng(0), folder / "mnist.npz"
    arrays = {
        name: rng.integers(0, 256 if "x" in name else 10, (20, *shape[1:]), dtype=np.uint8)
        for name, shape in data.MNIST_SHAPES.items()
    }
    np.savez_compressed(file, **arrays)
    return file


def read_mnist(file: Path) -> None:
    arrays = data.read_mnist_file(str(file))
    assert set(arrays) == set(data.MNIST_SHAPES)
    with pytest.raises(data.MnistError):  # twenty images are never MNIST
        data.check_mnist(arrays, str(file))


def write_samples(folder: Path) -> Path:
    file = folder / "samples.npz"
    np.savez(file, images=np.random.default_rng(0).random((12, 28, 28), dtype=np.float32))
    return file


def read_samples(file: Path) -> None:
    images = score_samples.read_samples(file)
    assert images.dtype == np.float32
    assert images.shape[1:] == (28, 28, 1)
    assert not images.size or (images.min() >= 0.0 and images.max() <= 1.0)


def make_variables() -> list[keras.Variable]:
    return [keras.Variable(np.full(shape, 9.0, "float32"), name=f"v{len(shape)}") for shape in ((3, 2), (2,), ())]


MADE_WITH = {"code": {"layers": [3, 2]}, "seed": 0}


def write_state(folder: Path) -> Path:
    variables = make_variables()
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    training.save_state(folder / "state.npz", MADE_WITH, variables, epochs=3, history='{"loss": [1.0]}')
    return folder / "state.npz"


def read_state(file: Path) -> None:
    variables = make_variables()
    try:
        more = training.restore_state(file, MADE_WITH, variables)
    except ValueError:
        assert all((variable.numpy() == 9.0).all() for variable in variables)  # nothing was set
        raise
    assert isinstance(more, dict)
    assert not any((variable.numpy() == 9.0).all() for variable in variables)


def write_weights(folder: Path) -> Path:
    (folder / "weights").mkdir()
    file = folder / "weights" / "classifier_digits.npz"
    file.write_bytes((RESULTS / "weights" / file.name).read_bytes())
    return file


def read_weights(file: Path) -> None:
    network = scorecard.load_classifier(file.name)
    assert all(np.isfinite(weights).all() for weights in network.get_weights())


def write_record(folder: Path) -> Path:
    return _copy_json(folder, "full/diagnosis.json")


def read_record(file: Path) -> None:
    record = records.load(file.stem)
    assert all(np.isfinite(record.get(name)["value"]) for name in record.metrics)
    assert record.describe()


def write_bands(folder: Path) -> Path:
    file = _copy_json(folder, "bands/quick.json")
    stored = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({"vae": stored["vae"]}), encoding="utf-8")
    return file


def read_bands(file: Path) -> None:
    reference = bands.Reference("vae", "quick")
    reference.describe_bands()
    for name, entry in reference.metrics.items():
        band = reference.find_band(name, entry["worse"], entry["log"])
        assert band is None or band.low <= band.high


def _copy_json(folder: Path, name: str) -> Path:
    file = folder / name
    file.parent.mkdir()
    file.write_bytes((RESULTS / name).read_bytes())
    return file


def write_card(folder: Path) -> Path:
    place = folder / "digits-1.0.0"
    keras.utils.set_random_seed(0)
    service.save_version(networks.build_dense_decoder(2, (4,)), place, "1.0.0")
    return place / "card.json"


def write_generator(folder: Path) -> Path:
    return write_card(folder).with_name("generator.keras")


def read_version(file: Path) -> None:
    (answer,) = service.Service(file.parent).answer([{"count": 1, "seed": 0}])
    assert answer["images"].shape == (1, 28, 28, 1)


KINDS = {
    "MNIST": Kind(write_mnist, read_mnist),
    "samples": Kind(write_samples, read_samples),
    "checkpoint": Kind(write_state, read_state),
    "weights": Kind(write_weights, read_weights),
    "record": Kind(write_record, read_record),
    "bands": Kind(write_bands, read_bands),
    "card": Kind(write_card, read_version),
    "generator": Kind(write_generator, read_version),
}

# Changes of bytes

Change = Callable[[bytes, np.random.Generator, Path], bytes]


def flip(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), rng.integers(1, 9)):
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def flip_at_an_end(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """In the first or the last bytes, where headers and directories stand."""
    size = min(200, len(content) // 2)
    head, middle, tail = content[:size], content[size:-size], content[-size:]
    return flip(head, rng, trace) + middle + tail if rng.random() < 0.5 else head + middle + flip(tail, rng, trace)


def cut(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    return content[: rng.integers(len(content))]


def cut_out(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    start, end = sorted(rng.integers(0, len(content), 2))
    return content[:start] + content[end:]


def extend(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    more = rng.bytes(rng.integers(1, 500))
    return more + content if rng.random() < 0.5 else content + more


def repeat(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    return content * 2


def blank(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    start = rng.integers(len(content))
    size = rng.integers(1, 300)
    return content[:start] + bytes(size) + content[start + size :]


def replace(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """By something else altogether."""
    others = [b"", b"\0", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", b"<html>404</html>"]
    others += [
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b"\x89HDF\r\n\x1a\n" + bytes(99),
        rng.bytes(500),
        "é".encode("latin-1"),
    ]
    others += [
        pickle.dumps(Payload(trace)),
        zlib.compress(bytes(10**6)),
        b"[" * 100_000,
        b"null",
        b"[]",
        b"{}",
        b"1e999",
    ]
    others += [b'{"a":' * 50_000, b"NaN", b'"\xff\xfe"', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"-Infinity"]
    stream = io.BytesIO()
    np.save(stream, np.zeros((3, 28, 28)))
    others.append(stream.getvalue())
    others.append(make_array_header((2**40,), "<f8"))
    return others[rng.integers(len(others))]


BYTES: tuple[Change, ...] = (flip, flip_at_an_end, cut, cut_out, extend, repeat, blank, replace)

# Changes of an archive


def make_array_header(shape: tuple, kind: str) -> bytes:
    """The beginning of an array that is not there."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_2_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def read_members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def change_members(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """Members swapped, lost, doubled, renamed, spoiled inside, or put into folders above."""
    members = list(read_members(content).items())
    one, other = rng.integers(0, len(members), 2)
    (name, inside), (other_name, other_inside) = members[one], members[other]
    what = rng.integers(8)
    if what == 0:
        members[one], members[other] = (name, other_inside), (other_name, inside)
    elif what == 1:
        del members[one]
    elif what == 2:
        members.append((f"another{name}", inside))
    elif what == 3:
        members[one] = (f"../../{name}", inside)
    elif what == 4:
        members[one] = (name, (*BYTES[:4], blank, replace)[rng.integers(6)](inside or b"\0", rng, trace))
    elif what == 5:
        members[one] = (name.removesuffix(".npy"), inside)
    elif what == 6:
        members.clear()
    else:
        members[one] = (name, b"")
    return write_members(members)


def change_arrays(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """One array of another type, shape, range, or with objects; a header that claims more or less than there is."""
    members = read_members(content)
    names = [name for name in members if name.endswith(".npy")]
    if not names:
        return change_members(content, rng, trace)
    name = names[rng.integers(len(names))]
    array = np.load(io.BytesIO(members[name]))
    what = rng.integers(12)
    if what < 3:
        shape = [(2**40,), (-1,), (2**62, 2**62), (0,), (10**30,), (3, 28, 28), ()][rng.integers(7)]
        kinds = ["<f8", "|O", "<U9", "|V0", "<f4", "|u1"]
        members[name] = make_array_header(shape, kinds[rng.integers(6)]) + members[name][128:]
    else:
        payload = np.array([Payload(trace), None], object)
        with np.errstate(all="ignore"):
            numbers = array if array.dtype.kind in "biuf" else np.zeros(3)
            changed = [
                *(payload, array.astype(str), array.astype("S3"), numbers.astype(complex), numbers.astype(np.float16)),
                *(array.ravel(), array[..., None], array[:0] if array.ndim else array, numbers * np.float32(np.nan)),
                *(numbers.astype(float) * 1e300, np.zeros(3, [("a", "f4")]), numbers.astype("M8[s]"), numbers * -1.0),
                *(numbers > 0, numbers.astype(">f8"), np.asfortranarray(numbers), numbers.astype(np.longdouble)),
            ]
        stream = io.BytesIO()
        np.save(stream, changed[rng.integers(len(changed))], allow_pickle=True)
        members[name] = stream.getvalue()
    return write_members(list(members.items()))


def change_inner_json(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """The network that a file of Keras tells of, among others one that would run code."""
    members = read_members(content)
    if "config.json" not in members:
        return change_arrays(content, rng, trace)
    name = ("config.json", "metadata.json")[rng.random() < 0.2]
    if rng.random() < 0.3:
        config = json.loads(members["config.json"])
        layers = config["config"]["layers"]
        layers[rng.integers(len(layers))] = make_code(trace)[rng.integers(len(make_code(trace)))]
        members["config.json"] = json.dumps(config).encode()
    else:
        members[name] = change_json(members[name], rng, trace)
    return write_members(list(members.items()))


def make_code(trace: Path) -> list[dict]:
    """Layers that would write a file where they were believed."""
    command, code = f"touch {trace}", compile(f"open({str(trace)!r}, 'w')", "f", "eval").co_code
    packed = {"class_name": "__lambda__", "config": {"code": code.hex(), "defaults": None, "closure": None}}
    some = {"registered_name": None, "build_config": {"input_shape": [None, 2]}}
    return [
        {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "a", "function": packed}} | some,
        {"module": "os", "class_name": "system", "config": {"command": command}, "registered_name": None},
        {"module": "os", "class_name": "system", "config": command, "registered_name": "system"},
        {"module": "builtins", "class_name": "exec", "config": f"open({str(trace)!r}, 'w')", "registered_name": None},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", str(trace)]}} | some,
        {
            "module": "keras.utils",
            "class_name": "get_file",
            "config": {"fname": str(trace), "origin": "file:///dev/null"},
        },
    ]


# Changes of JSON


def find_places(value: Any, place: tuple = ()) -> list[tuple]:
    """The way to each part of a nested value."""
    found = [place]
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value[:20]):
            found += find_places(part, (*place, key))
    return found


ODD_JSON = [
    *(None, True, 0, -1, 1e308, 10**400, 2**40, 0.5, "", "text", "\ud800", [], {}, [[]], [None], {"a": 1}),
    *([1.0, "a"], [float("nan")], float("nan"), float("-inf"), [[1, 2], [3]], "x" * 10_000, 123456789),
]


def change_json(content: bytes, rng: np.random.Generator, trace: Path) -> bytes:
    """A part of it lost, renamed, or something else in its place."""
    value = json.loads(content)
    for _ in range(rng.integers(1, 3)):
        places = find_places(value)[1:]
        if not places:
            break
        *way, last = places[rng.integers(len(places))]
        parent = value
        for key in way:
            parent = parent[key]
        if rng.random() < 0.3:
            del parent[last]
        elif isinstance(parent, dict) and rng.random() < 0.2:
            parent[f"{last}s"] = parent.pop(last)
        else:
            parent[last] = ODD_JSON[rng.integers(len(ODD_JSON))]
    return json.dumps(value).encode()


# The trial


def spoil(content: bytes, rng: np.random.Generator, trace: Path) -> tuple[str, bytes]:
    """The name of a change, and a file's bytes after it."""
    inner: list[Change] = [change_json] * 8
    if content.startswith(b"PK"):
        inner = [change_members, change_arrays, change_arrays, change_inner_json, change_inner_json]
    changes = [*BYTES, *inner]
    change = changes[rng.integers(len(changes))]
    return change.__name__, change(content, rng, trace)


def try_file(kind: Kind, file: Path, content: bytes) -> str:
    """What is wrong with how reading it ended; empty where nothing is."""
    file.write_bytes(content)
    try:
        with time_limit():
            kind.read(file)
    except Exception as error:
        return "" if is_named(error) else f"{type(error).__name__}: {str(error)[:200]}"
    return ""


@pytest.fixture
def good(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Kind, Path]:
    """A kind, and a good file of it; the book looks for its own files in the same folder."""
    kind = KINDS[request.param]
    for module in (bands, records, scorecard):
        monkeypatch.setattr(module, "find_results", lambda: tmp_path)
    return kind, kind.write(tmp_path)


@pytest.mark.parametrize("good", KINDS, indirect=True)
def test_a_good_file_is_read(good: tuple[Kind, Path]) -> None:
    kind, file = good
    kind.read(file)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # of Keras and NumPy, before they fail on bytes of chance
@pytest.mark.parametrize("good", KINDS, indirect=True)
def test_a_file_of_chance_ends_in_words(good: tuple[Kind, Path], tmp_path: Path, soak: Soak) -> None:
    (kind, file), trace, wrong = good, tmp_path / "trace", {}
    content, count = file.read_bytes(), soak.choose(SHORT, LONG)
    for seed in range(count):
        change, changed = spoil(content, np.random.default_rng(seed), trace)
        if complaint := try_file(kind, file, changed):
            wrong[change, seed] = complaint
        assert not trace.exists(), f"{change}, {seed}: a file has run code"
    assert wrong == {}
    soak.tell("bad input ends in words", files_tried=count, kinds_of_files=1, silent_or_crashed=0)


# What would eat the memory

READ_BOMB = f"""
import json, resource, sys
from pathlib import Path
from tests.helpers import test_fuzz_files as fuzz
kind, folder, *files = sys.argv[1:]
for module in (fuzz.bands, fuzz.records, fuzz.scorecard):
    module.find_results = lambda: Path(folder)
fuzz.KINDS[kind].read(Path(files[0]))  # so that what reading takes in any case is there
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {ROOM},) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content, wrong = Path(files[0]).read_bytes(), {{}}
for bomb in files[1:]:
    complaint = fuzz.try_file(fuzz.KINDS[kind], Path(files[0]), Path(bomb).read_bytes())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if complaint or grown > {MOST_GROWN}:
        wrong[Path(bomb).name] = f"{{complaint}}, {{grown / 1e3:.0f}} MB more"
print(json.dumps(wrong))
"""


def make_zeros(name: str, header: bytes) -> bytes:
    """An archive of an array of zeros, a thousandth of its size: one packed block, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # as if it were not packed, which is then corrected
        archive.writestr(name, head + block * (CLAIMED // 2**24) + packer.flush())
    content = bytearray(stream.getvalue())
    for start, method in ((0, 8), (content.rindex(b"PK\x01\x02"), 10)):  # of the member, and in the directory
        content[start + method] = zipfile.ZIP_DEFLATED
        content[start + method + 14 : start + method + 18] = CLAIMED.to_bytes(4, "little")
    return bytes(content)


def write_bombs(name: str, content: bytes, folder: Path) -> list[Path]:
    """Small files that claim gigabytes, in the place of a good one with this content."""
    folder.mkdir()
    if not content.startswith(b"PK"):
        deep = {"brackets": b"[" * 10**6, "braces": b'{"a":' * 10**6, "a number": b"[1" + b"0" * 10**6 + b"]"}
        for kind, bomb in deep.items():
            (folder / kind).write_bytes(bomb)
        return sorted(folder.iterdir())
    members = read_members(content)
    first = next(iter(members))
    (folder / "zeros").write_bytes(make_zeros(first, make_array_header((CLAIMED - 128,), "|u1")))
    for gigabytes in (4, 2**20):  # a header that claims what is not there
        claims = make_array_header((gigabytes * 2**27,), "<f8")
        (folder / f"claims {gigabytes}").write_bytes(write_members([*members.items(), (first, claims)]))
        (folder / f"array {gigabytes}").write_bytes(claims)
    lies = bytearray(content)
    place = content.index(b"PK\x01\x02")  # the directory's entry, and in it the size unpacked
    lies[place + 24 : place + 28] = b"\xf0\xff\xff\xff"
    (folder / "lies").write_bytes(lies)
    if "config.json" in members:
        for units in (10**6, 10**12):
            changed = members | {"config.json": members["config.json"].replace(b'"units": 4', b'"units": %d' % units)}
            assert changed != members
            (folder / f"{units} units").write_bytes(write_members(list(changed.items())))
    return sorted(folder.iterdir())


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore::UserWarning:zipfile")  # of names that stand in an archive twice
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="how much memory a process has is asked of Linux")
@pytest.mark.parametrize("name", KINDS)
def test_a_small_file_that_claims_gigabytes_ends_in_words(name: str, tmp_path: Path, soak: Soak) -> None:
    if not soak.long and name not in SHORT_BOMBS:
        pytest.skip("a process for each kind: `make soak` tries them all")
    place = tmp_path / "good"
    place.mkdir()
    file = KINDS[name].write(place)
    bombs = write_bombs(name, file.read_bytes(), tmp_path / "bombs")
    assert max(bomb.stat().st_size for bomb in bombs) < 20e6
    command = [sys.executable, "-c", READ_BOMB, name, place, file, *bombs]
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {}
    soak.tell("bad input ends in words", files_that_claim_gigabytes=len(bombs))
