"""The dashboard's part on whom it reaches: groups of people, gradients of deprivation, funnels of places."""

from __future__ import annotations

from collections.abc import Sequence

from stratify.publish import dashboard_charts as charts
from stratify.publish.dashboard_figures import Figure, Section, figure_of, interval_of, newest_final, of_pathway
from stratify.publish.published_file import PublishedFile, Row
from stratify.publish.words import plain

_FEWEST_PRACTICES = 5
"""With fewer that can be shown, a funnel compares nothing."""
GROUPS = {"imd_quintile": "Deprivation (1 is the most deprived fifth)", "ethnic_group": "Ethnic group",
           "age_band": "Age", "sex": "Sex", "care_home": "Lives in a care home"}  # fmt: skip


def equity(file: PublishedFile) -> Section:
    """Give the part of the page on groups of people."""
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
        newest = newest_final(rows)
        for name, heading in GROUPS.items():
            mine = [row for row in newest if row["breakdown"] == name]
            drawn += [charts.Interval(heading, None, None, None, "")] if mine else []
            drawn += [interval_of(row, _group(row)) for row in mine]
        title = each["name"] + (f": {plain(each['pathway'])}" if each["pathway"] != "all" else "")
        said = _said_of_groups(newest)
        picture = charts.intervals(drawn, title=f"{title}, by group of people", unit=each["unit"])
        figures.append(figure_of(f"{title}, by group of people", said, picture, rows, query))
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
    return figure_of("Slopes from the least to the most deprived", said, None, rows, query)


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
        title = f"{each['name']}{of_pathway(each['pathway'])}: practices against chance"
        said = (
            f"{beyond} of {len(rows)} practices lie outside the 95 % limits about the board's "
            f"{rows[0]['board_value']:g} {each['unit']}: a reason to ask, since ages, need and recording differ too, "
            "and not a verdict."
        )
        picture = charts.funnel(points, title=title, unit=each["unit"], board=rows[0]["board_value"])
        figures.append(figure_of(title, said, picture, rows, query))
    return figures
