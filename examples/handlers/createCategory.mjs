// POST /categories: categories are created in the catalog, which every shop has
// one of, so there is nothing to load.
import { randomUUID } from "node:crypto";
import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { CATALOG, CATEGORIES, CATEGORY_FIELDS } from "./categories.mjs";
import { bodyFields, origin } from "./events.mjs";
import { answering, ok } from "./responses.mjs";
import { absent, table } from "./table.mjs";

export const handler = answering(authorized(
  { action: "createCategory", resource: CATALOG, context: (_, event) => origin(event) },
  async (event, _, decision) => {
    const fields = bodyFields(event, CATEGORY_FIELDS, { required: ["name"] });
    const category = { ...fields, id: randomUUID(), owner: decision.sub, productCount: 0 };
    await table.send(new PutCommand({ TableName: CATEGORIES, Item: category, ...absent }));
    return ok(category);
  },
));
