"""The tool of the standard accepts our files as they are and as they are resolved, without the network."""

import socket

import pytest

from catalog.contract import load_contracts, resolved

CONTRACTS = load_contracts()
UNTESTABLE = "Metric invalidValues needs a validValues or a pattern argument."


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("lint tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", CONTRACTS)
def test_lint_passes(name):
    from datacontract.data_contract import DataContract

    contract = CONTRACTS[name]
    raw = contract.path.read_text(encoding="utf-8")
    for text in (raw, resolved(contract).to_yaml()):
        run = DataContract(data_contract_str=text).lint()
        told = [(check.name, check.reason) for check in run.checks or [] if check.reason and check.reason != UNTESTABLE]
        assert told == []
        # A named check of ours (spark_jobs.refine.rules) is the only thing that the tool may be unable to test; resolved, it is a text.
        ours = text.count("{check: ") if text is raw else 0
        assert sum(check.reason == UNTESTABLE for check in run.checks or []) == ours
        assert run.result == ("warning" if ours else "passed")


@pytest.mark.usefixtures("no_network")
def test_lint_is_a_real_check():
    from datacontract.data_contract import DataContract

    text = CONTRACTS["bronze.registration_subjects"].path.read_text(encoding="utf-8").replace("required: true", "required: perhaps", 1)
    assert DataContract(data_contract_str=text).lint().result != "passed"
