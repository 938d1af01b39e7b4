"""The pages of the rule book as HTML that needs no network: the same text, for people without a Markdown reader."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from stratify.pages import render

_INDEX = "README.md"


def as_html(found: dict[str, str]) -> dict[str, str]:
    """Turn pages into HTML, each complete in itself; links among them stay, links to what is not among them go.

    Args:
        found: Markdown by file name, as ``rule_pages.pages`` writes it.

    Returns:
        HTML by file name, ``index.html`` the one to start from.
    """
    return {_html_name(name): _page(name, text, found) for name, text in found.items()}


def _html_name(name: str) -> str:
    return "index.html" if name == _INDEX else str(PurePosixPath(name).with_suffix(".html"))


def _page(name: str, text: str, found: dict[str, str]) -> str:
    comment, text = text.split("\n", 1)
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(text)
    title = next(each.content for each in tokens if each.type == "inline")
    for each in tokens:
        each.children = _links_kept(each.children, name, found) if each.children else each.children
    body = markdown.renderer.render(tokens[3:], markdown.options, {})
    body = body.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
    page = render(
        __package__,
        "rule_page.html.j2",
        title=title,
        subtitle="What decides who is on which list, in plain English",
        is_test=False,
        body=Markup(body),  # noqa: S704  our own pages, made from the definitions
    )
    return f"{comment}\n{page}"


def _links_kept(tokens: list[Token], name: str, found: dict[str, str]) -> list[Token]:
    kept, is_inside_dropped = [], False
    for each in tokens:
        if each.type == "link_open":
            target, mark, place = str(each.attrs["href"]).partition("#")
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if target.startswith("https://") or inside in found or not target:
                if inside in found:
                    here = posixpath.dirname(name) or "."
                    each.attrs["href"] = posixpath.relpath(_html_name(inside), here) + mark + place
            else:
                is_inside_dropped = True
                continue
        if each.type == "link_close" and is_inside_dropped:
            is_inside_dropped = False
            continue
        kept.append(each)
    return kept
