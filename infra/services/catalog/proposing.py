"""Stewards' changes of the declarations, in the browser: propose, see what follows, have it approved by somebody else (docs/decisions/0044).

The pages lie below ``/changes``. They write proposals and decisions into the ledger and nothing else; what is approved is put in force by the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug import Response
from wtforms import Field, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from catalog import amendments, editing
from catalog.contract import STRICTNESS
from catalog.editing import LONGEST, OPTIONAL, PERMITTED, Edit, Effect, Refused
from catalog.site import texts
from infra.amendments import approved, edits_of
from infra.ledger import Ledger, Proposal
from infra.settings import Settings

PROPOSERS = ("steward", "analyst")
DECIDERS = ("steward",)
LONG = {"meaning", "description", "grain", "purpose", "limitations", "sharingCondition"}  # texts of several lines on the page
STATES = {None: "待审批", "approved": "已通过", "rejected": "未通过", "withdrawn": "已撤回"}
FATES = {"in_force": "已生效", "shipped": "已写进程序", "over": "已生效（程序里的原文后来变了）", "left_out": "未采用"}
KINDS = {"field": "字段", "table": "数据表", "rule": "质量规则", "value": "取值"}
MOST_SHOWN = 200  # decided proposals in the list
Ledgers = Callable[[], AbstractContextManager[Ledger]]


@dataclass(frozen=True)
class Looked:
    """A proposal with what would follow from it now; ``refused``: why it can't be approved as it stands."""

    effect: Effect | None
    refused: str = ""
    looser: tuple[str, ...] = ()  # changes by which more people see more


def install(app: Flask, settings: Settings, ledgers: Ledgers, audit: Callable[[str, str, bool], None]) -> None:
    """Add the pages. ``ledgers``: opens the ledger. ``audit``: told of each proposal and decision: name, what, whether it was taken."""
    pages = Blueprint("changes", __name__, url_prefix="/changes")

    @pages.get("/")
    def listed() -> str:
        with ledgers() as ledger:
            proposals = ledger.proposals()
        open_ = [p for p in proposals if p.decision is None]
        decided = [p for p in reversed(proposals) if p.decision is not None][:MOST_SHOWN]
        return _page("changes.html", open=open_, decided=decided, fates=_fates(settings, proposals))

    @pages.route("/new", methods=["GET", "POST"])
    def new() -> str | Response | tuple[str, int]:
        if current_user.role not in PROPOSERS:
            abort(403, "数据管理员和分析员可以提出修改")
        target = request.args.get("target", "").strip()
        if not target:
            return _page("changes_choose.html")
        kind = editing.kind_of(target)
        with ledgers() as ledger:
            proposals = ledger.proposals()
        before = approved(proposals)
        try:
            now = amendments.current(kind, target, before)
        except Refused as refused:
            return _page("changes_choose.html", target=target, refused=str(refused)), 404
        form = _form(kind)(data={attribute: now[attribute] for attribute in PERMITTED[kind]})
        edits = [Edit(kind, target, a, now[a], _said(form[a].data)) for a in PERMITTED[kind] if _said(form[a].data) != now[a]]
        looked, waiting = None, [p for p in proposals if p.decision is None and (p.kind, p.target) == (kind, target)]
        if form.validate_on_submit():
            looked = _look(edits, before, settings) if edits else Looked(None, "没有改动任何一项")
            if not looked.refused and request.form.get("step") == "submit":
                with ledgers() as ledger:
                    number = ledger.propose(kind, target, [(e.attribute, e.old, e.new) for e in edits], form.reason.data.strip(), current_user.name)
                audit(current_user.name, f"proposal {number} of {target}", True)
                flash("已提交，等另一位数据管理员审批")
                return redirect(url_for("changes.one", number=number))
        return _page("changes_new.html", form=form, kind=kind, target=target, now=now, edits=edits, looked=looked, waiting=waiting)

    @pages.get("/<int:number>")
    def one(number: int) -> str:
        proposals, proposal = _find(ledgers, number)
        looked = _look(edits_of(proposal), approved(proposals), settings) if proposal.decision is None else None
        return _page(
            "changes_one.html", p=proposal, edits=edits_of(proposal), looked=looked, fate=_fates(settings, proposals).get(number), form=FlaskForm()
        )

    @pages.post("/<int:number>/decide")
    def decide(number: int) -> Response:
        proposals, proposal = _find(ledgers, number)
        decision, note = request.form.get("decision", ""), request.form.get("note", "").strip()[:LONGEST]
        if objection := _objection(proposal, decision, note, proposals, settings):
            audit(current_user.name, f"{decision or 'decision'} of proposal {number}", False)
            flash(objection)
            return redirect(url_for("changes.one", number=number))
        try:
            with ledgers() as ledger:
                taken = ledger.decide(number, decision, current_user.name, note)
        except psycopg.errors.RaiseException:  # the ledger asks for a second person, too
            abort(403, "须由另一个人审批")
        audit(current_user.name, f"{decision} of proposal {number}", taken)
        flash({"approved": "已通过，下一次运行时生效", "rejected": "已退回", "withdrawn": "已撤回"}[decision] if taken else "别人刚刚作了决定")
        return redirect(url_for("changes.one", number=number))

    app.register_blueprint(pages)
    app.jinja_env.filters.update(moment=texts.moment, titles=_titles)


def _objection(proposal: Proposal, decision: str, note: str, proposals: list[Proposal], settings: Settings) -> str:
    """Why this person can't decide so; empty if they can."""
    mine = proposal.who == current_user.name
    if proposal.decision is not None:
        return f"这项修改{STATES[proposal.decision]}，不能再决定"
    if decision == "withdrawn":
        return "" if mine else "只有提出的人可以撤回"
    if decision not in ("approved", "rejected"):
        return "没有这种决定"
    if current_user.role not in DECIDERS:
        return "由数据管理员审批"
    if mine:
        return "自己提出的修改须由另一位数据管理员审批"
    if decision == "rejected":
        return "" if note else "退回要写明理由"
    looked = _look(edits_of(proposal), approved(proposals), settings)
    if looked.refused:
        return f"现在不能通过：{looked.refused}"
    # Approved blindly is not approved: what breaks readers or shows more has to be marked as seen.
    if (looked.looser or (looked.effect and looked.effect.breaking)) and request.form.get("seen") != "yes":
        return "这项修改不兼容或放宽了数据分类，确认已看过影响再通过"
    return ""


def _find(ledgers: Ledgers, number: int) -> tuple[list[Proposal], Proposal]:
    with ledgers() as ledger:
        proposals = ledger.proposals()
    return proposals, next((p for p in proposals if p.proposal_id == number), None) or abort(404, "没有这项修改")


def _look(edits: list[Edit], before: list[Edit], settings: Settings) -> Looked:
    try:
        effect = amendments.try_out(edits, before, settings.declarations)
    except Refused as refused:
        return Looked(None, str(refused))
    looser = tuple(
        f"{e.title}由“{e.old}”放宽为“{e.new}”" for e in edits if e.attribute == "classification" and STRICTNESS.index(e.new) < STRICTNESS.index(e.old)
    )
    return Looked(effect, "", looser)


def _fates(settings: Settings, proposals: list[Proposal]) -> dict[int, tuple[str, str]]:
    """By number, what has become of an approved proposal in what is in force: state for readers, and why."""
    known = {(f.edit.kind, f.edit.target, f.edit.attribute): f for f in amendments.fates(settings.declarations)}
    read = set(amendments.read(settings.declarations))
    newest = {(p.kind, p.target, a): p.proposal_id for p in proposals if p.decision == "approved" for a, _, _ in p.edits}
    found = {}
    for p in proposals:
        if p.decision != "approved":
            continue
        fates = [known.get((p.kind, p.target, a)) for a, _, _ in p.edits]
        if not read.issuperset(edits_of(p)) or None in fates:
            found[p.proposal_id] = ("下一次运行时生效", "")
        elif all(newest[p.kind, p.target, a] != p.proposal_id for a, _, _ in p.edits):
            found[p.proposal_id] = ("已被后来的修改取代", "")
        else:
            worst = max((f for f in fates if f), key=lambda f: list(FATES).index(f.state))
            found[p.proposal_id] = (FATES[worst.state], worst.says)
    return found


def _form(kind: str) -> type[FlaskForm]:
    """The form of what may be changed of a kind."""
    fields: dict[str, Field] = {attribute: _field(attribute, title, values) for attribute, (title, values) in PERMITTED[kind].items()}
    fields["reason"] = TextAreaField("为什么改", validators=[DataRequired("请写明理由"), Length(max=LONGEST)])
    return type("Change", (FlaskForm,), fields)


def _field(attribute: str, title: str, values: editing.Values) -> Field:
    if isinstance(values, tuple):
        return SelectField(title, choices=[*([""] if attribute in OPTIONAL else []), *values])
    needed = [] if attribute in OPTIONAL else [DataRequired(f"{title}不能为空")]
    how = TextAreaField if attribute in LONG else StringField
    return how(title, validators=[*needed, Length(max=LONGEST)], description="几个之间用顿号" if values == "list" else "")


def _titles(proposal: Proposal) -> str:
    """What a proposal changes, for a reader."""
    return "、".join(e.title for e in edits_of(proposal))


def _said(text: str | None) -> str:
    """What somebody typed, in one line as declarations have it."""
    return " ".join((text or "").split())


def _page(template: str, **more: Any) -> str:
    return render_template(
        template, KINDS=KINDS, STATES=STATES, can_propose=current_user.role in PROPOSERS, can_decide=current_user.role in DECIDERS, **more
    )
