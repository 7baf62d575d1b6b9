"""Symmetry augmentation on the device: random shifts, reflections and joined moves that the system allows.

If the distribution of the data is unchanged by a group, moving every sample by a random element costs nothing and
multiplies the data. A shift moves all fields of a sample by one random number of grid points along an axis; a
reflection maps the grid point i to -i (modulo the axis) and multiplies each channel by its sign, with
probability 1/2. A move does several of these at once, so many times as a random number below its order says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@runtime_checkable
class ReflectionLike(Protocol):
    """A mirror image along the grid axis ``axis``, with one sign per channel; any object with these attributes."""

    @property
    def axis(self) -> int:
        """The grid axis."""

    @property
    def signs(self) -> tuple[float, ...]:
        """The sign that each channel takes."""


@runtime_checkable
class MoveLike(Protocol):
    """Mirror images, a shift and signs at once; any object with these attributes."""

    @property
    def signs(self) -> tuple[float, ...]:
        """The sign that each channel takes."""

    @property
    def mirrored(self) -> tuple[int, ...]:
        """The grid axes that are mirrored."""

    @property
    def shifted(self) -> int | None:
        """The grid axis along which it shifts, by the length of the axis over the order; None for no shift."""

    @property
    def order(self) -> int:
        """How often it is made until every field is back."""


@runtime_checkable
class SymmetriesLike(Protocol):
    """Symmetries of the data's distribution, such as `ArraySymmetries`; any object with these attributes."""

    @property
    def shift_axes(self) -> tuple[int, ...]:
        """Grid axes along which any shift is a symmetry."""

    @property
    def reflections(self) -> Sequence[ReflectionLike]:
        """Mirror images that are symmetries."""

    @property
    def moves(self) -> Sequence[MoveLike]:
        """Joined mirror images and shifts that are symmetries."""


class ArrayReflection(NamedTuple):
    """Mirror image along one grid axis, with the sign that each channel takes."""

    axis: int
    signs: tuple[float, ...]


class ArrayMove(NamedTuple):
    """Mirror images along some grid axes and a shift along another one at once; see `MoveLike`."""

    signs: tuple[float, ...]
    mirrored: tuple[int, ...] = ()
    shifted: int | None = None
    order: int = 2


class ArraySymmetries(NamedTuple):
    """Shifts along grid axes, reflections and moves under which the data's distribution does not change."""

    shift_axes: tuple[int, ...] = ()
    reflections: tuple[ArrayReflection, ...] = ()
    moves: tuple[ArrayMove, ...] = ()

    @classmethod
    def of(cls, symmetries: SymmetriesLike, unmoved: int = 0) -> ArraySymmetries:
        """Return the same symmetries as plain values, for fields with ``unmoved`` further channels of sign 1."""
        more = (1.0,) * unmoved
        reflections = tuple(ArrayReflection(one.axis, (*one.signs, *more)) for one in symmetries.reflections)
        moves = tuple(ArrayMove((*m.signs, *more), tuple(m.mirrored), m.shifted, m.order) for m in symmetries.moves)
        return cls(tuple(symmetries.shift_axes), reflections, moves)


def check(symmetries: SymmetriesLike, grid: tuple[int, ...], channels: int) -> None:
    """Refuse symmetries that do not fit the samples.

    Raises:
        ValueError: an axis that the grid has not, a count of signs that is not the number of channels, or a move that
            shifts by no whole number of points, along an axis that it mirrors, or is not back after its order.
    """
    axes = [*symmetries.shift_axes, *(reflection.axis for reflection in symmetries.reflections)]
    for move in symmetries.moves:
        axes += [*move.mirrored, *([] if move.shifted is None else [move.shifted])]
    for axis in axes:
        if not 0 <= axis < len(grid):
            raise ValueError(f"A symmetry names axis {axis}, but the grid has only {len(grid)} axes.")
    for reflection in symmetries.reflections:
        if len(reflection.signs) != channels:
            raise ValueError(
                f"The reflection along axis {reflection.axis} has {len(reflection.signs)} signs "
                f"for {channels} channels."
            )
    for move in symmetries.moves:
        if len(move.signs) != channels:
            raise ValueError(f"A move has {len(move.signs)} signs for {channels} channels.")
        if move.order < 2 or (move.order % 2 and (move.mirrored or min(move.signs) < 0)):
            raise ValueError(f"A move of order {move.order} is not back after so many times: give an even order.")
        if move.shifted in move.mirrored:
            raise ValueError(f"A move mirrors axis {move.shifted} and shifts along it: choose another origin.")
        if move.shifted is not None and grid[move.shifted] % move.order:
            raise ValueError(
                f"A move of order {move.order} shifts by no whole number of the {grid[move.shifted]} points along axis "
                f"{move.shifted}: choose a grid with a multiple of {move.order}."
            )


def reflect(field: Float[Array, "*lead c"], axis: int, signs: Iterable[float]) -> Float[Array, "*lead c"]:
    """Return the mirror image i -> -i (modulo the axis) with each channel times its sign."""
    mirrored = jnp.roll(jnp.flip(field, axis), 1, axis)
    return mirrored * jnp.asarray(tuple(signs), field.dtype)


def repeated(
    field: Float[Array, "*lead c"], move: MoveLike, times: Int[Array, ""] | int, first: int
) -> Float[Array, "*lead c"]:
    """Return a field after a move was made ``times`` times; its grid axes begin with the axis ``first``."""
    mirrored = field
    for axis in move.mirrored:
        mirrored = reflect(mirrored, first + axis, (1.0,) * len(move.signs))
    field = jnp.where(times % 2 == 1, mirrored * jnp.asarray(tuple(move.signs), field.dtype), field)
    if move.shifted is None:
        return field
    axis = first + move.shifted
    return jnp.roll(field, times * (field.shape[axis] // move.order), axis)


def transform(
    sample: Float[Array, "*shape c"], key: Array, symmetries: SymmetriesLike, ndim: int
) -> Float[Array, "*shape c"]:
    """Move one sample by a random symmetry; its grid axes are the ``ndim`` before the channels."""
    first = sample.ndim - 1 - ndim
    count = len(symmetries.shift_axes) + len(symmetries.reflections) + len(symmetries.moves)
    keys = iter(jax.random.split(key, max(count, 1)))
    for reflection in symmetries.reflections:
        mirrored = reflect(sample, first + reflection.axis, reflection.signs)
        sample = jnp.where(jax.random.bernoulli(next(keys)), mirrored, sample)
    for axis in symmetries.shift_axes:
        size = sample.shape[first + axis]
        sample = jnp.roll(sample, jax.random.randint(next(keys), (), 0, size), first + axis)
    for move in symmetries.moves:
        sample = repeated(sample, move, jax.random.randint(next(keys), (), 0, move.order), first)
    return sample


def transform_pairs(
    samples: Float[Array, " batch *shape"],
    condition: Mapping[str, Array],
    keys: Array,
    symmetries: SymmetriesLike | None,
    ndim: int,
) -> tuple[Float[Array, " batch *shape"], dict[str, Array]]:
    """Move every sample and its condition by one random symmetry, one key each.

    Conditions of the samples' own shape move with them; vectors stay.
    """
    moved = {
        name: transform_batch(value, keys, symmetries, ndim) if value.shape == samples.shape else value
        for name, value in condition.items()
    }
    return transform_batch(samples, keys, symmetries, ndim), moved


def has_symmetries(symmetries: SymmetriesLike | None) -> TypeGuard[SymmetriesLike]:
    """Whether there is anything but the identity among them."""
    return symmetries is not None and bool(symmetries.shift_axes or symmetries.reflections or symmetries.moves)


def transform_batch(
    samples: Float[Array, " batch *shape"], keys: Array, symmetries: SymmetriesLike | None, ndim: int
) -> Float[Array, " batch *shape"]:
    """Move every sample by its own random symmetry, one key each."""
    if not has_symmetries(symmetries):
        return samples
    return jax.vmap(lambda sample, key: transform(sample, key, symmetries, ndim))(samples, keys)
