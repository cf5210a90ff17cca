// DELETE /categories/{id}: the policies want to know how many products it
// holds, so the count is in the context and in the condition of the delete.
import { DeleteCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { CATEGORIES, CATEGORY_FACTS, aboutCategory } from "./categories.mjs";
import { origin } from "./events.mjs";
import { answering, ok } from "./responses.mjs";
import { table, unchanged } from "./table.mjs";

export const handler = answering(authorized(
  {
    action: "deleteCategory",
    ...aboutCategory,
    context: (category, event) => ({ ...origin(event), productCount: category ? category.productCount : 0 }),
  },
  async (_, category) => {
    // A product that was created after the count was read moves it, and the delete is refused.
    const isSameCategory = unchanged(category, [...CATEGORY_FACTS, "productCount"]);
    await table.send(new DeleteCommand({ TableName: CATEGORIES, Key: { id: category.id }, ...isSameCategory }));
    return ok(category);
  },
));
