// outside.mjs: asks run.py for what happens outside the browser: a node, a join, the controller down and up.
import { createInterface } from 'node:readline';

const waiting = [];
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => waiting.shift()?.(JSON.parse(line)));
lines.on('close', () => { for (const answer of waiting.splice(0)) answer({ error: 'run.py is gone' }); });

async function ask(verb, args) {
	const answer = new Promise((resolve) => { waiting.push(resolve); });
	process.stdout.write(`@${JSON.stringify({ verb, args })}\n`);
	const { answer: told, error } = await answer;
	if (error)
		throw new Error(`${verb}: ${error}`);
	return told;
}

export const outside = new Proxy({}, { get: (_, verb) => (...args) => ask(verb, args) });
export const done = () => lines.close();
