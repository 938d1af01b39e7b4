"""What leaves a run: lists and offers for practices, counts for commissioners, the supplier's report, the manifest.

Two surfaces that never mix. Direct care (``practice_lists``, ``workbook``, ``offers``): names and NHS numbers, one
folder per practice. Secondary use (``commissioner``): counts under disclosure control and nobody in them. Beside them
what goes back to a supplier (``supplier_report``): places in files and no value. Who goes where was settled before;
nothing here decides about a person, and no file is put in its final place here.
"""

from stratify.publish.commissioner import build_counts, write_commissioner_file
from stratify.publish.context import HeldList, PublishContext, row_reference
from stratify.publish.letters import Shape, write_letters
from stratify.publish.manifest import write_manifest
from stratify.publish.pack import write_packs
from stratify.publish.practice_lists import write_direct_care
from stratify.publish.supplier_report import Delivery, report_of_refusal, report_of_rows
from stratify.publish.supplier_workbook import write_supplier_report
from stratify.publish.words import UNVERIFIED_NUMBER, source_in_words

__all__ = [
    "UNVERIFIED_NUMBER",
    "Delivery",
    "HeldList",
    "PublishContext",
    "Shape",
    "build_counts",
    "report_of_refusal",
    "report_of_rows",
    "row_reference",
    "source_in_words",
    "write_commissioner_file",
    "write_direct_care",
    "write_letters",
    "write_manifest",
    "write_packs",
    "write_supplier_report",
]
