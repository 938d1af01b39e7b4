"""A text file as bytes, before any row: lines, header, encoding, final newline, and whether values may have blanks.

One pass, in pieces. Nothing of a file is ever shown but where something is wrong.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from stratify.errors import ExtractError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 18
_HEADER_BYTES = 65536


ASK_FILE = "Ask the supplier for the file again."


TIMES_UNPACKED = 200
"""How many times its own size a gzipped file may unpack to: rows of records with ids of their own come to 5 to 30."""
ALWAYS_UNPACKED = 64 << 20
"""Bytes that any file may unpack to, however small it is."""


TOO_MUCH = f"one that unpacks to over {TIMES_UNPACKED} times its size"


class UnpackedError(OSError):
    """A gzipped file that holds more than a file of its size can of records."""


@contextmanager
def opened(path: Path, *, is_zipped: bool) -> Iterator[IO[bytes]]:
    """Open a text file for its first pass, unpacked as it is read, and no further than records can reach.

    Raises:
        UnpackedError: there is more in it; nothing of it was written anywhere.
    """
    if not is_zipped:
        with path.open("rb") as stream:
            yield stream
        return
    most = max(ALWAYS_UNPACKED, TIMES_UNPACKED * path.stat().st_size)
    with gzip.open(path) as whole, io.BufferedReader(_Bounded(cast(IO[bytes], whole), most), _CHUNK_BYTES) as bounded:
        yield bounded


class _Bounded(io.RawIOBase):
    def __init__(self, whole: IO[bytes], most: int) -> None:
        self._whole, self._left = whole, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        chunk = self._whole.read(len(view))
        self._left -= len(chunk)
        if self._left < 0:
            raise UnpackedError
        view[: len(chunk)] = chunk
        return len(chunk)


def fault(where: str, expected: str, found: str, action: str) -> ExtractError:
    """Give a fault of a file in its four parts."""
    return ExtractError(where, expected=expected, found=found, action=action)


@dataclass
class Scan:
    """What one pass over the bytes of a text file tells."""

    line_feeds: int = 0
    carriage_returns: int = 0
    pairs: int = 0
    last_byte: int | None = None
    nul_line: int | None = None
    bad_line: int | None = None
    looks_like: str = ""
    first_line: bytes = b""
    has_blanks: bool = False


def faults_of_text(file_name: str, scan: Scan) -> list[ExtractError]:
    """Give what is wrong with the lines of a text: NUL bytes, a last line without an end, line ends of two kinds."""
    found = []
    if scan.nul_line is not None:
        found.append(fault(file_name, "text", f"a NUL byte on line {scan.nul_line}", ASK_FILE))
    if scan.last_byte != ord("\n"):
        found.append(fault(file_name, "a line end after the last line", "none: the file is cut off", ASK_FILE))
    if scan.carriage_returns and (scan.pairs != scan.carriage_returns or scan.pairs != scan.line_feeds):
        found.append(
            fault(
                file_name,
                "lines that all end in LF, or all in CRLF",
                f"{scan.line_feeds - scan.pairs} in LF, {scan.pairs} in CRLF, "
                f"{scan.carriage_returns - scan.pairs} lone CR",
                ASK_FILE,
            )
        )
    return found


def scan_text(stream: IO[bytes], encoding: str = "utf-8") -> Scan:
    """Go once over the bytes of a text: lines, line ends, NUL bytes, encoding."""
    import numpy as np  # commands that read no extract file do without

    scan = Scan()
    decoder = codecs.getincrementaldecoder(encoding)()
    ended_in_return = False
    head = last = b""
    for chunk in _chunks(stream):
        if b"\n" not in head and len(head) < _HEADER_BYTES:
            head += chunk[: _HEADER_BYTES - len(head)]
        scan.has_blanks = scan.has_blanks or _may_have_blanks(last + chunk)
        try:
            if encoding != "utf-8" or decoder.getstate()[0] or not chunk.isascii():
                decoder.decode(chunk)
        except UnicodeDecodeError as fault:
            scan.bad_line = scan.line_feeds + fault.object[: fault.start].count(b"\n") + 1
            scan.looks_like = _guess(fault.object[fault.start : fault.start + 2], is_first=scan.line_feeds == 0)
        if scan.nul_line is None and b"\x00" in chunk:
            scan.nul_line = scan.line_feeds + chunk[: chunk.index(b"\x00")].count(b"\n") + 1
        scan.line_feeds += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))
        scan.pairs += ended_in_return and chunk.startswith(b"\n")
        if b"\r" in chunk:
            scan.carriage_returns += chunk.count(b"\r")
            scan.pairs += chunk.count(b"\r\n")
        ended_in_return = chunk.endswith(b"\r")
        scan.last_byte, last = chunk[-1], chunk[-1:]
        if scan.bad_line is not None:
            break
    else:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            scan.bad_line, scan.looks_like = scan.line_feeds + 1, "the file is cut inside a character"
    scan.first_line = head.split(b"\n", 1)[0].rstrip(b"\r")
    return scan


def _may_have_blanks(chunk: bytes) -> bool:
    """Tell whether a part of a CSV file may have a blank at either end of a value: by a separator, or rare ones."""
    import numpy as np

    is_rare = b"\t" in chunk or (not chunk.isascii() and b"\xc2\xa0" in chunk)
    signs = np.frombuffer(chunk, np.uint8)
    is_blank = signs == ord(" ")
    is_edge = (signs == ord(",")) | (signs == ord("\n"))
    for other in (each for each in b'"\r' if each in chunk):
        is_edge |= signs == other
    return is_rare or bool((is_blank[1:] & is_edge[:-1]).any() or (is_blank[:-1] & is_edge[1:]).any())


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _guess(wrong: bytes, *, is_first: bool) -> str:
    if is_first and wrong in (b"\xff\xfe", b"\xfe\xff"):
        return "looks like UTF-16"
    return "looks like cp1252" if wrong[:1] not in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d") else "unknown encoding"


# The header


def split_header(line: bytes) -> tuple[str, ...]:
    """Give the columns that the first line of a CSV file names."""
    text = line.decode("utf-8-sig", errors="replace")
    return tuple(next(csv.reader([text.replace("\r", " ")]), []))
