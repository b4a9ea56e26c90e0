"""Find out what a file is from its bytes, never from its name, and unpack it where it is packed once.

Nothing is decided here about columns: ``readers`` makes rows of cells, ``tables`` finds the header.
"""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from spark_jobs.ingest.refusal import Refused

Kind = Literal["text", "json", "xml", "spreadsheetml", "workbook"]
LARGEST_UNPACKED = 8 * 2**30  # bytes
LARGEST_RATIO = 250  # unpacked to packed; registers as CSV reach about 12
SMALL = 16 * 2**20  # below this, a ratio says nothing
MEMBERS_OF_A_WORKBOOK = 5_000
BLOCK = 2**20
AGAIN = "请从源系统重新导出后再送。"
_GZIP, _ZIP, _OLE = b"\x1f\x8b", b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FOREIGN = (
    (b"%PDF", "PDF 文档"), (b"Rar!", "RAR 压缩包"), (b"7z\xbc\xaf", "7z 压缩包"), (b"\x89PNG", "图片"), (b"\xff\xd8\xff", "图片"),
    (b"SQLite format 3", "SQLite 数据库"), (b"BZh", "bzip2 压缩包"), (b"\xfd7zXZ", "xz 压缩包"), (b"PAR1", "Parquet 文件"),
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a file is. ``encoding`` is empty for workbooks; ``path`` is the unpacked file; ``member`` its name inside the archive."""

    kind: Kind
    encoding: str
    path: Path
    member: str = ""


@contextmanager
def found(path: Path, scratch: Path) -> Iterator[Found]:
    """Say what ``path`` is. What is packed is unpacked under ``scratch`` for the length of the block, within limits.

    Raises:
        Refused: the format is none of ours, the file is damaged, encrypted, packed twice, or too large when unpacked.
    """
    head = _head(path)
    if not head:
        raise Refused("文件是空的（0 字节）。请确认导出是否完成。")
    if head.startswith(_GZIP) or (head.startswith(_ZIP) and not _is_workbook(path)):
        with tempfile.TemporaryDirectory(dir=scratch, prefix="unpacked-") as folder:
            unpacked = Path(folder) / "content"
            member = _unpack_gzip(path, unpacked) if head.startswith(_GZIP) else _unpack_zip(path, unpacked)
            inner = _head(unpacked)
            if inner.startswith(_GZIP) or (inner.startswith(_ZIP) and not _is_workbook(unpacked)):
                raise Refused("压缩包里还是压缩包。请只压缩一层，或直接报送里面的文件。")
            yield Found(*_plain(unpacked, inner), unpacked, member)
    else:
        yield Found(*_plain(path, head), path)


def _head(path: Path) -> bytes:
    with path.open("rb") as f:
        return f.read(4096)


def _plain(path: Path, head: bytes) -> tuple[Kind, str]:
    if not head:
        raise Refused("压缩包里的文件是空的（0 字节）。请确认导出是否完成。")
    if head.startswith(_ZIP):
        return "workbook", ""
    if head.startswith(_OLE):
        return "workbook", ""
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise Refused(f"这是{name}，不是数据文件。请报送 CSV、Excel、JSON 或 XML。")
    encoding = encoding_of(path, head)
    start = head.decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        if "urn:schemas-microsoft-com:office:spreadsheet" in start:
            return "spreadsheetml", encoding
        if start[:15].lower().startswith(("<!doctype html", "<html", "<table")):
            raise Refused("这是网页表格（HTML），只是扩展名像电子表格。请在表格软件里打开后另存为 xlsx 或 CSV 再送。")
        return "xml", encoding
    return ("json" if start.startswith(("{", "[")) else "text"), encoding


def encoding_of(path: Path, head: bytes) -> str:
    """The encoding of a text file, after strict decoding of all of it: by its mark, else UTF-8, else UTF-16 by its zeros, else GB18030.

    Raises:
        Refused: none fits, or the text carries replacement characters or NULs.
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    if marked:
        candidates = [marked]
    elif head[1::2].count(0) > len(head) // 8:
        candidates = ["utf-16-le"]
    elif head[0::2].count(0) > len(head) // 8:
        candidates = ["utf-16-be"]
    else:
        candidates = ["utf-8", "gb18030"]
    failures = []
    for encoding in candidates:
        try:
            _decode_all(path, encoding)
        except UnicodeDecodeError as error:
            failures.append((error.end, error, encoding))
        else:
            return encoding
    # The candidate that went furthest is what the sender meant.
    _, furthest, encoding = max(failures, key=lambda f: f[0])
    where = f"按 {encoding.upper()} 读到第 {furthest.start + 1} 个字节无法识别"
    if furthest.end >= path.stat().st_size:
        raise Refused(f"文件在一个字的中间断了（{where}，已到末尾），多半没有传完。请重新传送。") from furthest
    raise Refused(f"文件既不是 UTF-8、UTF-16 也不是 GB18030（{where}）。{AGAIN}") from furthest


def _decode_all(path: Path, encoding: str) -> None:
    """Decode in blocks. Positions in the error are those of the file."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    position, pending = 0, b""
    with path.open("rb") as f:
        while True:
            block = f.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                begin = position - len(pending)
                raise UnicodeDecodeError(encoding, b" " * (begin + error.end), begin + error.start, begin + error.end, error.reason) from None
            if "\ufffd" in text:
                raise Refused("文件里有替换字符“\ufffd”，说明它在到达前已经被错误转码。请从源系统重新导出为 UTF-8 或 GB18030。")
            if "\x00" in text:
                raise Refused(f"文件里有空字节（NUL），多半是传输中断或导出出错。{AGAIN}")
            if not block:
                return
            position += len(block)
            state = decoder.getstate()[0]
            pending = state if isinstance(state, bytes) else b""


# ---- packed ----


def _is_workbook(path: Path) -> bool:
    """Whether a zip is a workbook (Office Open XML or OpenDocument). A zip that can't be read is none; unpacking says why."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {i.filename for i in archive.infolist()}
            workbook = bool(names & {"xl/workbook.xml", "xl/workbook.bin"}) or {"content.xml", "META-INF/manifest.xml"} <= names
            if workbook:
                _limit(sum(i.file_size for i in archive.infolist()), path.stat().st_size)
                if len(names) > MEMBERS_OF_A_WORKBOOK:
                    raise Refused(f"电子表格里有 {len(names)} 个部件，不像正常的表格。请另存为新的 xlsx 再送。")
            return workbook
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _unpack_zip(path: Path, target: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [i for i in archive.infolist() if not i.is_dir() and not i.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                names = "、".join(i.filename[:40] for i in members[:5])
                seen = f"（{names}{'等' if len(members) > 5 else ''}）" if members else ""
                raise Refused(f"压缩包里应当只有一个文件，实际有 {len(members)} 个{seen}。请逐个报送。")
            (member,) = members
            if member.flag_bits & 1:
                raise Refused("压缩包有密码。请去掉密码后再送。")
            _limit(member.file_size, path.stat().st_size)
            with archive.open(member) as source:
                _copy(source, target, path.stat().st_size)
            return member.filename
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise Refused(f"压缩包不完整或已损坏（{error}），多半没有传完。请重新传送。") from error


def _unpack_gzip(path: Path, target: Path) -> str:
    try:
        with gzip.open(path) as source:
            _copy(source, target, path.stat().st_size)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Refused(f"gzip 文件不完整或已损坏（{error}），多半没有传完。请重新传送。") from error
    return ""


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path, packed: int) -> None:
    """Copy within limits: what an archive says of its own size may be a lie."""
    size = 0
    with target.open("wb") as f:
        while block := source.read(BLOCK):
            size += len(block)
            _limit(size, packed)
            f.write(block)


def _limit(size: int, packed: int) -> None:
    if size > LARGEST_UNPACKED or (size > SMALL and size > packed * LARGEST_RATIO):
        raise Refused(f"解压后至少 {size / 2**20:.0f} MB，是压缩包的 {size // max(packed, 1)} 倍，超出限度，可能是压缩炸弹。请直接报送未压缩的文件。")
