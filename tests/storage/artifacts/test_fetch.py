"""A checkpoint that another machine has trained is brought here whole, or not at all."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from safetensors.numpy import load_file

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import checksum, is_sound, seal
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


def test_what_was_said_of_each_row_is_not_taken_from_a_damaged_file(here: Machine, shared: Path) -> None:
    file = file_of(shared, here, "0@2")
    content = bytearray(file.read_bytes())
    content[content.rindex(b"predictions.npz") + 512 + 60] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        predictions_of(here.study, record(here, "0"), here.folder)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"the weights of trial 0 in {shared} are damaged (predictions.npz); ")


def test_weights_that_are_damaged_here_are_brought_again(here: Machine) -> None:
    found = fetch(here, "0@1")
    assert found is not None
    (found / TENSORS).write_bytes(b"x" * 700)
    (found / "checksums.json").unlink()
    assert fetch(here, "0@1") == found
    assert is_sound(found)
    assert (load_file(found / TENSORS)["head.weight"] == np.float32(0.5)).all()


def test_what_a_killed_process_has_left_half_brought_is_deleted_after_a_day(here: Machine) -> None:
    """A machine that trains nothing sweeps nothing."""
    for name, hours in ((".0@1-old", 25), (".0@1-new", 1), (".0@2-another", 25)):
        left = here.folder.weights / name
        left.mkdir(parents=True)
        (left / TENSORS).write_bytes(b"half")
        os.utime(left, (time.time() - 3600 * hours,) * 2)
    fetch(here, "0@1")
    assert sorted(path.name for path in here.folder.weights.iterdir()) == [".0@1-new", ".0@2-another", "0@1"]


def test_a_checkpoint_of_an_earlier_version_which_has_no_checksums_travels(tmp_path: Path, shared: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    old = machine(tmp_path, url, None, "old")
    old.train(0.5)
    (old.folder.weights / "0" / "checksums.json").unlink()
    there = machine(tmp_path, url, shared, "old")
    assert there.shelf is not None
    there.shelf.sweep()
    here = machine(tmp_path, url, None, "here")
    trial = open_stored("toy", url).trial("0")
    found = fetched(here.study, trial, here.folder.weights)  # type: ignore[arg-type]
    assert found is not None
    assert (load_file(found / TENSORS)["head.weight"] == np.float32(0.5)).all()


def changed(content: bytes, draw: Random) -> bytes:
    """An archive with something in it cut out, doubled, moved, overwritten or flipped."""
    place, other = sorted(draw.randrange(len(content)) for _ in range(2))
    header = 512 * draw.randrange(len(content) // 512)
    sizes = [b"77777777777\0", b"\x80" + draw.randbytes(11), b"00000000000\0"]
    return draw.choice(
        [
            content[:place] + content[other:],
            content[:other] + content[place:],
            content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :],
            content[:header] + draw.randbytes(512) + content[header + 512 :],
            content[:header] + content[header + 512 :],
            content[: header + 156] + draw.choice([b"x", b"g", b"L", b"S", b"1", b"2"]) + content[header + 157 :],
            content[: header + 124] + draw.choice(sizes) + content[header + 136 :],
        ]
    )


def test_whatever_is_done_to_an_archive_it_is_whole_or_refused_in_one_line(here: Machine, shared: Path) -> None:
    file, draw, said, trial = file_of(shared, here, "0@1"), Random(0), [], record(here, "0@1")
    content = file.read_bytes()
    for _ in range(300):
        file.write_bytes(changed(content, draw))
        try:
            found = fetched(here.study, trial, here.folder.weights)  # type: ignore[arg-type]
        except UserError as error:
            said.append(str(error))
            assert not here.folder.weights.exists() or list(here.folder.weights.iterdir()) == []
        else:  # what was changed is the padding, say
            assert found is not None
            assert (load_file(found / TENSORS)["head.weight"] == np.float32(0.5)).all()
            shutil.rmtree(found)
    assert len(said) > 100
    pattern = re.compile(r"the weights of trial 0, epoch 1 in \S+ are damaged \(.*\); to train the trial again: .*")
    assert [line for line in said if not pattern.fullmatch(line)] == []


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


LINKS = {
    "link": tarfile.SYMTYPE,
    "hard-link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
    "sparse": tarfile.GNUTYPE_SPARSE,
}
"""Kinds of members of an archive that no checkpoint has."""


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "a/b", "..", ".", "", ".hidden", "a\\b", "nul\0l", "ä", "line\nbreak", "x" * 300, *LINKS],
)  # fmt: skip
def test_no_path_leaves_the_folder(here: Machine, shared: Path, name: str) -> None:
    with tarfile.open(file_of(shared, here, "0@1"), "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        if name in LINKS:
            info.type, info.linkname, info.size = LINKS[name], "/etc/passwd", 0
        archive.addfile(info, io.BytesIO(b"x"))
    assert refused(here, "0@1").startswith(f"the weights of trial 0, epoch 1 in {shared} are damaged (")


def test_a_name_that_comes_twice_is_refused(here: Machine, shared: Path) -> None:
    with tarfile.open(file_of(shared, here, "0@1"), "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("trial.json"))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 in {shared} are damaged (it names 'trial.json'); {AGAIN}"
    )


def test_an_archive_holds_no_more_than_its_bytes(here: Machine, shared: Path) -> None:
    """A file with holes may say that it is a terabyte, and be written as one."""
    info = tarfile.TarInfo("trial.json")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    holes = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
    info.size = len(holes)
    with tarfile.open(file_of(shared, here, "0@1"), "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(holes))
    assert refused(here, "0@1").startswith(f"the weights of trial 0, epoch 1 in {shared} are damaged (it names ")


@pytest.mark.parametrize("named", ["../../../victim", "/victim", "more.txt"])
def test_the_checksums_name_the_files_of_the_archive_and_no_others(
    here: Machine, there: Machine, shared: Path, tmp_path: Path, named: str
) -> None:
    """The times of the files that they name are set."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    os.utime(victim, ns=(1, 1))
    checkpoint = there.folder.weights / "0@1"
    sums = json.loads((checkpoint / "checksums.json").read_text())
    name = named.replace("/victim", str(victim)) if named.startswith("/") else named
    sums["files"][name] = [checksum(victim), 1, 2_000_000_000]
    (checkpoint / "checksums.json").write_text(json.dumps(sums))
    content = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    with tarfile.open(file_of(shared, here, "0@1"), "w") as archive:
        for one, data in content.items():
            info = tarfile.TarInfo(one)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 in {shared} are damaged (its files are not those of its checksums); {AGAIN}"
    )
    assert victim.stat().st_mtime_ns == 1


def test_what_is_not_there_any_more(
    here: Machine, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(shared, here, "0@1").unlink()
    assert refused(here, "0@1") == f"the weights of trial 0, epoch 1 are not in {shared} any more; {AGAIN}"
    for left in shared.iterdir():
        left.unlink()
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 were put into {shared}, which is not that place on this machine, or was"
        f" emptied; mount it, or name the path that it has here by PEFTSEARCH_ARTIFACTS; {AGAIN}"
    )
    monkeypatch.setenv("PEFTSEARCH_ARTIFACTS", str(tmp_path / "unmounted"))
    assert refused(here, "0@1") == (
        f"the weights of trial 0, epoch 1 were put into {shared}, which is not {tmp_path}/unmounted on this machine;"
        f" mount it, or name the path that it has here by PEFTSEARCH_ARTIFACTS; {AGAIN}"
    )
