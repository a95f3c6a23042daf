"""A small society whose members keep a real record: the scene of the tests on records and receipts.

Everything is derived from fixed seeds, so that the vectors under tests/vectors/record can be made
again by the same code.
"""

import hashlib

import pytest

from p2pmpc.bundle import make_bundle
from p2pmpc.certificate import (
    Certificate,
    Opening,
    Receipt,
    answer_hash,
    certificate_hash,
    commitment,
    program_hash,
    session_hash,
    sign_certificate,
    study_hash,
    unit_values,
)
from p2pmpc.codec import digest, encode
from p2pmpc.identity import SecretKeys, Signer, make_card
from p2pmpc.record import (
    Answered,
    Checked,
    Consent,
    DatasetNote,
    Genesis,
    Head,
    Ready,
    Release,
    Released,
    StudyNote,
    author_entry,
    check_entry,
    entry_hash,
    read_content,
)
from p2pmpc.roster import found_roster

UNITS = (("age", 3), ("rare", 2), ("sex", 1))
VERDICTS = (True, False, True)
VALUES = {"age": [-7, 2**100, 0], "sex": [-(2**127)]}
VERSION = b"p2pmpc test"
STUDY = b'{"title":"a study as bytes"}'
ANSWER = b'{"released":true}'
UNIX_MS = 1_800_000_000_000  # when the society began, by everybody's clock
EXPIRES_MS = UNIX_MS + 14 * 86_400_000


def seed(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


class Society:
    """Members that write feeds and read each other's; `read` is who has seen how much."""

    def __init__(self, names):
        self.names = tuple(sorted(names))
        self.keys = {n: SecretKeys(seed(n, "root"), seed(n, "log"), seed(n, "tls")) for n in names}
        self.signers = {n: Signer(keys.log_seed) for n, keys in self.keys.items()}
        self.cards = {
            n: make_card(n, keys, b"certificate of " + n.encode(), f"{n}.example:9000")
            for n, keys in self.keys.items()
        }
        self.roster = found_roster("a small society", self.cards.values())
        self.feeds = {n: [] for n in self.names}
        self.heads = {n: {} for n in self.names}  # what each member has read, itself included
        self.forks, self.checkpoints, self.receipts = [], [], []

    def write(self, name, kind, content):
        """One entry by `name`, which knows of the others what it has read. Its filed form."""
        heads = {a: h for a, h in self.heads[name].items() if a != name}
        filed = author_entry(
            signer=self.signers[name],
            roster=self.roster,
            name=name,
            head=self.heads[name].get(name),
            kind=kind,
            content=content,
            heads=heads,
            unix_ms=UNIX_MS + sum(map(len, self.feeds.values())),
            salt=seed(name, len(self.feeds[name]), "salt")[:16],
        )
        self.feeds[name].append(filed)
        self._advance(name, name)
        return filed

    def _advance(self, reader, author):
        signed = self.feeds[author][-1][0]
        self.heads[reader][author] = Head(
            signed.read().seq, entry_hash(signed), signed.read().lamport
        )

    def gossip(self):
        """Everybody reads everything."""
        for reader in self.names:
            for author in self.names:
                if self.feeds[author]:
                    self._advance(reader, author)

    def everyone(self, kind, make):
        """All write one entry without having read each other's; then all read. Entry hashes."""
        filed = {name: self.write(name, kind, make(name)) for name in self.names}
        self.gossip()
        return {name: entry_hash(signed) for name, (signed, _) in filed.items()}

    def begin(self):
        self.everyone("genesis", lambda _: Genesis(self.roster.hash))
        self.everyone(
            "dataset", lambda n: DatasetNote(b"dictionary of " + n.encode(), seed(n, "rows"))
        )

    # ---- one study, from proposal to receipt ----

    def run(self, study=STUDY):
        """A whole study. The receipt, which is also kept for the bundle."""
        certificate, shares = self.agree(study)
        self.certify(certificate)
        return self.answer(certificate, shares)

    def agree(self, study, consented=None):
        """Proposal, consents, ready and checked entries. The certificate and the shares."""
        first, hashed = self.names[0], study_hash(study)
        signature = self.signers[first].sign(self.roster.network, "study", hashed)
        note = StudyNote(study, self.signers[first].public, signature, EXPIRES_MS)
        self.write(first, "study", note)
        self.gossip()
        rules = lambda n: b"rules of " + n.encode()
        consents = self.everyone("consent", lambda n: Consent(hashed.hex(), "fine", rules(n)))
        consented = consented or digest("p2pmpc/consents/1", *(consents[n] for n in self.names))
        program = program_hash(
            VERSION,
            hashed,
            [self.dictionary(n) for n in self.names],
            [rules(n) for n in self.names],
        )
        readies = self.everyone(
            "ready",
            lambda n: Ready(
                hashed.hex(), 1, 0, consented, seed(n, "snapshot"), seed(n, "x25519"), program
            ),
        )
        session = session_hash(list(readies.values()))
        transcript = seed("transcript")
        self.everyone("checked", lambda _: Checked(session, transcript))
        shares = self.shares()
        certificate = Certificate(
            network=self.roster.network,
            session=session,
            study=hashed,
            epoch=0,
            parties=self.names,
            recipients=(first,),
            readies=tuple(readies[n] for n in self.names),
            transcript=transcript,
            layout=UNITS,
            verdicts=VERDICTS,
            commitments=tuple(commitment(session, n, self.salt(n), shares[n]) for n in self.names),
            program=program,
        )
        return certificate, shares

    def dictionary(self, name):
        return b"dictionary of " + name.encode()

    def salt(self, name):
        return seed(name, "opening")[:16]

    def shares(self):
        """Words that sum to VALUES mod 2^128 over the members."""
        cells = [value for unit in ("age", "sex") for value in VALUES[unit]]
        words = {
            n: [int.from_bytes(seed(n, k)[:16], "little") for k in range(len(cells))]
            for n in self.names[1:]
        }
        words[self.names[0]] = [
            (value - sum(words[n][k] for n in self.names[1:])) % 2**128
            for k, value in enumerate(cells)
        ]
        return {n: b"".join(w.to_bytes(16, "little") for w in words[n]) for n in self.names}

    def signatures(self, certificate):
        return tuple(sign_certificate(self.signers[n], certificate) for n in self.names)

    def certify(self, certificate):
        claim, session = certificate_hash(certificate), certificate.session
        self.everyone(
            "release",
            lambda n: Release(session, claim, sign_certificate(self.signers[n], certificate)),
        )
        held = Released(session, encode(certificate), self.signatures(certificate))
        self.everyone("released", lambda _: held)

    def receipt(self, certificate, shares):
        values = unit_values(certificate, [shares[n] for n in self.names])
        return Receipt(
            certificate=certificate,
            signatures=self.signatures(certificate),
            openings=tuple(Opening(n, self.salt(n), shares[n]) for n in self.names),
            opened=tuple((unit, tuple(map(str, row))) for unit, row in values.items()),
            roster=self.roster,
            answer=ANSWER,
            answer_salt=seed("answer")[:16],
            version=VERSION,
            study=STUDY,
            dictionaries=tuple((n, self.dictionary(n)) for n in self.names),
            rules=tuple((n, b"rules of " + n.encode()) for n in self.names),
        )

    def answer(self, certificate, shares):
        receipt = self.receipt(certificate, shares)
        read = answer_hash(certificate.session, receipt.answer_salt, receipt.answer)
        self.write(self.names[0], "answered", Answered(certificate.session, read))
        self.gossip()
        self.receipts.append(encode(receipt))
        return receipt

    # ---- what an auditor gets ----

    def bundle(self, exporter=None, feeds=None):
        exporter = exporter or self.names[0]
        return make_bundle(
            signer=self.signers[exporter],
            exporter=exporter,
            roster=self.roster,
            feeds=self.feeds if feeds is None else feeds,
            forks=self.forks,
            checkpoints=self.checkpoints,
            receipts=self.receipts,
            unix_ms=1_800_000_000_000,
        )

    def read(self, filed):
        """The checked entry and its content."""
        signed, body = filed
        entry = signed.read()
        return entry, read_content(entry.kind, body)

    def check(self, name):
        """Every entry of one feed, checked in order."""
        head = None
        for signed, _ in self.feeds[name]:
            entry = check_entry(signed, self.roster, head)
            head = Head(entry.seq, entry_hash(signed), entry.lamport)


@pytest.fixture
def society():
    made = Society(["north", "south", "west"])
    made.begin()
    return made


@pytest.fixture
def studied(society):
    society.run()
    return society


@pytest.fixture
def make_society():
    return Society
