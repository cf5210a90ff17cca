// A handler bundled into one CommonJS file, as many Lambda functions are deployed.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { buildSync } from "esbuild";
import { LyingServer, http } from "./lying-server.js";
import { ALICE } from "./tokens.js";

let server;
let folder;
before(async () => {
  server = await LyingServer.start();
  folder = mkdtempSync(join(tmpdir(), "palisade-"));
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

it("a bundled CommonJS handler acts after an allow alone", async () => {
  const outfile = join(folder, "handler.cjs");
  const entryPoints = [new URL("usage.ts", import.meta.url).pathname];
  const options = { entryPoints, outfile, bundle: true, platform: "node", target: "node18", format: "cjs" };
  const { warnings } = buildSync({ ...options, logLevel: "silent" });
  assert.deepEqual(warnings, []);

  process.env.PALISADE_URL = server.url;
  const { createCategory } = createRequire(import.meta.url)(outfile);
  const event = { headers: { authorization: `Bearer ${ALICE}` } };
  server.tell(http("200 OK", '{"decision": "allow"}'));
  assert.deepEqual(await createCategory(event), { statusCode: 200, body: '{"owner":"alice"}' });
  server.tell(http("200 OK", '{"decision": ["allow"]}'));
  assert.equal((await createCategory(event)).statusCode, 503);
});
