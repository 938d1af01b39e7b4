"""Whether a deployment is well: every check says what it found and, where that is not right, what to do.

Nothing is changed and no row is read. A check that cannot be made because another fails is left out: mend that first.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from packaging.requirements import Requirement

from stratify import audit_trail, kept_records, kept_weeks, page_lock, runs
from stratify.errors import StratifyError
from stratify.operations import notices
from stratify.rulebook import load_rule_book
from stratify.settings import Settings
from stratify.signing import read_signer

State = Literal["ok", "warning", "fault"]
DAYS_BETWEEN_RUNS = 7
HOURS_OF_GRACE = 12
"""How late a weekly run may be before somebody is told, where its day says nothing of when it was made."""
HOUR_DUE = 8
"""By when, in the time zone of the schedule, next week's run is in place on its day."""
ROOM_FOR_A_RUN = 2.5
"""Times the size of the run in place that the next one needs while it is built."""
SECONDS_TO_WAIT = 10
TIME_ZONE = "Europe/London"
POOL, DEPLOYMENT = "stratify", "weekly"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        state: ``ok``, ``warning`` (a run works, something wants attention) or ``fault`` (the next run would fail, or
            was not made).
        found: What was found.
        action: What to do; empty when all is well.
        is_told: Whether a notice of it went out already, from the run that failed.
    """

    check: str
    state: State
    found: str
    action: str = ""
    is_told: bool = False


def examine(
    load: Callable[[], Settings], environment: Mapping[str, str], now: datetime, *, server: bool = True
) -> list[Finding]:
    """Look a deployment over.

    Args:
        load: Reads the settings.
        environment: The process's environment variables.
        now: The moment, with its time zone.
        server: Whether to ask the Prefect server too, where the environment names one.
    """
    found = [_python(), *_packages(), _time_zone(), _swap()]
    try:
        settings = load()
    except StratifyError as fault:
        return [*found, _of("settings", fault)]
    found.append(Finding("settings", "ok", f"{settings.privacy.purpose}, source {Path(settings.source).name}"))
    found += [_definitions(settings), *_secrets(settings, environment), _extracts(settings, now)]
    found += [*_output_folder(settings), *_folders_by_role(settings), _temporary_folder(environment), _disk(settings)]
    found += [_last_run(settings, now), *_leftovers(settings), _trail(settings.out), _kept_for_replay(settings)]
    if server and environment.get("PREFECT_API_URL"):
        found += _server(environment, now)
    return found


def in_words(findings: list[Finding]) -> str:
    """Say what was found, a line each, with what to do below whatever is not right; the count last."""
    signs = {"ok": "ok     ", "warning": "WARNING", "fault": "FAULT  "}
    lines = []
    for each in findings:
        lines.append(f"{signs[each.state]} {each.check}: {each.found}")
        lines += [f"        {each.action}"] if each.action else []
    counts = [sum(each.state == state for each in findings) for state in ("fault", "warning", "ok")]
    return "\n".join([*lines, f"{counts[0]} faults, {counts[1]} warnings, {counts[2]} ok"])


def tell(faults: Sequence[Finding], environment: Mapping[str, str]) -> list[str]:
    """Send one notice of what is not well and was not told before; gives where it went."""
    fresh = [each for each in faults if not each.is_told]
    if not fresh:
        return []
    what = "; ".join(f"{each.check}: {each.found}" for each in fresh)
    return notices.send(notices.Notice("not well", what, fresh[0].action or "Correct what it names."), environment)


def _of(check: str, fault: StratifyError) -> Finding:
    return Finding(check, "fault", str(fault))


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()}, stratify {version('stratify')}")


def _packages() -> Iterator[Finding]:
    wrong = []
    for line in requires("stratify") or []:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(needed.name)
        except PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(installed, prereleases=True):
            wrong.append(f"{needed.name} {installed}, not {needed.specifier}")
    state: State = "fault" if wrong else "ok"
    yield Finding("packages", state, "; ".join(wrong) or "as required", "Run `make setup`." if wrong else "")


def _time_zone() -> Finding:
    try:
        ZoneInfo(TIME_ZONE)
    except ZoneInfoNotFoundError:
        return Finding("time zone", "fault", f"{TIME_ZONE} is not known here", "Install the package tzdata.")
    return Finding("time zone", "ok", f"{TIME_ZONE} is known; this machine runs by {datetime.now().astimezone():%Z}")


def _swap() -> Finding:
    swaps = Path("/proc/swaps")
    lines = swaps.read_text(encoding="utf-8").splitlines()[1:] if swaps.is_file() else []
    open_ones = [line.split()[0] for line in lines if not line.startswith("/dev/dm-")]
    if open_ones:
        return Finding(
            "swap",
            "warning",
            f"{len(open_ones)} not on an encrypted volume",
            "Encrypt it, or have none: it holds patient data.",
        )
    return Finding("swap", "ok", "none, or on a mapped volume")


def _definitions(settings: Settings) -> Finding:
    try:
        book = load_rule_book(settings.clinical)
    except StratifyError as fault:
        return _of("definitions", fault)
    return Finding("definitions", "ok", f"{len(book.published)} pathways published, digest {book.digest[:16]}")


def _secrets(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    source = None
    try:
        source = runs.chosen_source(settings)
        runs.identity_key(settings, environment)
        yield Finding("identity key", "ok", "can be read, and is long enough")
    except StratifyError as fault:
        yield _of("identity key", fault)
    try:
        signed = read_signer(environment)
        yield Finding("signing key", "ok", f"fingerprint {signed.fingerprint[:16]}" if signed else "none: unsigned")
        if source is not None:
            pages = page_lock.read_passphrases(environment, is_test=source.is_synthetic)
            yield Finding("team passphrases", "ok", "can be read" if pages else "none: no team pages")
    except StratifyError as fault:
        yield _of("signing key and passphrases", fault)


def _extracts(settings: Settings, now: datetime) -> Finding:
    try:
        files = [path for path in settings.extracts.rglob("*") if path.is_file()]
        newest = max((path.stat().st_mtime for path in files), default=None)
    except OSError as fault:
        return Finding("extract files", "fault", fault.strerror or "cannot be read", "Look at the share.")
    if newest is None:
        return Finding("extract files", "fault", "none", "Ask the supplier, or correct `extracts` in the settings.")
    came = datetime.fromtimestamp(newest, UTC)
    words = f"{len(files):,}, the newest came {came:%Y-%m-%d %H:%M} UTC; `stratify check` reads them"
    if now - came > timedelta(days=DAYS_BETWEEN_RUNS, hours=HOURS_OF_GRACE):
        return Finding("extract files", "warning", words, "Ask the supplier whether a week's files are missing.")
    return Finding("extract files", "ok", words)


def _output_folder(settings: Settings) -> Iterator[Finding]:
    out = settings.out
    if not out.is_dir():
        parent = next(each for each in out.parents if each.is_dir())
        can = os.access(parent, os.W_OK)
        state: State = "ok" if can else "fault"
        yield Finding("output folder", state, "not there yet", "" if can else "Make it, owned by this account.")
        return
    if not os.access(out, os.W_OK | os.X_OK):
        yield Finding("output folder", "fault", "cannot be written to", "Have it owned by this account.")
    wide = [
        name
        for name, path in (("restricted", out / "restricted"), ("audit", out / "audit"))
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if wide:
        yield Finding(
            "output folder", "fault", f"others can open {', '.join(wide)}", "Run chmod 700 on it: names are in there."
        )
    else:
        yield Finding("output folder", "ok", "restricted to this account where it has to be")


_OTHERS, _OTHERS_WRITE, _ANYBODY_ELSE, _ANYBODY_ELSE_WRITES = 0o007, 0o002, 0o077, 0o022


def _folders_by_role(settings: Settings) -> Iterator[Finding]:
    """Say for each role who can open or change its files beside those who have to."""
    out = settings.out
    landing = [each for each in (settings.extracts, settings.returned) if each is not None and each.is_dir()]
    landing += sorted(each for folder in landing for each in folder.iterdir() if each.is_dir())
    if _open_to(_OTHERS_WRITE, landing):
        yield Finding("landing files", "fault", "every account can change them", "Run chmod o-rwx on the folder.")
    elif _open_to(_OTHERS, landing):
        yield Finding("landing files", "warning", "every account can read them", "Run chmod o-rwx on the folder.")
    else:
        yield Finding("landing files", "ok", "for this account, its group and the supplier's")
    restricted = sorted(out.glob("runs/*/restricted"))
    for role, paths in (
        ("identities", [each / "identity.duckdb" for each in restricted]),
        ("working files", [*restricted, *(each / "run.duckdb" for each in restricted)]),
    ):
        wide = _open_to(_ANYBODY_ELSE, paths)
        if wide:
            yield Finding(role, "fault", f"others can open {len(wide)}", "Run chmod go-rwx on runs/*/restricted.")
        else:
            yield Finding(role, "ok", "for this account alone")
    yield from _published_by_role(out)


def _published_by_role(out: Path) -> Iterator[Finding]:
    runs_here = (out / "runs").resolve()
    astray = [
        name
        for name in ("current", "published", "restricted")
        if (out / name).is_symlink() and not (out / name).resolve().is_relative_to(runs_here)
    ]
    if astray:
        found = f"{', '.join(astray)} leads out of the output folder"
        yield Finding("links", "fault", found, "Somebody swapped it: put the backup in place, and find out who.")
        return
    yield Finding("links", "ok", "lead to runs of this output folder")
    places = [out / "published", out / "released"]
    for role, bits, words, action in (
        ("direct care files", _OTHERS, "every account can open them: names are in there", "Run chmod o-rwx on it."),
        ("secondary use files", _ANYBODY_ELSE_WRITES, "others can change them", "Run chmod go-w on it."),
    ):
        folder = role.replace(" files", "").replace(" ", "_")
        mine = [each / folder for each in places if (each / folder).is_dir()]
        paths = [*mine, *(each for one in mine for each in one.rglob("*"))]
        is_reached = bits != _OTHERS or _open_to(_OTHERS, [out])
        if is_reached and _open_to(bits, paths):
            yield Finding(role, "fault", words, f"{action[:-1]}: {folder} in the output folder.")
        else:
            yield Finding(role, "ok", "nobody else can change them" if bits != _OTHERS else "not for every account")


def _open_to(bits: int, paths: Sequence[Path]) -> list[Path]:
    """Give those of some paths that give one of these permissions."""
    return [each for each in paths if each.exists() and stat.S_IMODE(each.stat().st_mode) & bits]


def _kept_for_replay(settings: Settings) -> Finding:
    """Say whether the kept records are as they were sealed, with every content there and the run in place among them.

    That each content is still what its name says is for ``stratify replay``, which reads it.
    """
    records, check = settings.records, "kept records"
    if records is None:
        return Finding(check, "ok", "none is kept: no week can be made again")
    if not records.is_dir():
        return Finding(check, "warning", "none yet", "The next run keeps its own, if this account can write there.")
    if _open_to(_ANYBODY_ELSE, [*records.glob("objects/*"), *records.glob("weeks/*")]):
        return Finding(check, "fault", "others can open them", "Run chmod -R go-rwx on it: names are in there.")
    try:
        kept = kept_records.all_records(records)
    except StratifyError as fault:
        return _of(check, fault)
    digests = {digest for each in kept for digest in each.contents}
    missing = sum(not os.access(kept_records.object_path(records, each), os.R_OK) for each in digests)
    if missing:
        return Finding(check, "fault", f"{missing} contents are missing", "Put the folder back from its backup.")
    words = f"{len(kept)} weeks and runs, as they were sealed, {len(digests):,} contents there"
    manifest = settings.out / "published" / "run_manifest.json"
    in_place = json.loads(manifest.read_text(encoding="utf-8"))["run_id"] if manifest.is_file() else None
    if in_place is not None and in_place not in {each.run_id for each in kept}:
        return Finding(check, "warning", f"{words}; none of the run in place", "Run that week once more.")
    return Finding(check, "ok", words)


def _temporary_folder(environment: Mapping[str, str]) -> Finding:
    folder = Path(environment.get("TMPDIR") or tempfile.gettempdir())
    if not os.access(folder, os.W_OK):
        return Finding("TMPDIR", "fault", "cannot be written to", "Name a folder of this account's own.")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding(
            "TMPDIR",
            "warning",
            "a folder others can open",
            "Name one of this account's own: patient data is put there for a while.",
        )
    return Finding("TMPDIR", "ok", "of this account alone")


def _disk(settings: Settings) -> Finding:
    there = next(each for each in (settings.out, *settings.out.parents) if each.exists())
    free = shutil.disk_usage(there).free
    current = settings.out / "current"
    size = (
        sum(path.stat().st_size for path in current.resolve().rglob("*") if path.is_file()) if current.exists() else 0
    )
    needed = size * ROOM_FOR_A_RUN
    words = f"{free / 1e9:,.1f} GB free" + (f", a run takes {needed / 1e9:,.2f} GB" if size else "")
    if size and free < needed:
        return Finding("disk", "fault", words, "Make room: nothing old is deleted before the new run is in place.")
    if size and free < 2 * needed:
        return Finding("disk", "warning", words, "Make room before it is needed.")
    return Finding("disk", "ok", words)


def _last_run(settings: Settings, now: datetime) -> Finding:
    manifest = settings.out / "published" / "run_manifest.json"
    if not manifest.is_file():
        return Finding("last good run", "warning", "none yet", "Make the first one by hand: docs/deploy.md.")
    made = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
    run = json.loads(manifest.read_text(encoding="utf-8"))
    words = f"{run['run_id']} for {run['index_date']}, made {made:%Y-%m-%d %H:%M} UTC"
    if made > now + timedelta(hours=1):
        return Finding("last good run", "fault", f"{words}, which is yet to come", "Set this machine's clock.")
    due = _next_due(date.fromisoformat(run["index_date"]), made)
    if now < due:
        return Finding("last good run", "ok", words)
    since, is_told = _since(settings.out, made)
    action = "See why the last one did not end: `stratify audit show`."
    return Finding("last good run", "fault", f"{words}: the next one is late; {since}", action, is_told)


def _next_due(day: date, made: datetime) -> datetime:
    """Give when somebody is to be told that the run after one is not there: on its day, or a week after it was made."""
    if made - datetime.combine(day, time(), UTC) < timedelta(days=DAYS_BETWEEN_RUNS):  # it was made for its own week
        return datetime.combine(day + timedelta(days=DAYS_BETWEEN_RUNS), time(HOUR_DUE), ZoneInfo(TIME_ZONE))
    return made + timedelta(days=DAYS_BETWEEN_RUNS, hours=HOURS_OF_GRACE)


def _since(out: Path, made: datetime) -> tuple[str, bool]:
    """Say what the trail has of runs since the last good one, and whether the last of them told of its fault itself."""
    try:
        trail = [each.entry for each in audit_trail.read(out) if each.entry.get("act") == "run"]
    except StratifyError:
        return "the audit trail cannot be read", False
    ended = {each["details"].get("begun") for each in trail}
    since = [each for each in trail if datetime.fromisoformat(each["at"]) > made and each["number"] not in ended]
    since = [each for each in since if each["details"].get("state") != "done"]
    if not since:
        return "none was begun since", False
    last, at = since[-1]["details"], f"{datetime.fromisoformat(since[-1]['at']):%Y-%m-%d %H:%M} UTC"
    if last.get("state") == "begun":
        return f"one begun {at} did not end: it is at work, or was killed", False
    return f"one ended {at}: {last.get('state')}, exit code {last.get('exit_code', 1)}", last.get("state") == "failed"


def _leftovers(settings: Settings) -> Iterator[Finding]:
    try:
        weeks = kept_weeks.weeks(settings.out / "restricted")
    except StratifyError as fault:
        yield _of("memory", fault)
        return
    yield Finding("memory", "ok", f"{len(weeks)} weeks kept{f', last {weeks[-1]}' if weeks else ''}")
    if not (settings.out / "runs" / "building").exists():
        return
    try:
        with runs.one_at_a_time(settings.out):
            yield Finding(
                "runs",
                "warning",
                "one did not end, and left what it had built",
                "The next run deletes it; nothing to do.",
            )
    except StratifyError:
        yield Finding("runs", "ok", "one is at work")


def _trail(out: Path) -> Finding:
    try:
        lines = audit_trail.read(out)
    except StratifyError as fault:
        return _of("audit trail", fault)
    wrong = audit_trail.faults(lines)
    if wrong:
        return Finding("audit trail", "fault", wrong[0], "Somebody changed it: tell your information governance lead.")
    return Finding("audit trail", "ok", f"{len(lines):,} lines, none changed or lost")


def _server(environment: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    def ask(path: str, content: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  as the server has it
        headers = {"Content-Type": "application/json"}
        if environment.get("PREFECT_API_AUTH_STRING"):
            word = base64.b64encode(environment["PREFECT_API_AUTH_STRING"].encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        body = None if content is None else json.dumps(content).encode()
        asked = urllib.request.Request(f"{environment['PREFECT_API_URL'].rstrip('/')}{path}", body, headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=SECONDS_TO_WAIT) as answer:  # noqa: S310  the site's own server
            return json.loads(answer.read())

    try:
        ask("/health")
        deployments = ask("/deployments/filter", {"deployments": {"name": {"any_": [DEPLOYMENT]}}})
        workers = ask(f"/work_pools/{POOL}/workers/filter", {})
    except urllib.error.HTTPError as fault:
        advice = {
            401: "Correct PREFECT_API_AUTH_STRING.",
            404: f"Make the work pool {POOL} and deploy: docs/deploy.md.",
        }
        yield Finding("Prefect server", "fault", f"answers {fault.code}", advice.get(fault.code, "See its log."))
        return
    except (OSError, ValueError) as fault:
        yield Finding(
            "Prefect server",
            "fault",
            f"no answer ({type(fault).__name__})",
            "`systemctl status stratify-server`, then its log.",
        )
        return
    yield Finding("Prefect server", "ok", "answers")
    online = [each for each in workers if each.get("status") == "ONLINE"]
    yield (
        Finding("worker", "ok", f"{len(online)} online")
        if online
        else Finding("worker", "fault", "none online: runs will be late", "`systemctl status stratify-worker`.")
    )
    active = [
        schedule
        for each in deployments
        if not each.get("paused")
        for schedule in each.get("schedules", [])
        if schedule.get("active")
    ]
    if not active:
        yield Finding(
            "schedule", "fault", f"{DEPLOYMENT} has none that is active", "`prefect --no-prompt deploy --all`."
        )
        return
    rule = active[0]["schedule"]
    zone = rule.get("timezone")
    words = f"{rule.get('cron')} {zone}"
    coming = ask(
        "/flow_runs/filter",
        {
            "deployments": {"name": {"any_": [DEPLOYMENT]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        },
    )
    due = [datetime.fromisoformat(each["expected_start_time"]) for each in coming if each.get("expected_start_time")]
    if due and due[0] < now - timedelta(minutes=15):
        yield Finding(
            "schedule", "fault", f"{words}: the run of {due[0]:%Y-%m-%d %H:%M} UTC is late", "See the worker."
        )
    elif zone != TIME_ZONE:
        yield Finding("schedule", "warning", f"{words}", f"Have it in {TIME_ZONE}: prefect.yaml.")
    else:
        yield Finding("schedule", "ok", words + (f", next {due[0]:%Y-%m-%d %H:%M} UTC" if due else ""))
