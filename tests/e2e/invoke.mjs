// Plays Lambda: each line on standard input is a JSON array of functions and their
// events, invoked at once; the line printed for it says what each came to.
import { createInterface } from "node:readline";

const HANDLERS = new URL("../../examples/handlers/", import.meta.url);

for await (const line of createInterface({ input: process.stdin })) {
  const outcomes = await Promise.all(JSON.parse(line).map(outcome));
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}

async function outcome({ name, event }) {
  try {
    const { handler } = await import(new URL(`${name}.mjs`, HANDLERS));
    return { response: await handler(event) };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}
