"""Filters and smoothers of DAPPER for the study of data assimilation; ``data_assimilation.py`` calls this script.

DAPPER (https://github.com/nansencenter/DAPPER) is the referee: its own implementations, on its own model of Lorenz-96
with 40 variables and steps of 0.05. It is not a dependency of this project. An environment of its own serves, and this
script imports nothing of the project:

    python -m venv dapper-venv && dapper-venv/bin/pip install dapper==1.7.1
    python benchmarks/data_assimilation.py --dapper dapper-venv/bin/python

The first argument is a file of arrays and settings, the second the file to write. The file that is read holds, as
``plan``, the case and the methods in JSON, and ``truth/SEED`` (steps + 1, 40) and ``observed/SEED`` (cycles, m). The
file that is written holds ``mean/METHOD/SEED`` (cycles, 40), ``members/METHOD/SEED`` (cycles, members, 40) and, as
``seconds`` in JSON, the seconds of a cycle. A method that fails leaves no arrays, and ``failed`` says why.
"""

import json
import sys
import time
from typing import Any

import numpy as np

GAUSSIAN_MEMBERS = 40
"""Members that are drawn from the mean and variances of a method that has no ensemble."""
STEP = 0.05


def hidden_markov_model(plan: dict, cycles: int) -> Any:
    """Return DAPPER's Lorenz-96 with what is observed in a case."""
    import dapper.mods as modelling
    from dapper.mods.Lorenz96 import dstep_dx, step
    from dapper.tools.localization import nd_Id_localization

    sites = np.array(plan["sites"])
    size, steps = 40, round(plan["gap"] / STEP)
    rows = np.zeros((len(sites), size))
    rows[np.arange(len(sites)), sites] = 1.0
    if plan["observed"] == "magnitude":
        observe = {"model": lambda x: np.abs(x[..., sites]), "linear": lambda x: np.sign(x[sites])[:, None] * rows}
    else:
        observe = {"model": lambda x: x[..., sites], "linear": lambda x: rows}
    times = modelling.Chronology(STEP, dko=steps, Ko=cycles - 1, BurnIn=0)
    model = {"M": size, "model": step, "linear": dstep_dx, "noise": 0}
    start = modelling.GaussRV(mu=np.array(plan["climate_mean"]), C=np.array(plan["climate_covariance"]))
    localizer = nd_Id_localization((size,), (2,), sites)
    observation = {"M": len(sites), **observe, "noise": plan["noise"] ** 2, "localizer": localizer}
    found = modelling.HiddenMarkovModel(model, observation, times, start)
    operator = found.Obs(0)
    plain = operator.model

    def forgiving(x: Any) -> Any:
        # Var4D of DAPPER 1.7.1 calls the operator with the number of the cycle, as if it depended on time.
        return operator if np.ndim(x) == 0 else plain(x)

    operator.model = forgiving
    return found


def recorded(stats_class: Any, cycles: int, rng: np.random.Generator) -> tuple[dict, Any]:
    """Let DAPPER's statistics keep mean and members of every analysis; return them and the way back."""
    kept: dict[str, list] = {"mean": [None] * cycles, "members": [None] * cycles}
    assess = stats_class.assess

    # Nothing else of DAPPER's statistics is used, and some of them fail where not every site is observed.
    def keep(self: Any, k: int, ko: Any = None, faus: Any = None, E: Any = None, w: Any = None, **given: Any) -> None:
        if ko is not None and "a" in (faus or "au"):
            mean, members = given.get("mu"), E
            if members is None:
                variance = given.get("Cov")
                variance = getattr(variance, "full", variance)
                spread = np.sqrt(np.maximum(np.diag(np.atleast_2d(variance) * np.eye(len(mean))), 0.0))
                members = mean + spread * rng.standard_normal((GAUSSIAN_MEMBERS, len(mean)))
            else:
                mean = members.mean(axis=0)
            if not np.isfinite(members).all():
                raise FloatingPointError("the ensemble is not finite")
            kept["mean"][ko], kept["members"][ko] = np.array(mean), np.array(members)

    stats_class.assess = keep

    def back() -> None:
        stats_class.assess = assess

    return kept, back


def main() -> None:
    """Run every method on every truth."""
    import dapper as dpr
    import dapper.da_methods as da
    import dapper.tools.progressbar
    from dapper.stats import Stats

    dapper.tools.progressbar.disable_progbar = True
    given = np.load(sys.argv[1], allow_pickle=False)
    plan = json.loads(str(given["plan"]))
    found: dict[str, np.ndarray] = {}
    seconds: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for name, (kind, settings) in plan["methods"].items():
        for seed in plan["seeds"]:
            truth, observed = given[f"truth/{seed}"], given[f"observed/{seed}"]
            model = hidden_markov_model(plan, len(observed))
            dpr.set_seed(1000 + int(seed))
            kept, back = recorded(Stats, len(observed), np.random.default_rng(int(seed)))
            start = time.perf_counter()
            try:
                getattr(da, kind)(**settings).assimilate(model, truth, observed, liveplots=False, fail_gently=False)
                if any(one is None for one in kept["mean"]):
                    raise RuntimeError("an analysis is missing")
            except Exception as error:
                failed[f"{name}/{seed}"] = f"{type(error).__name__}: {error}"[:200]
                continue
            finally:
                back()
            seconds.setdefault(name, []).append((time.perf_counter() - start) / len(observed))
            found[f"mean/{name}/{seed}"] = np.array(kept["mean"], np.float32)
            found[f"members/{name}/{seed}"] = np.array(kept["members"], np.float32)
    np.savez(sys.argv[2], seconds=json.dumps(seconds), failed=json.dumps(failed), **found)


if __name__ == "__main__":
    main()
