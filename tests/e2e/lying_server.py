"""A server that speaks TCP, not HTTP: it sends the bytes it was told to, and no others."""

import re
import socket
import threading
from collections.abc import Callable

JSON = "application/json"


class LyingServer:
    """Answers every request with `answer`: bytes to send before closing, or a function that has the connection."""

    def __init__(self):
        self.answer: bytes | Callable[[socket.socket], None] = b""
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self, answer):
        self.answer = answer
        self.requests.clear()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket):
        with connection:
            # Whoever asked has given up: that is theirs to do.
            try:
                while request := read_request(connection):
                    self.requests.append(request)
                    if callable(self.answer):
                        self.answer(connection)
                    else:
                        connection.sendall(self.answer)
                        return
            except OSError:
                pass


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request or len(request) < request_length(request):
        received = connection.recv(65536)
        if not received:
            return b""
        request += received
    return request


def request_length(request: bytes) -> int:
    head, _, _ = request.partition(b"\r\n\r\n")
    body = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(head) + 4 + (int(body[1]) if body else 0)


def http(status: str, body: str | bytes = b"", content_type: str | None = JSON, *headers: str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wait_for_the_client_to_leave(connection: socket.socket, at_most: float):
    """Stalls; ends early only once the other side has hung up."""
    connection.settimeout(at_most)
    try:
        connection.recv(1)
    except TimeoutError:
        pass
