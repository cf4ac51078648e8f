"""A GitHub of our own: its three addresses, over HTTP, on this machine. And a picture."""

import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
DORA = {"id": 7, "login": "dora", "name": "Dora Explorer", "email": "dora@example.com"}


class GitHub(ThreadingHTTPServer):
    """Whoever comes is `user`, with `emails`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.user: dict[str, Any] = dict(DORA)
        self.picture = b""
        self.picture_asked = threading.Semaphore(0)
        self.picture_given = threading.Event()
        self.picture_given.set()
        self.paths: list[str] = []
        self.emails: list[dict[str, Any]] = [{"email": "dora@example.com", "verified": True, "primary": True}]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GitHub

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        is_right = form["code"] == ["right"] and "code_verifier" in form
        self.answer({"access_token": "t", "token_type": "bearer"} if is_right else {"error": "bad_verification_code"})

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if self.path == "/picture":
            self.server.picture_asked.release()
            self.server.picture_given.wait(30)
            self.send(self.server.picture, "image/png")
            return
        self.answer(self.server.emails if self.path.endswith("/emails") else self.server.user)

    def answer(self, content: Any) -> None:
        self.send(json.dumps(content).encode(), "application/json")

    def send(self, body: bytes, content_type: str) -> None:
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # of a client that waited long enough
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def press_the_button(client: httpx.Client) -> dict[str, list[str]]:
    """Returns with what the browser is sent to GitHub."""
    page = client.get("/accounts/login/")
    token = TOKEN.search(page.text)
    assert token
    answer = client.post("/accounts/github/login/", data={"csrfmiddlewaretoken": token[1]})
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)


def sign_in(client: httpx.Client, code: str = "right", **changes: str) -> httpx.Response:
    query = {"code": code, "state": press_the_button(client)["state"][0]} | changes
    return client.get("/accounts/github/login/callback/", params=query)
