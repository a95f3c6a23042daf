"""Real TLS on loopback: who is let in, what arrives, what a broken path costs."""

import pytest

from nodes.transport.events import LinkDown, LinkUp, PeerRefused, Received, SessionUnknown
from nodes.transport.reason import Reason
from nodes.transport.tls import make_certificate
from p2pmpc.errors import LocalError, NotFound
from p2pmpc.messages import Progress

SESSION = b"s" * 32


def test_the_right_pair_is_linked_and_mail_arrives_both_ways(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        alpha.open_session(SESSION, ["beta"])
        beta.open_session(SESSION, ["alpha"])
        await alpha.post(SESSION, "beta", "commit", b"1234")
        await beta.post(SESSION, "alpha", "open", b"")
        await scene.until(lambda: scene.mails("alpha") and scene.mails("beta"))
        assert scene.mails("beta") == [("alpha", "commit", b"1234")]
        assert scene.mails("alpha") == [("beta", "open", b"")]
        assert scene.events["alpha"][0] == LinkUp("beta")

    play(story)
