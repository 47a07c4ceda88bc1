"""YAML and TOML text as plain values, with the line of every key kept.

YAML is read with the core schema of YAML 1.2, as most programs outside Python do: ``8.0e6`` is a
number, ``on`` and ``no`` are text, a date stays text, keys are always text, and a key written twice
is a problem instead of a silent loss.

References
----------
YAML 1.2.2, section 10.3 (core schema), https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from capacity.errors import InputError, Problem

_DEEPEST = 50
_MOST_EXPANDED = 1_000_000
_LONGEST_NUMBER = 4000
_NUMBER_STARTS = frozenset("+-.0123456789")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: its value, where each part of it stands, and what the notation itself got wrong.

    Parameters
    ----------
    value
        Dictionaries, lists and scalars.
    where
        The file's name in messages.
    problems
        What is wrong with the notation: keys written twice, tags, complex keys.
    line_of
        From a key path to its line (1 is the first); of a missing key, the line of what should hold it.
    """

    value: Any
    where: str
    problems: tuple[Problem, ...]
    line_of: Callable[[Path], int]


def parse_yaml(text: str, *, where: str) -> Document:
    """Read one YAML document.

    Parameters
    ----------
    text
        The file's content.
    where
        The file's name in messages.

    Returns
    -------
    Document
        With ``value=None`` for an empty file.

    Raises
    ------
    InputError
        If the text is not YAML; with line and column.

    Examples
    --------
    >>> parse_yaml("{dau: 8.0e6, switch: on, day: 2026-11-11}", where="a.yaml").value
    {'dau': 8000000.0, 'switch': 'on', 'day': '2026-11-11'}
    """
    builder = _YamlBuilder(where)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, where) from None
    except yaml.reader.ReaderError as error:
        problem = Problem(where, f"the character {error.character!r}", "printable text", "remove it")
        raise InputError(f"{where} cannot be read as YAML", problems=[problem]) from None
    return Document(builder.root, where, tuple(builder.problems), builder.line_of)


def _not_yaml(error: yaml.MarkedYAMLError, text: str, where: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    column = f", column {mark.column + 1}" if mark else ""
    written = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    remedy = "indent with spaces, not tabs" if "\t" in written[: mark.column + 1 if mark else 0] else ""
    if "mapping values" in str(error.problem):
        remedy = "put text that contains ': ' in quotes, and check the indentation"
    context = f" {error.context}" if error.context else ""
    problem = Problem(f"{where}{line}", f"{error.problem}{column}", f"valid YAML{context}", remedy)
    return InputError(f"{where} cannot be read as YAML", problems=[problem])


@dataclass(slots=True)
class _Open:
    """A mapping or list that is still being read."""

    is_mapping: bool
    value: Any  # dict[str, Any] or list[Any]
    lines: Any  # dict[str, int] or list[int], of the value's keys or items
    line: int
    anchor: str | None
    size: int = 1
    key: str | None = None
    skipping: bool = False


@dataclass
class _YamlBuilder:
    """Builds values from parser events; iterative, so that deep nesting cannot overflow the stack."""

    where: str
    root: Any = None
    problems: list[Problem] = field(default_factory=list)
    _root_line: int = 1
    _documents: int = 0
    _stack: list[_Open] = field(default_factory=list)
    _lines: dict[int, dict[str, int] | list[int]] = field(default_factory=dict)
    _anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    # Values that are dropped (second of a double key) must outlive the table of lines keyed by id.
    _kept: list[Any] = field(default_factory=list)

    def take(self, event: yaml.Event) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open(event, mapping=kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._problem(_line(event), "a second document after '---'", "one document a file")

    def line_of(self, path: Path) -> int:
        value, line = self.root, self._root_line
        for step in path:
            lines = self._lines.get(id(value))
            if isinstance(value, dict) and isinstance(lines, dict) and step in value:
                line = lines[str(step)]
                value = value[str(step)]
            elif isinstance(value, list) and isinstance(lines, list) and _within(step, value):
                line = lines[int(step)]
                value = value[int(step)]
            else:
                break
        return line

    def _scalar(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.is_mapping and top.key is None:
            self._key(top, event.value, _line(event))
            return
        self._remember(event.anchor, value := self._resolve(event), 1)
        self._add(value, _line(event), 1)

    def _resolve(self, event: Any) -> Any:
        tag = event.tag
        if tag is None:
            return resolve_scalar(event.value) if event.implicit[0] else event.value
        if tag not in {"!", "tag:yaml.org,2002:str"}:
            self._problem(_line(event), f"the tag {tag!r}", "a plain value", "remove the tag")
        return event.value

    def _key(self, top: _Open, key: str, line: int) -> None:
        top.key, top.skipping = key, key in top.value
        if top.skipping:
            first = top.lines[key]
            self._problem(line, f"the key {key!r} again", "each key once", f"it stands in line {first} already")
        else:
            top.lines[key] = line

    def _open(self, event: Any, *, mapping: bool) -> None:
        top = self._stack[-1] if self._stack else None
        line = _line(event)
        if len(self._stack) >= _DEEPEST:
            problem = Problem(f"{self.where}:{line}", f"more than {_DEEPEST} levels of nesting", "a flat file")
            raise InputError(f"{self.where} cannot be read", problems=[problem])
        if event.tag is not None and event.tag != "!":
            self._problem(line, f"the tag {event.tag!r}", "a plain value", "remove the tag")
        if top is not None and top.is_mapping and top.key is None:
            self._problem(line, "a list or mapping as a key", "text as a key")
            top.key, top.skipping = f"?{line}", False
            top.lines[top.key] = line
            # The complex key's own content becomes an entry of its own that a check then rejects.
        made: tuple[Any, Any] = ({}, {}) if mapping else ([], [])
        self._stack.append(_Open(mapping, *made, line, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        self._lines[id(done.value)] = done.lines
        self._kept.append(done.value)
        self._remember(done.anchor, done.value, done.size)
        self._add(done.value, done.line, done.size)

    def _alias(self, event: Any) -> None:
        line = _line(event)
        if event.anchor not in self._anchors:
            problem = Problem(f"{self.where}:{line}", f"*{event.anchor}", f"an anchor &{event.anchor} completed above")
            raise InputError(f"{self.where} cannot be read as YAML", problems=[problem])
        value, size = self._anchors[event.anchor]
        top = self._stack[-1] if self._stack else None
        if top is not None and top.is_mapping and top.key is None:
            self._problem(line, "an alias as a key", "text as a key")
            self._key(top, f"*{event.anchor}", line)
            return
        self._add(value, line, size)
        if top is not None and top.size > _MOST_EXPANDED:
            expected = f"at most {_MOST_EXPANDED:,} values"
            problem = Problem(f"{self.where}:{line}", "aliases that multiply each other", expected)
            raise InputError(f"{self.where} cannot be read", problems=[problem])

    def _remember(self, anchor: str | None, value: Any, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)

    def _add(self, value: Any, line: int, size: int) -> None:
        if not self._stack:
            if self._documents <= 1:
                self.root, self._root_line = value, line
            return
        top = self._stack[-1]
        top.size += size
        if top.is_mapping:
            if top.key is not None and not top.skipping:
                top.value[top.key] = value
            top.key = None
        else:
            top.value.append(value)
            top.lines.append(line)

    def _problem(self, line: int, got: str, expected: str, remedy: str = "") -> None:
        self.problems.append(Problem(f"{self.where}:{line}", got, expected, remedy))


def resolve_scalar(text: str) -> Any:
    """Give a plain (unquoted) YAML scalar its value by the core schema.

    Examples
    --------
    >>> [resolve_scalar(text) for text in ("8.0e6", "on", "0o17", "017", "~", "1_000", ".inf")]
    [8000000.0, 'on', 15, 17, None, '1_000', inf]
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > _LONGEST_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text):
        return float(
            text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan")
        )
    return text


def _float(text: str) -> float:
    named = text.lower().lstrip("+-")
    if named in {".inf", ".nan"}:
        return float(text.lower().replace(".", ""))
    return float(text)


class _CoreDumper(yaml.SafeDumper):
    """Quotes text exactly where the core schema would read it as something else."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own protocol

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


for _tag, _pattern, _starts in (
    ("null", "~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INT.pattern, [*"-+0123456789"]),
    ("float", _FLOAT.pattern, [*"-+.0123456789"]),
):
    _CoreDumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _starts)


def to_yaml(value: Any) -> str:
    """Write plain values as YAML that `parse_yaml` reads back as the same values.

    Parameters
    ----------
    value
        Dictionaries with text keys, lists, text, numbers, booleans, ``None``.

    Returns
    -------
    str
        Block style, keys in their given order, ending in a line break.

    Examples
    --------
    >>> print(to_yaml([{"name": "off", "version": "1.10", "qps": 5000.0}]), end="")
    - name: off
      version: '1.10'
      qps: 5000.0
    """
    return yaml.dump(value, Dumper=_CoreDumper, sort_keys=False, allow_unicode=True, width=100)


def parse_toml(text: str, *, where: str) -> Document:
    """Read a TOML document; as `parse_yaml`.

    Examples
    --------
    >>> parse_toml("[risk]", where="capacity.toml").line_of(("risk",))
    1
    """
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r"\(at line (\d+), column (\d+)\)", message)
        line = f":{found.group(1)}" if found else ""
        problem = Problem(where + line, message, "valid TOML", 'text stands in double quotes, as in key = "value"')
        raise InputError(f"{where} cannot be read as TOML", problems=[problem]) from None
    lines = _toml_lines(text)

    def line_of(path: Path) -> int:
        for length in range(len(path), 0, -1):
            line = lines.get(".".join(str(step) for step in path[:length]))
            if line is not None:
                return line
        return 1

    return Document(value, where, (), line_of)


def _toml_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = re.sub(r"[\"'\s]", "", header.group(1))
            lines.setdefault(table, number)
        elif key:
            name = re.sub(r"[\"']", "", key.group(1))
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _within(step: str | int, value: list[Any]) -> bool:
    return isinstance(step, int) and 0 <= step < len(value)
