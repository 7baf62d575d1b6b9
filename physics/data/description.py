"""Systems, solvers, samplers and specifications as plain JSON, so that they can be hashed and compared.

An object is its class and its fields; a function its name; an array its shape, type and values (their hash
where there are many). Two objects with one description make the same data.
"""

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from typing import Any

import diffrax
import equinox as eqx
import jax
import numpy as np

_LISTED = 64


def describe(thing: object) -> Any:
    """The plain JSON form of ``thing``: numbers, strings, lists and dictionaries only.

    Raises:
        ValueError: something in it has no description that outlives this process, such as a lambda.
    """
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float | np.floating | np.integer | np.bool_):
        return _number(thing.item() if isinstance(thing, np.generic) else thing)
    if isinstance(thing, np.ndarray | jax.Array):
        return _array(np.asarray(thing))
    if isinstance(thing, Mapping):
        return {str(name): describe(value) for name, value in thing.items()}
    if isinstance(thing, tuple | list):
        return [describe(value) for value in thing]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {field.name: describe(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
        return {"class": _name(type(thing)), **fields}
    if callable(thing) and hasattr(thing, "__qualname__"):
        return _name(thing)
    raise ValueError(
        f"{thing!r} cannot be described for the data cache: use a dataclass, an array, a number or a named function"
    )


def versions() -> dict[str, str]:
    """What the bits of data depend on beside their description: libraries and machine."""
    return {
        "jax": jax.__version__,
        "diffrax": diffrax.__version__,
        "equinox": eqx.__version__,
        "numpy": np.__version__,
        "backend": jax.default_backend(),
        "machine": platform.machine(),
    }


def _number(value: Any) -> Any:
    # JSON has no infinities; as text two descriptions still differ.
    return value if np.isfinite(value) else repr(value)


def _array(values: np.ndarray) -> dict[str, Any]:
    described: dict[str, Any] = {"dtype": str(values.dtype), "shape": list(values.shape)}
    if values.size <= _LISTED and values.dtype.kind in "fiub":
        described["values"] = [_number(value) for value in values.ravel().tolist()]
    else:
        described["sha256"] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return described


def _name(thing: Any) -> str:
    name = f"{thing.__module__}.{thing.__qualname__}"
    if "<" in name:
        raise ValueError(f"{name} is written inside a function and cannot be described for the data cache: move it out")
    return name
