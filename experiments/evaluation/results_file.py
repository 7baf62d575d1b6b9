"""Comparisons to and from ``comparison.json``: one codec for all records, which checks what it reads.

>>> write(comparison, folder / "comparison.json")
>>> read(folder / "comparison.json", "`python -m experiments compare RUN` makes it")
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.evaluation.entries import Distance, Plain, Score
from experiments.evaluation.results import (
    AgainstTruth,
    Baselines,
    Comparison,
    Cost,
    Distances,
    FieldPictures,
    Forecasts,
    ImportanceWeights,
    ModeShares,
    Orbits,
    Planning,
    Recoveries,
    Refinement,
    Regions,
    Scores,
    Section,
    Statistics,
    Tests,
    Worth,
)
from experiments.files import write_json

FORMAT = 3
"""Version of ``comparison.json``; 1 was written before results had types."""
KINDS: dict[str, type] = {
    "tests": Tests,
    "distances": Distances,
    "scores": Scores,
    "refinement": Refinement,
    "cost": Cost,
    "worth": Worth,
    "planning": Planning,
    "baselines": Baselines,
    "regions": Regions,
    "importance_weights": ImportanceWeights,
    "against_truth": AgainstTruth,
    "orbits": Orbits,
    "recoveries": Recoveries,
    "fields": FieldPictures,
    "statistics": Statistics,
    "forecasts": Forecasts,
    "modes": ModeShares,
}
"""The key of each kind of section in ``comparison.json``."""
_DERIVED: dict[type, tuple[str, ...]] = {
    Distance: ("ratio", "ratio_interval"),
    Score: ("inside",),
    Tests: ("distinguished",),
    Cost: ("advantage", "break_even"),
}
"""Properties that are written for whoever reads the file, and left out when it is read back."""


def write(comparison: Comparison, path: Path) -> None:
    """Write ``comparison.json``, atomically: the sections stand under the keys of `KINDS`, in their order."""
    write_json(path, to_plain(comparison))


def read(path: Path, remedy: str) -> Comparison:
    """Read what `write` wrote.

    Args:
        path: of the file.
        remedy: how to get a readable one, as the end of a sentence.

    Raises:
        UserError: the file is missing, is no JSON, is of another format, or lacks a part.
    """
    if not path.exists():
        raise UserError(f"{path.parent} has no {path.name} yet; {remedy}.")
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged; {remedy}.") from None
    return from_plain(content, str(path), remedy)


def to_plain(comparison: Comparison) -> dict[str, object]:
    """Return a comparison as nested plain values."""
    content = _converter().unstructure(comparison, Comparison)
    sections = content.pop("sections")
    keys = {kind: key for key, kind in KINDS.items()}
    own = {keys[type(section)]: plain for section, plain in zip(comparison.sections, sections)}
    return {"format": FORMAT, **content, **own}


def from_plain(content: object, source: str, remedy: str) -> Comparison:
    """Read what `to_plain` returned; ``source`` and ``remedy`` are for the error's sentence.

    Raises:
        UserError: as `read`.
    """
    if not isinstance(content, Mapping) or not all(isinstance(content.get(key, {}), Mapping) for key in KINDS):
        raise UserError(f"{source} is damaged; {remedy}.")
    if content.get("format") != FORMAT:
        raise UserError(
            f"{source} is of format {content.get('format', 1)!r}, which this version does not read; {remedy}."
        )
    import cattrs

    converter = _converter()
    rest = {key: value for key, value in content.items() if key not in KINDS and key != "format"}
    try:
        comparison = converter.structure({**rest, "sections": ()}, Comparison)
        sections = tuple(converter.structure(content[key], KINDS[key]) for key in content if key in KINDS)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError):
        raise UserError(f"{source} is damaged; {remedy}.") from None
    return replace(comparison, sections=sections)


def _exactly(value: Any, kind: type) -> Any:
    """Take a value of this very type: neither ``"3"`` nor ``true`` is a number."""
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _number(value: Any, _: type) -> float:
    """Take a number; a null stands for one that was not finite (`experiments.files.write_json`)."""
    if value is None:
        return math.nan
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, found {type(value).__name__}")
    return float(value)


@cache
def _converter() -> Any:
    """Return the converter between records and plain values."""
    from cattrs import Converter
    from cattrs.gen import make_dict_unstructure_fn
    from cattrs.strategies import configure_union_passthrough

    converter = Converter()
    for scalar in (bool, int, str):
        converter.register_structure_hook(scalar, _exactly)
    converter.register_structure_hook(float, _number)
    configure_union_passthrough(Plain, converter)
    # A section is distinguished by the key it stands under; the union itself is never read.
    converter.register_unstructure_hook(Section, lambda one: converter.unstructure(one, type(one)))
    converter.register_structure_hook(Section, lambda value, _: value)

    def with_derived(kind: type, names: tuple[str, ...]) -> None:
        plain: Any = make_dict_unstructure_fn(kind, converter)
        converter.register_unstructure_hook(
            kind, lambda one: {**plain(one), **{name: converter.unstructure(getattr(one, name)) for name in names}}
        )

    for kind, names in _DERIVED.items():
        with_derived(kind, names)
    return converter
