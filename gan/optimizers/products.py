"""Products with second derivatives of a game: linearised once, then applied again and again.

For a gradient ``g(y)`` the linearised map ``v -> (dg/dy) v`` is traced once (forward over reverse mode), so that an
iteration of a linear solver repeats only what depends on ``v``. Its transpose, and its average over devices, come
from the same trace: nothing is differentiated through a mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import PyTree

from gan.optimizers.gradients import mean_over_devices

MULTIPLICATIONS = ("dot_general", "conv_general_dilated")


class Products(NamedTuple):
    """A second derivative as two linear maps.

    Attributes:
        forward: directions at the point -> gradients, averaged over devices.
        transposed: the other way.
        convolves: whether a convolution is among what is repeated.
    """

    forward: Callable[[PyTree], PyTree]
    transposed: Callable[[PyTree], PyTree]
    convolves: bool


def products(
    gradient: Callable[[PyTree], PyTree], point: PyTree, axis_name: str | None, half: bool = False
) -> Products:
    """Linearise a gradient at a point.

    Args:
        gradient: function of a pytree of parameters, this device's share.
        point: where it is linearised.
        axis_name: mapped axis over which the products are averaged.
        half: multiply in bfloat16 and add in the parameters' own precision.
    """
    value, forward = jax.linearize(gradient, point)
    pull = jax.linear_transpose(forward, point)
    maps = [(forward, point), (lambda u: pull(u)[0], value)]
    convolves = contains(jax.make_jaxpr(forward)(point).jaxpr, "conv_general_dilated")
    if half:
        maps = [(in_bfloat16(linear, example), example) for linear, example in maps]
    (product, _), (transposed, _) = maps
    return Products(
        lambda v: mean_over_devices(product(v), axis_name),
        lambda u: mean_over_devices(transposed(u), axis_name),
        convolves,
    )


def contains(jaxpr: Any, name: str) -> bool:
    """Whether a primitive of that name is in a jaxpr or in one inside it."""
    return any(
        equation.primitive.name == name or any(contains(inner, name) for inner in inner_jaxprs(equation))
        for equation in jaxpr.eqns
    )


def inner_jaxprs(equation: Any) -> list[Any]:
    """Return the jaxprs among the parameters of an equation."""
    leaves = jax.tree.leaves(equation.params, is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr))
    return [getattr(leaf, "jaxpr", leaf) for leaf in leaves if isinstance(leaf, core.Jaxpr | core.ClosedJaxpr)]


def in_bfloat16(function: Callable[[PyTree], PyTree], example: PyTree) -> Callable[[PyTree], PyTree]:
    """Return the function with the operands of its matrix products and convolutions rounded to bfloat16.

    Their results, and everything else, stay in the precision that they had. Loops inside (a solver's steps) are left
    as they are.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(example)
    structure = jax.tree.structure(shapes)

    def run(values: Any) -> Any:
        return jax.tree.unflatten(structure, _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(values)))

    return run


def _evaluate(jaxpr: Any, constants: Any, values: Any) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *values], strict=True))
    for equation in jaxpr.eqns:
        given = [v.val if isinstance(v, core.Literal) else known[v] for v in equation.invars]
        name, parameters = equation.primitive.name, dict(equation.params)
        if name in ("jit", "pjit"):
            inner = parameters["jaxpr"]
            found = _evaluate(inner.jaxpr, inner.consts, given)
        else:
            if name in MULTIPLICATIONS and jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating):
                given = [x.astype(jnp.bfloat16) for x in given]
                parameters |= {"preferred_element_type": equation.outvars[0].aval.dtype, "precision": None}
            found = equation.primitive.bind(*given, **parameters)
            found = found if equation.primitive.multiple_results else [found]
        known |= dict(zip(equation.outvars, found, strict=True))
    return [v.val if isinstance(v, core.Literal) else known[v] for v in jaxpr.outvars]
