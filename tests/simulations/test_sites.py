"""Sites, their files, their rules and descriptions, before any process starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pmpc.errors import BadPolicy, NotFound, WrongUsage
from p2pmpc.policy import parse_policy
from p2pmpc.study import Alias, Statistic, Study
from simulations.describe import Describer
from simulations.rules import rehearsal_rules
from simulations.sites import check_sites, given, site, sites_of

STUDY = Study(
    title="t",
    data=[
        Alias("a", dataset="lung", members=("north", "south")),
        Alias("b", dataset="labs", members=("south",)),
    ],
    statistics=[Statistic("n", "count", {"by": "a.sex"})],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    for name in ("lung.csv", "labs.parquet", "a,b.csv", "other/lung.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("sex\nx\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_site_has_several_files_and_a_comma_may_belong_to_a_name(folder: Path) -> None:
    one = site("south=lung.csv,labs.parquet")
    assert one.files == {"lung": folder / "lung.csv", "labs": folder / "labs.parquet"}
    assert site("south=a,b.csv").files == {"a,b": folder / "a,b.csv"}


@pytest.mark.parametrize("text", ["lung.csv", "=lung.csv", "north=", "north= , "])
def test_a_site_that_is_not_name_and_file_is_wrong(folder: Path, text: str) -> None:
    with pytest.raises(WrongUsage):
        check_sites(STUDY, sites_of([text]))


def test_two_files_of_one_stem_are_wrong(folder: Path) -> None:
    with pytest.raises(WrongUsage, match="both be the data set 'lung'"):
        site("north=lung.csv,other/lung.csv")


def test_a_folder_or_a_missing_file_is_told(folder: Path) -> None:
    with pytest.raises(WrongUsage, match="is a folder"):
        site("north=other")
    with pytest.raises(NotFound, match=r"north: there is no file none\.csv"):
        site("north=none.csv")


def test_the_sites_that_take_part_are_those_of_the_study(folder: Path) -> None:
    sites = sites_of(["south=lung.csv,labs.parquet", "north=lung.csv", "extra=lung.csv"])
    assert check_sites(STUDY, sites) == ("north", "south")


def test_a_file_may_be_meant_for_one_member(folder: Path) -> None:
    assert given("north=d.toml", ("north",)).member == "north"
    assert given("d=x.toml", ("north",)).path == Path("d=x.toml")


DICTIONARY = '[dataset]\nname = "lung"\n[columns.sex]\ntype = "category"\nlevels = ["x"]\n'


def test_given_dictionaries_are_used_and_the_rest_is_derived(folder: Path) -> None:
    (folder / "d.toml").write_text(DICTIONARY.replace('"x"', '"x", "y"'))
    (folder / "labs.parquet").rename(folder / "labs.csv")
    sites = sites_of(["south=lung.csv,labs.csv", "north=lung.csv"])
    describer = Describer.read(["d.toml", "north=d.toml"], sites)
    found = describer.describe(STUDY, sites)
    assert found["north"]["lung"].column("sex").levels == ("x", "y")
    assert set(found["south"]) == {"lung", "labs"}
    assert [note.split(":")[0] for note in describer.notes] == ["labs"]
    with pytest.raises(WrongUsage, match="two dictionaries"):
        Describer.read(["d.toml", "d.toml"], sites)


def test_the_rules_of_a_rehearsal_approve_what_would_be_asked(folder: Path) -> None:
    (folder / "p.toml").write_text("[default]\nminimum_cell = 7\n")
    (folder / "r.toml").write_text('[default]\ndecide = "refuse"\n[data.lung]\ndecide = "ask"\n')
    texts = rehearsal_rules(["p.toml", "south=r.toml"], STUDY)
    north, south = (parse_policy(texts[name], name) for name in ("north", "south"))
    assert (north.default.decide, north.default.minimum_cell) == ("approve", 7)
    assert north.default.minimum_members == 2
    assert south.default.decide == "refuse"
    assert south.rules_for("lung").decide == "approve"
    assert rehearsal_rules([], STUDY) == {}
    (folder / "p.toml").write_text("[default]\nminimum_cel = 7\n")
    with pytest.raises(BadPolicy):
        rehearsal_rules(["p.toml"], STUDY)
