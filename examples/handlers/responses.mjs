// What a handler answers once it may act: one small JSON body for each way that it can end.
import { BadRequest } from "./events.mjs";

export const ok = (body) => response(200, body);

/**
 * A Lambda handler in which a client's mistake becomes a 400, a lost race a 409.
 * Everything else is thrown on, for Lambda to count and report.
 */
export const answering = (handler) => async (event, lambdaContext) => {
  try {
    return await handler(event, lambdaContext);
  } catch (error) {
    if (error instanceof BadRequest) return response(400, { error: error.message });
    if (isLostRace(error)) return response(409, { error: "It has changed in the meantime" });
    throw error;
  }
};

// The item is no longer what the decision was made about, or is just being written.
function isLostRace(error) {
  // Anything at all can be thrown.
  if (!(error instanceof Error)) return false;
  const { name, CancellationReasons } = error;
  const codes =
    name === "TransactionCanceledException"
      ? CancellationReasons.map(({ Code }) => Code).filter((code) => code !== "None")
      : [name.replace(/Exception$/, "")];
  return codes.every((code) => code === "ConditionalCheckFailed" || code === "TransactionConflict");
}

function response(statusCode, body) {
  return { statusCode, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}
