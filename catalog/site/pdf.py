"""Monthly reports as PDF files to read and to print: A4, fonts embedded, the same bytes for the same contents."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pylopdf_fonts_zh_cn as chinese_fonts
import typst

from catalog.site import monthly, texts
from catalog.site.status import Status

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
log = logging.getLogger("catalog")


def prints(status: Status, grades: Mapping[str, str]) -> dict[tuple[str, str], bytes]:
    """The files of all reports, by their addresses (`monthly.address`). ``grades``: what they are called, by code.

    A report that can't be set is left out, and the log says why: the site is worth more than one file of it.
    """
    compiler = _compiler()
    made = {}
    for report in status.reports:
        try:
            made[monthly.address(report)] = render(compiler, monthly.told(report, grades), _source(status))
        except typst.TypstError as error:
            log.warning("no PDF of %s: %s", "/".join(monthly.address(report)), error)
    return made


def render(compiler: typst.Compiler, told: monthly.Told, source: str) -> bytes:
    """A report as PDF. ``source``: of which release it is, for the foot of each page.

    The template gets it as data: nothing in it is read as markup.

    Raises:
        typst.TypstError: the template can't be set.
    """
    contents = json.dumps(asdict(told) | {"source": source}, ensure_ascii=False)
    done = compiler.compile(format="pdf", sys_inputs={"report": contents}, timestamp=0)
    assert isinstance(done, bytes)
    return done


def _compiler() -> typst.Compiler:
    """One for all reports: fonts and template are read once. Fonts of the machine are left out, lest files differ between machines."""
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[chinese_fonts.sans_path().parent])
    return typst.Compiler(TEMPLATE, font_paths=fonts)


def _source(status: Status) -> str:
    if status.release_id is None or status.published_at is None:
        return ""
    return f"发布 {status.release_id}（{texts.moment(status.published_at)}），数据截至 {status.as_of or '—'}"
