// The handlers of the package's page, each bundled into one CommonJS file, as many functions are deployed.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { LyingServer, http } from "./lying-server.js";
import { ALICE } from "./tokens.js";

const PAGE = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const IMPORT = 'import { authorized } from "@palisade/client";\n';
const event = { headers: { authorization: `Bearer ${ALICE}` }, pathParameters: { id: "p-1" } };

let server;
let folder;
before(async () => {
  server = await LyingServer.start();
  process.env.PALISADE_URL = server.url;
  folder = mkdtempSync(join(tmpdir(), "palisade-"));
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** The handler in the block that holds this text, with what it speaks of besides. */
function bundled(holding, besides) {
  const block = PAGE.split("```js\n").slice(1).map((rest) => rest.split("```")[0]).find((text) => text.includes(holding));
  const contents = IMPORT + besides + block.replace(IMPORT, "");
  const outfile = join(folder, `${holding}.cjs`);
  const stdin = { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) };
  const options = { bundle: true, platform: "node", target: "node18", format: "cjs", logLevel: "silent" };
  assert.deepEqual(buildSync({ ...options, stdin, outfile }).warnings, []);
  return createRequire(import.meta.url)(outfile).handler;
}

it("what updates acts after an allow alone", async () => {
  const handler = bundled("updateProduct", `
    const products = { get: async (id) => ({ id, owner: "bob" }) };
    const rename = ({ id }) => ({ id, name: "Atlas" });
  `);
  server.tell(http("200 OK", '{"decision": "allow"}'));
  assert.deepEqual(await handler(event), { statusCode: 200, body: '{"id":"p-1","name":"Atlas"}' });
  server.tell(http("200 OK", '{"decision": ["allow"]}'));
  assert.equal((await handler(event)).statusCode, 503);
});

it("what creates knows the owner", async () => {
  const handler = bundled("createCategory", "const created = (item) => ({ statusCode: 201, body: item.owner });");
  server.tell(http("200 OK", '{"decision": "allow"}'));
  assert.deepEqual(await handler(event), { statusCode: 201, body: "alice" });
});
