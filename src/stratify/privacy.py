"""Promises about people: pseudonyms, the key they are made with, and who may be looked at or counted.

Belongs here: how an NHS number becomes a ``patient_key``, where the key comes from, what an objection to the use of
data leads to under each purpose (the whole decision, :func:`decide`). Does not belong: reading opt-out rows and
applying decisions to tables (``ingest``), settings files (``settings``), small numbers (``disclosure``).
No message holds a key or a number.
"""

from __future__ import annotations

import hmac
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stratify.errors import PrivacyError

THROWAWAY_KEY = b"stratify: throwaway key, for invented people only"
"""Key for sources declared synthetic. It is public, so what it makes protects nobody."""

KEY_VARIABLE = "STRATIFY_IDENTITY_KEY"
KEY_FILE_VARIABLE = "STRATIFY_KEY_FILE"
_LEAST_KEY_BYTES = 32
_LEAST_DIFFERENT_BYTES = 8

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


def pseudonym(key: bytes, nhs_number: str) -> str:
    """Give the ``patient_key`` of a valid NHS number of ten digits: 32 hexadecimal characters.

    The message names its purpose, so that a key made for another audience with the same secret would not join.
    """
    return _hmac(key, f"stratify/clinical/v1|{nhs_number}")[:32]


def local_pseudonym(key: bytes, org_code: str, source_patient_id: str) -> str:
    """Give the ``patient_key`` of a record without a usable NHS number: it stands for that one record only."""
    return _hmac(key, f"stratify/local/v1|{org_code}|{source_patient_id}")[:32]


def key_fingerprint(key: bytes) -> str:
    """Give eight characters that tell one key from another and reveal neither: the ``key_version``."""
    return _hmac(key, "stratify/key-version/v1")[:8]


def read_key(environment: Mapping[str, str]) -> bytes:
    """Read the identity key from the environment, or from the file the environment names.

    Args:
        environment: The process's environment variables.

    Returns:
        The key, 32 bytes or more.

    Raises:
        PrivacyError: there is none, there are two, it is too short, or others may read its file.
    """
    text, file_name = environment.get(KEY_VARIABLE, ""), environment.get(KEY_FILE_VARIABLE, "")
    if text and file_name:
        raise _unfit(
            f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE}", "one of the two", "both", "Unset one, so that it is plain which."
        )
    if not text and not file_name:
        raise _unfit(
            KEY_VARIABLE,
            "the identity key of this site",
            "nothing",
            f"Set it, or name a file in {KEY_FILE_VARIABLE}; docs/deploy.md shows how to make one.",
        )
    key = text.encode().strip() if text else _read_key_file(Path(file_name))
    where = KEY_VARIABLE if text else KEY_FILE_VARIABLE
    if len(key) < _LEAST_KEY_BYTES:
        raise _unfit(where, f"{_LEAST_KEY_BYTES} bytes or more", f"{len(key)}", "Make one with: openssl rand -hex 32")
    if len(set(key)) < _LEAST_DIFFERENT_BYTES:
        raise _unfit(where, "a random key", "one of few characters", "Make one with: openssl rand -hex 32")
    return key


def _read_key_file(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes().strip()
    except OSError:
        mode, content = None, b""
    if mode is None:
        raise _unfit(KEY_FILE_VARIABLE, "a file that can be read", "none", "Correct the path or its permissions.")
    if mode & 0o077:
        raise _unfit(
            KEY_FILE_VARIABLE, "a file only its owner can read", f"mode {mode:o}", "Run chmod 600 on it, then again."
        )
    return content


def _hmac(key: bytes, message: str) -> str:
    return hmac.digest(key, message.encode(), "sha256").hex()


def _unfit(where: str, expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError(where, expected=expected, found=found, action=action)
