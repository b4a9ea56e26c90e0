"""What OpenLineage events say of the lake: tables under the names that Trino gives them, jobs, and what is made from what.

Pure functions of contracts and of what a run has done; nothing here reads a file, asks an engine or sends anything. What comes from what is worked
out by `catalog.site.lineage`, as for the catalog site. An event tells of definitions, versions and counts: no value of any row, no secret and no
place on this machine's disk stands in it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openlineage.client.event_v2 import DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState, StaticDataset, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_type_dataset,
    dataset_version_dataset,
    datasource_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    ownership_dataset,
    parent_run,
    schema_dataset,
    storage_dataset,
    symlinks_dataset,
    tags_run,
)

from catalog.contract import Contract
from catalog.derive import READ_CATALOG, column_comment, physical_columns, table_comment, table_schema, trino_type, view_columns
from catalog.properties import Kind
from catalog.site import lineage

Event = RunEvent | JobEvent | DatasetEvent

PRODUCER = "urn:lake:jobs"
set_producer(PRODUCER)  # in facets, too
FILES = "file"  # the namespace of what lies on this machine's disk
# What the four steps do, and which of them writes the tables of a layer: what is told of the jobs before any has run.
STEPS = {
    "ingest": "接收各数据源的文件，逐条保留原文入湖",
    "silver": "从到达层加工出标准层，并过质量关口",
    "gold": "由标准层加工出主题档案和分析表，并过质量关口",
    "publish": "核对两个引擎，整体发布，读者随之看到新的数据",
}
WRITES = {"bronze": "ingest", "silver": "silver", "gold": "gold", "ops": "publish"}
# Catalogs read the name of a table from the first identifier of this facet, and DataHub takes whatever is called TABLE in it for one of Hive.
RELATION, FOLDER = "RELATION", "LOCATION"


@dataclass(frozen=True)
class Names:
    """The namespaces of an instance. ``trino``: host and port under which other catalogs know Trino, such as ``127.0.0.1:18443``."""

    instance: str
    trino: str

    @property
    def tables(self) -> str:
        return f"trino://{self.trino}"

    @property
    def jobs(self) -> str:
        return f"lake-{self.instance}"


@dataclass(frozen=True)
class Parent:
    """A run that others belong to: namespace and name of its job, and its id (a UUID)."""

    namespace: str
    name: str
    run_id: str

    @classmethod
    def read(cls, text: str) -> Parent | None:
        """From ``namespace/name/id``, as the environment variables of OpenLineage have it; None where it is no such text."""
        parts = text.rsplit("/", 2)
        try:
            uuid.UUID(parts[-1])
        except ValueError:
            return None
        return cls(*parts) if len(parts) == 3 and all(parts) else None


@dataclass(frozen=True)
class StepRun:
    """A run of a step. ``run_id``: a UUID, the one that stands in the log entries of what it commits. ``parent``, ``root``: the task and the DAG run of
    Airflow that it belongs to; None where somebody started it by hand."""

    step: str
    run_id: str
    parent: Parent | None = None
    root: Parent | None = None


@dataclass(frozen=True)
class Written:
    """What a step has committed to a table (contract id): the newest version, the first and the last moment, and rows, bytes and files that it has added;
    rows None where the log does not say."""

    table: str
    version: int
    first: dt.datetime
    last: dt.datetime
    rows: int | None
    bytes: int
    files: int


@dataclass(frozen=True)
class Check:
    """A rule of the gate, and whether a table (contract id) met it."""

    table: str
    rule: str
    description: str
    passed: bool


# ---- datasets ----


def dataset_name(contract: Contract) -> str:
    """The table as readers call it in Trino: ``lake.gold.archive_subject``."""
    return f"{READ_CATALOG}.{contract.id}"


def landing_name(names: Names, feed: Contract) -> str:
    """Where the files of a feed are kept as they came, below the folder of all instances."""
    return f"{names.instance}/landing/kept/{feed.name}"


def _landing_facets(feed: Contract) -> dict[str, DatasetFacet]:
    return {
        "documentation": documentation_dataset.DocumentationDatasetFacet(f"{feed.title}：{feed.department}送来的原件，逐份保留"),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet("FILE"),
        "ownership": _owners(feed),
    }


def _table_facets(names: Names, contract: Contract) -> dict[str, DatasetFacet]:
    """Facets that follow from a table's contract alone."""
    shown = physical_columns(contract) if contract.layer == "bronze" else view_columns(contract)
    fields = [
        schema_dataset.SchemaDatasetFacetFields(c.name, type=trino_type(c), description=column_comment(c), ordinal_position=n, fields=None)
        for n, c in enumerate(shown, start=1)
    ]
    folder = f"{names.instance}/warehouse/{table_schema(contract)}.db/{contract.name}"
    return {
        "schema": schema_dataset.SchemaDatasetFacet(fields),
        "documentation": documentation_dataset.DocumentationDatasetFacet(table_comment(contract)),
        "ownership": _owners(contract),
        "dataSource": datasource_dataset.DatasourceDatasetFacet(name=names.tables, uri=names.tables),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet("TABLE" if contract.layer == "bronze" else "VIEW"),
        "storage": storage_dataset.StorageDatasetFacet("delta", fileFormat="parquet"),
        "symlinks": symlinks_dataset.SymlinksDatasetFacet(
            [
                symlinks_dataset.Identifier(names.tables, dataset_name(contract), RELATION),
                symlinks_dataset.Identifier(FILES, folder, FOLDER),
            ]
        ),
    }


def _owners(contract: Contract) -> DatasetFacet:
    return ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(f"team:{contract.owner}", "OWNER")])


def _inputs(names: Names, contract: Contract, contracts: Mapping[str, Contract], up: Mapping[str, Iterable[str]]) -> list[InputDataset]:
    """What a table is made from: of a feed the files that came, else the tables that its contract names."""
    if contract.kind is Kind.FEED:
        return [InputDataset(FILES, landing_name(names, contract), facets=_landing_facets(contract))]
    return [InputDataset(names.tables, dataset_name(contracts[i])) for i in up[contract.id]]


def _columns(names: Names, contract: Contract, contracts: Mapping[str, Contract], columns: lineage.Columns) -> dict[str, DatasetFacet]:
    """The facet of columns, where any is known."""
    fields = {
        column: column_lineage_dataset.Fields(
            [
                column_lineage_dataset.InputField(
                    names.tables,
                    dataset_name(contracts[s.table]),
                    s.column,
                    [column_lineage_dataset.Transformation("DIRECT", "TRANSFORMATION", s.how, False)],
                )
                for s in sources
            ]
        )
        for (table, column), sources in columns.items()
        if table == contract.id and sources
    }
    return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields)} if fields else {}


# ---- jobs and runs ----


def _job(names: Names, name: str, says: str) -> Job:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="SPARK", jobType="JOB"),
        "documentation": documentation_job.DocumentationJobFacet(says),
    }
    return Job(names.jobs, name, facets)


def table_job(step: str, contract: Contract) -> str:
    """The job that writes a table, as a part of its step."""
    return f"{step}.{contract.name}"


def _table_job(names: Names, step: str, contract: Contract) -> Job:
    return _job(names, table_job(step, contract), f"{contract.title}：{contract.purpose}")


def part_of(run: StepRun, name: str) -> str:
    """The id of what a run does beside others, such as writing one table; the same each time that it is asked for."""
    return str(uuid.uuid5(uuid.UUID(run.run_id), name))


def _belongs(parent: Parent | None, root: Parent | None) -> dict[str, RunFacet]:
    if parent is None:
        return {}
    top = root or parent
    return {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(parent.run_id),
            job=parent_run.Job(parent.namespace, parent.name),
            root=parent_run.Root(run=parent_run.RootRun(top.run_id), job=parent_run.RootJob(top.namespace, top.name)),
        )
    }


def _when(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")


def of_step(names: Names, run: StepRun, state: RunState, at: dt.datetime, release: str | None = None, failure: str | None = None) -> RunEvent:
    """A step begins or has ended. ``release``: what it has published. ``failure``: why it has failed, in words that may leave the house."""
    facets = _belongs(run.parent, run.root)
    if release:
        facets["tags"] = tags_run.TagsRunFacet([tags_run.TagsRunFacetFields("release", release, "LAKE")])
    if failure:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(failure, "PYTHON")
    job = _job(names, run.step, STEPS[run.step])
    return RunEvent(eventType=state, eventTime=_when(at), run=Run(run.run_id, facets), job=job, producer=PRODUCER)


def _within(names: Names, run: StepRun) -> dict[str, RunFacet]:
    step = Parent(names.jobs, run.step, run.run_id)
    return _belongs(step, run.root or run.parent or step)


def of_tables(names: Names, run: StepRun, written: Iterable[Written], contracts: Mapping[str, Contract], columns: lineage.Columns) -> list[RunEvent]:
    """For each table that a step has written, that this began and that it is done: from what, which version, how much.

    ``columns``: what is known of columns, of any table.
    """
    up, events = lineage.inputs(contracts), []
    for w in written:
        contract = contracts[w.table]
        identity, job = part_of(run, contract.id), _table_job(names, run.step, contract)
        facets = _table_facets(names, contract) | _columns(names, contract, contracts, columns)
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(w.version))
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=w.rows, size=w.bytes, fileCount=w.files)
        made = OutputDataset(names.tables, dataset_name(contract), {"outputStatistics": statistics}, facets=facets)
        sources = _inputs(names, contract, contracts, up)
        events += [
            RunEvent(eventType=RunState.START, eventTime=_when(w.first), run=Run(identity, _within(names, run)), job=job, producer=PRODUCER),
            RunEvent(
                eventType=RunState.COMPLETE, eventTime=_when(w.last), run=Run(identity, _within(names, run)), job=job, inputs=sources, outputs=[made],
                producer=PRODUCER,
            ),
        ]  # fmt: skip
    return events


def of_gate(names: Names, run: StepRun, checks: Iterable[Check], at: dt.datetime, contracts: Mapping[str, Contract]) -> list[RunEvent]:
    """What the quality gate of a step found: the tables that it judged, each with its rules and whether it met them. Nothing where it judged none."""
    by_table: dict[str, list[data_quality_assertions_dataset.Assertion]] = {}
    failed = False
    for check in checks:
        rules = {r.id: r for r in contracts[check.table].rules}
        of = rules[check.rule].columns if check.rule in rules else ()
        failed |= not check.passed
        by_table.setdefault(check.table, []).append(
            data_quality_assertions_dataset.Assertion(
                assertion=check.rule, success=check.passed, column=of[0] if len(of) == 1 else None, severity="error", description=check.description
            )
        )
    if not by_table:
        return []
    judged = [
        InputDataset(
            names.tables,
            dataset_name(contracts[table]),
            {"dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions)},
        )
        for table, assertions in by_table.items()
    ]
    job, identity = _job(names, f"{run.step}.gate", "质量关口：不符合合同的规则，就不发布"), part_of(run, "gate")
    return [
        RunEvent(eventType=RunState.START, eventTime=_when(at), run=Run(identity, _within(names, run)), job=job, producer=PRODUCER),
        RunEvent(
            eventType=RunState.FAIL if failed else RunState.COMPLETE, eventTime=_when(at), run=Run(identity, _within(names, run)), job=job,
            inputs=judged, producer=PRODUCER,
        ),
    ]  # fmt: skip


# ---- the whole lineage, as it is declared ----


def static(names: Names, contracts: Mapping[str, Contract], columns: lineage.Columns, at: dt.datetime) -> list[Event]:
    """All tables and what each is made from, as events of design: whoever starts today need not wait until each table has been written."""
    up, events = lineage.inputs(contracts), list[Event]()
    for contract in contracts.values():
        if contract.kind is Kind.FEED:
            kept = StaticDataset(FILES, landing_name(names, contract), facets=_landing_facets(contract))
            events.append(DatasetEvent(eventTime=_when(at), producer=PRODUCER, dataset=kept))
        table = StaticDataset(names.tables, dataset_name(contract), facets=_table_facets(names, contract))
        events.append(DatasetEvent(eventTime=_when(at), producer=PRODUCER, dataset=table))
    for contract in contracts.values():
        made = OutputDataset(names.tables, dataset_name(contract), facets=_columns(names, contract, contracts, columns))
        job = _table_job(names, WRITES[contract.layer], contract)
        events.append(JobEvent(eventTime=_when(at), producer=PRODUCER, job=job, inputs=_inputs(names, contract, contracts, up), outputs=[made]))
    return events


def as_runs(names: Names, contracts: Mapping[str, Contract], columns: lineage.Columns, at: dt.datetime) -> list[Event]:
    """The same for catalogs that take only events of runs: for each table one that is done, without a version.

    The ids follow from the tables, so that an export that is sent again is the same runs.
    """
    up, events = lineage.inputs(contracts), list[Event]()
    for contract in contracts.values():
        step = WRITES[contract.layer]
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{names.tables}/{dataset_name(contract)}"))
        facets = _table_facets(names, contract) | _columns(names, contract, contracts, columns)
        made, sources = OutputDataset(names.tables, dataset_name(contract), facets=facets), _inputs(names, contract, contracts, up)
        job = _table_job(names, step, contract)
        events.append(
            RunEvent(eventType=RunState.COMPLETE, eventTime=_when(at), run=Run(identity), job=job, inputs=sources, outputs=[made], producer=PRODUCER)
        )
    return events
