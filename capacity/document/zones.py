"""Time zones by their IANA name."""

from zoneinfo import ZoneInfo, available_timezones

from capacity.errors import InputError, Problem, did_you_mean


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of an IANA name, or nothing when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def require_zone(name: str, *, where: str) -> ZoneInfo:
    """Return the time zone of an IANA name, or raise an `InputError` that suggests one."""
    zone = find_zone(name)
    if zone is None:
        remedy = did_you_mean(name, available_timezones())
        problem = Problem(where, repr(name), "an IANA time zone such as Asia/Shanghai", remedy)
        raise InputError(f"unknown time zone {name!r}", problems=[problem])
    return zone
