"""The committed dbt properties are those of the contracts, in both directions."""

import re

import pytest
import yaml

from catalog.contract import load_contracts
from catalog.dbt_files import DBT, dbt_files
from catalog.derive import all_tables, table_schema
from catalog.properties import Kind


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


def test_committed_files_are_the_generated_ones(contracts):
    for path, text in dbt_files(contracts).items():
        assert (DBT / path).read_text(encoding="utf-8") == text, f"dbt/{path} differs from its contract: ./lake contracts release"


def test_no_file_without_a_contract(contracts):
    written = {str(path.relative_to(DBT)) for path in (DBT / "models").rglob("*.y*ml") if not path.stem.endswith("_unit_tests")} - {"models/work.yml"}
    assert written == {path for path in dbt_files(contracts) if path.startswith("models/")}, (
        "a properties file that no contract gives rise to; remove it or write the contract"
    )


def test_every_gold_contract_has_its_model_and_every_model_its_contract_and_unit_tests(contracts):
    models = {path.stem for path in (DBT / "models").rglob("*.sql")}
    assert models == {contract.name for contract in contracts.values() if contract.kind is Kind.MART}
    for model in models:
        tests = yaml.safe_load((DBT / "models" / "gold" / f"{model}_unit_tests.yml").read_text(encoding="utf-8"))["unit_tests"]
        assert {test["model"] for test in tests} == {model}


def test_lineage_of_a_model_is_the_lineage_of_its_contract(contracts):
    by_model = {c.name: c.id for c in contracts.values() if c.layer == "gold"}
    by_table = {(table_schema(c), c.name): c.id for c in contracts.values()}
    for contract in contracts.values():
        if contract.kind is Kind.MART:
            sql = (DBT / "models" / "gold" / f"{contract.name}.sql").read_text(encoding="utf-8")
            # What the run hands over (work) is a part of those tables.
            read = {by_table[found] for found in re.findall(r"source\('(\w+)', '(\w+)'\)", sql) if found[0] != "work"} | {
                by_model[m] for m in re.findall(r"ref\('(\w+)'\)", sql)
            }
            read |= {f"silver.{e.feed}" for e in contract.events}  # in a loop over what the contract declares
            read |= {f"silver.{feed}" for feed in re.findall(r"records\('(\w+)'\)", sql)}
            read |= {"gold.archive_timeline"} if f"told_of('{contract.name}')" in sql else set()
            assert read == set(contract.inputs)


def test_unit_tests_use_columns_of_the_contracts(contracts):
    contracts = all_tables(contracts)
    by_source = {f"source('{table_schema(c)}', '{c.name}')": c for c in contracts.values()}
    by_source |= {f"ref('{c.name}')": c for c in contracts.values() if c.layer == "gold"}
    for path in (DBT / "models").rglob("*_unit_tests.yml"):
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["unit_tests"]:
            expected = [(f"gold.{test['model']}", test["expect"]["rows"])]
            # What a run hands over in `work` has no contract.
            inputs = [given for given in test["given"] if not given["input"].startswith("source('work',")]
            sources = by_source | {"this": contracts[f"gold.{test['model']}"]}
            for name, rows in [(sources[given["input"]].id, given["rows"]) for given in inputs] + expected:
                known = {column.name for column in contracts[name].columns}
                # Rows as SQL (dbt can't write a list from YAML) name each column behind its value.
                named = re.findall(r" as (\w+)(?=,|$)", rows, re.M) if isinstance(rows, str) else [key for row in rows for key in row]
                assert set(named) <= known, f"{path.name}: {name}"


def test_types_and_keys_reach_dbt(contracts):
    model = yaml.safe_load(dbt_files(contracts)["models/gold/mart_registrations_monthly.yml"])["models"][0]
    assert model["config"] == {"contract": {"enforced": True}}
    columns = {column["name"]: column for column in model["columns"]}
    assert columns["subjects"]["data_type"] == "bigint"
    assert columns["registered_capital_total"]["data_type"] == "decimal(28,2)"
    key = model["data_tests"][0]["unique_key"]
    assert key["config"] == {"severity": "error"}
    assert key["arguments"]["columns"] == list(contracts["gold.mart_registrations_monthly"].keys)
