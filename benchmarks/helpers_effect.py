"""What transport cost, adaptive augmentation and ConFIG do to one cheap training, every seed shown.

*Distribution.* Waves of one period on 32 periodic points, amplitude normal(3, 1), phase uniform: the solutions of u'' +
u = 0 on the circle, whose residual a physics penalty can ask for. Dense players, 4000 updates of batch 64. Every helper
stands beside the same training without it:

- adaptive augmentation (target 0.6): 100 training fields and no symmetry stated, where a discriminator can learn the
  data by heart;
- shifts and reflections stated: the same 100 fields;
- transport cost (share 0.5): 4096 fields, latents of the fields' shape;
- the penalties' weight from the distance of neighbouring fields instead of their count of numbers: 4096 fields;
- a penalty on the residual, summed or joined by ConFIG: 4096 fields.

The distance is the validation metric (`gan.training.validation`) of 2048 samples over its median between two sets of
fields, of the averaged generator, at the last checkpoint and at worst in the last quarter.

    python benchmarks/helpers_effect.py [--seeds 5]

Writes benchmarks/results/helpers_effect.json after every run (a stopped study goes on where it was) and the marked part
of docs/training.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json, write_text
from gan import Problem, normalizer, train
from gan.augmentation import ArrayReflection, ArraySymmetries
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, Recipe, SolverLayerConfig, TrainingConfig
from gan.penalties import Penalty
from gan.training.checkpoint import METRIC
from gan.training.divergence import Diverged
from gan.training.validation import normalized_distance

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "helpers_effect.json", ROOT / "docs" / "training.md"
MARKS = ("<!-- helpers: written by benchmarks/helpers_effect.py -->", "<!-- end of helpers -->")
POINTS, HELD_OUT, STEPS, CHECKPOINTS, DRAWS = 32, 2048, 4000, 20, 50
DISTANCE = "mean Wasserstein distance"
"""The validation metric of this version. A study keeps the name of the one that it was made with."""
SYMMETRIES = ArraySymmetries((0,), (ArrayReflection(0, (-1.0,)),))
PENALTY = 1e-3


def waves(count: int, seed: int) -> np.ndarray:
    """Waves of one period, (count, 32, 1)."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(POINTS) / POINTS
    size, phase = rng.normal(3.0, 1.0, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    return (size * np.sin(x + phase)).astype(np.float32)[..., None]


def residual(samples: Any, condition: Any = None) -> Any:
    """Mean square of u'' + u over points and batch, by the Fourier transform."""
    wave = jnp.arange(POINTS // 2 + 1)[None, :, None]
    applied = jnp.fft.irfft((1 - wave**2) * jnp.fft.rfft(samples, axis=1), POINTS, axis=1)
    return jnp.mean(jnp.square(applied))


def arms() -> dict[str, tuple[Problem, Recipe]]:
    """Return data and recipe of every arm; the ones that belong together differ in the helper alone."""

    def arm(fields: int, latent: int = 16, moved: bool = False, held: bool = False, **game: Any) -> Any:
        problem = Problem(
            train=waves(fields, 1),
            validation=waves(HELD_OUT, 2),
            symmetries=SYMMETRIES if moved else None,
            penalties={"residual": Penalty(residual, PENALTY)} if held else {},
            measure=lambda samples: {"residual": float(residual(samples))},
        )
        recipe = Recipe(
            NetworkConfig(kind="mlp", width=64, blocks=2, latent=latent),
            GameConfig(**game),
            OptimizerConfig(generator_rate=1e-3, discriminator_rate=1e-3),
            SolverLayerConfig(),
            TrainingConfig(
                steps=STEPS,
                devices=1,
                steps_per_call=20,
                checkpoint_every=STEPS // CHECKPOINTS,
                keep=1,
                sample_chunk=HELD_OUT,
            ),
        )
        return problem, recipe

    return {
        "100 fields": arm(100),
        "100 fields, adaptive augmentation": arm(100, augment_target=0.6, augment_speed=50_000.0),
        "100 fields, symmetries": arm(100, moved=True),
        "4096 fields, field latent": arm(4096, latent=0),
        "4096 fields, field latent, transport": arm(4096, latent=0, transport=0.5),
        "4096 fields": arm(4096),
        "4096 fields, gamma from neighbours": arm(4096, gamma_rule="neighbours"),
        "4096 fields, residual penalty, summed": arm(4096, held=True),
        "4096 fields, residual penalty, ConFIG": arm(4096, held=True, conflict="config"),
    }


def played(problem: Problem, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train and return what the checkpoints measured."""
    values = recipe.as_dict()
    values["training"]["seed"] = seed
    folder = Path(tempfile.mkdtemp())
    try:
        train(problem, Recipe.from_dict(values), folder)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    except Diverged as error:
        return {"lost": str(error)}
    finally:
        shutil.rmtree(folder)
    seen = [line for line in lines if METRIC in line]
    return {name: [line[name] for line in seen] for name in (METRIC, "coverage", "residual")}


def floor() -> float:
    """Return the median distance of two sets of fields."""
    unit = normalizer.fit(waves(4096, 1))
    pairs = ((waves(HELD_OUT, 100 + 2 * i), waves(HELD_OUT, 101 + 2 * i)) for i in range(DRAWS))
    return float(np.median([normalized_distance(*pair, unit) for pair in pairs]))


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    study = json.loads(arguments.results.read_text()) if arguments.results.exists() else {"runs": []}
    every = arms()
    recipes = {name: recipe.as_dict() for name, (_, recipe) in every.items()}
    if study["runs"] and (study["recipes"], study["distance"]) != (json.loads(json.dumps(recipes)), DISTANCE):
        raise SystemExit(f"{arguments.results} holds runs of another recipe or distance: move it away and start again.")
    study |= {
        "recipes": recipes,
        "distance": DISTANCE,
        "floor": floor(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    done = {(run["arm"], run["seed"]) for run in study["runs"]}
    arguments.results.parent.mkdir(exist_ok=True)
    for seed, name in itertools.product(range(arguments.seeds), every):
        if (name, seed) not in done:
            run = {"arm": name, "seed": seed, **played(*every[name], seed)}
            study["runs"].append(run)
            write_json(arguments.results, study)
            print(
                f"{name}, seed {seed}: " + run.get("lost", f"{run.get(METRIC, [0])[-1] / study['floor']:.2f}"),
                flush=True,
            )
    if arguments.results == RESULTS:
        write(study)


def write(study: dict[str, Any]) -> None:
    """Write the marked part of the page: every seed of every arm."""
    seeds = len({run["seed"] for run in study["runs"]})
    lines = [
        MARKS[0],
        "",
        "## Effect of single helpers on one cheap training",
        "",
        f"The data are waves of one period on {POINTS} points. Dense players make {STEPS} updates of batch 64. Each "
        f"arm is trained with {seeds} seeds, and every seed is shown. Written by `python benchmarks/helpers_effect.py` "
        f"(jax {study['versions']['jax']}).",
        "",
        f"- Distance: the {study['distance']} of samples and held-out fields, divided by its median between two sets "
        "of fields. It is given at the last checkpoint, and as the worst value in the last quarter of the training.",
        "- Coverage: share of the held-out fields that have a sample near them, at most 1.",
        "- Residual: mean square of u'' + u, which is 0 for every field of the distribution.",
        "",
        "| arm | distance, last | worst in the last quarter | coverage, last | residual, last |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(run["arm"] for run in study["runs"]):
        runs = [run for run in study["runs"] if run["arm"] == name]
        kept = [run for run in runs if "lost" not in run]
        tail = CHECKPOINTS // 4
        cells = [
            ", ".join(f"{run[METRIC][-1] / study['floor']:.1f}" for run in kept),
            ", ".join(f"{max(run[METRIC][-tail:]) / study['floor']:.1f}" for run in kept),
            ", ".join(f"{run['coverage'][-1]:.2f}" for run in kept),
            ", ".join(f"{run['residual'][-1]:.2g}" for run in kept),
        ]
        lost = f" ({len(runs) - len(kept)} lost)" if len(kept) < len(runs) else ""
        lines.append(f"| {name}{lost} | " + " | ".join(cells) + " |")
    text = PAGE.read_text()
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2].lstrip("\n")
    write_text(
        PAGE, before.rstrip("\n") + "\n\n" + "\n".join([*lines, "", MARKS[1], ""]) + (f"\n{after}" if after else "")
    )


if __name__ == "__main__":
    main()
