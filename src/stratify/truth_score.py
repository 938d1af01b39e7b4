"""The score of a finished run against the truth of its synthetic county: who was missed, and who was wrongly listed.

Reads the truth folder that ``stratify synth --truth`` wrote and the restricted folder of the run in place; writes
nothing. Here: matching people, comparing answers, and the words for it. What the answers should be is worked out in
``synth.oracle`` and what they are in the run; neither is worked out here. A difference about somebody whom no dirt
touched is a fault of the pipeline or of the truth; one about somebody whom dirt touched is told and forgiven.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from stratify import privacy
from stratify.errors import PrivacyError, RunError, SettingsError
from stratify.runs import Plan, without_values
from stratify.store import Store, open_store

PATHWAYS = ("copd", "frailty")
PERSON = "person"
"""Where a difference is that is about the person and no pathway: withheld or not, status, split in two."""

MOST_EXAMPLES = 5

_TRUTH_VERSION = 1
_ON_A_LIST = frozenset({"clinic", "self_management", "assessment", "clinician_review"})
_SCORES = {
    # Score, and the columns of the expectation that hold its tier and the tiers left open.
    "copd": (("copd_priority_group", "copd_group", "copd_groups_open"),),
    "frailty": (
        ("efi", "efi_tier", "efi_tiers_open"),
        ("hospital_frailty", "hospital_frailty_tier", "hospital_frailty_tiers_open"),
    ),
}
_MEASURED = ("fev1_percent_predicted", "mrc_grade")
_COUNTED = (
    "copd_exacerbations_count",
    "copd_emergency_admissions_count",
    "prednisolone_issues_count",
    "rescue_antibiotic_issues_count",
    "azithromycin_issues_count",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One thing about one person that the run and the truth do not agree on.

    Attributes:
        place: Pathway, or ``person``.
        kind: missed, wrongly listed, wrong route, wrong rule, wrong tier, wrong value; for the person not withheld,
            missing from the run, wrong status, wrongly counted, not in the truth.
        expected: What the truth says, in words.
        found: What the run says.
        row: Row of the person in ``expectation.parquet``, from 1; 0 where there is none.
        reference: Keyed hash of practice and patient id.
        faults: Kinds of dirt that touched the person; empty for those it did not.
    """

    place: str
    kind: str
    expected: str
    found: str
    row: int
    reference: str
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of comparing a run with the truth.

    Attributes:
        run_id: The run.
        purpose: What it was for.
        is_clean: The county was made without dirt.
        people: People in the truth.
        touched: Of them, people whom dirt touched.
        withheld: People who should be left out of the run and are, by reason.
        on_pathway: People whom truth or run has on a pathway, by pathway.
        agreeing: Of them, people about whom both agree in everything.
        differences: Every difference.
        faults: Each kind of dirt with the people it touched.
    """

    run_id: str
    purpose: str
    is_clean: bool
    people: int
    touched: int
    withheld: Mapping[str, int]
    on_pathway: Mapping[str, int]
    agreeing: Mapping[str, int]
    differences: tuple[Difference, ...]
    faults: Mapping[str, int]

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """The differences about people whom no dirt touched: there should be none."""
        return tuple(each for each in self.differences if not each.faults)

    def count(self, place: str, kind: str, *, is_touched: bool = False) -> int:
        """Count differences of a kind about people whom no dirt touched, or whom it did."""
        return sum(
            1 for each in self.differences if (each.place, each.kind, bool(each.faults)) == (place, kind, is_touched)
        )


@without_values
def compare(out: Path, truth: Path, key: bytes) -> Comparison:
    """Compare the run in place with the truth of its county.

    Args:
        out: Output folder of a finished run.
        truth: Folder that ``stratify synth --truth`` wrote.
        key: The identity key of the run.

    Raises:
        RunError: the folder holds no finished run, or one of other extract files or another day.
        SettingsError: the truth folder is not one, or the run honoured objections in a way the truth does not know.
        PrivacyError: the key is not the one the run was made with.
    """
    about, expected = _read_truth(truth)
    plan = read_plan(out)
    fingerprint = json.loads((out / "restricted" / "key.json").read_text(encoding="utf-8"))["key_fingerprint"]
    if not hmac.compare_digest(fingerprint, privacy.key_fingerprint(key)):
        raise PrivacyError(
            "identity key",
            expected="the key this run was made with",
            found="another key",
            action="Use the key of the organisation that ran it.",
        )
    _check_same_county(plan, about)
    purpose = _checked_purpose(plan)
    with (
        TemporaryDirectory(prefix="stratify-score-") as scratch,
        open_store(out / "restricted" / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        run = _read_run(store)
        counted = {} if purpose != "case_finding" else _withheld_in_run(store)
    return _compare(plan, purpose, about, expected, run, counted, key)


def read_plan(out: Path) -> Plan:
    """Give the plan of the run in place.

    Raises:
        RunError: there is none.
    """
    path = out / "restricted" / "plan.json"
    if not path.is_file():
        raise RunError(
            f"output folder {out.name}", expected="a finished run", found="none", action="Run first, or correct RUN."
        )
    return Plan.model_validate_json(path.read_text(encoding="utf-8"))


def in_words(comparison: Comparison) -> str:
    """Write a comparison for the terminal; no identifier, no more than a few examples."""
    return "\n".join(_lines(comparison))


# --------------------------------------------------------------------------------------------- reading both sides


def _read_truth(truth: Path) -> tuple[dict[str, Any], list[Row]]:
    about_path, expectation_path = truth / "about.json", truth / "expectation.parquet"
    if not about_path.is_file() or not expectation_path.is_file():
        raise SettingsError(
            f"truth folder {truth.name}",
            expected="about.json and expectation.parquet, as `stratify synth --truth` writes them",
            found="not both",
            action="Correct TRUTH, or make the county again with --truth.",
        )
    about: dict[str, Any] = json.loads(about_path.read_text(encoding="utf-8"))
    digest = sha256(expectation_path.read_bytes()).hexdigest()
    if about.get("version") != _TRUTH_VERSION or about["truth"].get(expectation_path.name) != digest:
        raise SettingsError(
            f"truth folder {truth.name}",
            expected=f"version {_TRUTH_VERSION} and the files about.json was written for",
            found="another version or changed files",
            action="Make the county again with --truth.",
        )
    return about, pl.read_parquet(expectation_path).to_dicts()


def _check_same_county(plan: Plan, about: Mapping[str, Any]) -> None:
    used = {each.file_name: each.sha256 for each in plan.files}
    others = sum(1 for name, digest in about["extracts"].items() if used.get(name) != digest)
    if others or plan.settings.index_date.isoformat() != about["index_date"]:
        raise RunError(
            f"run {plan.run_id}",
            expected=f"a run of the extract files the truth is about, for {about['index_date']}",
            found=f"{others} other files, for {plan.settings.index_date.isoformat()}",
            action="Run the county's extract files for that day, or give the truth that was made with them.",
        )


def _checked_purpose(plan: Plan) -> str:
    policy = plan.settings.privacy
    if policy.purpose == "case_finding" and {policy.type_1, policy.national, policy.local} != {"exclude"}:
        raise SettingsError(
            f"run {plan.run_id}, privacy",
            expected="direct_care, or case_finding that excludes for every objection",
            found="case_finding with an exemption",
            action="The truth knows no exemptions: score a run without them.",
        )
    return policy.purpose


def _read_run(store: Store) -> dict[str, Row]:
    """Give everybody in the run with status, decisions, scores and values, by patient key."""
    run: dict[str, Row] = {}
    for key, status, may_be_counted in store.rows("SELECT patient_key, person_status, may_be_counted FROM core.person"):
        run[key] = {"person_status": status, "may_be_counted": may_be_counted}
    for key, pathway, *decision in store.rows(
        "SELECT patient_key, pathway, decision, clinic_id, rule_id, tier FROM derived.pathway_decision"
    ):
        run[key][pathway] = tuple(decision)
    for key, score, *graded in store.rows(
        "SELECT patient_key, score, tier, possible_tiers, value FROM derived.patient_score"
    ):
        run[key][score] = tuple(graded)
    for key, variable, value in store.rows(
        "SELECT patient_key, variable, value FROM derived.variable_value WHERE state = 'known'"
    ):
        run[key][variable] = value
    return run


def _withheld_in_run(store: Store) -> dict[str, int]:
    rows = store.rows("SELECT reason, people_count FROM audit.withheld WHERE surface = 'direct_care'")
    return {str(reason): int(count) for reason, count in rows}


# ------------------------------------------------------------------------------------------------------ comparing


def _compare(
    plan: Plan,
    purpose: str,
    about: Mapping[str, Any],
    expected: list[Row],
    run: dict[str, Row],
    counted: Mapping[str, int],
    key: bytes,
) -> Comparison:
    differences: list[Difference] = []
    on_pathway, agreeing, withheld = Counter[str](), Counter[str](), Counter[str]()
    split_keys: dict[str, tuple[Row, int]] = {}
    left = dict(run)
    for number, row in enumerate(expected, 1):
        tell = _teller(row, number, key, differences)
        records = [tuple(each.split("/", 1)) for each in row["records"].split(";")]
        own = [privacy.local_pseudonym(key, org, record) for org, record in records]
        person_key = privacy.pseudonym(key, row["nhs_number"]) if row["nhs_number"] else own[0]
        split_keys |= {each: (row, number) for each in own if each != person_key}
        found = left.pop(person_key, None)
        reason = row["withheld_because"] if purpose == "case_finding" else None
        if reason and found is None:
            withheld[reason] += 1
        elif reason:
            tell(PERSON, "not withheld", reason, "in the run")
        elif found is None:
            tell(PERSON, "missing from the run", row["person_status"], "not in the run")
        else:
            _compare_person(row, found, tell)
            for pathway in PATHWAYS:
                if row[f"{pathway}_decision"] is not None or pathway in found:
                    on_pathway[pathway] += 1
                    before = len(differences)
                    _compare_pathway(pathway, row, found, tell)
                    agreeing[pathway] += len(differences) == before
    for person_key, found in sorted(left.items()):
        # A record whose NHS number was spoilt stands alone in the run, and may have lost its objection.
        row, number = split_keys.get(person_key, (_NOBODY, 0))
        tell = _teller(row, number, key, differences)
        tell(PERSON, "not in the truth", "one person", f"a person of its own, {found['person_status']}")
        if purpose == "case_finding" and row["withheld_because"]:
            tell(PERSON, "not withheld", row["withheld_because"], "in the run as a record without NHS number")
    faults = Counter[str]()
    for row in expected:
        faults.update(_faults(row))
    if about["is_clean"] and counted and dict(counted) != dict(withheld):
        _teller(_NOBODY, 0, key, differences)(PERSON, "withheld count", _counts(withheld), _counts(counted))
    return Comparison(
        run_id=plan.run_id,
        purpose=purpose,
        is_clean=bool(about["is_clean"]),
        people=len(expected),
        touched=sum(1 for row in expected if row["faults"]),
        withheld=dict(sorted(withheld.items())),
        on_pathway={pathway: on_pathway[pathway] for pathway in PATHWAYS},
        agreeing={pathway: agreeing[pathway] for pathway in PATHWAYS},
        differences=tuple(differences),
        faults=dict(sorted(faults.items())),
    )


_NOBODY: Row = {"org_code": "", "source_patient_id": "", "withheld_because": None, "faults": None}
_Tell = Callable[[str, str, object, object], None]


def _faults(row: Row) -> tuple[str, ...]:
    return tuple(row["faults"].split(";")) if row["faults"] else ()


def _teller(row: Row, number: int, key: bytes, differences: list[Difference]) -> _Tell:
    reference = privacy.local_pseudonym(key, row["org_code"], row["source_patient_id"])[:12]

    def tell(place: str, kind: str, expected: object, found: object) -> None:
        differences.append(Difference(place, kind, str(expected), str(found), number, reference, _faults(row)))

    return tell


def _compare_person(row: Row, found: Row, tell: _Tell) -> None:
    if found["person_status"] != row["person_status"]:
        tell(PERSON, "wrong status", row["person_status"], found["person_status"])
    may_be_counted = row["withheld_because"] is None
    if bool(found["may_be_counted"]) != may_be_counted:
        tell(PERSON, "wrongly counted", may_be_counted, found["may_be_counted"])


def _compare_pathway(pathway: str, row: Row, found: Row, tell: _Tell) -> None:
    wanted = (row[f"{pathway}_decision"], row[f"{pathway}_clinic"], row[f"{pathway}_rule"])
    decision, clinic, rule, tier = found.get(pathway, (None, None, None, None))
    should_be, is_listed = wanted[0] in _ON_A_LIST, decision in _ON_A_LIST
    words = (_route(*wanted), _route(decision, clinic, rule))
    if should_be and not is_listed:
        tell(pathway, "missed", *words)
    elif is_listed and not should_be:
        tell(pathway, "wrongly listed", *words)
    elif (decision, clinic) != wanted[:2]:
        tell(pathway, "wrong route", *words)
    elif rule != wanted[2]:
        tell(pathway, "wrong rule", *words)
    for score, tier_column, open_column in _SCORES[pathway]:
        graded = found.get(score, (None, None, None))
        if (row[tier_column], row[open_column]) != graded[:2]:
            tell(pathway, "wrong tier", _graded(score, row[tier_column], row[open_column]), _graded(score, *graded[:2]))
    if decision is not None and tier != row[_SCORES[pathway][0][1]]:
        tell(pathway, "wrong tier", f"{row[_SCORES[pathway][0][1]]} beside the decision", f"{tier} beside it")
    for name, value, other in _values(pathway, row, found):
        if value != other:
            tell(pathway, "wrong value", f"{name} {_figure(value)}", _figure(other))


def _values(pathway: str, row: Row, found: Row) -> Iterator[tuple[str, float | None, float | None]]:
    if pathway == "copd":
        for name in _MEASURED:
            yield name, row[name], found.get(name)
        for name in _COUNTED:
            yield name, row[name], found.get(name, 0)
        return
    yield "medicines_count", row["medicines_count"], found.get("medicines_count", 0)
    deficits, points = found.get("efi", (None, None, None))[2], found.get("hospital_frailty", (None, None, None))[2]
    yield "deficits of the eFI", row["efi_deficits"], None if deficits is None else round(deficits * 36)
    yield "hospital_frailty_points", row["hospital_frailty_points"], None if points is None else round(points, 6)


# ---------------------------------------------------------------------------------------------------------- words


def _lines(comparison: Comparison) -> Iterator[str]:
    kind = "clean" if comparison.is_clean else f"with dirt that touched {comparison.touched:,} people"
    yield f"Run {comparison.run_id} against the truth: {comparison.people:,} invented people, {kind}"
    for reason, count in comparison.withheld.items():
        yield f"  {count:,} withheld as they should be: {reason}"
    people = [each for each in comparison.differences if each.place == PERSON]
    yield f"  people: {_kinds(people) or 'withheld, counted and placed as they should be'}"
    for pathway in PATHWAYS:
        on, agreeing = comparison.on_pathway[pathway], comparison.agreeing[pathway]
        found = [each for each in comparison.differences if each.place == pathway]
        yield f"  {pathway}: {on:,} people, {agreeing:,} agree{'; ' + _kinds(found) if found else ''}"
    for fault, count in comparison.faults.items():
        mine = [each for each in comparison.differences if fault in each.faults]
        differ = len({each.row for each in mine})
        yield f"  {fault}: {count:,} people, {differ:,} differ{': ' + _kinds(mine) if mine else ''}"
    unexplained = comparison.unexplained
    if not unexplained:
        yield "Run and truth agree" + ("." if comparison.is_clean else " on everybody whom no dirt touched.")
        return
    yield f"{len(unexplained):,} differences that no dirt explains; the first {min(len(unexplained), MOST_EXAMPLES)}:"
    for each in unexplained[:MOST_EXAMPLES]:
        place = f"{each.place}, {each.kind}"
        yield f"  {place}: expected {each.expected}; found {each.found} [{each.reference}, row {each.row} of the truth]"


def _kinds(differences: list[Difference]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(Counter(each.kind for each in differences).items()))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items())) or "nobody"


def _route(decision: str | None, clinic: str | None, rule: str | None) -> str:
    return "nothing" if decision is None else f"{decision} {clinic or ''} by {rule}".replace("  ", " ")


def _graded(score: str, tier: str | None, possible: str | None) -> str:
    return f"{score} {tier or 'none'} ({possible or 'none'} open)"


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:g}"
