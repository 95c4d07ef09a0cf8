"""The folder that an export is written to, killed and interrupted at every point of its work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import is_sound
from peftsearch.core.files.disk import DiskRefuses
from peftsearch.export import target
from peftsearch.export.target import check_out, delete_left_over, written_whole
from tests.helpers.damage import files_of

SWAPS = [True, False]
"""Whether the file system can swap two names. Where it cannot, two renames take its place."""


@pytest.fixture(params=SWAPS, ids=["swapping", "renaming"], autouse=True)
def _swaps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(target, "exchange", lambda *_: False)


def write(out: Path, text: str) -> None:
    with written_whole(out, overwrite=True) as folder:
        (folder / "config.yaml").write_text(text)
        (folder / "tokenizer").mkdir()
        (folder / "tokenizer" / "vocab.txt").write_text(text * 1000)


def state(out: Path) -> str:
    """`absent`, or what the whole export in `out` holds."""
    if not out.exists() or not files_of(out):
        return "absent"
    assert is_sound(out), files_of(out)
    assert len(files_of(out)) == 3
    return (out / "config.yaml").read_text()


def beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path != out)


@pytest.mark.parametrize("place", ["out", "deep/er/out", "größe 模型", "[a]*?", "a-b", ".hidden"])
def test_new_then_replaced_and_nothing_beside_it(tmp_path: Path, place: str) -> None:
    out = tmp_path / place
    for text in ("one", "two", "three"):
        write(out, text)
        assert state(out) == text
        assert beside(out) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "one")
    assert state(tmp_path / "out") == "one"


def test_relative_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    for place in ("out", "./out/", "../out", "out/../other"):
        write(Path(place), place)
        assert state(Path(place).resolve()) == place


class Crash(BaseException):
    """Like a signal, it is no `Exception`."""


def crashing_at(point: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> list[str]:
    """Let the call number `point` of those that write or rename raise, before or after it has done its work."""
    calls: list[str] = []

    def wrap(name: str, real: Callable[..., object], after: bool) -> Callable[..., object]:
        def called(*args: object, **kwargs: object) -> object:
            calls.append(name)
            crash = len(calls) - 1 == point
            if crash and not after:
                raise error(name)
            done = real(*args, **kwargs)
            if crash:
                raise error(name)
            return done

        return called

    for name in ("rename", "replace", "write_text", "mkdir"):
        monkeypatch.setattr(Path, name, wrap(name, getattr(Path, name), after=False))
    monkeypatch.setattr(target, "exchange", wrap("exchange", target.exchange, after=False))
    monkeypatch.setattr(target, "seal", wrap("seal", target.seal, after=True))
    return calls


@pytest.mark.parametrize("error", [OSError, Crash])
@pytest.mark.parametrize("there", ["absent", "old"])
@pytest.mark.parametrize("point", range(12))
def test_an_error_at_any_point_leaves_the_target_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: int, there: str, error: type[BaseException]
) -> None:
    out = tmp_path / "out"
    if there == "old":
        write(out, "old")
    with monkeypatch.context() as patched:
        calls = crashing_at(point, patched, error)
        try:
            write(out, "new")
        except error:
            assert state(out) == there
        else:
            assert point >= len(calls) > 5, "each point was tried"
            assert state(out) == "new"
    assert beside(out) == []


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from peftsearch.export import target
    from tests.export.test_target import write

    out, left, events = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4:]
    if sys.argv[3] == "renaming":
        target.exchange = lambda *_: False

    def audit(event, args):
        global left
        if event in events and not str(args[0]).endswith((".py", ".pyc", ".so")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    write(out.with_name("first"), "to load every module")
    sys.addaudithook(audit)
    write(out, "new")
    left = -1
"""

TOUCHING = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym")
"""What Python says of itself before it touches a file, a folder or the swapping function."""


def killed(out: Path, point: int, how: str, events: tuple[str, ...] = TOUCHING) -> bool:
    """Write "new" in a process that is killed before the `point`th of these events; whether there were so many."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(out), str(point), how, *events]
    code = subprocess.run(command, timeout=60).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.fixture
def how(request: pytest.FixtureRequest) -> str:
    return "renaming" if "renaming" in request.node.name else "swapping"


@pytest.mark.parametrize("there", ["absent", "old"])
def test_a_kill_at_any_point_loses_nothing_and_the_next_export_leaves_nothing_behind(
    tmp_path: Path, how: str, there: str
) -> None:
    points = random.Random(how + there).sample(range(1, 32 if there == "old" else 20), 8)
    kills = 0
    for point in points:
        out = tmp_path / str(point) / "out"
        if there == "old":
            write(out, "old")
        kills += killed(out, point, how)
        if there == "old" and not out.exists():
            assert how == "renaming", "the target was lost"
            delete_left_over(out)
        assert state(out) in (there, "new"), point
        write(out, "again")
        assert state(out) == "again"
        assert beside(out) in ([], ["first"]), point
    assert kills > 4


def test_a_kill_between_two_renames_is_made_good_by_the_next_export_even_if_that_one_fails(
    tmp_path: Path, how: str
) -> None:
    out = tmp_path / "out"
    write(out, "old")
    was_killed = killed(out, 2, how, ("os.rename",))
    assert was_killed == (how == "renaming"), "a swap needs no second rename"
    assert state(out) == ("absent" if was_killed else "new")
    with pytest.raises(ValueError, match="no weights"), written_whole(out, overwrite=True):
        raise ValueError("no weights")
    assert state(out) == ("old" if was_killed else "new")
    assert beside(out) == ["first"]


def test_the_scratch_folder_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with written_whole(out, overwrite=True) as folder:
        (folder / "config.yaml").write_text("one")
        [scratch] = beside(out)
        code = f"from pathlib import Path; from tests.export.test_target import write; write(Path({str(out)!r}), 'two')"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert state(out) == "two"
        assert beside(out) == [scratch]
    assert (out / "config.yaml").read_text() == "one"
    assert beside(out) == []


@pytest.mark.parametrize(
    "name", [".out-notes", ".out-abcdefg", ".out-abcdefghi", ".other-abcdefgh", ".out-ABCDEFGH", ".out-abcd-fgh"]
)
def test_a_folder_with_another_name_is_not_taken_for_a_scratch_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "export").mkdir(parents=True)
    (tmp_path / name / "lock").touch()
    write(tmp_path / "out", "one")
    assert (tmp_path / name / "export").is_dir()


def test_a_folder_with_other_files_is_not_taken_for_a_scratch_folder(tmp_path: Path) -> None:
    (scratch := tmp_path / ".out-abcdefgh").mkdir()
    for name in ("lock", "thesis.txt"):
        (scratch / name).touch()
    write(tmp_path / "out", "one")
    assert files_of(scratch) == ["lock", "thesis.txt"]


def test_an_earlier_export_is_replaced_only_if_the_user_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "one")
    line = f"--out {out}: holds an earlier export; add --overwrite to replace it, or choose a new folder"
    with pytest.raises(UserError) as caught, written_whole(out):
        pytest.fail("the work begins although its result would be refused")
    assert str(caught.value) == line
    assert (state(out), beside(out)) == ("one", [])


def test_an_export_that_another_process_has_written_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = pytest.raises(UserError, match="holds an earlier export; add --overwrite")
    with refused, written_whole(out):
        write(out, "theirs")
    assert (state(out), beside(out)) == ("theirs", [])


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
@pytest.mark.parametrize("there", [False, True])
def test_everything_has_the_modes_of_the_umask(tmp_path: Path, umask: int, there: bool) -> None:
    import torch
    from safetensors.torch import save_file

    before = os.umask(umask)
    try:
        if there:
            write(tmp_path / "out", "old")
        with written_whole(tmp_path / "out", overwrite=True) as folder:
            (folder / "deep" / "er").mkdir(parents=True)
            save_file({"a": torch.zeros(3)}, folder / "deep" / "model.safetensors")
            (folder / "secret").touch(mode=0o600)  # as tempfile makes files
    finally:
        os.umask(before)
    found = {path: path.stat().st_mode & 0o777 for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]}
    assert len(found) == 6
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o777 & ~umask}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o666 & ~umask}


PLACES = [
    "mine.txt",
    "__pycache__/mine.txt",
    "tokenizer/mine.txt",
    "new/deep/mine.txt",
    ".hidden",
    "tokenizer/größe.txt",
    "mine/",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_users_file_anywhere_in_an_earlier_export_is_kept(tmp_path: Path, place: str) -> None:
    out = tmp_path / "out"
    write(out, "one")
    mine = out / place
    mine.parent.mkdir(parents=True, exist_ok=True)
    if place.endswith("/"):
        mine.mkdir()
    else:
        mine.write_text("years of work")
    before = files_of(out)
    with pytest.raises(UserError) as caught:
        write(out, "two")
    first = place.split("/")[0] if place.startswith(("new", "mine/")) else place
    assert str(caught.value) == f"--out {out}: holds other files ({first}); choose a new folder"
    assert (files_of(out), beside(out)) == (before, [])
    assert mine.exists()


def test_what_python_leaves_where_it_imports_a_module_of_an_export_is_not_the_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with written_whole(out) as folder:
        (folder / "module.py").touch()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", "import module"], cwd=out, env=environment, check=True)
    assert [path.suffix for path in (out / "__pycache__").iterdir()] == [".pyc"]
    write(out, "two")
    assert (state(out), beside(out)) == ("two", [])


def test_a_file_that_comes_while_the_export_is_written_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "one")
    with pytest.raises(UserError, match=r"holds other files \(mine\.txt\)"), written_whole(out, overwrite=True):
        (out / "mine.txt").write_text("years of work")
    assert (out / "mine.txt").read_text() == "years of work"
    assert beside(out) == []


def test_a_file_that_was_changed_since_is_the_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "one")
    (out / "config.yaml").write_text("my notes")
    with pytest.raises(UserError) as caught:
        write(out, "two")
    assert str(caught.value) == f"--out {out}: config.yaml is not as it was exported; choose a new folder"


def test_a_file_that_was_deleted_since_is_no_hindrance(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    (tmp_path / "out" / "config.yaml").unlink()
    write(tmp_path / "out", "two")
    assert state(tmp_path / "out") == "two"


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_text("mine")
    with pytest.raises(UserError) as caught:
        write(tmp_path / "out", "one")
    assert str(caught.value) == f"--out {tmp_path}/out: holds other files (config.yaml); choose a new folder"


def test_a_file_or_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link"):
        with pytest.raises(UserError) as caught:
            check_out(tmp_path / name)
        assert str(caught.value) == f"--out {tmp_path / name}: is not a folder; choose another"


@pytest.mark.parametrize("length", [246, 255, 256, 300, 5000])
def test_a_name_that_is_too_long_is_one_line(tmp_path: Path, length: int) -> None:
    with pytest.raises(DiskRefuses, match=r"File name too long; choose a shorter name"):
        write(tmp_path / ("n" * length), "one")
    assert list(tmp_path.iterdir()) == []
