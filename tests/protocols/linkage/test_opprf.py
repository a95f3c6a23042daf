import math

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.kernels.registry import run_kernel
from protocols.linkage import opprf
from protocols.linkage.hashing import bins_of
from protocols.linkage.okvs import ROW_WORDS, shape_of
from protocols.linkage.opprf import ROUNDS, lead_table, opprf_leader, opprf_sender
from protocols.party import Seat, Trace, play
from protocols.randomness import Randomness
from protocols.ring import Ring

SIZE = 1024
BINS = bins_of(SIZE)


def seat(me, seed):
    peer = "lab" if me == "north" else "north"
    coins = Randomness(bytes([seed]) * 32)
    return Seat(
        me, ("lab", "north"), coins.fork(me), {peer: Randomness(bytes([seed]) * 32).fork("pair")}
    )


def lead(mine, cell, seed):
    own = seat("north", seed)
    table = yield from lead_table(mine, SIZE, own.rand.fork("table"))
    end = yield from opprf_leader(own, "lab", table, (SIZE, SIZE), cell)
    return table, end


def run(mine, theirs, features=None, words=1, seed=1, **watch):
    ring = Ring(words)
    features = np.zeros((len(theirs), 0), np.int64) if features is None else features
    cell = (features.shape[1], words)
    rows = (theirs, ring.from_ints(features))
    ends = play(
        {
            "north": lead(mine, cell, seed),
            "lab": opprf_sender(seat("lab", seed), "north", rows, ring, (SIZE, SIZE)),
        },
        **watch,
    )
    return *ends["north"], ends["lab"]


def names(prefix, count):
    return [b"%s %d" % (prefix, number) for number in range(count)]


@pytest.mark.parametrize("words", [1, 2])
def test_tags_agree_and_payloads_add_up_exactly_on_common_keys(words):
    mine, theirs = names(b"a", 300), [*names(b"b", 200), *names(b"a", 120)]
    features = np.arange(len(theirs) * 3).reshape(-1, 3) - 400
    table, led, sent = run(mine, theirs, features, words)
    common = np.flatnonzero(led.tags == sent.tags)
    assert sorted(common.tolist()) == sorted(table.bins[:120].tolist())
    ring = Ring(words)
    total = ring.to_ints(ring.add(led.payload, sent.payload)[table.bins[:120]])
    assert total == features[200:].reshape(-1).tolist()


@pytest.mark.parametrize(("count", "other"), [(0, 0), (0, 50), (50, 0), (SIZE, SIZE)])
def test_empty_and_full_sets_are_linked_alike(count, other):
    table, led, sent = run(names(b"a", count), names(b"a", other))
    assert int((led.tags == sent.tags).sum()) == min(count, other)
    assert len(table.bins) == count


def test_messages_have_the_same_names_and_shapes_whatever_the_sets():
    shapes = []
    for mine, theirs in (([], []), (names(b"a", 900), names(b"a", 700))):
        trace = Trace()
        run(mine, theirs, trace=trace)
        shapes.append([(s, r, n, v.dtype, v.shape) for s, r, n, v in trace.said])
    assert shapes[0] == shapes[1]
    assert {name for _, _, name, _, _ in shapes[0]} == {says.name for says in ROUNDS}


def bits_set(values):
    return np.unpackbits(np.ascontiguousarray(values).view(np.uint8)).reshape(len(values), -1)


@pytest.mark.parametrize("party", ["north", "lab"])
def test_what_a_party_hears_is_uniform_whatever_the_other_holds(party):
    """Bits of points and hints are one half each, for an empty and for a full honest set."""
    for honest in ([], names(b"a", SIZE)):
        corrupt = names(b"a", 500)
        trace = Trace()
        mine, theirs = (corrupt, honest) if party == "north" else (honest, corrupt)
        run(mine, theirs, trace=trace, seed=7)
        heard = {name: value for _, name, value in trace.heard_by((party,))}
        for name in {"blinded", "answers", "hint"} & set(heard):
            columns = bits_set(heard[name]).astype(float)
            columns = columns if name == "hint" else np.delete(columns, np.s_[248:249], axis=1)
            z = (columns.sum(axis=0) - len(columns) / 2) / math.sqrt(len(columns) / 4)
            assert np.abs(z).max() < 5, name
            assert z.var() == pytest.approx(1, abs=5 * math.sqrt(2 / z.size)), name
            assert len(np.unique(heard[name], axis=0)) == len(columns), name


def test_what_the_leader_reads_at_keys_the_sender_lacks_is_random_and_unrelated_to_tags():
    mine = names(b"a", 1000)
    values = []
    for theirs in ([], names(b"b", 1000)):
        table, led, sent = run(mine, theirs, seed=3)
        assert not (led.tags == sent.tags).any()
        columns = bits_set((led.tags ^ sent.tags)[table.bins][:, None]).astype(float)
        z = (columns.sum(axis=0) - len(mine) / 2) / math.sqrt(len(mine) / 4)
        assert np.abs(z).max() < 5
        values.append(led.tags[table.bins])
    assert (values[0] != values[1]).all()


def test_a_common_key_tells_its_tag_at_one_bin_only():
    """Were F one for all three functions, the leader would read its other candidate bins too."""
    from protocols.linkage.hashing import candidate_bins
    from protocols.linkage.oprf import hash_outputs, mask_products, subtract_masks

    mine = names(b"a", 200)
    trace = Trace()
    table, _, sent = run(mine, mine, trace=trace, seed=4)
    heard = {name: value for _, name, value in trace.heard_by(("north",))}
    masks = play({"north": mask_products(table.blinding, heard["public"].tobytes(), "lab")})
    answers = heard["answers"]
    points = play({"north": subtract_masks(answers, masks["north"], "lab")})["north"]
    candidates = candidate_bins(table.digests, table.seed, BINS)
    hits = []
    for turn in range(3):
        functions = (table.functions + turn) % 3
        salt = heard["salt"].tobytes()
        outputs = play(
            {"north": hash_outputs(table.digests, functions, points, salt, ROW_WORDS + 1)}
        )["north"]
        arguments = (shape_of(3 * SIZE), outputs[:, :ROW_WORDS], heard["hint"])
        read = run_kernel("linkage/decode", *arguments)[:, 0] ^ outputs[:, ROW_WORDS]
        at = candidates[np.arange(SIZE), functions]
        hits.append(int((read == sent.tags[at])[:200].sum()))
    assert hits == [200, 0, 0]


def spoil(name, change):
    def tamper(sender, receiver, said, value):
        return change(value) if said == name else value

    return tamper


def one_bad_point(value):
    flat = value.reshape(-1, 32)
    flat[0] = 0
    return flat.reshape(value.shape)


@pytest.mark.parametrize(
    ("name", "liar"), [("blinded", "north"), ("answers", "lab"), ("public", "lab")]
)
def test_a_point_outside_the_group_is_blamed_on_its_sender(name, liar):
    with pytest.raises(Suspected) as caught:
        run(names(b"a", 5), names(b"a", 5), tamper=spoil(name, one_bad_point))
    assert caught.value.party == liar
    assert "prime-order" in caught.value.what


@pytest.mark.parametrize(
    ("name", "liar"),
    [
        ("seed", "north"),
        ("blinded", "north"),
        ("public", "lab"),
        ("answers", "lab"),
        ("salt", "lab"),
        ("hint", "lab"),
    ],
)
@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: np.concatenate([v, v[:1]])])
def test_a_message_of_the_wrong_length_is_blamed_on_its_sender(name, liar, change):
    with pytest.raises(Suspected) as caught:
        run(names(b"a", 5), names(b"a", 5), tamper=spoil(name, change))
    assert caught.value.party == liar


def test_a_hint_that_was_changed_spoils_the_links():
    mine = names(b"a", 100)
    _, led, sent = run(mine, mine, tamper=spoil("hint", lambda value: value[::-1].copy()))
    assert not (led.tags == sent.tags).any()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (names(b"a", SIZE + 1), []),
        ([], names(b"a", SIZE + 1)),
        ([b"a", b"a"], []),
        ([], [b"a", b"a"]),
    ],
)
def test_more_keys_than_the_class_or_a_key_twice_never_leave(mine, theirs):
    trace = Trace()
    with pytest.raises(ValueError, match="each once"):
        run(mine, theirs, trace=trace)
    assert not [name for _, _, name, _ in trace.said if name in ("blinded", "answers")]


def test_seeds_are_drawn_a_limited_number_of_times():
    rand, same = (Randomness(bytes(32)) for _ in range(2))
    with pytest.raises(AssertionError, match="no cuckoo seed"):
        opprf._seeded(np.zeros((4, 32), np.uint8), BINS, rand)  # four equal keys never fit
    same.bytes(16 * opprf.TRIES_MAX)
    assert rand.bytes(16) == same.bytes(16)
