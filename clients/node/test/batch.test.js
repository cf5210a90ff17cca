// Many questions at once: as many answers as were asked, in order, with the same ids, or none is an allow.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient } from "@palisade/client";
import { LyingServer, http, problem } from "./lying-server.js";
import { ALICE } from "./tokens.js";

const question = (id) => ({ action: "readProduct", resource: { type: "Product", id } });
const ROWS = [question("p-1"), { ...question("p-2"), id: "second" }, question("p-3")];
const IDS = ["#0", "second", "#2"];
const batch = (decisions, more = {}) => http("200 OK", JSON.stringify({ decisions, revision: "sha256:1", ...more }));
const answered = (ids, decision = "allow") => ids.map((id) => ({ id, decision, reason: "r", policies: ["p"], decision_id: id }));

const LIES = {
  "one decision fewer": batch(answered(IDS.slice(1))),
  "one decision more": batch(answered([...IDS, "#3"])),
  "no decisions": batch([]),
  "another order": batch(answered(["#0", "#2", "second"])),
  "another id": batch(answered(["#0", "third", "#2"])),
  "an id twice": batch(answered(["#0", "second", "second"])),
  "an id that is no text": batch(answered(["#0", ["second"], "#2"])),
  "no ids": batch(answered([])).replace("[]", JSON.stringify(IDS.map(() => ({ decision: "allow" })))),
  "one decision that is neither": batch([...answered(IDS.slice(0, 2)), { id: "#2", decision: "ALLOW" }]),
  "one that is inherited": http("200 OK", JSON.stringify({ decisions: answered(IDS) }).replace('"decision":', '"__proto__":')),
  "null for one": batch([...answered(IDS.slice(0, 2)), null]),
  "an object for the list": batch({ ...answered(IDS), length: 3 }),
  "one decision for all": http("200 OK", '{"decision": "allow"}'),
  "201": batch(answered(IDS)).replace("200 OK", "201 Created"),
  "html": batch(answered(IDS)).replace("application/json", "text/html"),
  "truncated": batch(answered(IDS)).slice(0, -10),
  "503": problem(503, "not_ready"),
  "a byte more than 2 MB": http("200 OK", JSON.stringify({ decisions: answered(IDS) }).padEnd(2 ** 21 + 1)),
};

describe("decideAll", () => {
  let server;
  before(async () => (server = await LyingServer.start()));
  after(() => server.close());
  const ask = (questions, ...shared) => createClient({ url: server.url }).decideAll(ALICE, questions, ...shared);

  it("asks everything at once, each question by an id", async () => {
    server.tell(batch(answered(IDS)));
    await ask(ROWS, { context: { ip: "203.0.113.9" } });
    const [{ head, body }] = server.requests;
    assert.match(head, /^POST \/authorize\/batch /);
    assert.deepEqual(body, {
      context: { ip: "203.0.113.9" },
      requests: [{ ...ROWS[0], id: "#0" }, ROWS[1], { ...ROWS[2], id: "#2" }],
    });
  });

  it("gives the decisions in the order asked", async () => {
    const [first, ...others] = answered(IDS);
    server.tell(batch([first, ...others.map((decision) => ({ ...decision, decision: "deny" }))]));
    const facts = { reason: "r", policies: ["p"], errors: undefined, revision: "sha256:1" };
    assert.deepEqual(await ask(ROWS), [
      { id: "#0", outcome: "allowed", allowed: true, sub: "alice", ...facts, decisionId: "#0" },
      { id: "second", outcome: "denied", allowed: false, ...facts, decisionId: "second" },
      { id: "#2", outcome: "denied", allowed: false, ...facts, decisionId: "#2" },
    ]);
  });

  it("leaves a question that could not be asked without an answer, and its neighbours with theirs", async () => {
    const error = { code: "unknown_action", detail: "did you mean `readProduct`?" };
    const refused = { id: "second", decision: "deny", reason: "not_evaluated", error };
    server.tell(batch([...answered(["#0"]), refused, ...answered(["#2"])]));
    const decisions = await ask(ROWS);
    assert.deepEqual(decisions.map(({ outcome }) => outcome), ["allowed", "unanswered", "allowed"]);
    assert.equal(decisions[1].cause, "unknown_action: did you mean `readProduct`?");
  });

  for (const [name, lie] of Object.entries(LIES)) {
    it(`allows nothing after a lie: ${name}`, async () => {
      server.tell(lie);
      const decisions = await ask(ROWS);
      assert.deepEqual(decisions.map(({ id, outcome, allowed }) => [id, outcome, allowed]), [
        ["#0", "unanswered", false],
        ["second", "unanswered", false],
        ["#2", "unanswered", false],
      ]);
      assert.ok(decisions[0].cause);
    });
  }

  it("reads 2 MB", async () => {
    server.tell(http("200 OK", JSON.stringify({ decisions: answered(IDS) }).padEnd(2 ** 21)));
    assert.ok((await ask(ROWS)).every(({ allowed }) => allowed));
  });

  it("says of every question that the token is not valid", async () => {
    server.tell(problem(401, "invalid_token", 'WWW-Authenticate: Bearer error="invalid_token"'));
    assert.deepEqual((await ask(ROWS)).map(({ outcome }) => outcome), Array(3).fill("unauthenticated"));
  });

  it("asks up to 1,000", async () => {
    const rows = Array.from({ length: 1000 }, (_, index) => question(`p-${index}`));
    server.tell(batch(answered(rows.map((_, index) => `#${index}`))));
    assert.equal((await ask(rows)).filter(({ allowed }) => allowed).length, 1000);
    assert.equal(server.requests.length, 1);
  });

  describe("makes no call", () => {
    before(() => server.tell(batch(answered(IDS))));

    for (const [name, rows, cause] of [
      ["for more than 1,000 questions", Array(1001).fill(question("p")), /1001 questions, more than the 1000/],
      ["for more than 2 MB", [question("p".repeat(2 ** 21))], /a batch of \d+ bytes, more than 2097152/],
      ["for an id given twice", [{ ...question("p"), id: "x" }, { ...question("q"), id: "x" }], /the id "x"/],
      ["for an id that another question has for want of one", [question("p"), { ...question("q"), id: "#0" }], /the id "#0"/],
      ["for an id that is no string", [{ ...question("p"), id: 7 }], /the id 7 is no string/],
    ]) {
      it(name, async () => {
        const decisions = await ask(rows);
        assert.equal(decisions.length, rows.length);
        assert.ok(decisions.every(({ outcome }) => outcome === "unanswered"));
        assert.match(decisions[0].cause, cause);
        assert.equal(server.requests.length, 0);
      });
    }

    it("without a token", async () => {
      const decisions = await createClient({ url: server.url }).decideAll(undefined, ROWS);
      assert.deepEqual(decisions.map(({ code }) => code), Array(3).fill("missing_token"));
      assert.equal(server.requests.length, 0);
    });

    it("for nothing", async () => assert.deepEqual(await ask([]), []));
  });
});
