"""The score of a finished run against the truth of its synthetic county: who was missed, and who was wrongly listed.

Reads the truth folder that ``stratify synth --truth`` wrote and the restricted folder of the run in place; writes
nothing. Here: matching people and comparing answers; the words for it are in ``truth_comparison``. What the answers
should be is worked out in ``synth.oracle`` and what they are in the run; neither is worked out here.

Of everybody on a pathway, these are compared:

- what is proposed, where, and by which rule;
- the tier of each score, and the tiers that what is not known leaves open;
- every fact the pathway's rules ask about (``facts`` of ``about.json``): it is known in the run exactly when the truth
  found it, with the same value and date. A difference is a *wrong reason* where the fact is among the reasons given,
  else a *wrong value*. What a list shows beside them (smoking, a CAT score) is not compared;
- the reasons: the facts that make the deciding rule hold come first among those given; where nothing could be decided,
  the run names as missing exactly what the truth says is lacking.

A difference about somebody whom no fault touched is a fault of the pipeline or of the truth. One about somebody whom
a fault touched is told under that fault; the truth concludes from rows as a right pipeline reads them, so it is what
the pipeline makes of the fault today.

What a trained model decides is in no truth: its weights stand nowhere but in its file. ``stratify verify`` works it out
again from a person's records, and a test from the extract files.

Nobody is compared on a pathway whose lists the run holds, everywhere or at their practice: they are counted as held,
neither missed nor wrongly listed, whatever the data that are in doubt say of them. A file that should be refused is
refused also when the run goes on without its feed, or with what came of it before.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from stratify import privacy
from stratify.errors import PrivacyError, RunError, SettingsError
from stratify.ingest.files import table_of_name
from stratify.runs import Plan, without_values
from stratify.store import Store, open_store
from stratify.truth_comparison import PATHWAYS, PERSON, Comparison, Difference, in_words

__all__ = ["PATHWAYS", "PERSON", "Comparison", "Difference", "compare", "in_words", "read_plan"]

_TRUTH_VERSION = 4
_FAULT_FILE = "fault.parquet"
_ON_A_LIST = ("clinic", "self_management", "assessment", "clinician_review")
_CALLED = ("clinic", "self_management", "assessment")
"""What nobody may be listed for whom a fault keeps off every list; a clinician may look at the record."""
_UNDECIDED = ("cannot_grade", "contradictory")
_SCORES = {
    # Score, and the columns of the expectation that hold its tier, the tiers left open and its value.
    "copd": (("copd_priority_group", "copd_group", "copd_groups_open", None),),
    "frailty": (
        ("efi", "efi_tier", "efi_tiers_open", "efi_deficits"),
        ("hospital_frailty", "hospital_frailty_tier", "hospital_frailty_tiers_open", "hospital_frailty_points"),
    ),
    "diabetes": (
        ("diabetes_priority_group", "diabetes_group", "diabetes_groups_open", None),
        ("diabetes_targets_qof", "diabetes_targets", "diabetes_targets_open", None),
        ("diabetes_care_processes_8", "diabetes_checks", "diabetes_checks", "diabetes_checks_to_do"),
    ),
    "diabetes_prevention": (("non_diabetic_hyperglycaemia", "prevention_range", "prevention_ranges_open", None),),
    "care_homes": (),  # by the frailty that a clinician graded, and the county has none
}
_EFI_DEFICITS = 36
_WHO = ("row", "org_code", "source_patient_id", "all_faults")
_IS_HELD_BACK = pl.col("fault_expects").eq_missing("not_listed")


@without_values
def compare(out: Path, truth: Path, key: bytes) -> Comparison:
    """Compare the run in place with the truth of its county on the day the run describes.

    Args:
        out: Output folder of a finished run.
        truth: Folder that ``stratify synth --truth`` wrote.
        key: The identity key of the run.

    Raises:
        RunError: the folder holds no finished run, or one of other extract files or a day without an extract.
        SettingsError: the truth folder is not one, or the run honoured objections in a way the truth does not know.
        PrivacyError: the key is not the one the run was made with.
    """
    about = _read_about(truth)
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
    expected, touches = _read_truth(truth, about, plan)
    with (
        TemporaryDirectory(prefix="stratify-score-") as scratch,
        open_store(out / "restricted" / "run.duckdb", temp_directory=Path(scratch), read_only=True) as store,
    ):
        run = _Run(store, purpose)
    return _Score(plan, purpose, about, expected, touches, key).against(run)


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


# --------------------------------------------------------------------------------------------- reading both sides


def _read_about(truth: Path) -> dict[str, Any]:
    path = truth / "about.json"
    if not path.is_file():
        raise SettingsError(
            f"truth folder {truth.name}",
            expected="about.json and the files it names, as `stratify synth --truth` writes them",
            found="no about.json",
            action="Correct TRUTH, or make the county again with --truth.",
        )
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if about.get("version") != _TRUTH_VERSION:
        raise _changed(truth, "another version")
    return about


def _read_truth(truth: Path, about: Mapping[str, Any], plan: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give what a run of that day should conclude, and the rows touched by faults up to that day."""
    day = plan.settings.index_date.isoformat()
    expected = _checked(truth, f"expectation-{day}.parquet", about)
    return expected, _checked(truth, _FAULT_FILE, about).filter(pl.col("week") <= _week(plan, about))


def _week(plan: Plan, about: Mapping[str, Any]) -> int:
    """Give the number of the extract that the run is for; 0 is the first."""
    return int(about["index_dates"].index(plan.settings.index_date.isoformat()))


def _checked(truth: Path, name: str, about: Mapping[str, Any]) -> pl.DataFrame:
    path = truth / name
    if not path.is_file():
        raise _changed(truth, f"no {name}")
    with path.open("rb") as opened:
        digest = file_digest(opened, "sha256").hexdigest()
    if about["truth"].get(name) != digest:
        raise _changed(truth, "changed files")
    return pl.read_parquet(path)


def _changed(truth: Path, found: str) -> SettingsError:
    return SettingsError(
        f"truth folder {truth.name}",
        expected=f"version {_TRUTH_VERSION} and the files about.json was written for",
        found=found,
        action="Make the county again with --truth.",
    )


def _check_same_county(plan: Plan, about: Mapping[str, Any]) -> None:
    used = {each.sha256 for each in plan.files}
    day = plan.settings.index_date.isoformat()
    extracts = about["extracts"].get(day)
    tables = {each.table for each in plan.lost}
    named = {why.where.rpartition(": ")[2].rpartition("/")[2] for each in plan.lost for why in each.refusals}
    others = sum(
        1
        for name, digest in (extracts or {}).items()
        if digest not in used and name not in named and table_of_name(name) not in tables
    )
    if extracts is None or others:
        days = about["index_dates"]
        raise RunError(
            f"run {plan.run_id}",
            expected="a run of the extract files the truth is about, for "
            + (days[0] if len(days) == 1 else f"one of its {len(days)} days from {days[0]} to {days[-1]}"),
            found=f"{others} other files, for {day}" if extracts else f"one for {day}",
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


class _Run:
    """What the run says of everybody, each table by ``patient_key``."""

    def __init__(self, store: Store, purpose: str) -> None:
        self.people = store.frame("SELECT patient_key, person_status, may_be_counted, practice_code FROM core.person")
        self.decisions = store.frame(
            "SELECT patient_key, pathway, decision, clinic_id, rule_id, tier, missing_variables "
            "FROM derived.pathway_decision"
        )
        self.scores = store.frame("SELECT patient_key, score, tier, possible_tiers, value FROM derived.patient_score")
        # A count of nought is the same as nothing found.
        self.values = store.frame(
            "SELECT patient_key, variable, value, value_date AS date FROM derived.variable_value "
            "WHERE state = 'known' AND value <> 0 "
            "AND patient_key IN (SELECT patient_key FROM derived.pathway_decision)"
        )
        self.reasons = store.frame("SELECT patient_key, pathway, variable, position FROM derived.reason")
        self.held = store.frame("SELECT DISTINCT pathway, practice_code FROM audit.held_list")
        self.withheld: dict[str, int] = {}
        if purpose == "case_finding":
            counted = "SELECT reason, people_count FROM audit.withheld WHERE surface = 'direct_care'"
            self.withheld = {str(reason): int(count) for reason, count in store.rows(counted)}


# ------------------------------------------------------------------------------------------------------ comparing


class _Score:
    """One comparison under way: everybody of the truth with their key, and the differences found so far."""

    def __init__(
        self,
        plan: Plan,
        purpose: str,
        about: Mapping[str, Any],
        expected: pl.DataFrame,
        touches: pl.DataFrame,
        key: bytes,
    ) -> None:
        self._plan, self._purpose, self._about, self._touches, self._key = plan, purpose, about, touches, key
        # A whole set or file of this extract; a practice's part of one is refused without stopping the run. A feed that
        # was refused earlier stays out of use until it comes whole again.
        is_lost = pl.col("table").is_in([each.table for each in plan.lost]).fill_null(value=False)
        is_of_set = (
            (pl.col("expects") == "refused")
            & pl.col("org_code").is_null()
            & ((pl.col("week") == _week(plan, about)) | is_lost)
        )
        of_set = touches.filter(is_of_set)
        self._refused = tuple(sorted(set(of_set["fault"])))
        self._overlooked = tuple(sorted(set(of_set.filter(~is_lost)["fault"])))
        # What follows from reading files that should have been refused is that fault's, whoever it is about.
        faults = pl.concat_list(
            pl.col("faults").str.split(";").fill_null([]), pl.lit(list(self._refused), dtype=pl.List(pl.String))
        )
        self._expected = expected.with_row_index("row", offset=1).with_columns(
            patient_key=self._keys(expected), all_faults=faults.list.unique(maintain_order=True)
        )
        self._differences: list[Difference] = []

    def against(self, run: _Run) -> Comparison:
        """Compare everything and give what came of it."""
        words = "the extract refused, the last lists in place", "a finished run"
        self._differences += [Difference("run", "not refused", *words, 0, "", (fault,)) for fault in self._overlooked]
        present = pl.col("person_status_right").is_not_null()
        everybody = self._expected.join(run.people, on="patient_key", how="left", maintain_order="left")
        objects = pl.col("withheld_because").is_not_null() & (self._purpose == "case_finding")
        withheld = everybody.filter(objects & ~present)
        self._compare_people(everybody, objects, present)
        self._find_strangers(run)
        counts = Counter[str](withheld["withheld_because"])
        if self._about["is_clean"] and run.withheld and run.withheld != dict(counts):
            words = _counts(counts), _counts(run.withheld)
            self._differences.append(Difference(PERSON, "withheld count", *words, 0, "", ()))
        compared = everybody.filter(~objects & present)
        on_pathway, agreeing, held = {}, {}, {}
        for pathway in PATHWAYS:
            on_pathway[pathway], agreeing[pathway], held[pathway] = self._compare_pathway(pathway, compared, run)
        faults = Counter(self._expected["all_faults"].list.explode(keep_nulls=False, empty_as_null=False).to_list())
        return Comparison(
            run_id=self._plan.run_id,
            purpose=self._purpose,
            is_clean=bool(self._about["is_clean"]),
            people=self._expected.height,
            touched=self._expected["faults"].count(),
            withheld=dict(sorted(counts.items())),
            on_pathway=on_pathway,
            agreeing=agreeing,
            held={pathway: count for pathway, count in held.items() if count},
            refused=tuple(fault for fault in self._refused if fault not in self._overlooked),
            beyond=tuple(sorted(set(run.decisions["pathway"]) - set(PATHWAYS))),
            differences=tuple(self._differences),
            faults={fault: faults[fault] for fault in sorted({*faults, *self._touches["fault"]})},
        )

    def _keys(self, expected: pl.DataFrame) -> pl.Series:
        """Give everybody's key: of the NHS number, or for want of one of the only record."""
        whose = expected.select("nhs_number", "org_code", "source_patient_id").iter_rows()
        keys = [
            privacy.pseudonym(self._key, number) if number else privacy.local_pseudonym(self._key, org, record)
            for number, org, record in whose
        ]
        return pl.Series(values=keys, dtype=pl.String)

    def _tell(self, place: str, kind: str, rows: pl.DataFrame, expected: pl.Expr | str, found: pl.Expr | str) -> None:
        """Note a difference about the person of each row, with an expression or words for either side."""
        words = [pl.lit(each) if isinstance(each, str) else each.cast(pl.String) for each in (expected, found)]
        texts = [each.fill_null("nothing").alias(f"words_{place}") for place, each in enumerate(words)]
        for row, org, record, faults, says, is_found in rows.select(*_WHO, *texts).iter_rows():
            reference = privacy.local_pseudonym(self._key, org, record)[:12]
            self._differences.append(Difference(place, kind, says, is_found, row, reference, tuple(faults)))

    def _compare_people(self, everybody: pl.DataFrame, objects: pl.Expr, present: pl.Expr) -> None:
        own, theirs = pl.col("person_status"), pl.col("person_status_right")
        self._tell(
            PERSON, "not withheld", everybody.filter(objects & present), pl.col("withheld_because"), "in the run"
        )
        # Whom a fault keeps off every list may be missing, or stand there with any status.
        others = everybody.filter(~objects & ~_IS_HELD_BACK)
        self._tell(PERSON, "missing from the run", others.filter(~present), own, "not in the run")
        found = others.filter(present)
        self._tell(PERSON, "wrong status", found.filter(own != theirs), own, theirs)
        may_be_counted = pl.col("withheld_because").is_null()
        counted = found.filter(may_be_counted != pl.col("may_be_counted"))
        self._tell(PERSON, "wrongly counted", counted, may_be_counted, pl.col("may_be_counted"))

    def _find_strangers(self, run: _Run) -> None:
        """Tell of people in the run whom the truth does not know: a record that came loose, or nobody's."""
        strangers = run.people.join(self._expected, on="patient_key", how="anti").sort("patient_key")
        if strangers.is_empty():
            return
        loose: dict[str, tuple[int, str, str, str | None]] = {}
        for row, records, reason in self._expected.select("row", "records", "withheld_because").iter_rows():
            for org, record in (each.split("/", 1) for each in records.split(";")):
                loose[privacy.local_pseudonym(self._key, org, record)] = row, org, record, reason
        touched = self._faults_by_key()
        for key, status in strangers.select("patient_key", "person_status").iter_rows():
            row, org, record, reason = loose.get(key, (0, "", "", None))
            faults = {*(self._expected["all_faults"][row - 1] if row else self._refused), *touched.get(key, ())}
            reference = privacy.local_pseudonym(self._key, org, record)[:12] if row else key[:12]
            about = row, reference, tuple(sorted(faults))
            expected = "one person" if row else "nobody"
            self._differences.append(
                Difference(PERSON, "not in the truth", expected, f"a person of its own, {status}", *about)
            )
            if self._purpose == "case_finding" and reason:
                # A record whose NHS number is not read stands alone, and may have lost its objection.
                found = "in the run as a record without NHS number"
                self._differences.append(Difference(PERSON, "not withheld", reason, found, *about))

    def _faults_by_key(self) -> dict[str, set[str]]:
        """Give the faults of every record and NHS number that a touched row names."""
        found: dict[str, set[str]] = {}
        named = self._touches.select("fault", "org_code", "source_patient_id", "nhs_number").unique()
        for fault, org, record, number in named.iter_rows():
            if org and record:
                found.setdefault(privacy.local_pseudonym(self._key, org, record), set()).add(fault)
            if number and number.isdigit():
                found.setdefault(privacy.pseudonym(self._key, number), set()).add(fault)
        return found

    # --------------------------------------------------------------------------------------------- one pathway

    def _compare_pathway(self, pathway: str, compared: pl.DataFrame, run: _Run) -> tuple[int, int, int]:
        """Tell every difference on a pathway; give how many people are compared, agree in everything, are held."""
        before = len(self._differences)
        decided = run.decisions.filter(pl.col("pathway") == pathway).drop("pathway")
        rows = compared.join(decided, on="patient_key", how="left", maintain_order="left")
        own = pl.col(f"{pathway}_decision")
        rows = rows.filter(own.is_not_null() | pl.col("decision").is_not_null())
        places = run.held.filter(pl.col("pathway") == pathway)["practice_code"].to_list()
        is_held = pl.lit("all" in places) | pl.col("practice_code").is_in(places).fill_null(False)
        held, rows = rows.filter(is_held).height, rows.filter(~is_held)
        wrongly = rows.filter(_IS_HELD_BACK & pl.col("decision").is_in(_CALLED))
        self._tell(pathway, "wrongly listed", wrongly, "no list", _route("decision", "clinic_id", "rule_id"))
        plain = rows.filter(~_IS_HELD_BACK)
        self._compare_routes(pathway, plain)
        self._compare_tiers(pathway, plain, run)
        self._compare_reasons(pathway, plain, run)
        differ = {each.row for each in self._differences[before:]}
        return rows.height, rows.height - len(differ), held

    def _compare_routes(self, pathway: str, rows: pl.DataFrame) -> None:
        own = [f"{pathway}_{name}" for name in ("decision", "clinic", "rule")]
        theirs = ["decision", "clinic_id", "rule_id"]
        words = _route(*own), _route(*theirs)
        same = [pl.col(one).eq_missing(pl.col(other)) for one, other in zip(own, theirs, strict=True)]
        should_be, is_listed = (pl.col(name).is_in(_ON_A_LIST).fill_null(False) for name in (own[0], theirs[0]))
        for kind, holds in (
            ("missed", should_be & ~is_listed),
            ("wrongly listed", is_listed & ~should_be),
            ("wrong route", (should_be == is_listed) & ~(same[0] & same[1])),
            ("wrong reason", same[0] & same[1] & ~same[2]),
        ):
            self._tell(pathway, kind, rows.filter(holds), *words)

    def _compare_tiers(self, pathway: str, rows: pl.DataFrame, run: _Run) -> None:
        for place, (score, tier, left_open, value) in enumerate(_SCORES[pathway]):
            graded = run.scores.filter(pl.col("score") == score).select(
                "patient_key", run_tier="tier", run_open="possible_tiers", run_value="value"
            )
            both = rows.join(graded, on="patient_key", how="left", maintain_order="left")
            same = pl.col(tier).eq_missing(pl.col("run_tier")) & pl.col(left_open).eq_missing(pl.col("run_open"))
            words = _graded(score, tier, left_open), _graded(score, "run_tier", "run_open")
            self._tell(pathway, "wrong tier", both.filter(~same), *words)
            if value:
                scale = _EFI_DEFICITS if score == "efi" else 1
                figure = (pl.col("run_value") * scale).round(6 if scale == 1 else 0)
                own = pl.col(value).cast(pl.Float64).round(6)
                label = pl.lit(f"{value.replace('_', ' ')} ")
                differs = both.filter(~own.eq_missing(figure))
                self._tell(pathway, "wrong value", differs, label + _figure(own), _figure(figure))
            if place == 0:
                beside = both.filter(pl.col("decision").is_not_null() & ~pl.col(tier).eq_missing(pl.col("tier")))
                told = [pl.col(name).fill_null("none") + " beside the decision" for name in (tier, "tier")]
                self._tell(pathway, "wrong tier", beside, *told)

    def _compare_reasons(self, pathway: str, rows: pl.DataFrame, run: _Run) -> None:
        people = rows.select("patient_key", "row")
        given = run.reasons.filter(pl.col("pathway") == pathway).join(people, on="patient_key")
        own = _exploded(rows.select("row", facts=f"{pathway}_facts"))
        theirs = (
            run.values.filter(pl.col("variable").is_in(self._about["facts"][pathway]))
            .join(people, on="patient_key")
            .select("row", "variable", pl.col("value").round(6).alias("run_value"), pl.col("date").alias("run_date"))
        )
        both = own.join(theirs, on=["row", "variable"], how="full", coalesce=True)
        same = pl.col("value").eq_missing(pl.col("run_value")) & pl.col("date").eq_missing(pl.col("run_date"))
        wrong = (
            both.filter(~same)
            .join(given.select("row", "variable", is_given=pl.lit(True)).unique(), on=["row", "variable"], how="left")
            .join(rows.select(_WHO), on="row")
            .sort("row", "variable")
        )
        words = pl.col("variable") + " " + _fact("value", "date"), _fact("run_value", "run_date")
        for kind, is_given in (("wrong reason", True), ("wrong value", False)):
            self._tell(pathway, kind, wrong.filter(pl.col("is_given").fill_null(False) == is_given), *words)
        self._compare_order(pathway, rows, given)
        lacking = pl.col(f"{pathway}_lacking"), pl.col("missing_variables")
        undecided = rows.filter(pl.col("rule_id").is_in(_UNDECIDED) & (pl.col("rule_id") == pl.col(f"{pathway}_rule")))
        unlike = undecided.filter(~_as_set(lacking[0]).eq_missing(_as_set(lacking[1])))
        self._tell(pathway, "wrong reason", unlike, pl.lit("lacking ") + _listed(lacking[0]), _listed(lacking[1]))

    def _compare_order(self, pathway: str, rows: pl.DataFrame, given: pl.DataFrame) -> None:
        """Of the reasons given, those that make the rule hold come first: only three are shown on a list."""
        decided = rows.filter(
            pl.col(f"{pathway}_because").is_not_null()
            & (pl.col("rule_id") == pl.col(f"{pathway}_rule"))
            & (pl.col("decision") != "not_eligible")
        ).with_columns(because=_as_set(pl.col(f"{pathway}_because")))
        # A row for the rule itself or for the score as a whole says nothing of what was found.
        is_fact = ~pl.col("variable").is_in([score for score, *_ in _SCORES[pathway]])
        shown = (
            given.filter(is_fact)
            .join(decided.select("row", "rule_id", "because"), on="row")
            .filter(pl.col("variable") != pl.col("rule_id"))
            .sort("row", "position")
            .group_by("row", maintain_order=True)
            .agg(pl.col("variable"), pl.col("because").first().list.len().alias("how_many"))
            .select("row", first=pl.col("variable").list.head(pl.col("how_many")).list.sort())
        )
        both = decided.join(shown, on="row", how="left", maintain_order="left")
        unlike = both.filter(~pl.col("because").eq_missing(pl.col("first")))
        words = [pl.lit("first ") + pl.col("because").list.join(", "), pl.col("first").list.join(", ")]
        self._tell(pathway, "wrong reason", unlike, *words)


def _exploded(rows: pl.DataFrame) -> pl.DataFrame:
    """Give everybody's facts a row each; a score of nought is no fact."""
    found = rows.explode("facts").drop_nulls("facts").unnest("facts")
    return found.with_columns(pl.col("value").round(6)).filter(pl.col("value") != 0)


def _as_set(names: pl.Expr) -> pl.Expr:
    return names.str.split(";").list.sort()


def _listed(names: pl.Expr) -> pl.Expr:
    return names.fill_null("nothing").str.replace_all(";", ", ", literal=True)


def _route(decision: str, clinic: str, rule: str) -> pl.Expr:
    """Write what is proposed, where and by which rule."""
    where = pl.when(pl.col(clinic).is_not_null()).then(pl.lit(" ") + pl.col(clinic)).otherwise(pl.lit(""))
    return pl.col(decision) + where + " by " + pl.col(rule)


def _graded(score: str, tier: str, left_open: str) -> pl.Expr:
    either = [pl.col(name).fill_null("none") for name in (tier, left_open)]
    return pl.format("{} {} ({} open)", pl.lit(score), *either)


def _figure(value: pl.Expr) -> pl.Expr:
    return value.cast(pl.String).str.strip_suffix(".0").fill_null("not known")


def _fact(value: str, day: str) -> pl.Expr:
    when = pl.col(day).cast(pl.String).fill_null("a day nobody knows")
    return (
        pl.when(pl.col(value).is_not_null()).then(_figure(pl.col(value)) + " of " + when).otherwise(pl.lit("not found"))
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items())) or "nobody"
