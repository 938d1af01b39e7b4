"""The lock of a team's page: which passphrase opens it, and how its content is sealed.

Belongs here: where the passphrase comes from, and encryption by the ``cryptography`` package that a browser undoes with
its own WebCrypto. Does not belong: what a page says (``publish.team_page``). No message holds a passphrase, and nothing
that is written down lets anybody try one quicker than the page itself does.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from stratify.errors import PrivacyError
from stratify.mounted_secret import read_secret

PASSPHRASE_VARIABLE = "STRATIFY_TEAM_PASSPHRASE"  # noqa: S105  a name
PASSPHRASE_FILE_VARIABLE = "STRATIFY_TEAM_PASSPHRASE_FILE"  # noqa: S105  a name
THROWAWAY_PASSPHRASE = "invented people only, never for care"  # noqa: S105
"""Opens the pages of sources declared synthetic. It is public, so it protects nobody."""

ITERATIONS = 600_000
"""Rounds of PBKDF2-HMAC-SHA256. Source: OWASP Password Storage Cheat Sheet, for where Argon2 and scrypt cannot be had;
WebCrypto has neither."""

_LEAST_CHARACTERS = 20
_LEAST_DIFFERENT = 8
_OF_A_PRACTICE = re.compile(r"([A-Z0-9]{3,12}): *(.+)")


@dataclass(frozen=True)
class Passphrases:
    """The passphrase of every page, or of each practice its own; None where a practice has none."""

    of_all: str | None = field(default=None, repr=False)
    by_practice: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, practice_code: str) -> str | None:
        """Give the passphrase of a practice, or of a network whose practices share a list."""
        return self.by_practice.get(practice_code, self.of_all)


def read_passphrases(environment: Mapping[str, str], *, is_test: bool) -> Passphrases | None:
    """Read the passphrases from the environment, or from the file the environment names.

    Either holds one passphrase for every practice, or a line ``PRACTICE: PASSPHRASE`` for each; empty lines and lines
    that begin with # are passed over.

    Args:
        environment: The process's environment variables.
        is_test: The people are invented: a passphrase that everybody knows will do.

    Returns:
        The passphrases; None where none is set, and then no page is written.

    Raises:
        PrivacyError: there are two places, a passphrase is too short, others may read the file, or it is none.
    """
    secret = read_secret(environment, PASSPHRASE_VARIABLE, PASSPHRASE_FILE_VARIABLE)
    if secret is None:
        return Passphrases(THROWAWAY_PASSPHRASE) if is_test else None
    content, where = secret
    try:
        lines = [line.strip() for line in content.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        raise _unfit(where, "text (UTF-8)", "something else", "Save the file as text.") from None
    lines = [line for line in lines if line and not line.startswith("#")]
    pairs = [(found[1], found[2]) for line in lines if (found := _OF_A_PRACTICE.fullmatch(line))]
    if lines and len(pairs) == len(lines) == len(dict(pairs)):
        return Passphrases(by_practice={code: _checked(words, where) for code, words in pairs})
    if len(lines) != 1 or pairs:
        raise _unfit(
            where,
            "one passphrase on one line, or a line `PRACTICE: PASSPHRASE` for each practice",
            "something else",
            "Correct it as docs/team-page.md shows.",
        )
    return Passphrases(_checked(lines[0], where))


def _checked(text: str, where: str) -> str:
    words = " ".join(unicodedata.normalize("NFKC", text).split())
    if len(words) < _LEAST_CHARACTERS or len(set(words)) < _LEAST_DIFFERENT:
        raise _unfit(
            where,
            f"passphrases of {_LEAST_CHARACTERS} characters or more, {_LEAST_DIFFERENT} of them different",
            "a shorter or simpler one",
            "Take five words at random: a page on a file share can be guessed at for years.",
        )
    return words


@dataclass(frozen=True)
class Sealed:
    """Content under lock, with all that a browser needs beside the passphrase; bytes are in base64.

    ``about``, the run and the practice, is in the clear and part of the seal.
    """

    about: str
    salt: str
    iterations: int
    nonce: str
    content: str


class Lock:
    """Seals the pages of one run. The same content, practice, run and passphrase give the same bytes.

    The salt is the run's: it need not be secret, only another for every run. The nonce is drawn by HMAC, under a key
    that only the slowly derived key leads to, from what the page is about and the digest of its content. So two
    contents under one key have two nonces (one by chance: below 1 in 10^18 for a hundred thousand pages of a run), and
    equal ones give the same page, which tells nothing. Nothing is drawn by a quick digest of the passphrase: that would
    let people try passphrases without the slow rounds. Content is packed first: lists repeat themselves.
    """

    def __init__(self, passphrases: Passphrases, run_id: str) -> None:
        self._passphrases, self._run_id = passphrases, run_id
        self._salt = hashlib.sha256(f"stratify/team-page/salt/v1|{run_id}".encode()).digest()[:16]
        self._keys: dict[str, bytes] = {}

    def opens(self, practice_code: str) -> bool:
        """Tell whether there is a passphrase for a practice."""
        return self._passphrases.of(practice_code) is not None

    def seal(self, practice_code: str, content: bytes) -> Sealed:
        """Seal the content of the page of a practice that has a passphrase: gzip, then AES-256-GCM."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # most commands seal nothing

        content = gzip.compress(content, mtime=0)
        about = f"stratify/team-page/v1|{self._run_id}|{practice_code}"
        key = self._key(self._passphrases.of(practice_code) or "")
        for_nonces = hmac.digest(key, b"stratify/team-page/nonce/v1", "sha256")
        drawn = hmac.digest(for_nonces, about.encode() + b"|" + hashlib.sha256(content).digest(), "sha256")
        nonce = drawn[:12]
        sealed = AESGCM(key).encrypt(nonce, content, about.encode())
        return Sealed(about, _text(self._salt), ITERATIONS, _text(nonce), _text(sealed))

    def _key(self, passphrase: str) -> bytes:
        if passphrase not in self._keys:
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

            derive = PBKDF2HMAC(algorithm=SHA256(), length=32, salt=self._salt, iterations=ITERATIONS)
            self._keys[passphrase] = derive.derive(passphrase.encode("utf-8"))
        return self._keys[passphrase]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _unfit(where: str, expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError(where, expected=expected, found=found, action=action)
