"""A receiver for Splunk's HTTP Event Collector: events as JSON objects in a row, under a token.

Status codes and answers are those of https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from labsupport.systems.receivers.records import NotUnderstood, Records, arguments

PATHS = ("/services/collector", "/services/collector/event", "/services/collector/event/1.0")
HEALTH = "/services/collector/health"
LARGEST_BODY = 4 * 1024 * 1024
SCHEME = "Splunk "


@dataclass(frozen=True)
class Answer:
    """What is answered, in HTTP and in the collector's own words, and the events to keep."""

    status: int
    text: str
    code: int
    events: tuple[Mapping[str, Any], ...] = ()

    @property
    def body(self) -> bytes:
        return json.dumps({"text": self.text, "code": self.code}).encode()


def answer_post(path: str, headers: Mapping[str, str], body: bytes, token: str) -> Answer:
    """Decide on one POST: who sends it is looked at before what it holds."""
    given = headers.get("authorization", "")
    if not given:
        return Answer(401, "Token is required", 2)
    if not given.startswith(SCHEME):
        return Answer(401, "Invalid authorization", 3)
    if given.removeprefix(SCHEME) != token:
        return Answer(403, "Invalid token", 4)
    if path.partition("?")[0] not in PATHS:
        return Answer(404, "The requested URL was not found on this server.", 404)
    try:
        events = events_of(_content(headers, body))
    except NotUnderstood as error:
        return Answer(400, f"Invalid data format: {error}", 6)
    return Answer(200, "Success", 0, tuple(events)) if events else Answer(400, "No data", 5)


def events_of(content: bytes) -> list[Mapping[str, Any]]:
    """Read JSON objects that follow each other with nothing or white space between.

    Raises:
        NotUnderstood: something in it is no event.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotUnderstood(f"not UTF-8: {error}") from None
    decoder, position, text = json.JSONDecoder(), 0, text.strip()
    events: list[Mapping[str, Any]] = []
    while position < len(text):
        try:
            event, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise NotUnderstood(f"not JSON: {error}") from None
        if not isinstance(event, dict) or "event" not in event:
            raise NotUnderstood("an object without `event`")
        events.append(event)
        position += len(text[position:]) - len(text[position:].lstrip())
    return events


def _content(headers: Mapping[str, str], body: bytes) -> bytes:
    if headers.get("content-encoding", "") != "gzip":
        return body
    stream = zlib.decompressobj(wbits=31)
    try:
        whole = stream.decompress(body, LARGEST_BODY + 1)
    except zlib.error as error:
        raise NotUnderstood(f"not gzip: {error}") from None
    if len(whole) > LARGEST_BODY:
        raise NotUnderstood(f"more than {LARGEST_BODY} bytes when unpacked")
    if not stream.eof:
        raise NotUnderstood("the gzip stream is cut off")
    return whole


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, records: Records, token: str, *args: Any) -> None:
        self._records = records
        self._token = token
        super().__init__(*args)

    def do_OPTIONS(self) -> None:  # the name http.server looks for
        """Say that the collector is there. Docker's driver asks so when a container starts, without its token."""
        self._say(Answer(200, "Success", 0))

    def do_GET(self) -> None:
        self._say(Answer(200, "HEC is healthy", 17) if self.path == HEALTH else Answer(404, "Not Found", 404))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._keep(Answer(413, f"{length or 'no length'}; {LARGEST_BODY} bytes are allowed", 27))
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self._records.refused(f"cut off after {len(body)} of {length} bytes")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._keep(answer_post(self.path, headers, body, self._token))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the records tell."""

    def _keep(self, answer: Answer) -> None:
        for event in answer.events:
            self._records.got(event)
        if answer.status != 200:
            self._records.refused(f"{answer.status} {answer.text}")
        self._say(answer)

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


def main(address: str, port: int, file: Path, token: str) -> None:
    """Receive until killed."""
    ThreadingHTTPServer((address, port), partial(Handler, Records(file), token)).serve_forever()


if __name__ == "__main__":
    words = arguments("ADDRESS PORT FILE TOKEN")
    main(words[0], int(words[1]), Path(words[2]), words[3])
