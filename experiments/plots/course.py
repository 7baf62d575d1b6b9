"""Pictures of a run's course: training, refinement against solver time, and the search for the cheapest
solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from experiments.plots.style import (
    BAND,
    GAUSSIAN,
    GENERATOR,
    INITIAL,
    SOLVER,
    STARTS,
    Picture,
    is_finite,
    labelled,
    null_limit,
    panels,
    ratio_ticks,
    style,
    words,
)

NOT_DISTANCES = ("time", "enters", "inside", "enters_all", "p_value")
"""What a refinement curve holds beside the ratios of its distances."""

_TRAINING = (
    # title, axis label, logarithmic, whether a metric's name belongs here; the first that takes it keeps it
    ("Layers", "gradient, root mean square", True, lambda name: name.startswith("layers_")),
    ("Gradient norms", "norm", True, lambda name: "grad" in name and "penalty" not in name),
    ("Losses", "loss", False, lambda name: "loss" in name),
    ("Validation", "distance", True, lambda name: "valid" in name and "invalid" not in name),
    ("Carry time", "solver time", False, lambda name: name in ("tau", "carry_time")),
    ("Invalid fields", "share", False, lambda name: "invalid" in name),
    ("Variety", "coverage, share", False, lambda name: name == "coverage"),
    ("Effective rank", "directions", False, lambda name: name.startswith("effective_rank")),
    ("Rotation", "share of the change across the update", False, lambda name: name == "rotation"),
    (
        "Discriminator",
        "share of pairs",
        False,
        lambda name: name in ("discriminator_accuracy", "discriminator_certain"),
    ),
    ("Penalties", "value", True, lambda name: "penalty" in name or name in ("r1", "r2")),
)


def training(metrics: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Losses, gradient norms, carry time, share of invalid fields, validation and penalties, by update."""
    names = _numeric(metrics)
    pictures = []
    for title, label, logarithmic, belongs in _TRAINING:
        chosen = sorted((name for name in names if belongs(name.lower())), key=_players_first)
        names = [name for name in names if name not in chosen]
        if title in ("Invalid fields", "Carry time") and not any(row.get(name) for row in metrics for name in chosen):
            continue
        if chosen:
            pictures.append(_course(metrics, chosen, title, label, logarithmic))
    order = ("Losses", "Gradient norms")
    return sorted(pictures, key=lambda one: order.index(one.title) if one.title in order else len(order))


def _players_first(name: str) -> int:
    """Put the discriminator first and the generator second, which are drawn black and vermilion."""
    return next((i for i, player in enumerate(("discriminator", "generator")) if name.startswith(player)), 2)


def _course(metrics: Sequence[Mapping[str, Any]], names: Sequence[str], title: str, label: str, log: bool) -> Picture:
    colours = (SOLVER, GENERATOR, GAUSSIAN, INITIAL, "#cc79a7", "#777777")
    lines = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
    with style():
        figure, grid = panels()
        axes = grid[0, 0]
        positive = True
        for name, colour, line in zip(names, colours, lines):
            steps, values = np.array(
                [(row["step"], row[name]) for row in metrics if is_finite(row.get("step")) and is_finite(row.get(name))]
            ).T
            positive &= bool((values > 0).all())
            axes.plot(steps, values, color=colour, linestyle=line, linewidth=1.3, label=words(name))
        if log and positive:
            axes.set_yscale("log")
        axes.set(title=title, xlabel="generator updates", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.margins(x=0)
        if len(names) > 1:
            axes.legend(loc="best")
        elif words(names[0]) != label:
            axes.set_ylabel(words(names[0]))
    return Picture(figure, f"{title} during training.", title=title)


def _numeric(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of metrics that are numbers, in order of appearance."""
    seen: dict[str, None] = {}
    for row in metrics:
        if is_finite(row.get("step")):
            seen.update({name: None for name, value in row.items() if is_finite(value)})
    return [name for name in seen if name != "step"]


def refinement(comparison: Mapping[str, Any]) -> list[Picture]:
    """Each distance against solver time for the three starts; a mark where a curve enters the null band for
    good."""
    pictures = []
    for name in refined_distances(comparison):
        with style():
            figure, grid = panels()
            draw_refinement(grid[0, 0], comparison, name)
            grid[0, 0].set_title(words(name)[:1].upper() + words(name)[1:])
        pictures.append(
            Picture(
                figure,
                f"{words(name)}: ratio to the floor against solver time; grey: the null band.",
                title=name,
            )
        )
    return pictures


def refined_distances(comparison: Mapping[str, Any]) -> list[str]:
    """Names of the distances that the refinement study followed."""
    names: dict[str, None] = {}
    for curves in (comparison.get("refinement") or {}).values():
        names.update({name: None for name, values in curves.items() if name not in NOT_DISTANCES and values})
    return list(names)


def draw_refinement(axes: Axes, comparison: Mapping[str, Any], name: str) -> None:
    """Draw one distance of all starts against solver time into ``axes``."""
    curves = comparison["refinement"]
    starts = [start for start in STARTS if start in curves] + [start for start in curves if start not in STARTS]
    limit = (comparison.get("refinement_null") or {}).get(name)
    if limit is None:
        limit = null_limit((comparison.get("distances") or {}).get(name, {}))
    every, highest, lowest = [], 1.0, 1.0
    if limit:
        axes.axhspan(1e-9, limit, color=BAND, lw=0, label="null band")
    for start in starts:
        label, colour, line, marker = STARTS.get(start, (words(start), "#777777", "-.", "d"))
        if not curves[start].get(name):
            continue
        pairs = [
            (t, r)
            for t, r in zip(curves[start]["time"], curves[start][name])
            if is_finite(t) and is_finite(r) and r > 0
        ]
        if not pairs:
            continue
        times, ratios = np.array(pairs).T
        every += list(times)
        highest, lowest = max(highest, ratios.max()), min(lowest, ratios.min())
        axes.plot(times, ratios, color=colour, linestyle=line, marker=marker, label=label)
        entered = (curves[start].get("enters") or {}).get(name)
        if is_finite(entered):
            value = np.interp(entered, times, ratios)
            axes.plot(
                entered,
                value,
                marker="o",
                markersize=13,
                color="none",
                markeredgecolor=colour,
                markeredgewidth=1.5,
                clip_on=False,
            )
    positive = sorted({time for time in every if time > 0})
    smallest = positive[0] if positive else 1.0
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.6)
    ticks = _time_ticks(smallest, positive[-1] if positive else 1.0)
    axes.xaxis.set_major_locator(FixedLocator([0.0, *ticks] if 0 in every else ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(yscale="log", ylim=(max(0.3, lowest * 0.8), highest * 1.3), ylabel="ratio to the floor")
    axes.set_xlim(-0.15 * smallest if 0 in every else smallest * 0.85, (positive[-1] if positive else 1.0) * 1.25)
    axes.set_xlabel(labelled(comparison, "solver time", "time"))
    ratio_ticks(axes.yaxis, max(0.3, lowest * 0.8), highest * 1.3)


def _time_ticks(smallest: float, largest: float) -> list[float]:
    first, last = np.ceil(np.log2(smallest) - 1e-9), np.floor(np.log2(largest) + 1e-9)
    ticks = [float(2.0**e) for e in np.arange(first, last + 1)]
    return ticks if len(ticks) <= 6 else ticks[:: -(-len(ticks) // 6)]


def starts_legend(comparison: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return ``(label, colour, line style)`` of the starts that the refinement study has, for a legend in the
    page."""
    curves = comparison.get("refinement") or {}
    return [STARTS.get(start, (words(start), "#777777", "-.", "d"))[:3] for start in curves]


def search(comparison: Mapping[str, Any]) -> list[Picture]:
    """Error (median ratio) against cost of every solver setting tried, with the generator among them."""
    cost = comparison.get("cost") or {}
    rows = [row for row in cost.get("search") or [] if _positive(row, "seconds_per_sample", "error")]
    if not rows:
        return []
    with style():
        figure, grid = panels()
        axes = grid[0, 0]
        for reaches, face, label in (
            (False, "white", "solver setting"),
            (True, SOLVER, "reaches the generator"),
        ):
            chosen = [row for row in rows if bool(row.get("reaches")) is reaches]
            axes.plot(
                [1e3 * row["seconds_per_sample"] for row in chosen], [row["error"] for row in chosen], "o",
                color=SOLVER, markerfacecolor=face, label=label,
            )  # fmt: skip
        if _positive(cost.get("cheapest") or {}, "seconds_per_sample", "error"):
            cheapest = cost["cheapest"]
            axes.plot(
                1e3 * cheapest["seconds_per_sample"], cheapest["error"], "o",
                color="none", markeredgecolor=GAUSSIAN, markeredgewidth=1.6, markersize=12,
                label="cheapest that does",
            )  # fmt: skip
        ratios = [one["ratio"] for one in (comparison.get("distances") or {}).values() if is_finite(one.get("ratio"))]
        if ratios and _positive(cost, "generator_seconds_per_sample"):
            error = float(np.median(ratios))
            axes.plot(
                1e3 * cost["generator_seconds_per_sample"],
                error,
                "^",
                color=GENERATOR,
                markersize=9,
                label="generator",
            )
            axes.axhline(error, color=GENERATOR, linewidth=0.8, linestyle="--")
        axes.set(xlabel="milliseconds per sample", ylabel="error (median ratio)", xscale="log", yscale="log")
        axes.set_title("Search for the cheapest solver")
        axes.margins(0.12, 0.25)
        ratio_ticks(axes.yaxis, *axes.get_ylim())
        ratio_ticks(axes.xaxis, *axes.get_xlim())
        axes.legend(loc="best")
    return [Picture(figure, "Error and cost of every solver setting that the search tried.")]


def _positive(row: Mapping[str, Any], *names: str) -> bool:
    return all(is_finite(row.get(name)) and row[name] > 0 for name in names)
