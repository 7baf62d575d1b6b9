"""Energy that the devices report: counters of the processor, or the power of the accelerators.

Nothing is estimated: where no device reports, there is no energy.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

COUNTERS = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of a processor's packages."""
_EVERY = 0.2
"""Seconds between two looks at the power of accelerators."""


class Meter:
    """A context that measures the energy spent within it.

    Args:
        platform: of the devices, as jax names it.
        counters: folder of the processor's counters.

    Attributes:
        joules: spent; None where nothing reports.
        source: what reported.
    """

    def __init__(self, platform: str, counters: Path = COUNTERS):
        self._platform = platform
        # Names with one colon are packages, those with two are parts of them.
        found = sorted(counters.glob("intel-rapl:*")) if platform == "cpu" and counters.is_dir() else []
        self._packages = [one for one in found if one.name.count(":") == 1]
        self.joules: float | None = None
        self.source = ""

    def __enter__(self) -> Meter:
        self._began = time.monotonic()
        self._before = _counted(self._packages)
        self._ending, self._powers = threading.Event(), list[float]()
        self._thread: threading.Thread | None = None
        if self._platform in ("gpu", "cuda") and shutil.which("nvidia-smi"):
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ending.is_set():
            if (power := accelerator_power()) is not None:
                self._powers.append(power)
            self._ending.wait(_EVERY)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        spent = time.monotonic() - self._began
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            if self._powers:
                self.joules = spent * sum(self._powers) / len(self._powers)
                self.source = "power of all accelerators of the host (nvidia-smi)"
        after = _counted(self._packages)
        if self._before is not None and after is not None and self._packages:
            self.joules = sum(_difference(*one) for one in zip(self._before, after, self._packages))
            self.source = "energy counters of the processor (RAPL)"


def accelerator_power() -> float | None:
    """Return the power of all accelerators of this host in watts, or None where they do not say."""
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        return sum(float(line) for line in answer.splitlines() if line.strip())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _counted(packages: list[Path]) -> list[int] | None:
    """Read the counters in microjoules; None where they may not be read."""
    try:
        return [int((one / "energy_uj").read_text()) for one in packages]
    except (OSError, ValueError):
        return None


def _difference(before: int, after: int, package: Path) -> float:
    """Return the joules between two readings of a counter that starts again from zero at its largest value."""
    if after < before:
        try:
            after += int((package / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            return 0.0
    return (after - before) * 1e-6
