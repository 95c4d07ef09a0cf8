"""Says what is wrong with a file that is no YAML in words that name the remedy, and points at the place to mend."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

KEY_AND_VALUE = re.compile(r"(?P<indent>\s*(?:- +)*)(?P<key>[\w.-]+): +(?P<value>\S.*)")
CLOSING = {"[": "]", "{": "}"}
LONGEST_LINE_SHOWN = 80

UNQUOTED = re.compile(
    r"cannot start any token|expected alphabetic or numeric|(mapping keys|sequence entries) are not allowed here|"
    r"expected a comment or a line break|expected <block end>|mapping values are not allowed here|the tag '![^!]"
)
"""What PyYAML says where a text contains or begins with a sign that means something in YAML."""


@dataclass(frozen=True)
class Advice:
    """A place in the file, both numbers from 0, and what to do there."""

    line: int
    column: int
    text: str


class Scene:
    """A place at which PyYAML gave up.

    Attributes:
        line: from 0, as `column`.
        opened: where the list, mapping or quote begins in which the place is; None if PyYAML names none.
    """

    def __init__(self, text: str, error: yaml.MarkedYAMLError, mark: yaml.Mark) -> None:
        self.text, self.lines = text, text.splitlines()
        self.line, self.column = mark.line, mark.column
        self.problem, self.context = error.problem or "", error.context or ""
        opened = error.context_mark
        self.opened = (opened.line, opened.column) if opened else None

    def line_at(self, number: int) -> str:
        return self.lines[number] if 0 <= number < len(self.lines) else ""

    def line_before(self) -> int:
        """The number of the last line before this one that holds anything but a comment; -1 if there is none."""
        above = range(self.line - 1, -1, -1)
        return next((n for n in above if re.match(r"\s*[^\s#]", self.lines[n])), -1)


def advice(text: str, error: yaml.MarkedYAMLError, mark: yaml.Mark) -> Advice:
    """What to tell the author of `text` about the error at `mark`: PyYAML's own words where nothing better is known."""
    scene = Scene(text, error, mark)
    found = (told for rule in RULES if (told := rule(scene)))
    return next(found, Advice(scene.line, scene.column, scene.problem))


def quoted(value: str) -> str:
    r"""A text in the quotes in which YAML reads it as it stands.

    >>> print(quoted("a: b"), quoted('C:\\data'), quoted('the "best"'))
    "a: b" 'C:\data' 'the "best"'
    """
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    single = "'" + value.replace("'", "''") + "'"
    return single if re.search(r'["\\]', value) else f'"{value}"'


def _with_quotes(line: str) -> str:
    """`KEY: VALUE` of a line with quotes around the value; only what to do where that would be long."""
    found = KEY_AND_VALUE.match(line)
    mended = f"{found['key']}: {quoted(_without_comment(found['value']))}" if found else ""
    return f"put the text in quotes, {mended}" if 0 < len(mended) <= LONGEST_LINE_SHOWN else "put the text in quotes"


def _without_comment(value: str) -> str:
    return re.sub(r"\s+#.*", "", value).rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _tab(scene: Scene) -> Advice | None:
    if "'\\t' that cannot start" not in scene.problem:
        return None
    where = "indent with spaces" if not scene.line_at(scene.line)[: scene.column].strip() else "use spaces"
    return Advice(scene.line, scene.column, f"a tab stands here, where YAML takes none; {where}")


def _odd_space(scene: Scene) -> Advice | None:
    """A blank that looks like a space and is none, which texts copied from a web page have."""
    for number in (scene.line, scene.line_before()):
        line = scene.line_at(number)
        odd = re.search(r"[^ \t\r\n]", line[: len(line) - len(line.lstrip())])
        if odd:
            told = f"a blank stands here that is no space (U+{ord(odd[0]):04X}); use spaces"
            return Advice(number, odd.start(), told)
    return None


def _open_quote(scene: Scene) -> Advice | None:
    """A quote without an end, or one that took the beginning of another for its end."""
    if scene.context == "while scanning a quoted scalar" and scene.opened:
        quote = scene.line_at(scene.opened[0])[scene.opened[1]]
        return Advice(*scene.opened, f"the quote ({quote}) that opens here is never closed; add another {quote}")
    for token in _quotes_until_here(scene):
        start, end = token.start_mark, token.end_mark
        if start.line < end.line == scene.line and end.column <= scene.column:
            told = f"the quote ({token.style}) that opens here closes only in line {end.line + 1}"
            return Advice(start.line, start.column, f"{told}; close it where its text ends")
    return None


def _quotes_until_here(scene: Scene) -> list[yaml.ScalarToken]:
    found: list[yaml.ScalarToken] = []
    try:
        for token in yaml.scan(scene.text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                found.append(token)
    except yaml.YAMLError:
        pass  # it is the error that is to be told, and what stands before it has been found
    return found


def _backslash(scene: Scene) -> Advice | None:
    if scene.context != "while scanning a double-quoted scalar":
        return None
    whole = KEY_AND_VALUE.match(scene.line_at(scene.line))
    told = "a backslash is special in double quotes; use single quotes"
    if whole and whole["value"][0] == '"':
        told += f", {whole['key']}: {quoted(_without_comment(whole['value']))}"
    return Advice(scene.line, scene.column - 1, told)


def _open_bracket(scene: Scene) -> Advice | None:
    """A list or mapping in brackets that is not closed, is closed by the wrong bracket, or lacks a comma."""
    expected = re.match(r"expected ',' or '([\]}])', but got '(.*)'", scene.problem)
    if not expected or not scene.opened:
        return None
    closing, got = expected[1], expected[2]
    opening = next(sign for sign, other in CLOSING.items() if other == closing)
    if got == "<stream end>":
        return Advice(*scene.opened, f"the {opening} that opens here is never closed; add {closing}")
    if scene.line > scene.opened[0]:
        told = f"the {opening} that opens here is not closed before line {scene.line + 1}"
        return Advice(*scene.opened, f"{told}; add {closing}, or the comma that is missing there")
    if got in CLOSING.values():
        told = f"this {got} does not close the {opening} of column {scene.opened[1] + 1}; write {closing} or remove it"
    elif got == ":":
        told = "a comma is missing before this, or text with a colon stands without quotes; mend one of them"
    else:
        told = f"a comma is missing here, or the {closing} of the {opening} in column {scene.opened[1] + 1}; add it"
    return Advice(scene.line, scene.column, told)


def _lone_bracket(scene: Scene) -> Advice | None:
    lone = re.match(r"expected <block end>, but found '([\]},])'", scene.problem)
    return (
        Advice(scene.line, scene.column, f"this {lone[1]} belongs to nothing that is open; remove it") if lone else None
    )


def _no_value(scene: Scene) -> Advice | None:
    """A line above this one that is no `KEY: VALUE`, so that YAML reads both lines as one text."""
    if scene.problem == "could not find expected ':'" and scene.opened:
        number = scene.opened[0]
    elif scene.problem == "mapping values are not allowed here" and not _is_in_value(scene):
        number = scene.line_before()
    else:
        return None
    line = scene.line_at(number)
    if re.fullmatch(r"\s*(- +)?[\w.-]+:[^\s:/].*", line):
        return Advice(number, line.index(":"), "a space is missing after this colon; add it")
    if re.fullmatch(r"\s*(- +)?[\w.-]+\s*=.*", line):
        return Advice(number, line.index("="), "a key is followed by a colon; write : in place of =")
    if ":" not in line:
        return Advice(number, _indent(line), "this line has no colon; write KEY: VALUE")
    return None


def _indentation(scene: Scene) -> Advice | None:
    line, above = scene.line_at(scene.line), scene.line_before()
    spaces = _indent(line)
    deeper = scene.problem == "mapping values are not allowed here" and not _is_in_value(scene)
    if deeper and above >= 0 and spaces > _indent(scene.line_at(above)):
        told = f"this line is indented further than line {above + 1}, which has a value already; indent both alike"
        return Advice(scene.line, spaces, told)
    starts = re.match(r"expected <block end>, but found '(<block \w+ start>|-)'", scene.problem)
    if starts and scene.column == spaces:
        told = f"no line above that could hold this one is indented by {spaces}; indent it like those it belongs with"
        return Advice(scene.line, spaces, told)
    return None


def _is_in_value(scene: Scene) -> bool:
    """Whether the place is in the value of its line's key."""
    line = scene.line_at(scene.line)
    return KEY_AND_VALUE.match(line) is not None and scene.column >= _value_at(line)


def _value_at(line: str) -> int:
    """The column at which the value of a line's key begins; the length of the line, if it has none."""
    found = KEY_AND_VALUE.match(line)
    return found.start("value") if found else len(line)


def _unquoted(scene: Scene) -> Advice | None:
    if not UNQUOTED.search(scene.problem) or not _is_in_value(scene):
        return None
    line = scene.line_at(scene.line)
    if scene.problem.startswith("mapping values"):
        why = "a text with a colon in it is no plain text in YAML"
    elif scene.problem.startswith("expected <block end>"):
        why = "the value of this key has ended before this"
    else:
        why = f"a text that begins with {line[_value_at(line)]} is no plain text in YAML"
    return Advice(scene.line, scene.column, f"{why}; {_with_quotes(line)}")


def _alias(scene: Scene) -> Advice | None:
    named = re.match(r"found undefined alias '(.*)'", scene.problem)
    if not named:
        return None
    told = f"no anchor &{named[1]} stands above; a text that begins with * must be in quotes"
    return Advice(scene.line, scene.column, told)


def _second_document(scene: Scene) -> Advice | None:
    if scene.problem != "but found another document":
        return None
    return Advice(scene.line, scene.column, "a second document begins here; a study file holds one, so keep one")


RULES: tuple[Callable[[Scene], Advice | None], ...] = (
    _tab,
    _odd_space,
    _open_quote,
    _backslash,
    _open_bracket,
    _lone_bracket,
    _no_value,
    _indentation,
    _unquoted,
    _alias,
    _second_document,
)
"""What is asked in turn; the first that knows the mistake tells it."""
