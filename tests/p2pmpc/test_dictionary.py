"""Data dictionaries: reading, the one encoding, and what two members say differently."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmpc.dictionary import (
    PRIVACY_LEVELS,
    ROLES,
    USES,
    Column,
    Dictionary,
    differences,
    parse_dictionary,
    read_dictionary,
)
from p2pmpc.errors import BadDictionary, NotFound, P2pmpcError, RemoteError
from p2pmpc.limits import (
    COLUMNS_MAX,
    DECIMAL_DIGITS_MAX,
    DECIMALS_MAX,
    DICTIONARY_BYTES_MAX,
    LEVELS_MAX,
    MISSING_SPELLINGS_MAX,
    NAME_CHARACTERS_MAX,
    ROWS_MAX_DEFAULT,
    ROWS_MAX_MAX,
    TOML_DEPTH_MAX,
)

TEXT = """
[dataset]
name = "lung"
person = "patient_id"
missing = ["-9"]

[columns.patient_id]
type = "identifier"
uses = ["link"]
role = "identifier"

[columns.age]
type = "integer"
units = "years"
minimum = 0
maximum = 120
uses = ["group", "aggregate"]

[columns.sex]
type = "category"
levels = ["male", " female "]
uses = ["group"]

[columns."Größe m"]
type = "number"
minimum = 0.50
maximum = 2.5e0
decimals = 2

[columns.born]
type = "date"
minimum = 1900-01-01
maximum = "2020-12-31"
"""


def lung(**changes):
    text = TEXT
    for old, new in changes.get("replace", []):
        assert old in text
        text = text.replace(old, new)
    return parse_dictionary(text, "lung.toml")


def test_a_file_is_read_with_its_defaults():
    found = lung()
    assert (found.name, found.unit, found.rows_max) == ("lung", "person", ROWS_MAX_DEFAULT)
    assert found.names == ("patient_id", "age", "sex", "Größe m", "born")
    assert found.column("age").uses == ("aggregate", "group")
    assert found.column("sex").levels == ("male", "female")
    assert found.column("Größe m").maximum == Decimal("2.5")
    assert found.column("born").minimum == -25567
    assert found.column("nobody") is None


def test_a_default_and_its_explicit_value_are_one_encoding():
    explicit = lung(
        replace=[('name = "lung"', 'name = "lung"\nunit = "person"\nrows_max = 1048576')]
    )
    assert explicit.to_bytes() == lung().to_bytes()
    integer = lung(replace=[("maximum = 120", "maximum = 120\ndecimals = 0\nrole = 'other'")])
    assert integer.to_bytes() == lung().to_bytes()
    assert lung(replace=[("2.5e0", "2.50")]).to_bytes() == lung().to_bytes()


def test_the_file_written_from_a_dictionary_parses_to_it():
    assert parse_dictionary(lung().to_toml(), "again.toml") == lung()


@pytest.mark.parametrize(
    ("old", "new", "said", "field"),
    [
        ('units = "years"', 'unit = "years"', "did you mean 'units'", "columns.age.unit"),
        ('type = "integer"', 'type = "interger"', "did you mean 'integer'", "type"),
        ('uses = ["group"]', 'uses = ["grup"]', "did you mean 'group'", "uses"),
        ("minimum = 0\n", "minimum = 121\n", "above maximum", "minimum"),
        ("minimum = 0\n", "minimum = 0.5\n", "whole number", "minimum"),
        ("minimum = 0\n", "minimum = inf\n", "finite", "columns.age.minimum"),
        ("minimum = 0\n", "minimum = true\n", "must be a number", "columns.age.minimum"),
        ("minimum = 0\n", "minimum = 1e999999\n", "digits", "columns.age.minimum"),
        ('levels = ["male", " female "]', "", "levels is missing", "levels"),
        ('" female "', '"male"', "different texts", "levels"),
        ('person = "patient_id"', 'person = "patientid"', "patient_id", "dataset.person"),
        ('person = "patient_id"', 'persn = "patient_id"', "did you mean", "dataset.persn"),
        ('name = "lung"', 'name = ".lung"', "cannot name", "data set"),
        ('name = "lung"', 'name = "lung"\nrows_max = 0', "rows_max", "dataset.rows_max"),
        ('role = "identifier"', 'levels = ["a"]', "not for the type", "levels"),
        ("minimum = 1900-01-01", "minimum = 1900", "must be a date", "columns.born.minimum"),
        ("[columns.age]", "[column.age]", "not a known field", "column"),
    ],
)
def test_a_mistake_names_file_and_field(old, new, said, field):
    with pytest.raises(BadDictionary) as caught:
        lung(replace=[(old, new)])
    assert said in caught.value.message
    assert caught.value.where["file"] == "lung.toml"
    assert caught.value.where["field"] == field


def test_text_that_is_not_toml_is_refused_with_its_place():
    with pytest.raises(BadDictionary, match="line 2"):
        parse_dictionary("[dataset]\nname = lung", "x.toml")
    with pytest.raises(BadDictionary):
        parse_dictionary("x = " + "[" * 5000 + "]" * 5000, "x.toml")


def test_a_missing_file_is_not_found_and_another_encoding_is_named(tmp_path):
    with pytest.raises(NotFound):
        read_dictionary(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("[dataset] # Größe".encode("latin-1"))
    with pytest.raises(BadDictionary, match="UTF-8"):
        read_dictionary(tmp_path / "latin.toml")


def test_each_limit_holds_one_past_it():
    columns = tuple(Column(name=f"c{n}", type="text") for n in range(COLUMNS_MAX + 1))
    Dictionary(name="d", columns=columns[:-1])
    with pytest.raises(BadDictionary, match="columns"):
        Dictionary(name="d", columns=columns)
    levels = tuple(map(str, range(LEVELS_MAX + 1)))
    Column(name="c", type="category", levels=levels[:-1])
    with pytest.raises(BadDictionary, match="levels"):
        Column(name="c", type="category", levels=levels)
    Dictionary(name="d", columns=columns[:1], rows_max=ROWS_MAX_MAX)
    with pytest.raises(BadDictionary, match="rows_max"):
        Dictionary(name="d", columns=columns[:1], rows_max=ROWS_MAX_MAX + 1)
    spellings = tuple(map(str, range(MISSING_SPELLINGS_MAX + 1)))
    Dictionary(name="d", columns=columns[:1], missing=spellings[1:])
    with pytest.raises(BadDictionary, match="spellings"):
        Dictionary(name="d", columns=columns[:1], missing=spellings)


def test_each_limit_of_a_column_holds_one_past_it():
    Column(name="c" * NAME_CHARACTERS_MAX, type="text")
    with pytest.raises(BadDictionary, match="longer"):
        Column(name="c" * (NAME_CHARACTERS_MAX + 1), type="text")
    Column(name="c", type="number", decimals=DECIMALS_MAX)
    with pytest.raises(BadDictionary, match="decimals"):
        Column(name="c", type="number", decimals=DECIMALS_MAX + 1)
    digits = Decimal("9" * DECIMAL_DIGITS_MAX)
    assert Column(name="c", type="number", maximum=digits).maximum == digits
    with pytest.raises(BadDictionary, match="digits"):
        Column(name="c", type="number", maximum=Decimal("9" * (DECIMAL_DIGITS_MAX + 1)))


def test_each_limit_of_a_file_holds_one_past_it():
    parse_dictionary(TEXT.ljust(DICTIONARY_BYTES_MAX - 3), "d.toml")  # three letters take two bytes
    with pytest.raises(BadDictionary, match="longer"):
        parse_dictionary(TEXT.ljust(DICTIONARY_BYTES_MAX + 1), "d.toml")
    path = ".".join("abcdefghij"[: TOML_DEPTH_MAX - 1])
    with pytest.raises(BadDictionary, match="dataset"):
        parse_dictionary(f"{path} = 1", "d.toml")
    with pytest.raises(BadDictionary, match="deep"):
        parse_dictionary(f"z.{path} = 1", "d.toml")


def test_bytes_from_a_peer_are_checked_like_a_file():
    data = lung().to_bytes()
    assert Dictionary.from_bytes(data) == lung()
    with pytest.raises(RemoteError, match="one encoding"):
        Dictionary.from_bytes(data.replace(b'"0.5"', b'"0.50"'))
    with pytest.raises(BadDictionary):
        Dictionary.from_bytes(data.replace(b'"integer"', b'"interger"'))
    with pytest.raises(RemoteError):
        Dictionary.from_bytes(data.replace(b'"maximum":"120"', b'"maximum":120'))
    with pytest.raises(RemoteError):
        Dictionary.from_bytes(data.replace(b'"units"', b'"umits"'))
    with pytest.raises(RemoteError):
        Dictionary.from_bytes(data + b" ")


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_never_crash(data):
    with pytest.raises(RemoteError):
        Dictionary.from_bytes(data)


@given(st.data())
def test_a_changed_byte_gives_an_error_or_another_sound_dictionary(data):
    changed = bytearray(lung().to_bytes())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] = data.draw(st.integers(0, 255))
    try:
        found = Dictionary.from_bytes(bytes(changed))
    except P2pmpcError:
        return
    assert found.to_bytes() == bytes(changed)


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\- é]{0,20}[A-Za-z0-9]", fullmatch=True)
uses = st.lists(st.sampled_from(USES), unique=True).map(tuple)
decimals = st.decimals(-(10**9), 10**9, places=3)


@st.composite
def columns(draw):
    type_ = draw(st.sampled_from(["number", "category", "boolean", "date", "text"]))
    fields = {"name": draw(names), "type": type_, "uses": draw(uses)}
    fields["role"] = draw(st.sampled_from(ROLES))
    if type_ == "number":
        low, high = sorted([draw(decimals), draw(decimals)])
        fields |= {"minimum": low, "maximum": high}
        fields["decimals"] = draw(st.none() | st.integers(0, 15))
    if type_ == "date":
        fields["minimum"] = Decimal(draw(st.integers(-700_000, 2_900_000)))
    if type_ == "category":
        level = st.text("abc é'\"\\", min_size=1, max_size=4).map(str.strip).filter(bool)
        fields["levels"] = tuple(draw(st.lists(level, min_size=1, max_size=4, unique=True)))
    return Column(**fields)


@given(
    st.lists(columns(), min_size=1, max_size=5, unique_by=lambda column: column.name),
    st.sampled_from(PRIVACY_LEVELS),
    st.text('a"\\\n é', max_size=10),
)
def test_every_dictionary_survives_bytes_and_toml(found, level, licence):
    made = Dictionary(name="d", columns=tuple(found), privacy_level=level, licence=licence)
    assert Dictionary.from_bytes(made.to_bytes()) == made
    assert parse_dictionary(made.to_toml(), "d.toml") == made


# --- differences ---


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            '"years"',
            '"months"',
            'south: column age has units "months"; north has "years"',
        ),
        ("maximum = 120", "maximum = 110", "south: column age has maximum 110; north has 120"),
        ("decimals = 2", "decimals = 1", "south: column Größe m has decimals 1; north has 2"),
        (
            "minimum = 1900-01-01",
            "minimum = 1901-01-01",
            "south: column born has minimum 1901-01-01; north has 1900-01-01",
        ),
        (
            '["male", " female "]',
            '["male", "female", "x"]',
            'south: column sex has levels ["male", "female", "x"]; north has ["male", "female"]',
        ),
        ('missing = ["-9"]', "", 'south: data set lung has missing = none; north has ["-9"]'),
    ],
)
def test_a_difference_is_one_line_with_both_sides(old, new, line):
    other = lung(replace=[(old, new)])
    assert differences(lung(), other, "north", "south") == [line]


def test_the_same_levels_in_another_order_say_so():
    other = lung(replace=[('["male", " female "]', '["female", "male"]')])
    (line,) = differences(lung(), other, "north", "south")
    assert "another order" in line


def test_a_column_that_one_member_lacks_is_a_difference():
    other = msgspec.structs.replace(lung(), columns=lung().columns[:-1])
    assert differences(lung(), other, "north", "south") == [
        "south: column born is missing; north has it"
    ]
    assert differences(other, lung(), "north", "south") == [
        "north: column born is missing; south has it"
    ]


def test_only_the_columns_asked_for_are_compared_and_uses_are_not():
    other = lung(replace=[('"years"', '"months"'), ('uses = ["group"]', "uses = []")])
    assert differences(lung(), other, "north", "south", ["sex"]) == []
