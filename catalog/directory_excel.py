"""The resource directory as a workbook, in the column order of the guide's template (编制模板). The same directory gives the same bytes."""

import datetime as dt
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from catalog.directory import Facts, Resource, by_sharing
from catalog.directory_check import Fault

FONT = "宋体"
_STAMP = (1980, 1, 1, 0, 0, 0)  # of the files in the archive: the format begins there
_PLAIN, _BOLD = Font(name=FONT, size=10), Font(name=FONT, size=10, bold=True)
_TOP, _CENTRE = Alignment(vertical="top", wrap_text=True), Alignment(horizontal="center", vertical="center", wrap_text=True)
_HEADER = PatternFill("solid", fgColor="D9E1F2")
_OURS = PatternFill("solid", fgColor="EDEDED")
_WARNING = PatternFill("solid", fgColor="FFF2CC")
_LINE = Side(style="thin", color="BFBFBF")
_BORDER = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)

# Heading, headings below it (none: it stands alone), width of each column in characters.
RESOURCE_COLUMNS: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...] = (
    ("信息资源分类", ("类", "项", "目", "细目"), (14, 14, 16, 14)),
    ("信息资源名称", (), (24,)),
    ("信息资源代码", (), (17,)),
    ("信息资源提供方", (), (22,)),
    ("信息资源提供方代码", (), (22,)),
    ("信息资源摘要", (), (60,)),
    ("信息资源格式", ("分类", "类型"), (10, 20)),
    ("信息项信息", ("信息项名称", "数据类型"), (26, 12)),
    ("共享属性", ("共享类型", "共享条件", "共享方式"), (12, 36, 16)),
    ("开放属性", ("是否向社会开放", "开放条件"), (11, 24)),
    ("更新周期", (), (10,)),
    ("发布日期", (), (12,)),
    ("关联资源代码", (), (20,)),
)
OUR_COLUMNS = (("提供方内设机构（附加）", 20), ("数据表（附加）", 30), ("契约版本（附加）", 12), ("待办（附加）", 36))
ITEM_COLUMNS = (
    ("信息资源代码", 17), ("信息资源名称", 24), ("序号", 6), ("信息项名称", 22), ("列名", 26), ("数据类型", 12), ("含义", 70), ("主键", 6), ("必有值", 8),
    ("数据分类", 14), ("提供时", 10),
)  # fmt: skip
EXAMPLE_CODE = "提供方代码为示例代码，正式报送前请改为本单位代码"
UNCONFIRMED = "不予共享的依据为拟定，报送前请法规机构确认"
CLASS_CODES = "分类码按《政务信息资源目录编制指南（试行）》所列次序编制，报送前请与主管部门下发的分类码表核对"
DERIVED = (
    ("信息资源分类", "契约的业务领域，按 catalog/departments.yaml 归类；细目由表的种类得出"),
    ("信息资源名称", "契约的中文名"),
    ("信息资源代码", "catalog/directory.csv：一次给定，不因增减资源而改变"),
    ("信息资源提供方", "契约的供数部门所属的单位（catalog/departments.yaml）；内设机构另列"),
    ("信息资源提供方代码", "该单位的统一社会信用代码（catalog/departments.yaml）"),
    ("信息资源摘要", "契约的说明、粒度、用途、口径与限制"),
    ("信息资源格式", "各资源相同：数据库，由只读视图提供（catalog/departments.yaml）"),
    ("信息项信息", "契约的各列：中文名；数据类型由存储类型换算"),
    ("共享属性", "契约的共享属性和条件；不予共享的法律依据，契约没有写明的取自 catalog/departments.yaml"),
    ("开放属性", "只有无条件共享、且没有个人信息和商业秘密列的资源列为开放"),
    ("更新周期", "契约的更新周期"),
    ("发布日期", "catalog/directory.csv：首次列入目录的日期"),
    ("关联资源代码", "契约的来源表中列入目录的资源"),
)  # fmt: skip


def workbook(resources: Sequence[Resource], left_out: Mapping[str, str], facts: Facts, faults: Sequence[Fault]) -> bytes:
    """The directory as an xlsx file: resources, their items, and what is made up, derived, left out or wrong.

    ``left_out``: why a table is not in it, by id; ``faults``: what the check found, shown on the last sheet.
    """
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    _resources(sheet, resources)
    _items(book.create_sheet(), resources)
    _notes(book.create_sheet(), resources, left_out, facts, faults)
    book.properties.title, book.properties.creator = facts.catalogue.title, facts.bodies[facts.catalogue.publisher].name
    last = max((r.issued for r in resources if r.issued), default="1980-01-01")
    return _same_bytes(book, f"{last}T00:00:00Z")


def to_do(resource: Resource) -> tuple[str, ...]:
    """What has to be settled before an entry is filed, though it is complete."""
    return ((EXAMPLE_CODE,) if resource.is_example else ()) + (() if resource.is_confirmed else (UNCONFIRMED,))


def _resources(sheet: Worksheet, resources: Iterable[Resource]) -> None:
    sheet.title = "信息资源目录"
    column = 1
    for heading, below, widths in (*RESOURCE_COLUMNS, *((title, (), (width,)) for title, width in OUR_COLUMNS)):
        fill = _OURS if "附加" in heading else _HEADER
        _head(sheet, 1, column, heading, fill)
        for offset, width in enumerate(widths):
            _head(sheet, 2, column + offset, below[offset] if below else None, fill)
            if offset:
                _head(sheet, 1, column + offset, None, fill)
            sheet.column_dimensions[get_column_letter(column + offset)].width = width
        end = (2, column) if not below else (1, column + len(below) - 1)
        sheet.merge_cells(start_row=1, start_column=column, end_row=end[0], end_column=end[1])
        column += len(widths)
    row = 2
    for row, r in enumerate(resources, 3):
        values = (
            *(f"{code} {name}" for code, name in r.category.levels),
            r.name, r.code, r.provider, r.provider_code, r.summary, *r.format,
            "\n".join(i.name for i in r.items), "\n".join(i.type for i in r.items),
            r.sharing, r.sharing_condition, r.sharing_method, "是" if r.is_open else "否", r.open_condition,
            r.update_cycle, r.issued, "\n".join(r.related), r.department, r.table, r.version, "；".join(to_do(r)),
        )  # fmt: skip
        for place, value in enumerate(values, 1):
            _cell(sheet, row, place, value)
        if to_do(r):
            sheet.cell(row, len(values)).fill = _WARNING
        # Cells hold dozens of items: rows stay low enough to read down the sheet, the items have a sheet of their own.
        sheet.row_dimensions[row].height = 96
    _page(sheet, "F3", f"A2:{get_column_letter(column - 1)}{row}", "1:2")


def _items(sheet: Worksheet, resources: Iterable[Resource]) -> None:
    sheet.title = "信息项"
    for place, (heading, width) in enumerate(ITEM_COLUMNS, 1):
        _head(sheet, 1, place, heading, _HEADER)
        sheet.column_dimensions[get_column_letter(place)].width = width
    row = 1
    for r in resources:
        for number, i in enumerate(r.items, 1):
            row += 1
            marks = ("是" if i.key else "", "是" if i.required else "", i.classification, "遮蔽" if i.personal else "")
            values: tuple[str | int, ...] = (r.code, r.name, number, i.name, i.column, i.type, i.meaning, *marks)
            for place, value in enumerate(values, 1):
                _cell(sheet, row, place, value)
            if i.personal:
                sheet.cell(row, len(ITEM_COLUMNS)).fill = _WARNING
    _page(sheet, "E2", f"A1:{get_column_letter(len(ITEM_COLUMNS))}{row}", "1:1")


def _notes(sheet: Worksheet, resources: Sequence[Resource], left_out: Mapping[str, str], facts: Facts, faults: Sequence[Fault]) -> None:
    sheet.title = "说明"
    for place, width in enumerate((34, 90), 1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    departments = {body: "、".join(name for name, d in facts.departments.items() if d.body == body) for body in facts.bodies}
    used = {r.provider_code for r in resources}
    shared = "，".join(f"{sharing} {count} 项" for sharing, count in by_sharing(resources).items())
    parts: list[tuple[str, list[tuple[str, str]]]] = [
        (facts.catalogue.title, [
            ("资源数", f"{len(resources)} 项：{shared}"),
            ("向社会开放", f"{sum(r.is_open for r in resources)} 项"),
            ("信息项数", f"{sum(len(r.items) for r in resources)} 项"),
            ("编制依据", "《政务信息资源目录编制指南（试行）》（发改高技〔2017〕1272号）的核心元数据；标“附加”的列不属于该指南"),
        ]),
        ("报送前须处理", [
            *((f"示例代码 {body.code}", f"{body.name}（{departments[key]}）：{EXAMPLE_CODE}") for key, body in facts.bodies.items() if body.example and body.code in used),
            *((f"依据待确认 {r.code}", f"{r.name}：{r.sharing_condition}") for r in resources if not r.is_confirmed),
            *([("示例网址", f"{facts.catalogue.address}：JSON-LD 中的标识以此开头，请改为本单位网址")] if facts.catalogue.example else []),
            ("分类码", CLASS_CODES),
        ]),
        ("各项由何得出", list(DERIVED)),
        ("未列入目录的表", [(f"{count} 张", why) for why, count in Counter(left_out.values()).most_common()]),
        (f"校验发现的问题：{len(faults)} 处", [(f"{f.resource}（{f.table}）", f"{f.item}：{f.says}；{f.remedy}") for f in faults]),
    ]  # fmt: skip
    row = 0
    for title, lines in parts:
        row += 1
        _head(sheet, row, 1, title, _HEADER)
        _head(sheet, row, 2, None, _HEADER)
        sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=2)
        for left, right in lines:
            row += 1
            _cell(sheet, row, 1, left)
            _cell(sheet, row, 2, right)
            if left.startswith(("示例", "依据待确认")):
                sheet.cell(row, 1).fill = _WARNING
        row += 1
    _page(sheet, None, None, None)


def _head(sheet: Worksheet, row: int, column: int, text: str | None, fill: PatternFill) -> None:
    cell = sheet.cell(row, column, text)
    cell.font, cell.fill, cell.border, cell.alignment = _BOLD, fill, _BORDER, _CENTRE


def _cell(sheet: Worksheet, row: int, column: int, value: str | int | None) -> None:
    cell = sheet.cell(row, column, value if value != "" else None)
    if isinstance(value, str) and value:
        cell.data_type = "s"  # a text that begins with = is no formula
    cell.font, cell.border, cell.alignment = _PLAIN, _BORDER, _TOP


def _page(sheet: Worksheet, frozen: str | None, filtered: str | None, titles: str | None) -> None:
    sheet.freeze_panes = frozen
    if filtered:
        sheet.auto_filter.ref = filtered
    if titles:
        sheet.print_title_rows = titles
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 8  # A3
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def _same_bytes(book: Workbook, moment: str) -> bytes:
    """The saved workbook without the time of saving, which openpyxl writes into the properties and the archive."""
    book.properties.created = dt.datetime.fromisoformat(moment).replace(tzinfo=None)
    packed, out = io.BytesIO(), io.BytesIO()
    book.save(packed)
    modified = f'<dcterms:modified xsi:type="dcterms:W3CDTF">{moment}</dcterms:modified></cp:coreProperties>'.encode()
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                before, found, _ = content.partition(b"<dcterms:modified")
                assert found, "openpyxl writes the time of saving elsewhere"
                content = before + modified
            target.writestr(zipfile.ZipInfo(name, _STAMP), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
