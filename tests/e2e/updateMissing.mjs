// A handler whose item is never there. What it asks about instead is the event's `inPlace`.
import { authorized } from "../../clients/node/src/index.js";

export const handler = authorized(
  {
    action: "updateProduct",
    load: () => undefined,
    resource: (product) => ({ type: "Product", id: product.id }),
    missing: (event) => event.inPlace,
  },
  () => {
    throw new Error("acted on nothing");
  },
);
