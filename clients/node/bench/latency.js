// What `decide` adds to a bare request over a connection that is kept, on loopback: both in turns, in one run.
// `node clients/node/bench/latency.js [--requests 20000] [--at-most 0.05] [--at-most-times 2]`: fails where it adds
// more milliseconds, or takes more times as long. The second holds on a busy machine too.
import http from "node:http";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { createClient } from "../src/index.js";

const ANSWER = JSON.stringify({
  decision: "allow",
  reason: "permitted",
  policies: ["admins-manage-products"],
  errors: [],
  decision_id: "01939b4e-8f3c-7c3e-9d0a-0f6c5a1b2c3d",
  revision: `sha256:${"7c1f".repeat(16)}`,
});
const QUESTION = {
  action: "updateProduct",
  resource: {
    type: "Product",
    id: "p-42",
    attributes: { status: "draft", owner: { type: "User", id: "3f0c9a52-7b7e-4b57-9d0c-1c8f4c0a9b11" } },
    parents: [{ type: "Category", id: "c-7" }],
  },
  context: { ip: "203.0.113.9" },
};
// As long as a token of Cognito.
const TOKEN = [{ alg: "RS256", kid: "k".repeat(43) }, { sub: "3f0c9a52-7b7e-4b57-9d0c-1c8f4c0a9b11", pad: "x".repeat(500) }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
  .concat("s".repeat(342))
  .join(".");

if (isMainThread) {
  const text = (value) => ({ type: "string", default: value });
  const options = { requests: text("20000"), "at-most": text("Infinity"), "at-most-times": text("Infinity") };
  const { values } = parseArgs({ options });
  const { added, times } = report(await measure(numberIn(values.requests)));
  if (added > numberIn(values["at-most"]) || times > numberIn(values["at-most-times"])) process.exitCode = 1;
} else serve();

function serve() {
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("Content-Type", "application/json").end(ANSWER));
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
}

async function measure(count) {
  const server = new Worker(new URL(import.meta.url));
  const [port] = await once(server, "message");
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  const agent = new http.Agent({ keepAlive: true });
  const kinds = { bare: () => bare(port, agent), decide: () => client.decide(TOKEN, QUESTION) };

  const times = { bare: [], decide: [] };
  for (let round = -1000; round < count; round++) {
    for (const [kind, ask] of Object.entries(kinds)) {
      const start = performance.now();
      await ask();
      const took = performance.now() - start;
      // The first thousand warm both up.
      if (round >= 0) times[kind].push(took);
    }
  }
  await server.terminate();
  return times;
}

function bare(port, agent) {
  const body = JSON.stringify(QUESTION);
  const headers = {
    Authorization: `Bearer ${TOKEN}`,
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: "/authorize", method: "POST", agent, headers };
    const request = http.request(options, (response) => response.resume().on("end", resolve));
    request.on("error", reject);
    request.end(body);
  });
}

/** Prints the medians, and gives the milliseconds that `decide` adds, and how many times as long it takes. */
function report(times) {
  const [bare, decide] = ["bare", "decide"].map((kind) => median(times[kind]));
  console.log(`node ${process.version}, ${times.bare.length} of each, medians in ms`);
  console.log(`bare ${bare.toFixed(4)}, decide ${decide.toFixed(4)}, added ${(decide - bare).toFixed(4)}`);
  return { added: decide - bare, times: decide / bare };
}

function numberIn(text) {
  const number = Number(text);
  if (!(number > 0)) throw new TypeError(`\`${text}\` is no number above zero`);
  return number;
}

function median(times) {
  return times.sort((a, b) => a - b)[times.length >> 1];
}
