// What a protected handler answers when it does not act: one small JSON body for each way.

export const notFound = () => response(404, "There is no such thing");

/** The answer to a decision that does not allow. */
export function refusal({ outcome, challenge, cause }) {
  if (outcome === "denied") return response(403, "You do not have permission");
  if (outcome === "unauthenticated") return signIn(challenge);
  console.error(JSON.stringify({ message: "no decision from palisade", cause }));
  return response(503, "Please try again later");
}

export const signIn = (challenge = "Bearer") =>
  response(401, "You are not signed in", { "WWW-Authenticate": challenge });

function response(statusCode, error, headers = {}) {
  return { statusCode, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify({ error }) };
}
