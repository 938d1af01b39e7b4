"""What a run of the tests said, as a safety case quotes it: read from the JUnit file that pytest writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from stratify.errors import ContractError

Results = Mapping[str, str]
"""``passed``, ``failed`` or ``skipped`` by test, named as pytest names it, all its cases together."""

_WORST_FIRST = ("failed", "skipped", "passed")


def read_results(file: Path) -> Results:
    """Read the file that ``pytest --junitxml`` wrote.

    Raises:
        ContractError: it is no such file, or says nothing of any test.
    """
    try:
        cases = list(ElementTree.parse(file).getroot().iter("testcase"))  # noqa: S314  of our own test run
    except (OSError, ElementTree.ParseError):
        cases = []
    if not cases:
        raise ContractError(
            file.name,
            expected="the results of a test run in JUnit's XML",
            found="none",
            action="Make it with pytest --junitxml.",
        )
    found: dict[str, str] = {}
    for case in cases:
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[name] = min(state, found.get(name, state), key=_WORST_FIRST.index)
    return found


def state_of(test: str, results: Results | None) -> str:
    """Say what came of a test, in words; a test nobody ran was not passed."""
    if results is None:
        return "results not given"
    return results.get(test, "NOT RUN").replace("failed", "FAILED").replace("skipped", "SKIPPED")
