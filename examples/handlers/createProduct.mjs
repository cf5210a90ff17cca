// POST /categories/{id}/products: creating acts on the container, so it is the
// category that the decision is about.
import { randomUUID } from "node:crypto";
import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { CATEGORIES, CATEGORY_FACTS, asCategory } from "./categories.mjs";
import { bodyFields, pathId, sourceIp } from "./events.mjs";
import { PRODUCTS, PRODUCT_FIELDS } from "./products.mjs";
import { answering, notFound, ok, refused, unauthenticated } from "./responses.mjs";
import { absent, adding, load, table, unchanged } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const id = pathId(event);
  const category = await load(CATEGORIES, id);
  const verdict = await authorize(token, {
    action: "createProduct",
    resource: asCategory(id, category),
    context: { ip: sourceIp(event) },
  });
  if (!verdict.allowed) return refused(verdict);
  if (!category) return notFound();

  const fields = bodyFields(event, PRODUCT_FIELDS, { required: ["name"] });
  const product = { ...fields, id: randomUUID(), category: id, owner: verdict.user };
  const isSameCategory = unchanged(category, CATEGORY_FACTS);
  await table.send(new TransactWriteCommand({
    TransactItems: [
      { Put: { TableName: PRODUCTS, Item: product, ...absent } },
      { Update: { TableName: CATEGORIES, Key: { id }, ...adding(1, "productCount", isSameCategory) } },
    ],
  }));
  return ok(product);
});
