"""Checksums of the files of a folder, kept beside them, so that a file that has changed since is noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

CHECKSUMS = "checksums.json"


def write_checksums(folder: Path, *, without: tuple[str, ...] = ()) -> None:
    """Write the checksum of every file below a folder into its ``checksums.json``.

    Args:
        folder: whose files are complete; not read by anybody else before it is renamed, since the file is not written
            atomically.
        without: names of files in the folder itself that may still change.
    """
    found = {
        file.relative_to(folder).as_posix(): _checksum(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not (file.parent == folder and file.name in (CHECKSUMS, *without))
    }
    (folder / CHECKSUMS).write_text(json.dumps(found, indent=1))


def damage(folder: Path) -> str | None:
    """Say in a few words what has changed in a folder since its checksums were written; None for nothing.

    A folder without checksums passes: older versions wrote none.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return None
    try:
        expected = json.loads(path.read_text())
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        return f"{CHECKSUMS} cannot be read"
    for name, checksum in expected.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if _checksum(file) != checksum:
            return f"{name} has changed since it was written"
    return None


def _checksum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
