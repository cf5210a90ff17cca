// The client as a handler's author writes with it, under `tsc --strict`; what must not compile says so.
import type { APIGatewayProxyEvent, APIGatewayProxyHandler, APIGatewayProxyHandlerV2 } from "aws-lambda";
import { authorized, bearerToken, createClient, type Decision, type Entity, type GatewayEvent } from "@palisade/client";

interface Product {
  id: string;
  owner: string;
}
declare const products: { get(id: string | undefined): Promise<Product | undefined> };

const asProduct = (product: Product): Entity => ({
  type: "Product",
  id: product.id,
  attributes: { owner: { type: "User", id: product.owner }, status: undefined },
});

export const createCategory = () =>
  authorized(
    { action: "createCategory", resource: { type: "Catalog", id: "shop" } },
    async (_, nothing, decision) => {
      const none: undefined = nothing;
      return { statusCode: 200, body: JSON.stringify({ owner: decision.sub, none }) };
    },
  );

export const updateProduct = () =>
  authorized(
    {
      action: "updateProduct",
      load: (event) => products.get(event.pathParameters?.id),
      resource: asProduct,
      context: (product, event) => ({ mine: product.owner === "me", agent: event.headers?.["user-agent"] }),
      entities: () => [{ type: "Category", id: "c-7" }],
      onDeny: (_, { reason, policies }) => ({ statusCode: 404, body: JSON.stringify({ reason, policies }) }),
      headers: { "Access-Control-Allow-Origin": "https://shop.example" },
      client: createClient({ url: "unix:/run/palisade.sock", timeout: 500 }),
    },
    async (event, product, { sub, revision }) => ({ statusCode: 200, body: `${event.body} ${product.owner} ${sub} ${revision}` }),
  );

export const deleteProduct = () =>
  authorized(
    {
      action: (event: GatewayEvent & { version: "2.0" }) => `deleteProduct${event.version}`,
      load: (event) => products.get(event.pathParameters?.id),
      resource: asProduct,
      missing: (event) => ({
        action: "listProducts",
        resource: { type: "Category", id: event.pathParameters?.["category"] ?? "" },
      }),
      context: (product) => ({ known: product !== undefined }),
      headers: async (event) => ({ Vary: event.version }),
    },
    (_, product) => product.id,
  );

// The types that most handlers have theirs from.
export const rest: () => APIGatewayProxyHandler = () =>
  authorized(
    {
      action: "updateProduct",
      load: (event: APIGatewayProxyEvent) => products.get(event.pathParameters?.["id"]),
      resource: asProduct,
      context: (_, event) => ({ ip: event.requestContext.identity.sourceIp }),
    },
    async (event, product) => ({ statusCode: 200, body: `${event.httpMethod} ${product.id}` }),
  );

export const http: () => APIGatewayProxyHandlerV2 = () =>
  authorized({ action: "listCategories", resource: { type: "Catalog", id: "shop" } }, async () => "[]");

export async function list(event: GatewayEvent, rows: Product[]): Promise<Product[]> {
  const client = createClient();
  const questions = rows.map((row) => ({ id: row.id, action: "readProduct", resource: asProduct(row) }));
  const decisions = await client.decideAll(bearerToken(event), questions, { context: { ip: "203.0.113.9" } });
  return rows.filter((_, index) => decisions[index]?.allowed);
}

export function explained(decision: Decision): string {
  switch (decision.outcome) {
    case "allowed":
      return `${decision.sub}: ${decision.policies}`;
    case "denied":
      return `${decision.reason}`;
    case "unauthenticated":
      return decision.challenge;
    case "unanswered":
      return decision.cause;
  }
}

export function mistakes(decision: Decision) {
  // @ts-expect-error: nobody was verified before there is an allow.
  decision.sub;
  // @ts-expect-error: a question is about something.
  authorized({ action: "createCategory" }, async () => ({ statusCode: 200 }));
  // @ts-expect-error: an id is a string.
  authorized({ action: "createCategory", resource: { type: "Catalog", id: 7 } }, async () => ({ statusCode: 200 }));
  // @ts-expect-error: a name that is none.
  createClient({ uri: "https://palisade.example" });
  authorized(
    {
      action: "updateProduct",
      load: () => products.get("p-1"),
      resource: asProduct,
      missing: () => ({ type: "Product", id: "p-1" }),
      // @ts-expect-error: what is missing has no owner.
      context: (product) => ({ owner: product.owner }),
    },
    async () => ({ statusCode: 200 }),
  );
}
