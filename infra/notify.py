"""``./lake notices``: what is waiting to be told and what was sent; sending it. In Airflow:

    python -m infra.notify

Exit codes: 0 sent, 1 something was not sent (try again), 3 the settings can't be used (trying again changes nothing), 4 nothing to do.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import groupby

from rich.console import Console

from infra import credentials, mail, notice_rows, settings
from infra.clock import CHINA
from infra.ledger import Ledger, Told
from infra.notices import NAMES, TITLES, Links, Notice, subject, text, unaddressed, waiting
from infra.problems import Problem
from infra.services.base import Context

REFUSED, NOTHING = 3, 4
LATELY = dt.timedelta(days=14)
MOST = 50  # lines that are listed; mails have all


def send(context: Context, to: mail.Target, out: Console) -> int:
    """Send what is waiting, one mail for each group that has an address; the exit code.

    What is waiting is noted first, and noted as sent once the server has taken the mail: killed between these two, a program may send one mail a second
    time (with the same Message-ID), and forgets none. What the server does not take is left for the next time.
    """
    addresses = mail.recipients(context.settings)
    today = dt.datetime.now(CHINA).date()
    with Ledger(context) as ledger:
        if not ledger.hold_notices():
            _say(out, "另一个程序正在发送通知")
            return NOTHING
        left, left_out, is_whole = _waiting(context, ledger, addresses, today)
        for says in left_out:
            _say(out, says)
        ledger.note_notices((n.key, n.to) for n in left)
        mails = [(group, list(found)) for group, found in groupby(left, key=lambda n: n.to) if group in addresses]
        unsent = 0
        # Who has least time left first, should the server give up on the way.
        for group, found in sorted(mails, key=lambda m: min((n.days_left for n in m[1] if n.days_left is not None), default=10_000)):
            keys = [n.key for n in found]
            try:
                refused = mail.send(to, letter(to, addresses[group], found, today, _links(context)))
            except mail.Refused as error:
                ledger.note_unsent(group, keys, str(error))
                unsent += len(found)
                _say(out, f"{NAMES.get(group, group)}：{len(found)} 项没有发出，下次再发：{error}")
                continue
            except Problem as problem:
                # It takes no mail at all. What is waiting is noted already.
                ledger.note_unsent(group, keys, problem.why)
                raise
            ledger.note_sent(group, keys, "；".join(sorted(set(refused.values()))) or None)
            _say(out, f"{NAMES.get(group, group)}：已发出 {len(found)} 项，{len(addresses[group]) - len(refused)} 个地址")
            for address, says in refused.items():
                _say(out, f"  {address} 被拒收：{says}")
    if unsent or not is_whole:
        return 1
    if not mails:
        _say(out, "没有要发送的通知")
        return NOTHING
    return 0


def letter(to: mail.Target, addresses: Sequence[str], found: Sequence[Notice], today: dt.date, links: Links) -> EmailMessage:
    """The mail that tells one group. The same notices have the same Message-ID: who gets them twice is shown one."""
    told = hashlib.sha256("\n".join([found[0].to, *sorted(n.key for n in found)]).encode()).hexdigest()[:32]
    made = _mail(to, addresses, subject(found), text(found, today, links))
    made["Message-ID"] = f"<{told}@{to.sender.rsplit('@', 1)[1]}>"
    return made


def test(to: mail.Target, address: str, out: Console) -> None:
    """Send a mail that says nothing but that mail arrives.

    Raises:
        Problem: it was not taken.
    """
    mail.require_address("不能发送测试邮件", address)
    try:
        mail.send(to, _mail(to, [address], "测试邮件", "收到这封邮件，说明数据湖的通知可以送达这个地址。\n\n——\n数据湖自动发送，不必回复。\n"))
    except mail.Refused as error:
        raise Problem("测试邮件没有发出", str(error), "核对地址，或问邮件系统管理员") from error
    _say(out, f"{to.shown} 已接收发往 {address} 的测试邮件")


def _mail(to: mail.Target, addresses: Sequence[str], title: str, body: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["Subject"] = f"【数据湖】{title}"
    made["From"], made["To"] = to.sender, ", ".join(addresses)
    made["Date"] = format_datetime(dt.datetime.now(CHINA))
    made["Auto-Submitted"] = "auto-generated"  # no absence is answered to it
    made.set_content(body, cte="base64")
    return made


def show(context: Context, out: Console) -> None:
    """Print what is waiting, for whom, and what was sent lately. Sends and notes nothing."""
    to, addresses = mail.target(context), mail.recipients(context.settings)
    now = dt.datetime.now(CHINA)
    with Ledger(context) as ledger:
        told = ledger.notices()
        left, left_out, _ = _waiting(context, ledger, addresses, now.date())
    known = {(t.key, t.recipient): t for t in told}
    _say(out, f"待发送 {len(left)} 项" + ("" if to else "；设置 [mail] server 是空的，不发送"))
    for group, found in groupby(left, key=lambda n: n.to):
        where = "、".join(addresses[group]) if group in addresses else "没有收件地址"
        mine = list(found)
        _say(out, f"\n{NAMES.get(group, group)}（{where}）：{len(mine)} 项")
        for n in mine[:MOST]:
            before = known.get((n.key, n.to))
            tried = f"（试过 {before.tries} 次：{before.error}）" if before and before.error else ""
            _say(out, f"  {TITLES[n.kind]}  {'，'.join(n.lines)}{tried}")
        if len(mine) > MOST:
            _say(out, f"  …另有 {len(mine) - MOST} 项")
    sent = [t for t in told if t.sent_at is not None and t.sent_at > now - LATELY]
    _say(out, f"\n{LATELY.days} 天内已发送 {len(sent)} 项")
    for line in _sent(sent)[-MOST:]:
        _say(out, line)
    for says in left_out:
        _say(out, says)


def _sent(told: Sequence[Told]) -> list[str]:
    """A line for each mail: its notices were noted as sent at one moment."""
    lines = []
    for (at, group), found in groupby(sorted(told, key=lambda t: (t.sent_at, t.recipient)), key=lambda t: (t.sent_at, t.recipient)):
        mine = list(found)
        keys = "、".join(t.key for t in mine[:3]) + (f"…共 {len(mine)} 项" if len(mine) > 3 else "")
        remark = f"（有地址被拒收：{mine[0].error}）" if mine[0].error else ""
        lines.append(f"  {at.astimezone(CHINA):%Y-%m-%d %H:%M}  {NAMES.get(group, group)}  {keys}{remark}")
    return lines


def _waiting(context: Context, ledger: Ledger, addresses: dict[str, tuple[str, ...]], today: dt.date) -> tuple[list[Notice], tuple[str, ...], bool]:
    found = notice_rows.find(context, ledger, today)
    told = ledger.notices()
    left = waiting(found.notices, told)
    return waiting([*left, *unaddressed(left, addresses)], told), found.left_out, found.is_whole


def _links(context: Context) -> Links:
    """Only addresses that the installation has named: one on this machine leads nobody else anywhere."""
    web = context.settings.values["web"]
    return Links(str(web["superset_url"]).rstrip("/"), str(web["airflow_url"]).rstrip("/"))


def required(context: Context) -> mail.Target:
    """The server that mails are handed to.

    Raises:
        Problem: the settings name none, or can't be used.
    """
    to = mail.target(context)
    if to is None:
        raise Problem("没有发送邮件", "设置 [mail] server 是空的", "写上邮件服务器；写法见 docs/how-to/notices.zh.md")
    return to


def _say(out: Console, line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    out = Console(highlight=False)
    try:
        current = settings.load()
        context = Context(current, credentials.load(current))
        to = mail.target(context)
    except Problem as problem:
        return _failed(problem, REFUSED)
    if to is None:
        _say(out, "设置 [mail] server 是空的，不发送通知")
        return NOTHING
    try:
        return send(context, to, out)
    except Problem as problem:
        return _failed(problem, 1)


def _failed(problem: Problem, code: int) -> int:
    print(f"{problem.what}\n  why: {problem.why}\n  do:  {problem.do}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
