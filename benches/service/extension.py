"""What the extension takes in a Lambda function: time at the start, memory, and the size of its layer."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from answering import usual
from pool import CLIENT, ISSUER, Pool
from rounds import ROUNDS, Row, figure, mebibytes, milliseconds
from server import BINARY, ROOT, Server, answer, asking, free_ports

# What one environment answers in a while.
INVOCATIONS = 1_000


class Lambda:
    """The Extensions API. Whoever asks for the next event is ready, and waits."""

    def __init__(self) -> None:
        self.ready = ready = threading.Event()

        class Calls(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("Lambda-Extension-Identifier", "e-1")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_GET(self) -> None:
                ready.set()
                threading.Event().wait()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Calls)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


class Extension(Server):
    """The extension with the layer in `folder`, up to its first call for the next event."""

    def __init__(self, folder: Path, pool: Pool) -> None:
        port, operations = free_ports(2)
        api = Lambda()
        super().__init__(
            "extension",
            [BINARY, "lambda-extension", "--config", folder / "palisade.toml"],
            port,
            api.ready.is_set,
            folder=folder,
            environment={
                "AWS_LAMBDA_RUNTIME_API": api.address(),
                "PALISADE__SERVER__LISTEN": f"127.0.0.1:{port}",
                "PALISADE__SERVER__OPS_LISTEN": f"127.0.0.1:{operations}",
                "PALISADE__ISSUERS__0__ISSUER": ISSUER,
                "PALISADE__ISSUERS__0__CLIENT_IDS": json.dumps([CLIENT]),
                "PALISADE__ISSUERS__0__TOKEN_USE": '["access"]',
                "PALISADE__ISSUERS__0__JWKS_FILE": str(pool.jwks),
                # A slow disk is not what this is about.
                "PALISADE__AUDIT__STALL": "5s",
            },
        )


def extension(folder: Path, pool: Pool) -> Iterator[Row]:
    """From the start of the process to its first call for the next event; the shop's policies, keys in a file."""
    layer = folder / "layer"
    shutil.copytree(ROOT / "layer/palisade", layer)
    for name in ("policies", "schema"):
        shutil.copytree(ROOT / name, layer / name)
    question, seconds = usual(pool.admin), []
    for _ in range(ROUNDS):
        with Extension(layer, pool) as started:
            seconds.append(started.seconds_to_ready * 1000)
            idle = started.resident()
            with asking(started.port) as connection:
                for _ in range(INVOCATIONS):
                    answer(connection, question)
            after, most = started.resident(), started.resident(at_most=True)
    yield figure("extension: start to ready", seconds, milliseconds)
    yield Row("extension: resident when it is ready", mebibytes(idle))
    yield Row(f"extension: resident after {INVOCATIONS:,} requests", mebibytes(after))
    yield Row("extension: resident at most", mebibytes(most))
    zipped = folder / "layer.zip"
    build = [sys.executable, ROOT / "layer/build.py", "--binary", BINARY, "--into", zipped]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    yield Row("layer, zipped", f"{zipped.stat().st_size / 1e6:.1f} MB")
