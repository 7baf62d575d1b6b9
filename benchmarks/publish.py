"""Every figure that README.md and docs/results.md state, made from result files.

    python benchmarks/publish.py            # fill the marked blocks of both pages
    python benchmarks/publish.py --check    # fail where a page says something else than the files

A block stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``. Files: benchmarks/results/
EXPERIMENT-PRESET-sealed.json of demo_seeds.py, and where_the_solver_belongs.json. What has no file is said to be not
measured.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from experiments.errors import UserError
from experiments.evaluation.entries import Test
from experiments.evaluation.results import (
    AgainstTruth,
    Baselines,
    Comparison,
    Cost,
    Distances,
    ModeShares,
    Recoveries,
    Refinement,
    Scores,
    Tests,
)
from experiments.evaluation.verdict import setting
from experiments.files import write_text
from experiments.wording import approximate, capital, duration, listed, words

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "benchmarks" / "results"
SOLVER_STUDY = "where_the_solver_belongs.json"
PAGES = ("README.md", "docs/results.md")
MISSING = "not measured by the present tests"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
S = TypeVar("S")
NAMES = {"crps": "CRPS", "auc": "AUC"}
REMEDY = "make it again with benchmarks/demo_seeds.py"


@dataclass(frozen=True)
class Row:
    """One row of the table of experiments: an experiment's preset, and what it is about."""

    experiment: str
    preset: str
    about: str

    @property
    def title(self) -> str:
        """Name and, where it is not the demo, preset."""
        return f"`{self.experiment}`" + ("" if self.preset == "demo" else f", preset `{self.preset}`")


ROWS = (
    Row("kuramoto_sivashinsky", "demo", "Kuramoto-Sivashinsky fields from the invariant measure, L = 22"),
    Row("kuramoto_sivashinsky", "convolutional", "the same, by convolutional networks trained through the solver"),
    Row("kuramoto_sivashinsky", "full", "the same as the last, L = 32 pi"),
    Row("burgers", "demo", "Burgers fields at later times, given 8 noisy points and the viscosity"),
    Row("burgers", "sensors", "the same given 8 fixed sensors; the initial field is generated, the solver goes on"),
    Row("burgers_inverse", "demo", "initial field and viscosity, given 8 noisy magnitudes of a later Burgers field"),
    Row("kuramoto_sivashinsky_window", "demo", "initial field of a chaotic window, given 16 noisy magnitudes"),
    Row("darcy", "demo", "permeability of a box, given 9 noisy pressures"),
    Row("lorenz96", "demo", "initial state of Lorenz-96, given magnitudes at a quarter of the sites at five times"),
    Row("smoke_plume", "demo", "fine smoke and vorticity, given a coarse solver run"),
    Row("downscaling", "demo", "fine turbulence, given a coarse solver run"),
    Row("kolmogorov_flow", "demo", "forced two-dimensional turbulence, given viscosity and forcing"),
    Row("evolution", "demo", "mutation, selection and size of a population; the generator is the simulator"),
    Row("gaussians", "demo", "25 Gaussians in the plane"),
    Row("gaussians", "unbalanced", "100 Gaussians of weights 1, 2, ..., 100"),
    Row("digits", "demo", "stacks of four handwritten digits, 10,000 classes"),
    Row("digits", "long", "the same, trained twice as long on four times the data"),
    Row("virtual_experiment", "demo", "runs of a pendulum at settings that were not measured, from 300 noisy ones"),
)


@dataclass(frozen=True)
class Published:
    """One published run: its training seed, what its training took, and its comparison with sealed data."""

    seed: int
    training_seconds: float
    comparison: Comparison


def published(row: Row, folder: Path = PUBLISHED) -> list[Published]:
    """Read the runs of a row, by seed; empty where the row has no file.

    Raises:
        UserError: a comparison is not of this version, or was not made with sealed data.
    """
    path = folder / f"{row.experiment}-{row.preset}-sealed.json"
    if not path.exists():
        return []
    from experiments.evaluation.results_file import from_plain

    found = []
    for run in json.loads(path.read_text())["runs"]:
        comparison = from_plain(run["comparison"], f"{path.name}, seed {run['seed']}", REMEDY)
        if not comparison.sealed:
            raise UserError(f"{path.name}, seed {run['seed']}: its held-out data are not sealed; {REMEDY}.")
        found.append(Published(run["seed"], run["training_seconds"], comparison))
    return sorted(found, key=lambda one: one.seed)


def sections(runs: Iterable[Published], kind: type[S]) -> list[S]:
    """The section of a kind of every run that has one."""
    return [one for run in runs if (one := run.comparison.get(kind)) is not None]


def span(values: Iterable[float], form: str = ".3g") -> str:
    """One value, or the smallest and the largest."""
    found = sorted(values)
    low, high = f"{found[0]:{form}}", f"{found[-1]:{form}}"
    return low if low == high else f"{low} to {high}"


def classifier(tests: Tests) -> Test | None:
    """The first member with an interval: the classifier whose area is easily read."""
    return next((one for one in tests.entries.values() if one.interval is not None), None)


def quality(runs: Sequence[Published]) -> str:
    """How good the samples are, in one line: the figure of merit of the sections that there are."""
    for figure in (area, crps, against_truth, modes, recovered, virtual_runs):
        if text := figure(runs):
            return text
    return "–"


def area(runs: Sequence[Published]) -> str | None:
    """The area under the ROC curve of the classifier on physical features."""
    found = [one.statistic for tests in sections(runs, Tests) if (one := classifier(tests)) is not None]
    return f"AUC {span(found, '.2f')}" if found else None


def crps(runs: Sequence[Published]) -> str | None:
    """The CRPS beside that of the exact posterior and of the best learned baseline."""
    found = [one for scores in sections(runs, Scores) if (one := scores.entries.get("crps")) is not None]
    if not found:
        return None
    exact = [one.target for one in found if one.target is not None]
    known = "exact posterior" if "exact posterior" in sections(runs, Scores)[0].reference else "long tempered runs"
    beside = [f"{known}: {span(exact, '.3f')}"] if exact else []
    learned: dict[str, list[float]] = {}
    for section in sections(runs, Baselines):
        for name, row in section.rows.items():
            if row.training_seconds is not None and "crps" in row.values:
                learned.setdefault(name, []).append(row.values["crps"])
    if learned:
        best = min(learned, key=lambda name: statistics.median(learned[name]))
        beside.append(f"{words(best)}: {span(learned[best], '.3f')}")
    text = f"CRPS {span((one.value for one in found), '.3f')}"
    return f"{text} ({', '.join(beside)})" if beside else text


def against_truth(runs: Sequence[Published]) -> str | None:
    """The CRPS against the truth beside that of the best of the others, where there is no reference."""
    if not (found := sections(runs, AgainstTruth)):
        return None
    others: dict[str, list[float]] = {}
    for section in found:
        for name, row in section.rows.items():
            if "crps" in row.values:
                others.setdefault(name, []).append(row.values["crps"])
    text = f"CRPS {span((one.generator.values['crps'] for one in found), '.3f')} against the truth"
    if not others:
        return text
    best = min(others, key=lambda name: statistics.median(others[name]))
    return f"{text} ({words(best)}: {span(others[best], '.3f')})"


def modes(runs: Sequence[Published]) -> str | None:
    """Modes found and the share of samples of high quality."""
    if not (found := sections(runs, ModeShares)):
        return None
    scores = sections(runs, Scores)

    def over(name: str, form: str) -> str:
        return span((one.entries[name].value for one in scores if name in one.entries), form)

    many = f"{found[0].modes:,} {'classes' if found[0].modes > 1000 else 'modes'}"
    return f"{over('modes_found', ',.0f')} of {many}, {over('high_quality', '.0%')} of high quality"


def least_rival(section: Recoveries, parameter: str) -> tuple[str, float]:
    """The method other than the game whose error in a parameter is least, and that error."""
    errors = {name: row.parameters[parameter].rmse for name, row in section.rows.items() if name != "game"}
    best = min(errors, key=lambda name: errors[name])
    return best, errors[best]


def error_ratios(runs: Sequence[Published]) -> list[float]:
    """The game's error over that of the best other method, every parameter and seed."""
    return [
        own.rmse / least_rival(section, name)[1]
        for section in sections(runs, Recoveries)
        for name, own in section.rows["game"].parameters.items()
    ]


def recovered(runs: Sequence[Published]) -> str | None:
    """The game's errors over those of the best other method, and how often its intervals hold the truth."""
    if not (found := sections(runs, Recoveries)):
        return None
    games = [section.rows["game"] for section in found]
    return (
        f"RMSE {span(error_ratios(runs), '.2f')} times that of the best rival; "
        f"90% intervals hold {span([one.coverage for one in games], '.0%')}"
    )


def real_runs(run: Published) -> dict[str, float]:
    """What every method of a run is worth in real runs at each setting that was not measured; empty without such."""
    section = run.comparison.get(Baselines)
    if section is None or "worth_between" not in section.generator.values:
        return {}
    from experiments.tasks.measurement_rows import other_methods

    named = {"generator": section.generator, **other_methods(section)}
    return {name: row.values["worth_between"] for name, row in named.items() if "worth_between" in row.values}


def virtual_runs(runs: Sequence[Published]) -> str | None:
    """What virtual runs are worth in real ones, beside the best of the other methods."""
    if not (found := [one for run in runs if (one := real_runs(run))]):
        return None
    others = [name for name in found[0] if name != "generator"]
    best = max(others, key=lambda name: statistics.median(one[name] for one in found))
    text = f"worth {span((one['generator'] for one in found), ',.0f')} real runs at each setting"
    return f"{text} ({words(best)}: {span((one[best] for one in found), ',.0f')})"


def against_methods(runs: Sequence[Published]) -> str | None:
    """How many other methods make better and worse virtual runs, and what pooling them with real ones does."""
    if not (found := [one for run in runs if (one := real_runs(run))]):
        return None
    more = [sum(value > one["generator"] for value in one.values()) for one in found]
    less = [sum(value < one["generator"] for value in one.values()) for one in found]
    alarms = [one.generator.values["false_alarms"] for one in sections(runs, Baselines)]
    return (
        f"worth less than {span(more, 'd')} and more than {span(less, 'd')} of {len(found[0]) - 1} other methods; "
        f"pooled with real runs, {span(alarms, '.0%')} false alarms at 5%"
    )


def distinguished_at(runs: Sequence[Published]) -> str | None:
    """At how many seeds samples are distinguished from the reference; by how many distances, without a joint test."""
    if found := sections(runs, Tests):
        count = sum(one.distinguished for one in found)
        return f"**{'distinguished' if count else 'not distinguished'}** ({count} of {len(found)} seeds)"
    if truths := sections(runs, AgainstTruth):
        worse, better = span((len(one.behind) for one in truths), "d"), span((len(one.ahead) for one in truths), "d")
        return f"a smaller CRPS than {worse} and a larger one than {better} of {len(truths[0].rows)} others"
    if sections(runs, Recoveries):
        ratios = error_ratios(runs)
        ahead = sum(one < 1 for one in ratios)
        return (
            f"**{'loses' if 2 * ahead < len(ratios) else 'wins'}**, a smaller error in {ahead} of {len(ratios)} cases"
        )
    if not (distances := sections(runs, Distances)):
        return None
    counts = [sum(not one.inside for one in section.entries.values()) for section in distances]
    return f"distinguished by {span(counts, 'd')} of {len(distances[0].entries)} distances"


def pays(runs: Sequence[Published]) -> str:
    """Whether the generator pays against the cheapest solver that is as good."""
    if not (found := sections(runs, Cost)):
        known = sections(runs, AgainstTruth) or sections(runs, Recoveries) or any(map(real_runs, runs))
        return "" if known else "no solver to beat"
    said = []
    if good := [one.advantage for one in found if one.matched]:
        where = "" if len(good) == len(found) else f" (at {len(good)} of {len(found)} seeds)"
        said.append(
            f"{times(good)} than {'the cheapest solver as good' if found[0].search else 'the reference'}{where}"
        )
    # Where a cheaper setting has the generator's score without being as near to the posterior, both are said.
    by_score = [(one.cheapest_by("crps"), one.generator) for one in found]
    if all(row is not None and row.timing is not None for row, _ in by_score):
        factors = [row.timing.seconds / own.seconds for row, own in by_score if row is not None and row.timing]
        said.insert(0, f"{times(factors)} than the cheapest solver with its CRPS")
    if unmatched := sum(not one.matched for one in found):
        where = "" if unmatched == len(found) else f" at {unmatched} of {len(found)} seeds"
        said.append(f"no sampler tried is as good by every distance{where}")
    costs = ", ".join(said)
    ties = sum(one.tied for one in found)
    samples = [one.break_even for one in found if one.break_even is not None and not one.tied]

    def at(seeds: int) -> str:
        return "" if seeds == len(found) else f" at {seeds} of {len(found)} seeds"

    outcome = []
    if samples:
        ends = dict.fromkeys(map(approximate, (min(samples), max(samples))))
        outcome.append(f"**pays**{at(len(samples))} from {' to '.join(ends)} samples on")
    if ties:
        outcome.append(f"**ties** within the scatter of the times{at(ties)}")
    if (losses := len(found) - len(samples) - ties) > 0:
        outcome.append(f"**loses**{at(losses)}")
    return f"{', '.join(outcome)}: {costs}"


def times(advantages: Sequence[float]) -> str:
    """How many times cheaper or dearer a generator is.

    Example:
        >>> times([2.0, 4.0]), times([0.5, 0.1]), times([0.8, 2.0])
        ('2 to 4 times cheaper', '2 to 10 times dearer', '1.2 times dearer to 2 times cheaper')
    """

    def digits(values: Sequence[float]) -> str:
        return span(values, ",.0f" if min(values) >= 10 else ".2g")

    if min(advantages) >= 1:
        return f"{digits(advantages)} times cheaper"
    if max(advantages) < 1:
        return f"{digits([1 / one for one in advantages])} times dearer"
    return f"{1 / min(advantages):.2g} times dearer to {max(advantages):.2g} times cheaper"


def verdict(runs: Sequence[Published]) -> str:
    """Whether samples are distinguished, and whether they pay, in one line."""
    return "; ".join(part for part in (distinguished_at(runs), against_methods(runs), pays(runs)) if part)


def experiments_table(folder: Path) -> list[str]:
    """The table of experiments, one line each."""
    lines = ["| experiment | what is generated | seeds | measured | verdict |", "|---|---|---|---|---|"]
    missing = []
    for row in ROWS:
        if runs := published(row, folder):
            lines.append(f"| {row.title} | {row.about} | {len(runs)} | {quality(runs)} | {verdict(runs)} |")
        else:
            missing.append(row.title)
    return lines if not missing else [*lines, "", f"{capital(MISSING)}: {'; '.join(missing)}."]


def details(folder: Path) -> list[str]:
    """Every row, seed by seed."""
    lines: list[str] = []
    for row in ROWS:
        lines += [f"### {row.title[0].upper()}{row.title[1:]}", "", f"{row.about[0].upper()}{row.about[1:]}.", ""]
        runs, name = published(row, folder), f"{row.experiment}-{row.preset}-sealed.json"
        if not runs:
            lines += [f"{capital(MISSING)}.", ""]
            continue
        lines += [f"[Result file](../benchmarks/results/{name}), {provenance(folder / name)}", ""]
        table = [cells(run) for run in runs]
        lines += [f"| | {' | '.join(f'seed {run.seed}' for run in runs)} |", "|---" * (1 + len(runs)) + "|"]
        for figure in dict.fromkeys(name for one in table for name in one):
            lines.append(f"| {figure} | {' | '.join(one.get(figure, '') for one in table)} |")
        lines.append("")
    return lines[:-1]


def provenance(path: Path) -> str:
    """Sealed seed, machine and versions of a result file, in words."""
    content = json.loads(path.read_text())
    machine = content["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    where = f"{cores}, {machine['platform']}, {versions}"
    return f"sealed data of seed {content['sealed']}; compared on {where}."


def cells(run: Published) -> dict[str, str]:
    """The figures of one run by name; which there are follows from the sections that it has."""
    comparison: Comparison = run.comparison
    found: dict[str, str] = {}
    if tests := comparison.get(Tests):
        found |= {
            "distinguished from the reference": "yes" if tests.distinguished else "no",
            "joint p": f"{tests.p_value:.2g}",
        }
        found["strongest test"] = words(tests.strongest)
        if (area := classifier(tests)) is not None and area.interval is not None:
            found["AUC"] = f"{area.statistic:.3f} [{area.interval[0]:.3f}, {area.interval[1]:.3f}]"
    if recoveries := comparison.get(Recoveries):
        for name, own in recoveries.rows["game"].parameters.items():
            rival, error = least_rival(recoveries, name)
            found[f"RMSE of {name}"] = f"{own.rmse:.3g} ({words(rival)}: {error:.3g})"
            found[f"coverage of {name}"] = f"{own.coverage:.0%}"
        found["time of an observation"] = duration(recoveries.rows["game"].seconds)
    if distances := comparison.get(Distances):
        ratios = [one.ratio for one in distances.entries.values()]
        kept = sum(one.inside for one in distances.entries.values())
        found |= {"median distance over its floor": f"{statistics.median(ratios):.2f}"}
        found |= {"largest distance over its floor": f"{max(ratios):.2f}"}
        found["distances that do not distinguish the samples"] = f"{kept} of {len(ratios)}"
        above = sum((one.ratio_interval or (0.0, 0.0))[0] > 1 for one in distances.entries.values())
        found["distances whose interval lies above the floor"] = f"{above} of {len(ratios)}"
    if scores := comparison.get(Scores):
        for name in ("crps", "modes_found", "high_quality", "total_variation", "diversity"):
            if (one := scores.entries.get(name)) is not None:
                target = "" if one.target is None else f" (target {one.target:.4g})"
                ends = "" if one.interval is None else f" [{one.interval[0]:.3g}, {one.interval[1]:.3g}]"
                found[words(name)] = f"{one.value:.4g}{ends}{target}"
    worth = real_runs(run)
    found |= {f"worth in real runs between the settings: {words(name)}": f"{one:.3g}" for name, one in worth.items()}
    if baselines := comparison.get(Baselines):
        for name, row in baselines.rows.items():
            for merit in ("crps", "auc"):
                if merit in row.values:
                    spent = "" if row.training_seconds is None else f" (training {duration(row.training_seconds)})"
                    found[f"{NAMES[merit]} of a baseline: {words(name)}"] = f"{row.values[merit]:.4g}{spent}"
    if refinement := comparison.get(Refinement):
        for curve in refinement.curves.values():
            found[f"solver time from which it is not distinguished: {curve.label}"] = (
                "never" if curve.enters is None else f"{curve.enters:g}"
            )
    if cost := comparison.get(Cost):
        theirs = cost.cheapest
        found["time of a sample"] = duration(cost.generator.seconds)
        if theirs.timing is not None:
            found["time of a sample from the cheapest solver"] = (
                f"{duration(theirs.timing.seconds)} ({setting(theirs)}{'' if cost.matched else '; not as good'})"
            )
        even = "never" if cost.break_even is None else f"{approximate(cost.break_even)} samples"
        found["break-even"] = "a tie within the scatter of the times" if cost.tied else even
    found["time of the training"] = duration(run.training_seconds)
    return found


def solver_study(folder: Path) -> list[str]:
    """Where the solver belongs: one sentence for each arm."""
    path = folder / SOLVER_STUDY
    if not path.exists():
        return [f"Training through the solver against plain training that the solver finishes: {MISSING}."]
    return solver_study_sentences(json.loads(path.read_text()))


def solver_study_title(tau: float) -> str:
    """Name an arm by the solver time that its training goes through."""
    return f"through the solver for {tau:g}" if tau else "plain training"


def solver_study_points(study: Mapping[str, Any]) -> dict[float, dict[float, dict[int, Mapping[str, Any]]]]:
    """Points of the study by solver time of the training, total solver time and seed."""
    points: dict[float, dict[float, dict[int, Mapping[str, Any]]]] = {}
    for run in sorted(study["runs"], key=lambda run: (run["tau"], run["seed"])):
        for point in run["points"]:
            points.setdefault(run["tau"], {}).setdefault(point["time"], {})[run["seed"]] = point
    return points


def solver_study_sentences(study: Mapping[str, Any]) -> list[str]:
    """Each arm against plain training at the same total solver time and seed, as lines of a list."""
    points = solver_study_points(study)
    plain, said = points.get(0.0, {}), []
    for tau, times in points.items():
        pairs = {
            time: both
            for time, found in times.items()
            if tau and (both := [(one["auc"], plain[time][s]["auc"]) for s, one in found.items() if s in plain[time]])
        }
        if not pairs:
            continue
        first, seeds = min(pairs), min(map(len, pairs.values()))
        own, other = (statistics.median(pair[side] for pair in pairs[first]) for side in (0, 1))
        better = [f"{time:g}" for time, both in pairs.items() if all(a < b for a, b in both)]
        worse = [f"{time:g}" for time, both in pairs.items() if all(a > b for a, b in both)]
        compared = ", ".join(f"{time:g}" for time in pairs)
        said.append(
            f"- **Trained {solver_study_title(tau)}**, the samples have the median AUC {own:.3f}. Samples of plain "
            f"training, advanced to the same solver time, have {other:.3f}. The two were compared at {len(pairs)} "
            f"total solver times ({compared}) with {seeds} seed{'s' if seeds > 1 else ''}. Times at which every seed "
            f"has a smaller AUC than with plain training: {listed(better) if better else 'none'}. Times at which every "
            f"seed has a larger AUC: {listed(worse) if worse else 'none'}."
        )
    return said or ["Plain training or every other arm is missing, so that nothing is compared yet."]


def solver_study_page(study: Mapping[str, Any]) -> str:
    """The page of the study: question, picture, all figures."""
    points, level = solver_study_points(study), study["level"]
    times = sorted({time for arm in points.values() for time in arm})
    machine, versions = study["machine"], study["versions"]
    lines = [
        "# Where the solver belongs",
        "",
        "This page answers one question: is it better to train a generator through the solver, or to train it without "
        "the solver and to let the solver advance its samples afterwards? It is for readers who want to know where a "
        "differentiable solver belongs in a recipe.",
        "",
        "- **System and recipe.** Kuramoto-Sivashinsky at L = 22, with the recipe of the preset `convolutional`. The "
        f"arms differ only in the time of the solver layer. Each makes {study['steps']} updates.",
        "- **Comparison.** Samples are compared at equal *total solver time*. That is the time of the solver layer "
        "plus the time for which the solver advances the samples after the training.",
        f"- **Data.** All samples are tested against one sealed data set (seed {study['sealed']}, "
        f"{study['references']} fields from independent trajectories). Each set has {study['tested']} samples, and "
        "as many more train the classifier. "
        f"The joint test uses {study['relabellings']} relabellings. No choice of the recipe has used the "
        "seeds of the trainings or of the sealed data.",
        "- **Measure.** AUC is the area under the ROC curve of a classifier on [physical features](metrics.md). 0.5 is "
        "chance; a smaller value means that the samples are harder to distinguish from the solver's fields.",
        "",
        "## Result",
        "",
        *solver_study_sentences(study),
        "",
        "![AUC against total solver time, every arm and seed](images/where_the_solver_belongs.png)",
        "",
        "## AUC of every arm and seed",
        "",
        "The table shows the median over the seeds, and every seed with its 95% interval.",
        "",
    ]
    seeds = sorted({run["seed"] for run in study["runs"]})
    lines += [f"| arm | total solver time | median | {' | '.join(f'seed {seed}' for seed in seeds)} |"]
    lines += ["|---" * (3 + len(seeds)) + "|"]
    for tau, arm in points.items():
        for time, found in arm.items():
            each = [
                f"{found[seed]['auc']:.3f} [{found[seed]['interval'][0]:.3f}, {found[seed]['interval'][1]:.3f}]"
                if seed in found
                else ""
                for seed in seeds
            ]
            middle = statistics.median(point["auc"] for point in found.values())
            lines.append(f"| {solver_study_title(tau)} | {time:g} | {middle:.3f} | {' | '.join(each)} |")
    p_values = [point["p_value"] for arm in points.values() for found in arm.values() for point in found.values()]
    count = sum(p <= level for p in p_values)
    lines += [
        "",
        "## Joint test of every arm and seed",
        "",
        "The table shows the p-value of the joint test at every total solver time, for the seeds in order. Samples are "
        f"distinguished from the solver where it is at most {level:g}, which is the case in {count} of {len(p_values)} "
        "tests. The last column is the time of each training.",
        "",
    ]
    lines += [f"| arm | {' | '.join(f'{time:g}' for time in times)} | training, every seed |"]
    lines += ["|---" * (2 + len(times)) + "|"]
    for tau, arm in points.items():
        shown = [", ".join(f"{one['p_value']:.2g}" for one in arm.get(time, {}).values()) for time in times]
        spent = [duration(run["training_seconds"]) for run in study["runs"] if run["tau"] == tau]
        lines.append(f"| {solver_study_title(tau)} | {' | '.join(shown)} | {', '.join(spent)} |")
    lines += [
        "",
        "Some trainings may have shared a machine. Their times are no comparison of speed.",
        "",
        f"Written by `python benchmarks/where_the_solver_belongs.py` ({machine['cores']} cores, {machine['platform']}, "
        f"jax {versions['jax']}).",
        "",
    ]
    return "\n".join(lines)


BLOCKS: dict[str, Callable[[Path], list[str]]] = {
    "experiments": experiments_table,
    "solver_study": solver_study,
    "details": details,
}


def filled(text: str, folder: Path = PUBLISHED) -> str:
    """Return a page with its blocks made anew.

    Raises:
        UserError: a block has a name that nothing makes, or the page has none.
    """

    def fill(block: re.Match[str]) -> str:
        if block[2] not in BLOCKS:
            raise UserError(f"no figures are called {block[2]!r}: choose among {listed(list(BLOCKS))}.")
        return block[1] + "\n".join(["", *BLOCKS[block[2]](folder), "", block[4]])

    made, count = BLOCK.subn(fill, text)
    if not count:
        raise UserError("the page has no block of figures (<!-- figures: NAME --> ... <!-- end -->).")
    return made


def differing(root: Path = ROOT) -> list[str]:
    """The pages that say something else than the result files."""
    folder = root / "benchmarks" / "results"
    return [page for page in PAGES if filled((root / page).read_text(), folder) != (root / page).read_text()]


def main() -> None:
    """Fill the blocks, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is not up to date")
    arguments = parser.parse_args()
    try:
        pages = differing()
    except UserError as error:
        raise SystemExit(str(error)) from None
    if arguments.check and pages:
        raise SystemExit(f"{listed(pages)}: figures differ from the result files; run python benchmarks/publish.py.")
    for page in pages:
        write_text(ROOT / page, filled((ROOT / page).read_text()))
    print(
        f"{listed(pages) if pages else 'nothing'} written"
        if not arguments.check
        else "every figure is that of its file"
    )


if __name__ == "__main__":
    main()
