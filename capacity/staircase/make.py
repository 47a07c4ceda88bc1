"""Plan all load tests before a promotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from capacity.catalog import Catalog
from capacity.errors import NotCoveredError
from capacity.history import Traffic
from capacity.promotion import Promotion, Promotions
from capacity.staircase.around import Downstream, Surroundings, who_is_told
from capacity.staircase.cautions import cautions, gives_up_ms
from capacity.staircase.order import callees_first
from capacity.staircase.quiet import (
    AS_GOOD,
    BESIDES_S,
    HOURS_OF_WEEK,
    NOTICE,
    WEEKS,
    Week,
    Window,
    find_window,
    typical_week,
)
from capacity.staircase.result import LoadTestPlan, PlannedTest
from capacity.staircase.staircase import Staircase, plan_load_test
from capacity.staircase.steps import said_qps

if TYPE_CHECKING:
    from capacity.peaks import Peaks
    from capacity.saturation import Curves

Spans = list[tuple[datetime, datetime]]


def plan_load_tests(
    promotion: Promotion,
    peaks: Peaks,
    curves: Curves | None = None,
    *,
    services: Catalog,
    traffic: Traffic | None = None,
    promotions: Promotions | None = None,
    fleet: Mapping[str, int] | None = None,
    only: Sequence[str] | None = None,
    mocked: Sequence[str] = (),
    as_of: date | None = None,
) -> LoadTestPlan:
    """Plan the load tests that would teach most before a promotion.

    Each service is tested on the instances that run today, what is called before what calls it, in the quietest hours
    of its own week and of all that it reaches, outside freezes and promotions, and never two at once on one path, on
    one pool of instances, or below one service that depends on both.

    Parameters
    ----------
    promotion
        What is tested for.
    peaks
        Its forecast; the 95 % quantile of a service's worst second is the target.
    curves
        What is known of capacity.
    services
        With the promotion's terms (`Catalog.for_promotion`).
    traffic
        Where the ordinary week is read from.
    promotions
        Others that must not be disturbed.
    fleet
        Instances that will share the peak, of the plan and after a zone loss: a test of fewer takes its part of it.
        Those of today by default.
    only
        Just these services; windows of what they call are then not waited for.
    mocked
        Downstreams that the tests replace.
    as_of
        Tests begin a day after it at the earliest; `peaks.as_of` by default.

    Returns
    -------
    LoadTestPlan
        In order.

    Raises
    ------
    NotCoveredError
        Where no service can be tested.
    """
    day = peaks.as_of if as_of is None else as_of
    zone = promotion.starts_at.tzinfo or ZoneInfo("UTC")
    name = traffic.timezone if traffic is not None else str(zone)
    week = (
        Week((), np.zeros((0, HOURS_OF_WEEK)), name)
        if traffic is None or traffic.is_empty
        else typical_week(traffic, before=day)
    )
    mocked = tuple(services[name].name for name in mocked)
    around = Surroundings(services, curves, mocked=mocked)
    fleets = fleet or {}
    stairs, left_out = _staircases(services, peaks, curves, fleets, only)
    calendar = _Calendar(week, promotion, promotions, day)
    tests: list[PlannedTest] = []
    for service, level in callees_first(services, list(stairs)):
        path, suffering = around.path(service), around.sufferers(service)
        real = [name for name in path if name not in mocked]
        window = calendar.place(stairs[service], real, suffering=suffering)
        usual = _usual(week, path, window)
        beside = usual.get(service, 0.0)
        # What comes anyway is only known with the window; it lowers the top, so that the window still fits.
        try:
            test = _staircase(services, service, peaks, curves, fleets, beside_qps=beside)
        except NotCoveredError as error:
            left_out[service] = str(error.message)
            continue
        loads = around.downstream(test, usual)
        warnings = cautions(services, test, loads, mocked=mocked, beside_qps=beside)
        if window is None:
            warnings = (calendar.nothing_free, *warnings)
        told = who_is_told(services, service, real, promotion, sufferers=suffering)
        next_step = "" if curves is None else curves.next_step.get(service, "")
        tests.append(PlannedTest(len(tests) + 1, level, test, window, loads, told, warnings, next_step))
    if not tests:
        raise NotCoveredError(
            f"no load test can be planned for {promotion.id}: {'; '.join(left_out.values()) or 'no services'}",
            remedy="ingest traffic, or run a first test of any size and read it",
        )
    why = {test.service: _why(test) for test in tests}
    return LoadTestPlan(promotion.id, day, name, tuple(tests), left_out, why, _assumptions(week, fleet), mocked)


def _staircases(
    services: Catalog, peaks: Peaks, curves: Curves | None, fleet: Mapping[str, int], only: Sequence[str] | None
) -> tuple[dict[str, Staircase], dict[str, str]]:
    stairs: dict[str, Staircase] = {}
    left_out: dict[str, str] = {}
    for name in services.names if only is None else [services[n].name for n in only]:
        service = services[name]
        if service.third_party:
            left_out[name] = f"{name} is a third party: ask its owner to confirm the limit instead of testing it"
            continue
        try:
            stairs[name] = _staircase(services, name, peaks, curves, fleet)
        except NotCoveredError as error:
            left_out[name] = str(error.message)
    return stairs, left_out


def _staircase(
    services: Catalog,
    name: str,
    peaks: Peaks,
    curves: Curves | None,
    fleet: Mapping[str, int],
    *,
    beside_qps: float = 0,
) -> Staircase:
    pool = services[services.pool_of(name)]
    return plan_load_test(
        services[name], peaks, curves, instances=pool.instances, fleet=fleet.get(pool.name, pool.instances),
        beside_qps=beside_qps, gives_up_ms=gives_up_ms(services, name),
    )  # fmt: skip


class _Calendar:
    """Where each test goes, given those that were placed before it."""

    def __init__(self, week: Week, promotion: Promotion, promotions: Promotions | None, day: date) -> None:
        zone = ZoneInfo(week.timezone)
        self._week = week
        self._earliest = datetime.combine(day, time(), tzinfo=zone) + NOTICE
        begins = [promotion.starts_at, *(phase.starts_at for phase in promotion.phases)]
        if promotion.freeze is not None:
            begins.append(promotion.freeze.starts_at)
        self._latest = min(begins)
        self._blocked = _spans(promotions)
        self._placed: list[tuple[Window, frozenset[str], str]] = []
        self.nothing_free = (
            f"no window is free between {self._earliest:%Y-%m-%d %H:%M} and {self._latest:%Y-%m-%d %H:%M}, when the "
            f"freeze or {promotion.id} begins: shorten the test, or ask for an exception"
        )

    def place(self, test: Staircase, path: Sequence[str], *, suffering: Sequence[str]) -> Window | None:
        """Find and keep a window: after what it calls was tested, and never beside a test that touches its own.

        Two tests touch where they share a service that gets load, or one that would suffer from both.
        """
        touched = frozenset([*path, *suffering])
        taken = [(w.starts_at, w.ends_at) for w, other, _ in self._placed if other & touched]
        after = [w.ends_at for w, _, tested in self._placed if tested in path]
        window = find_window(
            self._week,
            path,
            duration_s=test.duration_s,
            earliest=max([self._earliest, *after]),
            latest=self._latest,
            taken=[*self._blocked, *taken],
        )
        if window is not None:
            self._placed.append((window, touched, test.service))
        return window


def _spans(promotions: Promotions | None) -> Spans:
    found: Spans = []
    for one in promotions.values() if promotions is not None else ():
        found.append((one.starts_at, one.ends_at))
        if one.freeze is not None:
            found.append((one.freeze.starts_at, one.freeze.ends_at))
    return found


def _usual(week: Week, path: Sequence[str], window: Window | None) -> dict[str, float]:
    """Requests/s that come anyway in a window, by service; without a window, those of the busiest hour."""
    found = {}
    for name in path:
        row = week.of(name)
        if row is None:
            continue
        hours = np.arange(len(row))
        if window is not None:
            count = round((window.ends_at - window.starts_at) / timedelta(hours=1))
            hours = (window.starts_at.weekday() * 24 + window.starts_at.hour + np.arange(count)) % len(row)
        # Hours of which nothing is known are as busy as the busiest.
        found[name] = float(np.nan_to_num(row, nan=float(np.nanmax(row)))[hours].max())
    return found


def _why(test: PlannedTest) -> tuple[str, ...]:
    lines = [*test.staircase.why]
    if test.next_step:
        lines.append(f"the evidence so far asks to: {test.next_step}")
    if test.window is not None:
        share = test.window.business
        how = (
            "no traffic tells when it is quiet: at night"
            if share is None
            else (f"its path is then at {share:.0%} of its busiest hour of the week at most")
        )
        lines.append(f"{test.window.starts_at:%a %Y-%m-%d %H:%M} to {test.window.ends_at:%H:%M}: {how}")
    tight: Downstream | None = next((one for one in test.downstream if one.known_qps), None)
    if tight is not None and tight.known_qps:
        lines.append(
            f"tightest downstream: {tight.service} gets {said_qps(tight.total_qps)} of {said_qps(tight.known_qps)} "
            f"that it takes ({tight.evidence})"
        )
    return tuple(lines)


def _assumptions(week: Week, fleet: Mapping[str, int] | None) -> tuple[str, ...]:
    found = [
        f"an ordinary week is the median of the {WEEKS} before",
        f"of windows within {AS_GOOD:.0%} of the quietest the earliest is taken, with a day's notice at least",
        f"{BESIDES_S / 60:.0f} minutes are kept beside the steps of a test",
        "calls of a test are counted while all goes well",
        "a stated limit holds with the retries that the rule on errors lets pass, a third party's in busy seconds too",
        "the number of instances is held during a test: autoscaling is off, or its result means nothing",
    ]
    if not week.services:
        found.append("no traffic of the weeks before is known: windows are at night by custom, not by measure")
    if fleet is None:
        found.append("no plan of the promotion is known: the instances of today are taken to face its peak")
    else:
        found.append(
            "the instances of the plan that a zone loss leaves share the peak; a test takes the part of its own"
        )
    return tuple(found)
