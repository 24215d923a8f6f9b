"""The fake Hub's process: HTTP, the faults that were ordered, and a record of every request."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from support.fake_hub.messages import Answer, Asked, as_json
from support.fake_hub.repositories import Blob, RefusedError, Sparse, Store, large, small
from support.fake_hub.routes import ROUTES


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.RLock()
        self.base = f"http://127.0.0.1:{self.server_port}"

    def reset(self, xet: Path) -> None:
        self.store = Store(xet)
        self.faults: list[dict] = []
        self.record: list[dict] = []

    def handle_error(self, request, client_address):
        """A client that hangs up is nothing to print."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's body, sent after its head, would wait 40 ms for an acknowledgement

    def log_message(self, *_):
        """Requests are recorded, not printed."""

    def handle_any(self):
        parts = urlsplit(self.path)
        if parts.path.startswith("/_control/"):
            return self.control(parts.path.removeprefix("/_control/"))
        fault = self.fault_for(parts.path)
        bearer = self.headers.get("Authorization", "")
        with self.server.lock:
            self.entry = {"method": self.command, "path": self.path, "token": bool(bearer), "sent": 0}
            self.server.record.append(self.entry)
        if fault and fault["kind"] in {"reset", "stall"}:
            return self.hang_up(fault)
        if fault and fault["kind"] == "race":
            with self.server.lock:
                self.server.store.create(fault["name"], fault["private"])
        if fault and fault["kind"] == "commit":
            self.commit_of_someone_else(fault)
        body = self.read_body()
        token = bearer.removeprefix("Bearer ") or None
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), body, self.server.base, token)
        if fault and fault["kind"] == "status":
            said = fault.get("message", "ordered").replace("TOKEN", str(token))
            answer = as_json({"error": said}, fault["status"], **fault.get("headers", {}))
        elif fault and fault["kind"] == "raw":
            body = (
                fault["body"].encode("utf-8", "surrogatepass") if "body" in fault else base64.b64decode(fault["data"])
            )
            answer = Answer(fault.get("status", 200), body, fault.get("headers", {}))
        elif fault and fault["kind"] == "edit":
            answer = edited(self.answer(asked), **fault["edit"])
        else:
            answer = self.answer(asked)
        if fault and fault["kind"] == "lose":
            return self.cut()
        if fault and fault["kind"] == "unranged":
            del self.headers["Range"]
        return self.send(answer, fault["after"] if fault and fault["kind"] == "cut" else None)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815 - as http.server calls them

    def fault_for(self, path: str) -> dict | None:
        with self.server.lock:
            for fault in self.server.faults:
                if fault["times"] and fault["method"] == self.command and re.search(fault["path"], path):
                    fault["times"] -= 1
                    return fault
        return None

    def commit_of_someone_else(self, fault: dict) -> None:
        with self.server.lock:
            repository = self.server.store.repositories[fault["name"]]
            head = repository.at("main")
            files = {**head.files, "NOTES.md": small(b"someone else's\n")}
            repository.commit("main", head.oid, "someone else's", "", files)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, asked: Asked) -> Answer:
        for method, pattern, route in ROUTES:
            if method == asked.method and (match := re.fullmatch(pattern, asked.path)):
                given = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                try:
                    with self.server.lock:
                        return route(self.server.store, asked, **given)
                except RefusedError as refused:
                    headers = {"X-Error-Message": refused.message}
                    if refused.code:
                        headers["X-Error-Code"] = refused.code
                    return as_json({"error": refused.message}, refused.status, **headers)
        return as_json({"error": "no such route"}, 404)

    def send(self, answer: Answer, cut_after: int | None) -> None:
        status, body, headers = answer.status, answer.body, dict(answer.headers)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and status == 200:
            first, last = int(wanted[1]), int(wanted[2] or len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            status, body = 206, body[first : last + 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.entry["sent"] = len(body)
        self.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.wfile.flush()
            self.cut()

    def hang_up(self, fault: dict) -> None:
        """Take part of what is sent, and break the connection, at once or when the client has lost patience."""
        self.rfile.read(min(fault.get("after", 0), int(self.headers.get("Content-Length", 0) or 0)))
        if fault["kind"] == "stall":
            time.sleep(fault["seconds"])
        self.cut()

    def cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def control(self, what: str) -> None:
        """What a test orders and asks: faults, the record, the repositories."""
        self.entry = {}
        body = self.read_body()
        with self.server.lock:
            if what == "reset":
                told: object = self.server.reset(Path(json.loads(body)))
            elif what == "fault":
                self.server.faults.append(json.loads(body))
                told = {}
            elif what == "record":
                told = self.server.record
            elif what == "status":
                given = json.loads(body)
                repository = self.server.store.repositories[given["name"]]
                repository.pull_requests[given["number"] - 1].status = given["status"]
                if given["status"] == "merged":
                    repository.refs["main"] = repository.refs[f"refs/pr/{given['number']}"]
                told = {}
            elif what == "put":
                given = json.loads(body)
                repository = self.server.store.repositories.get(given["name"]) or self.server.store.create(
                    given["name"], given.get("private", False)
                )
                ref = given.get("ref", "main")
                head = repository.at(ref if ref in repository.refs else "main")
                content = {path: base64.b64decode(data) for path, data in given["files"].items()}
                files = {**head.files, **{path: small(data) for path, data in content.items()}}
                files |= {path: sparse(**described) for path, described in given.get("sparse", {}).items()}
                repository.commit(ref, head.oid, "put by a test", "", files)
                told = {}
            else:
                told = {name: self.told(one) for name, one in self.server.store.repositories.items()}
        self.send(as_json(told), None)

    def told(self, repository) -> dict:
        return {
            "private": repository.private,
            "refs": repository.refs,
            "commits": [
                {"oid": one.oid, "title": one.title, "message": one.message, "files": sorted(one.files)}
                for one in repository.commits.values()
            ],
            "pull_requests": [vars(one) for one in repository.pull_requests],
        }


def sparse(size: int, sha256: str, blocks: dict[str, str]) -> Blob:
    """A large file, of which nothing is kept but what is not zero."""
    content = {int(start): base64.b64decode(block) for start, block in blocks.items()}
    return replace(large(sha256, size), content=Sparse(size, content))


def edited(answer: Answer, find: str = "", put: str = "", headers: dict | None = None, flip: int = -1) -> Answer:
    """An answer with what is found in its body replaced, headers of its own, or one bit changed."""
    body = re.sub(find, lambda _: put, answer.body.decode()).encode() if find else bytearray(answer.body)
    if flip >= 0 and body:
        body[flip] ^= 1
    return Answer(answer.status, bytes(body), {**answer.headers, **(headers or {})})


if __name__ == "__main__":
    hub = Hub()
    sys.stdout.write(f"{hub.base}\n")
    sys.stdout.flush()
    hub.serve_forever()
