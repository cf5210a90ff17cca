// PATCH /categories/{id}: load, ask, write on condition.
import { UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { authorized } from "@palisade/client";
import { CATEGORIES, CATEGORY_FACTS, CATEGORY_FIELDS, aboutCategory } from "./categories.mjs";
import { bodyFields } from "./events.mjs";
import { answering, ok } from "./responses.mjs";
import { setting, table, unchanged } from "./table.mjs";

export const handler = answering(authorized(
  { action: "updateCategory", ...aboutCategory },
  async (event, category) => {
    const fields = bodyFields(event, CATEGORY_FIELDS);
    const isSameCategory = unchanged(category, CATEGORY_FACTS);
    const { Attributes: updated } = await table.send(new UpdateCommand({
      TableName: CATEGORIES,
      Key: { id: category.id },
      ...setting(fields, isSameCategory),
      ReturnValues: "ALL_NEW",
    }));
    return ok(updated);
  },
));
