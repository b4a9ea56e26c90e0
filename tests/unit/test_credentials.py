"""Secrets: generated, private, and refused when known, short, repetitive or readable by others."""

import json
import stat

import pytest

from infra import credentials, settings
from infra.credentials import GENERATORS, SHIPPED
from infra.problems import Problem


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "REPO", tmp_path)
    return settings.Settings("unit", {})


@pytest.fixture
def good():
    return {name: make() for name, make in GENERATORS.items()}


def written(instance, values, mode=0o600):
    path = instance.folder("secrets") / "secrets.json"
    path.write_text(json.dumps(values))
    path.chmod(mode)
    return path


def test_the_first_start_generates_all_secrets_in_a_private_file(instance):
    made = credentials.ensure(instance)
    path = instance.state / "secrets" / "secrets.json"
    assert set(made) == set(GENERATORS)
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert credentials.ensure(instance) == credentials.load(instance) == made
    assert [p.name for p in path.parent.iterdir()] == ["secrets.json"]


def test_two_instances_share_no_secret(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "REPO", tmp_path)
    one, other = (credentials.ensure(settings.Settings(name, {})) for name in ("one", "other"))
    assert set(one.values()).isdisjoint(other.values())


@pytest.mark.parametrize("value", sorted(SHIPPED | {"ADMIN", "Password"}))
@pytest.mark.parametrize("name", ["superset_guest_token", "postgres_superuser"])
def test_a_shipped_secret_is_refused_by_name_and_never_printed(instance, good, name, value):
    written(instance, good | {name: value})
    for use in (credentials.load, credentials.ensure):
        with pytest.raises(Problem) as refused:
            use(instance)
        assert name in refused.value.what
        assert value not in str(refused.value).replace(name, "").replace("secret", "")


@pytest.mark.parametrize(("value", "why"), [("Ab3-" * 5, "fewer than"), ("", "fewer than"), ("ab" * 20, "repeats"), ("a" * 40, "repeats")])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_weak_secret_is_refused(instance, good, name, value, why):
    path = written(instance, good | {name: value})
    with pytest.raises(Problem, match=why):
        credentials.check(good | {name: value}, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o610])
def test_a_file_that_others_can_read_is_refused(instance, good, mode):
    written(instance, good, mode)
    for use in (credentials.load, credentials.ensure):
        with pytest.raises(Problem, match="can be read by others"):
            use(instance)


def test_good_secrets_pass(instance, good):
    written(instance, good)
    assert credentials.load(instance) == good


def test_a_missing_secret_is_generated_at_up_and_refused_by_a_service(instance, good):
    kept = {k: v for k, v in good.items() if k != "trino_internal"}
    written(instance, kept)
    with pytest.raises(Problem, match="trino_internal"):
        credentials.load(instance)
    made = credentials.ensure(instance)
    assert kept.items() < made.items()
    assert len(made["trino_internal"]) >= credentials.SHORTEST


def test_a_bad_secret_is_refused_even_when_others_are_generated(instance, good):
    written(instance, {"airflow_jwt": "airflow_jwt_secret"})
    with pytest.raises(Problem, match="airflow_jwt"):
        credentials.ensure(instance)


def test_an_instance_that_was_never_started_says_so(instance):
    with pytest.raises(Problem, match="never been started"):
        credentials.load(instance)


def test_a_private_file_replaces_the_old_one_whole_whatever_the_mask(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    credentials.write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
