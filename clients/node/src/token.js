// The user's token: found in an event, known by its shape, and read only once Palisade has verified it.

// Three parts in base64url (RFC 7515, section 7.1). `$` stands for the end alone: a line break fits nowhere.
const CREDENTIALS = /^(?:bearer +)?([\w-]+\.[\w-]+\.[\w-]+)$/i;

/** The JWT in the value of an `Authorization` header, with or without `Bearer `; `undefined` where it is none. */
export const tokenIn = (value) => (typeof value === "string" ? CREDENTIALS.exec(value)?.[1] : undefined);

/**
 * The JWT in the one `Authorization` header of an API Gateway event, in either payload format.
 * `undefined` where there is none, another scheme, or more than one: nobody chooses between two identities.
 */
export function bearerToken(event) {
  // The REST format has each header twice: its last value, and all of its values.
  const single = authorizationIn(event?.headers);
  const multiple = authorizationIn(event?.multiValueHeaders);
  const [value, ...others] = new Set([...single, ...multiple]);
  if (single.length > 1 || multiple.length > 1 || others.length > 0) return undefined;
  return tokenIn(value);
}

function authorizationIn(headers) {
  return Object.entries(headers ?? {})
    .filter(([name]) => name.toLowerCase() === "authorization")
    .flatMap(([, value]) => value);
}

/**
 * The `sub` of a token that Palisade has verified; `undefined` for a machine, whose `sub` is its own client.
 * Throws where it cannot be read, because no such token was ever verified.
 */
export function subjectOf(token) {
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  if (!Object.hasOwn(claims, "sub") || typeof claims.sub !== "string") throw new Error("the token has no `sub`");
  const isMachine = Object.hasOwn(claims, "client_id") && claims.client_id === claims.sub;
  return isMachine ? undefined : claims.sub;
}
