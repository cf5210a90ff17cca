// Plays Lambda: each line on standard input is a JSON array of calls to exports
// of handler modules, made at once; the line printed for it says what each came to.
import { createInterface } from "node:readline";

const HANDLERS = new URL("../../examples/handlers/", import.meta.url);

for await (const line of createInterface({ input: process.stdin })) {
  const outcomes = await Promise.all(JSON.parse(line).map(outcome));
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}

async function outcome({ module, name, args }) {
  try {
    const exported = (await import(new URL(module, HANDLERS)))[name];
    return { result: await exported(...args) };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}
