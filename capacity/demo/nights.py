"""One promotion after another: played by the second, recorded by the minute, then only what is needed is kept."""

from dataclasses import dataclass

import pandas as pd

from capacity.demo.candidates import Seconds, pick_seconds
from capacity.demo.catalogue import MAX_DELAY_S
from capacity.demo.events import Event, moment_of
from capacity.demo.fleet import Fleet, Night, make_night
from capacity.demo.graph import Floats
from capacity.demo.services import INDEX, NAMES, NEW_SERVICE
from capacity.demo.simulate import HALF_DAY_MARGIN_S, Window
from capacity.demo.traffic import minute_rows
from capacity.demo.truth import queued_rate
from capacity.demo.world import World


@dataclass(frozen=True)
class Played:
    """What is kept of one promotion's seconds.

    Parameters
    ----------
    event, night
        The promotion and what was run for it.
    rows
        Minute rows of the traffic table, from six hours before to six hours after.
    seconds
        The seconds at which some service is busiest.
    peaks
        Offered: by service and phase, the largest second.
    peak_tps, peak_at
        Offered orders of the largest second, and when.
    queued_qps
        By service behind a queue.
    completed_tps, completed_at, arrived_qps
        As recorded, under the limits of the night.
    rejected
        Orders turned away.
    """

    event: Event
    night: Night
    rows: pd.DataFrame
    seconds: Seconds
    peaks: dict[str, dict[str, float]]
    peak_tps: float
    peak_at: str
    queued_qps: dict[str, float]
    completed_tps: float
    completed_at: str
    arrived_qps: dict[str, float]
    rejected: int

    @property
    def first_hour(self) -> int:
        """First hour (from the origin) of the minute rows."""
        return (self.event.starts_s - HALF_DAY_MARGIN_S) // 3600

    @property
    def last_hour(self) -> int:
        """Hour after the last of the minute rows."""
        return (self.event.ends_s + HALF_DAY_MARGIN_S) // 3600


def play(world: World, fleet: Fleet, window: Window, *, is_target: bool) -> Played:
    """Record one promotion and keep what truth and files need of it."""
    event, offered = window.event, window.offered
    largest = {name: float(offered[name].max()) for name in NAMES}
    night = make_night(world.parameters, world.services, fleet, event, peaks=largest, is_target=is_target)
    arriving, rejected = window.actual(limit_qps=night.limit_qps, off=night.off)
    known = [name for name in NAMES if window.matrix[:, INDEX[NEW_SERVICE]].any() or name != NEW_SERVICE]
    cut = slice(
        event.starts_s - HALF_DAY_MARGIN_S - window.starts_s, event.ends_s + HALF_DAY_MARGIN_S - window.starts_s
    )
    rows = minute_rows(
        world.parameters, world.services, fleet, night, event.id,
        starts_s=window.starts_s + cut.start,
        arriving={name: values[cut] for name, values in arriving.items()},
        rejected=rejected[cut],
        bots={name: entry.extra_qps for name, entry in world.entries.items()},
        known=known,
    )  # fmt: skip
    completed = arriving["checkout"] - rejected
    return Played(
        event=event,
        night=night,
        rows=rows,
        seconds=pick_seconds(window, most=20 if is_target else 3),
        peaks=_phase_peaks(window),
        peak_tps=largest["checkout"],
        peak_at=_moment(window, offered["checkout"]),
        queued_qps={"fulfilment": queued_rate(offered["fulfilment"], max_delay_s=MAX_DELAY_S)},
        completed_tps=float(completed.max()),
        completed_at=_moment(window, completed),
        arrived_qps={name: float(values.max()) for name, values in arriving.items()},
        rejected=int(rejected.sum()),
    )


def _moment(window: Window, values: Floats) -> str:
    return moment_of(window.starts_s + int(values.argmax())).isoformat(timespec="seconds")


def _phase_peaks(window: Window) -> dict[str, dict[str, float]]:
    phases = window.event.phases()
    return {
        name: {phase.name: float(values[window.part(phase)].max()) for phase in phases}
        for name, values in window.offered.items()
    }
