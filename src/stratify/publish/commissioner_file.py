"""The commissioners' folder: one DuckDB file that explains itself, the same tables as Parquet, manifest and signature.

Whoever opens the file needs no other page: comments on every table, column and macro, and the table ``about``. Written
into the run's own folder, which is put in place whole; nothing here ever holds a lock that a reader would meet.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from stratify import contracts, periods
from stratify.publish.commissioner import TABLES
from stratify.publish.context import PublishContext
from stratify.publish.dashboard import dashboard
from stratify.publish.macros import MACROS
from stratify.publish.manifest import write_manifest
from stratify.publish.public_summary import public_summary
from stratify.publish.published_file import published_file
from stratify.publish.scorecard import FILE as SCORECARD
from stratify.publish.scorecard import write_scorecard
from stratify.signing import Signer
from stratify.store import PUBLISHED_STORAGE_VERSION, Store, build_file

FILE = "commissioner.duckdb"
DASHBOARD, SUMMARY = "dashboard.html", "public_summary.html"
SUMS = "SHA256SUMS"
SIGNATURE = f"{SUMS}.sig"


def write_commissioner_file(store: Store, folder: Path, context: PublishContext, signer: Signer | None = None) -> None:
    """Write the commissioners' folder of the tables that ``build_counts`` made; it must not exist yet.

    Args:
        store: The store of the run.
        folder: The folder to make.
        context: What the outputs of the run say of it.
        signer: The key to sign with; unsigned without one.
    """
    folder.mkdir(parents=True)
    stamp = "TEST: invented patients, not for use. " if context.is_test else ""
    note = f"{stamp}Run {context.run_id}, index date {periods.in_words(context.index_date)}; read the table about."
    build_file(store, folder / FILE, TABLES, note=note, macros=MACROS)
    write_scorecard(store, folder / SCORECARD)
    tables = [_write_parquet(store, folder, name) for name in TABLES]
    with published_file(folder / FILE) as file:
        for name, page in ((DASHBOARD, dashboard(file)), (SUMMARY, public_summary(file))):
            (folder / name).write_text(page, encoding="utf-8")
    manifest = {
        "run_id": context.run_id,
        "index_date": context.index_date,
        "is_test": context.is_test,
        "code_version": context.code_version,
        "rule_digest": context.rule_digest,
        "storage_version": PUBLISHED_STORAGE_VERSION,
        "tables": tables,
        "macros": [{"name": each.name, "example": each.example} for each in MACROS],
        "signature": signature_in_words(signer),
    }
    write_manifest(folder / "manifest.json", manifest)
    named = sorted(path for path in folder.iterdir() if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in named).encode()
    (folder / SUMS).write_bytes(sums)
    if signer:
        (folder / SIGNATURE).write_bytes(signer.sign(sums))


def signature_in_words(signer: Signer | None) -> str:
    """Say with which key the folder is signed, or that it is not."""
    if signer is None:
        return "Not signed: the run was given no signing key. SHA256SUMS shows damage, and not who wrote the files."
    return f"SHA256SUMS is signed (Ed25519, {SIGNATURE}) with the key whose SHA-256 is {signer.fingerprint}."


def _write_parquet(store: Store, folder: Path, name: str) -> dict[str, Any]:
    """Write a table as Parquet, and say what is in it."""
    contract = contracts.load(name)
    frame = store.frame(f"SELECT * FROM {name} ORDER BY {', '.join(contract.key)}")
    path = folder / f"{contract.table}.parquet"
    frame.write_parquet(path, compression="snappy")
    return {
        "name": contract.table,
        "version": contract.version,
        "rows": frame.height,
        "parquet": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "columns": [
            {"name": each.name, "type": each.type, "description": each.description} for each in contract.columns
        ],
    }
