// What the package gives: the way to protect a handler, and the client beneath it.
export { authorized } from "./authorized.js";
export { createClient } from "./client.js";
export { bearerToken } from "./token.js";
