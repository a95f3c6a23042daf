"""The tree keeps the house rules; and the rules notice a bad tree and name the remedy."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from p2pmpc import errors

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS_MAX = 2  # lower it when the list shrinks; never raise it


def load():
    spec = importlib.util.spec_from_file_location(
        "house_rules", Path(__file__).with_name("rules.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house_rules"] = module
    spec.loader.exec_module(module)
    return module


rules = load()


def tree(root: Path, **files: str) -> Path:
    """A tree with these files; `__` in a name stands for a slash."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def only(found, rule: str):
    chosen = [one for one in found if one.rule == rule]
    assert chosen, f"{rule} was not noticed"
    return chosen[0]


def test_the_house_is_in_order() -> None:
    found = rules.complaints(ROOT)
    assert not found, "\n".join(map(str, found))


def test_the_list_of_exceptions_only_shrinks() -> None:
    listed = [one for one in rules.exemptions(ROOT) if one.rule != "limits"]
    assert len(listed) <= EXCEPTIONS_MAX


def test_a_protocol_that_imports_a_node_is_told_where_to_go(tmp_path: Path) -> None:
    bad = tree(tmp_path, protocols__sum='"""Sums."""\nfrom nodes.shell import Node\n')
    found = only(rules.import_direction(bad), "imports")
    assert found.place == "protocols/sum.py"
    assert "argument" in found.remedy


def test_the_command_line_may_reach_up_inside_functions_only(tmp_path: Path) -> None:
    text = '"""A."""\nfrom simulations import laptop\n'
    bad = tree(tmp_path, p2pmpc__cli__rehearse=text)
    assert only(rules.import_direction(bad), "imports")
    good = '"""A."""\ndef run():\n    from simulations import laptop\n'
    assert not list(rules.import_direction(tree(tmp_path, p2pmpc__cli__rehearse=good)))


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import os.path",
        "from socket import socket",
        "from numpy import random",
        "import numpy as np\nx = np.random.default_rng()",
        "def f():\n    import secrets",
    ],
)
def test_a_protocol_that_is_not_pure_is_told_what_to_yield(tmp_path: Path, line: str) -> None:
    bad = tree(tmp_path, protocols__sum=f'"""Sums."""\n{line}\n')
    assert "Round or a Compute" in only(rules.pure_protocols(bad), "pure").remedy


def test_a_heavy_import_on_top_is_noticed(tmp_path: Path) -> None:
    bad = tree(tmp_path, p2pmpc__answer='"""A."""\nimport pandas as pd\n')
    assert "inside the function" in only(rules.light_package(bad), "light").remedy


def test_ray_has_one_door(tmp_path: Path) -> None:
    bad = tree(tmp_path, nodes__shell='"""A."""\nimport ray\n', nodes__engine__cluster="import ray")
    found = list(rules.only_the_cluster_imports_ray(bad))
    assert [one.place for one in found] == ["nodes/shell.py"]


def test_a_long_function_is_told_to_give_a_step_away(tmp_path: Path) -> None:
    body = "    x = 1\n" * rules.FUNCTION_LINES_MAX
    long = tree(tmp_path, nodes__shell=f'"""A."""\ndef f():\n{body}')
    assert "Take a step" in only(rules.function_length(long), "function length").remedy
    text = '    """' + "doc\n" * 70 + '    """\n'
    short = tree(tmp_path, nodes__shell=f'"""A."""\ndef f():\n{text}    return 1\n')
    assert not list(rules.function_length(short))


def test_a_long_module_is_told_to_find_its_second_noun(tmp_path: Path) -> None:
    bad = tree(tmp_path, nodes__shell='"""A."""\n' + "x = 1\n" * rules.LINES_MAX)
    assert "second noun" in only(rules.module_length(bad), "module length").remedy


def test_a_tree_of_long_functions_is_noticed(tmp_path: Path) -> None:
    bad = tree(tmp_path, nodes__shell='"""A."""\ndef f():\n' + "    x = 1\n" * 40)
    assert len(list(rules.function_habit(bad))) == 2


def test_a_vague_module_name_is_noticed(tmp_path: Path) -> None:
    bad = tree(tmp_path, nodes__utils='"""A."""\n')
    assert "noun" in only(rules.module_names(bad), "vague name").remedy


def test_pickle_globals_and_open_constructors_are_noticed(tmp_path: Path) -> None:
    text = '"""A."""\nimport pickle\nclass A:\n    def __init__(self, **k):\n        global x\n'
    found = {one.rule for one in rules.plain_code(tree(tmp_path, nodes__shell=text))}
    assert found == {"pickle", "global", "kwargs"}


WORKPLACE = ("# TO+DO later", "see /wo+rk/main", "from py+pi.org", "fixes issue +#12")


@pytest.mark.parametrize("words", WORKPLACE)
def test_words_of_a_workplace_are_noticed(tmp_path: Path, words: str) -> None:
    assert only(rules.forbidden_words(tree(tmp_path, nodes__shell=words.replace("+", ""))), "words")


def test_a_limit_without_a_test_is_noticed(tmp_path: Path) -> None:
    bad = tree(tmp_path, nodes__mail='"""A."""\nMAIL_MAX = 3\n', tests__test_other="x = 1\n")
    assert "one past it" in only(rules.limits_tested(bad), "limits").remedy
    good = tree(tmp_path, tests__test_mail="assert MAIL_MAX + 1\n")
    assert not list(rules.limits_tested(good))


def test_a_module_without_a_head_is_noticed(tmp_path: Path) -> None:
    assert only(rules.module_heads(tree(tmp_path, nodes__mail="x = 1\n")), "head")


def test_a_protocol_that_does_not_say_against_whom_is_noticed(tmp_path: Path) -> None:
    text = '"""Sums. Rounds 1. Bytes 8 a number. Source Chaum 1988."""\nROUNDS = ()\n'
    found = only(rules.protocol_heads(tree(tmp_path, protocols__sums=text)), "protocol head")
    assert found.what == "its head lacks Against"
    good = text.replace("Rounds 1.", "Against honest parties. Rounds 1.")
    assert not list(rules.protocol_heads(tree(tmp_path, protocols__sums=good)))


def test_an_exception_that_is_not_needed_must_go(tmp_path: Path) -> None:
    (tmp_path / "tests" / "house").mkdir(parents=True)
    listed = '[[exception]]\nrule = "head"\nplace = "nodes/mail.py"\nreason = "it is very small"\n'
    (tmp_path / "tests" / "house" / "exceptions.toml").write_text(listed)
    assert not rules.complaints(tree(tmp_path, nodes__mail="x = 1\n"))
    good = tree(tmp_path, nodes__mail='"""Mail."""\n')
    assert "only shrinks" in only(rules.complaints(good), "exceptions").remedy


def test_an_exception_needs_a_reason(tmp_path: Path) -> None:
    (tmp_path / "tests" / "house").mkdir(parents=True)
    listed = '[[exception]]\nrule = "head"\nplace = "nodes/mail.py"\nreason = "because"\n'
    (tmp_path / "tests" / "house" / "exceptions.toml").write_text(listed)
    with pytest.raises(ValueError, match="no reason"):
        rules.exemptions(tmp_path)


def test_the_tree_in_the_errors_docstring_is_the_tree_of_errors() -> None:
    assert errors.__doc__ is not None
    for code, cls in errors.error_tree().items():
        lines = [line for line in errors.__doc__.splitlines() if cls.__name__ in line.split()]
        assert len(lines) == 1, cls.__name__
        assert str(code) in lines[0], cls.__name__
