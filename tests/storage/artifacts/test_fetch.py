"""A checkpoint that another machine has trained is brought here whole, or not at all."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import is_sound, seal
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.results.checkpoints import fetched, predictions_of, where_weights_are
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.artifacts.archive import packed
from peftsearch.storage.artifacts.listed import artifacts_of
from tests.helpers.stores import Machine, machine


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def there(tmp_path: Path, shared: Path) -> Machine:
    """A machine that has trained a trial whose best epoch is its second one."""
    made = machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", shared, "there")
    made.train(0.5, 0.8, 0.7)
    return made


@pytest.fixture
def here(tmp_path: Path, there: Machine, shared: Path) -> Machine:
    return machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", None, "here")


def file_of(shared: Path, here: Machine, point: str) -> Path:
    [artifact] = [one for one in artifacts_of(here.study) if str(one.point) == point]
    return shared / artifact.id


def record(here: Machine, point: str) -> object:
    url = f"sqlite:///{here.folder.root.parents[2]}/trials.db"
    return open_stored("toy", url).trial(point)


def fetch(here: Machine, point: str) -> Path | None:
    return fetched(here.study, record(here, point), here.folder.weights)  # type: ignore[arg-type]


def refused(here: Machine, point: str) -> str:
    with pytest.raises(UserError) as caught:
        fetch(here, point)
    assert not here.folder.weights.exists() or list(here.folder.weights.iterdir()) == []
    return str(caught.value)


def test_an_epoch_and_a_whole_trial_are_brought_with_all_that_they_are(here: Machine, there: Machine) -> None:
    for point, folder, value in (("0@1", "0@1", 0.5), ("0", "0@2", 0.8)):
        found = fetch(here, point)
        assert found == here.folder.weights / folder
        assert is_sound(found)
        assert (load_file(found / TENSORS)["head.weight"] == np.float32(value)).all()
        for file in (there.folder.weights / folder).iterdir():
            assert (found / file.name).read_bytes() == file.read_bytes()
            assert (found / file.name).stat().st_mtime_ns == file.stat().st_mtime_ns or file.name == "checksums.json"
    assert sorted(path.name for path in here.folder.weights.iterdir()) == ["0@1", "0@2"]


def test_what_was_said_of_each_row_is_brought_without_the_weights(here: Machine, shared: Path) -> None:
    archive = file_of(shared, here, "0@2")
    content = archive.read_bytes()
    archive.write_bytes(content[: content.rindex(TENSORS.encode())])  # the tensors are not read
    found = predictions_of(here.study, record(here, "0"), here.folder)  # type: ignore[arg-type]
    assert found is not None
    assert (found.logits == np.float32(0.8)).all()
    assert not here.folder.weights.exists()
    archive.unlink()
    again = predictions_of(here.study, record(here, "0"), here.folder)  # type: ignore[arg-type]
    assert again is not None, "it is here now"


def test_where_weights_are_is_said_without_bringing_them(here: Machine, there: Machine, shared: Path) -> None:
    found = record(here, "0@1")
    said = where_weights_are(here.study, found, here.folder.weights)  # type: ignore[arg-type]
    assert said == f"in {shared}, from where export brings them"
    assert not here.folder.weights.exists()
    own = where_weights_are(there.study, found, there.folder.weights)  # type: ignore[arg-type]
    assert own == str(there.folder.weights / "0@1")


AGAIN = "to train the trial again: peftsearch export --study toy --trial 0@1 --retrain --out DIR"


@pytest.mark.parametrize("end", [10, 700, "in the tensors", "before the tensors"])
def test_half_a_file_is_never_taken_for_whole(here: Machine, shared: Path, end: int | str) -> None:
    file = file_of(shared, here, "0@1")
    content = file.read_bytes()
    tensors = content.rindex(TENSORS.encode())
    cut = end if isinstance(end, int) else tensors + 700 * (end == "in the tensors")
    file.write_bytes(content[:cut])
    assert refused(here, "0@1").startswith(f"the weights of trial 0, epoch 1 in {shared} are damaged (")


def test_a_flipped_bit_is_said(here: Machine, shared: Path) -> None:
    file = file_of(shared, here, "0@1")
    content = bytearray(file.read_bytes())
    content[content.rindex(TENSORS.encode()) + 800] ^= 1
    file.write_bytes(content)
    said = refused(here, "0@1")
    assert said == f"the weights of trial 0, epoch 1 in {shared} are damaged ({TENSORS}); {AGAIN}"


def test_another_configuration_than_the_storage_s_is_refused(here: Machine, there: Machine, shared: Path) -> None:
    """Whoever may write to the place may not choose what is loaded: a configuration may name code."""
    checkpoint = there.folder.weights / "0@1"
    about = json.loads((checkpoint / "trial.json").read_text())
    about["config"]["backbone"], about["config"]["trust_remote_code"] = "evil", True
    (checkpoint / "trial.json").write_text(json.dumps(about))
    seal(checkpoint)
    with packed(checkpoint) as archive:
        shutil.copy(archive, file_of(shared, here, "0@1"))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 in {shared} are damaged (they are those of another configuration); {AGAIN}"
    )


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", "..", "link"])
def test_no_path_leaves_the_folder(here: Machine, shared: Path, name: str) -> None:
    with tarfile.open(file_of(shared, here, "0@1"), "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        if name == "link":
            info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
        archive.addfile(info, io.BytesIO(b"x"))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 in {shared} are damaged (it names {name!r}); {AGAIN}"
    )


def test_what_is_not_there_any_more(
    here: Machine, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(shared, here, "0@1").unlink()
    assert refused(here, "0@1") == f"the weights of trial 0, epoch 1 are not in {shared} any more; {AGAIN}"
    monkeypatch.setenv("PEFTSEARCH_ARTIFACTS", str(tmp_path / "unmounted"))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 were put into {shared}, which is not {tmp_path}/unmounted on this machine;"
        f" mount it, or name the path that it has here by PEFTSEARCH_ARTIFACTS; {AGAIN}"
    )
