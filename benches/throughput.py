#!/usr/bin/env python3
"""Requests per second of `palisade serve` against a fixed-JSON handler, in interleaved rounds.

    make bench        (wants wrk and openssl; sends only to loopback)

Every round drives one server after the other with the same request; what counts is the median of
the rounds' ratios, which other work on the machine touches least.
"""
import base64
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, SECONDS, CONNECTIONS = 5, 3, 64
# By then the allocator has given back what compiling took.
IDLE_SECONDS = 4
ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_BENCH"
BODY = {
    "action": "updateProduct",
    "resource": {
        "type": "Product",
        "id": "p-42",
        "attributes": {"status": "draft", "owner": {"type": "User", "id": "3f0c"}},
        "parents": [{"type": "Category", "id": "c-7"}],
    },
    "context": {"ip": "203.0.113.9"},
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_and_keys(folder: pathlib.Path) -> tuple[str, dict]:
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    modulus = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-modulus"], check=True, capture_output=True, text=True)
    n = bytes.fromhex(modulus.stdout.strip().removeprefix("Modulus="))
    keys = {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": b64(n), "e": "AQAB"}]}
    now = int(time.time())
    claims = {
        "sub": "3f0c", "iss": ISSUER, "client_id": "bench", "token_use": "access", "username": "alice",
        "cognito:groups": ["admin"], "scope": "openid", "jti": "j", "iat": now, "auth_time": now, "exp": now + 3600,
    }
    parts = [b64(json.dumps(part).encode()) for part in ({"kid": "bench", "alg": "RS256"}, claims)]
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=".".join(parts).encode(), check=True, capture_output=True)
    return ".".join([*parts, b64(signed.stdout)]), keys


def wrk(url: str, script: pathlib.Path) -> tuple[float, float]:
    run = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", script, url],
        check=True, capture_output=True, text=True,
    )
    if "Non-2xx" in run.stdout:
        sys.exit(f"{url} did not answer 200:\n{run.stdout}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", run.stdout).group(1))
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", run.stdout).groups()
    return rate, float(p99) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def cpu(process: subprocess.Popen) -> float:
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident(process: subprocess.Popen) -> float:
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        token, keys = token_and_keys(folder)
        (folder / "jwks.json").write_text(json.dumps(keys))
        (folder / "palisade.toml").write_text(
            f'namespace = "Shop"\n[server]\nlisten = "127.0.0.1:18180"\nops_listen = "127.0.0.1:18181"\n'
            f'[policies]\ndir = "{ROOT}/policies"\nschema = "{ROOT}/schema"\n'
            f'[audit]\nsink = "file"\npath = "decisions.jsonl"\n'
            f'[[issuers]]\nissuer = "{ISSUER}"\nclient_ids = ["bench"]\ntoken_use = ["access"]\njwks_file = "jwks.json"\n'
        )
        script = folder / "request.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [[{json.dumps(BODY)}]]\n'
            f'wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer {token}"\n'
        )
        palisade = subprocess.Popen([ROOT / "target/release/palisade", "--config", folder / "palisade.toml", "serve"], stderr=subprocess.DEVNULL)
        fixed = subprocess.Popen([ROOT / "target/release/examples/fixed_json", "127.0.0.1:18190"])
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    urllib.request.urlopen("http://127.0.0.1:18181/readyz", timeout=1)
                    break
                except OSError:
                    time.sleep(0.02)
            time.sleep(IDLE_SECONDS)
            idle = resident(palisade)
            measured = {"palisade": [], "fixed": []}
            for _ in range(ROUNDS):
                for who, url, process in (
                    ("fixed", "http://127.0.0.1:18190/authorize", fixed),
                    ("palisade", "http://127.0.0.1:18180/authorize", palisade),
                ):
                    before = cpu(process)
                    rate, p99 = wrk(url, script)
                    measured[who].append((rate, p99, (cpu(process) - before) / (rate * SECONDS) * 1e6))
            lines = (folder / "decisions.jsonl").read_bytes().count(b"\n")
        finally:
            palisade.terminate()
            fixed.terminate()
        pairs = list(zip(measured["palisade"], measured["fixed"], strict=True))
        median = lambda pick: statistics.median(pick(ours, theirs) for ours, theirs in pairs)
        print(f"requests/s against fixed JSON   {median(lambda ours, theirs: ours[0] / theirs[0]):.2f}")
        print(f"server CPU per request          {median(lambda ours, theirs: ours[2]):.1f} us against {median(lambda ours, theirs: theirs[2]):.1f} us")
        print(f"p99                             {median(lambda ours, theirs: ours[1]):.2f} ms against {median(lambda ours, theirs: theirs[1]):.2f} ms")
        print(f"requests/s                      {median(lambda ours, theirs: ours[0]):.0f} against {median(lambda ours, theirs: theirs[0]):.0f}")
        print(f"resident, idle                  {idle:.1f} MiB")
        print(f"records written                 {lines}")


if __name__ == "__main__":
    main()
