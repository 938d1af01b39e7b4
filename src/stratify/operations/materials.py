"""The bill of materials: every package of ``requirements.lock`` with version, hashes and licence (CycloneDX 1.6).

Deterministic: no clock and no random serial number. Licences come from what is installed; a package that is locked for
another platform only is not installed here, and its licence is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import Any

from stratify.errors import ContractError

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)((?:.*\\\n)*.*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ALLOWED = (
    "0BSD", "Apache-2.0", "Artistic-1.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC",
    "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
)  # fmt: skip
"""Licences that let a health service use and pass on what is made with them. Another one is a decision of people."""
_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Artistic License": "Artistic-1.0",
}
"""The classifiers of the package index that name one licence, as SPDX has it; BSD is said without which."""


@dataclass(frozen=True)
class Package:
    """A locked package; ``licence`` is an SPDX expression, or as the package says it, or None where not known."""

    name: str
    version: str
    sha256: tuple[str, ...]
    licence: str | None


def read_lock(lock: Path) -> tuple[Package, ...]:
    """Read the lock, and the licences of what is installed of it.

    Raises:
        ContractError: it locks nothing, or something without its hash.
    """
    installed = {_plain(each.metadata["Name"]): each for each in distributions()}
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    found = [
        Package(
            name,
            pinned,
            tuple(sorted(_HASH.findall(rest))),
            licence_of(installed[_plain(name)]) if _plain(name) in installed else None,
        )
        for name, pinned, rest in _PIN.findall(text)
    ]
    unhashed = sum(not each.sha256 for each in found)
    if not found or unhashed:
        raise ContractError(
            lock.name,
            expected="packages with version and hashes",
            found=f"{unhashed} of {len(found)} without hashes" if found else "none",
            action="Make it again: make lock.",
        )
    return tuple(sorted(found, key=lambda each: (each.name, each.version)))


def licence_of(distribution: Distribution) -> str | None:
    """Give the licence a package states: its SPDX expression, else its short text, else its classifiers."""

    def stated(name: str) -> list[str]:
        return distribution.metadata.get_all(name) or []

    for expression in stated("License-Expression"):
        return expression
    named = [each.rpartition(" :: ")[2] for each in stated("Classifier") if each.startswith("License")]
    spdx = [_CLASSIFIERS[each] for each in named if each in _CLASSIFIERS]
    said = "".join(stated("License")).strip()
    if said and all(word in (*_ALLOWED, "AND", "OR") for word in _words(said)):
        return said
    return " OR ".join(dict.fromkeys(spdx)) or said.partition("\n")[0] or None


def bill(packages: Sequence[Package]) -> dict[str, Any]:
    """Give the bill of materials, to be written as JSON."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "stratify",
                "name": "stratify",
                "version": version("stratify"),
                "licenses": [{"expression": "MIT"}],
            }
        },
        "components": [_component(each) for each in packages],
        "dependencies": [{"ref": "stratify", "dependsOn": [_purl(each) for each in packages]}],
    }


def other_licences(packages: Sequence[Package]) -> dict[str, str]:
    """Give the packages whose licence is not among those allowed, with what they state.

    Of ``A OR B`` one allowed licence is enough; of ``A AND B`` all are needed.
    """
    return {each.name: each.licence for each in packages if each.licence and not _is_allowed(each.licence)}


def stop_at_other_licences(packages: Sequence[Package]) -> None:
    """Refuse a licence that nobody decided on.

    Raises:
        ContractError: a package states another licence.
    """
    other = other_licences(packages)
    if other:
        raise ContractError(
            "requirements.lock",
            expected=f"licences among {', '.join(_ALLOWED)}",
            found="; ".join(f"{name}: {licence}" for name, licence in sorted(other.items())),
            action="Do without the package, or have somebody decide on its licence.",
        )


def _is_allowed(licence: str) -> bool:
    flat = re.sub(r"[()]", " ", licence)
    return all(any(part.strip() in _ALLOWED for part in both.split(" OR ")) for both in flat.split(" AND "))


def _words(licence: str) -> list[str]:
    return re.sub(r"[()]", " ", licence).split()


def _component(package: Package) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        "externalReferences": [
            {
                "type": "distribution",
                "url": _purl(package),
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.sha256],
            }
        ],
    }
    if package.licence:
        is_spdx = all(word in (*_ALLOWED, "AND", "OR") and word != "BSD" for word in _words(package.licence))
        found["licenses"] = [{"expression": package.licence} if is_spdx else {"license": {"name": package.licence}}]
    return found


def _purl(package: Package) -> str:
    return f"pkg:pypi/{_plain(package.name)}@{package.version}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
