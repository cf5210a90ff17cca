// The one token of an event, or none.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bearerToken } from "@palisade/client";
import { ALICE, BOB } from "./tokens.js";

const alice = `Bearer ${ALICE}`;
const bob = `Bearer ${BOB}`;

describe("the token of an event", () => {
  for (const name of ["authorization", "Authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"]) {
    it(`is in ${name}`, () => {
      assert.equal(bearerToken({ headers: { [name]: alice } }), ALICE);
      assert.equal(bearerToken({ multiValueHeaders: { [name]: [alice] } }), ALICE);
      assert.equal(bearerToken({ headers: { [name]: alice }, multiValueHeaders: { [name]: [alice] } }), ALICE);
    });
  }

  for (const scheme of ["Bearer ", "bearer ", "BEARER ", "Bearer   ", ""]) {
    it(`comes after ${JSON.stringify(scheme)}`, () => {
      assert.equal(bearerToken({ headers: { authorization: scheme + ALICE } }), ALICE);
    });
  }

  for (const value of [
    "",
    "Bearer",
    "Bearer ",
    "Basic YWxpY2U6cGFzcw==",
    `Token ${ALICE}`,
    `Bearer Bearer ${ALICE}`,
    `Bearer ${ALICE} ${BOB}`,
    `${alice},${alice}`,
    `${alice}, ${bob}`,
    `${alice}\n`,
    `${alice}\r\nX-Admin: yes`,
    `Bearer ${ALICE.replace(".", "\n.")}`,
    `Bearer\n${ALICE}`,
    ` ${alice}`,
    "Bearer a.b",
    "Bearer a.b.",
    "Bearer .b.c",
    "Bearer a.b.c.d",
    "Bearer a.b.c=",
    "Bearer a.b.ſ",
    7,
    true,
    { toString: () => alice },
  ]) {
    it(`is not in ${JSON.stringify(value)?.replaceAll(ALICE, "ALICE").replaceAll(BOB, "BOB")}`, () => {
      assert.equal(bearerToken({ headers: { authorization: value } }), undefined);
    });
  }

  for (const [name, event] of Object.entries({
    "two values": { multiValueHeaders: { Authorization: [bob, alice] } },
    "the same value twice": { multiValueHeaders: { Authorization: [alice, alice] } },
    "the last of two values": { headers: { Authorization: alice }, multiValueHeaders: { Authorization: [bob, alice] } },
    "two formats that differ": { headers: { Authorization: alice }, multiValueHeaders: { Authorization: [bob] } },
    "two names": { headers: { Authorization: alice, authorization: bob } },
    "two names of one value": { headers: { Authorization: alice, authorization: alice } },
    "two names in the other format": { multiValueHeaders: { Authorization: [alice], authorization: [alice] } },
  })) {
    it(`is never chosen: ${name}`, () => assert.equal(bearerToken(event), undefined));
  }

  for (const event of [undefined, null, {}, [], "event", { headers: null }, { headers: {}, multiValueHeaders: null }]) {
    it(`is not in ${JSON.stringify(event)}`, () => assert.equal(bearerToken(event), undefined));
  }
});
