"""The bridge between frozen dataclasses and what people write: YAML, ``--section.key value`` and help.

A configuration is a frozen dataclass of sections, each a frozen dataclass of values. Types come from the
annotations, the help, the unit and the range from each field's ``metadata``; nothing is stated twice.
Everything here is driven by a *template*, an instance (an experiment's preset), because a section's class may
belong to that experiment.

Fields are declared by ``gan.settings.setting``, whose metadata are read here. No import of jax: help must be quick.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, Union, runtime_checkable

from experiments.errors import UserError
from gan.settings import nearest, show


@runtime_checkable
class Section(Protocol):
    """A dataclass of settings, or of sections."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Config = TypeVar("Config", bound=Section)

_PI = re.compile(r"\s*([-+0-9.eE]*)\s*\*?\s*(?:pi|π)\s*$")
RENAMED = {
    "carry": "solver_layer",
    "carry.tau": "solver_layer.tau",
    "carry.steps": "solver_layer.steps",
    "carry.start": "solver_layer.start",
    "carry.ramp": "solver_layer.ramp",
    "carry.bound": "solver_layer.bound",
    "carry.limit": "solver_layer.limit",
    "network.bare": "network.plain_levels",
    "optimizer.play": "optimizer.scheme",
    "system.plays": "system.schemes",
    "training.film": "training.sample_history",
    "system.defect_weight": "system.weights",
    "system.defect_ramp": "system.ramp",
}
"""Settings of earlier versions and what they are called now."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Setting(NamedTuple):
    """One setting of a configuration.

    Attributes:
        name: "section.key".
        kind: its annotated type.
        value: in this configuration.
        metadata: help, unit and limits, as ``gan.settings.setting`` keeps them.
    """

    name: str
    kind: object
    value: object
    metadata: Mapping[str, Any]


def to_mapping(config: Section) -> dict[str, object]:
    """Turn a dataclass, with its sections, into plain dicts, lists and scalars, ready for YAML or JSON."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


def from_mapping(template: Config, mapping: object, where: str = "") -> Config:
    """Read back what ``to_mapping`` wrote. Keys left out keep the template's value; an unknown key is an
    error."""
    if not isinstance(mapping, Mapping):
        raise UserError(f"{where or 'the configuration'} must be a section of keys and values, found {mapping!r}.")
    kinds = field_types(template)
    changes: dict[str, object] = {}
    for key, value in mapping.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in kinds:
            raise UserError(f"{name} is not a setting{hint(name, str(key), kinds) or '.'}")
        current = getattr(template, key)
        if dataclasses.is_dataclass(current) and not isinstance(current, type):
            changes[key] = from_mapping(current, value, name)
        else:
            changes[key] = convert(value, kinds[key], name)
    return _replaced(template, changes, where)


def override(config: Config, overrides: Mapping[str, str]) -> Config:
    """Apply ``{"section.key": "text"}`` from the command line, checking names, types and ranges.

    Raises:
        UserError: one sentence that names the option, the value and the mend.
    """
    known = {name: kind for name, kind, _, _ in settings(config)}
    grouped: dict[str, dict[str, object]] = {}
    for name, text in overrides.items():
        if name not in known:
            found = hint(name, f"--{name}", [f"--{one}" for one in known])
            raise UserError(f"--{name} is not an option{found or '; see --help for all of them.'}")
        section, _, key = name.rpartition(".")
        grouped.setdefault(section, {})[key] = convert(text, known[name], f"--{name}")
    for section, changes in grouped.items():
        if section:
            part = getattr(config, section)
            config = dataclasses.replace(config, **{section: _replaced(part, changes, f"--{section}")})
        else:
            config = _replaced(config, changes, "--")
    return config


def hint(name: str, written: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown setting: what it is called now, or the nearest known one."""
    return f"; it is called {RENAMED[name]} now." if name in RENAMED else nearest(written, known)


def _replaced(config: Config, changes: Mapping[str, object], where: str) -> Config:
    """``dataclasses.replace``, with the section named in front of the sentence that a section's own check
    raises."""
    try:
        return dataclasses.replace(config, **changes)
    except ValueError as error:
        raise UserError(_placed(" ".join(str(error).split()), changes, where)) from error


def _placed(message: str, changes: Mapping[str, object], where: str) -> str:
    """Name in ``message``, raised by a section's own check, the option as it was written:
    ``--data.points``."""
    message = message if message.endswith((".", "?")) else f"{message}."
    section = where.lstrip("-")
    if message.startswith(f"{section}."):
        return where.removesuffix(section) + message
    if any(message.startswith(f"{key} ") for key in changes):
        return f"{where}.{message}" if section else f"{where}{message}"
    return f"{', '.join(f'{where}.{key} {show(value)}' for key, value in changes.items())}: {message}"


def settings(config: Section) -> Iterator[Setting]:
    """Yield every setting, a section's together."""
    kinds = field_types(config)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for one in settings(value):
                yield one._replace(name=f"{field.name}.{one.name}")
        else:
            yield Setting(field.name, kinds[field.name], value, field.metadata)


def field_types(config: Section) -> dict[str, object]:
    """Annotated types of a dataclass's fields, resolved."""
    hints = typing.get_type_hints(type(config))
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def convert(value: object, kind: object, name: str) -> object:
    """Turn text (or a YAML value) into ``kind``: int, float, bool, str, a tuple or list of these, or none.

    Numbers may be written ``1e-3`` or ``32pi``; tuples with commas.

    Raises:
        UserError: the value is none of this kind.
        TypeError: settings cannot be of this kind.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, name)
    if origin in (tuple, list):
        return _convert_tuple(value, arguments, name)
    if kind is bool:
        text = str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise UserError(f"{name} must be true or false, found {value!r}.")
    if kind is int or kind is float:
        return _convert_number(value, int if kind is int else float, name)
    if kind is str:
        return str(value)
    raise TypeError(
        f"{name} is of type {kind}, which no setting can have: use int, float, bool, str or tuples of them."
    )


def _convert_number(value: object, kind: type[int] | type[float], name: str) -> int | float:
    what = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UserError(f"{name} must be {what}, found {value!r}.")
    try:
        match = _PI.match(value) if isinstance(value, str) else None
        number = float(match[1] or 1) * math.pi if match else float(value)
    except ValueError:
        raise UserError(f"{name} must be {what}, found {value!r}.") from None
    if kind is int and (not math.isfinite(number) or number != int(number)):
        raise UserError(f"{name} must be {what}, found {value!r}.")
    return int(value) if kind is int and isinstance(value, int) else kind(number)


def _convert_union(value: object, arguments: tuple[object, ...], name: str) -> object:
    if type(None) in arguments and (value is None or str(value).strip().lower() in ("none", "null", "")):
        return None
    problems = []
    for one in arguments:
        if one is type(None):
            continue
        try:
            return convert(value, one, name)
        except UserError as error:
            problems.append(error)
    raise problems[-1]


def _convert_tuple(value: object, arguments: tuple[object, ...], name: str) -> tuple[object, ...]:
    if isinstance(value, str):
        text = value.strip().strip("()[]")
        items: Sequence[object] = (
            [] if text.lower() in ("", "none") else [one for one in re.split(r"[,\s]+", text) if one]
        )
    else:
        items = list(value) if isinstance(value, tuple | list) else [value]
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        kinds: Sequence[object] = [arguments[0]] * len(items)
    elif len(arguments) == 1:
        kinds = [arguments[0]] * len(items)
    else:
        kinds = arguments
    if len(items) != len(kinds):
        raise UserError(f"{name} takes {len(kinds)} values separated by commas, found {show(tuple(items))}.")
    return tuple(convert(one, kind, name) for one, kind in zip(items, kinds))


def type_name(kind: object) -> str:
    """Name a type for help: ``int``, ``float,float``, ``int|none``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return "|".join("none" if one is type(None) else type_name(one) for one in arguments)
    if origin in (tuple, list):
        if len(arguments) == 1 or arguments[1:] == (Ellipsis,):
            return f"{type_name(arguments[0])},..."
        return ",".join(map(type_name, arguments))
    return {"str": "text"}.get(getattr(kind, "__name__", ""), getattr(kind, "__name__", str(kind)))
