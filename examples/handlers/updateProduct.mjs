// PATCH /products/{id}: the product in the table is what the decision is about,
// never what the client says of it.
import { UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { bodyFields, pathId, sourceIp } from "./events.mjs";
import { PRODUCTS, PRODUCT_FACTS, PRODUCT_FIELDS, asProduct } from "./products.mjs";
import { answering, notFound, ok, refused, unauthenticated } from "./responses.mjs";
import { load, setting, table, unchanged } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const id = pathId(event);
  const product = await load(PRODUCTS, id);
  const verdict = await authorize(token, {
    action: "updateProduct",
    resource: asProduct(id, product),
    context: { ip: sourceIp(event) },
  });
  if (!verdict.allowed) return refused(verdict);
  if (!product) return notFound();

  const fields = bodyFields(event, PRODUCT_FIELDS);
  const isSameProduct = unchanged(product, PRODUCT_FACTS);
  const { Attributes: updated } = await table.send(new UpdateCommand({
    TableName: PRODUCTS,
    Key: { id },
    ...setting(fields, isSameProduct),
    ReturnValues: "ALL_NEW",
  }));
  return ok(updated);
});
