"""Checked YAML and TOML: a value of the right model, or all problems of the file at once.

Every problem has file, line and key path, what was found and what was expected.
"""

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from types import UnionType
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from capacity.document.contract import Fault
from capacity.document.notation import Document, Path, parse_toml, parse_yaml, to_yaml
from capacity.errors import InputError, Problem, did_you_mean

__all__ = ["Checks", "check_document", "read_text", "read_toml", "read_yaml", "to_yaml"]

# Suggestions cost a search over all names; beyond these many problems nobody reads them.
_MOST_SUGGESTIONS = 50

Checks = Callable[[Mapping[int, Any], Sequence[Any]], Iterable[Fault]]
"""Checks between the items of a list document: from the items that are sound by themselves (by their
place in the list) and all raw items, to faults whose path starts with the item's place."""


def read_yaml(path: FilePath | str, *, model: Any, name: str = "", **options: Any) -> Any:
    """Read and check a YAML file.

    Parameters
    ----------
    path
        The file.
    model
        A pydantic model for a mapping, or ``list[Model]`` for a list.
    name
        The file's name in messages; the path when empty.
    **options
        As for `check_document`.

    Returns
    -------
    Any
        The model's instance, or the list of instances.

    Raises
    ------
    InputError
        With all problems.
    """
    return check_document(read_text(path, name=name), model=model, where=name or str(path), **options)


def read_toml(path: FilePath | str, *, model: Any, name: str = "", **options: Any) -> Any:
    """Read and check a TOML file; as `read_yaml`."""
    text = read_text(path, name=name)
    return check_document(text, model=model, where=name or str(path), notation="toml", **options)


def read_text(path: FilePath | str, *, name: str = "") -> str:
    """Read a file as UTF-8, or say what stands in the way."""
    shown = name or str(path)
    try:
        content = FilePath(path).read_bytes()
    except FileNotFoundError:
        problem = Problem(shown, "no such file", "a file", "`capacity init DIR` makes a workspace with all of them")
        raise InputError(f"{shown} does not exist", problems=[problem]) from None
    except OSError as error:
        problem = Problem(shown, str(error.strerror), "a file that may be read")
        raise InputError(f"{shown} cannot be read", problems=[problem]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{content[error.start]:02x}"
        problem = Problem(f"{shown}:{line}", got, "text in UTF-8", "save the file as UTF-8")
        raise InputError(f"{shown} cannot be read as text", problems=[problem]) from None


def check_document(
    text: str,
    *,
    model: Any,
    where: str,
    notation: Literal["yaml", "toml"] = "yaml",
    context: Mapping[str, Any] | None = None,
    label: str = "name",
    checks: Checks | None = None,
) -> Any:
    """Check a text against a model and say everything that is wrong with it.

    Parameters
    ----------
    text
        The file's content.
    model
        A pydantic model for a mapping, or ``list[Model]`` for a list.
    where
        The file's name in messages.
    notation
        How the text is written.
    context
        What validators need, such as the workspace's ``zone``.
    label
        The key that names an item of a list in messages.
    checks
        Checks between the items of a list.

    Returns
    -------
    Any
        The model's instance, or the list of instances.

    Raises
    ------
    InputError
        With every problem of the file, in the order of its lines.

    Examples
    --------
    >>> from capacity.document.contract import Contract, Count
    >>> class Door(Contract):
    ...     width_mm: Count
    >>> check_document("width_mm: 900", model=Door, where="door.yaml")
    Door(width_mm=900)
    >>> check_document("widht_mm: -1", model=Door, where="door.yaml")
    Traceback (most recent call last):
    capacity.errors.InputError: door.yaml has 2 problems
      - door.yaml:1 width_mm: got nothing, expected this key with a value
      - door.yaml:1 widht_mm: got an unknown key, expected one of width_mm; did you mean 'width_mm'?
    """
    document = parse_toml(text, where=where) if notation == "toml" else parse_yaml(text, where=where)
    report = _Report(document, model, label)
    value = _check_list(report, context, checks) if _item_of(model) else _check_mapping(report, context)
    report.close()
    return value


class _Report:
    """Collects problems with their places."""

    def __init__(self, document: Document, model: Any, label: str) -> None:
        self.document = document
        self.model = model
        self._label = label
        self._found: list[tuple[int, Problem]] = [(_line_in(p.where), p) for p in document.problems]
        self._suggestions = 0

    def add(self, path: Path, got: str, expected: str, remedy: str = "") -> None:
        line = self.document.line_of(path)
        shown = self._shown(path)
        where = f"{self.document.where}:{line}" + (f" {shown}" if shown else "")
        self._found.append((line, Problem(where, got, expected, remedy)))

    def suggest(self, name: str, known: Iterable[str]) -> str:
        self._suggestions += 1
        return did_you_mean(name, known) if self._suggestions <= _MOST_SUGGESTIONS else ""

    def take(self, error: ValidationError, base: Path) -> set[str]:
        """Add a validation's errors; return the item's keys that they concern."""
        keys: set[str] = set()
        for detail in error.errors(include_url=False):
            loc = tuple(detail["loc"])
            keys.update(str(step) for step in loc[:1])
            path = (*base, *_real_path(loc, _at(self.document.value, base)))
            if detail["type"] == "faults":
                for fault in detail["ctx"]["faults"]:
                    self.add((*path, *fault.path), fault.got, fault.expected, fault.remedy)
            else:
                self._take_one(path, detail)
        return keys

    def close(self) -> None:
        if not self._found:
            return
        ordered = [problem for _, problem in sorted(self._found, key=lambda item: item[0])]
        unique = list(dict.fromkeys(ordered))
        count = f"{len(unique):,} problems" if len(unique) > 1 else "a problem"
        raise InputError(f"{self.document.where} has {count}", problems=unique)

    def _take_one(self, path: Path, detail: Any) -> None:
        got = _got(detail["input"])
        kind, context = detail["type"], detail.get("ctx", {})
        if kind == "missing":
            self.add(path, "nothing", "this key with a value")
        elif kind == "extra_forbidden":
            known = _known_keys(self.model, path)
            shown = f"one of {', '.join(known)}" if known else "no such key"
            self.add(path, "an unknown key", shown, self.suggest(str(path[-1]), known))
        elif kind == "literal_error":
            options = str(context["expected"])
            remedy = self.suggest(str(detail["input"]), [part.strip("'") for part in _options(options)])
            self.add(path, got, f"one of {options}", remedy)
        elif kind == "expected":
            self.add(path, got, context["expected"], context["remedy"])
        else:
            self.add(path, got, _expected(kind, context, detail["msg"]), _remedy(kind, detail["input"]))

    def _shown(self, path: Path) -> str:
        steps: list[str] = []
        rest = path
        if path and isinstance(self.document.value, list) and isinstance(path[0], int):
            steps.append(_item_label(self.document.value, path[0], self._label))
            rest = path[1:]
        for step in rest:
            steps.append(f"[{step}]" if isinstance(step, int) else f".{step}" if steps else step)
        return "".join(steps)


def _check_mapping(report: _Report, context: Mapping[str, Any] | None) -> Any:
    value = report.document.value
    if value is None:
        report.add((), "an empty file", "a mapping (key: value)")
        return None
    try:
        return TypeAdapter(report.model).validate_python(value, context=dict(context or {}))
    except ValidationError as error:
        keys = report.take(error, ())
        _retry(report, report.model, value, keys, (), context)
        return None


def _check_list(report: _Report, context: Mapping[str, Any] | None, checks: Checks | None) -> list[Any]:
    raw = report.document.value
    if not isinstance(raw, list):
        got = "an empty file" if raw is None else _got(raw)
        remedy = "write [] for an empty list" if raw is None else "begin every item with '- '"
        report.add((), got, "a list", remedy)
        return []
    model = _item_of(report.model)
    adapter = TypeAdapter(model)
    sound: dict[int, Any] = {}
    given = dict(context or {})
    for place, item in enumerate(raw):
        try:
            sound[place] = adapter.validate_python(item, context=given)
        except ValidationError as error:
            keys = report.take(error, (place,))
            rescued = _retry(report, model, item, keys, (place,), context)
            if rescued is not None:
                sound[place] = rescued
    for fault in checks(sound, raw) if checks else ():
        report.add(*fault)
    return list(sound.values())


def _retry(
    report: _Report, model: Any, value: Any, keys: set[str], base: Path, context: Mapping[str, Any] | None
) -> Any:
    """Check again without the keys already reported, so that what else is wrong is said as well."""
    if not isinstance(value, dict) or not keys & value.keys():
        return None
    rest = {key: item for key, item in value.items() if key not in keys}
    try:
        return TypeAdapter(model).validate_python(rest, context=dict(context or {}))
    except ValidationError as error:
        # Without a required key nothing more can be said; its absence here is not the file's.
        if not any(detail["type"] == "missing" for detail in error.errors(include_url=False)):
            report.take(error, base)
        return None


_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_too_short": "some text",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} items",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(**context)
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def _remedy(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, (int, float)):
        return "put it in quotes"
    if kind in {"int_type", "float_type", "bool_type"} and isinstance(value, str):
        return "write it without quotes and without a unit"
    return ""


def _got(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**18:
        return f"{float(value):g}" if abs(value) < 10**300 else "a number of more than 300 digits"
    return repr(value)


def _real_path(loc: Path, value: Any) -> Path:
    """Drop the steps that pydantic adds for its own types, keeping the last, which may be missing."""
    steps: list[str | int] = []
    for place, step in enumerate(loc):
        inside = _at(value, (step,))
        if inside is not _NOTHING or place == len(loc) - 1:
            steps.append(step)
            value = inside
    return tuple(steps)


_NOTHING = object()


def _at(value: Any, path: Path) -> Any:
    for step in path:
        inside = isinstance(value, dict) and step in value
        if not inside and isinstance(value, (list, tuple)) and isinstance(step, int):
            inside = 0 <= step < len(value)
        if not inside:
            return _NOTHING
        value = value[step]
    return value


def _item_of(model: Any) -> Any:
    return typing.get_args(model)[0] if typing.get_origin(model) is list else None


def _known_keys(model: Any, path: Path) -> list[str]:
    """Find the keys of the model that holds the path's last step."""
    kind = model
    for step in path[:-1]:
        kind = _step_into(_model_of(kind), step)
    kind = _model_of(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _step_into(kind: Any, step: str | int) -> Any:
    if isinstance(step, int):
        arguments = typing.get_args(kind)
        return arguments[0] if arguments else None
    if isinstance(kind, type) and issubclass(kind, BaseModel) and step in kind.model_fields:
        return kind.model_fields[step].annotation
    arguments = typing.get_args(kind)
    return arguments[1] if typing.get_origin(kind) is dict else None


def _model_of(kind: Any) -> Any:
    if typing.get_origin(kind) in {UnionType, typing.Union}:
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _options(text: str) -> list[str]:
    return text.replace(" or ", ", ").split(", ")


def _item_label(items: Sequence[Any], place: int, label: str) -> str:
    item = items[place] if place < len(items) else None
    name = item.get(label) if isinstance(item, dict) else None
    return name if isinstance(name, str) and name else f"[{place}]"


def _line_in(where: str) -> int:
    _, _, line = where.partition(":")
    digits = line.split(" ", 1)[0]
    return int(digits) if digits.isdigit() else 0
