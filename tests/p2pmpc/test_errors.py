"""The tree of errors, its drawing, and one page for each code."""

import inspect
import re

import pytest

from p2pmpc import errors
from p2pmpc.explain import codes, page


def drawn():
    """(name, code, depth) of each line of the tree in the module's docstring."""
    found = []
    for line in inspect.cleandoc(errors.__doc__).splitlines():
        match = re.match(r"([│├└─ ]*)(\w+) +(\d{3}) ", line)
        if match:
            found.append((match[2], int(match[3]), len(match[1]) // 4))
    return found


def test_the_drawn_tree_equals_the_classes():
    parents = []
    for name, code, depth in drawn():
        cls = getattr(errors, name)
        assert cls.code == code
        assert cls.__base__.__name__ == (parents[depth - 1] if depth else "Exception")
        parents[depth:] = [name]
    assert sorted(code for _, code, _ in drawn()) == sorted(errors.error_tree())


@pytest.mark.parametrize("code", codes())
def test_every_class_has_a_page_that_names_it_and_its_exit_code(code):
    cls = errors.error_tree()[code]
    text = page(code)
    assert text.startswith(f"# {code} {cls.__name__}\n")
    assert f"Exit code {cls.exit}." in text
    for head in ("## Likely causes", "## What to do", "## Example"):
        assert head in text


def test_no_page_is_left_over():
    from importlib import resources

    names = {path.name for path in resources.files("p2pmpc").joinpath("pages").iterdir()}
    assert names == {f"{code}.md" for code in codes()}


def test_an_unknown_code_is_not_found_and_no_path_is_followed():
    for code in ("999", "../errors", "101.md", "", "１０１"):
        with pytest.raises(errors.NotFound):
            page(code)


def test_an_error_survives_json():
    fault = errors.BadData("row 5", next="Correct it.", file="a.csv", row=5, column="age")
    again = errors.error_from_json(fault.to_json())
    assert (type(again), again.message, again.where) == (errors.BadData, "row 5", fault.where)
