"""Files that were cut off or damaged: read as far as they go, or refused with the place; never a wild number."""

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
from tests.loadtest.readers import written

COUNTER = {"__name__": "http_requests_total"}
SAMPLES: dict[str, tuple[str, bytes]] = {
    "jmeter": ("jmeter", written.jmeter_csv().encode()),
    "jmeter tabs, no header": (
        "jmeter",
        written.jmeter_csv(columns=written.JMETER_DEFAULT, delimiter="\t", header=False).encode(),
    ),
    "jmeter xml": ("jmeter", written.jmeter_xml(parts=True).encode()),
    **{f"gatling {v}": ("gatling", written.gatling_text(v).encode()) for v in ("2.0", "2.3", "3.3", "3.10")},
    "gatling binary": ("gatling", written.gatling_binary()),
    "locust": ("locust", written.locust_history(full=True, resets=True).encode()),
    "locust, not full": ("locust", written.locust_history(full=False, resets=False).encode()),
    "locust json": ("locust", written.locust_json().encode()),
    "locust requests": ("locust", written.locust_requests().encode()),
    "prometheus": ("prometheus", written.prometheus_answer(np.arange(0, 3000, 50), labels=COUNTER).encode()),
}
REAL = (
    "jmeter/steps.jtl.gz",
    "jmeter/steps.xml.jtl.gz",
    "jmeter/sample_log1c.jtl",
    "gatling_samples/nuxeo_simulation-v3.10.log.gz",
    "gatling_samples/apicurio_3u-800i_simulation.log",
    "gatling_samples/simulation_binary_3.12.1-header.log",
    "gatling_samples/apicurio_3u-800i_stats.json",
    "locust/steps_stats_history.csv",
    "locust/requests.csv.gz",
    "prometheus/count_raw.json",
)
ODD = (b"nan", b"inf", b"-inf", b"-1", b"0", b"1e308", b"9" * 25, b"", b"true", b"null", b'"', b"\x00", b"\xff", b"]")
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
KINDS = ("cut", "flip", "double", "drop", "number", "numbers", "column", "insert")


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Damage a file in one to three ways."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        odd = draw(st.sampled_from(ODD))
        kind = draw(st.sampled_from(KINDS))
        if kind in ("cut", "flip", "insert"):
            middle = bytes([draw(st.integers(0, 255))]) + data[place + 1 :] if kind == "flip" else odd + data[place:]
            data = data[:place] + (b"" if kind == "cut" else middle)
        else:
            data = _by_line(kind, data, place, odd, draw(st.integers(0, 12)))
    return data


def _by_line(kind: str, data: bytes, place: int, odd: bytes, column: int) -> bytes:
    lines = data.split(b"\n")
    line = place % len(lines)
    if kind == "double":
        lines[line:line] = [lines[line]]
    elif kind == "drop":
        del lines[line]
    elif kind == "number":
        lines[line] = NUMBER.sub(lambda _: odd, lines[line], count=1 + column)
    elif kind == "numbers":
        lines[line:] = [NUMBER.sub(lambda _: odd, text) for text in lines[line:]]
    else:
        mark = b"\t" if b"\t" in data[:200] else b","
        lines = [mark.join(c for i, c in enumerate(text.split(mark)) if i != column) for text in lines]
    return b"\n".join(lines)


def check(reading: Reading) -> None:
    """Nothing that cannot be reaches the steps, whatever stood in the file."""
    values = reading.steps.to_numpy(dtype=float)
    known = values[~np.isnan(values)]
    assert np.all((known >= 0) & (known <= LARGEST))
    assert np.all(reading.steps["error_fraction"].dropna() <= 1.0)
    assert all(gate.step is None or gate.step < len(reading.steps) for gate in judge(reading))


def read_or_refuse(tool: str, path: Path) -> None:
    recognize(path)
    refused: InputError | None = None
    try:
        check(READERS[tool].read([path]))
    except InputError as error:
        refused = error
    assert refused is None or refused.problems
    assert refused is None or all(problem.where and problem.expected for problem in refused.problems)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_whole_sample_is_recognized_and_read(tmp_path: Path, name: str) -> None:
    tool, data = SAMPLES[name]
    path = tmp_path / "file"
    path.write_bytes(data)
    found = recognize(path)
    assert found is not None
    assert tool == found.NAME
    reading = READERS[tool].read([path])
    check(reading)
    assert reading.broken == ()


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_sample_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    tool, whole = SAMPLES[name]
    path = tmp_path / "file"
    path.write_bytes(data.draw(damaged(whole)))
    read_or_refuse(tool, path)


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_capture_is_read_or_refused(
    tmp_path: Path, shared_data: Path, name: str, data: st.DataObject
) -> None:
    source = shared_data / "loadtests" / name
    tool = recognize(source)
    assert tool is not None
    raw = source.read_bytes()
    whole = (gzip.decompress(raw) if name.endswith(".gz") else raw)[:200_000]
    path = tmp_path / "file"
    path.write_bytes(data.draw(damaged(whole)))
    read_or_refuse(tool.NAME, path)


@pytest.mark.parametrize("name", ["jmeter", "jmeter xml", "gatling 3.10", "gatling binary", "locust"])
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 1.0), flipped=st.integers(0, 255))
def test_a_damaged_compressed_sample(tmp_path: Path, name: str, share: float, flipped: int) -> None:
    tool, data = SAMPLES[name]
    whole = gzip.compress(data)
    place = round(share * (len(whole) - 1))
    path = tmp_path / "file.gz"
    for broken in (whole[:place], whole[:place] + bytes([flipped]) + whole[place + 1 :]):
        path.write_bytes(broken)
        read_or_refuse(tool, path)


@pytest.mark.parametrize("name", ["jmeter", "jmeter xml", "gatling 3.3", "gatling binary", "locust"])
def test_a_compressed_file_that_was_cut_off_gives_what_stands_before(tmp_path: Path, name: str) -> None:
    tool, data = SAMPLES[name]
    whole = gzip.compress(data)
    path = tmp_path / "file.gz"
    path.write_bytes(whole[: round(0.9 * len(whole))])
    reading = READERS[tool].read([path])
    assert len(reading.steps) >= 4
    assert any("what stands before was read" in str(p) for p in reading.broken)
