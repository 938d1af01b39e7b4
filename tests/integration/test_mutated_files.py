"""Damaged extract files: each is refused in one clear message that shows none of it, or all its rows are accounted for.

What is damaged, and how, depends on a mutation's number alone. Three times in four the manifest is written again
afterwards and agrees with the damage: then only what the file itself says can tell. A fault of a library, a fault of
the loader's own (``RunError``) and an unbalanced account are all failures here.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from stratify import ingest
from stratify.errors import ExtractError, PrivacyError, StratifyError
from whole_runs import extract_set

MUTATIONS = 200
IN_EVERY_RUN = 30
"""The first ones: every kind of damage once."""

PEOPLE = 12
TEXT = "CANARYTEXT said so"


def _tables() -> dict[str, list[dict[str, str]]]:
    """A dozen people with everything a practice and a hospital send of them."""
    numbers = range(PEOPLE)
    each = {"source_patient_id": [f"p{n}" for n in numbers], "nhs_number": [extract_set.nhs(n) for n in numbers]}
    whose = [{name: values[n] for name, values in each.items()} for n in numbers]
    record = [{"source_patient_id": person["source_patient_id"]} for person in whose]
    number = [{"nhs_number": person["nhs_number"]} for person in whose]
    return extract_set.rows_of(
        patient=[
            extract_set.patient(**person, family_name=f"CANARYNAME{n}", address_lines=f'"{n} CANARYSTREET", Testham')
            for n, person in enumerate(whose)
        ],
        registration=[extract_set.registration(f"p{n}") for n in numbers],
        gp_event=[extract_set.event(f"ev-{n}", **record[n]) for n in numbers],
        gp_observation=[extract_set.observation(f"ob-{n}", **record[n], value_num=f"{50 + n}") for n in numbers],
        gp_medication=[extract_set.medication(f"me-{n}", **record[n]) for n in numbers],
        apc_episode=[extract_set.episode(f"cds-{n}", **number[n], spell_id=f"spell-{n}") for n in numbers],
        opt_out=[extract_set.opt_out("NDO", "false", **number[n]) for n in numbers],
        death=[{"nhs_number": extract_set.nhs(3), "source": "ONS", "date_of_death": "2025-12-01"}],
    )


# Damage: bytes to bytes. Lines are without their ends; the first is the header.

Lines = list[bytes]
Damage = Callable[[bytes, random.Random], bytes]


def _on_lines(work: Callable[[Lines, random.Random], Lines]) -> Damage:
    def damage(content: bytes, rng: random.Random) -> bytes:
        return b"".join(line + b"\n" for line in work(content.removesuffix(b"\n").split(b"\n"), rng))

    return damage


def _on_fields(work: Callable[[list[list[str]], random.Random], object]) -> Damage:
    """Damage the table itself, which is changed in place and written as a right CSV file again."""

    def damage(content: bytes, rng: random.Random) -> bytes:
        table = list(csv.reader(io.StringIO(content.decode())))
        work(table, rng)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table)
        return text.getvalue().encode()

    return damage


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= rng.randint(1, 255)
    return bytes(changed)


def _flip_a_data_byte(content: bytes, rng: random.Random) -> bytes:
    """Another printable sign for one, below the header: the file stays whole."""
    changed = bytearray(content)
    start = content.index(b"\n") + 1
    for _ in range(rng.choice((1, 3, 10))):
        place = rng.randrange(start, len(changed))
        if changed[place] not in b'\n,"':
            changed[place] = rng.choice(b"0123456789ABCxyz-/. ?")
    return bytes(changed)


def _put_in(*texts: bytes) -> Damage:
    def damage(content: bytes, rng: random.Random) -> bytes:
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(len(content))
            content = content[:place] + rng.choice(texts) + content[place:]
        return content

    return damage


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _cut_at_a_line(content: bytes, rng: random.Random) -> bytes:
    ends = [place.end() for place in re.finditer(b"\n", content)]
    return content[: rng.choice(ends[:-1])]


def _drop_line(lines: Lines, rng: random.Random) -> Lines:
    del lines[rng.randrange(len(lines))]
    return lines


def _repeat_line(lines: Lines, rng: random.Random) -> Lines:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return lines


def _cut_line(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines))
    lines[place] = lines[place][: rng.randrange(len(lines[place]))]
    return lines


def _join_lines(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines) - 1)
    lines[place : place + 2] = [lines[place] + lines[place + 1]]
    return lines


def _blank_line(lines: Lines, rng: random.Random) -> Lines:
    lines.insert(rng.randrange(1, len(lines) + 1), rng.choice((b"", b" ", b"," * lines[0].count(b","))))
    return lines


def _other_ends(content: bytes, rng: random.Random) -> bytes:
    share = rng.choice((1.0, 0.5, 0.1))
    end = rng.choice((b"\r\n", b"\r"))
    return b"".join(line + (end if rng.random() < share else b"\n") for line in content.split(b"\n")[:-1])


def _other_delimiter(content: bytes, rng: random.Random) -> bytes:
    return content.replace(b",", rng.choice((b";", b"|", b"\t")))


def _another_encoding(content: bytes, rng: random.Random) -> bytes:
    text = content.decode().replace("CANARY", "CANARY\u00e9\u2019")
    return text.encode(rng.choice(("cp1252", "utf-16", "utf-16-le", "utf-8-sig")))


def _swap_columns(table: list[list[str]], rng: random.Random) -> None:
    first, second = rng.sample(range(len(table[0])), 2)
    for row in table:
        row[first], row[second] = row[second], row[first]


def _swap_columns_below_the_header(table: list[list[str]], rng: random.Random) -> None:
    first, second = rng.sample(range(len(table[0])), 2)
    for row in table[1:]:
        row[first], row[second] = row[second], row[first]


def _drop_column(table: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(len(table[0]))
    for row in table:
        del row[place]


def _add_column(table: list[list[str]], rng: random.Random) -> None:
    place = rng.choice((0, rng.randrange(len(table[0])), len(table[0])))
    name = rng.choice(("", "extra", "CANARYCOLUMN", table[0][0], "x'y", 'x"y', "a,b", "source_line"))
    for row in table:
        row.insert(place, TEXT)
    table[0][place] = name


def _rename_column(table: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(len(table[0]))
    table[0][place] = rng.choice((table[0][place].upper(), f" {table[0][place]}", TEXT, "", extract_set.nhs(5)))


def _odd_fields(table: list[list[str]], rng: random.Random) -> None:
    row = rng.choice(table[1:])
    if rng.random() < 0.5:
        row.pop()
    else:
        row.append(rng.choice(("", TEXT)))


def _odd_value(table: list[list[str]], rng: random.Random) -> None:
    """Something else in one or more cells: text in a date, a number past every type, a quote, a line break."""
    values = (
        TEXT, "=1+1", "'; DROP TABLE landing.patient; --", "1e400", "-1e400", "nan", "inf", "9" * 40, "0x1F", "1_000",
        "2025-02-30", "99999-01-01", "-0001-01-01", "0000-00-00", "294248-01-01", "2025-06-01T25:61:61", "31/12/2025",
        'a "quoted" word', "two\nlines", "\u00a0", "\u200b", "\ufeff", "\U0001f4a9", "\x07", "NULL", "\\N", "\\",
        "true", "\u0661\u0662\u0663", extract_set.nhs(1)[:-1] + "x", "9" * 10, " " * 50,
    )  # fmt: skip
    for _ in range(rng.choice((1, 5, 20))):
        row = rng.choice(table[1:])
        row[rng.randrange(len(row))] = rng.choice(values)


def _huge_field(table: list[list[str]], rng: random.Random) -> None:
    row = rng.choice(table[1:])
    row[rng.randrange(len(row))] = TEXT * rng.choice((4_000, 100_000, 300_000))


def _many_columns(table: list[list[str]], rng: random.Random) -> None:
    for row in table:
        row.extend([TEXT] * 5_000)


DAMAGE: dict[str, Damage] = {
    "bytes_flipped": _flip,
    "data_bytes_changed": _flip_a_data_byte,
    "cut": _cut,
    "cut_at_a_line": _cut_at_a_line,
    "line_dropped": _on_lines(_drop_line),
    "line_repeated": _on_lines(_repeat_line),
    "line_cut": _on_lines(_cut_line),
    "lines_joined": _on_lines(_join_lines),
    "blank_line": _on_lines(_blank_line),
    "lines_in_another_order": _on_lines(lambda lines, rng: lines[:1] + rng.sample(lines[1:], len(lines) - 1)),
    "line_ends": _other_ends,
    "delimiter": _other_delimiter,
    "encoding": _another_encoding,
    "quotes": _put_in(b'"', b'""', b'"x', b'",', b',"'),
    "nul": _put_in(b"\x00"),
    "signs": _put_in(b",", b"\\", b"\r", b"\n", b"\x1a", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\t"),
    "mark_in_front": lambda content, rng: b"\xef\xbb\xbf" * rng.choice((1, 1, 2)) + content,
    "columns_swapped": _on_fields(_swap_columns),
    "columns_swapped_below_the_header": _on_fields(_swap_columns_below_the_header),
    "column_dropped": _on_fields(_drop_column),
    "column_added": _on_fields(_add_column),
    "column_renamed": _on_fields(_rename_column),
    "field_too_many_or_few": _on_fields(_odd_fields),
    "odd_value": _on_fields(_odd_value),
    "huge_field": _on_fields(_huge_field),
    "many_columns": _on_fields(_many_columns),
    "header_only": lambda content, rng: content.split(b"\n")[0] + b"\n",
    "twice_over": lambda content, rng: content * 2,
}


class Mutation(NamedTuple):
    file_name: str
    damage: str
    is_declared: bool
    rng: random.Random


def _mutation(number: int) -> Mutation:
    """Draw a mutation; every kind of damage comes up in turn, mostly with a manifest that agrees."""
    rng = random.Random(f"mutation {number}")
    kinds = list(DAMAGE)
    turn, kind = divmod(number, len(kinds))
    files = [f"{table}.csv" for table, rows in _tables().items() if rows and table != "practice"]
    file_name = "manifest.csv" if rng.random() < 0.08 else rng.choice(files)
    is_declared = file_name != "manifest.csv" and (turn + number) % 4 != 0
    return Mutation(file_name, kinds[kind], is_declared, rng)


def _params() -> list[object]:
    found = []
    for number in range(MUTATIONS):
        mutation = _mutation(number)
        place = mutation.file_name.removesuffix(".csv")
        name = f"{number}-{mutation.damage}-{place}-{'declared' if mutation.is_declared else 'not_declared'}"
        marks = () if number < IN_EVERY_RUN else (pytest.mark.slow,)
        found.append(pytest.param(number, id=name, marks=marks))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return extract_set.write_set(tmp_path_factory.mktemp("whole") / "extracts", **_tables())


def test_the_whole_set_is_landed_without_a_fault(whole, tmp_path):
    """What is found below is the damage's doing."""
    with extract_set.opened(tmp_path) as store:
        accounts = _land(store, whole)
        assert {each.rejected_count for each in accounts} == {0}
        assert sum(each.loaded_count for each in accounts) == 7 * PEOPLE + 3


@pytest.mark.parametrize("number", _params())
def test_a_damaged_file_is_refused_in_one_message_or_its_account_balances(whole, tmp_path, number):
    mutation = _mutation(number)
    folder = tmp_path / "extracts"
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / mutation.file_name
    before = path.read_bytes()
    after = DAMAGE[mutation.damage](before, mutation.rng)
    path.write_bytes(after)
    if mutation.is_declared:
        extract_set.write_manifest(folder, {f"{table}.csv": table for table in _tables()})
    with extract_set.opened(tmp_path) as store:
        try:
            accounts = _land(store, folder)
            _core(store)
        except (ExtractError, PrivacyError) as refused:
            _hold_message(refused, before + b"\n" + after)
        else:
            assert mutation.is_declared or after == before or mutation.file_name == "manifest.csv"
            _hold_accounts(store, folder, accounts)


def _land(store, folder):
    files = ingest.inspect_files(folder, extract_set.COUNTY)
    source = extract_set.COUNTY
    onward = ingest.Onward(extract_set.DIRECT_CARE, source, [extract_set.measurement()])
    return ingest.land(
        store, files, source=source, index_date=extract_set.INDEX_DATE, key=extract_set.KEY, onward=onward
    )


def _core(store):
    ingest.build_core(
        store,
        index_date=extract_set.INDEX_DATE,
        key=extract_set.KEY,
        measurements=[extract_set.measurement()],
        privacy_policy=extract_set.DIRECT_CARE,
        source=extract_set.COUNTY,
    )


def _hold_message(refused: StratifyError, content: bytes) -> None:
    """Four parts, nothing of the file in them, and no fault of a library behind them that would print one."""
    assert all((refused.where, refused.expected, refused.found, refused.action))
    message = str(refused)
    assert "expected " in message and "found " in message
    assert refused.__cause__ is None and refused.__context__ is None
    shown = {value for value in _values(content) if value in message}
    assert not shown, f"the message shows {len(shown)} values of the file"
    assert "CANARY" not in message and "said so" not in message


def _values(content: bytes) -> set[str]:
    """Give what may be somebody's: what stands between commas, six signs or more with a digit, but no column name."""
    words = {word.strip() for word in re.split(r'[,"\r\n;|\t]', content.decode("utf-8", errors="replace"))}
    is_name = re.compile(r"[a-z][a-z0-9_]*", re.IGNORECASE)
    return {word for word in words if len(word) >= 6 and re.search(r"\d", word) and not is_name.fullmatch(word)}


def _hold_accounts(store, folder: Path, accounts) -> None:
    tables = store.rows(
        "SELECT file_name, source_file_id, received_count, loaded_count, rejected_count FROM audit.source_file"
    )
    assert len(tables) == len(accounts) == len(list(folder.iterdir())) - 1
    for name, file_id, received, loaded, rejected in tables:
        lines = (folder / name).read_bytes().count(b"\n") - 1
        assert received == lines == loaded + rejected, name
        named = store.scalar(
            "SELECT count(DISTINCT source_row) FROM audit.rejected_row WHERE source_file_id = $1 AND scope = 'row'",
            [file_id],
        )
        assert named == rejected, name
        places = store.rows(
            f"SELECT count(DISTINCT source_row), min(source_row), max(source_row) FROM landing.{Path(name).stem} "
            "WHERE source_file_id = $1",
            [file_id],
        )
        [(distinct, first, last)] = places
        assert distinct <= lines and (not distinct or 2 <= first <= last <= lines + 1), name
