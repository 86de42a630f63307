"""Files of a training's state: whole at any moment, refused by name before anything is set, and cured as they say."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from tensorflow.python.framework import ops

from helpers import checkpoints, models, networks, training

MADE_WITH = {"code": "a"}


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, list[keras.Variable]]:
    """A file with a state, the one before beside it, and the variables, which have moved on."""
    file, variables = tmp_path / "state.npz", [keras.Variable(np.zeros(3, "float32")), keras.Variable(0)]
    for number in (1, 2):
        set_all(variables, number)
        training.save_state(file, MADE_WITH, variables, seconds=float(number))
    set_all(variables, 9)
    return file, variables


def set_all(variables: list[keras.Variable], value: int) -> None:
    for variable in variables:
        variable.assign(np.full(variable.shape, value))


def read_all(variables: list[keras.Variable]) -> set[float]:
    return {float(value) for variable in variables for value in variable.numpy().ravel()}


def name_beside(file: Path, end: str) -> Path:
    return file.with_name(f"{file.name}.{end}")


def restore(file: Path, variables: list[keras.Variable]) -> float | None:
    """The seconds that a state holds."""
    stored = training.restore_state(file, MADE_WITH, variables)
    return stored and float(stored["seconds"])


def test_a_state_comes_back(kept) -> None:
    file, variables = kept
    assert restore(file, variables) == 2.0
    assert read_all(variables) == {2.0}
    assert restore(name_beside(file, "previous"), variables) == 1.0
    assert restore(file.with_name("missing.npz"), variables) is None
    assert sorted(one.name for one in file.parent.iterdir()) == ["state.npz", "state.npz.previous"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_for_a_state_that_is_cut_off_the_one_before_is_taken(kept, share: float) -> None:
    file, variables = kept
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole)) + (share > 0.0)])
    if share == 0.001:
        file.write_bytes(b"PK")
    with pytest.warns(UserWarning, match=r"state\.npz is no whole checkpoint .* goes on from the state before"):
        assert restore(file, variables) == 1.0
    assert read_all(variables) == {1.0}
    training.save_state(file, MADE_WITH, variables, seconds=3.0)
    assert restore(file, variables) == 3.0
    assert restore(name_beside(file, "previous"), variables) == 1.0  # and not the one that was cut off


def test_a_changed_byte_is_noticed(kept) -> None:
    file, variables = kept
    content = bytearray(file.read_bytes())
    content[content.index(np.float32(2.0).tobytes())] ^= 1  # in the values of the first variable
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="no whole checkpoint .*CRC"):
        assert restore(file, variables) == 1.0


def test_a_state_that_would_unpack_to_more_than_it_holds_is_not_unpacked(kept) -> None:
    file, variables = kept
    np.savez_compressed(file, variable_0=np.zeros(10_000, np.float32), made_with=json.dumps(MADE_WITH))
    with pytest.warns(UserWarning, match=r"state\.npz is no whole checkpoint \(it claims more bytes than it holds\)"):
        assert restore(file, variables) == 1.0


def test_two_states_that_are_cut_off_are_refused_and_the_advice_cures(kept) -> None:
    file, variables = kept
    for one in (file, name_beside(file, "previous")):
        one.write_bytes(one.read_bytes()[:200])
    with pytest.raises(training.CheckpointError, match=r"state\.npz is no whole checkpoint .* delete it to begin anew"):
        restore(file, variables)
    assert read_all(variables) == {9.0}
    file.unlink()
    assert restore(file, variables) is None


def write_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


FOREIGN = {
    "picture": lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500)),
    "text": lambda file: file.write_text("accuracy,loss\n1,2\n"),
    "weights": lambda file: file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)),
    "table": lambda file: file.write_bytes(bytes(500)),
    "samples": lambda file: np.savez(file, images=np.zeros((4, 28, 28), np.uint8)),
    "archive": lambda file: zipfile.ZipFile(file, "w").writestr("made_with", "{}"),
    "no JSON": lambda file: np.savez(file, variable_0=np.zeros(3, np.float32), made_with="{"),
    "pickles": lambda file: np.savez(file, variable_0=np.array([{}]), made_with="{}"),
    "folder": write_folder,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_checkpoint_is_refused_and_left_alone(kept, kind: str) -> None:
    """Though the state before lies beside it: somebody has put the file there."""
    file, variables = kept
    FOREIGN[kind](file)
    content = file.read_bytes() if file.is_file() else None
    with pytest.raises(training.CheckpointError, match=rf"{file.name} .*give another path, or move that file away"):
        restore(file, variables)
    assert (file.read_bytes() if file.is_file() else None) == content
    assert read_all(variables) == {9.0}
    file.rename(file.with_name("away"))
    assert restore(file, variables) is None


@pytest.mark.parametrize(
    ("name", "array", "complaint"),
    [
        ("variable_1", None, r"holds nothing for .*, this training has int32 \(\)"),
        ("variable_1", np.zeros((), np.int64), r"holds int64 \(\) for .*, this training has int32 \(\)"),
        ("variable_1", np.zeros((1,), np.int32), r"holds int32 \(1,\) for"),
        ("variable_0", np.zeros(4, np.float32), r"holds float32 \(4,\) for .*, this training has float32 \(3,\)"),
        ("variable_0", np.zeros(3, ">f4"), r"holds >f4 \(3,\) for"),
        ("variable_2", np.zeros(3, np.float32), "holds variable_2, for which this training has no variables"),
        ("made_with", np.array(json.dumps({"code": "b"})), "was made with code = b, this training has a"),
    ],
)
def test_arrays_of_another_training_are_refused_before_any_is_set(kept, name: str, array, complaint: str) -> None:
    file, variables = kept
    with np.load(file) as stored:
        arrays = {**stored, name: array}
    np.savez(file, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(training.CheckpointError, match=complaint):
        restore(file, variables)
    assert read_all(variables) == {9.0}


# Where a save comes to a stop


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_leaves_the_last_state_and_the_advice_cures(kept) -> None:
    file, variables = kept
    name_beside(file, "unfinished").symlink_to("/dev/full")
    with pytest.raises(training.CheckpointError, match=r"\(No space left on device\); the last state stays as it was"):
        training.save_state(file, MADE_WITH, variables, seconds=3.0)
    assert [restore(one, variables) for one in (file, name_beside(file, "previous"))] == [2.0, 1.0]
    training.save_state(file, MADE_WITH, variables, seconds=3.0)  # with room again: what was half written is gone
    assert restore(file, variables) == 3.0


def test_a_place_that_cannot_be_written_to_is_named(kept) -> None:
    file, variables = kept
    for place in (file / "inside a file.npz", Path("/proc/nowhere/state.npz")):
        with pytest.raises(training.CheckpointError, match=r"cannot be written \(.*\); no state was kept before"):
            training.save_state(place, MADE_WITH, variables)


def test_a_save_that_stopped_between_its_renames_is_ended(kept) -> None:
    file, variables = kept
    file.replace(name_beside(file, "unfinished"))
    assert restore(file, variables) == 2.0
    assert file.exists()


def test_what_a_stopped_save_has_left_does_not_come_back(kept) -> None:
    file, variables = kept
    unfinished = name_beside(file, "unfinished")
    unfinished.write_bytes(name_beside(file, "previous").read_bytes())
    assert restore(file, variables) == 2.0
    file.unlink()  # to begin anew
    assert restore(file, variables) is None
    unfinished.write_bytes(b"PK half of a first state")
    assert restore(file, variables) is None


# What a checkpoint adds


def build() -> models.VAE:
    vae = models.VAE(networks.build_dense_encoder(2, (4,)), networks.build_dense_decoder(2, (4,)))
    vae.compile(keras.optimizers.SGD(1e-4))
    return vae


def fit(vae: models.VAE, checkpoint: training.Checkpoint, epochs: int = 1) -> None:
    vae.fit(np.zeros((4, 28, 28, 1), np.float32), epochs=epochs, callbacks=[checkpoint], verbose=0)


def test_progress_that_no_training_makes_is_refused_before_anything_is_set(tmp_path: Path) -> None:
    file = tmp_path / "training.npz"
    fit(build(), training.Checkpoint(file))
    with np.load(file) as stored:
        arrays = dict(stored)
    vae = build()
    before = [variable.numpy() for variable in vae.variables]
    for name, value in (
        ("epochs", None),
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", [1, 2]),
        ("epochs", "one"),
        ("history", "[1]"),
        ("history", '{"loss": 1}'),
        ("history", '{"loss": [1, 2]}'),
        ("history", "{"),
        ("seconds", np.nan),
        ("extra", 1),
    ):
        changed = {**arrays, name: value}
        np.savez(file, **{key: one for key, one in changed.items() if one is not None})
        with pytest.raises(training.CheckpointError, match=r"training\.npz is not as a training keeps it"):
            fit(vae, training.Checkpoint(file), epochs=2)
    for old, variable in zip(before, vae.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_what_cannot_be_kept_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for every in (0, -1, 1.5, "all"):
        with pytest.raises(training.CheckpointError, match=f"every is {every!r}, expected a whole number, 1 or more"):
            training.Checkpoint(tmp_path / "training.npz", every=every)
    monkeypatch.setattr(models.VAE, "train_step", None)
    with pytest.raises(training.CheckpointError, match="give Checkpoint numbers"):
        fit(build(), training.Checkpoint(tmp_path / "training.npz", images=np.zeros(3)))
    (tmp_path / "file").touch()
    with pytest.raises(training.CheckpointError, match="cannot be written"):
        fit(build(), training.Checkpoint(tmp_path / "file" / "training.npz"))


def test_each_epoch_is_kept_unless_asked_otherwise(tmp_path: Path) -> None:
    assert training.Checkpoint(tmp_path / "training.npz").every == 1


def test_what_tensorflow_keeps_of_a_training_is_let_go_of_at_its_end(tmp_path: Path) -> None:
    """The gradients of operations that have one of their own, by names that begin so."""
    registry = ops.gradient_registry._registry

    def count() -> int:
        return sum(name.startswith("CustomGradient-") for name in registry)

    before, seen = count(), []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(count()))
    for callback in (training.FirstStep(), training.Checkpoint(tmp_path / "training.npz")):
        vae = build()
        vae.fit(np.zeros((8, 28, 28, 1), np.float32), epochs=1, callbacks=[callback, watch], verbose=0)
        assert callback.model is None
    assert min(seen) > before
    assert count() == before


def test_writing_takes_a_hundredth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock on which an epoch takes a second and a save 8 milliseconds, then 24."""
    now, written = [0.0], []

    def save(*given: object, epochs: int, **more: object) -> None:
        now[0] += 0.008 if epochs <= 5 else 0.024
        written.append(epochs)

    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoints, "save_state", save)
    checkpoint = training.Checkpoint(tmp_path / "training.npz", every=None)
    checkpoint.config, checkpoint.variables, checkpoint.history = {}, [], {}
    checkpoint.set_params({"epochs": 12})
    checkpoint.set_model(SimpleNamespace(stop_training=False))
    for epoch in range(12):
        now[0] += 1.0
        checkpoint.on_epoch_end(epoch)
    assert written == [1, 2, 3, 4, 5, 6, 9, 12]  # the last in any case
