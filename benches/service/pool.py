"""A user pool of one key: its JWKS, and as many tokens as asked for."""

import base64
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_BENCH"
CLIENT = "bench"
USER = "3f0c2b1e-0000-4000-8000-000000000001"

HOUR = 3600


class Pool:
    """Its key lies in a file, because `openssl` signs."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "key.pem"
        self.jwks = folder / "jwks.json"
        openssl("genrsa", "-out", self.key, "2048")
        modulus = (
            openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
        )
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": "bench",
            "e": "AQAB",
            "n": b64(bytes.fromhex(modulus)),
        }
        self.jwks.write_text(json.dumps({"keys": [key]}))

    def token(self, groups: list[str], number: int = 0, sub: str = USER) -> str:
        """An access token; another number makes another token."""
        now = int(time.time())
        claims = {
            "sub": sub,
            "iss": ISSUER,
            "client_id": CLIENT,
            "token_use": "access",
            "username": "alice",
            "cognito:groups": groups,
            "scope": "openid",
            "jti": f"{number:08}",
            "iat": now,
            "auth_time": now,
            "exp": now + 4 * HOUR,
        }
        parts = [b64(json.dumps(part).encode()) for part in ({"kid": "bench", "alg": "RS256"}, claims)]
        signature = openssl("dgst", "-sha256", "-sign", self.key, text=".".join(parts))
        return ".".join([*parts, b64(signature)])

    def tokens(self, groups: list[str], count: int) -> list[str]:
        """Different tokens of one user."""
        with ThreadPoolExecutor() as threads:
            return list(threads.map(lambda number: self.token(groups, number), range(count)))

    @cached_property
    def admin(self) -> str:
        return self.token(["admin"])

    @cached_property
    def owner(self) -> str:
        return self.token(["user"])


def with_forged_signature(token: str) -> str:
    """A token whose signature differs in every request and is never right."""
    return f"{token[:-40]}{{id}}{token[-32:]}"


def openssl(*arguments: str | Path, text: str | None = None) -> bytes:
    run: subprocess.CompletedProcess[bytes] = subprocess.run(
        ["openssl", *arguments],
        input=None if text is None else text.encode(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    return run.stdout


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
