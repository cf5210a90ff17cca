// Plays Lambda: calls the exports of handler modules as lines of JSON on
// standard input ask for it, and prints what each call came to.
import { createInterface } from "node:readline";

const HANDLERS = new URL("../../examples/handlers/", import.meta.url);

for await (const line of createInterface({ input: process.stdin })) {
  const { module, name, args } = JSON.parse(line);
  let outcome;
  try {
    const exported = (await import(new URL(module, HANDLERS)))[name];
    outcome = { result: await exported(...args) };
  } catch (error) {
    outcome = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
