"""The vectors under tests/vectors/record: what another implementation must accept and refuse."""

import json
import runpy
from pathlib import Path

import pytest

from p2pmpc.certificate import certificate_hash, check_receipt, read_receipt
from p2pmpc.checkpoint import check_checkpoint
from p2pmpc.codec import decode
from p2pmpc.errors import LogError, P2pmpcError
from p2pmpc.identity import check_card, signed_bytes, verify_signature
from p2pmpc.messages import decode_message, encode_message
from p2pmpc.record import ForkProof, Head, SignedEntry, check_entry, check_fork_proof, entry_hash
from p2pmpc.roster import read_roster
from p2pmpc.verify import verify_bundle

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "record"


def run_signature(case, b):
    key, network, message = b("key"), b("network"), b("message")
    verify_signature(key, network, case["purpose"], message, b("signature"))
    assert signed_bytes(key, network, case["purpose"], message) == b("signed")


def run_card(case, b):
    assert check_card(b("card")).name == "north"


def run_entry(case, b):
    seq, found, lamport = case["head"]
    signed = SignedEntry(b("entry"), b("signature"))
    head = Head(seq, bytes.fromhex(found), lamport)
    check_entry(signed, read_roster(b("roster")), head)
    assert entry_hash(signed) == b("hash")


def run_fork(case, b):
    proof = decode(b("proof"), ForkProof, "the proof", error=LogError)
    assert check_fork_proof(proof, read_roster(b("roster"))) == case["author"]


def run_receipt(case, b):
    receipt = read_receipt(b("receipt"))
    values = {unit: [str(v) for v in row] for unit, row in check_receipt(receipt).items()}
    assert values == case["opened"]
    assert certificate_hash(receipt.certificate) == b("certificate_hash")


def run_checkpoint(case, b):
    assert check_checkpoint(case["note"], read_roster(b("roster"))).root == b("root")


def run_message(case, b):
    if "message" in case:
        assert encode_message(decode_message(b("message"), "south")) == b("message")


def run_bundle(case, b):
    report = verify_bundle(b("bundle"))
    for member, what in report.faults:
        raise LogError(what, member=member)
    assert report.ok


RUNNERS = {
    "signature": run_signature,
    "card": run_card,
    "entry": run_entry,
    "fork": run_fork,
    "receipt": run_receipt,
    "checkpoint": run_checkpoint,
    "message": run_message,
    "bundle": run_bundle,
}
CASES = [
    pytest.param(name, case, id=f"{name}: {case['name']}")
    for name in sorted(RUNNERS)
    for case in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_vector_is_accepted_or_refused_as_it_says(name, case):
    run = lambda: RUNNERS[name](case, lambda field: bytes.fromhex(case[field]))
    if case["expect"] == "ok":
        run()
        return
    with pytest.raises(P2pmpcError) as caught:
        run()
    assert caught.value.code == case["expect"]["code"]
    assert caught.value.where.get("member") == case["expect"]["member"]


def test_the_generator_still_writes_these_vectors():
    """A change of a wire format is seen here: it needs a new version, not new vectors."""
    made = runpy.run_path(str(FOLDER / "generate.py"))
    for name, cases in made["vectors"]().items():
        assert made["written"](cases) == (FOLDER / f"{name}.json").read_text(encoding="utf-8"), name


def test_every_vector_file_holds_failures():
    for name in RUNNERS:
        assert {case.values[1]["expect"] == "ok" for case in CASES if case.values[0] == name} == {
            True,
            False,
        }
