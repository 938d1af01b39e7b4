"""The file of self-management offers of one practice: a CSV that opens in Excel, starts no formula there, and has room
for what became of each offer.

Direct care only. Who is offered what was settled before; here is only how it is written down and how to offer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stratify.filled_in import OFFERS
from stratify.publish import words
from stratify.publish.context import PublishContext, check_frame, row_reference

OFFERS_PLACE = OFFERS
"""Folder of the offers, and what stands for the clinic in their row references."""


def write_offers(path: Path, rows: Sequence[Mapping[str, Any]], context: PublishContext) -> None:
    """Write one practice's offers as CSV: UTF-8 with byte order mark, CRLF, every cell quoted, sorted.

    Args:
        path: The file to write.
        rows: One for each person and offer, with identity, pathway and what is known of reaching the person.
        context: The run.

    Raises:
        ContractError: rows do not keep ``out.self_management_offer``.
    """
    records = [
        {
            "row_reference": row_reference(context.index_date, OFFERS_PLACE, row["patient_key"]),
            "pathway": context.pathways[row["pathway"]].label,
            "offer": context.pathways[row["pathway"]].offer(row["offer_id"]).label,
            "nhs_number": row["nhs_number"],
            "family_name": row["family_name"],
            "given_names": row["given_names"],
            "date_of_birth": row["date_of_birth"].strftime("%d/%m/%Y") if row["date_of_birth"] else None,
            "phone_mobile": row["phone_mobile"],
            "contact_preference": row["contact"],
            "language": row["language"],
            "ais_format": row["formats"],
            "has_digital_access": words.yes_no(row["has_digital_access"]),
            "how_to_offer": how_to_offer(row),
            "why": row["why"].replace("• ", "").replace("\n", "; "),
            "since_last_week": row["since_last_week"],
            "previous_outcome": row["previous_outcome"],
            **dict.fromkeys(("outcome", "outcome_date", "decision_reason", "decided_by", "concern")),
        }
        for row in rows
    ]
    frame = check_frame(pl.DataFrame(records, infer_schema_length=None), "out.self_management_offer")
    write_safe_csv(path, frame.sort("pathway", "how_to_offer", "row_reference"))


def how_to_offer(row: Mapping[str, Any]) -> str:
    """Say how somebody is offered something, from what is known of reaching them."""
    return words.how_to_offer(
        ais_format=row["ais_format"],
        interpreter_needed=row["interpreter_needed"],
        language=row["preferred_language"],
        has_digital_access=row["has_digital_access"],
        contact_preference=row["contact_preference"],
        is_spine_sensitive=row["is_spine_sensitive"],
        nhs_number_status=row["nhs_number_status"],
    )


def write_safe_csv(path: Path, frame: pl.DataFrame) -> None:
    """Write a CSV that opens in Excel and starts no formula there: byte order mark, CRLF, every cell quoted."""
    safe = frame.select(pl.all().cast(pl.String))
    safe = safe.with_columns(pl.all().map_elements(words.harmless, return_dtype=pl.String))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = safe.write_csv(quote_style="always", line_terminator="\r\n", null_value="")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8"))
