// POST /categories: categories are created in the catalog, which every shop has
// one of, so there is nothing to load.
import { randomUUID } from "node:crypto";
import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { CATALOG, CATEGORIES, CATEGORY_FIELDS } from "./categories.mjs";
import { bodyFields, sourceIp } from "./events.mjs";
import { answering, ok, refused, unauthenticated } from "./responses.mjs";
import { absent, table } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const verdict = await authorize(token, {
    action: "createCategory",
    resource: CATALOG,
    context: { ip: sourceIp(event) },
  });
  if (!verdict.allowed) return refused(verdict);

  const fields = bodyFields(event, CATEGORY_FIELDS, { required: ["name"] });
  const category = { ...fields, id: randomUUID(), owner: verdict.user, productCount: 0 };
  await table.send(new PutCommand({ TableName: CATEGORIES, Item: category, ...absent }));
  return ok(category);
});
