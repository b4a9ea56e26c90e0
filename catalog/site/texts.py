"""Texts for pages: definition pages from Markdown, statements to paste, sizes and times in words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from catalog.contract import Contract
from catalog.derive import READ_CATALOG, view_columns

CHINA = dt.timezone(dt.timedelta(hours=8))
_NAMED = re.compile(r"docs/([a-z_/-]+)\.zh\.md")


def markdown(text: str, link: Callable[[str], str | None]) -> Markup:
    """A document of ours as HTML. ``link``: the address of what a relative link names, None where the site has no such page: its words stay.

    Markup in the text is shown, not obeyed.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        dead: list[bool] = []
        for child in token.children or ():
            if child.type == "link_open":
                href = str(child.attrs.get("href", ""))
                target = href if href.startswith(("https://", "#")) else link(href)
                dead.append(target is None)
                child.attrs = {"href": target} if target else {}
                child.tag = "a" if target else "span"
            elif child.type == "link_close":
                child.tag = "span" if dead.pop() else "a"
            elif child.type == "image":
                child.type, child.tag, child.children = "text", "", None
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - the parser escapes


def documents(text: str) -> list[str]:
    """The documents that a text names (``docs/how-to/feeds.zh.md``), by key (``how-to-feeds``)."""
    return [name.replace("/", "-") for name in _NAMED.findall(text)]


def linked(text: str, address: Callable[[str], tuple[str, str] | None]) -> Markup:
    """A text in which the documents that it names are links. ``address``: of a document's key, its address and title."""
    parts, last = [], 0
    for found in _NAMED.finditer(text):
        parts.append(escape(text[last : found.start()]))
        if (page := address(found[1].replace("/", "-"))) is None:
            parts.append(escape(found[0]))
        else:
            parts.append(Markup('<a href="{}">《{}》</a>').format(*page))
        last = found.end()
    return Markup("").join([*parts, escape(text[last:])])


def statement(contract: Contract, most: int = 100) -> str:
    """SQL for Trino that shows a table under its Chinese names; bronze has no readers' view and gives nothing."""
    if contract.layer == "bronze":
        return ""
    columns = ",\n".join(f'    {c.name} AS "{c.chinese}"' for c in view_columns(contract))
    return f"SELECT\n{columns}\nFROM {READ_CATALOG}.{contract.layer}.{contract.name}\nLIMIT {most}"


def size(number: int) -> str:
    """Bytes in the unit that reads best."""
    value = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def moment(at: dt.datetime) -> str:
    """A moment as people in Beijing read it."""
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"
