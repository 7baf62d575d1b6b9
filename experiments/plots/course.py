"""Pictures of a run's course: training, refinement against solver time, and the search for the cheapest
solver."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from experiments.plots.style import (
    BAND,
    CARD,
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

NOT_DRAWN = ("step", "seconds")
"""Numbers of the record that have no curve: the axis, and the clock."""


class Group(NamedTuple):
    """Metrics that share a picture.

    Attributes:
        title: of the picture.
        label: of its vertical axis.
        names: regular expression that the whole of a metric's name matches.
        logarithmic: whether the axis is, where all values are positive.
        unless_zero: whether to leave the picture out where every value is zero.
    """

    title: str
    label: str
    names: str
    logarithmic: bool = False
    unless_zero: bool = False


GROUPS = (
    Group("Losses", "loss", r"(discriminator|generator)_(loss|adversarial)"),
    Group("Gradient norms", "norm", r"gradient_.*", True),
    Group("Terms of the generator's loss", "value", r"generator_.*"),
    Group("Penalties of the discriminator", "value", r"discriminator_(r1|r2|.*penalty)", True),
    Group("Validation", "distance", r"validation", True),
    Group("Variety", "coverage, share", r"coverage"),
    Group("Effective rank", "directions", r"effective_rank.*"),
    Group("Discriminator", "share of pairs", r"discriminator_(accuracy|certain)"),
    Group("Logits", "mean logit", r"discriminator_logit_.*"),
    Group("Augmentation", "probability", r"discriminator_augment"),
    Group("Carry time", "solver time", r"tau", unless_zero=True),
    Group("Invalid fields", "share", r"invalid", unless_zero=True),
    Group("Step sizes", "step size", r"rate_.*", True),
    Group("Inner iterations", "iterations", r"inner_iterations"),
    Group("Inner residual", "residual", r"inner_residual", True),
    Group("Rotation", "share of the change across the update", r"rotation"),
    Group("Layers", "gradient, root mean square", r"layers_.*", True),
)
"""Pictures of a training, in this order; the first that matches a metric takes it, one that none does has its own."""

_LAYER = re.compile(r"layer/([^/]*)/(.*)")
_LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_COLOURS = (GAUSSIAN, INITIAL, "#cc79a7", "#777777", "#e69f00", "#56b4e9")
_PLAYERS = {"discriminator": SOLVER, "generator": GENERATOR}


def training(metrics: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Every number of the record by update, but for ``NOT_DRAWN`` and what :func:`layers` draws.

    First ``GROUPS``, then whatever else was written. Of more than six curves the rest follow in a further picture.
    """
    left = [name for name in _numeric(metrics) if name not in NOT_DRAWN and not _LAYER.fullmatch(name)]
    pictures = []
    for group in GROUPS:
        chosen = sorted((name for name in left if re.fullmatch(group.names, name)), key=_players_first)
        left = [name for name in left if name not in chosen]
        if group.unless_zero and not any(row.get(name) for row in metrics for name in chosen):
            continue
        pictures += [_course(metrics, part, group) for part in _sixes(chosen)]
    return pictures + [_course(metrics, [name], Group(_capital(words(name)), "value", "")) for name in left]


def layers(metrics: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Gradients of each player's arrays, one row of an image each: they are too many for curves."""
    by_player: dict[str, dict[str, str]] = {}
    for name in _numeric(metrics):
        if found := _LAYER.fullmatch(name):
            by_player.setdefault(found[1], {})[found[2]] = name
    return [_layers(metrics, player, own) for player, own in by_player.items()]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sixes(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + 6] for start in range(0, len(names), 6)]


def _player(name: str) -> str | None:
    """Return the player whose metric this is, if it says so at its beginning or end."""
    return next((one for one in _PLAYERS if name.startswith(one) or name.endswith(one)), None)


def _players_first(name: str) -> tuple[int, bool]:
    """Order by player, a whole loss before its part."""
    place = next((i for i, player in enumerate(_PLAYERS) if player == _player(name)), len(_PLAYERS))
    return place, name.endswith("_adversarial")


def _points(metrics: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [(row["step"], row[name]) for row in metrics if is_finite(row.get("step")) and is_finite(row.get(name))]
    steps, values = np.array(rows).T
    return steps, values


def _course(metrics: Sequence[Mapping[str, Any]], names: Sequence[str], group: Group) -> Picture:
    with style():
        many = len(names) > 2
        figure, grid = panels((CARD[0], CARD[1] + 0.16 * len(names) * many))
        axes = grid[0, 0]
        positive = True
        # Where both players have curves the discriminator is black, the generator vermilion.
        both = {_player(name) for name in names} >= set(_PLAYERS)
        drawn: dict[str, int] = {}
        for index, name in enumerate(names):
            player = _player(name) if both else None
            colour = _PLAYERS[player] if player else (SOLVER if index == 0 else _COLOURS[index - 1])
            line = _LINES[drawn.get(colour, 0) if player else index]
            drawn[colour] = drawn.get(colour, 0) + 1
            steps, values = _points(metrics, name)
            positive &= bool((values > 0).all())
            (curve,) = axes.plot(steps, values, color=colour, linestyle=line, linewidth=1.3, label=words(name))
            if len(steps) < 20:
                curve.set(marker="o", markersize=3)
        if group.logarithmic and positive:
            axes.set_yscale("log")
        axes.set(title=group.title, xlabel="generator updates", ylabel=group.label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.margins(x=0)
        if many:
            figure.legend(loc="outside lower left", fontsize=8)
        elif len(names) > 1:
            axes.legend(loc="best")
        elif words(names[0]) != group.label:
            axes.set_ylabel(words(names[0]))
    return Picture(figure, f"{group.title} during training.", title=group.title)


def _layers(metrics: Sequence[Mapping[str, Any]], player: str, own: Mapping[str, str]) -> Picture:
    rows = [row for row in metrics if any(is_finite(row.get(name)) for name in own.values())]
    values = np.array([[row.get(name, np.nan) for row in rows] for name in own.values()], float)
    found = values[values > 0]
    scale = LogNorm(found.min(), found.max()) if found.size and found.max() > found.min() else None
    title = f"Gradients of the {player}, array by array"
    with style():
        figure, grid = panels((7.4, 1.2 + 0.13 * len(own)))
        axes = grid[0, 0]
        # A gradient that is zero has no logarithm: its place stays white.
        shown = axes.imshow(
            np.ma.masked_less_equal(values, 0), aspect="auto", interpolation="none", cmap="cividis", norm=scale
        )
        axes.set_yticks(range(len(own)), list(own), fontsize=6)
        places = np.unique(np.linspace(0, len(rows) - 1, min(6, len(rows))).round().astype(int))
        axes.set_xticks(places, [f"{rows[place]['step']:g}" for place in places])
        axes.set(title=title, xlabel="generator updates")
        figure.colorbar(shown, label="root mean square")
    return Picture(figure, f"{title}: root mean square of each; white where it is zero.", raster=True)


def _numeric(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of metrics that are numbers, in order of appearance."""
    seen: dict[str, None] = {}
    for row in metrics:
        if is_finite(row.get("step")):
            seen.update({name: None for name, value in row.items() if is_finite(value)})
    return list(seen)


def refinement(comparison: Mapping[str, Any]) -> list[Picture]:
    """Each distance against solver time for the three starts; a mark where a curve enters the null band for
    good."""
    pictures = []
    for name in refined_distances(comparison):
        with style():
            figure, grid = panels()
            draw_refinement(grid[0, 0], comparison, name)
            grid[0, 0].set_title(_capital(words(name)))
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
