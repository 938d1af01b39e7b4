"""Secrets of a site: from the environment, or from a file that the environment names and only its owner can read.

Belongs here: where a secret stands. What makes a good one is said where it is used. A secret is no setting, so that no
settings file, parameter or record ever holds one; what is raised never quotes one.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stratify.errors import PrivacyError


class Secret(NamedTuple):
    """What was found, without blanks around it, and the variable that led to it."""

    content: bytes
    where: str


def read_secret(environment: Mapping[str, str], variable: str, file_variable: str) -> Secret | None:
    """Read a secret; None where neither variable is set.

    Args:
        environment: The process's environment variables.
        variable: The one that may hold the secret.
        file_variable: The one that may name its file.

    Raises:
        PrivacyError: there are two places, or the file cannot be read, or others may read it.
    """
    text, file_name = environment.get(variable, ""), environment.get(file_variable, "")
    if text and file_name:
        raise _unfit(
            f"{variable} and {file_variable}", "one of the two", "both", "Unset one, so that it is plain which."
        )
    if text:
        return Secret(text.encode().strip(), variable)
    if not file_name:
        return None
    path = Path(file_name)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes().strip()
    except OSError:
        raise _unfit(file_variable, "a file that can be read", "none", "Correct the path or its permissions.") from None
    if mode & 0o077:
        raise _unfit(
            file_variable, "a file only its owner can read", f"mode {mode:o}", "Run chmod 600 on it, then again."
        )
    return Secret(content, file_variable)


def _unfit(where: str, expected: str, found: str, action: str) -> PrivacyError:
    return PrivacyError(where, expected=expected, found=found, action=action)
