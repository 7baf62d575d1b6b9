"""Tables of measurements: settings of the apparatus (factors) and what was read (responses), one run in a row.

The columns are those of any file that `experiments.own_data.readers` reads: columns of a .csv, or one-dimensional
arrays of one length in .npz, .nc, .h5 and .zarr. A factor is a column of numbers, or of labels such as names of
operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from experiments.errors import UserError
from experiments.own_data.contents import Contents, Variable
from experiments.own_data.readers import read
from gan.settings import nearest

MOST_LABELS = 20
LEAST_SETTINGS = 5
"""Settings below which none could be held out and still leave a design."""


@dataclass(frozen=True)
class Factor:
    """A setting of the apparatus.

    Attributes:
        name: of the column.
        labels: its levels where they are names; empty where they are numbers.
        units: of the numbers; empty where unknown.
    """

    name: str
    labels: tuple[str, ...] = ()
    units: str = ""

    @property
    def width(self) -> int:
        """How many numbers encode a level: one, or one less than there are labels."""
        return max(1, len(self.labels) - 1)

    def encoded(self, levels: Sequence[object] | np.ndarray) -> Float[np.ndarray, "n width"]:
        """Return levels as numbers; of labels, one indicator for each but the first.

        Raises:
            UserError: a label that the table does not have, or something that is no finite number.

        Example:
            >>> Factor("operator", ("Ann", "Bob", "Cem")).encoded(["Cem", "Ann"]).tolist()
            [[0.0, 1.0], [0.0, 0.0]]
        """
        if self.labels:
            texts = [str(one) for one in levels]
            if unknown := [one for one in texts if one not in self.labels]:
                hint = nearest(unknown[0], self.labels) or f"; the labels are {', '.join(self.labels)}."
                raise UserError(f"{self.name} has no level {unknown[0]!r}{hint}")
            places = np.array([self.labels.index(one) for one in texts])
            return (places[:, None] == np.arange(1, len(self.labels))).astype(np.float32)
        try:
            numbers = np.asarray(levels, np.float32).reshape(-1, 1)
        except (TypeError, ValueError):
            raise UserError(f"{self.name} is set to numbers, found {list(levels)[:3]}.") from None
        if not np.isfinite(numbers).all():
            raise UserError(f"{self.name} must be set to finite numbers.")
        return numbers


@dataclass(frozen=True)
class Table:
    """Runs of an apparatus.

    Attributes:
        factors: what was set, in the order of the columns of ``settings``.
        responses: names of what was read.
        units: of the responses; empty where unknown.
        settings: of every run, encoded, (n, k).
        values: of every run, (n, d); logarithms of the responses that ``logs`` names.
        logs: responses that are learned and compared as logarithms.
    """

    factors: tuple[Factor, ...]
    responses: tuple[str, ...]
    units: tuple[str, ...]
    settings: Float[np.ndarray, "n k"]
    values: Float[np.ndarray, "n d"]
    logs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def grouped(self) -> tuple[Float[np.ndarray, "s k"], Int[np.ndarray, " n"]]:
        """Return the different settings, and of every run which of them it has."""
        different, which = np.unique(self.settings, axis=0, return_inverse=True)
        return different, which.reshape(-1)

    def sentence(self) -> str:
        """Say how many runs there are, and over which factors."""
        settings, which = self.grouped()
        counts = np.bincount(which)
        many = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
        factors = ", ".join(
            f"{one.name} ({len(one.labels)} labels)" if one.labels else one.name for one in self.factors
        )
        return (
            f"{len(self):,} runs at {len(settings)} settings of {factors}, {many} at each; responses "
            f"{', '.join(self.responses)}."
        )

    def rows(self, chosen: np.ndarray) -> Table:
        """Return the table of some runs."""
        return replace(self, settings=self.settings[chosen], values=self.values[chosen])

    def physical(self, values: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
        """Return responses in their units, logarithms undone."""
        undone = np.array([one in self.logs for one in self.responses])
        return np.where(undone, np.exp(np.where(undone, values, 0.0)), values)

    def encoded(self, levels: Mapping[str, object], count: int) -> Float[np.ndarray, "count k"]:
        """Return settings from levels by name, each one level for all runs or one for each of them.

        Raises:
            UserError: a factor is missing or unknown, or has another number of levels than runs.
        """
        names = [one.name for one in self.factors]
        for name in levels:
            if name not in names:
                hint = nearest(name, names) or f"; the factors are {', '.join(names)}."
                raise UserError(f"{name} is no factor of this table{hint}")
        columns = []
        for factor in self.factors:
            if factor.name not in levels:
                raise UserError(f"{factor.name} is not set: give a level of every factor ({', '.join(names)}).")
            given = np.asarray(levels[factor.name])
            if given.ndim > 1 or (given.ndim == 1 and len(given) != count):
                raise UserError(f"{factor.name} must be one level, or one for each of the {count} runs.")
            columns.append(factor.encoded(np.broadcast_to(given, (count,))))
        return np.concatenate(columns, axis=1)

    def levels(self, settings: Float[np.ndarray, "n k"]) -> dict[str, np.ndarray]:
        """Return the levels of encoded settings by name: numbers, and of labels the place in `Factor.labels`."""
        found, start = {}, 0
        for factor in self.factors:
            part = settings[:, start : start + factor.width]
            start += factor.width
            found[factor.name] = part @ np.arange(1.0, factor.width + 1) if factor.labels else part[:, 0]
        return found


def read_table(path: str | Path, factors: Sequence[str], responses: Sequence[str], logs: Sequence[str] = ()) -> Table:
    """Read the runs of a file.

    Args:
        path: of the file.
        factors: names of the columns that were set.
        responses: names of the columns that were read.
        logs: responses that are learned and compared as logarithms.

    Raises:
        UserError: a column is missing, has another length, a value that is missing or no number, or one value
            throughout; a response has no logarithm; or no setting was measured twice; or there are too few settings
            to hold some out.
    """
    contents = read(path)
    if not factors or not responses:
        columns = ", ".join(name for name, one in contents.variables.items() if len(one.shape) == 1)
        what = "factors" if not factors else "responses"
        raise UserError(f"--system.{what} is not given: say which columns of {Path(path).name} they are ({columns}).")
    if both := sorted(set(factors) & set(responses)):
        raise UserError(f"{both[0]} is a factor and a response: a column can be one of them.")
    if others := [one for one in logs if one not in responses]:
        raise UserError(f"--system.logs {others[0]} is no response; they are {', '.join(responses)}.")
    chosen = [_column(contents, name) for name in (*factors, *responses)]
    length = chosen[0].shape[0]
    for one in chosen:
        if one.shape[0] != length:
            raise UserError(
                f"{one.name} has {one.shape[0]} values and {chosen[0].name} has {length}: a run needs one of each."
            )
    made = [_factor(one) for one in chosen[: len(factors)]]
    settings = np.concatenate([factor.encoded(levels) for factor, levels in made], axis=1)
    values = np.stack([_response(one, one.name in logs) for one in chosen[len(factors) :]], axis=1)
    units = tuple(one.units for one in chosen[len(factors) :])
    table = Table(tuple(factor for factor, _ in made), tuple(responses), units, settings, values, tuple(logs))
    different, which = table.grouped()
    if len(different) < LEAST_SETTINGS:
        raise UserError(
            f"{Path(path).name} has {len(different)} settings of {', '.join(factors)}: at least {LEAST_SETTINGS} are "
            "needed, so that some can be held out."
        )
    if np.bincount(which).max() < 2:
        raise UserError(
            f"{Path(path).name} has one run for each setting of {', '.join(factors)}: without replicates nothing says "
            "how runs at one setting differ; measure some settings again, or leave out a factor that numbers the runs."
        )
    return table


def _column(contents: Contents, name: str) -> Variable:
    columns = [key for key, one in contents.variables.items() if len(one.shape) == 1]
    if name not in columns:
        hint = nearest(name, columns) or f"; the columns are {', '.join(columns) or 'none'}."
        raise UserError(f"{contents.path.name} has no column {name}{hint}")
    return contents.variables[name]


def _factor(column: Variable) -> tuple[Factor, Sequence[object] | np.ndarray]:
    """Return a factor and its level in every run."""
    if column.numeric:
        numbers = _numbers(column)
        if (numbers == numbers[0]).all():
            raise UserError(f"the factor {column.name} has one level, {numbers[0]:g}, in all runs: leave it out.")
        return Factor(column.name, (), column.units), numbers
    raw = column.read(slice(None))
    texts = [(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)).strip() for one in raw]
    if empty := [row for row, text in enumerate(texts, 1) if not text]:
        raise UserError(f"the factor {column.name} is missing in run {empty[0]} ({len(empty)} in all): fill it.")
    labels = tuple(sorted(set(texts)))
    if len(labels) == 1:
        raise UserError(f"the factor {column.name} has one level, {labels[0]}, in all runs: leave it out.")
    if len(labels) > MOST_LABELS:
        raise UserError(
            f"the factor {column.name} has {len(labels)} labels, such as {labels[0]!r} and {labels[1]!r}; at most "
            f"{MOST_LABELS} are taken. If it holds numbers, one of them is misspelt; if it numbers the runs, leave it "
            "out."
        )
    return Factor(column.name, labels), texts


def _response(column: Variable, log: bool) -> Float[np.ndarray, " n"]:
    if not column.numeric:
        raw = [str(one) for one in column.read(slice(None))]
        place, text = next((row, one) for row, one in enumerate(raw, 1) if not _is_number(one))
        raise UserError(f"the response {column.name} has {text!r} in run {place}: responses must be numbers.")
    numbers = _numbers(column)
    if (numbers == numbers[0]).all():
        raise UserError(f"the response {column.name} is {numbers[0]:g} in all runs: there is nothing to learn.")
    if log and (numbers <= 0).any():
        row = int(np.argmax(numbers <= 0))
        raise UserError(
            f"--system.logs {column.name}: it is {numbers[row]:g} in run {row + 1}, which has no logarithm."
        )
    return np.log(numbers) if log else numbers


def _numbers(column: Variable) -> Float[np.ndarray, " n"]:
    values = column.values()
    lacking = np.flatnonzero(~np.isfinite(values))
    if len(lacking):
        raise UserError(
            f"{column.name} is missing or not finite in run {lacking[0] + 1} ({len(lacking)} in all): fill it, or "
            "leave these runs out."
        )
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def split_by_setting(
    table: Table, shares: tuple[float, float, float], seed: int
) -> tuple[Int[np.ndarray, " a"], Int[np.ndarray, " b"], Int[np.ndarray, " c"]]:
    """Return the runs for training, validation and test: whole settings, drawn at random.

    The test has settings with replicates alone, at least two; the validation has at least one setting.

    Raises:
        UserError: fewer than two settings with replicates could be held out.
    """
    _, which = table.grouped()
    counts = np.bincount(which)
    order = np.random.default_rng((seed, 51)).permutation(len(counts))
    total = sum(shares)
    held = max(2, round(len(counts) * shares[2] / total))
    checked = max(1, round(len(counts) * shares[1] / total))
    test = [one for one in order if counts[one] >= 2][:held]
    rest = [one for one in order if one not in set(test)]
    if len(test) < 2 or len(rest) <= checked:
        raise UserError(
            f"{len(counts)} settings, {int((counts >= 2).sum())} of them with replicates, leave too few to hold two "
            "with replicates out: measure more settings again."
        )
    parts = (rest[checked:], rest[:checked], test)
    train, validation, tested = (np.flatnonzero(np.isin(which, part)) for part in parts)
    return train, validation, tested
