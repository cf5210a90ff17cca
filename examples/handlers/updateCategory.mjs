// PATCH /categories/{id}: load, ask, write on condition.
import { UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { authorize, bearerToken } from "./authorize.mjs";
import { CATEGORIES, CATEGORY_FACTS, CATEGORY_FIELDS, asCategory } from "./categories.mjs";
import { bodyFields, pathId, sourceIp } from "./events.mjs";
import { answering, notFound, ok, refused, unauthenticated } from "./responses.mjs";
import { load, setting, table, unchanged } from "./table.mjs";

export const handler = answering(async (event) => {
  const token = bearerToken(event);
  if (!token) return unauthenticated();

  const id = pathId(event);
  const category = await load(CATEGORIES, id);
  const verdict = await authorize(token, {
    action: "updateCategory",
    resource: asCategory(id, category),
    context: { ip: sourceIp(event) },
  });
  if (!verdict.allowed) return refused(verdict);
  if (!category) return notFound();

  const fields = bodyFields(event, CATEGORY_FIELDS);
  const isSameCategory = unchanged(category, CATEGORY_FACTS);
  const { Attributes: updated } = await table.send(new UpdateCommand({
    TableName: CATEGORIES,
    Key: { id },
    ...setting(fields, isSameCategory),
    ReturnValues: "ALL_NEW",
  }));
  return ok(updated);
});
