// DELETE /products/{id}: the product goes, and its category counts one less, in
// one transaction.
import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { CATEGORIES } from "./categories.mjs";
import { pathId, sourceIp } from "./events.mjs";
import { PRODUCTS, PRODUCT_FACTS, asProduct } from "./products.mjs";
import { answering, notFound, ok, refused, unauthenticated } from "./responses.mjs";
import { adding, load, table, unchanged } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const id = pathId(event);
  const product = await load(PRODUCTS, id);
  const verdict = await authorize(token, {
    action: "deleteProduct",
    resource: asProduct(id, product),
    context: { ip: sourceIp(event) },
  });
  if (!verdict.allowed) return refused(verdict);
  if (!product) return notFound();

  const category = { id: product.category };
  const isSameProduct = unchanged(product, PRODUCT_FACTS);
  const categoryExists = unchanged(category, []);
  await table.send(new TransactWriteCommand({
    TransactItems: [
      { Delete: { TableName: PRODUCTS, Key: { id }, ...isSameProduct } },
      { Update: { TableName: CATEGORIES, Key: category, ...adding(-1, "productCount", categoryExists) } },
    ],
  }));
  return ok(product);
});
