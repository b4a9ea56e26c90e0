"""Attack 5: Trino over plain HTTP, with a wrong password, in somebody else's name, beyond one's rights."""

import json
import os
import shutil
import socket

import pytest
import requests
import trino

from infra.services.trino import tls
from infra.settings import HOST

ROOT = os.geteuid() == 0
PEOPLE = ("analyst", "leader", "steward", "operator")
SERVICES = ("publisher", "health", "superset")


def connect(stack, account, password, user, catalog="lake", **more):
    """Sign in as ``account`` and say that one is ``user`` (X-Trino-User)."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(tls.ensure(stack.context)["ca"])
    return trino.dbapi.connect(
        http_session=session, host=HOST, port=stack.ports["trino"], http_scheme="https", user=user, catalog=catalog,
        auth=trino.auth.BasicAuthentication(account, password), max_attempts=1, **more,
    )  # fmt: skip


def ask(connection, sql):
    return connection.cursor().execute(sql).fetchall()


def state_of(base, user, **more):
    """What a bare client with nothing but a user name gets: the status of a statement, or why there is none."""
    try:
        answer = requests.post(f"{base}/v1/statement", data="SELECT current_user", headers={"X-Trino-User": user}, timeout=10, **more)
    except requests.ConnectionError as error:
        return type(error).__name__
    return answer.status_code


def denial(connection, sql):
    """``denied`` when the access rules refuse the statement; ``done``, or what else is wrong, otherwise."""
    try:
        ask(connection, sql)
    except trino.exceptions.TrinoUserError as error:
        return "denied" if error.error_name == "PERMISSION_DENIED" else f"{error.error_name}: {error.message}"
    return "done"


# ---- the plain door -------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [*PEOPLE, *SERVICES, "admin", "root"])
def test_plain_http_lets_nobody_in(stack, user):
    ports = {port for (_, port), service in stack.listeners().items() if service == "trino"}
    assert stack.ports["trino"] in ports
    for port in ports:
        assert state_of(f"http://{HOST}:{port}", user) not in (200, 201, 204)


def test_a_trino_as_it_is_unpacked_lets_anybody_in_over_plain_http(stack, tmp_path, running, free_port, eventually):
    port = free_port()
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "node.properties").write_text(f"node.environment=weak\nnode.data-dir={tmp_path}\nnode.bind-ip={HOST}\nnode.internal-address={HOST}\n")
    (etc / "config.properties").write_text(
        f"coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={port}\ndiscovery.uri=http://{HOST}:{port}\n"
        "query.max-memory=100MB\nquery.max-memory-per-node=100MB\n"
    )
    jvm = (stack.state / "conf" / "trino" / "jvm.config").read_text().splitlines()
    (etc / "jvm.config").write_text("\n".join("-Xmx700m" if line.startswith("-Xmx") else line for line in jvm) + "\n")
    launcher = stack.settings.engines / "trino" / "bin" / "launcher"
    environment = {"PATH": "/usr/bin:/bin", "JAVA_HOME": str(stack.settings.java_home), "HOME": str(tmp_path)}
    with running([str(launcher), "--etc-dir", str(etc), "--data-dir", str(tmp_path), "run"], env=environment, cwd=tmp_path):
        base = f"http://{HOST}:{port}"
        eventually(lambda: state_of(base, "operator") == 200, 90, "the Trino with no security at all")


@pytest.mark.parametrize("user", [*PEOPLE, *SERVICES, "admin"])
def test_tls_without_a_password_lets_nobody_in(stack, user):
    base, trusted = f"https://{HOST}:{stack.ports['trino']}", str(tls.ensure(stack.context)["ca"])
    assert state_of(base, user, verify=trusted) == 401


def test_a_wrong_password_is_refused(stack):
    for user in (*PEOPLE, *SERVICES):
        for password in ("", "wrong", user, stack.password("leader" if user != "leader" else "analyst")):
            with pytest.raises(trino.exceptions.HttpError, match="401"):
                ask(connect(stack, user, password, user), "SELECT 1")
    assert ask(connect(stack, "analyst", stack.password("analyst"), "analyst"), "SELECT current_user") == [["analyst"]]


def test_the_certificate_is_this_instance_s_own(stack):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{HOST}:{stack.ports['trino']}/v1/info", timeout=10)


# ---- somebody else's name -------------------------------------------------------------------------


@pytest.mark.parametrize("account", PEOPLE)
def test_nobody_speaks_for_somebody_else(stack, account):
    for user in {*PEOPLE, *SERVICES, "admin"} - {account}:
        with pytest.raises(trino.exceptions.Error, match=r"cannot impersonate|401|403"):
            ask(connect(stack, account, stack.password(account), user), "SELECT 1")


@pytest.mark.parametrize("account", ["publisher", "health"])
def test_these_service_accounts_speak_for_nobody(stack, account):
    for user in {*PEOPLE, *SERVICES, "admin"} - {account}:
        with pytest.raises(trino.exceptions.Error, match=r"cannot impersonate|401|403"):
            ask(connect(stack, account, stack.context.secrets[f"trino_{account}"], user), "SELECT 1")


def test_superset_speaks_for_people_only(stack):
    password = stack.context.secrets["trino_superset"]
    for user in PEOPLE:
        assert ask(connect(stack, "superset", password, user), "SELECT current_user") == [[user]]
    for user in ("publisher", "health", "admin", "root", "nobody-known"):
        with pytest.raises(trino.exceptions.Error, match=r"cannot impersonate|401|403"):
            ask(connect(stack, "superset", password, user), "SELECT 1")


def test_superset_reads_nothing_by_itself(stack, probe_table):
    connection = connect(stack, "superset", stack.context.secrets["trino_superset"], "superset")
    assert denial(connection, f"SELECT * FROM {probe_table}") == "denied"
    assert denial(connection, "SELECT * FROM system.runtime.queries") == "denied"
    assert "lake" not in {row[0] for row in ask(connection, "SHOW CATALOGS")}


def test_a_session_cannot_be_handed_over_by_a_statement(stack):
    connection = connect(stack, "analyst", stack.password("analyst"), "analyst")
    assert denial(connection, "SET SESSION AUTHORIZATION operator") != "done"


# ---- beyond one's rights --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probe_table(stack):
    """A table in a schema that no contract declares, made by the only writer."""
    with stack.spark() as session:
        for schema in ("probe", "probe_empty"):
            session.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        session.sql("CREATE OR REPLACE TABLE probe.rows (id BIGINT) USING delta")
        session.sql("INSERT INTO probe.rows VALUES (1), (2)")
    yield "lake.probe.rows"
    with stack.spark() as session:
        for schema in ("probe", "probe_empty"):
            session.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


CHANGES = (
    "INSERT INTO {catalog}.probe.rows VALUES (3)",
    "DELETE FROM {catalog}.probe.rows",
    "UPDATE {catalog}.probe.rows SET id = 0",
    "MERGE INTO {catalog}.probe.rows t USING (VALUES 9) s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
    "TRUNCATE TABLE {catalog}.probe.rows",
    "CREATE TABLE {catalog}.probe.made (id BIGINT)",
    "CREATE TABLE {catalog}.probe.copied AS SELECT 1 id",
    "CREATE OR REPLACE VIEW {catalog}.probe.seen AS SELECT 1 id",
    "DROP TABLE {catalog}.probe.rows",
    "ALTER TABLE {catalog}.probe.rows ADD COLUMN more BIGINT",
    "ALTER TABLE {catalog}.probe.rows RENAME TO {catalog}.probe.gone",
    "ALTER TABLE {catalog}.probe.rows EXECUTE optimize",
    "COMMENT ON TABLE {catalog}.probe.rows IS 'x'",
    "CREATE SCHEMA {catalog}.made",
    "DROP SCHEMA {catalog}.probe_empty",
    "CALL {catalog}.system.register_table('probe', 'stolen', 'file:///etc')",
    "CALL {catalog}.system.vacuum('probe', 'rows', '0s')",
    "CALL {catalog}.system.flush_metadata_cache()",
    "CREATE FUNCTION {catalog}.probe.one() RETURNS bigint RETURN 1",
    "GRANT SELECT ON {catalog}.probe.rows TO USER leader",
)


@pytest.mark.parametrize("catalog", ["lake", "lake_publish"])
@pytest.mark.parametrize("sql", CHANGES, ids=lambda sql: " ".join(sql.split()[:2]).replace("{catalog}.", ""))
def test_an_analyst_changes_nothing(stack, probe_table, catalog, sql):
    outcome = denial(stack.trino("analyst"), sql.format(catalog=catalog))
    # READ_ONLY catalogs and connectors without the feature refuse before the rules are asked.
    assert outcome == "denied" or outcome.startswith(("NOT_SUPPORTED", "PROCEDURE_NOT_FOUND")), outcome


def test_and_the_table_is_as_it_was(stack, probe_table):
    with stack.spark() as session:
        assert [tuple(row) for row in session.sql("SELECT id FROM probe.rows ORDER BY id").collect()] == [(1,), (2,)]
        assert [row.tableName for row in session.sql("SHOW TABLES IN probe").collect()] == ["rows"]
        history = [row.operation for row in session.sql("DESCRIBE HISTORY probe.rows").collect()]
        assert history[0] == "WRITE"
        assert set(history[1:]) <= {"WRITE", "CREATE TABLE", "CREATE OR REPLACE TABLE"}


@pytest.mark.parametrize("user", PEOPLE)
def test_the_publisher_s_catalog_is_closed_to_people(stack, probe_table, user):
    connection = stack.trino(user)
    assert "lake_publish" not in {row[0] for row in ask(connection, "SHOW CATALOGS")}
    for sql in ("SHOW SCHEMAS FROM lake_publish", "SELECT * FROM lake_publish.information_schema.tables", "SELECT * FROM lake_publish.probe.rows"):
        assert denial(connection, sql) == "denied", sql


@pytest.mark.parametrize("user", ["analyst", "leader", "steward"])
def test_only_operators_look_at_the_engine_and_other_people_s_queries(stack, probe_table, user):
    connection = stack.trino(user)
    for sql in (
        "SELECT * FROM system.runtime.queries",
        "SELECT * FROM system.runtime.nodes",
        "CALL system.runtime.kill_query('20000101_000000_00000_abcde', 'x')",
        "SELECT * FROM lake.probe.rows",
        'SELECT * FROM lake.probe."rows$history"',
    ):
        assert denial(connection, sql) == "denied", sql


def test_with_open_rules_the_same_attacks_succeed(stack, probe_table, eventually):
    """The rules are what keeps the analyst out: with them open, and the catalog that may write, everything works."""
    rules = stack.state / "conf" / "trino" / "rules.json"
    kept = rules.read_bytes()
    analyst = stack.trino("analyst")

    def replace(content):
        new = rules.with_suffix(".weakened")
        new.write_bytes(content)
        new.chmod(0o600)
        if ROOT:
            shutil.chown(new, *2 * [rules.owner()])
        new.replace(rules)

    attack = "CREATE TABLE lake_publish.probe.copied AS SELECT 1 id"
    assert denial(analyst, attack) == "denied"
    try:
        everything = {"catalogs": [{"allow": "all"}], "impersonation": [{"original_user": ".*", "new_user": ".*", "allow": True}]}
        replace(json.dumps(everything).encode())
        eventually(lambda: denial(analyst, attack) == "done", 20, "open rules")
        assert ask(connect(stack, "analyst", stack.password("analyst"), "operator"), "SELECT current_user") == [["operator"]]
        assert denial(analyst, "SELECT * FROM lake_publish.probe.rows") == "done"
        assert denial(analyst, "DROP TABLE lake_publish.probe.copied") == "done"
    finally:
        replace(kept)
    eventually(lambda: denial(analyst, "SELECT * FROM lake_publish.probe.rows") == "denied", 20, "our rules again")


def test_plain_text_to_the_tls_port_gets_no_answer(stack):
    with socket.create_connection((HOST, stack.ports["trino"]), timeout=5) as connection:
        connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(5)
        assert b"nodeVersion" not in connection.recv(4096)
