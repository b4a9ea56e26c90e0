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


def write(catalog: Catalog, target: Path, fuse: bytes) -> int:
    """Write all pages below ``target``, which becomes a link to the build; return how many files there are. Former builds go."""
    target.parent.mkdir(parents=True, exist_ok=True)
    former = target.resolve() if target.is_symlink() else None
    fresh = (
        target.parent
        / f"{target.name}.{1 + max([int(p.suffix[1:]) for p in target.parent.glob(f'{target.name}.*') if p.suffix[1:].isdigit()], default=0)}"
    )
    app = pages.make(catalog, fuse)
    app.config.update(FREEZER_DESTINATION=str(fresh), FREEZER_RELATIVE_URLS=True, FREEZER_IGNORE_MIMETYPE_WARNINGS=True)
    freezer = Freezer(app, with_no_argument_rules=True, log_url_for=False, with_static_files=False)

    @freezer.register_generator
    def everything() -> Iterator[Any]:
        yield from pages_of(catalog)
        yield from (("static", {"filename": f}) for f in ("catalog.css", "catalog.js"))
        yield "bootstrap.static", {"filename": "css/bootstrap.min.css"}

    files = freezer.freeze()
    link = target.parent / f"{target.name}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    if target.exists() and not target.is_symlink():
        shutil.rmtree(target)
    os.replace(link, target)
    if former is not None and former != fresh:
        shutil.rmtree(former, ignore_errors=True)
    return len(files)
