"""What a user reads when something is wrong: what failed, why, what to do; never a traceback."""

import socket

import pytest

from infra.settings import HOST


def test_logs_of_a_service_that_does_not_exist(stack, three_lines):
    text = three_lines(stack.lake("logs", "nosuch", check=False))
    assert "no service nosuch" in text
    assert "trino" in text


def test_logs_show_what_a_service_said(stack):
    assert "ready to accept connections" in stack.lake("logs", "postgres", "-n", "1000").stdout
    assert "spawned" in stack.lake("logs", "supervisor", "-n", "1000").stdout


def test_a_query_with_a_syntax_error(stack, three_lines):
    password = {"LAKE_PASSWORD": stack.password("analyst")}
    assert "SYNTAX_ERROR" in three_lines(stack.lake("query", "SELEC 1", "-u", "analyst", check=False, env=password))


def test_a_query_with_a_wrong_password(stack, three_lines):
    text = three_lines(stack.lake("query", "SELECT 1", "-u", "analyst", check=False, env={"LAKE_PASSWORD": "not-the-password"}))
    assert "password is wrong" in text
    assert "not-the-password" not in text


def test_a_query_that_works(stack):
    done = stack.lake(
        "query", "SELECT current_user AS who, 1 AS n", "-u", "analyst", "--format", "csv", env={"LAKE_PASSWORD": stack.password("analyst")}
    )
    assert done.stdout.replace("\r", "") == "who,n\nanalyst,1\n"


def test_a_query_in_an_unknown_format(stack, three_lines):
    three_lines(stack.lake("query", "SELECT 1", "--format", "xml", check=False))


def test_commands_on_an_instance_that_was_never_started(spare, three_lines):
    for command in (["status"], ["query", "SELECT 1"]):
        assert "never been started" in three_lines(spare.lake(*command, check=False))
    assert spare.lake("down").stdout.endswith("Nothing was running.\n")


def test_a_busy_port_is_named_before_anything_starts(spare, three_lines):
    with socket.create_server((HOST, spare.ports["superset"])):
        text = three_lines(spare.lake("up", check=False))
    assert f"{spare.ports['superset']} (superset)" in text
    assert str(spare.ports["trino"]) not in text
    assert spare.processes() == {}


@pytest.mark.parametrize(("limit", "named"), [("memory_available_gib", "not enough memory"), ("disk_free_gib", "not enough disk space")])
def test_too_little_memory_or_disk_is_named_before_anything_starts(spare, limit, named, three_lines):
    spare.write_settings(limits={limit: 999_999})
    text = three_lines(spare.lake("up", check=False))
    assert named in text
    assert "999999 GiB are needed" in text
    assert spare.processes() == {}


def test_an_unknown_setting_is_named(spare, three_lines):
    spare.write_settings(limits={"memory_availabel_gib": 1})
    assert "memory_availabel_gib" in three_lines(spare.lake("up", check=False))


def test_a_broken_settings_file_is_named(spare, three_lines):
    (spare.state / "settings.toml").write_text("[ports\n")
    assert "settings.toml" in three_lines(spare.lake("up", check=False))
