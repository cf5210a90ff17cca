// A server that speaks TCP, not HTTP: it sends the bytes it was told to, and no others.
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

export const JSON_TYPE = "application/json";
export const PROBLEM_TYPE = "application/problem+json";

export class LyingServer {
  /** Over TCP on loopback; over a unix socket or TLS where `options` have a `path` or a `key` and `cert`. */
  static async start(options = {}) {
    const server = new LyingServer();
    const serve = (socket) => server.#serve(socket);
    server.#listener = options.key ? tls.createServer(options, serve) : net.createServer(serve);
    server.#listener.listen(options.path ?? { host: "127.0.0.1", port: 0 });
    await once(server.#listener, "listening");
    const { port } = server.#listener.address();
    server.url = options.path ? `unix:${options.path}` : `${options.key ? "https" : "http"}://127.0.0.1:${port}`;
    return server;
  }

  requests = [];
  connections = 0;
  #answer = "";
  #listener;
  #sockets = new Set();

  /** From now on it sends `answer` and closes; a function has the connection, to do as it likes. */
  tell(answer) {
    this.#answer = answer;
    this.requests = [];
    this.connections = 0;
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #serve(socket) {
    this.connections += 1;
    this.#sockets.add(socket);
    // Whoever asked has given up: that is theirs to do.
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
      const request = requestIn(received);
      if (!request) return;
      received = Buffer.alloc(0);
      this.requests.push(request);
      if (typeof this.#answer === "function") this.#answer(socket);
      else socket.end(this.#answer);
    });
  }
}

function requestIn(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end).toString();
  const body = bytes.subarray(end + 4);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  return body.length < length ? undefined : { head, body: JSON.parse(body) };
}

/** An answer; its bytes where the body is bytes. */
export function http(status, body = "", type = JSON_TYPE, ...headers) {
  const lines = [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers];
  if (type) lines.push(`Content-Type: ${type}`);
  const head = `${lines.join("\r\n")}\r\n\r\n`;
  return typeof body === "string" ? head + body : Buffer.concat([Buffer.from(head), body]);
}

export const problem = (status, code, ...headers) =>
  http(`${status} Refused`, JSON.stringify({ code, detail: "why" }), PROBLEM_TYPE, ...headers);

export function chunked(...chunks) {
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
}

/** Sends an answer and keeps the connection. */
export const keepingOpen = (answer) => (socket) => socket.write(answer);

/** Closes with a TCP reset, like a process that was killed. */
export const reset = (socket) => socket.resetAndDestroy();

/** Sends the beginning of an answer, and nothing more. */
export const stall = (beginning = "") => (socket) => socket.write(beginning);
