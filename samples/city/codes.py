"""Credit codes (GB 32100-2015) with both check digits, in ranges that no office has issued."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_LETTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_OUTER = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])
_INNER = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_SPACE = 31**6  # organisation parts that begin with the mark
_STEP = 2_654_435_761  # no multiple of 31, so that each number has a part of its own
MARK = "YC"  # made-up codes begin their organisation part so; up to 2026 none has been seen in the register


def credit_codes(kind: np.ndarray, area: np.ndarray, number: np.ndarray, shift: int) -> pa.Array:
    """Codes of 18 characters.

    ``kind``: the first two digits as a number (91 enterprise, 92 sole trader, 93 cooperative). ``area``: six digits as a number.
    ``number``: below 31^6, another one for each code. ``shift``: turns the order of numbers into another one.
    """
    rows = len(number)
    text = np.empty((rows, 18), dtype=np.uint8)
    text[:, 0], text[:, 1] = 48 + kind // 10, 48 + kind % 10
    for place in range(6):
        text[:, 2 + place] = 48 + (area // 10 ** (5 - place)) % 10
    text[:, 8], text[:, 9] = (ord(c) for c in MARK)
    rest = (number.astype(np.uint64) * np.uint64(_STEP) + np.uint64(shift)) % np.uint64(_SPACE)
    for place in range(6):
        text[:, 15 - place] = _LETTERS[(rest % np.uint64(31)).astype(np.int64)]
        rest //= np.uint64(31)
    inner = 11 - (_value(text[:, 8:16]) * _INNER).sum(axis=1) % 11
    text[:, 16] = np.where(inner == 10, ord("X"), np.where(inner == 11, ord("0"), 48 + inner % 10))
    places = np.zeros(128, dtype=np.int64)
    places[_LETTERS] = np.arange(31)
    text[:, 17] = _LETTERS[(31 - (places[text[:, :17]] * _OUTER).sum(axis=1) % 31) % 31]
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(np.arange(0, 18 * (rows + 1), 18, dtype=np.int32)), pa.py_buffer(text)])


def _value(text: np.ndarray) -> np.ndarray:
    """Characters as GB 11714-1997 counts them: digits as they are, A as 10 to Z as 35."""
    return np.where(text < 65, text.astype(np.int64) - 48, text.astype(np.int64) - 55)
