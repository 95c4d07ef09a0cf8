"""Uploads to a server that speaks like the hub: what arrives, what is refused, and that the token stays a secret."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import seal
from peftsearch.export.push import check_repository, push_export
from tests.helpers.hub import LARGE, TOKEN, Hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (out := tmp_path / "out" / "deep").mkdir(parents=True)
    (out.parent / "README.md").write_text("---\ntags:\n- lora\n---\n\n![front](front.png)\n", encoding="utf-8")
    (out.parent / "front.png").write_bytes(bytes(range(256)))
    (out / "model.safetensors").write_bytes(b"weights" * LARGE)
    seal(out.parent)
    return out.parent


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def line(folder: Path, why: str, repository: str = "ann/model") -> str:
    later = f"the classifier is in {folder}; to upload it later: hf upload {repository} {folder}"
    return f"--push {repository}: {why}; {later}"


def refused(folder: Path, repository: str = "ann/model") -> str:
    with pytest.raises(UserError) as caught:
        push_export(folder, repository)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("written", "private"), [("ann/model", True), ("model", False)])
def test_every_file_arrives_in_a_new_repository(folder: Path, hub: Hub, written: str, private: bool) -> None:
    assert push_export(folder, written, private=private) == f"{hub.endpoint}/ann/model"
    assert hub.files == {"ann/model": content(folder)}
    assert hub.private == {"ann/model": private or None}
    assert hub.messages == ["Upload a text classifier with peftsearch"]
    assert not any(TOKEN.encode() in found for found in content(folder).values())


def test_a_second_upload_is_a_commit_and_deletes_nothing(folder: Path, hub: Hub) -> None:
    push_export(folder, "ann/model")
    hub.files["ann/model"]["notes.md"] = b"Mine"
    (folder / "front.png").write_bytes(b"new")
    push_export(folder, "ann/model", private=True)
    assert hub.files["ann/model"] == {**content(folder), "notes.md": b"Mine"}
    assert hub.private == {"ann/model": None}, "an existing repository stays as public as it is"
    assert len(hub.messages) == 2


@pytest.mark.parametrize(
    "name", ["", "a/b/c", "ann/my model", "ann/..", "-x", "a--b", "ann/x.git", "https://huggingface.co/ann/x", "x" * 97]
)
def test_a_name_that_is_none(name: str, hub: Hub) -> None:
    with pytest.raises(UserError) as caught:
        check_repository(name)
    assert str(caught.value).endswith(
        ": is no name of a repository on the hub; write OWNER/NAME with letters, digits, single - and ., and _"
    )


def test_nobody_is_logged_in(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert refused(folder) == ("--push ann/model: nobody is logged in to the hub; run `hf auth login`, or set HF_TOKEN")


@pytest.mark.parametrize(
    ("part", "status", "why"),
    [
        ("create", 401, "the hub does not accept the token; make a new one at https://huggingface.co/settings/tokens"),
        ("create", 403, "the token may not write there; use one that may write to this account, or name another "
                        "repository"),
        ("preupload", 403, "the token may not write there; use one that may write to this account, or name another "
                           "repository"),
        ("create", 404, "the hub has no such account, or the token may not see it"),
        ("commit", 418, "the hub refuses it with status 418: No, for a reason of our own"),
        ("validate-yaml", 400, "the hub refuses it with status 400: No, for a reason of our own"),
        ("batch", 413, "the hub takes no file that large"),
    ],
)  # fmt: skip
def test_the_hub_refuses(folder: Path, hub: Hub, part: str, status: int, why: str) -> None:
    hub.refuse[part] = status
    before = content(folder)
    assert refused(folder) == line(folder, why)
    assert content(folder) == before


def test_no_network(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert refused(folder) == line(folder, "the hub cannot be reached")


def test_a_folder_that_is_no_export(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "photos").mkdir()
    assert refused(tmp_path / "photos") == (
        f"{tmp_path}/photos: is no exported classifier; make one with: peftsearch export --study NAME --out DIR"
    )
    assert hub.files == {}


CODE = "import sys; from peftsearch import push_export; print(push_export(sys.argv[1], 'ann/model'))"


@pytest.mark.parametrize("offline", ["0", "1"])
def test_the_hub_s_own_variables_say_where_and_whether(folder: Path, hub: Hub, offline: str) -> None:
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": offline}
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert TOKEN not in ran.stdout + ran.stderr
    if offline == "1":
        assert ran.stderr.strip().endswith(line(folder, "HF_HUB_OFFLINE is set, so that no hub is asked"))
        assert hub.files == {}
    else:
        assert (ran.stdout.strip(), hub.files) == (f"{hub.endpoint}/ann/model", {"ann/model": content(folder)})
