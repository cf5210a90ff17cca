// One question against servers that lie: nothing but a clear allow allows.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { createClient } from "@palisade/client";
import { JSON_TYPE, LyingServer, PROBLEM_TYPE, chunked, http, problem, reset } from "./lying-server.js";
import { ALICE, MACHINE, tokenOf } from "./tokens.js";

const ALLOW = '{"decision": "allow"}';
const QUESTION = { action: "deleteProduct", resource: { type: "Product", id: "p-1" } };

const LIES = {
  "nothing at all": "",
  "not http": "allow\r\n\r\n",
  "100 and no more": "HTTP/1.1 100 Continue\r\n\r\n",
  "101": `HTTP/1.1 101 Switching Protocols\r\nUpgrade: allow\r\nConnection: upgrade\r\n\r\n${ALLOW}`,
  "201": http("201 Created", ALLOW),
  "202": http("202 Accepted", ALLOW),
  "204": "HTTP/1.1 204 No Content\r\n\r\n",
  "206": http("206 Partial Content", ALLOW),
  "301": http("301 Moved Permanently", ALLOW, JSON_TYPE, "Location: /allow"),
  "307": http("307 Temporary Redirect", ALLOW, JSON_TYPE, "Location: /allow"),
  "403 that allows": http("403 Forbidden", ALLOW),
  "500": http("500 Internal Server Error", ALLOW),
  "500 and a problem": problem(500, "internal"),
  "503 and a problem": problem(503, "keys_unavailable", "Retry-After: 1"),
  "a problem that allows": http("200 OK", ALLOW, PROBLEM_TYPE),
  "an empty body": http("200 OK"),
  "{}": http("200 OK", "{}"),
  "null": http("200 OK", "null"),
  "a string": http("200 OK", '"allow"'),
  "an array": http("200 OK", '[{"decision": "allow"}]'),
  "html": http("200 OK", "<html>allow</html>", "text/html"),
  "html that says json": http("200 OK", "<html>allow</html>"),
  "json that says html": http("200 OK", ALLOW, "text/html"),
  "no content type": http("200 OK", ALLOW, null),
  "another json": http("200 OK", ALLOW, "application/json-seq"),
  "an array for a decision": http("200 OK", '{"decision": ["allow"]}'),
  "true": http("200 OK", '{"decision": true}'),
  "an object for a decision": http("200 OK", '{"decision": {"allow": true}}'),
  "upper case": http("200 OK", '{"decision": "ALLOW"}'),
  "padded": http("200 OK", '{"decision": " allow"}'),
  "another member": http("200 OK", '{"Decision": "allow"}'),
  "an inherited decision": http("200 OK", '{"__proto__": {"decision": "allow"}}'),
  "not evaluated": http("200 OK", '{"decision": "not_evaluated"}'),
  "two documents": http("200 OK", ALLOW + ALLOW),
  "a byte order mark": http("200 OK", `\ufeff${ALLOW}`),
  "truncated": http("200 OK", ALLOW + " ".repeat(80)).slice(0, -40),
  "truncated json": http("200 OK", ALLOW.slice(0, -3)),
  "truncated chunks": chunked(ALLOW),
  "a byte more than 64 kB": http("200 OK", ALLOW.padEnd(65537)),
  "compressed": http("200 OK", gzipSync(ALLOW), JSON_TYPE, "Content-Encoding: gzip"),
  "a head without end": `HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(100_000)}\r\n\r\n`,
  "reset": reset,
};

describe("decide", () => {
  let server;
  before(async () => (server = await LyingServer.start()));
  after(() => server.close());
  // Each time with no connection yet.
  const ask = (token, question = QUESTION) => createClient({ url: server.url }).decide(token, question);

  it("asks what it was asked to, as the bearer", async () => {
    server.tell(http("200 OK", ALLOW, "Application/JSON; charset=utf-8"));
    assert.equal((await ask(`Bearer ${ALICE}`)).allowed, true);
    const [{ head, body }] = server.requests;
    assert.match(head, /^POST \/authorize HTTP\/1\.1\r\n/);
    assert.ok(head.includes(`\r\nAuthorization: Bearer ${ALICE}\r\n`));
    assert.deepEqual(body, QUESTION);
  });

  it("gives all that the answer says", async () => {
    const said = { reason: "permitted", policies: ["a"], errors: [], decision_id: "d-1", revision: "sha256:1" };
    const facts = { reason: "permitted", policies: ["a"], errors: [], decisionId: "d-1", revision: "sha256:1" };
    server.tell(http("200 OK", JSON.stringify({ decision: "allow", ...said })));
    assert.deepEqual(await ask(ALICE), { outcome: "allowed", allowed: true, sub: "alice", ...facts });
    server.tell(http("200 OK", JSON.stringify({ decision: "deny", ...said })));
    assert.deepEqual(await ask(ALICE), { outcome: "denied", allowed: false, ...facts });
  });

  it("reads 64 kB", async () => {
    server.tell(http("200 OK", ALLOW.padEnd(65536)));
    assert.equal((await ask(ALICE)).allowed, true);
  });

  for (const [name, lie] of Object.entries(LIES)) {
    it(`is not allowed by a lie: ${name}`, async () => {
      server.tell(lie);
      const { outcome, allowed, cause } = await ask(ALICE);
      assert.deepEqual([outcome, allowed], ["unanswered", false]);
      assert.ok(cause);
      assert.equal(server.requests.length, 1, "asked once: no redirect followed, no retry");
    });
  }

  it("hangs up on a gigabyte", async () => {
    let sent = 0;
    server.tell((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n");
      const more = () => {
        do sent += 65536;
        while (!socket.destroyed && sent < 2 ** 30 && socket.write(" ".repeat(65536)));
      };
      socket.on("drain", more);
      more();
    });
    assert.match((await ask(ALICE)).cause, /larger than 65536 bytes/);
    assert.ok(sent < 2 ** 26, `${sent} bytes were taken`);
  });

  it("is not allowed by a prototype that somebody polluted", async () => {
    server.tell(http("200 OK", "{}"));
    Object.prototype.decision = "allow";
    try {
      assert.equal((await ask(ALICE)).allowed, false);
    } finally {
      delete Object.prototype.decision;
    }
  });

  it("says what stood in the way, without the token", async () => {
    server.tell(http("503 Refused", JSON.stringify({ code: "not_ready", detail: `no keys for ${ALICE}` }), PROBLEM_TYPE));
    assert.equal((await ask(ALICE)).cause, "status 503, not_ready: no keys for [token]");
  });

  for (const type of [JSON_TYPE, PROBLEM_TYPE]) {
    it(`quotes nothing of what is no JSON, as a token may stand in it: ${type}`, async () => {
      server.tell(http("200 OK", ALICE, type));
      assert.equal((await ask(ALICE)).cause, "the answer is no JSON");
    });
  }

  it("throws for a question that is no JSON", async () => {
    await assert.rejects(ask(ALICE, { ...QUESTION, context: { count: 1n } }), TypeError);
  });

  describe("who it was", () => {
    const subject = async (token) => (await ask(token)).sub;
    before(() => server.tell(http("200 OK", ALLOW)));

    it("is the `sub` of the token that was sent", async () => assert.equal(await subject(ALICE), "alice"));
    it("is nobody for a machine", async () => assert.equal(await subject(MACHINE), undefined));

    for (const [name, token] of [
      ["no `sub`", tokenOf({})],
      ["a `sub` that is no text", tokenOf({ sub: ["alice"] })],
      ["an inherited `sub`", tokenOf(JSON.parse('{"__proto__": {"sub": "alice"}}'))],
      ["null for claims", tokenOf(null)],
      ["no JSON", "a.b.c"],
    ]) {
      it(`is never known from a token with ${name}, so that nobody is allowed`, async () => {
        assert.equal((await ask(token)).outcome, "unanswered");
      });
    }
  });

  describe("without a user", () => {
    for (const code of ["missing_token", "invalid_token"]) {
      it(`hands on the challenge of ${code}`, async () => {
        const challenge = `Bearer realm="shop", error="${code}"`;
        server.tell(problem(401, code, `WWW-Authenticate: ${challenge}`));
        assert.deepEqual(await ask(ALICE), { outcome: "unauthenticated", allowed: false, code, challenge });
      });
    }

    for (const [name, answer] of Object.entries({
      "unknown_caller": problem(401, "unknown_caller"),
      "an array": problem(401, ["invalid_token"]),
      "403 invalid_token": problem(403, "invalid_token"),
      "not_permitted": problem(403, "not_permitted"),
      "html": http("401 Unauthorized", '{"code": "invalid_token"}', "text/html"),
      "nothing": http("401 Unauthorized"),
    })) {
      it(`blames the token for nothing else: ${name}`, async () => {
        server.tell(answer);
        assert.equal((await ask(ALICE)).outcome, "unanswered");
      });
    }

    for (const [token, code] of [[undefined, "missing_token"], ["", "missing_token"], ["x", "invalid_token"]]) {
      it(`makes no call: ${JSON.stringify(token)}`, async () => {
        server.tell(http("200 OK", ALLOW));
        assert.deepEqual(await ask(token), { outcome: "unauthenticated", allowed: false, code, challenge: "Bearer" });
        assert.equal(server.requests.length, 0);
      });
    }
  });
});
