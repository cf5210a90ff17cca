// The types of @palisade/client. Shapes of the wire: the service's /openapi.json.

/** A value of Cedar as JSON: a decimal is a string, an entity `{ type, id }`, a set an array. */
export type Value = string | number | boolean | EntityReference | Value[] | { [name: string]: Value | undefined };
/** What is `undefined` is left out. */
export type Attributes = Record<string, Value | undefined>;

export interface EntityReference {
  /** Its type; short names live in the service's `namespace`. */
  type: string;
  id: string;
}

/** An entity with the facts that you looked up, never those that your own client sent. */
export interface Entity extends EntityReference {
  attributes?: Attributes | undefined;
  parents?: EntityReference[] | undefined;
  tags?: Attributes | undefined;
}

export interface Question {
  action: string;
  resource: Entity;
  context?: Attributes | undefined;
  /** Further entities on the resource's side. */
  entities?: Entity[] | undefined;
}

/** What the policies decided. */
interface Decided {
  /** `permitted`, `forbidden`, `no_permit` or `evaluation_error`. */
  reason: string | undefined;
  /** The determining policies, by their ids. */
  policies: string[] | undefined;
  /** The policies that could not be evaluated. */
  errors: { policy: string; code: string }[] | undefined;
  /** What the decision log knows this decision by. */
  decisionId: string | undefined;
  /** The revision of the policies. */
  revision: string | undefined;
}

export interface Allowed extends Decided {
  outcome: "allowed";
  allowed: true;
  /** The verified user, for the owner of what is created; `undefined` for a machine. */
  sub: string | undefined;
}

export interface Denied extends Decided {
  outcome: "denied";
  allowed: false;
}

/** The token is missing or not valid. */
export interface Unauthenticated {
  outcome: "unauthenticated";
  allowed: false;
  code: "missing_token" | "invalid_token";
  /** For the header `WWW-Authenticate`. */
  challenge: string;
}

/** No decision could be had. */
export interface Unanswered {
  outcome: "unanswered";
  allowed: false;
  /** For the log, not for the user; without the token. */
  cause: string;
}

export type Decision = Allowed | Denied | Unauthenticated | Unanswered;

export interface Settings {
  /** https, http to loopback, or `unix:/path`; else `PALISADE_URL`, else `http://127.0.0.1:8180`. */
  url?: string;
  /** Milliseconds for the connection and the whole answer; else `PALISADE_TIMEOUT_MS`, else 2000. */
  timeout?: number;
}

export interface Client {
  /**
   * One decision for the bearer of a token, which may have `Bearer ` before it. It rejects for nothing that the
   * network or the service does; only for a question that is no JSON.
   */
  decide(token: string | undefined, question: Question): Promise<Decision>;
  /**
   * Up to 1,000 decisions under one revision, in the order asked. Where any of the answer is unclear, none is an
   * allow. `shared` is in every question.
   */
  decideAll(
    token: string | undefined,
    questions: readonly (Question & { id?: string | undefined })[],
    shared?: Pick<Question, "context" | "entities">,
  ): Promise<(Decision & { id: string })[]>;
}

/** @throws TypeError where a setting is wrong. */
export function createClient(settings?: Settings): Client;

/** What both payload formats of API Gateway have, as far as handlers mostly need it. */
export interface GatewayEvent {
  headers?: Record<string, string | undefined> | null;
  multiValueHeaders?: Record<string, string[] | undefined> | null;
  pathParameters?: Record<string, string | undefined> | null;
  queryStringParameters?: Record<string, string | undefined> | null;
  requestContext?: unknown;
  body?: string | null;
  isBase64Encoded?: boolean;
}

/** The JWT in the event's one `Authorization` header; `undefined` where there is none, or no single one. */
export function bearerToken(event: Pick<GatewayEvent, "headers" | "multiValueHeaders">): string | undefined;

export interface GatewayResponse {
  statusCode: number;
  headers?: Record<string, string | number | boolean>;
  body: string;
}

type Awaitable<T> = T | Promise<T>;
type Given<T, Arguments extends unknown[]> = T | ((...about: Arguments) => Awaitable<T>);
type Nothing = null | undefined;

/** What every handler says. `Subject` is what `load` found. */
interface Options<Event, Item, Subject> {
  action: Given<string, [event: Event]>;
  /** What is asked about, with the facts of what was loaded. */
  resource: Given<Entity, [item: Item, event: Event]>;
  context?: Given<Attributes, [item: Subject, event: Event]>;
  entities?: Given<Entity[], [item: Subject, event: Event]>;
  /** What a deny answers, in place of 403. */
  onDeny?: (event: Event, decision: Denied) => Awaitable<GatewayResponse>;
  /** On every refusal, for browsers: the headers of CORS. */
  headers?: Given<Record<string, string>, [event: Event]>;
  /** One for all handlers of the process, where none is given. */
  client?: Pick<Client, "decide">;
}

/** For what needs no item: create and list. */
export interface OptionsWithoutLoad<Event> extends Options<Event, undefined, undefined> {
  load?: never;
  missing?: never;
}

/** A missing item is a 404 to everybody. */
export interface OptionsWithLoad<Event, Item> extends Options<Event, Item, Item> {
  /** The item; nothing where it is not there. */
  load: (event: Event) => Awaitable<Item | Nothing>;
  missing?: never;
}

/** A missing item is a 404 to those alone who are allowed what is asked in its place. */
export interface OptionsWithMissing<Event, Item> extends Options<Event, Item, Item | undefined> {
  load: (event: Event) => Awaitable<Item | Nothing>;
  /** In place of the item: the same without its facts, or a whole question, such as one about its container. */
  missing: (event: Event) => Awaitable<Entity | Question>;
}

type Act<Event, Item, Result> = (
  event: Event,
  item: Item,
  decision: Allowed,
  lambdaContext: unknown,
) => Awaitable<Result>;

/** Calls in place of a Lambda runtime may leave its context out. */
type Handler<Event, Result> = (event: Event, lambdaContext?: unknown) => Promise<Result | GatewayResponse>;

/**
 * A Lambda handler that acts only after an allow: load, authorize, act. What `load`, `resource` or the handler
 * throws is thrown on.
 * @throws TypeError where an option or the environment is wrong.
 */
export function authorized<Item extends {}, Result, Event extends object = GatewayEvent>(
  options: OptionsWithMissing<Event, Item>,
  act: Act<Event, Item, Result>,
): Handler<Event, Result>;
export function authorized<Item extends {}, Result, Event extends object = GatewayEvent>(
  options: OptionsWithLoad<Event, Item>,
  act: Act<Event, Item, Result>,
): Handler<Event, Result>;
export function authorized<Result, Event extends object = GatewayEvent>(
  options: OptionsWithoutLoad<Event>,
  act: Act<Event, undefined, Result>,
): Handler<Event, Result>;
