"""Who may see the catalog: every account of the lake, by the same password; who fails often has to wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import bcrypt
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, login_required, login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug import Response
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired, Length

FAILURES, WITHIN, LOCKED = 5, 300, 900  # so many wrong passwords within so many seconds lock a name for so many seconds
# Compared where there is no such account, so that the time of an answer doesn't say whether there is one.
_NOBODY = bcrypt.hashpw(b"nobody", bcrypt.gensalt(10))
Accounts = Callable[[], dict[str, dict[str, Any]]]


class User(UserMixin):
    """Somebody who is signed in. ``role``: as in the accounts. A changed password or a disabled account ends all of their sessions."""

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.name, self.role, self.title = name, str(entry["role"]), str(entry["title"])
        self.id = f"{name}:{str(entry['hash'])[-12:]}"


class Doors:
    """Counts wrong passwords by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._failed: dict[str, list[float]] = {}

    def locked(self, name: str) -> bool:
        with self._lock:
            failed = self._failed.get(name, [])
            return len(failed) >= FAILURES and self._clock() - failed[-1] < LOCKED

    def failed(self, name: str) -> None:
        with self._lock:
            now = self._clock()
            self._failed = {n: recent for n, times in self._failed.items() if (recent := [t for t in times if now - t < LOCKED])}
            mine = [t for t in self._failed.get(name, []) if now - t < WITHIN]
            self._failed[name] = [*mine, now][-FAILURES:]

    def passed(self, name: str) -> None:
        with self._lock:
            self._failed.pop(name, None)


class SignIn(FlaskForm):
    name = StringField("账号", validators=[DataRequired("请填写账号"), Length(max=32)])
    password = PasswordField("密码", validators=[DataRequired("请填写密码"), Length(max=72)])


def check(everyone: dict[str, dict[str, Any]], name: str, password: str) -> User | None:
    """The user of that name, if the password is theirs and the account is not disabled."""
    entry = everyone.get(name)
    known = _NOBODY if entry is None else str(entry["hash"]).replace("$2y$", "$2b$", 1).encode()
    right = bcrypt.checkpw(password.encode()[:72], known)
    return User(name, entry) if entry is not None and right and not entry.get("disabled") else None


def install(app: Flask, accounts: Accounts, log: Callable[[str, str, bool], None]) -> None:
    """Add the login page, and a login for everything else. ``log``: told of each try: name, what, whether it succeeded."""
    doors, login, manager = Doors(), Blueprint("login", __name__), LoginManager()
    manager.login_view = "login.sign_in"
    manager.login_message = None
    manager.init_app(app)

    @manager.user_loader
    def load(identity: str) -> User | None:
        name = identity.rpartition(":")[0]
        entry = accounts().get(name)
        user = None if entry is None or entry.get("disabled") else User(name, entry)
        return user if user is not None and user.id == identity else None

    @login.route("/login", methods=["GET", "POST"])
    def sign_in() -> str | Response:
        form = SignIn()
        if form.validate_on_submit():
            name = form.name.data.strip()
            if doors.locked(name):
                log(name, "login locked", False)
                flash("连续输错密码，账号暂时锁定，十五分钟后再试")
            elif (user := check(accounts(), name, form.password.data)) is None:
                doors.failed(name)
                log(name, "login", False)
                flash("账号或密码不对，或账号已停用")
            else:
                doors.passed(name)
                log(name, "login", True)
                session.permanent = True  # it ends when nobody has asked for anything for a while
                login_user(user)
                return redirect(_inside(request.args.get("next", "")))
        return render_template("login.html", form=form)

    @login.post("/logout")
    @login_required
    def sign_out() -> Response:
        logout_user()
        return redirect(url_for("login.sign_in"))

    app.register_blueprint(login)

    @app.before_request
    def closed() -> Any:
        from flask_login import current_user

        if request.endpoint in ("login.sign_in", "healthz", "static") or current_user.is_authenticated:
            return None
        return manager.unauthorized() if request.method == "GET" else abort(401)


def _inside(target: str) -> str:
    """Where to go after the login: a path of this site, whatever the address says."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
