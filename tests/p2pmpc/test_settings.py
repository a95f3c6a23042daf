"""The settings file of a node."""

import pytest

from p2pmpc import settings as module
from p2pmpc.errors import NotFound, WrongUsage
from p2pmpc.limits import SETTINGS_BYTES_MAX
from p2pmpc.settings import (
    POOL_MB_MAX,
    PORT_MAX,
    PROPOSAL_S_MAX,
    SEEDS_MAX,
    SESSIONS_MAX,
    TRIES_MAX,
    WAIT_S_MAX,
    Settings,
    parse_settings,
    read_settings,
    rehearsal_settings,
)

FULL = Settings(
    name="north", advertise="node.example.org:7443", seeds=("a.example:1", "b:2"), link_grace_s=30.5
)


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    (tmp_path / "node.toml").write_text('[node]\nname = "north"\n')
    assert read_settings(tmp_path / "node.toml") == Settings(name="north")
    with pytest.raises(NotFound):
        read_settings(tmp_path / "none.toml")


def test_settings_survive_their_file():
    assert parse_settings(FULL.to_toml(), "node.toml") == FULL
    assert parse_settings(rehearsal_settings("a").to_toml(), "x") == rehearsal_settings("a")


def test_a_rehearsal_listens_on_a_free_loopback_port_and_waits_20_seconds():
    found = rehearsal_settings("north")
    assert (found.listen_host, found.listen_port, found.link_grace_s) == ("127.0.0.1", 0, 20.0)


@pytest.mark.parametrize(
    ("text", "said", "field"),
    [
        ('name = "n"\nlisten_prt = 1', "did you mean 'listen_port'", "node.listen_prt"),
        ("listen_port = 1", "is missing", "node.name"),
        ('name = "n"\nlisten_port = 65536', "from 0 to 65535", "node.listen_port"),
        ('name = "n"\nadvertise = "host"', "host:port", "node.advertise"),
        ('name = "n"\nlink_grace_s = 0', "above 0", "node.link_grace_s"),
        ('name = "n"\nlink_grace_s = "1"', "must be a number", "node.link_grace_s"),
        ('name = "-n"', "cannot name", "node.member"),
    ],
)
def test_a_mistake_names_file_and_field(text, said, field):
    with pytest.raises(WrongUsage) as caught:
        parse_settings(f"[node]\n{text}\n", "node.toml")
    assert said in caught.value.message
    assert caught.value.where == {"file": "node.toml", "field": field}


def shown(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "[]" if value == () else f"{value:.10g}"


def test_every_setting_and_its_default_stand_in_the_table():
    table = {}
    for line in module.__doc__.splitlines():
        words = line.split()
        if words and words[0] in Settings.__struct_fields__:
            table[words[0]] = words[1]
    assert set(table) == set(Settings.__struct_fields__)
    made = Settings(name="x")
    for name in set(table) - {"name"}:
        assert table[name] == shown(getattr(made, name))


def test_each_limit_holds_one_past_it():
    Settings(name="n", listen_port=PORT_MAX, gossip_s=WAIT_S_MAX)
    for fields in ({"listen_port": PORT_MAX + 1}, {"gossip_s": WAIT_S_MAX + 1}):
        with pytest.raises(WrongUsage, match=next(iter(fields))):
            Settings(name="n", **fields)
    for field, most in (
        ("attempts", TRIES_MAX),
        ("sessions", SESSIONS_MAX),
        ("proposal_s", PROPOSAL_S_MAX),
    ):
        Settings(name="n", **{field: most})
        for wrong in (0, most + 1):
            with pytest.raises(WrongUsage, match=field):
                Settings(name="n", **{field: wrong})
    Settings(name="n", pool_mb=0)
    for pool_mb in (-1, POOL_MB_MAX + 1):
        with pytest.raises(WrongUsage, match="pool_mb"):
            Settings(name="n", pool_mb=pool_mb)
    Settings(name="n", pool_mb=POOL_MB_MAX)
    text = '[node]\nname = "n"\n'
    parse_settings(text.ljust(SETTINGS_BYTES_MAX), "node.toml")
    with pytest.raises(WrongUsage, match="longer"):
        parse_settings(text.ljust(SETTINGS_BYTES_MAX + 1), "node.toml")


def test_one_seed_too_many_is_refused_and_each_is_an_address():
    Settings(name="x", seeds=("a:1",) * SEEDS_MAX)
    with pytest.raises(WrongUsage, match=f"at most {SEEDS_MAX}"):
        Settings(name="x", seeds=("a:1",) * (SEEDS_MAX + 1))
    with pytest.raises(WrongUsage, match="host:port each"):
        Settings(name="x", seeds=("a.example",))


def test_a_restarted_node_may_be_told_to_ask_nobody_but_not_to_wait_for_ever():
    assert Settings(name="x", restore_wait_s=0.0).restore_wait_s == 0
    with pytest.raises(WrongUsage, match="restore_wait_s must be from 0"):
        Settings(name="x", restore_wait_s=WAIT_S_MAX + 1)
