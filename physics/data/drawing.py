"""The program that draws and solves trajectories, a chunk on every device."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Integer, Key

from physics.arguments import Scalar
from physics.data.certificate import WINDOW
from physics.data.dataset import SPLITS, DatasetSpec
from physics.data.planning import Chunk, Plan
from physics.data.samplers import Sampler
from physics.noise import own_noise
from physics.solving.evolution import advance, solve
from physics.statistics import amplitude_change

_HEAD_START = 1  # folded into a trajectory's key for its age


class Drawing:
    """The program that draws and solves one chunk on every device, and what comes out of it."""

    def __init__(self, sampler: Sampler, spec: DatasetSpec, plan: Plan, devices: list[Any]):
        self.sampler, self.spec, self.plan, self.devices = sampler, spec, plan, devices
        self._chaotic = sampler.system.chaotic
        save = plan.times[plan.times > 0]
        later = [plan.times[-1] + WINDOW * plan.dt] if self._chaotic else []

        def trajectory(key):
            system, u0, parameters = sampler.draw(key)
            if plan.ages:
                u0 = self._run_ahead(system, u0, key)
            fields = u0[None]
            if len(save) or self._chaotic:
                instants = np.asarray([*save, *later])
                noise = own_noise(system, key)
                solved = solve(system, u0, instants, dt=plan.dt, solver=spec.solver, noise=noise)
                fields = jnp.concatenate([fields, solved])
            first = 0 if plan.times[0] == 0 else 1
            last = first + len(plan.times)
            out = {"": fields[first:last]}
            out |= {f"-parameter-{name}": value for name, value in parameters.items()}
            if spec.keep_initial:
                out["-initial"] = u0
            if self._chaotic:
                out["-change"] = amplitude_change(fields[-2], fields[-1], system.grid.ndim)
            return out

        def chunk(split, start):
            indices = start + jnp.arange(plan.chunk, dtype=start.dtype)
            return jax.vmap(trajectory)(self.keys(split, indices))

        if len(devices) == 1:
            self._program = jax.jit(lambda splits, starts: jax.tree.map(lambda x: x[None], chunk(splits[0], starts[0])))
        else:
            mesh = Mesh(np.asarray(devices), ("device",))
            per_device = PartitionSpec("device")
            self._program = jax.jit(
                jax.shard_map(
                    lambda splits, starts: jax.tree.map(lambda x: x[None], chunk(splits[0], starts[0])),
                    mesh=mesh,
                    in_specs=per_device,
                    out_specs=per_device,
                    check_vma=False,
                )
            )

    def _run_ahead(self, system: Any, u0: Any, key: Any) -> Any:
        """The field after a head start of its own, a whole number of windows of steps that end at time 0."""
        windows = jax.random.randint(jax.random.fold_in(key, _HEAD_START), (), 0, self.plan.ages + 1)

        def one_window(number, u):
            before = (number - windows) * (WINDOW * self.plan.dt)
            after = advance(system, u, self.plan.dt, WINDOW, solver=self.spec.solver, t0=before)
            return jnp.where(number < windows, after, u)

        return jax.lax.fori_loop(0, self.plan.ages, one_window, u0)

    def keys(self, split: Scalar, indices: Integer[Array, "..."]) -> Key[Array, "..."]:
        """One key per trajectory, whatever chunk or device it is made in."""
        base = jax.random.fold_in(jax.random.key(self.spec.seed), split)
        return jax.vmap(lambda index: jax.random.fold_in(base, index))(indices)

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """By file name the shape and dtype of all that is stored."""
        n = len(self.devices)
        out = jax.eval_shape(self._program, np.zeros(n, np.uint32), np.zeros(n, np.uint32))
        arrays = {}
        for split, count in zip(SPLITS, self.spec.trajectories):
            for name, shape in out.items():
                arrays[f"{split}{name}"] = ((count, *shape.shape[2:]), np.dtype(self.spec.dtype))
        return arrays

    def start(self, group: list[Chunk]) -> dict[str, Array]:
        """Set the devices to work on a round of chunks; those left over repeat the last."""
        padded = group + [group[-1]] * (len(self.devices) - len(group))
        splits = np.asarray([chunk.split for chunk in padded], np.uint32)
        starts = np.asarray([chunk.start for chunk in padded], np.uint32)
        if len(self.devices) == 1:
            splits, starts = jax.device_put((splits, starts), self.devices[0])
        return self._program(splits, starts)

    def collect(self, results: dict[str, Array] | None, group: list[Chunk]) -> Iterator[dict[str, np.ndarray]]:
        """The finished arrays of each chunk, by file name without the split; refuses what is not finite."""
        out = jax.device_get(results)
        for row, chunk in enumerate(group):
            arrays = {name: np.asarray(values[row, : chunk.length]) for name, values in out.items()}
            self._check_finite(arrays, chunk)
            yield arrays

    def _check_finite(self, arrays: dict[str, np.ndarray], chunk: Chunk) -> None:
        fields = arrays[""]
        finite = np.isfinite(fields).reshape(*fields.shape[:2], -1).all(axis=2)
        if finite.all():
            return
        row, snapshot = np.argwhere(~finite)[0]
        prefix = "-parameter-"
        named = [f"{n.removeprefix(prefix)} = {v[row]:g}" for n, v in arrays.items() if n.startswith(prefix)]
        where = f" ({', '.join(named)})" if named else ""
        raise ValueError(
            f"data set {self.spec.name!r}: trajectory {chunk.start + row} of the {SPLITS[chunk.split]} split"
            f"{where} is not finite at time {self.plan.times[snapshot]:g}: halve dt to {self.plan.dt / 2:g} "
            "or use more points"
        )
