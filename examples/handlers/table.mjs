// DynamoDB: reading an item, and writing on the condition that it still is
// what was read.
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";

export const table = DynamoDBDocumentClient.from(new DynamoDBClient(), {
  marshallOptions: { removeUndefinedValues: true },
});

export async function load(TableName, id) {
  const { Item } = await table.send(new GetCommand({ TableName, Key: { id }, ConsistentRead: true }));
  return Item;
}

/** The condition that an item is new. */
export const absent = { ConditionExpression: "attribute_not_exists(id)" };

/** The condition that `item` is still there and its `facts` are what they were. */
export function unchanged(item, facts) {
  const names = {};
  const values = {};
  const clauses = ["id", ...facts].map((fact) => {
    names[`#${fact}`] = fact;
    if (item[fact] === undefined) return `attribute_not_exists(#${fact})`;
    values[`:seen_${fact}`] = item[fact];
    return `#${fact} = :seen_${fact}`;
  });
  return {
    ConditionExpression: clauses.join(" AND "),
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  };
}

/** Sets `fields`, under a condition from `unchanged`. */
export function setting(fields, condition) {
  return updating("SET", Object.entries(fields), (name, value) => `${name} = ${value}`, condition);
}

/** Adds to the number in `field`, under a condition from `unchanged`. */
export function adding(amount, field, condition) {
  return updating("ADD", [[field, amount]], (name, value) => `${name} ${value}`, condition);
}

function updating(verb, entries, clause, condition) {
  return {
    ...condition,
    UpdateExpression: `${verb} ${entries.map(([field]) => clause(`#${field}`, `:new_${field}`)).join(", ")}`,
    ExpressionAttributeNames: {
      ...condition.ExpressionAttributeNames,
      ...Object.fromEntries(entries.map(([field]) => [`#${field}`, field])),
    },
    ExpressionAttributeValues: {
      ...condition.ExpressionAttributeValues,
      ...Object.fromEntries(entries.map(([field, value]) => [`:new_${field}`, value])),
    },
  };
}
