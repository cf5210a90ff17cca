// Tokens by their shape alone: it is Palisade that verifies them.

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export const tokenOf = (claims) => [part({ alg: "RS256", kid: "k" }), part(claims), "c2lnbmF0dXJl"].join(".");

export const ALICE = tokenOf({ sub: "alice", client_id: "shop", token_use: "access", username: "al" });
export const BOB = tokenOf({ sub: "bob", client_id: "shop", token_use: "access", username: "bo" });
export const MACHINE = tokenOf({ sub: "m2m", client_id: "m2m", token_use: "access" });
