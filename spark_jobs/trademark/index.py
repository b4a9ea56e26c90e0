"""Names of which one is to be found that comes close to a new mark: inverted indexes over characters, look-alikes and syllables.

Every way to come close is a key, a number of 64 bits, that both names have: the characters, the characters but one, the syllables, the syllables in the order
of the alphabet. So nothing is compared with everything, and a mark of two characters is found as exactly as one of ten. What is found is a candidate;
how similar it is, `spark_jobs.trademark.similarity` says.

An index is arrays only: saved as a folder of .npy files, it is mapped into memory by all who read it. The names of an index are of one time, it is built anew
for another, and for other tables of readings, characters or generic words: the keys rest on them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spark_jobs.trademark import glyphs
from spark_jobs.trademark.normalise import LONGEST, Codes, Names, Rows, chinese, compared_as, cores, generic_words, mixed, normalise
from spark_jobs.trademark.readings import numerals, read, repeated, spelled, spelled_starts, syllables, table, ways, without_digits

Keys = NDArray[np.uint64]
Places = NDArray[np.int32]
Bits = NDArray[np.uint16]

VERSION = 2  # of the files, and of how keys are made
_BUILT_AT_ONCE = 400_000  # names
_ASKED_AT_ONCE = 2_000  # names
# Families of keys. The parts of a name are numbered by the seed of the key: a name without its second character has no key of one without its third.
FAMILIES = ("whole", "parts", "sounds", "letters", "orders", "sound_parts")
_HALVES, _ORDER, _STARTS = 40, 41, 42  # seeds
_APART = re.compile(r"[^\w]+|_+")  # between the words of a name


class Kind(IntFlag):
    """In which ways a candidate was found; several at once are usual. "More" and "less" are said of the new mark."""

    SAME = 1  # the same characters, perhaps without generic words
    SOUND = 2  # read alike
    LETTERS = 4  # one spells in letters or digits what the other is read as
    ORDER = 8  # the same syllables, or words of letters, in another order
    SHAPE = 16  # a character is a look-alike (the others are at least read alike)
    OTHER = 32  # one character or letter is another one
    MORE = 64  # it has one more
    LESS = 128  # it has one less
    CONTAINS = 256  # one stands in the other, or is read alike at its beginning
    SOUND_PART = 512  # all syllables but one are the same


@dataclass(frozen=True)
class Candidates:
    """Pairs of a new mark and a name of the index, each once, by row and place. ``kinds``: bits of `Kind`."""

    rows: Places  # of the names that were asked
    places: Places  # in the index
    kinds: Bits

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Index:
    """``names``: as they are compared, ``ids``: theirs, ``families``: name → (keys in ascending order, the name's place for each key)."""

    ids: NDArray[np.generic]
    names: Names
    families: dict[str, tuple[Keys, Places]]
    alike: csr_array  # of glyphs.neighbours

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class _Forms:
    """The texts under which names are found: whole, without generic words, Chinese and Latin part; ``spelled``: pinyin in letters, as syllables;
    ``started``: pinyin that letters begin with, or that is one word of several."""

    texts: Names
    owners: Places
    spelled: Names
    spelled_owners: Places
    started: Names
    started_owners: Places


def build(ids: Sequence[int] | Sequence[str] | NDArray[np.generic], names: Sequence[str | None]) -> Index:
    """Return an index of names. ``ids``: one for each name, of any type but objects; they may repeat.

    Raises:
        ValueError: not as many ids as names, or ids that are objects.
    """
    if len(ids) != len(names):
        raise ValueError(f"{len(ids)} ids, {len(names)} names")
    known = np.asarray(ids)
    if known.dtype.hasobject or known.ndim != 1:
        raise ValueError(f"ids have to be numbers or texts of one type, not {known.dtype} of shape {known.shape}")
    normal = normalise(names)
    parts: dict[str, list[tuple[Keys, Places]]] = {family: [] for family in FAMILIES}
    for first in range(0, len(normal), _BUILT_AT_ONCE):
        some = np.arange(first, min(first + _BUILT_AT_ONCE, len(normal)))
        for family, keys, owners in _written(_forms(normal.take(some), names[first : first + _BUILT_AT_ONCE])):
            parts[family].append((keys, owners + np.int32(first)))
    families = {}
    for family in FAMILIES:
        found = parts.pop(family)
        keys = np.concatenate([k for k, _ in found]) if found else np.zeros(0, np.uint64)
        owners = np.concatenate([o for _, o in found]) if found else np.zeros(0, np.int32)
        del found
        order = np.argsort(keys)
        families[family] = (keys[order], owners[order])
    return Index(known, normal, families, glyphs.neighbours())


@cache
def rests_on() -> str:
    """A digest of the tables that keys are made of: syllables, how characters are read and folded, how they are normalised, generic words."""
    found = hashlib.sha256()
    for part in ("\n".join(syllables()), *("\n".join(sorted(words)) for words in generic_words())):
        found.update(part.encode() + b"\0")
    for array in (table().folded, table().counts, compared_as()):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def save(index: Index, folder: Path) -> None:
    """Write an index into a folder that doesn't exist yet: whole, or not at all. Raises FileExistsError."""
    if folder.exists():
        raise FileExistsError(f"{folder} is there already")
    arrays = {"version": np.array(VERSION), "rests_on": np.array(rests_on())}
    arrays |= {"ids": index.ids, "codes": index.names.codes, "offsets": index.names.offsets}
    arrays |= {"alike_score": index.alike.data, "alike_other": index.alike.indices, "alike_start": index.alike.indptr}
    for family, (keys, owners) in index.families.items():
        arrays |= {f"{family}_keys": keys, f"{family}_owners": owners}
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    beside.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array, allow_pickle=False)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def load(folder: Path) -> Index:
    """Return a saved index; its arrays stay on the disk until they are looked at.

    Raises:
        FileNotFoundError: no index is there, or not a whole one.
        ValueError: it was written by another version or with other tables, or a file is damaged: it has to be built anew.
    """

    def array(name: str, mapped: bool = True) -> NDArray[np.generic]:
        file = folder / f"{name}.npy"
        try:
            return np.asarray(np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise ValueError(f"{file} is damaged ({error}): build the index anew") from error

    if (found := array("version", mapped=False).tolist()) != VERSION:
        raise ValueError(f"{folder} is of version {found}, not {VERSION}: build it anew")
    if array("rests_on", mapped=False).tolist() != rests_on():
        raise ValueError(
            f"{folder} was built with other readings, characters or generic words than there are now, and would miss names: build it anew"
        )
    ids, points, offsets = array("ids"), array("codes"), array("offsets")
    families = {f: (array(f"{f}_keys"), array(f"{f}_owners")) for f in FAMILIES}
    score, other, start = (array(f"alike_{part}") for part in ("score", "other", "start"))
    lengths = [
        (len(offsets), len(ids) + 1),
        (len(points), int(offsets[-1])),
        (len(start), 0x10001),
        (len(score), int(start[-1])),
        (len(other), len(score)),
    ]
    lengths += [(len(keys), len(owners)) for keys, owners in families.values()]
    if any(one != another for one, another in lengths):
        raise ValueError(f"{folder} has parts that don't belong together: build it anew")
    alike = csr_array((score, other, start), shape=(0x10000, 0x10000))
    return Index(ids, Names(points, offsets), families, alike)  # type: ignore[arg-type]


def query(index: Index, names: Sequence[str | None]) -> Candidates:
    """Return the names of the index that come close to each of ``names`` in some way (see `Kind`)."""
    return _query(index, normalise(names), names)


def query_normal(index: Index, names: Names) -> Candidates:
    """As `query`, for names that are normalised already: where their words begin isn't known, so TEA WANGLAOJI isn't asked by its last word."""
    return _query(index, names, None)


def _query(index: Index, names: Names, raw: Sequence[str | None] | None) -> Candidates:
    found = []
    for first in range(0, len(names), _ASKED_AT_ONCE):
        some = np.arange(first, min(first + _ASKED_AT_ONCE, len(names)))
        forms = _forms(names.take(some), raw[first : first + _ASKED_AT_ONCE] if raw is not None else ())
        found.append(_together(_found(index, forms), first))
    if not found:
        return Candidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint16))
    return Candidates(*(np.concatenate(column) for column in zip(*found, strict=True)))


# ---- texts ----


def _forms(names: Names, raw: Sequence[str | None]) -> _Forms:
    """``raw``: the names as they are written, of which the words are taken; () where they aren't known."""
    everyone = np.arange(len(names))
    whole = names.take(everyone, 0, np.minimum(names.lengths, LONGEST))
    skip, left = cores(names)
    cut = np.flatnonzero((left < names.lengths) & (left > 0))
    found = [(whole, everyone), (names.take(cut, skip[cut], np.minimum(left[cut], LONGEST)), cut)]
    is_chinese = chinese(names.codes)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_chinese)])
    characters = np.diff(before[names.offsets])
    both = np.flatnonzero((characters > 0) & (characters < names.lengths))
    some = names.take(both)
    for wanted, least in ((chinese(some.codes), 2), (~chinese(some.codes), 4)):
        kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted)])[some.offsets]
        part = Names(some.codes[wanted], kept)
        enough = np.flatnonzero(part.lengths >= least)
        found.append((part.take(enough, 0, np.minimum(part.lengths[enough], LONGEST)), both[enough]))
    texts, owners = _joined([f for f, _ in found]), np.concatenate([o for _, o in found]).astype(np.int32)
    return _Forms(texts, owners, *_spelled(_joined([names, part]), np.concatenate([everyone, both]).astype(np.int32), raw))


def _joined(several: Sequence[Names]) -> Names:
    lengths = np.concatenate([n.lengths for n in several])
    return Names(np.concatenate([n.codes for n in several]), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


class _Ways:
    """Names of syllables with their owners, as they are collected one by one."""

    def __init__(self) -> None:
        self.flat: list[int] = []
        self.lengths: list[int] = []
        self.owners: list[int] = []

    def add(self, ways_of: Sequence[tuple[int, ...]], owner: int) -> None:
        for points in ways_of:
            self.flat += points
            self.lengths.append(len(points))
            self.owners.append(owner)

    def done(self) -> tuple[Names, Places]:
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(self.lengths, dtype=np.int64))])
        return Names(np.array(self.flat, dtype=np.uint32), offsets), np.array(self.owners, dtype=np.int32)


def _spelled(texts: Names, owners: Places, raw: Sequence[str | None]) -> tuple[Names, Places, Names, Places]:
    """(pinyin that texts are but for digits, and digits alone; whose; pinyin that they begin with, and that a word is; whose)."""
    small = (texts.codes >= ord("a")) & (texts.codes <= ord("z"))
    digit = (texts.codes >= ord("0")) & (texts.codes <= ord("9"))
    letters, digits = (np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])[texts.offsets]) for some in (small, digit))
    whole, started = _Ways(), _Ways()
    for row in np.flatnonzero((letters + digits == texts.lengths) & (letters >= 3)).tolist():
        word, owner = texts.text(row), int(owners[row])
        word = without_digits(word) if digits[row] else word
        whole.add(spelled(word), owner)
        started.add(spelled_starts(word), owner)
    for row in np.flatnonzero((digits == texts.lengths) & (digits >= 2) & (digits <= LONGEST)).tolist():
        text = texts.text(row)
        whole.add([way for way in (numerals(text), repeated(text)) if way], int(owners[row]))
    words, of = _words(raw)
    for row in range(len(words)):
        if words.lengths[row] >= 4:
            started.add(spelled(words.text(row)), of[row])
    return *whole.done(), *started.done()


def _words(raw: Sequence[str | None]) -> tuple[Names, list[int]]:
    """The words of names of several with letters, and whose they are."""
    found = [(word, row) for row, name in enumerate(raw) if name and not name.isalnum() for word in _APART.split(name) if len(word) >= 4]
    return normalise([word for word, _ in found]), [row for _, row in found]


def _by_length(names: Names) -> Iterator[tuple[Rows, Codes]]:
    """Rows of names of one length with their characters, the shortest first; empty names have no keys."""
    lengths = names.lengths
    for length in range(1, LONGEST + 1):
        rows = np.flatnonzero(lengths == length)
        if rows.size:
            yield rows, names.matrix(rows, length)


# ---- keys ----


def _without(of: NDArray[np.generic], place: int) -> Keys:
    """Keys of what is left without the character at a place."""
    return mixed(np.delete(of, place, axis=1), seed=1 + place)


def _order(of: Codes) -> Keys:
    return mixed(np.sort(read(of)[0][..., 0], axis=1), seed=_ORDER)


def _has_chinese(of: Codes) -> NDArray[np.bool_]:
    return np.asarray(chinese(of).any(axis=1))


def _least(of: Codes) -> NDArray[np.int64]:
    """How many characters a name must have for it to be itself with one of them changed: three, of letters alone four."""
    return np.where(_has_chinese(of), 3, 4)


def _written(forms: _Forms) -> Iterator[tuple[str, Keys, Places]]:
    """The keys under which names can be found, by family."""
    for rows, of in _by_length(forms.texts):
        length, owners = of.shape[1], forms.owners[rows]
        yield "whole", mixed(of), owners
        named = _has_chinese(of)
        sounding, spoken = ways(of[named])
        yield "sounds", mixed(spoken), owners[named][sounding]
        if length > 1:
            yield "orders", _order(of[named]), owners[named]
        parted = length >= _least(of)
        for place in range(length if parted.any() else 0):
            yield "parts", _without(of[parted], place), owners[parted]
        if 4 <= length <= 8:
            for size in range(2, length - 1):
                for half in (of[named][:, :size], of[named][:, -size:]):
                    yield "parts", mixed(half, seed=_HALVES), owners[named]
        if length >= 4:
            first_way = read(of[named])[0][..., 0]
            for place in range(length):
                yield "sound_parts", _without(first_way, place), owners[named]
    for rows, of in _by_length(forms.spelled):
        yield "letters", mixed(read(of)[0][..., 0]), forms.spelled_owners[rows]
    for rows, of in _by_length(forms.started):
        yield "letters", mixed(read(of)[0][..., 0], seed=_STARTS), forms.started_owners[rows]


@dataclass(frozen=True)
class _Asked:
    """Keys that are looked up in a family; ``rows``: who asks."""

    family: str
    kind: Kind
    keys: Keys
    rows: NDArray[np.int64]


def _asked(forms: _Forms, alike: csr_array) -> Iterator[_Asked]:
    """The keys under which something close to a name would be."""
    for rows, of in _by_length(forms.texts):
        length, owners = of.shape[1], forms.owners[rows].astype(np.int64)
        yield _Asked("whole", Kind.SAME, mixed(of), owners)
        named = _has_chinese(of)
        if named.any():
            yield from _asked_by_sound(of[named], owners[named])
            yield from _asked_by_shape(of[named], owners[named], alike)
        if not named.all():
            yield from _asked_by_turning(of[~named], owners[~named])
        parted = length >= _least(of)
        for place in range(length if parted.any() else 0):
            yield _Asked("whole", Kind.MORE, mixed(np.delete(of[parted], place, axis=1)), owners[parted])
            yield _Asked("parts", Kind.OTHER, _without(of[parted], place), owners[parted])
        longer = length + 1 >= _least(of)
        for place in range(length + 1 if longer.any() else 0):
            yield _Asked("parts", Kind.LESS, mixed(of[longer], seed=1 + place), owners[longer])
        yield from _asked_by_pieces(of, owners, named)
    for rows, of in _by_length(forms.spelled):
        owners = forms.spelled_owners[rows].astype(np.int64)
        keys = mixed(read(of)[0][..., 0])
        yield _Asked("sounds", Kind.LETTERS, keys, owners)
        yield _Asked("letters", Kind.SOUND, keys, owners)
        yield _Asked("letters", Kind.CONTAINS, mixed(read(of)[0][..., 0], seed=_STARTS), owners)
    for rows, of in _by_length(forms.started):
        yield _Asked("sounds", Kind.LETTERS | Kind.CONTAINS, mixed(read(of)[0][..., 0]), forms.started_owners[rows].astype(np.int64))


def _asked_by_sound(of: Codes, owners: NDArray[np.int64]) -> Iterator[_Asked]:
    length = of.shape[1]
    sounding, spoken = ways(of)
    keys = mixed(spoken)
    yield _Asked("sounds", Kind.SOUND, keys, owners[sounding])
    if length > 1:
        yield _Asked("letters", Kind.LETTERS, keys, owners[sounding])
        yield _Asked("letters", Kind.LETTERS | Kind.CONTAINS, mixed(spoken, seed=_STARTS), owners[sounding])
        yield _Asked("orders", Kind.ORDER, mixed(np.sort(spoken, axis=1), seed=_ORDER), owners[sounding])
    first_way = read(of)[0][..., 0]
    for place in range(length if length >= 4 else 0):
        yield _Asked("sound_parts", Kind.SOUND_PART, _without(first_way, place), owners)
        yield _Asked("sounds", Kind.SOUND_PART, mixed(np.delete(first_way, place, axis=1)), owners)
    for place in range(length + 1 if length >= 3 else 0):
        yield _Asked("sound_parts", Kind.SOUND_PART, mixed(first_way, seed=1 + place), owners)
    for size in range(2, length if length >= 4 else 0):  # a name read alike with words behind it that are in no list
        yield _Asked("sounds", Kind.CONTAINS, mixed(first_way[:, :size]), owners)


def _asked_by_shape(of: Codes, owners: NDArray[np.int64], alike: csr_array) -> Iterator[_Asked]:
    """One character replaced by each of those that look like it. Of two characters the other one stays; of more, the others may be read alike."""
    length = of.shape[1]
    first_way = read(of)[0][..., 0]
    for place in range(length):
        rows, others, score = _look_alikes(alike, of[:, place])
        if length < 3:
            changed = of[rows]
            changed[:, place] = others
            yield _Asked("whole", Kind.SHAPE, mixed(changed), owners[rows])
            continue
        near = score >= glyphs.ALIKE
        rows, others = rows[near], others[near]
        readings, counts = read(others)
        for way in (0, 1):
            some = counts > way
            pairs = np.unique(rows[some] * 0x10000 + readings[some, way].astype(np.uint16))
            spoken = first_way[pairs >> 16]
            spoken[:, place] = (pairs & 0xFFFF).astype(np.uint16).astype(np.int16)
            yield _Asked("sounds", Kind.SHAPE, mixed(spoken), owners[pairs >> 16])


def _look_alikes(alike: csr_array, characters: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
    """(which of the characters, a look-alike, how alike)."""
    points = np.where(characters < 0x10000, characters, 0).astype(np.int64)
    starts = np.asarray(alike.indptr)[points].astype(np.int64)
    counts = np.asarray(alike.indptr)[points + 1] - starts
    rows = np.repeat(np.arange(len(points)), counts)
    at = np.arange(len(rows)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return rows, alike.indices[at].astype(np.uint32), alike.data[at]


def _asked_by_turning(of: Codes, owners: NDArray[np.int64]) -> Iterator[_Asked]:
    """Letters in two words that have changed places: balancenew, newbalance; and two neighbours that have: nkie, nike."""
    length = of.shape[1]
    for place in range(length - 1 if length >= 4 else 0):
        swapped = of.copy()
        swapped[:, [place, place + 1]] = of[:, [place + 1, place]]
        yield _Asked("whole", Kind.ORDER, mixed(swapped), owners)
    for turn in range(2, length - 1 if length >= 5 else 0):
        yield _Asked("whole", Kind.ORDER, mixed(np.roll(of, turn, axis=1)), owners)


def _asked_by_pieces(of: Codes, owners: NDArray[np.int64], named: NDArray[np.bool_]) -> Iterator[_Asked]:
    """What stands in the new mark: two characters only at its ends, more anywhere, four letters at its ends; and what it stands in."""
    length = of.shape[1]
    for size in range(2, length):
        for start in range(length - size + 1):
            at_end = start in (0, length - size)
            some = named & (at_end or size > 2) | (~named & at_end & (size >= 4))
            if some.any():
                yield _Asked("whole", Kind.CONTAINS, mixed(of[some, start : start + size]), owners[some])
    if named.any() and length >= 2:
        yield _Asked("parts", Kind.CONTAINS, mixed(of[named], seed=_HALVES), owners[named])


# ---- looking up ----


def _found(index: Index, forms: _Forms) -> Iterator[tuple[NDArray[np.int64], Places, Bits]]:
    by_family: dict[str, list[_Asked]] = {}
    for asked in _asked(forms, index.alike):
        by_family.setdefault(asked.family, []).append(asked)
    for family, several in by_family.items():
        keys, owners = index.families[family]
        wanted = np.concatenate([a.keys for a in several])
        rows = np.concatenate([a.rows for a in several])
        kinds = np.repeat(np.array([int(a.kind) for a in several], dtype=np.uint16), [len(a.keys) for a in several])
        order = np.argsort(wanted)  # neighbours in the index are looked up one after the other
        wanted, rows, kinds = wanted[order], rows[order], kinds[order]
        first = np.searchsorted(keys, wanted, side="left")
        hit = first < len(keys)
        hit[hit] = keys[first[hit]] == wanted[hit]
        wanted, rows, kinds, first = wanted[hit], rows[hit], kinds[hit], first[hit]
        counts = np.searchsorted(keys, wanted, side="right") - first
        at = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        yield np.repeat(rows, counts), owners[at], np.repeat(kinds, counts)


def _together(found: Iterator[tuple[NDArray[np.int64], Places, Bits]], first: int) -> tuple[Places, Places, Bits]:
    """Each pair once, with all its kinds."""
    several = [*found, (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint16))]
    rows, places, kinds = (np.concatenate(column) for column in zip(*several, strict=True))
    # The place in the low bits, then the row; kinds beside them, so that one sort brings pairs together.
    pairs = (rows << 32) | places.astype(np.int64)
    order = np.argsort(pairs)
    pairs, kinds = pairs[order], kinds[order]
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(pairs)), bool), pairs[1:] != pairs[:-1]]))
    merged = np.bitwise_or.reduceat(kinds, starts) if len(starts) else kinds
    pairs = pairs[starts]
    return ((pairs >> 32) + first).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32), merged.astype(np.uint16)
