"""Symmetry augmentation on the device: random shifts and reflections that the system allows.

If the distribution of the data is unchanged by a group, moving every sample by a random element costs nothing and
multiplies the data. A shift moves all fields of a sample by one random number of grid points along an axis; a
reflection maps the grid point i to -i (modulo the axis) and multiplies each channel by its sign, with
probability 1/2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
class SymmetriesLike(Protocol):
    """Symmetries of the data's distribution, such as `ArraySymmetries`; any object with these attributes."""

    @property
    def shift_axes(self) -> tuple[int, ...]:
        """Grid axes along which any shift is a symmetry."""

    @property
    def reflections(self) -> Sequence[ReflectionLike]:
        """Mirror images that are symmetries."""


class ArrayReflection(NamedTuple):
    """Mirror image along one grid axis, with the sign that each channel takes."""

    axis: int
    signs: tuple[float, ...]


class ArraySymmetries(NamedTuple):
    """Shifts along grid axes and reflections under which the data's distribution does not change."""

    shift_axes: tuple[int, ...] = ()
    reflections: tuple[ArrayReflection, ...] = ()


def check(symmetries: SymmetriesLike, grid: tuple[int, ...], channels: int) -> None:
    """Refuse symmetries that do not fit the samples.

    Raises:
        ValueError: an axis that the grid has not, or a count of signs that is not the number of channels.
    """
    axes = [*symmetries.shift_axes, *(reflection.axis for reflection in symmetries.reflections)]
    for axis in axes:
        if not 0 <= axis < len(grid):
            raise ValueError(f"A symmetry names axis {axis}, but the grid has only {len(grid)} axes.")
    for reflection in symmetries.reflections:
        if len(reflection.signs) != channels:
            raise ValueError(
                f"The reflection along axis {reflection.axis} has {len(reflection.signs)} signs "
                f"for {channels} channels."
            )


def reflect(field: Float[Array, "*lead c"], axis: int, signs: Iterable[float]) -> Float[Array, "*lead c"]:
    """Return the mirror image i -> -i (modulo the axis) with each channel times its sign."""
    mirrored = jnp.roll(jnp.flip(field, axis), 1, axis)
    return mirrored * jnp.asarray(tuple(signs), field.dtype)


def transform(
    sample: Float[Array, "*shape c"], key: Array, symmetries: SymmetriesLike, ndim: int
) -> Float[Array, "*shape c"]:
    """Move one sample by a random symmetry; its grid axes are the ``ndim`` before the channels."""
    first = sample.ndim - 1 - ndim
    count = len(symmetries.shift_axes) + len(symmetries.reflections)
    keys = iter(jax.random.split(key, max(count, 1)))
    for reflection in symmetries.reflections:
        mirrored = reflect(sample, first + reflection.axis, reflection.signs)
        sample = jnp.where(jax.random.bernoulli(next(keys)), mirrored, sample)
    for axis in symmetries.shift_axes:
        size = sample.shape[first + axis]
        sample = jnp.roll(sample, jax.random.randint(next(keys), (), 0, size), first + axis)
    return sample


def has_symmetries(symmetries: SymmetriesLike | None) -> TypeGuard[SymmetriesLike]:
    """Whether there is anything but the identity among them."""
    return symmetries is not None and bool(symmetries.shift_axes or symmetries.reflections)


def transform_batch(
    samples: Float[Array, " batch *shape"], keys: Array, symmetries: SymmetriesLike | None, ndim: int
) -> Float[Array, " batch *shape"]:
    """Move every sample by its own random symmetry, one key each."""
    if not has_symmetries(symmetries):
        return samples
    return jax.vmap(lambda sample, key: transform(sample, key, symmetries, ndim))(samples, keys)
