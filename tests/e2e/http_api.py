"""The HTTP API of the template, in place of API Gateway: a route calls its function with an event of format 2.0.

Nothing that can be had without an AWS account runs an HTTP API. Of the JWT authorizer there is so much that a request
without a token comes no further.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from gateway import ROUTES, Call, http_event


class HttpApi:
    """Serves on loopback, one request after the other. `invoke` is what `Node.invoke` is."""

    def __init__(self):
        self.invoke = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                status, body = api._answer(self.command, self.path, self.headers, self.rfile)
                body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, method, path, headers, body) -> tuple[int, dict]:
        called = _called(method, path)
        if not called:
            return 404, {"message": "Not Found"}
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        if not token:
            return 401, {"message": "Unauthorized"}
        function, id = called
        length = int(headers.get("Content-Length") or 0)
        call = Call(function, id, json.loads(body.read(length)) if length else None)
        response = self.invoke(function, http_event(call, token))
        return response.status, response.body


def _called(method: str, path: str) -> tuple[str, str | None] | None:
    """The function of a route, and its `{id}`."""
    for function, (verb, template) in ROUTES.items():
        match = re.fullmatch(template.replace("{id}", "([^/]+)"), path)
        if verb == method and match:
            return function, match[1] if match.groups() else None
    return None
