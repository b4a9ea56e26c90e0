"""A map of the city's districts as a template of a Handlebars chart: drawn from the outlines in ``catalog/maps``, so that no tile comes from outside.

Pure: outlines in, text out. What the map shows is a chart's metrics: one gives the shade of each district (0 to 4), the other the words under its name.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.settings import REPO

OUTLINES = REPO / "catalog" / "maps" / "guangzhou_districts.geojson"
WIDTH, HEIGHT = 640, 620
SHADES = ("#EAF2FA", "#C6DDF0", "#94C1E2", "#5B9BCB", "#2A6FA8")  # from the fewest to the most; the last is still told from the lines around it
DARK = 3  # from this shade on letters are white
TOLERANCE = 0.9  # how far a line may be from the outline, in units of the drawing
MOVED = {
    "越秀区": (0, -8),
    "荔湾区": (-16, 6),
    "海珠区": (6, 10),
    "天河区": (12, -2),
}  # names that would lie on each other, of small districts side by side

Point = tuple[float, float]


def template(shade: str, said: str, legend: str) -> str:
    """The chart's template. ``shade`` and ``said``: names of its columns; ``legend``: what few and many mean.

    A district of which no row of the chart tells is white and nameless.
    """
    shapes, names = "", ""
    for district in _districts():
        begin, end = "{{#each data}}{{#if (eq this.district_name '" + district.name + "')}}", "{{/if}}{{/each}}"
        fill = "".join(f"{{{{#if (eq this.{shade} {n})}}}}{colour}{{{{/if}}}}" for n, colour in enumerate(SHADES))
        letters = f"{{{{#if (gte this.{shade} {DARK})}}}}#FFFFFF{{{{else}}}}#1F2D3D{{{{/if}}}}"
        shapes += f'<path d="{district.outline}" fill="{begin}{fill}{end}" stroke="#8FA3B5" stroke-width="1"></path>'
        names += begin + _text(district, 0, 13, letters, district.name[:-1]) + _text(district, 15, 12, letters, f"{{{{this.{said}}}}}") + end
    key = "".join(f'<rect x="{24 + 30 * n}" y="{HEIGHT - 34}" width="30" height="12" fill="{colour}"></rect>' for n, colour in enumerate(SHADES))
    # One line without a blank one: else the text around it is taken for Markdown.
    return (
        f'<div class="districts"><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="100%" role="img">{shapes}{names}{key}'
        f'<text x="24" y="{HEIGHT - 6}" font-size="13" fill="#444">{legend}</text></svg></div>'
    )


def _text(district: District, below: int, size: int, colour: str, said: str) -> str:
    return f'<text x="{district.x:.0f}" y="{district.y + below:.0f}" text-anchor="middle" font-size="{size}" fill="{colour}">{said}</text>'


@dataclass(frozen=True)
class District:
    """A district in units of the drawing: the ``outline`` as an SVG path, and where its name stands."""

    name: str
    outline: str
    x: float
    y: float


@functools.cache
def _districts() -> tuple[District, ...]:
    features = json.loads(OUTLINES.read_text(encoding="utf-8"))["features"]
    place = _projection(p for f in features for ring in _rings(f) for p in ring)
    found = []
    for feature in features:
        name = feature["properties"]["name"]
        outline = "".join("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in simplified([place(p) for p in ring])) + "Z" for ring in _rings(feature))
        (x, y), (right, down) = place(feature["properties"]["cp"]), MOVED.get(name, (0, 0))
        found.append(District(name, outline, x + right, y + down))
    return tuple(found)


def _rings(feature: dict[str, Any]) -> list[list[Sequence[float]]]:
    coordinates = feature["geometry"]["coordinates"]
    polygons = coordinates if feature["geometry"]["type"] == "MultiPolygon" else [coordinates]
    return [polygon[0] for polygon in polygons]


def _projection(points: Iterable[Sequence[float]]) -> Any:
    """Degrees to units of the drawing: at this size a plane, degrees of longitude shortened as at the middle."""
    lons, lats = zip(*((p[0], p[1]) for p in points), strict=True)
    squeeze = math.cos(math.radians((min(lats) + max(lats)) / 2))
    scale = min((WIDTH - 40) / ((max(lons) - min(lons)) * squeeze), (HEIGHT - 80) / (max(lats) - min(lats)))
    left = (WIDTH - (max(lons) - min(lons)) * squeeze * scale) / 2
    return lambda p: (left + (p[0] - min(lons)) * squeeze * scale, 16 + (max(lats) - p[1]) * scale)


def simplified(line: list[Point], tolerance: float = TOLERANCE) -> list[Point]:
    """The line with as few of its points as leave none further than ``tolerance`` away (Douglas, Peucker 1973)."""
    if len(line) < 3:
        return line
    (x0, y0), (x1, y1) = line[0], line[-1]
    length = math.hypot(x1 - x0, y1 - y0)
    away = [abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length if length > 1e-9 else math.hypot(x - x0, y - y0) for x, y in line[1:-1]]
    furthest = max(range(len(away)), key=lambda n: away[n])
    if away[furthest] <= tolerance:
        return [line[0], line[-1]]
    middle = furthest + 1
    return simplified(line[: middle + 1], tolerance)[:-1] + simplified(line[middle:], tolerance)
