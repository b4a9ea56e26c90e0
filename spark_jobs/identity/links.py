"""Which keys are one market subject: what ties keys together, what holds them apart, and the anchor of each subject (decision 0030).

Pure functions over the few keys that have a tie to another one; all others are told apart by `spark_jobs.identity.keys` alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

from spark_jobs.identity.keys import Together, linked_groups

CORRECTED, SAME_NAME, DECIDED_SAME, DECIDED_APART = "code_correction", "same_name", "decided_same", "decided_apart"
_ALONE = re.compile("公司|合作社|合伙|独资")  # in the name of an enterprise
_RANK = {kind: rank for rank, kind in enumerate(("uscc", "regno15", "regno13", "orgcode", "name"))}


class Key(NamedTuple):
    """`kind`: uscc, regno15, regno13, orgcode, name; uscc_name for one company of a contested code."""

    kind: str
    value: str


class State(NamedTuple):
    """What records under a key state: `name` normalised, `date` of registration, `district` code or None; since when; known since when first, in
    microseconds of 1970 (UTC).

    `trusted`: the key is a credit code that passed its checks, or one of the pilot.
    """

    key: Key
    name: str
    date: dt.date
    district: str | None
    trusted: bool
    effective: dt.date
    known_at: int


class Statement(NamedTuple):
    """That somebody says of two keys that they are one subject (`code_correction`: `second` replaces `first`; `decided_same`) or not
    (`decided_apart`). A name says which company of the key is meant, where several share it; None: any. `evidence`: feed and record. `known_at` as in `State`."""

    kind: str
    first: Key
    second: Key
    first_name: str | None
    second_name: str | None
    effective: dt.date | None
    known_at: int
    evidence: str


class Node(NamedTuple):
    """One company of a key: the earliest of its names; None for a key of which no record is here, only a statement about it."""

    key: Key
    name: str | None


class Tie(NamedTuple):
    """A statement as it is kept, or what two names say (`same_name`, the evidence is the name). `applied`: both keys are one subject; `cluster`: the
    same for all keys that any ties reach, applied or not."""

    said: Statement
    applied: bool
    cluster: str


class KeyRow(NamedTuple):
    key: Key
    anchor: Key
    known_at: int


class Review(NamedTuple):
    """`kind`: contested_code, two_codes_of_one_name, unclear_correction."""

    kind: str
    key: Key
    names: tuple[str, ...]
    keys: tuple[str, ...]
    subjects: int
    known_at: int


class Resolved(NamedTuple):
    """`anchors`: by key and name; `contested`: keys under which more than one company was found."""

    anchors: Mapping[tuple[Key, str], Key]
    contested: Collection[Key]
    keys: list[KeyRow]
    links: list[Tie]
    reviews: list[Review]


def resolve(states: Iterable[State], statements: Iterable[Statement]) -> Resolved:
    """Say of all states of tied keys which subject each belongs to. The result doesn't depend on the order of either.

    Ties are applied strongest first: decisions, corrections of a code, then the same name and day of registration, of traders in the same
    district too (one unknown: where no other is named). By name alone two codes that both pass their checks never become one, and nothing is put with
    one of two such. Of two decisions about the same keys the later one stands.
    """
    return _Resolution(list(states), list(statements)).result()


class _Resolution:
    def __init__(self, states: list[State], statements: list[Statement]) -> None:
        self.states = sorted(set(states), key=lambda s: (s.key, s.name, s.date, s.district or "", s.effective, s.known_at))
        self._of_key = _by_key(self.states)
        self._groups = {key: _groups(states, ()) for key, states in self._of_key.items()}
        self.statements, self.overruled = self._standing(statements)
        self.trusted = {s.key for s in self.states if s.trusted}
        self.nodes: dict[tuple[Key, str], Node] = {}  # a name stands for one company of a key
        self.of_key: dict[Key, list[Node]] = defaultdict(list)
        self._known: dict[Node, int] = {}
        self._names: dict[Key, set[str]] = defaultdict(set)
        self._group()
        everything = [node for nodes in self.of_key.values() for node in nodes]
        self.together = Together[Node]()
        self.root = self.together.root
        self.members = {node: {node} for node in everything}
        self.reviews: list[Review] = []
        self.apart = self._held_apart()

    def _standing(self, statements: list[Statement]) -> tuple[list[Statement], list[Statement]]:
        """(the statements, each once, and of decisions about the same two the last one alone; the decisions that a later one overrules)."""
        several = {key: groups for key, groups in self._groups.items() if len(set(groups.values())) > 1}

        def meant(s: Statement) -> frozenset[tuple[Key, str | None]]:
            """A name counts only where it tells companies of one key apart."""
            named = ((s.first, s.first_name), (s.second, s.second_name))
            if s.first == s.second:
                return frozenset(named)
            return frozenset((key, several[key].get(name, name) if key in several and name else None) for key, name in named)

        last: dict[frozenset[tuple[Key, str | None]], Statement] = {}
        ordered = sorted(set(statements), key=_statement_order)
        for s in ordered:
            if s.kind != CORRECTED:
                last[meant(s)] = s
        standing = set(last.values())
        overruled = [s for s in ordered if s.kind != CORRECTED and s not in standing]
        return [s for s in ordered if s.kind == CORRECTED or s in standing], overruled

    def _group(self) -> None:
        apart: dict[Key, set[frozenset[str | None]]] = defaultdict(set)
        for s in self.statements:
            if s.kind == DECIDED_APART and s.first == s.second and s.first_name and s.second_name:
                apart[s.first].add(frozenset((s.first_name, s.second_name)))
        for key, states in self._of_key.items():
            groups = _groups(states, apart[key]) if key in apart else self._groups[key]
            self.of_key[key] = [Node(key, name) for name in sorted(set(groups.values()))]
            for state in states:
                node = self.nodes[key, state.name] = Node(key, groups[state.name])
                self._known[node] = min(self._known.get(node, state.known_at), state.known_at)
                self._names[key].add(state.name)
        for statement in self.statements:
            for key in (statement.first, statement.second):
                if key not in self._of_key:
                    node = Node(key, None)
                    self.of_key[key] = [node]
                    self._known[node] = min(self._known.get(node, statement.known_at), statement.known_at)

    def _held_apart(self) -> set[frozenset[Node]]:
        found = set()
        for s in self.statements:
            if s.kind == DECIDED_APART:
                first, second = self._meant(s.first, s.first_name, False), self._meant(s.second, s.second_name, False)
                if not first or not second:
                    self._ask(s, s.first if not first else s.second)
                found |= {frozenset((a, b)) for a in first for b in second if a != b}
        return found

    def _ask(self, s: Statement, unclear: Key) -> None:
        """A steward has to say which company of a key is meant."""
        named = tuple(sorted({n for n in (s.first_name, s.second_name) if n}))
        keys = tuple(sorted((s.first.value, s.second.value)))
        self.reviews.append(Review("unclear_correction", unclear, named, keys, len(self.of_key[unclear]), s.known_at))

    def _meant(self, key: Key, name: str | None, one: bool) -> list[Node]:
        """The companies of a key that a statement means; where it must be ``one``, none if that is not clear."""
        nodes = self.of_key[key]
        if name is not None and len(nodes) > 1:
            nodes = [node] if (node := self.nodes.get((key, name))) else []
        return nodes if len(nodes) == 1 or not one else []

    def join(self, a: Node, b: Node) -> bool:
        first, second = sorted((self.root(a), self.root(b)), key=_order)
        if first == second:
            return True
        if self.apart and any(frozenset((x, y)) in self.apart for x in self.members[first] for y in self.members[second]):
            return False
        self.together.put(first, second)
        self.members[first] |= self.members.pop(second)
        return True

    def codes(self, root: Node) -> set[Key]:
        return {node.key for node in self.members[root]} & self.trusted

    def result(self) -> Resolved:
        stated = [(s, self._join_stated(s)) for kind in (DECIDED_SAME, CORRECTED) for s in self.statements if s.kind == kind]
        stated += [(s, False) for s in (*(s for s in self.statements if s.kind == DECIDED_APART), *self.overruled)]
        names = self._join_names()
        cluster = _clusters([*((s.first, s.second) for s, _ in stated), *((a, b) for a, b, _, _ in names)])
        links = [Tie(s, applied, cluster[s.first]) for s, applied in stated]
        for a, b, name, known_at in names:
            one = self.root(self.nodes[a, name]) == self.root(self.nodes[b, name])
            links.append(Tie(Statement(SAME_NAME, a, b, name, name, None, known_at, name), one, cluster[a]))
        contested = {key for key, nodes in self.of_key.items() if len(nodes) > 1}
        anchors = self._anchors(contested)
        keys = self._key_rows(contested, anchors)
        self._review_contested(contested)
        of_name = {(key, name): anchors[self.root(node)] for (key, name), node in self.nodes.items()}
        return Resolved(of_name, contested, keys, sorted(links, key=str), sorted(self.reviews))

    def _join_stated(self, s: Statement) -> bool:
        first, second = self._meant(s.first, s.first_name, True), self._meant(s.second, s.second_name, True)
        if not first or not second:
            self._ask(s, s.first if not first else s.second)
            return False
        return self.join(first[0], second[0])

    def _join_names(self) -> list[tuple[Key, Key, str, int]]:
        """Join what states one name, day and district; return pairs that connect all keys of one name and day: which other districts are named
        decides over a state without one."""
        of_name: dict[tuple[str, dt.date], list[State]] = defaultdict(list)
        for state in self.states:
            of_name[state.name, state.date].append(state)
        pairs: dict[tuple[Key, Key, str], int] = {}
        for (name, _), states in sorted(of_name.items()):
            known: dict[Key, int] = {}
            for s in states:
                known[s.key] = min(known.get(s.key, s.known_at), s.known_at)
            first, *others = sorted(known, key=self._key_order)
            for key in others:
                at = max(known[first], known[key])
                pairs[first, key, name] = min(pairs.get((first, key, name), at), at)
            for together in _by_district(states) if others else []:
                nodes = sorted({self.nodes[s.key, name] for s in together}, key=_order)
                self._join_together(name, nodes, max(s.known_at for s in together))
        return [(a, b, name, at) for (a, b, name), at in pairs.items()]

    def _join_together(self, name: str, nodes: list[Node], known_at: int) -> None:
        coded = sorted({root for node in nodes if self.codes(root := self.root(node))}, key=_order)
        if len(coded) < 2:
            for node in nodes[1:]:
                self.join(nodes[0], node)
        elif any(not self._decided(a, b) for a, b in combinations(coded, 2)):
            keys = sorted({key for root in coded for key in self.codes(root)})
            self.reviews.append(Review("two_codes_of_one_name", keys[0], (name,), tuple(k.value for k in keys), len(coded), known_at))

    def _decided(self, a: Node, b: Node) -> bool:
        return any(frozenset((x, y)) in self.apart for x in self.members[a] for y in self.members[b])

    def _key_order(self, key: Key) -> tuple[bool, int, str]:
        return key not in self.trusted, _RANK[key.kind], key.value

    def _anchors(self, contested: Collection[Key]) -> dict[Node, Key]:
        """By root: of the strongest kind, what nobody corrected to; of these what was corrected, or passes its checks, comes first."""
        corrections = [s for s in self.statements if s.kind == CORRECTED]
        replaced, replacing = {s.first for s in corrections}, {s.second for s in corrections}

        def place(node: Node) -> tuple[object, ...]:
            key = node.key
            ends = key in replacing and key not in replaced
            return _RANK[key.kind], ends, key in replacing, key not in replaced, key not in self.trusted, key.value, node.name or ""

        return {root: _anchor(min(members, key=place), contested) for root, members in self.members.items()}

    def _key_rows(self, contested: Collection[Key], anchors: Mapping[Node, Key]) -> list[KeyRow]:
        found: dict[tuple[Key, Key], int] = {}
        for root, members in self.members.items():
            if all(node.name is None for node in members):
                continue  # only spoken of: a subject is what a record states
            for node in members:
                for key in {node.key, _anchor(node, contested)}:
                    place = key, anchors[root]
                    found[place] = min(found.get(place, self._known[node]), self._known[node])
        return sorted(KeyRow(key, anchor, known_at) for (key, anchor), known_at in found.items())

    def _review_contested(self, contested: Collection[Key]) -> None:
        for key in contested:
            roots = sorted({self.root(node) for node in self.of_key[key]}, key=_order)
            if any(not self._decided(a, b) for a, b in combinations(roots, 2)):
                names = tuple(sorted(self._names[key]))
                known_at = max(self._known[node] for node in self.of_key[key])
                self.reviews.append(Review("contested_code", key, names, (key.value,), len(roots), known_at))


def _by_key(states: Iterable[State]) -> dict[Key, list[State]]:
    found: dict[Key, list[State]] = defaultdict(list)
    for state in states:
        found[state.key].append(state)
    return found


def _groups(states: Iterable[State], apart: Collection[frozenset[str | None]]) -> dict[str, str]:
    """The earliest name of the company that each name of a key stands for."""
    return {name: earliest for (name, _), earliest in linked_groups([(s.name, s.date, s.effective) for s in states], apart).items()}


def _statement_order(s: Statement) -> tuple[object, ...]:
    return s.effective or dt.date.min, s.evidence, s.kind, s.first, s.second, s.first_name or "", s.second_name or "", s.known_at


def _by_district(states: list[State]) -> list[list[State]]:
    """The states of one name and day, those of one district together; a state without a district belongs to the only one that is named.

    Of an enterprise the district says nothing: it may move, and no other of the same registrar bears its name (rules on enterprise names, State
    Council Order 734 of 2020, article 17). Traders of two districts may share one.
    """
    if _ALONE.search(states[0].name):
        return [states]
    named = sorted({s.district for s in states if s.district is not None})
    if len(named) < 2:
        return [states]
    return [[s for s in states if s.district == district] for district in named]


def _order(node: Node) -> tuple[Key, str]:
    return node.key, node.name or ""


def _anchor(node: Node, contested: Collection[Key]) -> Key:
    return Key("uscc_name", f"{node.key.value}|{node.name}") if node.key in contested else node.key


def _clusters(pairs: Iterable[tuple[Key, Key]]) -> dict[Key, str]:
    """The smallest key, as text, of all that are connected by pairs."""
    together, keys = Together[Key](), set[Key]()
    for a, b in pairs:
        together.put(*sorted((together.root(a), together.root(b))))
        keys |= {a, b}
    return {key: ":".join(together.root(key)) for key in keys}
