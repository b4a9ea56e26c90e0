"""Bytes that must survive a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy(source: BinaryIO, target: Path) -> tuple[str, int]:
    """Copy a content to a file, piece by piece, so that a power cut can't take it; return its digest (SHA-256, hex) and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        while block := source.read(2**20):
            digest.update(block)
            size += len(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def digest_of(path: Path) -> str:
    """Make a file that was written durable; return the SHA-256 of its content (hex)."""
    sync(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
