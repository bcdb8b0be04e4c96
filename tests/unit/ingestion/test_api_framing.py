"""A body that is not framed as HTTP has it, read by gunicorn itself, is refused and told to nobody."""

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from recording_publisher import KEY, KnownKeys, RecordingPublisher

from ingestion.api.app import create_app

SECRET = "ada@movies.example"

CHUNKED = {
    "no size": f"{SECRET}\r\n\r\n",
    "a negative size": f"-5\r\n{SECRET}\r\n0\r\n\r\n",
    "a size in words": f"zz;{SECRET}\r\n",
    "a bad extension": f"5;\x00{SECRET}\r\nhello\r\n0\r\n\r\n",
    "a longer chunk than its size": f"5\r\nhello{SECRET}\r\n0\r\n\r\n",
    "the end within a size": "5",
    "the end within a chunk": f"ff\r\n{SECRET}",
    "the end after a chunk": f"{len(SECRET):x}\r\n{SECRET}\r\n",
    "the end within trailers": f"0\r\nX-Mail: {SECRET}",
    "a bad trailer": f"0\r\n{SECRET}\r\n\r\n",
    "nothing": "",
}
"""What stands in place of a chunked body (RFC 9112, section 7.1)."""


LONGER = {"nothing of it": "", "a part of it": SECRET}
"""What stands in place of a body of 1,000 bytes."""
BROKEN = [("Transfer-Encoding: chunked", body) for body in CHUNKED.values()]
BROKEN += [("Content-Length: 1000", body) for body in LONGER.values()]


@pytest.mark.parametrize(("framing", "sent"), BROKEN, ids=[*CHUNKED, *LONGER])
def test_a_body_with_broken_framing_is_400_without_a_word_of_it(
    framing: str, sent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
    asked = next(RequestParser(Config(), [head.encode(), *filter(None, [sent.encode()])], ("", 1)))
    publisher = RecordingPublisher()
    answer = (
        create_app(publisher=publisher, keys=KnownKeys())
        .test_client()
        .post(
            f"/v1/events?key={KEY}",
            content_type="application/json",
            environ_overrides={
                "wsgi.input": asked.body,
                "wsgi.input_terminated": True,
                "CONTENT_LENGTH": dict(asked.headers).get("CONTENT-LENGTH", ""),
            },
        )
    )
    assert answer.status_code == 400
    assert SECRET not in answer.text
    assert publisher.records == []
    logged = capsys.readouterr()
    assert (logged.out, logged.err) == ("", "")
