"""What the tests of the running stack share."""

import re

import pytest

THREE_LINES = re.compile(r"lake: .+\n  why: .+(\n       .+)*\n  do:  .+\n?")


@pytest.fixture(scope="session")
def three_lines():
    """Check that a command failed as it should: exit code 1 and what failed, why, what to do; returns the text."""

    def check(done):
        assert done.returncode == 1, done
        assert "Traceback" not in done.stdout + done.stderr
        assert THREE_LINES.fullmatch(done.stderr), done.stderr
        return done.stderr

    return check
