"""SQL at hand: it reads what is known, and can do nothing else."""

from pathlib import Path

import pytest

from capacity.errors import CapacityError, UsageError
from capacity.workspace import Workspace, create_workspace


@pytest.fixture(scope="module")
def ws(sample_dir: Path) -> Workspace:
    return Workspace(sample_dir, as_of="2025-11-11")


def test_the_tables_are_those_of_the_workspace(sample_dir: Path) -> None:
    everything = Workspace(sample_dir)
    counted = everything.sql("SELECT count(*) AS n, sum(requests) AS requests FROM traffic")
    assert counted["n"].iloc[0] == sum(item["rows"] for item in everything.inputs() if "traffic" in str(item["path"]))
    assert list(everything.sql("SELECT * FROM calls LIMIT 1")) == [
        "caller",
        "callee",
        "calls",
        "retries",
        "window_start",
        "window_end",
    ]
    days = everything.sql("SELECT count(DISTINCT date) AS n FROM daily_activity")["n"].iloc[0]
    assert days == everything.daily_activity().to_frame()["date"].nunique()


def test_nothing_of_an_unknown_day_is_there(ws: Workspace) -> None:
    last = ws.sql("SELECT max(ts) AS ts FROM traffic")["ts"].iloc[0]
    assert str(last) < "2025-11-11 00:00:00+08:00"
    assert str(ws.sql("SELECT max(date) AS day FROM daily_activity")["day"].iloc[0])[:10] == "2025-11-10"
    ends = ws.sql("SELECT max(window_end) AS at FROM calls")["at"].iloc[0]
    assert ends != ends or str(ends) <= "2025-11-11 00:00:00+08:00"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM traffic",
        "CREATE TABLE x AS SELECT 1",
        "COPY traffic TO 'x.csv'",
        "SELECT 1; DROP VIEW traffic",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "",
        "ATTACH 'x.duckdb'",
        "EXPORT DATABASE 'x'",
    ],
)
def test_only_one_reading_statement_is_taken(ws: Workspace, query: str) -> None:
    with pytest.raises(UsageError, match="one statement that reads"):
        ws.sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('capacity.toml')",
        "SELECT nothing FROM traffic",
        "SELEC 1",
        "SELECT 1)  UNION (SELECT 2",
    ],
)
def test_files_outside_and_errors_are_refused(ws: Workspace, query: str) -> None:
    with pytest.raises(CapacityError):
        ws.sql(query)


def test_an_empty_workspace_has_empty_tables(tmp_path: Path) -> None:
    ws = create_workspace(tmp_path / "shop")
    for table in ("traffic", "daily_activity", "calls"):
        assert ws.sql(f"SELECT * FROM {table}").empty
