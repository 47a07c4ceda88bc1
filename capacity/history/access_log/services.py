"""Which service a line of an access log belongs to."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from capacity.document import check_document
from capacity.document.contract import Contract, Name
from capacity.errors import UsageError
from capacity.history.engine import quote_text

Prefix = Annotated[str, Field(strict=True, pattern=r"^/[ -~]*$", max_length=500)]


class _Prefixes(Contract):
    """The file: services by the prefix of a path."""

    prefixes: dict[Prefix, Name] = Field(min_length=1)
    other: Name | None = None


@dataclass(frozen=True)
class ServiceRule:
    """How a line's path names its service.

    Attributes
    ----------
    prefixes
        Service by prefix; the longest that fits decides, and a prefix fits whole parts of a path.
    other
        Of paths that no prefix fits; None: such lines are left out, counted.

    Examples
    --------
    >>> ServiceRule.of("checkout").other
    'checkout'
    """

    prefixes: dict[str, str]
    other: str | None = None

    @classmethod
    def of(cls, service: str) -> "ServiceRule":
        """Take every line for one service."""
        if not service.strip():
            raise UsageError("--service: got nothing, expected a service's name")
        return cls({}, service)

    def sql(self, path: str) -> str:
        """Return the expression of the service for an expression of the path; null where none fits."""
        other = "NULL" if self.other is None else quote_text(self.other)
        cases = [
            f"WHEN {_fits(path, prefix)} THEN {quote_text(self.prefixes[prefix])}"
            for prefix in sorted(self.prefixes, key=len, reverse=True)
        ]
        return f"CASE {' '.join(cases)} ELSE {other} END" if cases else other


def _fits(path: str, prefix: str) -> str:
    bare = prefix.rstrip("/")
    if not bare:
        return "true"
    whole = f"starts_with({path}, {quote_text(bare)})"
    # /cart fits /cart, /cart/add and /cart?x, not /carton.
    return f"({whole} AND (length({path}) = {len(bare)} OR substr({path}, {len(bare) + 1}, 1) IN ('/', '?', '#', ';')))"


def parse_service_rule(text: str, *, where: str) -> ServiceRule:
    """Read a file of prefixes.

    Parameters
    ----------
    text
        YAML: ``prefixes: {/api/checkout: checkout, …}``, and optionally ``other: NAME``.
    where
        The file's name in messages.

    Raises
    ------
    InputError
        With every problem of the file.

    Examples
    --------
    >>> parse_service_rule("{prefixes: {/cart: cart}, other: web}", where="services").other
    'web'
    """
    found: _Prefixes = check_document(text, model=_Prefixes, where=where)
    return ServiceRule(dict(found.prefixes), found.other)
