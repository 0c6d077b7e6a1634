// crowd.mjs: a table of 3 000 members scrolls, filters, sorts and approves 40 at once without a task over 100 ms.
//
// Each deed is measured by the browser's own long-task observer. Machines that check are shared: what was late is done again, twice
// at most, and the best time counts. Where more programs want to run than there are cores, a task's time on the wall says nothing
// about the page: then the time it had a core for itself counts, by the browser's trace.

import { cpus, loadavg } from 'node:os';
import { api, browser, check, equal, holds, need, seen, sweep, tally, until } from './browser.mjs';
import { done, outside } from './outside.mjs';

const origin = 'http://127.0.0.1:8080', nwid = need('FARLAN_NWID');
const LIMIT_MS = 100, TRIES = 3, ROWS = 3000, PENDING = 160;
let approved = 0;

const tasks = (page) => page.evaluate(async () => {
	await new Promise((resolve) => { setTimeout(resolve, 150); }); // an observer tells later
	return Math.round(Math.max(0, ...globalThis.long.splice(0)));
});

// The longest task while deed() runs: ms on the wall, and ms of a core.
async function longest(page, deed) {
	const session = await page.context().newCDPSession(page), events = [];
	session.on('Tracing.dataCollected', ({ value }) => events.push(...value.filter((e) => e.ph === 'X' && e.tdur && e.name === 'RunTask')));
	await tasks(page);
	await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline'] } });
	const complete = new Promise((resolve) => { session.once('Tracing.tracingComplete', resolve); });
	try {
		await deed();
	} finally {
		await session.send('Tracing.end');
		await complete;
		await session.detach();
	}
	holds(events.length > 20, `the trace has ${events.length} tasks`);
	return { wall: await tasks(page), core: Math.round(Math.max(...events.map((e) => e.tdur)) / 1000) };
}

async function smooth(page, name, deed) {
	await check(`${name}: no task over ${LIMIT_MS} ms`, async () => {
		const times = [];
		let good = false;
		while (!good && times.length < TRIES) {
			const time = await longest(page, deed), crowded = loadavg()[0] > cpus().length;
			times.push(`${time.wall || 'under 50'} ms (${time.core} ms of a core)`);
			good = (crowded ? time.core : time.wall) <= LIMIT_MS;
		}
		holds(good, `longest tasks: ${times.join(', ')}`);
		return times.at(-1);
	});
}

const shown = async (page) => Number(await page.locator('table.members').getAttribute('aria-rowcount')) - 1;

async function scrolling(page) {
	await page.evaluate(async () => {
		const frame = () => new Promise(requestAnimationFrame);
		for (let y = 0; y < 24000; y += 120) { // as fast as a wheel turns
			scrollTo(0, y);
			await frame();
		}
		for (const share of [0.5, 0.9, 0.1, 1, 0.3, 0]) { // and as a scroll bar is torn
			scrollTo(0, share * document.documentElement.scrollHeight);
			for (let i = 0; i < 12; i++)
				await frame();
		}
	});
}

let context, page;
try {
	({ context, page } = await browser(origin));
	await page.addInitScript(() => {
		globalThis.long = [];
		new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true });
	});
	const path = `/v1/networks/${nwid}/members`;
	await check('the table opens', async () => {
		await page.goto(await outside.link());
		await page.locator('#main h1').waitFor();
		await page.goto(`${origin}/#/n/${nwid}`);
		await page.locator('tr[data-member]').first().waitFor();
		await until('all rows', async () => await shown(page) === ROWS);
		holds(await page.locator('tr[data-member]').count() < 100, 'only rows near the screen exist');
		equal(await page.locator('tr[data-member]').first().getAttribute('data-state'), 'pending', 'who waits is on top');
	});
	await smooth(page, 'scrolling', () => scrolling(page));
	await check('the last row is there, and it is the last', async () => {
		await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
		await page.locator(`tr[aria-rowindex="${ROWS + 1}"]`).waitFor();
		await page.evaluate(() => scrollTo(0, 0));
	});
	await smooth(page, 'searching', async () => {
		const field = page.locator('[data-field="search"]');
		await field.pressSequentially('desk-12', { delay: 60 });
		await until('found', async () => await shown(page) === 100); // desk-1200 to desk-1299
		await field.fill('');
		await until('all again', async () => await shown(page) === ROWS);
	});
	await smooth(page, 'filtering and sorting', async () => {
		await page.locator('[data-filter="offline"]').click();
		await until('offline ones', async () => await shown(page) === ROWS - PENDING + approved);
		for (const sort of ['name', 'address', 'seen'])
			await page.locator(`[data-sort="${sort}"]`).click();
		await page.locator('[data-filter="all"]').click();
		await until('all again', async () => await shown(page) === ROWS);
	});
	await smooth(page, 'approving 40 at once', async () => {
		await page.locator('[data-filter="pending"]').click();
		const boxes = page.locator('tr[data-state="pending"] [data-action="select"]');
		await boxes.first().click();
		await page.locator('tr[aria-rowindex="41"] [data-action="select"]').scrollIntoViewIfNeeded().catch(() => {});
		for (let at = 0; at < 40 && !await page.locator('tr[aria-rowindex="41"] [data-action="select"]').count(); at++)
			await page.mouse.wheel(0, 200);
		await page.locator('tr[aria-rowindex="41"] [data-action="select"]').click({ modifiers: ['Shift'] });
		await page.locator('.many', { hasText: '40 selected' }).waitFor();
		const before = (await api(page, `${path}?state=pending&limit=1`)).body.total;
		await page.locator('[data-action="approve-many"]').click();
		await page.locator('.many').waitFor({ state: 'detached' });
		equal((await api(page, `${path}?state=pending&limit=1`)).body.total, before - 40, `pending by the API, where the page says "${await page.locator('.toasts').innerText()}"`);
		await until('shown', async () => await shown(page) === before - 40);
		await page.evaluate(() => scrollTo(0, 0));
		approved += 40;
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
