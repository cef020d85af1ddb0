"""How numbers and names are written for a reader, the same in sentences and in tables."""

from collections.abc import Sequence


def display_name(name: str) -> str:
    """Returns a policy's name as one writes it in a sentence."""
    return name.replace("_", " ")


def bar_name(periods_per_year: float) -> str:
    """Returns what a bar is called of which a year has so many: day, week, month, quarter or year."""
    lengths = ((1.5, "year"), (6, "quarter"), (20, "month"), (100, "week"))
    return next((name for most, name in lengths if periods_per_year <= most), "day")


def listed(names: list[str]) -> str:
    """Returns names as one writes them in a sentence, the last after 'and'."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def position_name(k: int, count: int) -> str:
    """Returns the name of code `k` of the `count` that an asset has on a day, counted from 1 for the oldest days."""
    return f"position {k + 1} of {count}"


def percent(value: float | None, digits: int = 1) -> str:
    """Returns a fraction as a percentage, a dash where it is undefined."""
    return "–" if value is None else f"{number(100 * value, digits)} %"


def number(value: float | None, digits: int = 2) -> str:
    """Returns a number with `digits` decimals and a true minus sign, a dash where it is undefined."""
    if value is None:
        return "–"
    return _signed(f"{value:,.{digits}f}" if abs(value) < 1e5 else f"{value:.1e}")


def amount(value: float, digits: int = 2) -> str:
    """Returns money, a price or a number of shares with all of its digits, however large, and a true minus sign."""
    return _signed(f"{value:,.{digits}f}")


def _signed(written: str) -> str:
    zero = not any(digit in written for digit in "123456789")
    return written.removeprefix("-") if zero else written.replace("-", "−")


def p_value(value: float | None) -> str:
    """Returns a probability under a hypothesis with three decimals, and no zero that nobody could have measured."""
    return "< 0.001" if value is not None and value < 0.001 else number(value, 3)


def with_interval(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """Returns a number and its 95 % interval in words."""
    if value is None:
        return "undefined"
    if interval is None:
        return number(value, digits)
    return f"{number(value, digits)}, between {number(interval[0], digits)} and {number(interval[1], digits)} (95 %)"


def within(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """Returns a number and its interval for the cell of a table, as ``0.04 [0.02, 0.06]``."""
    if interval is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(interval[0], digits)}, {number(interval[1], digits)}]"


def percent_within(value: float | None, interval: Sequence[float] | None, digits: int = 1) -> str:
    """Returns a fraction as a percentage with its interval for the cell of a table, as ``3.0 % [1.2, 4.8]``."""
    if value is None or interval is None:
        return percent(value, digits)
    low, high = (number(100 * bound, digits) for bound in interval)
    return f"{percent(value, digits)} [{low}, {high}]"
