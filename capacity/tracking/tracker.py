"""Following a promotion: asked again and again, it says how things stand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.catalog import Catalog
from capacity.errors import InputError, NotCoveredError, UnreachableError
from capacity.plan import Plan
from capacity.promotion import Promotion
from capacity.tracking.anomalies import Anomaly, Situation, find_anomalies
from capacity.tracking.misfit import WINDOW_MIN, Misfit
from capacity.tracking.paths import follow_futures
from capacity.tracking.projection import project
from capacity.tracking.status import Status
from capacity.tracking.watch import Seen, Watched, last_minutes
from capacity.tracking.whom import Contacts

if TYPE_CHECKING:
    from capacity.journal import Journal

_AROUND = (timedelta(minutes=WINDOW_MIN - 2), timedelta(minutes=WINDOW_MIN + 10))
_OVERLAP_MIN = 3  # asked again with every poll: late scrapes change the last minutes


class Tracker:
    """A promotion that is followed.

    Parameters
    ----------
    plan
        With its samples.
    promotion, services
        Words.
    watched
        Where minutes come from.
    misfit
        From past promotions.
    contacts
        Whom to call, and what to open.

    Raises
    ------
    InputError
        If the plan was read without its samples.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        promotion: Promotion,
        services: Catalog,
        watched: Watched,
        misfit: Misfit,
        contacts: Contacts | None = None,
    ) -> None:
        if plan.peaks is None:
            raise InputError(
                f"plan of {plan.promotion_id}: it was read without its samples", remedy="make the plan again"
            )
        self.plan, self.promotion, self.services = plan, promotion, services
        self.watched, self.misfit = watched, misfit
        self.contacts = contacts or Contacts()
        self.paths = follow_futures(plan.peaks)
        self._rows = pd.DataFrame()
        self._last: datetime | None = None
        self._silent_since: datetime | None = None

    def poll(self, now: datetime, *, journal: "Journal") -> Status:
        """Look at the last minutes and say how things stand.

        A server that does not answer is said, not raised: what was known before is shown with its age.

        Parameters
        ----------
        now
            Aware; nothing later is looked at.
        journal
            What was written down so far.
        """
        notes = self._look(now)
        journal = replace(journal, entries=tuple(entry for entry in journal if entry.at <= now))
        start = now - timedelta(minutes=WINDOW_MIN)
        seen = self._seen(start, now)
        begin = self.promotion.starts_at
        window = tuple((moment - begin).total_seconds() for moment in (start, now))
        phase = self._phase(now)
        limits = self._limits()
        projection = project(
            self.paths,
            np.where(seen.covered >= 0.5, seen.level_qps, np.nan),
            window_s=(window[0], window[1]),
            misfit=self.misfit.spread.get(phase or "", max(self.misfit.spread.values())),
            limit_qps=np.nan_to_num(limits, nan=np.inf),
            ratio=self._ratio(phase, now),
        )
        situation = Situation(
            now=now, phase=phase, plan=self.plan.document, services=self.services, promotion=self.promotion,
            journal=journal, seen=seen, projection=projection,
            held_above=self._held(now, "watch", "above_qps", above=True),
            held_below=self._held(now, "recover", "below_qps", above=False),
            queue_wait_s=self._waits(now), allowed_wait_s=self._allowed(),
        )  # fmt: skip
        found = () if self._silent_since is not None else find_anomalies(situation)
        anomalies = tuple(self.contacts.fill(one, self.services, self.promotion, now) for one in found)
        if self._silent_since is not None:
            anomalies = (self.contacts.fill(self._silence(now), self.services, self.promotion, now), *anomalies)
        return Status(
            promotion_id=self.promotion.id, starts_at=begin, now=now, phase=phase, seen=seen, projection=projection,
            anomalies=anomalies, limits_qps=limits,
            capacity_qps=self._planned("safe_capacity_qps"), minutes=self._rows, paths=self.paths, notes=tuple(notes),
            watched=self._silent_since is None and bool((seen.covered > 0).any()),
        )  # fmt: skip

    def _look(self, now: datetime) -> list[str]:
        first = self.promotion.phases[0].starts_at
        since = first if self._last is None else self._last - timedelta(minutes=_OVERLAP_MIN)
        try:
            rows = self.watched.minutes(min(max(since, first), now - timedelta(minutes=WINDOW_MIN)), now)
        except (UnreachableError, NotCoveredError) as error:
            self._silent_since = self._silent_since or self._last or now
            return [error.message]
        self._silent_since, self._last = None, now
        if not self._rows.empty and not rows.empty:
            kept = self._rows[self._rows["ts"] < rows["ts"].min()]
            rows = pd.concat([kept, rows], ignore_index=True)
        self._rows = rows if not rows.empty else self._rows
        unplanned = sorted(set(self._rows["service"]) - set(self.paths.services)) if len(self._rows) else []
        notes = [f"minutes from {self.watched.name}; {self.misfit.why.get(self._phase(now) or '', '')}".rstrip("; ")]
        if unplanned:
            notes.append(f"not in the plan, not watched: {', '.join(unplanned[:8])}{' …' * (len(unplanned) > 8)}")
        return notes

    def _silence(self, now: datetime) -> Anomaly:
        minutes = (now - (self._silent_since or now)).total_seconds() / 60
        return Anomaly("silent", "", True, f"{self.watched.name} has not answered for {minutes:.0f} min")

    def _seen(self, start: datetime, now: datetime) -> Seen:
        empty = pd.DataFrame(
            {"ts": pd.Series(dtype="datetime64[us, UTC]"), "service": "", "interval_s": 0.0, "requests": 0.0}
        )
        rows = self._rows if len(self._rows) else empty.iloc[:0]
        return last_minutes(rows, self.paths.services, start=start, end=now)

    def _phase(self, now: datetime) -> str | None:
        inside = [one.name for one in self.promotion.phases if one.starts_at <= now < one.ends_at]
        return inside[0] if inside else None

    def _ratio(self, phase: str | None, now: datetime) -> tuple[NDArray[np.float64], float] | None:
        """Return how peaks stood to the minutes before them, around the tenth minute of a phase alone."""
        begun = next((one.starts_at for one in self.promotion.phases if one.name == phase), None)
        if phase is None or begun is None or not _AROUND[0] <= now - begun <= _AROUND[1]:
            return None
        return self.misfit.ratio_of(phase, self.paths.services)

    def _planned(self, key: str) -> NDArray[np.float64]:
        entries: Mapping[str, Any] = self.plan.document["services"]
        values = [entries[name].get(key) for name in self.paths.services]
        return np.array([np.nan if value is None else float(value) for value in values])

    def _allowed(self) -> dict[str, float]:
        waits: dict[str, float] = {}
        for caller in self.services.values():
            for call in caller.calls:
                if call.is_async:
                    waits[call.to] = min(call.max_delay_s, waits.get(call.to, np.inf))
        return waits

    def _waits(self, now: datetime) -> dict[str, float]:
        """Seconds that the backlog of each service behind a queue will take."""
        found: dict[str, float] = {}
        for name, entry in self.plan.document["services"].items():
            takes = entry.get("safe_capacity_qps")
            if entry.get("queue") and takes and len(self._rows):
                mine = self._rows[(self._rows["service"] == name) & (self._rows["ts"] < now)].sort_values("ts")
                found[name] = _backlog(mine, float(takes)) / float(takes)
        return found

    def _limits(self) -> NDArray[np.float64]:
        """Cluster limits; none behind a queue, where what comes faster waits."""
        entries = self.plan.document["services"]
        queued = np.array([bool(entries[name].get("queue")) for name in self.paths.services])
        return np.where(queued, np.nan, self._planned("cluster_limit_qps"))

    def _held(self, now: datetime, key: str, bound: str, *, above: bool) -> dict[str, float]:
        """Seconds for which each rung's condition has held without a break until now, by feature."""
        held: dict[str, float] = {}
        if self._rows.empty:
            return held
        for rung in self.plan.document["degradation"]:
            wanted = rung.get(key)
            if wanted:
                mine = self._rows[(self._rows["service"] == wanted["service"]) & (self._rows["ts"] < now)]
                held[rung["feature"]] = _run_s(mine, float(wanted[bound]), above=above)
        return held


def _backlog(rows: pd.DataFrame, takes_qps: float) -> float:
    """Count the requests that wait after the last row, if they are taken up at one rate."""
    width = rows["interval_s"].to_numpy(dtype=float)
    more = np.cumsum(rows["requests"].to_numpy(dtype=float) - takes_qps * width)
    return float(more[-1] - min(more.min(), 0.0)) if more.size else 0.0


def _run_s(rows: pd.DataFrame, bound: float, *, above: bool) -> float:
    recent = rows.sort_values("ts", ascending=False)
    rate = (recent["requests"] / recent["interval_s"]).to_numpy(dtype=float)
    true = rate > bound if above else rate < bound
    unbroken = np.cumprod(true).astype(bool)
    return float(recent["interval_s"].to_numpy(dtype=float)[unbroken].sum())
