"""The commissioners' dashboard: one HTML page made from ``commissioner.duckdb`` and nothing else.

Whatever is on it is in the file, so it can show nothing that is not published. Each figure is what one query answers,
and the query stands under it. Says what was counted and how sure it is; never that anything brought anything about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter

from stratify import pages, periods
from stratify.publish import dashboard_charts as charts
from stratify.publish.published_file import PublishedFile, Row, shown
from stratify.publish.words import plain

_COUNTS = ("numerator", "denominator", "people_count", "waiting", "over_28_days", "not_known", "everybody")
_VALUES = (*_COUNTS, "value", "lower_95", "upper_95", "percent", "slope")


@dataclass(frozen=True)
class Figure:
    """What one query answers: a sentence, a picture or none, the table, the query."""

    title: str
    said: str
    picture: str | None
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]
    query: str


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    about: str
    figures: tuple[Figure, ...]

    @property
    def anchor(self) -> str:
        """Where a link leads."""
        return self.title.lower().replace(" ", "-")


def dashboard(file: PublishedFile) -> str:
    """Write the page; the same bytes for the same tables."""
    sections = (
        _acid_tests(file),
        _tiers_and_flow(file),
        _equity(file),
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


_FEWEST_PRACTICES = 5
"""With fewer that can be shown, a funnel compares nothing."""

_FEW_ROWS = 6
"""A table without a picture is open, and printed, up to this many rows."""

_MOST_ROWS = 60
"""With more, a picture has the boards alone; the table has every place."""

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
        newest = _newest_final(rows)
        picture = charts.intervals(
            [_interval(row, _place(row)) for row in _drawable(newest)], title=each["name"], unit=each["unit"]
        )
        figures.append(
            _figure(each["name"], _said_of_board(newest, each["unit"]), picture if newest else None, rows, query)
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
                charts.Bar(_tier(file, row, column), row["people_count"], shown(row, "people_count")) for row in mine
            ]
        hidden = sum(row["people_count"] is None for row in rows)
        largest = max(rows, key=lambda row: row["people_count"] or 0, default=None)
        said = "Nobody is on a pathway."
        if largest and largest["people_count"]:
            said = (
                f"The largest group is {plain(largest['pathway'])}, {_tier(file, largest, column)}: "
                f"{largest['people_count']:,} people; {hidden} of {len(rows)} numbers are hidden or not counted."
            )
        figures.append(_figure(title, said, charts.bars(drawn, title=title) if rows else None, rows, query))
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
        drawn_intervals.append(_interval(row, plain(row["pathway"])))
    title = "Offers, places and answers, by pathway"
    picture = charts.intervals(drawn_intervals, title=title, unit="per cent") if rows else None
    told = sum(row["value"] is not None for row in rows)
    said = f"Of {len(rows)} shares, {told} can be shown; a low share of a few people says little: see the intervals."
    figures.append(_figure(title, said, picture, rows, query))
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
    return _figure(title, said, charts.courses(drawn, title=title) if len(weeks) > 1 else None, rows, query)


_GROUPS = {"imd_quintile": "Deprivation (1 is the most deprived fifth)", "ethnic_group": "Ethnic group",
           "age_band": "Age", "sex": "Sex", "care_home": "Lives in a care home"}  # fmt: skip


def _equity(file: PublishedFile) -> Section:
    figures = []
    asked = file.rows(
        "SELECT DISTINCT m.metric, m.name, m.unit, v.pathway "
        "FROM metric AS m JOIN metric_value AS v ON v.metric = m.metric "
        "WHERE m.is_acid_test AND v.geography_type = 'icb' AND v.breakdown = 'all' AND v.value > 0 "
        "ORDER BY m.metric, v.pathway"
    )
    for each in asked:
        query = (
            "SELECT geography_code AS place, status, breakdown, breakdown_value AS group_name, numerator,\n"
            "    denominator, value, lower_95, upper_95, reason\n"
            f"FROM metric_value WHERE metric = '{each['metric']}' AND pathway = '{each['pathway']}' "
            "AND geography_type = 'icb' AND breakdown <> 'all'\n"
            "ORDER BY place, status, breakdown, breakdown_value = 'not known', breakdown_value <> 'under 18', "
            "breakdown_value"
        )
        rows = file.rows(query)
        drawn: list[charts.Interval] = []
        newest = _newest_final(rows)
        for name, heading in _GROUPS.items():
            mine = [row for row in newest if row["breakdown"] == name]
            drawn += [charts.Interval(heading, None, None, None, "")] if mine else []
            drawn += [_interval(row, _group(row)) for row in mine]
        title = each["name"] + (f": {plain(each['pathway'])}" if each["pathway"] != "all" else "")
        said = _said_of_groups(newest)
        picture = charts.intervals(drawn, title=f"{title}, by group of people", unit=each["unit"])
        figures.append(_figure(f"{title}, by group of people", said, picture, rows, query))
    figures.append(_gradients(file))
    figures += _funnels(file)
    return Section(
        "Equity",
        "The same measures for groups of people, always with those of whom it is not known, and for places.",
        tuple(figures),
    )


def _said_of_groups(rows: Sequence[Row]) -> str:
    told = sorted((row for row in rows if row["value"] is not None), key=lambda row: row["value"])
    if not told:
        return f"No group of {len(rows)} can be shown."
    ends = [f"{row['value']:g} ({_group(row)})" for row in (told[0], told[-1])]
    return (
        f"Of {len(rows)} groups {len(told)} can be shown, from {' to '.join(ends)}; where two intervals overlap much, "
        "chance alone may make the difference."
    )


def _group(row: Row) -> str:
    group, breakdown = str(row["group_name"]), str(row["breakdown"])
    if breakdown == "sex":
        return {"F": "female", "M": "male"}.get(group, f"sex {group}")
    if breakdown == "care_home":
        return {"yes": "in a care home", "no": "in no care home"}.get(group, f"care home {group}")
    if breakdown == "imd_quintile":
        return f"deprivation {group}"
    return f"{breakdown.replace('_', ' ').removesuffix(' band')} {group}" if group == "not known" else group


def _gradients(file: PublishedFile) -> Figure:
    query = (
        "SELECT m.name AS measure, m.unit, g.pathway, g.status, g.slope, g.lower_95, g.upper_95, g.reason\n"
        "FROM metric_gradient AS g JOIN metric AS m ON m.metric = g.metric\n"
        "WHERE g.geography_type = 'icb' ORDER BY m.name, g.pathway, g.status"
    )
    rows = file.rows(query)
    steep = [row for row in rows if row["slope"] is not None and (row["lower_95"] > 0 or row["upper_95"] < 0)]
    told = sum(row["slope"] is not None for row in rows)
    said = (
        f"Of {told} slopes that can be worked out, {len(steep)} differ from none by more than chance alone would have "
        "it; above 0 means more among the most deprived."
    )
    return _figure("Slopes from the least to the most deprived", said, None, rows, query)


def _funnels(file: PublishedFile) -> list[Figure]:
    figures = []
    asked = file.rows(
        "SELECT m.metric, m.name, m.unit, f.pathway, "
        "CASE WHEN bool_or(f.status = 'final') THEN 'final' ELSE 'provisional' END AS status "
        "FROM metric_funnel AS f JOIN metric AS m ON m.metric = f.metric "
        "WHERE m.is_acid_test AND f.geography_type = 'practice' AND f.board_value > 0 "
        f"GROUP BY ALL HAVING count(DISTINCT f.geography_code) >= {_FEWEST_PRACTICES} ORDER BY ALL"
    )
    for each in asked:
        query = (
            "SELECT coalesce(f.geography_name, f.geography_code) AS place, v.denominator, f.value, f.board_value,\n"
            "    f.position, f.lower_limit_998, f.lower_limit_95, f.upper_limit_95, f.upper_limit_998\n"
            "FROM metric_funnel AS f\n"
            "JOIN metric_value AS v USING (metric, pathway, status, geography_type, geography_code)\n"
            f"WHERE f.metric = '{each['metric']}' AND f.pathway = '{each['pathway']}'\n"
            f"    AND f.status = '{each['status']}' AND f.geography_type = 'practice' AND v.breakdown = 'all'\n"
            "ORDER BY f.value DESC, place"
        )
        rows = file.rows(query)
        points = [
            charts.FunnelPoint(
                row["place"],
                row["denominator"],
                row["value"],
                (row["lower_limit_998"], row["lower_limit_95"], row["upper_limit_95"], row["upper_limit_998"]),
                row["position"] != "within",
            )
            for row in rows
        ]
        beyond = sum(point.is_beyond for point in points)
        title = f"{each['name']}{_of(each['pathway'])}: practices against chance"
        said = (
            f"{beyond} of {len(rows)} practices lie outside the 95 % limits about the board's "
            f"{rows[0]['board_value']:g} {each['unit']}: a reason to ask, since ages, need and recording differ too, "
            "and not a verdict."
        )
        picture = charts.funnel(points, title=title, unit=each["unit"], board=rows[0]["board_value"])
        figures.append(_figure(title, said, picture, rows, query))
    return figures


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
        title = f"{each['name']} by month: {_short(each)}"
        picture = charts.control_chart(
            points, title=title, unit=f"{each['unit']} a year", target=each["target"], assurance=each["assurance"]
        )
        figures.append(_figure(title, _said_of_chart(each, rows), picture, rows, query))
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
    return _figure(title, said, None, rows, query)


def _said_of_chart(chart: Row, rows: Sequence[Row]) -> str:
    last = rows[-1]
    if chart["variation"] is None:
        return f"No limits are drawn: {chart['reason']}."
    words = f"{_month(last['month'])} is {last['value']:g}, of a mean of {last['mean']:g} with limits "
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
            _place(row),
            row["waiting"],
            f"{shown(row, 'waiting')}, {shown(row, 'over_28_days')} over 28 days",
            row["over_28_days"],
        )
        for row in _drawable(rows)
    ]
    boards = [row for row in rows if row["geography_type"] == "icb" and row["waiting"]]
    most = max(boards, key=lambda row: row["waiting"], default=None)
    said = "Nobody waits, or the numbers are hidden."
    if most:
        said = f"The longest queue is {plain(most['pathway'])}: {most['waiting']:,} people, of whom "
        said += f"{shown(most, 'over_28_days')} have waited for longer than 28 days."
    title = "People who wait, and those over 28 days (darker)"
    figure = _figure(title, said, charts.bars(drawn, title=title) if rows else None, rows, query)
    full = "SELECT clinic_id, serves, reason FROM full_clinic ORDER BY clinic_id, serves"
    clinics = file.rows(full)
    said = f"{len(clinics) or 'No'} clinic(s) take nobody new in this week."
    told = _figure("Clinics that take nobody new in", said, None, clinics, full)
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
            f"{_short(row)}: {_GROUPS[row['breakdown']].split(' (')[0].lower()}",
            row["percent"],
            shown(row, "percent") + (" %" if row["percent"] is not None else ""),
        )
        for row in _drawable(rows)
    ]
    title = "People of whom a group is not known, per cent"
    said = "Of nobody is a group not known."
    if most := max((row for row in rows if row["percent"] is not None), key=lambda row: row["percent"], default=None):
        said = f"Most often not known is {_GROUPS[most['breakdown']].split(' (')[0].lower()} in {most['place']}: "
        said += f"of {most['percent']:g} % of people; they are a group of their own in every table."
    figures = [_figure(title, said, charts.bars(drawn, title=title) if rows else None, rows, unknown)]
    feeds = _about_query(
        "Data up to", "Not received this week", "Held this week%", "Not switched on%", "Who is not counted"
    )
    rows = file.rows(feeds)
    lost = [row for row in rows if row["topic"].startswith(("Not received", "Held"))]
    said = "Nothing is held and every feed came." if not lost else f"{len(lost)} things are missing or held this week."
    figures.append(_figure("What came in, what is held and who is left out", said, None, rows, feeds))
    hidden = (
        "SELECT geography_type, count(*) AS numbers, count(*) FILTER (is_suppressed) AS hidden,\n"
        "    round(100.0 * count(*) FILTER (is_suppressed) / count(*), 1) AS percent\n"
        "FROM metric_value GROUP BY geography_type ORDER BY geography_type"
    )
    rows = file.rows(hidden)
    said = "Shares of values hidden for small numbers: " + "; ".join(
        f"{_KIND[row['geography_type']]} {row['percent']:g} %" for row in rows
    )
    figures.append(_figure("How much is hidden", f"{said}.", None, rows, hidden))
    query = "SELECT name AS measure, not_measurable_because FROM not_measurable()"
    rows = file.rows(query)
    said = f"{len(rows)} measures cannot be worked out from these data; they are not nought."
    figures.append(_figure("What cannot be measured", said, None, rows, query))
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
            _figure("Charts that start again", said, None, rows, again),
            _figure(
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
    return _figure("Places alike, and what changed there", said, None, rows, query)


def _about_query(*topics: str) -> str:
    either = " OR ".join(f"topic LIKE '___{each}'" for each in topics)
    return f"SELECT substr(topic, 4) AS topic, detail FROM about\nWHERE {either} ORDER BY about.topic"


def _newest_final(rows: Sequence[Row]) -> list[Row]:
    """Keep what is final where anything is: provisional figures are in the table, and not in the picture."""
    final = [row for row in rows if row["status"] == "final"]
    return final or list(rows)


def _drawable(rows: Sequence[Row]) -> list[Row]:
    """Keep the boards alone where there are too many places to look at."""
    return [row for row in rows if len(rows) <= _MOST_ROWS or row["geography_type"] == "icb"]


def _said_of_board(rows: Sequence[Row], unit: str) -> str:
    boards = [row for row in rows if row["geography_type"] == "icb"]
    words = []
    for row in boards:
        name = f"{plain(row['pathway'])}: " if row["pathway"] != "all" else f"{_short(row)}: "
        if row["value"] is None:
            words.append(f"{name}{shown(row, 'value')}")
        else:
            words.append(f"{name}{row['value']:g} (95 % interval {row['lower_95']:g} to {row['upper_95']:g})")
    if not words:
        return "It could not be counted in this run: see what cannot be measured, under data quality."
    last = boards[0]
    return f"{'; '.join(words)} {unit}, {last['status']}, up to {periods.in_words(last['period_end'])}."


def _interval(row: Row, label: str) -> charts.Interval:
    return charts.Interval(label, row["value"], row["lower_95"], row["upper_95"], shown(row, "value"))


def _place(row: Row) -> str:
    """Name a place and pathway on a picture: what is too long is cut from the place, since pathways tell rows apart."""
    name, of = _short(row), _of(row["pathway"])
    room = charts.LONGEST - len(of)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + of


def _short(row: Row) -> str:
    """Name a place on a picture."""
    name = str(row["place"]).replace("Primary Care Network", "PCN")
    is_code = row["geography_type"] == "icb" and " " not in name
    return f"Board {name}" if is_code else name


def _of(pathway: str) -> str:
    return "" if pathway == "all" else f": {plain(pathway)}"


def _tier(file: PublishedFile, row: Row, column: str) -> str:
    """Say a decision or tier in words: those that the file itself gives for a tier."""
    value = str(row[column])
    if value == "all":
        return "held"
    _, _, tiers = file.about.get(f"Pathway {row['pathway']}", "").partition(" Tiers: ")
    labels = dict(each.split(" = ", 1) for each in tiers.rstrip(".").split("; ") if " = " in each)
    words = plain(value)[:1].lower() + plain(value)[1:]
    return labels.get(value, words) if column == "tier" else words


def _month(month: date) -> str:
    return f"{month:%B %Y}"


def _figure(title: str, said: str, picture: str | None, rows: Sequence[Row], query: str) -> Figure:
    columns = tuple(name for name in rows[0] if name not in ("is_suppressed", "held")) if rows else ()
    return Figure(
        title,
        said,
        picture,
        tuple(plain(name).replace("95", "95 %") for name in columns),
        tuple(tuple(_cell(row, name) for name in columns) for row in rows),
        query,
    )


def _cell(row: Row, name: str) -> tuple[str, bool]:
    """Give a cell of a table, and whether it is a number."""
    value = row[name]
    if name in _VALUES:
        return (shown(row, name) if value is not None or name not in ("lower_95", "upper_95") else "", True)
    if isinstance(value, date):
        return (_month(value) if name in ("month", "last_month") else periods.in_words(value), False)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (f"{value:,}", True)
    return ("" if value is None else str(value), False)
