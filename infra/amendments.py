"""Bring the declarations that are in force to what a second person has approved (docs/decisions/0044)."""

from __future__ import annotations

from collections.abc import Iterable

from catalog import amendments
from catalog.editing import Edit
from infra import accounts
from infra.ledger import Ledger, Proposal
from infra.services.base import Context


def edits_of(proposal: Proposal) -> list[Edit]:
    """A proposal as edits of the declarations."""
    return [Edit(proposal.kind, proposal.target, attribute, old, new) for attribute, old, new in proposal.edits]


def approved(proposals: Iterable[Proposal]) -> list[Edit]:
    """The edits of approved proposals, in the order of their approval."""
    return [e for p in proposals if p.decision == "approved" for e in edits_of(p)]


def take_up(context: Context, ledger: Ledger) -> bool:
    """Put in force what is approved; whether that changed anything.

    Declarations must not change while a run is under way: a run calls this when it begins, ``./lake up`` when there is none. What programs wrote
    for Trino (who may read what, and what is masked) is written anew at once, so that a column that is personal now is masked from now on.
    """
    folder = context.settings.declarations
    wanted = approved(ledger.proposals())
    if wanted == amendments.read(folder):
        return False
    amendments.prepare(folder, wanted)  # before anybody has to read it
    amendments.write(folder, wanted)
    accounts.write_trino_files(context)
    return True
