"""The bill of materials: what is locked, with hashes and licences, and none that nobody decided on."""

from __future__ import annotations

import json
from email.message import Message
from types import SimpleNamespace

import jsonschema
import pytest
from tests.documentation import ROOT

from stratify.errors import ContractError
from stratify.operations import materials
from stratify.operations.materials import Package

LOCK = """\
zeta==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:{b} \\
    --hash=sha256:{a}
    # via stratify
pytest==9.0.1 \\
    --hash=sha256:{a}
""".format(a="a" * 64, b="b" * 64)


def _packages(*licences):
    return [Package(f"p{number}", "1", ("0" * 64,), each) for number, each in enumerate(licences)]


def test_every_package_of_the_lock_has_its_hashes_and_an_allowed_licence():
    found = materials.read_lock(ROOT / "requirements.lock")
    assert {"duckdb", "polars", "prefect"} <= {each.name for each in found}
    materials.stop_at_other_licences(found)
    assert sum(each.licence is not None for each in found) > 0.9 * len(found)


def test_the_bill_says_of_each_package_version_hashes_and_licence_and_is_the_same_again(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK, encoding="utf-8")
    bill = materials.bill(materials.read_lock(lock))
    assert [each["purl"] for each in bill["components"]] == ["pkg:pypi/pytest@9.0.1", "pkg:pypi/zeta@1.0"]
    tester, foreign = bill["components"]
    assert tester["licenses"] == [{"expression": "MIT"}] and "licenses" not in foreign
    assert [each["content"] for each in foreign["externalReferences"][0]["hashes"]] == ["a" * 64, "b" * 64]
    assert json.dumps(bill) == json.dumps(materials.bill(materials.read_lock(lock)))
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6"


def test_a_lock_without_hashes_or_without_anything_is_refused(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK + "plain==2.0\n", encoding="utf-8")
    with pytest.raises(ContractError, match="1 of 3 without hashes"):
        materials.read_lock(lock)
    with pytest.raises(ContractError, match="found none"):
        materials.read_lock(tmp_path / "no.lock")


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Proprietary", False),
        (None, True),  # locked for another platform: not known here
    ],
)
def test_of_or_one_licence_is_enough_and_of_and_all_are_needed(licence, is_allowed):
    packages = _packages(licence)
    assert (materials.other_licences(packages) == {}) is is_allowed
    if not is_allowed:
        with pytest.raises(ContractError, match=f"p0: {licence}"):
            materials.stop_at_other_licences(packages)


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"License-Expression": "Apache-2.0 OR MIT", "License": "whatever"}, "Apache-2.0 OR MIT"),
        ({"License": "BSD-3-Clause", "Classifier": "License :: OSI Approved :: BSD License"}, "BSD-3-Clause"),
        ({"License": "The whole text\nof it", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "Some licence of ours\nwith terms"}, "Some licence of ours"),
        ({}, None),
    ],
)
def test_a_licence_is_what_the_package_states_most_exactly(said, licence):
    metadata = Message()
    for name, value in said.items():
        metadata[name] = value
    assert materials.licence_of(SimpleNamespace(metadata=metadata)) == licence


def test_the_parts_that_the_format_asks_for_are_there():
    """The required parts of CycloneDX 1.6, as far as they are used here."""
    component = {
        "type": "object",
        "required": ["type", "name", "version", "purl"],
        "properties": {
            "type": {"const": "library"},
            "licenses": {
                "type": "array",
                "items": {"oneOf": [{"required": ["expression"]}, {"required": ["license"]}]},
            },
        },
    }
    schema = {
        "required": ["bomFormat", "specVersion", "version", "components", "dependencies"],
        "properties": {"components": {"type": "array", "minItems": 1, "items": component}},
    }
    jsonschema.validate(materials.bill(_packages("MIT", "BSD", None)), schema)
