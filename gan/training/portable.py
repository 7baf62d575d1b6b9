"""A generator as one program that needs no package but jax: StableHLO by `jax.export`, for several kinds of device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt

from gan.training.trained import Trained

PLATFORMS = ("cpu", "cuda", "tpu")


def portable_program(trained: Trained, batch: int, platforms: Sequence[str] = PLATFORMS) -> bytes:
    """Return the serialized program ``(seed, attempt, index, condition) -> (fields, valid)`` of a generator.

    The parameters are constants of the program, and the solver layer is part of it. ``seed`` and ``attempt`` are
    numbers, ``index`` (batch,) says which samples: those of the attempt 0 are those that `Trained.draw` draws with the
    key of the seed, and a sample that the solver refused may be drawn again with another attempt. ``condition`` holds
    an array (batch, ...) for each condition, in physical units.

    Args:
        trained: the generator.
        batch: samples that the program makes at once.
        platforms: on which it can run.

    Raises:
        ValueError: a part of the generator cannot be exported.

    Example:
        >>> program = jax.export.deserialize(bytearray(portable_program(trained, 256)))
        >>> fields, valid = program.call(np.uint32(0), np.int32(0), np.arange(256, dtype=np.int32), {})
    """
    from jax import export

    draw, player = trained.jitted_draw, trained.generator
    tau = np.float32(trained.recipe.solver_layer.tau)

    def program(
        seed: UInt[Array, ""], attempt: Int[Array, ""], index: Int[Array, " batch"], condition: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        first = jax.random.key(seed)
        # The keys of `Trained.sample`: the seed's own, and one derived from it for every further attempt.
        again = jax.random.fold_in(first, attempt)
        key = jax.random.wrap_key_data(jnp.where(attempt > 0, jax.random.key_data(again), jax.random.key_data(first)))
        return draw(*player, key, index, dict(condition), tau)

    conditions = {
        name: jax.ShapeDtypeStruct((batch, *shape), np.float32)
        for name, shape in trained.networks.spec.conditions.items()
    }
    arguments = (
        jax.ShapeDtypeStruct((), np.uint32),
        jax.ShapeDtypeStruct((), np.int32),
        jax.ShapeDtypeStruct((batch,), np.int32),
        conditions,
    )
    return bytes(export.export(jax.jit(program), platforms=tuple(platforms))(*arguments).serialize())
