"""Numbers as people read them. Rounding is for display only; results keep the raw values."""

import math

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNKNOWN = "–"
_MINUTE = 60
_HOUR = 3600
_DAY = 86400


def format_number(value: float | None, *, digits: int = 3) -> str:
    """Round to significant digits with a unit prefix; whole numbers below 10,000 stay whole.

    Examples
    --------
    >>> format_number(1234567), format_number(140), format_number(9500), format_number(0.01234)
    ('1.23 M', '140', '9,500', '0.0123')
    >>> format_number(None), format_number(float("inf"))
    ('–', '∞')
    """
    if value is None or math.isnan(value):
        return _UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    sign = "−" if value < 0 else ""
    size = abs(float(value))
    if size < 10_000 and size == round(size):
        return f"{sign}{size:,.0f}"
    rounded = _significant(size, digits)
    for factor, prefix in _UNITS:
        if rounded >= factor and (factor > 1e3 or rounded >= 10_000):
            return f"{sign}{_digits(rounded / factor, digits)} {prefix}"
    return f"{sign}{_digits(rounded, digits)}"


def format_qps(value: float | None) -> str:
    """Format a rate per second.

    Examples
    --------
    >>> format_qps(140_000)
    '140 k/s'
    """
    text = format_number(value)
    return text if text == _UNKNOWN else f"{text}/s"


def format_percent(fraction: float | None) -> str:
    """Format a fraction of one as a percentage, never claiming 0 or 100 % that is not exact.

    Examples
    --------
    >>> format_percent(0.0532), format_percent(0.9999), format_percent(0.00001), format_percent(1)
    ('5.3 %', '> 99.9 %', '< 0.1 %', '100 %')
    """
    if fraction is None or math.isnan(fraction):
        return _UNKNOWN
    if math.isinf(fraction):
        return "∞ %" if fraction > 0 else "−∞ %"
    percent = 100.0 * float(fraction)
    sign = "−" if percent < 0 else ""
    size = abs(percent)
    if 0 < size < 0.05:
        return f"{sign}< 0.1 %"
    if 99.95 <= size < 100:
        return f"{sign}> 99.9 %"
    text = f"{size:.0f}" if size >= 100 else f"{size:.1f}".removesuffix(".0")
    return f"{sign}{text} %"


def format_odds(probability: float | None) -> str:
    """Say a probability as odds, rounded to what a reader can picture.

    Examples
    --------
    >>> format_odds(0.05), format_odds(0.031), format_odds(0.0), format_odds(0.97)
    ('1 in 20', '1 in 32', 'never seen', '97 in 100')
    """
    if probability is None or math.isnan(probability):
        return _UNKNOWN
    if not 0 <= probability <= 1:
        raise ValueError(f"probability: got {probability}, expected 0 to 1")
    if probability == 0:
        # A share of samples can be 0; a probability of an overload is not.
        return "never seen"
    if probability == 1:
        return "always"
    if probability > 0.5:
        return f"{min(99, round(100 * probability))} in 100"
    return f"1 in {format_number(round(1 / probability))}"


def format_seconds(seconds: float | None) -> str:
    """Format a duration.

    Examples
    --------
    >>> format_seconds(0.25), format_seconds(90), format_seconds(5400), format_seconds(172800)
    ('250 ms', '1 min 30 s', '1 h 30 min', '2 d')
    """
    if seconds is None or math.isnan(seconds):
        return _UNKNOWN
    if math.isinf(seconds):
        return "∞"
    sign = "−" if seconds < 0 else ""
    size = abs(float(seconds))
    if size < 1:
        return f"{sign}{_digits(size * 1000, 3)} ms" if size else "0 s"
    if size < _MINUTE:
        return f"{sign}{_digits(size, 3)} s"
    whole = round(size)
    if whole < _HOUR:
        return sign + _two(whole, (_MINUTE, "min"), (1, "s"))
    whole = _MINUTE * round(whole / _MINUTE)
    if whole < _DAY:
        return sign + _two(whole, (_HOUR, "h"), (_MINUTE, "min"))
    return sign + _two(_HOUR * round(whole / _HOUR), (_DAY, "d"), (_HOUR, "h"))


def _two(whole: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    first, rest = divmod(whole, large[0])
    second = rest // small[0]
    return f"{first} {large[1]}" + (f" {second} {small[1]}" if second else "")


def _significant(size: float, digits: int) -> float:
    return float(f"{size:.{digits - 1}e}")


def _digits(size: float, digits: int) -> str:
    """Write without exponent, with at most `digits` significant digits and no trailing zeros."""
    if size == 0:
        return "0"
    rounded = _significant(size, digits)
    decimals = max(0, digits - 1 - math.floor(math.log10(rounded)))
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
