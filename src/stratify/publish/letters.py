"""Letters and messages to people who are offered something or invited: made ready for the practice, never sent.

Direct care only. For each letter and practice: a PDF of letters, a batch for the messaging system, and a list of people
whom a person has to reach by hand, with the reason: also everybody for whom nobody has written a letter. Belongs here:
who can be written to in which way. What a letter says is data (``clinical/wording/letters``); nobody is chosen here.

Somebody who died, left, or declined text messages gets none; a sensitive record never leaves by this way; a needed
format that a letter cannot be had in stops it (Accessible Information Standard, DAPB1605), and so does a practice whose
number to ring nobody wrote down. An invitation to a clinic is
written only for people whom a clinician accepted: a tier is a proposal (UK GDPR articles 22A to 22D).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from stratify import periods
from stratify.codes import is_unverified, spaced
from stratify.publish import words
from stratify.publish.context import PublishContext, folder_name, row_reference
from stratify.publish.offers import OFFERS_PLACE, write_safe_csv
from stratify.publish.pdf import write_pdf
from stratify.rules.wording import Letter
from stratify.store import Store

LETTERS_PLACE = "letters"
MOST_IN_A_BATCH = 500
"""Rows of one batch file; a choice of ours, small enough to be looked through before it is sent."""

_CHANNELS = {"sms": "message", "nhs_app": "message", "letter": "letter", None: "message"}
_BATCH_COLUMNS = {
    "emis": ("NHS number", "EMIS number"),
    "systmone": ("NHS number", "Mobile", "Date of birth", "Family name", "Given names"),
}

_PEOPLE = """
SELECT p.patient_key, p.pathway, p.practice_code, p.clinic_id, p.placement, c.person_status, c.is_spine_sensitive,
    c.contact_preference, c.preferred_language, c.interpreter_needed, c.ais_format, c.has_digital_access,
    c.identity_doubt, i.nhs_number, i.nhs_number_status, i.family_name, i.given_names, i.title, i.phone_mobile,
    i.address_lines, i.postcode, coalesce(i.date_of_birth, c.date_of_birth) AS date_of_birth, e.plain_reason,
    exists(SELECT 1 FROM core.death AS d WHERE d.patient_key = p.patient_key) AS has_died
FROM derived.placement AS p JOIN core.person AS c USING (patient_key)
LEFT JOIN derived.explanation AS e USING (patient_key, pathway)
LEFT JOIN identity.person AS i USING (patient_key)
WHERE p.practice_code IS NOT NULL AND p.placement IN ('offered', 'listed')
ORDER BY p.practice_code, p.pathway, p.patient_key
"""
_SENDERS = """
SELECT DISTINCT practice_code FROM derived.placement
WHERE practice_code IS NOT NULL AND placement IN ('offered', 'listed') ORDER BY ALL
"""
_ACCEPTED = """
SELECT patient_key FROM (
    SELECT patient_key, outcome, outcome_date, max(outcome_date) OVER (PARTITION BY patient_key) AS latest
    FROM core.outcome WHERE outcome_date <= $1 AND (pathway = $2 OR pathway IS NULL))
WHERE outcome_date = latest GROUP BY ALL HAVING bool_and(outcome = 'accepted')
"""
_NOT_REACHED = """
SELECT t.patient_key, t.practice_code, t.row_reference, t.status, t.delivery_date, c.is_spine_sensitive,
    c.preferred_language, c.interpreter_needed, c.ais_format, i.nhs_number, i.family_name, i.given_names, i.phone_mobile
FROM (
    SELECT *, row_number() OVER (PARTITION BY patient_key ORDER BY delivery_date DESC, status = 'reached' DESC, status)
        AS back FROM audit.delivery
) AS t JOIN core.person AS c USING (patient_key, practice_code) LEFT JOIN identity.person AS i USING (patient_key)
WHERE t.back = 1 AND t.status <> 'reached' AND c.person_status = 'registered' AND NOT EXISTS (
    SELECT 1 FROM audit.transition AS s WHERE s.patient_key = t.patient_key AND s.effective_date > t.delivery_date
        AND s.outcome IS NOT NULL AND s.outcome NOT IN ('accepted', 'concern', 'disagreement'))
ORDER BY t.practice_code, t.delivery_date, t.row_reference
"""
_LINES_OF_ADDRESS = 5
_NO_PHONE = "No letter: the number of the practice is not known (setting practice_phones)"
_NO_LETTER = "No letter is written for this: ring, or tell the person at a visit"
_PLACES = re.compile(r"\{practice\}|\{phone\}")
_NOT_REACHED_WORDS = {
    "failed": "was not delivered: call, or write",
    "blocked": "was blocked: call, or write, and ask how to reach this person",
}
_PRACTICES = """
SELECT practice_code, arg_max(practice_name, valid_from) FROM core.practice GROUP BY practice_code ORDER BY ALL
"""

Row = dict[str, Any]
Shape = Literal["emis", "systmone"]


@dataclass(frozen=True)
class _Sender:
    """Who writes, and the number to ring; nothing is written where nobody can ring back."""

    practice: str
    phone: str | None

    def filled(self, text: str) -> str:
        """Fill in a text of a letter; a placeholder in the name of a practice stays as it is."""
        known = {"{practice}": self.practice, "{phone}": self.phone or ""}
        return _PLACES.sub(lambda found: known[found[0]], text)


def write_letters(
    store: Store,
    folder: Path,
    context: PublishContext,
    letters: Mapping[str, Letter],
    *,
    shape: Shape = "emis",
) -> list[Path]:
    """Write letters, message batches and lists of whom to reach by hand, for each practice and letter.

    Args:
        store: The run's store, with ``identity`` attached.
        folder: Where the practices' folders go.
        context: The run.
        letters: The letters, by id; where a pathway has none, a person tells people.
        shape: The record system of the practices, for the shape of the batch.

    Returns:
        The files written, sorted.
    """
    accepted = {pathway: _accepted(store, context, pathway) for pathway in context.pathways}
    names = dict(store.rows(_PRACTICES))
    missed = store.frame(_NOT_REACHED).to_dicts()
    written = _write_not_reached(folder, missed, context)
    why = {row["patient_key"]: _not_reached(row) for row in missed}
    practices = [practice for (practice,) in store.rows(_SENDERS)]
    with store.parted(_PEOPLE, "practice_code") as people:
        for practice in context.told(practices, "Letters"):
            mine = [{**row, "not_reached": why.get(row["patient_key"])} for row in people(practice).to_dicts()]
            sender = _Sender(names.get(practice, practice), context.practice_phones.get(practice))
            for letter in letters.values():
                chosen = [row for row in mine if _is_for(letter, row, accepted.get(letter.pathway, set()))]
                if chosen:
                    place = folder / folder_name(practice) / LETTERS_PLACE / folder_name(letter.id)
                    written += _write(place, letter, chosen, sender, context, shape)
            written += _write_without_letter(folder / folder_name(practice), mine, letters, accepted, context)
    return sorted(written)


def _write_without_letter(
    folder: Path,
    rows: Sequence[Row],
    letters: Mapping[str, Letter],
    accepted: Mapping[str, set[str]],
    context: PublishContext,
) -> list[Path]:
    """Write who has an offer, or was accepted for a clinic, and has no letter that says so: nobody goes untold.

    Not who is on a worklist: working through it is to ring them.
    """

    def is_invited(row: Row) -> bool:
        if row["placement"] == "offered":
            return True
        clinic = context.pathways[row["pathway"]].clinic(row["clinic_id"])
        return clinic.needs_capacity and row["patient_key"] in accepted[row["pathway"]]

    lines = [
        _by_hand(row, _with_care(row) or _NO_LETTER, context.pathways[row["pathway"]].label, context)
        for row in rows
        if is_invited(row) and not any(_is_meant_for(letter, row) for letter in letters.values())
    ]
    if not lines:
        return []
    path = folder / LETTERS_PLACE / context.file_name("no_letter", "csv")
    write_safe_csv(path, pl.DataFrame(lines, infer_schema_length=None).sort("letter", "row_reference"))
    return [path]


def _write_not_reached(folder: Path, rows: Sequence[Row], context: PublishContext) -> list[Path]:
    """Write for each practice whom its messages did not reach, until something comes back about them."""
    by_practice: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        line = _line_to_call(row, row["row_reference"], _not_reached(row))
        by_practice.setdefault(row["practice_code"], []).append(line)
    written = []
    for practice, lines in by_practice.items():
        path = folder / folder_name(practice) / LETTERS_PLACE / context.file_name("not_delivered", "csv")
        write_safe_csv(path, pl.DataFrame(lines, infer_schema_length=None))
        written.append(path)
    return written


def _not_reached(row: Row) -> str:
    return f"The message of {periods.in_words(row['delivery_date'])} {_NOT_REACHED_WORDS[row['status']]}"


def _is_for(letter: Letter, row: Row, accepted: set[str]) -> bool:
    return _is_meant_for(letter, row) and (not letter.needs_acceptance or row["patient_key"] in accepted)


def _is_meant_for(letter: Letter, row: Row) -> bool:
    if row["pathway"] != letter.pathway:
        return False
    if letter.clinic:
        return bool(row["placement"] == "listed" and row["clinic_id"] == letter.clinic)
    return bool(row["placement"] == "offered")


def _accepted(store: Store, context: PublishContext, pathway: str) -> set[str]:
    """Give whom a clinician accepted on a pathway, and of whom nothing came back since or on the same day."""
    if not store.scalar("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'core' AND table_name = 'outcome'"):
        return set()
    return {key for (key,) in store.rows(_ACCEPTED, [context.index_date, pathway])}


def _write(
    place: Path, letter: Letter, rows: Sequence[Row], sender: _Sender, context: PublishContext, shape: Shape
) -> list[Path]:
    ways: dict[str, list[Row]] = {"message": [], "letter": []}
    by_hand = []
    for row in rows:
        way, why_not = way_to_reach(row, letter)
        why_not = why_not or (None if sender.phone else _NO_PHONE)
        if why_not:
            by_hand.append(_by_hand(row, why_not, letter.label, context))
        else:
            ways[way].append(row)
    written = []
    if ways["letter"]:
        path = place / context.file_name("letters", "pdf")
        content = _content(letter, ways["letter"], sender, context)
        write_pdf(path, "letter", content, made=context.index_date)
        written.append(path)
    for number, start in enumerate(range(0, len(ways["message"]), MOST_IN_A_BATCH), 1):
        batch = ways["message"][start : start + MOST_IN_A_BATCH]
        path = place / context.file_name(f"messages_{shape}_{number}", "csv")
        write_safe_csv(path, pl.DataFrame([_batch_row(row, shape) for row in batch], infer_schema_length=None))
        written.append(path)
    if ways["message"]:
        path = place / context.file_name("message", "txt")
        text = words.without_marks(sender.filled(letter.message))
        path.write_bytes(f"{'TEST: invented patients. ' if context.is_test else ''}{text}\r\n".encode())
        written.append(path)
    if by_hand:
        path = place / context.file_name("by_hand", "csv")
        write_safe_csv(path, pl.DataFrame(by_hand, infer_schema_length=None).sort("why", "row_reference"))
        written.append(path)
    return written


def way_to_reach(row: Mapping[str, Any], letter: Letter) -> tuple[Literal["message", "letter"], str | None]:
    """Give the way somebody can be written to, or why only a person can reach them.

    Args:
        row: What is known of reaching the person: ``core.person`` and ``identity.person``.
        letter: The letter; its formats.

    Returns:
        ``message`` or ``letter``, and None; or why it must be done by hand.
    """
    needed = {each.strip() for each in (row["ais_format"] or "").split(";") if each.strip()}
    lacking = sorted(each for each in needed if each.lower() not in {known.lower() for known in letter.formats})
    preference = row["contact_preference"]
    why_not = _with_care(row)
    if why_not:
        return "letter", why_not
    if lacking:
        why_not = f"Needs {', '.join(lacking)}: this letter cannot be had in it"
    elif row["interpreter_needed"]:
        language = words.language_in_words(row["preferred_language"], True)
        why_not = f"Call: {language}"
    elif row.get("not_reached"):
        why_not = str(row["not_reached"])
    elif preference not in _CHANNELS:
        why_not = f"Prefers {words.contact_in_words(preference, False)}"
    if why_not:
        return "letter", why_not
    if needed or preference == "letter" or row["has_digital_access"] is False:
        way: Literal["message", "letter"] = "letter"  # a message can be had in no format
    elif row["has_digital_access"] is None and preference is None:
        return "letter", "Call: nobody has asked how to reach this person"
    else:
        way = "message"
    if way == "letter" and not (row["address_lines"] and row["postcode"]):
        return "letter", "No address on record for a letter"
    if way == "message" and not row["phone_mobile"]:
        return "message", "No mobile number on record for a message"
    return way, None


def _with_care(row: Mapping[str, Any]) -> str | None:
    """Say what has to be looked up before anybody contacts this person, in whichever way."""
    if row["has_died"] or row["person_status"] != "registered":
        return "Do not contact: died or left, check the record"
    if row["is_spine_sensitive"]:
        return "Sensitive record: contact from the practice record only"
    if is_unverified(row["nhs_number_status"]) or row["identity_doubt"] or not row["nhs_number"]:
        return "Confirm who this is before any contact"
    return None


def _batch_row(row: Row, shape: Shape) -> dict[str, str]:
    """Give a row of a batch; no e-mail address, or there would be no text message where it fails."""
    born = row["date_of_birth"]
    values = {
        "NHS number": row["nhs_number"],
        "EMIS number": "",
        "Mobile": _as_dialled(row["phone_mobile"]),
        "Date of birth": f"{born:%d/%m/%Y}" if born else "",
        "Family name": row["family_name"] or "",
        "Given names": row["given_names"] or "",
    }
    return {name: values[name] for name in _BATCH_COLUMNS[shape]}


def _as_dialled(number: str) -> str:
    """Write a number without +44: a plus would be guarded as a formula, and the messaging system could not read it."""
    return f"0{number[3:].strip()}" if number.startswith("+44") else number


def _by_hand(row: Row, why: str, what: str, context: PublishContext) -> dict[str, str]:
    reference = row_reference(context.index_date, row["clinic_id"] or OFFERS_PLACE, row["patient_key"])
    line = _line_to_call(row, reference, why)
    return {"row_reference": line.pop("row_reference"), "letter": what, **line}


def _line_to_call(row: Row, reference: str, why: str) -> dict[str, str]:
    is_hidden = row["is_spine_sensitive"]
    return {
        "row_reference": reference,
        "nhs_number": spaced(row["nhs_number"]) or "",
        "family_name": row["family_name"] or "",
        "given_names": row["given_names"] or "",
        "mobile": "" if is_hidden else row["phone_mobile"] or "",
        "language": words.language_in_words(row["preferred_language"], row["interpreter_needed"]) or "",
        "format": words.formats_in_words(row["ais_format"]) or "",
        "why": why,
    }


def _content(letter: Letter, rows: Sequence[Row], sender: _Sender, context: PublishContext) -> dict[str, Any]:
    return {
        "title": letter.title,
        "stamp": "TEST: invented patients. Do not send." if context.is_test else "",
        "practice": sender.practice,
        "phone": sender.phone,
        "day": periods.in_words(context.index_date),
        "version": letter.version,  # and not its id: that would name the list it comes from
        "letters": [
            {
                "name": " ".join(filter(None, (row["title"], row["given_names"], row["family_name"]))),
                "address": [*_lines(row["address_lines"]), row["postcode"]],
                "large": bool(row["ais_format"]),
                "reference": row_reference(context.index_date, row["clinic_id"] or OFFERS_PLACE, row["patient_key"]),
                "sections": [
                    {
                        "heading": section.heading,
                        "lines": [
                            {"list": (row["plain_reason"] or "").split("\n")}
                            if line == "{why}"
                            else {"text": sender.filled(line)}
                            for line in section.lines
                        ],
                    }
                    for section in letter.sections
                ],
            }
            for row in rows
        ],
    }


def _lines(address: str) -> list[str]:
    """Part an address into lines, no more than the window of an envelope shows beside name and postcode."""
    lines = [each.strip() for each in address.replace("\n", ",").split(",") if each.strip()]
    most = _LINES_OF_ADDRESS - 1
    return [*lines[:most], ", ".join(lines[most:])] if len(lines) > most else lines
