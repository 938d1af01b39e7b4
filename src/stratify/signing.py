"""The key that files for others are signed with: Ed25519, from the environment or a mounted secret.

A site without one publishes unsigned, and its files say so. The key signs and is for nothing else: it is not the
identity key, and no run depends on it.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stratify.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNING_KEY_VARIABLE = "STRATIFY_SIGNING_KEY"
SIGNING_KEY_FILE_VARIABLE = "STRATIFY_SIGNING_KEY_FILE"
_MAKE_ONE = "Make one with: openssl genpkey -algorithm ed25519"


@dataclass(frozen=True)
class Signer:
    """A key to sign with.

    Attributes:
        fingerprint: SHA-256 of the public key (DER), by which those who check know it.
    """

    fingerprint: str
    _key: Ed25519PrivateKey

    def sign(self, content: bytes) -> bytes:
        """Give the signature of some bytes: 64 bytes, the same every time."""
        return self._key.sign(content)


def read_signer(environment: Mapping[str, str]) -> Signer | None:
    """Read the signing key, a private key in PEM; None where the environment names none.

    Args:
        environment: The process's environment variables.

    Raises:
        SettingsError: there are two places, the file cannot be read or others may read it, or it is no such key.
    """
    text, file_name = environment.get(SIGNING_KEY_VARIABLE, ""), environment.get(SIGNING_KEY_FILE_VARIABLE, "")
    if not text and not file_name:
        return None
    if text and file_name:
        where = f"{SIGNING_KEY_VARIABLE} and {SIGNING_KEY_FILE_VARIABLE}"
        raise _unfit(where, "one of the two", "both", "Unset one, so that it is plain which.")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = text.encode() if text else _file(Path(file_name))
    where = SIGNING_KEY_VARIABLE if text else SIGNING_KEY_FILE_VARIABLE
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):  # what is said could hold a part of the key
        raise _unfit(where, "a private key in PEM without a password", "none", _MAKE_ONE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unfit(where, "an Ed25519 key", "one of another kind", _MAKE_ONE)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Signer(hashlib.sha256(public).hexdigest(), key)


def _file(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError:
        raise _unfit(
            SIGNING_KEY_FILE_VARIABLE, "a file that can be read", "none", "Correct the path or its permissions."
        ) from None
    if mode & 0o077:
        raise _unfit(
            SIGNING_KEY_FILE_VARIABLE, "a file only its owner can read", f"mode {mode:o}", "Run chmod 600 on it."
        )
    return content


def _unfit(where: str, expected: str, found: str, action: str) -> SettingsError:
    return SettingsError(where, expected=expected, found=found, action=action)
