"""The data set that a system is certified on where no other is given."""

import dataclasses
from typing import Any

from physics.data.certificate import Limits
from physics.data.dataset import DatasetSpec
from physics.data.samplers import FixedSystem
from physics.system import System

_STRIDE = 25  # solver steps between snapshots of systems that are not chaotic
# "certified" stands for the limit on trajectories, whose name is that of a field of `DatasetSpec`.
_LIMITS = {field.name: field.name for field in dataclasses.fields(Limits) if field.name != "trajectories"}
_LIMITS["certified"] = "trajectories"


def default_dataset(
    system: System, trajectories: tuple[int, int, int] = (256, 32, 32), **changes: Any
) -> tuple[FixedSystem, DatasetSpec]:
    """Sampler and specification of a system's default data set, for `physics.generate`.

    Chaotic systems give four snapshots after a spin-up and at a stride that a pilot ensemble measures; all
    others five snapshots from the initial field on, 25 recommended steps apart. A system may state other
    values, and limits of its own, in its ``default_dataset``; `System.example` is what the tests certify.

    Arguments:
        system: the system, with its parameters and grid.
        trajectories: how many for training, validation and test.
        changes: fields of `DatasetSpec`, and of `Limits` with ``certified`` for its ``trajectories``, to take instead.
    """
    dt = system.recommended_dt
    chosen: dict[str, Any] = {"dt": dt, "snapshots": 4}
    if not system.chaotic:
        chosen |= {"snapshots": 5, "spin_up": 0.0, "stride": _STRIDE * dt}
    chosen |= {**system.default_dataset, **changes}
    limits = {limit: chosen.pop(name) for name, limit in _LIMITS.items() if name in chosen}
    return FixedSystem(system), DatasetSpec(system.name, trajectories, limits=Limits(**limits), **chosen)
