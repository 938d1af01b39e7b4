"""The page of a practice's team, in a real browser without a network: what it shows, to whom, and what comes back."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from publish_example import INDEX_DATE, NAMES, OUTCOMES, PEOPLE, context, frame, key, outcome, person, small_run
from pypdf import PdfReader

from stratify import filled_in, page_lock, returned
from stratify.filled_in import SentRow
from stratify.page_lock import Lock, Passphrases
from stratify.publish import HeldList, TeamPages, row_reference, team_pages_in_words, write_direct_care
from stratify.returned_files import ReturnedFile
from stratify.rulebook import load_rule_book
from stratify.wording import load_wording

sys.path.append(str(Path(__file__).parents[1]))
from browser import browser
from whole_runs import opened_page

WORDS = "correct horse battery staple lantern"
PAGE = "A81001/team_page_TEST_2026-11-23.html"
COPD = "Multi-professional COPD clinic"
NASTY = {
    21: ("<img src=x onerror=window.harmed=1>", "<script>window.harmed=1</script>"),
    22: ("</script><script>window.harmed=1//", "=HYPERLINK(1)"),
    23: ("O'Neill-\u202egnol" + "Fitz" * 30, "Zoë 😀 {{7*7}} ${7*7}"),
    24: ("\u2066Levi\u2069", "@SUM(A1)"),
}
MANY = range(30, 60)
"""Numbers of 30 people on one list, with the longest texts there are."""
LONG = [
    "Emergency admissions to hospital for COPD in the last 12 months: 3, the latest one of 28 to 30 September 2026",
    "Electronic frailty index (eFI) 0.44, 16 of 36: Severe frailty",
    "Antibiotics used for chest infections issued on 12 days in the last 12 months, the latest on 20 February 2026",
]


def people() -> list[dict]:
    return [*PEOPLE, *(person(number) for number in (*NASTY, *MANY))]


def outcomes() -> list[dict]:
    listed = {"clinic_id": "frailty_clinic", "pathway": "frailty", "clinic_date": INDEX_DATE}
    gaps = "No FEV1 of the last 24 months that can be used: spirometry needed;Hospital data not linked"
    more = {"previous_outcome": "Did not attend on 2 November 2026", "other_needs": "COPD;Diabetes", "data_gaps": gaps}
    return [
        *OUTCOMES,
        *(outcome(n, "listed", "clinic", priority_rank=n, clinic_id="copd_clinic") for n in NASTY),
        *(outcome(n, "listed", "clinic", priority_rank=n, **listed, **more) for n in MANY),
    ]  # fmt: skip


def written_into(folder: Path) -> Path:
    with small_run(folder, people=people(), outcomes=outcomes()) as store:
        for number, (family, given) in NASTY.items():
            store.execute(
                "UPDATE identity.person SET family_name = ?, given_names = ? WHERE patient_key = ?",
                [family, given, key(number)],
            )
        store.execute("UPDATE derived.reason SET variable = 'fev1_percent_predicted' WHERE position = 2")
        for position, text in enumerate(LONG, 1):
            store.execute(
                "UPDATE derived.reason SET text = ? WHERE position = ? AND pathway = 'frailty'", [text, position]
            )
        value = {"variable": "fev1_percent_predicted", "value": 38.0, "state": "known", "record_count": 1}
        value |= {"patient_key": key(2), "source_table": "core.gp_observation", "value_date": date(2026, 3, 12)}
        store.create("derived.variable_value", frame("derived.variable_value", [value]))
        store.execute("DROP TABLE derived.explanation")
        words = {"plain_reason": "You get short of breath.", "plain_missing": "We would like to check your breathing."}
        words |= {"off_list_when": "FEV1: 50 % or more (now 38 %)"}
        rows = [{"patient_key": key(n), "pathway": "copd", **words} for n in (2, *NASTY)]
        store.create("derived.explanation", frame("derived.explanation", rows))
        book = load_rule_book()
        lock, made = Lock(Passphrases(WORDS), "run-1"), context()
        write_direct_care(store, folder / "out", made, TeamPages(store, made, book, load_wording().agenda, lock))
    return folder / "out"


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Fewer rounds than in life, which ``test_page_lock`` holds to their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_lock, "ITERATIONS", 5_000)
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory, quick) -> Path:
    return written_into(tmp_path_factory.mktemp("team_page"))


def content_of(path: Path) -> str:
    text = path.read_text("utf-8")
    return opened_page(text, WORDS).removeprefix(text)


# ------------------------------------------------------------------------------------------------------------- the file


def test_nobody_is_in_the_file_in_the_clear(out):
    text = (out / PAGE).read_text(encoding="utf-8")
    shown = content_of(out / PAGE)
    said = [each for pair in (*NAMES.values(), *NASTY.values()) for each in pair if len(each) > 4]
    said += [f"999 000 {number:04}" for number in range(1, 40)] + [f"999000{number:04}" for number in range(1, 40)]
    said += ["Family", "Given", "07700", "7700900001", "1950", "First reason", key(1)[:8] + key(1)[-8:]]
    said += ["Kowalska", "Did not attend", "Group 1, high risk", row_reference(INDEX_DATE, "copd_clinic", key(2))]
    assert "Kowalska" in shown and "999 000 0002" in shown
    assert [each for each in said if each in text] == []


def test_a_page_holds_the_people_of_its_own_practice_and_of_no_other(out):
    mine, theirs = content_of(out / PAGE), content_of(out / PAGE.replace("A81001", "A81002"))
    assert "Family3" in mine and "999 000 0010" not in mine
    assert "999 000 0010" in theirs and not re.search(r"999 000 00(0[1-9]|1[12])", theirs)
    assert "Family11" not in mine + theirs  # belongs to no practice


def test_offers_stand_on_the_page_to_be_answered_like_a_list(out):
    """4, 5, 6, 7 and 9 are offered the app, under the references of the offers file."""
    offers = next(each for each in json.loads(content_of(out / PAGE))["clinics"] if each["id"] == "self_management")
    with (out / "A81001/self_management/offers_TEST_2026-11-23.csv").open(encoding="utf-8-sig", newline="") as file:
        sent = {row["row_reference"]: row["how_to_offer"] for row in csv.DictReader(file)}
    assert {row["row_reference"]: row["how_to_offer"] for row in offers["listed"]} == sent and len(sent) == 5
    assert sorted(row["nhs_number"][-2:] for row in offers["listed"]) == ["04", "05", "06", "07", "09"]


def test_the_page_says_how_many_cells_came_back_and_where_they_stand(tmp_path):
    wrong = {"answer_id": "1", "source_file_id": "f", "source_row": 2, "cell": "List!R2", "practice_code": "A81001",
             "source": "LIST_RETURN", "status": "returned", "wrong": "Not a day", "is_all_alike": False}  # fmt: skip
    with small_run(tmp_path) as store:
        store.create("derived.variable_value", frame("derived.variable_value", []))
        store.create("audit.answer", frame("audit.answer", [wrong]))
        pages = TeamPages(store, context(), load_rule_book(), None, Lock(Passphrases(WORDS), "run-1"))
        write_direct_care(store, tmp_path / "out", context(), pages)
    notices = {code: json.loads(content_of(tmp_path / "out" / PAGE.replace("A81001", code))).get("notices")
               for code in ("A81001", "A81002")}  # fmt: skip
    said = "Cells of what you sent that could not be used: 1. Which, and what to write: "
    said += "returned/returned_TEST_2026-11-23.xlsx."
    assert notices == {"A81001": [said], "A81002": None}


def test_a_practice_without_a_passphrase_has_no_page(tmp_path):
    with small_run(tmp_path) as store:
        store.create("derived.variable_value", frame("derived.variable_value", []))
        lock = Lock(Passphrases(by_practice={"A81002": WORDS}), "run-1")
        pages = TeamPages(store, context(), load_rule_book(), None, lock)
        written = write_direct_care(store, tmp_path / "out", context(), pages)
    assert [path.parent.name for path in written if path.suffix == ".html"] == ["A81002"]


def test_lists_that_practices_share_and_lists_that_are_held_are_on_the_right_page(tmp_path):
    held = HeldList("core.gp_event", "x", "frailty", "A81002", (), (), "Too many codes are damaged", 4)
    outcomes_of = [*OUTCOMES, outcome(10, "listed", "clinic", clinic_id="copd_clinic", practice_code="A81002")]
    outcomes_of = [row for row in outcomes_of if row["decision"] != "assessment"]
    made = context(shared_lists=frozenset({"copd_clinic"}), held=(held,))
    with small_run(tmp_path, outcomes=outcomes_of) as store:
        store.create("derived.variable_value", frame("derived.variable_value", []))
        pages = TeamPages(store, made, load_rule_book(), None, Lock(Passphrases(WORDS), "run-1"))
        write_direct_care(store, tmp_path / "out", made, pages)
    found = {code: json.loads(content_of(tmp_path / "out" / PAGE.replace("A81001", code)))
             for code in ("A81001", "A81002", "U10001")}  # fmt: skip
    numbers = {code: [row.get("nhs_number") for each in page.get("clinics", []) for row in each.get("listed", [])
                      if each["id"] != "self_management"]
               for code, page in found.items()}  # fmt: skip
    assert numbers == {
        "A81001": ["999 000 0012"],
        "A81002": [],
        "U10001": ["999 000 0002", "999 000 0001", "999 000 0010"],
    }
    assert found["A81002"]["notices"][0].startswith("Held this week: Frailty")
    assert "notices" not in found["A81001"]
    assert found["U10001"]["clinics"][0]["listed"][0]["reasons"][0]["facts"]  # the reasons in full, of each practice


def test_a_run_says_once_who_has_a_page_and_why_others_have_none():
    lists = [f"direct_care/{code}/copd_clinic/clinic_list_copd_clinic_2026-11-23.xlsx" for code in ("A81001", "A81002")]
    page = "direct_care/A81001/team_page_2026-11-23.html"
    assert "none, since no passphrase is set" in team_pages_in_words(lists, is_test=False)
    said = team_pages_in_words([*lists, page, "data_quality/index.html"], is_test=False)
    assert said.startswith("team pages: 1,") and said.endswith("none for A81002: no passphrase, or no list")
    assert "invented people only" in team_pages_in_words([page], is_test=True)


def test_the_same_run_writes_the_same_bytes(out, tmp_path):
    assert (written_into(tmp_path) / PAGE).read_bytes() == (out / PAGE).read_bytes()


def test_only_the_pages_own_script_and_style_may_run_and_nothing_may_be_fetched(out):
    text = (out / PAGE).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert (
        policy.startswith("default-src 'none'; script-src 'sha256-") and "require-trusted-types-for 'script'" in policy
    )
    for tag in ("script", "style"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digests = re.findall(rf"{tag}-src 'sha256-([^']*)'", policy)
        assert [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in body] == digests
    assert "unsafe" not in policy and not re.search(r"https?://(?!\" in)", text.split("<script>")[0])
    assert "innerHTML" not in text and "localStorage" not in text


# ---------------------------------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        page.narrow(1280)
        # The day that the page takes for today: the tests have one of their own.
        page.before_every_page(
            f"Date.now = () => {int((INDEX_DATE - date(1970, 1, 1)).total_seconds() + 129_600) * 1000}"
        )
        yield page


@pytest.fixture
def page(chromium, out):
    """The page, opened with its passphrase by keyboard alone, at the COPD clinic."""
    chromium.narrow(1280)
    chromium.events.clear()
    chromium.open((out / PAGE).as_uri())
    unlock(chromium, WORDS)
    chromium.until("document.querySelector('nav button')")
    click(chromium, "nav button", COPD)
    return chromium


def unlock(page, words: str) -> None:
    page.run("document.getElementById('passphrase').focus()")
    page.type(words)
    page.press("Enter")


def click(page, which: str, text: str) -> None:
    page.run(f"[...document.querySelectorAll({which!r})].find((each) => each.textContent.includes({text!r})).click()")


def seen(page) -> str:
    return str(page.run("document.body.innerText"))


def shown(page) -> list[str]:
    """Names on the list that are not filtered away."""
    return page.run(
        "[...document.querySelectorAll('#listed > li:not([hidden]) h4 bdi')].map((each) => each.textContent)"
    )


def test_a_wrong_passphrase_opens_nothing_and_says_so(chromium, out):
    chromium.open((out / PAGE).as_uri())
    assert chromium.run("isSecureContext") is True  # file:// is one, so WebCrypto is there
    unlock(chromium, "velvet onion tractor seven glimmer")
    chromium.until("!document.getElementById('problem').hidden && !document.getElementById('unlock').disabled")
    assert "This passphrase does not open the page" in seen(chromium)
    assert chromium.run("document.getElementById('lists').childElementCount") == 0
    assert not re.search(r"999 000|Kowalska", str(chromium.run("document.documentElement.outerHTML")))
    assert chromium.run("document.activeElement.id") == "passphrase"


def test_once_open_the_heading_is_that_of_what_was_sealed(chromium, out, tmp_path):
    """A frame of one practice put around the content of another one would mislead."""
    changed = tmp_path / "team_page.html"
    changed.write_text((out / PAGE).read_text(encoding="utf-8").replace("Practice 1", "Practice 9"), encoding="utf-8")
    chromium.open(changed.as_uri())
    assert "Practice 9" in seen(chromium)
    unlock(chromium, WORDS)
    chromium.until("document.querySelector('nav button')")
    assert "This week's lists: Practice 1" in seen(chromium) and "Practice 9" not in seen(chromium)


def test_blanks_and_full_width_letters_of_the_right_passphrase_do_not_matter(chromium, out):
    chromium.open((out / PAGE).as_uri())
    unlock(chromium, "  correct  horse battery staple ｌａｎｔｅｒｎ ")
    chromium.until("document.querySelector('nav button')")


def test_where_a_browser_has_no_cryptography_the_page_says_what_to_do(chromium, out):
    number = chromium.before_every_page("Object.defineProperty(crypto, 'subtle', {value: undefined})")
    chromium.open((out / PAGE).as_uri())
    assert "This browser cannot open the page from here" in seen(chromium)
    assert chromium.run("document.getElementById('unlock').disabled") is True
    chromium.no_longer(number)


def test_every_list_of_the_practice_is_there_with_everything_about_a_person(page):
    assert page.run("[...document.querySelectorAll('nav button')].map((each) => each.textContent)") == [
        "Clinician review of the record: 1", f"{COPD}: 6", "Multi-professional frailty clinic: 30",
        "Self-management offers: 5",
    ]  # fmt: skip
    click(page, "#listed summary", "Why, in full")
    page.until("document.querySelector('.panel')")
    text = seen(page)
    for part in (
        "TEST: invented patients", "Decision support only", "Monday 23 November 2026 to Sunday 29 November 2026",
        "Tuesday 24 November 2026: 2 places, GP, pharmacist, Room 4", "1. Kowalska, Anna", "999 000 0002",
        "Born 2 January 1950, 76 years, female", "Group 1, high risk and complex", "Polish, interpreter needed",
        "FEV1 38 % predicted on 12 March 2026 (GP record: measurements)", "Fourth reason, never shown",
        "You get short of breath. We would like to check your breathing.", "FEV1: 50 % or more (now 38 %)",
        "Frailty", "Is treatment of the lungs right, and is there a plan for a flare-up?",
        row_reference(INDEX_DATE, "copd_clinic", key(2)), "the clinical safety officer", "fewer than 8",
    ):  # fmt: skip
        assert part in text, part
    assert page.run("document.getElementById('waiting').innerText").startswith("3. O'Neill, Zoë")
    assert "Hospital data not linked" in page.run("document.getElementById('waiting').innerText")
    click(page, "details.table summary", "Not listed and why")
    page.until("document.querySelector('#not_listed table')")
    rows = page.run("document.getElementById('not_listed').innerText")
    assert "Recorded as having died" in rows and "Is offered: Supported self-management by app" in rows


def test_text_of_a_record_is_shown_as_it_is_and_does_nothing(page):
    names = shown(page)
    assert names[2:] == [", ".join(pair) for pair in NASTY.values()]
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.until("document.querySelector('#not_listed table') && document.querySelector('.panel')")
    assert page.run("window.harmed === undefined") is True
    assert page.run("document.querySelectorAll('img, iframe, object, a[href*=HYPERLINK]').length") == 0
    assert page.run("document.querySelectorAll('script').length") == 2
    assert page.run("document.documentElement.scrollWidth <= innerWidth") is True  # a name of 130 letters breaks


def test_the_page_asks_for_nothing_and_complains_of_nothing(page, out):
    asked = {each["params"]["request"]["url"] for each in page.events if each["method"] == "Network.requestWillBeSent"}
    assert {each for each in asked if not each.startswith("data:")} == {(out / PAGE).as_uri()}
    faults = [each for each in page.events if each["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert faults == []


def test_search_and_filters_narrow_all_lists_and_say_so(page):
    everybody = len(shown(page))
    page.run("document.querySelector('input[type=search]').focus()")
    page.type("0000002")
    assert shown(page) == ["Kowalska, Anna"]
    assert page.run("document.getElementById('count').textContent") == (
        f"Shown: 1 of {everybody} on the list, 0 of 1 waiting, 1 of 6 changed, 0 of 8 not listed"
    )
    click(page, ".bar button", "Show everybody")
    assert len(shown(page)) == everybody == 6
    choose(page, "Priority", "Group 1, high risk and complex")
    assert shown(page) == ["Kowalska, Anna"]
    click(page, ".bar button", "Show everybody")
    assert page.run(control("Reason") + ".innerText").split("\n") == ["All", "FEV1, percent of predicted (7)"]
    assert page.run(control("Questions for") + ".innerText").split("\n") == ["All", "Respiratory nurse (7)"]
    page.run(control("New on the list") + ".click()")
    assert len(shown(page)) == everybody  # nobody was on last week's list


def control(label: str) -> str:
    find = f"[...document.querySelectorAll('label')].find((each) => each.textContent === {label!r})"
    return f"{find}.control"


def choose(page, label: str, value: str) -> None:
    changed = f"of.value = {value!r}; of.dispatchEvent(new Event('change'))"
    page.run(f"(() => {{ const of = {control(label)}; {changed}; }})()")


def test_everything_can_be_reached_and_done_by_keyboard(chromium, out):
    chromium.open((out / PAGE).as_uri())
    chromium.press("Tab")
    assert chromium.run("document.activeElement.className") == "skip"
    chromium.press("Tab")
    assert chromium.run("document.activeElement.id") == "passphrase"
    chromium.type(WORDS)
    chromium.press("Enter")
    chromium.until("document.querySelector('nav button')")
    assert chromium.run("document.activeElement.tagName") == "H2"  # where the list begins, and a reader reads on
    reached = []
    for _ in range(60):
        chromium.press("Tab")
        reached.append(chromium.run("(document.activeElement.textContent || document.activeElement.type).slice(0, 60)"))
        if reached[-1] == "Answer":
            break
    assert reached[-1] == "Answer" and "Why, in full" in reached and "Print this list" in reached
    chromium.press("Enter")
    chromium.until("document.querySelector('.answers')")
    chromium.press("Tab")
    assert chromium.run("document.activeElement.labels[0].textContent") == "Decision"


@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_nothing_serious_locked_or_open(chromium, out, width):
    chromium.narrow(width)
    chromium.open((out / PAGE).as_uri())
    found = chromium.faults_for_users()
    unlock(chromium, WORDS)
    chromium.until("document.querySelector('nav button')")
    click(chromium, "nav button", COPD)
    chromium.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    chromium.until("document.querySelector('#not_listed table') && document.querySelector('.answers')")
    found += chromium.faults_for_users()
    assert found == []
    assert chromium.run("document.documentElement.scrollWidth <= innerWidth") is True  # WCAG 1.4.10, Reflow


# ------------------------------------------------------------------------------------------------------------- printing


def test_a_list_of_thirty_prints_whole_rows_on_a4_and_says_when_it_is_not_the_whole_list(page, tmp_path):
    click(page, "nav button", "frailty clinic")
    page.print(tmp_path / "list.pdf")
    pages = PdfReader(tmp_path / "list.pdf").pages
    assert {(round(float(each.mediabox.width)), round(float(each.mediabox.height))) for each in pages} == {(595, 842)}
    texts = [each.extract_text().replace("\n", " ") for each in pages]
    for number in MANY:
        reference = row_reference(INDEX_DATE, "frailty_clinic", key(number))
        [at] = [place for place, text in enumerate(texts) if f"Family{people_place(number)}, " in text]
        assert reference in texts[at], number  # a name is printed first of a row, its reference last
    assert all("OFFICIAL-SENSITIVE: personal" in text for text in texts)
    assert "Name or NHS number" not in texts[0] and "NOT THE WHOLE LIST" not in texts[0]
    page.run("document.querySelector('input[type=search]').focus()")
    page.type(f"Family{people_place(MANY[0])}")
    page.print(tmp_path / "one.pdf")
    assert "NOT THE WHOLE LIST: only a search." in PdfReader(tmp_path / "one.pdf").pages[0].extract_text()


def people_place(number: int) -> int:
    """Give the place of a person among all, by which the example names those without a name of their own."""
    return [each["patient_key"] for each in people()].index(key(number)) + 1


def test_printed_with_the_reasons_in_full_every_reason_of_everybody_is_there(page, tmp_path):
    page.run(control("Print with the reasons in full") + ".click()")
    page.print(tmp_path / "whole.pdf")
    text = "".join(each.extract_text() for each in PdfReader(tmp_path / "whole.pdf").pages)
    assert text.count("Fourth reason, never shown") == 7  # six on the list and one who waits
    assert page.run("document.querySelectorAll('details.why[open]').length") == 0  # closed again on the screen


# -------------------------------------------------------------------------------------------------------------- answers

DAY, LATER = INDEX_DATE, date(2026, 12, 7)


def every_pair() -> list[dict[str, str]]:
    decisions, outcomes_of = filled_in.words_for("decision"), filled_in.words_for("outcome")
    return [
        {"Decision": decision, "Outcome": outcome_word}
        for decision in ("", *decisions)
        for outcome_word in ("", *outcomes_of)
    ]


def test_what_the_page_saves_is_taken_in_row_by_row_and_what_would_not_be_is_left_out(page, tmp_path):
    """Each pair of decision and outcome, bare and filled in, in the page's form and in the reader of returned rows."""
    click(page, "nav button", "frailty clinic")
    page.run("document.querySelectorAll('details.answer').forEach((each) => { each.open = true; })")
    page.until(f"document.querySelectorAll('.answers').length === {len(MANY)}")
    page.save_downloads_in(tmp_path)
    pairs = [pair for pair in every_pair() if any(pair.values())]
    fills = [{}, {"Date of it": DAY.isoformat(), "Decided by (role)": "GP", "Reason for decision": "too unwell"}]
    fills += [fills[1] | {"Booked for or deferred until": LATER.isoformat()}]
    fills += [fills[2] | {"Decided by (role)": "administrator"}, fills[2] | {"Reason for decision": "no answer"}]
    fills += [fills[1] | {"Date of it": "2026-11-25"}, fills[1] | {"Date of it": "2026-10-25"}]
    fills += [fills[2] | {"Booked for or deferred until": day} for day in ("2026-11-22", "2027-11-25")]
    answers = [pair | fill for pair in pairs for fill in fills]
    saved = applied = 0
    for start in range(0, len(answers), len(MANY)):
        saved_now, reading = saved_and_read(page, tmp_path, answers[start : start + len(MANY)])
        saved += saved_now
        applied += len(reading.outcomes)
        assert [each["cell"] for each in reading.answers if each["status"] == "returned"] == []
        assert reading.open_count == 0 and len(reading.outcomes) == saved_now
    assert saved == applied == sum(is_taken_in(each) for each in answers) > 50
    assert saved < len(answers)


def saved_and_read(page, folder: Path, answers: list[dict[str, str]]):
    """Fill in one form after another, save, and read the file as a run does."""
    for file in folder.glob("*.csv"):
        file.unlink()
    for place in range(len(MANY)):
        within = f"document.querySelectorAll('.answers')[{place}]"
        answer = answers[place] if place < len(answers) else {}
        values = {name: answer.get(name, "") for name in LABELS}
        page.run(
            f"(() => {{ const values = {json.dumps(values)};"
            f" for (const {{textContent: name, control: each}} of {within}.querySelectorAll('label'))"
            " { if (name in values) { each.value = values[name]; each.dispatchEvent(new Event('change')); } } })()"
        )
    if page.run("document.getElementById('save').disabled"):
        return 0, SimpleNamespace(outcomes=(), answers=(), open_count=0)
    said = page.run("document.getElementById('saved').textContent")
    click(page, "button", "Save answers as a file")
    page.until("document.getElementById('saved').textContent.startsWith('Saved')")
    while not (files := list(folder.glob("answers_A81001_2026-11-23_saved-*.csv"))):
        page.run("new Promise((done) => setTimeout(done, 20))")
    known = {
        name: SentRow(name, INDEX_DATE, key(number), "A81001", "frailty_clinic")
        for number in MANY
        for name in [row_reference(INDEX_DATE, "frailty_clinic", key(number))]
    }
    [file] = [ReturnedFile(file_id="f", path=path, sent_by="A81001", shown_name=path.name) for path in files]
    nothing = frame("audit.answer", [])
    reading = returned.read([file], lambda _: known, earlier=nothing, senders={"A81001"}, today=INDEX_DATE)
    text = files[0].read_text(encoding="utf-8")
    assert "Family" not in text and "999" not in text.replace("-", "x")
    return int(said.split()[0]), reading


LABELS = {
    "Decision": "decision", "Outcome": "outcome", "Date of it": "outcome_date", "Decided by (role)": "decided_by",
    "Booked for or deferred until": "until_date", "Reason for decision": "decision_reason",
}  # fmt: skip


def is_taken_in(answer: dict[str, str]) -> bool:
    cells = {column: filled_in.Cell(column, answer.get(label) or None) for label, column in LABELS.items()}
    cells |= {"concern": filled_in.Cell("concern", None), "row_reference": filled_in.Cell("row_reference", "x")}
    row = filled_in.FilledRow("f", 1, "A81001", cells)
    found, faults = filled_in.read_row(row, SentRow("x", INDEX_DATE, "k", "A81001", "frailty_clinic"), today=INDEX_DATE)
    return bool(found) and not faults


def test_an_answer_is_kept_while_another_list_is_looked_at(page):
    page.run("document.querySelector('details.answer').open = true")
    page.until("document.querySelector('.answers')")
    choose(page, "Decision", "defer")
    click(page, "nav button", "frailty clinic")
    assert page.run("document.querySelectorAll('.tag.unfit:not([hidden])').length") == 0
    click(page, "nav button", COPD)
    page.until("document.querySelector('.tag.unfit:not([hidden])')")
    assert page.run("document.querySelector('.tag.unfit:not([hidden])').textContent") == "Answer not complete"
    page.run("document.querySelector('details.answer').open = true")
    page.until("document.querySelector('.answers')")
    assert page.run(control("Decision") + ".value") == "defer"
    text = page.run("document.querySelector('.answers .problem').textContent")
    assert "There is no reason, and deferred needs one." in text and "Nothing says who decided." in text


def test_people_who_wait_and_offers_can_be_answered_too(page):
    """Two are listed and one waits at the COPD clinic, beside the strange names; five have an offer."""
    click(page, "nav button", COPD)
    assert page.run("document.querySelectorAll('#waiting details.answer').length") == 1
    click(page, "nav button", "Self-management offers")
    assert page.run("document.querySelectorAll('#listed details.answer').length") == 5
    assert "accepted, declined, or activated" in page.run("document.getElementById('clinic').textContent")


def test_an_offer_is_answered_with_the_words_that_are_taken_for_offers_and_no_others(page):
    click(page, "nav button", "Self-management offers")
    page.run("document.querySelector('details.answer').open = true")
    page.until("document.querySelector('.answers')")
    labels = page.run("[...document.querySelectorAll('.answers label')].map((each) => each.textContent)")
    assert "Decision" not in labels and "Booked for or deferred until" not in labels
    options = page.run("[...document.querySelector('.answers select').options].map((each) => each.value)")
    assert options == ["", "offered", "accepted", "declined", "activated"]


def test_a_person_with_other_needs_is_answered_with_whether_they_were_covered(page):
    click(page, "nav button", COPD)
    page.run("document.querySelectorAll('details.answer').forEach((each) => { each.open = true; })")
    page.until("document.querySelector('.answers')")
    asked = "[...document.querySelectorAll('.person')].map((each) => [each.textContent.includes('Also to cover'),"
    asked += " each.textContent.includes('Other needs covered')])"
    found = page.run(asked)
    assert all(needs == covered for needs, covered in found) and {needs for needs, _ in found} == {True, False}


def test_a_concern_alone_is_an_answer_and_leaving_with_unsaved_answers_is_asked_about(page):
    page.run("document.querySelector('details.answer').open = true")
    page.until("document.querySelector('.answers')")
    page.run("document.querySelector('.answers input[type=checkbox]').click()")
    assert page.run("document.getElementById('saved').textContent") == "1 answer to save."
    assert page.run("document.querySelector('.tag.answer:not([hidden])').textContent") == "Answer: concern"
    write_day = "(() => { const day = document.querySelector('.answers input[type=date]'); day.value = '%s';"
    write_day += " day.dispatchEvent(new Event('change')); })()"
    page.run(write_day % INDEX_DATE)  # the day it was noticed
    assert page.run("document.getElementById('saved').textContent") == "1 answer to save."
    page.run(write_day % "")
    leaving = "const event = new Event('beforeunload', {cancelable: true}); dispatchEvent(event)"
    asked = f"(() => {{ {leaving}; return event.defaultPrevented; }})()"
    assert page.run(asked) is True
    page.run("document.querySelector('.answers input[type=checkbox]').click()")
    assert page.run(asked) is False
