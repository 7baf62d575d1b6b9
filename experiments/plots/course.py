"""Pictures of a training's course: every number of its record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from experiments.files import JsonObject
from experiments.plots.style import CARD, GAUSSIAN, GENERATOR, INITIAL, SOLVER, LineStyle, Picture, panels, style
from experiments.wording import capital, is_finite, words

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
    Group("Discriminator", "share of pairs", r"discriminator_(accuracy|saturated)"),
    Group("Logits", "mean logit", r"discriminator_logit_.*"),
    Group("Augmentation", "probability", r"discriminator_augment"),
    Group("Solver-layer time", "solver time", r"tau", unless_zero=True),
    Group("Invalid fields", "share", r"invalid", unless_zero=True),
    Group("Step sizes", "step size", r"rate_.*", True),
    Group("Inner iterations", "iterations", r"inner_iterations"),
    Group("Inner residual", "residual", r"inner_residual", True),
    Group("Rotation", "share of the change across the update", r"rotation"),
    Group("Layers", "gradient, root mean square", r"layers_.*", True),
)
"""Pictures of a training, in this order; the first that matches a metric takes it, one that none does has its own."""

_LAYER = re.compile(r"layer/([^/]*)/(.*)")
_LINES: tuple[LineStyle, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_COLOURS = (GAUSSIAN, INITIAL, "#cc79a7", "#777777", "#e69f00", "#56b4e9")
_PLAYERS = {"discriminator": SOLVER, "generator": GENERATOR}


def training(metrics: Sequence[JsonObject]) -> list[Picture]:
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
    return pictures + [_course(metrics, [name], Group(capital(words(name)), "value", "")) for name in left]


def layers(metrics: Sequence[JsonObject]) -> list[Picture]:
    """Gradients of each player's arrays, one row of an image each: they are too many for curves."""
    by_player: dict[str, dict[str, str]] = {}
    for name in _numeric(metrics):
        if found := _LAYER.fullmatch(name):
            by_player.setdefault(found[1], {})[found[2]] = name
    return [_layers(metrics, player, own) for player, own in by_player.items()]


def _sixes(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + 6] for start in range(0, len(names), 6)]


def _player(name: str) -> str | None:
    """Return the player whose metric this is, if it says so at its beginning or end."""
    return next((one for one in _PLAYERS if name.startswith(one) or name.endswith(one)), None)


def _players_first(name: str) -> tuple[int, bool]:
    """Order by player, a whole loss before its part."""
    place = next((i for i, player in enumerate(_PLAYERS) if player == _player(name)), len(_PLAYERS))
    return place, name.endswith("_adversarial")


def _points(metrics: Sequence[JsonObject], name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [(row["step"], row[name]) for row in metrics if is_finite(row.get("step")) and is_finite(row.get(name))]
    steps, values = np.array(rows).T
    return steps, values


def _course(metrics: Sequence[JsonObject], names: Sequence[str], group: Group) -> Picture:
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


def _layers(metrics: Sequence[JsonObject], player: str, own: Mapping[str, str]) -> Picture:
    rows = [row for row in metrics if any(is_finite(row.get(name)) for name in own.values())]
    values = np.array(
        [[one if is_finite(one := row.get(name)) else np.nan for row in rows] for name in own.values()], float
    )
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


def _numeric(metrics: Sequence[JsonObject]) -> list[str]:
    """Names of metrics that are numbers, in order of appearance."""
    seen: dict[str, None] = {}
    for row in metrics:
        if is_finite(row.get("step")):
            seen.update({name: None for name, value in row.items() if is_finite(value)})
    return list(seen)
