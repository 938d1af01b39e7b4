"""What leaves a run: lists and offers for practices, counts for commissioners, the supplier's report, the manifest.

Two surfaces that never mix. Direct care (``practice_lists``, ``workbook``, ``offers``): names and NHS numbers, one
folder per practice; what comes back of it is read by ``filled_lists`` and, where it cannot be used, answered by
``returned_rows``. Secondary use (``commissioner``): counts under disclosure control and nobody in them. Beside them
what goes back to a supplier (``supplier_report``): places in files and no value. Who goes where was settled before;
nothing here decides about a person, and no file is put in its final place here.
"""

from stratify.publish.admitted import write_admitted_counts, write_never_listed
from stratify.publish.commissioner import TABLES as COMMISSIONER_TABLES
from stratify.publish.commissioner import build_counts
from stratify.publish.commissioner_file import signature_in_words, write_commissioner_file
from stratify.publish.context import HeldList, PublishContext, folder_name, row_reference
from stratify.publish.costs import ACTIVITIES
from stratify.publish.feedback_files import answers_to_write, is_told, read_told
from stratify.publish.feedback_files import write_form as write_form_of_practice
from stratify.publish.feedback_page import feedback_page
from stratify.publish.feedback_rows import SaidBefore, list_names
from stratify.publish.fhir import write_bundles
from stratify.publish.filled_lists import read_filled
from stratify.publish.filling import fill_in
from stratify.publish.letters import Shape, write_letters
from stratify.publish.manifest import write_manifest
from stratify.publish.metric_tables import Counted, MetricRow, Months
from stratify.publish.pack import write_packs
from stratify.publish.panel_forms import FORM_COLUMNS, FORM_MARK, FormQuestion, read_form, write_form
from stratify.publish.places import places_of
from stratify.publish.practice_lists import write_direct_care
from stratify.publish.reached_page import full_clinics_told, reached_page, share_row
from stratify.publish.register import is_meeting
from stratify.publish.returned_rows import ReturnedLine, write_returned_rows
from stratify.publish.scorecard import check_scorecard
from stratify.publish.supplier_report import Delivery, report_of_refusal, report_of_rows
from stratify.publish.supplier_workbook import write_supplier_report
from stratify.publish.team_page import TeamPages, team_pages_in_words
from stratify.publish.what_if import WhatIf, protected_lists
from stratify.publish.what_if_page import write_what_if
from stratify.publish.what_if_words import what_if_in_words
from stratify.publish.words import UNVERIFIED_NUMBER, source_in_words

__all__ = [
    "ACTIVITIES",
    "COMMISSIONER_TABLES",
    "FORM_COLUMNS",
    "FORM_MARK",
    "UNVERIFIED_NUMBER",
    "Counted",
    "Delivery",
    "FormQuestion",
    "HeldList",
    "MetricRow",
    "Months",
    "PublishContext",
    "ReturnedLine",
    "SaidBefore",
    "Shape",
    "TeamPages",
    "WhatIf",
    "answers_to_write",
    "build_counts",
    "check_scorecard",
    "feedback_page",
    "fill_in",
    "folder_name",
    "full_clinics_told",
    "is_meeting",
    "is_told",
    "list_names",
    "places_of",
    "protected_lists",
    "reached_page",
    "read_filled",
    "read_form",
    "read_told",
    "report_of_refusal",
    "report_of_rows",
    "row_reference",
    "share_row",
    "signature_in_words",
    "source_in_words",
    "team_pages_in_words",
    "what_if_in_words",
    "write_admitted_counts",
    "write_bundles",
    "write_commissioner_file",
    "write_direct_care",
    "write_form",
    "write_form_of_practice",
    "write_letters",
    "write_manifest",
    "write_never_listed",
    "write_packs",
    "write_returned_rows",
    "write_supplier_report",
    "write_what_if",
]
