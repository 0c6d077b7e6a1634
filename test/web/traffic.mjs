// traffic.mjs: minutes of real traffic, then the charts against the nodes' own counters. FARLAN_MINUTES, FARLAN_SHOTS.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { api, axe, browser, check, equal, holds, need, overflow, seen, sweep, tally, until } from './browser.mjs';
import { done, outside } from './outside.mjs';
import { FIELDS, compare, near, slides } from './traffic_view.mjs';

const origin = 'http://127.0.0.1:8080', seconds = Number(need('FARLAN_MINUTES')) * 60, SHOTS = process.env.FARLAN_SHOTS;
const show = (page, path) => page.goto(`${origin}/#${path}`);
const members = {};
let context, page, nwid = '';

async function joined(name) {
	members[name] = await outside.node(name);
	await outside.join(name, nwid);
	const path = `/v1/networks/${nwid}/members/${members[name]}`;
	await until(`${name} asks`, async () => (await api(page, path)).status === 200);
	equal((await api(page, `${path}/approve`, 'POST', { name })).status, 200, 'approval');
	equal((await outside.joined(name)).code, 0, 'exit of join');
}

async function shoot(name) {
	if (SHOTS)
		await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

const sum = (list) => Object.fromEntries(FIELDS.map((field) => [field, list.reduce((n, one) => n + one[field], 0)]));

try {
	if (SHOTS)
		await mkdir(SHOTS, { recursive: true });
	({ context, page } = await browser(origin));
	await check('a network of two', async () => {
		await page.goto(await outside.link());
		await page.locator('#main').waitFor();
		nwid = (await api(page, '/v1/networks', 'POST', { name: 'home', ipv4: '10.93.0.0/24' })).body.id;
		await joined('A');
		await joined('B');
	});
	const to = (await outside.addresses('B', nwid)).find((a) => a.startsWith('10.93.')).split('/')[0];
	await check(`${seconds} s of traffic, live`, async () => {
		await show(page, `/n/${nwid}/traffic`);
		const begun = performance.now();
		await outside.carry('A', to, seconds, 1300, 0.004);
		await outside.carry('A', to, seconds / 2, 200, 0.002);
		await page.locator('[data-traffic="1h"]').waitFor({ timeout: 100000 });
		let before = 0, grew = 0;
		while (performance.now() - begun < seconds * 1000 + 1500) {
			await page.waitForTimeout(2000);
			const now = Number(await page.locator('[data-total="in"]').getAttribute('value'));
			grew += now > before;
			before = now;
		}
		holds(grew >= Math.max(1, seconds / 60), `the page went on by itself ${grew} times`);
		return `${grew} times new figures without a reload`;
	});
	const own = [await outside.carried('A', nwid), await outside.carried('B', nwid)];
	await check('the nodes\' counters are those of their kernels', async () => {
		const off = own.flatMap((c) => [near(c.rx_bytes, c.kernel.rx_bytes, 'rx'), near(c.tx_bytes, c.kernel.tx_bytes, 'tx')]);
		return `${own[0].tx_bytes} bytes out of A, ${(100 * Math.max(...off)).toFixed(3)} % off at most`;
	});
	for (const range of ['1h', '24h', '30d'])
		await check(`the network's charts agree with the nodes: ${range}`, async () => {
			await show(page, `/n/${nwid}/traffic?range=${range}`);
			const worst = await compare(page, range, sum(own));
			await shoot(`traffic-real-${range}`);
			return `${(100 * worst).toFixed(3)} % off at most`;
		});
	for (const [i, name] of ['A', 'B'].entries())
		await check(`${name}'s charts agree with ${name}`, async () => {
			await show(page, `/n/${nwid}/m/${members[name]}`);
			const worst = await compare(page, '1h', own[i]);
			return `${(100 * worst).toFixed(3)} % off at most`;
		});
	await check('by keyboard, in both themes, narrow', async () => {
		await show(page, `/n/${nwid}/traffic`);
		await slides(page);
		for (const [mode, colorScheme, width] of [['light', 'light', 1280], ['dark', 'dark', 1280], ['phone', 'light', 360]]) {
			await page.emulateMedia({ colorScheme });
			await page.setViewportSize({ width, height: 860 });
			await page.waitForTimeout(200);
			await shoot(`traffic-real-${mode}`);
			equal(await overflow(page) <= 0, true, `${mode}: nothing sticks out`);
			equal((await axe(page)).join(), '', mode);
		}
	});
	await check('no foreign request, no violation, no script error', async () => {
		equal([...seen.foreign, ...seen.violations, ...seen.errors].join(' '), '', 'seen');
	});
} catch (error) {
	tally.failed++;
	console.log(`FAIL ${error.message.split('\n').slice(0, 4).join(' | ')}`);
} finally {
	await context?.close().catch(() => {});
	await sweep();
	done();
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed ? 1 : 0);
