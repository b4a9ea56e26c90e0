"""The pages, as a web application that is written out as files (`build`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from flask import Flask, Response, abort, render_template
from flask_bootstrap import Bootstrap5
from flask_frozen import relative_url_for as url_for  # the written pages may lie anywhere
from markupsafe import Markup

from catalog import directory, directory_check, directory_excel, planning
from catalog import directory_dcat as dcat
from catalog.contract import Contract
from catalog.properties import Kind
from catalog.site import drawing, lineage, monthly, searching, texts
from catalog.site.drawing import Box
from catalog.site.model import DOMAINS, KINDS, LAYERS, MOST_ROWS, Catalog, Codes, shown_columns

ROLE_TITLES = {
    "analyst": "分析员",
    "leader": "领导",
    "steward": "数据管理员",
    "supervisor": "监管业务人员",
    "district": "区局人员（本区）",
    "operator": "运维",
}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_VALUES = 12  # values of a column that its row shows; the field's page has all


def make(catalog: Catalog, fuse: bytes, prints: Mapping[tuple[str, str], bytes], forms: bool = False) -> Flask:
    """The application over a catalog. ``fuse``: the program of Fuse.js. ``prints``: PDFs of the monthly reports (`pdf.prints`). ``forms``: the pages
    are served beside the forms by which stewards change declarations, and lead to them."""
    app = Flask("catalog.site", root_path=str(Path(__file__).parent))
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _words(app, catalog)
    app.jinja_env.globals["forms"] = forms

    grades = catalog.fields["quality_grade"].allowed
    facts, of_contracts = directory.load_facts(), {i: c for i, c in catalog.tables.items() if i in catalog.declared}
    entries = directory.resources(of_contracts, facts)
    faults = directory_check.check(entries)

    @app.get("/")
    def index() -> str:
        # What readers look for first: archives and analyses, then what they are made of.
        order = {"gold": 0, "silver": 1, "bronze": 2, "ops": 3}
        declared = sorted((c for c in catalog.tables.values() if c.id in catalog.declared), key=lambda c: (order[c.layer], c.id))
        by_domain = {d: [c for c in declared if c.domain == d] for d in DOMAINS}
        layers = {layer: sum(c.layer == layer for c in catalog.tables.values()) for layer in LAYERS}
        return render_template("index.html", by_domain=by_domain, layers=layers)

    @app.get("/tables/")
    def tables() -> str:
        grouped = {layer: [c for c in catalog.tables.values() if c.layer == layer and c.kind is not Kind.QUARANTINE] for layer in LAYERS}
        return render_template("tables.html", grouped=grouped)

    @app.get("/tables/<table>/")
    def table(table: str) -> str:
        contract = catalog.tables.get(table) or abort(404)
        return render_template(
            "table.html", table=contract, state=catalog.status.tables.get(table), feed=catalog.status.feeds.get(catalog.feed_of(contract) or ""),
            picture=_lineage(catalog, contract), above=_by_layer(catalog, lineage.reached(catalog.up, table), table),
            below=_by_layer(catalog, lineage.reached(catalog.down, table), table), numbers=catalog.numbers_of(table), columns=shown_columns(contract),
            changes=catalog.changes.get(table, []), sql=texts.statement(contract), text=_contract_text(catalog, contract), written=_written(catalog, contract),
        )  # fmt: skip

    @app.get("/fields/")
    def fields() -> str:
        return render_template("fields.html", fields={n: f for n, f in catalog.fields.items() if n in catalog.used})

    @app.get("/fields/<name>/")
    def field(name: str) -> str:
        about = catalog.fields.get(name) or abort(404)
        places = [
            (c, next(column for column in shown_columns(c) if column.name == name))
            for c in catalog.used.get(name, ())
            if c.kind is not Kind.QUARANTINE
        ]
        return render_template("field.html", name=name, about=about, places=places)

    @app.get("/codes/")
    def code_lists() -> str:
        return render_template("codes.html")

    @app.get("/codes/<key>/")
    def code_list(key: str) -> str:
        codes: Codes = catalog.codes.get(key) or abort(404)
        users = [
            (c, column) for c in catalog.tables.values() for column in c.columns if column.code_list and column.code_list == codes.about.codeList
        ]
        return render_template("code_list.html", codes=codes, rows=codes.rows[:MOST_ROWS], most=MOST_ROWS, users=users)

    @app.get("/departments/")
    def departments() -> str:
        return render_template("departments.html")

    @app.get("/departments/<slug>/")
    def department(slug: str) -> str:
        found = next((d for d in catalog.departments.values() if d.slug == slug), None) or abort(404)
        return render_template("department.html", department=found, scores=catalog.status.departments.get(found.name, ()))

    @app.get("/numbers/")
    def numbers() -> str:
        return render_template("numbers.html")

    @app.get("/dashboards/<slug>/")
    def dashboard(slug: str) -> str:
        page = catalog.dashboards.get(slug) or abort(404)
        return render_template("dashboard.html", dashboard=page, charts=[catalog.numbers[k] for k in page.charts])

    @app.get("/numbers/<key>/")
    def number(key: str) -> str:
        found = catalog.numbers.get(key) or abort(404)
        contract = catalog.tables[found.table]
        documents = _documents_named(catalog, [contract.purpose, contract.limitations, *(f.says for f in found.figures)])
        return render_template("number.html", number=found, table=contract, documents=documents, picture=_of_number(catalog, found.key))

    @app.get("/planning/")
    def plan() -> str:
        return render_template(
            "planning.html", matrix=planning.matrix(of_contracts), sources=planning.sources(of_contracts, set(catalog.status.feeds)),
            elements=planning.elements(of_contracts), standards=planning.standards(of_contracts),
        )  # fmt: skip

    @app.get("/directory/")
    def resource_directory() -> str:
        return render_template("directory.html", resources=entries, faults=faults)

    @app.get("/directory/resources.xlsx")
    def directory_xlsx() -> Response:
        return Response(directory_excel.workbook(entries, directory.unlisted(of_contracts), facts, faults), mimetype=_XLSX)

    @app.get("/directory/resources.jsonld")
    def directory_dcat() -> Response:
        return Response(dcat.text_of(entries, facts), mimetype="application/ld+json")

    @app.get("/reports/")
    def reports() -> str:
        return render_template("reports.html", reports=catalog.status.reports, grades=grades, prints=prints, address=monthly.address)

    @app.get("/reports/<month>/<slug>/")
    def report(month: str, slug: str) -> str:
        found = next((r for r in catalog.status.reports if monthly.address(r) == (month, slug)), None) or abort(404)
        return render_template("report.html", r=monthly.told(found, grades), month=month, slug=slug, printed=(month, slug) in prints)

    @app.get("/reports/<month>/<slug>/report.pdf")
    def report_pdf(month: str, slug: str) -> Response:
        return Response(prints.get((month, slug)) or abort(404), mimetype="application/pdf")

    @app.get("/docs/")
    def documents() -> str:
        return render_template("documents.html")

    @app.get("/docs/<key>/")
    def document(key: str) -> str:
        found = catalog.documents.get(key) or abort(404)
        body = texts.markdown(found.text, lambda href: _document_address(catalog, href))
        return render_template("document.html", document=found, body=body)

    @app.get("/search-index.js")
    def search_index() -> Response:
        return _script("CATALOG_ENTRIES", searching.entries(catalog, url_for))

    @app.get("/search-codes.js")
    def search_codes() -> Response:
        return _script("CATALOG_CODES", searching.codes(catalog, url_for))

    @app.get("/fuse.js")
    def fuse_js() -> Response:
        return Response(fuse, mimetype="text/javascript")

    return app


def _words(app: Flask, catalog: Catalog) -> None:
    """What every page may use."""

    def say(text: str) -> Markup:
        return texts.linked(text, lambda key: (url_for("document", key=key), catalog.documents[key].title) if key in catalog.documents else None)

    app.jinja_env.filters.update(say=say, size=texts.size, moment=texts.moment, role_title=ROLE_TITLES.__getitem__)
    app.jinja_env.tests["single"] = lambda several: len(several) == 1
    app.jinja_env.globals.update(
        catalog=catalog, LAYERS=LAYERS, DOMAINS=DOMAINS, KINDS=KINDS, MOST_VALUES=MOST_VALUES, course=drawing.course, status=catalog.status
    )


def _documents_named(catalog: Catalog, several: Iterable[str]) -> list[str]:
    """The documents that texts name, by key."""
    return [key for key in dict.fromkeys(key for text in several for key in texts.documents(text)) if key in catalog.documents]


def _script(name: str, entries: Iterable[searching.Entry]) -> Response:
    """A script instead of JSON: a page that was opened as a file may load it, too."""
    body = json.dumps(list(entries), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return Response(f"window.{name}={body};\n", mimetype="text/javascript")


def _document_address(catalog: Catalog, href: str) -> str | None:
    name, _, part = href.partition("#")
    stem = name.rpartition("/")[2].removesuffix(".zh.md")
    key = next((k for k in (stem, f"how-to-{stem}") if k in catalog.documents and name.endswith(".zh.md")), None)
    return None if key is None else url_for("document", key=key) + (f"#{part}" if part else "")


def _box(catalog: Catalog, table: str) -> Box:
    contract = catalog.tables[table]
    return Box(contract.chinese, table, contract.layer, url_for("table", table=table))


def _lineage(catalog: Catalog, contract: Contract) -> Markup:
    sources = [_box(catalog, t) for t in catalog.up.get(contract.id, ())]
    if contract.kind is Kind.FEED:
        department = catalog.departments[contract.department]
        sources = [Box(contract.department, "供数部门", "department", url_for("department", slug=department.slug))]
    users = [_box(catalog, t) for t in catalog.down.get(contract.id, ())]
    shown = dict.fromkeys(slug for n in catalog.numbers_of(contract.id) for slug in n.dashboards)
    users += [Box(catalog.dashboards[s].title, "看板", "dashboard", url_for("dashboard", slug=s)) for s in shown]
    return drawing.neighbours(sources, Box(contract.chinese, contract.id, f"{contract.layer} here"), users)


def _of_number(catalog: Catalog, key: str) -> Markup:
    number = catalog.numbers[key]
    users = [Box(catalog.dashboards[s].title, "看板", "dashboard", url_for("dashboard", slug=s)) for s in number.dashboards]
    return drawing.neighbours([_box(catalog, number.table)], Box(number.title, "", "number here"), users)


def _by_layer(catalog: Catalog, found: dict[str, int], start: str) -> dict[str, list[Contract]]:
    return {
        layer: there
        for layer in LAYERS
        if (there := sorted((catalog.tables[t] for t in found if t != start and catalog.tables[t].layer == layer), key=lambda c: (found[c.id], c.id)))
    }


def _written(catalog: Catalog, contract: Contract) -> set[str]:
    """The rules that the contract's file says, not those that follow from its columns."""
    return set(re.findall(r"\bid: (\w+)", _contract_text(catalog, contract))) & {rule.id for rule in contract.rules}


def _contract_text(catalog: Catalog, contract: Contract) -> str:
    """The contract as its file says it; of a table that follows from a feed, in full from the feed's."""
    if contract.id in catalog.declared:
        return contract.path.read_text(encoding="utf-8")
    return ""
