"""What one node says to another over their link: a closed set of messages, every field bounded.

Array-like MessagePack; the first item is the message's number. Anything else than the one encoding
of a listed message is a RemoteError, and the link ends. The format and what is signed stand in
messages.md.

    link      Hello Refuse Ping Pong Bye
    session   Mail Ack Progress End
    record    Frontier Want Entries ForkNotice
    discovery Address
    idle      Offer
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.address import AddressRecord
from p2pmpc.codec import decode, digest, encode, parse
from p2pmpc.errors import P2pmpcError, RemoteError
from p2pmpc.identity import Bytes32, Name
from p2pmpc.limits import (
    ENTRIES_BATCH_MAX,
    FRAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PARTIES_MAX,
    PARTIES_MIN,
)
from p2pmpc.record import SEQ_MAX, Body, ForkProof, SignedEntry
from p2pmpc.roster import EPOCH_MAX, MEMBERS_MAX

__all__ = [
    "END_TEXT_CHARS_MAX",
    "FRAME_BYTES_MAX",
    "KINDS_MAX",
    "KIND_CHARS_MAX",
    "MAIL_BYTES_MAX",
    "MAIL_NAME_CHARS_MAX",
    "UNITS_MAX",
    "VERSION",
    "Ack",
    "Address",
    "Bye",
    "End",
    "Entries",
    "ForkNotice",
    "Frontier",
    "Hello",
    "Mail",
    "Message",
    "Offer",
    "Ping",
    "Pong",
    "Progress",
    "Refuse",
    "Want",
    "decode_message",
    "encode_message",
    "mail_claim",
    "mail_head",
    "sentence",
]

VERSION = 1  # of the messages; Hello offers a range
MAIL_BYTES_MAX = MESSAGE_BYTES_MAX
MAIL_NAME_CHARS_MAX = 200  # nested protocols prefix names; the deepest take about a hundred
END_TEXT_CHARS_MAX = 500  # one sentence for people
STEP_CHARS_MAX = 200
NUMBER_MAX = 2**48 - 1  # mails of one session to one receiver
CODE_MAX = 999
KINDS_MAX = 64  # of correlations in one offer; a study draws about a dozen
KIND_CHARS_MAX = 40
UNITS_MAX = 2**40  # of one kind in one offer; what a node holds is bounded in bytes, far below
MAIL_BEGINS = b"\x98\x0a"  # eight items, the first the number of Mail; no other message does
SMALL_BYTES = 8192  # own messages up to here are parsed again before they leave: microseconds

MailName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAIL_NAME_CHARS_MAX, pattern=r"\A[ -~]+\Z")
]
Sentence: TypeAlias = Annotated[str, Meta(max_length=END_TEXT_CHARS_MAX)]
Step: TypeAlias = Annotated[str, Meta(max_length=STEP_CHARS_MAX)]
Code: TypeAlias = Annotated[int, Meta(ge=0, le=CODE_MAX)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Seq: TypeAlias = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=2**40)]
MailTotal: TypeAlias = Annotated[int, Meta(ge=0, le=MAIL_BYTES_MAX)]
MailPart: TypeAlias = Annotated[bytes, Meta(max_length=FRAME_BYTES_MAX)]
MailSignature: TypeAlias = Annotated[bytes, Meta(max_length=64)]
WaitedFor: TypeAlias = Annotated[str, Meta(max_length=64)]  # a member, or empty
Names: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=MEMBERS_MAX)]
Heads: TypeAlias = Annotated[tuple[tuple[Name, Seq, Bytes32], ...], Meta(max_length=MEMBERS_MAX)]
Records: TypeAlias = Annotated[
    tuple[AddressRecord, ...], Meta(min_length=1, max_length=MEMBERS_MAX)
]
Parties: TypeAlias = Annotated[
    tuple[Name, ...], Meta(min_length=PARTIES_MIN, max_length=PARTIES_MAX)
]
Kind: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=KIND_CHARS_MAX, pattern=r"\A[a-z0-9/]+\Z")
]
Units: TypeAlias = Annotated[int, Meta(ge=1, le=UNITS_MAX)]
Kinds: TypeAlias = Annotated[
    tuple[tuple[Kind, Units], ...], Meta(min_length=1, max_length=KINDS_MAX)
]
Batch: TypeAlias = Annotated[
    tuple[tuple[SignedEntry, Body | None], ...], Meta(max_length=ENTRIES_BATCH_MAX)
]

# ---- link ----------------------------------------------------------------------------------------


class Hello(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """First on every link, from both ends. TLS has shown who it is; this says what it speaks."""

    first_version: Version  # the range of message versions that this node speaks
    last_version: Version
    network: Bytes32
    epoch: Epoch
    name: Name
    frame_bytes_max: Limit
    mail_bytes_max: Limit


class Refuse(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """Why this link ends at once."""

    code: Code
    text: Sentence


class Ping(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """Are you there?"""


class Pong(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=4):
    """I am."""


class Bye(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=5):
    """This end closes on purpose."""


# ---- session -------------------------------------------------------------------------------------


class Mail(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=10):
    """One frame of a protocol message. Shows no data."""

    session: Bytes32
    name: MailName
    number: Number  # counts the mails of this session to this receiver
    last: bool  # the frame that completes the mail
    total: MailTotal  # bytes of the whole mail
    signature: MailSignature  # 64 bytes on the last frame, over mail_claim; else empty
    data: MailPart  # at the end, so that it is written and compared without being copied

    def __repr__(self) -> str:
        return f"Mail({self.name}, {self.number}, <{len(self.data)} of {self.total} bytes>)"


class Ack(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=11):
    """All mails up to this number have arrived; their sender may forget them."""

    session: Bytes32
    number: Number


class Progress(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=12):
    """Where this party is and whom it waits for."""

    session: Bytes32
    step: Step
    waiting_for: Names


class End(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=13):
    """This party's attempt is over: an error code, a sentence, and who was waited for."""

    session: Bytes32
    code: Code
    text: Sentence
    waited_for: WaitedFor


# ---- record --------------------------------------------------------------------------------------


class Frontier(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=20):
    """How far each feed is known here: (author, number, hash)."""

    heads: Heads


class Want(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=21):
    """Send me these entries of this author, both ends included."""

    author: Name
    first: Seq
    last: Seq


class Entries(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=22):
    """Entries with their bodies; None where the body is withheld or erased."""

    entries: Batch


class ForkNotice(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=23):
    """Proof that a member wrote two histories."""

    proof: ForkProof


# ---- discovery -----------------------------------------------------------------------------------


class Address(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=30):
    """Where members listen, each in its own signed word."""

    records: Records


# ---- idle ----------------------------------------------------------------------------------------


class Offer(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=40):
    """While nothing runs: let these members make correlations for studies to come."""

    fill: Bytes32  # drawn by the first of the parties; the others repeat it
    parties: Parties
    epoch: Epoch
    kinds: Kinds  # what is made, and how many units of it
    key: Bytes32  # the sender's fresh X25519 key, for this fill alone


Message: TypeAlias = (
    Hello
    | Refuse
    | Ping
    | Pong
    | Bye
    | Mail
    | Ack
    | Progress
    | End
    | Frontier
    | Want
    | Entries
    | ForkNotice
    | Address
    | Offer
)


def encode_message(message: Message) -> bytes:
    """The frame's content. Raises P2pmpcError for a message that its receiver would refuse."""
    data = encode(message)
    kind = type(message).__name__
    if len(data) > FRAME_BYTES_MAX:
        raise P2pmpcError(f"a {kind} message of {len(data)} bytes is longer than a frame")
    if len(data) < SMALL_BYTES:
        decode(data, Message, f"an own {kind} message", error=P2pmpcError)  # type: ignore[arg-type]  # a union
    return data


def sentence(text: str) -> str:
    """A text for people, cut to what one message may carry."""
    return text if len(text) <= END_TEXT_CHARS_MAX else text[: END_TEXT_CHARS_MAX - 1] + "…"


def mail_head(mail: Mail) -> bytes:
    """What `encode_message` writes before a mail's data; the data follow as they are.

    Raises P2pmpcError for a mail that its receiver would refuse.
    """
    empty = encode(Mail(mail.session, mail.name, mail.number, mail.last, mail.total,
                        mail.signature, b""))  # fmt: skip
    decode(empty, Mail, "an own Mail message", error=P2pmpcError)
    return _mail_head(empty, len(mail.data))


def _mail_head(empty: bytes, size: int) -> bytes:
    """The encoding of a mail without data, made that of one with `size` bytes of them."""
    for code, width in ((b"\xc4", 1), (b"\xc5", 2), (b"\xc6", 4)):
        if size < 1 << 8 * width:
            return b"".join((empty[:-2], code, size.to_bytes(width, "big")))
    raise AssertionError("a frame is shorter than this")


def decode_message(data: bytes | memoryview, member: str | None = None) -> Message:
    """Parse strictly. Raises RemoteError naming `member` for anything but a listed message.

    Nothing in the message refers to `data`, which may change afterwards.
    """
    if len(data) > FRAME_BYTES_MAX:
        raise RemoteError(f"a frame has at most {FRAME_BYTES_MAX} bytes", member=member)
    if data[:2] == MAIL_BEGINS:
        return _decode_mail(data, member)
    message: Message = decode(data, Message, "a message", member)  # type: ignore[arg-type]  # a union
    if isinstance(message, Hello) and message.first_version > message.last_version:
        raise RemoteError("a Hello offers an empty range of versions", member=member)
    return message


def _decode_mail(data: bytes | memoryview, member: str | None) -> Mail:
    mail = parse(data, Mail, "a message", member)
    empty = encode(Mail(mail.session, mail.name, mail.number, mail.last, mail.total,
                        mail.signature, b""))  # fmt: skip
    head = _mail_head(empty, len(mail.data))
    if len(head) + len(mail.data) != len(data) or data[: len(head)] != head:
        raise RemoteError("a message is not in its one encoding", member=member)
    _check_mail(mail, member)
    return mail


def _check_mail(mail: Mail, member: str | None) -> None:
    if len(mail.signature) != (64 if mail.last else 0):
        raise RemoteError("a mail is signed on its last frame and nowhere else", member=member)
    if len(mail.data) > mail.total:
        raise RemoteError("a mail's frame is longer than the whole mail", member=member)


def mail_claim(session: bytes, receiver: str, name: str, number: int, whole: bytes) -> bytes:
    """What the sender of a mail signs for the purpose `mail`: 32 bytes.

    whole  the BLAKE3 of the mail's data, 32 bytes
    """
    return digest(
        "p2pmpc/mail/2", session, receiver.encode(), name.encode(), number.to_bytes(8, "big"), whole
    )
