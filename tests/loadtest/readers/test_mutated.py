"""Files that were cut off, damaged or written by somebody else: read as far as they go, or refused with the place."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capacity.errors import InputError
from capacity.loadtest.readers import READERS, recognize
from capacity.loadtest.reading import Reading
from capacity.loadtest.run import judge
from capacity.loadtest.steps import LARGEST
from tests.loadtest.readers import test_k6, test_k6_summary, test_one_step_tools, test_vegeta, test_wrk
from tests.loadtest.readers.simulated import by_the_clock, closed

_SHORT = closed((2, 6), step_s=8.0)
_OPEN = by_the_clock((10.0, 30.0), step_s=8.0)
_USERS = test_k6.users_of((2, 6), 8)
_K6_ROWS = test_k6.rows_of(_SHORT, unit=1e3, users=_USERS)

SAMPLES = {
    "k6 rows": ("k6", _K6_ROWS),
    "k6 points": ("k6", test_k6.points_of(_K6_ROWS)),
    "k6 summary": ("k6", test_k6_summary.summary_forms(test_k6_summary.SUMMARY, crossed=True)["handled"]),
    "k6 new summary": ("k6", test_k6_summary.summary_forms(test_k6_summary.SUMMARY, crossed=True)["listed"]),
    "k6 text": ("k6", test_k6_summary.TEXT),
    "vegeta rows": ("vegeta", test_vegeta.csv_of(_OPEN)),
    "vegeta lines": ("vegeta", test_vegeta.json_of(_OPEN)),
    "vegeta report": ("vegeta", test_vegeta.report(40.0, earliest="2026-01-01T00:01:00Z")),
    "vegeta text": ("vegeta", test_vegeta.TEXT),
    "wrk": ("wrk", test_wrk.wrk(10)),
    "wrk2": ("wrk", test_wrk.wrk2()),
    "hey": ("hey", test_one_step_tools.HEY),
    "hey rows": ("hey", test_one_step_tools.hey_rows(_SHORT)),
    "ab": ("ab", test_one_step_tools.AB),
    "autocannon": ("autocannon", test_one_step_tools.autocannon_json()),
    "autocannon tables": ("autocannon", test_one_step_tools.AUTOCANNON),
}
ODD = ("nan", "inf", "-inf", "-1", "0", "1e308", "1e999", "9" * 25, "", "true", "null", '"', "\x00", "é", "0x1p3", "[]")
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Damage a file in one to four ways."""
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["cut", "flip", "double", "drop", "number", "numbers", "column", "insert"]))
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        lines = data.split(b"\n")
        line = draw(st.integers(0, len(lines) - 1))
        odd = draw(st.sampled_from(ODD)).encode()
        if kind == "cut":
            data = data[:place]
        elif kind == "flip":
            data = data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]
        elif kind == "insert":
            data = data[:place] + odd + data[place:]
        elif kind == "double":
            data = b"\n".join(lines[: line + 1] + lines[line:])
        elif kind == "drop":
            data = b"\n".join(lines[:line] + lines[line + 1 :])
        elif kind == "number":
            found = list(NUMBER.finditer(data))
            if found:
                hit = found[draw(st.integers(0, len(found) - 1))]
                data = data[: hit.start()] + odd + data[hit.end() :]
        elif kind == "numbers":
            lines[line:] = [NUMBER.sub(lambda _m, odd=odd: odd, text) for text in lines[line:]]
            data = b"\n".join(lines)
        else:
            column = draw(st.integers(0, 12))
            data = b"\n".join(b",".join(c for i, c in enumerate(text.split(b",")) if i != column) for text in lines)
    return data


def check(reading: Reading) -> None:
    """Nothing that cannot be reaches the steps, whatever stood in the file."""
    values = reading.steps.to_numpy(dtype=float)
    known = values[~np.isnan(values)]
    assert np.all((known >= 0) & (known <= LARGEST))
    assert np.all(reading.steps["error_fraction"].dropna() <= 1.0)
    assert all(gate.step is None or gate.step < len(reading.steps) for gate in judge(reading))


def read_or_refuse(tool: str, path: Path) -> None:
    refused: InputError | None = None
    try:
        check(READERS[tool].read([path]))
    except InputError as error:
        refused = error
    assert refused is None or refused.problems
    assert refused is None or all(problem.where and problem.expected for problem in refused.problems)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_whole_sample_is_read(tmp_path: Path, name: str) -> None:
    tool, text = SAMPLES[name]
    path = tmp_path / "file"
    path.write_text(text)
    found = recognize(path)
    assert found is not None
    assert tool == found.NAME
    reading = READERS[tool].read([path])
    check(reading)
    assert reading.broken == ()
    assert len(reading.steps) >= 1


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_sample_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    tool, text = SAMPLES[name]
    path = tmp_path / "file"
    path.write_bytes(data.draw(mutations(text.encode())))
    recognize(path)
    read_or_refuse(tool, path)


@pytest.mark.parametrize("name", ["k6 rows", "k6 points", "vegeta rows", "vegeta lines", "hey rows"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 1.0), flipped=st.integers(0, 255))
def test_a_damaged_compressed_sample(tmp_path: Path, name: str, share: float, flipped: int) -> None:
    tool, text = SAMPLES[name]
    whole = gzip.compress(text.encode())
    place = round(share * (len(whole) - 1))
    path = tmp_path / "file.gz"
    for damaged in (whole[:place], whole[:place] + bytes([flipped]) + whole[place + 1 :]):
        path.write_bytes(damaged)
        recognize(path)
        read_or_refuse(tool, path)


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("k6", "k6_closed/closed.csv.gz"),
        ("k6", "k6_closed/closed_summary_export.json"),
        ("vegeta", "vegeta/steps.csv.gz"),
        ("vegeta", "vegeta/step_145.report.json"),
        ("wrk", "wrk/wrk_c32.txt"),
    ],
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_capture(shared_data: Path, tmp_path: Path, tool: str, file: str, data: st.DataObject) -> None:
    whole = (shared_data / "loadtests" / file).read_bytes()
    text = gzip.decompress(whole)[: 1 << 19] if file.endswith(".gz") else whole
    path = tmp_path / "file"
    path.write_bytes(data.draw(mutations(text)))
    read_or_refuse(tool, path)
