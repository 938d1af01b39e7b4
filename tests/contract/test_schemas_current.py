"""What is generated is what the sources make now: ``schemas/``, ``docs/rules/`` and ``docs/safety/``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from stratify import safety_pages
from stratify.rule_pages import keep_pages, pages
from stratify.rule_versions import check_versions, history_of
from stratify.rulebook import load_rule_book
from stratify.schemas import RunManifest, write_schemas

ROOT = Path(__file__).parents[2]


def test_schemas_are_up_to_date():
    """Mend with: stratify schemas schemas."""
    write_schemas(ROOT / "schemas", check_only=True)


def test_rules_in_plain_english_are_up_to_date():
    """Mend with: stratify rules docs docs/rules --versions schemas/rule_versions.json."""
    found = pages(load_rule_book(), history_of(ROOT / "schemas" / "rule_versions.json"))
    keep_pages(ROOT / "docs" / "rules", found, check_only=True)
    assert sum(len(text.encode()) for text in found.values()) < 1_500_000


def test_the_safety_documents_are_up_to_date():
    """Mend with: stratify safety docs docs/safety."""
    safety_pages.write(ROOT / "docs" / "safety", safety_pages.pages(), check_only=True)


def test_no_definition_changed_without_a_new_version():
    """Mend with: a new version, then stratify rules versions schemas/rule_versions.json."""
    assert check_versions(load_rule_book(), ROOT / "schemas" / "rule_versions.json") == "No definition differs."


def test_the_schema_of_the_manifest_has_the_keys_that_the_pipeline_writes():
    """Read from the source: a run would be the dearer way to see a key that was added in one place only."""
    tree = ast.parse((ROOT / "src/stratify/run_record.py").read_text(encoding="utf-8"))
    written: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "manifest_of":
            returned = next(each.value for each in ast.walk(node) if isinstance(each, ast.Return))
            written |= {key.value for key in returned.keys if isinstance(key, ast.Constant)}
        if isinstance(node, ast.Assign) and [each.id for each in node.targets if isinstance(each, ast.Name)] == [
            "_COUNTED"
        ]:
            written |= {key.value for key in node.value.keys}
    assert written == set(RunManifest.model_fields)


def test_every_abbreviation_of_a_label_is_in_the_glossary():
    """A label shown to people uses whole words, or an abbreviation that docs/glossary.md explains."""
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| ([^|]+?) \|", glossary, flags=re.MULTILINE))
    book = load_rule_book()
    labels = [each.label for each in (*book.variables.values(), *book.measurements.values(), *book.scores.values())]
    labels += [each.label for each in book.pathways.values()]
    labels += [clinic.label for each in book.pathways.values() for clinic in each.clinics]
    labels += [each.entry.label for each in book.codelists.values()]
    used = {word for label in labels for word in re.findall(r"\b[A-Za-z]*[A-Z]{2,}[A-Z0-9]*\b", label)}
    used -= {tier.tier for score in book.scores.values() for tier in score.tiers}
    assert sorted(used - explained) == []
