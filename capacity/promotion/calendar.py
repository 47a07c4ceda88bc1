"""All promotions of a workspace, in time order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from capacity.display.escape import safe_slug
from capacity.document.check import check_document
from capacity.document.contract import Fault
from capacity.document.zones import require_zone
from capacity.errors import InputError, did_you_mean
from capacity.promotion.brief import Promotion
from capacity.promotion.phases import elapsed


class Promotions(Mapping[str, Promotion]):
    """All promotions by id, in time order.

    Examples
    --------
    >>> one = Promotion(id="2025-618", kind="618", starts_at="2025-06-17T20:00+08:00", ends_at="2025-06-19T00:00+08:00")
    >>> Promotions([one])["2025-628"]
    Traceback (most recent call last):
    capacity.errors.InputError: no promotion '2025-628' in data/promotions.yaml
    Next: did you mean '2025-618'?
    """

    def __init__(self, promotions: Iterable[Promotion] = (), *, where: str = "data/promotions.yaml") -> None:
        ordered = sorted(promotions, key=lambda p: (p.starts_at.astimezone(UTC), p.id))
        self._by_id = {promotion.id: promotion for promotion in ordered}
        self._where = where
        if len(self._by_id) != len(ordered):
            raise InputError(f"{where} has promotions with the same id")

    def __getitem__(self, promotion_id: str) -> Promotion:
        if promotion_id in self._by_id:
            return self._by_id[promotion_id]
        known = ", ".join(list(self._by_id)[-5:])
        remedy = did_you_mean(str(promotion_id), self._by_id) or (f"the newest are {known}" if known else "write one")
        raise InputError(f"no promotion {promotion_id!r} in {self._where}", remedy=remedy)

    def __contains__(self, promotion_id: object) -> bool:
        return promotion_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"<Promotions: {', '.join(self._by_id) or 'none'}>"

    def of_kind(self, kind: str) -> "Promotions":
        """Return those of one kind."""
        return self._only(p for p in self.values() if p.kind == kind)

    def before(self, moment: datetime | date) -> "Promotions":
        """Return those that are over at a moment (of a day: when it begins, in each promotion's zone)."""
        return self._only(p for p in self.values() if elapsed(p.ends_at, _moment(moment, p)) >= timedelta(0))

    def as_of(self, day: date) -> "Promotions":
        """Return what was known when `day` began.

        All promotions stay, as plans are known ahead; the `actual` of one that was not over, and an
        `expected` signed on `day` or later, are gone.
        """
        return self._only(p.as_of(day) for p in self.values())

    def _only(self, promotions: Iterable[Promotion]) -> "Promotions":
        return Promotions(promotions, where=self._where)


def parse_promotions(text: str, *, timezone: str, where: str = "data/promotions.yaml") -> Promotions:
    """Read ``data/promotions.yaml``.

    Parameters
    ----------
    text
        The file's content: a list of promotions.
    timezone
        IANA name of the workspace's zone. A time without an offset is in it; all times come back in it.
    where
        The file's name in messages.

    Returns
    -------
    Promotions
        Checked.

    Raises
    ------
    InputError
        With every problem of the file.

    Examples
    --------
    >>> text = '''
    ... - id: 2026-double11
    ...   kind: double11
    ...   starts_at: 2026-11-10T20:00
    ...   ends_at: 2026-11-12T00:00+08:00
    ... '''
    >>> parse_promotions(text, timezone="Asia/Shanghai")["2026-double11"].starts_at.isoformat()
    '2026-11-10T20:00:00+08:00'
    """
    zone = require_zone(timezone, where=where)
    found = check_document(
        text, model=list[Promotion], where=where, context={"zone": zone}, label="id", checks=_between
    )
    return Promotions(found, where=where)


def _between(_sound: Mapping[int, Promotion], raw: Sequence[Any]) -> Iterator[Fault]:
    """Ids name folders: they must differ, also as file systems see them."""
    first: dict[str, int] = {}
    for place, item in enumerate(raw):
        promotion_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(promotion_id, str):
            continue
        folder = safe_slug(promotion_id).casefold()
        if folder in first:
            other = raw[first[folder]]["id"]
            expected = "an id of its own" if other == promotion_id else f"an id unlike {other!r} beyond its case"
            yield Fault((place, "id"), repr(promotion_id), expected, f"item {first[folder] + 1} has it already")
        first.setdefault(folder, place)


def _moment(moment: datetime | date, promotion: Promotion) -> datetime:
    if isinstance(moment, datetime):
        return moment if moment.tzinfo else moment.replace(tzinfo=promotion.starts_at.tzinfo)
    return datetime.combine(moment, time(), tzinfo=promotion.starts_at.tzinfo)
