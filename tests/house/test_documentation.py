"""Every command, option and setting is documented; what the README tells people to run runs."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from p2pmpc.cli.commands import COMING, command_tree
from p2pmpc.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (ROOT / "docs" / "commands.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAMED = re.compile(r"`((?:p2pmpc|protocols|nodes|simulations)(?:\.\w+)+)`")


def leaves() -> dict[str, click.Command]:
    found = {}
    for name, command in command_tree().commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {verb}": one for verb, one in command.commands.items()}
        else:
            found[name] = command
    return found


def chapter(name: str) -> str:
    return COMMANDS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", sorted(leaves()))
def test_every_command_and_option_is_documented(name: str) -> None:
    group, _, verb = name.partition(" ")
    if verb in COMING.get(group, {}):
        assert f"`{name}`" in chapter("Coming")
        return
    text = chapter(name)
    assert f"p2pmpc {name}" in text, f"docs/commands.md has no chapter on `{name}`"
    for option in leaves()[name].params:
        if isinstance(option, click.Option) and option.opts[0] not in {"--json", "--debug"}:
            assert option.opts[0] in text, f"docs/commands.md: {name} {option.opts[0]}"


def test_no_documented_command_is_unknown() -> None:
    known = {*leaves(), "Coming"}
    assert set(re.findall(r"^## (.+)$", COMMANDS, re.MULTILINE)) <= known


def test_every_command_takes_json_and_debug() -> None:
    for name, command in leaves().items():
        assert {"--json", "--debug"} <= {opt for p in command.params for opt in p.opts}, name


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for field in msgspec.structs.fields(Settings):
        row = next(
            (line for line in text.splitlines() if line.startswith(f"| `{field.name}` |")), ""
        )
        assert row, f"docs/settings.md does not list {field.name}"
        if field.default is not msgspec.NODEFAULT:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            text_of = str(default).lower() if isinstance(default, bool) else str(default)
            shown = f'"{default}"' if isinstance(default, str) else text_of
            assert f"| `{shown}` |" in row, field.name


def test_every_page_that_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, without those marked as not run."""
    pattern = rf"(<!-- not run[^>]*-->\n)?```{language}\n(.*?)```"
    before, _, rest = README.partition("\n## By hand")  # tests/whole/test_walkthrough.py runs it
    text = before + rest.partition("\n## ")[2]
    return [block for skip, block in re.findall(pattern, text, re.DOTALL) if not skip]


def test_the_readme_runs(tmp_path: Path) -> None:
    """Its shell lines in one folder, then its Python lines in the same."""
    program = tmp_path / "bin" / "p2pmpc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m p2pmpc.cli "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    shell = "set -e\n" + "\n".join(text for text in blocks("sh") if "make" not in text)
    python = "\n".join(blocks("python"))
    for command in (["bash", "-c", shell], [sys.executable, "-c", python]):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\bage\s+40\b", done.stdout), done.stdout


def test_make_targets_that_the_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    pages = README + CONTRIBUTING
    for target in set(re.findall(r"`?make ([a-z-]+)`", pages)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("name", sorted(set(NAMED.findall(CONTRIBUTING))))
def test_a_function_that_the_walks_name_exists(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("walk", ["one share", "one study"])
def test_each_walk_names_the_functions_it_passes(walk: str) -> None:
    text = CONTRIBUTING.partition(f"### The walk of {walk}")[2].partition("\n##")[0]
    assert len(set(NAMED.findall(text))) > 12


def test_every_test_that_the_list_of_attacks_names_exists() -> None:
    attacks = (ROOT / "docs" / "attacks.md").read_text("utf-8")
    tests = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    there = set(re.findall(r"def (test_\w+)", "\n".join(tests)))
    named = set(re.findall(r"(?:`|::)(test_\w+)`", attacks))
    assert named
    assert named <= there, sorted(named - there)
