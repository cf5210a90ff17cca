// Plays Lambda: each line on standard input is a JSON array of functions and their
// events, invoked at once; the line printed for it says what each came to.
// The argument is the folder of the functions.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const HANDLERS = pathToFileURL(`${process.argv[2]}/`);

for await (const line of createInterface({ input: process.stdin })) {
  const outcomes = await Promise.all(JSON.parse(line).map(outcome));
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}

async function outcome({ name, event }) {
  try {
    const { handler } = await import(new URL(`${name}.mjs`, HANDLERS));
    return { response: await handler(event, { functionName: name }) };
  } catch (error) {
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error) };
  }
}
