"""The key that files for others are signed with: Ed25519, from the environment or a mounted secret.

A site without one publishes unsigned, and its files say so. The key signs and is for nothing else: it is not the
identity key, and no run depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stratify.errors import PrivacyError
from stratify.mounted_secret import read_secret

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
        PrivacyError: there are two places, the file cannot be read or others may read it, or it is no such key.
    """
    found = read_secret(environment, SIGNING_KEY_VARIABLE, SIGNING_KEY_FILE_VARIABLE)
    if found is None:
        return None
    content, where = found
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):  # what is said could hold a part of the key
        raise _unfit(where, "a private key in PEM without a password", "none", _MAKE_ONE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unfit(where, "an Ed25519 key", "one of another kind", _MAKE_ONE)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Signer(hashlib.sha256(public).hexdigest(), key)


def _unfit(where: str, expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError(where, expected=expected, found=found, action=action)
