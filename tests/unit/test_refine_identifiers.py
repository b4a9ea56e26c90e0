"""Identifiers: every golden vector, every exception, and that no single wrong character goes unseen."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.refine import identifiers as ids
from spark_jobs.refine.identifiers import ALPHABET, identify

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "identifiers.json").read_text(encoding="utf-8"))
VALID = [*GOLDEN["uscc_valid"].values(), *GOLDEN["uscc_valid_but_stdnum_rejects"], *GOLDEN["uscc_valid_synthetic_gz"]]


def test_the_golden_file_is_the_known_one():
    assert {name: len(vectors) for name, vectors in GOLDEN.items()} == {
        "uscc_valid": 25, "uscc_invalid": 8, "uscc_legal_but_fails_check": 3, "uscc_valid_but_stdnum_rejects": 3, "uscc_valid_synthetic_gz": 4,
        "regno_valid": 3, "regno_invalid": 3, "org_valid": 5, "ric_valid": 5, "ric_invalid": 1, "opposition_deadline": 4,
    }  # fmt: skip


@pytest.mark.parametrize("code", VALID)
def test_valid_codes_pass(code):
    assert identify(code) == ("uscc", code, "passed", False)
    assert ids.department_known(code)


@pytest.mark.parametrize("code", GOLDEN["uscc_invalid"])
def test_invalid_codes_are_keys_that_fail(code):
    found = identify(code)
    assert (found.kind, found.value) == ("uscc", code)
    assert found.check in ("outer_failed", "inner_failed", "both_failed")


@pytest.mark.parametrize("code", GOLDEN["uscc_legal_but_fails_check"])
def test_codes_of_the_pilot_are_known_as_such(code):
    assert identify(code) == ("uscc", code, "pilot", False)


def test_which_check_failed_is_told():
    good = "914403001922038216"
    assert identify(good[:17] + "7").check == "outer_failed"
    inner_broken = good[:15] + "7" + good[16]  # digits of the organisation code changed, the outer check made to fit
    assert identify(inner_broken + ids.credit_code_check(inner_broken)).check == "inner_failed"
    assert identify(inner_broken + good[17]).check == "both_failed"


@pytest.mark.parametrize("number", GOLDEN["regno_valid"])
def test_valid_registration_numbers_pass(number):
    assert identify(number) == ("regno15", number, "passed", False)


@pytest.mark.parametrize("number", GOLDEN["regno_invalid"])
def test_invalid_registration_numbers_fail(number):
    assert identify(number) == ("regno15", number, "outer_failed", False)


@pytest.mark.parametrize("number", ["440111NA000012X", "14010010A012345"])
def test_registration_numbers_without_a_check_digit(number):
    assert identify(number) == ("regno15", number, "unchecked", False)


@pytest.mark.parametrize("code", GOLDEN["org_valid"])
def test_organisation_codes(code):
    assert ids.is_organisation_code(code)
    assert ids.is_organisation_code(code.replace("-", ""))
    wrong = "0" if code[-1] != "0" else "1"
    assert not ids.is_organisation_code(code[:-1] + wrong)


@pytest.mark.parametrize("number", GOLDEN["ric_valid"])
def test_a_resident_number_is_never_a_key(number):
    assert ids.is_resident_id(number)
    assert identify(number) == ("none", None, "unchecked", True)
    assert identify(f" {number.lower()[:6]}-{number.lower()[6:]}").resident
    assert number not in repr(identify(number))


@pytest.mark.parametrize("number", [*GOLDEN["ric_invalid"], "11010519491331002X", "110105194912310021", "91010519491231002X"])
def test_what_is_no_resident_number(number):
    assert not ids.is_resident_id(number)


def test_an_old_resident_number_is_no_registration_number_unless_its_check_fits():
    assert ids.is_old_resident_id("440106600123456")
    assert identify("440106600123456") == ("none", None, "unchecked", True)
    fits = "44010660012345" + ids.registration_number_check("44010660012345")
    assert identify(fits).kind == "regno15"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (" 9144-0300 1922 0382 16 ", "uscc", "914403001922038216"),
        ("９１４４０３００１９２２０３８２１６", "uscc", "914403001922038216"),
        ("91440101ma5test018", "none", None),  # S is no symbol of a code
        ("9144o300192203821 6", "uscc", "914403001922038216"),
        ("9I44030019220382I6", "uscc", "914403001922038216"),
        ("9144O3001922O38217", "none", None),  # reading O as 0 doesn't make the checks fit
        ("1101080146647", "regno13", "1101080146647"),
        ("13800138000", "none", None),
        ("N/A", "none", None),
        ("", "none", None),
        (None, "none", None),
        ("9144030019220382167", "none", None),
        ("9A44030A1922038216", "none", None),  # letters in the region
    ],
)
def test_writing(text, kind, value):
    assert identify(text)[:2] == (kind, value)


@given(st.sampled_from(VALID), st.integers(0, 17), st.sampled_from(ALPHABET))
def test_one_wrong_character_never_passes(code, place, symbol):
    wrong = code[:place] + symbol + code[place + 1 :]
    if wrong != code:
        assert identify(wrong).check != "passed"
        assert wrong[17] != ids.credit_code_check(wrong[:17])


@given(st.sampled_from(VALID), st.integers(0, 16))
def test_two_neighbours_exchanged_never_pass(code, place):
    wrong = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    if wrong != code:
        assert identify(wrong).check != "passed"


@given(st.sampled_from(GOLDEN["regno_valid"]), st.integers(0, 14), st.sampled_from("0123456789"))
def test_one_wrong_digit_of_a_registration_number_never_passes(number, place, digit):
    wrong = number[:place] + digit + number[place + 1 :]
    assert (identify(wrong).check == "passed") == (wrong == number)


@given(st.one_of(st.text(max_size=40), st.text(alphabet=ALPHABET + "OIosvz -－　", min_size=13, max_size=22)))
def test_the_value_is_its_own_canonical_form(text):
    found = identify(text)
    assert (found.value is None) == (found.kind == "none")
    if found.value is not None:
        assert identify(found.value) == found


def test_departments():
    assert ids.department_known("N2440111MF1234567N")
    assert not ids.department_known("94440101MA1234569G")
    assert not ids.department_known("02440101MA1234569G")


def test_filled_up_codes():
    assert ids.is_filler("914401010000000000")
    assert ids.is_filler("9144010150000000XY")
    assert not any(ids.is_filler(code) for code in VALID)
