// Asks a question with the settings of its environment, some times in a row, and prints the decisions.
import { createClient } from "@palisade/client";

const [token, question, times] = process.argv.slice(2);
const client = createClient();
const decisions = [];
while (decisions.length < Number(times)) decisions.push(await client.decide(token, JSON.parse(question)));
console.log(JSON.stringify(decisions));
