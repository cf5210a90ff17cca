// Products: their table, the facts that policies may ask about, and the fields
// that a client may write.
import { origin, pathId } from "./events.mjs";
import { load } from "./table.mjs";

export const PRODUCTS = process.env.PRODUCTS_TABLE ?? "products";

/** What a decision about a product depends on: exactly what `asProduct` tells. */
export const PRODUCT_FACTS = ["owner", "status", "price", "category"];

/** The product as Palisade sees it. What does not exist has no facts. */
const asProduct = (id, { owner, status, price, category } = {}) => ({
  type: "Product",
  id,
  attributes: { owner: owner && { type: "User", id: owner }, status, price },
  parents: category && [{ type: "Category", id: category }],
});

/** What every handler says to `authorized` that acts on the product of its path. */
export const aboutProduct = {
  load: (event) => load(PRODUCTS, pathId(event)),
  resource: (product) => asProduct(product.id, product),
  // What is not there is asked about too: only who may act on it learns that.
  missing: (event) => asProduct(pathId(event)),
  context: (_, event) => origin(event),
};

export const PRODUCT_FIELDS = {
  name: { form: /^\S.{0,199}$/su, meaning: "a text of 1 to 200 characters" },
  status: { form: /^(draft|published|retired)$/, meaning: "draft, published or retired" },
  price: { form: /^\d{1,12}\.\d{1,4}$/, meaning: 'a decimal in a string, such as "12.50"' },
};
