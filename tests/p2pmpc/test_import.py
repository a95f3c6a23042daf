"""`import p2pmpc` is light, and its names are where they are said to be."""

import subprocess
import sys

import pytest

import p2pmpc

HEAVY = ("numpy", "pandas", "click", "matplotlib", "scipy", "numba", "nacl", "cryptography")


def loaded_by(code):
    heavy = f"import sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = [sys.executable, "-c", f"{code}; {heavy}"]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "code", ["import p2pmpc", "import p2pmpc; p2pmpc.Study; p2pmpc.Answer; p2pmpc.errors.BadData"]
)
def test_importing_loads_no_heavy_library(code):
    assert loaded_by(code) == "[]"


def test_every_exported_name_exists():
    for name in p2pmpc.__all__:
        assert getattr(p2pmpc, name) is not None
    assert set(p2pmpc.__all__) <= set(dir(p2pmpc))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = p2pmpc.nonsense
