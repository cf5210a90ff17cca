// What a handler answers: one small JSON body for each way that it can end.
import { BadRequest } from "./events.mjs";

export const ok = (body) => response(200, body);

export const notFound = () => response(404, { error: "There is no such thing" });

export const unauthenticated = (challenge = "Bearer") =>
  response(401, { error: "You are not signed in" }, { "WWW-Authenticate": challenge });

/** The answer to a verdict of `authorize` that does not allow. */
export function refused({ status, challenge, cause }) {
  if (status === 401) return unauthenticated(challenge);
  if (status === 403) return response(403, { error: "You do not have permission" });
  console.error(JSON.stringify({ message: "no decision from palisade", cause }));
  return response(503, { error: "Please try again later" });
}

/**
 * Makes a Lambda handler of `work`: a client's mistake becomes a 400, a lost
 * race a 409. Everything else is thrown on, for Lambda to count and report.
 */
export const answering = (work) => async (event) => {
  try {
    return await work(event);
  } catch (error) {
    if (error instanceof BadRequest) return response(400, { error: error.message });
    if (isLostRace(error)) return response(409, { error: "It has changed in the meantime" });
    throw error;
  }
};

// The item is no longer what the decision was made about, or is just being written.
function isLostRace({ name, CancellationReasons }) {
  const codes =
    name === "TransactionCanceledException"
      ? CancellationReasons.map(({ Code }) => Code).filter((code) => code !== "None")
      : [name.replace(/Exception$/, "")];
  return codes.every((code) => code === "ConditionalCheckFailed" || code === "TransactionConflict");
}

function response(statusCode, body, headers = {}) {
  return { statusCode, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}
