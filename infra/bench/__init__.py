"""``./lake bench``: the same work done by the lake and by others, measured in one call (docs/decisions/0023).

A workload is one file in ``workloads``: a module with ``SAYS`` (one line), ``contenders(case)`` and ``ROUNDS``. A result counts only if its
contenders agree about what came out.
"""
