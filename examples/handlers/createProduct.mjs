// POST /categories/{id}/products: creating acts on the container, so it is the
// category that the decision is about.
import { randomUUID } from "node:crypto";
import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { CATEGORIES, CATEGORY_FACTS, aboutCategory } from "./categories.mjs";
import { bodyFields } from "./events.mjs";
import { PRODUCTS, PRODUCT_FIELDS } from "./products.mjs";
import { answering, ok } from "./responses.mjs";
import { absent, adding, table, unchanged } from "./table.mjs";

export const handler = answering(authorized(
  { action: "createProduct", ...aboutCategory },
  async (event, category, decision) => {
    const fields = bodyFields(event, PRODUCT_FIELDS, { required: ["name"] });
    const product = { ...fields, id: randomUUID(), category: category.id, owner: decision.sub };
    const isSameCategory = unchanged(category, CATEGORY_FACTS);
    await table.send(new TransactWriteCommand({
      TransactItems: [
        { Put: { TableName: PRODUCTS, Item: product, ...absent } },
        { Update: { TableName: CATEGORIES, Key: { id: category.id }, ...adding(1, "productCount", isSameCategory) } },
      ],
    }));
    return ok(product);
  },
));
