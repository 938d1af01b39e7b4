"""PDF files from a page template and data: tagged for screen readers, the same bytes for the same content.

The only place that knows ``typst``. Belongs here: compiling, fonts, and that a text can be printed at all. What stands
on a page comes as data and is never read as markup; how it looks is in ``pages/*.typ``.
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import typst

_HERE = Path(__file__).parent
_FONTS = _HERE / "fonts"
_KEPT_FOR = 10
NOT_PRINTABLE = "\u25a1"
"""Stands for a letter that the font does not have."""


def write_pdf(path: Path, page: str, content: Mapping[str, Any], *, made: date) -> Path:
    """Write a tagged PDF (PDF/UA-1).

    Args:
        path: The file to write; its folder is made.
        page: The template, a file of ``pages/`` without its ending.
        content: What it shows; every text is made printable first.
        made: The date the file says that it was made on.

    Returns:
        The file.
    """
    text = json.dumps(_printable(content), ensure_ascii=False, sort_keys=True)
    compiler = _compiler(page)
    noon = int((made - date(1970, 1, 1)).total_seconds()) + 43_200
    made_of = compiler.compile(sys_inputs={"content": text}, pdf_standards=["ua-1"], format="pdf", timestamp=noon)
    _forget()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made_of)
    return path


def _forget() -> None:
    """Let typst drop what it worked out for this file.

    It keeps all of that until ten more files are set, in case they have the same pages; no two files of ours have, and
    ten packs of a large practice are hundreds of megabytes.
    """
    blank = _compiler("blank")
    for _ in range(_KEPT_FOR + 1):
        blank.compile(format="svg")


def write_side_by_side(writes: Iterable[Callable[[], Path]]) -> Iterator[Path]:
    """Write files on all cores, and give each when it is written, in order.

    Setting pages needs no lock of Python's, so threads do. What is asked for next is worked out only when a core is
    free: however many files, few of them are in memory.

    Args:
        writes: Each writes one file and gives its path.
    """
    cores = os.cpu_count() or 1
    waiting: deque[Future[Path]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for write in writes:
            waiting.append(pool.submit(write))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_LONG_WORD = re.compile(r"\S{30}(?=\S{10})")
_PICTURE = "<svg xmlns="
_MAY_BREAK = "\u200b"
"""Where a word that is wider than its place may go on in the next line."""


def _compiler(page: str) -> Any:  # noqa: ANN401  typst's own
    """Give the compiler of a page; one a thread, for it is none that several may use."""
    mine: dict[str, Any] = vars(_OF_THREAD)
    if page not in mine:
        mine[page] = _new_compiler(page)
    return mine[page]


_OF_THREAD = threading.local()


def _new_compiler(page: str) -> Any:  # noqa: ANN401
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(_FONTS)])
    return typst.Compiler(str(_HERE / "pages" / f"{page}.typ"), font_paths=fonts, ignore_system_fonts=True)


def printable(text: str) -> str:
    """Leave out marks that change how other text is read, and show that a letter cannot be printed.

    Controls and bidirectional marks could make a name read as another; a letter that the font does not have would stop
    the whole file.
    """
    if text.isascii() and text.isprintable():
        return text
    known = _letters_of_the_font()
    kept = (letter for letter in unicodedata.normalize("NFC", text) if letter == "\n" or not _is_mark(letter))
    return "".join(letter if letter == "\n" or ord(letter) in known else NOT_PRINTABLE for letter in kept)


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _printable(found: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    if isinstance(found, str):
        return (
            found
            if found.startswith(_PICTURE)
            else _LONG_WORD.sub(lambda run: f"{run[0]}{_MAY_BREAK}", printable(found))
        )
    if isinstance(found, Mapping):
        return {key: _printable(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_printable(value) for value in found]
    return found


@cache
def _letters_of_the_font() -> frozenset[int]:
    """Read from both fonts which letters they can draw (OpenType ``cmap``, format 4)."""
    return frozenset.intersection(*(_letters_of(path.read_bytes()) for path in sorted(_FONTS.glob("*.ttf"))))


def _letters_of(font: bytes) -> frozenset[int]:
    tables = struct.unpack_from(">H", font, 4)[0]
    records = (struct.unpack_from(">4sLLL", font, 12 + 16 * number) for number in range(tables))
    start = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    count = struct.unpack_from(">H", font, start + 2)[0]
    offsets = {struct.unpack_from(">HHL", font, start + 4 + 8 * number)[2] for number in range(count)}
    at = next(start + offset for offset in sorted(offsets) if struct.unpack_from(">H", font, start + offset)[0] == 4)
    segments = struct.unpack_from(">H", font, at + 6)[0] // 2
    ends, starts, deltas, ranges = (
        struct.unpack_from(f">{segments}H", font, at + 14 + 2 * segments * part + (2 if part else 0))
        for part in range(4)
    )
    letters: set[int] = set()
    for number in range(segments):
        for code in range(starts[number], min(ends[number], 0xFFFE) + 1):
            if ranges[number]:
                where = at + 16 + 6 * segments + 2 * number + ranges[number] + 2 * (code - starts[number])
                glyph = struct.unpack_from(">H", font, where)[0]
            else:
                glyph = (code + deltas[number]) & 0xFFFF
            if glyph:
                letters.add(code)
    return frozenset(letters)
