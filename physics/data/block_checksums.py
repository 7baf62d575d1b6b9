"""Checksums of large files, block by block, so that a file can be checked without reading all of it."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_BLOCK = 2**20
_MOST_BLOCKS = 1024
_SAMPLED = 16


def block_checksums(path: Path) -> dict[str, int | str]:
    """The CRC-32 of every block of a file, and the size of a block in bytes: 1 MiB, more past 1 GiB."""
    block = _BLOCK * max(1, -(-path.stat().st_size // (_BLOCK * _MOST_BLOCKS)))
    with path.open("rb") as file:
        found = [f"{zlib.crc32(content):08x}" for content in iter(lambda: file.read(block), b"")]
    return {"block": block, "crc32": " ".join(found)}


def is_unchanged(path: Path, checksums: Mapping[str, Any]) -> bool:
    """Whether blocks of a file still have their checksums: all of up to 16, else the first, the last and 14 at random.

    Arguments:
        path: of the file.
        checksums: of `block_checksums`.
    """
    block, expected = checksums["block"], checksums["crc32"].split()
    numbers = np.arange(len(expected))
    if len(numbers) > _SAMPLED:
        # Another choice at every opening, so that damage is found sooner or later.
        inner = np.random.default_rng().choice(numbers[1:-1], _SAMPLED - 2, replace=False)
        numbers = np.sort(np.concatenate([numbers[:1], inner, numbers[-1:]]))
    with path.open("rb") as file:
        for number in numbers.tolist():
            file.seek(number * block)
            if f"{zlib.crc32(file.read(block)):08x}" != expected[number]:
                return False
    return True
