"""Forecast more series than fit in memory, as a user would: blocks out of one Parquet file, quantiles into another.

    python -m benchmarks.large make HISTORY.parquet 100000
    python -m benchmarks.large forecast HISTORY.parquet QUANTILES.parquet

The latter prints what it took, with the largest memory of its process, as JSON.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.speed import AHEAD, DAYS, QUANTILES, make_events, make_history

BLOCK = 1000
ROOT = Path(__file__).resolve().parents[1]


def make_file(history: Path, n_series: int) -> None:
    """Write date, series and value, sorted by series."""
    schema = pa.schema([("date", pa.date32()), ("series", pa.string()), ("value", pa.float32())])
    with pq.ParquetWriter(history, schema) as writer:
        for first in range(0, n_series, BLOCK):
            block = make_history(first, min(first + BLOCK, n_series))
            writer.write_table(pa.Table.from_pandas(block, schema=schema, preserve_index=False))


def forecast_file(history: Path, quantiles: Path, *, block: int = BLOCK) -> dict[str, Any]:
    """Forecast the series of a file block by block and return what it took."""
    import duckdb

    from capacity.forecast import forecast_panel

    started, cpu = time.perf_counter(), time.process_time()
    engine = duckdb.connect(config={"threads": 1, "memory_limit": "1GB"})
    found = engine.execute("select distinct series from read_parquet(?) order by series", [str(history)]).fetchall()
    names = [name for (name,) in found]
    query = "select date, series, value from read_parquet(?) where series between ? and ?"
    writer = None
    for first in range(0, len(names), block):
        part = names[first : first + block]
        rows = engine.execute(query, [str(history), part[0], part[-1]]).df()
        forecast = forecast_panel(rows, events=make_events(), horizon=AHEAD, quantiles=QUANTILES)
        frame = forecast.quantiles.rename(columns=str)
        table = pa.Table.from_pandas(frame.astype({"series": "str"}), preserve_index=False)
        writer = writer or pq.ParquetWriter(quantiles, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return {
        "n_series": len(names),
        "days": DAYS,
        "block": block,
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        # Linux counts it in KiB.
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def run(n_series: int) -> dict[str, Any]:
    """Make a file and forecast it, each in a process of its own, so that memory is told of the latter alone."""
    with tempfile.TemporaryDirectory() as name:
        history, quantiles = Path(name) / "history.parquet", Path(name) / "quantiles.parquet"
        command = [sys.executable, "-m", "benchmarks.large"]
        subprocess.run([*command, "make", history, str(n_series)], cwd=ROOT, check=True)
        done = subprocess.run(
            [*command, "forecast", history, quantiles], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        written = pq.read_metadata(quantiles).num_rows
    expected = n_series * AHEAD
    if written != expected:
        raise RuntimeError(f"{written} rows of quantiles were written, expected {expected}")
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make_file(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        print(json.dumps(forecast_file(Path(sys.argv[2]), Path(sys.argv[3]))))
