// browser.mjs: Debian's Chromium, and what is seen in it from outside: requests elsewhere, broken policies, script errors, and
// whether a view is accessible and fits.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 40000; // of what must come; a busy machine takes its time
const AXE = join(fileURLToPath(new URL('.', import.meta.url)), 'node_modules/axe-core/axe.min.js');
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; " +
	"base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

export const tally = { passed: 0, failed: 0 };
export const seen = { foreign: [], violations: [], errors: [], answers: [], requests: 0 };
const folders = [];

export const need = (name) => {
	if (!process.env[name]) {
		console.error(`${name} is not set`);
		process.exit(2);
	}
	return process.env[name];
};

export async function check(name, test) {
	const begun = performance.now();
	try {
		const note = await test();
		tally.passed++;
		console.log(`ok   ${name}${note ? `: ${note}` : ''} (${Math.round(performance.now() - begun)} ms)`);
		return true;
	} catch (error) {
		tally.failed++;
		console.log(`FAIL ${name}: ${error.message.split('\n').slice(0, 4).join(' | ')}`);
		return false;
	}
}

export function equal(got, wanted, what) {
	if (got !== wanted)
		throw new Error(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

export function holds(is, what) {
	if (!is)
		throw new Error(what);
}

export async function until(what, ask, ms = PATIENCE_MS) {
	const end = performance.now() + ms;
	for (;;) {
		const answer = await ask();
		if (answer)
			return answer;
		if (performance.now() > end)
			throw new Error(`after ${ms} ms still not: ${what}`);
		await new Promise((resolve) => { setTimeout(resolve, 50); });
	}
}

// A browser with a folder of its own; everything it does is watched.
export async function browser(origin, options = {}) {
	const folder = await mkdtemp(join(tmpdir(), 'farlan-page-'));
	folders.push(folder);
	const context = await chromium.launchPersistentContext(folder, {
		executablePath: '/usr/bin/chromium', headless: true, args: ARGS, timeout: 2 * PATIENCE_MS, viewport: { width: 1280, height: 860 }, ...options,
	});
	context.setDefaultTimeout(PATIENCE_MS);
	context.on('request', (request) => {
		const to = new URL(request.url());
		seen.requests++;
		if (to.origin !== origin && to.protocol !== 'data:' && to.protocol !== 'blob:')
			seen.foreign.push(request.url());
	});
	context.on('response', (response) => {
		if (response.url().startsWith(origin))
			seen.answers.push({ url: response.url(), policy: response.headers()['content-security-policy'] || '' });
	});
	await context.exposeFunction('farlanViolation', (text) => seen.violations.push(text));
	await context.addInitScript(() => addEventListener('securitypolicyviolation', (event) =>
		globalThis.farlanViolation(`${event.violatedDirective} ${event.blockedURI}`)));
	const page = context.pages()[0] || await context.newPage();
	page.on('pageerror', (error) => seen.errors.push(error.message));
	page.on('console', (message) => { if (/Content Security Policy|TrustedHTML|Trusted Type/.test(message.text())) seen.errors.push(message.text()); });
	return { context, page };
}

export async function sweep() {
	for (const folder of folders)
		await rm(folder, { recursive: true, force: true });
}

// What axe-core finds serious or worse. It runs in a world of its own, so the page's policy stays as it is.
export async function axe(page) {
	const session = await page.context().newCDPSession(page);
	const { frameTree } = await session.send('Page.getFrameTree');
	const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
	await session.send('Runtime.evaluate', { expression: await readFile(AXE, 'utf8'), contextId: executionContextId });
	const { result } = await session.send('Runtime.evaluate', {
		expression: 'axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify({ passes: r.passes.length, bad: r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 120)}`) }))',
		contextId: executionContextId, awaitPromise: true, returnByValue: true,
	});
	await session.detach();
	const { passes, bad } = JSON.parse(result.value);
	holds(passes > 5, `axe looked at nothing: ${passes} rules passed`);
	return bad;
}

export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export const api = (page, path, method = 'GET', body = undefined) => page.evaluate(async ([p, m, b]) => {
	const answer = await fetch(p, { method: m, headers: m === 'GET' ? {} : { 'Content-Type': 'application/json' }, body: m === 'GET' ? undefined : JSON.stringify(b || {}) });
	return { status: answer.status, body: await answer.json().catch(() => null) };
}, [path, method, body]);
