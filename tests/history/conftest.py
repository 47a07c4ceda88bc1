"""Sources to take in, made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from capacity.history import IngestReport, Store, ingest

ZONE = "Asia/Shanghai"


class Shop:
    """A workspace folder with short verbs for tests."""

    def __init__(self, root: Path, timezone: str = ZONE) -> None:
        self.root, self.timezone = root, timezone
        self.sources = root / "sources"
        self.sources.mkdir(exist_ok=True)

    @property
    def store(self) -> Store:
        return Store(self.root, timezone=self.timezone)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, source: str | Path, table: str = "traffic", **options: Any) -> IngestReport:
        return ingest(source, table=table, workspace_dir=self.root, timezone=self.timezone, **options)

    def take(self, content: str, table: str = "traffic", name: str = "source.csv", **options: Any) -> IngestReport:
        return self.ingest(self.file(name, content), table, **options)

    def rows(self) -> pd.DataFrame:
        """All rows of traffic: ts, service, requests."""
        frame = self.store.traffic().window(pd.Timestamp(0, tz="UTC"), pd.Timestamp("2099-01-01", tz="UTC"))
        return frame[["ts", "service", "interval_s", "requests"]]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def shop_in(tmp_path: Path) -> Callable[[str], Shop]:
    return lambda timezone: Shop(tmp_path, timezone)


@pytest.fixture
def minutes() -> Callable[..., pd.DataFrame]:
    """Minute rows of one service, requests 600 but where told."""

    def make(start: str, n: int, *, service: str = "cart", requests: Any = 600, freq: str = "min") -> pd.DataFrame:
        ts = pd.date_range(start, periods=n, freq=freq, tz=ZONE)
        return pd.DataFrame({"ts": ts, "service": service, "requests": requests})

    return make
