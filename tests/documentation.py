"""The pages of the documentation as a test reads them: links, headings and commands."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(stratify [^`]+)`")
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")


def written_pages() -> list[Path]:
    """Give every page that people wrote or a command keeps."""
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


def site_hook():
    """Give the module that makes the rest of the site."""
    found = importlib.util.spec_from_file_location("site_hook", ROOT / "docs" / "site_hook.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def without_code(text: str) -> str:
    """Give a page without its blocks of code."""
    return _FENCE.sub("", text)


def links(text: str) -> list[tuple[str, str]]:
    """Give file and anchor of every link that leads to no other host."""
    return _LINK.findall(without_code(text))


def anchors(text: str) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them, and those written out."""
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+?) *#*$", without_code(text), flags=re.MULTILINE):
        words = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading)
        found.add(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
    return found


def blocks(text: str) -> list[str]:
    """Give the lines of a page's blocks of code, continued ones whole."""
    found = "\n".join(block for _, block in _FENCE.findall(text))
    return re.sub(r"\\\n\s*", " ", found).splitlines()


def simple_commands(line: str) -> list[list[str]]:
    """Give the simple commands of a line of shell, each as its words, without what is set before it."""
    lexer = shlex.shlex(re.sub(r"<[a-z ]+>", "PLACE", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set(";<>|&"):
            found.append([])
        elif found[-1] or not re.match(r"[A-Za-z_]+=", word):
            found[-1].append(word.strip("[]"))
    return [each for each in found if each]


def commands_in_blocks(text: str, program: str) -> list[list[str]]:
    """Give the words after the program's name, of every command of a page's blocks that runs it."""
    found = []
    for line in blocks(text):
        if program not in line:
            continue
        try:
            found += [each[1:] for each in simple_commands(line) if each[0].rpartition("/")[2] == program]
        except ValueError:  # a line of output with an apostrophe in it, and no command
            continue
    return found


def commands_in_words(text: str) -> list[str]:
    """Give what stands in a page's sentences as a call of stratify."""
    return _INLINE.findall(without_code(text))
