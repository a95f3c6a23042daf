"""Why a link ended, a dial failed or something was refused: the whole vocabulary.

Each is a phrase that completes "waiting for NAME (...)"; counters, events and log lines use these
and nothing else, so that no text of a peer's choosing reaches them.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """Why a link is not up, in words that people read and counters count by."""

    # a dial that failed
    NEVER = "not linked so far"
    NO_ADDRESS = "no usable address is known"
    NOT_FOUND = "its address cannot be resolved"
    REFUSED = "connection refused: nothing listens there"
    UNREACHABLE = "unreachable"
    WRONG_SERVER = "another certificate than the roster's answers there"
    # a connection that was not let in
    NO_CERTIFICATE = "no certificate was shown"
    UNKNOWN_CERTIFICATE = "certificate of no member"
    HANDSHAKE = "the TLS handshake failed"
    BUSY = "too many handshakes at once"
    # a greeting that did not fit
    WRONG_NETWORK = "it is in another network"
    WRONG_NAME = "it greets by another name than its certificate's"
    NO_VERSION = "no common version of the wire format"
    LIMITS = "its limits are smaller than this version needs"
    NO_GREETING = "no greeting in time"
    NOT_KNOWN = "it closed before greeting: it may not know this node's certificate"
    NOT_WELCOME = "it refused this node"
    # another process with one certificate
    OUSTED = "another process took its place at the peer"
    # what the wire format does not allow
    FRAME_LENGTH = "a frame's length is outside 1 byte to the limit"
    TRUNCATED = "the connection broke off inside a frame"
    MALFORMED = "a message cannot be read"
    UNEXPECTED = "a message that has no place here"
    FLOOD = "more control messages at once than any node sends"
    MAIL_ORDER = "a mail out of order"
    MAIL_SHAPE = "a mail whose frames contradict one another"
    MAIL_SIZE = "a mail past the size limit"
    MAIL_SIGNATURE = "a mail whose signature does not hold"
    MAIL_ACK = "an acknowledgement of mail that was not sent"
    # mail that was answered or dropped; the link stays
    UNKNOWN_SESSION = "mail for a session that is not known"
    CLOSED_SESSION = "mail for a session that is closed"
    NO_PARTY = "mail from a member that is no party of the session"
    EARLY_LIMIT = "more early mail than is kept"
    # the ordinary ends of a link
    SILENT = "nothing was heard for too long"
    REPLACED = "a newer link took its place"
    GOODBYE = "it said goodbye"
    LOST = "the connection broke"
    STOPPED = "this node closed it"
