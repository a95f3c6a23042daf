"""One member in a process of its own, for test_path: prints its address, reads what to post."""

import asyncio
import hashlib
import hmac
import json
import random
import sys
import time

from nodes.transport.events import LinkDown, MailIn, MemberAddress
from nodes.transport.timing import Timing
from nodes.transport.tls import make_certificate
from nodes.transport.transport import Transport

SESSION = b"s" * 32


def seed_of(name):
    return hashlib.sha256(name.encode()).digest()


def sign_as(name):
    return lambda message: hmac.digest(seed_of(name), message, "sha512")


def say(**words):
    print(json.dumps(words), flush=True)


async def main(name):
    roster, mails, refused = {}, [], asyncio.Event()

    def on_event(event):
        if isinstance(event, MailIn):
            mails.append(event.data)
        elif isinstance(event, LinkDown) and event.refused:
            refused.set()

    transport = Transport(
        name=name,
        network=lambda: b"n" * 32,
        certificate=make_certificate(seed_of(name), name),
        members=lambda: roster,
        sign=sign_as(name),
        check=lambda peer, message, signature: sign_as(peer)(message) == signature,
        on_event=on_event,
        clock=time.monotonic,
        settings=Timing(),
    )
    say(address=f"127.0.0.1:{await transport.listen('127.0.0.1', 0)}")
    order = json.loads(await asyncio.to_thread(sys.stdin.readline))
    for member, address in order["addresses"].items():
        roster[member] = MemberAddress(make_certificate(seed_of(member), member).der, address)
    [peer] = set(roster) - {name}
    transport.connect([peer])
    transport.open_session(SESSION, [peer])
    posted = [random.Random(i).randbytes(order["size"]) for i in range(order["post"])]
    for data in posted:
        await transport.post(SESSION, peer, "a", data)
    while len(mails) < len(posted):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    say(mails=len(mails), right=mails == posted)
    await refused.wait()
    say(refused=transport.link_state(peer).refused)


asyncio.run(main(sys.argv[1]))
