"""Letters and messages: what they say, who gets one and how, what comes back."""

import csv
import io
from datetime import date

import pytest
from publish_example import NAMES, OUTCOMES, PEOPLE, context, frame, key, outcome, person, small_run
from pydantic import ValidationError
from pypdf import PdfReader
from test_smallest_change import jargon_in

from readability import flesch_kincaid_age, smog_age, syllables
from stratify.publish import write_letters
from stratify.publish.letters import way_to_reach
from stratify.rulebook import load_rule_book
from stratify.rules.wording import LONGEST_MESSAGE, Letter
from stratify.wording import load_wording

WORDING = load_wording()
LETTERS = WORDING.letters
LONGEST_PRACTICE = "The Featherstonehaugh and Cholmondeley Family Health Centre at Ashby"
LONGEST_PHONE = "01632 960 000 1"


def whole(letter: Letter, *, with_headings: bool = True) -> str:
    """Give a letter with the longest reasons and the longest name of a practice."""
    longest = sorted(WORDING.plain.words.values(), key=len)[-3:]
    lines = []
    for section in letter.sections:
        lines += [f"{section.heading}."] if with_headings else []
        for line in section.lines:
            reasons = " ".join(f"{each[:1].upper()}{each[1:]}." for each in longest)
            lines.append(reasons if line == "{why}" else line)
    return "\n".join(lines).replace("{practice}", LONGEST_PRACTICE).replace("{phone}", LONGEST_PHONE)


def readable(text: str) -> str:
    text = text.replace(LONGEST_PRACTICE, "Ashby").replace("{practice}", "Ashby")  # a name is no hard word
    return text.replace(LONGEST_PHONE, "this number").replace("{phone}", "this number")


# ----------------------------------------------------------------------------------------------- what they say


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_is_read_at_eleven(letter):
    """NHS content guide: a reading age of 9 to 11. Both formulas, on the letter and on the message."""
    for text in (readable(whole(letter)), readable(letter.message)):
        assert flesch_kincaid_age(text) <= 11.0
        assert smog_age(text) <= 12.0


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_holds_no_jargon_and_no_rank(letter):
    assert jargon_in(f"{letter.title} {readable(whole(letter))} {letter.message}") == []


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_names_no_illness_that_somebody_might_first_learn_of_from_it(letter):
    text = f"{letter.title} {whole(letter)} {letter.message}".lower()
    for illness in ("diabet", "copd", "emphysema", "asthma", "dementia", "cancer", "heart failure", "kidney disease"):
        assert illness not in text


BY_VISIT_OR_CALL = ("palliative_review", "care_home_round")
"""Nobody is written to about these: whoever knows the person rings or visits (docs/letters.md)."""


def test_every_clinic_and_offer_of_a_published_pathway_has_a_letter_but_where_a_person_rings_or_visits():
    published = load_rule_book().published
    needed = {(each.id, clinic.id) for each in published.values() for clinic in each.clinics}
    needed |= {(each.id, None) for each in published.values() if each.offers}
    needed = {(pathway, clinic) for pathway, clinic in needed if clinic not in BY_VISIT_OR_CALL}
    assert sorted(((each.pathway, each.clinic) for each in LETTERS.values()), key=str) == sorted(needed, key=str)


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_letter_says_how_to_say_no_how_to_ask_for_another_format_and_when_to_ring_999(letter):
    text = whole(letter).lower()
    for needed in ("if you do not want", "your care stays the same", "if you do nothing", "braille", "interpreter",
                   "999", "111", "nhs app", "ring us", "you can say no to this"):  # fmt: skip
        assert needed in text, needed


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_message_fits_names_nothing_of_the_record_and_has_no_link(letter):
    text = letter.message.replace("{practice}", LONGEST_PRACTICE).replace("{phone}", LONGEST_PHONE)
    assert len(text) <= LONGEST_MESSAGE
    for word in ("breath", "lung", "chest", "inhaler", "fall", "memory", "clinic", "older", "sugar", "blood", "diabet",
                 "kidney", "feet", "matron", "hospital", "http", "www", "bit.ly"):  # fmt: skip
        assert word not in text.lower()
    for needed in ("do not want", "interpreter", "format", "ring"):
        assert needed in text.lower()


def test_the_formulas_are_worked_by_hand():
    """11 words in 2 sentences, 15 syllables: 0.39 x 5.5 + 11.8 x 15 / 11 - 15.59 + 5 = 7.65. One long word:
    1.043 x root(1 x 30 / 2) + 3.1291 + 5 = 12.17."""
    text = "You have had a fall. We can help you with medicines."
    assert [syllables(word) for word in ("medicines", "help", "fallen", "taken", "stopped", "little")] == [
        3, 1, 2, 2, 1, 2,
    ]  # fmt: skip
    assert flesch_kincaid_age(text) == pytest.approx(0.39 * 5.5 + 11.8 * 13 / 11 - 15.59 + 5)
    assert smog_age(text) == pytest.approx(12.17, abs=0.01)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"clinic": "copd_clinic", "needs_acceptance": False}, "needs the acceptance of a clinician"),
        ({"message": "Hello {name}"}, "placeholders are"),
        ({"message": "{why}"}, "others may see those"),
        ({"message": "Hello from {practice}: please ring us"}, "which number to ring"),
        ({"sections": [{"heading": "What to do", "lines": ["Ring us"]}]}, "which number to ring"),
        ({"title": "About {why}"}, "others may see those"),
        ({"message": "x" * (LONGEST_MESSAGE + 1)}, "at most"),
    ],
)
def test_a_letter_that_would_not_be_safe_does_not_load(change, why):
    with pytest.raises(ValidationError, match=why):
        Letter.model_validate(LETTERS["copd_self_management"].model_dump() | change)


# -------------------------------------------------------------------------------------------- who gets one and how

REACHED = {
    "has_died": False, "person_status": "registered", "is_spine_sensitive": False, "nhs_number": "9990000001",
    "nhs_number_status": None, "identity_doubt": None, "ais_format": None, "interpreter_needed": False,
    "preferred_language": "en", "contact_preference": "sms", "has_digital_access": True, "phone_mobile": "07700 900001",
    "address_lines": "1 Road", "postcode": "ZZ1 1ZZ",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "way", "by_hand"),
    [
        ({}, "message", None),
        ({"contact_preference": "nhs_app"}, "message", None),
        ({"contact_preference": None}, "message", None),
        ({"contact_preference": "letter"}, "letter", None),
        ({"has_digital_access": False}, "letter", None),
        ({"ais_format": "large print"}, "letter", None),
        ({"ais_format": "large print;braille"}, None, "Needs braille: this letter cannot be had in it"),
        ({"ais_format": "BSL"}, None, "Needs BSL: this letter cannot be had in it"),
        ({"interpreter_needed": True, "preferred_language": "ur"}, None, "Call: Urdu, interpreter needed"),
        ({"contact_preference": "phone"}, None, "Prefers Phone"),
        ({"contact_preference": "email"}, None, "Prefers Email"),
        ({"contact_preference": None, "has_digital_access": None}, None, "nobody has asked"),
        ({"is_spine_sensitive": True}, None, "Sensitive record"),
        ({"nhs_number_status": "02"}, None, "Confirm who this is"),
        ({"nhs_number": None}, None, "Confirm who this is"),
        ({"identity_doubt": "two people"}, None, "Confirm who this is"),
        ({"has_died": True}, None, "Do not contact"),
        ({"person_status": "left"}, None, "Do not contact"),
        ({"phone_mobile": None}, None, "No mobile number"),
        ({"contact_preference": "letter", "address_lines": None}, None, "No address"),
    ],
)
def test_the_way_to_reach_a_person(change, way, by_hand):
    found, why_not = way_to_reach(REACHED | change, LETTERS["copd_self_management"])
    if by_hand:
        assert by_hand in why_not
    else:
        assert (found, why_not) == (way, None)


def explained(outcomes):
    columns = ("patient_key", "pathway")
    rows = [
        {name: row[name] for name in columns} | {"plain_reason": "You have had a fall.\n=1+1 <b>."} for row in outcomes
    ]
    return frame("derived.explanation", rows)


def letters_of(folder, *, people=PEOPLE, outcomes=OUTCOMES, answers=(), run=None, **options):
    """Write the letters of the small run, and give what was written by name within its practice."""
    (folder / "run").mkdir(parents=True)
    with small_run(folder / "run", people=people, outcomes=outcomes) as store:
        store.create("derived.explanation", explained(outcomes))
        store.create("core.death", frame("core.death", [{"patient_key": key(7), "source_row": 1}]))
        if answers:
            store.execute(
                "CREATE TABLE core.outcome (patient_key VARCHAR, pathway VARCHAR, outcome VARCHAR, outcome_date DATE)"
            )
            for each in answers:
                store.execute("INSERT INTO core.outcome VALUES (?, ?, ?, ?)", list(each))
        store.execute("UPDATE identity.person SET given_names = '<b>@x' WHERE patient_key = ?", [key(4)])
        files = write_letters(store, folder / "out", run or context(), LETTERS, **options)
    return {path.relative_to(folder / "out").as_posix(): path for path in files}


def table(path):
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") and b"\r\n" in content
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


@pytest.fixture(scope="module")
def offered(tmp_path_factory):
    people = [{**each, "contact_preference": "sms"} if each["patient_key"] == key(13) else each for each in PEOPLE]
    people.append(person(13, contact_preference="sms"))
    outcomes = [*OUTCOMES, outcome(13, "offered", "self_management", tier="LR", tier_rank=4)]
    return letters_of(tmp_path_factory.mktemp("letters"), people=people, outcomes=outcomes)


PLACE = "A81001/letters/copd_self_management"


def test_an_offer_is_made_ready_and_an_invitation_to_a_clinic_is_not(offered):
    assert sorted(offered) == [
        f"{PLACE}/by_hand_TEST_2026-11-23.csv",
        f"{PLACE}/letters_TEST_2026-11-23.pdf",
        f"{PLACE}/message_TEST_2026-11-23.txt",
        f"{PLACE}/messages_emis_1_TEST_2026-11-23.csv",
    ]


def test_everybody_who_is_offered_something_is_in_one_file(offered):
    """4 needs braille, 6 was never asked, 7 has died, 9 needs an interpreter; 5 gets a letter, 13 a message."""
    by_hand = {each["nhs_number"][-2:]: each["why"] for each in table(offered[f"{PLACE}/by_hand_TEST_2026-11-23.csv"])}
    assert sorted(by_hand) == ["04", "06", "07", "09"]
    assert "braille" in by_hand["04"] and "Do not contact" in by_hand["07"]
    assert [each["NHS number"] for each in table(offered[f"{PLACE}/messages_emis_1_TEST_2026-11-23.csv"])] == [
        "9990000013"
    ]
    text = PdfReader(offered[f"{PLACE}/letters_TEST_2026-11-23.pdf"]).pages[0].extract_text()
    assert "Given5 Family5" in text and "1 Road" in text and "ZZ1 1ZZ" in text


def test_what_looks_like_a_formula_or_markup_is_text(offered):
    (row,) = [
        each for each in table(offered[f"{PLACE}/by_hand_TEST_2026-11-23.csv"]) if each["nhs_number"][-2:] == "04"
    ]
    assert (row["family_name"], NAMES[4][0]) == ("'-2+3", "-2+3")
    assert "=1+1 <b>." in PdfReader(offered[f"{PLACE}/letters_TEST_2026-11-23.pdf"]).pages[0].extract_text()


def test_nothing_but_name_and_address_is_where_an_envelope_has_its_window(offered):
    """A letter folded in three shows 57 to 92 mm from the top; 841.89 points are 297 mm."""
    seen = []

    def look(text, page, place, *_):
        down = 297 - (place[4] * page[1] + place[5] * page[3] + page[5]) * 297 / 841.89
        if text.strip() and 57 <= down <= 92:
            seen.append(text.strip())

    PdfReader(offered[f"{PLACE}/letters_TEST_2026-11-23.pdf"]).pages[0].extract_text(visitor_text=look)
    assert " ".join(seen).split() == ["Given5", "Family5", "1", "Road", "ZZ1", "1ZZ"]


def test_a_letter_says_nothing_of_tier_or_score(offered):
    text = "".join(page.extract_text() for page in PdfReader(offered[f"{PLACE}/letters_TEST_2026-11-23.pdf"]).pages)
    assert jargon_in(text) == [] and f"version {LETTERS['copd_self_management'].version}" in text
    assert not any(each in text.lower() for each in ("copd", "self_management"))  # nor of the list it comes from


ACCEPTED = [(key(1), "copd", "accepted", date(2026, 11, 20))]


@pytest.mark.parametrize(
    ("answers", "is_written"),
    [
        pytest.param(ACCEPTED, True, id="accepted"),
        pytest.param([(key(1), None, "accepted", date(2026, 11, 20))], True, id="accepted_whatever_the_pathway"),
        pytest.param([*ACCEPTED, (key(1), "copd", "declined", date(2026, 11, 21))], False, id="declined_since"),
        pytest.param([*ACCEPTED, (key(1), None, "deferred", date(2026, 11, 20))], False, id="two_answers_of_one_day"),
        pytest.param((), False, id="nothing_came_back"),
        pytest.param([(key(1), "frailty", "accepted", date(2026, 11, 20))], False, id="for_another_pathway"),
        pytest.param([(key(1), "copd", "accepted", date(2026, 12, 20))], False, id="not_yet"),
    ],
)
def test_an_invitation_is_written_only_for_whom_a_clinician_accepted(tmp_path, answers, is_written):
    people = [each | {"contact_preference": "sms"} for each in PEOPLE]
    written = [name for name in letters_of(tmp_path, people=people, answers=answers) if "invitation" in name]
    assert bool(written) == is_written
    assert all("A81001/letters/copd_clinic_invitation/message" in name for name in written)


def test_a_batch_for_systmone_has_mobile_and_date_of_birth_and_is_split(tmp_path, monkeypatch):
    monkeypatch.setattr("stratify.publish.letters.MOST_IN_A_BATCH", 2)
    people = [person(number, contact_preference="sms") for number in range(1, 6)]
    outcomes = [outcome(number, "offered", "self_management") for number in range(1, 6)]
    written = letters_of(tmp_path, people=people, outcomes=outcomes, shape="systmone")
    batches = [table(path) for name, path in sorted(written.items()) if "messages_systmone" in name]
    assert [len(each) for each in batches] == [2, 2, 1]
    assert batches[0][0] | {"Family name": "", "Given names": ""} == {
        "NHS number": "9990000001", "Mobile": "07700 900001", "Date of birth": "02/01/1950", "Family name": "",
        "Given names": "",
    }  # fmt: skip


def test_whoever_has_an_offer_or_was_accepted_and_has_no_letter_is_told_by_a_person(tmp_path, monkeypatch):
    """A site's own pathway has no letter until somebody writes one; 7 has died, and 1 was accepted for the clinic."""
    monkeypatch.setattr("test_letters.LETTERS", {})
    written = letters_of(tmp_path, answers=ACCEPTED)
    (name,) = written
    assert name == "A81001/letters/no_letter_TEST_2026-11-23.csv"
    found = {each["nhs_number"][-2:]: each["why"] for each in table(written[name])}
    offers = {each["patient_key"] for each in OUTCOMES if each["placement"] == "offered"}
    assert {int(number) for number in found} == {number for number in range(99) if key(number) in offers} | {1}
    assert "Do not contact" in found["07"] and "No letter is written" in found["01"]


def test_whoever_is_on_a_worklist_is_rung_from_it_and_named_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr("test_letters.LETTERS", {})
    on_worklist = [outcome(1, "listed", "clinician_review", clinic_id="clinician_review")]
    assert letters_of(tmp_path, people=[person(1)], outcomes=on_worklist, answers=ACCEPTED) == {}


def test_the_same_run_gives_the_same_bytes(tmp_path):
    one, other = letters_of(tmp_path / "one"), letters_of(tmp_path / "other")
    assert {name: path.read_bytes() for name, path in one.items()} == {
        name: path.read_bytes() for name, path in other.items()
    }


def test_a_letter_and_a_message_say_the_number_of_their_own_practice(offered):
    text = PdfReader(offered[f"{PLACE}/letters_TEST_2026-11-23.pdf"]).pages[0].extract_text()
    assert "ring us on 01632 960 001" in " ".join(text.split())
    assert "ring us on 01632 960 001" in offered[f"{PLACE}/message_TEST_2026-11-23.txt"].read_text()


def test_nobody_is_written_to_who_could_not_ring_back(tmp_path):
    """The number of practice A81001 is not written down: 5 would have got a letter, and is to be reached by hand."""
    run = context(practice_phones={"A81002": "01632 960 002"})
    written = letters_of(tmp_path, run=run)
    assert list(written) == [f"{PLACE}/by_hand_TEST_2026-11-23.csv"]
    by_hand = {each["nhs_number"][-2:]: each["why"] for each in table(written[f"{PLACE}/by_hand_TEST_2026-11-23.csv"])}
    assert "the number of the practice is not known" in by_hand["05"]
    assert "braille" in by_hand["04"]


def test_an_absurd_name_and_address_stay_in_the_window_of_the_envelope(tmp_path):
    """Nine lines of address and a name of 600 letters: name, five lines and the postcode, each in one line."""
    people = [person(5, has_digital_access=False)]
    (tmp_path / "run").mkdir()
    with small_run(tmp_path / "run", people=people, outcomes=[outcome(5, "offered", "self_management")]) as store:
        store.create("derived.explanation", explained([]))
        store.create("core.death", frame("core.death", []))
        lines = ", ".join(f"Line {number} {'of the address ' * 9}" for number in range(9))
        store.execute("UPDATE identity.person SET family_name = $1, address_lines = $2", ["W" * 600, lines])
        store.execute("UPDATE core.practice SET practice_name = $1", ["W" * 600])
        (path,) = [each for each in write_letters(store, tmp_path, context(), LETTERS) if each.suffix == ".pdf"]
    places = []

    def look(text, page, place, *_):
        if text.strip():
            across = place[4] * page[0] + page[4]
            places.append((297 - (place[5] * page[3] + page[5]) * 297 / 841.89, across * 297 / 841.89, text.strip()))

    first = PdfReader(path).pages[0]
    first.extract_text(visitor_text=look)
    assert len(PdfReader(path).pages) == 2  # "Dear" takes the whole name
    in_window = [text for down, _, text in places if 52 <= down <= 92]
    assert in_window[-1] == "ZZ1 1ZZ" and sum(text.endswith("…") for text in in_window) == 6
    assert max(across for _, across, _ in places) < 188
