// page_test.mjs: the controller's page, driven in Chromium against a running farlan-controller.
//
//   FARLAN_PAGE_URL  a fresh one-time link      FARLAN_NWID    the network
//   FARLAN_MEMBER    address of a member        FARLAN_STEP    approve: only the click; full (default): everything
//   FARLAN_SHOTS     folder that keeps the screenshots (default: none are kept)
//
// approve needs a pending member and leaves it approved. full needs the same and leaves it revoked. The last line is
// "N passed, N failed"; the exit status is 0 when none failed.

import { join } from 'node:path';
import { POLICY, api, browser, check, equal, need, overflow, seen, sweep, tally } from './browser.mjs';

const url = need('FARLAN_PAGE_URL'), nwid = need('FARLAN_NWID'), member = need('FARLAN_MEMBER');
const step = process.env.FARLAN_STEP || 'full';
const origin = new URL(url).origin;
const HOSTILE = '<img src=x onerror="globalThis.pwned=1">\u202egnp.exe\u200b';

const row = (page) => page.locator(`tr[data-member="${member}"]`);
const button = (page, action) => page.locator(`[data-action="${action}"][data-member="${member}"]`);
const state = (page, wanted) => page.locator(`tr[data-member="${member}"][data-state="${wanted}"]`).waitFor();

// What the API itself says, asked with the page's own session: the page must not only paint a state.
const asked = async (page) => (await api(page, `/v1/networks/${nwid}/members/${member}`)).body;

async function approve(page) {
	await check('the one-time link opens the page and leaves the address bar', async () => {
		await page.goto(url);
		await page.locator('#main').waitFor();
		equal(page.url().includes('once='), false, 'token in the address bar');
	});
	await check('the network shows its pending member first', async () => {
		await page.locator(`.rail [data-network="${nwid}"]`).click();
		await state(page, 'pending');
		equal(await page.locator('tbody tr[data-member]').first().getAttribute('data-state'), 'pending', 'first row');
		equal(/waits? for approval/.test(await page.locator('#pending').textContent()), true, 'pending count announced');
	});
	await check('a click approves it', async () => {
		await button(page, 'approve').click();
		await state(page, 'approved');
		equal((await asked(page)).state, 'approved', 'state by the API');
	});
	await check('the keyboard stays in the row', async () => {
		equal(await page.evaluate(() => document.activeElement.closest('tr')?.dataset.member), member, 'row with the focus');
	});
}

async function rename(page) {
	await check('a rename by keyboard survives refreshes while it is typed', async () => {
		await button(page, 'rename').focus();
		await button(page, 'rename').press('Enter');
		const input = row(page).locator('[data-field="name"]');
		await input.fill('half typed');
		await page.waitForTimeout(2600); // more than one refresh
		equal(await input.inputValue(), 'half typed', 'text in the field');
		equal(await input.evaluate((e) => e === document.activeElement), true, 'focus kept');
		await input.fill('Printer, 2nd floor');
		await input.press('Enter');
		await row(page).locator('.name bdi', { hasText: 'Printer, 2nd floor' }).waitFor();
		equal((await asked(page)).name, 'Printer, 2nd floor', 'name by the API');
	});
	await check('a hostile name is shown, inert and with its invisible characters', async () => {
		await button(page, 'rename').click();
		await row(page).locator('[data-field="name"]').fill(HOSTILE);
		await row(page).locator('[data-action="rename-save"]').click();
		await row(page).locator('.name bdi', { hasText: '⟨U+202E⟩' }).waitFor();
		equal((await asked(page)).name, HOSTILE, 'name by the API');
		equal(await row(page).locator('.name bdi').textContent(), '<img src=x onerror="globalThis.pwned=1">⟨U+202E⟩gnp.exe⟨U+200B⟩', 'shown name');
		equal(await row(page).locator('img').count(), 0, 'elements made of the name');
		equal(await page.evaluate(() => globalThis.pwned), undefined, 'script run by the name');
	});
	await check('an unusable name is refused with its reason and the field stays', async () => {
		await button(page, 'rename').click();
		await row(page).locator('[data-field="name"]').fill('é'.repeat(60)); // 60 characters, 120 bytes
		await row(page).locator('[data-action="rename-save"]').click();
		await page.locator('#error', { hasText: 'name' }).waitFor();
		equal(await row(page).locator('[data-field="name"]').count(), 1, 'field');
		await row(page).locator('[data-action="rename-cancel"]').click();
		await page.locator('[data-action="error-close"]').click();
	});
}

async function shots(page) {
	const folder = process.env.FARLAN_SHOTS;
	for (const [name, scheme, width] of [['light', 'light', 1200], ['dark', 'dark', 1200], ['phone', 'light', 380], ['phone-dark', 'dark', 380]]) {
		await check(`nothing is cut off sideways: ${name}, ${width} px`, async () => {
			await page.emulateMedia({ colorScheme: scheme });
			await page.setViewportSize({ width, height: 900 });
			await page.waitForTimeout(150);
			if (folder)
				await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
			equal(await overflow(page) <= 0, true, 'nothing sticks out');
		});
	}
	await page.setViewportSize({ width: 1200, height: 900 });
}

async function accessible(page) {
	await check('every control has a name and headers have a scope', async () => {
		await page.goto(`${origin}/#/n/${nwid}`);
		await row(page).waitFor();
		const bad = await page.evaluate(() => [
			...[...document.querySelectorAll('button, input, a')].filter((e) => e.offsetParent && !(e.getAttribute('aria-label') ||
				e.textContent.trim() || (e.labels && e.labels.length))),
			...[...document.querySelectorAll('th')].filter((e) => !e.scope),
		].map((e) => e.outerHTML));
		equal(bad.join(' '), '', 'without a name or a scope');
		equal(await page.locator('table[aria-label] th[scope="row"]').count() > 0, true, 'row headers');
		equal(await page.locator('#pending[aria-live="polite"]').count(), 1, 'live region');
	});
}

async function network(page) {
	await check('a network is made in the page; a wrong pool is refused with the mend', async () => {
		const name = `Made in the page, ${Date.now()}`; // names are taken once
		await page.goto(`${origin}/#/networks`);
		await page.locator('[data-action="create-open"]').click();
		await page.locator('dialog [data-field="network-name"]').fill(name);
		await page.locator('dialog [data-field="network-ipv4"]').fill('10.9.8.7/24');
		await page.locator('[data-action="create"]').click();
		await page.locator('dialog [role=alert]', { hasText: '10.1.2.0/24' }).waitFor();
		await page.locator('dialog [data-field="network-ipv4"]').fill('10.9.8.0/24');
		await page.locator('[data-action="create"]').click();
		await page.locator('#network-name', { hasText: name }).waitFor();
		const id = await page.locator('[data-field="nwid"]').textContent();
		equal((await api(page, `/v1/networks/${id}`)).body.ipv4, '10.9.8.0/24', 'pool by the API');
		await page.locator(`.rail [data-network="${nwid}"]`).click();
		await row(page).waitFor();
	});
}

async function settings(page) {
	const field = (name) => page.locator(`[data-setting="${name}"]`);
	const network = async () => (await api(page, `/v1/networks/${nwid}`)).body;
	const before = await network();
	await check('settings show what the network has', async () => {
		await page.goto(`${origin}/#/n/${nwid}/settings`);
		await field('mtu').waitFor();
		equal(await field('mtu').inputValue(), String(before.mtu), 'MTU');
		equal(await field('multicast-rate').inputValue(), String(before['multicast-rate'] / 1000), 'multicast rate in Mbit/s');
		equal(await field('ra-guard').isChecked(), before['ra-guard'], 'RA guard');
		equal(await field('ip-guard').isChecked(), before['ip-guard'], 'IP guard');
	});
	await check('what is changed is saved, what is half typed survives refreshes', async () => {
		await field('storm').fill('77');
		await field('multicast-rate').fill('0.8');
		await field('ip-guard').click();
		await page.waitForTimeout(2600); // more than one refresh
		equal(await field('storm').inputValue(), '77', 'storm limit in the field');
		for (const card of ['settings', 'switches']) {
			await page.locator(`[data-action="${card}-save"]`).click();
			await page.locator(`[data-action="${card}-save"]`).waitFor({ state: 'hidden' });
		}
		const after = await network();
		equal(JSON.stringify([after.storm, after['multicast-rate'], after['ip-guard'], after.mtu]),
			JSON.stringify([77, 800, !before['ip-guard'], before.mtu]), 'by the API');
	});
	await check('what is out of range is not sent, and Cancel brings back what is', async () => {
		await field('mtu').fill('100');
		await page.locator('[data-action="settings-save"]').click();
		equal(await field('mtu').evaluate((e) => e.validity.rangeUnderflow), true, 'refused by the field');
		await page.locator('[data-action="settings-cancel"]').click();
		equal(await field('mtu').inputValue(), String(before.mtu), 'MTU in the field');
		equal((await network()).mtu, before.mtu, 'MTU by the API');
	});
	await check('a refusal of the controller is shown with its way out', async () => {
		const path = `/v1/networks/${nwid}/members/${member}`;
		const patch = async (to, body) => (await api(page, to, 'PATCH', body)).status;
		equal(await patch(`/v1/networks/${nwid}`, { mtu: 1500 }), 200, 'MTU raised');
		equal(await patch(path, { bridge: true }), 200, 'bridge on');
		await page.waitForTimeout(2600);
		equal(await field('mtu').inputValue(), '1500', 'MTU in the field after a refresh');
		await field('mtu').fill('1400');
		await page.locator('[data-action="settings-save"]').click();
		await page.locator('form [role=alert]', { hasText: '--bridge off' }).waitFor();
		await page.locator('[data-action="settings-cancel"]').click();
		equal(await patch(path, { bridge: false }), 200, 'bridge off');
		equal(await patch(`/v1/networks/${nwid}`, { mtu: before.mtu, storm: before.storm, 'multicast-rate': before['multicast-rate'],
			'ip-guard': before['ip-guard'] }), 200, 'as before');
	});
}

async function revoke(page) {
	await check('revoking asks first, and No leaves it alone', async () => {
		await page.goto(`${origin}/#/n/${nwid}`);
		await button(page, 'revoke').click();
		await page.locator('[data-action="confirm-no"]').click();
		equal((await asked(page)).state, 'approved', 'state by the API');
	});
	await check('a click revokes it', async () => {
		await button(page, 'revoke').click();
		await page.locator('[data-action="confirm-yes"]').click();
		await state(page, 'revoked');
		equal((await asked(page)).state, 'revoked', 'state by the API');
	});
}

async function doors(page) {
	await check('the link does not work a second time', async () => {
		const other = await browser(origin);
		await other.page.goto(url);
		await other.page.locator('#signedout').waitFor();
		equal(await other.page.evaluate(async () => (await fetch('/v1/networks')).status), 401, 'status without a session');
		await other.context.close();
	});
	await check('nothing but our own origin was asked, and no policy was violated', async () => {
		equal(seen.foreign.join(' '), '', 'foreign requests');
		equal(seen.violations.join(' '), '', 'violations');
		equal(seen.errors.join(' '), '', 'script errors');
		equal(seen.answers.length > 10, true, `answers seen: ${seen.answers.length}`);
		for (const answer of seen.answers)
			equal(answer.policy, POLICY, `policy of ${answer.url}`);
	});
	await check('the policy bites: an inline script and a foreign image are stopped', async () => {
		await page.evaluate(() => {
			const script = document.createElement('script');
			try {
				script.textContent = 'globalThis.inline = 1';
			} catch { /* trusted types say no already */ }
			document.body.append(script);
			const image = document.createElement('img');
			image.src = 'http://192.0.2.1/x.png';
			document.body.append(image);
		});
		await page.waitForTimeout(300);
		equal(await page.evaluate(() => globalThis.inline), undefined, 'inline script ran');
		equal(seen.violations.some((v) => v.startsWith('img-src')) && seen.violations.some((v) => /^(script-src|require-trusted-types-for)/.test(v)), true, `violations reported: ${seen.violations}`);
	});
	await check('signing out ends the session', async () => {
		await page.locator('[data-action="signout"]').click();
		await page.locator('#signedout').waitFor();
		equal(await page.evaluate(async () => (await fetch('/v1/networks')).status), 401, 'status after signing out');
	});
}

let context, page;
try {
	({ context, page } = await browser(origin));
	await approve(page);
	if (step === 'full' && !tally.failed) {
		await rename(page);
		await network(page);
		await settings(page);
		await accessible(page);
		await shots(page);
		await revoke(page);
		await doors(page);
	}
} catch (error) {
	tally.failed++;
	console.log(`FAIL ${error.message}`);
} finally {
	await context?.close().catch(() => {});
	await sweep();
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed ? 1 : 0);
