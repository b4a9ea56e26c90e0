"""Mail, by the settings: which server takes it, whom it goes to; handing one mail over."""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit

from catalog import directory
from infra.problems import Problem
from infra.services.base import Context
from infra.settings import HOST, Settings

OPERATORS, STEWARDS = "operators", "stewards"
USER, PASSWORD = "mail_user", "mail_password"  # names in the instance's secrets
SECONDS = 20.0  # that a server may take for one step of the dialogue
PORTS = {"smtp": 25, "smtps": 465}
HERE = (HOST, "localhost", "::1")
# Of ASCII: a server need not know SMTPUTF8. Nothing that could end a header or a command.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
DO = "改正实例的 settings.toml；写法见 docs/how-to/notices.zh.md"


class Refused(Exception):
    """The server did not take this mail; it may take another one."""


@dataclass(frozen=True)
class Target:
    """A server that takes mail. ``is_tls``: encrypted from the first byte on."""

    host: str
    port: int
    is_tls: bool
    sender: str
    ca: str
    user: str
    password: str

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


def recipients(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Addresses by department, `OPERATORS` or `STEWARDS`, of those that have any.

    Raises:
        Problem: a name is none of these, or an address can't be one.
    """
    known = [OPERATORS, STEWARDS, *directory.load_facts().departments]
    found = {}
    for group, addresses in settings.values["mail"]["to"].items():
        where = f"不能使用设置 [mail.to] 的“{group}”"
        if group not in known:
            raise Problem(where, "它不是 catalog/departments.yaml 里的部门", f"可以写：{'、'.join(known)}")
        if not isinstance(addresses, list) or not all(isinstance(a, str) for a in addresses):
            raise Problem(where, "它的值不是地址的清单", '写作 ["one@bureau.example", "other@bureau.example"] 这样的清单')
        for address in addresses:
            require_address(where, address)
        if addresses:
            found[group] = tuple(dict.fromkeys(addresses))
    return found


def require_address(where: str, address: str) -> None:
    """Raises Problem, saying ``where``, unless ``address`` is a plain mail address."""
    if not ADDRESS.fullmatch(address):
        raise Problem(where, f"“{address}”不是邮件地址（只用英文字母、数字和符号，不带姓名）", DO)


def target(context: Context) -> Target | None:
    """The server that the settings name; None: nobody is mailed.

    Raises:
        Problem: the address, the sender, the certificate or the account can't be used, or nobody would hear of what concerns the operators.
    """
    values = context.settings.values["mail"]
    to = recipients(context.settings)
    says = str(values["server"]).strip()
    if not says:
        return None
    parts = urlsplit(says)
    try:
        port = parts.port
    except ValueError:
        port = 0
    what = "不能使用设置 [mail] server"  # not what it says: a password may stand in it
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise Problem(what, "它不是 smtp://主机:端口 或 smtps://主机:端口", '写作 "smtp://mail.example:25"；不发邮件时写 ""')
    if parts.username is not None or parts.password is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise Problem(what, "地址里只能有主机和端口", f"账号和口令写进 secrets/secrets.json 的 {USER}、{PASSWORD}")
    require_address("不能使用设置 [mail] sender", str(values["sender"]))
    if OPERATORS not in to:
        raise Problem("不能使用设置 [mail.to]", f"没有 {OPERATORS} 的地址，出了问题没有人知道", f"写上 {OPERATORS} = [地址]")
    user, password = context.secrets.get(USER, ""), context.secrets.get(PASSWORD, "")
    if bool(user) != bool(password):
        raise Problem(f"不能使用 {USER} 和 {PASSWORD}", "secrets/secrets.json 里只有其中一个", "两个都写，或都不写")
    return Target(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "smtps", str(values["sender"]), str(values["ca"]), user, password)


def send(to: Target, mail: EmailMessage, seconds: float | None = None) -> dict[str, str]:
    """Hand a mail to the server. Returns the addresses that it refused, with what it said; all others have it once this returns.

    Raises:
        Refused: it did not take this mail.
        Problem: it takes none: it can't be reached, does not prove who it is, lets the account not in, or the account would go unencrypted.
    """
    smtp = _greeted(to, SECONDS if seconds is None else seconds)
    try:
        refused = smtp.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        raise Refused("；".join(_said(*answer) for answer in error.recipients.values())) from error
    except smtplib.SMTPResponseException as error:
        raise Refused(_said(error.smtp_code, error.smtp_error)) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Refused(f"连接中断：{_plain(str(error))}") from error
    finally:
        # It has the mail or has not; how it takes leave changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()
        smtp.close()
    return {address: _said(*answer) for address, answer in refused.items()}


def _greeted(to: Target, seconds: float) -> smtplib.SMTP:
    """A connection on which the server takes mail, encrypted where it can be, signed in where there is an account."""
    what, smtp = f"不能把邮件交给 {to.shown}", None
    try:
        trusted = ssl.create_default_context(cafile=to.ca or None)
    except OSError as error:
        raise Problem("不能使用设置 [mail] ca", f"{to.ca}：{error.strerror or error}", DO) from error
    try:
        smtp = smtplib.SMTP_SSL(to.host, to.port, timeout=seconds, context=trusted) if to.is_tls else smtplib.SMTP(to.host, to.port, timeout=seconds)
        smtp.ehlo_or_helo_if_needed()
        is_secret = to.is_tls
        if not is_secret and smtp.has_extn("starttls"):
            smtp.starttls(context=trusted)
            smtp.ehlo()
            is_secret = True
        if to.user:
            if not is_secret and to.host not in HERE:
                raise Problem(
                    what,
                    f"它没有提供 STARTTLS，{USER} 和 {PASSWORD} 会不加密地送出",
                    "改用 smtps:// 的地址，或请邮件系统管理员打开 STARTTLS，或从 secrets.json 去掉账号",
                )
            smtp.login(to.user, to.password)
        return smtp
    except Problem:
        _close(smtp)
        raise
    except smtplib.SMTPResponseException as error:
        _close(smtp)
        raise Problem(what, _said(error.smtp_code, error.smtp_error), "核对地址、账号和口令，或问邮件系统管理员") from error
    except ssl.SSLError as error:
        _close(smtp)
        raise Problem(what, f"它没有证明自己：{_plain(str(error))}", "本单位签发的证书写进设置 [mail] ca；主机名须与证书一致") from error
    except (smtplib.SMTPException, OSError) as error:
        _close(smtp)
        raise Problem(what, _plain(str(error)), "核对设置 [mail] server 和网络；通知留着，下次运行再发") from error


def _close(smtp: smtplib.SMTP | None) -> None:
    if smtp is not None:
        smtp.close()


def _said(code: int, text: bytes | str) -> str:
    return f"{code} {_plain(text.decode(errors='replace') if isinstance(text, bytes) else text)}"


def _plain(text: str) -> str:
    """What a server or the system says, on one line and not for long; without the addresses in it, which don't belong into the ledger."""
    return re.sub(r"\S+@\S+", "…", " ".join("".join(c if c.isprintable() else " " for c in text).split()))[:160]
