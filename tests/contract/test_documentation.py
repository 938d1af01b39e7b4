"""The documentation holds together: links, commands, navigation, error codes and what the release carries."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml
from tests.documentation import (
    ROOT,
    anchors,
    blocks,
    commands_in_blocks,
    commands_in_words,
    links,
    site_hook,
    written_pages,
)

from stratify import contract_pages, contracts, demo_commands, errors
from stratify.cli import app
from stratify.metric_book import load_metrics

PAGES = [pytest.param(each, id=each.relative_to(ROOT).as_posix()) for each in written_pages()]
CLI = typer.main.get_command(app)
Refused = typer.BadParameter.__mro__[2]  # of every fault of a command line; typer gives it no name of its own


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading_of_it(page):
    broken = []
    for target, anchor in links(_text(page)):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(_text(file))):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_one_that_stratify_has(page):
    """The parser reads it: command, options, how many arguments and of which kind; nothing is run."""
    refused = {}
    for words in commands_in_blocks(_text(page), "stratify"):
        command, left = _found(words)
        try:
            if _is_group(command) and not command.invoke_without_command and left != ["--version"]:
                raise Refused("no such command")
            if left not in (["--version"], ["--help"]):
                command.make_context("stratify", list(left))
        except Refused as fault:
            refused[" ".join(words)] = fault.format_message()
    for said in commands_in_words(_text(page)):
        for each in _alternatives(said):
            command, left = _found(each)
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
            unknown = [word for word in left if word.startswith("--") and word not in known]
            if unknown or (_is_group(command) and left and not left[0].startswith(("-", "…", "."))):
                refused[said] = "no such command or option"
    assert refused == {}


@pytest.mark.parametrize("page", PAGES)
def test_every_target_module_and_file_that_a_command_of_a_page_names_is_there(page):
    targets = set(re.findall(r"^([a-z][a-z-]*):", _text(ROOT / "Makefile"), flags=re.MULTILINE))
    asked = {words[0] for words in commands_in_blocks(_text(page), "make") if words}
    asked |= set(re.findall(r"`make ([a-z-]+)`", _text(page)))
    assert asked - targets == set()
    lines = "\n".join(blocks(_text(page)))
    modules = set(re.findall(r"-m ((?:flows|benchmarks|stratify)[\w.]*)", lines))
    assert {each for each in modules if not _module(each)} == set()
    named = {
        word
        for words in commands_in_blocks(_text(page), "stratify")
        for word in words
        if re.match(r"(docs|schemas|src|data_contracts|benchmarks|tests)/", word)
    }
    assert {each for each in named if not (ROOT / each).exists()} == set()


def test_the_readers_of_commands_see_what_is_there_and_what_is_wrong():
    """The reader itself, tried on a page that is wrong."""
    page = "Say `stratify rules tset`.\n\n```\nA=1 .venv/bin/stratify run --setings x > y || true\nmake nothing\n```\n"
    assert commands_in_blocks(page, "stratify") == [["run", "--setings", "x"]]
    assert commands_in_blocks(page, "make") == [["nothing"]]
    assert commands_in_words(page) == ["stratify rules tset"]
    with pytest.raises(AssertionError, match="setings"):
        _with_page(page, test_every_command_of_a_page_is_one_that_stratify_has)
    with pytest.raises(AssertionError, match="nothing"):
        _with_page(page, test_every_target_module_and_file_that_a_command_of_a_page_names_is_there)


def test_every_page_is_once_in_the_navigation_and_every_name_in_it_is_a_page():
    hook = site_hook()
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    known = written | set(hook.made_pages())
    nav = yaml.safe_load(_text(ROOT / "mkdocs.yml"))["nav"]
    shown = hook._names(hook.expanded(nav, known))
    assert sorted(shown) == sorted(known)
    pages = ["few/a.md", "few/b.md", "few/index.md", "new.md"]
    assert hook.expanded([{"A": ["few/b.md", "few/"]}, "rest"], pages) == [
        {"A": ["few/b.md", "few/index.md", "few/a.md"]},
        "new.md",
    ]


def test_a_link_out_of_the_documentation_becomes_the_name_of_its_file():
    within = site_hook().links_within
    known = {"deploy.md", "changelog.md", "rules/scores/efi.md", "rules/codelists.md"}
    assert within("[prefect.yaml](../prefect.yaml)", "deploy.md", known) == "prefect.yaml"
    assert within("[there](../src/x.yaml#a)", "deploy.md", known) == "there (`src/x.yaml`)"
    assert within("[CHANGELOG.md](../CHANGELOG.md)", "deploy.md", known) == "[CHANGELOG.md](changelog.md)"
    assert within("[lists](../codelists.md)", "rules/scores/efi.md", known) == "[lists](../codelists.md)"


def test_the_pages_of_tables_have_every_table_column_and_told_rule():
    pages = contract_pages.pages()
    for layer in contract_pages.LAYERS:
        assert contracts.names(layer)
        for name in contracts.names(layer):
            contract = contracts.load(name)
            section = pages[f"{layer}.md"].split(f"## {name}\n")[1].split("\n## ")[0]
            assert all(f"| {each.id} | `{each.name}` | {each.type} |" in section for each in contract.columns)
            assert all(f"| {each.id} | " in section for each in contract.rules if each.kind == "custom")
            assert f"[{name}]({layer}.md#{layer}{contract.table})" in pages["index.md"]
    event = pages["landing.md"].split("## landing.gp_event\n")[1].split("\n## ")[0]
    assert "pattern `^[1-9][0-9]{5,17}$`" in event and "one of `YMD`, `YM`, `Y`, `U`" in event
    assert {path.parent.name for path in (ROOT / "data_contracts").rglob("*.odcs.yaml")} == set(contract_pages.LAYERS)


def _kinds(kind=errors.StratifyError):
    return [kind, *(below for each in kind.__subclasses__() for below in _kinds(each))]


@pytest.mark.parametrize("kind", [each for each in _kinds() if each is not errors.StratifyError])
def test_the_runbook_says_of_every_error_what_it_means_and_what_to_do_first(kind):
    rows = re.findall(r"^\| (.+?) \| (.*?) \| (.+?) \| (.+?) \|$", _runbook(), flags=re.MULTILINE)
    mine = [row for row in rows if row[1] == f"`{kind.__name__}`"]
    assert [row[0] for row in mine] == [str(kind.exit_code)]


def test_the_runbook_says_of_every_check_of_fitness_what_it_means():
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        named |= {f"FIT-{number}" for number in re.findall(r"FITNESS\}(\d\d)-", _text(path))}
    assert len(named) >= 8
    assert {each for each in named if f"| `{each}" not in _runbook() and f" `{each}" not in _runbook()} == set()


def test_exit_codes_are_each_of_one_kind_and_the_held_one_is_in_the_runbook():
    codes = [each.exit_code for each in _kinds()]
    assert len(set(codes)) == len(codes) and errors.HELD_EXIT_CODE not in codes
    assert f"| {errors.HELD_EXIT_CODE} |" in _runbook()


def test_the_metric_of_the_guide_can_be_read(tmp_path):
    example = re.search(r"```yaml\n(metrics:.*?)```", _text(ROOT / "docs" / "new-metric.md"), flags=re.DOTALL)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "beds.yaml").write_text(example[1], encoding="utf-8")
    (metric,) = load_metrics(tmp_path)
    assert metric.id == "emergency_bed_days_for_frailty" and metric.id not in {each.id for each in load_metrics()}


def test_the_demo_of_the_command_is_the_demo_of_make():
    text = _text(ROOT / "Makefile")
    recipe = text.split("\ndemo: setup\n")[1].split("\n\n")[0]
    assert f"--people {demo_commands.PEOPLE} --seed {demo_commands.SEED} " in recipe
    assert f"DEMO_DATE := {demo_commands.INDEX_DATE.isoformat()}\n" in text
    assert "docs/demo.settings.yaml" in recipe and (demo_commands.settings_folder() / "demo.settings.yaml").is_file()


def _runbook():
    return _text(ROOT / "docs" / "data-engineer-at-0500.md")


def _found(words):
    command, left = CLI, list(words)
    while _is_group(command) and left and left[0] in command.commands:
        command = command.commands[left.pop(0)]
    return command, left


def _is_group(command):
    return hasattr(command, "commands")


def _alternatives(said):
    """``stratify audit show | verify`` is two commands: the last word of the first is what may be another."""
    first, *others = (part.split() for part in said.removeprefix("stratify ").split(" | "))
    return [first, *([*first[:-1], *other] for other in others)]


def _module(name):
    path = ROOT / ("src" if name.startswith("stratify") else "") / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def _with_page(text, test):
    page = ROOT / "docs" / "not-there.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}._text", lambda path: text if path == page else path.read_text(encoding="utf-8"))
        test(page)
