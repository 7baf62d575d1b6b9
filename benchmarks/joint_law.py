"""Which generators come near the joint law of a chaotic field? Kuramoto-Sivashinsky, L = 22, equal seconds of training.

Arms: flow matching of whole fields with a convolutional network, as `gan.baselines` has it; flow matching, the fair
energy score and an adversarial game in the amplitudes of the few longest waves, which leave the short ones to the
solver; rejection by a classifier behind the flow; and, as a scale, Gaussian fields that the solver spins up, and solver
fields that are cut or disturbed. The solver advances all samples to the same total solver times, and the judge of
``where_the_solver_belongs.py`` holds them against solver fields of a seed that no training has used. The convolutional
games stand beside them as that study found them.

    python benchmarks/joint_law.py                                 # every arm, one seed
    python benchmarks/joint_law.py --arms waves_flow_8 --seeds 11 12 13
    python benchmarks/joint_law.py --draw                          # tables and picture again

Trainings of the arms in this file last ``--seconds`` of processor time each; what they fitted is kept in ``--models``
and shared by the arms that draw from it in different ways. Writes benchmarks/results/joint_law.json after every arm (a
stopped study goes on where it was), the marked parts of docs/joint_law.md and docs/images/joint_law.png.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from experiments import environment

environment.prepare()

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from jaxtyping import Array, Complex, PyTree

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from publish import PUBLISHED, SOLVER_STUDY, solver_study_title
from wave_generators import (
    BATCH,
    Waves,
    direct_samples,
    flow_samples,
    moved,
    trained_flow,
    trained_game,
    trained_score,
)
from where_the_solver_belongs import EXPERIMENT, Judge, judge_of

from experiments import catalog
from experiments.errors import UserError
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.two_sample.classifiers import boosted_rating
from experiments.files import write_json, write_text
from experiments.wording import duration

ROOT = Path(__file__).resolve().parents[1]
RESULTS = PUBLISHED / "joint_law.json"
PAGE = ROOT / "docs" / "joint_law.md"
PICTURE = ROOT / "docs" / "images" / "joint_law.png"
MARKS = re.compile(r"(<!-- joint law: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
TIMES = (0.0, 1.0, 2.0, 4.0, 8.0)
LONG = (0.0, 8.0, 32.0, 64.0, 128.0)
"""Total solver times of a spin-up, which needs far more of it."""
PRESET = "convolutional"
"""Whose data, network and game stand beside the generators of few waves."""
WAVES = 6
"""Longest waves that the generators of this file draw; the solver fills in the others within one unit of time."""
ACCEPTED = 0.3
"""Share of proposals that the rejection keeps."""
NETWORK_UPDATES = 6000
"""Of the convolutional network by flow matching: as many as its game makes."""


class Drawn(NamedTuple):
    """Fields in physical units, and which of them are valid; as `gan.Trained.draw` returns them."""

    fields: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Source:
    """A generator that the judge can draw from.

    Attributes:
        make: (key, n) -> fields, physical units.
        training_seconds: of processor time, or None where nothing was trained.
    """

    make: Callable[[Array, int], np.ndarray]
    training_seconds: float | None = None

    def draw(self, key: Array, n: int) -> Drawn:
        """Draw n fields."""
        fields = np.asarray(self.make(key, n))
        return Drawn(fields, np.isfinite(fields).all(axis=tuple(range(1, fields.ndim))))


@dataclass
class Workshop:
    """What the arms are made from.

    Attributes:
        judge: holds the training fields, the equation and the solver.
        seconds: processor time of a training.
        models: folder of what was fitted.
    """

    judge: Judge
    seconds: float
    models: Path

    def __post_init__(self) -> None:
        shape = self.judge.task.system(self.judge.config).field_shape
        self.training = np.asarray(self.judge.dataset.train).reshape(-1, *shape)
        self.waves = Waves.of(self.training, WAVES)
        self.data = jnp.asarray(self.waves.amplitudes(self.training))

    def fitted(self, name: str, fit: Callable[..., PyTree], seed: int, longer: float = 1.0) -> tuple[PyTree, float]:
        """What a training of this name and seed fitted, ``longer`` times the usual, and the time that it took."""
        path = self.models / f"{name}-{seed}.pickle"
        if not path.exists():
            print(f"{name}, seed {seed}: training", flush=True)
            began = time.process_time()
            found = fit(self.waves, self.batch, longer * self.seconds, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps((found, time.process_time() - began)))
        return pickle.loads(path.read_bytes())

    def batch(self, key: Array) -> Complex[Array, "b k"]:
        """Amplitudes of training fields, each moved by a random symmetry."""
        chosen, move = jax.random.split(key)
        return moved(self.data[jax.random.randint(chosen, (BATCH,), 0, len(self.data))], move)

    def drawer(self, make: Callable[[Array, int], Array]) -> Callable[[Array, int], np.ndarray]:
        """Turn a maker of amplitudes into one of fields; chunks of one size, so that one program is compiled."""
        program, chunk = jax.jit(make, static_argnums=1), 1024

        def fields(key: Array, n: int) -> np.ndarray:
            keys = jax.random.split(key, -(-n // chunk))
            return self.waves.fields(np.concatenate([np.asarray(program(one, chunk)) for one in keys])[:n])

        return fields


def waves_flow(shop: Workshop, seed: int, evaluations: int, longer: float = 1.0) -> Source:
    """Flow matching in the amplitudes, drawn with a number of evaluations of its network."""
    name = "waves_flow" if longer == 1 else f"waves_flow_{longer:g}_times"
    params, spent = shop.fitted(name, trained_flow, seed, longer)
    return Source(shop.drawer(flow_samples(shop.waves, params, evaluations // 2)), spent)


def waves_direct(shop: Workshop, seed: int, name: str, fit: Callable[..., PyTree]) -> Source:
    """A dense generator of the amplitudes with one evaluation for a sample."""
    params, spent = shop.fitted(name, fit, seed)
    return Source(shop.drawer(direct_samples(shop.waves, params)), spent)


def network_flow(shop: Workshop, seed: int, evaluations: int) -> Source:
    """Flow matching of whole fields with the convolutional network, as `gan.baselines` fits it."""
    from gan.baselines.fitting import Fit
    from gan.baselines.flow_matching import flow_matching
    from gan.config import Recipe

    def fit() -> Any:
        config = shop.judge.config
        config = replace(config, training=replace(config.training, seed=seed, steps=NETWORK_UPDATES))
        problem = shop.judge.task.problem(config, shop.judge.dataset)

        def say(done: int, total: int, what: str) -> None:
            if done % 500 == 0:
                print(f"  {what}: {done} of {total}", flush=True)

        return flow_matching(Fit(problem, Recipe.of(config), say))

    began = time.process_time()
    baselines = fit()  # compiled programs, which are not stored
    return Source(baselines[f"flow_matching_{evaluations}"].sample, time.process_time() - began)


def convolutional_network(shop: Workshop) -> Callable[[], np.ndarray]:
    """Draw from the convolutional generator as it starts, without a solver layer: what its samples cost."""
    from gan.baselines.fitting import Fit
    from gan.config import Recipe

    config = shop.judge.config
    fit = Fit(shop.judge.task.problem(config, shop.judge.dataset), Recipe.of(config))
    networks, params, state = fit.network({}, 0)
    program, chunk = jax.jit(lambda latents: networks.generate(params, state, latents, {})), 512

    def make() -> np.ndarray:
        keys = jax.random.split(jax.random.key(4), 8)
        return np.concatenate([program(jax.random.normal(key, (chunk, *networks.latent))) for key in keys])

    return make


def accepted(shop: Workshop, seed: int, proposals: Callable[[Workshop, int], Source], start: float) -> Source:
    """Keep the share `ACCEPTED` of samples advanced by ``start``, by a classifier's odds that they are solver fields.

    Gradient boosting on the physical features learns to tell training fields from as many proposals. A proposal is kept
    with probability min(1, c p / (1 - p)), where p is its rating as a solver field and c sets the share.
    """
    source, features = proposals(shop, seed), shop.judge.battery.features

    def proposed(key: Array, n: int) -> np.ndarray:
        fields = source.draw(key, n)
        return shop.judge.refine(fields.fields[fields.valid], start)

    def fit() -> tuple[Any, float]:
        count = len(shop.training)
        rate = boosted_rating(
            (features(shop.training), features(proposed(jax.random.key(seed + 77), count))), seed=seed
        )
        odds = np.exp(rate(features(proposed(jax.random.key(seed + 78), count // 2))))
        scales = np.geomspace(1e-3, 10, 400)
        return rate, float(scales[np.argmin([abs(np.minimum(1, c * odds).mean() - ACCEPTED) for c in scales])])

    began = time.process_time()
    rate, scale = fit()
    spent = (source.training_seconds or 0.0) + time.process_time() - began

    def make(key: Array, n: int) -> np.ndarray:
        rng, kept = np.random.default_rng(np.asarray(jax.random.key_data(key))), []
        while sum(map(len, kept)) < n:
            key, own = jax.random.split(key)
            fields = proposed(own, 4096)
            kept.append(fields[rng.random(len(fields)) < scale * np.exp(rate(features(fields)))])
        return np.concatenate(kept)[:n]

    return Source(make, spent)


def gaussian(shop: Workshop, seed: int) -> Source:
    """Gaussian fields with the spectrum of the training fields: what a spin-up starts from. Nothing is trained."""

    def make(key: Array, n: int) -> np.ndarray:
        return gaussian_fields(shop.training[:16384], n, seed=seed + 1000)

    return Source(make)


def solver_fields(shop: Workshop, seed: int, waves: int, noise: float) -> Source:
    """Test fields of the training's own data set, cut to their longest waves, and disturbed by white noise there.

    No generator: it says which errors the solver repairs, and how fast. ``noise`` is in units of each wave's spread.
    """
    fields = np.asarray(shop.judge.dataset.test).reshape(-1, *shop.training.shape[1:])
    fields, rng = fields[:: shop.judge.dataset.test.shape[1]], np.random.default_rng((seed, 5))
    basis = Waves.of(shop.training, waves)

    def make(key: Array, n: int) -> np.ndarray:
        # One field of each trajectory first, so that they are independent.
        a = basis.amplitudes(np.concatenate([fields, np.asarray(shop.judge.dataset.test[:, 2])])[:n])
        parts = rng.standard_normal((2, *a.shape), dtype=np.float32)
        return basis.fields(a + noise * (parts[0] + 1j * parts[1]))

    return Source(make)


@dataclass(frozen=True)
class Arm:
    """One way to make samples.

    Attributes:
        title: in the tables.
        source: (workshop, seed) -> what draws them.
        start: solver time that a drawn sample contains.
        times: total solver times at which it is judged.
        evaluations: of a network, for one sample.
        trained: False for what is no generator but a scale.
    """

    title: str
    source: Callable[[Workshop, int], Source]
    start: float = 0.0
    times: tuple[float, ...] = TIMES
    evaluations: int = 0
    trained: bool = True


ARMS = {
    "network_flow_20": Arm(
        "convolutional flow matching, 20 evaluations", partial(network_flow, evaluations=20), evaluations=20
    ),
    "waves_score": Arm(
        "six waves, fair energy score", partial(waves_direct, name="waves_score", fit=trained_score), evaluations=1
    ),
    "waves_game": Arm(
        "six waves, game",
        partial(waves_direct, name="waves_game", fit=partial(trained_game, weight=0.1)),
        evaluations=1,
    ),
    "waves_game_weak": Arm(
        "six waves, game with a fifth of the penalty",
        partial(waves_direct, name="waves_game_weak", fit=partial(trained_game, weight=0.02)),
        evaluations=1,
    ),
    "waves_flow_20": Arm("six waves, flow matching", partial(waves_flow, evaluations=20), evaluations=20),
    "waves_flow_8": Arm("six waves, flow matching", partial(waves_flow, evaluations=8), evaluations=8),
    "waves_flow_20_longer": Arm(
        "six waves, flow matching, trained twice as long",
        partial(waves_flow, evaluations=20, longer=2.0),
        evaluations=20,
    ),
    "waves_flow_8_accepted": Arm(
        "six waves, flow matching, rejection after 1",
        partial(accepted, proposals=partial(waves_flow, evaluations=8), start=1.0),
        1.0,
        evaluations=8,
    ),
    "gaussian": Arm("Gaussian fields, spun up", gaussian, times=LONG, trained=False),
    **{
        f"cut_{waves}": Arm(
            f"solver fields, {waves} longest waves", partial(solver_fields, waves=waves, noise=0.0), trained=False
        )
        for waves in (4, 5, 6)
    },
    **{
        f"noise_{percent}": Arm(
            f"solver fields, {WAVES} longest waves, noise of {percent} %",
            partial(solver_fields, waves=WAVES, noise=percent / 100),
            trained=False,
        )
        for percent in (2, 5, 10)
    },
}


def seconds_per_sample(make: Callable[[], np.ndarray], repeats: int = 3) -> float:
    """Processor time of one sample: the median of some calls, after one that compiles."""
    make()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        count = len(make())
        spent.append((time.process_time() - began) / count)
    return statistics.median(spent)


def measure(arguments: argparse.Namespace) -> None:
    """Judge every arm and seed that is not in the result file yet, and save after each."""
    experiment = catalog.load(EXPERIMENT)
    base, task = experiment.presets[PRESET], experiment.learnt()
    if arguments.sealed == base.data.seed:
        raise UserError(f"--sealed {arguments.sealed} is the seed of the training data: give another one.")
    about = {
        "sealed": arguments.sealed,
        "seconds": arguments.seconds,
        "tested": arguments.tested,
        "references": arguments.references,
        "relabellings": arguments.relabellings,
        "level": base.compare.level,
    }
    study = json.loads(arguments.results.read_text()) if arguments.results.exists() else {"runs": []}
    if study["runs"] and any(study.get(name) != value for name, value in about.items()):
        raise UserError(f"{arguments.results} holds arms measured in another way: move it away and start again.")
    study |= {
        **about,
        "machine": {"cores": len(os.sched_getaffinity(0)), "platform": f"{platform.system()} {platform.machine()}"},
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }
    done = {(run["arm"], run["seed"]) for run in study["runs"]}
    wanted = [(arm, seed) for seed in arguments.seeds for arm in arguments.arms if (arm, seed) not in done]
    if not wanted:
        return
    judge = judge_of(task, base, arguments)
    shop = Workshop(judge, arguments.seconds, arguments.models)
    some = judge.stored[:4096]
    solver = seconds_per_sample(lambda: judge.refine(some, 1.0))
    study["convolutional_drawing_seconds"] = seconds_per_sample(convolutional_network(shop))
    for name, seed in wanted:
        arm = ARMS[name]
        source = arm.source(shop, seed)
        points = []
        for point in judge.points(source, arm.start, arm.times):
            points.append(point)
            low, high = point["interval"]
            print(
                f"{name}, seed {seed}, total solver time {point['time']:g}: AUC {point['auc']:.4f} "
                f"[{low:.4f}, {high:.4f}], joint p = {point['p_value']:.2g}",
                flush=True,
            )
        drawing = seconds_per_sample(lambda source=source: source.draw(jax.random.key(3), 4096).fields)
        study["runs"].append(
            {
                "arm": name,
                "seed": seed,
                "training_seconds": source.training_seconds,
                "drawing_seconds": drawing,
                "solver_seconds": solver,
                "invalid": points[0]["invalid"],
                "points": [{k: v for k, v in one.items() if k != "invalid"} for one in points],
            }
        )
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.results, study)


def by_arm(study: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Runs of every arm that has any, in the order of `ARMS`, by seed."""
    found = {name: [run for run in study["runs"] if run["arm"] == name] for name in ARMS}
    return {name: sorted(some, key=lambda run: run["seed"]) for name, some in found.items() if some}


def games_of_fields() -> dict[str, list[Mapping[str, Any]]]:
    """Convolutional games in the study of where the solver belongs, by title: plain, and through the solver for 1."""
    runs = json.loads((PUBLISHED / SOLVER_STUDY).read_text())["runs"]
    return {
        f"convolutional game, {solver_study_title(tau)}": [run for run in runs if run["tau"] == tau]
        for tau in (0.0, 1.0)
    }


def titled(name: str) -> str:
    """Title of an arm, with its evaluations where several arms share a title."""
    arm = ARMS[name]
    several = sum(other.title == arm.title for other in ARMS.values()) > 1
    return f"{arm.title}, {arm.evaluations} evaluations" if several else arm.title


def at(runs: list[Mapping[str, Any]], time: float, what: str) -> list[float]:
    """A figure of every seed at a total solver time; empty where it was not judged then."""
    return [point[what] for run in runs for point in run["points"] if point["time"] == time]


def shown(values: list[float]) -> str:
    """Every seed's value; of many the median, the smallest and the largest."""
    if len(values) < 4:
        return ", ".join(f"{value:.3f}" for value in values)
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def area_table(study: Mapping[str, Any], trained: bool) -> list[str]:
    """AUC of every arm and seed at every total solver time, and p-values of the joint test at 8."""
    arms = {titled(name): some for name, some in by_arm(study).items() if ARMS[name].trained == trained}
    times = sorted({point["time"] for some in arms.values() for run in some for point in run["points"]})
    # The other study went on to longer times.
    arms = (games_of_fields() if trained else {}) | arms
    lines = [f"| arm | seeds | {' | '.join(f'{time:g}' for time in times)} | joint test at 8, p |"]
    lines += ["|---" * (3 + len(times)) + "|"]
    for title, some in arms.items():
        cells = [shown(at(some, t, "auc")) for t in times]
        p_values = ", ".join(f"{value:.2g}" for value in at(some, 8.0, "p_value"))
        lines.append(f"| {title} | {len(some)} | {' | '.join(cells)} | {p_values} |")
    return lines


def cost_table(study: Mapping[str, Any]) -> list[str]:
    """What a training and a sample cost, beside the AUC at a total solver time of 8, and of a spin-up at all times."""
    solver = statistics.median(run["solver_seconds"] for run in study["runs"])
    lines = [
        "| arm | training | one sample, drawn | total solver time | one sample, drawn and advanced | AUC |",
        "|---" * 6 + "|",
    ]

    def row(title: str, some: list[Mapping[str, Any]], drawing: float, start: float, total: float) -> str:
        spent = [run["training_seconds"] for run in some if run["training_seconds"] is not None]
        training = duration(statistics.median(spent)) if spent else "none"
        whole = duration(drawing + solver * (total - start))
        value = statistics.median(at(some, total, "auc"))
        return f"| {title} | {training} | {duration(drawing)} | {total:g} | {whole} | {value:.3f} |"

    if drawing := study.get("convolutional_drawing_seconds"):
        lines += [row(title, some, drawing, 0.0, 8.0) for title, some in games_of_fields().items()]
    for name, some in by_arm(study).items():
        drawing = statistics.median(run["drawing_seconds"] for run in some)
        if ARMS[name].trained:
            lines.append(row(titled(name), some, drawing, ARMS[name].start, 8.0))
        elif name == "gaussian":
            lines += [row(titled(name), some, drawing, 0.0, total) for total in LONG if total > 0]
    return lines


def made(study: Mapping[str, Any]) -> list[str]:
    """How the figures were made."""
    return [
        f"Made by `python benchmarks/joint_law.py` ({study['machine']['platform']}, one core, jax "
        f"{study['versions']['jax']}): solver fields of seed {study['sealed']} ({study['references']} independent "
        f"trajectories), {study['tested']} samples and as many more to train the classifier, {study['relabellings']} "
        f"relabellings, {duration(study['seconds'])} of processor time for each training of this study."
    ]


BLOCKS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "areas": partial(area_table, trained=True),
    "scales": partial(area_table, trained=False),
    "costs": cost_table,
    "made": made,
}


def filled(page: str, study: Mapping[str, Any]) -> str:
    """The page with its marked parts made anew.

    Raises:
        UserError: a part has a name that nothing makes.
    """

    def fill(block: re.Match[str]) -> str:
        if block[2] not in BLOCKS:
            raise UserError(f"no part of the page is called {block[2]!r}.")
        return block[1] + "\n".join(["", *BLOCKS[block[2]](study), "", block[4]])

    return MARKS.sub(fill, page)


def draw(study: Mapping[str, Any], target: Path) -> None:
    """Draw AUC against total solver time and against the cost of a sample; every seed is a point."""
    figure, both = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained", sharey=True)
    solver = statistics.median(run["solver_seconds"] for run in study["runs"])
    curves = [
        (title, some, 0.0, study.get("convolutional_drawing_seconds"), {"color": color, "ls": ":"})
        for (title, some), color in zip(games_of_fields().items(), ("0.55", "0.2"))
    ]
    for number, (name, some) in enumerate(by_arm(study).items()):
        if ARMS[name].trained or name == "gaussian":
            style = {"color": f"C{number}", "ls": "-" if ARMS[name].trained else "--"}
            drawing = statistics.median(run["drawing_seconds"] for run in some)
            curves.append((titled(name), some, ARMS[name].start, drawing, style))
    for title, some, start, drawing, style in curves:
        times = sorted({point["time"] for run in some for point in run["points"] if point["time"] > 0})
        for axes in both if drawing is not None else both[:1]:
            places = times if axes is both[0] else [1e3 * (drawing + solver * (t - start)) for t in times]
            axes.plot(places, [statistics.median(at(some, t, "auc")) for t in times], **style, label=title)
            for t, place in zip(times, places):
                each = at(some, t, "auc")
                axes.plot([place] * len(each), each, "o", color=style["color"], ms=4, alpha=0.7)
    for axes in both:
        axes.axhline(0.5, color="0.4", lw=0.9)
        axes.set_xscale("log")
        axes.set_ylim(0.48, 0.85)
        axes.grid(axis="y", alpha=0.3)
    both[0].set_xlabel("total solver time of a sample")
    both[0].set_ylabel("AUC of the classifier (0.5: by chance)")
    both[1].set_xlabel("processor time of a sample, ms")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=140)
    plt.close(figure)


def main() -> None:
    """Measure what is missing, then write the tables and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sealed", type=int, default=4711, help="seed of the solver fields that samples are held to")
    parser.add_argument("--models", type=Path, default=Path("runs/joint_law"), help="keeps what was fitted")
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--tested", type=int, default=4096, help="samples tested, and as many to train the classifier")
    parser.add_argument("--references", type=int, default=8192, help="solver fields, one per trajectory")
    parser.add_argument("--relabellings", type=int, default=1000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file is for trials: no page is written")
    parser.add_argument("--draw", action="store_true", help="only write tables and picture from the result file")
    parser.add_argument("--check", action="store_true", help="fail where the page says something else than the file")
    arguments = parser.parse_args()
    try:
        if not (arguments.draw or arguments.check):
            measure(arguments)
        if not arguments.results.exists():
            raise UserError(f"{arguments.results} does not exist yet: there is nothing to draw.")
        study = json.loads(arguments.results.read_text())
        if arguments.check:
            if filled(PAGE.read_text(), study) != PAGE.read_text():
                raise UserError(f"{PAGE.name} differs from {arguments.results.name}: write it again with --draw.")
        elif arguments.results == RESULTS:
            write_text(PAGE, filled(PAGE.read_text(), study))
            draw(study, PICTURE)
        else:
            print("\n".join(line for make in BLOCKS.values() for line in [*make(study), ""]))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
