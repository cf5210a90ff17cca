// Asks all questions of the JSON on standard input, `{ token, questions }`, at once
// and one by one, and prints what each way came to.
import { text } from "node:stream/consumers";
import { createClient } from "../../clients/node/src/index.js";

const { token, questions } = JSON.parse(await text(process.stdin));
const client = createClient();
const together = await client.decideAll(token, questions);
const alone = [];
for (const { id, ...question } of questions.slice(0, 10)) alone.push(await client.decide(token, question));
console.log(JSON.stringify({ together, alone }));
