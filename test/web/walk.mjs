// walk.mjs: what an admin does with the page, from the first link on. run.py starts it beside a controller that nobody used yet.
//
//   FARLAN_SHOTS  folder for a picture of every view, light, dark and on a phone

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { POLICY, api, axe, browser, check, equal, holds, overflow, seen, sweep, tally, until } from './browser.mjs';
import { done, outside } from './outside.mjs';

const origin = 'http://127.0.0.1:8080';
const SHOTS = process.env.FARLAN_SHOTS;
const HOSTILE = '<img src=x onerror=globalThis.pwned=1>\u202egnp.exe\u200b';
const PASSWORD = 'three words of mine', POOL = '10.90.0.0/24';
let nwid = '', invitation = '', first = null, second = null;
const members = {}; // name -> address

const row = (page, name) => page.locator(`tr[data-member="${members[name]}"]`);
const memberOf = async (page, name) => (await api(page, `/v1/networks/${nwid}/members/${members[name]}`)).body;
const show = (page, path) => page.goto(`${origin}/#${path}`);

async function firstRun(page) {
	const link = await outside.link();
	await check('the first link opens the wizard and leaves the address bar', async () => {
		await page.goto(link);
		await page.locator('[data-field="user"]').waitFor();
		equal(page.url().includes('once='), false, 'token in the address bar');
	});
	await check('two passwords that differ, and one too short, are refused where they are typed', async () => {
		await page.locator('[data-field="user"]').fill('anna');
		await page.locator('[data-field="password"]').fill(PASSWORD);
		await page.locator('[data-field="password-again"]').fill(`${PASSWORD}x`);
		await page.locator('[data-action="setup"]').click();
		await page.locator('form [role=alert]', { hasText: 'differ' }).waitFor();
		equal(await page.locator('[data-field="password"]').evaluate((e) => { e.value = 'short'; return e.minLength; }), 8, 'least length');
	});
	await check('a user of one\'s own', async () => {
		await page.locator('[data-field="password"]').fill(PASSWORD);
		await page.locator('[data-field="password-again"]').fill(PASSWORD);
		await page.locator('[data-action="setup"]').click();
		await page.locator('[data-field="network-name"]').waitFor();
		equal((await api(page, '/v1/users')).body.users.map((u) => u.name).join(), 'anna', 'users by the API');
	});
	await check('a network, with addresses that are suggested', async () => {
		const suggested = await page.locator('[data-field="network-ipv4"]').inputValue();
		holds(/^(10|172|192)\.\d+\.\d+\.0\/24$/.test(suggested), `suggestion ${suggested}`);
		await page.locator('[data-field="network-name"]').fill('home');
		await page.locator('[data-field="network-ipv4"]').fill(POOL);
		await page.locator('[data-action="create"]').click();
		await page.locator('[data-field="link"], [data-action="welcome-done"]').first().waitFor();
		const { networks } = (await api(page, '/v1/networks')).body;
		equal(`${networks.length} ${networks[0].name} ${networks[0].ipv4}`, `1 home ${POOL}`, 'networks by the API');
		nwid = networks[0].id;
	});
	await check('an invitation with its link and its code', async () => {
		invitation = await page.locator('[data-field="link"]').textContent();
		holds(invitation.startsWith('farlan://'), `link ${invitation.slice(0, 20)}`);
		await page.locator('img.qr').evaluate((e) => e.decode());
		await shoot(page, 'welcome');
		await page.locator('[data-action="welcome-done"]').click();
		await page.locator('.empty', { hasText: 'No members yet' }).waitFor();
	});
	await check('the link does not work a second time', async () => {
		const other = await browser(origin);
		await other.page.goto(link);
		await other.page.locator('#signedout-why').waitFor();
		equal((await api(other.page, '/v1/networks')).status, 401, 'status without a session');
		await other.context.close();
	});
}

async function passwords() {
	second = await browser(origin);
	const { page } = second;
	await check('a wrong password is refused, and says no more than that', async () => {
		await page.goto(`${origin}/#/n/${nwid}`);
		await page.locator('[data-field="user"]').fill('anna');
		await page.locator('[data-field="password"]').fill('not my password');
		await page.locator('[data-action="signin"]').click();
		await page.locator('form [role=alert]').waitFor();
		await page.locator('#signedout').waitFor();
		await shoot(page, 'signin');
	});
	await check('the right one leads to where one wanted to go: two browsers at once', async () => {
		await until('signed in', async () => { // the door may ask for patience after a wrong one
			await page.locator('[data-field="password"]').fill(PASSWORD);
			await page.locator('[data-action="signin"]').click();
			return page.locator('.empty', { hasText: 'No members yet' }).waitFor({ timeout: 5000 }).then(() => true, () => false);
		}, 40000);
	});
}

// ms: of a quiet machine.
async function within(ms, what, wait) {
	const begun = performance.now();
	await wait();
	const took = performance.now() - begun;
	holds(await outside.allowed(took, ms), `${what}: ${Math.round(took)} ms`);
}

async function joining(page, other) {
	await check('a node joins and appears as pending without a reload, in both browsers', async () => {
		await show(page, '/');
		await page.locator('h1', { hasText: 'Home' }).waitFor();
		await page.evaluate(() => { globalThis.stamp = 1; });
		members.A = await outside.node('A');
		const begun = performance.now();
		await outside.join('A', nwid);
		await page.locator(`.waiting[data-member="${members.A}"]`).waitFor();
		await row(other, 'A').waitFor();
		const took = performance.now() - begun;
		equal(await row(other, 'A').getAttribute('data-state'), 'pending', 'state in the other browser');
		equal(await page.evaluate(() => globalThis.stamp), 1, 'the page was not loaded again');
		const { fingerprint } = await memberOf(page, 'A');
		equal(await page.locator('.waiting .words').textContent(), fingerprint, 'words to compare');
		equal(await page.locator('#pending').textContent(), '1 device waits for approval', 'announced');
		return `${Math.round(took)} ms from join to both screens`;
	});
	await check('a click approves, and its join --wait returns within a second', async () => {
		const button = page.locator(`[data-action="approve"][data-member="${members.A}"]`);
		await button.hover();
		const at = Date.now();
		await button.click();
		const ended = await outside.joined('A');
		equal(ended.code, 0, `exit of join: ${ended.err}`);
		holds(await outside.allowed(ended.at - at, 1000), `join ended ${Math.round(ended.at - at)} ms after the click`);
		await other.locator(`tr[data-member="${members.A}"][data-state="approved"]`, { hasText: 'online' }).waitFor();
		return `${Math.round(ended.at - at)} ms`;
	});
	await check('an invitation lets a second node in by its link alone', async () => {
		await outside.node('B').then((address) => { members.B = address; });
		await outside.join('B', invitation);
		const ended = await outside.joined('B');
		equal(ended.code, 0, `exit of join: ${ended.err}`);
		await other.locator(`tr[data-member="${members.B}"][data-state="approved"]`).waitFor();
		equal((await memberOf(page, 'B')).state, 'approved', 'state by the API');
	});
}

async function editing(page, other) {
	await check('a new name is typed in the row and shows in the other browser', async () => {
		await show(page, `/n/${nwid}`);
		await row(page, 'A').locator('[data-action="rename"]').press('Enter');
		const input = row(page, 'A').locator('[data-field="name"]');
		await input.fill('Annas Laptop');
		await input.press('Enter');
		await row(page, 'A').locator('.name bdi', { hasText: 'Annas Laptop' }).waitFor();
		await within(3000, 'the name in the other browser', () => row(other, 'A').locator('.name bdi', { hasText: 'Annas Laptop' }).waitFor());
		equal((await memberOf(page, 'A')).name, 'Annas Laptop', 'name by the API');
		equal(await page.evaluate(() => document.activeElement?.closest('tr')?.dataset.member), members.A, 'row with the focus');
	});
	await check('Undo takes it back', async () => {
		await page.locator('[data-action="undo"]').click();
		await until('the old name', async () => (await memberOf(page, 'A')).name !== 'Annas Laptop');
	});
	await check('a fixed address reaches the node', async () => {
		await show(page, `/n/${nwid}/m/${members.A}`);
		await page.locator('[data-field="ips"]').fill('10.90.0.77');
		await page.locator('[data-field="description"]').fill('The one in the kitchen');
		await page.locator('[data-field="tags"]').fill('kitchen floor-1');
		await page.locator('[data-action="addresses-save"]').click();
		await page.locator('[data-action="addresses-save"]').waitFor({ state: 'hidden' });
		await until('the node has it', async () => (await outside.addresses('A', nwid)).some((a) => a.startsWith('10.90.0.77/')));
		equal(await page.locator('[data-field="description"]').inputValue(), 'The one in the kitchen', 'what is typed elsewhere stays');
		await page.locator('[data-action="words-save"]').click();
		await page.locator('[data-action="words-save"]').waitFor({ state: 'hidden' });
		const m = await memberOf(page, 'A');
		equal(`${m.ips[0]} ${m.description} ${m.tags}`, '10.90.0.77/24 The one in the kitchen floor-1,kitchen', 'by the API');
		await page.locator('.events li', { hasText: 'member.' }).first().waitFor();
	});
	await check('what somebody else changed meanwhile is not overwritten', async () => {
		await show(page, `/n/${nwid}/settings`);
		const field = page.locator('[data-setting="storm"]');
		await field.fill('900');
		const before = (await api(page, `/v1/networks/${nwid}`)).body;
		await page.route(`**/v1/networks/${nwid}`, (route) => (route.request().method() === 'GET' ? route.abort() : route.continue()));
		equal((await api(other, `/v1/networks/${nwid}`, 'PATCH', { storm: 800 })).status, 200, 'the other edit');
		await page.locator('[data-action="settings-save"]').click();
		await page.locator('form [role=alert]').waitFor();
		equal((await api(other, `/v1/networks/${nwid}`)).body.storm, 800, 'storm limit by the API');
		await page.unroute(`**/v1/networks/${nwid}`);
		await page.locator('[data-action="settings-cancel"]').click();
		equal((await api(other, `/v1/networks/${nwid}`, 'PATCH', { storm: before.storm })).status, 200, 'as before');
	});
	await check('routes and DNS', async () => {
		await show(page, `/n/${nwid}/addresses`);
		await page.locator('[data-field="route-target"]').fill('192.168.7.0/24');
		await page.locator('[data-field="route-via"]').fill('10.90.0.77');
		await page.locator('[data-action="route-add"]').click();
		await page.locator('table[aria-label="Routes"] tbody tr').waitFor();
		await page.locator('[data-setting="dns-domain"]').fill('home.lan');
		await page.locator('[data-setting="dns-servers"]').fill('10.90.0.77');
		await page.locator('[data-action="dns-save"]').click();
		await page.locator('[data-action="dns-save"]').waitFor({ state: 'hidden' });
		const n = (await api(page, `/v1/networks/${nwid}`)).body;
		equal(`${n.routes[0].target} ${n.routes[0].via} ${n.dns.domain} ${n.dns.servers}`, '192.168.7.0/24 10.90.0.77 home.lan 10.90.0.77', 'by the API');
	});
}

async function cutting(page) {
	await check('a click revokes, and its traffic stops within a second', async () => {
		const to = (await outside.addresses('B', nwid)).find((a) => a.startsWith('10.90.')).split('/')[0];
		await outside.flow_begin('A', to);
		await show(page, `/n/${nwid}`);
		await row(page, 'B').locator('[data-action="revoke"]').click();
		await page.locator('[data-field="reason"]').fill('lost on a train');
		const at = Date.now();
		await page.locator('[data-action="confirm-yes"]').click();
		await page.locator(`tr[data-member="${members.B}"][data-state="revoked"]`).waitFor();
		await page.waitForTimeout(4500); // four times a second is the most that is ever allowed
		const answers = await outside.flow_end();
		holds(answers.length >= 5 && answers[0] < at, `traffic before: ${answers.length} answers`);
		const last = answers.at(-1) - at;
		holds(await outside.allowed(last, 1000), `the last answer came ${Math.round(last)} ms after the click`);
		return `last answer ${Math.round(last)} ms after the click`;
	});
}

async function hostile(page) {
	await check('a hostile host name is shown, inert and with its invisible characters', async () => {
		members.D = await outside.node('D', HOSTILE);
		await outside.join('D', nwid);
		await row(page, 'D').waitFor();
		equal(await row(page, 'D').locator('.name bdi').textContent(), '<img src=x onerror=globalThis.pwned=1>⟨U+202E⟩gnp.exe⟨U+200B⟩', 'shown name');
		equal(await row(page, 'D').locator('img').count(), 0, 'elements made of the name');
		await show(page, '/');
		await page.locator('.waiting bdi', { hasText: '⟨U+202E⟩' }).waitFor();
		equal(await page.evaluate(() => globalThis.pwned), undefined, 'script run by the name');
	});
	await check('a name of 10 KB gets in by no door', async () => {
		const answer = await api(page, `/v1/networks/${nwid}/members/${members.D}`, 'PATCH', { name: 'n'.repeat(10240) });
		equal(answer.status, 400, 'status');
		await show(page, `/n/${nwid}/m/${members.D}`);
		await page.locator('[data-field="name"]').fill('n'.repeat(10240));
		equal((await page.locator('[data-field="name"]').inputValue()).length, 63, 'characters the field takes');
		await page.locator('[data-action="words-cancel"]').click();
	});
}

async function keys(page) {
	await check('the keyboard: / searches, x picks, a approves, ? helps', async () => {
		await show(page, `/n/${nwid}`);
		await row(page, 'D').waitFor();
		await page.keyboard.press('/');
		equal(await page.evaluate(() => document.activeElement.dataset.field), 'search', 'focus');
		await page.keyboard.type(members.D);
		await until('one row', async () => await page.locator('tr[data-member]').count() === 1);
		holds(page.url().includes(`q=${members.D}`), `URL ${page.url()}`);
		await row(page, 'D').locator('.name a').focus();
		await page.keyboard.press('x');
		await page.locator('.many', { hasText: '1 selected' }).waitFor();
		await page.keyboard.press('a');
		await page.locator(`tr[data-member="${members.D}"][data-state="approved"]`).waitFor();
		await page.keyboard.press('?');
		await page.locator('dialog[open] .keys').waitFor();
		await page.keyboard.press('Escape');
		await page.locator('dialog[open]').waitFor({ state: 'detached' });
		const at = Date.now(), ended = await outside.joined('D');
		equal(ended.code, 0, 'exit of join');
		return `its join ended ${Math.round(ended.at - at)} ms after`;
	});
}

async function accounts(page) {
	await check('a token is shown once, works, and ends', async () => {
		await show(page, '/accounts');
		await page.locator('[data-field="token-name"]').fill('monitoring');
		await page.locator('[data-action="token-create"]').click();
		const token = await page.locator('[data-field="token"]').textContent();
		holds(token.startsWith('farc_'), `token ${token.slice(0, 5)}`);
		await page.locator('[data-action="token-close"]').click();
		const ask = () => page.evaluate(async (t) => (await fetch('/v1/networks', { credentials: 'omit', headers: { Authorization: `Bearer ${t}` } })).status, token);
		equal(await ask(), 200, 'status by the token');
		await page.locator('[data-action="token-revoke"]').click();
		await page.locator('[data-action="confirm-yes"]').click();
		await until('shut out', async () => await ask() === 401);
		equal((await page.content()).includes(token), false, 'token in the page');
	});
	await check('the audit log is whole, filtered by its URL, and taken home', async () => {
		await show(page, '/audit?action=member.revoke');
		await page.locator('table.audit tbody tr').first().waitFor();
		const shown = await page.locator('table.audit tbody th').allTextContents();
		equal([...new Set(shown)].join(), 'member.revoke', 'actions shown');
		await show(page, '/audit');
		await page.locator('[data-action="audit-verify"]').click();
		await page.locator('[data-field="verdict"]', { hasText: 'whole' }).waitFor();
		const [file] = await Promise.all([page.waitForEvent('download'), page.locator('[data-action="audit-export"]').click()]);
		const lines = (await readFile(await file.path(), 'utf8')).trim().split('\n').map(JSON.parse);
		holds(lines.some((e) => e.action === 'member.revoke' && e.actor === 'user:anna') || lines.some((e) => e.action === 'member.revoke'), 'the revocation is in it');
	});
	await check('a backup is downloaded and looked into', async () => {
		await show(page, '/settings');
		await page.locator('[data-field="backup-passphrase"]').fill('Größe 12 ж');
		await page.locator('[data-field="backup-again"]').fill('Größe 12 ж');
		const [file] = await Promise.all([page.waitForEvent('download', { timeout: 60000 }), page.locator('[data-action="backup"]').click()]);
		const path = await file.path();
		await page.locator('[data-field="restore-file"]').setInputFiles({ name: 'b.backup', mimeType: 'application/octet-stream', buffer: await readFile(path) });
		await page.locator('[data-field="restore-passphrase"]').fill('wrong passphrase');
		await page.locator('[data-action="restore"]').click();
		await page.locator('form [role=alert]').waitFor({ timeout: 60000 });
		await page.locator('[data-field="restore-passphrase"]').fill('Größe 12 ж');
		await page.locator('[data-action="restore"]').click();
		await page.locator('[data-field="restore-report"]', { hasText: 'farlan restore' }).waitFor({ timeout: 60000 });
	});
}

async function outage(page, other) {
	await check('the controller goes away: the page says so and as of when, and greys what it shows', async () => {
		await show(page, `/n/${nwid}`);
		await row(page, 'A').waitFor();
		await page.evaluate(() => { globalThis.stamp = 2; });
		await outside.down();
		await page.locator('#trouble', { hasText: 'as of' }).waitFor();
		equal(await page.locator('main.stale').count(), 1, 'greyed');
		equal(await row(page, 'A').count(), 1, 'the rows stay');
		await shoot(page, 'away');
	});
	await check('it comes back: the page goes on by itself, signed in as before', async () => {
		await outside.up();
		await page.locator('#trouble').waitFor({ state: 'detached', timeout: 60000 });
		await page.locator('.link-state.live').waitFor({ timeout: 60000 });
		await row(page, 'A').locator('.state', { hasText: 'online' }).waitFor({ timeout: 60000 });
		await page.locator('.network-head .meta', { hasText: '2 of 2 online' }).waitFor({ timeout: 60000 });
		equal(await page.evaluate(() => globalThis.stamp), 2, 'the page was not loaded again');
	});
	await check('a session that ended leads to the way in, and back to where one was', async () => {
		await outside.down();
		holds(await outside.forget_sessions() >= 2, 'there were sessions');
		await outside.up();
		for (const p of [page, other]) {
			await p.locator('#signedout-why', { hasText: 'session has ended' }).waitFor({ timeout: 60000 });
			await p.locator('[data-field="user"]').fill('anna');
			await p.locator('[data-field="password"]').fill(PASSWORD);
			await p.locator('[data-action="signin"]').click();
			await row(p, 'A').waitFor();
		}
	});
}

async function tabs(page) {
	await check('of several tabs one holds the stream, and all of them know', async () => {
		let streams = 0;
		const context = page.context();
		const counted = (request) => { streams += request.url().endsWith('/v1/events'); };
		context.on('request', counted);
		const more = [await context.newPage(), await context.newPage()];
		for (const tab of more) {
			await tab.goto(`${origin}/#/n/${nwid}`);
			await row(tab, 'A').waitFor();
			await tab.locator('.link-state.live').waitFor();
		}
		equal(streams, 0, 'streams opened by further tabs');
		equal((await api(page, `/v1/networks/${nwid}/members/${members.A}`, 'PATCH', { name: 'seen by all' })).status, 200, 'edit');
		for (const tab of more)
			await within(3000, 'the name in each tab', () => row(tab, 'A').locator('.name bdi', { hasText: 'seen by all' }).waitFor());
		for (const tab of more)
			await tab.close();
		context.off('request', counted);
	});
}

async function shoot(page, name) {
	if (SHOTS)
		await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

const views = () => ({
	home: '/', networks: '/networks', members: `/n/${nwid}`, member: `/n/${nwid}/m/${members.A}`, 'network-invites': `/n/${nwid}/invites`,
	'network-addresses': `/n/${nwid}/addresses`, topology: `/n/${nwid}/topology`, 'network-traffic': `/n/${nwid}/traffic`, 'network-settings': `/n/${nwid}/settings`, invites: '/invites',
	audit: '/audit', accounts: '/accounts', settings: '/settings', more: '/more', lost: '/nowhere',
});

async function looks(page) {
	const modes = [['light', 'light', 1280], ['dark', 'dark', 1280], ['phone', 'light', 360], ['phone-dark', 'dark', 360]];
	await page.emulateMedia({ reducedMotion: 'reduce' });
	for (const [mode, colorScheme, width] of modes)
		await check(`every view fits and is accessible: ${mode}, ${width} px`, async () => {
			await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
			await page.setViewportSize({ width, height: width < 640 ? 740 : 860 });
			const bad = [];
			for (const [name, path] of Object.entries(views())) {
				await show(page, path);
				await page.locator('main h1, main h2').first().waitFor();
				await until('loaded', async () => !await page.locator('.loading').count()).catch(() => bad.push(`${name}: it goes on loading`));
				await page.waitForTimeout(120);
				await shoot(page, `${name}-${mode}`);
				if (await page.evaluate(() => [...document.querySelectorAll('main .card, main .sheet, main table')].some((e) =>
					e.compareDocumentPosition(document.querySelector('main h1')) & Node.DOCUMENT_POSITION_FOLLOWING)))
					bad.push(`${name}: the heading is not first`);
				const over = await overflow(page);
				if (over > 0)
					bad.push(`${name}: ${over} px too wide`);
				if (mode === 'light' || mode === 'dark' || name === 'members' || name === 'home')
					bad.push(...(await axe(page)).map((finding) => `${name}: ${finding}`));
			}
			equal(bad.join('; '), '', 'findings');
		});
	await page.setViewportSize({ width: 1280, height: 860 });
}

async function sealed() {
	await check('nothing but our own origin was asked, no policy was violated, no script failed', async () => {
		equal(seen.foreign.join(' '), '', 'foreign requests');
		equal(seen.violations.join(' '), '', 'violations');
		equal(seen.errors.join(' '), '', 'script errors');
		holds(seen.answers.length > 100, `answers seen: ${seen.answers.length}`);
		for (const answer of seen.answers)
			equal(answer.policy, POLICY, `policy of ${answer.url}`);
	});
}

try {
	if (SHOTS)
		await mkdir(SHOTS, { recursive: true });
	first = await browser(origin);
	await firstRun(first.page);
	if (!tally.failed)
		await passwords();
	if (!tally.failed)
		for (const part of [joining, editing, cutting, hostile, keys, accounts, outage, tabs, looks])
			await part(first.page, second.page);
	await sealed();
} catch (error) {
	tally.failed++;
	console.log(`FAIL ${error.message.split('\n').slice(0, 4).join(' | ')}`);
} finally {
	await first?.context.close().catch(() => {});
	await second?.context.close().catch(() => {});
	await sweep();
	done();
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed ? 1 : 0);
