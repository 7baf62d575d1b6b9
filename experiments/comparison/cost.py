"""What a sample costs, against the strongest solver.

A generator is often held against a solver that is more exact than anybody asked for. Here its error is
matched first: of all solver settings offered (coarser grids, larger steps, lower orders, shorter spin-ups,
cheaper starts) the cheapest that comes as close to the reference as the generator does is the one to beat.
Making the data and training are counted, so that there is a number of samples from which the generator pays
off, or none (McGreivy and Hakim 2024, Nature Machine Intelligence 6, 1256).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gan.metrics import Yardstick, holm

Progress = Callable[[int, int, str], None]
Setting = Mapping[str, Any]


@dataclass(frozen=True)
class CostInputs:
    """What a comparison needs to know about cost; all callables are given by the experiment.

    Attributes:
        draw: ``count -> fields``: samples of the generator as compared, carry included. Timed here.
        data_seconds: wall time of making the training fields.
        training_seconds: wall time of the training.
        reference_seconds_per_sample: of an independent reference solver field, spin-up included.
        draw_uncarried: the same without carry, to tell what of a sample's cost is the carry.
        settings: solver settings to search, each a mapping of plain values that goes into the table as it
            is.
        make_solver_fields: ``(setting, n) -> (fields on the reference grid, seconds)``: ``n`` independent
            fields by that setting and the wall time they took, compilation excluded (see `timed`).
        count: samples drawn per timing.

    """

    draw: Callable[[int], Any]
    data_seconds: float
    training_seconds: float
    reference_seconds_per_sample: float
    draw_uncarried: Callable[[int], Any] | None = None
    settings: Sequence[Setting] = ()
    make_solver_fields: Callable[[Setting, int], tuple[np.ndarray, float]] | None = None
    count: int = 512
    extra: Mapping[str, Any] = field(default_factory=dict)


def timed(function: Callable[[], Any], *, repeats: int = 1, warm_up: bool = True) -> tuple[Any, float]:
    """A function's result and its median wall time in seconds, waiting for the device, after one call that
    compiles."""
    if warm_up:
        jax.block_until_ready(function())
    seconds, result = [], None
    for _ in range(repeats):
        began = time.perf_counter()
        result = jax.block_until_ready(function())
        seconds.append(time.perf_counter() - began)
    return result, statistics.median(seconds)


def search_solver_settings(
    yardstick: Yardstick,
    generator: Mapping[str, Mapping[str, Any]],
    settings: Sequence[Setting],
    make_solver_fields: Callable[[Setting, int], tuple[np.ndarray, float]],
    *,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Every solver setting with its cost, its error and whether it reaches the generator's.

    A setting *reaches* the generator when, distance by distance, it is at least as close to the reference or
    cannot be told from it (Holm-corrected): being closer than the null band is chance and asked of nobody. A
    setting that fails (an exception of value or arithmetic, or fields that are not finite) stays in the table
    with the reason.

    Args:
        yardstick: of the reference solver.
        generator: its distances, as `Yardstick.compare` returns them.
        settings, make_solver_fields: see `CostInputs`.
        progress: called with (done, total, what).

    Returns:
        One row per setting, in the given order: the setting's own keys, ``seconds_per_sample``, ``error``
        (median ratio), ``worst`` (largest ratio), ``ratios`` by distance, ``reaches``, and ``failed`` with
        the reason where it failed.

    """
    rows: list[dict[str, Any]] = []
    for done, setting in enumerate(settings, start=1):
        row = unmeasured(setting)
        rows.append(row)
        try:
            fields, seconds = make_solver_fields(setting, yardstick.n)
            row["seconds_per_sample"] = float(seconds) / yardstick.n
            values = yardstick.distances(np.asarray(fields, np.float32))
        except (ValueError, ArithmeticError) as error:
            row["failed"] = str(error)
        else:
            p_values = yardstick.p_values(values)
            kept = holm(list(p_values.values()), yardstick.level)
            reaches = all(
                bool(kept[i]) or values[name] <= generator[name]["value"] for i, name in enumerate(yardstick.names)
            )
            measured(row, {name: values[name] / yardstick.floor[name] for name in yardstick.names}, reaches)
        if progress is not None:
            progress(done, len(settings), "searching the cheapest solver")
    return rows


def unmeasured(setting: Setting) -> dict[str, Any]:
    """Return a row of the search for a setting of which nothing is known yet."""
    return {**setting, "seconds_per_sample": None, "error": None, "worst": None, "ratios": None, "reaches": False}


def measured(row: dict[str, Any], ratios: Mapping[str, float], reaches: bool) -> None:
    """Enter into a row of the search what its fields came to."""
    row["ratios"] = dict(ratios)
    row["error"] = float(np.median(list(ratios.values())))
    row["worst"] = float(max(ratios.values()))
    row["reaches"] = reaches


def break_even(
    *, fixed_seconds: float, generator_seconds_per_sample: float, solver_seconds_per_sample: float
) -> int | None:
    """Number of samples from which data, training and sampling together cost no more than the solver; None:
    never."""
    gain = solver_seconds_per_sample - generator_seconds_per_sample
    if gain <= 0:
        return None
    return max(1, math.ceil(fixed_seconds / gain))


def cost_table(
    inputs: CostInputs,
    yardstick: Yardstick,
    generator: Mapping[str, Mapping[str, Any]],
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The cost section of a comparison; every entry in seconds, per sample where it says so.

    ``cheapest`` is the cheapest row that reaches the generator, or the reference solver where no cheaper one
    does.
    """
    count = inputs.count
    own = timed(lambda: inputs.draw(count), repeats=3)[1] / count
    carry = None
    if inputs.draw_uncarried is not None:
        uncarried = inputs.draw_uncarried
        carry = max(0.0, own - timed(lambda: uncarried(count), repeats=3)[1] / count)
    rows: list[dict[str, Any]] = []
    if inputs.make_solver_fields is not None:
        rows = search_solver_settings(
            yardstick, generator, inputs.settings, inputs.make_solver_fields, progress=progress
        )
    section = cost_section(
        generator=own,
        carry=carry,
        reference={
            "setting": "reference",
            "seconds_per_sample": inputs.reference_seconds_per_sample,
            "error": 1.0,
        },
        rows=rows,
        data=inputs.data_seconds,
        training=inputs.training_seconds,
    )
    return {**section, **inputs.extra}


def cost_section(
    *,
    generator: float,
    carry: float | None,
    reference: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    data: float,
    training: float,
) -> dict[str, Any]:
    """Put a cost section together: the cheapest setting that reaches the generator, and the break-even.

    Args:
        generator, carry: seconds per sample of the generator, and of the carry within it.
        reference: the reference solver as a row, which is as good as the generator by definition.
        rows: of the search.
        data, training: seconds spent once.
    """
    candidates = [row for row in rows if row["reaches"]] + [reference]
    cheapest = min(candidates, key=lambda row: row["seconds_per_sample"])
    return {
        "generator_seconds_per_sample": generator,
        "carry_seconds_per_sample": carry,
        "reference_seconds_per_sample": reference["seconds_per_sample"],
        "cheapest": {k: v for k, v in cheapest.items() if k not in ("ratios", "reaches", "worst")},
        "search": list(rows),
        "data_seconds": data,
        "training_seconds": training,
        "break_even": break_even(
            fixed_seconds=data + training,
            generator_seconds_per_sample=generator,
            solver_seconds_per_sample=cheapest["seconds_per_sample"],
        ),
    }
