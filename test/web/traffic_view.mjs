// traffic_view.mjs: the charts of the page against the nodes' own counters. What is compared is what the canvas got: each chart says
// the sums of the lines it drew; and what is read out beside it: the totals and the table.

import { equal, holds, until } from './browser.mjs';

export const FIELDS = ['rx_bytes', 'tx_bytes', 'rx_frames', 'tx_frames'];
const SHARE = 0.01, STEP_S = { '1h': 60, '24h': 600, '30d': 7200 };

export const near = (got, wanted, what) => {
	const off = Math.abs(got - wanted) / Math.max(1, wanted);
	holds(off <= SHARE, `${what}: ${got}, by the nodes ${wanted}: ${(100 * off).toFixed(2)} % off`);
	return off;
};

const area = async (page, chart) => JSON.parse(await page.locator(`[data-chart="${chart}"] .plot`).getAttribute('data-drawn'));
const total = async (page, name) => Number(await page.locator(`[data-total="${name}"]`).getAttribute('value'));

// The sums of the columns of the table that says the same as the charts.
export async function table(page) {
	const box = page.locator('[data-field="figures"]');
	if (await box.getAttribute('open') === null)
		await box.locator('summary').click();
	await box.locator('tbody tr').first().waitFor();
	return box.locator('tbody').evaluate((body) => [...body.rows].reduce((sums, row) => sums.map((sum, i) => sum + Number(row.cells[i + 1].querySelector('data').value || 0)), [0, 0, 0, 0, 0]));
}

// Are pixels of the chart painted in another colour than its ground?
const painted = (page, chart) => page.locator(`[data-chart="${chart}"] canvas`).evaluate((canvas) => {
	const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
	let n = 0;
	for (let i = 3; i < data.length; i += 4)
		n += data[i] > 0;
	return n;
});

// wanted: the nodes' counters. Returns the largest share that anything was off.
export async function compare(page, range, wanted) {
	const list = FIELDS.map((field) => wanted[field]), step = STEP_S[range];
	await page.locator(`[data-traffic="${range}"] [data-chart="bits"] [data-drawn]`).waitFor();
	await until('the figures', async () => await total(page, 'in') >= 0.99 * wanted.rx_bytes && await total(page, 'out') >= 0.99 * wanted.tx_bytes, 100000).catch(async (error) => {
		throw new Error(`${error.message}: in ${await total(page, 'in')} of ${wanted.rx_bytes}, out ${await total(page, 'out')} of ${wanted.tx_bytes}`);
	});
	let worst = 0;
	for (const [i, name] of ['in', 'out', 'frames-in', 'frames-out'].entries())
		worst = Math.max(worst, near(await total(page, name), list[i], `${range}: total ${name}`));
	for (const [i, sum] of (await table(page)).slice(0, 4).entries())
		worst = Math.max(worst, near(sum, list[i], `${range}: table, ${FIELDS[i]}`));
	if (range === '1h') {
		for (const [i, sum] of (await area(page, 'bits')).entries())
			worst = Math.max(worst, near(sum * step / 8, list[i], `drawn bits, line ${i}`));
		for (const [i, sum] of (await area(page, 'frames')).entries())
			worst = Math.max(worst, near(sum * step, list[2 + i], `drawn frames, line ${i}`));
	}
	holds(await painted(page, 'bits') > 2000 && await painted(page, 'frames') > 2000, 'pixels are painted');
	return worst;
}

// With the keyboard, a chart is a slider over time.
export async function slides(page) {
	const plot = page.locator('[data-chart="bits"] .plot');
	await plot.focus();
	const at = async () => [Number(await plot.getAttribute('aria-valuenow')), await plot.getAttribute('aria-valuetext')];
	const [newest] = await at();
	await page.keyboard.press('ArrowLeft');
	await until('a step to the left', async () => (await at())[0] === newest - 1);
	holds(/^\d\d:\d\d: in .*, out /.test((await at())[1]), `read out: ${(await at())[1]}`);
	await page.keyboard.press('Home');
	await until('the first', async () => (await at())[0] === 0);
	equal((await at())[1].includes('in nothing'), true, 'where nobody told, nothing is said');
}
