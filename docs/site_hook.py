"""What the documentation site has beside the pages of ``docs/``, for ``mkdocs.yml``: made as it is built, never kept.

The tables and columns, out of the contracts; the changelog; the navigation, in which a folder stands for its pages and
``rest`` for every page that is named nowhere. A link to a file outside ``docs/`` becomes the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stratify import contract_pages

ROOT = Path(__file__).parents[1]
REST = "rest"
_CHANGELOG = "changelog.md"
_LINK_OUT = re.compile(r"\[([^\]]*)\]\((?:\.\./)+(?!\.)([^)#\s]*)(#[^)]*)?\)")


def made_pages() -> dict[str, str]:
    """Give the pages that are made: Markdown by file name below ``docs/``."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    return {f"contracts/{name}": text for name, text in contract_pages.pages().items()} | {_CHANGELOG: changes}


def expanded(entries: list[Any], pages: Iterable[str]) -> list[Any]:
    """Give the navigation with pages in place of folders (those that are not named by themselves) and of ``rest``."""
    known, named = sorted(pages, key=_in_order), _names(entries)
    left = [each for each in known if not any(_stands_for(name, each) for name in named)]

    def expand(entry: Any) -> list[Any]:  # noqa: ANN401  as YAML has it
        if isinstance(entry, dict):
            return [{title: expand(below)} for title, below in entry.items()]
        if isinstance(entry, list):
            return [each for below in entry for each in expand(below)]
        if entry == REST:
            return left
        return (
            [each for each in known if each.startswith(entry) and each not in named] if entry.endswith("/") else [entry]
        )

    return expand(entries)


def links_within(text: str, page: str, pages: Iterable[str]) -> str:
    """Give a page's text with each link that leads out of ``docs/`` as the name of its file."""
    known = set(pages)

    def instead(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        depth = page.count("/")
        if link[0].count("../") <= depth:
            return link[0]
        if target == "CHANGELOG.md" and _CHANGELOG in known:
            return f"[{words}]({'../' * depth}{_CHANGELOG}{anchor})"
        return words if target in words else f"{words} (`{target}`)"

    return _LINK_OUT.sub(instead, text)


def on_config(config: Any) -> Any:  # noqa: ANN401  a type of mkdocs
    """Expand the navigation."""
    docs = Path(config["docs_dir"])
    written = (path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    config["nav"] = expanded(config["nav"], {*written, *made_pages()})
    return config


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401  types of mkdocs
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for name, text in made_pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ANN401
    """Keep links within the site."""
    return links_within(markdown, page.file.src_uri, (each.src_uri for each in files.documentation_pages()))


def _in_order(page: str) -> tuple[str, bool, str]:
    folder, _, name = page.rpartition("/")
    return folder, name != "index.md", name


def _names(entry: Any) -> list[str]:  # noqa: ANN401  as YAML has it
    if isinstance(entry, dict):
        return [name for below in entry.values() for name in _names(below)]
    return [name for below in entry for name in _names(below)] if isinstance(entry, list) else [entry]


def _stands_for(name: str, page: str) -> bool:
    return page.startswith(name) if name.endswith("/") else page == name
