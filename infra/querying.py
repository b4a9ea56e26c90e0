"""Run one statement on Trino and print the answer."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trino
from rich.console import Console
from rich.table import Table

from infra.problems import Problem
from infra.services.base import Context
from infra.services.trino import connect

FORMATS = ("table", "csv", "json")


@contextmanager
def asking(context: Context, user: str, password: str, source: str, what: str) -> Iterator[Any]:
    """A cursor of the asking user, for a command (``source``) that shows ``what``.

    Raises:
        Problem: in words, what Trino refuses within the block, or that it does not answer.
    """
    try:
        yield connect(context, user, password, source=source).cursor()
    except trino.exceptions.TrinoUserError as error:
        older = error.error_name in ("COLUMN_NOT_FOUND", "TABLE_NOT_FOUND")
        do = "读者看到的还是升级以前的发布，运行一次 ./lake run 后再查" if older else "换一个有权限的账号，或请运维授权"
        raise Problem(f"不能查看{what}", f"{error.message} [{error.error_name}]", do) from error
    except (trino.exceptions.Error, trino.exceptions.HttpError, OSError) as error:
        raise Problem("Trino 没有应答", str(error).splitlines()[0][:200], "核对账号和 ./lake status") from error


def records(cursor: Any, sql: str, values: list[Any]) -> list[dict[str, Any]]:
    """The rows that answer a statement, each by the names of its columns."""
    rows = cursor.execute(sql, values).fetchall()
    return [dict(zip([d[0] for d in cursor.description], row, strict=True)) for row in rows]


def run(context: Context, sql: str, user: str, password: str, output: str, console: Console) -> None:
    """Print the answer to ``sql`` as ``table``, ``csv`` (RFC 4180) or ``json`` (one object a line).

    Raises:
        Problem: the statement or the account is refused, or Trino does not answer.
    """
    try:
        cursor = connect(context, user, password, source="lake query").cursor()
        cursor.execute(sql.rstrip().rstrip(";"))
        rows = cursor.fetchall()
    except trino.exceptions.TrinoUserError as error:
        raise Problem(
            "the statement is refused", f"{error.message} [{error.error_name}]", "correct the statement, or ask the operator for the right"
        ) from error
    except (trino.exceptions.TrinoConnectionError, OSError) as error:
        raise Problem("Trino can't be reached", str(error).splitlines()[0][:200], "check ./lake status; start with ./lake up") from error
    except (trino.exceptions.Error, trino.exceptions.HttpError) as error:
        why = str(error)
        raise Problem(
            "Trino did not answer the statement",
            "the name or the password is wrong" if "401" in why else why,
            "check the account with ./lake user list and the service with ./lake status",
        ) from error
    names = [column[0] for column in cursor.description or []]
    if output == "json":
        for row in rows:
            print(json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False))
    elif output == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([["" if v is None else plain(v) for v in row] for row in rows])
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for index, name in enumerate(names):
            table.add_column(name, justify="right" if rows and isinstance(rows[0][index], int | float | decimal.Decimal) else "left")
        for row in rows:
            table.add_row(*("∅" if v is None else str(plain(v)) for v in row))
        console.print(table)
        console.print(f"{len(rows)} rows, as {user}", style="dim")


def plain(value: Any) -> Any:
    """The value as JSON and CSV know it: decimals, dates and times as text."""
    if isinstance(value, decimal.Decimal | dt.date | dt.datetime | dt.time):
        return str(value)
    return value
