"""A load test's plan as data inside a script of another language."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from capacity.display.escape import safe_slug
from capacity.staircase import Downstream, Staircase

_PLACE = "__PLAN__"


def plan_document(test: Staircase, *, limits: Sequence[Downstream] = ()) -> dict[str, Any]:
    """Return what a script needs of a test, in plain values.

    Parameters
    ----------
    test
        Steps and stop rules.
    limits
        Downstreams whose stated limit the script must not pass, unless told that they are mocked.
    """
    return {
        "service": test.service,
        "slug": safe_slug(test.service),
        "instances": test.instances,
        "target_qps": float(f"{test.target_qps:.6g}"),
        "warm_up_s": test.warm_up_s,
        "hot_key_qps": test.hot_key_qps,
        "steps": [
            {"offered_qps": rate, "seconds": length}
            for rate, length in zip(test.offered_qps, test.seconds, strict=True)
        ],
        "stop_rules": [asdict(rule) for rule in test.stop_rules],
        "downstream_limits": [
            {
                "service": one.service,
                "limit_qps": one.known_qps,
                "most_offered_qps": float(f"{one.most_offered_qps:.6g}"),
            }
            for one in limits
            if one.most_offered_qps is not None
        ],
    }


def as_literal(document: object) -> str:
    r"""Write plain values as JSON that may stand in a script or in a raw string of triple quotes.

    Only ASCII is left; quotes that could end a string around it, and signs that mean something to HTML or to template
    languages, are escaped.

    Examples
    --------
    >>> print(as_literal({"a": "'''</script>${x}\n"}))
    {
      "a": "\u0027\u0027\u0027\u003c/script\u003e\u0024{x}\n"
    }
    """
    text = json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False)
    # Outside of strings JSON has none of these signs.
    for sign in "'<>&$`":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def fill_template(name: str, document: object) -> str:
    """Return a template of this folder with the data in its one place."""
    template = resources.files("capacity.export").joinpath("templates", name).read_text(encoding="utf-8")
    before, _, after = template.partition(_PLACE)
    return f"{before}{as_literal(document)}{after}"
