// Asks Palisade: one question, or many about one user. Whatever comes of it is a value, never an exception.
import { decisionIn, decisionsIn, unanswered, unauthenticated } from "./answer.js";
import { settingsFrom } from "./settings.js";
import { tokenIn } from "./token.js";
import { createTransport } from "./transport.js";

// A decision is a few hundred bytes.
const DECISION_LIMIT = 64 * 1024;
// The server's `limits.batch_body` and `limits.batch_items`.
const BATCH_LIMIT = 2 * 1024 * 1024;
const BATCH_ITEMS = 1000;

/** A client with connections of its own. Throws where a setting is wrong. */
export function createClient(settings = {}) {
  const post = createTransport(settingsFrom(settings));

  async function decide(authorization, question) {
    const message = { body: JSON.stringify(question), limit: DECISION_LIMIT };
    return ask("authorize", authorization, message, decisionIn);
  }

  async function decideAll(authorization, questions, shared = {}) {
    if (questions.length === 0) return [];
    const requests = questions.map((question, index) => ({ ...question, id: question.id ?? `#${index}` }));
    const ids = requests.map(({ id }) => id);
    const message = { body: JSON.stringify({ ...shared, requests }), limit: BATCH_LIMIT };
    const unfit = unfitness(ids, message.body);
    const outcome = unfit
      ? unanswered(unfit)
      : await ask("authorize/batch", authorization, message, (answer, token) => decisionsIn(answer, token, ids));
    return Array.isArray(outcome) ? outcome : ids.map((id) => ({ id, ...outcome }));
  }

  async function ask(resource, authorization, message, judge) {
    const token = tokenIn(authorization);
    if (token === undefined) return unauthenticated(authorization ? "invalid_token" : "missing_token");
    try {
      return judge(await post(resource, { ...message, token }), token);
    } catch (error) {
      // The cause is for a log, and a token never is.
      return unanswered(error.message.replaceAll(token, "[token]"));
    }
  }

  return { decide, decideAll };
}

// What the server would refuse is not sent, and a batch is never split: its items are judged under one revision.
function unfitness(ids, body) {
  if (ids.length > BATCH_ITEMS) return `${ids.length} questions, more than the ${BATCH_ITEMS} of a batch`;
  const seen = new Set();
  const unfit = ids.find((id) => typeof id !== "string" || seen.size === seen.add(id).size);
  if (unfit !== undefined) return `the id ${JSON.stringify(unfit)} is no string, or is given to two questions`;
  const size = Buffer.byteLength(body);
  if (size > BATCH_LIMIT) return `a batch of ${size} bytes, more than ${BATCH_LIMIT}`;
  return undefined;
}
