// Settings that are wrong are refused where the client is made.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { authorized, createClient } from "@palisade/client";

afterEach(() => {
  delete process.env.PALISADE_URL;
  delete process.env.PALISADE_TIMEOUT_MS;
});

const URLS = [
  "http://palisade.example",
  "http://127.0.0.1.example",
  "http://localhost.example",
  "http://localhost@palisade.example",
  "http://10.0.0.1",
  "http://0.0.0.0",
  "http://[::ffff:10.0.0.1]",
  "ftp://127.0.0.1",
  "file:///run/palisade.sock",
  "127.0.0.1:8180",
  "unix:palisade.sock",
  "unix:",
  "unix://palisade.sock",
  "",
];
const TIMEOUTS = ["2s", "0", "-1", "1.5", "1e3", "30001", ""];

describe("createClient", () => {
  for (const url of ["https://palisade.example", "https://palisade.example:8443/team/", "http://localhost:8180", "http://127.8.8.8",
    "http://[::1]:8180", "unix:/run/palisade/palisade.sock"]) {
    it(`takes ${url}`, () => {
      createClient({ url });
      process.env.PALISADE_URL = url;
      createClient();
    });
  }

  for (const url of URLS) {
    it(`refuses ${JSON.stringify(url)}, and says what to write`, () => {
      const complaint = { name: "TypeError", message: /write an https URL, http to loopback, or unix:/ };
      assert.throws(() => createClient({ url }), complaint);
      process.env.PALISADE_URL = url;
      assert.throws(() => createClient(), { ...complaint, message: /^PALISADE_URL is / });
      assert.throws(() => authorized({ action: "a", resource: { type: "T", id: "1" } }, () => {}), complaint);
    });
  }

  for (const url of ["https://user:secret@palisade.example", "https://palisade.example?x=1", "https://palisade.example#x"]) {
    it(`refuses ${url}, without repeating it`, () => {
      assert.throws(() => createClient({ url }), /^TypeError: url holds more than a host, a port and a path/);
    });
  }

  for (const timeout of TIMEOUTS) {
    it(`refuses to wait for ${JSON.stringify(timeout)}`, () => {
      assert.throws(() => createClient({ timeout }), /^TypeError: timeout is .*write whole milliseconds/);
      process.env.PALISADE_TIMEOUT_MS = timeout;
      assert.throws(() => createClient(), /^TypeError: PALISADE_TIMEOUT_MS is .*write whole milliseconds/);
    });
  }

  it("prefers what it is given to the environment", () => {
    Object.assign(process.env, { PALISADE_URL: "nowhere", PALISADE_TIMEOUT_MS: "never" });
    createClient({ url: "http://localhost", timeout: 500 });
  });

  it("refuses a setting that it does not know", () => {
    assert.throws(() => createClient({ uri: "http://localhost" }), /`uri` is no setting/);
  });
});
