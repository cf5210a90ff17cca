// What a handler reads from an API Gateway event: the same names in the REST
// (1.0) and the HTTP API (2.0) format.

import { isIP } from "node:net";

/** The client's mistake; its message is for the client. */
export class BadRequest extends Error {}

/** The `{id}` of the route. */
export function pathId(event) {
  const id = event.pathParameters?.id;
  if (typeof id === "string" && /^[\w-]{1,64}$/.test(id)) return id;
  throw new BadRequest("The id in the path is not valid");
}

/** Where the request came from, as the gateway saw it; its test console sends no address. */
export function origin(event) {
  const ip = event.requestContext?.http?.sourceIp ?? event.requestContext?.identity?.sourceIp;
  return isIP(ip) ? { ip } : {};
}

/**
 * The fields of the JSON body, each checked by its rule `{ form, meaning }`.
 * Any other field is refused by name: nobody believes to have set an owner.
 */
export function bodyFields(event, rules, { required = [] } = {}) {
  const body = jsonObject(event);
  for (const [field, value] of Object.entries(body)) {
    if (!Object.hasOwn(rules, field)) throw new BadRequest(`"${field}" cannot be set`);
    const { form, meaning } = rules[field];
    if (typeof value !== "string" || !form.test(value)) throw new BadRequest(`"${field}" must be ${meaning}`);
  }
  const missing = required.find((field) => !Object.hasOwn(body, field));
  if (missing) throw new BadRequest(`"${missing}" is missing`);
  if (Object.keys(body).length === 0) throw new BadRequest("The body sets nothing");
  return body;
}

function jsonObject({ body, isBase64Encoded }) {
  try {
    const value = JSON.parse(isBase64Encoded ? Buffer.from(body, "base64").toString() : body);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // Said below, like every body that is not an object.
  }
  throw new BadRequest("The body must be a JSON object");
}
