"""Where companies of the family trade: zone, calendar, and the habits of the people who buy there."""

from dataclasses import dataclass

from benchmarks.second_family.calendars import (
    BRAZIL,
    CHINA_EVENING,
    CHINA_TWO_WAVE,
    DOUBLE_DATES,
    GULF,
    INDIA,
    JAPAN,
    Kind,
)


@dataclass(frozen=True)
class Market:
    """A country's calendar and habits.

    Parameters
    ----------
    name, zone, offset_s, country, currency
        Where it is.
    kinds
        All promotions of its calendar.
    targets
        Kinds a company may be planning for.
    great_holidays
        Part of the names of the holidays that change shopping for a week or more.
    weekend
        Weekdays off, Monday 0.
    payday
        Day of the month on which most salaries are paid.
    """

    name: str
    zone: str
    offset_s: int
    country: str
    currency: str
    kinds: tuple[Kind, ...]
    targets: tuple[str, ...]
    great_holidays: tuple[str, ...]
    weekend: tuple[int, ...]
    payday: int


MARKETS = {
    market.name: market
    for market in (
        Market("china-evening", "Asia/Shanghai", 28800, "CN", "CNY", CHINA_EVENING, ("double11", "618"),
               ("Spring Festival",), (5, 6), 10),
        Market("china-two-wave", "Asia/Shanghai", 28800, "CN", "CNY", CHINA_TWO_WAVE, ("double11",),
               ("Spring Festival",), (5, 6), 10),
        Market("singapore", "Asia/Singapore", 28800, "SG", "SGD", DOUBLE_DATES, ("11.11", "12.12", "9.9"),
               ("Chinese New Year",), (5, 6), 25),
        Market("jakarta", "Asia/Jakarta", 25200, "ID", "IDR", DOUBLE_DATES, ("11.11", "12.12", "9.9"),
               ("Eid al-Fitr",), (5, 6), 25),
        Market("india", "Asia/Kolkata", 19800, "IN", "INR", INDIA, ("big-days",), ("Diwali", "Holi"), (6,), 1),
        Market("brazil", "America/Sao_Paulo", -10800, "BR", "BRL", BRAZIL, ("black-friday",),
               ("Christmas", "Good Friday"), (5, 6), 5),
        Market("gulf", "Asia/Dubai", 14400, "AE", "AED", GULF, ("white-friday", "ramadan-sale"),
               ("Eid al-Fitr", "Eid al-Adha"), (5, 6), 27),
        Market("japan", "Asia/Tokyo", 32400, "JP", "JPY", JAPAN, ("super-sale",), ("New Year", "Constitution"),
               (5, 6), 25),
    )
}  # fmt: skip
# China counts double twice: most of what is published about promotions of this size comes from there.
WEIGHTS = (0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
