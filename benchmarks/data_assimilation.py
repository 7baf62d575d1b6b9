"""Data assimilation on Lorenz-96: DAPPER's filters and smoothers beside a generator whose proposals are finished.

All sites observed every 0.05 and 0.2 units of time are DAPPER's own cases, with published errors. The others observe
every fourth site, x or |x|, every 0.05, 0.2 and 0.4. Truths, observations and model are the same for all. Scores are
taken at the analyses after 6 units of time, against the truth alone.

    python benchmarks/data_assimilation.py                                    # without rivals; it says so
    python benchmarks/data_assimilation.py --dapper dapper-venv/bin/python    # see dapper_filters.py
    python benchmarks/data_assimilation.py --cases 0.2-4-magnitude --seeds 1 2 3 --draw

A case is named by gap, one observed site of so many, and what is observed. Rivals are tuned for every case by the CRPS
on a truth of its own. Trained generators are kept in ``--models``. Writes benchmarks/results/data_assimilation.json
after every row (a stopped study goes on where it was) and, with ``--draw``, the tables of docs/data_assimilation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments import environment

environment.prepare()

import jax
import jax.numpy as jnp
import numpy as np
import ring_generator
from data_assimilation_tables import PAGE, filled
from jaxtyping import Float
from window_cycles import SIZE, Climate, Finishing, Window, assimilate, attractor, trajectory

from experiments.evaluation.ensemble_statistics import calibration, calibration_parts
from experiments.evaluation.scores import crps, energy_score
from experiments.files import write_json

RESULTS = Path(__file__).parent / "results" / "data_assimilation.json"
MODELS = Path(__file__).parents[1] / "runs" / "data_assimilation"
SETTLED = 6.0
"""Time before analyses are scored."""
TUNING_SEED, TUNED_CYCLES = 1001, 50
PROPOSALS = 6
"""Fresh starts at every cycle."""


@dataclass(frozen=True)
class Case:
    """A window, and how many analyses are scored."""

    window: Window
    scored: int

    @property
    def settled(self) -> int:
        """Cycles before the first that is scored."""
        return round(SETTLED / self.window.gap)

    @property
    def name(self) -> str:
        """Gap, one site of so many, and what is observed."""
        return f"{self.window.gap:g}-{self.window.every}-{self.window.observed}"


CASES = {
    case.name: case
    for case in (
        Case(Window(0.05, 40, 1, "value"), 160),
        Case(Window(0.2, 10, 1, "value"), 100),
        *(
            Case(Window(gap, count, 4, observed), scored)
            for observed in ("value", "magnitude")
            for gap, count, scored in ((0.05, 40, 160), (0.2, 10, 100), (0.4, 6, 75))
        ),
    )
}
ARMS = {
    "generator": "samples of the generator for the window, advanced to its end",
    "generator, finished": "modes searched from the generator's samples alone; every cycle by itself",
    "generator, finished, carried": "modes searched from the generator's samples and the last cycle's modes",
    "generator, finished, carried, tangent": "the same modes; draws carried by the tangent of the model",
    "prior, finished, carried": "modes searched from draws of the prior and the last cycle's modes; nothing is trained",
    "prior, finished, carried, tangent": "the same modes; draws carried by the tangent of the model",
}


@lru_cache(maxsize=1)
def climate() -> Climate:
    """Return the climatology of the model."""
    path = jax.jit(lambda x: trajectory(x, 100)[::20])(attractor())
    return Climate.of(np.asarray(path).reshape(-1, SIZE))


def truth(case: Case, seed: int, scored: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a trajectory (steps + 1, 40) on the attractor and its observations (cycles, m)."""
    window, cycles = case.window, case.settled + scored
    start = attractor(64, seed=10_000 + seed)[0]
    path = np.asarray(jax.jit(lambda x: trajectory(x, cycles * window.steps))(start))
    seen = np.asarray(window.seen(jnp.asarray(path[window.steps - 1 :: window.steps])))
    noise = np.random.default_rng((seed, 5)).standard_normal(seen.shape)
    return np.concatenate([start[None], path]), (seen + window.noise * noise).astype(np.float32)


def scores(
    members: Float[np.ndarray, "cycles members 40"],
    true: Float[np.ndarray, "cycles 40"],
    mean: Float[np.ndarray, "cycles 40"] | None = None,
) -> dict[str, float]:
    """Score analyses of one truth: fair CRPS, fair energy score over the root of the sites, error of the mean.

    The error is the root mean square over the sites, a mean over the cycles, as DAPPER and the literature have it.
    """
    x, y = np.moveaxis(np.asarray(members, np.float32), 1, 0), np.asarray(true, np.float32)
    center = x.mean(axis=0) if mean is None else mean
    parts = jax.device_get(calibration_parts(x, y, jax.random.split(jax.random.key(0), len(y))))
    return {
        "rmse": float(np.sqrt(((center - y) ** 2).mean(axis=1)).mean()),
        "crps": float(crps(x, y).mean()),
        "energy_score": float(energy_score(x, y).mean()) / SIZE**0.5,
        **calibration(parts),
    }


def true_states(case: Case, path: np.ndarray, scored: int) -> np.ndarray:
    """Return the truth at the analyses that are scored."""
    return path[:: case.window.steps][1:][-scored:]


def proposals(
    case: Case, observed: np.ndarray, source: str, models: Path, count: int
) -> tuple[Float[np.ndarray, "windows seeds count 40"], float]:
    """Return unknowns at the beginning of every window, and the seconds for one of them."""
    window = case.window
    seeds, cycles, m = observed.shape
    windows = cycles - window.count + 1
    if source == "prior":
        drawn = np.random.default_rng(3).standard_normal((windows, seeds, count, SIZE))
        return drawn.astype(np.float32), 0.0
    draw = ring_generator.sampler(window, climate(), ring_generator.load(models / f"{case.name}.npz", window))
    given = np.stack([observed[:, first : first + window.count] for first in range(windows)])
    given = np.repeat(given.reshape(windows * seeds, window.count, m), count, axis=0)
    chunks = np.array_split(np.arange(len(given)), max(1, len(given) // 512))
    states, begin = [], time.perf_counter()
    for index, rows in enumerate(chunks):
        states.append(np.asarray(draw(given[rows], jax.random.fold_in(jax.random.key(9), index))))
    seconds = (time.perf_counter() - begin) / len(given)
    return climate().unknowns(np.concatenate(states)).reshape(windows, seeds, count, SIZE), seconds


def measured_arm(case: Case, arm: str, truths: Mapping[int, tuple[np.ndarray, np.ndarray]], models: Path) -> dict:
    """Run one arm on every truth; truths are carried along together."""
    observed = np.stack([seen for _, seen in truths.values()])
    source = "prior" if arm.startswith("prior") else "generator"
    finishing = Finishing(carried=8 if "carried" in arm else 0, tangent="tangent" in arm)
    alone = "finished" not in arm
    made, each = proposals(case, observed, source, models, finishing.members if alone else PROPOSALS)
    begin, problem, used = time.perf_counter(), case.window.problem(climate()), None
    if alone:
        advance = jax.jit(jax.vmap(jax.vmap(jax.vmap(lambda one: problem.simulate(one)[-1]))))
        members = np.moveaxis(np.asarray(advance(made)), 0, 1)
    else:
        members, used = assimilate(
            case.window, climate(), observed, lambda first: made[first], jax.random.key(2), finishing
        )
    seconds = (time.perf_counter() - begin) / (made.shape[0] * made.shape[1]) + each * made.shape[2]
    rows = {
        str(seed): scores(drawn[-case.scored :], true_states(case, path, case.scored))
        for (seed, (path, _)), drawn in zip(truths.items(), members)
    }
    found: dict[str, Any] = {"seconds": seconds, "seeds": rows}
    if used is not None:
        found["modes"] = float(np.median(used[:, -case.scored :]))
    return found


def with_dapper(python: str, case: Case, methods: Mapping[str, Any], truths: Mapping[int, Any], scored: int) -> dict:
    """Run methods of DAPPER in its own environment; return the row of every method that did not fail everywhere."""
    window = case.window
    plan = {
        "gap": window.gap,
        "sites": window.sites.tolist(),
        "observed": window.observed,
        "noise": window.noise,
        "climate_mean": np.full(SIZE, climate().mean).tolist(),
        "climate_covariance": climate().covariance.tolist(),
        "methods": dict(methods),
        "seeds": list(truths),
    }
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        arrays = {f"truth/{seed}": path for seed, (path, _) in truths.items()}
        arrays |= {f"observed/{seed}": seen for seed, (_, seen) in truths.items()}
        np.savez(given, plan=json.dumps(plan), **arrays)
        script = Path(__file__).with_name("dapper_filters.py")
        command = [python, str(script), str(given), str(made)]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
        if ended.returncode:
            raise SystemExit(f"DAPPER's script failed:\n{ended.stderr[-2000:]}")
        with np.load(made, allow_pickle=False) as stored:
            seconds, failed = json.loads(str(stored["seconds"])), json.loads(str(stored["failed"]))
            rows: dict[str, dict] = {}
            for name, (kind, settings) in methods.items():
                by_seed = {
                    str(seed): scores(
                        stored[f"members/{name}/{seed}"][-scored:],
                        true_states(case, path, scored),
                        stored[f"mean/{name}/{seed}"][-scored:],
                    )
                    for seed, (path, _) in truths.items()
                    if f"{name}/{seed}" not in failed
                }
                why = {key.rpartition("/")[2]: text for key, text in failed.items() if key.startswith(f"{name}/")}
                rows[name] = {"method": kind, "settings": settings, "seeds": by_seed, "failed": why}
                if by_seed:
                    rows[name]["seconds"] = float(np.median(seconds[name]))
    return rows


def tried(case: Case) -> dict[str, list[tuple[str, dict]]]:
    """Return, for every rival, DAPPER's method with the settings among which it is tuned."""
    window = case.window
    lags = {0.05: (1, 8), 0.2: (1, 4), 0.4: (1, 3)}[window.gap]
    iterated = {"upd_a": "Sqrt", "N": 40, "rot": True, "nIter": 6, "wtol": 1e-3}
    found = {
        "climatology": [("Climatology", {})],
        "optimal interpolation": [("OptInterp", {})],
        "LETKF": [
            ("LETKF", {"N": 40, "rot": True, "infl": infl, "loc_rad": radius})
            for infl in (1.0, 1.02, 1.04, 1.1, 1.2)
            for radius in (2.5, 4.0, 6.0)
        ],
        "iEnKS": [("iEnKS", {**iterated, "Lag": lag, **one}) for lag in lags for one in ({"xN": 2.0}, {"infl": 1.15})],
    }
    for count in (4, 8):
        found[f"ensemble smoother, {count} iterations"] = [
            ("iEnKS", {"upd_a": "PertObs", "MDA": True, "nIter": count, "Lag": 1, "N": 40, "infl": infl})
            for infl in (1.05, 1.25)
        ]
    if window.every == 1:
        found["4D-Var"] = [
            ("Var4D", {"Lag": lag, "xB": scale, "nIter": 3}) for lag, scale in ((lags[0], 0.2), (lags[1], 0.02))
        ]
        found["EnKF-N"] = [("EnKF_N", {"N": 24, "rot": True, "xN": one}) for one in (1.0, 2.0)]
    return found


def tuned(python: str, case: Case, name: str, settings: list[tuple[str, dict]]) -> tuple[str, dict]:
    """Return the setting with the lowest CRPS on a truth that is not scored."""
    if len(settings) == 1:
        return settings[0]
    one = {TUNING_SEED: truth(case, TUNING_SEED, TUNED_CYCLES)}
    rows = with_dapper(python, case, {f"{name} {i}": each for i, each in enumerate(settings)}, one, TUNED_CYCLES)

    def value(index: int) -> float:
        found = rows[f"{name} {index}"]["seeds"].get(str(TUNING_SEED), {}).get("crps", np.inf)
        return float(found) if np.isfinite(found) else np.inf

    return settings[min(range(len(settings)), key=value)]


def held_study() -> dict[str, Any]:
    """Return what was measured already."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    return found


def measure(arguments: argparse.Namespace) -> None:
    """Measure what the result file does not hold yet."""
    about: dict[str, Any] = {"settled": SETTLED, "finishing": asdict(Finishing()), "proposals": PROPOSALS, "arms": ARMS}
    about["machine"] = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}

    def keep(case: Case, name: str, row: dict) -> None:
        # Read again: rivals and arms may be measured by two processes.
        study = held_study() | about
        study["cases"].setdefault(case.name, {"case": asdict(case), "rows": {}})["rows"][name] = row
        RESULTS.parent.mkdir(exist_ok=True)
        write_json(RESULTS, study)
        scored = {key: [one[key] for one in row["seeds"].values()] for key in ("rmse", "crps", "coverage_90")}
        words = ", ".join(f"{key} {np.mean(values):.3f}" for key, values in scored.items() if values)
        words = words or str(row["failed"])
        print(f"{case.name:16s} {name:32s} {words}, {row.get('seconds', 0):.4f} s", flush=True)

    for case in (CASES[name] for name in arguments.cases):
        truths = {seed: truth(case, seed, case.scored) for seed in arguments.seeds}
        held = held_study()["cases"].get(case.name, {"rows": {}})["rows"]

        def missing(name: str, held: Mapping[str, Any] = held) -> bool:
            return not {str(seed) for seed in arguments.seeds} <= {*held.get(name, {}).get("seeds", ())} | {
                *held.get(name, {}).get("failed", ())
            }

        if not arguments.dapper:
            print(f"{case.name}: without --dapper there are no rivals; dapper_filters.py says how to install DAPPER.")
        elif arguments.rivals:
            for name, settings in tried(case).items():
                if missing(name):
                    best = tuned(arguments.dapper, case, name, settings)
                    row = with_dapper(arguments.dapper, case, {name: best}, truths, case.scored)[name]
                    keep(case, name, row | {"tried": len(settings)})
        for arm in arguments.arms:
            # Where every site is observed, starts from the prior suffice.
            if missing(arm) and (case.window.every > 1 or not arm.startswith("generator")):
                spent = trained(case, arguments.models, arguments.seconds) if "generator" in arm else {}
                keep(case, arm, measured_arm(case, arm, truths, arguments.models) | spent)


def trained(case: Case, models: Path, seconds: float) -> dict:
    """Train the case's generator unless it is there; return what was spent."""
    models.mkdir(parents=True, exist_ok=True)
    target, note = models / f"{case.name}.npz", models / f"{case.name}.json"
    if not target.exists():
        parameters, spent = ring_generator.train(case.window, climate(), seconds)
        ring_generator.save(target, parameters)
        note.write_text(json.dumps(spent))
    return {"training": json.loads(note.read_text())}


def main() -> None:
    """Measure, and fill the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of truths and observations")
    parser.add_argument("--seconds", type=float, default=170.0, help="of training for every generator")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of trained generators")
    parser.add_argument("--dapper", help="interpreter of an environment with DAPPER")
    parser.add_argument("--rivals", action=argparse.BooleanOptionalAction, default=True, help="run DAPPER's methods")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS), help="methods of here")
    parser.add_argument("--draw", action="store_true", help="fill the page from the result file and do nothing else")
    parser.add_argument("--check", action="store_true", help="fail unless the page holds what the result file says")
    arguments = parser.parse_args()
    if arguments.draw or arguments.check:
        page = PAGE.read_text()
        wanted = filled(page, json.loads(RESULTS.read_text()))
        if arguments.check and page != wanted:
            raise SystemExit(f"{PAGE.name} does not hold what {RESULTS.name} says: run with --draw.")
        PAGE.write_text(wanted)
        return
    measure(arguments)


if __name__ == "__main__":
    main()
