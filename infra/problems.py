"""The one error type that users see: what failed, why, what to do."""

from __future__ import annotations


class Problem(Exception):
    """A failure that the user can act on. The command line prints it and exits with 1."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(f"{what}: {why}; {do}")
        self.what, self.why, self.do = what, why, do
