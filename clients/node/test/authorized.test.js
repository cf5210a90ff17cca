// Load, authorize, act: what each of a handler's callers gets, and that nothing else ever acts.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it, mock } from "node:test";
import { authorized, createClient } from "@palisade/client";
import { LyingServer, http, keepingOpen, problem } from "./lying-server.js";
import { ALICE, MACHINE } from "./tokens.js";

const ALLOW = http("200 OK", '{"decision": "allow", "policies": ["admins"], "decision_id": "d-1"}');
const DENY = http("200 OK", '{"decision": "deny", "reason": "no_permit"}');
const CORS = { "Access-Control-Allow-Origin": "https://shop.example" };

const products = new Map([["p-1", { id: "p-1", owner: "bob" }]]);
const event = { headers: { authorization: `Bearer ${ALICE}` }, pathParameters: { id: "p-1" }, origin: "shop" };
const eventAbout = (id) => ({ ...event, pathParameters: { id } });
const eventOf = (token) => ({ ...event, headers: { authorization: token } });

let server;
let client;
let acted;
const act = (...args) => {
  acted.push(args);
  return { statusCode: 200, body: "done" };
};
const UPDATE = {
  action: "updateProduct",
  load: (event) => products.get(event.pathParameters.id),
  resource: (product) => ({ type: "Product", id: product.id, attributes: { owner: { type: "User", id: product.owner } } }),
};
const handling = (options, then = act) => authorized({ client, ...UPDATE, ...options }, then);
const asked = () => server.requests.map(({ body }) => body);
const told = ({ statusCode, body }) => [statusCode, JSON.parse(body).error];

before(async () => (server = await LyingServer.start()));
after(() => server.close());
beforeEach(() => {
  acted = [];
  client = createClient({ url: server.url });
  server.tell(ALLOW);
});

describe("a handler", () => {
  it("acts on what was loaded, asked about and allowed, and answers what it likes", async () => {
    const handler = handling();
    assert.deepEqual(await handler(event, "lambda's context"), { statusCode: 200, body: "done" });
    const [[about, product, decision, context]] = acted;
    assert.deepEqual([about, product, context], [event, products.get("p-1"), "lambda's context"]);
    assert.deepEqual([decision.sub, decision.policies, decision.decisionId], ["alice", ["admins"], "d-1"]);
    const resource = { type: "Product", id: "p-1", attributes: { owner: { type: "User", id: "bob" } } };
    assert.deepEqual(asked(), [{ action: "updateProduct", resource }]);
  });

  it("tells the context and the entities, and an action that the event chooses", async () => {
    await handling({
      action: async (event) => `update-${event.origin}`,
      context: (product, event) => ({ from: event.origin, owner: product.owner }),
      entities: [{ type: "Category", id: "c-1" }],
    })(event);
    const [{ action, context, entities }] = asked();
    assert.deepEqual([action, context, entities], [
      "update-shop",
      { from: "shop", owner: "bob" },
      [{ type: "Category", id: "c-1" }],
    ]);
  });

  it("needs nothing to load for what it creates", async () => {
    const create = { action: "createCategory", resource: { type: "Catalog", id: "shop" }, client };
    await authorized(create, act)(event);
    assert.deepEqual(asked(), [{ action: "createCategory", resource: { type: "Catalog", id: "shop" } }]);
    const [[, nothing, { sub }]] = acted;
    assert.deepEqual([nothing, sub], [undefined, "alice"]);
  });

  it("knows no owner for what a machine creates", async () => {
    await handling()(eventOf(MACHINE));
    assert.equal(acted[0][2].sub, undefined);
  });

  it("shares one client with all others where none is given", async () => {
    server.tell(keepingOpen(ALLOW));
    process.env.PALISADE_URL = server.url;
    for (let i = 0; i < 2; i++) await authorized(UPDATE, act)(event);
    delete process.env.PALISADE_URL;
    assert.deepEqual([acted.length, server.connections], [2, 1]);
  });
});

describe("a refusal", () => {
  // Whatever it is, the handler did not act.
  let log;
  beforeEach(() => (log = mock.method(console, "error", () => {})));
  afterEach(() => {
    log.mock.restore();
    assert.deepEqual(acted, []);
  });

  for (const [name, refused] of Object.entries({
    "no event": undefined,
    "an event without headers": { pathParameters: { id: "p-1" } },
    "two tokens": { multiValueHeaders: { Authorization: [`Bearer ${ALICE}`, `Bearer ${MACHINE}`] } },
    "another scheme": eventOf("Basic YTpi"),
    "what is no JWT": eventOf("Bearer x"),
    "a line break": eventOf(`Bearer ${ALICE}\n`),
  })) {
    it(`of ${name} comes before anything is loaded or asked`, async () => {
      const load = () => assert.fail("loaded");
      const response = await handling({ load })(refused);
      assert.deepEqual(told(response), [401, "You are not signed in"]);
      assert.equal(response.headers["WWW-Authenticate"], "Bearer");
      assert.deepEqual(asked(), []);
    });
  }

  it("of a token that is not valid has its challenge", async () => {
    server.tell(problem(401, "invalid_token", 'WWW-Authenticate: Bearer error="invalid_token"'));
    const response = await handling()(event);
    assert.deepEqual(told(response), [401, "You are not signed in"]);
    assert.equal(response.headers["WWW-Authenticate"], 'Bearer error="invalid_token"');
  });

  it("by the policies is a 403", async () => {
    server.tell(DENY);
    assert.deepEqual(await handling()(event), {
      statusCode: 403,
      headers: { "Content-Type": "application/json" },
      body: '{"error":"You do not have permission"}',
    });
  });

  it("by the policies is what `onDeny` makes of it", async () => {
    server.tell(DENY);
    const onDeny = async (event, { reason }) => ({ statusCode: 404, body: JSON.stringify({ error: `${event.origin}: ${reason}` }) });
    const response = await handling({ onDeny, headers: CORS })(event);
    assert.deepEqual(told(response), [404, "shop: no_permit"]);
    assert.deepEqual(response.headers, CORS);
  });

  for (const response of [undefined, null, {}, { error: "no" }, { statusCode: "403" }, "no"]) {
    it(`is never the success that API Gateway would make of ${JSON.stringify(response)}`, async () => {
      server.tell(DENY);
      await assert.rejects(handling({ onDeny: () => response })(event), /`onDeny` gave no response/);
    });
  }

  for (const [name, lie] of Object.entries({
    "a redirect": http("307 Temporary Redirect", '{"decision": "allow"}', "application/json", "Location: /allow"),
    "another success": http("201 Created", '{"decision": "allow"}'),
    "an array": http("200 OK", '{"decision": ["allow"]}'),
    "not_ready": problem(503, "not_ready"),
    "unknown_caller": problem(401, "unknown_caller"),
    "nothing": "",
  })) {
    it(`for want of a decision is a 503, and its cause in the log: ${name}`, async () => {
      server.tell(lie);
      const onDeny = () => assert.fail("nobody denied");
      assert.deepEqual(told(await handling({ onDeny })(event)), [503, "Please try again later"]);
      const [{ arguments: [line] }] = log.mock.calls;
      assert.ok(JSON.parse(line).cause);
    });
  }

  for (const nothing of [undefined, null]) {
    it(`of what is not there (${nothing}) is a 404, and nothing is asked`, async () => {
      const response = await handling({ load: async () => nothing })(event);
      assert.deepEqual(told(response), [404, "There is no such thing"]);
      assert.deepEqual(asked(), []);
    });
  }

  describe("of what is not there, with `missing`,", () => {
    const missing = (event) => ({ type: "Product", id: event.pathParameters.id });
    const context = (product, event) => ({ from: event.origin, count: product?.count ?? 0 });

    it("asks about it without its facts first", async () => {
      assert.equal((await handling({ missing, context })(eventAbout("p-2"))).statusCode, 404);
      assert.deepEqual(asked(), [
        { action: "updateProduct", resource: { type: "Product", id: "p-2" }, context: { from: "shop", count: 0 } },
      ]);
    });

    it("is a 403 to those who may not act there", async () => {
      server.tell(DENY);
      assert.deepEqual(told(await handling({ missing })(eventAbout("p-2"))), [403, "You do not have permission"]);
    });

    it("may ask another question, about its container", async () => {
      const question = { action: "listProducts", resource: { type: "Category", id: "c-1" } };
      assert.equal((await handling({ missing: () => question, context })(eventAbout("p-2"))).statusCode, 404);
      assert.deepEqual(asked(), [question]);
    });

    for (const nothing of [undefined, null, "Category"]) {
      it(`needs something to ask about: ${nothing}`, async () => {
        await assert.rejects(handling({ missing: () => nothing })(eventAbout("p-2")), /`missing` gave nothing to ask about/);
        assert.deepEqual(asked(), []);
      });
    }
  });

  describe("can be read by browsers:", () => {
    const refusals = [
      ["401", eventOf(undefined), ALLOW],
      ["403", event, DENY],
      ["404", eventAbout("p-2"), ALLOW],
      ["503", event, ""],
    ];
    for (const [status, refused, answer] of refusals) {
      for (const headers of [CORS, async (event) => (event.origin === "shop" ? CORS : {})]) {
        it(`${status} with headers from ${typeof headers}`, async () => {
          server.tell(answer);
          const response = await handling({ headers })(refused);
          assert.equal(String(response.statusCode), status);
          assert.equal(response.headers["Access-Control-Allow-Origin"], "https://shop.example");
          assert.equal(response.headers["Content-Type"], "application/json");
        });
      }
    }
  });

  it("has no header twice, in whatever case", async () => {
    const headers = { "content-type": "text/plain", "WWW-AUTHENTICATE": "Basic", Vary: "Origin" };
    const response = await handling({ headers })(eventOf(undefined));
    assert.deepEqual(response.headers, { "Content-Type": "application/json", "WWW-Authenticate": "Bearer", Vary: "Origin" });
  });

  for (const name of ["action", "load", "resource", "context", "entities"]) {
    it(`is what \`${name}\` throws`, async () => {
      const thrown = new Error(name);
      await assert.rejects(handling({ [name]: () => { throw thrown; } })(event), thrown);
      await assert.rejects(handling({ [name]: async () => { throw thrown; } })(event), thrown);
      assert.deepEqual(asked(), []);
    });
  }
});

it("what the handler throws is thrown on", async () => {
  const thrown = new Error("acting");
  await assert.rejects(handling({}, async () => { throw thrown; })(event), thrown);
});

describe("a mistake is refused at the start:", () => {
  for (const [name, options, complaint] of [
    ["a name that is none", { mising: () => {} }, /`mising` is no option/],
    ["a loader that is nothing", { load: undefined }, /`load` is undefined: give function/],
    ["a resource that is nothing", { resource: null }, /`resource` is null: give object or function/],
    ["an action that is no text", { action: 7 }, /`action` is 7: give string or function/],
    ["headers that are text", { headers: "x: y" }, /`headers` is x: y/],
  ]) {
    it(name, () => assert.throws(() => handling(options), complaint));
  }

  it("no action", () => assert.throws(() => authorized({ resource: {}, client }, act), /`action` is missing/));
  it("no resource", () => assert.throws(() => authorized({ action: "a", client }, act), /`resource` is missing/));
  it("no handler", () => assert.throws(() => authorized({ ...UPDATE, client }), /the handler is missing/));
  it("nothing to load, yet something missing", () => {
    const options = { action: "a", resource: {}, missing: () => {}, client };
    assert.throws(() => authorized(options, act), /`missing` is for what `load` does not find/);
  });
});
