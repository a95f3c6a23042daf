"""What Ray needs, looked at without starting it."""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from nodes.doctor.actors import Actors, check_actors, read_actors
from nodes.engine.cluster.runtime import FOLDER_BYTES_MAX, places_of

GOOD = Actors(True, "2.60.0", False, Path("/run/north/ray"), 0o600)


@pytest.fixture
def home():
    """A folder whose name is short enough for Ray's own to lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="h-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def found(**fields):
    return {one.check: one for one in check_actors(replace(GOOD, **fields))}


def test_everything_there_is_one_finding():
    assert [one.level for one in check_actors(GOOD)] == ["ok"]


def test_ray_that_is_missing_or_of_another_version_is_a_fault_where_it_is_used():
    for wrong in ("", "2.49.1", "3.0.0", "0"):
        assert found(version=wrong)["ray"].level == "fault"
        assert found(version=wrong, needed=False)["ray"].level == "note"
    for right in ("2.50.0", "2.60.0rc1", "2.100.0"):
        assert found(version=right)["ray"].level == "ok"


def ray_folder(home):
    place, start = places_of(home)[0]
    folder = place / f"{start}12ab"
    folder.mkdir()
    return folder


def test_a_ray_that_runs_is_looked_at_and_left_alone(home):
    held = ray_folder(home) / "session.log"
    with held.open("wb") as file, subprocess.Popen(["sleep", "60"], stdout=file) as ray:
        try:
            facts = read_actors(True, home, {})
            time.sleep(0.1)
            assert ray.poll() is None
        finally:
            ray.kill()
    assert facts.folder == held.parent
    assert held.exists()


def test_a_token_that_others_can_read_is_a_fault(home):
    token = ray_folder(home) / "token"
    token.write_text("secret")
    token.chmod(0o640)
    facts = read_actors(True, home, {})
    [one] = [one for one in check_actors(facts) if one.check == "ray token"]
    assert one.level == "fault"
    assert "secret" not in f"{one} {facts}"
    token.chmod(0o600)
    assert read_actors(True, home, {}).token_bits == 0o600


def test_a_temporary_folder_of_the_longest_name_passes_and_one_more_does_not():
    fits = Path("/" + "x" * (FOLDER_BYTES_MAX - 1))
    assert "ray folder" not in found(folder=fits)
    longer = fits.with_name("x" * FOLDER_BYTES_MAX)
    assert found(folder=longer)["ray folder"].level == "fault"


def test_where_no_short_place_is_to_be_had_the_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    home = tmp_path / ("n" * 60)
    facts = read_actors(True, home, {})
    [one] = [one for one in check_actors(facts) if one.check == "ray folder"]
    assert str(home) in one.text


def test_another_clusters_address_is_noted():
    facts = read_actors(False, Path("/none"), {"RAY_ADDRESS": "10.0.0.1:6379"})
    assert facts.address_set
    assert "ray address" in {one.check for one in check_actors(facts)}


def test_the_installed_version_is_read_without_importing_ray(tmp_path):
    loaded = "ray" in sys.modules
    assert read_actors(True, tmp_path, {}).version == version("ray")
    assert ("ray" in sys.modules) == loaded
