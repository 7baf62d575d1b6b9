"""How a value that can be set is declared and checked: its help, unit and limits, beside its default.

A section is a frozen dataclass whose fields are made by :func:`setting`; :func:`check` refuses a value outside the
limits with one sentence. Command lines, help and files read the same metadata, so that nothing is stated twice. No
array library is imported here.

Example:
    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Optimizer:
    ...     rate: float = setting(1e-3, "step size", above=0)
    ...     transform: str = setting("adam", "optax transform", choices=("adam", "sgd"))
    ...     def __post_init__(self):
    ...         check(self, "optimizer")
    >>> Optimizer(transform="adm")
    Traceback (most recent call last):
    ValueError: optimizer.transform must be one of adam, sgd, found adm; did you mean adam?
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any


def setting(
    default: Any,
    help: str,
    unit: str = "",
    *,
    choices: tuple[str, ...] | None = None,
    minimum: int | float | None = None,
    maximum: int | float | None = None,
    above: int | float | None = None,
    below: int | float | None = None,
) -> Any:
    """Declare one value of a section.

    Args:
        default: its value where none is given.
        help: what it does, in one line.
        unit: of a number; empty for a pure number.
        choices: all values that it may have.
        minimum: smallest value that is allowed.
        maximum: largest value that is allowed.
        above: bound that the value must exceed.
        below: bound that the value must stay under.

    Returns:
        a dataclass field with these as its metadata; limits hold for every element of a tuple.
    """
    limits = {"choices": choices, "minimum": minimum, "maximum": maximum, "above": above, "below": below}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, **given})


def check(section: Any, name: str = "") -> None:
    """Refuse the first value of a section that is outside the limits of its field.

    Args:
        section: the dataclass instance.
        name: of the section, put before the name of the value; empty for none.

    Raises:
        ValueError: one sentence with the value's name, what it must be, and what was found.
    """
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None and (wanted := _broken_limit(one, field.metadata)):
                hint = nearest(str(one), field.metadata.get("choices", ())) or "."
                raise ValueError(
                    f"{f'{name}.' if name else ''}{field.name} must be {wanted}, found {show(value)}{hint}"
                )


def _broken_limit(value: Any, limits: Mapping[str, Any]) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "finite"
    if "choices" in limits and value not in limits["choices"]:
        return "one of " + ", ".join(map(str, limits["choices"]))
    if "minimum" in limits and value < limits["minimum"]:
        return f"at least {show(limits['minimum'])}"
    if "maximum" in limits and value > limits["maximum"]:
        return f"at most {show(limits['maximum'])}"
    if "above" in limits and value <= limits["above"]:
        return f"above {limits['above']:g}"
    if "below" in limits and value >= limits["below"]:
        return f"below {limits['below']:g}"
    return ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` for the known name nearest to ``name``, or an empty string.

    A dotted name is also compared by its last part, so that ``--training.stepz`` and ``--steps`` both lead to
    ``--training.steps``.
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        tails = {one.rpartition(".")[2]: one for one in reversed(known)}
        tail = name.lstrip("-").rpartition(".")[2]
        close = [tails[one] for one in difflib.get_close_matches(tail, list(tails), n=1, cutoff=0.7)]
    return f"; did you mean {close[0]}?" if close else ""


def show(value: Any) -> str:
    """Write a value the way the command line reads it: ``64,64``, ``none``, ``true``."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={show(one)}" for key, one in value.items()) or "none"
    if isinstance(value, tuple | list):
        return ",".join(map(show, value)) or "none"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
