"""Layouts of extract files: the same rows as our canonical set, as an EMIS-style set and as a SystmOne-style set.

A layout takes the text frames of one practice's share of one extract and gives that practice's rows of every file; it
writes nothing. How each file maps to our tables, both ways, and what it cannot carry stands in the module of the layout
(``emis``, ``systmone``, ``hospital``); the forms of ids in ``identifiers``.
"""

from __future__ import annotations

from collections.abc import Mapping

from stratify.synth.layouts.canonical import CANONICAL
from stratify.synth.layouts.emis import EMIS
from stratify.synth.layouts.layout import ExtractFacts, FileStyle, Layout, WrittenFile
from stratify.synth.layouts.systmone import SYSTMONE

__all__ = ["LAYOUTS", "ExtractFacts", "FileStyle", "Layout", "WrittenFile"]

LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in (CANONICAL, EMIS, SYSTMONE)}
"""Layouts by name."""
