"""Change what a steward may change in the declarations: single values, everything else to the letter as it was.

Changes are tried out on a copy of all declarations first, and what follows from them is told before they are made. The versions of the contracts that
they touch, their released state and dbt's files are brought up with them (docs/how-to/catalog.zh.md).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from catalog import dbt_files, versions
from catalog.contract import HOME, Contract, ContractError, load_contracts, of_home
from catalog.derive import all_tables, column_comment, table_comment
from catalog.properties import Classification, Severity, Sharing, UpdateCycle
from catalog.versions import Level

FIELDS = "fields.yaml"
LONGEST = 2000  # letters of a text
# What may be changed, by what it belongs to: how a form calls it, and what it may be (None: a text; list: texts divided by 、).
Values = tuple[str, ...] | None | Literal["list"]
OF_FIELD: dict[str, tuple[str, Values]] = {
    "zh": ("中文名", None),
    "meaning": ("含义", None),
    "aliases": ("也称", "list"),
    "classification": ("数据分类", get_args(Classification)),
    "element": ("数据元标准", None),
}
OF_TABLE: dict[str, tuple[str, Values]] = {
    "description": ("说明", None),
    "grain": ("每行是什么", None),
    "purpose": ("用途", None),
    "limitations": ("使用限制", None),
    "owner": ("负责部门", None),
    "frequency": ("更新周期", get_args(UpdateCycle)),
    "sharing": ("共享属性", get_args(Sharing)),
    "sharingCondition": ("共享条件", None),
}
OF_RULE: dict[str, tuple[str, Values]] = {"description": ("说明", None), "severity": ("不满足时", get_args(Severity))}
OF_VALUE: dict[str, tuple[str, Values]] = {"label": ("含义", None), "spoken": ("来源的其他写法", "list")}
OPTIONAL = {"aliases", "element", "limitations", "sharingCondition", "spoken"}
PERMITTED = {"field": OF_FIELD, "table": OF_TABLE, "rule": OF_RULE, "value": OF_VALUE}


class Refused(ValueError):
    """A change can't be made; the text says what and why, in Chinese, with a line for each fault."""


@dataclass(frozen=True)
class Edit:
    """``kind``: field, table, rule or value. ``target``: the column's name, the contract's id, contract and rule (`bronze.x/rule_id`), or column and
    allowed value (`demand_kind/other`).

    ``attribute``: a key of `PERMITTED`. ``old``, ``new``: as in the form; empty: there is none.
    """

    kind: str
    target: str
    attribute: str
    old: str
    new: str

    @property
    def title(self) -> str:
        """What is changed, for a reader."""
        return PERMITTED[self.kind][self.attribute][0]


@dataclass(frozen=True)
class Effect:
    """What follows from a change. ``versions``: contract → from, to and what changed (Chinese); ``breaking``: those of these that break readers.

    ``comments``: what readers see in SQL and on dashboards instead, as (where, before, after). ``rebuilds``: data has to be made anew at the next run;
    never of ``ops``, which is projected anew from the ledger whenever that says something else.
    """

    versions: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    breaking: tuple[str, ...]
    comments: tuple[tuple[str, str, str], ...]
    rebuilds: bool


def kind_of(target: str) -> str:
    """What a target names, by its form: ``table``, ``rule``, ``value`` or ``field``."""
    place, _, part = target.partition("/")
    return ("rule" if part else "table") if "." in place else "value" if part else "field"


def current(kind: str, target: str, attribute: str, home: Path = HOME) -> str:
    """What stands there now, as a form shows it. Raises Refused: there is no such thing, or it may not be changed here."""
    return _shown(_at(_composed(_text(file_of(kind, target, home))), kind, target, attribute))


def all_current(kind: str, target: str, home: Path = HOME) -> dict[str, str]:
    """All that may be changed of a target, as `current`. Raises Refused: there is no such thing."""
    root = _composed(_text(file_of(kind, target, home)))
    return {attribute: _shown(_at(root, kind, target, attribute)) for attribute in PERMITTED[kind]}


def try_out(edits: Sequence[Edit], home: Path = HOME) -> Effect:
    """What would follow from changes; nothing is written.

    Raises:
        Refused: the declarations would not be in order, or a value is not the one that its change begins with.
    """
    with _copy(home) as there:
        for edit in edits:
            put(edit, there)
        return bring_along(there, of_home(home))


def apply(edits: Sequence[Edit], repo: Path) -> list[Path]:
    """Make changes in ``repo``: the declarations, versions, released state, dbt's files. Return the files written.

    All or nothing: it is tried out on a copy first, and files are replaced one by one at the end.

    Raises:
        Refused: as `try_out`.
    """
    home = repo / "catalog"
    with _copy(home) as there:
        before = load_contracts(home / "contracts", home / FIELDS)
        for edit in edits:
            put(edit, there)
        bring_along(there, before)
        after = load_contracts(there / "contracts", there / FIELDS)
        wanted = {path.relative_to(there): path.read_bytes() for path in sorted(there.rglob("*.yaml"))}
        texts = {repo / "catalog" / name: content for name, content in wanted.items()}
        texts |= {repo / "dbt" / name: text.encode() for name, text in dbt_files.dbt_files(after).items()}
    changed = [path for path, content in texts.items() if not path.exists() or path.read_bytes() != content]
    for path in changed:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(texts[path])
        temporary.replace(path)
    return changed


def put(edit: Edit, home: Path) -> None:
    """Write one value into a folder of declarations that is ours alone; what follows from it is for `bring_along`.

    Raises:
        Refused: it may not be changed, the value can't be one, or what stands there is not what the change begins with.
    """
    _check_value(edit)
    if (there := current(edit.kind, edit.target, edit.attribute, home)) != edit.old:
        raise Refused(f"“{edit.title}”现在是“{there}”，不是“{edit.old}”：有人先改了；按现在的内容再提")
    file = file_of(edit.kind, edit.target, home)
    file.write_text(_replaced(_text(file), edit), encoding="utf-8")


def problems(home: Path) -> list[str]:
    """What is not in order in a folder of declarations."""
    try:
        load_contracts(home / "contracts", home / FIELDS)
    except ContractError as error:
        return list(error.problems)
    return []


def bring_along(home: Path, before: Mapping[str, Contract]) -> Effect:
    """Make versions and released state follow changes in a folder of declarations that is ours alone; say what has come of them.

    Raises:
        Refused: the declarations are not in order.
    """
    try:
        after = load_contracts(home / "contracts", home / FIELDS)
    except ContractError as error:
        raise Refused("\n".join(error.problems)) from error
    told, breaking = [], []
    for identity, contract in after.items():
        if identity in before and contract == replace(before[identity], path=contract.path):
            continue
        released = versions.released_of(identity, home / "released")
        if released is None or not (found := versions.changes(contract, released)):
            continue
        level = max(c.level for c in found)
        lowest = ".".join(map(str, versions.bumped(released.version or "", level)))
        if tuple(map(int, contract.version.split("."))) < tuple(map(int, lowest.split("."))):
            path = home / "contracts" / Path(*identity.split(".")).with_suffix(".yaml")
            path.write_text(_with_version(_text(path), lowest), encoding="utf-8")
        told.append((identity, released.version or "", lowest, tuple(c.chinese for c in found)))
        if level == Level.MAJOR:
            breaking.append(identity)
    if told:
        after = load_contracts(home / "contracts", home / FIELDS)
        versions.record(after, {identity: changed for identity, _, _, changed in told}, home / "released")
    return Effect(
        tuple(told),
        tuple(breaking),
        tuple(_comments(before, after)),
        any(_data(before[i]) != _data(c) for i, c in after.items() if i in before and c.layer != "ops"),
    )


def _comments(before: Mapping[str, Contract], after: Mapping[str, Contract]) -> Iterator[tuple[str, str, str]]:
    old, new = all_tables(before), all_tables(after)
    for identity, contract in new.items():
        if contract.layer == "bronze" or identity not in old:
            continue
        if table_comment(old[identity]) != table_comment(contract):
            yield identity, table_comment(old[identity]), table_comment(contract)
        known = {c.name: c for c in old[identity].columns}
        for column in contract.columns:
            if column.name in known and column_comment(known[column.name]) != column_comment(column):
                yield f"{identity}.{column.name}", column_comment(known[column.name]), column_comment(column)


def _data(contract: Contract) -> Any:
    """All of a contract that data depends on."""
    columns = tuple(
        (c.name, c.chinese, c.type, c.classification, c.required, c.key, c.synonyms, c.allowed, c.spoken, c.reader) for c in contract.columns
    )
    return columns, tuple((r.id, r.metric, r.columns, str(r.arguments), r.operator, r.threshold, r.severity, r.description) for r in contract.rules)


def _check_value(edit: Edit) -> None:
    if edit.kind not in PERMITTED or edit.attribute not in PERMITTED[edit.kind]:
        raise Refused(f"{edit.kind} 的 {edit.attribute} 不能在这里修改")
    values = PERMITTED[edit.kind][edit.attribute][1]
    if not edit.new.strip() and edit.attribute not in OPTIONAL:
        raise Refused(f"“{edit.title}”不能为空")
    if len(edit.new) > LONGEST or any(ord(c) < 32 or ord(c) == 127 for c in edit.new):
        raise Refused(f"“{edit.title}”至多 {LONGEST} 字，不能换行或含控制字符")
    if isinstance(values, tuple) and edit.new not in values and not (not edit.new and edit.attribute in OPTIONAL):
        raise Refused(f"“{edit.title}”只能是 {'、'.join(values)}")
    if edit.new == edit.old:
        raise Refused(f"“{edit.title}”没有改变")


def _shown(node: Any) -> str:
    if node is None:
        return ""
    return "、".join(item.value for item in node.value) if isinstance(node, yaml.SequenceNode) else str(node.value)


# --- places in files ---------------------------------------------------------------------------------------------------


def file_of(kind: str, target: str, home: Path) -> Path:
    if kind in ("field", "value"):
        return home / FIELDS
    layer, _, name = target.partition("/")[0].partition(".")
    path = home / "contracts" / layer / f"{name}.yaml"
    if not (layer.isidentifier() and name.isidentifier() and path.exists()):
        raise Refused(f"没有合同 {target}；由数据源生成的表随数据源的合同修改")
    return path


def _composed(text: str) -> Any:
    """The nodes of a file, with their places in it."""
    return yaml.compose(text, Loader=yaml.CSafeLoader)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _at(root: Any, kind: str, target: str, attribute: str) -> Any:
    """The node with the value; None where it may stand and does not. Raises Refused where its place is not there."""
    if kind == "field":
        entry = _child(root, target)
        if entry is None:
            raise Refused(f"字段字典里没有 {target}")
        return _child(entry, attribute)
    if kind == "value":
        column, _, value = target.partition("/")
        entry = _child(root, column)
        if entry is None or (label := _child(_child(entry, "allowed"), value)) is None:
            raise Refused(f"字段字典里没有 {column} 的取值 {value}")
        return label if attribute == "label" else _child(_child(entry, "spoken"), value)
    table = _child(root, "schema").value[0]
    if kind == "rule":
        rule = next((r for r in _rules(table) if _value(r, "id") == target.partition("/")[2]), None)
        if rule is None:
            raise Refused(f"合同里没有写规则 {target}；由必填、主键、取值等推出的规则随它们修改")
        return _child(rule, attribute)
    match attribute:
        case "description":
            return _child(table, "description")
        case "grain":
            return _child(table, "dataGranularityDescription")
        case "purpose" | "limitations":
            return _child(_child(root, "description"), attribute)
        case "owner":
            return _child(_child(root, "team"), "name")
        case "frequency":
            return _property(_child(root, "slaProperties"), attribute)
        case _:
            return _property(_child(root, "customProperties"), attribute)


def _rules(table: Any) -> Iterator[Any]:
    for quality in (_child(table, "quality"), *(_child(p, "quality") for p in _child(table, "properties").value)):
        yield from quality.value if quality is not None else ()


def _child(mapping: Any, key: str) -> Any:
    return next((v for k, v in mapping.value if k.value == key), None) if isinstance(mapping, yaml.MappingNode) else None


def _value(mapping: Any, key: str) -> str | None:
    node = _child(mapping, key)
    return None if node is None else str(node.value)


def _property(listed: Any, name: str) -> Any:
    entry = next((e for e in listed.value if _value(e, "property") == name), None) if listed is not None else None
    return None if entry is None else _child(entry, "value")


def _replaced(text: str, edit: Edit) -> str:
    root = _composed(text)
    node, said = _at(root, edit.kind, edit.target, edit.attribute), _said(edit)
    if node is None:
        return _inserted(text, root, edit, said)
    if not edit.new.strip():
        return _removed(text, root, edit, node)
    start, end = node.start_mark.index, node.end_mark.index
    return text[:start] + said + text[end:]


def _said(edit: Edit) -> str:
    """The value as YAML within a line, also within brackets."""
    if PERMITTED[edit.kind][edit.attribute][1] == "list":
        return f"[{', '.join(_scalar(part.strip()) for part in edit.new.split('、') if part.strip())}]"
    return _scalar(edit.new.strip())


def _scalar(text: str) -> str:
    written = yaml.safe_dump([text], allow_unicode=True, default_flow_style=True, width=10**9).strip()
    return written[1:-1]


def _inserted(text: str, root: Any, edit: Edit, said: str) -> str:
    """With a value where none was: in a line of its own, after its siblings' first."""
    if edit.kind == "field":
        first = _child(root, edit.target).value[0][1]
        return _after_line(text, first.end_mark.index, f"  {edit.attribute}: {said}\n")
    if edit.kind == "value" and edit.attribute == "spoken":
        column, _, value = edit.target.partition("/")
        entry = _child(root, column)
        if (spoken := _child(entry, "spoken")) is not None:
            return _after_line(text, spoken.value[0][1].end_mark.index, f"    {_scalar(value)}: {said}\n")
        return _after_line(text, _child(entry, "allowed").value[-1][1].end_mark.index, f"  spoken:\n    {_scalar(value)}: {said}\n")
    if edit.kind == "table" and edit.attribute == "limitations":
        return _after_line(text, _child(_child(root, "description"), "purpose").end_mark.index, f"  limitations: {said}\n")
    if edit.kind == "table" and edit.attribute == "sharingCondition":
        entry = _property(_child(root, "customProperties"), "sharing")
        return _after_line(text, entry.end_mark.index, f"  - {{property: sharingCondition, value: {said}}}\n")
    raise Refused(f"合同里没有“{edit.title}”，不能在这里添加")


def _removed(text: str, root: Any, edit: Edit, node: Any) -> str:
    """Without an optional value: its line goes."""
    if edit.kind == "value" and len(_child(_child(root, edit.target.partition("/")[0]), "spoken").value) == 1:
        raise Refused(f"“{edit.title}”是这个字段唯一的一处，不能在这里删去")
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    end = text.find("\n", node.end_mark.index - 1) + 1
    if text[start:end].count("\n") != 1:
        raise Refused(f"“{edit.title}”写了几行，不能在这里删去")
    return text[:start] + text[end:]


def _after_line(text: str, index: int, line: str) -> str:
    end = text.find("\n", index - 1) + 1
    return text[:end] + line + text[end:]


def _with_version(text: str, version: str) -> str:
    node = _child(_composed(text), "version")
    return text[: node.start_mark.index] + version + text[node.end_mark.index :]


@contextmanager
def _copy(home: Path) -> Iterator[Path]:
    """A copy of the declarations, as far as they are read here."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "catalog"
        for name in ("contracts", "released"):
            shutil.copytree(home / name, there / name)
        shutil.copyfile(home / FIELDS, there / FIELDS)
        yield there
