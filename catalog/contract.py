"""Load and validate the contracts: one Open Data Contract Standard file per table, the single declaration of that table.

A contract file says what is particular to its table; a column inherits its Chinese name, meaning, type, classification and
allowed values from the field dictionary (fields.yaml). What follows from the declaration is added here once, so that every
derivation sees it:

* reserved columns, by the table's kind (RESERVED);
* rules implied by `required`, by the key and by allowed values. A feed's rows are routed by the rules it states, and if its typed
  records follow from the contract, by what types, allowed values and record key imply; `required` there means, too, that a delivery without
  this header is refused.

All problems of all files are collected and raised as one ContractError; each message names file, place, fault and remedy.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

import jsonschema_rs
import open_data_contract_standard
import yaml
from open_data_contract_standard.model import CustomProperty, DataQuality, EnumValue, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import BaseModel, ValidationError

from catalog import places
from catalog.properties import (
    DAYS_ALLOWED,
    ColumnProperties,
    Derived,
    Event,
    Exchange,
    FieldDefinition,
    Kind,
    Pages,
    Party,
    Role,
    RuleProperties,
    Severity,
    Stated,
    TableProperties,
    UpdateCycle,
)

# The declarations as they are shipped; those in force may have been amended (`places`).
HOME = Path(__file__).resolve().parent
CONTRACTS = HOME / "contracts"
FIELDS = HOME / "fields.yaml"

LAYERS = ("bronze", "silver", "gold", "ops")
KINDS_OF_LAYER = {
    "bronze": {Kind.FEED},
    "silver": {Kind.REFERENCE, Kind.FACT, Kind.DERIVED},
    "gold": {Kind.MART, Kind.ANALYSIS},
    "ops": {Kind.PROJECTION},
}
# (name, required, key position) of the columns that every table of a kind has beside its own.
RESERVED: Mapping[Kind, tuple[tuple[str, bool, int], ...]] = {
    Kind.FEED: (
        ("delivery_id", True, 1),
        ("row_number", True, 2),
        ("sheet_name", False, 0),
        ("line_number", False, 0),
        ("arrived_at", True, 0),
        ("raw_line", False, 0),
    ),
    Kind.REFERENCE: (),
    Kind.FACT: (
        ("subject_id", True, 0),
        ("effective_from", True, 0),
        ("known_at", True, 0),
        ("delivery_id", True, 1),
        ("row_number", True, 2),
        ("value_kind", True, 0),
        ("write_number", True, 0),
    ),
    Kind.DERIVED: (),
    Kind.QUARANTINE: (),
    Kind.RECORD: (
        ("record_id", True, 0),
        ("occurred_on", True, 0),
        ("effective_from", True, 0),
        ("known_at", True, 0),
        ("source_revision", True, 0),
        ("content_hash", True, 0),
        ("fact_outcome", True, 0),
        ("fact_state", True, 0),
        ("is_conflict", True, 0),
        ("quality_marks", True, 0),
        ("delivery_id", True, 1),
        ("row_number", True, 2),
        ("value_kind", True, 0),
        ("write_number", True, 0),
    ),
    Kind.MART: (("as_of", True, 0), ("value_kind", True, 0)),
    Kind.ANALYSIS: (("as_of", True, 0), ("value_kind", True, 0)),
    Kind.PROJECTION: (),
}
# Columns that a feed may have: when its source last changed a row, and that it has withdrawn the record.
CHANGED_AT, RECORD_STATE = "source_changed_at", "record_state"
EVERY_FEED = "bronze.*"  # among the inputs of a table: all feeds
ARRIVED = "（到达）"  # ends the Chinese name of a feed
RELEASE_COLUMN = "release_id"  # added by every published view
REASONS_COLUMN = "reasons"  # added by the quarantine of a feed

# From lax to strict; a contract may move a column to the right of its dictionary entry, never to the left.
STRICTNESS = ("一般", "商业秘密", "个人信息", "敏感个人信息")

LOGICAL_TYPES = {
    "STRING": "string",
    "INT": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "ARRAY<STRING>": "array",
}
# A metric may take exactly these arguments.
ARGUMENTS = {
    "nullValues": set[str](),
    "missingValues": {"missingValues"},
    "invalidValues": {"pattern", "validValues", "check"},  # check: a function named in spark_jobs.refine.rules.CHECKS, for a feed
    "duplicateValues": {"properties"},
    "rowCount": set[str](),
}
OPERATORS = ("mustBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo")

Custom = TypeVar("Custom", bound=BaseModel)

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SEMVER = re.compile(r"\d+\.\d+\.\d+")


class ContractError(ValueError):
    """The contracts are not valid; `problems` holds one message for each fault."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Column:
    name: str
    chinese: str
    meaning: str
    type: str  # Spark SQL type of the typed layers
    classification: str
    required: bool = False
    key: int = 0  # position in the key from 1, 0 outside the key
    synonyms: tuple[str, ...] = ()  # other headers under which a delivery may bring the column
    allowed: tuple[tuple[str, str], ...] = ()  # value, Chinese label
    code_list: str | None = None
    code_list_edition: str | None = None
    element: str | None = None
    spoken: tuple[tuple[str, str], ...] = ()  # other texts, and the allowed value that each says
    reader: str | None = None  # credit_code | name | …: how a delivered text becomes the value, where the type alone does not say it
    delivered_unit: str | None = None  # of the amounts of a delivery, where it is not yuan
    reserved: bool = False
    derived: Derived | None = None  # typed records: from which delivered column it is read, by which list
    party: Party | None = None  # typed records: by which columns it says who is meant

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers under which a delivery may bring the column; none for a reserved one, only those that state it for one of another unit."""
        return () if self.reserved else self.synonyms if self.delivered_unit else (self.name, self.chinese, *self.synonyms)

    @property
    def personal(self) -> bool:
        """Whether readers other than the steward see a mask (personal data, and trade secrets alike)."""
        return self.classification != "一般"


@dataclass(frozen=True)
class Rule:
    id: str
    metric: str  # nullValues | missingValues | invalidValues | duplicateValues | rowCount
    columns: tuple[str, ...]  # one for a column's rule, the key for duplicateValues, none for rowCount
    arguments: Mapping[str, Any]
    operator: str  # one of OPERATORS, applied to the metric's count
    threshold: float
    severity: str  # fail | quarantine | warn
    dimension: str
    description: str


@dataclass(frozen=True)
class Contract:
    path: Path
    layer: str
    name: str
    version: str
    kind: Kind
    chinese: str
    english: str
    description: str
    grain: str
    purpose: str
    limitations: str
    domain: str
    owner: str
    department: str
    update_cycle: str
    retention_years: int | None  # None: kept for good
    sharing: str
    sharing_condition: str | None
    readers: tuple[str, ...]
    inputs: tuple[str, ...]
    file_name_date: str | None  # feed: pattern of the business date in a file's name
    quarantine_budget: float | None  # feed: the largest share of a delivery's rows that may be set aside
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    record_key: tuple[str, ...]  # feed: the columns that tell one record from another; empty where a module of its own refines the rows
    record_date: tuple[str, ...]  # feed: the columns with the day of what a record states: the first that has one says it
    release_column: Column  # what the published view adds
    reasons_column: Column  # what the quarantine of a feed adds
    record_columns: tuple[Column, ...]  # what the typed records of a feed add
    derived_columns: tuple[Column, ...]  # what code lists say to columns of the feed, on the day of each record: of its typed records
    record_readers: tuple[str, ...]
    record_sharing: tuple[str, str | None]  # attribute and condition
    exchange: Exchange | None  # feed: where its rows are read from, beside files that are sent
    pages: Pages | None  # feed: the same of a platform that answers over HTTP
    control_name: str  # feed: how control totals of source systems call it
    days_allowed: int  # from the end of the period that a delivery describes until it has to be here
    stated: tuple[Stated, ...]  # the archive: which columns the last record that says something of them decides, together
    events: tuple[Event, ...]  # the timeline: which columns of which feeds make its rows
    tells_of: tuple[str, ...]  # an archive of a theme: the feeds whose events it is made from; it holds each subject that has one

    @property
    def id(self) -> str:
        return f"{self.layer}.{self.name}"

    @property
    def title(self) -> str:
        """The Chinese name as people call it: of a feed without the remark that its rows are as they arrived."""
        return self.chinese.removesuffix(ARRIVED)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key))

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.id} has no column {name}")


class _UniqueKeyLoader(yaml.CSafeLoader):
    """YAML as JSON would have it: no repeated key (the second would win silently), no dates from text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice; keep one", node.start_mark)
        return super().construct_mapping(node, deep)


_UniqueKeyLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@cache
def _odcs_validator() -> Any:
    """Validator of the JSON schema that is bundled with the standard's package: nested typos are errors, nothing is fetched."""
    return jsonschema_rs.validator_for(json.loads((files(open_data_contract_standard) / "schema.json").read_text(encoding="utf-8")))


def _validation_problems(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        yield f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {fault['msg']}"


def load_fields(path: Path | None = None) -> dict[str, FieldDefinition]:
    """The field dictionary, by column name; if no file is named, the one in force. Raises ContractError."""
    path = path or places.root() / "catalog" / "fields.yaml"
    problems: list[str] = []
    fields: dict[str, FieldDefinition] = {}
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ContractError([f"{path.name}: not YAML: {error}"]) from error
    for name, entry in raw.items():
        if not NAME.fullmatch(name):
            problems.append(f"{path.name}: {name}: name a field in ASCII snake_case")
        try:
            fields[name] = FieldDefinition.model_validate(entry)
        except ValidationError as error:
            problems += [f"{path.name}: {name}: {text}" for text in _validation_problems(error)]
    for name in sorted({name for columns in RESERVED.values() for name, _, _ in columns} | {RELEASE_COLUMN, REASONS_COLUMN}):
        if name not in raw:
            problems.append(f"{path.name}: {name}: the reserved column has no entry; add one")
    for name, field in fields.items():
        if field.derived is not None and (field.derived.of not in fields or fields[field.derived.of].derived is not None):
            problems.append(f"{path.name}: {name}: derived: {field.derived.of} is no field that a delivery can bring; correct it")
        for part, of in (field.party or Party()).model_dump().items():
            if of is not None and of not in fields:
                problems.append(f"{path.name}: {name}: party: {part}: {of} is no field; correct it")
    if problems:
        raise ContractError(problems)
    return fields


class _Reader:
    """Reads one contract file; gathers its problems instead of stopping at the first."""

    def __init__(self, path: Path, fields: Mapping[str, FieldDefinition]):
        self.path = path
        self.fields = fields
        self.problems: list[str] = []

    def problem(self, place: str, text: str) -> None:
        self.problems.append(f"{self.path.parent.name}/{self.path.name}: {place}: {text}")

    def read(self) -> Contract | None:
        """The contract, or None with `problems` filled."""
        try:
            raw = yaml.load(self.path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
        except yaml.YAMLError as error:
            self.problem("file", f"not YAML: {error}")
            return None
        if self._columns_without_type(raw):  # the standard's schema would blame a missing `map` instead
            return None
        faults = [("/".join(str(p) for p in fault.instance_path) or "file", fault.message) for fault in _odcs_validator().iter_errors(raw)]
        for place, message in dict.fromkeys(faults):
            self.problem(place, f"not ODCS: {message}")
        if faults:
            return None
        odcs = OpenDataContractStandard.model_validate(raw)
        if not odcs.schema_ or len(odcs.schema_) != 1:
            self.problem("schema", "a contract declares exactly one table; split or complete it")
            return None
        contract = self._contract(odcs, odcs.schema_[0])
        return None if self.problems else contract

    def _columns_without_type(self, raw: Any) -> bool:
        tables = raw.get("schema") if isinstance(raw, dict) else None
        for table in tables if isinstance(tables, list) else []:
            properties = table.get("properties") if isinstance(table, dict) else None
            for prop in properties if isinstance(properties, list) else []:
                if isinstance(prop, dict) and "logicalType" not in prop:
                    self.problem(f"column {prop.get('name')}", f"has no logicalType; write one of {', '.join(sorted(set(LOGICAL_TYPES.values())))}")
        return bool(self.problems)

    def _contract(self, odcs: OpenDataContractStandard, table: SchemaObject) -> Contract | None:
        layer, name = self.path.parent.name, self.path.stem
        custom = self._custom(TableProperties, odcs.customProperties, "customProperties")
        if layer not in LAYERS:
            self.problem("file", f"folder {layer!r} is no layer; use one of {', '.join(LAYERS)}")
        if not NAME.fullmatch(name):
            self.problem("name", f"{name!r} is not ASCII snake_case; rename the file")
        for place, value, expected in (("id", odcs.id, f"{layer}.{name}"), ("name", odcs.name, name), ("schema/0/name", table.name, name)):
            if value != expected:
                self.problem(place, f"{value!r} does not follow the file's path; write {expected!r}")
        if not SEMVER.fullmatch(odcs.version or ""):
            self.problem("version", f"{odcs.version!r} is no version; write it as 1.0.0")
        purpose = odcs.description.purpose if odcs.description else None
        limitations = odcs.description.limitations if odcs.description else None
        owner = odcs.team.name if odcs.team and not isinstance(odcs.team, list) else None
        chinese = self._chinese("schema/0/businessName", table.businessName)
        description = self._chinese("schema/0/description", table.description)
        grain = self._chinese("schema/0/dataGranularityDescription", table.dataGranularityDescription)
        if grain and not grain.startswith("每行是"):
            self.problem("schema/0/dataGranularityDescription", "start the grain sentence with 每行是")
        purpose = self._chinese("description/purpose", purpose)
        owner = self._chinese("team/name", owner)
        update_cycle, retention, days_allowed = self._service_levels(odcs)
        readers = tuple(role.role for role in odcs.roles or [] if role.role)
        self._check_readers(layer, readers, {p.name or "" for p in table.properties or []})
        if custom is None or layer not in LAYERS:
            return None
        if custom.kind not in KINDS_OF_LAYER[layer]:
            self.problem("kind", f"{custom.kind} does not belong into {layer}; use {' or '.join(sorted(KINDS_OF_LAYER[layer]))}")
        declared = [column for column in (self._column(p) for p in table.properties or []) if column]
        columns = self._with_reserved(custom.kind, declared)
        rules = list(self._rules(table, columns))
        rules += _record_rules(columns, custom, {r.id for r in rules}) if custom.kind is Kind.FEED else implied_rules(name, columns)
        if custom.kind is not Kind.FEED:
            for rule in rules:
                if "check" in rule.arguments:
                    self.problem(f"quality {rule.id}", "a named check judges the rows of a feed as they are refined; use pattern or validValues here")
        self._check_columns(custom.kind, columns)
        self._check_record(custom, declared)
        together = [name for group in custom.stated for name in (group.by, *group.beside)]
        for name in sorted({n for n in together if n not in {c.name for c in columns} or together.count(n) > 1}):
            self.problem("stated", f"{name} is no column of this table, or stands in two groups; correct it")
        for rule_id in sorted({rule.id for rule in rules if [r.id for r in rules].count(rule.id) > 1}):
            self.problem(f"quality {rule_id}", "the rule id is used twice; choose another")
        return Contract(
            path=self.path,
            layer=layer,
            name=name,
            version=odcs.version or "",
            kind=custom.kind,
            chinese=chinese,
            english=custom.englishName,
            description=description,
            grain=grain,
            purpose=purpose,
            limitations=limitations or "",
            domain=odcs.domain or "",
            owner=owner,
            department=custom.supplyingDepartment,
            update_cycle=update_cycle,
            retention_years=retention,
            sharing=custom.sharing,
            sharing_condition=custom.sharingCondition,
            readers=readers,
            inputs=tuple(custom.inputs),
            file_name_date=custom.fileNameDate,
            quarantine_budget=custom.quarantineBudget,
            columns=tuple(columns),
            rules=tuple(rules),
            record_key=tuple(custom.recordKey),
            record_date=tuple(custom.recordDate),
            record_columns=self._record_columns(custom, columns),
            derived_columns=self._derived_columns(custom, columns),
            record_readers=tuple(custom.recordReaders),
            record_sharing=(custom.recordSharing or custom.sharing, custom.recordSharingCondition),
            exchange=custom.exchange,
            pages=custom.pages,
            control_name=custom.controlName or chinese.removesuffix(ARRIVED),
            days_allowed=days_allowed,
            stated=tuple(custom.stated),
            events=tuple(custom.events),
            tells_of=tuple(custom.tellsOf),
            release_column=reserved_column(RELEASE_COLUMN, self.fields, required=True),
            reasons_column=reserved_column(REASONS_COLUMN, self.fields, required=True),
        )

    def _custom(self, model: type[Custom], properties: list[CustomProperty] | None, place: str) -> Custom | None:
        names = [p.property for p in properties or []]
        for repeated in sorted({str(n) for n in names if names.count(n) > 1}):
            self.problem(place, f"{repeated} is given twice; keep one")
        try:
            return model.model_validate({p.property: p.value for p in properties or []})
        except ValidationError as error:
            for text in _validation_problems(error):
                self.problem(place, text)
            return None

    def _chinese(self, place: str, text: str | None) -> str:
        if not text or not CHINESE.search(text):
            self.problem(place, "a Chinese text is missing; write one")
        return text or ""

    def _service_levels(self, odcs: OpenDataContractStandard) -> tuple[str, int | None, int]:
        """Update cycle, years of retention (None: for good), days allowed for a delivery."""
        levels = {level.property: level for level in odcs.slaProperties or []}
        cycle = levels["frequency"].value if "frequency" in levels else None
        if cycle not in get_args(UpdateCycle):
            self.problem("slaProperties/frequency", f"{cycle!r} is no update cycle; use one of {' '.join(get_args(UpdateCycle))}")
        retention = levels.get("retention")
        years: int | None = None
        if retention is not None and isinstance(retention.value, int) and retention.value > 0 and retention.unit == "y":
            years = retention.value
        elif retention is None or retention.value != "永久":
            self.problem("slaProperties/retention", "state the retention as whole years (unit: y) or as 永久")
        latency, days = levels.get("latency"), DAYS_ALLOWED.get(str(cycle), 0)
        if latency is not None and isinstance(latency.value, int) and latency.value >= 0 and latency.unit == "d":
            days = latency.value
        elif latency is not None:
            self.problem("slaProperties/latency", "state the days until a delivery has to be here as a whole number (unit: d)")
        for unknown in sorted(str(name) for name in set(levels) - {"frequency", "retention", "latency"}):
            self.problem(f"slaProperties/{unknown}", "not used here; remove it")
        return str(cycle), years, days

    def _check_readers(self, layer: str, readers: tuple[str, ...], columns: set[str]) -> None:
        if not readers:
            self.problem("roles", f"nobody may read the table; name one of {', '.join(get_args(Role))}")
        for role in readers:
            if role not in get_args(Role):
                self.problem("roles", f"{role!r} is no reading role; use one of {', '.join(get_args(Role))}")
            elif layer == "bronze" and role not in ("steward", "operator"):
                self.problem("roles", f"{role} may not read bronze; only steward and operator may")
            elif role == "district" and not {"district_code", "subject_id"} & columns:
                self.problem("roles", "district reads the rows of its own district; the table needs a column district_code or subject_id")

    def _column(self, prop: SchemaProperty) -> Column | None:
        name = prop.name or ""
        place = f"column {name}"
        if not NAME.fullmatch(name):
            self.problem(place, "name the column in ASCII snake_case")
        custom = self._custom(ColumnProperties, prop.customProperties, place)
        field = self.fields.get(name)
        if field is None:
            self.problem(place, "not in the field dictionary; add it to fields.yaml or use the name that is there")
        if field is None or custom is None:
            return None
        type_ = prop.physicalType or field.type
        for what, value, standard in (("type", type_, field.type), ("Chinese name", prop.businessName or field.zh, field.zh)):
            if value != standard and custom.exception is None:
                self.problem(place, f"{what} {value!r} differs from {standard!r} in fields.yaml; remove it or give the reason in `exception`")
        if prop.logicalType != logical_type(type_):
            self.problem(place, f"logicalType {prop.logicalType!r} does not fit {type_}; write {logical_type(type_)!r}")
        classification = prop.classification or field.classification
        if classification not in STRICTNESS:
            self.problem(place, f"classification {classification!r} is unknown; use one of {' '.join(STRICTNESS)}")
        elif STRICTNESS.index(classification) < STRICTNESS.index(field.classification):
            self.problem(place, f"classification {classification} is laxer than {field.classification} in fields.yaml; it may only be stricter")
        if prop.primaryKey and not prop.required:
            self.problem(place, "a key column cannot be empty; add `required: true`")
        if prop.primaryKey and (prop.primaryKeyPosition or 0) < 1:
            self.problem(place, "give the key column its primaryKeyPosition from 1")
        return Column(
            name=name,
            chinese=prop.businessName or field.zh,
            meaning=prop.description or field.meaning,
            type=type_,
            classification=classification,
            required=bool(prop.required),
            key=(prop.primaryKeyPosition or 0) if prop.primaryKey else 0,
            synonyms=tuple(s.synonym for s in prop.synonyms or [] if s.synonym),
            allowed=tuple((str(e.value), e.label or "") for e in prop.enum) if prop.enum else tuple(field.allowed.items()),
            code_list=custom.codeList,
            code_list_edition=custom.codeListEdition,
            element=field.element,
            spoken=() if prop.enum else tuple((text, value) for value, texts in field.spoken.items() for text in texts),
            reader=field.reader,
            delivered_unit=custom.deliveredUnit,
        )

    def _record_columns(self, custom: TableProperties, columns: list[Column]) -> tuple[Column, ...]:
        """What typed records add. A digest over columns is as confidential as they are: who sees it can try out what they may say."""
        if not custom.recordKey:
            return ()
        strictest = {
            digest: max((c.classification for c in columns if not c.reserved and c.name in covered), key=STRICTNESS.index)
            for digest, covered in (("record_id", custom.recordKey), ("content_hash", [c.name for c in columns]))
        }
        added = [reserved_column(n, self.fields, required=r, key=k) for n, r, k in RESERVED[Kind.RECORD]]
        return tuple(replace(c, classification=strictest.get(c.name, c.classification)) for c in added)

    def _derived_columns(self, custom: TableProperties, columns: list[Column]) -> tuple[Column, ...]:
        """What the dictionary derives from columns of the feed; as confidential as these are. Personal data makes no party."""
        classes = {c.name: c.classification for c in columns if not c.reserved} if custom.recordKey else {}
        derived = tuple(
            Column(
                name=name,
                chinese=field.zh,
                meaning=field.meaning,
                type=field.type,
                classification=max(field.classification, classes[field.derived.of], key=STRICTNESS.index),
                allowed=tuple(field.allowed.items()),
                element=field.element,
                derived=field.derived,
            )
            for name, field in self.fields.items()
            if field.derived is not None and field.derived.of in classes
        )
        named = {
            name: field for name, field in self.fields.items() if field.party is not None and {field.party.code, field.party.name} & classes.keys()
        }
        return derived + tuple(
            Column(name=name, chinese=field.zh, meaning=field.meaning, type=field.type, classification=field.classification, party=field.party)
            for name, field in named.items()
        )

    def _check_record(self, custom: TableProperties, declared: list[Column]) -> None:
        """The columns that a feed's records are told apart by, and their day, are there; so is what typed records need."""
        types = {column.name: column.type for column in declared}
        for name in custom.recordKey:
            if name not in types:
                self.problem("recordKey", f"{name} is no column of this feed; correct it")
        for name in custom.recordDate:
            if types.get(name) not in ("DATE", "TIMESTAMP"):
                self.problem("recordDate", f"{name} is no column of this feed with a date or a time; correct it")
        for name in (CHANGED_AT, RECORD_STATE) if custom.exchange else ():
            if name not in types:
                self.problem("exchange", f"rows that are read from the exchange database need a column {name}; add it")
        # The last are added on the way from bronze to the records.
        reserved = {name for name, _, _ in RESERVED[Kind.RECORD]} | {RELEASE_COLUMN, REASONS_COLUMN, "business_date", "simulated", "unmapped"}
        for column in declared:
            if custom.recordKey and column.name in reserved:
                self.problem(f"column {column.name}", "reserved for what the lake adds to typed records; choose another name")
            if custom.kind is Kind.FEED and (derived := self.fields[column.name].derived):
                self.problem(f"column {column.name}", f"derived from {derived.of}; a delivery cannot bring it, remove it")
            if custom.kind is Kind.FEED and self.fields[column.name].party:
                self.problem(f"column {column.name}", "says who is meant by other columns; a delivery cannot bring it, remove it")
            if column.delivered_unit is not None and not (custom.kind is Kind.FEED and column.type.startswith("DECIMAL")):
                self.problem(f"column {column.name}", "deliveredUnit belongs to an amount of a feed; remove it")

    def _with_reserved(self, kind: Kind, declared: list[Column]) -> list[Column]:
        """Declared columns, then the reserved ones that the contract does not name itself (it may, to make one a key)."""
        columns = list(declared)
        names = {column.name for column in declared}
        for name, required, key in RESERVED[kind]:
            if name in names:
                if kind is Kind.FEED:
                    self.problem(f"column {name}", "reserved for what the lake adds to a feed; a delivery cannot bring it, remove it")
                continue
            columns.append(reserved_column(name, self.fields, required=required, key=key))
        return columns

    def _check_columns(self, kind: Kind, columns: list[Column]) -> None:
        names = [column.name for column in columns]
        for repeated in sorted({name for name in names if names.count(name) > 1}):
            self.problem(f"column {repeated}", "declared twice; keep one")
        headers: dict[str, str] = {}
        for column in columns:
            for header in column.headers:
                if headers.setdefault(header, column.name) != column.name:
                    self.problem(f"column {column.name}", f"header {header} already stands for {headers[header]}; remove one")
        if kind is Kind.FEED and any(column.key and not column.reserved for column in columns):
            self.problem("columns", "a feed's key is delivery and row number; remove primaryKey")
        positions = sorted(column.key for column in columns if column.key)
        if positions != list(range(1, len(positions) + 1)):
            self.problem("columns", f"key positions {positions} are not 1, 2, …; number them anew")
        if not positions:
            self.problem("columns", "the table has no key; mark its columns with primaryKey")

    def _rules(self, table: SchemaObject, columns: list[Column]) -> Iterator[Rule]:
        for quality in table.quality or []:
            yield from self._rule(quality, None, columns)
        for prop in table.properties or []:
            for quality in prop.quality or []:
                yield from self._rule(quality, prop.name, columns)

    def _rule(self, quality: DataQuality, column: str | None, columns: list[Column]) -> Iterator[Rule]:
        place = f"quality {quality.id or '(without id)'}" + (f" of column {column}" if column else "")
        custom = self._custom(RuleProperties, quality.customProperties, place)
        arguments = quality.arguments or {}
        metric = quality.metric or ""
        operators = [name for name in OPERATORS if getattr(quality, name) is not None]
        faults = len(self.problems)
        if not NAME.fullmatch(quality.id or ""):
            self.problem(place, "give the rule an id in ASCII snake_case")
        if metric not in ARGUMENTS:
            self.problem(place, f"metric {metric!r} is not supported; use one of {', '.join(ARGUMENTS)}")
        elif set(arguments) - ARGUMENTS[metric]:
            self.problem(place, f"{metric} takes no argument {', '.join(sorted(set(arguments) - ARGUMENTS[metric]))}")
        elif (metric in ("rowCount", "duplicateValues")) != (column is None):
            self.problem(place, f"{metric} belongs {'to a column' if column is None else 'to the table'}; move the rule")
        if quality.severity not in get_args(Severity):
            self.problem(place, f"severity {quality.severity!r} is unknown; use one of {', '.join(get_args(Severity))}")
        if quality.severity == "quarantine" and column is None:
            self.problem(place, "a rule about the whole table cannot set a row aside; use fail or warn")
        if len(operators) != 1:
            self.problem(place, f"state exactly one of {', '.join(OPERATORS)}")
        if metric == "invalidValues" and not arguments and not any(c.name == column and c.allowed for c in columns):
            self.problem(place, "neither pattern nor validValues nor allowed values of the field say what is valid; add one")
        if "check" in arguments and len(arguments) > 1:
            self.problem(place, "a check says by itself what is valid; remove pattern and validValues, or the check")
        if "pattern" in arguments:
            try:
                re.compile(arguments["pattern"])
            except re.error as error:
                self.problem(place, f"pattern is no regular expression ({error}); correct it")
            else:
                if not _of_whole_text(arguments["pattern"]):
                    whole = f"^({arguments['pattern'].removeprefix('^')})$"
                    self.problem(place, f"a part of the text would do for this pattern; write '{whole}', or '^(?!.*…)' for what must not stand in it")
        named = tuple(arguments.get("properties", [])) if column is None else (column,)
        for name in named:
            if name not in {c.name for c in columns}:
                self.problem(place, f"{name} is no column of this table; correct the rule")
        if metric == "duplicateValues" and not named:
            self.problem(place, "duplicateValues needs `arguments: {properties: [columns]}`")
        description = self._chinese(f"{place} description", quality.description)
        if custom is None or len(self.problems) > faults:
            return
        yield Rule(
            id=quality.id or "",
            metric=metric,
            columns=named,
            arguments=arguments,
            operator=operators[0],
            threshold=getattr(quality, operators[0]),
            severity=quality.severity or "",
            dimension=custom.dimension,
            description=description,
        )


def _of_whole_text(pattern: str) -> bool:
    """Whether a pattern is about the whole text: between ^ and $ with alternatives in a group, or one that only says after ^ what must not come, `^(?!…)`.

    Rows, expectations and other tools that read the contract search for a pattern, so an unanchored one lets a text pass of which a part fits.
    """
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern, flags=re.DOTALL)  # no escapes, no sets
    while (outer := re.sub(r"\((\?!)?[^()]*\)", lambda group: "\0" if group[1] else "x", bare)) != bare:  # no groups
        bare = outer
    return re.fullmatch(r"\^[^|]*\$|\^\0+", bare, re.DOTALL) is not None


def logical_type(spark_type: str) -> str:
    """The standard's logical type of a Spark type of the dictionary; a decimal is a number."""
    return LOGICAL_TYPES.get(spark_type, "number")


def reserved_column(name: str, fields: Mapping[str, FieldDefinition], *, required: bool, key: int = 0) -> Column:
    """A reserved column as the dictionary describes it."""
    field = fields[name]
    return Column(
        name=name,
        chinese=field.zh,
        meaning=field.meaning,
        type=field.type,
        classification=field.classification,
        required=required,
        key=key,
        allowed=tuple(field.allowed.items()),
        element=field.element,
        reserved=True,
    )


def _record_rules(columns: list[Column], custom: TableProperties, stated: Collection[str]) -> Iterator[Rule]:
    """What types and allowed values already say of the rows of a feed whose records are read by them.

    What can't be read is left empty and marked; where it tells records apart or dates them, the row is set aside. A column without which a
    delivery is refused has something to say in each row; where it hasn't, and no rule of the contract says more, the row is marked.
    """
    if not custom.recordKey:
        return
    last = custom.recordDate[-1]
    slipped = "该行有两处以上内容读不成该列的值，多为列错位；请核对导出程序后整行重报"
    yield Rule("columns_aligned", "invalidValues", (columns[0].name,), {"check": "aligned"}, "mustBe", 0, "quarantine", "准确性", slipped)
    for c in columns:
        if c.reserved:
            continue
        told = c.name in custom.recordKey or c.name == last
        if c.name == last or (c.required and f"{c.name}_present" not in stated):
            severity = "quarantine" if told else "warn"
            yield Rule(f"{c.name}_present", "missingValues", (c.name,), {}, "mustBe", 0, severity, "完整性", f"{c.chinese}不能为空；请补报")
        if what := _readable_as(c):
            severity = "quarantine" if told else "warn"
            yield Rule(
                f"{c.name}_readable",
                "invalidValues",
                (c.name,),
                {"check": "readable"},
                "mustBe",
                0,
                severity,
                "规范性",
                f"{c.chinese}{what}；请核对后重报",
            )


def _readable_as(column: Column) -> str | None:
    """What a delivered text fails to be that can't be read; None: every text will do."""
    if column.allowed:
        return f"不在允许值之内（{'、'.join(label for _, label in column.allowed)}）"
    readers = {
        "name": "没有可辨认的名称",
        "credit_code": "不是统一社会信用代码或注册号",
        "ratio": "应写成百分数（如 35.12%）或不大于 1 的小数",
        "period": "不是年、季或月（如 2025、2025Q3、2025-09）",
    }
    if column.reader in readers:
        return readers[column.reader]
    if column.type.startswith("DECIMAL"):
        return "不是金额或数值，或超出范围"
    return {
        "DATE": "读不出年、月、日，或日期不存在",
        "TIMESTAMP": "读不出日期和时间，或日期不存在",
        "INT": "不是整数",
        "BIGINT": "不是整数",
        "BOOLEAN": "不是“是”或“否”",
    }.get(column.type)


def implied_rules(table: str, columns: list[Column]) -> Iterator[Rule]:
    """What `required`, the key and allowed values already say, as rules that stop the promotion."""
    key = tuple(c.name for c in sorted((c for c in columns if c.key), key=lambda c: c.key))
    titles = {c.name: c.chinese for c in columns}
    for c in columns:
        if c.required:
            yield Rule(f"{c.name}_present", "nullValues", (c.name,), {}, "mustBe", 0, "fail", "完整性", f"{c.chinese}不能为空")
        if c.allowed:
            yield Rule(f"{c.name}_known", "invalidValues", (c.name,), {}, "mustBe", 0, "fail", "规范性", f"{c.chinese}应在允许值之内")
    if key:
        text = f"{'、'.join(titles[name] for name in key)}相同的只能有一行"
        yield Rule(f"{table}_key", "duplicateValues", key, {"properties": list(key)}, "mustBe", 0, "fail", "一致性", text)


def load_contracts(root: Path | None = None, fields_path: Path | None = None) -> dict[str, Contract]:
    """All contracts below `root`, by id (`layer.table`), sorted by id. If nothing is named: those in force, read once in a process.

    Raises ContractError with every problem found: in the dictionary, in a file, or between files (lineage to a table that has
    no contract, a rule id used by two tables).
    """
    if root is None and fields_path is None:
        return dict(of_home(places.root() / "catalog"))
    return _load(root or CONTRACTS, fields_path or FIELDS)


@lru_cache(4)
def of_home(home: Path) -> Mapping[str, Contract]:
    """All contracts of a folder of declarations that does not change while the program runs. Raises ContractError."""
    return _load(home / "contracts", home / "fields.yaml")


def _load(root: Path, fields_path: Path) -> dict[str, Contract]:
    fields = load_fields(fields_path)
    problems: list[str] = []
    contracts: dict[str, Contract] = {}
    for path in sorted(root.rglob("*.y*ml")):
        reader = _Reader(path, fields)
        contract = reader.read()
        problems += reader.problems
        if contract is not None:
            contracts[contract.id] = contract
    every_feed = tuple(sorted(i for i, c in contracts.items() if c.kind is Kind.FEED))
    for identity, contract in contracts.items():
        if EVERY_FEED in contract.inputs:
            named = (i for source in contract.inputs for i in (every_feed if source == EVERY_FEED else (source,)))
            contracts[identity] = replace(contract, inputs=tuple(dict.fromkeys(named)))
    # A file with faults of its own is reported there, not as missing here.
    followed = {f"silver.{feed.stem}{what}" for feed in (root / "bronze").glob("*.y*ml") for what in ("", "_quarantine")}
    for contract in contracts.values():
        for source in contract.inputs:
            if source not in contracts and source not in followed and not (root / Path(*source.split("."))).with_suffix(".yaml").exists():
                problems.append(f"{contract.layer}/{contract.path.name}: inputs: {source} has no contract; correct the id or write one")
    problems += [text for contract in contracts.values() for text in _event_problems(contract, contracts)]
    told = {e.feed for contract in contracts.values() for e in contract.events}
    for contract in contracts.values():
        if unknown := sorted(set(contract.tells_of) - told):
            problems.append(f"{contract.layer}/{contract.path.name}: tellsOf: {', '.join(unknown)} has no events in the timeline; correct it")
        if contract.kind is Kind.FEED and (taken := {f"silver.{contract.name}", f"silver.{contract.name}_quarantine"} & contracts.keys()):
            problems.append(
                f"{contract.layer}/{contract.path.name}: {', '.join(sorted(taken))} follows from this feed and is declared, too; rename one"
            )
    if problems:
        raise ContractError(problems)
    return dict(sorted(contracts.items()))


def _event_problems(timeline: Contract, contracts: Mapping[str, Contract]) -> Iterator[str]:
    """What is wrong with the events of a timeline: its readers are more than those of the records that it tells of."""
    sections = dict(timeline.column("archive_section").allowed) if timeline.events else {}
    for number, e in enumerate(timeline.events):
        place = f"{timeline.layer}/{timeline.path.name}: events/{number} ({e.feed}, {e.event})"
        feed = contracts.get(f"bronze.{e.feed}")
        if feed is None or not feed.record_key:
            yield f"{place}: {e.feed} is no feed with a recordKey; correct it"
            continue
        if feed.record_sharing[0] == "不予共享":
            yield f"{place}: records of {e.feed} are not shared; they do not belong into an archive that others read"
        columns = {c.name: c for c in (*feed.columns, *feed.derived_columns)}
        if e.section not in sections:
            yield f"{place}: section: {e.section} is no section of an archive; use one of {', '.join(sections)}"
        if e.day not in columns or columns[e.day].type not in ("DATE", "TIMESTAMP"):
            yield f"{place}: day: {e.day} is no column of {e.feed} with a date or a time; correct it"
        if e.through:
            yield from (f"{place}: through: {text}" for text in _through_problems(timeline, e, contracts))
        elif e.party not in columns or columns[e.party].party is None:
            yield f"{place}: party: {e.party} is no column of {e.feed} that says who is meant; correct it"
        if e.number and (e.number not in columns or columns[e.number].type != "STRING" or columns[e.number].personal):
            yield f"{place}: number: {e.number} is no text column of {e.feed}, or personal data; correct it"
        for name in e.says:
            if name not in columns or columns[name].reserved:
                yield f"{place}: says: {name} is no column of {e.feed}; correct it"
            elif columns[name].personal:
                yield f"{place}: says: {name} is {columns[name].classification}; remove it"
    named = [(e.feed, e.party, e.event) for e in timeline.events]
    for feed_name, party, event in sorted({one for one in named if named.count(one) > 1}):
        yield f"{timeline.layer}/{timeline.path.name}: events: {event} of {feed_name} ({party}) is stated twice; keep one"
    of_feed = {e.feed for e in timeline.events}
    for name in sorted(of_feed & {i.removeprefix("bronze.") for i, c in contracts.items() if c.kind is Kind.FEED and c.record_key}):
        if f"silver.{name}" not in timeline.inputs:
            yield f"{timeline.layer}/{timeline.path.name}: inputs: silver.{name} is missing; add it"


def _through_problems(timeline: Contract, event: Event, contracts: Mapping[str, Contract]) -> Iterator[str]:
    """What is wrong with an event that is of whom records of other feeds name: these are found by the number, so it has to be the same in each
    statement of a record."""
    if event.number is None:
        yield "the records are found by their number; state the number, too"
    for name in event.through:
        other = next((e for e in timeline.events if e.feed == name and e.number and not e.through), None)
        if other is None or f"bronze.{name}" not in contracts:
            yield f"{name} has no event that says its number and whom it means; correct it"
        elif other.number not in contracts[f"bronze.{name}"].record_key:
            yield f"{name}: {other.number} is no part of its recordKey, so a record could change it; use another feed"
    if any(e.feed == event.feed and (e.through, e.number) != (event.through, event.number) for e in timeline.events):
        yield f"all events of {event.feed} have to say the same"


def resolved(contract: Contract) -> OpenDataContractStandard:
    """The contract with everything inherited written out, for lint, changelog, breaking-change check and catalog.

    The physical type of a feed is the text type that bronze keeps.
    """
    raw = yaml.load(contract.path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    odcs = OpenDataContractStandard.model_validate(raw)
    assert odcs.schema_
    declared = {p.name: p for p in odcs.schema_[0].properties or []}
    properties = []
    for column in contract.columns:
        prop = declared.get(column.name) or SchemaProperty(name=column.name)
        prop.businessName, prop.description, prop.classification = column.chinese, column.meaning, column.classification
        prop.logicalType = logical_type(column.type)
        prop.physicalType = "STRING" if contract.kind is Kind.FEED and not column.reserved else column.type
        prop.required = column.required
        if column.key:
            prop.primaryKey, prop.primaryKeyPosition = True, column.key
        if column.allowed and not prop.enum:
            prop.enum = [EnumValue(value=value, label=label) for value, label in column.allowed]
        if column.element:
            prop.customProperties = [*(prop.customProperties or []), CustomProperty(property="element", value=column.element)]
        for quality in prop.quality or []:
            if "check" in (quality.arguments or {}):  # no metric of the standard says it; its text remains
                quality.type, quality.metric, quality.arguments, quality.mustBe = "text", None, None, None
            elif quality.metric == "invalidValues" and not quality.arguments:
                quality.arguments = {"validValues": [value for value, _ in column.allowed]}
        properties.append(prop)
    odcs.schema_[0].properties = properties
    return odcs
