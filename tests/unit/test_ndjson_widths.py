"""The decoder looks at 32 bytes of a text and 8 of a number at once: every length, every place of what ends them."""

from __future__ import annotations

import json

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.texts import Texts

MAX_INT = 2**63 - 1


def lot_of(line: str) -> str | None:
    """The text of `lot` of a good line."""
    texts = Texts()
    batch = Batch(texts)
    assert make_decoder(texts).decode(line.encode(), batch) == []
    return texts.text(batch.column("lot")[0])


def with_lot(raw: str, behind: str) -> str:
    """`behind`: what stands after it, so that it ends anywhere before the end of the line."""
    return f'{{"src":"s","kind":"scan.read","lu":"L","t_rx":1,"lot":"{raw}"{behind}}}'


@pytest.mark.parametrize("behind", ["", ',"x":1', ',"loc":"' + "b" * 40 + '"'], ids=["last", "near", "far"])
def test_a_text_of_every_length(behind: str) -> None:
    for length in range(1, 100):
        assert lot_of(with_lot("a" * length, behind)) == "a" * length


@pytest.mark.parametrize("behind", ["", ',"loc":"' + "b" * 40 + '"'], ids=["last", "far"])
@pytest.mark.parametrize("raw", ['\\"', "\\u00e9", "é", "😀", "\\\\"])
def test_what_is_no_plain_byte_at_every_place_of_a_text(raw: str, behind: str) -> None:
    for place in range(70):
        text = "a" * place + raw + "c" * 3
        assert lot_of(with_lot(text, behind)) == json.loads(f'"{text}"')


@pytest.mark.parametrize("raw", ["\t", "\x1f", "\x00"])
def test_a_control_character_at_every_place_is_refused_where_it_stands(raw: str) -> None:
    texts = Texts()
    decoder = make_decoder(texts)
    for place in range(70):
        line = with_lot("a" * place + raw + "c", "")
        assert decoder.decode(line.encode(), Batch(texts)) == [(0, f"broken JSON at byte {line.index(raw)}")]


@pytest.mark.parametrize("behind", ["", ',"x":1', " ", " ,\t", ',"loc":"' + "b" * 40 + '"'])
def test_a_number_of_every_length(behind: str) -> None:
    texts = Texts()
    decoder = make_decoder(texts)
    for length in range(1, 20):
        number = int("9182736455463728190"[:length])
        batch = Batch(texts)
        tail = behind + '"y":2' if behind.endswith("\t") else behind
        line = f'{{"src":"s","kind":"scan.read","lu":"L","t_rx":1,"seq":{number}{tail}}}'
        refused = decoder.decode(line.encode(), batch)
        if number <= MAX_INT:
            assert (refused, batch.column("seq").tolist()) == ([], [number]), line
        else:
            assert refused == [(0, "seq: out of range")], line


@pytest.mark.parametrize("bad", [":", "/", "x", '"', "-", "\xb5", "٣", "00"])
def test_what_is_no_digit_at_every_place_of_a_number(bad: str) -> None:
    texts = Texts()
    decoder = make_decoder(texts)
    for place in range(20):
        line = f'{{"src":"s","kind":"scan.read","lu":"L","t_rx":1,"seq":{"1" * place}{bad}11,"loc":"{"b" * 40}"}}'
        try:
            good = 0 <= json.loads(line)["seq"] <= MAX_INT
        except json.JSONDecodeError:
            good = False
        assert (decoder.decode(line.encode(), Batch(texts)) == []) == good, line


@pytest.mark.parametrize("blanks", [(", ", ": "), (" , ", " : "), (",\t", ":\t"), (",  ", ":  ")])
def test_white_space_between_tokens_changes_nothing(blanks: tuple[str, str]) -> None:
    record = {"src": "s", "kind": "scan.read", "lu": "L", "epoch": 3, "seq": 12_345, "t_rx": 1_795_420_801_050_519}
    texts = Texts()
    decoder = make_decoder(texts)
    for _ in range(2):  # the second time the keys are expected
        plain, spaced = Batch(texts), Batch(texts)
        decoder.decode(json.dumps(record, separators=(",", ":")).encode(), plain)
        assert decoder.decode(json.dumps(record, separators=blanks).encode(), spaced) == []
        for name in ("src", "kind", "lu", "epoch", "seq", "t_rx"):
            assert plain.column(name).tolist() == spaced.column(name).tolist()


@pytest.mark.parametrize("value", ["1", "[]", "{}", '"é"'])
def test_a_value_without_a_key_is_no_field_of_a_long_name(value: str) -> None:
    """Where a name that is longer than what is compared at once stood in the record before."""
    texts = Texts()
    decoder = make_decoder(texts)
    begin = '{"src":"s","kind":"telemetry","t_rx":1,'
    for pad in range(10):
        assert decoder.decode((begin + '"stage_required":true}').encode(), Batch(texts)) == []
        line = f'{begin}{value},"{"a" * pad}é":1,"x":"{"y" * 16}"}}'
        assert [why[:11] for _, why in decoder.decode(line.encode(), Batch(texts))] == ["broken JSON"], line
