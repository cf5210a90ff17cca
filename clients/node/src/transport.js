// One request to Palisade and its bounded answer, under one deadline, over connections that stay open.
import http from "node:http";
import https from "node:https";
import { startDeadline } from "./deadline.js";

/**
 * Gives `post(resource, message)`, where `message` is `{ token, body, limit }` and `limit` the bytes of an answer.
 * It resolves to `{ status, headers, text }`, whatever the status, and rejects where there is no whole answer.
 */
export function createTransport({ secure, address, path, timeout }) {
  const { Agent, request } = secure ? https : http;
  // Our own agent: a proxy that the process sets for the global one does not apply, and neither does
  // NODE_TLS_REJECT_UNAUTHORIZED.
  const agent = new Agent({ keepAlive: true, ...(secure && { rejectUnauthorized: true }) });

  const start = (resource, { token, body }) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
    };
    return request({ ...address, path: path + resource, method: "POST", agent, headers });
  };

  return async function post(resource, message) {
    const deadline = startDeadline(timeout);
    const exchanged = () => exchange(start(resource, message), message, deadline);
    try {
      const answer = await exchanged().catch((error) => {
        if (!(error instanceof IdleConnectionEnded) || deadline.isOver()) throw error;
        // What ended one idle connection, such as a thaw after hours, has ended the others too. A
        // question changes nothing, so it may be asked again: once, over a new connection.
        endIdleConnections(agent);
        return exchanged();
      });
      if (deadline.isOver()) throw deadline.error();
      return answer;
    } finally {
      deadline.clear();
    }
  };
}

/** A connection that was kept had ended when it was used again: there is no byte of an answer. */
class IdleConnectionEnded extends Error {}

function exchange(request, { body, limit }, deadline) {
  return new Promise((resolve, reject) => {
    const giveUp = (error) => {
      reject(error);
      request.destroy();
    };
    deadline.onOver(() => giveUp(deadline.error()));

    let bytesBefore;
    request.on("socket", (socket) => (bytesBefore = socket.bytesRead));
    request.on("error", (error) => {
      const hadEnded = request.reusedSocket && request.socket.bytesRead === bytesBefore;
      reject(hadEnded ? new IdleConnectionEnded(error.message) : error);
    });

    let isWhole = false;
    request.on("response", (response) => {
      const chunks = [];
      let size = 0;
      response.on("data", (chunk) => {
        size += chunk.length;
        if (size > limit) giveUp(new Error(`the answer is larger than ${limit} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => {
        isWhole = response.complete;
        const text = Buffer.concat(chunks).toString();
        if (isWhole) resolve({ status: response.statusCode, headers: response.headers, text });
      });
      response.on("error", reject);
    });
    // Also what ends in none of these, such as an upgrade that nobody asked for.
    request.on("close", () => isWhole || reject(new Error("the connection closed without a whole answer")));
    request.end(body);
  });
}

function endIdleConnections(agent) {
  for (const socket of Object.values(agent.freeSockets).flat()) socket.destroy();
}
