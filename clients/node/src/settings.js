// Where Palisade is and how long to wait for it, judged when the client is made.

const URL_FORMS = "write an https URL, http to loopback, or unix:/path/to/palisade.sock";
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

// API Gateway itself gives up after half a minute.
const LONGEST_TIMEOUT_MS = 30_000;

/**
 * What `createClient` was given, else what the environment says, else the sidecar's defaults:
 * `{ secure, address, path, timeout }`, where `address` is what `node:http` connects to.
 */
export function settingsFrom({ url, timeout, ...others }) {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new TypeError(`\`${unknown}\` is no setting of a client: there are \`url\` and \`timeout\``);
  const { PALISADE_URL, PALISADE_TIMEOUT_MS } = process.env;
  return {
    ...(url === undefined
      ? endpointFrom("PALISADE_URL", PALISADE_URL ?? "http://127.0.0.1:8180")
      : endpointFrom("url", url)),
    timeout:
      timeout === undefined
        ? timeoutFrom("PALISADE_TIMEOUT_MS", digits(PALISADE_TIMEOUT_MS ?? "2000"))
        : timeoutFrom("timeout", timeout),
  };
}

// Users' tokens leave this machine over TLS or not at all.
function endpointFrom(name, text) {
  const socketPath = /^unix:(\/[^/].*)$/.exec(text)?.[1];
  if (socketPath) return { secure: false, address: { socketPath }, path: "/" };

  const url = parsed(text);
  const secure = url?.protocol === "https:";
  const isLoopback = url?.protocol === "http:" && LOOPBACK.test(url.hostname);
  if (!secure && !isLoopback) throw new TypeError(`${name} is ${JSON.stringify(text)}: ${URL_FORMS}`);
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError(`${name} holds more than a host, a port and a path: ${URL_FORMS}`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { secure, address: { host, port: url.port || undefined }, path: url.pathname.replace(/\/*$/, "/") };
}

// `URL.canParse` is younger than Node 18.
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

const digits = (text) => (/^\d+$/.test(text) ? Number(text) : text);

function timeoutFrom(name, value) {
  if (Number.isInteger(value) && value >= 1 && value <= LONGEST_TIMEOUT_MS) return value;
  throw new TypeError(
    `${name} is ${JSON.stringify(value)}: write whole milliseconds, from 1 to ${LONGEST_TIMEOUT_MS}, such as 2000`,
  );
}
