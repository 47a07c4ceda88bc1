"""Asking a Prometheus server, without ever showing what it is asked with.

The interface is described in Prometheus's documentation, "HTTP API" (range queries, at most 11,000 points a series).
"""

import http.client
import json
import math
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.display.escape import plain
from capacity.errors import InputError, UnreachableError, UsageError

TOKEN = "CAPACITY_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "CAPACITY_PROMETHEUS_TOKEN_FILE"  # noqa: S105
MOST_POINTS = 10_000
_TRIES, _FIRST_PAUSE_S = 3, 0.5
_TOO_BUSY = {429, 500, 502, 503, 504}


@dataclass(frozen=True, eq=False)
class Series:
    """One series of an answer.

    Attributes
    ----------
    labels : mapping of str to str
        Untrusted.
    at_s : ndarray, shape (point,)
        Unix seconds, ascending.
    value : ndarray, shape (point,)
        NaN where the server says so.
    """

    labels: Mapping[str, str]
    at_s: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class Prometheus:
    """A server that speaks Prometheus's HTTP interface.

    Attributes
    ----------
    url
        Of the server, with what stands before ``/api/v1``; no credentials.
    token
        Sent as a bearer token; in no repr, message or file.
    timeout_s
        Of one question.

    Examples
    --------
    >>> Prometheus("http://prometheus:9090", token="secret")
    Prometheus(url='http://prometheus:9090', timeout_s=30.0)
    """

    url: str
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                "the URL of Prometheus holds credentials, which would be kept and shown with it",
                remedy=f"leave them out; put a token into the variable {TOKEN}",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"Prometheus: got {self.url!r}, expected a URL such as http://prometheus:9090")

    @classmethod
    def from_environment(cls, url: str, *, timeout_s: float = 30.0) -> "Prometheus":
        """Name a server; its token, if it wants one, is in the environment or in a file that the environment names.

        Raises
        ------
        UsageError
            If the URL is none, holds credentials, or the token's file cannot be read.
        """
        token = os.environ.get(TOKEN)
        path = os.environ.get(TOKEN_FILE)
        if not token and path:
            try:
                token = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"{TOKEN_FILE} names a file that cannot be read") from None
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise UsageError(f"{TOKEN} holds what no token can be", remedy="put the token alone into it")
        return cls(url.rstrip("/"), token or None, timeout_s)

    def query(self, expression: str, *, at_s: float) -> list[Series]:
        """Evaluate an expression at one moment.

        Raises
        ------
        InputError
            If the server refuses the expression.
        UnreachableError
            If it does not answer.
        """
        found = self._ask("query", {"query": expression, "time": f"{at_s:.3f}"})
        if found.get("resultType") == "scalar":
            found = {"result": [{"metric": {}, "value": found["result"]}]}
        return [_series(one.get("metric", {}), [one["value"]]) for one in found["result"] if "value" in one]

    def query_range(self, expression: str, *, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """Evaluate an expression at every step from a first to a last moment, both included, in pieces.

        Raises
        ------
        InputError
            If the server refuses the expression.
        UnreachableError
            If it does not answer.
        """
        n_steps = math.floor((end_s - start_s) / step_s + 1e-9)
        pieces: dict[tuple[tuple[str, str], ...], list[Series]] = {}
        for first in range(0, n_steps + 1, MOST_POINTS):
            last = min(first + MOST_POINTS - 1, n_steps)
            asked = {
                "query": expression,
                "start": f"{start_s + first * step_s:.3f}",
                "end": f"{start_s + last * step_s:.3f}",
                "step": f"{step_s:.3f}",
            }
            for one in self._ask("query_range", asked)["result"]:
                series = _series(one.get("metric", {}), one.get("values", []))
                pieces.setdefault(tuple(sorted(series.labels.items())), []).append(series)
        return [_join(parts) for parts in pieces.values()]

    def _ask(self, what: str, asked: Mapping[str, str]) -> dict[str, Any]:
        body = urllib.parse.urlencode(asked).encode()
        for trial in range(_TRIES):
            if trial:
                time.sleep(_FIRST_PAUSE_S * 2 ** (trial - 1))
            try:
                return self._read(what, body)
            except urllib.error.HTTPError as error:
                if error.code not in _TOO_BUSY:
                    raise self._refused(error) from None
                reason = f"HTTP {error.code}"
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                reason = _reason(error)
        raise UnreachableError(
            f"Prometheus at {self.url} does not answer: {reason}, {_TRIES} times",
            remedy="see that it runs and that [monitoring] url in capacity.toml is right",
        )

    def _read(self, what: str, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/api/v1/{what}", data=body)  # noqa: S310 - http(s), checked
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        with _OPENER.open(request, timeout=self.timeout_s) as answer:
            found = json.loads(answer.read())
        if found["status"] != "success":
            raise ValueError(f"status {found['status']!r}")
        data: dict[str, Any] = found["data"]
        data["result"]  # an answer of another kind is no answer
        return data

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        if error.code in (401, 403):
            return UsageError(
                f"Prometheus at {self.url} wants credentials (HTTP {error.code})",
                remedy=f"put a token into {TOKEN}, or its file's name into {TOKEN_FILE}",
            )
        if 300 <= error.code < 400:
            return UsageError(
                f"Prometheus at {self.url} sends elsewhere (HTTP {error.code})", remedy="name that address"
            )
        try:
            says = str(json.loads(error.read())["error"])
        except (OSError, ValueError, KeyError, TypeError):
            says = f"HTTP {error.code}"
        if self.token:
            says = says.replace(self.token, "…")
        return InputError(
            f"Prometheus at {self.url} refuses the question: {plain(says)[:300]}",
            remedy="see the names under [monitoring] in capacity.toml",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for one address."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects())


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return "an answer that is not Prometheus's" if isinstance(error, ValueError | KeyError | TypeError) else str(reason)


def _series(labels: Mapping[str, str], points: list[Any]) -> Series:
    at_s = np.array([float(point[0]) for point in points])
    values = np.array([float(point[1]) for point in points])
    return Series(dict(labels), at_s, values)


def _join(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    at_s, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("at_s", "value"))
    return Series(parts[0].labels, at_s, values)
