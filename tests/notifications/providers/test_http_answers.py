"""One HTTP/1.1 answer, whole or in pieces, and what is refused."""

import pytest

from notifications.providers.http_answers import MAX_ANSWER_BYTES, MAX_WIRE_BYTES, AnswerReader, BadAnswerError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{ad}"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\n{a\r\n2\r\nd}\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
BRIEF = b"HTTP/1.1 202 Accepted\r\nX-Message-Id:  abc \r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (PLAIN, 200, b"{ad}"),
        (CHUNKED, 201, b"{ad}"),
        (BRIEF, 202, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN, 200, b"{ad}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b""),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(sent, status, body, piece):
    reader, found = AnswerReader(), None
    for at in range(0, len(sent), piece):
        assert found is None
        found = reader.feed(sent[at : at + piece])
    assert found is not None
    assert (found.status, found.body, found.is_last) == (status, body, False)


def test_names_are_lower_case_and_values_bare():
    found = AnswerReader().feed(BRIEF)
    assert found is not None
    assert found.headers == {"x-message-id": "abc", "content-length": "0"}


def test_without_a_length_the_end_of_the_connection_is_that_of_the_answer():
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\n{a") is None
    assert reader.feed(b"d}") is None
    found = reader.end()
    assert found is not None
    assert (found.body, found.is_last) == (b"{ad}", True)


@pytest.mark.parametrize("sent", [b"", PLAIN[:20], PLAIN[:-1], CHUNKED[:-2], CHUNKED[:-30]])
def test_what_is_cut_off_is_no_answer(sent):
    reader = AnswerReader()
    assert reader.feed(sent) is None
    assert reader.end() is None
    assert reader.has_begun is bool(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        BRIEF + b"HTTP/1.1 200 OK\r\n\r\n",  # what nobody asked for
    ],
)
def test_some_answers_are_the_last_of_their_connection(sent):
    found = AnswerReader().feed(sent)
    assert found is not None
    assert found.is_last


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * (MAX_ANSWER_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_WIRE_BYTES,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * MAX_WIRE_BYTES,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_WIRE_BYTES,
    ],
)
def test_what_is_not_understood_or_too_long_is_refused(sent):
    with pytest.raises(BadAnswerError):
        AnswerReader().feed(sent)
