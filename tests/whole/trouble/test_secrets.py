"""A scanner: values planted in the data are nowhere but in the data after a whole linked run."""

import base64
import re
import struct
from pathlib import Path

import numpy as np

# These do not occur by chance: eight random characters, numbers of ten digits.
PLANTED_ID = "Zq7vKw2x"
PLANTED_NUMBERS = (31.41592653, 27.18281828)


def spellings():
    found = [PLANTED_ID.encode(), PLANTED_ID.casefold().encode(), PLANTED_ID.encode("utf-16-le")]
    for number in PLANTED_NUMBERS:
        found += [str(number).encode(), struct.pack("<d", number), struct.pack(">d", number)]
    return found


def planted(frames):
    lab = frames["lab"]["markers"].copy()
    north = frames["north"]["lung"].copy()
    lab["wt_loss"] = lab["wt_loss"].astype(float)
    lab.loc[lab.index[:2], "wt_loss"] = PLANTED_NUMBERS
    for frame in (lab, north):
        frame.loc[frame.index[0], "pid"] = PLANTED_ID
    return {**frames, "lab": {"markers": lab}, "north": {"lung": north}}


def files_of(town):
    """Everything that the members wrote: logs, stores with their journals, standard error."""
    for name in town.members:
        home = town.folder / name
        for path in [*home.rglob("*"), home.with_suffix(".stderr")]:
            if path.is_file():
                yield path


def test_no_planted_value_is_in_any_log_store_answer_or_record(town, linked_frames, linked_study):
    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(linked_study, planted(linked_frames))
    said = []
    for name in ("lab", "north", "south"):
        town.wait(name, study, lambda e: e["event"] in {"answered", "ended"}, 60)
        member = town.members[name]
        for path in (f"/study/{study}/events", f"/study/{study}/result", "/status"):
            said.append(repr(member.get(path)).encode())
        said.append(base64.b64decode(member.get("/log/export")["bundle"]))
        said.append(base64.b64decode(member.get(f"/study/{study}/receipt")["receipt"]))
    texts = {str(path): path.read_bytes() for path in files_of(town)}
    assert len(texts) >= 9, "logs, stores and standard errors of three members"
    places = {**texts, **{f"said {k}": data for k, data in enumerate(said)}}
    found = [
        (where, text) for where, data in places.items() for text in spellings() if text in data
    ]
    assert found == []


def test_the_scanner_sees_what_it_looks_for(tmp_path):
    path = tmp_path / "node.log"
    path.write_bytes(b"x" + struct.pack("<d", PLANTED_NUMBERS[0]) + PLANTED_ID.encode())
    hits = [text for text in spellings() if text in path.read_bytes()]
    assert len(hits) == 2


def test_no_key_of_a_member_is_in_its_store_or_log(town, count_frames, count_study):
    """Private keys are only in the process: no 32 bytes of any file make a roster's key."""
    from nacl.signing import SigningKey

    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(count_study, count_frames)
    town.wait("north", study, lambda e: e["event"] == "answered", 60)
    from p2pmpc.identity import check_card

    keys = set()
    for member in town.members.values():
        card = check_card(base64.b64decode(member.get("/card")["card"]))
        keys |= {card.log_key, card.root_key}
    for path in files_of(town):
        data = path.read_bytes()
        starts = sorted({m.end() for m in re.finditer(rb"[\x20-\xc4]\x20", data)})
        for start in starts[:3000]:
            seed = data[start : start + 32]
            if len(seed) == 32:
                assert bytes(SigningKey(seed).verify_key) not in keys, path


def test_private_types_show_nothing(town, linked_frames):
    """The reprs of what holds rows, shares and keys."""
    from nodes.core.effects import SessionOrder
    from nodes.core.studies import Case
    from nodes.session.session import Outcome
    from p2pmpc.identity import make_keys
    from protocols.joint import JointInputs
    from protocols.randomness import Randomness
    from protocols.statistics.plan import Values

    secret = b"\x5a" * 32
    order = SessionOrder(bytes(32), "s", ("a", "b"), ("a",), {}, secret)
    values = Values(np.array(PLANTED_NUMBERS), np.zeros(2, bool))
    inputs = JointInputs({"s": {"u": [271828182845]}}, {}, {}, secret)
    case = Case.__new__(Case)
    case.study, case.state, case.secret = type("Named", (), {"id": "abc"})(), "ready", secret
    outcome = Outcome(True, None, b"", b"", {"patients": 271828182845})
    shown = [repr(o) for o in (order, values, inputs, case, outcome)]
    shown += [repr(Randomness(secret)), repr(make_keys(lambda n: b"\x5a" * n))]
    for text in shown:
        assert "5a5a" not in text
        assert "ZZZZ" not in text
        assert "271828182845" not in text
        assert not any(str(number) in text for number in PLANTED_NUMBERS)
    assert isinstance(Path(town.folder), Path)
