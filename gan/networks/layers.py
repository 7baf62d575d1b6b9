"""Layers of the networks: dense, convolutions whose padding follows the boundary, linear resampling.

Parameters are drawn with numpy on the host: compiling a random normal for each shape costs more than a
training step. A convolution pads by the boundary's rule, convolves with ``SAME`` and crops: mathematically
the same as ``VALID`` on the padded field, but its double backward pass (gradient penalties) is 15 to 40
times faster in XLA on a CPU (measured on 1D and 2D fields).

All fields are ``(batch, *grid, channels)``; a grid has one to three axes.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.space import cut

Field = Float[Array, "batch *grid channels"]

PADDINGS = {"circular": "wrap", "zero": "constant", "reflect": "reflect", "edge": "edge"}
LEAK = 0.2
GAIN = math.sqrt(2.0 / (1.0 + LEAK**2))


def activation(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Leaky ReLU of slope 0.2 scaled to keep the variance of normal input (He et al. 2015)."""
    return jax.nn.leaky_relu(x, LEAK) * GAIN


def per_axis(padding: str | tuple[str, ...], ndim: int) -> tuple[str, ...]:
    """Return one boundary rule per grid axis.

    Raises:
        ValueError: an unknown rule, or a count that is not the number of axes.
    """
    rules = (padding,) * ndim if isinstance(padding, str) else tuple(padding)
    if len(rules) != ndim or any(rule not in PADDINGS for rule in rules):
        raise ValueError(
            f"padding = {padding!r} is not usable on a grid of {ndim} axes: "
            f"give one of {', '.join(PADDINGS)}, or one for each axis."
        )
    return rules


def pad(x: Field, width: int, rules: tuple[str, ...]) -> Float[Array, "batch *padded channels"]:
    """Extend every grid axis by ``width`` points on both sides by its boundary's rule."""
    for axis, rule in enumerate(rules, start=1):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (width, width)
        x = jnp.pad(x, widths, mode=PADDINGS[rule])
    return x


def flatten(*parts: Array | None) -> Float[Array, "batch numbers"]:
    """Concatenate what is given, one row per sample."""
    return jnp.concatenate([p.reshape((p.shape[0], -1)) for p in parts if p is not None], axis=-1)


def fold_time(x: Float[Array, "batch time *grid c"]) -> Float[Array, "batch *grid folded"]:
    """Move the time axis into the channels."""
    moved = jnp.moveaxis(x, 1, -2)
    return moved.reshape((*moved.shape[:-2], -1))


def unfold_time(x: Float[Array, "batch *grid folded"], times: int) -> Float[Array, "batch time *grid c"]:
    """Undo :func:`fold_time`."""
    return jnp.moveaxis(x.reshape((*x.shape[:-1], times, -1)), -2, 1)


def rounded(x: Float[Array, "*shape"], kernel: Float[Array | np.ndarray, "*taps"]) -> Float[Array, "*shape"]:
    """Return the input of a layer in the precision of its kernel, where that was rounded to bfloat16.

    A layer computes in bfloat16 where :func:`gan.networks.players.build` was asked for it, and hands its result on in
    bfloat16 unless it is the last of its network, whose sums stay in float32.
    """
    return x.astype(kernel.dtype) if kernel.dtype == jnp.bfloat16 else x


class Dense(nnx.Module):
    """Affine map of the last axis, weights of variance ``scale**2 / inputs``, bias zero.

    ``last`` says that the result is the network's, which is not rounded.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, scale: float = 1.0, *, last: bool = False):
        weights = rng.standard_normal((inputs, outputs)) * (scale / math.sqrt(inputs))
        self.kernel = nnx.Param(jnp.asarray(weights, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((outputs,), jnp.float32))
        self.last = last

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        """Apply the map."""
        return product(x, self.kernel[...], self.bias[...], self.last)


def product(
    x: Float[Array, "*batch inputs"],
    kernel: Float[Array | np.ndarray, "inputs outputs"],
    bias: Float[Array | np.ndarray, " outputs"],
    last: bool,
) -> Float[Array, "*batch outputs"]:
    """Return ``x @ kernel + bias`` in the precision of the kernel; the last layer's in that of the bias."""
    x = rounded(x, kernel)
    summed = bias.dtype if last and x.dtype == jnp.bfloat16 else None
    y = jnp.matmul(x, kernel, preferred_element_type=summed)
    return y + bias.astype(y.dtype)


class Convolution(nnx.Module):
    """Convolution over all grid axes with odd kernel, padding by the boundary's rules.

    ``last`` says that the result is the network's, which is not rounded; the kernel then has one point.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        rules: tuple[str, ...],
        rng: np.random.Generator,
        scale: float = 1.0,
        *,
        last: bool = False,
    ):
        ndim = len(rules)
        shape = (kernel,) * ndim + (inputs, outputs)
        weights = rng.standard_normal(shape) * (scale / math.sqrt(inputs * kernel**ndim))
        self.kernel = nnx.Param(jnp.asarray(weights, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((outputs,), jnp.float32))
        self.rules = rules
        self.half = kernel // 2
        self.last = last

    def __call__(self, x: Float[Array, "batch *grid inputs"]) -> Float[Array, "batch *grid outputs"]:
        """Convolve a batch of fields; the grid keeps its shape."""
        kernel = self.kernel[...]
        ndim = len(self.rules)
        if self.half == 0:
            return cut(product(x, kernel.reshape(kernel.shape[-2:]), self.bias[...], self.last))
        letters = "XYZ"[:ndim]
        layout = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
        padded = pad(rounded(x, kernel), self.half, self.rules)
        y = jax.lax.conv_general_dilated(padded, kernel, (1,) * ndim, "SAME", dimension_numbers=layout)
        inner = (slice(None), *(slice(self.half, -self.half),) * ndim)
        return cut(y[inner] + self.bias[...].astype(y.dtype))


def upsample(x: Field, rules: tuple[str, ...]) -> Float[Array, "batch *finer channels"]:
    """Double the resolution of every axis by linear interpolation between cell centres."""
    for axis, rule in enumerate(rules, start=1):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (1, 1)
        padded = jnp.pad(x, widths, mode=PADDINGS[rule])
        size = x.shape[axis]
        before = jax.lax.slice_in_dim(padded, 0, size, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, size + 2, axis=axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = cut(pair.reshape(x.shape[:axis] + (2 * size,) + x.shape[axis + 1 :]))
    return x


def downsample(x: Field, rules: tuple[str, ...]) -> Float[Array, "batch *coarser channels"]:
    """Halve the resolution of every axis by the filter (1, 3, 3, 1)/8, the transpose of :func:`upsample`."""
    for axis, rule in enumerate(rules, start=1):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (1, 1)
        padded = jnp.pad(x, widths, mode=PADDINGS[rule])
        half = x.shape[axis] // 2
        shape = x.shape[:axis] + (half + 1, 2) + x.shape[axis + 1 :]
        pairs = padded.reshape(shape)
        # Shifted by one, a pair holds the last point of one cell and the first of the next.
        outer = (
            jax.lax.index_in_dim(pairs, 0, axis + 1, False),
            jax.lax.index_in_dim(pairs, 1, axis + 1, False),
        )
        before = jax.lax.slice_in_dim(outer[0], 0, half, axis=axis)
        first = jax.lax.slice_in_dim(outer[1], 0, half, axis=axis)
        second = jax.lax.slice_in_dim(outer[0], 1, half + 1, axis=axis)
        after = jax.lax.slice_in_dim(outer[1], 1, half + 1, axis=axis)
        x = cut(0.125 * (before + 3.0 * first + 3.0 * second + after))
    return x


def resize(x: Field, shape: tuple[int, ...], rules: tuple[str, ...]) -> Float[Array, "batch *resized channels"]:
    """Bring a condition field to another resolution: halving or doubling where that fits, else linearly."""
    while x.shape[1:-1] != shape:
        current = x.shape[1:-1]
        if all(n % (2 * m) == 0 for n, m in zip(current, shape)):
            x = downsample(x, rules)
        elif all(m % (2 * n) == 0 for n, m in zip(current, shape)):
            x = upsample(x, rules)
        else:
            return jax.image.resize(x, (x.shape[0], *shape, x.shape[-1]), "linear")
    return x
