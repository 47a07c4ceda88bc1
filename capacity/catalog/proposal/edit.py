"""Changes to the text of ``services.yaml`` that leave every other character as it is.

A round trip through a YAML library keeps comments but moves indentation (33 lines of the sample's 265, with the
library's settings that suit it best), which no one could read as a difference. So values are replaced and lines added
at the places that the parser reports, and the result is read again and compared with what was meant.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from capacity.document import parse_yaml
from capacity.errors import InputError

Scalar = str | int | bool
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
# New keys stand after the last of these that the service has.
_AFTER = ("name", "tier", "owner", "instances", "zones")


@dataclass(frozen=True)
class Change:
    """What one service of the file, or a new one, should hold.

    Attributes
    ----------
    name
        The service.
    values
        Keys with their new values.
    calls
        Callees to add.
    remarks
        Comments behind the values of a new service, by key.
    """

    name: str
    values: Mapping[str, Scalar]
    calls: tuple[str, ...] = ()
    remarks: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


def edit_services(text: str, changes: Sequence[Change], *, where: str) -> str:
    r"""Write changes into the text of a catalogue.

    Parameters
    ----------
    text
        The file's content; a list of services.
    changes
        At most one a service; a name that the file lacks becomes a new service at its end.
    where
        The file's name in messages.

    Raises
    ------
    InputError
        If the file is written in a way that cannot be changed in place: anchors that several services share, say.

    Examples
    --------
    >>> text = "- name: cart  # since 2019\n  tier: core\n"
    >>> print(edit_services(text, [Change("cart", {"instances": 4}, ("stock",))], where="a.yaml"), end="")
    - name: cart  # since 2019
      tier: core
      instances: 4
      calls:
        - {to: stock}
    """
    before = parse_yaml(text, where=where).value or []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    nodes = {_scalar_of(node, "name"): node for node in root.value} if isinstance(root, yaml.SequenceNode) else {}
    newline = "\r\n" if "\r\n" in text else "\n"
    edits: list[_Edit] = []
    for change in changes:
        if change.name in nodes:
            edits += _edits(text, nodes[change.name], change)
    new = text
    # From the end, so that places stay; of two at one place the later first, so that they stand in order.
    for _, edit in sorted(enumerate(edits), key=lambda pair: (pair[1].start, pair[0]), reverse=True):
        new = new[: edit.start] + edit.text.replace("\n", newline) + new[edit.end :]
    fresh = [change for change in changes if change.name not in nodes]
    if fresh:
        new = _append(new, root, fresh, newline)
    if (parse_yaml(new, where=where).value or []) != _meant(before, changes):
        raise InputError(
            f"{where} is written in a way that cannot be changed in place",
            remedy="write anchors, aliases and folded text of the services concerned out, or make the change by hand",
        )
    return new


def scalar(value: Scalar) -> str:
    r"""Write a value as YAML, on one line, quoted where it would be read as something else.

    Examples
    --------
    >>> scalar("trade-team"), scalar("true"), scalar("2026.10"), scalar("a: b\n"), scalar(False)
    ('trade-team', '"true"', '"2026.10"', '"a: b\\n"', 'false')
    """
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and parse_yaml(value, where="").value == value:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _meant(before: Sequence[Any], changes: Sequence[Change]) -> list[Any]:
    """Return the file's value as it should be: the truth that the text is compared with."""
    after = [dict(one) for one in before]
    place = {one.get("name"): one for one in after}
    for change in changes:
        if change.name not in place:
            after.append({"name": change.name})
        one = place.get(change.name, after[-1])
        one.update(change.values)
        if change.calls:
            one["calls"] = [*(one.get("calls") or []), *({"to": to} for to in change.calls)]
    return after


def _pairs(node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): (key, value) for key, value in node.value}


def _scalar_of(node: yaml.Node, key: str) -> str | None:
    pair = _pairs(node).get(key)
    return str(pair[1].value) if pair is not None and isinstance(pair[1], yaml.ScalarNode) else None


def _edits(text: str, node: yaml.Node, change: Change) -> Iterator[_Edit]:
    pairs = _pairs(node)
    fresh = []
    for key, value in change.values.items():
        if key in pairs:
            old = pairs[key][1]
            yield _Edit(old.start_mark.index, old.end_mark.index, scalar(value))
        else:
            fresh.append((key, value))
    anchor = next(pairs[key][1] for key in reversed(_AFTER) if key in pairs)
    if fresh and _is_flow(node):
        end = anchor.end_mark.index
        yield _Edit(end, end, "".join(f", {key}: {scalar(value)}" for key, value in fresh))
    elif fresh:
        yield _lines_after(text, anchor, [f"{_indent(node)}{key}: {scalar(value)}" for key, value in fresh])
    if change.calls:
        yield _calls(text, node, pairs.get("calls"), change.calls)


def _calls(text: str, node: yaml.Node, pair: tuple[yaml.Node, yaml.Node] | None, calls: Sequence[str]) -> _Edit:
    written = [f"{{to: {scalar(to)}}}" for to in calls]
    value = None if pair is None else pair[1]
    if isinstance(value, yaml.SequenceNode):
        if not _is_flow(value):
            dash = " " * value.start_mark.column + "- "
            return _lines_after(text, value, [dash + one for one in written])
        end = value.end_mark.index - 1
        return _Edit(end, end, (", " if value.value else "") + ", ".join(written))
    if value is not None:  # calls: null
        return _Edit(value.start_mark.index, value.end_mark.index, f" [{', '.join(written)}]")
    if _is_flow(node):
        end = node.end_mark.index - 1
        return _Edit(end, end, f", calls: [{', '.join(written)}]")
    indent = _indent(node)
    return _lines_after(text, node, [f"{indent}calls:", *(f"{indent}  - {one}" for one in written)])


def _is_flow(node: yaml.Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _indent(node: yaml.Node) -> str:
    return " " * node.start_mark.column


def _last(node: yaml.Node) -> int:
    """Return where a node's text ends: a block's own mark stands behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not _is_flow(node) and node.value:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _lines_after(text: str, node: yaml.Node, lines: Sequence[str]) -> _Edit:
    end = _last(node)
    at = end - 1 if text[end - 1 : end] == "\n" else text.find("\n", end)
    at = len(text) if at < 0 else at
    at -= text[at - 1 : at] == "\r"
    return _Edit(at, at, "".join(f"\n{line}" for line in lines))


def _append(text: str, root: yaml.Node | None, fresh: Sequence[Change], newline: str) -> str:
    if root is not None and _is_flow(root) and getattr(root, "value", None):
        at = text.rindex("]")
        flow = ", ".join(_flow(change) for change in fresh)
        return f"{text[:at]}, {flow}{text[at:]}"
    if root is not None and _is_flow(root):
        text = text[: root.start_mark.index] + text[root.end_mark.index :]
    indent = " " * (root.start_mark.column if root is not None and not _is_flow(root) else 0)
    blocks = [newline.join(f"{indent}{line}" for line in _block(change)) for change in fresh]
    start = text if not text or text.endswith("\n") else text + newline
    gap = newline if start.strip() else ""
    return start + gap + (newline * 2).join(blocks) + newline


def _block(change: Change) -> Iterator[str]:
    yield f"- name: {scalar(change.name)}"
    for key, value in change.values.items():
        remark = (change.remarks or {}).get(key)
        yield f"  {key}: {scalar(value)}" + (f"  # {remark}" if remark else "")
    if change.calls:
        yield "  calls:"
        yield from (f"    - {{to: {scalar(to)}}}" for to in change.calls)


def _flow(change: Change) -> str:
    parts = [f"name: {scalar(change.name)}", *(f"{key}: {scalar(value)}" for key, value in change.values.items())]
    if change.calls:
        parts.append(f"calls: [{', '.join(f'{{to: {scalar(to)}}}' for to in change.calls)}]")
    return "{" + ", ".join(parts) + "}"
