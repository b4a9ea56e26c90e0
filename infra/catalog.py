"""``./lake catalog``: what is told of the data to people and to other systems, from the contracts alone; no service has to run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from catalog import amendments, directory_dcat, directory_excel, editing
from catalog import directory as directories
from catalog.contract import load_contracts
from catalog.directory_check import check
from infra.problems import Problem

NAME = "信息资源目录"
FORMATS = {"xlsx": ("xlsx",), "jsonld": ("jsonld",), "both": ("xlsx", "jsonld")}


def directory(folder: Path, form: str, out: Console) -> bool:
    """Write the resource directory into ``folder`` and say what is in it; whether the check found nothing wrong.

    ``form``: xlsx, jsonld or both. With faults the workbook is written nevertheless and lists them; what other systems harvest is not.

    Raises:
        Problem: there is no such form, or the folder can't be written.
    """
    if form not in FORMATS:
        raise Problem(f"没有“{form}”这种格式", "写错了", f"可用的有：{'、'.join(FORMATS)}")
    contracts, facts = load_contracts(), directories.load_facts()
    found = directories.resources(contracts, facts)
    faults = check(found)
    contents = {}
    for kind in FORMATS[form]:
        if kind == "xlsx":
            contents[kind] = directory_excel.workbook(found, directories.unlisted(contracts), facts, faults)
        elif not faults:
            contents[kind] = directory_dcat.text_of(found, facts).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, content in contents.items():
            (folder / f"{NAME}.{kind}").write_bytes(content)
    except OSError as error:
        raise Problem(f"不能写入 {folder}", f"{error.strerror}（以服务用户写入）", "换一个该用户可写的目录") from error
    for kind in contents:
        out.print(f"已写入 {escape(str(folder / f'{NAME}.{kind}'))}", soft_wrap=True)
    shared = "，".join(f"{sharing} {count}" for sharing, count in directories.by_sharing(found).items())
    out.print(f"{len(found)} 项信息资源：{shared}；其中向社会开放 {sum(r.is_open for r in found)}", soft_wrap=True)
    for code, name in sorted({(r.provider_code, r.provider) for r in found if r.is_example}):
        out.print(f"  {name} {code}：示例代码，正式报送前请改为本单位代码（catalog/departments.yaml）", style="yellow", soft_wrap=True)
    if unconfirmed := [r.name for r in found if not r.is_confirmed]:
        out.print(f"  {len(unconfirmed)} 项不予共享的依据为拟定，报送前请法规机构确认：{'、'.join(unconfirmed)}", style="yellow", soft_wrap=True)
    for fault in faults:
        out.print(f"  ✗ {escape(str(fault))}", style="red", soft_wrap=True)
    if len(contents) < len(FORMATS[form]):
        out.print("  JSON-LD 未写出：供其他系统采集的目录须先通过校验", style="red")
    out.print(f"校验：{len(faults)} 处问题" if faults else "校验：各项齐全、合规", style="red" if faults else "green")
    return not faults


def adopt(repo: Path, folder: Path, dry_run: bool, out: Console) -> None:
    """Write an instance's approved amendments into the declarations of ``repo``, so that its next version has them itself. ``folder``: of the instance.

    Raises:
        Problem: one of them can't be written, or the files can't.
    """
    edits, home = amendments.read(folder), repo / "catalog"
    wanted = []
    for e in amendments.last_said(edits):
        try:
            now = editing.current(e.kind, e.target, e.attribute, home)
        except editing.Refused as refused:
            out.print(f"  ✗ {e.target}：{escape(str(refused))}", style="yellow", soft_wrap=True)
            continue
        if now == e.new:
            continue
        if now != e.old:
            out.print(f"  ! {e.target} 的{e.title}：工作副本写的是“{escape(now)}”，仍按审批的改", style="yellow", soft_wrap=True)
        out.print(f"  {e.target} 的{e.title}：{escape(now) or '（无）'} → {escape(e.new) or '（无）'}", soft_wrap=True)
        wanted.append(replace(e, old=now))
    if not wanted:
        out.print(f"{len(edits)} 处审批通过的修改，工作副本都已写明")
        return
    try:
        written = [] if dry_run else editing.apply(wanted, repo)
    except editing.Refused as refused:
        raise Problem("没有写入工作副本", str(refused), "改正后再运行") from refused
    except OSError as error:
        raise Problem(f"不能写入 {error.filename}", str(error.strerror), "以工作副本的主人运行") from error
    out.print("没有写文件（--dry-run）" if dry_run else f"已写 {len(written)} 个文件；核对 git diff 后提交", style="green")


MOST_SHOWN = 12  # comments


def set_value(repo: Path, target: str, attribute: str, value: str, dry_run: bool, out: Console) -> None:
    """Change one value of the declarations in ``repo`` and say what follows from it.

    Raises:
        Problem: it may not be changed, or the declarations would not be in order; nothing is written.
    """
    kind = editing.kind_of(target)
    home = repo / "catalog"
    try:
        edit = editing.Edit(kind, target, attribute, editing.current(kind, target, attribute, home), value.strip())
        effect = editing.try_out([edit], home)
        written = [] if dry_run else editing.apply([edit], repo)
    except editing.Refused as refused:
        raise Problem(f"{target} 的 {attribute} 没有修改", str(refused), "改正后再运行；可改的项目见 ./lake catalog set --help") from refused
    except OSError as error:
        raise Problem(f"不能写入 {error.filename}", str(error.strerror), "以工作副本的主人运行") from error
    out.print(f"{escape(edit.title)}：{escape(edit.old) or '（无）'} → {escape(edit.new) or '（无）'}", soft_wrap=True)
    for identity, old, new, changed in effect.versions:
        out.print(f"  {identity} {old} → {new}：{escape('；'.join(changed))}", soft_wrap=True, style="red" if identity in effect.breaking else "")
    for place, _, after in effect.comments[:MOST_SHOWN]:
        out.print(f"  {place} 的注释改为“{escape(after)}”", soft_wrap=True)
    if len(effect.comments) > MOST_SHOWN:
        out.print(f"  …另有 {len(effect.comments) - MOST_SHOWN} 处注释随之改变")
    if effect.breaking:
        out.print("  红色的不兼容：使用者要随之修改，先告知他们", style="red")
    out.print("下次运行会按新的规则重做数据" if effect.rebuilds else "不影响已有数据；./lake up 之后注释、看板列名和目录随之更新")
    out.print("没有写文件（--dry-run）" if dry_run else f"已写 {len(written)} 个文件；核对 git diff 后提交", style="green")
