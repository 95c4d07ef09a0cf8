"""Which place is taken for a study's, and what is refused before anything is trained."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from optuna.study import Study

from peftsearch.core.errors import UserError
from peftsearch.storage.artifacts.listed import read_place
from peftsearch.storage.artifacts.place import Store
from peftsearch.storage.artifacts.settle import place_of, settle
from peftsearch.storage.database import open_study


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTSEARCH_ARTIFACTS", raising=False)


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "toy", ["macro_f1"])


def refused(study: Study, place: str | None) -> str:
    with pytest.raises(UserError) as caught:
        settle(study, place)
    return str(caught.value)


def test_weights_stay_on_each_machine_unless_a_place_is_named(study: Study) -> None:
    assert settle(study) is None
    assert place_of(study) is None
    assert dict(study.user_attrs) == {}


def test_the_study_remembers_its_place_and_a_variable_comes_before_that(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settle(study, "kept") == str(tmp_path / "kept")
    assert settle(study) == place_of(study) == str(tmp_path / "kept")
    (tmp_path / "mounted").symlink_to(tmp_path / "kept")
    monkeypatch.setenv("PEFTSEARCH_ARTIFACTS", str(tmp_path / "mounted"))
    assert place_of(study) == str(tmp_path / "mounted")
    assert settle(study) == str(tmp_path / "mounted")
    assert settle(study, f"file://{tmp_path}/kept") == str(tmp_path / "kept"), "what is given comes first"
    assert len(list((tmp_path / "kept").iterdir())) == 1, "the mark, and no probe"
    assert settle(study, "none") is None
    assert read_place(study) is None


def test_a_folder_that_is_not_the_study_s_is_refused(study: Study, tmp_path: Path) -> None:
    settle(study, str(tmp_path / "kept"))
    other, ways = (
        str(tmp_path / "other"),
        "mount or restore that place, name it by the path that it has here, or keep weights on each machine alone with"
        " --artifacts none",
    )
    assert refused(study, other) == (
        f"--artifacts {other}: does not hold the weights of 'toy', which were put into {tmp_path}/kept; {ways}"
    )
    assert not Path(other).exists()
    (tmp_path / "kept").rename(tmp_path / "moved")
    assert refused(study, None) == f"--artifacts {tmp_path}/kept: the weights of 'toy' are not there any more; {ways}"
    assert settle(study, str(tmp_path / "moved")) == place_of(study) == str(tmp_path / "moved")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        *((place, "give a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER") for place in (
            "ftp://host/x", "S3://bucket/x", " s3://bucket/x", "s3:/bucket/x", "s3:bucket", "gcs://bucket", "file:x",
            "http:/host", "file://host/x", "x/y://z",
        )),
        ("s3:///x", "is not the URL of a bucket, as in s3://BUCKET/FOLDER; credentials and the address of a server "
                    "belong into the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"),
        ("s3://b/x?endpoint=1", "is not the URL of a bucket, as in s3://BUCKET/FOLDER; credentials and the address of "
                                "a server belong into the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"),
    ],
)  # fmt: skip
def test_what_is_no_place(study: Study, place: str, why: str) -> None:
    said = place.replace("endpoint=1", "endpoint=***")
    assert refused(study, place) == f"--artifacts {said!r}: {why}"


def test_credentials_in_a_url_are_refused_and_not_shown(study: Study) -> None:
    said = refused(study, "s3://key:secret@bucket/x")
    assert said.startswith("--artifacts 's3://key:***@bucket/x': is not the URL of a bucket")
    assert dict(study.user_attrs) == {}


@pytest.mark.parametrize("scheme", ["s3", "S3", "gs", "https", "minio+http", " s3", "s3\n", "a b s3"])
@pytest.mark.parametrize("rest", ["key:s3cret@bucket", "key:s3cret@host:9000/b/x", "b?secret=s3cret", "b/x#s3cret"])
def test_however_credentials_are_written_they_are_neither_kept_nor_shown(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, rest: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for slashes in ("//", "/", "") if "@" in rest else ("//",):
        if slashes == "//" or scheme in ("s3", "S3", "gs", "https"):
            assert "s3cret" not in refused(study, f"{scheme}:{slashes}{rest}")
    assert dict(study.user_attrs) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["with space", "Gewichte für ünïcödé 模型 🙂", "a" * 200, "per%cent", "quote'\"$(x)", "new\nline", "~nobody-here"],
)
def test_a_folder_may_have_any_name(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert settle(study, name) == str(tmp_path / name)
    assert len(list((tmp_path / name).iterdir())) == 1
    assert settle(study, f"file://{quote(str(tmp_path / name))}") == str(tmp_path / name)
    assert settle(study) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a" * 300, "file", "file/below", "nul\0", "loop"])
def test_what_cannot_be_a_folder_is_refused_in_one_line(study: Study, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    said = refused(study, str(tmp_path / name))
    assert said.endswith("); check it, or keep weights on each machine alone with --artifacts none")
    assert "\n" not in said
    assert dict(study.user_attrs) == {}


@pytest.mark.parametrize(("scheme", "module", "extra"), [("s3", "boto3", "s3"), ("gs", "google.cloud.storage", "gcs")])
def test_a_bucket_without_its_package(
    study: Study, monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if scheme == "gs":
        from optuna.artifacts import _gcs

        monkeypatch.setattr(_gcs._imports, "check", lambda: __import__(module, fromlist=["x"]))
    assert refused(study, f"{scheme}://bucket/x") == (
        f"--artifacts {scheme}://bucket/x: no package for it is installed; pip install 'peftsearch[{extra}]'"
    )


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="root may write everywhere")
def test_a_folder_that_cannot_be_made_is_refused(study: Study) -> None:
    assert refused(study, "/proc/nowhere") == (
        "--artifacts /proc/nowhere: cannot be used ([Errno 2] No such file or directory: '/proc/nowhere'); check it, or"
        " keep weights on each machine alone with --artifacts none"
    )
    assert dict(study.user_attrs) == {}


def test_a_place_that_takes_nothing_is_refused(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Store) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "check_writable", full)
    assert refused(study, str(tmp_path)) == (
        f"--artifacts {tmp_path}: cannot be used ([Errno 28] No space left on device); check it, or keep weights on"
        " each machine alone with --artifacts none"
    )
    assert dict(study.user_attrs) == {}
