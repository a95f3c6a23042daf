"""The house rules that a program can check, each complaint with its remedy.

`make house` prints the complaints of this tree; the tests run the same and feed it bad trees.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("p2pmpc", "protocols", "nodes", "simulations")
MAY_IMPORT = {
    "p2pmpc": {"p2pmpc"},
    "protocols": {"protocols"},
    "nodes": {"nodes", "p2pmpc", "protocols"},
    "simulations": set(ROOMS),
}
AUDITOR = {"msgspec", "nacl", *sys.stdlib_module_names}  # what `import p2pmpc` may need
IMPURE = {
    "ray",
    "asyncio",
    "socket",
    "threading",
    "time",
    "random",
    "numpy.random",
    "secrets",
    "os",
    "logging",
}
VAGUE = {
    "util", "utils", "helper", "helpers", "common", "base", "core", "types", "misc", "manager",
    "mgr", "tools", "lib", "stuff", "shared", "constants", "interfaces", "ctx", "context",
}  # fmt: skip
LINES_MAX = 700
FUNCTION_LINES_MAX = 60
MEDIAN_MAX = 8
SHORT_LINES = 25
SHORT_SHARE_MIN = 0.75
FORBIDDEN = {  # written so that this file does not hold the words itself
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/(?!\.\.\.)"),
    "a package registry": re.compile(r"pypi[.]org|pythonhosted[.]org|--(?:extra-)?index-url"),
    "unfinished work": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b"),
    "an issue number": re.compile(r"(?i)\b(?:issue|ticket|pull request|PR) ?#\d+"),
}
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".sh", ""}
SKIP = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "dist",
        "build", ".hypothesis"}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One broken rule: where, what, and what to do about it."""

    rule: str
    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what} [{self.rule}]\n    {self.remedy}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, and whether the import stands inside a function."""

    name: str
    line: int
    inside: bool


def modules(root: Path) -> Iterator[Path]:
    """Every module of the four rooms, sorted."""
    for room in ROOMS:
        yield from sorted((root / room).rglob("*.py"))


def imports(tree: ast.AST, inside: bool = False) -> Iterator[Import]:
    """All imports of a module; those under `if TYPE_CHECKING` are for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or node.module, "relative imports name no room"
            yield Import(node.module or "", node.lineno, inside)
            yield from (
                Import(f"{node.module}.{alias.name}", node.lineno, inside) for alias in node.names
            )
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, inside or function)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def import_direction(root: Path) -> Iterator[Complaint]:
    """Rooms import downwards only; the command line may reach up inside functions."""
    for path in modules(root):
        place = path.relative_to(root).as_posix()
        room = place.split("/")[0]
        for one in imports(ast.parse(path.read_text("utf-8"))):
            target = one.name.split(".")[0]
            if target in ROOMS and target not in MAY_IMPORT[room]:
                if place.startswith("p2pmpc/cli/") and one.inside and target != "protocols":
                    continue
                yield Complaint(
                    "imports",
                    place,
                    f"line {one.line}: {room} imports {one.name}",
                    f"{room} may import {', '.join(sorted(MAY_IMPORT[room]))}: hand the thing in "
                    "as an argument, or move it down to the room whose noun it is.",
                )


def light_package(root: Path) -> Iterator[Complaint]:
    """`import p2pmpc` and the auditor need the standard library, msgspec and PyNaCl alone."""
    for path in sorted((root / "p2pmpc").rglob("*.py")):
        place = path.relative_to(root).as_posix()
        allowed = AUDITOR | set(ROOMS)
        if place.startswith("p2pmpc/cli/"):
            allowed |= {"click"}
        for one in imports(ast.parse(path.read_text("utf-8"))):
            if not one.inside and one.name.split(".")[0] not in allowed:
                yield Complaint(
                    "light",
                    place,
                    f"line {one.line}: {one.name} is imported when the module is",
                    "Import it inside the function that needs it, or under TYPE_CHECKING.",
                )


def pure_protocols(root: Path) -> Iterator[Complaint]:
    """Protocols know no network, clock, disk or ambient randomness."""
    for path in sorted((root / "protocols").rglob("*.py")):
        place = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        found = [(one.line, one.name) for one in imports(tree)]
        found += [(line, "numpy.random") for line in _numpy_random(tree)]
        for line, name in sorted(set(found)):
            if any(within(name, impure) for impure in IMPURE):
                yield Complaint(
                    "pure",
                    place,
                    f"line {line}: a protocol uses {name}",
                    "Yield a Round or a Compute and let the driver do it; randomness comes from "
                    "protocols/randomness as an argument.",
                )


def _numpy_random(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"np.random", "numpy.random"}:
            yield node.lineno


def only_the_cluster_imports_ray(root: Path) -> Iterator[Complaint]:
    """Ray stays behind one door."""
    for path in modules(root):
        place = path.relative_to(root).as_posix()
        if place == "nodes/engine/cluster.py" or place.startswith("nodes/engine/cluster/"):
            continue
        for one in imports(ast.parse(path.read_text("utf-8"))):
            if within(one.name, "ray"):
                yield Complaint(
                    "ray",
                    place,
                    f"line {one.line}: imports {one.name}",
                    "Only nodes/engine/cluster imports ray: ask the engine.",
                )


def module_length(root: Path) -> Iterator[Complaint]:
    """A module is one noun: 80 to 300 lines, with a wall."""
    for path in modules(root):
        lines = len(path.read_text("utf-8").splitlines())
        if lines > LINES_MAX:
            yield Complaint(
                "module length",
                path.relative_to(root).as_posix(),
                f"{lines} lines; the wall is {LINES_MAX}",
                "Find the second noun in it and give that a module.",
            )


def functions(root: Path) -> Iterator[tuple[str, str, int]]:
    """(place, name, lines without the docstring) of every function."""
    for path in modules(root):
        place = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield place, node.name, _length(node)


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    text = 0
    if ast.get_docstring(node) is not None:
        text = (first.end_lineno or first.lineno) - first.lineno + 1
    return (node.end_lineno or node.lineno) - node.lineno + 1 - text


def function_length(root: Path) -> Iterator[Complaint]:
    """Guards first, then one straight path; a wall for what needs more."""
    for place, name, lines in functions(root):
        if lines > FUNCTION_LINES_MAX:
            yield Complaint(
                "function length",
                f"{place}:{name}",
                f"{lines} lines without its docstring; the wall is {FUNCTION_LINES_MAX}",
                "Take a step of it out, under the name that a comment would give it.",
            )


def function_habit(root: Path) -> Iterator[Complaint]:
    """Most functions are short."""
    lengths = [lines for _, _, lines in functions(root)]
    if not lengths:
        return
    median = statistics.median(lengths)
    if median > MEDIAN_MAX:
        what = f"the median function has {median:g} lines; it should be at most {MEDIAN_MAX}"
        yield Complaint("function habit", "the tree", what, "Shorten what you last wrote.")
    share = sum(lines < SHORT_LINES for lines in lengths) / len(lengths)
    if share < SHORT_SHARE_MIN:
        what = f"{share:.0%} of the functions are under {SHORT_LINES} lines"
        remedy = f"At least {SHORT_SHARE_MIN:.0%} should be: shorten what you last wrote."
        yield Complaint("function habit", "the tree", what, remedy)


def module_names(root: Path) -> Iterator[Complaint]:
    """A module is named for what it holds."""
    for path in modules(root):
        name = path.parent.name if path.name == "__init__.py" else path.stem
        if name.strip("_") in VAGUE:
            yield Complaint(
                "vague name",
                path.relative_to(root).as_posix(),
                f"{name!r} does not say what is in it",
                "Name it for its noun, or put each function where its noun is.",
            )


def plain_code(root: Path) -> Iterator[Complaint]:
    """No pickle, no global statement, no **kwargs in a constructor."""
    for path in modules(root):
        place = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for one in imports(tree):
            if one.name.split(".")[0] in {"pickle", "shelve", "marshal", "dill", "cloudpickle"}:
                remedy = "Use a msgspec Struct and p2pmpc.codec."
                yield Complaint("pickle", place, f"line {one.line}: imports {one.name}", remedy)
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                remedy = "Hand the value in as an argument."
                yield Complaint("global", place, f"line {node.lineno}: a global statement", remedy)
            if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node.args.kwarg:
                remedy = "Name the arguments: a misspelt one must be an error."
                what = f"line {node.lineno}: a constructor takes **{node.args.kwarg.arg}"
                yield Complaint("kwargs", place, what, remedy)


def forbidden_words(root: Path) -> Iterator[Complaint]:
    """The project speaks of itself alone."""
    for path in texts(root):
        place = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for what, pattern in FORBIDDEN.items():
                if pattern.search(line):
                    yield Complaint(
                        "words",
                        place,
                        f"line {number}: names {what}",
                        "Say it without: a reader elsewhere has no use for it.",
                    )


def texts(root: Path) -> Iterator[Path]:
    """Every text file of the repository."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and path.suffix in TEXT and not SKIP & set(parts):
            try:
                path.read_text("utf-8")
            except UnicodeDecodeError:
                continue
            yield path


def limits(root: Path) -> dict[str, str]:
    """Every named limit of the rooms and the module that sets it."""
    found = {}
    for path in modules(root):
        for node in ast.parse(path.read_text("utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.endswith("_MAX"):
                    found[target.id] = path.relative_to(root).as_posix()
    return found


def limits_tested(root: Path) -> Iterator[Complaint]:
    """Every limit has a test one past it: at least one test names it."""
    tests = "\n".join(p.read_text("utf-8") for p in sorted((root / "tests").rglob("test_*.py")))
    for name, place in sorted(limits(root).items()):
        if not re.search(rf"\b{name}\b", tests):
            yield Complaint(
                "limits",
                f"{place}:{name}",
                "no test names this limit",
                "Write a test that goes one past it and sees the refusal.",
            )


def module_heads(root: Path) -> Iterator[Complaint]:
    """Every module begins by saying what it is."""
    for path in modules(root):
        text = path.read_text("utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            yield Complaint(
                "head",
                path.relative_to(root).as_posix(),
                "has no docstring",
                "Begin with what it computes or holds, against whom, and its source.",
            )


def protocol_heads(root: Path) -> Iterator[Complaint]:
    """A module that declares rounds says against whom, in how many rounds and bytes, after whom."""
    for path in sorted((root / "protocols").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        if not any(isinstance(node, ast.Assign) and _sets(node, "ROUNDS") for node in tree.body):
            continue
        head = ast.get_docstring(tree) or ""
        lacks = [w for w in ("Against", "Rounds", "Bytes", "Source") if w not in head]
        if lacks:
            yield Complaint(
                "protocol head",
                path.relative_to(root).as_posix(),
                f"its head lacks {', '.join(lacks)}",
                "Say against whom it holds, its rounds, its bytes to each peer, and the paper.",
            )


def _sets(node: ast.Assign, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in node.targets)


RULES: tuple[Callable[[Path], Iterator[Complaint]], ...] = (
    import_direction,
    light_package,
    pure_protocols,
    only_the_cluster_imports_ray,
    module_length,
    function_length,
    function_habit,
    module_names,
    plain_code,
    forbidden_words,
    limits_tested,
    module_heads,
    protocol_heads,
)


@dataclass(frozen=True, slots=True)
class Exemption:
    """A place that may break one rule, for a reason that somebody wrote down."""

    rule: str
    place: str
    reason: str


def exemptions(root: Path) -> list[Exemption]:
    """The list beside this file. Raises ValueError for one without a reason."""
    path = root / "tests" / "house" / "exceptions.toml"
    listed = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    found = [Exemption(e["rule"], e["place"], e["reason"]) for e in listed.get("exception", [])]
    for one in found:
        if len(one.reason.split()) < 3:
            raise ValueError(f"the exception for {one.place} has no reason")
    return found


def complaints(root: Path) -> list[Complaint]:
    """All broken rules that no exception covers, and exceptions that cover nothing."""
    allowed = exemptions(root)
    used: set[Exemption] = set()
    found = []
    for rule in RULES:
        for complaint in rule(root):
            covering = [
                e for e in allowed if (e.rule, e.place) == (complaint.rule, complaint.place)
            ]
            used.update(covering)
            if not covering:
                found.append(complaint)
    for one in allowed:
        if one not in used:
            what = f"the exception from {one.rule!r} is no longer needed"
            remedy = "Take it out of tests/house/exceptions.toml: the list only shrinks."
            found.append(Complaint("exceptions", one.place, what, remedy))
    return sorted(found)


def main() -> int:
    """Print the complaints of this tree."""
    found = complaints(Path(__file__).resolve().parents[2])
    for one in found:
        print(one)
    print(f"{len(found)} complaints" if found else "the house is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
