"""The numbers of ``metrics.jsonl`` as TensorBoard's event files too, for who watches trainings there."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import UserError

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

FOLDER = "tensorboard"
"""Folder of a run in which the event files lie."""


class Events:
    """Writes the logged lines of one training, those of a resumed one after those that went before.

    Args:
        run: folder of the run.

    Raises:
        UserError: the package tensorboardX is not installed.
    """

    def __init__(self, run: Path):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UserError(
                "--tensorboard needs the package tensorboardX: install it by `pip install tensorboardX`, or leave the "
                "option out; metrics.jsonl has the same numbers."
            ) from None
        self._kind, self._folder = SummaryWriter, run / FOLDER
        self._writer: SummaryWriter | None = None

    def __call__(self, step: int, steps: int, line: Mapping[str, object]) -> None:
        """Write the numbers of a line of ``metrics.jsonl``."""
        if self._writer is None:
            # What an earlier process wrote from this step on was not checkpointed, and is run again.
            self._writer = self._kind(str(self._folder), purge_step=step, flush_secs=10, filename_suffix=f".{step}")
        for name, value in line.items():
            if isinstance(value, Real) and name != "step":
                self._writer.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
