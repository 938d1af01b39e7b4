"""The commissioners' dashboard: one HTML page made from ``commissioner.duckdb`` and nothing else.

Whatever is on it is in the file, so it can show nothing that is not published. Each figure is what one query answers,
and the query stands under it. Says what was counted and how sure it is; never that anything brought anything about.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from stratify import pages, periods
from stratify.publish import dashboard_charts as charts
from stratify.publish.dashboard_equity import GROUPS, equity
from stratify.publish.dashboard_figures import (
    Figure,
    Section,
    about_query,
    drawable,
    figure_of,
    interval_of,
    month_in_words,
    newest_final,
    place_of,
    said_of_board,
    short_name,
    tier_label,
)
from stratify.publish.published_file import PublishedFile, Row, shown
from stratify.publish.words import plain


def dashboard(file: PublishedFile) -> str:
    """Write the page; the same bytes for the same tables."""
    sections = (
        _acid_tests(file),
        _tiers_and_flow(file),
        equity(file),
        _over_time(file),
        _queue(file),
        _quality(file),
        _what_changed(file),
    )
    return pages.render(
        __package__,
        "dashboard.html.j2",
        title="Dashboard for commissioners",
        subtitle=f"State on {file.about['Index date'].split(':')[0]} · run {file.about['Run']}",
        is_test="TEST" in file.about,
        sections=sections,
        few_rows=_FEW_ROWS,
        notes=[(name, file.about[name]) for name in _NOTES if name in file.about],
    )


_FEW_ROWS = 6
"""A table without a picture is open, and printed, up to this many rows."""

_NOTES = ("Who is counted", "Who is not counted", "Disclosure control", "Known limits", "How to cite", "Contact")


def _acid_tests(file: PublishedFile) -> Section:
    measures = file.rows("SELECT metric, name, unit, kind FROM metric WHERE is_acid_test ORDER BY metric")
    figures = []
    for each in measures:
        query = (
            "SELECT coalesce(geography_name, geography_code) AS place, geography_type, pathway, status, period_end,\n"
            "    numerator, denominator, value, lower_95, upper_95, reason\n"
            f"FROM metric_value WHERE metric = '{each['metric']}' AND geography_type <> 'practice' "
            "AND breakdown = 'all'\nORDER BY geography_type, geography_code, pathway, status"
        )
        rows = file.rows(query)
        newest = newest_final(rows)
        picture = charts.intervals(
            [interval_of(row, place_of(row)) for row in drawable(newest)], title=each["name"], unit=each["unit"]
        )
        figures.append(
            figure_of(each["name"], said_of_board(newest, each["unit"]), picture if newest else None, rows, query)
        )
    return Section(
        "Acid tests",
        "The few measures to judge the whole by, with what chance alone could make of each (95 % intervals).",
        tuple(figures),
    )


def _tiers_and_flow(file: PublishedFile) -> Section:
    figures = []
    for column, other, title in (
        ("decision", "tier", "What is proposed, by pathway"),
        ("tier", "decision", "Tiers, by pathway"),
    ):
        query = (
            f"SELECT geography_code AS place, pathway, {column}, people_count, is_suppressed, held FROM pathway_count\n"
            f"WHERE geography_type = 'icb' AND breakdown = 'all' AND {other} = 'all' "
            f"AND ({column} <> 'all' OR held = 'all')\nORDER BY ALL"
        )
        rows = file.rows(query)
        drawn: list[charts.Bar] = []
        for (_, pathway), mine in groupby(rows, key=itemgetter("place", "pathway")):
            drawn.append(charts.Bar(plain(pathway), None, ""))
            drawn += [
                charts.Bar(tier_label(file, row, column), row["people_count"], shown(row, "people_count"))
                for row in mine
            ]
        hidden = sum(row["people_count"] is None for row in rows)
        largest = max(rows, key=lambda row: row["people_count"] or 0, default=None)
        said = "Nobody is on a pathway."
        if largest and largest["people_count"]:
            said = (
                f"The largest group is {plain(largest['pathway'])}, {tier_label(file, largest, column)}: "
                f"{largest['people_count']:,} people; {hidden} of {len(rows)} numbers are hidden or not counted."
            )
        figures.append(figure_of(title, said, charts.bars(drawn, title=title) if rows else None, rows, query))
    query = (
        "SELECT m.name AS measure, v.geography_code AS place, v.pathway, v.status, v.numerator, v.denominator,\n"
        "    v.value, v.lower_95, v.upper_95, v.reason\n"
        "FROM metric_value AS v JOIN metric AS m ON m.metric = v.metric\n"
        "WHERE v.geography_type = 'icb' AND v.breakdown = 'all' AND v.pathway <> 'all' AND m.kind = 'share'\n"
        "    AND v.metric <> 'waiting_over_28_days'\nORDER BY m.name, v.geography_code, v.pathway"
    )
    rows = file.rows(query)
    drawn_intervals: list[charts.Interval] = []
    for row in rows:
        if not drawn_intervals or row["measure"] != rows[rows.index(row) - 1]["measure"]:
            drawn_intervals.append(charts.Interval(row["measure"], None, None, None, ""))
        drawn_intervals.append(interval_of(row, plain(row["pathway"])))
    title = "Offers, places and answers, by pathway"
    picture = charts.intervals(drawn_intervals, title=title, unit="per cent") if rows else None
    told = sum(row["value"] is not None for row in rows)
    said = f"Of {len(rows)} shares, {told} can be shown; a low share of a few people says little: see the intervals."
    figures.append(figure_of(title, said, picture, rows, query))
    figures.append(_weeks(file))
    return Section(
        "Tiers and flow",
        "Who is on each pathway, what is proposed, and what became of it. A person on two pathways is in both.",
        tuple(figures),
    )


def _weeks(file: PublishedFile) -> Figure:
    """Draw what the file of each week said; without limits, since a week shares most of its year with the last."""
    query = (
        "SELECT m.name AS measure, w.geography_code AS place, w.pathway, w.week, w.numerator, w.denominator, w.value,\n"
        "    w.lower_95, w.upper_95, w.reason\n"
        "FROM metric_week AS w JOIN metric AS m ON m.metric = w.metric\n"
        "WHERE w.geography_type = 'icb' AND m.kind = 'share' AND w.pathway <> 'all'\n"
        "ORDER BY m.name, place, w.pathway, w.week"
    )
    rows = file.rows(query)
    weeks = sorted({row["week"] for row in rows})
    drawn: list[charts.Course] = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        mine = {(row["place"], row["pathway"], row["week"]): row["value"] for row in rows if row["measure"] == measure}
        drawn.append(charts.Course(measure, ()))
        drawn += [
            charts.Course(plain(pathway), [mine.get((place, pathway, week)) for week in weeks])
            for place, pathway in dict.fromkeys((place, pathway) for place, pathway, _ in mine)
        ]
    title = "Offers, places and answers, week by week"
    said = "No week is kept."
    if weeks:
        said = f"{len(weeks)} week(s) up to {periods.in_words(weeks[-1])}, each as its own file had it. "
        said += "Most are of the year up to the week, so that a line moves slowly and a week is no test of anything."
    return figure_of(title, said, charts.courses(drawn, title=title) if len(weeks) > 1 else None, rows, query)


def _over_time(file: PublishedFile) -> Section:
    figures = [_icons(file, everything=True)]
    asked = file.rows(
        "SELECT c.metric, m.name, m.unit, c.geography_type, c.geography_code, "
        "coalesce(c.geography_name, c.geography_code) AS place, c.variation, c.signals, c.target, c.assurance, "
        "c.reason FROM spc_chart AS c JOIN metric AS m ON m.metric = c.metric "
        "WHERE c.geography_type = 'icb' OR c.variation <> 'common cause' ORDER BY m.name, c.geography_type, place"
    )
    for each in asked:
        query = (
            "SELECT month, numerator, denominator, value, mean, lower_limit, upper_limit, variation, signals,\n"
            "    starts_again_because, is_suppressed\n"
            f"FROM spc_point WHERE metric = '{each['metric']}' AND geography_code = '{each['geography_code']}' "
            f"AND geography_type = '{each['geography_type']}' ORDER BY month"
        )
        rows = file.rows(query)
        points = [
            charts.MonthPoint(
                row["month"], row["value"], row["mean"], row["lower_limit"], row["upper_limit"], row["variation"],
                row["starts_again_because"] is not None,
            )
            for row in rows
        ]  # fmt: skip
        title = f"{each['name']} by month: {short_name(each)}"
        picture = charts.control_chart(
            points, title=title, unit=f"{each['unit']} a year", target=each["target"], assurance=each["assurance"]
        )
        figures.append(figure_of(title, _said_of_chart(each, rows), picture, rows, query))
    return Section(
        "Over time",
        "Statistical process control, in the way of Making Data Count: the line is the mean, the broken lines the "
        "limits within which months vary by themselves. A special cause (diamond: concern, square: improvement) is a "
        "reason to ask what happened; it cannot say what brought it about. The icon at the top right is of the last "
        "month: C common cause, H or L a high or low special cause. Months that can still change are left out.",
        tuple(figures),
    )


def _icons(file: PublishedFile, *, everything: bool) -> Figure:
    some = "" if everything else "WHERE c.variation <> 'common cause' "
    query = (
        "SELECT m.name AS measure, coalesce(c.geography_name, c.geography_code) AS place, c.last_month, c.variation,\n"
        "    c.signals, c.target, c.assurance, c.reason\n"
        f"FROM spc_chart AS c JOIN metric AS m ON m.metric = c.metric {some}"
        "ORDER BY m.name, c.geography_type, place"
    )
    rows = file.rows(query)
    special = [row for row in rows if row["variation"] not in (None, "common cause")]
    no_chart = sum(row["variation"] is None for row in rows)
    said = f"{len(special)} of {len(rows)} charts show a special cause in their last month; {no_chart} cannot be drawn."
    if not everything:
        said = f"{len(special) or 'No'} chart(s) with a special cause in the last month; a chart cannot say why."
    title = "What the charts say of the last month" if everything else "Charts with a special cause in the last month"
    return figure_of(title, said, None, rows, query)


def _said_of_chart(chart: Row, rows: Sequence[Row]) -> str:
    last = rows[-1]
    if chart["variation"] is None:
        return f"No limits are drawn: {chart['reason']}."
    words = f"{month_in_words(last['month'])} is {last['value']:g}, of a mean of {last['mean']:g} with limits "
    words += f"{last['lower_limit']:g} and {last['upper_limit']:g}: {chart['variation']}"
    words += f" ({chart['signals']})" if chart["signals"] else ", as months vary by themselves"
    words += f"; {chart['assurance']} ({chart['target']:g})" if chart["assurance"] else "; no target is set"
    return f"{words}{'; ' + chart['reason'] if chart['reason'] else ''}."


def _queue(file: PublishedFile) -> Section:
    query = (
        "SELECT coalesce(geography_name, geography_code) AS place, geography_type, pathway, denominator AS waiting,\n"
        "    numerator AS over_28_days, value AS percent, lower_95, upper_95, reason\n"
        "FROM metric_value\n"
        "WHERE metric = 'waiting_over_28_days' AND geography_type <> 'practice' AND breakdown = 'all'\n"
        "ORDER BY geography_type, geography_code, pathway"
    )
    rows = file.rows(query)
    drawn = [
        charts.Bar(
            place_of(row),
            row["waiting"],
            f"{shown(row, 'waiting')}, {shown(row, 'over_28_days')} over 28 days",
            row["over_28_days"],
        )
        for row in drawable(rows)
    ]
    boards = [row for row in rows if row["geography_type"] == "icb" and row["waiting"]]
    most = max(boards, key=lambda row: row["waiting"], default=None)
    said = "Nobody waits, or the numbers are hidden."
    if most:
        said = f"The longest queue is {plain(most['pathway'])}: {most['waiting']:,} people, of whom "
        said += f"{shown(most, 'over_28_days')} have waited for longer than 28 days."
    title = "People who wait, and those over 28 days (darker)"
    figure = figure_of(title, said, charts.bars(drawn, title=title) if rows else None, rows, query)
    full = "SELECT clinic_id, serves, reason FROM full_clinic ORDER BY clinic_id, serves"
    clinics = file.rows(full)
    said = f"{len(clinics) or 'No'} clinic(s) take nobody new in this week."
    told = figure_of("Clinics that take nobody new in", said, None, clinics, full)
    return Section("Queue", "People whose need is known and who have no place or offer yet.", (figure, told))


def _quality(file: PublishedFile) -> Section:
    unknown = (
        "SELECT coalesce(p.geography_name, p.geography_code) AS place, geography_type, n.breakdown,\n"
        "    n.people_count AS not_known, p.people_count AS everybody,\n"
        "    round(100.0 * n.people_count / p.people_count, 1) AS percent, n.is_suppressed\n"
        "FROM population AS n JOIN population AS p USING (geography_type, geography_code)\n"
        "WHERE n.breakdown_value = 'not known' AND p.breakdown = 'all' AND n.geography_type <> 'practice'\n"
        "ORDER BY n.geography_type, place, n.breakdown"
    )
    rows = file.rows(unknown)
    drawn = [
        charts.Bar(
            f"{short_name(row)}: {GROUPS[row['breakdown']].split(' (')[0].lower()}",
            row["percent"],
            shown(row, "percent") + (" %" if row["percent"] is not None else ""),
        )
        for row in drawable(rows)
    ]
    title = "People of whom a group is not known, per cent"
    said = "Of nobody is a group not known."
    if most := max((row for row in rows if row["percent"] is not None), key=lambda row: row["percent"], default=None):
        said = f"Most often not known is {GROUPS[most['breakdown']].split(' (')[0].lower()} in {most['place']}: "
        said += f"of {most['percent']:g} % of people; they are a group of their own in every table."
    figures = [figure_of(title, said, charts.bars(drawn, title=title) if rows else None, rows, unknown)]
    feeds = about_query(
        "Data up to", "Not received this week", "Held this week%", "Not switched on%", "Who is not counted"
    )
    rows = file.rows(feeds)
    lost = [row for row in rows if row["topic"].startswith(("Not received", "Held"))]
    said = "Nothing is held and every feed came." if not lost else f"{len(lost)} things are missing or held this week."
    figures.append(figure_of("What came in, what is held and who is left out", said, None, rows, feeds))
    hidden = (
        "SELECT geography_type, count(*) AS numbers, count(*) FILTER (is_suppressed) AS hidden,\n"
        "    round(100.0 * count(*) FILTER (is_suppressed) / count(*), 1) AS percent\n"
        "FROM metric_value GROUP BY geography_type ORDER BY geography_type"
    )
    rows = file.rows(hidden)
    said = "Shares of values hidden for small numbers: " + "; ".join(
        f"{_KIND[row['geography_type']]} {row['percent']:g} %" for row in rows
    )
    figures.append(figure_of("How much is hidden", f"{said}.", None, rows, hidden))
    query = "SELECT name AS measure, not_measurable_because FROM not_measurable()"
    rows = file.rows(query)
    said = f"{len(rows)} measures cannot be worked out from these data; they are not nought."
    figures.append(figure_of("What cannot be measured", said, None, rows, query))
    return Section("Data quality", "How far the numbers on this page can carry weight.", tuple(figures))


_KIND = {"practice": "practices", "pcn": "networks", "icb": "boards"}


def _what_changed(file: PublishedFile) -> Section:
    again = (
        "SELECT m.name AS measure, coalesce(p.geography_name, p.geography_code) AS place, p.month, "
        "p.starts_again_because\n"
        "FROM spc_point AS p JOIN metric AS m ON m.metric = p.metric\n"
        "WHERE p.starts_again_because IS NOT NULL ORDER BY ALL"
    )
    rows = file.rows(again)
    said = f"{len(rows) or 'No'} chart(s) start again for a cause that was written down."
    versions = "SELECT metric, metric_version, name AS measure, owner FROM metric WHERE is_measurable ORDER BY metric"
    defined = file.rows(versions)
    return Section(
        "What changed",
        "Of the figures: months that stand out. Of how they are made: new starts, and the version of each definition, "
        "to hold against that of an earlier file. Numbers of two files are not to be subtracted from one another.",
        (
            _icons(file, everything=False),
            _places_alike(file),
            figure_of("Charts that start again", said, None, rows, again),
            figure_of(
                "Definitions in force", f"{len(defined)} definitions, each with its version.", None, defined, versions
            ),
        ),
    )


def _places_alike(file: PublishedFile) -> Figure:
    query = (
        "SELECT coalesce(s.geography_name, s.geography_code) AS place, s.distance,\n"
        "    coalesce(s.other_name, s.other_code) AS alike, c.changed_date, c.what\n"
        "FROM similar_place AS s LEFT JOIN place_change AS c\n"
        "    ON c.geography_type = s.geography_type AND c.geography_code = s.other_code\n"
        "ORDER BY s.geography_type, s.geography_code, s.nearness, c.changed_date, c.what"
    )
    rows = file.rows(query)
    places, changed = (
        len({row[name] for row in rows if row["what"] or name == "place"}) for name in ("place", "alike")
    )
    said = "There are too few places, or too little is shown of them, to say which are alike."
    if rows:
        said = (
            f"{places} places, each with those most alike in the people they have; of {changed or 'none'} of these a "
        )
        said += "change is written down. It says whom to ask, and nothing about why a place does better or worse."
    return figure_of("Places alike, and what changed there", said, None, rows, query)
