"""The lock of a team's page: where the passphrase comes from, and that nothing opens without it."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stratify import page_lock
from stratify.errors import PrivacyError
from stratify.page_lock import Lock, Passphrases, Sealed, read_passphrases

WORDS = "correct horse battery staple lantern"
ROUNDS = page_lock.ITERATIONS
OTHERS = "velvet onion tractor seven glimmer"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(page_lock, "ITERATIONS", 5_000)


def derived(passphrase: str, sealed: Sealed) -> bytes:
    """The key, by the standard library instead of the package."""
    salt = base64.b64decode(sealed.salt)
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, sealed.iterations)


def opened(passphrase: str, sealed: Sealed, *, about: str | None = None) -> bytes:
    content = base64.b64decode(sealed.content)
    said = (about or sealed.about).encode()
    return gzip.decompress(AESGCM(derived(passphrase, sealed)).decrypt(base64.b64decode(sealed.nonce), content, said))


def secret(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_without_a_passphrase_there_is_a_public_one_for_invented_people_and_none_for_others():
    assert read_passphrases({}, is_test=False) is None
    found = read_passphrases({}, is_test=True)
    assert found is not None and found.of("A81001") == page_lock.THROWAWAY_PASSPHRASE


def test_one_passphrase_opens_every_page_and_blanks_around_words_do_not_matter(tmp_path):
    for environment in (
        {"STRATIFY_TEAM_PASSPHRASE": f"  {WORDS.replace(' ', '  ')} "},
        {"STRATIFY_TEAM_PASSPHRASE_FILE": secret(tmp_path / "p", f"# team pages\n\n{WORDS}\n")},
    ):
        found = read_passphrases(environment, is_test=False)
        assert found is not None and found.of("A81001") == found.of("A81002") == WORDS


def test_a_practice_can_have_a_passphrase_of_its_own_and_one_that_has_none_has_no_page(tmp_path):
    file = secret(tmp_path / "p", f"A81001: {WORDS}\nA81002: {OTHERS}\n")
    found = read_passphrases({"STRATIFY_TEAM_PASSPHRASE_FILE": file}, is_test=True)
    assert found is not None
    assert (found.of("A81001"), found.of("A81002"), found.of("A81003")) == (WORDS, OTHERS, None)
    lock = Lock(found, "run-1")
    assert lock.opens("A81001") and not lock.opens("A81003")
    assert opened(OTHERS, lock.seal("A81002", b"two")) == b"two"
    with pytest.raises(InvalidTag):
        opened(OTHERS, lock.seal("A81001", b"one"))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        pytest.param("nineteen letters ok", 0o600, "20 characters or more", id="nineteen_characters"),
        pytest.param("aaaaaaaaaaaa bbbbbbbbbbbb", 0o600, "8 of them different", id="two_letters_over_and_over"),
        pytest.param(f"A81001: {WORDS}\nA81002: short", 0o600, "20 characters or more", id="one_practice_short"),
        pytest.param(f"A81001: {WORDS}\nA81001: {OTHERS}", 0o600, "a line", id="a_practice_twice"),
        pytest.param(f"{WORDS}\n{OTHERS}", 0o600, "one passphrase on one line", id="two_and_no_practice"),
        pytest.param(f"A81001: {WORDS}\n{OTHERS}", 0o600, "one passphrase on one line", id="half_by_practice"),
        pytest.param("# nothing yet\n", 0o600, "one passphrase on one line", id="only_a_remark"),
        pytest.param(WORDS, 0o640, "only its owner can read", id="readable_by_others"),
    ],
)
def test_a_passphrase_that_cannot_be_used_is_refused_and_never_shown(tmp_path, text, mode, words):
    file = secret(tmp_path / "p", text, mode)
    with pytest.raises(PrivacyError, match=words) as refused:
        read_passphrases({"STRATIFY_TEAM_PASSPHRASE_FILE": file}, is_test=True)
    assert not any(part in str(refused.value) for part in ("horse", "onion", "nineteen", "aaaa"))
    assert file not in str(refused.value)


def test_both_places_at_once_and_a_missing_file_are_refused(tmp_path):
    both = {"STRATIFY_TEAM_PASSPHRASE": WORDS, "STRATIFY_TEAM_PASSPHRASE_FILE": secret(tmp_path / "p", WORDS)}
    with pytest.raises(PrivacyError, match="both"):
        read_passphrases(both, is_test=True)
    with pytest.raises(PrivacyError, match="a file that can be read"):
        read_passphrases({"STRATIFY_TEAM_PASSPHRASE_FILE": str(tmp_path / "none")}, is_test=True)


def test_passphrases_are_in_no_text_of_their_own():
    assert "horse" not in repr(Passphrases(WORDS)) and "horse" not in repr(Passphrases(by_practice={"A81001": WORDS}))


def test_what_was_sealed_opens_with_the_passphrase_and_with_no_other():
    sealed = Lock(Passphrases(WORDS), "run-1").seal("A81001", b"who is on the list")
    assert opened(WORDS, sealed) == b"who is on the list"
    with pytest.raises(InvalidTag):
        opened(OTHERS, sealed)


def test_a_passphrase_is_as_slow_to_try_as_owasp_asks():
    """Password Storage Cheat Sheet: 600,000 rounds of PBKDF2-HMAC-SHA256."""
    assert ROUNDS == 600_000


def test_run_and_practice_are_part_of_the_seal():
    sealed = Lock(Passphrases(WORDS), "run-1").seal("A81001", b"content")
    for about in (sealed.about.replace("A81001", "A81002"), sealed.about.replace("run-1", "run-2")):
        with pytest.raises(InvalidTag):
            opened(WORDS, sealed, about=about)


def test_the_same_gives_the_same_and_no_nonce_serves_two_contents():
    """Under one key (one run, one passphrase) every practice and every content has a nonce of its own."""
    lock = Lock(Passphrases(WORDS), "run-1")
    found = [lock.seal(practice, content) for practice in ("A81001", "A81002") for content in (b"one", b"two", b"")]
    assert len({each.salt for each in found}) == 1
    assert len({each.nonce for each in found}) == 6
    again = Lock(Passphrases(WORDS), "run-1")
    assert again.seal("A81002", b"two") == lock.seal("A81002", b"two")


def test_another_run_has_another_salt_and_another_passphrase_another_nonce():
    one = Lock(Passphrases(WORDS), "run-1").seal("A81001", b"content")
    assert Lock(Passphrases(WORDS), "run-2").seal("A81001", b"content").salt != one.salt
    other = Lock(Passphrases(OTHERS), "run-1").seal("A81001", b"content")
    assert other.salt == one.salt  # nothing in the clear is drawn from the passphrase by a quick digest
    assert other.nonce != one.nonce and other.content != one.content
