"""Clean text: what stands for nothing, characters that carry nothing, one key for comparing names."""

from __future__ import annotations

import re
import unicodedata

# What senders write for nothing, in lower case. 未知 and 无字号 are not here: they are statements.
NULL_TOKENS = frozenset(
    ("", "-", "--", "---", "—", "——", "/", "\\", "\\n", "n/a", "na", "#n/a", "nan", "null", "none", "nil", "(null)", "<null>", "无", "空", "暂无", "未填", "未填写")
)  # fmt: skip
LONGEST_TOKEN = max(map(len, NULL_TOKENS))
SCOPE_LIMIT = 1024  # characters at which the registration system cuts a scope
SCOPE_END = "〓"  # the mark that it puts after a scope that is complete

# Characters without content: control (Cc), format (Cf, zero-width and direction marks), private use (Co), surrogates (Cs),
# variation selectors. Blanks of all kinds become one space.
_BLANK = r"\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\u3164\uffa0\u2800"
_DROPPED = (
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\uf8ff"
    r"\ufe00-\ufe0f\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_DROP = re.compile(f"[{_DROPPED}]+")
_BLANKS = re.compile(f"[{_BLANK}]+")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff\ufffd]")


def _half_width() -> dict[int, str]:
    """Full-width letters, digits and some signs to half width; compatibility ideographs and radicals to the usual character.

    Chinese punctuation （），；：！？ stays as it is: half-width it would be hard to read between Chinese characters.
    """
    table = {code: chr(code - 0xFEE0) for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
    table |= {ord(sign): unicodedata.normalize("NFKC", sign) for sign in "＃＄％＆＊＋－．／＜＝＞＠＼＿"}
    for code in (*range(0x2E80, 0x2FD6), *range(0xF900, 0xFB00), *range(0x2F800, 0x2FA1E)):
        usual = unicodedata.normalize("NFKC", chr(code))
        if usual != chr(code):
            table[code] = usual
    return table


_HALF = _half_width()


def _tidy_class() -> str:
    """The characters of the basic plane that need no work, as ranges. (A class beyond that plane is ten times slower.)"""
    untidy = re.compile(f"[{_BLANK}{_DROPPED}{''.join(re.escape(chr(c)) for c in sorted(_HALF))}]")
    good = [code for code in range(0x10000) if not untidy.match(chr(code))]
    known = set(good)
    starts = [c for c in good if c - 1 not in known]
    ends = [c for c in good if c + 1 not in known]
    return "".join(f"\\u{a:04x}-\\u{b:04x}" for a, b in zip(starts, ends, strict=True))


# One match decides whether a text needs any work at all; most don't.
_TIDY = re.compile(f"[{_tidy_class()}]*")
_NAME_BRACKETS = str.maketrans(dict.fromkeys("([［〔【{｛", "（") | dict.fromkeys(")]］〕】}｝", "）"))
_KEY_BRACKETS = str.maketrans(dict.fromkeys("（[［〔【〖{｛", "(") | dict.fromkeys("）]］〕】〗}｝", ")"))
_KEY_DASH = re.compile(r"[-‐‑‒–—―━─－]+")
_KEY_DROP = re.compile(r"[\s·•・．.,，、。;；:：\"'“”‘’`《》〈〉<>!！?？*_~]+")
_TAIL = " 。．.,，;；、:：*"
# Remarks of the registrar inside a name: the short name, or a court's freeze of the shares. They are no part of the name.
ANNOTATION = re.compile(r"\s*[(（](?:简称|原名|曾用名|冻结|查封|注)[^()（）]*[)）]")


# Most names: characters that none of the steps below changes.
_PLAIN = re.compile("[\u4e00-\u9fffA-Za-z0-9]+")
_PLAIN_KEY = re.compile("[\u4e00-\u9fffA-Z0-9（）]+")


def is_plain(text: str) -> bool:
    """Whether a text is only Chinese characters, letters and digits, so that tidying leaves it as it is."""
    return _PLAIN.fullmatch(text) is not None


def tidy(text: str | None) -> str | None:
    """The text without characters that carry nothing, with single blanks and half-width letters and digits; None if nothing is left."""
    if text is None:
        return None
    if not _TIDY.fullmatch(text):
        text = _BLANKS.sub(" ", _DROP.sub("", text).translate(_HALF)).strip()
    return text or None


def stated(text: str | None) -> str | None:
    """The tidy text, or None where it only stands for nothing (NULL_TOKENS)."""
    if text is None or (len(text) > LONGEST_TOKEN and _TIDY.fullmatch(text)):  # most texts
        return text
    text = tidy(text)
    return None if text is None or (len(text) <= LONGEST_TOKEN and text.lower() in NULL_TOKENS) else text


def clean_name(text: str | None) -> str | None:
    """A name to show: tidy, brackets full-width （） as the registrars print them, no trailing punctuation, no registrar's remark."""
    text = stated(text)
    return text if text is None or is_plain(text) else _careful_name(text)


def _careful_name(text: str) -> str | None:
    text = text.translate(_NAME_BRACKETS)
    while True:  # 甲公司。（简称：甲）。
        shorter = ANNOTATION.sub("", text).rstrip(_TAIL).strip()
        if shorter == text:
            return stated(text)  # what is left may only stand for nothing (/、)
        text = shorter


def normalize_name(text: str | None) -> str | None:
    """The key under which names are compared, never shown: NFKC, upper case, no blanks or punctuation, one kind of brackets and dashes.

    None where nothing that tells names apart is left.
    """
    return name_key(clean_name(text))


def name_key(text: str | None) -> str | None:
    """normalize_name of a name that clean_name made."""
    if text is None:
        return None
    if len(text) > LONGEST_TOKEN and _PLAIN_KEY.fullmatch(text):  # short texts may be a word for "nothing"
        return text.replace("（", "(").replace("）", ")")
    return _careful_key(text)


def _careful_key(text: str) -> str | None:
    for _ in range(3):  # NFKC and upper case can make each other's work anew (ŉ); a second pass settles it
        before = text
        text = unicodedata.normalize("NFKC", text).upper()
        text = _KEY_DROP.sub("", _KEY_DASH.sub("-", _DROP.sub("", text).translate(_KEY_BRACKETS)))
        if text == before:
            break
    text = text.strip("-")
    return text if stated(text) is not None else None  # what is left may be a word for "nothing" (/·)


def unreadable(text: str | None) -> bool:
    """Whether the text has private-use or replacement characters: the real character was lost at the sender."""
    return text is not None and _PRIVATE.search(text) is not None


def clean_scope(text: str | None) -> tuple[str | None, bool]:
    """A business scope and whether it is cut off.

    The registration system ends a complete scope with 〓 and cuts at 1,024 characters. So a scope is cut exactly when it came with 1,024
    characters or more and without the end mark; 〓 alone says nothing bad (three quarters of the real scopes have it).
    """
    if text is None:
        return None, False
    raw = text.rstrip()
    truncated = len(raw) >= SCOPE_LIMIT and not raw.endswith(SCOPE_END)
    tidied = tidy(raw.rstrip(SCOPE_END + " "))
    return (
        None if tidied is None or (len(tidied) <= LONGEST_TOKEN and tidied.lower() in NULL_TOKENS) else tidied.rstrip(SCOPE_END + " ") or None
    ), truncated
