"""The promotion as a calendar: phases, freeze, scaling, switches, roster, meetings, drills; for any calendar program.

RFC 5545 says the format; the library ``icalendar`` writes it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from capacity.export.source import Export, Source

FILE = "promotion.ics"


@dataclass(frozen=True)
class Event:
    """One event; its end is not part of it.

    Attributes
    ----------
    name, says, who
        In words.
    starts_at, ends_at
        Equal: it takes no time.
    identity
        What makes it the same event when it moves; the name where left out.
    """

    name: str
    starts_at: datetime
    ends_at: datetime
    says: str = ""
    who: str = ""
    identity: str = ""


def export_icalendar(source: Source) -> Export:
    """Make one calendar of everything that has a time."""
    return Export(
        "icalendar", {FILE: write_calendar(source, tuple(find_events(source)))},
        next_steps=(f"subscribe to {FILE}, or import it; an export later replaces events by their UID",),
    )  # fmt: skip


def find_events(source: Source) -> Iterator[Event]:
    """Yield what the plan and the brief give a time."""
    promotion, document = source.promotion, source.document
    yield Event(promotion.id, promotion.starts_at, promotion.ends_at, promotion.background)
    for phase in promotion.phases:
        yield Event(f"{promotion.id}: {phase.name}", phase.starts_at, phase.ends_at, "promotions.yaml phases")
    if promotion.freeze is not None:
        yield Event(
            "Freeze: no changes", promotion.freeze.starts_at, promotion.freeze.ends_at, "promotions.yaml freeze"
        )
    for name, planned in document["services"].items():
        for place, step in enumerate(planned.get("scale_schedule") or []):
            start, ready = (datetime.fromisoformat(step[key]) for key in ("start_at", "ready_by"))
            says = f"plan.json services.scale_schedule: {step['instances']} instances, serving by {ready.isoformat()}"
            owner = source.services[name].owner
            yield Event(
                f"Scale {name} to {step['instances']}", start, max(ready, start), says, owner, f"scale/{name}/{place}"
            )
    for rung in document["degradation"]:
        if rung.get("on_at"):
            start, end = (datetime.fromisoformat(rung.get(key) or rung["on_at"]) for key in ("on_at", "off_at"))
            yield Event(
                f"{rung['feature']} is off",
                start,
                end,
                f"{rung['trigger']}; {rung['recovery']}",
                rung.get("owner") or "",
            )
    yield from _of_people(source)


def _of_people(source: Source) -> Iterator[Event]:
    book, zone = source.operations, source.settings.zone
    for shift in book.roster:
        name = f"On duty: {shift.person}, {shift.role}"
        identity = f"{name}/{shift.starts_at.date()}"
        yield Event(name, shift.starts_at, shift.ends_at, shift.contact, shift.person, identity)
    for meeting in book.meetings:
        hour, minute = (int(part) for part in meeting.at.split(":"))
        for day in meeting.days():
            start = datetime.combine(day, time(hour, minute), tzinfo=zone)
            end = (start.astimezone(UTC) + timedelta(minutes=meeting.minutes)).astimezone(zone)
            who, identity = ", ".join(meeting.who), f"meeting/{meeting.name}/{day}"
            yield Event(meeting.name, start, end, "operations.yaml meetings", who, identity)
    if book.war_room is not None:
        room = book.war_room
        yield Event(f"War room: {room.place}", room.opens_at, room.closes_at, "operations.yaml war_room", room.lead)
    for drill in book.drills:
        start = datetime.combine(drill.due, time(9), tzinfo=zone)
        says = f"{drill.failure} {drill.service}: last day to practise it (operations.yaml drills)"
        yield Event(f"Drill: {drill.name}", start, start + timedelta(hours=1), says, drill.owner)


def write_calendar(source: Source, events: tuple[Event, ...]) -> str:
    """Write events as one calendar; the same events give the same text, whenever it is written."""
    from icalendar import Calendar
    from icalendar import Event as Entry

    calendar = Calendar()
    calendar.add("prodid", "-//capacity//promotion calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", source.promotion.id)
    calendar.add("x-capacity-plan-signature", source.signature)
    calendar.add("x-capacity-about", " ".join(source.header()))
    taken: Counter[str] = Counter()
    stamp = datetime.fromisoformat(f"{source.document['as_of']}T00:00:00+00:00")
    for event in events:
        entry = Entry()
        identity = event.identity or event.name
        key = f"{source.promotion.id}/{identity}/{taken[identity]}"
        taken[identity] += 1
        entry.add("uid", f"{hashlib.sha256(key.encode()).hexdigest()[:24]}@capacity")
        entry.add("dtstamp", stamp)
        entry.add("dtstart", event.starts_at.astimezone(source.settings.zone))
        if event.ends_at.astimezone(UTC) > event.starts_at.astimezone(UTC):  # an equal end is left out by RFC 5545
            entry.add("dtend", event.ends_at.astimezone(source.settings.zone))
        entry.add("summary", event.name)
        entry.add("description", "\n".join(part for part in (event.who, event.says) if part))
        calendar.add_component(entry)
    calendar.add_missing_timezones()
    return str(calendar.to_ical().decode())
