"""Promises about people: pseudonyms, the key they are made with, and who may be looked at or counted.

Belongs here: how an NHS number becomes a ``patient_key``, where the key comes from, what an objection to the use of
data leads to under each purpose (the whole decision, :func:`decide`). Does not belong: reading opt-out rows and
applying decisions to tables (``ingest``), settings files (``settings``), small numbers (``disclosure``).
No message holds a key or a number.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stratify.errors import PrivacyError
from stratify.mounted_secret import read_secret

THROWAWAY_KEY = b"stratify: throwaway key, for invented people only"
"""Key for sources declared synthetic. It is public, so what it makes protects nobody."""

KEY_VARIABLE = "STRATIFY_IDENTITY_KEY"
KEY_FILE_VARIABLE = "STRATIFY_KEY_FILE"
_LEAST_KEY_BYTES = 32
_LEAST_DIFFERENT_BYTES = 8
_CURRENT = "current"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

Audience = Literal["clinical", "commissioner"]
"""Who a pseudonym is for. Nothing for commissioners holds one today; one that did would not join to a clinical one."""

NATIONAL_CHECK_DAYS = 7
"""Days a check of the national data opt-out may be relied on (National Data Opt-out operational policy)."""

NationalState = Literal["allowed", "opted_out", "not_checked", "not_asked"]

TYPE_1_REASON = "Type 1 opt-out"
NATIONAL_REASON = "national data opt-out"
LOCAL_REASON = "local objection to risk stratification"
NOT_CHECKED_REASON = "national opt-out not checked"


class PrivacyPolicy(BaseModel):
    """What the run is for and which objections it honours; nothing that decides has a default.

    ``direct_care``: a practice works its own patients' list. ``case_finding``: risk stratification over linked records
    by a processor, under an approval. ``exempt`` means that the approval says the objection does not apply. Secondary
    use honours every objection whatever is said here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    purpose: Literal["direct_care", "case_finding"]
    type_1: Literal["exclude", "exempt"]
    national: Literal["exclude", "exempt"]
    local: Literal["exclude", "exempt"]
    approval_reference: str | None = Field(default=None, min_length=1)
    is_stand_in: bool = False

    @model_validator(mode="after")
    def _approved(self) -> Self:
        if self.purpose == "case_finding" and not (self.approval_reference or "").strip() and not self.is_stand_in:
            raise ValueError("purpose case_finding needs approval_reference: the approval it runs under")
        return self


class EntryPolicy(BaseModel):
    """Which rows never land, and which NHS numbers are linked; what is not written is decided the careful way.

    Attributes:
        restricted_codes: What becomes of rows with a legally restricted or sensitive code.
        confidential_rows: What becomes of entries of a GP record that are marked confidential.
        code_list: The site's own list of restricted codes (CSV), beside the one that comes with stratify.
        nhs_number_ranges: Ranges a real source links; numbers of others are not usable.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    restricted_codes: Literal["exclude", "keep"] = "exclude"
    confidential_rows: Literal["exclude", "keep"] = "exclude"
    code_list: Path | None = None
    nhs_number_ranges: tuple[Literal["england", "scotland_chi", "northern_ireland"], ...] = Field(
        default=("england",), min_length=1
    )


STAND_IN_POLICY = PrivacyPolicy(
    purpose="direct_care", type_1="exclude", national="exclude", local="exclude", is_stand_in=True
)
"""For a synthetic source run without settings; refused for any other."""


@dataclass(frozen=True)
class Objections:
    """What is known of one person's objections on the index date.

    ``national`` is ``not_asked`` where the check does not apply: a record without NHS number is the practice's own,
    and invented people of a source without opt-outs cannot be checked.
    """

    type_1: bool
    local: bool
    national: NationalState


@dataclass(frozen=True)
class Decision:
    """What a person's objections lead to; a reason in words, or None where nothing stands in the way."""

    withheld_because: str | None
    uncounted_because: str | None

    @property
    def may_be_counted(self) -> bool:
        """True when the person may be counted in secondary use."""
        return self.uncounted_because is None


def decide(objections: Objections, policy: PrivacyPolicy) -> Decision:
    """Decide whether a person is left out of the run, and whether they may be counted in secondary use.

    Direct care leaves nobody out. Case finding leaves out whoever objects, and whoever's national opt-out was not
    checked in time: not knowing is no permission. Secondary use honours every objection, exempt or not.

    Args:
        objections: What is known of the person.
        policy: Purpose and exemptions of the run.

    Returns:
        The decision. Where several reasons hold the first of Type 1, national, local, not checked is given.

    Source: NHS England, Information governance for risk stratification; National Data Opt-out operational policy.
    """
    reasons = (
        (objections.type_1, TYPE_1_REASON, policy.type_1),
        (objections.national == "opted_out", NATIONAL_REASON, policy.national),
        (objections.local, LOCAL_REASON, policy.local),
        (objections.national == "not_checked", NOT_CHECKED_REASON, policy.national),
    )
    uncounted = next((reason for holds, reason, _ in reasons if holds), None)
    withheld = next((reason for holds, reason, rule in reasons if holds and rule == "exclude"), None)
    return Decision(withheld if policy.purpose == "case_finding" else None, uncounted)


def pseudonym(key: bytes, nhs_number: str, audience: Audience = "clinical") -> str:
    """Give the pseudonym of a valid NHS number of ten digits: 32 hexadecimal characters.

    The clinical one is the ``patient_key``. The message names its audience, so that what one audience holds does not
    join to what another does, though both come from one key.
    """
    return _hmac(key, f"stratify/{audience}/v1|{nhs_number}")[:32]


def local_pseudonym(key: bytes, org_code: str, source_patient_id: str) -> str:
    """Give the ``patient_key`` of a record without a usable NHS number: it stands for that one record only."""
    return _hmac(key, f"stratify/local/v1|{org_code}|{source_patient_id}")[:32]


def key_fingerprint(key: bytes) -> str:
    """Give eight characters that tell one key from another and reveal neither: the ``key_version``."""
    return _hmac(key, "stratify/key-version/v1")[:8]


@dataclass(frozen=True)
class KeyRing:
    """The identity keys of a site by version: the one runs are made with now, and earlier ones.

    A site with one key has a ring of one, whose version is its fingerprint. The versions are the site's own words; what
    stands in the rows of a run is the fingerprint, which no mistake in the ring can change.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def key(self) -> bytes:
        """The key runs are made with now."""
        return self.keys[self.current]

    def of_version(self, version: str) -> bytes:
        """Give the key of a version.

        Raises:
            PrivacyError: the ring has none of that version.
        """
        if version not in self.keys:
            raise _unfit("key ring", "a version that is in it", "another", "Correct the version or add its key.")
        return self.keys[version]

    def made_with(self, fingerprint: str) -> bytes | None:
        """Give the key that has a fingerprint, or None where it is not in the ring."""
        return next((each for each in self.keys.values() if key_fingerprint(each) == fingerprint), None)


def read_key(environment: Mapping[str, str]) -> bytes:
    """Give the key runs are made with now; see :func:`read_key_ring`."""
    return read_key_ring(environment).key


def read_key_ring(environment: Mapping[str, str]) -> KeyRing:
    """Read the identity keys from the environment, or from the file the environment names.

    Either holds one key, or a ring: ``current: VERSION`` on the first line and ``VERSION: KEY`` on each other one;
    empty lines and lines that begin with # are passed over.

    Args:
        environment: The process's environment variables.

    Returns:
        The keys, 32 bytes or more each.

    Raises:
        PrivacyError: there is none, there are two places, a key is too short or twice in the ring, the ring is not
            one, or others may read the file.
    """
    found = read_secret(environment, KEY_VARIABLE, KEY_FILE_VARIABLE)
    if found is None:
        raise _unfit(
            KEY_VARIABLE,
            "the identity key of this site",
            "nothing",
            f"Set it, or name a file in {KEY_FILE_VARIABLE}; docs/deploy.md shows how to make one.",
        )
    content, where = found
    lines = _lines_of_ring(content)
    if lines is not None:
        return _ring(lines, where)
    _check_key(content, where)
    fingerprint = key_fingerprint(content)
    return KeyRing(fingerprint, {fingerprint: content})


def _lines_of_ring(content: bytes) -> list[str] | None:
    """Give the lines that say something where the content is a ring: several lines of text with a colon, as no key has.

    Half a ring must never pass for one long key.
    """
    if not content.isascii() or b"\n" not in content or b":" not in content:
        return None
    lines = [line.strip() for line in content.decode("ascii").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _ring(lines: list[str], where: str) -> KeyRing:
    pairs = [(name.strip(), value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]
    is_ring = len(pairs) == len(lines) >= 2 and pairs[0][0] == _CURRENT
    keys = {name: value.encode() for name, value in pairs[1:]}
    is_named = all(_VERSION.fullmatch(name) and name != _CURRENT for name in keys)
    if not is_ring or not is_named or len(keys) != len(pairs) - 1:
        raise _unfit(
            where,
            "one key on one line, or a ring: `current: VERSION` first, then a line `VERSION: KEY` for each version",
            "something else",
            "Correct it as docs/deploy.md shows.",
        )
    if pairs[0][1] not in keys:
        raise _unfit(where, "a key for the version it calls current", "none", "Add its line, or correct `current`.")
    for key in keys.values():
        _check_key(key, where)
    if len(set(keys.values())) != len(keys):
        raise _unfit(where, "a key of its own for each version", "one key twice", "Make a new key for the new version.")
    return KeyRing(pairs[0][1], keys)


def _check_key(key: bytes, where: str) -> None:
    if len(key) < _LEAST_KEY_BYTES:
        raise _unfit(where, f"{_LEAST_KEY_BYTES} bytes or more", f"{len(key)}", "Make one with: openssl rand -hex 32")
    if len(set(key)) < _LEAST_DIFFERENT_BYTES:
        raise _unfit(where, "a random key", "one of few characters", "Make one with: openssl rand -hex 32")


def _hmac(key: bytes, message: str) -> str:
    return hmac.digest(key, message.encode(), "sha256").hex()


def _unfit(where: str, expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError(where, expected=expected, found=found, action=action)
