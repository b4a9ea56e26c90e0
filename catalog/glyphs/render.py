"""Which characters look alike when they are printed: makes ``rendered.csv`` from fonts.

    python catalog/glyphs/render.py FONT [FONT ...]

Each character of ``lookalike.txt`` is drawn in every font (the first face for simplified Chinese of a collection), blurred, and compared with all others by
correlation, the mean over the fonts. Needs Pillow; nothing else here does, the result is carried.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

FOLDER = Path(__file__).parent
ALIKE, NEAR = 0.90, 0.82  # correlation; of two characters at random it is 0.61, and 1 of 1,000 pairs is above 0.85
MOST = 40  # characters that are named for one
_SIZE, _BLUR = 40, 1.6  # pixels
_SIMPLIFIED = "SC"


def drawn(characters: list[str], font: Path) -> NDArray[np.float32]:
    """One row for each character: its picture as a vector of length 1 around 0."""
    face = next(f for n in range(10) if _SIMPLIFIED in str((f := ImageFont.truetype(str(font), _SIZE, index=n)).getname()[0]))
    found = np.empty((len(characters), (_SIZE + 8) ** 2), np.float32)
    for row, character in enumerate(characters):
        image = Image.new("L", (_SIZE + 8, _SIZE + 8))
        ImageDraw.Draw(image).text((4, -6), character, font=face, fill=255)
        picture = gaussian_filter(np.asarray(image, np.float32), _BLUR)
        picture -= picture.mean()
        found[row] = (picture / np.linalg.norm(picture)).ravel()
    return found


def main(fonts: list[Path]) -> None:
    characters = [line[0] for line in (FOLDER / "lookalike.txt").read_text("utf-8").splitlines()]
    pictures = [drawn(characters, font) for font in fonts]
    with (FOLDER / "rendered.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("character", "alike", "near"))
        for row, character in enumerate(characters):
            likeness = np.mean([p @ p[row] for p in pictures], axis=0)
            likeness[row] = 0
            nearest = [n for n in np.argsort(-likeness)[:MOST].tolist() if likeness[n] >= NEAR]
            alike = [characters[n] for n in nearest if likeness[n] >= ALIKE]
            rows.writerow((character, "".join(alike), "".join(characters[n] for n in nearest[len(alike) :])))


if __name__ == "__main__":
    main([Path(a) for a in sys.argv[1:]])
