"""Where a run comes from: versions, devices, machine, git commit."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

_PACKAGES = (
    "solvergan",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "diffrax",
    "equinox",
    "lineax",
    "numpy",
    "scipy",
)


def provenance() -> dict[str, object]:
    """Versions, devices and git commit, as far as they can be found."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    import jax

    devices = jax.devices()
    return {
        "versions": versions,
        "devices": {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)},
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "git": _git_commit(),
    }


def _git_commit() -> str | None:
    """The commit of the code, with ``+changes`` where files differ from it; None outside a git checkout."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return answer.stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no", "--", str(root))
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return None
