"""JTL files in XML, read as a stream.

A document type is refused: results of JMeter have none, and entities are how such files attack a reader.

References
----------
.. [1] Apache JMeter, User's Manual, "Listeners", section "XML Log format 2.1": attributes t, ts, s, lb, rc, rm, tn, na,
   sc, ec, hn; sub-results nested in the sample they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks
from capacity.loadtest.readers.files import BREAKS, blocks_of
from capacity.loadtest.readers.jmeter.rows import Array, Found, Rows
from capacity.loadtest.readers.jmeter.statistical import single_requests

TRANSACTION = "Number of samples in transaction"
_SAMPLES = frozenset({"httpSample", "sample", "sampleResult"})
_OLD_NAMES = {
    "timeStamp": "ts",
    "time": "t",
    "success": "s",
    "label": "lb",
    "threadName": "tn",
    "responseMessage": "rm",
}
_OLD_NAMES |= {"responseCode": "rc"}
_BLOCK = 50_000
_DEEPEST = 200


def looks_like_xml(head: bytes) -> bool:
    """Whether the first element is ``testResults``, behind declarations and comments.

    Examples
    --------
    >>> looks_like_xml(b'<?xml version="1.0"?><!-- a --><testResults version="1.2">')
    True
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while text.startswith((b"<?", b"<!")):
        closes = b"-->" if text.startswith(b"<!--") else b">"
        _, closed, text = text.partition(closes)
        if not closed:
            return False
        text = text.lstrip()
    return re.match(rb"<testResults[\s>]", text) is not None


class _RefusedError(Exception):
    pass


class _Samples:
    """Collects samples; those that are part of another are counted with it, those of a transaction by themselves."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.rows: list[dict[str, str]] = []
        self.open: list[dict[str, str] | None] = []
        self.depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _RefusedError(f"elements nested more than {_DEEPEST} deep")
        if name not in _SAMPLES:
            if name == "java.net.URL" and self.open and self.open[-1] is not None:
                self.open[-1]["URL"] = "1"
            return
        if name == "sampleResult":
            attributes = {_OLD_NAMES.get(k, k): v for k, v in attributes.items()}
        over = self.open[-1] if self.open else None
        if self.open and (over is None or not over.get("rm", "").startswith(TRANSACTION)):
            self.found.parts += 1
            self.open.append(None)
            return
        if over is not None:
            over["parent"] = "1"
        self.open.append(attributes)

    def end(self, name: str) -> None:
        self.depth -= 1
        if name not in _SAMPLES or not self.open:
            return
        sample = self.open.pop()
        if sample is None:
            return
        if "parent" in sample:
            self.found.parents += 1
        else:
            self.rows.append(sample)

    def doctype(self, *_: object) -> None:
        raise _RefusedError("a document type")


def xml_rows(path: Path, found: Found, breaks: Breaks) -> Iterator[Rows]:
    """Read the samples of one file; raises `InputError` for a document type."""
    samples = _Samples(found)
    parser = expat.ParserCreate()
    parser.StartElementHandler = samples.start
    parser.EndElementHandler = samples.end
    parser.StartDoctypeDeclHandler = samples.doctype
    parser.EntityDeclHandler = samples.doctype
    found.notes.append("XML")
    done = 0
    try:
        for block in blocks_of(path):
            parser.Parse(block, False)
            if len(samples.rows) >= _BLOCK:
                done += len(samples.rows)
                yield _rows(samples.rows, found, path)
                samples.rows = []
        parser.Parse(b"", True)
    except _RefusedError as error:
        raise InputError(
            "the JMeter results cannot be used",
            problems=[Problem(f"{path.name}:{parser.CurrentLineNumber}", str(error), "testResults with samples in it")],
        ) from None
    except (expat.ExpatError, LookupError, ValueError, *BREAKS) as error:
        # Beside what is no XML: an encoding that nobody knows.
        breaks.end(done + len(samples.rows), error)
    if samples.rows:
        yield _rows(samples.rows, found, path)


def _rows(samples: list[dict[str, str]], found: Found, path: Path) -> Rows:
    def texts(name: str) -> list[str]:
        return [s.get(name, "") for s in samples]

    size = len(samples)
    success = texts("s")
    success_known = np.array([s in ("true", "false") for s in success], dtype=bool)
    rows = Rows(
        _numbers(texts("ts")),
        _numbers(texts("t")),
        found.labels.of(texts("lb")),
        found.threads.of(texts("tn")),
        found.hosts.of(texts("hn")),
        np.array([s == "false" for s in success], dtype=bool),
        _numbers(texts("na")),
        np.array([s.get("rm", "").startswith(TRANSACTION) for s in samples], dtype=bool),
        np.array(["URL" not in s for s in samples], dtype=bool),
    )
    if not success_known.any() and not any("s" in s for s in samples):
        found.errors_known = False
        success_known = np.ones(size, dtype=bool)
    fine = np.isfinite(rows.stamp_ms) & (rows.elapsed_ms >= 0) & success_known
    found.unreadable += int((~fine).sum())
    return rows.where(fine & single_requests(_numbers(texts("sc")), rows.transaction, found, path))


def _numbers(texts: list[str]) -> Array:
    try:
        values = np.array([t or "nan" for t in texts], dtype=np.float64)
    except ValueError:
        import pandas as pd

        values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.abs(values) < 1e15, values, np.nan)
