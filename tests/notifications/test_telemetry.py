"""Logs without personal data."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from notifications.telemetry import configure_logging, mask_personal_data


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging is of the whole process: put back what the test changed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("tester", "json", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_process_level_and_time(stream: io.StringIO):
    with structlog.contextvars.bound_contextvars(notification_id="n-1"):
        structlog.get_logger("there").info("delivery.sent", attempt=2)
    (line,) = _lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "delivery.sent",
        "attempt": 2,
        "notification_id": "n-1",
        "process": "tester",
        "level": "info",
        "logger": "there",
    }


def test_the_standard_librarys_logging_and_warnings_take_the_same_way(stream: io.StringIO):
    logging.getLogger("library").warning("%s of %d", "one", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("careful", UserWarning, stacklevel=1)
    library, warning = _lines(stream)
    assert (library["event"], library["logger"], library["process"]) == ("one of 2", "library", "tester")
    assert "careful" in warning["event"]


def test_configuring_again_replaces_the_stream_instead_of_logging_twice(stream: io.StringIO):
    second = io.StringIO()
    configure_logging("again", "json", stream=second)
    structlog.get_logger().info("once")
    assert stream.getvalue() == ""
    assert [line["process"] for line in _lines(second)] == ["again"]


def test_an_error_is_logged_with_its_traceback_but_without_the_address_in_it(stream: io.StringIO):
    def fail() -> None:
        raise ValueError("no mailbox ana@example.org, nor +4915112345678")

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("delivery.failed")
        logging.getLogger("library").exception("failed for %s", "<ana@example.org>")
    ours, theirs = _lines(stream)
    assert "Traceback" in ours["exception"]
    assert "no mailbox ***, nor ***" in ours["exception"]
    assert theirs["event"] == "failed for <***>"
    assert "ana@" not in stream.getvalue()


def test_libraries_that_log_whole_addresses_of_requests_are_quiet(stream: io.StringIO):
    for name in ("httpx", "httpcore", "aiohttp.access", "uvicorn.access"):
        logging.getLogger(name).info("GET /profiles/cus_1?email=ana")
    assert stream.getvalue() == ""


def test_a_terminal_gets_lines_for_people(stream: io.StringIO):
    terminal = Terminal()
    configure_logging("tester", "auto", stream=terminal)
    structlog.get_logger().info("delivery.sent", attempt=2)
    assert "delivery.sent" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize(
    "key", ["address", "to", "email", "recipient_email", "phone", "token", "Access_Token", "body", "recipient_name"]
)
def test_a_key_that_names_personal_data_is_masked_at_any_depth(key: str):
    event = {"event": "x", key: "Ana", "nested": [{key: {"deep": "Ana"}}]}
    assert mask_personal_data(None, "info", event) == {"event": "x", key: "***", "nested": [{key: "***"}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address_ref", "ab12"),
        ("token_count", 3),
        ("message_id", "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"),
        ("time", "2026-11-22T10:15:00+00:00"),
        ("recipient", "cus_42"),
        ("channel", "email"),
        ("detail", "1+1=2 @ home"),
    ],
)
def test_what_is_not_personal_stays(key: str, value: object):
    assert mask_personal_data(None, "info", {key: value}) == {key: value}
