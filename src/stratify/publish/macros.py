"""Ready-made questions that travel inside the commissioners' file, each with a worked example."""

from __future__ import annotations

from stratify.publish.comparators import BESIDE
from stratify.publish.similar_places import PLACES_ALIKE
from stratify.publish.sustainability import SUSTAINED
from stratify.publish.weeks_told import BY_MONTH
from stratify.store import Macro

_SHOWN = """geography_code, geography_name, pathway, status, period_start, period_end, numerator, denominator, value,
    lower_95, upper_95, standardised_value, standardised_lower_95, standardised_upper_95, reason"""

MACROS = (
    Macro(
        name="metric",
        parameters=("wanted", "place"),
        query=f"""SELECT {_SHOWN} FROM metric_value
    WHERE metric = wanted AND geography_type = lower(place) AND breakdown = 'all'
    ORDER BY geography_code, pathway, status""",
        about="Values of a metric for every place of a kind: practice, PCN or ICB.",
        example="SELECT * FROM metric('emergency_admissions', 'PCN')",
    ),
    Macro(
        name="metric_by",
        parameters=("wanted", "place", "grouping"),
        query=f"""SELECT breakdown_value, {_SHOWN} FROM metric_value
    WHERE metric = wanted AND geography_type = lower(place) AND breakdown = lower(grouping)
    ORDER BY geography_code, pathway, status, breakdown_value""",
        about="The same by imd_quintile, ethnic_group, age_band, sex or care_home, with those not known.",
        example="SELECT * FROM metric_by('diabetes_all_eight_processes', 'ICB', 'imd_quintile')",
    ),
    Macro(
        name="acid_tests",
        parameters=("place",),
        query="""SELECT m.name, m.unit, v.geography_code, v.geography_name, v.pathway, v.status, v.period_end, v.value,
    v.lower_95, v.upper_95, v.reason
    FROM metric_value AS v JOIN metric AS m ON m.metric = v.metric
    WHERE m.is_acid_test AND v.geography_type = lower(place) AND v.breakdown = 'all'
    ORDER BY m.name, v.geography_code, v.pathway, v.status""",
        about="The few measures to judge the whole by, for every place of a kind.",
        example="SELECT * FROM acid_tests('ICB')",
    ),
    Macro(
        name="gradient",
        parameters=("wanted", "place"),
        query="""SELECT geography_code, geography_name, pathway, status, slope, lower_95, upper_95, reason
    FROM metric_gradient WHERE metric = wanted AND geography_type = lower(place)
    ORDER BY geography_code, pathway, status""",
        about="How far a metric differs from the least to the most deprived people of each PCN or ICB.",
        example="SELECT * FROM gradient('emergency_admissions', 'ICB')",
    ),
    Macro(
        name="funnel",
        parameters=("wanted", "place"),
        query="""SELECT geography_code, geography_name, pathway, status, value, board_value, position, lower_limit_95,
    upper_limit_95 FROM metric_funnel
    WHERE metric = wanted AND geography_type = lower(place) ORDER BY value DESC, geography_code, pathway, status""",
        about="Which practices or PCNs are further from their board's value than chance alone would have it.",
        example="SELECT * FROM funnel('diabetes_all_eight_processes', 'practice')",
    ),
    BESIDE,
    Macro(
        name="spc",
        parameters=("wanted", "place"),
        query="""SELECT geography_code, geography_name, month, numerator, denominator, value, mean, lower_limit,
    upper_limit, variation, signals, starts_again_because FROM spc_point
    WHERE metric = wanted AND geography_type = lower(place) ORDER BY geography_code, month""",
        about="The control chart of a metric, month by month, for every PCN or ICB.",
        example="SELECT * FROM spc('emergency_admissions', 'ICB')",
    ),
    BY_MONTH,
    PLACES_ALIKE,
    SUSTAINED,
    Macro(
        name="not_measurable",
        parameters=(),
        query="""SELECT metric AS metric_id, name, not_measurable_because FROM metric
    WHERE NOT is_measurable ORDER BY metric_id""",
        about="Metrics that this file has no values of, and why.",
        example="SELECT * FROM not_measurable()",
    ),
)
