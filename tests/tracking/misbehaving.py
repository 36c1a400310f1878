"""A server that takes runs of W&B, on this machine: it answers, hangs, fails, or dies and comes back."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Manner = Literal["answers", "hangs", "fails", "refuses"]


@dataclass
class Server:
    """A server, whose ``manner`` a test may change.

    Args:
        manner: answers as W&B does, hangs, fails with 500, or refuses connections.
        port: on this machine.
        rows: of the history that it received.
        finished: whether it was told that the run ended.
    """

    manner: Manner
    port: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables of its users."""
        return {"WANDB_BASE_URL": f"http://127.0.0.1:{self.port}", "WANDB_API_KEY": "0" * 40}

    def reply(self, path: str, body: bytes) -> dict[str, Any]:
        """Return the reply of W&B, as far as a sync of a run without artifacts needs it."""
        if path.endswith("file_stream"):
            sent = json.loads(body)
            self.finished = self.finished or bool(sent.get("complete"))
            history = (sent.get("files") or {}).get("wandb-history.jsonl", {})
            self.rows += [json.loads(line) for line in history.get("content", [])]
            return {}
        if path != "/graphql":
            return {}
        query = json.loads(body or b"{}")
        project = {"id": "p", "name": "arena", "entity": {"id": "e", "name": "team"}}
        bucket = {"id": "b", "name": "run", "displayName": "run", "config": "{}", "historyLineCount": 0}
        if "upsertBucket" in query.get("query", ""):
            return {"data": {"upsertBucket": {"bucket": {**bucket, "project": project}, "inserted": True}}}
        if "createRunFiles" in query.get("query", ""):
            address = f"{self.variables['WANDB_BASE_URL']}/upload"
            files = [{"name": name, "uploadUrl": address} for name in query["variables"]["files"]]
            return {"data": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}}
        return {"data": None, "errors": [{"message": "unknown"}]}


@contextmanager
def server(manner: Manner) -> Iterator[Server]:
    """Serve in some manner until the end of the context."""
    state = Server(manner)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if state.manner == "hangs":
                state.ended.wait(600)
                return
            content = json.dumps(state.reply(self.path, body)).encode() if state.manner == "answers" else b""
            self.send_response(200 if state.manner == "answers" else 500)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            """Print nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.port = http.server_address[1]
    if manner == "refuses":
        http.server_close()
        yield state
        return
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        state.ended.set()
        http.shutdown()
        http.server_close()
