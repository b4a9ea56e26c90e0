"""A map of the city's districts as a picture: drawn from the outlines in ``catalog/maps``, so that no tile comes from outside.

Pure: what is to be shown of each district in, an SVG out, as an element that a table of a dashboard draws.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from infra.settings import REPO

OUTLINES = REPO / "catalog" / "maps" / "guangzhou_districts.geojson"
WIDTH, HEIGHT = 640, 620
SHOWN = 480  # pixels of its width in a table
SHADES = ("#EAF2FA", "#C6DDF0", "#94C1E2", "#5B9BCB", "#2A6FA8")  # from the fewest to the most; the last is still told from the lines around it
LIGHT = "#FFFFFF"
DARK = 3  # from this shade on letters are white
TOLERANCE = 0.9  # how far a line may be from the outline, in units of the drawing
# Names that would lie on each other, of small districts side by side.
MOVED = {"越秀区": (2, -12), "荔湾区": (-14, 4), "海珠区": (4, 2), "天河区": (4, -2)}

Point = tuple[float, float]


def picture(shown: Mapping[str, tuple[float, str]], legend: str) -> str:
    """The map as an ``img`` element. ``shown``: a value, by which a district is shaded, and what stands under its name, by the district's name.
    ``legend``: what is shown. A district of which nothing is told is white and nameless."""
    shade = shades({name: value for name, (value, _) in shown.items()})
    shapes, names = "", ""
    for d in _districts():
        n = shade.get(d.name)
        shapes += f'<path d="{d.outline}" fill="{LIGHT if n is None else SHADES[n]}" stroke="#8FA3B5"/>'
        if n is not None:
            letters = LIGHT if n >= DARK else "#1F2D3D"
            names += _text(d.x, d.y, 13, letters, d.name[:-1]) + _text(d.x, d.y + 15, 12, letters, shown[d.name][1])
    key = "".join(
        f'<rect x="{24 + 30 * n}" y="{HEIGHT - 40}" width="30" height="12" fill="{colour}" stroke="#8FA3B5"/>' for n, colour in enumerate(SHADES)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Noto Sans CJK SC, Microsoft YaHei, sans-serif">'
        f'{shapes}<g text-anchor="middle">{names}</g>{key}{_text(24, HEIGHT - 10, 13, "#444444", legend)}</svg>'
    )
    said = "；".join(f"{name} {text}" for name, (_, text) in shown.items())
    # The size is said, so that a table knows it before the picture is there.
    return f'<img alt="{escape(f"{legend}：{said}", quote=True)}" width="{SHOWN}" height="{SHOWN * HEIGHT // WIDTH}" src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'


def shades(values: Mapping[str, float]) -> dict[str, int]:
    """The place in ``SHADES`` of each district: fifths of their order, equal values in one."""
    order = sorted(set(values.values()))
    place = {value: sum(v < value for v in values.values()) for value in order}
    return {name: place[value] * len(SHADES) // len(values) for name, value in values.items()}


def _text(x: float, y: float, size: int, colour: str, said: str) -> str:
    # Dark letters that reach over a dark neighbour are still read.
    around = "" if colour == LIGHT else f' stroke="{LIGHT}" stroke-width="2.5" stroke-linejoin="round" paint-order="stroke"'
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{around}>{escape(said)}</text>'


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
        (x, y), (right, down) = _middle([place(p) for p in max(_rings(feature), key=len)]), MOVED.get(name, (0, 0))
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


def _middle(ring: list[Point]) -> Point:
    """The centre of gravity of what a line encloses."""
    parts = [(x0 * y1 - x1 * y0, x0 + x1, y0 + y1) for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True)]
    area = sum(cross for cross, _, _ in parts)
    return sum(cross * x for cross, x, _ in parts) / (3 * area), sum(cross * y for cross, _, y in parts) / (3 * area)


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
