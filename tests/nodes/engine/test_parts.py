"""Rows in several processes put in what the same rows put in from one; other rows are refused."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from nodes.data.dataset import BLOCK_ROWS, load
from nodes.engine.cluster.dataset import Dataset, Fault, answer_of
from nodes.engine.cluster.engine import spans_of
from nodes.engine.cluster.letters import Portion
from nodes.session.inputs import draw_plan, gather_inputs, join_shares
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadData, Refused
from p2pmpc.policy import REHEARSAL
from p2pmpc.study import parse_study

ROWS = BLOCK_ROWS + 500
HEAD = """
[study]
title = "Parts"
[data.here]
dataset = "people"
members = ["north"{more}]
where = "age >= 30"
"""
POOLED = """
[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]
[[statistic]]
name = "sexes"
kind = "count"
by = "sex"
"""
LINKED = """
[data.there]
dataset = "people"
members = ["south"]
[link]
tables = ["here", "there"]
by = [["id"]]
[[statistic]]
name = "t"
kind = "t_test"
column = "here.age"
by = "here.sex"
"""
USES = ("aggregate", "group", "filter")
DICTIONARY = Dictionary(
    name="people",
    columns=(
        Column(name="id", type="identifier", role="identifier", uses=("link",)),
        Column(
            name="age",
            type="integer",
            role="sensitive",
            uses=USES,
            minimum=Decimal(0),
            maximum=Decimal(120),
        ),
        Column(name="sex", type="category", role="sensitive", uses=USES, levels=("f", "m")),
    ),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    coins = np.random.default_rng(5)
    ids = [f"P{k}" for k in coins.integers(0, ROWS // 2, ROWS)]  # many persons have several rows
    ages = coins.integers(0, 90, ROWS)
    sexes = np.array(["f", "m"])[coins.integers(0, 2, ROWS)]
    path = tmp_path_factory.mktemp("parts") / "people.csv"
    pd.DataFrame({"id": ids, "age": ages, "sex": sexes}).to_csv(path, index=False)
    return path


def portion(path, span, seal=b""):
    data = DICTIONARY.to_bytes()
    return Portion("a", "north", (str(path),), data, None, span.start, span.stop, seal)


@pytest.mark.parametrize("linked", [False, True])
def test_parts_put_in_what_the_whole_puts_in(path, linked):
    text = HEAD.format(more="" if linked else ', "south"') + (LINKED if linked else POOLED)
    study = parse_study(text, "study.toml")
    catalogue = {name: {"people": DICTIONARY} for name in ("north", "south")}
    resolved = resolve(study, catalogue, dict.fromkeys(catalogue, REHEARSAL))
    plan = draw_plan(bytes(32), resolved, catalogue).joint
    whole = load(path, DICTIONARY, "north")
    wanted, repeated = gather_inputs("north", resolved, plan, {"people": whole})
    shares = [
        answer_of(Dataset().share(portion(path, span), "north", "here", resolved, plan))
        for span in spans_of(0, ROWS, 1)
    ]
    assert len(shares) == 2
    found, duplicates = join_shares("north", plan, {"here": shares}, {"people": whole.root})
    assert (found.pooled, found.sizes, found.digest, duplicates) == (
        wanted.pooled,
        wanted.sizes,
        wanted.digest,
        repeated,
    )
    assert bool(wanted.pooled) is not linked
    for alias, holding in wanted.holdings.items():
        assert repeated[alias] > ROWS // 4
        assert found.holdings[alias].keys == holding.keys
        assert (found.holdings[alias].keep == holding.keep).all()
        assert (found.holdings[alias].features == holding.features).all()


def test_an_actor_that_was_started_again_reads_the_same_rows_or_refuses(path, tmp_path):
    copy = tmp_path / "people.csv"
    copy.write_bytes(path.read_bytes())
    span = range(BLOCK_ROWS)
    first = answer_of(Dataset().load(portion(copy, span)))
    assert first.table_rows == ROWS
    again = answer_of(Dataset().load(portion(copy, span, first.seal)))
    assert (again.seal, again.blocks) == (first.seal, first.blocks)
    lines = copy.read_text().splitlines(keepends=True)
    copy.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(Refused, match="no longer hold"):
        answer_of(Dataset().load(portion(copy, span, first.seal)))


def test_a_fault_comes_as_a_value_that_names_file_and_row(tmp_path):
    bad = tmp_path / "people.csv"
    bad.write_text("id,age,sex\nP1,old,f\n")
    found = Dataset().load(portion(bad, range(10)))
    assert isinstance(found, Fault)
    with pytest.raises(BadData) as caught:
        answer_of(found)
    assert (caught.value.where["row"], caught.value.where["column"]) == (2, "age")


def test_rows_are_shared_out_in_whole_blocks():
    assert spans_of(0, 10, 2_000_000) == [range(30 * BLOCK_ROWS)]
    assert [s.start for s in spans_of(0, 3 * BLOCK_ROWS, BLOCK_ROWS + 5)] == [
        0,
        BLOCK_ROWS,
        2 * BLOCK_ROWS,
    ]
