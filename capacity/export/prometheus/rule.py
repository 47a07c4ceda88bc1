"""One rule as text: a mapping in YAML below a comment that says where its numbers come from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from capacity.display.escape import plain


@dataclass(frozen=True)
class Rule:
    """A recording rule, or an alert.

    Attributes
    ----------
    body
        As Prometheus reads it: ``record`` or ``alert``, ``expr``, ``labels`` and so on.
    comment
        Where its numbers come from.
    """

    body: Mapping[str, object]
    comment: str = field(default="")


def record(name: str, expr: str, *, labels: Mapping[str, str] | None = None, comment: str = "") -> Rule:
    """Make a recording rule; its labels are no templates, whatever stands in them."""
    body: dict[str, object] = {"record": name, "expr": expr}
    return Rule(body | ({"labels": dict(labels)} if labels else {}), comment)


def write_groups(header: Iterable[str], groups: Mapping[str, tuple[str, Iterable[Rule]]]) -> str:
    """Write groups of rules, each with its interval, as one file."""
    lines = [*(f"# {line}" for line in header), "groups:"]
    for name, (interval, rules) in groups.items():
        lines += [f"  - name: {quoted(name)}", f"    interval: {interval}", "    rules:"]
        for rule in rules:
            lines += [f"      # {plain(rule.comment)}"] if rule.comment else []
            text = yaml.safe_dump(dict(rule.body), sort_keys=False, allow_unicode=True, width=10_000).rstrip("\n")
            first, *rest = text.split("\n")
            lines += [f"      - {first}", *(f"        {line}" if line else "" for line in rest)]
    return "\n".join([*lines, ""])


def quoted(text: str) -> str:
    """Write any text as one scalar of YAML."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10_000).rstrip("\n")


def matcher(text: str) -> str:
    r"""Write any text as a string of PromQL.

    Examples
    --------
    >>> print(matcher('we"ird\\name'))
    "we\"ird\\name"
    """
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'
