"""Superset's REST API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import requests

from infra.services.base import Context
from infra.settings import HOST

PAGE = 100  # the most that Superset gives at once


def address(context: Context) -> str:
    return str(context.settings.values["web"]["superset_url"]) or f"http://localhost:{context.settings.port('superset')}"


class Client:
    """A signed-in client of Superset's REST API."""

    def __init__(self, context: Context, user: str = "deployer", password: str | None = None, timeout: float = 30) -> None:
        self.base = f"http://{HOST}:{context.settings.port('superset')}"
        self.http = requests.Session()
        self.http.trust_env = False  # a proxy has no place on loopback, and a netrc would replace our token
        self.timeout = timeout
        login = {"username": user, "password": password or context.secrets["deployer"], "provider": "db", "refresh": False}
        answer = self.http.post(f"{self.base}/api/v1/security/login", json=login, timeout=timeout)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **more: object) -> requests.Response:
        if method != "GET" and "X-CSRFToken" not in self.http.headers:
            token = self.http.get(f"{self.base}/api/v1/security/csrf_token/", timeout=self.timeout)
            token.raise_for_status()
            self.http.headers["X-CSRFToken"] = token.json()["result"]
            self.http.headers["Referer"] = self.base
        return self.http.request(method, f"{self.base}{path}", timeout=self.timeout, **more)  # type: ignore[arg-type]

    def ok(self, method: str, path: str, **more: object) -> requests.Response:
        """Like ``call``; raises requests.HTTPError when the answer is no success."""
        answer = self.call(method, path, **more)
        answer.raise_for_status()
        return answer

    def entries(self, path: str, columns: Iterable[str], order: str, condition: str = "") -> Iterator[dict[str, Any]]:
        """Every entry of a list that meets ``condition``, however many pages it has."""
        page = 0
        while True:
            query = f"(columns:!({','.join(columns)}),order_column:{order},order_direction:asc,page:{page},page_size:{PAGE},filters:!({condition}))"
            result = self.ok("GET", path, params={"q": query}).json()["result"]
            yield from result
            if len(result) < PAGE:
                return
            page += 1

    def find(self, path: str, column: str, value: str) -> dict[str, Any] | None:
        """The entry whose ``column`` is ``value``, None when there is none."""
        quoted = value.replace("!", "!!").replace("'", "!'")
        result = self.ok("GET", path, params={"q": f"(filters:!((col:{column},opr:eq,value:'{quoted}')))"}).json()["result"]
        return result[0] if result else None

    def export(self, resource: str, ids: Iterable[int]) -> bytes:
        """An archive of these charts (dashboards, …) in Superset's export format."""
        return self.ok("GET", f"/api/v1/{resource}/export/", params={"q": f"!({','.join(map(str, ids))})"}).content

    def permission(self, name: str, resource: str) -> int:
        """The id of a permission on a resource; made when missing, as for a schema that nobody opened yet."""
        permission = self.find("/api/v1/security/permissions/", "name", name)
        if permission is None:
            raise ValueError(f"Superset knows no permission {name}")
        on = self.find("/api/v1/security/resources/", "name", resource)
        if on is None:
            on = {"id": self.ok("POST", "/api/v1/security/resources/", json={"name": resource}).json()["id"]}
        query = f"(filters:!((col:permission,opr:rel_o_m,value:{permission['id']}),(col:view_menu,opr:rel_o_m,value:{on['id']})))"
        result = self.ok("GET", "/api/v1/security/permissions-resources/", params={"q": query}).json()["result"]
        if result:
            return int(result[0]["id"])
        made = {"permission_id": permission["id"], "view_menu_id": on["id"]}
        return int(self.ok("POST", "/api/v1/security/permissions-resources/", json=made).json()["id"])
