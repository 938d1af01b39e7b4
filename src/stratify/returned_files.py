"""The folder of what came back: which files there are, who sent each, and a copy of each for the run.

    returned/Y00001/copd_clinic/clinic_list_copd_clinic_2026-11-02.xlsx     what practice Y00001 filled in
    returned/answers.csv                                         a CSV that names the practice in every row

A run reads its own copies, so that what it read is what it says it read. What is in a file is for
``publish.filled_lists``.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stratify.errors import SettingsError

_PRACTICE = re.compile(r"[A-Z0-9]{3,8}")


class ReturnedFile(BaseModel):
    """A file that came back.

    Attributes:
        file_id: Digest of its content.
        path: The copy that the run reads.
        sent_by: Practice in whose folder it was.
        shown_name: Where it was, for whoever sent it; for nobody else, for a name can say whose list it is.
    """

    model_config = ConfigDict(frozen=True)

    file_id: str
    path: Path
    sent_by: str | None
    shown_name: str


def gather(folder: Path | None, into: Path) -> tuple[ReturnedFile, ...]:
    """Copy what came back, in order of practice and name; the same content twice from one practice is one file.

    Args:
        folder: The folder of the setting ``returned``; None where there is none.
        into: A folder of the run's own in its restricted folder.

    Raises:
        SettingsError: there is no such folder.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise SettingsError(
            "returned", expected="a folder", found="none of that name", action="Make it, or leave the setting out."
        )
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    found: dict[tuple[str, str], ReturnedFile] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_symlink() or not path.is_file() or any(part.startswith((".", "~$")) for part in parts):
            continue
        sender = parts[0].upper() if len(parts) > 1 and _PRACTICE.fullmatch(parts[0].upper()) else None
        with path.open("rb") as handle:
            file_id = hashlib.file_digest(handle, "sha256").hexdigest()[:16]
        copy = into / f"{file_id}{path.suffix.lower()}"
        if (sender or "", file_id) not in found:
            if not copy.exists():
                shutil.copyfile(path, copy)
                copy.chmod(0o600)
            found[sender or "", file_id] = ReturnedFile(
                file_id=file_id, path=copy, sent_by=sender, shown_name=Path(*parts).as_posix()
            )
    return tuple(each for _, each in sorted(found.items()))


def identity(files: tuple[ReturnedFile, ...]) -> list[list[str | None]]:
    """Give what of the files decides the id of a run."""
    return [[each.file_id, each.sent_by, each.path.suffix, each.shown_name] for each in files]


def of_path(path: Path) -> ReturnedFile:
    """Give one file as it lies, for a look at it before a run."""
    file_id = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return ReturnedFile(file_id=file_id, path=path, sent_by=None, shown_name=path.name)
