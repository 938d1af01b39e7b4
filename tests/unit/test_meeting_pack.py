"""The pack of a meeting: what stands in it, that text of a record is inert, that it can be read aloud and printed."""

import json
from datetime import date, timedelta

import polars as pl
import pytest
from publish_example import INDEX_DATE, KINDS, context, key, small_run
from pypdf import PdfReader

from stratify import contracts
from stratify.publish import write_packs
from stratify.publish.charts import Trend, line_chart, trend_in_words
from stratify.publish.pdf import printable, write_pdf
from stratify.rulebook import load_rule_book
from stratify.wording import load_wording

AGENDA = load_wording().agenda
NASTY = {
    1: ("=HYPERLINK(1)", "#strong[bold] $x$ <tag> @ref `code`"),
    2: ("O'Neill-\u202egnol" + "Fitz" * 30, "Zoë 😀 \\u{202e} */ //"),
}


def rows(name: str, *found: dict) -> pl.DataFrame:
    contract = contracts.load(name)
    full = [{column: each.get(column) for column in contract.column_names} for each in found]
    kinds = KINDS | {"DECIMAL(18,4)": pl.Float64, "TIMESTAMP": pl.Datetime}
    return pl.DataFrame(full, schema={each.name: kinds.get(each.type, pl.String) for each in contract.columns})


def observation(number: int, measurement: str, day: date, value: float, **changes: object) -> dict:
    return {
        "patient_key": key(number), "measurement": measurement, "effective_date": day, "effective_precision": "YMD",
        "value_canonical": value, "value_status": "ok",
    } | changes  # fmt: skip


def action(name: str, due: date, **changes: object) -> dict:
    return {
        "statement_id": name, "week": LATELY, "row_reference": name, "action": f"Do {name}", "patient_key": key(1),
        "practice_code": "A81001", "clinic_id": "copd_clinic", "owner_role": "specialist nurse", "due_date": due,
        "is_done": False,
    } | changes  # fmt: skip


LONG_AGO, LATELY, SOON = date(2025, 3, 1), date(2026, 10, 1), INDEX_DATE + timedelta(days=9)
MEDICINE = {"patient_key": key(1), "dmd_term": "Salbutamol inhaler", "issue_date": LATELY, "is_active": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with small_run(tmp_path_factory.mktemp("run")) as store:
        for number, (family, given) in NASTY.items():
            store.execute(
                "UPDATE identity.person SET family_name = ?, given_names = ? WHERE patient_key = ?",
                [family, given, key(number)],
            )
        value = {
            "patient_key": key(1), "variable": "fev1_percent_predicted", "value": 38.0, "state": "known",
            "value_date": LATELY, "record_count": 2, "source_table": "core.gp_observation",
        }  # fmt: skip
        store.create("derived.variable_value", rows("derived.variable_value", value))
        store.execute(
            "UPDATE derived.reason SET variable = 'fev1_percent_predicted' WHERE position = 2 AND patient_key = ?",
            [key(1)],
        )
        observations = rows(
            "core.gp_observation",
            observation(1, "fev1_percent_predicted", LONG_AGO, 45),
            observation(1, "fev1_percent_predicted", LATELY, 38),
            observation(1, "hba1c", LATELY, 60),
            observation(1, "egfr", LONG_AGO, 70, is_confidential=True),
            observation(1, "egfr", LATELY, 65),
        )
        store.create("core.gp_observation", observations)
        spells = [{"patient_key": key(1), "admission_date": day, "is_emergency": True} for day in (LONG_AGO, LATELY)]
        store.create("core.apc_spell", rows("core.apc_spell", *spells))
        store.create("core.gp_medication", rows("core.gp_medication", MEDICINE, MEDICINE | {"issue_date": LONG_AGO}))
        contact = {"patient_key": key(1), "team": "district_nursing", "contact_date": LATELY, "attended": "5"}
        planned = contact | {"contact_date": SOON, "attended": None}
        store.create("core.community_contact", rows("core.community_contact", contact, planned))
        referral = {"patient_key": key(1), "service": "pulmonary_rehabilitation", "status": "waiting"}
        closed = referral | {"service": "podiatry", "status": "discharged", "referral_date": LATELY}
        store.create("core.referral", rows("core.referral", referral | {"referral_date": LATELY}, closed))
        late = action("late", LATELY, owner_role="pharmacist")
        done = action("finished", LONG_AGO, is_done=True)
        elsewhere = action("frail", SOON, practice_code="A81003", clinic_id="frailty_clinic")
        store.create("audit.action", rows("audit.action", action("next", SOON), done, late, elsewhere))
        yield store


@pytest.fixture(scope="module")
def pack(store, tmp_path_factory):
    """What the pack of the COPD clinic shows, caught on its way to the page, and the file."""
    shown = {}

    def catch(path, page, content, *, made):
        shown[path.parent.name] = (content, path)
        return write_pdf(path, page, content, made=made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stratify.publish.pack.write_pdf", catch)
        files = write_packs(store, tmp_path_factory.mktemp("out"), context(), load_rule_book(), AGENDA)
    assert files == [shown["copd_clinic"][1], shown["frailty_clinic"][1]]
    return shown["copd_clinic"]


def test_a_pack_is_for_clinics_of_several_professions_only(store, tmp_path):
    """Persons 10 and 12 are on worklists of one role: no meeting, no pack."""
    files = write_packs(store, tmp_path, context(), load_rule_book(), AGENDA)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        "A81001/copd_clinic/meeting_pack_copd_clinic_TEST_2026-11-23.pdf",
        "A81003/frailty_clinic/meeting_pack_frailty_clinic_TEST_2026-11-23.pdf",  # nobody listed, an action open
    ]


def test_people_come_in_order_of_rank_with_what_the_team_needs_to_reach_them(pack):
    second = pack[0]["people"][0]
    assert [each["place"] for each in pack[0]["people"]] == [1, 2]
    assert ["Language", "Polish, interpreter needed"] in second["contact"]
    assert not [each for each in second["contact"] if each[0] == "Mobile"]  # the record is sensitive
    assert second["needs"] == ["Frailty"]


def test_a_fact_has_value_unit_date_and_source(pack):
    assert ["FEV1, percent of predicted", "38 %", "1 October 2026", "GP record: measurements"] in pack[0]["people"][1][
        "facts"
    ]


def test_the_agenda_goes_by_the_question_and_names_who_chairs_it(pack):
    lungs, other = pack[0]["agenda"]
    assert lungs["question"] == "Is treatment of the lungs right, and is there a plan for a flare-up?"
    assert (lungs["chair"], [each["place"] for each in lungs["people"]]) == ("Respiratory nurse", [2])
    assert (other["chair"], [each["place"] for each in other["people"]]) == ("Respiratory nurse", [1])


def test_overdue_actions_head_the_register_and_done_ones_are_not_on_it(pack):
    assert [(each["action"], each["owner"], each["overdue"]) for each in pack[0]["actions"]] == [
        ("Do late", "Pharmacist", True),
        ("Do next", "Specialist nurse", False),
    ]
    assert "Overdue: 1 October 2026" in PdfReader(pack[1]).pages[0].extract_text()


def test_a_course_is_shown_of_what_has_two_values_and_a_confidential_one_is_none(pack):
    trends = pack[0]["people"][1]["trends"]
    assert [each["label"] for each in trends] == ["Emergency admissions", "FEV1, percent of predicted"]
    assert trends[1]["alt"] == "FEV1, percent of predicted: 45 % on 1 March 2025; 38 % on 1 October 2026"


def test_medicines_are_those_issued_lately_and_others_involved_are_named(pack):
    mine = pack[0]["people"][1]
    assert mine["medicines"] == ["Salbutamol inhaler (1, latest 01/10/2026)"]
    assert mine["teams"] == ["District nursing: next 02/12/2026, last seen 01/10/2026"]
    assert mine["referrals"] == ["Pulmonary rehabilitation: 01/10/2026, waiting"]


def test_the_same_content_gives_the_same_bytes(pack, tmp_path):
    content, path = pack
    write_pdf(tmp_path / "again.pdf", "pack", json.loads(json.dumps(content)), made=INDEX_DATE)
    assert (tmp_path / "again.pdf").read_bytes() == path.read_bytes()


def test_a_screen_reader_finds_language_title_headings_table_heads_and_charts_in_words(pack):
    file = PdfReader(pack[1])
    root = file.trailer["/Root"]
    kinds, described = set(), []

    def walk(node):
        node = node.get_object()
        if isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, dict):
            kinds.add(node.get("/S"))
            described.extend([node["/Alt"]] if "/Alt" in node else [])
            if "/K" in node:
                walk(node["/K"])

    walk(root["/StructTreeRoot"])
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"]) == ("en-GB", True)
    assert file.metadata.title == "Multi-professional COPD clinic: meeting pack"
    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/L", "/LI", "/Figure"} <= kinds
    assert "Emergency admissions on 1 March 2025; 1 October 2026" in described


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("O'Neill Zoë Łódź Ж", "O'Neill Zoë Łódź Ж", id="letters_the_font_has"),
        pytest.param("a\u202eb\u2066c\u200fd\x00\t", "abcd", id="marks_that_turn_text_round"),
        pytest.param("日 😀", "□ □", id="letters_the_font_has_not"),
        pytest.param("=1+1 #let $x$ <b>", "=1+1 #let $x$ <b>", id="markup_stays_text"),
    ],
)
def test_only_what_can_be_read_is_printed(text, shown):
    assert printable(text) == shown


def test_names_that_look_like_markup_are_printed_as_they_are(pack):
    text = PdfReader(pack[1]).pages[2].extract_text()
    assert "2. =HYPERLINK(1), #strong[bold] $x$ <tag> @ref `code`" in text


def test_a_chart_is_flat_for_a_change_of_a_few_per_cent():
    """66 to 65: the scale is 30 % of 65.5 wide, 19.65, and 26 high, so 1 is 26 / 19.65."""
    chart = line_chart(Trend("FEV1", "%", ((LONG_AGO, 66.0), (LATELY, 65.0))), first=date(2024, 1, 1), last=INDEX_DATE)
    heights = [float(part.split('"')[0]) for part in chart.split('cy="')[1:]]
    assert heights[1] - heights[0] == pytest.approx(26 / 19.65, abs=0.11)


def test_a_chart_in_words_gives_every_value_oldest_first():
    words = trend_in_words(Trend("Weight", "kg", ((LONG_AGO, 70.25), (LATELY, 68.0))))
    assert words == "Weight: 70.25 kg on 1 March 2025; 68 kg on 1 October 2026"


def test_thirty_people_are_thirty_pages_and_a_cover(pack, tmp_path):
    """A page each, also where somebody has all that a page has room for."""
    content, _ = pack
    full = content["people"][1]
    full = full | {
        "facts": [full["facts"][1]] * 8, "medicines": ["Generic Trelegy Ellipta 92micrograms/dose inhaler " * 2] * 8,
        "trends": full["trends"] * 3, "questions": full["questions"] * 3, "gaps": ["A value is missing: ask"] * 4,
        "teams": full["teams"] * 4, "referrals": full["referrals"] * 4, "last_time": full["referrals"] * 4,
        "name": "Featherstonehaugh-Cholmondeley" * 4,
    }  # fmt: skip
    people = [full | {"place": number} for number in range(1, 31)]
    path = tmp_path / "long.pdf"
    write_pdf(path, "pack", content | {"people": people}, made=INDEX_DATE)
    assert len(PdfReader(path).pages) == 31


def test_no_agenda_no_pack(store, tmp_path):
    assert write_packs(store, tmp_path, context(), load_rule_book(), None) == []
