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
from typing import Any, Literal, TypeVar, Union

from experiments.errors import UserError
from gan.settings import nearest, show

Config = TypeVar("Config")

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
}
"""Settings of earlier versions and what they are called now."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def to_mapping(config: Any) -> Any:
    """Turn a dataclass, with its sections, into plain dicts, lists and scalars, ready for YAML or JSON."""
    if dataclasses.is_dataclass(config):
        return {field.name: to_mapping(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(key): to_mapping(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [to_mapping(value) for value in config]
    return config


def from_mapping(template: Config, mapping: Any, where: str = "") -> Config:
    """Read back what ``to_mapping`` wrote. Keys left out keep the template's value; an unknown key is an
    error."""
    if not isinstance(mapping, Mapping):
        raise UserError(f"{where or 'the configuration'} must be a section of keys and values, found {mapping!r}.")
    kinds = field_types(type(template))
    changes = {}
    for key, value in mapping.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in kinds:
            raise UserError(f"{name} is not a setting{hint(name, str(key), kinds) or '.'}")
        current = getattr(template, key)
        if dataclasses.is_dataclass(current):
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
    grouped: dict[str, dict[str, Any]] = {}
    for name, text in overrides.items():
        if name not in known:
            found = hint(name, f"--{name}", [f"--{one}" for one in known])
            raise UserError(f"--{name} is not an option{found or '; see --help for all of them.'}")
        section, _, key = name.rpartition(".")
        grouped.setdefault(section, {})[key] = convert(text, known[name], f"--{name}")
    for section, changes in grouped.items():
        if section:
            part = getattr(config, section)
            config = dataclasses.replace(config, **{section: _replaced(part, changes, f"--{section}")})  # type: ignore[type-var]
        else:
            config = _replaced(config, changes, "--")
    return config


def hint(name: str, written: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown setting: what it is called now, or the nearest known one."""
    return f"; it is called {RENAMED[name]} now." if name in RENAMED else nearest(written, known)


def _replaced(config: Config, changes: Mapping[str, Any], where: str) -> Config:
    """``dataclasses.replace``, with the section named in front of the sentence that a section's own check
    raises."""
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except ValueError as error:
        raise UserError(_placed(" ".join(str(error).split()), changes, where)) from error


def _placed(message: str, changes: Mapping[str, Any], where: str) -> str:
    """Name in ``message``, raised by a section's own check, the option as it was written:
    ``--data.points``."""
    message = message if message.endswith((".", "?")) else f"{message}."
    section = where.lstrip("-")
    if message.startswith(f"{section}."):
        return where.removesuffix(section) + message
    if any(message.startswith(f"{key} ") for key in changes):
        return f"{where}.{message}" if section else f"{where}{message}"
    return f"{', '.join(f'{where}.{key} {show(value)}' for key, value in changes.items())}: {message}"


def settings(config: Any) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Yield ``(dotted name, type, value, metadata)`` of every setting, a section's together."""
    kinds = field_types(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            for name, kind, inner, metadata in settings(value):
                yield f"{field.name}.{name}", kind, inner, metadata
        else:
            yield field.name, kinds[field.name], value, field.metadata


def field_types(kind: type) -> dict[str, Any]:
    """Annotated types of a dataclass's fields, resolved."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def convert(value: Any, kind: Any, name: str) -> Any:
    """Turn text (or a YAML value) into ``kind``: int, float, bool, str, a literal, a tuple, a mapping, or
    none.

    Numbers may be written ``1e-3`` or ``32pi``; tuples with commas.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, name)
    if origin is Literal:
        for one in arguments:
            if value == one or str(value) == str(one):
                return one
        choices = ", ".join(map(str, arguments))
        hint = nearest(str(value), map(str, arguments)) or "."
        raise UserError(f"{name} must be one of {choices}, found {value!r}{hint}")
    if origin in (tuple, list):
        return _convert_tuple(value, arguments, name)
    if origin is dict or kind is dict:
        return _convert_dict(value, arguments, name)
    if kind is bool:
        text = str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise UserError(f"{name} must be true or false, found {value!r}.")
    if kind in (int, float):
        return _convert_number(value, kind, name)
    if kind is str:
        return str(value)
    return value


def _convert_number(value: Any, kind: type, name: str) -> int | float:
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


def _convert_union(value: Any, arguments: tuple[Any, ...], name: str) -> Any:
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


def _convert_tuple(value: Any, arguments: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        text = value.strip().strip("()[]")
        items: Sequence[Any] = [] if text.lower() in ("", "none") else [one for one in re.split(r"[,\s]+", text) if one]
    else:
        items = list(value) if isinstance(value, tuple | list) else [value]
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        kinds: Sequence[Any] = [arguments[0]] * len(items)
    elif len(arguments) == 1:
        kinds = [arguments[0]] * len(items)
    else:
        kinds = arguments
    if len(items) != len(kinds):
        raise UserError(f"{name} takes {len(kinds)} values separated by commas, found {show(tuple(items))}.")
    return tuple(convert(one, kind, name) for one, kind in zip(items, kinds))


def _convert_dict(value: Any, arguments: tuple[Any, ...], name: str) -> dict[str, Any]:
    if isinstance(value, str):
        pairs = [one.partition("=") for one in value.split(",") if one.strip() and value.strip().lower() != "none"]
        if any(not equals for _, equals, _ in pairs):
            raise UserError(f"{name} must be written name=value,name=value, found {value!r}.")
        value = {key.strip(): text for key, _, text in pairs}
    if not isinstance(value, Mapping):
        raise UserError(f"{name} must be a mapping of names to values, found {value!r}.")
    kind = arguments[1] if len(arguments) == 2 else str
    return {str(key): convert(one, kind, f"{name} {key}") for key, one in value.items()}


def type_name(kind: Any) -> str:
    """Name a type for help: ``int``, ``float,float``, ``a|b``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return "|".join("none" if one is type(None) else type_name(one) for one in arguments)
    if origin in (tuple, list):
        if len(arguments) == 1 or arguments[1:] == (Ellipsis,):
            return f"{type_name(arguments[0])},..."
        return ",".join(map(type_name, arguments))
    if origin is dict or kind is dict:
        return "name=value,..."
    return {"str": "text"}.get(getattr(kind, "__name__", ""), getattr(kind, "__name__", str(kind)))
