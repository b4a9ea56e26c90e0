"""Write the site as files. A build replaces the former one as a whole: who reads meanwhile sees one of both."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask_frozen import Freezer

from catalog.site import app as pages
from catalog.site import monthly, pdf
from catalog.site.model import Catalog

_FUSE = "META-INF/resources/webjars/fuse.js/{version}/dist/fuse.min.js"


def fuse_program(jars: Path) -> bytes:
    """Fuse.js out of its archive in the folder of engines.

    Raises:
        FileNotFoundError: the archive isn't there; ./lake install fetches it.
    """
    archive = next(iter(sorted(jars.glob("fuse.js-*.jar"))), None)
    if archive is None:
        raise FileNotFoundError(f"no fuse.js-*.jar in {jars}; run ./lake install")
    version = archive.stem.removeprefix("fuse.js-")
    with zipfile.ZipFile(archive) as opened:
        return opened.read(_FUSE.format(version=version))


def pages_of(catalog: Catalog) -> Iterator[tuple[str, dict[str, str]]]:
    """The pages that are there for each of something: endpoint and what it is asked for."""
    yield from (("table", {"table": t}) for t in catalog.tables)
    yield from (("field", {"name": n}) for n in catalog.fields if n in catalog.used)
    yield from (("code_list", {"key": k}) for k in catalog.codes)
    yield from (("department", {"slug": d.slug}) for d in catalog.departments.values())
    yield from (("dashboard", {"slug": s}) for s in catalog.dashboards)
    yield from (("number", {"key": k}) for k in catalog.numbers)
    yield from (("document", {"key": k}) for k in catalog.documents)
    yield from (("report", {"month": month, "slug": slug}) for month, slug in map(monthly.address, catalog.status.reports))


def write_into(catalog: Catalog, target: Path, fuse: bytes, forms: bool = False) -> int:
    """Write all pages into the folder ``target``; return how many files there are. ``forms``: as in `pages.make`."""
    prints = pdf.prints(catalog.status, catalog.fields["quality_grade"].allowed)
    app = pages.make(catalog, fuse, prints, forms)
    app.config.update(FREEZER_DESTINATION=str(target), FREEZER_RELATIVE_URLS=True, FREEZER_IGNORE_MIMETYPE_WARNINGS=True)
    freezer = Freezer(app, with_no_argument_rules=True, log_url_for=False, with_static_files=False)

    @freezer.register_generator
    def everything() -> Iterator[Any]:
        yield from pages_of(catalog)
        yield from (("report_pdf", {"month": month, "slug": slug}) for month, slug in prints)
        yield from (("static", {"filename": f}) for f in ("catalog.css", "catalog.js"))
        yield "bootstrap.static", {"filename": "css/bootstrap.min.css"}

    return len(freezer.freeze())


def write(catalog: Catalog, target: Path, fuse: bytes) -> int:
    """Write all pages, for the service, so that ``target`` is a link to them; return how many files there are. The former build goes when the link is
    turned."""
    target.parent.mkdir(parents=True, exist_ok=True)
    builds = {int(p.suffix[1:]): p for p in target.parent.glob(f"{target.name}.*") if p.suffix[1:].isdigit()}
    fresh = target.parent / f"{target.name}.{max(builds, default=0) + 1}"
    files = write_into(catalog, fresh, fuse, forms=True)
    link = target.parent / f"{target.name}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    os.replace(link, target)
    for former in builds.values():
        shutil.rmtree(former, ignore_errors=True)
    return files
