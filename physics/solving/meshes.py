"""Running code that compares shardings inside ``pmap`` and ``shard_map``, where it would fail.

Equinox's checkpointed loops, and with them diffrax's default adjoint and implicit solvers, compare the
types of their carries. Inside ``pmap`` and ``shard_map`` those types name mesh axes and differ by them
alone, so tracing fails although nothing is wrong. Here the program and its reverse pass are both traced
where no mesh is known, with plain types, and their equations are then evaluated in the mesh.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import AbstractMesh


def away_from_meshes(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, traced as if it were on one device, in value and reverse mode.

    Outside of ``pmap`` and ``shard_map`` it is called as it is. Inside, the reverse pass runs it forward
    once more, and there is no forward mode.
    """

    def call(*args: Any) -> Any:
        if not jax.sharding.get_abstract_mesh().manual_axes:
            return function(*args)
        arrays, static = eqx.partition(args, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)
        axes = frozenset().union(*(_varying(leaf) for leaf in leaves))

        def flat(*leaves: Any) -> Any:
            return function(*eqx.combine(jax.tree.unflatten(structure, leaves), static))

        def pull_back(cotangent: Any, *leaves: Any) -> Any:
            return jax.vjp(flat, *leaves)[1](cotangent)

        run = jax.custom_vjp(lambda *leaves: _evaluate(flat, axes, *leaves))

        def forwards(*leaves: Any) -> Any:
            return run(*leaves), leaves

        def backwards(leaves: Any, cotangent: Any) -> Any:
            return _evaluate(pull_back, axes, cotangent, *leaves)

        run.defvjp(forwards, backwards)
        # Replicated inputs become varying ones first: its transpose is the sum over devices they need.
        return run(*(_vary(leaf, axes) for leaf in leaves))

    return call


def _evaluate(function: Callable[..., Any], axes: frozenset, *args: Any) -> Any:
    """Trace with plain types and no mesh, then evaluate on the given values."""
    leaves, structure = jax.tree.flatten(args)
    shapes = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(np.shape(a), a.dtype) for a in leaves])
    with jax.sharding.use_abstract_mesh(AbstractMesh((), ())):
        closed, out = jax.make_jaxpr(function, return_shape=True)(*shapes)
    values = [_vary(value, axes) for value in jaxpr_as_fun(closed)(*leaves)]
    return jax.tree.unflatten(jax.tree.structure(out), values)


def _varying(value: Any) -> frozenset:
    """The mesh axes over which ``shard_map`` knows a value to vary (none where it does not track them)."""
    return frozenset(getattr(getattr(jax.typeof(value), "manual_axis_type", None), "varying", ()))


def _vary(value: Any, axes: frozenset) -> Any:
    missing = tuple(sorted(axes - _varying(value)))
    return jax.lax.pcast(value, missing, to="varying") if missing else value
