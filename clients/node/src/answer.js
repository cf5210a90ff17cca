// What counts as an answer of Palisade: only a clear allow allows, and all that is unclear throws.
import { subjectOf } from "./token.js";

const UNAUTHENTICATED = ["missing_token", "invalid_token"];

/** The decision in an answer to `POST /authorize`. */
export const decisionIn = (answer, token) => read(answer, (body) => decided(body, token, own(body, "revision")));

/**
 * The decisions in an answer to `POST /authorize/batch`, or the one outcome that all questions share.
 * There is one for each of `ids`, in their order, or none at all.
 */
export const decisionsIn = (answer, token, ids) =>
  read(answer, (body) => {
    const decisions = own(body, "decisions");
    if (!Array.isArray(decisions) || decisions.length !== ids.length) {
      throw new Error(`not as many decisions as the ${ids.length} questions`);
    }
    return decisions.map((item, index) => {
      if (own(item, "id") !== ids[index]) throw new Error(`decision ${index + 1} is about another question`);
      return { id: ids[index], ...(unasked(item) ?? decided(item, token, own(body, "revision"))) };
    });
  });

/** There is no decision: never an allow. */
export const unanswered = (cause) => ({ outcome: "unanswered", allowed: false, cause });

/** Who asks is not known; `challenge` is for `WWW-Authenticate`. */
export const unauthenticated = (code, challenge = "Bearer") => ({
  outcome: "unauthenticated",
  allowed: false,
  code,
  challenge,
});

function read({ status, headers, text }, decide) {
  const type = headers["content-type"]?.split(";")[0].trim().toLowerCase();
  if (status === 200 && type === "application/json") return decide(jsonIn(text));
  if (type !== "application/problem+json") throw new Error(`status ${status} without a decision`);

  const problem = jsonIn(text);
  const code = own(problem, "code");
  if (status === 401 && UNAUTHENTICATED.includes(code)) return unauthenticated(code, headers["www-authenticate"]);
  throw new Error(`status ${status}, ${code}: ${own(problem, "detail")}`);
}

// The message of `JSON.parse` quotes the text, and a token may stand in it.
function jsonIn(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("the answer is no JSON");
  }
}

function decided(body, token, revision) {
  const facts = {
    reason: own(body, "reason"),
    policies: own(body, "policies"),
    errors: own(body, "errors"),
    decisionId: own(body, "decision_id"),
    revision,
  };
  const decision = own(body, "decision");
  if (decision === "allow") return { outcome: "allowed", allowed: true, sub: subjectOf(token), ...facts };
  if (decision === "deny") return { outcome: "denied", allowed: false, ...facts };
  throw new Error("neither allow nor deny");
}

// What is wrong with one question of a batch denies that one alone, and nobody decided it.
function unasked(item) {
  if (own(item, "decision") !== "deny" || own(item, "reason") !== "not_evaluated") return undefined;
  const error = own(item, "error");
  return unanswered(`${own(error, "code")}: ${own(error, "detail")}`);
}

// Never what a polluted prototype says.
const own = (body, name) => (Object.hasOwn(Object(body), name) ? body[name] : undefined);
