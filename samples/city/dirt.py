"""Damage in realistic kinds and shares, each noted: what was there, what is there now, and whether a rule can see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.feeds import Feed
from samples.city.parameters import Parameters

# kind: can a rule see it? (a harmless one must not be set aside)
KINDS = {
    "shifted": "visible", "lost_cell": "visible", "code_typo": "visible", "date_impossible": "visible", "name_missing": "visible",
    "amount_unreadable": "visible", "name_typo": "invisible", "full_width": "harmless",
}  # fmt: skip
LOST = "\x00"  # a cell that is left out when the line is written
_IMPOSSIBLE = ("2023-02-30", "2024-13-05", "0000-00-00", "2025-04-31")
_WIDE = str.maketrans("0123456789()", "０１２３４５６７８９（）")


def soil(
    p: Parameters, feed: Feed, columns: Mapping[str, pa.Array], g: np.random.Generator
) -> tuple[dict[str, pa.Array], list[tuple[int, str, str, str, str]]]:
    """The columns with their damage; and the damage: row, kind, header, original, what stands there now. One to a row at most."""
    rows = len(next(iter(columns.values()))) if columns else 0
    kinds = [k for k in KINDS if _header(feed, k) is not None]
    ends = np.cumsum([p.rate(f"dirt.{k}") for k in kinds])
    chosen = np.searchsorted(ends, g.random(rows), side="right")
    out, noted = dict(columns), []
    for number, kind in enumerate(kinds):
        places = np.flatnonzero(chosen == number)
        if not len(places):
            continue
        header = _header(feed, kind) or ""
        if kind == "shifted":
            # The first cell is lost and all others move one column to the left.
            before = columns[feed.headers[0]].take(pa.array(places)).to_pylist()
            for here, following in zip(feed.headers, [*feed.headers[1:], None], strict=True):
                moved = columns[following].take(pa.array(places)) if following else pa.array([""] * len(places))
                out[here] = _put(out[here], places, moved)
            noted += [(int(row), kind, header, text, "") for row, text in zip(places, before, strict=True)]
            continue
        before = columns[header].take(pa.array(places)).to_pylist()
        after = [_CHANGE[kind](text, g) for text in before]
        out[header] = _put(out[header], places, pa.array(after, pa.string()))
        noted += [(int(row), kind, header, old, new) for row, old, new in zip(places, before, after, strict=True) if old != new]
    return out, noted


def _header(feed: Feed, kind: str) -> str | None:
    """The column that a kind of damage falls on; None where the feed has none."""
    if kind == "shifted":
        return feed.headers[0] if feed.form != "json" and len(feed.headers) > 4 else None
    if kind == "lost_cell":
        return feed.headers[2] if feed.form in ("csv", "gb18030", "gz") and len(feed.headers) > 4 else None
    return {
        "code_typo": feed.code,
        "full_width": feed.code,
        "date_impossible": feed.date,
        "name_missing": feed.name_column,
        "name_typo": feed.name_column,
        "amount_unreadable": feed.amount,
    }[kind] or None


def _put(column: pa.Array, places: np.ndarray, values: pa.Array) -> pa.Array:
    mask = np.zeros(len(column), bool)
    mask[places] = True
    return pc.replace_with_mask(column, pa.array(mask), values)


def _code_typo(text: str, g: np.random.Generator) -> str:
    if len(text) != 18:
        return text
    place = int(g.integers(9, 16))
    other = "0123456789ABCDEFGHJKLMNPQRTUWXY".replace(text[place], "")
    return text[:place] + other[int(g.integers(0, 30))] + text[place + 1 :]


def _name_typo(text: str, g: np.random.Generator) -> str:
    if len(text) < 6:
        return text
    place = int(g.integers(2, len(text) - 3))
    return text[:place] + "之伟明和新大"[int(g.integers(0, 6))] + text[place + 1 :]


_CHANGE: dict[str, Callable[[str, np.random.Generator], str]] = {
    "lost_cell": lambda text, g: LOST,
    "code_typo": _code_typo,
    "date_impossible": lambda text, g: _IMPOSSIBLE[int(g.integers(0, len(_IMPOSSIBLE)))] if text else text,
    "name_missing": lambda text, g: "N/A",
    "amount_unreadable": lambda text, g: "约百万" if text not in ("", "N/A") else text,
    "name_typo": _name_typo,
    "full_width": lambda text, g: text.translate(_WIDE),
}


def wrong_first(
    feed: Feed, columns: Mapping[str, pa.Array], g: np.random.Generator
) -> tuple[dict[str, pa.Array], list[tuple[int, str, str, str, str]]]:
    """How a delivery looks that will be corrected: in one row of five, and in one at least, an amount ten thousand times too large, or a name
    that has lost its end. Also what was done, as `soil` tells it."""
    header = feed.amount or feed.name_column or feed.headers[-1]
    rows = len(columns[header])
    places = np.union1d(np.flatnonzero(g.random(rows) < 0.2), [int(g.integers(0, rows))])
    before = columns[header].take(pa.array(places)).to_pylist()
    after = [re.sub(r"^\d+", lambda number: str(number[0]) + "0000", text, count=1) if feed.amount else text[:-2] for text in before]
    noted = [(int(row), "draft", header, old, new) for row, old, new in zip(places, before, after, strict=True) if old != new]
    return {**columns, header: _put(columns[header], places, pa.array(after, pa.string()))}, noted
