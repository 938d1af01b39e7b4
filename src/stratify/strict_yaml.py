"""Reads the YAML people write: safe, and a key given twice is a fault.

Plain YAML keeps the last of two and says nothing, so that ``national: exclude`` could be undone by a line further down.
"""

from __future__ import annotations

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same safe YAML, ten times as fast where it was built


_TWICE = "a key given twice"
_TEXT = "tag:yaml.org,2002:str"


class _Loader(_Base):  # type: ignore[misc]
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            # A plain text key is its own name: making it here and once more below is half the time of a long manifest.
            name = key.value if key.tag == _TEXT else self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, _TWICE, key.start_mark)
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def load(text: str) -> Any:  # noqa: ANN401  whatever was written
    """Give what a YAML text says.

    Raises:
        yaml.YAMLError: it is no YAML, or gives a key twice; ``problem_mark`` says where.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader


def positions(text: str) -> list[tuple[tuple[str | int, ...], int, str | None]]:
    """Give the place of everything in a text that can be read: path of keys and numbers, line, and the words of a leaf.

    A value under a key has the line of its key. In order of the text; a key that is named like a value is a leaf too.
    """
    found: list[tuple[tuple[str | int, ...], int, str | None]] = []

    def visit(node: yaml.Node, path: tuple[str | int, ...], line: int) -> None:
        found.append((path, line, node.value if isinstance(node, yaml.ScalarNode) else None))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                visit(value, (*path, str(key.value)), key.start_mark.line + 1)
        elif isinstance(node, yaml.SequenceNode):
            for number, each in enumerate(node.value):
                visit(each, (*path, number), each.start_mark.line + 1)

    root = yaml.compose(text, Loader=_Loader)
    if root is not None:
        visit(root, (), root.start_mark.line + 1)
    return found


def fault_in_words(fault: yaml.YAMLError) -> str:
    """Say what is wrong with a text and near which line, without showing any of it."""
    mark = getattr(fault, "problem_mark", None)
    what = _TWICE if getattr(fault, "problem", None) == _TWICE else "text that is none"
    return f"{what} near line {mark.line + 1}" if mark else what
