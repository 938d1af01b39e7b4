"""The contracts as pages to read: every table with its columns, what they mean and what is checked of them.

Made from ``data_contracts/`` when the documentation site is built, and kept nowhere, so that they are never stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from stratify import contracts
from stratify.contracts import Column, Rule, TableContract

LAYERS = {
    "landing": "What comes in: the canonical layout of extract files, checked row by row.",
    "core": "What is held of people after landing, under pseudonyms: cleaned, linked, in one unit.",
    "derived": "What was worked out of each person: values, scores, decisions, places, reasons.",
    "out": "What goes out: lists and offers for practices, counts for commissioners; and the files that come back.",
    "audit": "What is kept of each run: rows set aside, counts at every step, answers, transitions.",
}
_BROKEN = {"row": "the row is set aside", "value": "the value is not used", "table": "the check of the table fails"}


def pages() -> dict[str, str]:
    """Give the pages: Markdown by file name, ``index.md`` to start from and one page a layer."""
    found = {f"{layer}.md": _layer(layer, words) for layer, words in LAYERS.items()}
    return {"index.md": _index()} | found


def _index() -> str:
    lines = [
        "# Tables and columns\n",
        "Every table has one contract: names, types, keys and checks are written once in `data_contracts/` (Open Data",
        "Contract Standard 3.1), and loaders, row checks and these pages are made from it. Look a rule id of a",
        "supplier's report up here: `GPE-04-verhoeff` is a rule of the column `GPE-04`.\n",
    ]
    for layer, words in LAYERS.items():
        lines += [f"## {layer}\n", f"{words}\n", "| table | what it is |", "| --- | --- |"]
        for name in contracts.names(layer):
            lines.append(f"| [{name}]({layer}.md#{_anchor(name)}) | {_cell(contracts.load(name).purpose)} |")
        lines.append("")
    return "\n".join(lines)


def _layer(layer: str, words: str) -> str:
    tables = (_table(contracts.load(name)) for name in contracts.names(layer))
    return "\n".join([f"# Tables of {layer}\n", f"{words}\n", *tables])


def _table(contract: TableContract) -> str:
    lines = [f"## {contract.name}\n", f"{contract.purpose}\n"]
    if contract.usage:
        lines.append(f"{contract.usage}\n")
    key = ", ".join(f"`{each}`" for each in contract.key) or "none"
    path = f"data_contracts/{contract.layer}/{contract.table}.odcs.yaml"
    lines += [
        f"Key: {key}. Version {contract.version}, `{path}`.\n",
        "| id | column | type | meaning | may hold |",
        "| --- | --- | --- | --- | --- |",
        *(_column(each) for each in contract.columns),
        "",
    ]
    told = [each for each in contract.rules if each.kind in ("custom", "row_count", "rejected_percent", "values")]
    if told:
        head = "| rule | of | when it is broken | what it says |"
        lines += [head, "| --- | --- | --- | --- |", *map(_rule, told), ""]
    return "\n".join(lines)


def _column(column: Column) -> str:
    holds = [
        *(["never empty"] if column.is_required else []),
        *(["critical: without it the row says little"] if column.is_critical else []),
        *(["restricted"] if column.classification else []),
        *([f"pattern {_code(column.pattern)}"] if column.pattern else []),
        *([f"at least {column.minimum:g}"] if column.minimum is not None else []),
        *([f"at most {column.maximum:g}"] if column.maximum is not None else []),
        *([f"one of {_codes(column.valid_values)}"] if column.valid_values else []),
        *([f"refers to {_code(column.refers_to)}"] if column.refers_to else []),
    ]
    return f"| {column.id} | `{column.name}` | {column.type} | {_cell(column.description)} | {'; '.join(holds)} |"


def _rule(rule: Rule) -> str:
    limit = {
        "row_count": f"fewer than {(rule.limit or 0) + 1:g} rows",
        "rejected_percent": f"more than {rule.limit:g} % of rows set aside" if rule.limit is not None else "",
    }.get(rule.kind, _BROKEN[rule.scope])
    severity = "" if rule.severity == "error" else f" ({rule.severity})"
    of = f"`{rule.column}`" if rule.column else "the table"
    return f"| {rule.id} | {of} | {limit}{severity} | {_cell(rule.description)} |"


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _cell(text: str) -> str:
    """Inert in a table of Markdown."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _codes(values: Iterable[str]) -> str:
    return ", ".join(_code(each) for each in values)
