// DELETE /products/{id}: the product goes, and its category counts one less, in
// one transaction.
import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { CATEGORIES } from "./categories.mjs";
import { PRODUCTS, PRODUCT_FACTS, aboutProduct } from "./products.mjs";
import { answering, ok } from "./responses.mjs";
import { adding, table, unchanged } from "./table.mjs";

export const handler = answering(authorized(
  { action: "deleteProduct", ...aboutProduct },
  async (_, product) => {
    const category = { id: product.category };
    const isSameProduct = unchanged(product, PRODUCT_FACTS);
    const categoryExists = unchanged(category, []);
    await table.send(new TransactWriteCommand({
      TransactItems: [
        { Delete: { TableName: PRODUCTS, Key: { id: product.id }, ...isSameProduct } },
        { Update: { TableName: CATEGORIES, Key: category, ...adding(-1, "productCount", categoryExists) } },
      ],
    }));
    return ok(product);
  },
));
