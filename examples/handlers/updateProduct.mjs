// PATCH /products/{id}: the product in the table is what the decision is about,
// never what the client says of it.
import { UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { bodyFields } from "./events.mjs";
import { PRODUCTS, PRODUCT_FACTS, PRODUCT_FIELDS, aboutProduct } from "./products.mjs";
import { answering, ok } from "./responses.mjs";
import { setting, table, unchanged } from "./table.mjs";

export const handler = answering(authorized(
  { action: "updateProduct", ...aboutProduct },
  async (event, product) => {
    const fields = bodyFields(event, PRODUCT_FIELDS);
    const isSameProduct = unchanged(product, PRODUCT_FACTS);
    const { Attributes: updated } = await table.send(new UpdateCommand({
      TableName: PRODUCTS,
      Key: { id: product.id },
      ...setting(fields, isSameProduct),
      ReturnValues: "ALL_NEW",
    }));
    return ok(updated);
  },
));
