// A Lambda handler that acts only on what its caller may act on: load, authorize, act.
import { createClient } from "./client.js";
import { notFound, refusal, signIn } from "./responses.js";
import { bearerToken } from "./token.js";

// Each option, and what it may be. One that is there and is nothing is somebody's mistake.
const OPTIONS = {
  action: ["string", "function"],
  load: ["function"],
  resource: ["object", "function"],
  context: ["object", "function"],
  entities: ["object", "function"],
  missing: ["function"],
  onDeny: ["function"],
  headers: ["object", "function"],
  client: ["object"],
};

// One for all handlers of a process, made with the first of them: a bad setting fails the start.
let shared;

/** The Lambda handler; `index.d.ts` has the options. Throws where one is wrong: no mistake waits for an event. */
export function authorized(options, act) {
  check(options, act);
  const { load, missing, onDeny } = options;
  const client = options.client ?? (shared ??= createClient());

  return async function handler(event, lambdaContext) {
    const token = bearerToken(event);
    if (token === undefined) return readable(event, signIn());

    const item = (await load?.(event)) ?? undefined;
    const isMissing = load !== undefined && item === undefined;
    if (isMissing && missing === undefined) return readable(event, notFound());

    const decision = await client.decide(token, await question(event, item, isMissing));
    if (decision.allowed !== true) return readable(event, await refused(event, decision));
    if (isMissing) return readable(event, notFound());
    return act(event, item, decision, lambdaContext);
  };

  async function question(event, item, isMissing) {
    const subject = isMissing ? await inPlace(event) : await given(options.resource, item, event);
    if (isMissing && Object.hasOwn(subject, "action")) return subject;
    return {
      action: await given(options.action, event),
      resource: subject,
      context: await given(options.context, item, event),
      entities: await given(options.entities, item, event),
    };
  }

  // Of what is missing: the item without its facts, or a question of its own, such as one about its container.
  async function inPlace(event) {
    const subject = await missing(event);
    if (typeof subject === "object" && subject !== null) return subject;
    throw new TypeError("`missing` gave nothing to ask about: give an entity, or a question");
  }

  async function refused(event, decision) {
    if (decision.outcome !== "denied" || onDeny === undefined) return refusal(decision);
    const response = await onDeny(event, decision);
    // API Gateway would make a 200 of anything else.
    if (Number.isInteger(response?.statusCode)) return response;
    throw new TypeError("`onDeny` gave no response: it needs a `statusCode`");
  }

  // Browsers hide from a page what comes without the headers of CORS, a refusal too. What the response says
  // itself stands, in whatever case: a header that is there twice is two values.
  async function readable(event, response) {
    const headers = Object.entries({ ...(await given(options.headers, event)) });
    const said = new Set(Object.keys({ ...response.headers }).map((name) => name.toLowerCase()));
    const others = headers.filter(([name]) => !said.has(name.toLowerCase()));
    return { ...response, headers: { ...Object.fromEntries(others), ...response.headers } };
  }
}

const given = (option, ...about) => (typeof option === "function" ? option(...about) : option);

function check(options, act) {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name)) throw new TypeError(`\`${name}\` is no option of \`authorized\``);
    if (value === null || !OPTIONS[name].includes(typeof value)) {
      throw new TypeError(`\`${name}\` is ${value}: give ${OPTIONS[name].join(" or ")}`);
    }
  }
  for (const name of ["action", "resource"]) {
    if (!Object.hasOwn(options, name)) throw new TypeError(`\`${name}\` is missing`);
  }
  if (options.missing && !options.load) throw new TypeError("`missing` is for what `load` does not find: give `load`");
  if (typeof act !== "function") throw new TypeError("the handler is missing: give it after the options");
}
