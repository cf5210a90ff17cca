// Connections that are kept, that end, that stall; over sockets of every kind.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@palisade/client";
import { LyingServer, chunked, http, keepingOpen, reset, stall } from "./lying-server.js";
import { ALICE } from "./tokens.js";

const run = promisify(execFile);
const ALLOW = '{"decision": "allow"}';
const ALLOWED = http("200 OK", ALLOW);
const QUESTION = { action: "readProduct", resource: { type: "Product", id: "p-1" } };
const PATIENCE_MS = 300;

let server;
let client;
let hasty;
const ask = () => client.decide(ALICE, QUESTION);
const askHastily = () => hasty.decide(ALICE, QUESTION);
const askTogether = async (count) => {
  const decisions = await Promise.all(Array.from({ length: count }, ask));
  return decisions.map(({ allowed }) => allowed);
};

beforeEach(async () => {
  server = await LyingServer.start();
  client = createClient({ url: server.url, timeout: 20_000 });
  hasty = createClient({ url: server.url, timeout: PATIENCE_MS });
});
afterEach(() => server.close());

describe("connections", () => {
  it("are kept", async () => {
    server.tell(keepingOpen(ALLOWED));
    for (let i = 0; i < 3; i++) assert.equal((await ask()).allowed, true);
    assert.deepEqual([server.requests.length, server.connections], [3, 1]);
  });

  for (const [name, end] of [["reset", reset], ["closed", (socket) => socket.destroy()]]) {
    it(`that are ${name} when they are used again are replaced`, async () => {
      server.tell(keepingOpen(ALLOWED));
      await ask();
      const answers = [end, keepingOpen(ALLOWED)];
      server.tell((socket) => answers.shift()(socket));
      assert.equal((await ask()).allowed, true);
      assert.deepEqual([server.requests.length, server.connections], [2, 1]);
    });
  }

  it("that all ended, as over a thaw, are all replaced: each question is asked once more", async () => {
    const waiting = [];
    server.tell((socket) => waiting.push(socket) === 3 && waiting.forEach(keepingOpen(ALLOWED)));
    assert.deepEqual(await askTogether(3), [true, true, true]);
    assert.equal(server.connections, 3);

    const kept = new Set(waiting);
    server.tell((socket) => (kept.has(socket) ? reset(socket) : socket.write(ALLOWED)));
    assert.equal((await ask()).allowed, true);
    assert.deepEqual([server.requests.length, server.connections], [2, 1]);
  });

  it("that end again are not replaced again", async () => {
    server.tell(keepingOpen(ALLOWED));
    await ask();
    server.tell(reset);
    assert.equal((await ask()).outcome, "unanswered");
    assert.deepEqual([server.requests.length, server.connections], [2, 1]);
  });

  it("that are new and end are not replaced", async () => {
    server.tell(reset);
    assert.equal((await ask()).outcome, "unanswered");
    assert.equal(server.requests.length, 1);
  });

  it("that end within an answer are not replaced", async () => {
    server.tell(keepingOpen(ALLOWED));
    await ask();
    server.tell((socket) => socket.end("HTTP/1.1 200 OK\r\n"));
    assert.equal((await ask()).outcome, "unanswered");
    assert.deepEqual([server.requests.length, server.connections], [1, 0]);
  });

  it("that are refused are no decision", async () => {
    const gone = await LyingServer.start();
    await gone.close();
    const decision = await createClient({ url: gone.url }).decide(ALICE, QUESTION);
    assert.match(decision.cause, /ECONNREFUSED/);
  });
});

describe("one deadline", () => {
  const drip = (socket) => {
    const bytes = [...ALLOWED];
    const timer = setInterval(() => (bytes.length ? socket.write(bytes.shift()) : socket.end()), 20);
    socket.on("close", () => clearInterval(timer));
  };
  for (const [name, answer] of Object.entries({
    "before the head": stall(),
    "in the head": stall("HTTP/1.1 200 OK\r\nContent-Ty"),
    "before the body": stall(ALLOWED.slice(0, -ALLOW.length)),
    "in the body": stall(http("200 OK", `${ALLOW} `).slice(0, -1)),
    "after a chunk": stall(chunked(ALLOW)),
    "byte by byte": drip,
  })) {
    it(`ends a stall ${name}`, async () => {
      server.tell(answer);
      const start = performance.now();
      const { outcome, cause } = await askHastily();
      const waited = performance.now() - start;
      assert.deepEqual([outcome, cause], ["unanswered", `no answer within ${PATIENCE_MS} ms`]);
      // Node's timers count whole milliseconds, so that one may be due a fraction early.
      assert.ok(waited > PATIENCE_MS - 2 && waited < PATIENCE_MS + 5000, `${waited} ms`);
    });
  }

  it("ends a TLS handshake that nobody answers", async () => {
    const url = server.url.replace("http:", "https:");
    const { outcome, cause } = await createClient({ url, timeout: PATIENCE_MS }).decide(ALICE, QUESTION);
    assert.deepEqual([outcome, cause], ["unanswered", `no answer within ${PATIENCE_MS} ms`]);
    assert.deepEqual([server.requests.length, server.connections], [0, 1]);
  });

  it("that is no longer waited for keeps no process alive", async () => {
    server.tell(keepingOpen(ALLOWED));
    const start = performance.now();
    await askElsewhere({ PALISADE_URL: server.url, PALISADE_TIMEOUT_MS: "20000" });
    assert.ok(performance.now() - start < 15_000);
  });

  it("holds for both connections of a question that was asked again", async () => {
    const patient = createClient({ url: server.url, timeout: 1500 });
    server.tell(keepingOpen(ALLOWED));
    await patient.decide(ALICE, QUESTION);
    const answers = [(socket) => setTimeout(reset, 1200, socket), stall()];
    server.tell((socket) => answers.shift()(socket));
    const start = performance.now();
    assert.equal((await patient.decide(ALICE, QUESTION)).cause, "no answer within 1500 ms");
    assert.ok(performance.now() - start < 2700);
    assert.equal(server.requests.length, 2);
  });

  it("holds for a process that was frozen while its answer came", async () => {
    const asking = askElsewhere({ PALISADE_URL: server.url, PALISADE_TIMEOUT_MS: String(PATIENCE_MS) });
    server.tell(async (socket) => {
      asking.child.kill("SIGSTOP");
      socket.write(ALLOWED);
      await pause(PATIENCE_MS * 2);
      asking.child.kill("SIGCONT");
    });
    const [{ cause }] = await printed(asking);
    assert.equal(cause, `no answer within ${PATIENCE_MS} ms`);
  });

  it("holds for an answer that waited while the process was busy", async (test) => {
    const listener = net.createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const busy = net.connect(listener.address().port, "127.0.0.1");
    const [other] = await once(listener, "connection");
    test.after(() => {
      busy.destroy();
      other.destroy();
      listener.close();
    });
    busy.on("data", () => occupy(PATIENCE_MS + 50));
    // Both arrive together, so that the second is read before any timer can fire.
    server.tell((socket) => {
      other.write("work");
      socket.write(ALLOWED);
    });
    assert.equal((await askHastily()).cause, `no answer within ${PATIENCE_MS} ms`);
  });
});

describe("over", () => {
  let folder;
  before(() => (folder = mkdtempSync(join(tmpdir(), "palisade-"))));
  after(() => rmSync(folder, { recursive: true }));

  it("a unix socket", async () => {
    const path = join(folder, "palisade.sock");
    const listening = await LyingServer.start({ path });
    listening.tell(keepingOpen(ALLOWED));
    const decision = await createClient({ url: `unix:${path}` }).decide(ALICE, QUESTION);
    await listening.close();
    assert.equal(decision.allowed, true);
  });

  it("a path before the resource", async () => {
    server.tell(keepingOpen(ALLOWED));
    await createClient({ url: `${server.url}/palisade` }).decide(ALICE, QUESTION);
    assert.match(server.requests[0].head, /^POST \/palisade\/authorize /);
  });

  it("no proxy that the environment names", async () => {
    const gone = await LyingServer.start();
    await gone.close();
    server.tell(keepingOpen(ALLOWED));
    const proxies = { NODE_USE_ENV_PROXY: "1", http_proxy: gone.url, HTTP_PROXY: gone.url, ALL_PROXY: gone.url };
    const [decision] = await printed(askElsewhere({ PALISADE_URL: server.url, ...proxies }));
    assert.equal(decision.allowed, true);
  });

  describe("TLS", () => {
    let secure;
    let certificate;
    before(async () => {
      const key = join(folder, "key.pem");
      certificate = join(folder, "certificate.pem");
      const names = ["-subj", "/CN=palisade", "-addext", "subjectAltName=IP:127.0.0.1"];
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
      await run("openssl", ["req", "-x509", ...curve, "-nodes", ...names, "-keyout", key, "-out", certificate]);
      secure = await LyingServer.start({ key: readFileSync(key), cert: readFileSync(certificate) });
    });
    after(() => secure.close());

    it("where the certificate is trusted, and after idle connections ended", async () => {
      const connections = new Set();
      secure.tell((socket) => {
        if (connections.has(socket)) return socket.end();
        connections.add(socket);
        socket.write(ALLOWED);
      });
      const environment = { PALISADE_URL: secure.url, NODE_EXTRA_CA_CERTS: certificate };
      const decisions = await printed(askElsewhere(environment, 2));
      assert.deepEqual(decisions.map(({ allowed }) => allowed), [true, true]);
      assert.deepEqual([secure.requests.length, secure.connections], [3, 2]);
    });

    for (const careless of [{}, { NODE_TLS_REJECT_UNAUTHORIZED: "0" }]) {
      it(`never where it is not, with ${JSON.stringify(careless)}`, async () => {
        secure.tell(keepingOpen(ALLOWED));
        const [{ allowed, cause }] = await printed(askElsewhere({ PALISADE_URL: secure.url, ...careless }));
        assert.equal(allowed, false);
        assert.match(cause, /self.signed certificate/);
        assert.equal(secure.requests.length, 0, "nothing was sent");
      });
    }
  });
});

/** Asks from a process of its own, with this environment. */
function askElsewhere(environment, times = 1) {
  const asking = fileURLToPath(new URL("asking.js", import.meta.url));
  return run(process.execPath, [asking, ALICE, JSON.stringify(QUESTION), times], { env: environment });
}

const printed = async (process) => JSON.parse((await process).stdout);

/** Does nothing else meanwhile. */
function occupy(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
