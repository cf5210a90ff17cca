// DELETE /categories/{id}: the policies want to know how many products it
// holds, so the count is in the context and in the condition of the delete.
import { DeleteCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { CATEGORIES, CATEGORY_FACTS, asCategory } from "./categories.mjs";
import { pathId, sourceIp } from "./events.mjs";
import { answering, notFound, ok, refused, unauthenticated } from "./responses.mjs";
import { load, table, unchanged } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const id = pathId(event);
  const category = await load(CATEGORIES, id);
  const verdict = await authorize(token, {
    action: "deleteCategory",
    resource: asCategory(id, category),
    context: { ip: sourceIp(event), productCount: category ? category.productCount : 0 },
  });
  if (!verdict.allowed) return refused(verdict);
  if (!category) return notFound();

  // A product that was created after the count was read moves it, and the delete is refused.
  const isSameCategory = unchanged(category, [...CATEGORY_FACTS, "productCount"]);
  await table.send(new DeleteCommand({ TableName: CATEGORIES, Key: { id }, ...isSameCategory }));
  return ok(category);
});
