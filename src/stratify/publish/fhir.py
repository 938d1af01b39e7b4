"""The proposals of a week as FHIR R4, for practice systems that take them: one Bundle a practice, off unless asked for.

Direct care only. Belongs here: which resources say what, and under which systems and ids. Who is listed or offered what
was settled before. A person is named by NHS number and by nothing else; one whose number is not verified by none, so
that no system takes the proposal for somebody else's. Everything is a draft that a clinician decides on. The id of a
resource follows from week, list and person, so that the same week again gives the same; there is no clock.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratify.codes import is_unverified
from stratify.publish import words
from stratify.publish.context import PublishContext, folder_name, row_reference
from stratify.publish.offers import OFFERS_PLACE
from stratify.publish.workbook import DECISION_SUPPORT
from stratify.rulebook import RuleBook
from stratify.rules import Clinic, Pathway
from stratify.store import Store

FHIR_PLACE = "fhir"

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"
SNOMED_CT = "http://snomed.info/sct"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
OWN = "urn:stratify"
"""Begins the systems of our own: rows, rules, scores, tiers, places, flags and runs."""

_IDS = uuid.UUID("5c1f3a52-6f0e-5d1b-9a53-3f6c7a0b8e11")
_CODED_IN = {"gp_event": SNOMED_CT, "gp_observation": SNOMED_CT, "apc_diagnosis": ICD_10}
_SNOMED = re.compile(r"[1-9][0-9]{5,17}")
_COMPARATORS = ("<", "<=", ">=", ">")
_SHOWN_FLAGS = (
    "CARE_HOME_NURSING", "CARE_HOME_RESIDENTIAL", "CARE_HOME_UNSPECIFIED", "HOUSEBOUND", "PALLIATIVE",
    "LEARNING_DISABILITY", "DEMENTIA",
)  # fmt: skip
"""Flags that change how or where a person is seen; the others stay in the record."""

_PEOPLE = """
CREATE OR REPLACE TEMP TABLE fhir_row AS
SELECT p.patient_key, p.pathway, p.practice_code, p.clinic_id, p.offer_id, p.placement, p.decision, p.clinic_date,
    p.priority_rank, d.pathway_version, d.rule_id, d.reason, d.tier, d.data_gaps, c.preferred_language,
    c.interpreter_needed, c.ais_format, c.is_hospital_linked, c.identity_doubt, c.is_spine_sensitive,
    i.nhs_number, i.nhs_number_status
FROM derived.placement AS p
JOIN derived.pathway_decision AS d USING (patient_key, pathway)
JOIN core.person AS c USING (patient_key)
LEFT JOIN identity.person AS i USING (patient_key)
WHERE p.practice_code IS NOT NULL AND p.placement IN ('listed', 'offered')
"""
_ROWS = "SELECT * FROM fhir_row ORDER BY practice_code, clinic_id, priority_rank NULLS LAST, patient_key, pathway"
_FACTS = """
SELECT r.practice_code, f.patient_key, f.pathway, f.variable, f.text, v.value, v.bound, v.value_date, v.source_table,
    v.source_code
FROM fhir_row AS r JOIN derived.reason AS f USING (patient_key, pathway)
LEFT JOIN derived.variable_value AS v USING (patient_key, variable)
ORDER BY r.practice_code, f.patient_key, f.pathway, f.position
"""
_FLAGS = """
SELECT DISTINCT r.practice_code, f.patient_key, f.flag, min(f.start_date) AS start_date
FROM fhir_row AS r JOIN core.patient_flag AS f USING (patient_key)
WHERE f.flag IN ({shown}) AND f.start_date <= '{today}' AND (f.end_date IS NULL OR f.end_date > '{today}')
GROUP BY ALL ORDER BY ALL
"""
_PRACTICES = """
SELECT practice_code, arg_max(practice_name, valid_from) FROM core.practice GROUP BY practice_code ORDER BY ALL
"""

Row = dict[str, Any]
Resource = dict[str, Any]


def write_bundles(store: Store, folder: Path, context: PublishContext, book: RuleBook) -> list[Path]:
    """Write one Bundle for each practice with somebody on a list or an offer.

    Args:
        store: The run's store, with ``identity`` attached.
        folder: Where the practices' folders go.
        context: The run.
        book: The rule book: what variables are called.

    Returns:
        The files written, sorted.
    """
    store.execute(_PEOPLE)
    shown = ", ".join(f"'{each}'" for each in _SHOWN_FLAGS)
    flags_now = _FLAGS.format(shown=shown, today=context.index_date)
    names = dict(store.rows(_PRACTICES))
    practices = [practice for (practice,) in store.rows("SELECT DISTINCT practice_code FROM fhir_row ORDER BY ALL")]
    written = []
    with (
        store.parted(_ROWS, "practice_code") as rows,
        store.parted(_FACTS, "practice_code") as facts,
        store.parted(flags_now, "practice_code") as flags,
    ):
        for practice in context.told(practices, "FHIR bundles"):
            made = _Bundle(context, book, practice, names.get(practice, practice))
            bundle = made.bundle(*(part(practice).to_dicts() for part in (rows, facts, flags)))
            path = folder / folder_name(practice) / FHIR_PLACE / context.file_name("bundle", "json")
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(_inert(bundle), ensure_ascii=False, sort_keys=True)
            path.write_text(text + "\n", encoding="utf-8")
            written.append(path)
    return written


@dataclass(frozen=True)
class _Bundle:
    """Writes the resources of one practice."""

    context: PublishContext
    book: RuleBook
    practice: str
    practice_name: str

    def bundle(self, rows: Sequence[Row], facts: Iterable[Row], flags: Iterable[Row]) -> Resource:
        """Give the Bundle: practice, flags, and for each row what was found, what is proposed, and who decides."""
        known: dict[tuple[str, str], list[Row]] = {}
        for fact in facts:
            known.setdefault((fact["patient_key"], fact["pathway"]), []).append(fact)
        resources = [self._organization()]
        tasks: dict[str, list[Resource]] = {}
        for row in rows:
            assessment = self._risk_assessment(row, known.get((row["patient_key"], row["pathway"]), []))
            request = self._service_request(row, assessment)
            task = self._task(row, assessment, request)
            resources += [each for each in (assessment, request, task) if each]
            tasks.setdefault(_place_of(row), []).append(task)
        people = {row["patient_key"]: row for row in rows}
        resources += [flag for row in people.values() for flag in self._needs(row)]
        resources += [self._flag(people[each["patient_key"]], each) for each in flags]
        resources += [self._list(place, mine) for place, mine in sorted(tasks.items())]
        return {
            "resourceType": "Bundle",
            "id": self._id("Bundle", self.practice),
            "identifier": {"system": f"{OWN}:run", "value": f"{self.context.run_id}-{self.practice}"},
            "type": "collection",
            "timestamp": f"{self.context.index_date}T00:00:00Z",
            **_test(self.context.is_test),
            "entry": [{"fullUrl": _url(each), "resource": each} for each in resources],
        }

    # ------------------------------------------------------------------------------------------------ one person

    def _risk_assessment(self, row: Row, facts: Sequence[Row]) -> Resource:
        pathway = self.context.pathways[row["pathway"]]
        contained: list[Resource] = []
        basis: list[Resource] = []
        for fact in facts:
            observation = self._observation(fact, f"fact-{len(contained) + 1}")
            if observation:
                contained.append(observation)
                basis.append({"reference": f"#{observation['id']}", "display": fact["text"]})
            else:
                basis.append({"display": fact["text"]})
        score = self.context.scores.get(pathway.tier_from or "")
        rules = [_coding("pathway", pathway.id, pathway.label, row["pathway_version"])]
        rules += [_coding("score", score.id, score.label, score.version)] if score else []
        tier = words.tier_in_words(pathway, self.context.scores, row["tier"]) or "Not graded on this pathway"
        risk: Resource = {"text": tier}
        if score and row["tier"]:
            risk["coding"] = [_coding(f"tier:{score.id}", row["tier"], tier, score.version)]
        gaps = [{"text": each.strip()} for each in (row["data_gaps"] or "").split(";") if each.strip()]
        return self._about(row, "RiskAssessment", "preliminary") | {
            **({"contained": contained} if contained else {}),
            "method": {"coding": rules, "text": f"Rules of the pathway {pathway.label}, rule {row['rule_id']}"},
            "occurrenceDateTime": self.context.index_date.isoformat(),
            "performer": self._program(),
            **({"basis": basis} if basis else {}),
            "prediction": [
                {
                    "outcome": {"text": f"Need for {self._proposed(row, pathway)}"},
                    "qualitativeRisk": risk,
                    "rationale": row["reason"],
                }
            ],
            "note": [{"text": DECISION_SUPPORT}, *gaps],
        }

    def _observation(self, fact: Row, name: str) -> Resource | None:
        """Give a fact as it was found; None where the reason is no variable."""
        variable = self.book.variables.get(fact["variable"])
        if variable is None or fact["value"] is None:
            return None
        code: Resource = {"text": variable.label}
        is_one_record = variable.is_value or variable.take == "has"
        table, found = (fact["source_table"] or "").split(".")[-1], fact["source_code"] or ""
        system = _CODED_IN.get(table)
        if is_one_record and found and system and (system != SNOMED_CT or _SNOMED.fullmatch(found)):
            code["coding"] = [{"system": system, "code": found}]
        if variable.take == "has":
            value: Resource = {"valueBoolean": fact["value"] > 0}
        elif variable.is_value:
            quantity = {"value": round(fact["value"], 4), "unit": variable.unit}
            bound = {"comparator": fact["bound"]} if fact["bound"] in _COMPARATORS else {}
            value = {"valueQuantity": quantity | bound}
        else:
            value = {"valueQuantity": {"value": round(fact["value"], 4)}}
        day = {"effectiveDateTime": fact["value_date"].isoformat()} if is_one_record and fact["value_date"] else {}
        note = {"note": [{"text": words.source_in_words(table)}]} if table else {}
        return {"resourceType": "Observation", "id": name, "status": "unknown", "code": code, **value, **day, **note}

    def _service_request(self, row: Row, assessment: Resource) -> Resource | None:
        """Give what is proposed to be booked or offered; None for a worklist, which is the practice's own work."""
        pathway = self.context.pathways[row["pathway"]]
        clinic = _clinic(row, pathway)
        if clinic and not clinic.needs_capacity:
            return None
        roles = {"performerType": {"text": words.roles_in_words(clinic.roles)}} if clinic else {}
        day = {"occurrenceDateTime": row["clinic_date"].isoformat()} if row["clinic_date"] else {}
        place = row["clinic_id"] if clinic else row["offer_id"]
        label = self._proposed(row, pathway)
        return self._about(row, "ServiceRequest", "draft") | {
            "intent": "proposal",
            "code": {"coding": [_coding("place", place, label, row["pathway_version"])], "text": label},
            **roles,
            **day,
            "authoredOn": self.context.index_date.isoformat(),
            "reasonCode": [{"text": row["reason"]}],
            "supportingInfo": [_to(assessment)],
            "note": [{"text": DECISION_SUPPORT}],
        }

    def _task(self, row: Row, assessment: Resource, request: Resource | None) -> Resource:
        pathway = self.context.pathways[row["pathway"]]
        task = self._about(row, "Task", "draft", subject="for") | {
            "intent": "proposal",
            "code": {"text": "Decide on the proposal" if request else self._proposed(row, pathway)},
            "description": f"{self._proposed(row, pathway)}: {row['reason']}",
            "authoredOn": self.context.index_date.isoformat(),
            "owner": {"reference": f"urn:uuid:{self._id('Organization', self.practice)}"},
            "reasonReference": _to(assessment),
            "note": [{"text": DECISION_SUPPORT}],
        }
        return task | ({"basedOn": [_to(request)], "focus": _to(request)} if request else {})

    def _needs(self, row: Row) -> Iterable[Resource]:
        """Give as flags what whoever reaches this person must know first."""
        language = words.language_in_words(row["preferred_language"], row["interpreter_needed"])
        needs = {
            "interpreter": language if row["interpreter_needed"] else None,
            "format": f"Format needed: {words.formats_in_words(row['ais_format'])}" if row["ais_format"] else None,
            "sensitive": "Sensitive record: contact from the practice record only"
            if row["is_spine_sensitive"]
            else None,
            "identity": "Confirm who this is before any contact" if _is_in_doubt(row) else None,
            "unlinked": None if row["is_hospital_linked"] else "Hospital data not linked: admissions are not known",
        }
        return [self._flag(row, {"flag": name, "text": text}) for name, text in needs.items() if text]

    def _flag(self, row: Row, flag: Row) -> Resource:
        text = flag.get("text") or words.plain(flag["flag"].lower())
        start = {"period": {"start": flag["start_date"].isoformat()}} if flag.get("start_date") else {}
        return {
            "resourceType": "Flag",
            "id": self._id("Flag", flag["flag"], row["patient_key"]),
            "status": "active",
            "code": {"coding": [{"system": f"{OWN}:flag", "code": flag["flag"].lower()}], "text": text},
            "subject": self._subject(row),
            **start,
            **_test(self.context.is_test),
        }

    # ----------------------------------------------------------------------------------------------- the practice

    def _organization(self) -> Resource:
        return {
            "resourceType": "Organization",
            "id": self._id("Organization", self.practice),
            "identifier": [{"system": ODS_CODE, "value": self.practice}],
            "name": self.practice_name,
        }

    def _list(self, place: str, tasks: Sequence[Resource]) -> Resource:
        clinics = {each.id: each.label for pathway in self.context.pathways.values() for each in pathway.places}
        label = clinics.get(place, "Self-management offers")
        return {
            "resourceType": "List",
            "id": self._id("List", place, self.practice),
            "status": "current",
            "mode": "snapshot",
            "title": f"{label}, week of {words.week_in_words(self.context.index_date)}",
            "code": {"coding": [{"system": f"{OWN}:place", "code": place}], "text": label},
            "date": self.context.index_date.isoformat(),
            "source": self._program(),
            "orderedBy": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-order", "code": "priority"}]
            },
            "note": [{"text": DECISION_SUPPORT}],
            "entry": [{"item": _to(task)} for task in tasks],
            **_test(self.context.is_test),
        }

    def _about(self, row: Row, kind: str, status: str, *, subject: str = "subject") -> Resource:
        """Begin a resource about a person: its id, the row of the list it belongs to, and whose it is."""
        reference = row_reference(self.context.index_date, _place_of(row), row["patient_key"])
        return {
            "resourceType": kind,
            "id": self._id(kind, row["pathway"], _place_of(row), row["patient_key"]),
            "identifier": [{"system": f"{OWN}:row-reference", "value": reference}],
            "status": status,
            subject: self._subject(row),
            **_test(self.context.is_test),
        }

    def _subject(self, row: Row) -> Resource:
        if _is_in_doubt(row):
            return {"type": "Patient", "display": "To be confirmed: find the row reference in the workbook"}
        return {"type": "Patient", "identifier": {"system": NHS_NUMBER, "value": row["nhs_number"]}}

    def _program(self) -> Resource:
        return {"type": "Device", "display": f"stratify {self.context.code_version}"}

    def _proposed(self, row: Row, pathway: Pathway) -> str:
        clinic = _clinic(row, pathway)
        return clinic.label if clinic else pathway.offer(row["offer_id"]).label

    def _id(self, *parts: str) -> str:
        return str(uuid.uuid5(_IDS, "|".join((self.context.index_date.isoformat(), *parts))))


def _is_in_doubt(row: Row) -> bool:
    return not row["nhs_number"] or is_unverified(row["nhs_number_status"]) or bool(row["identity_doubt"])


def _clinic(row: Row, pathway: Pathway) -> Clinic | None:
    return pathway.clinic(row["clinic_id"]) if row["placement"] == "listed" else None


def _place_of(row: Row) -> str:
    return str(row["clinic_id"]) if row["placement"] == "listed" else OFFERS_PLACE


def _coding(system: str, code: str, display: str, version: str) -> Resource:
    return {"system": f"{OWN}:{system}", "version": version, "code": code, "display": display}


def _url(resource: Resource) -> str:
    return f"urn:uuid:{resource['id']}"


def _to(resource: Mapping[str, Any]) -> Resource:
    return {"reference": f"urn:uuid:{resource['id']}"}


def _inert(found: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    if isinstance(found, str):
        return words.without_marks(found)
    if isinstance(found, Mapping):
        return {key: _inert(value) for key, value in found.items()}
    return [_inert(value) for value in found] if isinstance(found, list) else found


def _test(is_test: bool) -> Resource:
    """Mark what is about invented people as FHIR does: test health data."""
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
    return {"meta": {"security": [label]}} if is_test else {}
