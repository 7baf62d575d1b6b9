"""How names, numbers and durations read in plain text: in verdicts, reports and pictures alike."""

from __future__ import annotations

import math
from typing import TypeGuard

_NAMES = {"wasserstein": "Wasserstein", "gaussian": "Gaussian", "crps": "CRPS", "auc": "AUC", "kl": "KL"}


def words(name: str) -> str:
    """Turn a key into words: ``sliced_wasserstein`` into ``sliced Wasserstein``, ``values/u`` into ``values, u``."""
    text = name.replace("_", " ").replace("/", ", ")
    return " ".join(_NAMES.get(word, word) for word in text.split(" "))


def capital(text: str) -> str:
    """Begin with a capital letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(parts: list[str]) -> str:
    """Join parts as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value that was read from JSON is a number, and finite as a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def in_unit(seconds: float | int) -> tuple[float, str]:
    """Return a time as a number and the unit that suits it, from nanoseconds to hours."""
    for unit, size, least in (("h", 3600, 7200), ("min", 60, 600), ("s", 1, 1), ("ms", 1e-3, 1e-3), ("µs", 1e-6, 1e-6)):
        if seconds >= least:
            return seconds / size, unit
    return seconds / 1e-9, "ns"


def approximate(number: int) -> str:
    """Write an estimated number of things with two digits, and separators of thousands.

    Example:
        >>> approximate(469_134_705)
        '470,000,000'
    """
    digits = max(len(str(abs(number))) - 2, 0)
    return f"{round(number, -digits):,}"


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it, with three digits."""
    value, unit = in_unit(seconds)
    return f"{value:.3g} {unit}"
