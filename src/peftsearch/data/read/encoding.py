"""Finds out how a file's bytes spell text. The whole file is looked at, and what had to be guessed is told."""

from __future__ import annotations

import codecs
import re

from peftsearch.core.errors import UserError

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
"""Byte order marks and their encodings. That of UTF-32 begins with that of UTF-16, so its place is before it."""

CANDIDATES = ["cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874",
              "koi8_r", "koi8_u", "cp866", "cp850", "iso8859_5", "mac_roman", "cp932", "euc_jp", "gb18030", "big5",
              "cp949"]  # fmt: skip
"""Encodings that tables are found in. Among all that Python knows the guess is often one that nobody uses."""

USUAL = "cp1252"
RARE = ("cp1250", "cp1257", "cp1258", "mac_roman")
"""Encodings that differ from the usual one in few letters. A guess at one is dropped if the usual one fits as well."""

SAMPLE = 200_000
"""Bytes of lines with letters outside ASCII on which a guess is based, taken evenly from the whole file."""

WINDOWS = "peftsearch-windows-1252"


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8, as an editor on Windows wrote them into the file."""
    assert isinstance(error, UnicodeDecodeError)
    if error.reason == "unexpected end of data":
        return "\ufffd", error.end
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(WINDOWS, _as_windows)


def decode(content: bytes, name: str, encoding: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text of a file.

    Args:
        name: what messages call the file.
        encoding: its encoding, if the study names it.

    Returns:
        The text, and a note if its encoding was guessed or some bytes did not fit.

    Raises:
        UserError: the bytes are no text in any encoding, or not in the one that is named.
    """
    if encoding:
        return _as_named(content, name, encoding), ()
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    codec = MARKS.get(mark) or (_without_mark(content, name) if b"\0" in content else "utf-8")
    if codec != "utf-8":
        return _wide(content, name, codec, guessed=not mark)
    content = content.removeprefix(mark)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return _not_quite_utf8(content, name, error, marked=bool(mark))
    escaped = _escaped_japanese(content)  # all of its bytes are ASCII
    return (escaped, (_guess_note(name, "iso2022_jp", escaped),)) if escaped else (text, ())


def _as_named(content: bytes, name: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"data.encoding: {name} is not in {encoding}: line {line} holds the byte 0x{content[error.start]:02x}; "
            "name another encoding, or leave the key out to have it found"
        ) from error


def _without_mark(content: bytes, name: str) -> str:
    """The encoding of UTF-16 or UTF-32 without a byte order mark: the one by which most characters are ASCII."""
    found: dict[str, int] = {}
    for codec, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = content[: len(content) // width * width].decode(codec, "replace")
        lines = "\n" in text or b"\n" not in content
        if "\0" not in text and lines and text.count("\ufffd") * 20 <= len(text):
            found[codec] = len(text.encode("ascii", "ignore"))
    if not any(found.values()):
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise UserError(
            f"data.source: {name} holds a NUL byte in line {line}: it is damaged, or no text; take such bytes out"
        )
    return max(found, key=lambda codec: found[codec])


def _wide(content: bytes, name: str, codec: str, guessed: bool) -> tuple[str, tuple[str, ...]]:
    text = content.decode(codec, "replace")
    notes = (_guess_note(name, codec, text),) if guessed else ()
    try:
        content.decode(codec)
    except UnicodeDecodeError as error:
        where = "ends within a character" if error.end >= len(content) else "holds a damaged character"
        notes = (*notes, f"{name} {where}; check that it is whole")
    return text, notes


def _not_quite_utf8(content: bytes, name: str, error: UnicodeDecodeError, marked: bool) -> tuple[str, tuple[str, ...]]:
    """A text that is mostly UTF-8, or else in an encoding that is guessed."""
    replaced = content.decode("utf-8", "replace")
    bad = replaced.count("\ufffd") - content.count(b"\xef\xbf\xbd")
    good = len(replaced) - len(replaced.encode("ascii", "ignore")) - bad
    cut = error.reason == "unexpected end of data"
    # Other encodings of many bytes a letter have at most a third as many sequences that are UTF-8 by chance.
    if not (marked or cut or good >= bad):
        return _guessed(content, name)
    text = content.decode("utf-8", WINDOWS)
    if cut:
        return text, (f"{name} ends within a character; check that it is whole",)
    line = content.count(b"\n", 0, error.start)
    said = f"{bad:,} {'byte' if bad == 1 else 'bytes'}, read as Windows-1252: line {line + 1} is"
    place = len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace"))
    return text, (f"{name} is UTF-8 but for {said} {_around(text.split(chr(10))[line], place)}",)


def _guessed(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    candidates = _candidates(content)
    for codec in candidates:
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        return text, (_guess_note(name, codec, text),)
    for codec in candidates[:1]:
        text = content.decode(codec, "replace")
        damaged = text.count("\ufffd")
        if damaged * 100 <= len(text) - len(text.encode("ascii", "ignore")):
            return text, (_guess_note(name, codec, text), f"{name} holds {damaged:,} bytes that {codec} does not have")
    raise UserError(
        f"data.source: {name} is in no encoding that can be told; name it as in data.encoding: cp1252, "
        "or convert the file to UTF-8"
    )


def _candidates(content: bytes) -> list[str]:
    """Encodings that may fit, the likeliest first."""
    from charset_normalizer import from_bytes

    lines = re.findall(rb"[^\n]*[\x80-\xff][^\n]*\n?", content)
    step = max(1, sum(map(len, lines)) // SAMPLE)
    sample = b"".join(lines[::step])
    japanese = {codec: share for codec in ("cp932", "euc_jp") if (share := _share_of_kana(sample, codec)) > 0.2}
    if japanese:  # these are often taken for Korean or Chinese
        return sorted(japanese, key=lambda codec: -japanese[codec])
    found = list(from_bytes(sample, cp_isolation=CANDIDATES, threshold=0.3))
    if found and found[0].encoding in RARE:
        found = [match for match in found if match.encoding == USUAL and match.chaos <= found[0].chaos + 0.05] + found
    return list(dict.fromkeys(match.encoding for match in found))


def _share_of_kana(sample: bytes, codec: str) -> float:
    """The share of Hiragana and Katakana among the characters outside ASCII, 0..1; 0 if the sample is not `codec`."""
    try:
        letters = [c for c in sample.decode(codec) if c > "\x7f"]
    except UnicodeDecodeError:
        return 0.0
    return sum("\u3041" <= c <= "\u30fe" for c in letters) / max(1, len(letters))


def _escaped_japanese(content: bytes) -> str | None:
    if b"\x1b$" not in content:
        return None
    try:
        return content.decode("iso2022_jp")
    except UnicodeDecodeError:
        return None


def _guess_note(name: str, codec: str, text: str) -> str:
    found = re.search(r"[^\W\d_a-zA-Z]", text)
    said = f"{name} is not UTF-8; read as {codec}, which is a guess (data.encoding overrides it)"
    if found is None:
        return said
    start = text.rfind("\n", 0, found.start()) + 1
    line = text[start : text.find("\n", start) % (len(text) + 1)]
    return f"{said}: line {text.count(chr(10), 0, start) + 1} is {_around(line, found.start() - start)}"


def _around(line: str, place: int) -> str:
    """The part of a line about a character, quoted."""
    start = max(0, place - 30)
    part = line[start : start + 60].strip()
    return repr(("…" if start else "") + part + ("…" if start + 60 < len(line) else ""))
