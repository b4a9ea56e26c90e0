"""Attack 1: services started with secrets that ship as examples, or that others can read."""

import json
import os
import shutil

import psycopg
import pytest

from infra.credentials import GENERATORS
from infra.processes import find
from infra.settings import HOST

ROOT = os.geteuid() == 0
SHIPPED = {
    "superset_secret_key": "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "superset_guest_token": "test-guest-secret-change-me",
    "airflow_fernet": "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",
    "airflow_jwt": "airflow_jwt_secret",
    "trino_internal": "internal-shared-secret",
    "postgres_superuser": "changeit",
    "spark_connect_token": "password",
}
# Starts one service through the wrapper, as the supervisor does, without the check of the secrets.
UNCHECKED = "from infra import credentials, run_service; credentials.check = lambda values, path: None; run_service.main()"
CHECKED = "from infra import run_service; run_service.main()"


def write_secrets(instance, changed, mode=0o600):
    folder = instance.state / "secrets"
    folder.mkdir(exist_ok=True)
    path = folder / "secrets.json"
    path.write_text(json.dumps({name: make() for name, make in GENERATORS.items()} | changed))
    path.chmod(mode)
    if ROOT:
        for made in (instance.state, folder, path):
            shutil.chown(made, "lake", "lake")
    return path


def assert_refused(instance, done, named, value):
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert named in told
    assert value not in told
    assert find(instance.state) == {}
    assert not (instance.state / "run" / "supervisord.pid").exists()


@pytest.mark.parametrize("name", SHIPPED)
def test_up_refuses_a_shipped_secret_and_names_it(spare, name):
    write_secrets(spare, {name: SHIPPED[name]})
    done = spare.lake("up", check=False)
    assert_refused(spare, done, f"the secret {name} is refused", SHIPPED[name])
    assert "known to everyone" in done.stderr


def test_up_refuses_a_short_secret(spare):
    write_secrets(spare, {"trino_internal": "K3v9-xQ7b"})
    done = spare.lake("up", check=False)
    assert_refused(spare, done, "the secret trino_internal is refused", "K3v9-xQ7b")


def test_up_refuses_a_secrets_file_that_others_can_read(spare):
    path = write_secrets(spare, {}, mode=0o644)
    done = spare.lake("up", check=False)
    assert_refused(spare, done, "can be read by others", json.loads(path.read_text())["trino_internal"])


def test_the_wrapper_refuses_too_so_that_a_later_change_is_caught(spare):
    write_secrets(spare, {"postgres_superuser": "postgres"})
    done = spare.python(CHECKED, "postgres", check=False)
    assert_refused(spare, done, "the secret postgres_superuser is refused", "'postgres'")


def test_without_the_check_the_service_starts_and_the_shipped_password_opens_it(spare, eventually):
    write_secrets(spare, {"postgres_superuser": "postgres"})

    def attack():
        address = {"host": HOST, "port": spare.ports["postgres"], "dbname": "ledger", "user": "postgres", "password": "postgres"}
        with psycopg.connect(**address, connect_timeout=3) as connection:
            return connection.execute("SELECT current_user").fetchone() == ("postgres",)

    with pytest.raises(psycopg.OperationalError):
        attack()
    with spare.background(UNCHECKED, "postgres"):
        assert eventually(attack, 60, "a server without the check of its secrets")
