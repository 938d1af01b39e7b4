"""Reads the YAML people write: safe, and a key given twice is a fault.

Plain YAML keeps the last of two and says nothing, so that ``national: exclude`` could be undone by a line further down.
Aliases of aliases can make a few lines stand for more than any machine holds; there is an end to that.
"""

from __future__ import annotations

from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same safe YAML, ten times as fast where it was built


_TWICE = "a key given twice"
_TOO_MUCH = "aliases that stand for more than anybody writes"
_MOST_VALUES = 200_000
"""Values and keys that a text may stand for, each alias counted as what it repeats."""
_TEXT = "tag:yaml.org,2002:str"


class _Loader(_Base):  # type: ignore[misc]
    def get_single_data(self) -> Any:  # noqa: ANN401  whatever was written
        node = self.get_single_node()
        if node is None:
            return None
        if self.is_checked and _size(node, {}) > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(None, None, _TOO_MUCH, node.start_mark)
        return self.construct_document(node)

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
    loader = _Loader(text)
    loader.is_checked = "*" in text  # counting costs a second walk, and without an alias there is nothing to count
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Count what a node stands for, with everything its aliases repeat."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES  # what contains itself has no end
        inside = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [each for pair in inside for each in pair] if isinstance(node, yaml.MappingNode) else inside
        known[id(node)] = 1 + sum(_size(each, known) for each in parts)
    return known[id(node)]


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
    problem = getattr(fault, "problem", None)
    what = problem if problem in (_TWICE, _TOO_MUCH) else "text that is none"
    return f"{what} near line {mark.line + 1}" if mark else what
