"""The report of a messaging system: who was reached counts as invited, who was not goes to a person."""

import csv
import io
from datetime import date

import polars as pl
import pytest
from publish_example import INDEX_DATE, context, frame, key, small_run
from test_returned_lists import NOTHING_EARLIER, TODAY, WEEK, nhs, reference, sent

from stratify import returned
from stratify.filled_in import SentRow
from stratify.publish import write_letters
from stratify.returned_files import ReturnedFile
from stratify.wording import load_wording

HEAD = "NHS number,Name,Status,Date"
DAY = date(2026, 11, 4)


def read(folder, *lines, practice="Y00001", clinic="copd_clinic", earlier=NOTHING_EARLIER, head=HEAD, more=()):
    path = folder / "report.csv"
    path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    rows = sent(10, clinic=clinic)
    posted = {nhs(number): [rows[reference(number)], *more] for number in range(1, 11)}
    return returned.read(
        [ReturnedFile(file_id="f1", path=path, sent_by=practice, shown_name="report.csv")],
        lambda asked: {name: row for name, row in rows.items() if name in asked},
        earlier=earlier,
        senders={"Y00001"},
        today=TODAY,
        posted=lambda numbers: {number: found for number, found in posted.items() if number in numbers},
    )


def ended(reading):
    return [(each.sent.patient_key, each.status, each.day) for each in reading.deliveries]


def wrong(reading):
    return [(each["cell"], each["wrong"]) for each in reading.answers if each["status"] == "returned"]


def test_a_message_that_arrived_is_an_invitation_and_one_that_did_not_is_no_answer(tmp_path):
    reading = read(
        tmp_path,
        f"{nhs(1)[:3]} {nhs(1)[3:6]} {nhs(1)[6:]},ZZ Invented,Delivered,04/11/2026",
        f"'{nhs(2)},ZZ Other,Not delivered,2026-11-04 09:15:00",
        f"{nhs(3)},ZZ Third,Opted out,4 Nov 2026",
        f"{nhs(4)},ZZ Fourth,Sent,04/11/2026",
        f"{nhs(1)},ZZ Invented,delivered,04/11/2026",
    )
    assert ended(reading) == [
        ("k1", "reached", DAY), ("k2", "failed", DAY), ("k3", "blocked", DAY), ("k4", "under_way", DAY)
    ]  # fmt: skip
    assert [(each["patient_key"], each["outcome"], each["outcome_date"]) for each in reading.outcomes] == [
        ("k1", "invited", DAY)
    ]
    assert wrong(reading) == []


def test_an_offer_that_arrived_is_an_offer_made(tmp_path):
    reading = read(tmp_path, f"{nhs(1)},ZZ,Read,04/11/2026", clinic="self_management")
    assert [each["outcome"] for each in reading.outcomes] == ["offered"]


@pytest.mark.parametrize(
    ("line", "at", "said"),
    [
        pytest.param(f"{nhs(1)},ZZ,Perhaps,04/11/2026", "status", "Not a status that is known", id="another_status"),
        pytest.param(f"{nhs(1)},ZZ,,04/11/2026", "status", "Not a status that is known", id="no_status"),
        pytest.param(f"{nhs(1)},ZZ,Failed,soon", "date", "Not a day, or one to come", id="no_day"),
        pytest.param(f"{nhs(1)},ZZ,Failed,04/12/2026", "date", "Not a day, or one to come", id="a_day_to_come"),
        pytest.param("9990009999,Quillfeather,Failed,04/11/2026", "nhs_number", "Nobody of", id="nobody_of_a_list"),
        pytest.param(f"{nhs(1)},ZZ,Failed,01/11/2026", "nhs_number", "Nobody of", id="before_the_list"),
    ],
)
def test_a_line_that_cannot_be_used_comes_back_by_its_place_and_never_by_its_content(tmp_path, line, at, said):
    reading = read(tmp_path, line)
    [(cell, what)] = wrong(reading)
    assert cell == f"line 2, {at}" and what.startswith(said)
    assert "Quillfeather" not in str(reading) and "9990009999" not in str(reading) and "Perhaps" not in str(reading)


def test_another_practices_message_is_nobodys(tmp_path):
    assert wrong(read(tmp_path, f"{nhs(1)},ZZ,Delivered,04/11/2026", practice="Y00002"))


def test_a_message_belongs_to_the_latest_list_before_it(tmp_path):
    later = SentRow("LATER", date(2026, 11, 9), "k1", "Y00001", "copd_clinic")
    before = SentRow("BEFORE", date(2026, 10, 5), "k1", "Y00001", "copd_clinic")
    reading = read(tmp_path, f"{nhs(1)},ZZ,Failed,04/11/2026", more=(later, before))
    assert [each.sent.row_reference for each in reading.deliveries] == [reference(1)]
    assert WEEK < DAY < later.week


def test_a_reminder_opens_no_row_again_that_is_closed(tmp_path):
    declined = {
        "answer_id": "a", "row_reference": reference(1), "source": "LIST_RETURN", "status": "applied",
        "outcome": "declined", "outcome_date": date(2026, 11, 3), "until_date": None, "reason_code": "too_far",
    }  # fmt: skip
    earlier = pl.DataFrame([declined], schema=NOTHING_EARLIER.schema)
    reading = read(tmp_path, f"{nhs(1)},ZZ,Delivered,04/11/2026", earlier=earlier)
    assert reading.outcomes == () and wrong(reading) == []


def test_a_report_outside_the_folder_of_a_practice_is_refused(tmp_path):
    assert "Nothing says which practice sent it" in str(
        read(tmp_path, f"{nhs(1)},ZZ,Delivered,04/11/2026", practice=None).answers
    )


# -------------------------------------------------------------------------------------------- who goes to a person


def delivery(number, status, day=DAY, **changes):
    row = {
        "week": INDEX_DATE, "row_reference": f"ROW{number}", "patient_key": key(number), "practice_code": "A81001",
        "clinic_id": "self_management", "status": status, "delivery_date": day, "source_file_id": "f", "source_row": 2,
    } | changes  # fmt: skip
    return row | {"delivery_id": str(row)}


AGAIN = date(2026, 11, 12)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters")
    with small_run(folder) as store:
        deliveries = [
            delivery(5, "failed"),
            delivery(7, "blocked"),
            delivery(6, "failed"),
            delivery(6, "reached", AGAIN),
            delivery(9, "failed"),  # rung since
            delivery(8, "failed"),  # has died
            delivery(2, "blocked", clinic_id="copd_clinic"),  # accepted after, which is no contact
            delivery(10, "failed"),  # with another practice by now
        ]
        store.create("core.death", frame("core.death", []))
        store.create("audit.delivery", frame("audit.delivery", deliveries))
        step = {
            "week": INDEX_DATE, "run_id": "r", "pathway": "copd", "position": 1, "from_state": "offered",
            "to_state": "declined", "cause": "answer", "cause_text": "Declined", "by": "LIST_RETURN",
        }  # fmt: skip
        steps = [
            step | {"patient_key": key(9), "outcome": "declined", "effective_date": date(2026, 11, 6)},
            step | {"patient_key": key(2), "outcome": "accepted", "effective_date": date(2026, 11, 6)},
            step | {"patient_key": key(5), "outcome": None, "effective_date": date(2026, 11, 6), "by": "stratify"},
        ]
        store.create("audit.transition", frame("audit.transition", steps))
        write_letters(store, folder / "out", context(), load_wording().letters)
    return folder / "out" / "A81001" / "letters"


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def test_whom_a_message_did_not_reach_goes_to_a_person_until_something_comes_back(letters):
    found = {row["row_reference"]: row["why"] for row in rows(letters / "not_delivered_TEST_2026-11-23.csv")}
    assert found == {
        "ROW2": "The message of 4 November 2026 was blocked: call, or write, and ask how to reach this person",
        "ROW5": "The message of 4 November 2026 was not delivered: call, or write",
        "ROW7": "The message of 4 November 2026 was blocked: call, or write, and ask how to reach this person",
    }


def test_a_sensitive_record_has_no_number_to_call_there(letters):
    numbers = {row["row_reference"]: row["mobile"] for row in rows(letters / "not_delivered_TEST_2026-11-23.csv")}
    assert numbers["ROW2"] == "" and numbers["ROW5"] == "07700 900001"


def test_nobody_is_sent_another_message_where_the_last_did_not_arrive(letters):
    home = letters / "copd_self_management"
    by_hand = {row["family_name"]: row["why"] for row in rows(home / "by_hand_TEST_2026-11-23.csv")}
    assert by_hand["Family5"].startswith("The message of 4 November 2026 was not delivered")
    assert by_hand["Family7"].startswith("The message of 4 November 2026 was blocked")
    sent_to = [row["NHS number"] for path in home.glob("messages_*.csv") for row in rows(path)]
    assert "9990000007" not in sent_to
