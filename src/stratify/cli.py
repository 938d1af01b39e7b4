"""The command line: ``stratify run | check | release | explain ...``; ``stratify --help`` has every command.

Only the standard library and typer are imported here; every command imports its worker when it runs, so that
``--help`` is quick. A fault ends with one clear message and an exit code by kind; never with a traceback of ours that
could show a row.
"""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

os.environ.setdefault("TYPER_USE_RICH", "0")  # rich is a third of a second of every call

import typer

from stratify.command_frame import ClinicalOption, QuickHelp, faults_in_words, progress
from stratify.commissioner_commands import comparators_app, scorecard_app, sustainability_app
from stratify.demo_commands import demo
from stratify.feedback_commands import feedback_app
from stratify.impact_commands import impact
from stratify.model_check_commands import model_app
from stratify.operations_commands import DOOR, audit_app, backup, doctor, housekeeping, restore, safety_app
from stratify.panel_commands import panel_app
from stratify.released_commands import released
from stratify.replay_commands import replay, retention_app
from stratify.returned_commands import returned_app
from stratify.rule_commands import codelists_app, rules_app
from stratify.sandbox_commands import sandbox
from stratify.whatif_commands import whatif

if TYPE_CHECKING:
    from stratify.settings import Settings


app = typer.Typer(
    name="stratify",
    cls=QuickHelp,
    help="Finds the people in a population who most need help and gets them to the right team. "
    "A list proposes; the clinician decides. --version says which version this is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(rules_app, name="rules")
app.add_typer(codelists_app, name="codelists")
app.add_typer(returned_app, name="returned")
app.command()(whatif)
app.add_typer(model_app, name="model")
app.command()(sandbox)
app.command()(impact)
app.add_typer(panel_app, name="panel")
app.add_typer(comparators_app, name="comparators")
app.add_typer(sustainability_app, name="sustainability")
app.add_typer(scorecard_app, name="scorecard")
app.add_typer(feedback_app, name="feedback")
app.add_typer(audit_app, name="audit")
app.add_typer(safety_app, name="safety")
app.add_typer(retention_app, name="retention")
for _command in (demo, doctor, backup, restore, housekeeping, replay, released):
    app.command()(_command)
identity_app = typer.Typer(cls=QuickHelp, help="The identity key: change it.", no_args_is_help=True)
app.add_typer(identity_app, name="identity")
synth_app = typer.Typer(
    cls=QuickHelp,
    help="A synthetic county: invented people in the layout of real extracts, and the truth about them.",
    invoke_without_command=True,
)
app.add_typer(synth_app, name="synth")

WHY = "direct_care, asked_by_patient, complaint, incident, data_quality or audit"
SettingsOption = Annotated[Path | None, typer.Option("--settings", help="Settings file (YAML), see docs/deploy.md.")]
ExtractsOption = Annotated[Path | None, typer.Option("--extracts", help="Folder with the extract files.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="A source of docs/sources.md, or a declaration (.yaml).")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder the outputs go to.")]
DateOption = Annotated[
    datetime | None,
    typer.Option("--index-date", formats=["%Y-%m-%d"], help="Day the run describes; today when not given."),
]


@app.command()
def run(
    settings: SettingsOption = None,
    extracts: ExtractsOption = None,
    source: SourceOption = None,
    out: OutOption = None,
    index_date: DateOption = None,
    clinical: ClinicalOption = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Do everything; take nothing over from the run in place.")
    ] = False,
) -> None:
    """Do the weekly run: extract files in; lists, offers and the commissioners' file out.

    Exit code 10 means that it finished and published, and that a failed check holds some lists.
    """
    with faults_in_words():
        from stratify import audit_trail, pipeline, runs
        from stratify.errors import HELD_EXIT_CODE
        from stratify.operations import notices

        with notices.told_of_faults(os.environ), progress() as tell:
            chosen = _settings(
                settings, extracts=extracts, source=source, out=out, index_date=index_date, clinical=clinical
            )
            by = audit_trail.this_account(DOOR)
            done = pipeline.run(chosen, key=runs.identity_key(chosen, os.environ), by=by, progress=tell, afresh=afresh)
        typer.echo(pipeline.in_words(done))
        typer.echo(audit_trail.last_in_words(chosen.out))
        notices.send_of_run(done, os.environ)
    if done.manifest["held"]:
        typer.echo(f"Lists are HELD: {', '.join(done.held)}. All others are published.", err=True)
        raise typer.Exit(HELD_EXIT_CODE)


@app.command()
def check(
    settings: SettingsOption = None,
    extracts: ExtractsOption = None,
    source: SourceOption = None,
    index_date: DateOption = None,
    clinical: ClinicalOption = None,
) -> None:
    """Check definitions and extract files, down to each row, without writing anything."""
    with faults_in_words():
        import tempfile

        from stratify import pipeline, runs

        with tempfile.TemporaryDirectory(prefix="stratify-check-") as name:
            folder = Path(name)
            chosen = _settings(
                settings, extracts=extracts, source=source, out=folder, index_date=index_date, clinical=clinical
            )
            with progress() as tell:
                report = pipeline.check(chosen, key=runs.identity_key(chosen, os.environ), progress=tell)
        typer.echo(report)


@app.command()
def release(
    out: Annotated[Path, typer.Option("--out", help="Output folder of a finished run.")],
    by: Annotated[str, typer.Option("--by", help="Who releases the lists, for the record.")],
    latest: Annotated[
        Path | None,
        typer.Option("--latest", help="Folder of newer files about people: patients, deaths, objections, flags ..."),
    ] = None,
    now: Annotated[
        datetime | None,
        typer.Option("--now", formats=["%Y-%m-%dT%H:%M"], help="The moment of the release, for a trial."),
    ] = None,
) -> None:
    """Check every row of the lists once more, at most 24 hours after the run, and put them where they go out.

    Exit code 10 means that lists were released and that some pathway may no longer publish.
    """
    with faults_in_words():
        from stratify import audit_trail, key_rotation, privacy, runs
        from stratify import release as gate
        from stratify.errors import HELD_EXIT_CODE

        key = runs.identity_key(runs.plan_in_place(out).settings, os.environ)
        if key != privacy.THROWAWAY_KEY:
            key = key_rotation.key_of_run(out, privacy.read_key_ring(os.environ))
        asked = {"released_by": by}
        with audit_trail.recorded(out, "release", asked, by=audit_trail.this_account(DOOR)) as ended:
            done = runs.without_values(gate.release)(out, latest=latest, key=key, by=by, now=now or datetime.now())
            ended |= gate.for_the_trail(done)
        typer.echo(gate.in_words(done))
    if done.record["held"]:
        raise typer.Exit(HELD_EXIT_CODE)


@app.command()
def explain(
    out: Annotated[Path, typer.Option("--out", help="Output folder of a finished run.")],
    nhs_number: Annotated[
        str | None,
        typer.Option(
            "--nhs-number",
            help="NHS number; asked for when neither is given, so that it stays out of the shell's history.",
        ),
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Reference of a row on a list.")] = None,
    because: Annotated[
        str | None, typer.Option("--because", help=f"Why, for the audit trail: {WHY}; asked for when not given.")
    ] = None,
) -> None:
    """Explain one person's place, back from the list to the rows of the extract files.

    Needs the identity key of the run (STRATIFY_IDENTITY_KEY or STRATIFY_KEY_FILE). That somebody was looked up, by whom
    and why goes into the audit trail; who it was does not. Of invented people no reason is asked for.
    """
    with faults_in_words():
        from stratify import audit_trail, explanation, key_rotation, privacy, runs

        key = key_rotation.key_of_run(out, privacy.read_key_ring(os.environ))
        plan = runs.plan_in_place(out)
        why = because or ("invented people" if plan.is_test else typer.prompt(f"Why ({WHY})"))
        audit_trail.stop_without_reason(why, is_test=plan.is_test)
        asked = reference or nhs_number or typer.prompt("NHS number", hide_input=True)
        details = {"run_id": plan.run_id, "because": why, "asked_by": "reference" if reference else "NHS number"}
        with audit_trail.recorded(out, "explanation", details, by=audit_trail.this_account(DOOR)):
            said = explanation.explain(out, asked, is_reference=reference is not None, key=key)
        typer.echo(said)


@app.command()
def verify(
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run.")],
    clinical: ClinicalOption = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Of people without a decision too: slower, and finds one that is lost.")
    ] = False,
) -> None:
    """Derive every value, score, tier and decision once more from each person's own records, by other code.

    Of everybody with a decision. Exit code 1 means that something differs; nothing is written, and nobody is named.
    """
    with faults_in_words():
        from stratify import runs, verification

        proof = runs.without_values(verification.verify)(out, clinical=clinical, everybody=everybody)
        typer.echo(verification.in_words(proof))
    if not proof.holds:
        raise typer.Exit(1)


@identity_app.command("rotate")
def identity_rotate(
    out: Annotated[Path, typer.Option("--out", help="Output folder of a finished run.")],
    old_version: Annotated[str, typer.Option("--from", help="Version of the key that made the run.")],
    new_version: Annotated[str, typer.Option("--to", help="Version of the key it shall have: the current one.")],
) -> None:
    """Change the identity key of the run in place: new pseudonyms for the same people.

    Both keys must be in the key ring (STRATIFY_KEY_FILE), the new one as the current one. Writes which pseudonym was
    which into the restricted folder. Killed or given twice, it does no harm.
    """
    with faults_in_words():
        from stratify import audit_trail, key_rotation, privacy, runs

        runs.plan_in_place(out)  # a folder without a run gets no trail
        ring = privacy.read_key_ring(os.environ)
        asked = {"from": old_version, "to": new_version}
        with audit_trail.recorded(out, "change of the identity key", asked, by=audit_trail.this_account(DOOR)) as ended:
            done = key_rotation.rotate(out, ring, old_version=old_version, new_version=new_version)
            ended |= {"run_id": done.run_id, "pseudonyms": done.pseudonym_count}
        typer.echo(key_rotation.in_words(done))


@synth_app.callback()
def synth(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Folder the extract files go to; new or empty.")] = None,
    people: Annotated[int, typer.Option("--people", help="How many people, 100 to 3,000,000.")] = 20_000,
    practices: Annotated[
        int | None,
        typer.Option("--practices", help="How many GP practices; one for 10,000 people, and at least eight."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 1,
    index_date: Annotated[
        datetime, typer.Option("--index-date", formats=["%Y-%m-%d"], help="Day of the run the first extract is for.")
    ] = datetime(2026, 11, 2),
    weeks: Annotated[int, typer.Option("--weeks", help="How many weekly extracts follow; one folder each.")] = 0,
    weekly: Annotated[str, typer.Option("--weekly", help="What they are: delta, or bulk.")] = "delta",
    history_years: Annotated[int, typer.Option("--history-years", help="Years of detailed history.")] = 3,
    clean: Annotated[bool, typer.Option("--clean", help="Without the faults that real extracts have.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault", metavar="ID[=RATE]", help="Put in this fault too, or at this rate: U2=0.05. Repeatable."
        ),
    ] = None,
    layout: Annotated[str, typer.Option("--layout", help="canonical, emis or systmone.")] = "canonical",
    file_format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; as many as there are processors when not given.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="Folder for the truth: what is so, and what the rules should conclude."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier county in these folders.")] = False,
) -> None:
    """Write a synthetic county: invented people in the layout of real extracts, and the truth about them."""
    if context.invoked_subcommand is not None:
        return
    with faults_in_words():
        from stratify.errors import SettingsError
        from stratify.synth import CountyOrder, write_county
        from stratify.synth.faults.asked import chosen_rates

        if out is None:
            raise SettingsError("--out", expected="a folder", found="none", action="Name one for the extract files.")
        order = CountyOrder(
            people=people,
            practices=practices,
            seed=seed,
            index_date=index_date.date(),
            weeks=weeks,
            weekly=weekly,
            history_years=history_years,
            faults=chosen_rates(fault or [], clean=clean),
            layout=layout,
            file_format=file_format,
            workers=workers if workers is not None else _processes(people),
        )
        with progress() as tell:
            tell(f"Inventing {people:,} people")
            made = write_county(out, order, truth_folder=truth, replace=replace, tell=tell)
        rows = sum(sum(each.row_counts.values()) for each in made.extracts)
        files = sum(len(each.files) for each in made.extracts)
        typer.echo(
            f"{people:,} invented people in {order.practice_count:,} practices, {rows:,} rows in {files:,} files: {out}"
        )


def _processes(people: int) -> int:
    """Starting a process costs more than it saves for a small county."""
    return 1 if people < 5_000 else os.cpu_count() or 1


@synth_app.command("faults")
def synth_faults() -> None:
    """List the faults that can be put in: id, what it is, what should be done about it, usual rate."""
    with faults_in_words():
        from stratify.synth.faults.asked import in_words

        typer.echo(in_words(), nl=False)


@synth_app.command("score")
def synth_score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run of a synthetic county.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder that --truth wrote with the county.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail on people whom a fault touched as well.")] = False,
) -> None:
    """Compare a finished run with the truth; fail when they differ on anybody whom no fault touched.

    Exit code 1 means that they differ. A run stamped test needs no key; any other needs the one it was made with.
    """
    with faults_in_words():
        from stratify import runs, truth_score

        plan = truth_score.read_plan(run)
        compared = truth_score.compare(run, truth, runs.identity_key(plan.settings, os.environ))
        typer.echo(truth_score.in_words(compared))
    if compared.failures(strict=strict):
        raise typer.Exit(1)


@synth_app.command("answer")
def synth_answer(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Output folder of a finished run of a synthetic county.")],
    into: Annotated[
        Path, typer.Option("--into", help="Folder of what comes back: the setting returned of the next run.")
    ],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same answers.")] = 1,
) -> None:
    """Fill in the lists of a run as teams would, typing errors and all, and go on with those filled in before."""
    with faults_in_words():
        from stratify import answering

        typer.echo(answering.in_words(answering.answer(run, into, seed=seed)))


@synth_app.command("report")
def synth_report(
    extracts: Annotated[Path, typer.Argument(metavar="EXTRACTS", help="Folder of a county's first extract.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder that --truth wrote with the county.")],
    out: Annotated[Path, typer.Option("--out", help="Markdown file to write; the plots go beside it.")],
) -> None:
    """Compare a county with published English figures: how common illnesses are, and how much care people get."""
    with faults_in_words():
        from stratify.synth.prevalence_report import write_report

        write_report(extracts, truth, out)


@synth_app.command("trial")
def synth_trial(
    out: Annotated[Path, typer.Option("--out", help="Markdown file to write.")],
    people: Annotated[int, typer.Option("--people", help="People of each county.")] = 2_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same counties.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="ID", help="Only this fault; all when not given.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; as many as there are processors when not given.")
    ] = None,
) -> None:
    """Plant each fault alone in a county, run the county, and report what the run did about it."""
    with faults_in_words():
        from stratify import fault_trial

        with progress() as tell:
            trials = fault_trial.try_faults(
                fault or None, people=people, seed=seed, workers=workers or os.cpu_count() or 1, tell=tell
            )
        out.write_text(fault_trial.report(trials, people=people, seed=seed), encoding="utf-8", newline="")
        typer.echo(fault_trial.in_words(trials))


@app.command()
def schemas(
    folder: Annotated[Path, typer.Argument(help="Folder the JSON Schemas go to.")],
    check_only: Annotated[bool, typer.Option("--check", help="Write nothing; fail when one is out of date.")] = False,
) -> None:
    """Write the JSON Schemas of what people write and exchange (schemas/ is made by this)."""
    with faults_in_words():
        from stratify.schemas import write_schemas

        typer.echo(write_schemas(folder, check_only=check_only))


source_app = typer.Typer(cls=QuickHelp, help="Layouts of extract files: which one a folder has.", no_args_is_help=True)
app.add_typer(source_app, name="source")


@source_app.command("check")
def source_check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with extract files as they came.")],
    source: Annotated[
        str | None, typer.Option("--source", help="Compare with this source alone, or with a declaration (.yaml).")
    ] = None,
) -> None:
    """Say which source a folder looks like, which schema version, and what will not fit; no row is read.

    Exit code 3 means that it does not fit one source.
    """
    with faults_in_words():
        from stratify.ingest.sources import check_source

        report, is_fit = check_source(folder, source)
        typer.echo(report)
    if not is_fit:
        raise typer.Exit(3)


def main() -> None:
    """Run the command line; ``stratify --version`` is answered here, as an option of typer's would slow every help."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        typer.echo(f"stratify {version('stratify')}")
        return
    app()


def _settings(file: Path | None, *, index_date: datetime | None, **overrides: str | Path | None) -> Settings:
    from stratify import ingest
    from stratify.settings import load_settings

    return load_settings(
        file,
        environment=os.environ,
        overrides={"index_date": index_date.date() if index_date else None, **overrides},
        today=date.today(),  # the only clock: below this line the index date is an argument
        synthetic_sources=frozenset(name for name, each in ingest.SOURCES.items() if each.is_synthetic),
    )


if __name__ == "__main__":
    main()
