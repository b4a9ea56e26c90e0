"""Versions of the contracts: what changed since the last release, whether its version says so, and how readers are told.

`python -m catalog.versions check | changelog | release`. `catalog/released/<layer>/<table>.yaml` is a contract as it was last
released, written out in full (catalog.contract.resolved), so that a change of the field dictionary or of the reserved columns
shows as a change of every contract that inherits it. `catalog/released/changes.yaml` keeps what each release changed. Both are
written by `release` only.

datacontract-cli compares and judges: a table from its readers' side, a feed from its supplier's side. What it does not know of
is added as rules of its own kind (NAMED); docs/decisions/0017-contract-versions.md lists them.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml
from datacontract.breaking.detector import BreakingChangeDetector
from datacontract.breaking.rules import DEFAULT_RULES, BreakingChangeRule, MetadataFallbackRule, RuleEvaluation
from datacontract.changelog.normalize import normalize_pair
from datacontract.data_contract import DataContract
from datacontract.model.breaking import BreakingChangeEntry, BreakingChangeLevel, Direction, Perspective
from datacontract.model.changelog import ChangelogEntry, ChangelogType
from open_data_contract_standard.model import OpenDataContractStandard

from catalog import places
from catalog.contract import HOME, RESERVED, STRICTNESS, Contract, ContractError, load_contracts, resolved
from catalog.properties import Kind

RELEASED = HOME / "released"
HISTORY = "changes.yaml"
HEADING = "# Generated from catalog/contracts by `python -m catalog.versions release`; change the contract, not this file.\n"

Tree = Mapping[str, Any]  # a contract with its lists keyed by name, as datacontract compares it


class Level(IntEnum):
    """What a change asks of the version."""

    NONE = 0
    PATCH = 1  # texts only
    MINOR = 2  # more, or other in a way that breaks nobody
    MAJOR = 3  # breaks a reader, or the supplier of a feed


@dataclass(frozen=True)
class Change:
    level: Level
    text: str  # for whoever writes the contract
    chinese: str  # for readers


# --- what datacontract-cli does not know -------------------------------------------------------------------------------


def _is_feed(tree: Tree) -> bool:
    return bool(tree["customProperties"]["kind"]["value"] == Kind.FEED)


def _column(tree: Tree, parts: list[str]) -> dict[str, Any]:
    """The column that the path is in, empty if there is none."""
    inside = parts[0] == "schema" and len(parts) > 3 and parts[2] == "properties"
    return dict(tree["schema"][parts[1]]["properties"].get(parts[3], {})) if inside else {}


def _headers(tree: Tree, parts: list[str]) -> set[str]:
    """Headers under which the supplier of a feed may bring the column of the path."""
    column = _column(tree, parts)
    supplied = _is_feed(tree) and column and parts[3] not in (name for name, _, _ in RESERVED[Kind.FEED])
    return {parts[3], column["businessName"], *column.get("synonyms", {})} if supplied else set()


def column_gone(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: breaks readers only, and a column named `required` or `unique` is taken for that setting. The supplier of a
    feed is left with a header that nobody knows, too."""
    return Direction.BOTH if len(parts) == 4 and _column(before, parts) and not _column(after, parts) else None


def column_added(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: breaks no reader and every supplier. But a column that joins the key changes the grain, which it does not
    see inside an added column; and a supplier is only held to a header that is required, or whose rules set rows aside."""
    column = _column(after, parts)
    if len(parts) != 4 or not column or _column(before, parts):
        return None
    if not _is_feed(after):
        return Direction.BOTH if column.get("primaryKey") else Direction.TIGHTENS
    strict = column["required"] or any(rule["severity"] != "warn" for rule in column.get("quality", {}).values())
    return Direction.TIGHTENS if strict and _headers(after, parts) else Direction.LOOSENS


def allowed_value(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: a value that goes breaks no reader, a label is metadata. Filters on the value find nothing any more, and
    the label is the meaning. That a value which comes breaks readers of the closed list is datacontract's own verdict."""
    if len(parts) < 6 or parts[4] != "enum" or not _column(after, parts):
        return None
    value = entry.path.split(".enum.", 1)[1]
    if value in _column(before, parts).get("enum", {}):
        return Direction.BOTH
    if value in _column(after, parts).get("enum", {}):
        return Direction.LOOSENS
    return Direction.BOTH if parts[-1] == "label" and entry.type == ChangelogType.updated else None


def classification_stricter(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: metadata. Here whatever is not 一般 is masked: readers lose values."""
    if len(parts) != 5 or parts[4] != "classification" or not entry.old_value or not entry.new_value:
        return None
    return Direction.BOTH if STRICTNESS.index(entry.new_value) > STRICTNESS.index(entry.old_value) else Direction.UNTESTED


def reader_gone(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: metadata. Here a role that is not named is denied."""
    return Direction.BOTH if parts[0] == "roles" and len(parts) == 2 and entry.type == ChangelogType.removed else None


def header_gone(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: metadata. Here Chinese name and synonyms of a feed's column are headers that deliveries use."""
    named = _column(after, parts) and (parts[4:] == ["businessName"] or (parts[4:5] == ["synonyms"] and len(parts) > 5))
    return Direction.TIGHTENS if named and _headers(before, parts) - _headers(after, parts) else None


def feed_rule_stricter(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: a rule that it cannot run itself (a named `check`) guarantees nothing. Here it sets rows aside all the same."""
    if not _is_feed(after) or parts[4:5] != ["quality"] or len(parts) < 6 or not _column(after, parts):
        return None
    was, now = (_column(tree, parts).get("quality", {}).get(parts[5], {}).get("severity", "warn") != "warn" for tree in (before, after))
    if len(parts) == 6 or parts[6:] == ["severity"]:
        return Direction.TIGHTENS if now and not was else Direction.LOOSENS
    return Direction.UNDETERMINED if now and parts[6:] == ["arguments", "check"] else None


def retired(entry: ChangelogEntry, parts: list[str], before: Tree, after: Tree) -> Direction | None:
    """datacontract: metadata. Here it announces that the table will go, and allows it to."""
    return Direction.BOTH if parts == ["status"] and entry.new_value == "retired" else None


class _Named(BreakingChangeRule):
    """One of the functions above as a rule of datacontract; they are asked before its own."""

    def __init__(self, judge: Callable[[ChangelogEntry, list[str], Tree, Tree], Direction | None]):
        self.rule_id = judge.__name__.replace("_", "-")
        self._judge = judge

    def evaluate(self, entry: ChangelogEntry, before: dict[str, Any], after: dict[str, Any]) -> RuleEvaluation | None:
        direction = self._judge(entry, entry.path.split("."), before, after)
        if direction is None:
            return None
        was = f" from {entry.old_value!r} to {entry.new_value!r}" if entry.type == ChangelogType.updated else ""
        return RuleEvaluation(self.rule_id, direction, f"{entry.type.value.capitalize()} {entry.path}{was}")


NAMED = tuple(
    _Named(j) for j in (column_gone, column_added, allowed_value, classification_stricter, reader_gone, header_gone, feed_rule_stricter, retired)
)

LISTS = (".quality", ".synonyms", ".customProperties")
# A change of these alone is one of texts.
TEXTS = {
    "apiVersion", "businessName", "description", "purpose", "limitations", "dataGranularityDescription", "englishName", "exception", "name",
}  # fmt: skip


def compare(released: OpenDataContractStandard, current: OpenDataContractStandard) -> list[Change]:
    """The changes between two resolved contracts, without that of the version. The order of columns is not compared."""
    released, current = _rules_by_id(released), _rules_by_id(current)
    side = Perspective.PRODUCER if (released.id or "").startswith("bronze.") else Perspective.CONSUMER
    detector = BreakingChangeDetector((*NAMED, *DEFAULT_RULES))
    result = DataContract(data_contract=released).breaking(DataContract(data_contract=current), detector, perspective=side)
    before, after = normalize_pair(*(c.model_dump(exclude_none=True, by_alias=True) for c in (released, current)))
    # A list that comes or goes as a whole is told by its members, and these by themselves without what is in them.
    entries = [e for e in result.entries if e.path != "version" and not (e.path.endswith(LISTS) and ".properties." in e.path.rpartition(".")[0])]
    whole = {e.path for e in entries if e.change_type != ChangelogType.updated}
    levels: dict[str, Level] = {}
    for entry in entries:
        parts = entry.path.split(".")
        top = next((path for i in range(1, len(parts)) if (path := ".".join(parts[:i])) in whole), entry.path)
        levels[top] = max(levels.get(top, Level.NONE), _level(entry))
    told = ((e, levels[e.path]) for e in entries if e.path in levels)
    return [Change(level, e.message, _chinese(e, before, after) + ("（不兼容）" if level == Level.MAJOR else "")) for e, level in told]


def _rules_by_id(contract: OpenDataContractStandard) -> OpenDataContractStandard:
    """A copy whose rules have their id as name: datacontract calls a rule without a name by its position."""
    copy = contract.model_copy(deep=True)
    for table in copy.schema_ or []:
        for rules in (table.quality, *(prop.quality for prop in table.properties or [])):
            for rule in rules or []:
                rule.name = rule.id
    return copy


def _level(entry: BreakingChangeEntry) -> Level:
    if entry.level != BreakingChangeLevel.INFO:  # a warning: datacontract cannot tell, as with a pattern
        return Level.MAJOR
    words = [part for part in entry.path.split(".") if part != "value"]
    return Level.PATCH if entry.rule_id == MetadataFallbackRule.rule_id and words[-1] in TEXTS else Level.MINOR


# --- check, changelog, release -----------------------------------------------------------------------------------------


def bumped(version: str, level: Level) -> tuple[int, int, int]:
    """The lowest version that a change of that level may have after `version`."""
    major, minor, patch = (int(part) for part in version.split("."))
    return {
        Level.NONE: (major, minor, patch),
        Level.PATCH: (major, minor, patch + 1),
        Level.MINOR: (major, minor + 1, 0),
        Level.MAJOR: (major + 1, 0, 0),
    }[level]


def text_of(contract: Contract) -> str:
    """Text of the contract's file in `released`."""
    return HEADING + resolved(contract).to_yaml()


def path_of(name: str, root: Path = RELEASED) -> Path:
    """The released file of the contract of that id."""
    return root / (name.replace(".", "/", 1) + ".yaml")


def load_released(root: Path = RELEASED) -> dict[str, OpenDataContractStandard]:
    """Every released contract, by id."""
    # With the parser in C: the library's own way takes ten times as long.
    return {f"{path.parent.name}.{path.stem}": _read(path) for path in sorted(root.glob("*/*.yaml"))}


def released_of(name: str, root: Path) -> OpenDataContractStandard | None:
    """The released state of the contract of that id."""
    path = path_of(name, root)
    return _read(path) if path.exists() else None


def _read(path: Path) -> OpenDataContractStandard:
    return OpenDataContractStandard.model_validate(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader))


def changes(contract: Contract, released: OpenDataContractStandard) -> list[Change]:
    """What differs between a contract and its released state, the weightiest first; of the version alone: nothing."""
    current = resolved(contract)
    if current.model_dump() == released.model_dump():
        return []
    found = sorted(compare(released, current), key=lambda change: -change.level)
    if not found and current.version == released.version:
        return [Change(Level.PATCH, "Changed the order of columns, rules or readers", "列、规则或读者的排列次序有调整")]
    return found


def check(contracts: Mapping[str, Contract], released: Mapping[str, OpenDataContractStandard]) -> list[str]:
    """Problems of the contracts' versions: each names the file, every change, and the version to write. New contracts are fine."""
    problems = []
    for name, old in released.items():
        file = name.replace(".", "/", 1) + ".yaml"
        if name not in contracts:
            if old.status != "retired":
                problems.append(f"{file}: the released contract is gone; restore it, release it with `status: retired`, then remove it")
            continue
        found = changes(contracts[name], old)
        level = max((c.level for c in found), default=Level.NONE)
        lowest = bumped(old.version or "", level)
        if tuple(map(int, contracts[name].version.split("."))) < lowest:
            why = "\n".join(f"  {c.level.name.lower()}: {c.text}" for c in found) or "  nothing changed"
            problems.append(
                f"{file}: version: {contracts[name].version} does not do after the released {old.version}; write {'.'.join(map(str, lowest))}:\n{why}"
            )
    return problems


def changelog(contracts: Mapping[str, Contract], released: Mapping[str, OpenDataContractStandard]) -> dict[str, list[str]]:
    """Chinese lines on what is not released yet, by contract, the weightiest first; contracts without any are left out."""
    lines = {}
    for name, contract in contracts.items():
        if name not in released:
            lines[name] = ["首次发布"]
        elif (found := changes(contract, released[name])) or contract.version != released[name].version:
            lines[name] = [c.chinese for c in found] or ["仅版本号有调整"]
    return lines


def history(root: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """What every release changed, by contract, newest first: `{"version": text, "changes": [Chinese line]}`; of no folder named: as it is in force."""
    path = (root or places.root() / "catalog" / RELEASED.name) / HISTORY
    return (yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) or {}) if path.exists() else {}


def release(contracts: Mapping[str, Contract], root: Path = RELEASED) -> list[str]:
    """Make the contracts the released ones, and return the ids of those that changed. A retired contract stays as its id's last word.

    Raises ValueError, with nothing written, when `check` finds a problem.
    """
    released = load_released(root)
    if problems := check(contracts, released):
        raise ValueError("\n".join(problems))
    lines = changelog(contracts, released)
    record(contracts, lines, root)
    return list(lines)


def record(contracts: Mapping[str, Contract], lines: Mapping[str, Sequence[str]], root: Path) -> None:
    """Write the released state of the contracts that ``lines`` are about, and the lines into the history of the folder."""
    past = history(root)
    for name, new in lines.items():
        path = path_of(name, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(contracts[name]), encoding="utf-8")
        past[name] = [{"version": contracts[name].version, "changes": list(new)}, *past.get(name, [])]
    if lines:
        (root / HISTORY).write_text(
            HEADING + yaml.safe_dump(dict(sorted(past.items())), allow_unicode=True, sort_keys=False, width=10_000), encoding="utf-8"
        )


# --- Chinese -----------------------------------------------------------------------------------------------------------

VERBS = {ChangelogType.added: "新增", ChangelogType.removed: "删除"}
WORDS = {
    "value": "", "customProperties": "", "slaProperties": "", "arguments": "", "team": "", "True": "是", "False": "否",
    "businessName": "中文名", "limitations": "使用限制", "purpose": "用途", "dataGranularityDescription": "粒度说明", "status": "契约状态",
    "physicalType": "存储类型", "logicalType": "数据类型", "classification": "数据分类", "required": "必填", "primaryKey": "主键", "primaryKeyPosition": "主键次序",
    "synonyms": "可用表头", "quality": "质量规则", "enum": "允许值", "label": "的含义", "roles": "读者", "access": "权限", "name": "责任部门", "domain": "业务领域",
    "frequency": "更新周期", "retention": "保存期限", "unit": "单位", "englishName": "英文名", "supplyingDepartment": "供数部门", "sharing": "共享属性",
    "sharingCondition": "共享条件", "inputs": "来源表", "codeList": "代码表", "codeListEdition": "代码表版本", "element": "数据元标准", "exception": "例外理由",
    "dimension": "质量维度", "severity": "处理方式", "pattern": "格式", "check": "检查方法", "fileNameDate": "文件名中的日期", "quarantineBudget": "隔离上限", "validValues": "有效值", "missingValues": "视为空的值", "apiVersion": "契约标准版本",
}  # fmt: skip


def _chinese(entry: BreakingChangeEntry, before: Tree, after: Tree) -> str:
    """The change as a Chinese line: 列“企业名称”（subject_name）必填由“是”改为“否”."""
    parts, place, description = entry.path.split("."), "", ""
    if parts[0] == "schema":
        trees = [tree["schema"][parts[1]] for tree in (after, before)]
        parts, description = parts[2:], "说明"
        if parts[0] == "properties":
            trees = [tree["properties"].get(parts[1], {}) for tree in trees]
            place, description = f"列“{(trees[0] or trees[1])['businessName']}”（{parts[1]}）", "含义"
            parts = parts[2:]
        if parts[:1] == ["quality"] and len(parts) > 1:
            rule = next(tree["quality"][parts[1]] for tree in trees if parts[1] in tree.get("quality", {}))
            place, parts, description = f"{place}质量规则“{rule['description']}”", parts[2:], "说明"
    if "inputs" in parts and len(parts) > 3:
        parts = ["inputs", ".".join(parts[3:])]  # the id of a contract has a dot
    words = {**WORDS, "description": description}
    what = "".join(words.get(part, f"“{part}”") for part in parts)
    if entry.change_type != ChangelogType.updated:
        return f"{VERBS[entry.change_type]}{place}{what}"
    old, new = (WORDS.get(value or "", value) for value in (entry.old_value, entry.new_value))
    return f"{place}{what}由“{old}”改为“{new}”"


def main(arguments: list[str]) -> int:
    try:
        contracts = load_contracts()
    except ContractError as error:
        print(error, file=sys.stderr)
        return 1
    match arguments:
        case ["check"]:
            problems = check(contracts, load_released())
            print("\n".join(problems) or f"{len(contracts)} contracts, all versions fit their changes")
            if new := sorted(contracts.keys() - load_released().keys()):
                print(f"not released yet: {', '.join(new)}; once they are right: python -m catalog.versions release")
            return 1 if problems else 0
        case ["changelog"]:
            lines = changelog(contracts, load_released())
            for name, contract in contracts.items():
                pending = [{"version": f"{contract.version}（未发布）", "changes": lines[name]}] if name in lines else []
                for step in (*pending, *history().get(name, [])):
                    print(f"{contract.chinese}（{name}）{step['version']}", *(f"  - {line}" for line in step["changes"]), sep="\n")
        case ["release"]:
            try:
                print("\n".join(release(contracts)) or "nothing changed")
            except ValueError as error:
                print(error, file=sys.stderr)
                return 1
        case _:
            print("usage: python -m catalog.versions check | changelog | release", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
