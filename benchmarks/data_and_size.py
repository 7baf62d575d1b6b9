"""How a posterior's generator improves with its data and its size, and whether data made anew for every update pay.

*Task.* The experiment `burgers_inverse`: 17 unknowns, given 8 noisy magnitudes; its demo's recipe of flow matching with
fewer updates. A sample of the training costs one solver call.

*Arms.* Stored sets of 1024 to 262,144 samples, each for the widest network; networks of width 16 to 128 for the largest
set; and samples that the solver makes for every update (``--system.streamed``), once for as many updates as the others
get, and once for the seconds that the largest set and its training take together.

*Measures*, on held-out cases of the validation split that no training saw: the CRPS of the unknowns, a mean over them,
with 64 members for each of 512 cases, in standard deviations of the prior; and the loss of flow matching. Seconds are
processor seconds of making data and of training, without compiling.

    python benchmarks/data_and_size.py [--seeds 3] [--updates 15000]
    python benchmarks/data_and_size.py --page

Writes benchmarks/results/data_and_size.json after every run; a stopped study goes on where it was. ``--page`` writes
the marked part of docs/training.md from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import numpy as np

from experiments import catalog
from experiments.config import ExperimentConfig
from experiments.evaluation.scores.ensemble import crps
from experiments.files import write_json, write_text
from gan.training.loop import Trainer
from gan.training.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "data_and_size.json", ROOT / "docs" / "training.md"
MARKS = ("<!-- figures: data and size -->", "<!-- end -->")
MISSING = "The study of data and size (`benchmarks/data_and_size.py`) has not been run yet."
SETS = (1024, 4096, 16_384, 65_536, 262_144)
WIDTHS = (16, 32, 64, 128)
CASES, MEMBERS, EVALUATIONS = 512, 64, 8
STREAMED, STREAMED_SECONDS = "made anew, as many updates", "made anew, as many seconds"
EXPERIMENT = catalog.load("burgers_inverse")


def recipe(width: int, updates: int, seed: int, *, streamed: bool = False) -> ExperimentConfig:
    """Return the demo's settings with another width and length."""
    demo = EXPERIMENT.presets["demo"]
    training = replace(
        demo.training,
        steps=updates,
        seed=seed,
        devices=1,
        log_every=updates,
        checkpoint_every=updates,
        diagnose_every=0,
        keep=1,
    )
    half_life = demo.optimizer.average_half_life * updates / demo.training.steps
    return replace(
        demo,
        system=replace(demo.system, streamed=streamed),
        network=replace(demo.network, width=width),
        game=replace(demo.game, evaluations=EVALUATIONS),
        optimizer=replace(demo.optimizer, average_half_life=half_life),
        training=training,
    )


def cut(problem: Problem, count: int) -> Problem:
    """Return the problem with the first training samples alone."""
    condition = {name: value[:count] for name, value in (problem.condition or {}).items()}
    return replace(problem, train=problem.train[:count], condition=condition)


class Study:
    """Runs of one machine, with the held-out cases that all are judged by."""

    def __init__(self, updates: int):
        self.updates = updates
        config = recipe(WIDTHS[-1], updates, 1)
        dataset = EXPERIMENT.task.data(config, lambda *told: None)
        whole = EXPERIMENT.task.problem(config, dataset)
        self.truth = np.asarray(whole.validation[:CASES])
        self.seen = {name: np.asarray(value[:CASES]) for name, value in (whole.validation_condition or {}).items()}
        self.stored = replace(whole, validation=None, validation_condition=None)
        streaming = recipe(WIDTHS[-1], updates, 1, streamed=True)
        fresh = EXPERIMENT.task.problem(streaming, dataset)
        self.streamed = replace(fresh, validation=None, validation_condition=None)

    def sample_seconds(self, count: int = 51_200) -> float:
        """Return processor seconds of making one training sample, in the sizes in which a training asks for them."""
        stream, size = self.streamed.stream, 12_800
        assert stream is not None
        jax.block_until_ready(stream(0, np.arange(size, dtype=np.uint32)))
        began = time.process_time()
        for start in range(0, count, size):
            jax.block_until_ready(stream(0, np.arange(start, start + size, dtype=np.uint32)))
        return (time.process_time() - began) / count

    def run(self, width: int, seed: int, samples: int | None, updates: int | None = None) -> dict[str, float]:
        """Train once and measure.

        Args:
            width: of the network.
            seed: of the training.
            samples: stored ones; none: made anew.
            updates: in place of the study's.
        """
        config = recipe(width, updates or self.updates, seed, streamed=samples is None)
        problem = self.streamed if samples is None else cut(self.stored, samples)
        folder = Path(tempfile.mkdtemp())
        try:
            trainer = Trainer(problem, config, folder)
            # The training's own step is compiled here and not counted.
            state = trainer.spread.replicate(jax.tree.map(jax.numpy.copy, trainer.state))
            jax.block_until_ready(trainer.step(state, *trainer.spread.place(trainer.next_batch((0, 0)))))
            began = time.process_time()
            trained = trainer.run(False, None)
            seconds = time.process_time() - began
        finally:
            shutil.rmtree(folder)
        given = {name: np.repeat(value, MEMBERS, axis=0) for name, value in self.seen.items()}
        drawn = trained.sample(jax.random.key(9), CASES * MEMBERS, given).reshape(CASES, MEMBERS, -1)
        score = crps(np.moveaxis(drawn, 1, 0), self.truth, fair=True)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(trained.params))
        return {
            "crps": float(np.mean(score)),
            "training_seconds": seconds,
            "updates": config.training.steps,
            "parameters": parameters,
        }


def rows(found: dict[str, Any]) -> list[str]:
    """Return the table: every arm with all its seeds."""
    lines = [
        "| samples | width | parameters | updates | CRPS, every seed | data | training |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in found["arms"].values():
        runs = list(arm["runs"].values())
        scores = ", ".join(f"{run['crps']:.3f}" for run in runs)
        taken = float(np.median([run["training_seconds"] for run in runs]))
        one = found["sample_seconds"]
        data = "within the training" if arm["samples"] is None else f"{one * arm['samples']:.2g} s"
        label = arm["label"] if arm["samples"] is None else f"{arm['samples']:,}"
        lines.append(
            f"| {label} | {arm['width']} | {runs[0]['parameters']:,} | {runs[0]['updates']:,} | "
            f"**{np.median([run['crps'] for run in runs]):.3f}** ({scores}) | {data} | {taken:.0f} s |"
        )
    return lines


def with_figures(page: str, found: dict[str, Any]) -> str:
    """Return the page with the table between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    told = "\n".join(rows(found)) if found.get("arms") else MISSING
    return f"{before}{MARKS[0]}\n\n{told}\n\n{MARKS[1]}{after}"


def known() -> dict[str, Any]:
    """Return the study as far as it has been run."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main() -> None:
    """Run the study, or write the page from its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=15_000)
    parser.add_argument("--page", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    if given.page:
        write_text(PAGE, with_figures(PAGE.read_text(), known()))
        return
    found = known()
    found.setdefault("machine", {"processor": platform.processor(), "cores": os.cpu_count(), "jax": jax.__version__})
    updates = found.setdefault("updates", given.updates)
    study = Study(updates)
    if "sample_seconds" not in found:
        found["sample_seconds"] = study.sample_seconds()
    wanted: dict[str, tuple[int, int | None]] = {f"{count} samples": (WIDTHS[-1], count) for count in SETS}
    wanted |= {f"width {width}": (width, SETS[-1]) for width in WIDTHS[:-1]}
    wanted |= dict.fromkeys((STREAMED_SECONDS, STREAMED), (WIDTHS[-1], None))
    arms = found.setdefault("arms", {})
    for seed in range(1, given.seeds + 1):
        for name, (width, samples) in wanted.items():
            arm = arms.setdefault(name, {"label": name, "width": width, "samples": samples, "runs": {}})
            if str(seed) in arm["runs"]:
                continue
            count = updates
            if name == STREAMED_SECONDS:
                # Seconds of the largest set with its training, over those of an update with its own samples.
                stored = arms[f"{SETS[-1]} samples"]["runs"][str(seed)]["training_seconds"]
                batch = EXPERIMENT.presets["demo"].training.batch
                each = stored / updates + batch * found["sample_seconds"]
                whole = stored + SETS[-1] * found["sample_seconds"]
                several = EXPERIMENT.presets["demo"].training.steps_per_call
                count = max(several, round(whole / each / several) * several)
            arm["runs"][str(seed)] = study.run(width, seed, samples, count)
            print(name, seed, arm["runs"][str(seed)], flush=True)
            write_json(RESULTS, found)


if __name__ == "__main__":
    main()
