"""A run folder with all that a report shows, made of numbers instead of a training, and a toy experiment."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from experiments import catalog, files, runs
from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SystemConfig
from experiments.evaluation import entries, results, results_file
from experiments.options import to_mapping
from gan.config import TrainingConfig
from gan.settings import setting


@dataclasses.dataclass(frozen=True)
class ToySystem(SystemConfig):
    """Values of the toy system."""

    viscosity: tuple[float, float] = setting((0.01, 0.1), "range of the viscosity", "length^2/time", above=0)


TOY = ExperimentConfig(
    data=DataConfig(points=(32,), extent=(22.0,)),
    system=ToySystem(),
    training=TrainingConfig(steps=100, batch=8, log_every=10, checkpoint_every=50),
    compare=CompareConfig(fields=64),
)


@pytest.fixture
def toy(monkeypatch):
    """Register the experiment ``toy``, with the presets smoke and demo, for one test."""
    smoke = dataclasses.replace(TOY, training=dataclasses.replace(TOY.training, steps=10, checkpoint_every=10))
    presets = {"smoke": smoke, "demo": TOY}
    experiment = SimpleNamespace(
        name="toy", task=SimpleNamespace(), study=None, presets=presets, learnt=SimpleNamespace
    )
    summary = catalog.Summary("a toy, 1D, periodic", "snapshot", "numbers instead of a training", "nothing")
    monkeypatch.setitem(catalog._SUMMARIES, "toy", summary)
    monkeypatch.setitem(sys.modules, "experiments.catalog.toy", SimpleNamespace(EXPERIMENT=experiment))
    return experiment


def write_config(path, **changes):
    """Write ``config.yaml`` as ``runs.create`` does, without asking jax for its devices."""
    path.mkdir(parents=True, exist_ok=True)
    record = {
        "format": runs.FORMAT_VERSION,
        "experiment": "toy",
        "preset": "demo",
        "created": "2026-01-01T12:00:00+00:00",
        "command": "python -m experiments run toy",
        "versions": {"python": "3.11.7", "jax": "0.10.2"},
        "devices": {"platform": "cpu", "kind": "cpu", "count": 2},
        "git": None,
        "config": to_mapping(TOY),
        **changes,
    }
    (path / "config.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
    return path


@pytest.fixture
def run_path(tmp_path, toy):
    """A run folder with its configuration only."""
    return write_config(tmp_path / "runs" / "toy" / "20260101-120000")


@pytest.fixture
def finished_run(run_path):
    """A run folder as a finished run leaves it."""
    fill(run_path)
    return run_path


@pytest.fixture(scope="session")
def record(tmp_path_factory):
    """The lines that a training with every term, helper and diagnosis really writes: two updates of tiny players."""
    import jax
    import jax.numpy as jnp

    from gan import Problem, train
    from gan.config import GameConfig, NetworkConfig, OptimizerConfig, Recipe, SolverLayerConfig
    from gan.penalties import Penalty

    rng = np.random.default_rng(0)
    fields, force = rng.standard_normal((40, 8, 1)), rng.uniform(1, 2, (40, 1))
    recipe = Recipe(
        NetworkConfig(kind="mlp", width=4, blocks=1, latent=0),
        GameConfig(
            objective="relativistic_minimax",
            gradient_penalty=1.0,
            augment_target=0.5,
            transport=0.5,
            ensemble_weight=0.1,
        ),
        OptimizerConfig(scheme="competitive", inner_iterations=1),
        SolverLayerConfig(tau=1.0),
        TrainingConfig(steps=2, batch=4, devices=1, log_every=1, checkpoint_every=1, diagnose_every=1),
    )
    problem = Problem(
        train=fields[:30].astype(np.float32),
        validation=fields[30:].astype(np.float32),
        condition={"force": force[:30].astype(np.float32)},
        validation_condition={"force": force[30:].astype(np.float32)},
        solver_layer=lambda samples, condition, tau: (samples * jnp.exp(-0.1 * tau), jnp.ones(samples.shape[0], bool)),
        penalties={"power": Penalty(lambda samples, condition: jnp.mean(samples**2), 0.01)},
        measure=lambda samples: {"modes_found": 3.0},
    )
    folder = tmp_path_factory.mktemp("record")
    with jax.enable_x64(False):
        train(problem, recipe, folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def forecast_arrays():
    """Arrays of a forecast, as the comparison writes them."""
    x = np.linspace(0, 22, 64, endpoint=False)
    return {"coordinates/0": x, **forecast_figures(np.random.default_rng(1), x)}


def wave(rng, times, x, modes=6, amplitude=1.3):
    """Smooth travelling waves in place of chaos, shape (time, x, 1)."""
    field = np.zeros((len(times), len(x)))
    for mode in range(1, modes + 1):
        phase, speed, size = (
            rng.uniform(0, 2 * np.pi),
            rng.normal(0, 0.25),
            rng.normal(0, 1 / (1 + (mode - 3) ** 2)),
        )
        field += size * np.cos(2 * np.pi * mode * x / 22.0 + phase + speed * mode * times[:, None])
    return (amplitude * field / field.std())[..., None].astype(np.float32)


DISTANCES = {
    "spectrum": 1.9, "marginals": 0.9, "increments": 1.1, "extreme_quantiles": 1.3, "sliced_wasserstein": 1.2
}  # fmt: skip
"""Distances of the run made here with their ratios; the first is outside."""


def distances(**changes):
    """The section of distances of a plausible run."""
    measured = {
        name: entries.Distance(
            f"what {name} measures", "", 0.01 * ratio, 0.01, 0.0155, (0.008 * ratio, 0.012 * ratio), 2048, 0.2,
            ratio < 1.5,
        )
        for name, ratio in DISTANCES.items()
    }  # fmt: skip
    section = results.Distances(
        "two sets of 2048 fields", "solver sets against solver sets", "the solver", 600, 0.05, measured
    )
    return dataclasses.replace(section, **changes)


def refinement():
    """A refinement with four starts, of which the system's own initial condition never gets there."""
    grid, rng = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], np.random.default_rng(2)
    starts = {
        "generator": ("generator", 2.5, 2.0, 8.0),
        "gaussian": ("Gaussian field, same spectrum", 20.0, 12.0, 32.0),
        "initial": ("system's own initial condition", 60.0, 25.0, None),
        "bank": ("stored training fields, moved by a symmetry", 6.0, 6.0, 16.0),
    }
    curves = {}
    for name, (label, size, rate, enters) in starts.items():
        times = tuple(t for t in grid if name != "generator" or t >= 2.0)
        excess = [size * float(np.exp(-(t - times[0]) / rate)) for t in times]
        auc = tuple(0.5 + 0.5 * (1 - float(np.exp(-0.35 * e))) for e in excess)
        distinguished = [enters is None or t < enters for t in times]
        p_value = tuple(5e-4 if one else float(p) for one, p in zip(distinguished, rng.uniform(0.1, 1, len(times))))
        ratios = {
            key: tuple((0.9 + e) * (1 + 0.1 * float(rng.normal())) for e in excess) for key in ("spectrum", "marginals")
        }
        interval = tuple((one - 0.02, min(1.0, one + 0.02)) for one in auc)
        curves[name] = entries.Curve(label, times, ratios, auc, interval, p_value, p_value, enters)
    return results.Refinement(0.05, curves, {"spectrum": 1.55, "marginals": 1.5}, (0.485, 0.515))


def cost(**changes):
    """A cost whose cheapest setting pays off late, and one setting of which failed."""
    rows = []
    for points in (32, 64):
        for dt in (0.1, 0.2, 0.5):
            seconds = 1e-4 * points / 32 / dt
            timing = entries.Timing(seconds, 0.9 * seconds, 1.1 * seconds, 5)
            merits = {"AUC": 0.5 + 0.6 * dt, "median ratio": 1 + 4 * dt}
            rows.append(entries.SolverRow({"points": points, "dt": dt}, timing, dt < 0.15, merits))
    rows.append(entries.SolverRow({"points": 16, "dt": 2.0}, None, False, {}, "the solver's fields are not finite"))
    reference = entries.SolverRow({}, entries.Timing(4.2e-3, 4.1e-3, 4.5e-3, 5), True, {})
    own, layer = entries.Timing(2.1e-4, 2.0e-4, 2.4e-4, 5), entries.Timing(6e-5, 6e-5, 6e-5, 1)
    section = results.Cost(
        "as good: its classifier's area is no larger.", own, layer, reference, tuple(rows), 41.0, 318.0
    )
    return dataclasses.replace(section, **changes)


def tests(**changes):
    """A joint test that distinguishes the samples, over members of three units."""
    area = "area under the ROC curve"
    section = results.Tests(
        "held-out solver fields",
        2e-4,
        0.05,
        4999,
        2048,
        2048,
        "classifier_on_physical_features",
        {
            "classifier_on_physical_features": entries.Test("c1", area, 0.76, (0.75, 0.77), (0.488, 0.512), 2e-4, 0.52),
            "classifier_on_fields": entries.Test("c2", area, 0.506, (0.49, 0.52), (0.487, 0.513), 0.34, 0.525),
            "nearest_neighbours": entries.Test("c3", "share of neighbours", 0.51, None, (0.485, 0.515), 0.2),
            "features": entries.Test("c4", "standard errors", 31.0, None, (2.0, 4.0), 0.0002, 5.4),
            "duplicates": entries.Test("c5", "pairs", 0.0, None, (0.0, 0.0), 1.0),
        },
        (entries.Bound("energy of wave 3", 0.012, 0.031), entries.Bound("variance of u", -0.004, 0.008)),
    )
    return dataclasses.replace(section, **changes)


def sections():
    """One section of every kind, in the order of `results_file.KINDS`."""
    scores = results.Scores(
        "other solver fields",
        {
            "diversity": entries.Score("distance to the nearest neighbour", "", 0.98, 1.0, (0.97, 1.03)),
            "memorization": entries.Score("share nearer to the training fields", "", 0.31, None, (0.46, 0.54)),
        },
    )
    crps = entries.Score("ranked probability score", "std", 0.321, 0.21987, (0.2, 0.24))
    far = entries.Distance("energy distance", "", 2.0, 0.5, 0.6, (1.75, 2.25), 32, 0.001, False)
    region = results.Region(
        distances(entries={"energy_divergence": far}), results.Scores("the solver's ensembles", {"crps": crps})
    )
    timing = entries.Timing(2.1e-4, 2.0e-4, 2.4e-4, 5)
    baselines = results.Baselines(
        "The same figures of what the generator did not make.",
        entries.BaselineRow("one pass", {"AUC": 0.76, "spectrum": 1.9}, 1, timing, 318.0),
        {
            "training_fields": entries.BaselineRow("drawn from the training fields", {"spectrum": 1.0}),
            "flow_matching": entries.BaselineRow("an ODE", {}, 50, None, 300.0, "the loss was not finite"),
        },
    )
    orbits = results.Orbits(
        "wasserstein",
        0.1,
        400,
        (
            entries.Orbit("alternating", "sgd", 0.0, "circles", 1.0, 1.0, (1.0, 0.1), 1.005),
            entries.Orbit("extragradient", "adam", 1.0, "converges", 0.01, 0.99),
            entries.Orbit("competitive", "adam", 0.0, refused="needs plain steps"),
        ),
    )
    counts = tuple(2**k for k in range(4, 13))
    worth = results.Worth(
        "energy distance", "", counts, tuple(0.4 / n**0.5 for n in counts), 0.02, 100_000, 2048, 400.0
    )
    return (
        tests(),
        distances(),
        scores,
        refinement(),
        cost(),
        worth,
        results.Planning(
            0.05, 0.8, 100, 50, {"mean of u": entries.StudyPlan("m/s", 1.0, 0.1, (-0.1, 0.3), 11.0, 0.49, 0.49, 0.4)}
        ),
        baselines,
        results.Regions("viscosity 0.1 to 0.5", {"viscosity 0.8": region}),
        results.ImportanceWeights(512, (0.31, 0.22, 0.4), 0.002),
        results.AgainstTruth(
            "No reference is taken.",
            8,
            64,
            {"crps": ("continuous ranked probability score", "standard deviations")},
            entries.TruthRow("the generator", {"crps": 0.4}, {"crps": (0.35, 0.45)}),
            {
                "smoother": entries.TruthRow("a sampler", {"crps": 0.6}, {"crps": (0.5, 0.7)}, (0.1, 0.3)),
                "broken": entries.TruthRow("a sampler", {}, {}, failed="it makes samples that are not finite"),
            },
        ),
        orbits,
        recoveries(),
        results.FieldPictures(),
        results.Statistics(),
        results.Forecasts(),
        results.ModeShares("25 Gaussians", 25, 10_000),
    )


def recoveries():
    """One parameter by the game, by its rival, and by the prior alone."""

    def row(rmse, width=0.5):
        found = entries.Recovery(0.02, 0.01, rmse, 0.88, (0.76, 0.95), width)
        return entries.EstimatorRow("somehow", {"log theta": found}, 3.2, 0.0)

    rows = {"game": row(0.12), "likelihood": row(0.1), "prior": row(0.6, 1.3)}
    return results.Recoveries("unlinked", 50, 256, 0.9, {"log theta": (0.7, 2.1)}, rows)


def compared(*changed, **changes):
    """A comparison with one section of every kind; ``changed`` sections take the place of those of their kind."""
    own = {type(one): one for one in changed}
    comparison = results.Comparison(
        "A toy, generator against solver",
        "The samples are distinguished from the solver.",
        2048,
        tuple(own.get(type(one), one) for one in sections()),
        4000,
        7,
        True,
        ("u",),
        {"u": "m/s", "x": "m", "time": "s"},
    )
    return dataclasses.replace(comparison, **changes)


@pytest.fixture
def plausible():
    """What makes plausible results: sections one by one, all of them, and a comparison of all of them."""
    return SimpleNamespace(
        tests=tests,
        distances=distances,
        refinement=refinement,
        cost=cost,
        sections=sections,
        recoveries=recoveries,
        compared=compared,
    )


def fill(path):
    """Write metrics, comparison and figures of a plausible run into ``path``."""
    rng = np.random.default_rng(0)
    x, times = np.linspace(0, 22, 64, endpoint=False), np.linspace(0, 100, 200)
    k = np.arange(1, 32) * 2 * np.pi / 22
    energy = np.exp(-((k - 0.8) ** 2) / 0.3) + 30 * np.exp(-4.5 * k)
    low, high = energy * 0.93, energy * 1.07
    figures = {
        "coordinates/0": x,
        "samples/solver": np.stack([wave(rng, np.zeros(1), x)[0] for _ in range(8)]),
        "samples/generator": np.stack([wave(rng, np.zeros(1), x)[0] for _ in range(8)]),
        "evolution/times": times,
        "evolution/solver": wave(rng, times, x),
        "evolution/generator": wave(rng, times, x),
        "spectrum/wavenumber": k,
        "spectrum/solver": energy,
        "spectrum/generator": energy * np.exp(0.06 * rng.normal(size=k.size) * k),
        "spectrum/low": low,
        "spectrum/high": high,
        "spectrum/resolved": np.array([0.25, 5.0]),
        "correlation/distance": x[:32],
        "correlation/solver": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6),
        "correlation/generator": np.cos(0.81 * x[:32]) * np.exp(-x[:32] / 6.1),
        "correlation/low": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6) - 0.02,
        "correlation/high": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6) + 0.02,
    }
    centers = np.linspace(-4, 4, 60)
    for name in ("histogram/u", "increments/1/u", "increments/4/u", "increments/16/u"):
        density = np.exp(-(centers**2) / 2) / np.sqrt(2 * np.pi)
        figures |= {
            f"{name}/centers": centers,
            f"{name}/solver": density,
            f"{name}/generator": density * np.exp(0.05 * rng.normal(size=60)),
            f"{name}/low": density * 0.93,
            f"{name}/high": density * 1.07,
        }
    figures |= forecast_figures(rng, x)
    points = rng.standard_normal((500, 2))
    figures |= {
        "modes/points_exact": points,
        "modes/points_generator": 1.1 * points,
        "modes/weights": np.full(25, 0.04),
        "modes/shares": rng.dirichlet(np.full(25, 50.0)),
        "modes/spread": np.full(25, 0.004),
        "recovery/truth": rng.uniform(0.7, 2.1, (50, 1)),
        **{f"recovery/game/{part}": rng.uniform(0.7, 2.1, (50, 1)) for part in ("value", "low", "high")},
        "dirac/alternating/sgd/plain": np.stack([np.cos(np.arange(400) / 10), np.sin(np.arange(400) / 10)], axis=1),
    }
    files.write_arrays(path / "figures.npz", figures)
    results_file.write(compared(), path / "comparison.json")
    rows = []
    for step in range(0, 4001, 50):
        decay = float(np.exp(-step / 900))
        rows.append(
            {
                "step": step,
                "seconds": step * 0.08,
                "discriminator_loss": 0.69 - 0.1 * decay + 0.01 * rng.normal(),
                "generator_loss": 0.75 + 0.4 * decay + 0.02 * rng.normal(),
                "gradient_generator": 0.2 + decay,
                "gradient_discriminator": 0.5 + 0.8 * decay,
                "tau": min(2.0, 0.5 + step / 300),
                "invalid": 0.0,
                "validation": 0.02 + 0.4 * decay,
                "modes_found": 20.0 + step / 800,
                "discriminator_r1": 0.03 + 0.01 * decay,
                "discriminator_r2": 0.04 + 0.01 * decay,
            }
        )
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files.write_json(path / "data.json", {"key": "0123456789abcdef", "certificate": {"defect": 2e-7}})


def forecast_figures(rng, x):
    """Arrays of a forecast: four cases, five times."""
    times = np.linspace(0, 1, 5)
    truth = np.stack([wave(rng, times, x) for _ in range(4)])
    figures = {
        "forecast/times": times,
        "forecast/coordinates": x,
        "forecast/truth": truth,
        "forecast/points": x[[5, 20, 40, 55]],
        "forecast/observations": truth[:, 0, [5, 20, 40, 55], 0],
        "forecast/case_labels": np.array(
            ["viscosity 0.02", "viscosity 0.05", "viscosity 0.1", "viscosity 0.2, outside"]
        ),
        "rank/generator": np.array([30, 22, 18, 15, 14, 15, 19, 21, 33]),
        "rank/reference": np.array([20, 21, 20, 22, 19, 20, 21, 20, 19]),
    }
    for who, bias in (("generator", 0.15), ("reference", 0.05)):
        figures[f"forecast/{who}_mean"] = truth + bias * rng.normal(size=(4, 5, 1, 1))
        figures[f"forecast/{who}_std"] = np.broadcast_to(0.25 + 0.1 * np.sin(x)[:, None], truth.shape)
    return figures


@pytest.fixture
def quick(monkeypatch):
    """Leave the drawing out where a test is about words."""
    from experiments import plots

    monkeypatch.setattr(plots.Picture, "data_uri", lambda self: "data:,")


@pytest.fixture
def words_alone(monkeypatch):
    """Make no figures at all where a test is about the words of a page that other tests build with its figures."""
    from experiments import plots

    made = ("correlation", "evolution", "forecasts", "forest", "histograms", "layers", "modes_course")
    made += (
        "portraits",
        "rank_histogram",
        "recoveries",
        "refined_distances",
        "refined_tests",
        "samples",
        "search",
        "shares",
    )
    for name in (*made, "spectrum", "tests", "training", "worth"):
        monkeypatch.setattr(plots, name, lambda *args, **kwargs: [])
