"""Buckets: S3 by a server on loopback, Google Cloud Storage by a fake of its client."""

from __future__ import annotations

import sqlite3
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from safetensors.numpy import load_file

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import is_sound
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.results.checkpoints import fetched
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.artifacts.listed import read_place
from peftsearch.storage.artifacts.place import open_place
from tests.helpers.s3 import keys, s3, s3_server
from tests.helpers.stores import Machine, in_store, machine

__all__ = ["s3", "s3_server"]


def round_trip(tmp_path: Path, place: str) -> Machine:
    """Train on one machine, fetch on another one that was told no place, and train what takes the front over."""
    url = f"sqlite:///{tmp_path}/trials.db"
    there, here = machine(tmp_path, url, place, "there"), machine(tmp_path, url, None, "here")
    there.train(0.5, 0.8)
    for point, value in (("0@1", 0.5), ("0", 0.8)):
        found = fetched(here.study, open_stored("toy", url).trial(point), here.folder.weights)
        assert found == here.folder.weights / point
        assert is_sound(found)
        assert (load_file(found / TENSORS)["head.weight"] == np.float32(value)).all()
    there.train(0.9, seconds=0.5)
    assert in_store(here.study) == ["1"]
    return there


def test_weights_travel_through_s3_and_no_credentials_with_them(tmp_path: Path, s3: str) -> None:
    there = round_trip(tmp_path, f"{s3}/mine/toy")
    assert len(keys()) == 2, "the mark and the front"
    assert all(key.startswith("mine/toy/") for key in keys())
    place = read_place(there.study)
    assert place is not None
    assert place.name == "s3://weights/mine/toy"
    dump = "\n".join(sqlite3.connect(tmp_path / "trials.db").iterdump())
    assert "very-secret" not in dump
    assert "mine/toy" in dump


def test_what_is_uploaded_in_parts_arrives_whole_and_shows_signs_of_life(s3: str) -> None:
    store, steps = open_place(s3), list[int]()
    store.step = lambda: steps.append(1)
    content = np.random.default_rng(0).bytes(20 << 20)
    store.write("large", BytesIO(content))
    with store.open_reader("large") as reader:
        assert reader.read() == content
    assert len(steps) >= 3
    store.remove("large")
    store.remove("large")
    with pytest.raises(ArtifactNotFound):
        store.open_reader("large")


@pytest.mark.parametrize(
    ("place", "variable", "value", "why"),
    [
        ("s3://nowhere-at-all", "AWS_PROFILE_", "", "An error occurred (NoSuchBucket) when calling the"),
        ("s3://weights", "AWS_ENDPOINT_URL", "http://127.0.0.1:9", "Could not connect to the endpoint URL"),
        ("s3://weights", "AWS_PROFILE", "absent", "The config profile (absent) could not be found"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch, place: str, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError) as caught:
        machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", place)
    said = str(caught.value)
    assert said.startswith(f"--artifacts {place}: cannot be used (")
    assert why in said
    assert said.endswith("); check it, or keep weights on each machine alone with --artifacts none")
    assert "\n" not in said


class Bucket:
    """What `GCSArtifactStore` asks of a bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: dict[str, bytes] = {}

    def blob(self, name: str) -> Any:
        return type("Blob", (), {"upload_from_string": lambda _, data: self.held.__setitem__(name, data)})()

    def get_blob(self, name: str) -> Any:
        found = self.held.get(name)
        return None if found is None else type("Blob", (), {"download_as_bytes": lambda _: found})()

    def delete_blob(self, name: str) -> None:
        del self.held[name]


def test_weights_travel_through_google_cloud_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna.artifacts
    from optuna.artifacts import _gcs

    bucket = Bucket("mine")
    client = type("Client", (), {"bucket": lambda _, name: bucket})()
    real = optuna.artifacts.GCSArtifactStore
    monkeypatch.setattr(_gcs._imports, "check", lambda: None)
    monkeypatch.setattr(optuna.artifacts, "GCSArtifactStore", lambda name: real(name, client))
    round_trip(tmp_path, "gs://mine/toy")
    assert len(bucket.held) == 2
    assert all(name.startswith("toy/") for name in bucket.held)
