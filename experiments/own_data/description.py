"""What a file's arrays are: which are the channels, and which axis is time, which counts samples, which is space.

Decided from names and attributes (the CF conventions: ``axis``, ``standard_name``, ``units``), or from what the user
says of each axis. Where neither decides, the error says what to give.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from experiments.errors import UserError
from experiments.own_data.contents import Contents, Variable
from gan.settings import nearest

Role = Literal["time", "sample", "channel", "space"]
MOST_SPACE = 3
"""Axes of space at most: as many as networks have."""
_BYTES = 2**26
"""Bytes of float64 values that are read at once."""

_NAMES: Mapping[Role, str] = {
    "time": "time t date datetime step frame snapshot year month day hour",
    "sample": "sample samples group member ensemble realization realisation number run trajectory case subject patient "
    "specimen site station id n batch",
    "channel": "channel channels component components variable feature features band",
    "space": "x y z i j k lon lat longitude latitude rlon rlat nav_lon nav_lat row col rows cols column height depth "
    "level lev plev pressure altitude distance range width length position space",
}
"""Usual names of axes, without a number at their end."""
_CF_STANDARD: Mapping[str, Role] = {
    "time": "time",
    "realization": "sample",
    "longitude": "space",
    "latitude": "space",
    "projection_x_coordinate": "space",
    "projection_y_coordinate": "space",
    "grid_longitude": "space",
    "grid_latitude": "space",
    "altitude": "space",
    "height": "space",
    "depth": "space",
    "air_pressure": "space",
}
_CF_AXIS: Mapping[str, Role] = {"T": "time", "X": "space", "Y": "space", "Z": "space"}


@dataclass(frozen=True)
class Axis:
    """One axis of the arrays.

    Attributes:
        name: of it.
        role: what it is.
        size: its points.
        units: of its coordinate; empty where unknown.
        coordinate: (size,) numbers, or None where the file gives none.
    """

    name: str
    role: Role
    size: int
    units: str = ""
    coordinate: np.ndarray | None = field(default=None, compare=False)

    @property
    def extent(self) -> float:
        """Length in the coordinate's unit, the last spacing included; points where the spacing is not even."""
        given = self.coordinate
        if given is None or self.size < 2 or not np.isfinite(given).all():
            return float(self.size)
        steps = np.diff(given.astype(np.float64))
        even = np.allclose(steps, steps[0], rtol=1e-3, atol=0) and steps[0] != 0
        return float(abs(steps[0]) * self.size) if even else float(self.size)


@dataclass(frozen=True)
class Layout:
    """The chosen variables of a file with the role of every axis.

    Attributes:
        contents: of the file.
        variables: that become channels; all of the same axes.
        axes: of the arrays, in their order.
    """

    contents: Contents
    variables: tuple[Variable, ...]
    axes: tuple[Axis, ...]

    def of(self, role: Role) -> tuple[Axis, ...]:
        """Return the axes of a role, in their order."""
        return tuple(one for one in self.axes if one.role == role)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels: of the variables, numbered where an axis holds several of each."""
        names = [one.name.rpartition("/")[2] for one in self.variables]
        deep = math.prod(one.size for one in self.of("channel"))
        return tuple(names) if not self.of("channel") else tuple(f"{n}_{i}" for n in names for i in range(deep))

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each channel; empty where unknown."""
        deep = math.prod(one.size for one in self.of("channel"))
        return tuple(one.units for one in self.variables for _ in range(deep))

    def counts(self) -> tuple[int, int]:
        """Return the numbers of independent samples and of times; 1 where there is no such axis."""
        return math.prod(one.size for one in self.of("sample")), math.prod(one.size for one in self.of("time"))

    def blocks(self) -> Iterator[tuple[int, Float[np.ndarray, "rows ..."]]]:
        """Yield (first row, values of all variables stacked in a last axis), blocks of the arrays' first axis."""
        shape = self.variables[0].shape
        row = 8 * math.prod(shape[1:]) * len(self.variables)
        step = max(1, _BYTES // max(row, 1))
        for start in range(0, shape[0], step):
            yield start, np.stack([one.values(slice(start, start + step)) for one in self.variables], axis=-1)

    def loaded(self) -> Float[np.ndarray, "samples times *space channels"]:
        """Return all values as float32, the axes in this order, NaN where missing."""
        whole = np.empty((*self.variables[0].shape, len(self.variables)), np.float32)
        for start, block in self.blocks():
            whole[start : start + len(block)] = block
        order: list[int] = []
        for role in ("sample", "time", "space"):
            order += [i for i, one in enumerate(self.axes) if one.role == role]
        # Variables before the axis of their components, as the channels are named.
        order += [len(self.axes), *(i for i, one in enumerate(self.axes) if one.role == "channel")]
        space = tuple(one.size for one in self.of("space"))
        return np.ascontiguousarray(whole.transpose(order)).reshape(*self.counts(), *space, -1)


@dataclass(frozen=True)
class Description:
    """What a file holds, as it is printed before a training.

    Attributes:
        layout: variables and axes.
        low, high: of each variable, missing values left out.
        missing: share of values that are missing.
    """

    layout: Layout
    low: tuple[float, ...]
    high: tuple[float, ...]
    missing: float

    def sentence(self) -> str:
        """Say it in one line."""
        layout = self.layout
        named = [
            f"{one.name}{f' ({one.units})' if one.units else ''} from {low:.4g} to {high:.4g}"
            for one, low, high in zip(layout.variables, self.low, self.high)
        ]
        samples, times = layout.counts()
        space = layout.of("space")
        sizes = " x ".join(str(one.size) for one in space)
        what = f"fields of {sizes} ({', '.join(one.name for one in space)})" if space else "points without a grid"
        parts = [f"{samples * times:,} {what}"]
        parts += [
            f"axis {one.name} of {one.size} ({one.role})" for one in layout.axes if one.role in ("sample", "time")
        ]
        parts += [f"axis {one.name} of {one.size} components" for one in layout.of("channel")]
        gone = f"{100 * self.missing:.2g} % missing" if self.missing else "nothing missing"
        kind = layout.variables[0].dtype
        return f"{layout.contents.path}: {'; '.join(named)}; {', '.join(parts)}; {gone}, stored as {kind}."


def layout(contents: Contents, chosen: Sequence[str] = (), axes: Sequence[str] = (), labels: str = "") -> Layout:
    """Decide which variables are the channels and what every axis is.

    Args:
        contents: of the file.
        chosen: names of the variables; empty for the only ones that come into question.
        axes: name of every axis of the arrays, in their order; empty for what the file says. A name says the role:
            ``time``; ``sample`` or ``group`` for independent samples; ``channel``; any other is an axis of space.
        labels: a variable that labels the samples, and so is no channel unless chosen.

    Raises:
        UserError: it cannot be decided, or what was given does not fit the file.
    """
    variables = _chosen(contents, chosen, labels)
    first = variables[0]
    for other in variables[1:]:
        if other.shape != first.shape or other.dims != first.dims:
            raise UserError(
                f"--variable {other.name} has the shape {other.shape} and {first.name} has {first.shape}: channels of "
                "one generator need the same axes."
            )
    names = _axis_names(contents, first, axes)
    found = tuple(_axis(contents, first, name, size, said=bool(axes)) for name, size in zip(names, first.shape))
    result = Layout(contents, variables, found)
    space = [one for one in found if one.role == "space"]
    if len(space) > MOST_SPACE:
        raise UserError(
            f"{contents.path}: {first.name} has {len(space)} axes of space ({', '.join(one.name for one in space)}), "
            f"and at most {MOST_SPACE} are learnt; say with --axes which of them counts samples, or give fewer."
        )
    if math.prod(result.counts()) < 2:
        raise UserError(
            f"{contents.path}: {first.name} holds a single field of shape {first.shape}; give many, along an axis of "
            "time or of samples, and name it with --axes (for example --axes time,y,x)."
        )
    return result


def describe(found: Layout) -> Description:
    """Read all values once, block by block, for range and missing values.

    Raises:
        UserError: a variable holds no finite value, or an infinite one.
    """
    count = len(found.variables)
    low, high, gone, total = np.full(count, np.inf), np.full(count, -np.inf), 0, 0
    for _, block in found.blocks():
        flat = block.reshape(-1, count)
        if np.isinf(flat).any():
            raise UserError(f"{found.contents.path} holds infinite values; mark them as missing, or correct them.")
        gone, total = gone + int(np.isnan(flat).sum()), total + flat.size
        low = np.fmin(low, np.fmin.reduce(flat, axis=0))
        high = np.fmax(high, np.fmax.reduce(flat, axis=0))
    for one, least, most in zip(found.variables, low, high):
        if not least < most:
            what = "holds no value that is not missing" if least > most else f"is {least:g} everywhere"
            raise UserError(f"{found.contents.path}: {one.name} {what}; there is nothing to learn.")
    return Description(found, tuple(map(float, low)), tuple(map(float, high)), gone / total)


def _chosen(contents: Contents, chosen: Sequence[str], labels: str) -> tuple[Variable, ...]:
    numeric = {name: one for name, one in contents.variables.items() if one.numeric and one.shape}
    for name in chosen:
        if name not in numeric:
            what = "holds no numbers" if name in contents.variables else f"is not in {contents.path}"
            raise UserError(f"--variable {name} {what}{nearest(name, numeric) or f'; it holds {_listed(numeric)}.'}")
    if chosen:
        return tuple(numeric[name] for name in dict.fromkeys(chosen))
    coordinates = {dim for one in numeric.values() for dim in one.dims}
    bounds = {str(one.attrs[key]) for one in numeric.values() for key in ("bounds", "climatology") if key in one.attrs}
    data = {name: one for name, one in numeric.items() if name not in coordinates | bounds | {labels}}
    most = max((len(one.shape) for one in data.values()), default=0)
    rich = {name: one for name, one in data.items() if len(one.shape) == most}
    if not rich or (len(rich) > 1 and most > 1):
        shapes = ", ".join(f"{name} {one.shape}" for name, one in (rich or numeric).items())
        raise UserError(
            f"{contents.path} holds {shapes}: say which to learn with --variable NAME, several times for several "
            "channels."
        )
    # Columns of a table are the channels together; of files of fields there is only one variable left.
    return tuple(rich.values())


def _axis_names(contents: Contents, variable: Variable, axes: Sequence[str]) -> tuple[str, ...]:
    count = len(variable.shape)
    shape = " x ".join(map(str, variable.shape))
    example = ",".join(("time", "z", "y", "x")[:1] + ("z", "y", "x")[-max(count - 1, 0) :] if count > 1 else ("time",))
    if axes:
        if len(axes) != count or len(set(axes)) != count:
            raise UserError(
                f"--axes {','.join(axes)} names {len(set(axes))} axes, but {variable.name} in {contents.path} has "
                f"{count} ({shape}): name each of them once, for example --axes {example}."
            )
        return tuple(axes)
    if len(variable.dims) != count:
        raise UserError(
            f"{contents.path}: {variable.name} is an array of {shape} whose axes have no names: say what they are with "
            f"--axes, for example --axes {example}."
        )
    return variable.dims


def _axis(contents: Contents, variable: Variable, name: str, size: int, said: bool) -> Axis:
    beside = contents.coordinate(name)
    known = beside is not None and beside.shape == (size,) and beside.numeric
    attrs: Mapping[str, object] = beside.attrs if beside is not None else {}
    role = _role(name, attrs) or ("space" if said else None)
    if role is None:
        names = ",".join(variable.dims)
        raise UserError(
            f"{contents.path}: what the axis {name!r} of {variable.name} ({names}) is cannot be distinguished "
            f"from its name or "
            "attributes: name every axis with --axes, by time, sample, channel, or a name of space such as y or x."
        )
    return Axis(name, role, size, beside.units if beside else "", beside.values() if known and beside else None)


def _role(name: str, attrs: Mapping[str, object]) -> Role | None:
    """Return the role of an axis by its attributes (CF), else by its name."""
    if (by_axis := _CF_AXIS.get(str(attrs.get("axis", "")).upper())) is not None:
        return by_axis
    if (by_standard := _CF_STANDARD.get(str(attrs.get("standard_name", "")).lower())) is not None:
        return by_standard
    units = str(attrs.get("units", "")).lower()
    if " since " in units:
        return "time"
    if units.startswith(("degrees_north", "degrees_east", "degree_north", "degree_east")):
        return "space"
    plain = name.lower().rstrip("0123456789").rstrip("_")
    return next((role for role, known in _NAMES.items() if {name.lower(), plain} & set(known.split())), None)


def _listed(names: Mapping[str, Variable]) -> str:
    return ", ".join(names)
