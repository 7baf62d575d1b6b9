"""Which generators come near the joint law of a forced plane flow? Those of its longest waves, and stored fields.

The experiment `kolmogorov_flow` at the ranges of viscosity and forcing that it had before, with data of this study's
own. Some flows of these ranges go steady, at high viscosity and weak forcing, which is why the experiment has others
now; no certificate was taken here. The questions:
after which time the fields are stationary; how many waves a generator must make, so that the solver makes the others;
how near to solver fields the generators of these waves come, beside Gaussian fields and stored fields of the nearest
parameters. A classifier on physical features and parameters distinguishes all sets from solver fields of trajectories
that no training has used. The solver advances every field under its own parameters.

    python benchmarks/plane_waves.py                       # data, every arm, tables of docs/joint_law.md
    python benchmarks/plane_waves.py --arms game flow      # some arms
    python benchmarks/plane_waves.py --draw                # tables again

Fields and what was fitted are kept in ``--models``; benchmarks/results/plane_waves.json is written after every arm, and
arms that it has are not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import jax.numpy as jnp
import numpy as np
from publish import PUBLISHED

import gan
from experiments import catalog
from experiments.errors import UserError
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.snapshot_inputs import moved
from experiments.evaluation.two_sample.classifiers import auc, auc_interval, boosted_scores
from experiments.evaluation.varying import joined, nearest_free, parted
from experiments.files import write_json, write_text
from experiments.tasks.advance import initial_fields, refiner
from experiments.tasks.equation import equation
from experiments.wording import duration
from gan.config import GameConfig, NetworkConfig, SolverLayerConfig
from gan.normalizer import wave_vectors
from gan.short_waves import fields_of, fit_samples

ROOT = Path(__file__).resolve().parents[1]
RESULTS = PUBLISHED / "plane_waves.json"
PAGE = ROOT / "docs" / "joint_law.md"
MARKS = re.compile(r"(<!-- plane waves: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
EXPERIMENT = catalog.load("kolmogorov_flow")
STUDIED = EXPERIMENT.presets["demo"].with_overrides(
    {
        "data.points": "32,32",
        "system.viscosity": "0.04,0.05",
        "system.forcing": "1,1.4",
        "system.outside_viscosity": "0.036,0.06",
    }
)
MOMENTS = (40.0, 64.0, 96.0, 128.0, 160.0, 192.0, 208.0, 224.0, 240.0)
"""Solver times after the initial fields at which fields are kept."""
KEPT = 4
"""Last moments, whose fields train the generators and are what samples are compared with."""
TIMES = (1.0, 2.0, 4.0, 8.0)
"""Total solver times of samples."""
STEP = 0.05
SHORT = 8
"""Short waves up to so many per box are fitted to the longest ones."""
TRAINED_SHARE = 2 / 3
"""Of the trajectories."""


@dataclass(frozen=True)
class Judge:
    """Solver fields of this study, and the classifier that holds samples against them.

    Attributes:
        fields: joined with their parameters, (trajectories, moments, *grid, c + k).
        seed: of the parameters of samples and of all draws.
    """

    fields: np.ndarray
    seed: int

    @cached_property
    def system(self) -> Any:
        """The flow in the middle of the ranges."""
        return EXPERIMENT.task.system(STUDIED)

    @cached_property
    def varying(self) -> Any:
        """The parameters that vary."""
        return EXPERIMENT.task.parameters(STUDIED)

    @cached_property
    def refine(self) -> Callable[[np.ndarray, float], np.ndarray]:
        """The solver."""
        return refiner(self.system, STEP, parameters=self.varying.names)

    @cached_property
    def known(self) -> Any:
        """What the features need to know of the flow."""
        return equation(self.system, self.refine, self.varying.names)

    @property
    def trained(self) -> int:
        """Trajectories that trainings use."""
        return round(TRAINED_SHARE * len(self.fields))

    @property
    def stored(self) -> np.ndarray:
        """Training fields, joined, (trajectories, kept, *grid, c + k)."""
        return self.fields[: self.trained, -KEPT:]

    @cached_property
    def features(self) -> Any:
        """Physical features, fixed by training fields."""
        return self.known.features(self.stored[:, 0])

    @cached_property
    def references(self) -> tuple[np.ndarray, np.ndarray]:
        """Features of one field of every trajectory: of training, which the classifier learns from, and held out."""
        moment = np.random.default_rng((self.seed, 1)).integers(0, KEPT, len(self.fields))
        rows = self.features(self.fields[:, -KEPT:][np.arange(len(self.fields)), moment])
        return rows[: self.trained], rows[self.trained :]

    @property
    def asked(self) -> np.ndarray:
        """Logarithms of the parameters of samples: as many to train the classifier as to rate, one of a trajectory."""
        return self.varying.draw(len(self.fields), self.seed)

    def area(self, samples: np.ndarray) -> dict[str, Any]:
        """AUC against the references, with its 95% interval; as many samples as held-out trajectories are rated."""
        rows = self.features(samples)
        learnt, held = self.references
        scores = boosted_scores((rows[: -len(held)], learnt), (rows[-len(held) :], held))
        return {"auc": auc(scores), "interval": auc_interval(scores)}

    def points(self, samples: np.ndarray, times: Sequence[float] = TIMES) -> list[dict[str, Any]]:
        """AUC of samples at total solver times."""
        found, done = [], 0.0
        for moment in times:
            samples, done = self.refine(samples, moment - done) if moment > done else samples, moment
            found.append({"time": moment, **self.area(samples)})
        return found

    def between(self, one: int, other: int) -> float:
        """AUC between the fields of two moments, of the same trajectories."""
        rows = [self.features(self.fields[:, i]) for i in (one, other)]
        return auc(
            boosted_scores((rows[0][: self.trained], rows[1][: self.trained]), tuple(r[self.trained :] for r in rows))
        )


def made(arguments: argparse.Namespace) -> np.ndarray:
    """Make or read the solver fields: independent trajectories from the flow's own initial fields."""
    path = arguments.models / f"fields-{arguments.trajectories}-{arguments.seed}.npy"
    if path.exists():
        return np.load(path)
    empty = Judge(np.zeros(0), arguments.seed)
    asked = empty.varying.draw(arguments.trajectories, arguments.seed + 1)
    fields = initial_fields(empty.system, len(asked), jax.random.key(arguments.seed), empty.varying.names, asked)
    kept, done = [], 0.0
    for moment in MOMENTS:
        fields, done = empty.refine(fields, moment - done), moment
        kept.append(fields)
        print(f"solver fields at {moment:g}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.stack(kept, axis=1))
    return np.load(path)


def recipe(steps: int, seed: int, network: Mapping[str, Any], game: Mapping[str, Any]) -> gan.Recipe:
    """Recipe of an arm: that of the demo of Kuramoto-Sivashinsky, with other sizes."""
    demo = catalog.load("kuramoto_sivashinsky").presets["demo"]
    training = replace(
        demo.training, steps=steps, checkpoint_every=steps, diagnose_every=steps, cpu_devices=1, seed=seed
    )
    return gan.Recipe(
        replace(demo.network, **network),
        GameConfig(**game),
        demo.optimizer,
        SolverLayerConfig(tau=0.0),
        training,
    )


@dataclass(frozen=True)
class Training:
    """A generator of the longest waves.

    Attributes:
        title: of the arm.
        steps: updates.
        network, game: settings that differ from those of the demo of Kuramoto-Sivashinsky.
    """

    title: str
    steps: int
    network: Mapping[str, Any]
    game: Mapping[str, Any]

    def measure(self, judge: Judge, arguments: argparse.Namespace) -> dict[str, Any]:
        """Train, draw and judge."""
        names = judge.varying.names

        def split(joint: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            fields, logarithms = parted(joint.reshape(-1, *joint.shape[-3:]), len(names))
            return fields, judge.varying.condition(logarithms)

        (train, condition), (held, held_condition) = split(judge.stored), split(judge.fields[judge.trained :, -1])
        problem = gan.Problem(
            train,
            condition=condition,
            validation=held,
            validation_condition=held_condition,
            symmetries=judge.system.symmetries,
            extent=judge.system.grid.extent,
        )
        began = time.process_time()
        folder = arguments.models / re.sub(r"\W+", "-", self.title)
        trained = gan.train(problem, recipe(self.steps, judge.seed, self.network, self.game), folder)
        spent = time.process_time() - began
        asked = judge.varying.condition(judge.asked)

        def draw() -> np.ndarray:
            return trained.sample(jax.random.key(judge.seed), len(judge.asked), asked)

        samples = draw()
        began = time.process_time()
        draw()
        drawing = (time.process_time() - began) / len(samples)
        found = {"training_seconds": spent, "drawing_seconds": drawing, "steps": self.steps}
        return found | {"points": judge.points(joined(samples, judge.asked))}


def gaussian(judge: Judge) -> np.ndarray:
    """Gaussian fields of the second moments at the parameters asked for."""
    stored = judge.stored.reshape(-1, *judge.stored.shape[2:])
    return gaussian_fields(stored, len(judge.asked), seed=judge.seed, homogeneous=False, asked=judge.asked)


def from_rest(judge: Judge) -> np.ndarray:
    """The flow's own initial fields with the parameters asked for."""
    return initial_fields(
        judge.system, len(judge.asked), jax.random.key(judge.seed + 2), judge.varying.names, judge.asked
    )


def nearest_stored(judge: Judge, each: int) -> np.ndarray:
    """Stored fields of the nearest parameters, moved by a symmetry, with the parameters asked for."""
    stored = judge.stored[:, :each].reshape(-1, *judge.stored.shape[2:])
    known = len(judge.varying.names)
    fields, logarithms = parted(stored, known)
    kept = joined(fields[nearest_free(logarithms, judge.asked)], judge.asked)
    return moved(kept, judge.known.joint_symmetries, judge.seed)


def cut(judge: Judge, waves: int, short: int = 0) -> np.ndarray:
    """Solver fields cut to their longest waves, with or without fitted short ones.

    The fit reads half of the training trajectories, and the fields are of the others.
    """
    known, half = len(judge.varying.names), judge.trained // 2
    read = parted(judge.stored[:half].reshape(-1, *judge.stored.shape[2:]), known)[0]
    fields, logarithms = parted(judge.fields[half:, -KEPT - 1], known)
    network = NetworkConfig(kind="waves", waves=waves, short_waves=short)
    normalizer = fit_samples(network, read, symmetries=judge.system.symmetries)
    return joined(np.asarray(fields_of(normalizer, jnp.asarray(normalizer.normalize(fields)))), logarithms)


@dataclass(frozen=True)
class Start:
    """Fields that no training made.

    Attributes:
        title: of the arm.
        make: judge -> joined fields.
        times: total solver times.
    """

    title: str
    make: Callable[[Judge], np.ndarray]
    times: tuple[float, ...] = TIMES

    def measure(self, judge: Judge, arguments: argparse.Namespace) -> dict[str, Any]:
        """Make and judge."""
        return {"points": judge.points(self.make(judge), self.times)}


GAME = {"r1": 0.1, "r2": 0.1, "gamma_rule": "fixed", "symmetrize": True}
FLOW = {"objective": "flow_matching", "evaluations": 8}


def network(waves: int, short: int = SHORT) -> dict[str, Any]:
    """Settings of players of the longest waves whose latent is as long as a sample."""
    return {"waves": waves, "short_waves": short, "latent": 2 * len(wave_vectors(waves, 2))}


def cut_arm(waves: int, short: int = 0) -> Start:
    """Solver fields cut to their longest waves."""
    what = f", those up to {short} fitted" if short else ""
    title = f"waves up to {waves} ({2 * len(wave_vectors(waves, 2))} numbers){what}"
    return Start(title, lambda judge: cut(judge, waves, short))


CUTS = {
    **{f"cut_{waves}": cut_arm(waves) for waves in (3, 4, 5, 6)},
    **{f"fitted_{waves}": cut_arm(waves, SHORT) for waves in (3, 4)},
}
ARMS: dict[str, Training | Start] = {
    "game_3": Training("game, waves up to 3", 6000, network(3), GAME),
    **CUTS,
    "stored": Start("stored fields of the nearest parameters, all", lambda judge: nearest_stored(judge, KEPT)),
    "stored_one": Start("the same, one of each trajectory", lambda judge: nearest_stored(judge, 1)),
    "gaussian": Start("Gaussian fields, moments of the nearest parameters", gaussian, (*TIMES, 32.0)),
    "rest": Start("the flow's own initial fields", from_rest, (8.0, 32.0, 64.0, 128.0)),
    "flow_3": Training("flow matching, waves up to 3, 8 evaluations", 6000, network(3), FLOW),
    "game_4": Training("game, waves up to 4", 3000, network(4), GAME),
    "game_6": Training("game, waves up to 6, no fitted ones", 3000, network(6, 0), GAME),
}


def measure(arguments: argparse.Namespace) -> None:
    """Measure what the result file lacks."""
    judge = Judge(made(arguments), arguments.seed)
    study: dict[str, Any] = {
        "seed": arguments.seed,
        "trajectories": len(judge.fields),
        "trained": judge.trained,
        "machine": {"platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"jax": jax.__version__},
        "stationarity": [],
        "arms": {},
    }
    if arguments.results.exists():
        study = json.loads(arguments.results.read_text())
        if (study["seed"], study["trajectories"]) != (arguments.seed, len(judge.fields)):
            raise UserError(f"{arguments.results} is of another seed or size: give another --results.")
    if not study["stationarity"]:
        last = len(MOMENTS) - 1
        study["stationarity"] = [{"time": MOMENTS[i], "auc": judge.between(i, last)} for i in range(last)]
        began = time.process_time()
        judge.refine(judge.fields[:512, -1], 2.0)
        study["solver_seconds"] = (time.process_time() - began) / 512 / 2.0
        print(study["stationarity"], study["solver_seconds"], flush=True)
        write_json(arguments.results, study)
    for name in arguments.arms:
        if name in study["arms"]:
            continue
        study["arms"][name] = {"title": ARMS[name].title, **ARMS[name].measure(judge, arguments)}
        print(name, [(p["time"], round(p["auc"], 3)) for p in study["arms"][name]["points"]], flush=True)
        write_json(arguments.results, study)


def stationarity_table(study: Mapping[str, Any]) -> list[str]:
    """AUC between fields of a moment and those of the last one."""
    times, areas = (
        [f"{one[what]:{form}}" for one in study["stationarity"]] for what, form in (("time", "g"), ("auc", ".2f"))
    )
    return [
        f"| solver time since the initial field | {' | '.join(times)} |",
        "|---" * (1 + len(times)) + "|",
        f"| AUC against {MOMENTS[-1]:g} | {' | '.join(areas)} |",
    ]


def area_table(study: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """AUC of some arms at every total solver time."""
    arms = [study["arms"][name] for name in names if name in study["arms"]]
    times = sorted({point["time"] for arm in arms for point in arm["points"]})
    lines = [f"| fields | {' | '.join(f'{time:g}' for time in times)} |", "|---" * (1 + len(times)) + "|"]
    for arm in arms:
        found = {point["time"]: f"{point['auc']:.2f}" for point in arm["points"]}
        lines.append(f"| {arm['title']} | {' | '.join(found.get(time, '') for time in times)} |")
    return lines


def cost_table(study: Mapping[str, Any]) -> list[str]:
    """What a trained or a spun-up field costs at every total solver time, beside its AUC; the training apart."""
    lines = ["| fields | training | total solver time | one field | AUC |", "|---" * 5 + "|"]
    for name, arm in study["arms"].items():
        if not (isinstance(ARMS[name], Training) or name == "rest"):
            continue
        training = duration(arm["training_seconds"]) if "training_seconds" in arm else "none"
        for point in arm["points"]:
            one = arm.get("drawing_seconds", 0.0) + point["time"] * study["solver_seconds"]
            lines.append(f"| {arm['title']} | {training} | {point['time']:g} | {duration(one)} | {point['auc']:.2f} |")
    return lines


def made_by(study: Mapping[str, Any]) -> list[str]:
    """How the figures were made."""
    held = study["trajectories"] - study["trained"]
    return [
        f"Made by `python benchmarks/plane_waves.py` ({study['machine']['platform']}, one core shared with other jobs, "
        f"jax {study['versions']['jax']}): {study['trained']} trajectories of training with {KEPT} fields each, "
        f"{held} held out, one seed. The 95% interval of an AUC is about 0.03 wide on each side."
    ]


BLOCKS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "stationarity": stationarity_table,
    "cuts": lambda study: area_table(study, list(CUTS)),
    "areas": lambda study: area_table(study, [name for name in ARMS if name not in CUTS]),
    "costs": cost_table,
    "made": made_by,
}


def filled(page: str, study: Mapping[str, Any]) -> str:
    """The page with its marked parts made anew."""
    return MARKS.sub(lambda block: block[1] + "\n".join(["", *BLOCKS[block[2]](study), "", block[4]]), page)


def main() -> None:
    """Measure what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("runs/plane_waves"), help="keeps fields and trainings")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--trajectories", type=int, default=1536)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file is for trials: no page is written")
    parser.add_argument("--draw", action="store_true", help="only write the tables from the result file")
    parser.add_argument("--check", action="store_true", help="fail where the page says something else than the file")
    arguments = parser.parse_args()
    try:
        if not (arguments.draw or arguments.check):
            measure(arguments)
        study = json.loads(arguments.results.read_text())
        if arguments.check:
            if filled(PAGE.read_text(), study) != PAGE.read_text():
                raise UserError(f"{PAGE.name} differs from {arguments.results.name}: write it again with --draw.")
        elif arguments.results == RESULTS:
            write_text(PAGE, filled(PAGE.read_text(), study))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
