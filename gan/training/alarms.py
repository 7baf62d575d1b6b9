"""Alarms in words: what the record of a training says is going wrong, and what to try.

Each rule looks at the lines of ``metrics.jsonl`` as they are written. One that must hold for a while does so for
``training.alarm_after`` updates. An alarm is raised once, and again only after its rule has ceased to hold.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Line = Mapping[str, Any]
ALARMS = "alarms"
FIRST = 10
"""Lines of the record whose median is what a gradient is compared with, at the least."""


class Rule(NamedTuple):
    """One thing that can go wrong.

    Attributes:
        lasting: whether it must hold for ``training.alarm_after`` updates.
        holds: (line, lines before it) -> whether it holds; ``None`` where the line does not say.
        words: (line, updates for which it has held) -> the alarm.
    """

    lasting: bool
    holds: Callable[[Line, Sequence[Line]], bool | None]
    words: Callable[[Line, int], str]


def _usual(name: str, before: Sequence[Line]) -> float | None:
    values = [line[name] for line in before if name in line]
    return statistics.median(values) if len(values) >= FIRST else None


def _won(line: Line, before: Sequence[Line]) -> bool | None:
    return line["discriminator_accuracy"] >= 0.99 if "discriminator_accuracy" in line else None


def _fooled(line: Line, before: Sequence[Line]) -> bool | None:
    return line["discriminator_accuracy"] <= 0.05 if "discriminator_accuracy" in line else None


def _vanishing(line: Line, before: Sequence[Line]) -> bool | None:
    usual = _usual("gradient_adversarial", before[:FIRST])
    return None if usual is None else line.get("gradient_adversarial", usual) < 1e-3 * usual


def _exploding(line: Line, before: Sequence[Line]) -> bool | None:
    for name in ("gradient_generator", "gradient_discriminator"):
        usual = _usual(name, before)
        if usual is not None and line.get(name, 0.0) > 100.0 * usual > 0:
            return True
    return False


def _refused(line: Line, before: Sequence[Line]) -> bool | None:
    return line.get("invalid", 0.0) > 0.2


def _collapsed(line: Line, before: Sequence[Line]) -> bool | None:
    # Twice in a row: what has just begun to learn has little variety too.
    examined = [one for one in (*before, line) if "coverage" in one][-2:]
    if "coverage" not in line:
        return None
    poor = [one["coverage"] < 0.1 or one["effective_rank"] < 0.25 * one["effective_rank_held_out"] for one in examined]
    return len(poor) == 2 and all(poor)


def _swings(line: Line, before: Sequence[Line]) -> bool | None:
    if "validation" not in line:
        return None
    earlier = [one["validation"] for one in before if "validation" in one]
    return len(earlier) >= 3 and line["validation"] > 3.0 * min(earlier)


def _uneven(line: Line, before: Sequence[Line]) -> bool | None:
    if "layers_smallest_generator" not in line:
        return None
    return line["layers_smallest_generator"] < 1e-7 * line["layers_largest_generator"]


RULES: dict[str, Rule] = {
    "won": Rule(
        True,
        _won,
        lambda line, held: (
            f"the discriminator has won: accuracy {line['discriminator_accuracy']:.2f} for {held} steps; try a larger "
            "game.r1 and game.r2, a smaller optimizer.discriminator_rate, or game.augment_target 0.6"
        ),
    ),
    "fooled": Rule(
        True,
        _fooled,
        lambda line, held: (
            f"the discriminator rates samples above data: accuracy {line['discriminator_accuracy']:.2f} for {held} "
            "steps; try smaller game.r1 and game.r2, game.critic_steps 2, or a smaller optimizer.generator_rate"
        ),
    ),
    "vanishing": Rule(
        True,
        _vanishing,
        lambda line, held: (
            f"the generator's adversarial gradient has vanished: {line['gradient_adversarial']:.1e} for {held} steps; "
            "try game.objective relativistic or non_saturating, or a larger game.r1 and game.r2"
        ),
    ),
    "exploding": Rule(
        False,
        _exploding,
        lambda line, held: (
            f"a gradient is 100 times its usual size (generator {line['gradient_generator']:.1e}, discriminator "
            f"{line['gradient_discriminator']:.1e}); try optimizer.clip or smaller step sizes"
        ),
    ),
    "refused": Rule(
        True,
        _refused,
        lambda line, held: (
            f"the solver refuses {100 * line['invalid']:.0f}% of the samples, for {held} steps; try a shorter "
            "solver_layer.tau, a longer solver_layer.ramp, or a smaller solver_layer.bound"
        ),
    ),
    "collapsed": Rule(
        False,
        _collapsed,
        lambda line, held: (
            f"the samples lack variety: they cover {100 * line['coverage']:.0f}% of the held-out fields, with an "
            f"effective rank of {line['effective_rank']:.1f} where those have {line['effective_rank_held_out']:.1f}; "
            "try a larger game.r1 and game.r2, game.objective relativistic, or game.ensemble_weight if there is a "
            "condition"
        ),
    ),
    "swings": Rule(
        False,
        _swings,
        lambda line, held: (
            f"the quality swings: validation {line['validation']:.3g} after it had been three times better; try "
            "optimizer.schedule cosine, a longer optimizer.average_half_life, or game.transport"
        ),
    ),
    "uneven": Rule(
        False,
        _uneven,
        lambda line, held: (
            "some layers of the generator have a gradient ten million times smaller than others: they do not learn; "
            "try fewer network.levels or network.blocks"
        ),
    ),
}


class Alarms:
    """Watches the record of one training.

    Args:
        after: updates for which a lasting rule must hold.
    """

    def __init__(self, after: int):
        self.after = after
        self._lines: list[Line] = []
        self._since: dict[str, int] = {}
        self._raised: set[str] = set()

    def see(self, line: Line) -> list[str]:
        """Take the next line of the record; return the alarms that it raises."""
        previous = self._lines[-1]["step"] if self._lines else 0
        raised = []
        for name, rule in RULES.items():
            holds = rule.holds(line, self._lines)
            if holds is None:
                continue
            if not holds:
                self._since.pop(name, None)
                self._raised.discard(name)
                continue
            # A line speaks for the steps since the one before it.
            held = line["step"] - self._since.setdefault(name, previous)
            if name not in self._raised and (not rule.lasting or held >= self.after):
                self._raised.add(name)
                raised.append(rule.words(line, held))
        self._lines.append(line)
        return raised
