"""Pictures as SVG, without a script: what a table is made of and used by, and the course of a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _GAP, _APART = 208, 30, 8, 64  # of a box; between boxes; between columns
MOST = 14  # boxes of a column that are drawn; the rest is counted
_LETTERS = 14  # of a box


@dataclass(frozen=True)
class Box:
    """``kind``: the class by which it is coloured. ``address``: None where there is no page."""

    title: str
    says: str
    kind: str
    address: str | None = None


def neighbours(sources: Sequence[Box], here: Box, users: Sequence[Box]) -> Markup:
    """What something is made from (left) and what is made of it (right), tied by lines."""
    columns = [_fitting(sources), [here], _fitting(users)]
    shown = [(i, column) for i, column in enumerate(columns) if column]
    height = max(len(column) for _, column in shown) * (_HEIGHT + _GAP) + _GAP
    width = len(shown) * _WIDTH + (len(shown) - 1) * _APART
    parts: list[str] = []
    tops: dict[tuple[int, int], tuple[int, float]] = {}
    for place, (index, column) in enumerate(shown):
        top = (height - len(column) * (_HEIGHT + _GAP) + _GAP) / 2
        for row, _ in enumerate(column):
            tops[index, row] = (place * (_WIDTH + _APART), top + row * (_HEIGHT + _GAP))
    for index, row in tops:
        if index != 1:
            a, b = ((index, row), (1, 0)) if index == 0 else ((1, 0), (index, row))
            (x1, y1), (x2, y2) = tops[a], tops[b]
            x1, y1, y2, half = x1 + _WIDTH, y1 + _HEIGHT / 2, y2 + _HEIGHT / 2, _APART / 2
            parts.append(f'<path class="edge" d="M{x1},{y1:g} C{x1 + half:g},{y1:g} {x2 - half:g},{y2:g} {x2},{y2:g}"/>')
    for (index, row), (x, y) in tops.items():
        parts.append(_box(columns[index][row], x, y))
    title = escape(f"{here.title}：左边是来源，右边是去向")
    return Markup(  # noqa: S704 - all texts are escaped
        f'<svg class="lineage" viewBox="-2 -2 {width + 4:g} {height + 4:g}" width="{width + 4:g}" height="{height + 4:g}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg>"
    )


def _fitting(boxes: Sequence[Box]) -> list[Box]:
    if len(boxes) <= MOST:
        return list(boxes)
    return [*boxes[: MOST - 1], Box(f"另有 {len(boxes) - MOST + 1} 个，见下表", "", "more")]


def _box(box: Box, x: float, y: float) -> str:
    text = box.title if len(box.title) <= _LETTERS else box.title[: _LETTERS - 1] + "…"
    drawn = (
        f'<g class="box {escape(box.kind)}"><title>{escape(f"{box.title} {box.says}".strip())}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x + 10:g}" y="{y + _HEIGHT / 2 + 4.5:g}">{escape(text)}</text></g>'
    )
    return f'<a href="{escape(box.address)}">{drawn}</a>' if box.address else drawn


def course(values: Sequence[float], low: float | None = None, width: int = 160, height: int = 36) -> Markup:
    """A line of values from left to right, the last one marked. ``low``: the lowest value of the scale; None: a little below the smallest."""
    if len(values) < 2:
        return Markup("")
    least = min(values) if low is None else low
    span = max(max(values) - least, 1e-9)
    points = [(3 + i * (width - 6) / (len(values) - 1), 3 + (height - 6) * (1 - (v - least) / span)) for i, v in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    says = escape(f"由 {values[0]:g} 到 {values[-1]:g}，最低 {min(values):g}，最高 {max(values):g}")
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="course" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{says}"><title>{says}</title>'
        f'<polyline points="{line}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )
