"""Great Expectations' own pages about the last run's gates, served without anything from outside.

They are made for a browser that may load scripts, fonts and a counting picture from half a dozen hosts. Here the pages lose all of that, and take their
looks from Bootstrap as the catalog has it. What they say is left to the letter; they hold counts alone (`expectations.gate`).
"""

from __future__ import annotations

import re
from pathlib import Path

LAYERS = ("silver", "gold")
# Their style stands in the pages; there is no script.
POLICY = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
_SCRIPT = re.compile(r"<script\b.*?</script>", re.S | re.I)
_OUTSIDE = re.compile(r"<(?:link|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"'](?:https?:)?//[^>]*>", re.S | re.I)
_HANDLER = re.compile(r"\son[a-z]+\s*=\s*(\"[^\"]*\"|'[^']*')", re.I)
_LOOKS = '<link rel="stylesheet" href="/bootstrap/static/css/bootstrap.min.css"><link rel="stylesheet" href="/door/data_docs.css">'
_WAY_BACK = '<body>\n<p class="way-back"><a href="/">信息资源目录</a> › 质量关口（最近一次运行）　<a href="/gates/silver/">标准层</a>　<a href="/gates/gold/">主题层</a></p>'


def cleaned(text: str) -> str:
    """A page of Great Expectations without scripts and without anything from another host."""
    text = _HANDLER.sub("", _OUTSIDE.sub("", _SCRIPT.sub("", text)))
    return text.replace("</head>", f"{_LOOKS}</head>", 1).replace("<body>", _WAY_BACK, 1)


def page(folder: Path, path: str) -> str | None:
    """The page at ``path`` below the folder of a layer's Data Docs; None if there is none."""
    file = (folder / (path or "index.html")).resolve()
    if not file.is_relative_to(folder.resolve()) or file.suffix != ".html" or not file.is_file():
        return None
    return cleaned(file.read_text(encoding="utf-8"))
