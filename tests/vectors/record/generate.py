"""Writes the vectors beside this file: `python tests/vectors/record/generate.py`, from the root.

Each case is one good value or one with a single spoiled place. `expect` is "ok" or the code and the
member of the error that a reader must raise. Another implementation needs Ed25519, SHA-256 and
MessagePack to run them; `tests/p2pmpc/test_record_vectors.py` is how.
"""

import json
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from p2pmpc.certificate import Opening, certificate_hash  # noqa: E402
from p2pmpc.checkpoint import make_checkpoint  # noqa: E402
from p2pmpc.codec import digest, encode  # noqa: E402
from p2pmpc.identity import signed_bytes  # noqa: E402
from p2pmpc.messages import (  # noqa: E402
    Ack,
    End,
    Frontier,
    Hello,
    Mail,
    Ping,
    encode_message,
    mail_claim,
)
from p2pmpc.record import (  # noqa: E402
    Ended,
    ForkProof,
    Head,
    Revocation,
    Withdrawal,
    Withheld,
    author_entry,
    entry_hash,
)
from p2pmpc.tree import Tree  # noqa: E402

OK = "ok"


def replaced(thing, **changes):
    return msgspec.structs.replace(thing, **changes)


def wrong(code, member=None):
    return {"code": code, "member": member}


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def case(name, expect, **fields):
    shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
    return {"name": name, **shown, "expect": expect}


def signatures(society):
    signer = society.signers["north"]
    network, message = society.roster.network, b"a message"
    signature = signer.sign(network, "entry", message)
    fields = {"key": signer.public, "network": network, "message": message}
    framed = signed_bytes(signer.public, network, "entry", message)
    return [
        case("good", OK, purpose="entry", signature=signature, signed=framed, **fields),
        case("other purpose", wrong(701), purpose="mail", signature=signature, **fields),
        case("short", wrong(701), purpose="entry", signature=signature[:63], **fields),
        case("flipped", wrong(701), purpose="entry", signature=flipped(signature, 0), **fields),
        case(
            "other network",
            wrong(701),
            purpose="entry",
            signature=signature,
            **{**fields, "network": bytes(32)},
        ),
    ]


def cards(society):
    card = society.cards["north"]
    return [
        case("good", OK, card=card),
        case("address changed", wrong(701, "north"), card=card.replace(b".example", b".elsewho")),
        case("cut short", wrong(701), card=card[:-1]),
        case("longer spelling", wrong(701), card=b"\xdc\x00\x07" + card[1:]),
    ]


def entries(society):
    roster = encode(society.roster)
    signed, before = society.feeds["north"][1][0], society.feeds["north"][0][0]
    head = [0, entry_hash(before).hex(), before.read().lamport]
    entry = signed.read()

    def spoiled(**changes):
        data = encode(replaced(entry, **changes))
        claim = digest("p2pmpc/entry-hash/1", data)
        return data, society.signers["north"].sign(society.roster.network, "entry", claim)

    found = [
        case(
            "good",
            OK,
            roster=roster,
            head=head,
            entry=signed.entry,
            signature=signed.signature,
            hash=entry_hash(signed),
        )
    ]
    for name, changes, member in [
        ("another number", {"seq": 2}, "north"),
        ("another predecessor", {"prev": bytes(32)}, "north"),
        ("a time that does not grow", {"lamport": 1}, "north"),
        ("an unknown kind", {"kind": "gossip"}, "north"),
        ("another network", {"network": bytes(32)}, "north"),
        ("heads out of order", {"heads": tuple(reversed(entry.heads))}, "north"),
        ("a stranger", {"author": "nobody"}, "nobody"),
    ]:
        data, signature = spoiled(**changes)
        fields = {"roster": roster, "head": head, "entry": data, "signature": signature}
        found.append(case(name, wrong(701, member), **fields))
    fields = {"roster": roster, "head": head, "signature": signed.signature}
    longer = b"\xdc\x00\x0a" + signed.entry[1:]
    found.append(case("a second spelling", wrong(701), entry=longer, **fields))
    found.append(case("a byte after", wrong(701), entry=signed.entry + b"\0", **fields))
    unsigned = {**fields, "signature": bytes(64)}
    found.append(case("unsigned", wrong(701, "north"), entry=signed.entry, **unsigned))
    return found


def forks(society):
    roster, mine = encode(society.roster), society.feeds["west"][-1][0]
    before = society.feeds["west"][-2][0]
    other, _ = author_entry(
        signer=society.signers["west"],
        roster=society.roster,
        name="west",
        head=Head(before.read().seq, entry_hash(before), before.read().lamport),
        kind="withheld",
        content=Withheld(bytes(32), "another history"),
        heads={},
        unix_ms=0,
        salt=bytes(16),
    )
    forged = replaced(other, signature=bytes(64))
    proof = lambda a, b: encode(ForkProof(a, b))
    return [
        case("two histories", OK, roster=roster, author="west", proof=proof(mine, other)),
        case("one entry twice", wrong(701, "west"), roster=roster, proof=proof(mine, mine)),
        case("two numbers", wrong(701), roster=roster, proof=proof(before, other)),
        case("forged", wrong(701, "west"), roster=roster, proof=proof(mine, forged)),
    ]


def receipts(society, receipt):
    first, *rest = receipt.openings
    flip = Opening(first.party, first.salt, flipped(first.share, 0))
    signed = list(receipt.signatures)
    signed[1] = bytes(64)
    number = (("age", ("-7", str(2**100), "1")), receipt.opened[1])
    opened = {unit: list(values) for unit, values in receipt.opened}
    return [
        case(
            "good",
            OK,
            receipt=encode(receipt),
            certificate_hash=certificate_hash(receipt.certificate),
            opened=opened,
        ),
        case(
            "a share changed",
            wrong(701, "north"),
            receipt=encode(replaced(receipt, openings=(flip, *rest))),
        ),
        case(
            "a signature missing",
            wrong(701, "south"),
            receipt=encode(replaced(receipt, signatures=tuple(signed))),
        ),
        case("a number changed", wrong(701), receipt=encode(replaced(receipt, opened=number))),
        case(
            "another dictionary",
            wrong(701),
            receipt=encode(replaced(receipt, dictionaries=(("north", b"x"),))),
        ),
    ]


def checkpoints(society):
    tree = Tree(entry_hash(signed) for signed, _ in society.feeds["north"])
    note = make_checkpoint(society.signers["north"], society.roster, "north", tree)
    roster, size = encode(society.roster), len(tree)
    return [
        case("good", OK, roster=roster, note=note, root=tree.root(size)),
        case(
            "another size",
            wrong(701, "north"),
            roster=roster,
            note=note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1),
        ),
        case("unsigned", wrong(701, "north"), roster=roster, note=note.partition("\u2014")[0]),
    ]


def messages():
    s = bytes(range(32))
    good = [
        Hello(1, 1, s, 0, "north", 2**20, 2**25),
        Ping(),
        Mail(s, "sums/open", 3, True, 3, bytes(64), b"abc"),
        Ack(s, 3),
        End(s, 402, "south was not heard", "south"),
        Frontier((("north", 3, s),)),
    ]
    found = [case(type(one).__name__, OK, message=encode_message(one)) for one in good]
    found.append(case("claim", OK, claim=mail_claim(s, "south", "sums/open", 3, bytes(32))))
    spoiled = [
        ("unknown number", b"\x91\x63"),
        ("one item more", b"\x92\x03\x00"),
        ("a longer spelling", b"\x91\xcc\x03"),
        ("nothing", b""),
        ("unsigned last frame", encode(Mail(s, "a", 0, True, 1, b"", b"x"))),
        ("a name too long", encode(Mail(s, "a" * 201, 0, False, 1, b"", b"x"))),
        ("a text too long", encode(End(s, 1, "x" * 501, ""))),
    ]
    return found + [case(name, wrong(405, "south"), message=data) for name, data in spoiled]


def taken_back(make, author, kind, content):
    """A society whose study is ready, and what one member then writes about it."""
    society = make(["north", "south", "west"])
    society.begin()
    certificate, _ = society.agree(b"a study")
    society.write(author, kind, content(certificate.study.hex()))
    return society.bundle()


def bundles(society):
    data, make = society.bundle(), type(society)
    return [
        case("good", OK, bundle=data),
        case("a byte changed", wrong(701, "north"), bundle=flipped(data, len(data) // 2)),
        case("cut short", wrong(701), bundle=data[:-1]),
        case(
            "a feed cut short",
            wrong(701, "west"),
            bundle=society.bundle(feeds={**society.feeds, "west": society.feeds["west"][:-1]}),
        ),
        case(
            "taken back by who proposed it",
            OK,
            bundle=taken_back(make, "north", "withdrawal", lambda s: Withdrawal(s, "no")),
        ),
        case(
            "taken back by another",
            wrong(701, "west"),
            bundle=taken_back(make, "west", "withdrawal", lambda s: Withdrawal(s, "no")),
        ),
        case(
            "a consent taken back",
            OK,
            bundle=taken_back(make, "south", "revocation", lambda s: Revocation(s, "no")),
        ),
        case(
            "an attempt that ended",
            OK,
            bundle=taken_back(make, "west", "ended", lambda s: Ended(s, 1, 402, "no", "south")),
        ),
        case(
            "an attempt that had not begun",
            wrong(701, "west"),
            bundle=taken_back(make, "west", "ended", lambda s: Ended(s, 2, 402, "no", "south")),
        ),
    ]


def vectors():
    """Every file's name with its cases."""
    society = runpy.run_path(str(ROOT / "tests/p2pmpc/conftest.py"))["Society"](
        ["north", "south", "west"]
    )
    society.begin()
    early = {
        "signature": signatures(society),
        "card": cards(society),
        "entry": entries(society),
        "message": messages(),
    }
    receipt = society.run()
    return {
        **early,
        "fork": forks(society),
        "receipt": receipts(society, receipt),
        "checkpoint": checkpoints(society),
        "bundle": bundles(society),
    }


def written(cases):
    return json.dumps(cases, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, cases in vectors().items():
        (HERE / f"{name}.json").write_text(written(cases), encoding="utf-8")
