"""The rule book as pages: an index to start from, one page for each score and pathway, measurements and codelists.

Markdown, made whole from the definitions, so that none can say what the rules do not (``docs/rules/`` is made by this).
Belongs here: which page holds what, in which order. Does not belong: how a rule is said (``plain_english``), and what
any of it means for a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stratify.definition_places import nearest
from stratify.errors import RuleError
from stratify.example_words import ORDINARY, answer_in_words, person_in_words
from stratify.plain_english import (
    condition_in_words,
    method_in_words,
    pathway_facts,
    pathway_text,
    points_rows,
    score_unknown_in_words,
    several_pathways,
    shared_steps,
    tier_name,
    tier_rows,
)
from stratify.rule_versions import History
from stratify.rule_words import STATUS_WORDS, figure, items, plural, table
from stratify.rulebook import RuleBook
from stratify.rules import Pathway, Score
from stratify.variable_words import CODELIST_HEAD, MEASUREMENTS, codelist_row, input_row, measurement_section

USES = {
    "frailty": "Frailty",
    "copd": "COPD",
    "diabetes": "Diabetes",
    "kidney": "Kidney disease",
    "heart_and_circulation": "Heart and circulation",
    "many_conditions": "Many conditions at once",
    "hospital": "After a hospital stay",
    "segments": "Segments of a population",
    "other": "Other",
}
"""What scores are for, in the order of the index."""

HOW_TO_READ = f"""\
- The **index date** is the day a run describes. Every window ends the day before it: a record dated on the index date
  or later is not used. "In the last 12 months" means from the same day of the month 12 months earlier, that day
  included.
- **Yes or no, and counts**: no record means no, or nought. A question without a time limit also counts records without
  a date; one with a time limit does not.
- **Latest values**: too old, contradictory or unusable means *not known*. An older value is never used instead. Not
  known is never taken for normal or low.
- **Hospital data not linked** (no valid NHS number, or no hospital records in this run): what comes from hospital
  records is then only what is known so far, and may be higher. It can prove that an edge was reached, never that it was
  not.
- A rule made of parts is settled as soon as the parts that are known settle it. "Any of" holds once one part does.
- Edges are exact: "at least 30" takes 30, "above 30" does not.
- **Status** says how well a definition is supported: {"; ".join(STATUS_WORDS.values())}.
"""
_MADE = (
    "<!-- Made by `stratify rules docs` from the definitions. Do not edit: change the definition, make it again. -->\n"
)
_DOI = re.compile(r"\bdoi:? ?(10\.\d{4,9}/[^\s,;]+[^\s,;.])")
_DEVICE = re.compile(r"\s*Device note: ([^.]+\.)")
_KIND_INTRODUCTION = re.compile(
    r"^(A plain visible (?:rule|count)(?:, [^.]+)?\.|A prediction, not validated here\.)\s*"
)


def pages(book: RuleBook, history: History | None = None) -> dict[str, str]:
    """Write every page of the rule book.

    Args:
        book: The rule book.
        history: Versions that were recorded, if a file of them is kept.

    Returns:
        Markdown by file name below the folder of the rule book, ``README.md`` the one to start from. Deterministic.
    """
    history = history or {}
    found = {
        "README.md": _index(book),
        "measurements.md": _measurements(book),
        "codelists.md": _codelists(book),
    }
    found |= {f"scores/{each.id}.md": score_page(each, book, history) for each in book.scores.values()}
    found |= {f"pathways/{each.id}.md": pathway_page(each, book, history) for each in book.pathways.values()}
    return {name: f"{_MADE}\n{found[name]}" for name in sorted(found)}


def page_of(name: str, book: RuleBook) -> str:
    """Give the file name of the page of a score or pathway.

    Raises:
        RuleError: there is none of that id.
    """
    if name not in {*book.scores, *book.pathways}:
        raise RuleError(
            name,
            expected="the id of a score or pathway",
            found="none of that name",
            action=nearest(name, {*book.scores, *book.pathways}) or "Look in the index of the rule book",
        )
    return f"{'scores' if name in book.scores else 'pathways'}/{name}.md"


def keep_pages(folder: Path, found: dict[str, str], *, check_only: bool = False) -> str:
    """Write pages into a folder and take away those that are no more; nothing else in it is touched.

    Args:
        folder: Where to; it is made.
        found: Text by file name.
        check_only: Write nothing; fail where something would change.

    Returns:
        What was done, in words.

    Raises:
        RuleError: ``check_only``, and a page is missing, left over, or says something else.
    """
    ending = Path(next(iter(found))).suffix
    held = {path.relative_to(folder).as_posix() for path in folder.rglob(f"*{ending}")} if folder.is_dir() else set()
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in held}
    left_over = sorted(name for name in held - set(found) if texts[name].startswith(_MADE[:30]))
    stale = sorted(name for name, text in found.items() if texts.get(name) != text)
    if check_only and (stale or left_over):
        raise RuleError(
            folder.name,
            expected="pages that say what the definitions say now",
            found=f"{plural(len(stale), 'stale or missing page')}, {len(left_over)} left over: "
            + ", ".join([*stale, *left_over][:5]),
            action="Make them again with `stratify rules docs`, and read what changed",
        )
    for name in () if check_only else stale:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(found[name], encoding="utf-8", newline="\n")
    for name in () if check_only else left_over:
        (folder / name).unlink()
    return f"{plural(len(found), 'page')} of the rule book; {len(stale)} written, {len(left_over)} taken away"


# ---------------------------------------------------------------------------------------------------------- the index


def _index(book: RuleBook) -> str:
    scores = sorted(book.scores.values(), key=lambda each: each.label)
    counts = "; ".join(
        f"{words}: {sum(each.status == name for each in scores)}" for name, words in STATUS_WORDS.items()
    )
    blocks = [
        "# The rule book\n",
        "What decides who is on which list, in plain English. A list proposes; the clinician decides. Each page has the"
        " rule with its edges, where it comes from, what it reads, what happens when something is missing, and invented"
        " patients with their answers.\n",
        "Is something wrong, or missing? [How to change a rule](../how-to-change-a-rule.md), [how to add a"
        " score](../new-score.md). Abbreviations are in the [glossary](../glossary.md).\n",
        "## Pathways\n",
        "A pathway sends each of its people to one place. Scores by themselves send nobody anywhere.\n",
        _pathway_index(book),
        "## Scores, by what they are for\n",
        f"{plural(len(scores), 'score')}. How well they are supported: {counts}.\n",
    ]
    for use, title in USES.items():
        mine = [each for each in scores if each.use == use]
        if mine:
            blocks += [f"### {title}\n", _score_index(mine, book)]
    blocks += [
        "## How to read a rule\n",
        HOW_TO_READ,
        '<a id="first-steps"></a>\n\n## The steps that every pathway begins with\n',
        shared_steps(),
        several_pathways(_in_order(book.pathways.values())),
        "## Behind the rules\n",
        f"- [Measurements](measurements.md): the {plural(len(book.measurements), 'value')}"
        " that rules read from the GP record, their units, and what is plausible.\n"
        f"- [Codelists](codelists.md): the {plural(len(book.codelists), 'list')} of codes, how many each has, what it"
        " covers and what it does not.\n",
    ]
    return "\n".join(blocks)


def _in_order(pathways: Iterable[Pathway]) -> list[Pathway]:
    return sorted(pathways, key=lambda each: (each.precedence, each.id))


def _pathway_index(book: RuleBook) -> str:
    head = ("Pathway", "Who is on it", "Tiers from", "Version", "Clinical lead")
    return table(
        head,
        (
            (
                f"[{each.label}](pathways/{each.id}.md)",
                condition_in_words(each.cohort, book),
                _link(book.scores[each.tier_from], "scores/") if each.tier_from else "none",
                f"{each.version}, {each.status}",
                each.clinical_lead or "to be named",
            )
            for each in _in_order(book.pathways.values())
        ),
    )


def _score_index(scores: Sequence[Score], book: RuleBook) -> str:
    head = ("Score", "What it gives", "For whom", "How well supported", "What kind", "Licence")
    return table(
        head,
        (
            (
                _link(each, "scores/"),
                gives_in_words(each),
                "; ".join(condition_in_words(rule.when, book) for rule in each.eligibility) or "everybody",
                STATUS_WORDS[each.status],
                device_note(each),
                each.licence,
            )
            for each in scores
        ),
    )


def _link(score: Score, folder: str = "") -> str:
    return f"[{score.label}]({folder}{score.id}.md)"


def gives_in_words(score: Score) -> str:
    """Say what a score gives: its tiers, the highest need first, or a value."""
    if score.tiers:
        return ", ".join(tier_name(each) for each in score.tiers)
    return f"a value ({score.unit})" if score.unit else "a value"


def device_note(score: Score) -> str:
    """Say whether a score is a plain rule that can be checked by eye, a prediction, or somebody else's result."""
    said = _DEVICE.search(" ".join((score.note or "").split()))
    if said:
        return said[1].rstrip(".")
    if score.kind == "recorded":
        return "what somebody else recorded; nothing is computed here"
    return "a prediction, not validated here" if score.is_prediction else "a plain visible rule"


def limits(score: Score) -> str:
    """Give the note of a score without what is said elsewhere on its page."""
    return _KIND_INTRODUCTION.sub("", _DEVICE.sub("", " ".join((score.note or "").split()))).strip()


# ------------------------------------------------------------------------------------------------------------- scores


def score_page(score: Score, book: RuleBook, history: History) -> str:
    """Write the page of one score."""
    facts = items(
        (
            ("Status", f"**{STATUS_WORDS[score.status]}**"),
            ("What kind of thing it is", device_note(score)),
            ("Source", _with_doi(score.source)),
            ("Licence", score.licence),
            ("Version", score.version),
            ("Used by", _used_by(score, book)),
        )
    )
    blocks = [
        f"# {score.label}\n",
        "[The rule book](../README.md)\n",
        facts,
        "## Who it is for\n",
        _eligibility(score, book),
    ]
    blocks += ["## How it is worked out\n", f"{_sentence(method_in_words(score, book))}\n"]
    if score.points:
        blocks += [_points_table(score, book)]
    if score.tiers:
        blocks += ["## Tiers\n", table(("", "Tier", "When"), tier_rows(score, book))]
    else:
        blocks += ["There are no tiers: only the value is given.\n"]
    blocks += _weights(score, book)
    blocks += ["## When something is not known\n", f"{_sentence(score_unknown_in_words(score, book))}\n"]
    if limits(score):
        blocks += ["## Limits\n", f"{limits(score)}\n"]
    blocks += _behind(score, book.variables_of_score(score.id), book)
    return "\n".join([*blocks, *_last(score, "scores", book, history)])


def _points_table(score: Score, book: RuleBook) -> str:
    """Write what adds to a score; columns that would be empty throughout are left out, and names are not repeated."""
    head, rows = ("What", "Which", "Points", "Points when not known"), points_rows(score, book)
    before = [None, *(row[0] for row in rows)]
    shown = [("" if row[0] == above and row[1] else row[0], *row[1:]) for row, above in zip(rows, before, strict=False)]
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return table([head[column] for column in kept], ([row[column] for column in kept] for row in shown))


def _weights(score: Score, book: RuleBook) -> list[str]:
    """Give the points of every code, where a score adds up codes that have points of their own."""
    read = [book.variables[name] for name in score.variables if name in book.variables]
    named = sorted({name for each in read if each.take == "weight" for name in each.codelists})
    rows = [
        (code, book.codelists[name].codes[code], figure(points))
        for name in named
        for code, points in sorted(book.codelists[name].weights.items(), key=lambda each: (-each[1], each[0]))
    ]
    return (
        [f"What each diagnosis adds, {plural(len(rows), 'code')}:\n", table(("Code", "What", "Points"), rows)]
        if rows
        else []
    )


def _used_by(score: Score, book: RuleBook) -> str | None:
    said = []
    for each in _in_order(book.pathways.values()):
        if each.tier_from == score.id or any(score.id in (*part.scores, *part.variables) for part in each.conditions):
            said.append(f"pathway [{each.label}](../pathways/{each.id}.md)")
    said += [_link(book.scores[name]) for name in sorted(book.scores) if score.id in book.scores_behind(name)]
    return ", ".join(said) or "no pathway: it is worked out and shown, and decides nothing"


def _eligibility(score: Score, book: RuleBook) -> str:
    if not score.eligibility and not score.withheld_when_absent:
        return "Everybody.\n"
    rows = [(condition_in_words(each.when, book), each.otherwise) for each in score.eligibility]
    rows += [("any record at all", score.withheld_when_absent)] if score.withheld_when_absent else []
    return table(("Needed", "Otherwise no score, with the words"), rows)


# ----------------------------------------------------------------------------------------------------------- pathways


def pathway_page(pathway: Pathway, book: RuleBook, history: History) -> str:
    """Write the page of one pathway."""
    score = pathway.tier_from
    facts = items(
        [
            *((title, _with_doi(text)) for title, text in pathway_facts(pathway, book)),
            ("Tiers", f"those of {_link(book.scores[score], '../scores/')}" if score else "none"),
        ]
    )
    blocks = [f"# Pathway: {pathway.label}\n", "[The rule book](../README.md)\n", facts, pathway_text(pathway, book)]
    others = sorted(pathway.scores)
    links = "".join(f"- {_link(book.scores[name], '../scores/')}\n" for name in others)
    blocks += ["## Scores it uses\n", links or "None.\n"]
    own = [name for each in pathway.conditions for name in each.variables if name not in book.scores]
    own += pathway.shown
    from_scores = {name for each in others for name in book.variables_of_score(each)}
    read = tuple(name for name in dict.fromkeys(own) if name not in from_scores)
    blocks += _behind(pathway, read, book)
    return "\n".join([*blocks, *_last(pathway, "pathways", book, history)])


# ---------------------------------------------------------------------------------------------------- what is on both


def _behind(definition: Score | Pathway, read: Sequence[str], book: RuleBook) -> list[str]:
    """Give what a definition reads, and the codelists behind that."""
    if not read:
        return []
    besides = " besides what its scores read" if isinstance(definition, Pathway) else ""
    head = ("What", "Unit", "How far back", "In words", "Where that comes from")
    rows = [input_row(name, book) for name in read]
    blocks = [f"## What it reads{besides}\n", table(head, rows)]
    named = {name for each in read if each in book.variables for name in book.codelists_of(each)}
    if named:
        picked = [codelist_row(book.codelists[name]) for name in sorted(named)]
        blocks += [
            "## Codelists\n",
            "Sources and licences are with [all codelists](../codelists.md).\n",
            table(
                ("Codelist", "System", "Codes", "Status", "Coverage"), ((r[0], r[1], r[3], r[7], r[8]) for r in picked)
            ),
        ]
    return blocks


def _last(definition: Score | Pathway, kind: str, book: RuleBook, history: History) -> list[str]:
    """Give the example patients and the versions."""
    examples = book.examples.get(definition.id, ())
    rows = [(each.name, person_in_words(each, book), answer_in_words(each, definition, book)) for each in examples]
    earlier = history.get(kind, {}).get(definition.id, ())
    versions = [f"- {definition.version}: this one.\n", *(f"- {each}: replaced.\n" for each in reversed(earlier))]
    said = "What changed for whom is in the change log (`CHANGELOG.md`), under “Clinical changes”."
    return [
        "## Example patients\n",
        f"{ORDINARY}\n",
        table(("Example", "Who, and what was found", "Answer"), rows),
        "## Versions\n",
        "".join(versions),
        f"{said}\n",
    ]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _with_doi(text: str) -> str:
    """Make a link of every DOI in a text."""

    def link(found: re.Match[str]) -> str:
        target = found[1].replace("(", "%28").replace(")", "%29")
        return f"[doi:{found[1]}](https://doi.org/{target})"

    return _DOI.sub(link, " ".join(text.split()))


# --------------------------------------------------------------------------------------- measurements and codelists


def _measurements(book: RuleBook) -> str:
    each_one = sorted(book.measurements.values(), key=lambda each: each.label)
    blocks = ["# Measurements\n", "[The rule book](README.md)\n", f"{MEASUREMENTS}\n"]
    return "\n".join([*blocks, *(measurement_section(each, book) for each in each_one)])


def _codelists(book: RuleBook) -> str:
    each_one = sorted(book.codelists.values(), key=lambda each: each.id)
    return "\n".join(
        [
            "# Codelists\n",
            "[The rule book](README.md)\n",
            "Which codes mean what. These are starter lists: right as far as they go, each with what it covers. A site"
            " brings its own full list with `stratify codelists add` ([how](../codelists.md)).\n",
            table(CODELIST_HEAD, (codelist_row(each) for each in each_one)),
        ]
    )
