// What `npm publish` would publish: the sources, their types, the page and the licence, and nothing to install with them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { it } from "node:test";

const root = new URL("../", import.meta.url);

it("the package holds what its users need, and nothing else", () => {
  const [{ files }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: root, stdio: ["ignore", "pipe", "ignore"] }));
  const sources = readdirSync(new URL("src", root)).map((name) => `src/${name}`);
  assert.deepEqual(files.map(({ path }) => path).sort(), ["LICENSE", "README.md", "package.json", ...sources].sort());
});

it("the package has the licence of the repository", () => {
  const licence = (folder) => readFileSync(new URL("LICENSE", folder), "utf8");
  assert.equal(licence(root), licence(new URL("../../", root)));
});

it("the package depends on nothing", () => {
  const manifest = JSON.parse(readFileSync(new URL("package.json", root)));
  const kinds = Object.keys(manifest).filter((name) => /dependencies$/i.test(name));
  assert.deepEqual(kinds, []);
  for (const name of readdirSync(new URL("src", root))) {
    const text = readFileSync(new URL(`src/${name}`, root), "utf8");
    for (const [, source] of text.matchAll(/ from "(.*)"/g)) assert.match(source, /^(\.\/|node:)/);
  }
});
