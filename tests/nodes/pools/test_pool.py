"""A batch is used once or burnt; none is for another peer set, and the memory has a bound."""

import numpy as np
import pytest

from nodes.pools.pool import PeerSet, Pool, chosen, missing
from p2pmpc.errors import LocalError
from protocols.batches import BATCHES_MAX, Batch, batch_id

AB, ABC = PeerSet(("a", "b"), 1), PeerSet(("a", "b", "c"), 1)


def a_batch(kind, units, number=0, parties=("a", "b")):
    arrays = {"a": np.ones(units, np.uint64)}
    return Batch(batch_id(bytes(32), kind, number), parties, kind, units, arrays)


def ids(batches):
    return [batch.id for batch in batches]


def test_what_is_taken_is_there_no_more():
    pool, batch = Pool(2**20), a_batch("and", 5)
    pool.add(AB, [batch])
    assert pool.held(AB) == {"and": 5}
    assert ids(pool.take(AB, {"and": 5})) == [batch.id]
    assert pool.take(AB, {"and": 5}) == ()
    assert (pool.nbytes, pool.batches, pool.held(AB)) == (0, 0, {})


def test_another_peer_set_or_epoch_gets_nothing():
    pool = Pool(2**20)
    pool.add(AB, [a_batch("and", 5)])
    assert pool.take(ABC, {"and": 5}) == ()
    assert pool.take(PeerSet(("a", "b"), 2), {"and": 5}) == ()
    assert pool.batches == 1


def test_a_foreign_batch_is_refused_by_name_and_burnt():
    pool, foreign = Pool(2**20), a_batch("and", 5, parties=("a", "c"))
    with pytest.raises(LocalError, match="correlations of a, c do not belong to a, b"):
        pool.add(AB, [a_batch("and", 1), foreign])
    assert pool.batches == 0
    assert not foreign.arrays["a"].any()


def test_a_pool_that_is_full_keeps_nothing_more_and_says_what_to_do():
    pool = Pool(8 * 5)
    pool.add(AB, [a_batch("and", 5)])
    with pytest.raises(LocalError, match="8 bytes of correlations do not fit: 0 are free") as told:
        pool.add(AB, [a_batch("and", 1, 1)])
    assert "pool_mb" in told.value.next
    assert pool.nbytes == 40


def test_a_new_epoch_burns_what_an_expelled_member_knows():
    pool, batch = Pool(2**20), a_batch("and", 5)
    pool.add(AB, [batch])
    pool.keep_epoch(1)
    assert pool.batches == 1
    pool.keep_epoch(2)
    assert pool.batches == 0
    assert not batch.arrays["a"].any()


def test_a_pool_that_is_closed_holds_nothing():
    pool, batch = Pool(2**20), a_batch("and", 5)
    pool.add(AB, [batch])
    pool.close()
    assert not batch.arrays["a"].any()


def test_the_smallest_batch_that_is_enough_is_taken():
    shelf = [a_batch("and", 9, 0), a_batch("and", 5, 1), a_batch("and", 2, 2), a_batch("wire", 1)]
    assert ids(chosen(shelf, {"and": 4})) == [shelf[1].id]
    assert ids(chosen(shelf, {"and": 12})) == [shelf[0].id, shelf[1].id]
    assert ids(chosen(shelf, {"and": 99})) == [shelf[0].id, shelf[1].id, shelf[2].id]
    assert chosen(shelf, {"and": 0}) == []


def test_equal_pools_give_equal_batches_in_whatever_order_they_were_filled():
    shelf = [a_batch("and", 5, number) for number in range(6)]
    assert ids(chosen(shelf, {"and": 12})) == ids(chosen(shelf[::-1], {"and": 12}))


def test_no_study_takes_more_batches_than_it_may_name():
    shelf = [a_batch("and", 1, number) for number in range(BATCHES_MAX + 1)]
    assert len(chosen(shelf, {"and": BATCHES_MAX + 1})) == BATCHES_MAX


def test_a_batch_covers_one_study_of_several():
    shelf = [a_batch("and", 5), a_batch("wire", 1)]
    assert missing(shelf, [{"and": 3, "wire": 1}, {"and": 2, "wire": 1}]) == [
        {},
        {"and": 2, "wire": 1},
    ]


def test_room_is_made_by_what_no_study_waits_for():
    pool = Pool(8 * 10)
    pool.add(AB, [a_batch("and", 5)])
    pool.add(ABC, [a_batch("and", 5, parties=ABC.parties)])
    assert not pool.make_room(8 * 11, {ABC})
    assert pool.held(ABC)
    assert not pool.held(AB)
    assert pool.make_room(8 * 5, {ABC})


def test_a_pool_shows_how_much_it_holds_and_nothing_of_it():
    pool = Pool(2**20)
    pool.add(AB, [a_batch("and", 5)])
    assert repr(pool) == "Pool(1 batches, 40 bytes)"
