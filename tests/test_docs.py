"""Code that the pages show is run as it stands there, and the figures that they state are those of the result files."""

import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from experiments.evaluation import entries, posterior_advice, results, results_file
from experiments.scaling import records
from experiments.scaling.records import Phase, Point, Study
from experiments.wording import approximate

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def block(page: str, heading: str) -> str:
    """The first Python block below a heading of a page."""
    text = (DOCS / page).read_text().partition(f"## {heading}\n")[2]
    return re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)


@pytest.mark.float64
def test_the_system_that_the_page_adds_carries_the_exact_solitary_wave():
    names = {"__name__": "own_system"}
    exec(compile(block("physics.md", "Add your own system in 30 lines"), "docs/physics.md", "exec"), names)
    assert float(names["error"]) < 1e-6
    assert float(jnp.max(jnp.abs(names["mismatch"]))) < 1e-12
    still = jnp.max(jnp.abs(names["fields"][-1] - names["wave"](names["system"].grid, 0.0)))
    assert float(still) > 0.2


def test_the_page_of_scaling_states_the_overheads_of_their_file(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import overheads

    page = overheads.PAGE.read_text()
    assert overheads.with_figures(page, overheads.known()) == page
    row = {"median": 1.011, "least": 1.0, "most": 1.02}
    found = {
        "step": {"toy-demo": {"over": {"pmap": row}}},
        "processes": {"toy-demo": row},
        "data": {**row, "cores": {"1": 1.25, "2": 2.0}},
        "samples": {"count": 1000, "share": 0.853, "grown": 2e6},
        "machines": {"step": {"cores": 2, "load": 0.5, "jax": "0"}},
    }
    made = overheads.with_figures(page, found)
    assert "over bare `jit` | toy-demo | 1.011 (1.000 to 1.020) | at most 2% |" in made
    assert "| 1.011 (1.000 to 1.020); one keeps 1.25 cores busy, two 2.00 |" in made
    assert "1,000 samples to disk, share of time in the generator" in made and "| 85%; the process grew by 2 MB" in made


def test_the_page_of_physics_terms_states_the_figures_of_its_study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import physics_terms

    page = physics_terms.PAGE.read_text()
    assert physics_terms.with_figures(page, physics_terms.known()) == page
    # What the page concludes, seed by seed.
    for name, kept in physics_terms.known()["systems"].items():
        arms = {arm: list(runs.values()) for arm, runs in kept["arms"].items()}
        bare = arms.pop(physics_terms.NONE)
        assert len(bare) >= 3 and all(len(runs) == len(bare) for runs in arms.values())

        def changes(arm, key, arms=arms, bare=bare):
            return [run[key] / other[key] - 1 for run, other in zip(arms[arm], bare)]

        alone = "initial field, then the solver"
        assert max(changes(alone, "crps")) < -0.08 and max(changes(alone, "outside")) < -0.5
        assert all(0.99 < run[key] < 1.04 for run in arms.pop(alone) for key in ("crps", "outside"))
        assert min(min(changes(arm, "crps")) for arm in arms) > -0.0025
        solving = [arm for arm in arms if arm.startswith(("defect", "resolve", "multi_step"))]
        elsewhere = [arm for arm in arms if arm.endswith("outside the range")]
        if name == "advection":
            assert max(changes("defect, balanced 0.3", "defect")) < -0.5
            assert (
                -0.0025
                < min(changes("defect, balanced 0.3", "crps"))
                < max(changes("defect, balanced 0.3", "crps"))
                < 0.0175
            )
            found = [one for arm in elsewhere for one in changes(arm, "outside")]
            assert -0.185 < min(found) < max(found) < -0.085
            assert all(run["spread"] < other["spread"] < 1 for arm in arms for run, other in zip(arms[arm], bare))
        else:
            found = [one for arm in solving for one in changes(arm, "crps")]
            assert 0.095 < min(found) < max(found) < 0.415
            assert min(one for arm in elsewhere for key in ("crps", "outside") for one in changes(arm, key)) > 0.05
    # And it would be found if it did not.
    row = {"crps": 1.234, "outside": 2.0, "spread": 0.8, "defect": 0.1}
    arms = {
        physics_terms.NONE: {"1": row, "2": {"lost": "diverged"}},
        "defect, weight 0.2": {"1": {**row, "crps": 1.1}},
    }
    taken = {physics_terms.NONE: 10.0, "defect, weight 0.2": 12.5}
    found = {"updates": 1000, "systems": {"burgers": {"milliseconds": taken, "arms": arms}}}
    table = physics_terms.table(found, "burgers")
    assert "| no term | 1,000 | **1.23** (1.23, diverged) | 2.00 | 0.80 | 0.1 |" in table
    assert "| defect, weight 0.2 | 800 | **1.10** (1.10) |" in table
    assert table in physics_terms.with_figures(page, found) != page


def test_the_page_of_training_states_the_figures_of_the_study_of_data_and_size(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import data_and_size

    page = data_and_size.PAGE.read_text()
    assert data_and_size.with_figures(page, data_and_size.known()) == page
    # And it would be found if it did not.
    runs = {
        str(seed): {"crps": 0.4 + 0.01 * seed, "training_seconds": 60.0, "updates": 1000, "parameters": 1234}
        for seed in (1, 2, 3)
    }
    arms = {
        "1024 samples": {"label": "1024 samples", "width": 128, "samples": 1024, "runs": runs},
        data_and_size.STREAMED: {"label": data_and_size.STREAMED, "width": 128, "samples": None, "runs": runs},
    }
    told = data_and_size.with_figures(page, {"sample_seconds": 0.01, "arms": arms})
    assert "| 1,024 | 128 | 1,234 | 1,000 | **0.420** (0.410, 0.420, 0.430) | 10 s | 60 s |" in told
    assert f"| {data_and_size.STREAMED} | 128 | 1,234 | 1,000 | **0.420**" in told and "within the training" in told


def test_the_page_of_clusters_states_the_figures_of_the_readers_of_data(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import data_reading

    page, found = data_reading.PAGE.read_text(), json.loads(data_reading.RESULTS.read_text())
    assert data_reading.with_figures(page, found) == page
    # And it would be found if it did not.
    for case in found["cases"].values():
        case["readers"][data_reading.MAP]["warm"] = [0.001234]
    assert "| memory map | " in page and "1.23 (1.23-1.23)" in data_reading.with_figures(page, found) != page
    # What the page concludes of warm reading.
    for case in json.loads(data_reading.RESULTS.read_text())["cases"].values():
        warm = {name: statistics.median(times["warm"]) for name, times in case["readers"].items()}
        assert min(warm, key=lambda name: warm[name]) == data_reading.MAP


def test_the_page_of_flow_matching_states_the_figures_of_its_study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import flow_evaluations

    page, study = flow_evaluations.PAGE.read_text(), json.loads(flow_evaluations.RESULTS.read_text())
    assert flow_evaluations.with_table(page, study) == page
    few, many = (statistics.median(run["numbers"][number]["crps"] for run in study["runs"]) for number in ("4", "12"))
    # What the page of where it pays says of them.
    assert many < 1.02 < few


def test_the_page_of_neural_posteriors_states_the_figures_of_its_study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import neural_posteriors_tables as tables

    study = json.loads((ROOT / "benchmarks" / "results" / "neural_posteriors.json").read_text())
    page = tables.PAGE.read_text()
    assert tables.filled(page, study) == page
    # What the page concludes, at every training seed.
    for name in ("burgers_inverse", "kuramoto_sivashinsky_window"):
        arms = tables.arms_of(study, name, "60")
        flow, fair, game, npe = (arms[one] for one in ("flow matching", "fair CRPS", "game and fair CRPS", "sbi NPE"))

        def below(one, two, *path):
            """Whether a number is smaller at all seeds of one arm than at all of another."""
            values = [
                [run[path[0]] if len(path) == 1 else run[path[0]][path[1]] for run in runs] for runs in (one, two)
            ]
            return max(values[0]) < min(values[1])

        for key in ("crps", "energy_score", "crps_divergence"):
            assert all(below(flow, runs, "fields", key) for arm, runs in arms.items() if runs is not flow)
            assert below(fair, game, "fields", key)
            assert below(fair, npe, "fields", key)
        assert all(below(flow, npe, "unknowns", key) for key in ("crps", "energy_score"))
        assert all(below(runs, fair, "unknowns", "energy_score") for runs in arms.values() if runs is not fair)
        assert all(run["fields"]["crps_divergence"] > 2.5 for runs in arms.values() for run in runs)
        assert all(abs(run["seconds"] / 60 - 1) < 0.08 for runs in arms.values() for run in runs)
        dense = [runs for runs in arms.values() if runs is not flow and "log_density" in runs[0]]
        assert dense and all(below(runs, flow, "log_density") for runs in dense)
        assert min(run["effective"] for run in flow) > 2 * max(run["effective"] for run in npe)
        assert min(run["updates"] for run in flow) > 9 * max(run["updates"] for run in npe)
        pace = study["experiments"][name]["pace"]
        assert pace["game and fair CRPS"] > 3 * pace["fair CRPS"]
        if name == "burgers_inverse":
            pilot = min(one["validation_loss"] for one in study["pilot"]["sbi NPE"])
            assert all(run["validation_loss"] < pilot for run in npe)
        else:
            ours = [run["unknowns"]["coverage_90"] for run in (*flow, *fair, *game)]
            assert max(ours) < min(run["unknowns"]["coverage_90"] for run in npe) < 0.9


def test_the_page_of_virtual_experiments_states_the_figures_of_its_files(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import virtual_experiment as tables

    page, found = tables.PAGE.read_text(), tables.known()
    assert tables.filled(page, found) == page
    assert all(len(runs) >= 3 for runs in found.values())
    # What the page concludes, seed by seed.
    better = 0
    for name, runs in found.items():
        rows = tables.rows_of(runs)

        def values(method, key="worth_between", rows=rows):
            return [one.values[key] for one in rows[method]]

        def above(one, two):
            return all(a > b for a, b in zip(one, two, strict=True))

        own, alone, pilot = "generator", "real_runs_alone", "pilot_of_16"
        assert min(values(own)) > 12
        better += sum(a > b for a, b in zip(values(own), values("without_discriminator")))
        assert above(values("fitted_equation"), values(own))
        assert min(values(own, "false_alarms")) > 3 * max(values(alone, "false_alarms"))
        assert above(values(alone, "power_new"), [1.3 * one for one in values(own, "power_new")])
        assert max(values("true_law", "power_new")) < min(values(alone, "power_new")) / 2
        assert above(values(pilot, "plan_factor"), values(own, "plan_factor"))
        outside = values(own, "worth_beyond")
        assert 1.8 < max(outside) / min(outside) < 4.5
        for quiet in ("gaussian_process", "fitted_equation"):
            assert above(values(own, "false_alarms"), values(quiet, "false_alarms"))
        if name != "epidemic":
            assert above(values("gaussian_process"), values(own)) and max(values("fitted_wrong_equation")) < 1
        if name == "epidemic":
            assert above(values(own), values("gaussian_process"))
            assert above(values(own), values("interpolated_bootstrap"))
            assert above(values("variational_autoencoder"), values(own))
    assert (better, sum(map(len, found.values()))) == (8, 9)
    # And it would be found if it did not.
    figures = {"worth_beyond": 1.0, "power_new": 0.5, "worth_between": 5.0, "plan_factor": 1.5, "false_alarms": 0.25}
    row = entries.BaselineRow("made somehow", figures, training_seconds=7.0)
    others = {name: row for _, name, _, _ in tables.SHORT} | {"true_law": row}
    section = results.Baselines("m", others.pop("generator"), others)
    runs = [tables.Published(seed, 1.0, results.Comparison("t", "v", 4, (section,))) for seed in (1, 2)]
    made = tables.filled(page, {"pendulum": runs})
    assert "| **generator** | –, – | 5, 5 | 1, 1 |" in made and "| 25.0%, 25.0% |" in made
    assert "| worth, generator | 5 |" in made and "| generator | 7 s, 7 s |" in made and made != page
    # What no method could make stands below the methods.
    assert made.index("| Gaussian process |") < made.index("| true law |")


@pytest.fixture
def publish(monkeypatch):
    """The module ``benchmarks/publish.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import publish

    return publish


def test_the_pages_state_the_figures_of_the_result_files():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "publish.py"), "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_the_development_run_of_the_plume_on_the_page_is_that_of_its_file():
    page = (ROOT / "docs" / "experiments.md").read_text().partition("### smoke_plume\n")[2].partition("\n### ")[0]
    study = json.loads((ROOT / "benchmarks" / "results" / "smoke_plume-demo-development.json").read_text())
    section = results_file.from_plain(study["runs"][0]["comparison"], "the study", "").need(results.AgainstTruth)
    assert f"mean over {section.cases} cases" in page
    told = {
        "the generator": section.generator,
        "interpolation": section.rows["interpolation"],
        "the difference of another": section.rows["other_differences"],
        "the differences of the training": section.rows["analogues"],
        "coarse solver, fine solver": section.rows["fine_solver_0.5"],
        "fine solver from": section.rows["fine_solver_1"],
    }
    for name, row in told.items():
        (line,) = [one for one in page.splitlines() if one.startswith(f"| {name}")]
        assert f"| {row.values['crps']:.3f} |" in line, name
        if not line.endswith("| |"):
            assert line.endswith(f"| {1e3 * section.members * row.timing.seconds:.2g} ms |"), name
    # What the page concludes: these are ahead of the generator, by intervals over the cases.
    assert {"analogues", "fine_solver_1"} == set(section.ahead)


def test_the_development_runs_of_downscaling_on_the_page_are_those_of_their_file():
    page = (ROOT / "docs" / "experiments.md").read_text().partition("### downscaling\n")[2].partition("\n### ")[0]
    study = json.loads((ROOT / "benchmarks" / "results" / "downscaling-demo-development.json").read_text())
    flow, game = (
        results_file.from_plain(run["comparison"], "the study", "").need(results.AgainstTruth) for run in study["runs"]
    )
    assert f"mean over {flow.cases} cases" in page and f"case of {flow.members} members" in page
    told = {
        "the generator": flow.generator,
        "the preset `adversarial`": game.generator,
        "interpolation": flow.rows["interpolation"],
        "the difference of another": flow.rows["other_differences"],
        "the differences of the training": flow.rows["analogues"],
        "coarse solver, fine solver": flow.rows["fine_solver_0.5"],
        "fine solver from the coarse": flow.rows["fine_solver_1"],
        "fine solver from starts": flow.rows["fine_solver_ensemble"],
    }
    for name, row in told.items():
        (line,) = [one for one in page.splitlines() if one.startswith(f"| {name}")]
        crps, gradients, spectrum = (row.values[key] for key in ("crps", "gradient_crps", "log_spectral_distance"))
        assert f"| {crps:.3f} | {gradients:.3f} | {spectrum:.1f} dB |" in line, name
        if not line.endswith("| |") and not line.endswith("|  |"):
            assert line.endswith(f"| {1e3 * flow.members * row.timing.seconds:.2g} ms |"), name
    # What the page concludes, by intervals over the cases.
    assert {"fine_solver_1", "fine_solver_ensemble"} == set(flow.ahead)
    assert {"interpolation", "other_differences", "analogues", "fine_solver_0.5"} <= set(flow.behind)
    assert told["fine solver from the coarse"].timing.seconds < flow.generator.timing.seconds


def test_without_a_reference_the_row_says_how_many_others_are_ahead_and_behind(publish):
    def row(crps, beyond):
        return entries.TruthRow("made somehow", {"crps": crps}, {}, beyond)

    others = {"worse": row(0.5, (0.1, 0.3)), "alike": row(0.31, (-0.1, 0.1)), "best_one": row(0.2, (-0.2, -0.05))}
    section = results.AgainstTruth("Nobody knows.", 8, 4, {}, row(0.3, None), others)
    runs = [publish.Published(seed, 1.0, results.Comparison("t", "v", 4, (section,))) for seed in (1, 2)]
    assert publish.quality(runs) == "CRPS 0.300 against the truth (best one: 0.200)"
    assert publish.verdict(runs) == "a smaller CRPS than 1 and a larger one than 1 of 3 others"


@pytest.fixture
def pages(publish, tmp_path):
    """A copy of the pages beside an empty folder of result files, its blocks filled."""
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    for page in publish.PAGES:
        shutil.copy(ROOT / page, tmp_path / page)
        text = publish.filled((tmp_path / page).read_text(), tmp_path / "benchmarks" / "results")
        (tmp_path / page).write_text(text)
    return tmp_path


def sealed_file(folder, comparison, name="kuramoto_sivashinsky-demo-sealed.json", seeds=(11, 12)):
    """Write a result file that holds the same comparison at every seed."""
    from experiments.evaluation.results_file import to_plain
    from experiments.files import write_json

    row = {"training_seconds": 300.0, "comparison": to_plain(comparison)}
    about = {"sealed": 7, "machine": {"cores": 2, "platform": "Linux"}, "versions": {"jax": "0"}}
    write_json(folder / "benchmarks" / "results" / name, {**about, "runs": [{"seed": seed, **row} for seed in seeds]})


def comparison(advantage=0.5, p_value=2e-4, sealed=True):
    """A comparison whose generator costs 1 / advantage times as much as the cheapest solver."""
    from experiments.evaluation import entries

    test = entries.Test("c", "area", 0.613, (0.601, 0.625), (0.49, 0.51), p_value)
    tests = results.Tests("held-out solver fields", p_value, 0.05, 4999, 64, 64, "classifier", {"classifier": test})

    def timing(seconds):
        return entries.Timing(seconds, seconds, seconds, 1)

    row = entries.SolverRow({"setting": "reference"}, timing(advantage * 1e-3), True, {})
    cost = results.Cost("as good", timing(1e-3), None, row, (), 10.0, 100.0)
    return results.Comparison("t", "v", 64, (tests, cost), 100, 7, sealed)


def test_a_page_that_differs_from_the_files_is_found(publish, pages):
    assert publish.differing(pages) == []
    sealed_file(pages, comparison())
    assert publish.differing(pages) == list(publish.PAGES)
    changed = publish.filled((pages / "README.md").read_text(), pages / "benchmarks" / "results")
    (pages / "README.md").write_text(changed)
    assert publish.differing(pages) == ["docs/results.md"]
    (pages / "README.md").write_text(changed.replace("AUC 0.61", "AUC 0.51"))
    assert "README.md" in publish.differing(pages)


@pytest.mark.parametrize(("advantage", "verdict"), [(0.5, "loses"), (2.0, "pays")])
def test_a_row_says_whether_the_generator_is_reported_and_pays(publish, pages, advantage, verdict):
    folder = pages / "benchmarks" / "results"
    sealed_file(pages, comparison(advantage))
    row = publish.experiments_table(folder)[2]
    assert "**distinguished** (2 of 2 seeds)" in row and "AUC 0.61" in row and f"**{verdict}**" in row
    assert f"2 times {'cheaper' if advantage > 1 else 'dearer'} than" in row
    sealed_file(pages, comparison(advantage, p_value=0.3))
    assert "**not distinguished**" in publish.experiments_table(folder)[2]


def test_a_row_without_a_file_has_no_figures(publish, pages):
    *table, said = publish.experiments_table(pages / "benchmarks" / "results")
    assert len(table) == 3 and table[-1] == ""
    assert said.startswith("Not measured") and all(row.title in said for row in publish.ROWS)


def test_a_comparison_that_is_not_sealed_is_refused(publish, pages):
    from experiments.errors import UserError

    sealed_file(pages, comparison(sealed=False))
    with pytest.raises(UserError, match="sealed"):
        publish.experiments_table(pages / "benchmarks" / "results")


def test_arms_are_held_against_plain_training_at_equal_solver_time(publish):
    def run(tau, seed, areas):
        points = [{"time": t, "auc": a, "interval": [a, a], "p_value": 0.01} for t, a in areas.items()]
        return {"tau": tau, "seed": seed, "points": points}

    study = {
        "runs": [
            run(0.0, 1, {0: 1.0, 4: 0.6, 8: 0.55}),
            run(0.0, 2, {0: 1.0, 4: 0.62, 8: 0.56}),
            run(4.0, 1, {4: 0.65, 8: 0.54}),
            run(4.0, 2, {4: 0.66, 8: 0.55}),
        ]
    }
    (said,) = publish.solver_study_sentences(json.loads(json.dumps(study)))
    assert "0.655" in said and "0.610" in said
    assert re.search(r"2 total solver times \(4, 8\) with 2 seeds.* smaller AUC .*: 8\. .* larger AUC: 4\.", said)


def test_every_benchmark_finds_what_it_imports():
    """In one process of its own; packages of the benchmarks extra may be missing, names of ours may not."""
    program = (
        "import importlib, pathlib, sys\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'benchmarks')!r}]\n"
        f"for path in sorted(pathlib.Path({str(ROOT / 'benchmarks')!r}).glob('*.py')):\n"
        "    try:\n"
        "        importlib.import_module(path.stem)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert error.name.partition('.')[0] not in ('physics', 'gan', 'experiments'), error\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def span(values, form):
    """The smallest and the largest of some numbers, in words; one of them where they look alike."""
    low, high = (format(one, form) for one in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


@pytest.mark.parametrize(
    ("experiment", "heading"),
    [
        ("burgers_inverse", "### Posteriors from magnitudes"),
        ("kuramoto_sivashinsky_window", "### A chaotic window"),
        ("darcy", "### A permeability"),
    ],
)
def test_the_posteriors_on_the_page_of_where_it_pays_are_those_of_their_file(experiment, heading):
    page = (ROOT / "docs" / "where_it_pays.md").read_text().partition(f"{heading}\n")[2].partition("\n### ")[0]
    page = " ".join(page.split())
    study = json.loads((ROOT / "benchmarks" / "results" / f"{experiment}-demo-sealed.json").read_text())
    compared = [results_file.from_plain(run["comparison"], "the study", "") for run in study["runs"]]
    scores, costs, weights, baselines = (
        [one.need(kind) for one in compared]
        for kind in (results.Scores, results.Cost, results.ImportanceWeights, results.Baselines)
    )
    crps, coverage = ([one.entries[name] for one in scores] for name in ("crps", "coverage_90"))
    by_score = [one.cheapest_by("crps") for one in costs]
    matched = [one.advantage for one in costs if one.matched]
    assert len(matched) in (0, len(costs))
    for one in costs if not matched else ():
        # What the page says of the reference's own sampler: worse than the generator by the spectrum.
        assert "spectrum" in one.reference.worse and f"{one.reference.values['spectrum']:.1f}" in page
        assert one.reference.values["spectrum"] > 2 * one.values["spectrum"]
    evens = [one.break_even for one in costs]
    for value in (
        f"CRPS is {span([one.value for one in crps], '.3f')} standard deviations",
        f"have {span([one.target for one in crps], '.3f')}",
        f"covers {span([100 * one.value for one in coverage], '.1f')}% of",
        f"costs {span([1e6 * one.generator.seconds for one in costs], '.0f')} µs",
        f"costs {span(matched, '.0f')} times as much" if matched else "No sampler that was tried was as good in every",
        f"from {approximate(min(evens))} to {approximate(max(evens))} samples on",
        f"{span([b.timing.seconds / c.generator.seconds for b, c in zip(by_score, costs)], '.0f')} times the cost",
        f"{span([100 * statistics.median(one.effective) for one in weights], '.0f')}% of their number",
        f"{span([100 * min(one.effective) for one in weights], '.1f')}% in the worst case",
        f"{span([one.rows['weighted'].values['crps_divergence'] for one in baselines], '.1f')} times its floor",
        f"{span([one.generator.values['crps_divergence'] for one in baselines], '.1f')} times before",
    ):
        assert value in page, value


def test_the_pilots_of_snapshots_on_the_page_are_those_of_their_files():
    page = (DOCS / "where_it_pays.md").read_text()
    results_of, judged = ROOT / "benchmarks" / "results", {True: [], False: []}
    for preset in ("demo", "convolutional"):
        advice = json.loads((results_of / f"advice-kuramoto_sivashinsky-{preset}.json").read_text())
        study = json.loads((results_of / f"kuramoto_sivashinsky-{preset}-sealed.json").read_text())
        costs = [results_file.from_plain(run["comparison"], "x", "").need(results.Cost) for run in study["runs"]]
        sample, apart = advice["generator"]["sample"]["seconds"], advice["times"]["stride"]
        over = {
            kind: min(one["seconds"] for one in advice["solvers"] if one["correlation"] == kind) / sample
            for kind in ("little", "some")
        }
        rows = page.partition(f"| `{preset}` | a sample |")[2]
        assert rows.startswith(
            f" {1e6 * sample:.3g} µs | {span([1e6 * one.generator.seconds for one in costs], '.3g')} µs |"
        )
        little, some = (
            re.search(rf"generator, {kind} fields \| (\S+) \| (.*?) \|", rows).groups()
            for kind in ("hardly correlated", "correlated")
        )
        sealed = span([one.advantage for one in costs], ".2f")
        assert float(little[0]) == pytest.approx(over["little"], abs=0.05) and f"{over['some']:.2f}" == some[0]
        assert sealed == (some if preset == "demo" else little)[1]
        evens = [one.break_even for one in costs if one.break_even is not None and not one.tied]
        assert not evens
        if preset == "demo":
            assert f"| {advice['pays_from']['rival'] / 1e6:.0f} million fields" in rows
            assert "| a tie at one seed, never at two |" in rows
            assert sum(one.tied for one in costs) == 1 < len(costs) == 3
        else:
            assert advice["pays_from"]["rival"] is None
        for cost in costs:
            for row in cost.search:
                if row.reaches is not None and row.setting["stride"] is not None:
                    judged[row.setting["stride"] >= apart / 2].append(row.reaches)
    text = " ".join(page.split())
    assert all(judged[True]) and f"all {len(judged[True])} settings of the first kind" in text
    assert f"and {sum(judged[False])} of the {len(judged[False])} of the second kind" in text


@pytest.mark.parametrize("experiment", ["burgers_inverse", "kuramoto_sivashinsky_window"])
def test_the_pilots_of_posteriors_on_the_page_are_those_of_their_files(experiment):
    results_of = ROOT / "benchmarks" / "results"
    advice = json.loads((results_of / f"advice-{experiment}-demo.json").read_text())
    study = json.loads((results_of / f"{experiment}-demo-sealed.json").read_text())
    costs = [results_file.from_plain(run["comparison"], "the study", "").need(results.Cost) for run in study["runs"]]
    sample = advice["generator"]["sample"]["seconds"]
    rival = min(one["seconds"] for one in advice["samplers"] if one["excess"] <= posterior_advice.GOOD)
    by_score = [one.cheapest_by("crps").timing.seconds / one.generator.seconds for one in costs]
    evens = [one.break_even for one in costs]
    matched = [one.advantage for one in costs if one.matched]
    row = (
        f"| `{experiment}` | {1e6 * sample:.0f} µs | {rival / sample:.0f} | {span(by_score, '.0f')} | "
        f"{span(matched, '.0f') if matched else 'none as good'} | {advice['pays_from']:,} | "
        f"{approximate(min(evens))} to {approximate(max(evens))} |"
    )
    assert row in (DOCS / "where_it_pays.md").read_text(), row


def test_the_forecasts_from_sensors_on_the_page_of_where_it_pays_are_those_of_their_file():
    page = " ".join((ROOT / "docs" / "where_it_pays.md").read_text().split()).partition("posterior is known")[2]
    study = json.loads((ROOT / "benchmarks" / "results" / "burgers-sensors-sealed.json").read_text())
    compared = [results_file.from_plain(run["comparison"], "the study", "") for run in study["runs"]]
    crps = [one.need(results.Scores).entries["crps"] for one in compared]
    told = [sum(not d.inside for d in one.need(results.Distances).entries.values()) for one in compared]
    outside = [row for one in compared for row in one.need(results.Regions).regions.values()]
    costs = [one.need(results.Cost) for one in compared]
    for value in (
        f"Over {len(compared)} training seeds and 512 cases",
        f"CRPS is {span([one.value for one in crps], '.3f')} standard deviations",
        f"exact posterior has {span([one.target for one in crps], '.3f')}",
        f"and {'none' if not any(told) else span(told, 'd')} of 3 distances distinguish",
        f"costs {span([one.advantage for one in costs], '.2f')} of the generator's time",
    ):
        assert value in page, value
    assert len(outside) == 2 * len(compared)
    assert all(one.inside for row in outside for one in row.distances.entries.values())


def scaling(monkeypatch):
    """The module ``benchmarks/scaling.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scaling as module

    return module


def test_the_page_of_scaling_states_the_figures_of_its_records(monkeypatch, tmp_path):
    module = scaling(monkeypatch)
    text = module.PAGE.read_text()
    assert module.filled(text) == text
    # And it would be found if it did not: a record changes every block but that of the assumptions.
    phases = {"generator": Phase(0.5, 2e9, 1e9), "other": Phase(-0.1), "all-reduce": Phase(0.01)}
    common = (0.001, 10_000, 1e10, 1e9, 5.0, 6.0, 0.5, 0.2, 10**6, None, 10**9)
    points = tuple(
        Point(d, 1, b, d, 0.5 * b / d / 64 + 0.1, (0.4, 0.7), 0.45, phases, *common)
        for d, b in ((1, 64), (2, 64), (2, 128))
    )
    study = Study("gaussians", "demo", {}, 64, 1000, 100, "cpu", False, 2, 0.3, {"jax": "0"}, points)
    records.write(study, module.record("gaussians", "demo", tmp_path))
    changed = module.filled(text, tmp_path)
    assert module.filled(changed, tmp_path) == changed
    table = changed.partition("<!-- figures: measured -->")[2].partition("<!-- end -->")[0]
    assert table.count("| `gaussians` |") == 3 and "600 ms" in table and "213" in table
    assert "−100 ms" in changed and changed.count("TPU v5p-256 (128 chips) |") == 2
    assert changed.partition("figures: assumptions")[2] == text.partition("figures: assumptions")[2]


def test_the_page_of_scaling_states_the_figures_of_fields_on_several_devices(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import space_sharding

    page, found = space_sharding.PAGE.read_text(), space_sharding.known()
    assert space_sharding.filled(page, found) == page
    # And it would be found if it did not: every block changes with its results.
    found["planned"][0]["solve"]["bytes"] = 17 * space_sharding.GIB
    found["refused"][0]["fits"] = not found["refused"][0]["fits"]
    found["timed"][0]["seconds"] = [1.234, 1.2, 1.3]
    changed = space_sharding.filled(page, found)
    assert "| 17 GiB (refused) |" in changed and "1,234.0" in changed
    blocks = [[match[3] for match in space_sharding.BLOCK.finditer(text)] for text in (page, changed)]
    assert len(blocks[0]) == 3 and all(before != after for before, after in zip(*blocks, strict=True))


def evolution(monkeypatch):
    """The module ``benchmarks/evolution.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import evolution as module

    return module


def test_the_page_of_histories_of_populations_states_the_figures_of_its_files(monkeypatch):
    module = evolution(monkeypatch)
    page = module.PAGE.read_text()
    assert module.filled(page) == page
    # And it would be found if it did not.
    known = module.known
    changed = known("demo")
    game = changed["runs"][0]["comparison"]["recoveries"]["rows"]["game"]
    game["parameters"]["sigma"] |= {"rmse": 1.2345, "coverage": 0.12}
    monkeypatch.setattr(module, "known", lambda preset: changed if preset == "demo" else known(preset))
    assert "1.234" in module.filled(page) and "12%" in module.filled(page)


def test_what_the_page_of_histories_of_populations_concludes_is_in_its_file(monkeypatch):
    module = evolution(monkeypatch)
    found = module.recoveries("demo")
    assert len(found) == 3 and all(section.truths == 50 for section in found.values())
    pairs = [
        (section.rows["game"].parameters[name], {other: row.parameters[name] for other, row in section.rows.items()})
        for section in found.values()
        for name in section.ranges
    ]
    ratios = [own.rmse / others["likelihood"].rmse for own, others in pairs]
    seconds = {m: [section.rows[m].seconds for section in found.values()] for m in ("game", "likelihood")}
    held, count = module.pooled_coverage(found, "game")
    widths = [[section.rows["game"].parameters[name].width / 2 for section in found.values()] for name in
              ("log theta", "sigma", "log size")]  # fmt: skip
    text = " ".join(module.PAGE.read_text().split())
    for said in (
        f"is {span(ratios, '.2f')} times that of maximum likelihood",
        f"smaller in {sum(one < 1 for one in ratios)} of {len(ratios)} cases",
        f"takes it {span(seconds['game'], '.1f')} s",
        f"takes {span(seconds['likelihood'], '.2f')} s",
        f"{held} of {count}, {held / count:.1%}",
        f"± {span(widths[0], '.2f')} in log θ, ± {span(widths[1], '.2f')} in σ and ± {span(widths[2], '.2f')} in log ν",
    ):
        assert said in text, said
    assert 0.87 <= held / count <= 0.93
    assert all(abs(own.bias) < 2 * own.bias_error for own, _ in pairs)
    assert all(others["bayesian_computation"].rmse > own.rmse for own, others in pairs)
