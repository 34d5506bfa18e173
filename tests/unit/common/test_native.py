"""Native blocks, byte for byte as the server itself writes them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.native import Block, plain_type
from services.common.native_columns import Arrays, CodedStrings, Maps, Nullable, PackedStrings, varint
from services.common.native_read import read_columns

# The engine's own answer to SELECT ... FORMAT Native, taken with version 26.9.
GOLDEN = (
    b"\x0b\x01\x01a\x05UInt8\x01\x01b\x05Int64\xff\xff\xff\xff\xff\xff\xff\xff\x01s\x06String\x02ab"
    b"\x01t\x14DateTime64(3, 'UTC')\xdc\x05\x00\x00\x00\x00\x00\x00\x03arr\rArray(UInt64)"
    b"\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"
    b"\x01m\x13Map(String, String)\x01\x00\x00\x00\x00\x00\x00\x00\x01a\x01b\x01n\x11Nullable(Float64)"
    b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01f\x0eFixedString(4)ab\x00\x00\x01e\x0eEnum8('x' = 1)\x01"
    b"\x02bo\x04Bool\x01\x01d\x04Date\x03\x00"
)


def test_a_block_has_the_bytes_that_the_engine_writes() -> None:
    block = (
        Block()
        .add("a", "UInt8", [1])
        .add("b", "Int64", [-1])
        .add("s", "String", ["ab"])
        .add("t", "DateTime64(3, 'UTC')", [1500])
        .add("arr", "Array(UInt64)", Arrays.of([[1, 2]], np.uint64))
        .add("m", "Map(LowCardinality(String), String)", Maps.of([{"a": "b"}]))
        .add("n", "Nullable(Float64)", Nullable.of([None]))
        .add("f", "FixedString(4)", [b"ab"])
        .add("e", "Enum8('x' = 1)", [1])
        .add("bo", "Bool", [True])
        .add("d", "Date", [3])
    )

    assert block.to_bytes() == GOLDEN


def test_reading_and_building_again_gives_the_same_bytes() -> None:
    read = read_columns(GOLDEN)
    types = ["UInt8", "Int64", "String", "DateTime64(3, 'UTC')", "Array(UInt64)", "Map(String, String)"]
    types += ["Nullable(Float64)", "FixedString(4)", "Enum8('x' = 1)", "Bool", "Date"]
    block = Block()
    for (name, column), type_text in zip(read.items(), types, strict=True):
        block.add(name, type_text, column)

    assert block.to_bytes() == GOLDEN


@given(
    st.lists(st.binary(max_size=300)) | st.lists(st.sampled_from([b"", b"x" * 127, b"y" * 128, b"z" * 16384]))
)
def test_packed_strings_have_the_bytes_of_listed_ones(texts: list[bytes]) -> None:
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    packed = Block().add("s", "String", PackedStrings(b"".join(texts), ends)).to_bytes()
    listed = Block().add("s", "String", texts).to_bytes()

    assert packed == listed
    assert read_columns(packed)["s"] == texts


@given(st.lists(st.sampled_from([b"", b"GET", b"x" * 200])))
def test_coded_strings_have_the_bytes_of_listed_ones(texts: list[bytes]) -> None:
    values = sorted(set(texts))
    codes = np.array([values.index(text) for text in texts], dtype=np.uint8)
    coded = Block().add("s", "String", CodedStrings(values, codes)).to_bytes()

    assert coded == Block().add("s", "String", texts).to_bytes()


def test_a_constant_column_repeats_its_value() -> None:
    constant = Block().add("s", "String", CodedStrings.constant("acme", 3)).to_bytes()
    assert constant == Block().add("s", "String", ["acme"] * 3).to_bytes()


@given(st.integers(min_value=0, max_value=2**63))
def test_varints_grow_by_seven_bits(value: int) -> None:
    encoded = varint(value)

    assert len(encoded) == max(1, -(-value.bit_length() // 7))
    assert sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(encoded)) == value
    assert all(left >= 128 for left, _ in pairwise(encoded))


@pytest.mark.parametrize(
    ("type_text", "data"),
    [
        ("UInt64", np.array([-1], dtype=np.int64)),
        ("Int32", np.array([1], dtype=np.int64)),
        ("UInt64", np.array([1.5])),
        ("Float64", np.array([2**53 + 1], dtype=np.int64)),
        ("Bool", np.array([1])),
        ("Int64", np.zeros((1, 1), dtype=np.int64)),
        ("Array(UInt64)", [[1]]),
        ("Nullable(Float64)", np.array([1.0])),
        ("AggregateFunction(sum, UInt64)", [1]),
    ],
)
def test_what_could_lose_a_value_is_refused(type_text: str, data: object) -> None:
    with pytest.raises(TypeError):
        Block().add("column", type_text, data)  # type: ignore[arg-type]


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        Block().add("n", "UInt8", [256])


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="has 1 rows, the block has 2"):
        Block().add("a", "UInt8", [1, 2]).add("b", "UInt8", [1])


@pytest.mark.parametrize("ends", [[1], [3], [2, 1, 2], [-1, 2]])
def test_offsets_that_do_not_match_their_values_are_refused(ends: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        Block().add("a", "Array(UInt64)", Arrays(np.array([7, 8], dtype=np.uint64), np.array(ends)))


def test_a_fixed_string_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=r"FixedString\(2\)"):
        Block().add("f", "FixedString(2)", [b"abc"])


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("LowCardinality(String)", "String"),
        ("Map(LowCardinality(String), String)", "Map(String, String)"),
        ("Array(LowCardinality(FixedString(4)))", "Array(FixedString(4))"),
        ("SimpleAggregateFunction(min, DateTime64(3, 'UTC'))", "DateTime64(3, 'UTC')"),
        ("SimpleAggregateFunction(any, LowCardinality(String))", "String"),
    ],
)
def test_types_are_sent_plain(written: str, sent: str) -> None:
    assert plain_type(written) == sent


@pytest.mark.parametrize("cut", range(1, len(GOLDEN)))
def test_a_cut_off_answer_is_never_taken_for_a_whole_one(cut: int) -> None:
    with pytest.raises((ValueError, IndexError, TypeError)):
        read_columns(GOLDEN[:cut])
