"""Pseudonyms, the identity key, and what objections lead to."""

import hashlib
import hmac

import pytest
from pydantic import ValidationError

from stratify import privacy
from stratify.errors import PrivacyError
from stratify.privacy import Objections, PrivacyPolicy, decide

KEY = bytes(range(32))
NUMBER = "9990000018"


def policy(purpose="case_finding", **changes):
    defaults = {"type_1": "exclude", "national": "exclude", "local": "exclude", "approval_reference": "CAG"}
    return PrivacyPolicy(purpose=purpose, **(defaults | changes))


def test_a_pseudonym_is_the_first_half_of_a_keyed_hash_that_names_its_purpose():
    expected = hmac.new(KEY, b"stratify/clinical/v1|9990000018", hashlib.sha256).hexdigest()[:32]
    assert privacy.pseudonym(KEY, NUMBER) == expected


def test_another_key_gives_another_pseudonym():
    assert privacy.pseudonym(KEY, NUMBER) != privacy.pseudonym(KEY[::-1], NUMBER)


def test_a_local_pseudonym_never_equals_that_of_a_number():
    assert privacy.local_pseudonym(KEY, "A10001", NUMBER) != privacy.pseudonym(KEY, NUMBER)
    assert privacy.local_pseudonym(KEY, "A10001", "p1") != privacy.local_pseudonym(KEY, "A10002", "p1")


def test_the_fingerprint_tells_keys_apart_in_eight_characters():
    assert len(privacy.key_fingerprint(KEY)) == 8
    assert privacy.key_fingerprint(KEY) != privacy.key_fingerprint(KEY[::-1])


def test_the_key_comes_from_the_environment():
    text = "0123456789abcdef" * 4
    assert privacy.read_key({"STRATIFY_IDENTITY_KEY": text}) == text.encode()


def test_the_key_comes_from_a_file_only_its_owner_can_read(tmp_path):
    path = tmp_path / "key"
    path.write_text("0123456789abcdef" * 4 + "\n")
    path.chmod(0o600)
    assert privacy.read_key({"STRATIFY_KEY_FILE": str(path)}) == b"0123456789abcdef" * 4


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_others_can_read_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    path.write_text("0123456789abcdef" * 4)
    path.chmod(mode)
    with pytest.raises(PrivacyError, match=f"only its owner can read; found mode {mode:o}"):
        privacy.read_key({"STRATIFY_KEY_FILE": str(path)})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param({}, "expected the identity key of this site; found nothing", id="none"),
        pytest.param({"STRATIFY_IDENTITY_KEY": ""}, "found nothing", id="empty"),
        pytest.param({"STRATIFY_IDENTITY_KEY": "abcdefghijklmno"}, "32 bytes or more; found 15", id="short"),
        pytest.param({"STRATIFY_IDENTITY_KEY": "a" * 64}, "a random key; found one of few characters", id="one_letter"),
        pytest.param({"STRATIFY_KEY_FILE": "/no/such/key"}, "a file that can be read; found none", id="no_file"),
        pytest.param({"STRATIFY_IDENTITY_KEY": "x", "STRATIFY_KEY_FILE": "y"}, "one of the two; found both", id="both"),
    ],
)
def test_a_key_that_is_missing_or_weak_is_refused_without_showing_it(environment, message):
    with pytest.raises(PrivacyError, match=message) as caught:
        privacy.read_key(environment)
    assert caught.value.exit_code == 7
    for value in environment.values():
        assert len(value) < 15 or value not in str(caught.value)


OLD, NEW = "0123456789abcdef" * 4, "fedcba98" * 8


def ring_of(tmp_path, text):
    path = tmp_path / "ring"
    path.write_text(text)
    path.chmod(0o600)
    return privacy.read_key_ring({"STRATIFY_KEY_FILE": str(path)})


def test_a_key_ring_holds_the_current_key_and_earlier_ones(tmp_path):
    ring = ring_of(tmp_path, f"# keys of this site\n\ncurrent: 2026-11\n2026-11: {NEW}\n2025-11: {OLD}\n")
    assert ring.key == NEW.encode() == ring.of_version("2026-11")
    assert ring.of_version("2025-11") == OLD.encode()
    assert ring.made_with(privacy.key_fingerprint(OLD.encode())) == OLD.encode()
    assert ring.made_with("00000000") is None
    assert OLD not in repr(ring) and NEW not in repr(ring)


def test_one_key_is_a_ring_of_one_by_its_fingerprint(tmp_path):
    ring = ring_of(tmp_path, OLD)
    assert ring.current == privacy.key_fingerprint(OLD.encode()) and ring.key == OLD.encode()
    wrapped = ring_of(tmp_path, OLD + "\n" + NEW + "\n")  # openssl breaks long keys into lines
    assert wrapped.key == f"{OLD}\n{NEW}".encode()


def test_a_ring_may_stand_in_the_environment_as_well():
    ring = privacy.read_key_ring({"STRATIFY_IDENTITY_KEY": f"current: b\na: {OLD}\nb: {NEW}"})
    assert ring.current == "b" and ring.key == NEW.encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(f"2026: {NEW}\n2025: {OLD}", "or a ring: `current: VERSION` first", id="no_current"),
        pytest.param(f"2026: {NEW}\ncurrent: 2026", "or a ring: `current: VERSION` first", id="current_not_first"),
        pytest.param("current: 2026\n# 2026: none yet", "found something else", id="no_key"),
        pytest.param(f"current: 2026\n2025: {OLD}", "it calls current; found none", id="current_is_missing"),
        pytest.param(f"current: a\na: {OLD}\nb: {OLD}", "found one key twice", id="one_key_twice"),
        pytest.param(f"current: a\na: {OLD}\na: {NEW}", "found something else", id="one_version_twice"),
        pytest.param(f"current: a\na: {OLD}\nb: short", "32 bytes or more; found 5", id="short"),
        pytest.param(f"current: a\na: {OLD}\nb: {'b' * 40}", "found one of few characters", id="weak"),
        pytest.param(f"current: a\na: {OLD}\n{NEW}", "found something else", id="a_line_without_a_version"),
        pytest.param(f"current: a b\na b: {OLD}", "found something else", id="version_of_two_words"),
    ],
)
def test_a_ring_that_is_wrong_is_refused_without_showing_a_key(tmp_path, text, message):
    with pytest.raises(PrivacyError, match=message) as caught:
        ring_of(tmp_path, text)
    assert OLD not in str(caught.value) and NEW not in str(caught.value)


def test_a_ring_others_can_read_is_refused(tmp_path):
    path = tmp_path / "ring"
    path.write_text(f"current: a\na: {OLD}\n")
    path.chmod(0o644)
    with pytest.raises(PrivacyError, match="found mode 644"):
        privacy.read_key_ring({"STRATIFY_KEY_FILE": str(path)})


def test_a_pseudonym_for_commissioners_never_equals_the_clinical_one():
    clinical, theirs = privacy.pseudonym(KEY, NUMBER), privacy.pseudonym(KEY, NUMBER, "commissioner")
    assert theirs == hmac.new(KEY, b"stratify/commissioner/v1|9990000018", hashlib.sha256).hexdigest()[:32] != clinical


@pytest.mark.parametrize("field", ["purpose", "type_1", "national", "local"])
def test_purpose_and_opt_outs_have_no_default(field):
    given = {"purpose": "direct_care", "type_1": "exclude", "national": "exclude", "local": "exclude"}
    del given[field]
    with pytest.raises(ValidationError, match=field):
        PrivacyPolicy(**given)


def test_case_finding_names_its_approval():
    with pytest.raises(ValidationError, match="approval_reference"):
        policy(approval_reference=None)
    with pytest.raises(ValidationError, match="approval_reference"):
        policy(approval_reference=" ", type_1="exempt")
    assert policy("direct_care", approval_reference=None).approval_reference is None


NOTHING = Objections(type_1=False, local=False, national="allowed")
TYPE_1 = Objections(type_1=True, local=False, national="allowed")
LOCAL = Objections(type_1=False, local=True, national="allowed")
NATIONAL = Objections(type_1=False, local=False, national="opted_out")
UNCHECKED = Objections(type_1=False, local=False, national="not_checked")
UNLINKED = Objections(type_1=False, local=False, national="not_asked")


@pytest.mark.parametrize(
    ("objections", "reason"),
    [
        pytest.param(NOTHING, None, id="none"),
        pytest.param(TYPE_1, "Type 1 opt-out", id="type_1"),
        pytest.param(LOCAL, "local objection to risk stratification", id="local"),
        pytest.param(NATIONAL, "national data opt-out", id="national"),
        pytest.param(UNCHECKED, "national opt-out not checked", id="not_checked"),
        pytest.param(UNLINKED, None, id="no_number_to_check"),
        pytest.param(Objections(type_1=True, local=True, national="opted_out"), "Type 1 opt-out", id="all_of_them"),
    ],
)
def test_case_finding_leaves_out_whoever_objects_and_direct_care_nobody(objections, reason):
    """nhs-data 4.1: A does not apply opt-outs, B excludes; secondary use honours them under both."""
    assert decide(objections, policy("case_finding")).withheld_because == reason
    assert decide(objections, policy("direct_care")).withheld_because is None
    for purpose in ("case_finding", "direct_care"):
        assert decide(objections, policy(purpose)).may_be_counted == (reason is None)


@pytest.mark.parametrize(
    ("exempt", "objections"),
    [("type_1", TYPE_1), ("local", LOCAL), ("national", NATIONAL), ("national", UNCHECKED)],
)
def test_an_exemption_lets_a_person_in_but_never_into_secondary_use(exempt, objections):
    decision = decide(objections, policy("case_finding", **{exempt: "exempt"}))
    assert decision.withheld_because is None
    assert not decision.may_be_counted


def test_an_exemption_from_one_objection_does_not_lift_another():
    both = Objections(type_1=True, local=True, national="allowed")
    assert decide(both, policy(type_1="exempt")).withheld_because == "local objection to risk stratification"
