// Categories: their table, the facts that policies may ask about, and the
// fields that a client may write.
import { origin, pathId } from "./events.mjs";
import { load } from "./table.mjs";

export const CATEGORIES = process.env.CATEGORIES_TABLE ?? "categories";

/** What all categories stand in. */
export const CATALOG = { type: "Catalog", id: "shop" };

/** What a decision about a category depends on: exactly what `asCategory` tells. */
export const CATEGORY_FACTS = ["owner"];

/** The category as Palisade sees it. What does not exist has no facts. */
const asCategory = (id, { owner } = {}) => ({
  type: "Category",
  id,
  attributes: { owner: owner && { type: "User", id: owner } },
  parents: [CATALOG],
});

/** What every handler says to `authorized` that acts on the category of its path. */
export const aboutCategory = {
  load: (event) => load(CATEGORIES, pathId(event)),
  resource: (category) => asCategory(category.id, category),
  // What is not there is asked about too: only who may act on it learns that.
  missing: (event) => asCategory(pathId(event)),
  context: (_, event) => origin(event),
};

export const CATEGORY_FIELDS = {
  name: { form: /^\S.{0,199}$/su, meaning: "a text of 1 to 200 characters" },
};
