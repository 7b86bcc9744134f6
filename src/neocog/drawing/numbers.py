"""Number formats: rounded, with a unit, a thin space between."""

from math import floor, log10

THIN = "\u202f"  # narrow, and no line breaks there
MISSING = "–"


def percent(fraction: float, *, digits: int = 1) -> str:
    """0.9312 -> 93.1 %."""
    return f"{100 * fraction:.{digits}f}{THIN}%"


def points(fraction: float) -> str:
    """A difference of two shares: 0.012 -> 1.2 points, -0.01 -> −1.0 points."""
    return f"{round(100 * fraction, 1) + 0.0:.1f} points".replace("-", "−")


def significant(value: float, *, digits: int = 3) -> str:
    """To `digits` significant digits, never in powers of ten: 0.1234 -> 0.123, 1234 -> 1,230."""
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - floor(log10(abs(rounded))) if rounded else 0
    return f"{rounded:,.{max(decimals, 0)}f}"


def count(number: float) -> str:
    """61706 -> 61.7k, 1_234_567 -> 1.23M; whole below a thousand."""
    return _scaled(number, ((1e9, "G"), (1e6, "M"), (1e3, "k")), "")


def size(number: float, *, digits: int = 3) -> str:
    """Bytes, in powers of ten: 45_312 -> 45.3 kB."""
    return _scaled(number, ((1e9, THIN + "GB"), (1e6, THIN + "MB"), (1e3, THIN + "kB")), THIN + "B", digits=digits)


def milliseconds(value: float, *, digits: int = 3) -> str:
    """0.1234 -> 0.123 ms."""
    return significant(value, digits=digits) + THIN + "ms"


def duration(seconds: float) -> str:
    """95 -> 1:35 min, 4000 -> 1:07 h, 9.44 -> 9.4 s."""
    whole = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}{THIN}s"
    if whole < 60:
        return f"{whole}{THIN}s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}{THIN}min"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}{THIN}h"


def times(ratio: float) -> str:
    """A factor of at least one: 7.24 -> 7.2 times, 41.6 -> 42 times."""
    return f"{ratio:.1f} times" if ratio < 10 else f"{significant(ratio, digits=2)} times"


def _scaled(number: float, units: tuple[tuple[float, str], ...], plain: str, *, digits: int = 3) -> str:
    for factor, unit in units:
        if number >= factor * 0.9995:
            return significant(number / factor, digits=digits) + unit
    return f"{number:,.0f}{plain}"
