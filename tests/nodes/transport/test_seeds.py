"""Seeds: addresses at which some member answers, and who else may answer there."""

import asyncio
import socket

import pytest

from nodes.transport.events import LinkUp, MemberAddress, PeerRefused
from nodes.transport.seeds import places
from nodes.transport.transport import TwinFound


class Town:
    """What each member believes about addresses, apart from where they are."""

    def __init__(self, scene):
        self.scene = scene
        self.known = {}

    def members_of(self, name):
        def members():
            return {
                other: MemberAddress(certificate.der, self.known.get((name, other), ""))
                for other, certificate in self.scene.certificates.items()
                if other != "stranger"
            }

        return members

    async def add(self, name, **more):
        return await self.scene.add(name, members=self.members_of(name), **more)


def test_a_seed_is_linked_as_the_member_that_its_certificate_shows(play):
    async def story(scene):
        town = Town(scene)
        for name in ("alpha", "beta", "gamma"):
            await town.add(name)
        beta = scene.transports["beta"]
        beta.connect(["alpha", "gamma"])
        beta.seek([scene.addresses["gamma"]])
        await scene.until(lambda: scene.is_up("beta", "gamma"))
        assert [event.peer for event in scene.of("beta", LinkUp)] == ["gamma"]
        await scene.until(lambda: beta.seed_states()[scene.addresses["gamma"]][0] in {"", "gamma"})
        assert not scene.of("beta", PeerRefused)

    play(story)


@pytest.mark.parametrize("play", ["asyncio"], indirect=True)
def test_a_name_is_resolved_anew_at_each_attempt(play, monkeypatch):
    """First nobody is behind it, later a member."""

    async def story(scene):
        town = Town(scene)
        for name in ("alpha", "beta"):
            await town.add(name)
        loop, asked = asyncio.get_running_loop(), []
        real = loop.getaddrinfo
        where = {"now": []}

        async def resolve(host, port, **more):
            if host != "seed.example":
                return await real(host, port, **more)
            asked.append(port)
            if not where["now"]:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            return where["now"]

        monkeypatch.setattr(loop, "getaddrinfo", resolve, raising=False)
        beta = scene.transports["beta"]
        beta.connect(["alpha"])
        beta.seek(["seed.example:7443"])
        await scene.until(lambda: len(asked) >= 2)
        assert not scene.is_up("beta", "alpha")
        host, port = scene.addresses["alpha"].split(":")
        where["now"] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]
        await scene.until(lambda: scene.is_up("beta", "alpha"))

    play(story)


def test_a_stranger_at_a_seed_is_refused_with_its_fingerprint_once(play):
    async def story(scene):
        town = Town(scene)
        for name in ("alpha", "beta", "stranger"):
            await town.add(name)
        beta, seed = scene.transports["beta"], scene.addresses["stranger"]
        beta.connect(["alpha"])
        beta.seek([seed])
        await scene.until(lambda: scene.of("beta", PeerRefused))
        await asyncio.sleep(0.5)
        (refused,) = scene.of("beta", PeerRefused)
        assert refused.fingerprint == scene.certificates["stranger"].fingerprint
        assert f"at the seed {seed}" in refused.what
        assert not scene.of("beta", LinkUp)

    play(story)


def test_a_seed_that_is_this_node_itself_is_passed_over(play):
    async def story(scene):
        town = Town(scene)
        for name in ("alpha", "beta"):
            await town.add(name)
        beta, own = scene.transports["beta"], scene.addresses["beta"]
        beta.connect(["alpha"])
        beta.seek([own, scene.addresses["alpha"]])
        await scene.until(lambda: scene.is_up("beta", "alpha"))
        await scene.until(lambda: beta.seed_states()[own][0] == "beta")
        assert not [e for e in scene.of("beta", PeerRefused) if "seed" in e.what]

    play(story)


def test_a_seed_whose_member_is_linked_is_left_alone(play):
    async def story(scene):
        town = Town(scene)
        for name in ("alpha", "beta", "gamma"):
            await town.add(name)
        town.known["alpha", "beta"] = scene.addresses["beta"]
        alpha = scene.transports["alpha"]
        alpha.connect(["beta", "gamma"])
        await scene.until(lambda: scene.is_up("alpha", "beta"))
        alpha.seek([scene.addresses["beta"]])
        await asyncio.sleep(1.0)
        assert len(scene.of("alpha", LinkUp)) <= 2, "once by its address, at most once by the seed"

    play(story)


@pytest.mark.parametrize("address", ["nowhere", "no.such.name.invalid:1", ":1"])
def test_an_address_that_means_nothing_has_no_places(address):
    assert asyncio.run(places(address)) == []


def test_two_processes_with_one_certificate_are_named_at_both_ends(play):
    """The second takes the first one's link, which takes it back: nobody may miss that."""

    async def story(scene):
        town = Town(scene)
        await town.add("alpha")
        first = await town.add("beta")
        town.known["beta", "alpha"] = scene.addresses["alpha"]
        events = scene.events["beta"]
        scene.events["beta"] = []
        second = await town.add("beta")
        first.connect(["alpha"])
        second.connect(["alpha"])
        await scene.until(lambda: scene.of("alpha", TwinFound), within_s=15)
        assert scene.of("alpha", TwinFound)[0].member == "beta"
        await scene.until(
            lambda: [e for e in events + scene.events["beta"] if isinstance(e, TwinFound)],
            within_s=15,
        )
        both = events + scene.events["beta"]
        assert {e.member for e in both if isinstance(e, TwinFound)} == {"beta"}

    play(story)


def test_a_member_that_is_started_again_and_again_is_no_twin(play):
    async def story(scene):
        town = Town(scene)
        await town.add("alpha")
        town.known["beta", "alpha"] = scene.addresses["alpha"]
        for _ in range(4):
            beta = await town.add("beta")
            beta.connect(["alpha"])
            await scene.until(lambda: scene.is_up("alpha", "beta"))
            await beta.close()
            await scene.until(lambda: not scene.is_up("alpha", "beta"))
        assert not scene.of("alpha", TwinFound)

    play(story)
