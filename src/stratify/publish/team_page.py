"""The page of a practice's team: this week's lists of all its clinics in one file under lock, opened by a passphrase.

Direct care only, one file per practice, and per network for lists that its practices share. Belongs here: what the page
shows. Who is on a list comes ready from ``practice_lists``; encryption is ``page_lock``'s; the page itself is
``team_page.html.j2`` with its script and style, which asks nothing of any network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from stratify import disclosure, periods
from stratify.page_lock import THROWAWAY_PASSPHRASE, Lock
from stratify.publish import words
from stratify.publish.context import PublishContext, folder_name, row_reference
from stratify.publish.list_changes import NEW
from stratify.publish.offers import OFFERS_PLACE, how_to_offer
from stratify.publish.returned_rows import RETURNED_PLACE
from stratify.publish.team_answers import answer_form
from stratify.publish.workbook import CLASSIFICATION, DECISION_SUPPORT, ClinicWorkbook
from stratify.rulebook import RuleBook
from stratify.rules import Clinic
from stratify.rules.wording import Agenda
from stratify.store import Store

_STEM = "team_page"
_MOST_QUESTIONS = 3

_FACTS = """
CREATE OR REPLACE TEMP TABLE team_page_fact AS
SELECT p.practice_code, p.clinic_id, p.patient_key, p.pathway, r.position, r.variable, r.text, v.source_table
FROM derived.placement AS p JOIN derived.reason AS r USING (patient_key, pathway)
LEFT JOIN derived.variable_value AS v USING (patient_key, variable)
WHERE p.placement IN ('listed', 'waiting') AND p.practice_code IS NOT NULL
"""
_OTHER_WORDS = """
CREATE OR REPLACE TEMP TABLE team_page_words AS
SELECT p.practice_code, p.clinic_id, p.patient_key, p.pathway, d.missing_variables,
    e.plain_reason, e.plain_missing, e.off_list_when
FROM derived.placement AS p JOIN derived.pathway_decision AS d USING (patient_key, pathway)
LEFT JOIN derived.explanation AS e USING (patient_key, pathway)
WHERE p.placement IN ('listed', 'waiting') AND p.practice_code IS NOT NULL
"""
_OF_PRACTICES = """
SELECT * EXCLUDE practice_code FROM {} WHERE practice_code IN (SELECT unnest($1)) ORDER BY ALL
"""

_COUNT_RETURNED = """
SELECT count(*) FROM audit.answer WHERE status = 'returned' AND source = 'LIST_RETURN' AND practice_code = $1
"""

Row = dict[str, Any]
_OF_AN_OFFER = (
    "nhs_number", "family_name", "given_names", "date_of_birth", "age_years", "sex", "phone_mobile", "language",
    "usual_gp_id", "data_gaps", "other_needs", "since_last_week", "previous_outcome",
)  # fmt: skip
_ABOUT_OFFERS = (
    "People who are offered help to look after themselves; letters and messages for them are in the folder letters. "
    "Say what came of an offer: offered, accepted, declined, or activated (they use it)."
)


class TeamPages:
    """Writes the page of one practice after another."""

    def __init__(
        self, store: Store, context: PublishContext, book: RuleBook, agenda: Agenda | None, lock: Lock
    ) -> None:
        self._store, self._context, self._book, self._agenda, self._lock = store, context, book, agenda, lock
        self._form = answer_form(context.index_date)
        for each in (_FACTS, _OTHER_WORDS):
            store.execute(each)

    def write(
        self,
        home: Path,
        practice: tuple[str, str],
        books: Sequence[ClinicWorkbook],
        *,
        held: Sequence[str] = (),
        offered: Sequence[Row] = (),
        members: Sequence[str] = (),
    ) -> list[Path]:
        """Write the page of a practice, or of a network for its shared lists; none where no passphrase opens it.

        Args:
            home: The practice's folder.
            practice: Its code and name.
            books: Its lists, as the workbooks have them.
            held: What is held there this week, a sentence each.
            offered: Those of the practice who are offered something, in words.
            members: The practices whose people are on the lists; the practice itself when empty.

        Returns:
            The file written, if any.
        """
        code, name = practice
        if not (books or held or offered) or not self._lock.opens(code):
            return []
        context = self._context
        content = {
            "practice": name,
            "code": code,
            "week": words.week_in_words(context.index_date),
            "first_day": context.index_date.isoformat(),
            "support": DECISION_SUPPORT,
            "classification": CLASSIFICATION,
            "notices": [*held, *context.lost_feeds, *self._came_back(code)],
            "contact": context.contact,
            "sources": [
                [words.source_in_words(table), periods.in_words(until)]
                for table, until in sorted(context.data_cutoffs.items())
            ],
            "withheld": [[reason, disclosure.in_words(number)] for reason, number in context.withheld if number],
            "run": f"Run {context.run_id}. Program version {context.code_version}. Rules {context.rule_digest}.",
            "form": self._form,
            "clinics": [*self._clinics(books, members or (code,)), *self._offers(offered)],
        }
        text = json.dumps(_filled(content), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        sealed = asdict(self._lock.seal(code, text.encode("utf-8")))
        page = _page(
            title=words.without_marks(f"This week's lists: {name}"),
            week=words.week_in_words(context.index_date),
            is_test=context.is_test,
            contact=context.contact,
            sealed=sealed,
        )
        path = home / context.file_name(_STEM, "html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page.encode("utf-8"))
        return [path]

    def _came_back(self, practice: str) -> list[str]:
        """Say that answers of a practice could not be used, and where it stands which."""
        many = self._store.scalar(_COUNT_RETURNED, [practice])
        name = f"{RETURNED_PLACE}/{self._context.file_name(RETURNED_PLACE, 'xlsx')}"
        return (
            [f"Cells of what you sent that could not be used: {many:,}. Which, and what to write: {name}."]
            if many
            else []
        )

    # ---------------------------------------------------------------------------------------------------- clinics

    def _clinics(self, books: Sequence[ClinicWorkbook], members: Sequence[str]) -> list[Row]:
        why: dict[str, list[Row]] = {}
        mine: dict[tuple[str, str, str], list[tuple[str, str, str | None]]] = {}
        for clinic, key, pathway, _, *fact in self._of("team_page_fact", members):
            mine.setdefault((clinic, key, pathway), []).append((fact[0], fact[1], fact[2]))
        for clinic, key, pathway, missing, plain, plain_missing, off_list in self._of("team_page_words", members):
            facts = mine.get((clinic, key, pathway), [])
            why.setdefault(row_reference(self._context.index_date, clinic, key), []).append(
                {
                    "pathway": self._context.pathways[pathway].label if pathway in self._context.pathways else pathway,
                    "facts": [[text, words.source_in_words(table or "")] for _, text, table in facts],
                    "variables": [variable for variable, _, _ in facts],
                    "missing": ", ".join(self._labels((missing or "").split(";"))),
                    "plain": " ".join([*(plain or "").split("\n"), plain_missing or ""]).strip(),
                    "off_list": off_list,
                }
            )
        return [self._clinic(book, why) for book in books]

    def _of(self, table: str, practices: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._store.rows(_OF_PRACTICES.format(table), [list(practices)])

    def _clinic(self, book: ClinicWorkbook, why: Mapping[str, list[Row]]) -> Row:
        context, clinic = self._context, book.clinic
        new = set(book.changes.filter(book.changes["change"] == NEW)["row_reference"])
        columns = [pathway.label for pathway in book.pathways]
        return {
            "id": clinic.id,
            "label": clinic.label,
            "is_worklist": not clinic.needs_capacity,
            "sessions": [
                [words.day_in_words(each.day), each.places, each.roles, each.venue or "not stated"]
                for each in book.sessions
            ],
            "roles": list(dict.fromkeys(words.roles_in_words(each.clinic(clinic.id).roles) for each in book.pathways)),
            "asked": list(clinic.agenda),
            "notices": list(book.notices),
            "workbook": f"{folder_name(clinic.id)}/{context.file_name(f'clinic_list_{clinic.id}', 'xlsx')}",
            "count_columns": columns,
            "counts": [[each.text, *each.numbers] for each in book.counts],
            "pathways": [
                f"{each.label}, version {each.version}. {context.approval.get(each.id, '')}".strip()
                for each in book.pathways
            ],
            "listed": [
                self._person(row, rank, clinic, why) | {"is_new": row["row_reference"] in new}
                for row, rank in zip(book.listed.to_dicts(), book.tier_ranks, strict=True)
            ],
            "waiting": [
                self._person(row, rank, clinic, why)
                for row, rank in zip(book.waiting.to_dicts(), book.waiting_ranks, strict=True)
            ],
            "not_listed": [_in_words(row) for row in book.not_listed.to_dicts()],
            "changes": [_in_words(row) for row in book.changes.to_dicts()],
        }

    def _offers(self, offered: Sequence[Row]) -> list[Row]:
        """Give the offers as one more list, to be answered like the others; none where nobody is offered anything."""
        context = self._context
        people = [
            {
                **_in_words({name: row[name] for name in _OF_AN_OFFER}),
                "row_reference": row_reference(context.index_date, OFFERS_PLACE, row["patient_key"]),
                "contact_preference": row["contact"],
                "ais_format": row["formats"],
                "tier": context.pathways[row["pathway"]].offer(row["offer_id"]).label,
                "how_to_offer": how_to_offer(row),
                "why": [line.removeprefix("• ") for line in (row["why"] or "").split("\n")],
            }
            for row in offered
        ]
        people.sort(key=lambda each: (each["tier"], each["how_to_offer"], each["row_reference"]))
        made = {"id": OFFERS_PLACE, "label": "Self-management offers", "tiers": "Offer", "is_worklist": True}
        return [{**made, "note": _ABOUT_OFFERS, "listed": people}] if people else []

    def _person(self, row: Row, tier_rank: int | None, clinic: Clinic, why: Mapping[str, list[Row]]) -> Row:
        reasons = why.get(row["row_reference"], [])
        variables = list(dict.fromkeys(name for each in reasons for name in each["variables"]))
        topics = self._agenda.raised_by(variables)[:_MOST_QUESTIONS] if self._agenda else []
        chairs = [words.plain(topic.chair(clinic)) for topic in topics]
        return {
            **_in_words(row),
            "why": [line.removeprefix("• ") for line in (row["why"] or "").split("\n")],
            "tier_rank": tier_rank,
            "labels": self._labels(variables),
            "questions": [
                [topic.question, chair, list(topic.options)] for topic, chair in zip(topics, chairs, strict=True)
            ],
            "asks": list(dict.fromkeys(chairs)) or [words.plain(clinic.lead or clinic.roles[0])],
            "reasons": [{name: value for name, value in each.items() if name != "variables"} for each in reasons],
        }

    def _labels(self, names: Iterable[str]) -> list[str]:
        """Give what variables and scores are called; what is neither, as the rule itself, is left out."""
        book = self._book
        found = [
            book.variables[name].label if name in book.variables else book.scores[name].label
            for name in names
            if name in book.variables or name in book.scores
        ]
        return list(dict.fromkeys(each.removesuffix(" (eFI deficit)") for each in found))


def _in_words(row: Row) -> Row:
    """Give the cells of a row that say something, days in words."""
    return {
        name: periods.in_words(value) if isinstance(value, date) else value
        for name, value in row.items()
        if value is not None
    }


def _filled(value: Any) -> Any:  # noqa: ANN401  whatever JSON can hold
    """Leave out what says nothing, all the way down."""
    if isinstance(value, Mapping):
        return {name: _filled(each) for name, each in value.items() if each not in (None, "", [], {})}
    return [_filled(each) for each in value] if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------- the page


def _page(**values: Any) -> str:  # noqa: ANN401
    """Fill the frame; its policy lets this script and this style run and nothing else, and nothing be fetched."""
    style, script = (_own(f"{_STEM}.{suffix}") for suffix in ("css", "js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    frame = environment.from_string(_own(f"{_STEM}.html.j2"))
    return frame.render(
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
        **values,
    )


def _own(name: str) -> str:
    return package_files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def team_pages_in_words(files: Iterable[str], *, is_test: bool) -> str:
    """Say how many practices have a page and, once, why others have none.

    Args:
        files: The files of a run or a release, ``direct_care/PRACTICE/...`` among them.
        is_test: The people are invented, and a passphrase that everybody knows may open their page.
    """
    parts = [each.split("/") for each in files if each.startswith("direct_care/")]
    paged = {each[1] for each in parts if each[-1].startswith(f"{_STEM}_")}
    if not paged:
        return "team pages: none, since no passphrase is set (docs/team-page.md)"
    without = sorted({each[1] for each in parts} - paged)
    line = f"team pages: {len(paged):,}, direct_care/PRACTICE/{_STEM}_….html"
    if without:
        line += f"; none for {', '.join(without)}: no passphrase, or no list"
    return f'{line}; passphrase, where none was set: "{THROWAWAY_PASSPHRASE}"' if is_test else line
