"""Policies from S3: moto's, over HTTP, with bundles that `palisade bundle` makes."""

import shutil
import socket
import subprocess
import threading
import urllib.request
from contextlib import contextmanager

import boto3
import pytest

from service import REPOSITORY, Service, binary

KEY = "shop/policies.tar.gz"
UPDATE = {"action": "updateProduct", "resource": {"type": "Product", "id": "p-1"}}
FORBID = '@id("closed") forbid (principal, action, resource);\n'
KEYS = {"AWS_ACCESS_KEY_ID": "e2e", "AWS_SECRET_ACCESS_KEY": "e2e", "AWS_REGION": "us-east-1"}


class Bucket:
    """A bucket of moto's with one bundle in it."""

    def __init__(self, endpoint, name):
        self.url = f"s3://{name}/{KEY}"
        self._name = name
        self._s3 = client("s3", endpoint)
        self._s3.create_bucket(Bucket=name)

    def put(self, bundle):
        self._s3.put_object(Bucket=self._name, Key=KEY, Body=bundle)

    def empty(self):
        self._s3.delete_object(Bucket=self._name, Key=KEY)


class Line:
    """The way to moto, which can be cut or fall silent, and counts who takes it."""

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("http://").split(":")
        self._moto, self.mode, self.taken = (host, int(port)), "open", 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._carry, args=[caller, self.mode], daemon=True).start()

    def _carry(self, caller, mode):
        with caller:
            if mode == "silent":
                while caller.recv(65536):
                    pass
            if mode != "open":
                return
            with socket.create_connection(self._moto) as moto:
                back = threading.Thread(target=pump, args=[moto, caller], daemon=True)
                back.start()
                pump(caller, moto)
                back.join()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Bundled(Service):
    """A service that reads its policies through a line."""

    def __init__(self, folder, pool, bucket, environment, max_stale):
        super().__init__(folder)
        self._token = pool["alice"].access
        policies = f'url = "{bucket.url}"\npoll = "1s"\nmax_stale = "{max_stale}"\ncopy = "copy"'
        config = folder / "palisade.toml"
        config.write_text(self.settings("policies.bundle", policies, pool))
        self.start(config, environment)

    def decision(self):
        """Whether alice may update a product, or why nobody knows."""
        answer = self.ask("/authorize", self._token, UPDATE).body
        return answer.get("decision") or answer["code"]


def client(service, endpoint):
    keys = {"aws_access_key_id": "e2e", "aws_secret_access_key": "e2e"}
    return boto3.client(service, region_name="us-east-1", endpoint_url=endpoint, **keys)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Makes a bundle of the shop with further policies."""

    def make(**policies):
        folder = tmp_path_factory.mktemp("bundle")
        for name in ("policies", "schema"):
            shutil.copytree(REPOSITORY / name, folder / name)
        for name, text in policies.items():
            (folder / "policies" / f"{name}.cedar").write_text(text)
        (folder / "palisade.toml").write_text('namespace = "Shop"\n')
        subprocess.run([binary(), "bundle"], cwd=folder, check=True, capture_output=True)
        return (folder / "policies.tar.gz").read_bytes()

    return make


@pytest.fixture(scope="module")
def bucket(moto):
    return Bucket(moto, "palisade-policies")


@pytest.fixture
def line(moto):
    line = Line(moto)
    yield line
    line.close()


@pytest.fixture
def serve(tmp_path, pool, bucket, line):
    @contextmanager
    def start(max_stale="24h", **environment):
        environment = {**KEYS, "AWS_ENDPOINT_URL": line.url, **environment}
        service = Bundled(tmp_path, pool, bucket, environment, max_stale)
        try:
            service.until(lambda: any(issuer["usable"] for issuer in service.readiness().get("issuers", [])))
            yield service
        finally:
            service.stop()

    return start


def test_what_is_uploaded_is_live(serve, bucket, bundle):
    bucket.put(bundle())
    with serve() as service:
        assert service.decision() == "allow"
        before = service.readiness()
        assert (before["status"], before["bundle"]["source"]) == ("ok", bucket.url)
        bucket.put(bundle(closed=FORBID))
        service.until(lambda: service.decision() == "deny")
        assert service.readiness()["revision"] != before["revision"]


def test_an_unchanged_bundle_is_one_conditional_request(serve, bucket, bundle, line):
    bucket.put(bundle())
    with serve() as service:
        service.until(lambda: service.metric('palisade_bundle_polls_total{result="unchanged"}') >= 3)
        assert service.metric('palisade_bundle_polls_total{result="fetched"}') == 1
        assert service.metric('palisade_reloads_total{result="ok"}') == 1
        taken = line.taken
        polls = service.metric('palisade_bundle_polls_total{result="unchanged"}') + 1
        assert taken <= polls + 1, "each poll is one request; one more may be on its way"


def test_a_bundle_that_is_none_changes_nothing(serve, bucket, bundle):
    good = bundle()
    bucket.put(good)
    with serve() as service:
        for bad in (good[: len(good) // 2], b"", b"<html>no</html>", bytes(100_000)):
            bucket.put(bad)
            service.until(lambda: service.readiness()["status"] == "degraded")
            assert service.readiness()["findings"][0]["code"] == "bundle-damaged"
            assert service.decision() == "allow"
            bucket.put(good)
            service.until(lambda: service.readiness()["status"] == "ok")


@pytest.mark.parametrize("mode", ["cut", "silent"])
def test_while_the_store_is_away_the_last_good_bundle_serves(mode, serve, bucket, bundle, line):
    bucket.put(bundle())
    with serve() as service:
        line.mode = mode
        service.until(lambda: "failure" in service.readiness()["bundle"])
        assert service.decision() == "allow"
        line.mode = "open"
        service.until(lambda: service.readiness()["status"] == "ok")


def test_an_empty_bucket_lets_nothing_be_decided_and_what_comes_then_does(serve, bucket, bundle):
    bucket.empty()
    with serve() as service:
        assert service.decision() == "not_ready"
        assert "404" in service.readiness()["bundle"]["failure"]
        bucket.put(bundle())
        service.until(lambda: service.decision() == "allow")


def test_a_restart_without_the_store_serves_the_copy_until_it_is_too_old(serve, bucket, bundle, line):
    bucket.put(bundle())
    with serve(max_stale="10s") as service:
        assert service.decision() == "allow"
        service.until(lambda: service.metric('palisade_bundle_polls_total{result="unchanged"}') >= 1)
    line.mode = "cut"
    with serve(max_stale="10s") as service:
        assert service.decision() == "allow"
        assert service.readiness()["status"] == "degraded"
        service.until(lambda: service.decision() == "not_ready")
        line.mode = "open"
        service.until(lambda: service.decision() == "allow")


def test_a_user_without_the_right_gets_no_policies(serve, bucket, bundle, moto):
    bucket.put(bundle())
    iam = client("iam", moto)
    iam.create_user(UserName="nobody")
    keys = iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
    with serve(**nobody) as service:
        assert service.decision() == "allow", "moto asks nobody yet"
        with rights_judged_by(moto):
            service.until(lambda: "403" in service.readiness()["bundle"].get("failure", ""))
            assert service.decision() == "allow", "the last good ones serve"


@contextmanager
def rights_judged_by(moto):
    """Moto judges keys, signatures and policies from now on, and no longer afterwards."""

    def judged_after(requests):
        url, body = f"{moto}/moto-api/reset-auth", str(requests).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request).close()

    judged_after(0)
    try:
        yield
    finally:
        judged_after("inf")
