"""The commands of clinical definitions: ``stratify rules`` and ``stratify codelists``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words

rules_app = typer.Typer(
    cls=QuickHelp, help="Clinical definitions: test them, read them in plain words.", no_args_is_help=True
)


@rules_app.command("digests")
def rules_digests(clinical: ClinicalOption = None) -> None:
    """List the digest of each pathway with all it depends on: what somebody signs who signs it off."""
    with faults_in_words():
        from stratify.rule_versions import digest_of_pathway
        from stratify.rulebook import load_rule_book

        book = load_rule_book(clinical)
        for name, pathway in sorted(book.pathways.items()):
            typer.echo(f"{name} {pathway.version}: {digest_of_pathway(book, name)}")


@rules_app.command("test")
def rules_test(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of your own: worked examples (<definition>.examples.yaml) or patients with records; without, "
            "the examples of the definitions."
        ),
    ] = None,
    clinical: ClinicalOption = None,
    only: Annotated[str | None, typer.Option("--only", help="One score or pathway, by its id.")] = None,
) -> None:
    """Work the worked examples; say which do not come out as written, and which edges none of them shows."""
    with faults_in_words():
        from stratify.cost_book import load_costs
        from stratify.errors import RuleError, combine
        from stratify.examples import missing_examples, run_examples
        from stratify.metric_book import load_metrics
        from stratify.own_files import read_patients, with_examples
        from stratify.patients_tried import try_patients
        from stratify.rule_pages import page_of
        from stratify.rulebook import clinical_folder, load_rule_book

        book = load_rule_book(clinical)
        if only:
            page_of(only, book)
        if not files and not only:
            load_metrics(clinical)  # one that is wrong would stop a run at its end, and so would a price
            load_costs(clinical)
        outcomes = [] if files else run_examples(book, only=only)
        for file in files or []:
            patients = read_patients(file)
            tried = try_patients(patients, book) if patients else run_examples(with_examples(book, file))
            for each in tried if patients else []:
                typer.echo(
                    f"{'FAILED' if each.differences else 'holds '}  {each.definition}: {each.name}: {each.found}"
                )
            outcomes += tried
        failed = [each for each in outcomes if each.differences]
        for each in failed:
            typer.echo(f"FAILED  {each.definition}: {each.name}\n        " + "\n        ".join(each.differences))
        for definition in sorted({each.definition for each in outcomes}):
            mine = [each for each in outcomes if each.definition == definition]
            typer.echo(
                f"{definition}: {len(mine) - sum(1 for each in mine if each.differences)} of {len(mine)} examples hold"
            )
        if failed:
            raise RuleError(
                "worked examples",
                expected="all to hold",
                found=f"{len(failed)} that do not",
                action="Correct the definition or the example.",
            )
        missing = [] if files else missing_examples(book, clinical or clinical_folder(), only=only)
        if missing:
            raise combine(list(missing))


@rules_app.command("versions")
def rules_versions(
    file: Annotated[Path, typer.Argument(help="File to write (schemas/rule_versions.json is made by this).")],
    clinical: ClinicalOption = None,
) -> None:
    """Write version and digest of every definition; refused while a changed one keeps its version."""
    with faults_in_words():
        from stratify.rule_versions import write_versions
        from stratify.rulebook import load_rule_book

        typer.echo(write_versions(load_rule_book(clinical), file))


@rules_app.command("check")
def rules_check(
    against: Annotated[
        Path, typer.Option("--against", help="Earlier definitions: a clinical folder, or a file of versions.")
    ],
    clinical: ClinicalOption = None,
) -> None:
    """Fail when a definition changed and its version did not."""
    with faults_in_words():
        from stratify.rule_versions import check_versions
        from stratify.rulebook import load_rule_book

        typer.echo(check_versions(load_rule_book(clinical), against))


@rules_app.command("diff")
def rules_diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of clinical definitions as they were.")],
    on: Annotated[Path, typer.Option("--on", metavar="RUN", help="Output folder of a finished run, for its people.")],
    after: Annotated[
        Path | None, typer.Argument(metavar="B", help="As they shall be; those of stratify when not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for who moves.")] = None,
) -> None:
    """Say which definitions differ, and who of a run's people gets another tier or decision, and why."""
    with faults_in_words():
        from stratify import rule_changes
        from stratify.rulebook import load_rule_book

        found = rule_changes.compare(load_rule_book(before), load_rule_book(after), on)
        if out:
            rule_changes.write_csv(found, out)
        typer.echo(rule_changes.in_words(found))


@rules_app.command("docs")
def rules_docs(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder for the pages (docs/rules is made by this); pages that are no more go."),
    ] = None,
    clinical: ClinicalOption = None,
    versions: Annotated[
        Path | None, typer.Option("--versions", help="File that `stratify rules versions` keeps, for earlier versions.")
    ] = None,
    is_html: Annotated[bool, typer.Option("--html", help="HTML that needs no network, in place of Markdown.")] = False,
    workbook: Annotated[
        Path | None, typer.Option("--workbook", help="The same as sheets: file .xlsx to write.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a page is not up to date.")] = False,
) -> None:
    """Write the rule book in plain English: pages to start from an index, and a workbook."""
    with faults_in_words():
        from stratify.errors import SettingsError
        from stratify.rule_html import as_html
        from stratify.rule_pages import keep_pages, pages
        from stratify.rule_versions import history_of
        from stratify.rulebook import load_rule_book

        if not folder and not workbook:
            raise SettingsError(
                "stratify rules docs",
                expected="a folder for the pages, or --workbook FILE",
                found="neither",
                action="Name one or both",
            )
        book = load_rule_book(clinical)
        if folder:
            found = pages(book, history_of(versions) if versions else None)
            typer.echo(keep_pages(folder, as_html(found) if is_html else found, check_only=check))
        if workbook:
            from stratify.publish.rule_workbook import write_rule_workbook
            from stratify.rule_sheets import sheets

            write_rule_workbook(workbook, sheets(book))
            typer.echo(f"The rule book as a workbook: {workbook.name}")


@rules_app.command("describe")
def rules_describe(
    name: Annotated[str, typer.Argument(help="Id of a score or pathway.")], clinical: ClinicalOption = None
) -> None:
    """Say one score or pathway in plain English: its page of the rule book."""
    with faults_in_words():
        from stratify.rule_pages import page_of, pages
        from stratify.rulebook import load_rule_book

        book = load_rule_book(clinical)
        typer.echo(pages(book)[page_of(name, book)].split("\n", 2)[2], nl=False)


codelists_app = typer.Typer(
    cls=QuickHelp, help="Codelists: bring a full list in, check those held (docs/codelists.md).", no_args_is_help=True
)
RunOption = Annotated[Path | None, typer.Option("--on", metavar="RUN", help="Output folder of a finished run.")]
ReleaseOption = Annotated[
    Path | None, typer.Option("--release", help="Folder of a SNOMED CT release (RF2 snapshot files), a site's own.")
]


@codelists_app.command("add")
def codelists_add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list as it was downloaded.")],
    codelist: Annotated[str, typer.Option("--id", help="Id of the codelist: a new one, or one to replace.")],
    clinical: ClinicalOption = None,
    version: Annotated[str | None, typer.Option("--version", help="Name and version the source gives it.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where it is from.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="On which terms.")] = None,
    review_by: Annotated[
        datetime | None, typer.Option("--review-by", formats=["%Y-%m-%d"], help="Day to look at the source again by.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="What a clinician would call it.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="snomed_ct, icd10, dmd or bnf.")] = None,
    match: Annotated[str | None, typer.Option("--match", help="exact, prefix or category.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="two_sources, one_source or inferred.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="What would surprise a reader.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Cluster or reference set, of several in FILE.")] = None,
    release: ReleaseOption = None,
    descendants: Annotated[bool, typer.Option("--descendants", help="Take all codes below those of FILE.")] = False,
    on: RunOption = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Write it; without, only say what would change.")] = False,
) -> None:
    """Say what a full list would change, and with --adopt put it into a site's clinical folder."""
    with faults_in_words():
        from stratify import codelist_trial, codelists
        from stratify.errors import SettingsError
        from stratify.rulebook import load_rule_book

        if adopt and clinical is None:
            raise SettingsError(
                "--adopt", expected="a site's clinical folder", found="none", action="Name it with --clinical."
            )
        book = load_rule_book(clinical)
        says = {"label": label, "system": system, "match": match, "version": version, "source": source}
        says |= {"licence": licence, "status": status, "note": note}
        addition = codelists.read_addition(
            file,
            book,
            codelist=codelist,
            says={**says, "review_by": review_by.date() if review_by else None},
            group=group,
            release=release,
            with_descendants=descendants,
        )
        trial = codelist_trial.compare(on, book, addition.codelist) if on else None
        if adopt and clinical:
            codelists.adopt(addition, clinical)
        typer.echo(codelists.addition_in_words(addition, book, trial, is_adopted=adopt))


@codelists_app.command("check")
def codelists_check(
    clinical: ClinicalOption = None,
    release: ReleaseOption = None,
    on: RunOption = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day a review is late on; today if none.")
    ] = None,
) -> None:
    """Find malformed, inactive, overlapping, unmatched and stale codelists; exit code 5 when one is malformed."""
    with faults_in_words():
        from stratify import codelist_trial, codelists
        from stratify.rulebook import load_rule_book

        book = load_rule_book(clinical)
        day = as_of.date() if as_of else date.today()
        matched = codelist_trial.matched_codelists(on) if on else None
        found = codelists.check(book, as_of=day, release=release, matched=matched)
        left_out = {
            kind: name for kind, name, by in (("inactive", "--release", release), ("unmatched", "--on", on)) if not by
        }
        typer.echo(codelists.findings_in_words(found, book, not_looked_for=left_out))
    if any(each.kind == "malformed" for each in found):
        raise typer.Exit(5)
