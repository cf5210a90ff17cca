// A function as the handlers are, that throws what its event says, or answers with its context.
import { answering, ok } from "../../examples/handlers/responses.mjs";

export const handler = answering((event, lambdaContext) => {
  if ("thrown" in event) throw event.thrown;
  return ok(lambdaContext);
});
