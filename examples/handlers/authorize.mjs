// Asks Palisade whether the bearer of a token may do an action on a resource;
// whatever is not a clear "allow" is a refusal. This file needs no other: copy
// it into your own functions.
import http from "node:http";
import https from "node:https";

const RESPONSE_LIMIT = 64 * 1024;
const TIMEOUT_MS = timeoutFrom(process.env.PALISADE_TIMEOUT_MS ?? "2000");
const ENDPOINT = endpointFrom(process.env.PALISADE_URL ?? "http://127.0.0.1:8180");

// Our own agent: connections stay open between events, and nothing that the
// rest of the process does to the global one (a proxy, say) applies to us.
const transport = ENDPOINT.protocol === "https:" ? https : http;
const agent = new transport.Agent({ keepAlive: true });

/**
 * The token of the event's one `Authorization: Bearer` header, in either event
 * format. `undefined` where there is none, another scheme, or more than one:
 * we never choose between two identities.
 */
export function bearerToken(event) {
  const single = authorizationIn(event?.headers);
  const multi = authorizationIn(event?.multiValueHeaders);
  const values = new Set([...single, ...multi]);
  if (single.length > 1 || multi.length > 1 || values.size !== 1) return undefined;
  const [value] = values;
  return typeof value === "string" ? /^bearer +([\w.~+/-]+=*)$/i.exec(value)?.[1] : undefined;
}

/**
 * Asks the question `{ action, resource, context?, entities? }` for the bearer
 * of `token`. Never throws; resolves to one of
 * - `{ allowed: true, user }`: `user` is the verified `sub`, absent for a machine;
 * - `{ allowed: false, status: 403 }`: the policies do not permit it;
 * - `{ allowed: false, status: 401, challenge }`: the token is missing or not valid;
 * - `{ allowed: false, status: 503, cause }`: there is no decision; `cause` is for the log.
 */
export async function authorize(token, question) {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return judge(token, await post(token, JSON.stringify(question), deadline));
  } catch (error) {
    return unanswered(deadline.aborted ? `no answer within ${TIMEOUT_MS} ms` : error.message);
  }
}

function judge(token, { status, headers, text }) {
  const type = headers["content-type"]?.split(";")[0].trim().toLowerCase();
  if (status === 200 && type === "application/json") {
    const decision = ownMember(JSON.parse(text), "decision");
    if (decision === "allow") return { allowed: true, user: userOf(token) };
    if (decision === "deny") return { allowed: false, status: 403 };
  }
  if (type === "application/problem+json") {
    const problem = JSON.parse(text);
    const code = ownMember(problem, "code");
    if (status === 401 && (code === "missing_token" || code === "invalid_token")) {
      return { allowed: false, status: 401, challenge: headers["www-authenticate"] };
    }
    return unanswered(`status ${status}, ${code}: ${ownMember(problem, "detail")}`);
  }
  return unanswered(`status ${status} without a decision`);
}

// Never what a polluted prototype says.
const ownMember = (body, name) => (Object.hasOwn(Object(body), name) ? body[name] : undefined);

const unanswered = (cause) => ({ allowed: false, status: 503, cause });

// Read only after an allow: it was Palisade that verified the token. A machine's
// `sub` is its own client id: no user.
function userOf(token) {
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  return claims.sub === claims.client_id ? undefined : claims.sub;
}

function post(token, body, deadline, isRetry = false) {
  return new Promise((resolve, reject) => {
    const request = transport.request(ENDPOINT, {
      method: "POST",
      agent,
      signal: deadline,
      headers: {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
      },
    });
    let bytesBefore;
    request.on("socket", (socket) => (bytesBefore = socket.bytesRead));
    request.on("error", (error) => {
      // The other side may close an idle connection just as we reuse it. A
      // question changes nothing, so it may be asked again, once.
      const idleSocketClosed = request.reusedSocket && request.socket.bytesRead === bytesBefore;
      if (idleSocketClosed && !isRetry && !deadline.aborted) resolve(post(token, body, deadline, true));
      else reject(error);
    });
    request.on("response", (response) => resolve(read(response)));
    // An upgrade that nobody asked for ends in neither of the two.
    request.on("close", () => reject(new Error("the connection closed without an answer")));
    request.end(body);
  });
}

// A truncated body throws here, and a redirect is an answer like any other.
async function read(response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > RESPONSE_LIMIT) throw new Error(`the answer is larger than ${RESPONSE_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

function authorizationIn(headers) {
  return Object.entries(headers ?? {})
    .filter(([name]) => name.toLowerCase() === "authorization")
    .flatMap(([, value]) => value);
}

// Users' tokens leave this machine over TLS or not at all.
function endpointFrom(text) {
  const url = URL.canParse(text) ? new URL("authorize", text.replace(/\/*$/, "/")) : undefined;
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url?.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback)) return url;
  throw new Error(`PALISADE_URL is ${JSON.stringify(text)}: write an https URL, or http to loopback`);
}

function timeoutFrom(text) {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`PALISADE_TIMEOUT_MS is ${JSON.stringify(text)}: write whole milliseconds, such as 2000`);
}
