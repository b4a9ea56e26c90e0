"""Whether the entries of the resource directory are complete and right, as 政务信息资源目录编制指南（试行）2017 wants them.

Pure: entries in, faults out. A fault says in Chinese which resource, which item of the guide, what is wrong and what to do. Where entries are derived from
contracts most faults can't occur; the rules hold for an entry from wherever it comes.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from catalog.directory import CLASSES, DATA_TYPES, UNSHARED, Resource
from catalog.properties import Sharing, UpdateCycle
from spark_jobs.refine.identifiers import code_check, department_known, identify

CODE = re.compile(r"[123]\d{2}\d{3}\d*/\d+")
LEGAL = re.compile(r"《[^》]+》|〔\d{4}〕\d+号")  # a law by its name, or a document by its number
EXAMPLE = "EXAMPLE"  # in the organisation part of a made-up credit code
# The two levels of 信息资源格式. What the guide doesn't name is written as 其他：… with what it is.
FORMATS = {
    "电子文件": ("OFD", "wps", "xml", "txt", "doc", "docx", "html", "pdf", "ppt"),
    "电子表格": ("et", "xls", "xlsx"),
    "数据库": ("Dm", "KingbaseES", "access", "dbf", "dbase", "sysbase", "oracle", "sql server", "db2"),
    "图形图像": ("jpg", "gif", "bmp"),
    "流媒体": ("swf", "rm", "mpg"),
    "自描述格式": (),
}
OTHER = "其他："
METHODS = ("共享平台-数据库", "共享平台-文件", "共享平台-接口", "邮件", "拷盘", "介质交换")
CYCLES = get_args(UpdateCycle)
SHARINGS = get_args(Sharing)
TYPES = tuple(dict.fromkeys((*DATA_TYPES.values(), "货币型Y", "通用型G", "浮点型F")))

Finding = tuple[str, str, str]  # item of the guide, what is wrong, what to do


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry: name and table of the resource, item of the guide, fault, remedy."""

    resource: str
    table: str
    item: str
    says: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.resource}（{self.table}）：{self.item}：{self.says}；{self.remedy}"


def check(resources: Sequence[Resource]) -> list[Fault]:
    """Every fault of every entry, in the order of entries; none for a directory that can be filed."""
    codes = {r.code for r in resources if r.code}
    rules: tuple[Callable[[Resource], Iterable[Finding]], ...] = (
        _required, _category, _code, _provider, _format, _items, _sharing, _openness, _cycle_and_day, lambda r: _related(r, codes),
    )  # fmt: skip
    faults = [Fault(r.name, r.table, *finding) for r in resources for rule in rules for finding in rule(r)]
    return faults + list(_twice(resources))


def _required(r: Resource) -> Iterator[Finding]:
    stated = {
        "信息资源名称": (r.name, "契约 businessName"),
        "信息资源代码": (r.code, "运行 ./lake contracts release 编号"),
        "信息资源提供方": (r.provider, "catalog/departments.yaml 的 bodies"),
        "信息资源提供方代码": (r.provider_code, "catalog/departments.yaml 的 bodies"),
        "信息资源摘要": (r.summary, "契约 description"),
        "共享类型": (r.sharing, "契约 sharing"),
        "更新周期": (r.update_cycle, "契约 slaProperties frequency"),
        "发布日期": (r.issued, "运行 ./lake contracts release 登记"),
    }
    for item, (value, where) in stated.items():
        if not value.strip():
            yield item, "没有填写", f"请补填（{where}）"


def _category(r: Resource) -> Iterator[Finding]:
    if len(r.category.levels) != 4 or not all(code and name for code, name in r.category.levels):
        yield "信息资源分类", "类、项、目、细目没有填全", "请在 catalog/departments.yaml 的 classes 补全"
        return
    (top, _), (item, name), *_ = r.category.levels
    if top not in CLASSES:
        yield "信息资源分类", f"没有“{top}”这一类", f"请改用 {'、'.join(f'{c} {n}' for c, (n, _) in CLASSES.items())}"
    elif not item.isdigit() or not 1 <= int(item) <= len(CLASSES[top][1]) or CLASSES[top][1][int(item) - 1] != name:
        yield "信息资源分类", f"{CLASSES[top][0]}里没有“{item} {name}”这一项", f"请改用{'、'.join(CLASSES[top][1])}之一"


def _code(r: Resource) -> Iterator[Finding]:
    if not r.code:
        return
    if not CODE.fullmatch(r.code):
        yield "信息资源代码", f"“{r.code}”不合格式", "应为分类码（类 1 位、项 2 位、目 3 位、细目）、“/”和顺序码，如 10200102/0001"
    elif r.code.partition("/")[0] != r.category.code:
        yield "信息资源代码", f"“{r.code}”的分类码与现在的分类 {r.category.code} 不符", "请恢复原分类，或在 catalog/directory.csv 改代码并通知使用方"


def _provider(r: Resource) -> Iterator[Finding]:
    if not r.provider_code:
        return
    found = identify(r.provider_code)
    if found.kind != "uscc" or found.value != r.provider_code:
        yield "信息资源提供方代码", f"“{r.provider_code}”不是 18 位统一社会信用代码", "请按本单位证照改正"
        return
    if code_check(r.provider_code) != "passed":
        yield "信息资源提供方代码", f"“{r.provider_code}”校验位不符（GB 32100）", "请按本单位证照改正"
    if not department_known(r.provider_code):
        yield "信息资源提供方代码", f"“{r.provider_code}”前两位不是标准中的登记管理部门和机构类别", "请按本单位证照改正"
    if r.is_example != (r.provider_code[8:].startswith(EXAMPLE)):
        wrong = "标为示例，却像真实代码" if r.is_example else "是示例代码，却没有标明"
        yield "信息资源提供方代码", f"“{r.provider_code}”{wrong}", "请改为本单位代码并写 example: false，或保留示例代码并写 example: true"


def _format(r: Resource) -> Iterator[Finding]:
    kind, what = r.format
    if kind not in FORMATS:
        yield "信息资源格式", f"没有“{kind}”这一类格式", f"请改用{'、'.join(FORMATS)}之一"
    elif what not in FORMATS[kind] and not (what.startswith(OTHER) and what.removeprefix(OTHER).strip()):
        yield "信息资源格式", f"“{what}”不是{kind}的格式", f"请改用{'、'.join((*FORMATS[kind], '其他：（写明是什么）'))}"


def _items(r: Resource) -> Iterator[Finding]:
    if not r.items:
        yield "信息项信息", "没有信息项", "请列出各信息项的名称和数据类型"
    for number, item in enumerate(r.items, 1):
        if not item.name.strip():
            yield "信息项名称", f"第 {number} 项没有名称", "请补填"
        if item.type not in TYPES:
            yield "数据类型", f"信息项“{item.name}”的数据类型“{item.type}”不在指南的类型中", f"请改用{'、'.join(TYPES)}之一"
    for name, times in Counter(i.name for i in r.items).items():
        if name.strip() and times > 1:
            yield "信息项名称", f"“{name}”出现 {times} 次", "请区分名称"


def _sharing(r: Resource) -> Iterator[Finding]:
    if r.sharing and r.sharing not in SHARINGS:
        yield "共享类型", f"没有“{r.sharing}”这一类型", f"请改用{'、'.join(SHARINGS)}之一"
    condition = (r.sharing_condition or "").strip()
    if r.sharing == "有条件共享" and not condition:
        yield "共享条件", "有条件共享没有写明条件", "请写明供谁、作什么用"
    if r.sharing == UNSHARED and not LEGAL.search(condition):
        yield (
            "共享条件",
            "不予共享没有法律、行政法规或国务院政策依据",
            "请在契约的 sharingCondition 或 catalog/departments.yaml 的 legal_bases 写明依据的名称或文号",
        )
    if r.sharing == UNSHARED and r.sharing_method:
        yield "共享方式", f"不予共享却写了共享方式“{r.sharing_method}”", "请删去"
    if r.sharing in SHARINGS and r.sharing != UNSHARED and r.sharing_method not in METHODS:
        yield "共享方式", f"没有“{r.sharing_method or '（空）'}”这种方式", f"请改用{'、'.join(METHODS)}之一"


def _openness(r: Resource) -> Iterator[Finding]:
    if not r.is_open:
        if r.open_condition:
            yield "开放条件", "不向社会开放却写了开放条件", "请删去，或改为开放"
        return
    if not (r.open_condition or "").strip():
        yield "开放条件", "向社会开放没有写明开放条件", "请写明"
    if r.sharing != "无条件共享":
        yield "是否向社会开放", f"{r.sharing}的资源不能向社会开放", "请改为不开放"
    if personal := [i.name for i in r.items if i.personal]:
        yield "是否向社会开放", f"含个人信息或商业秘密的信息项：{'、'.join(personal)}", "请改为不开放"


def _cycle_and_day(r: Resource) -> Iterator[Finding]:
    if r.update_cycle and r.update_cycle not in CYCLES:
        yield "更新周期", f"没有“{r.update_cycle}”这一周期", f"请改用{'、'.join(CYCLES)}之一"
    if r.issued:
        try:
            if dt.date.fromisoformat(r.issued).isoformat() != r.issued:
                raise ValueError
        except ValueError:
            yield "发布日期", f"“{r.issued}”不是日期", "请写作 CCYY-MM-DD，如 2026-11-25"


def _related(r: Resource, codes: set[str]) -> Iterator[Finding]:
    for code in r.related:
        if code not in codes:
            yield "关联资源代码", f"目录里没有 {code}", "请改正或删去"
        elif code == r.code:
            yield "关联资源代码", "关联到自身", "请删去"


def _twice(resources: Iterable[Resource]) -> Iterator[Fault]:
    seen: dict[tuple[str, str], Resource] = {}
    for r in resources:
        for item, value, do in (("信息资源代码", r.code, "请给其中一个另编代码"), ("信息资源名称", r.name, "请改名，使人能够区分")):
            if not value.strip():
                continue
            first = seen.setdefault((item, value), r)
            if first is not r:
                yield Fault(r.name, r.table, item, f"“{value}”与 {first.table} 相同", do)
