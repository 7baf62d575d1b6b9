"""A trained generator as a folder that needs no part of this package: program, description and loader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from experiments.errors import UserError
from experiments.files import replacing
from experiments.run import Run

PROGRAM, ABOUT, LOADER = "program.stablehlo", "about.json", "generator.py"


def export_generator(run: Run, out: Path, batch: int = 256) -> tuple[str, ...]:
    """Write program, description and loader of a run's generator to a folder.

    Args:
        run: the run, whose last checkpoint is taken.
        out: the folder, which must not exist.
        batch: samples that the program makes at once.

    Returns:
        Sizes of a sample with their names, as ("64 x", "1 channel").

    Raises:
        UserError: the folder exists, or samples of the experiment are not made by generator and solver layer alone.
    """
    import jax

    from experiments import pipeline
    from gan.training.portable import PLATFORMS, portable_program

    if out.exists():
        raise UserError(f"--out {out} exists already; give a name that does not.")
    task = run.folder.definition().learnt()
    if not task.drawn_alone(run.config):
        raise UserError(
            f"{run.path}: the samples of this experiment are made by more than the generator and its solver layer, and "
            "cannot be exported; draw them with `sample`."
        )
    dataset, trained = pipeline.open_trained(run.folder, run.progress)
    like = task.sampler(run.config, dataset, trained)(1, key=jax.random.key(0))
    about: dict[str, object] = {
        "experiment": run.folder.experiment,
        "step": trained.step,
        "batch": batch,
        "dims": list(like.dims),
        "shape": list(like.shape[1:]),
        "channels": list(like.channels),
        "units": dict(like.units),
        "coordinates": {
            name: np.asarray(values).tolist()
            for name, values in like.coordinates.items()
            if like.coordinate_dimension(name) != "sample"
        },
        "conditions": {name: list(shape) for name, shape in trained.networks.spec.conditions.items()},
        "platforms": list(PLATFORMS),
    }
    try:
        program = portable_program(trained, batch)
    except (ValueError, NotImplementedError) as error:
        told = str(error).partition("\n")[0]
        raise UserError(f"{run.path}: jax cannot export this generator ({told}); draw with `sample`.") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as folder:
        folder.mkdir()
        (folder / PROGRAM).write_bytes(program)
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
        (folder / LOADER).write_text((Path(__file__).parent / LOADER).read_text())
    return tuple(f"{size} {name}" for name, size in zip(like.dims[1:], like.shape[1:]))
