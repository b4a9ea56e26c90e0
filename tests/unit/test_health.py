"""When a process counts as the service."""

import subprocess
import sys

import pytest

from infra.health import _became


@pytest.mark.parametrize(
    ("arguments", "became"),
    [
        (["-m", "supervisor.supervisord", "-c", "x"], False),  # just forked
        (["-m", "infra.run_service", "superset"], False),  # still being prepared
        (["gunicorn"], True),
    ],
)
def test_a_process_is_the_service_only_after_its_last_exec(arguments, became):
    with subprocess.Popen([sys.executable, "-c", "input(1)", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1)  # it runs: before that its command line may be another's
        assert _became(process.pid) == became
        process.kill()
    assert not _became(process.pid)
