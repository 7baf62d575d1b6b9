"""Floating-point operations of a function, counted from its traced operations and not by a compiler.

A function is traced with the shapes of its arguments, nothing is compiled or run. The count follows the mathematics: a
compiler may recompute values, or leave out what it finds to be unused, without changing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend import core

_ARITHMETIC = frozenset(
    ("add", "add_any", "sub", "mul", "div", "neg", "abs", "max", "min", "select_n")
    + ("square", "pow", "integer_pow", "sqrt", "rsqrt", "exp", "exp2", "expm1", "log", "log1p")
    + ("sin", "cos", "tanh", "logistic", "erf")
)
_SUMS = frozenset(("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "cumsum"))


@dataclass(frozen=True)
class Operations:
    """Floating-point operations, a multiplication and an addition being two.

    Attributes:
        matrix: of products of matrices and of convolutions.
        transforms: of Fourier transforms, 5 n log2(n) for a complex one of n points and half of it for a real one.
        pointwise: of arithmetic at single numbers and of sums, one for each number; a function such as an exponential
            counts as one, a number of a complex array as two.
    """

    matrix: float = 0.0
    transforms: float = 0.0
    pointwise: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.matrix + other.matrix, self.transforms + other.transforms, self.pointwise + other.pointwise
        )

    def times(self, count: float | int) -> Operations:
        """Return the operations of so many repetitions."""
        return Operations(count * self.matrix, count * self.transforms, count * self.pointwise)

    @property
    def network(self) -> float:
        """Products, convolutions and transforms: what the operations of a network usually mean."""
        return self.matrix + self.transforms

    @property
    def total(self) -> float:
        """All of them."""
        return self.network + self.pointwise


def operations(function: Callable[..., Any], *arguments: Any) -> Operations:
    """Count the operations of one call.

    A compiled loop whose length is fixed counts as often as it runs; one that ends by a condition counts once, and of
    several branches the dearest counts.

    Args:
        function: of arrays or pytrees of them.
        arguments: arrays, or `jax.ShapeDtypeStruct` of their shapes.

    Example:
        >>> a, b = jnp.zeros((8, 16)), jnp.zeros((16, 4))
        >>> operations(jnp.dot, a, b).matrix
        1024.0
    """
    return _of_program(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of_program(program: Any) -> Operations:
    total = Operations()
    for equation in program.eqns:
        total += _of_equation(equation)
    return total


def _of_equation(equation: Any) -> Operations:
    name = equation.primitive.name
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        inner = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        return Operations(matrix=2.0 * inner * _size(equation.outvars[0]) * _complex(equation.invars[0], 4))
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return Operations(matrix=2.0 * _size(equation.outvars[0]) * math.prod(kernel) / outputs)
    if name == "fft":
        return Operations(transforms=_transform(equation))
    if name == "cond":
        branches = [_of_program(one.jaxpr) for one in equation.params["branches"]]
        return max(branches, key=lambda one: one.total)
    inner_programs = list(_programs(equation.params))
    if inner_programs:
        repeats = equation.params["length"] if name == "scan" else 1
        total = Operations()
        for one in inner_programs:
            total += _of_program(one)
        return total.times(repeats)
    if name in _SUMS:
        return Operations(pointwise=_numbers(equation.invars[0]))
    if name in _ARITHMETIC:
        return Operations(pointwise=sum(_numbers(one) for one in equation.outvars))
    return Operations()


def _programs(params: dict[str, Any]) -> Iterator[Any]:
    """Return the programs that an operation calls, such as the body of a loop."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, core.ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, core.Jaxpr):
                yield one


def _transform(equation: Any) -> float:
    lengths, kind = equation.params["fft_lengths"], jax.lax.FftType(equation.params["fft_type"])
    real = kind in (jax.lax.FftType.RFFT, jax.lax.FftType.IRFFT)
    # The spectrum of a real transform has only half of the last axis.
    points = equation.outvars[0] if kind == jax.lax.FftType.IRFFT else equation.invars[0]
    each = 5.0 * math.log2(max(math.prod(lengths), 1))
    return each * _size(points) * (0.5 if real else 1.0)


def _size(variable: Any) -> int:
    return math.prod(getattr(variable.aval, "shape", ()))


def _complex(variable: Any, factor: int) -> int:
    return factor if jax.numpy.issubdtype(variable.aval.dtype, jax.numpy.complexfloating) else 1


def _numbers(variable: Any) -> float:
    """Count the numbers of an array of floats, complex ones double; other arrays do not count."""
    kind = getattr(variable.aval, "dtype", None)
    if kind is None or not jax.numpy.issubdtype(kind, jax.numpy.inexact):
        return 0.0
    return float(_size(variable) * _complex(variable, 2))
