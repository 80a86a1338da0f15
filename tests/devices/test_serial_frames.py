"""The frames on a serial line: what is damaged is never taken for whole, whatever surrounds it."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.serial.codec import Codec
from toolkit.devices.serial.frames import Reply, ReplyParser, check_number, cksum, request

numbers = st.integers(0, 10**9)
payloads = st.binary(max_size=300).map(Codec(base64=True).encode)
replies = st.builds(Reply, numbers, numbers, numbers, payloads)
noise = st.binary(max_size=60) | st.sampled_from(
    [b"", b"{", b"}\r\n", b"\r\n[   12.345678] usb 1-1: new device\r\n", b"{1 0 0 4 5 6:", b"@ 1 2 0 0 0 0 9\n"]
)


def sent(reply: Reply) -> bytes:
    """As the board prints it."""
    crc = cksum(reply.payload) if reply.payload else 0
    fields = (reply.id, reply.status, reply.value, len(reply.payload), crc)
    return b"{%d %d %d %d %d %d:%s}\n" % (*fields, check_number(*fields), reply.payload)


@pytest.mark.skipif(shutil.which("cksum") is None, reason="NO CKSUM: the checksum is NOT compared with the real one")
@pytest.mark.parametrize("data", [b"", b"a", b"123456789", bytes(range(256)) * 300])
def test_the_checksum_is_the_one_that_cksum_prints(data: bytes) -> None:
    printed = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout
    assert cksum(data) == int(printed.split()[0])


@given(st.lists(replies), st.data())
def test_whole_replies_come_out_in_order_however_they_are_cut(said: list[Reply], data: st.DataObject) -> None:
    stream = b"boot\r\n".join(sent(reply).replace(b"\n", b"\r\n") for reply in said)
    parser, found = ReplyParser(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += parser.feed(stream[:cut])
        stream = stream[cut:]
    assert found == said


@given(st.lists(noise | st.just(b"\n")))
def test_garbage_never_raises_and_never_is_a_reply(pieces: list[bytes]) -> None:
    parser = ReplyParser()
    assert [reply for piece in pieces for reply in parser.feed(piece)] == []


@given(replies, noise, st.data())
def test_a_damaged_reply_is_dropped_and_the_next_one_found(reply: Reply, junk: bytes, data: st.DataObject) -> None:
    whole = sent(reply)
    at = data.draw(st.integers(0, len(whole) - 3))  # the last brace's own damage leaves it open until the next
    kept = data.draw(st.integers(0, 1))
    damaged = whole[:at] + junk + whole[at + kept :]
    after = Reply(7, 0, 42, b"QUJD\n")
    parser = ReplyParser()
    found = [*parser.feed(damaged), *parser.feed(b"\n" + sent(after)), *parser.feed(b"\n" * 100 + sent(after))]
    assert set(found) <= {reply, after}
    assert found[-1] == after


@given(st.binary(max_size=600), st.booleans())
def test_payloads_are_short_lines_of_plain_text(data: bytes, base64: bool) -> None:
    text = Codec(base64).encode(data)
    assert all(len(line) <= 200 for line in text.split(b"\n"))
    assert not set(text) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\\n")


@given(st.binary(max_size=100))
def test_what_the_board_prints_decodes(data: bytes) -> None:
    assert Codec(base64=True).decode(Codec(base64=True).encode(data)) == data
    assert Codec(base64=False).decode(b" " + data.hex(" ").encode() + b"\n") == data


@given(st.binary(max_size=50), st.booleans())
def test_text_that_is_no_code_decodes_to_nothing_or_something(text: bytes, base64: bool) -> None:
    assert isinstance(Codec(base64).decode(text), bytes)


def test_a_request_is_one_line_and_its_payload() -> None:
    assert request(3, 1, 10, 20, b"QUJD\n") == b"@ 3 1 10 20 5 %d %d\nQUJD\n\n" % (
        cksum(b"QUJD\n"),
        check_number(3, 1, 10, 20, 5, cksum(b"QUJD\n")),
    )
