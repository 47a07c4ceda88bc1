"""JTL files in CSV, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.delimited import Breaks, record_batches
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.readers.jmeter.layout import Layout, layout_of
from capacity.loadtest.readers.jmeter.rows import Bools, Codes, Found, Ints, Rows
from capacity.loadtest.readers.jmeter.statistical import single_requests
from capacity.loadtest.readers.jmeter.timestamps import date_format, milliseconds, numbers

if TYPE_CHECKING:
    import pyarrow as pa

TRANSACTION = b"Number of samples in transaction"
_TEXTS = ("label", "threadName", "Hostname", "responseCode", "success", "responseMessage")
_PLAIN = ("timeStamp", "elapsed", "allThreads", "SampleCount", "ErrorCount", "URL")


def csv_rows(path: Path, found: Found, breaks: Breaks) -> Iterator[Rows]:
    """Read the rows of one file; raises `InputError` where its columns do not do."""
    import pyarrow as pa

    layout = layout_of(head_of(path), path)
    _note_layout(layout, found)
    have = set(layout.columns)
    columns = {n: pa.dictionary(pa.int32(), pa.binary()) for n in _TEXTS if n in have}
    columns |= {n: pa.binary() for n in _PLAIN if n in have}
    form: str | None = None
    names = layout.columns
    batches = record_batches(
        path, columns=columns, breaks=breaks, names=names, delimiter=layout.delimiter, null_values=("", "null")
    )
    for number, batch in enumerate(batches):
        if number == 0:
            form = date_format(batch.column("timeStamp").slice(0 if layout.headless else 1))
            _note_format(form, found)
            _check_times(batch.column("timeStamp").slice(0 if layout.headless else 1), form, path)
            # The header line came as a row, so that no column is taken by its place without its name being seen.
            batch = batch if layout.headless else batch.slice(1)
        yield from _rows(_Batch(batch), form, found, path)


def _note_layout(layout: Layout, found: Found) -> None:
    said = {",": "", ";": ", separated by ;", "\t": ", separated by tabs", "|": ", separated by |"}
    if layout.headless:
        found.notes.append(f"no header line: the rows have JMeter's {len(layout.columns)} default columns")
    else:
        found.notes.append(f"CSV of {len(layout.columns)} columns by its header{said[layout.delimiter]}")
    if not {"success", "responseCode", "ErrorCount"} & set(layout.columns):
        found.errors_known = False
        found.notes.append("no column tells failures: none of success, responseCode, ErrorCount")


def _note_format(form: str | None, found: Found) -> None:
    if form is not None:
        found.dated = "%z" in form
        found.notes.append(f"times are written as {form}" + ("" if found.dated else ", without a zone"))


def _check_times(stamps: pa.Array, form: str | None, path: Path) -> None:
    if form is not None or not len(stamps) or np.isfinite(numbers(stamps.slice(0, 1000))).any():
        return
    example = next((v.decode("utf-8", errors="replace") for v in stamps.slice(0, 1000).to_pylist() if v), "nothing")
    remedy = "set jmeter.save.saveservice.timestamp_format=ms"
    problem = Problem(f"{path.name} timeStamp", repr(example), "milliseconds since 1970, or a date and time", remedy)
    raise InputError("the JMeter results cannot be used", problems=[problem])


class _Batch:
    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._have = set(batch.schema.names)
        self.size: int = batch.num_rows

    def plain(self, name: str) -> pa.Array | None:
        return self._batch.column(name) if name in self._have else None

    def codes(self, name: str, codes: Codes) -> Ints:
        column = self.plain(name)
        if column is None:
            return np.full(self.size, -1, dtype=np.int64)
        texts = [v.decode("utf-8", errors="replace") for v in column.dictionary.to_pylist()]
        of_text = np.append(codes.of(texts), codes.of([""])[0] if column.null_count else -1)
        return np.asarray(of_text[_indices(column, len(texts))])


def _flags(column: pa.Array, true_of: list[bool]) -> Bools:
    return np.append(np.array(true_of, dtype=bool), False)[_indices(column, len(true_of))]


def _indices(column: pa.Array, missing: int) -> Ints:
    return np.asarray(column.indices.fill_null(missing).to_numpy(zero_copy_only=False), dtype=np.int64)


def _rows(batch: _Batch, form: str | None, found: Found, path: Path) -> Iterator[Rows]:
    stamps = batch.plain("timeStamp")
    elapsed = batch.plain("elapsed")
    if stamps is None or elapsed is None or not batch.size:
        return
    stamp_ms = numbers(stamps) if form is None else milliseconds(stamps, form)
    failed, known = _failures(batch)
    users_column = batch.plain("allThreads")
    users = np.full(batch.size, np.nan) if users_column is None else numbers(users_column)
    rows = Rows(
        stamp_ms,
        numbers(elapsed),
        batch.codes("label", found.labels),
        batch.codes("threadName", found.threads),
        batch.codes("Hostname", found.hosts),
        failed,
        users,
        _transactions(batch),
        _bare(batch),
    )
    fine = np.isfinite(rows.stamp_ms) & (rows.elapsed_ms >= 0) & known
    if not fine.all():
        repeated = _headers(stamps, ~fine)
        found.headers += repeated
        found.unreadable += int((~fine).sum()) - repeated
    count = batch.plain("SampleCount")
    if count is not None:
        fine &= single_requests(numbers(count), rows.transaction, found, path)
    yield rows.where(fine)


def _headers(stamps: pa.Array, where: Bools) -> int:
    import pyarrow as pa

    cells = stamps.filter(pa.array(where)).to_pylist()
    return sum(1 for cell in cells if cell is not None and cell.strip() == b"timeStamp")


def _failures(batch: _Batch) -> tuple[Bools, Bools]:
    """Whether each row failed, and whether that can be read."""
    everything = np.ones(batch.size, dtype=bool)
    column = batch.plain("success")
    if column is not None:
        said = [v.strip().lower() for v in column.dictionary.to_pylist()]
        good = _flags(column, [v == b"true" for v in said])
        return ~good, good | _flags(column, [v == b"false" for v in said])
    count = batch.plain("ErrorCount")
    if count is not None:
        errors = numbers(count)
        return errors > 0, np.isfinite(errors)
    code = batch.plain("responseCode")
    if code is None:
        return ~everything, everything
    good = _flags(code, [v.strip()[:1] in (b"2", b"3") for v in code.dictionary.to_pylist()])
    return ~good, everything


def _transactions(batch: _Batch) -> Bools:
    column = batch.plain("responseMessage")
    if column is None:
        return np.zeros(batch.size, dtype=bool)
    return _flags(column, [v.startswith(TRANSACTION) for v in column.dictionary.to_pylist()])


def _bare(batch: _Batch) -> Bools:
    column = batch.plain("URL")
    if column is None:
        return np.ones(batch.size, dtype=bool)
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
