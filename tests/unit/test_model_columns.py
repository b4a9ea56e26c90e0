"""The models' columns are followed once, and what a run that goes on reads does not replace what is known of them."""

import json

import pytest

from catalog.contract import load_contracts
from catalog.derive import all_tables
from catalog.site import lineage
from infra import model_columns
from infra import settings as settings_

CONTRACTS = all_tables(load_contracts())
WHOLE = "SELECT district_code, district_name FROM silver_tables.subject_registration"
OF_A_RUN = "SELECT district_code, district_name FROM changed_fact"
KEY = ("gold.mart_registrations_monthly", "district_code")


@pytest.fixture
def dbt(tmp_path, monkeypatch):
    """Writes what dbt last ran; counts in ``dbt.followed`` the models that were followed."""
    monkeypatch.setattr(settings_.Settings, "state", property(lambda _: tmp_path))
    settings = settings_.Settings("unit", {})
    of_models = lineage.of_models

    def ran(sql, more=()):
        node = {"resource_type": "model", "name": "mart_registrations_monthly", "compiled_code": sql}
        (settings.folder("data/dbt") / "manifest.json").write_text(json.dumps({"nodes": {"m": node, **dict(more)}}))
        return model_columns.columns(settings, CONTRACTS)

    def counting(compiled, contracts):
        ran.followed += list(compiled)
        return of_models(compiled, contracts)

    ran.followed, ran.settings = [], settings
    monkeypatch.setattr(lineage, "of_models", counting)
    return ran


def test_columns_are_those_that_the_site_shows(dbt):
    found = dbt(WHOLE)
    assert found[KEY] == (lineage.Source("silver.subject_registration", "district_code", "模型"),)
    assert found == lineage.of_records(CONTRACTS) | lineage.of_models({"mart_registrations_monthly": WHOLE}, CONTRACTS)


def test_a_model_is_followed_once_and_again_when_its_sql_has_changed(dbt):
    assert dbt(WHOLE) == dbt(WHOLE)
    assert dbt.followed == ["mart_registrations_monthly"]
    dbt(WHOLE.replace("district_code,", "registration_number AS district_code,"))
    assert len(dbt.followed) == 2


def test_a_run_that_goes_on_changes_nothing(dbt):
    assert dbt(WHOLE)[KEY] == dbt(OF_A_RUN)[KEY]
    assert len(dbt.followed) == 1


@pytest.mark.parametrize("content", ["", "torn {", "[]", '{"m": 1}', '{"m": {"sql": "x"}}'])
def test_a_damaged_note_is_made_anew(dbt, content):
    dbt(WHOLE)
    (dbt.settings.folder("data/lineage") / "models.json").write_text(content)
    assert KEY in dbt(WHOLE)
    assert len(dbt.followed) == 2


def test_without_dbt_the_records_are_known(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_.Settings, "state", property(lambda _: tmp_path))
    assert model_columns.columns(settings_.Settings("unit", {}), CONTRACTS) == lineage.of_records(CONTRACTS)
