"""How often the intervals and bands of the comparisons hold what they should, by simulation.

*Distribution.* Gaussian fields with a spectral bump on 16 periodic points, and a quadratic transform of them, whose
values are skewed. Samples are of the distribution itself, or of 1.03 or 1.1 times its amplitude. Every pool of
reference fields is drawn afresh, so that what the finite pool does is counted.

- interval of a distance: holds the expected distance of fresh samples from the same references;
- null95: holds the distance of fresh fields of the distribution;
- band of a curve, diversity, memorization, bands of the literature's measures: hold the value of fresh fields of the
  distribution;
- interval of the AUC (DeLong): holds the area of the same classifier on infinitely many fields;
- forecasts: the interval of a score or distance holds its mean over fresh cases, the band of a score the value of a
  fresh ensemble of the exact posterior for the same cases.

All are meant to hold 95 times in 100.

    taskset -c 0 python benchmarks/coverage.py [--pools 60] [--sets 6]

Prints one table and writes benchmarks/results/coverage.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from experiments import environment

environment.prepare()

import jax
import numpy as np
from scipy import stats

from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.distances.distribution import SETS
from experiments.evaluation.distances.literature import literature
from experiments.evaluation.entries import Interval
from experiments.evaluation.posterior_reference import PosteriorReference, PosteriorSizes
from experiments.evaluation.scores import diversity, memorization
from experiments.evaluation.two_sample.classifiers import ClassifierScores, auc_interval
from experiments.files import write_json
from gan.augmentation import ArraySymmetries

RESULTS = Path(__file__).resolve().parent / "results" / "coverage.json"
POINTS, SET, REFERENCES = 16, 256, 3
DISTRIBUTIONS, AMPLITUDES = ("gaussian", "skewed"), (1.0, 1.03, 1.1)
TARGET_SETS = 150
"""Sets whose mean distance stands for the expected one."""

Row = tuple[str, str, str]
Held = Iterator[tuple[Row, bool]]


def fields(rng: np.random.Generator, count: int, distribution: str = "gaussian", amplitude: float = 1.0) -> np.ndarray:
    """Draw fields (count, points, 1) of variance 1 before the transform."""
    k = np.fft.rfftfreq(POINTS, 1 / POINTS)
    envelope = np.exp(-0.5 * ((k - 2.5) / 2) ** 2) * (k > 0)
    envelope /= np.sqrt((2 * envelope**2).sum() / POINTS)
    u = np.fft.irfft(np.fft.rfft(rng.standard_normal((count, POINTS))) * envelope, n=POINTS)
    if distribution == "skewed":
        u = u + 0.3 * (u**2 - 1)
    return (amplitude * u).astype(np.float32)[..., None]


def holds(interval: Interval, value: float) -> bool:
    """Return whether an interval holds a value."""
    return bool(interval[0] <= value <= interval[1])


def distances(pools: int, sets: int) -> Held:
    """Intervals of distances, null95, and bands of curves."""
    for distribution in DISTRIBUTIONS:
        for pool in range(pools):
            rng = np.random.default_rng((1, pool))
            reference_set = ReferenceSet(
                fields(rng, (REFERENCES + 1) * SET, distribution), n=SET, draws=400, separations=(1,), directions=16
            )
            frame = reference_set.frame
            curves = {
                "spectrum": lambda rows: frame.part(rows, "energy")[:, 0, 1:6],  # noqa: B023
                "amplitude": lambda rows: np.sqrt(frame.part(rows, "covariance_0")[:, 0, :1]),  # noqa: B023
            }
            bands = {name: reference_set.band(curve)[1:] for name, curve in curves.items()}
            for amplitude in AMPLITUDES:
                drawn = [frame(fields(rng, SET, distribution, amplitude)) for _ in range(TARGET_SETS)]
                values = [reference_set.distances(one) for one in drawn]
                for _ in range(sets):
                    for name, distance in reference_set.compare(
                        fields(rng, SETS * SET, distribution, amplitude)
                    ).items():
                        assert distance.interval is not None
                        expected = float(np.mean([v[name] for v in values]))
                        case = f"{distribution}, amplitude {amplitude:g}"
                        yield ("interval of a distance", case, name), holds(distance.interval, expected)
                if amplitude == 1.0:
                    for value in values[:sets]:
                        for name in reference_set.names:
                            yield (
                                ("null95 of a distance", distribution, name),
                                value[name] <= reference_set.null95[name],
                            )
                    for one in drawn[:sets]:
                        for name, curve in curves.items():
                            low, high = bands[name]
                            point = curve(one.rows.mean(axis=0)[None])[0]
                            for i in range(len(point)):
                                yield ("band of a curve", distribution, name), holds((low[i], high[i]), point[i])


def scores(repeats: int) -> Held:
    """Bands of diversity and memorization."""
    for repeat in range(repeats):
        rng = np.random.default_rng((2, repeat))
        kind = {"scale": np.ones(1), "symmetries": ArraySymmetries((0,)), "seed": repeat}
        samples, solver, training = fields(rng, 64), fields(rng, 128), fields(rng, 256)
        yield ("band of a score", "gaussian", "diversity"), diversity(samples, solver, draws=100, **kind).inside
        yield ("band of a score", "gaussian", "memorization"), memorization(samples, solver, training, **kind).inside


def published(repeats: int) -> Held:
    """Bands of the measures of the literature."""
    for repeat in range(repeats):
        rng = np.random.default_rng((3, repeat))
        samples, pool = fields(rng, 64), fields(rng, 256)
        frame = ReferenceSet(pool, n=64, draws=180, directions=2, separations=(1,)).frame
        rows = [np.abs(np.fft.rfft(x[..., 0]))[:, 1:6] for x in (samples, pool)]
        found = literature(samples, pool, (rows[0], rows[1]), frame=frame, draws=100, seed=repeat)
        for name, score in found.items():
            yield ("band of the literature's measures", "gaussian", name), score.inside


def areas(repeats: int) -> Held:
    """DeLong's interval for normal scores a distance d apart, whose area is Phi(d / sqrt 2)."""
    for shift in (0.0, 0.5, 2.0):
        area = float(stats.norm.cdf(shift / np.sqrt(2)))
        for repeat in range(repeats):
            rng = np.random.default_rng((4, repeat))
            rated = ClassifierScores(rng.standard_normal(256) + shift, rng.standard_normal(256))
            yield ("interval of the AUC", f"area {area:.2f}", "auc"), holds(auc_interval(rated), area)


def forecasts(repeats: int, cases: int = 24, members: int = 20) -> Held:
    """Intervals over cases and bands over members of forecast ensembles about a known mean."""
    for spread in (1.0, 1.1):
        case = f"posterior's spread times {spread:g}"
        found: dict[Row, list[tuple[Interval, float]]] = defaultdict(list)
        for repeat in range(repeats):
            rng = np.random.default_rng((5, repeat))
            # Cases that differ little: the unit of the scores, the reference's standard deviation, hardly varies then.
            means = 0.3 * fields(rng, cases)

            def ensembles(count: int, scale: float = 1.0, means=means, rng=rng) -> np.ndarray:
                noise = fields(rng, cases * count).reshape(cases, count, 1, POINTS, 1)
                return (means[:, None, None] + scale * noise).astype(np.float32)

            reference_set = PosteriorReference(
                ensembles(4 * members),
                ensembles(1)[:, 0],
                members=members,
                extent=(1.0,),
                sizes=PosteriorSizes(draws=60, resamples=100, level=0.05, seed=repeat),
            )
            measured, rated, _ = reference_set.compare(ensembles(members, spread))
            for name, one in measured.entries.items():
                if one.interval is not None:
                    found["interval of a forecast's distance", case, name].append((one.interval, one.value))
            for name, score in rated.entries.items():
                if score.interval is not None:
                    found["interval of a forecast's score", case, name].append((score.interval, score.value))
                if spread == 1.0:
                    yield ("band of a forecast's score", "exact posterior", name), score.inside
        for row, pairs in found.items():
            expected = float(np.mean([value for _, value in pairs]))
            yield from ((row, holds(interval, expected)) for interval, _ in pairs)


def main() -> None:
    """Simulate everything, print one table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", type=int, default=60, help="pools of reference fields for the distances")
    parser.add_argument("--sets", type=int, default=6, help="sets of samples for each pool")
    parser.add_argument("--repeats", type=int, default=300, help="of everything else")
    arguments = parser.parse_args()
    began = time.monotonic()
    counts: dict[Row, list[bool]] = defaultdict(list)
    for study in (
        distances(arguments.pools, arguments.sets),
        scores(arguments.repeats),
        published(arguments.repeats // 2),
        areas(5 * arguments.repeats),
        forecasts(arguments.repeats),
    ):
        for row, held in study:
            counts[row].append(held)
    rows = []
    print(f"{'what':34} {'case':28} {'name':26} {'held':>6}  95% interval   of")
    for (what, case, name), held in counts.items():
        test = stats.binomtest(sum(held), len(held)).proportion_ci(method="wilson")
        share = float(np.mean(held))
        entry = {"what": what, "case": case, "name": name, "repeats": len(held), "coverage": share}
        rows.append({**entry, "interval": [float(test.low), float(test.high)]})
        print(f"{what:34} {case:28} {name:26} {share:6.3f}  {test.low:.3f}-{test.high:.3f}  {len(held):5d}")
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s")
    about = {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "platform": f"{platform.system()} {platform.machine()}",
            "load": os.getloadavg()[0],
        },
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "jax": jax.__version__},
        "settings": {"n": SET, "references": REFERENCES, "points": POINTS, **vars(arguments)},
        "seconds": seconds,
    }
    write_json(RESULTS, {**about, "rows": rows})


if __name__ == "__main__":
    main()
