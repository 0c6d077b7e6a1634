// app.js: entering by the one-time link, asking every two seconds, and what the buttons do.
//
// The fragment names what is shown: #once=TOKEN is traded for a session at once and wiped from the address bar, #/n/ID
// shows a network. Each turn asks for the networks and for the members of the one shown, and nothing while hidden.

import { call, memberPath } from './api.js';
import { byId, el, foreign, renew, visible } from './dom.js';
import { drawMembers, memberTable } from './members.js';
import { settingsPanel } from './settings.js';

const EVERY_MS = 2000;
let timer = 0, turn = 0, seen = null, shown = null, table = null, refreshed = null;

const pick = (networks) => {
	const wanted = /^#\/n\/([0-9a-f]{16})$/.exec(location.hash);
	return networks.find((n) => wanted && n.id === wanted[1]) || networks.find((n) => n.pending) || networks[0] || null;
};

// ---- asking ----

async function refresh() {
	const mine = ++turn;
	clearTimeout(timer);
	try {
		const status = seen || await call('GET', '/v1/status');
		const { networks } = await call('GET', '/v1/networks');
		const network = pick(networks);
		const members = network ? (await call('GET', `/v1/networks/${network.id}/members`)).members : [];
		if (mine !== turn) // a newer turn has begun meanwhile; what this one knows is old
			return;
		seen = status;
		draw(status, networks, network, members);
		refreshed = new Date();
		byId('trouble').hidden = true;
	} catch (problem) {
		if (mine !== turn)
			return;
		if (problem.status === 401)
			return signedOut();
		seen = null;
		trouble(problem);
	}
	if (!document.hidden)
		timer = setTimeout(refresh, EVERY_MS);
}

function trouble(problem) {
	const asOf = refreshed ? ` What you see is as of ${refreshed.toLocaleTimeString()}.` : '';
	byId('trouble').textContent = `${problem.title}. ${visible(problem.detail)} ${problem.hint}${asOf}`;
	byId('trouble').hidden = false;
}

function signedOut(why) {
	clearTimeout(timer);
	turn++;
	seen = shown = null;
	byId('main').hidden = byId('signout').hidden = true;
	byId('detail').replaceChildren();
	byId('signedout').hidden = false;
	if (why)
		byId('signedout-why').textContent = why;
}

function showError(problem) {
	const box = byId('error');
	box.replaceChildren(
		el('strong', {}, visible(problem.title)), ' ', visible(problem.detail), ' ',
		problem.hint ? el('em', {}, visible(problem.hint)) : '',
		el('button', { type: 'button', class: 'quiet', 'data-action': 'error-close', 'aria-label': 'Dismiss', onclick: () => { box.hidden = true; } }, '✕'));
	box.hidden = false;
}

// ---- drawing ----

function draw(status, networks, network, members) {
	byId('main').hidden = byId('signout').hidden = false;
	byId('signedout').hidden = true;
	renew(byId('self'), JSON.stringify([status.address, status.fingerprint, status.health]), () => [
		el('code', {}, status.address), ' ', status.fingerprint,
		status.health === 'ok' ? '' : el('strong', { class: 'bad' }, ` ${visible(status.health)}`)]);
	const waiting = networks.reduce((sum, n) => sum + n.pending, 0);
	const elsewhere = networks.filter((n) => n.pending && n !== network);
	document.title = `${waiting ? `(${waiting}) ` : ''}Farlan controller`;
	// Never hidden, only empty: a live region must stand in the page before its text comes, or nobody reads it out.
	renew(byId('pending'), JSON.stringify([waiting, elsewhere.map((n) => [n.id, n.name])]), () => [
		waiting ? `${waiting} ${waiting === 1 ? 'device waits' : 'devices wait'} for approval` : '',
		...elsewhere.flatMap((n, i) => [i ? ', ' : ' · also in ', el('a', { href: `#/n/${n.id}` }, foreign(n.name))])]);
	drawNetworks(networks, network);
	drawNetwork(network, members);
}

function drawNetworks(networks, network) {
	const sorted = [...networks].sort((a, b) => (b.pending > 0) - (a.pending > 0));
	renew(byId('networks'), JSON.stringify([sorted, network && network.id]), () => sorted.map((n) => el('li', {},
		el('a', { href: `#/n/${n.id}`, 'data-network': n.id, 'aria-current': n === network ? 'page' : null },
			foreign(n.name),
			el('small', {}, `${n.online} of ${n.members} online`),
			n.pending ? el('span', { class: 'badge' }, `${n.pending} pending`) : null))));
	if (!networks.length)
		byId('create').open = true;
}

function drawNetwork(network, members) {
	const detail = byId('detail');
	if (!network) {
		shown = null;
		detail.replaceChildren(el('h2', { id: 'network-name' }, 'No networks yet'),
			el('p', {}, 'A network is one Ethernet that its members share. Make the first one with “New network”.'));
		return;
	}
	if (!shown || shown.id !== network.id) {
		table = memberTable();
		const settings = settingsPanel((changes) => change(network, changes));
		shown = { id: network.id, head: el('div', { class: 'head' }), none: el('div', { class: 'none' }), settings };
		detail.replaceChildren(shown.head, el('div', { class: 'wide' }, table), shown.none, settings.panel);
	}
	renew(shown.head, JSON.stringify(network), () => [
		el('h2', { id: 'network-name' }, foreign(network.name)),
		el('p', {}, 'Network id ', el('code', { 'data-field': 'nwid' }, network.id), ' ', copyButton(network.id, 'Copy the network id'),
			network.ipv4 ? ` · ${network.ipv4}` : ' · no IPv4 pool', ` · MTU ${network.mtu}`, network.public ? ' · public' : '')]);
	shown.settings.draw(network);
	table.hidden = !members.length;
	table.setAttribute('aria-label', `Members of ${visible(network.name)}`);
	drawMembers(table, members, (verb, member, body) => act(network, verb, member, body));
	renew(shown.none, String(members.length > 0), () => members.length ? [] : [
		el('p', {}, 'No members yet. On a device that shall join:'),
		el('p', {}, el('code', {}, `farlan join ${network.id}`), ' ', copyButton(`farlan join ${network.id}`, 'Copy the command'))]);
}

function copyButton(text, label) {
	const button = el('button', {
		type: 'button', class: 'quiet', 'data-action': 'copy', 'aria-label': label,
		onclick: async () => {
			await navigator.clipboard.writeText(text).then(() => { button.textContent = 'copied'; }, () => {});
			setTimeout(() => { button.textContent = 'copy'; }, 1500);
		},
	}, 'copy');
	return button;
}

// ---- doing ----

function confirmed(title, text, yes) {
	const dialog = byId('confirm');
	byId('confirm-title').textContent = title;
	byId('confirm-text').textContent = text;
	byId('confirm-yes').textContent = yes;
	dialog.returnValue = 'no';
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
	});
}

const ASK = {
	revoke: ['Revoke', 'It is cut off from every member at once. Approving it later lets it in again.'],
	delete: ['Delete', 'Its entry and its addresses are given up. If it asks again, it waits for approval as a new device.'],
};

// The member as it stands afterwards, or null when it was not done.
async function act(network, verb, member, body) {
	const path = memberPath(network.id, member.address);
	const who = visible(member.name || member.address);
	if (ASK[verb] && !await confirmed(`${ASK[verb][0]} ${who}?`, ASK[verb][1], ASK[verb][0]))
		return null;
	try {
		byId('error').hidden = true;
		const after = verb === 'rename' ? await call('PATCH', path, body)
			: verb === 'delete' ? await call('DELETE', path)
				: await call('POST', `${path}/${verb}`);
		refresh();
		return after;
	} catch (problem) {
		if (problem.status === 401)
			signedOut();
		else
			showError(problem);
		return null;
	}
}

// The network as it stands afterwards, or null when it was not done.
async function change(network, changes) {
	try {
		byId('error').hidden = true;
		const after = await call('PATCH', `/v1/networks/${network.id}`, changes);
		refresh();
		return after;
	} catch (problem) {
		if (problem.status === 401)
			signedOut();
		else
			showError(problem);
		return null;
	}
}

async function create(event) {
	event.preventDefault();
	const form = event.target, ipv4 = form.ipv4.value.trim();
	try {
		byId('error').hidden = true;
		const network = await call('POST', '/v1/networks', { name: form.name.value.trim(), ...(ipv4 ? { ipv4 } : {}) });
		form.reset();
		byId('create').open = false;
		location.hash = `#/n/${network.id}`;
	} catch (problem) {
		showError(problem);
	}
	refresh();
}

async function signOut() {
	await call('DELETE', '/v1/session').catch(() => {});
	signedOut('You have signed out.');
}

async function enter() {
	const once = /^#once=([0-9a-f]+)$/.exec(location.hash);
	if (!once)
		return refresh();
	history.replaceState(null, '', location.pathname); // first: the token must not stay in the bar, whatever follows
	try {
		await call('POST', '/v1/session', { once: once[1] });
	} catch (problem) {
		if (problem.status !== 401)
			showError(problem);
		// A link that was used up may still be ours: with a session the page simply opens.
		byId('signedout-why').textContent = `${problem.title}. ${problem.detail}`;
	}
	return refresh();
}

byId('create-form').addEventListener('submit', create);
byId('signout').addEventListener('click', signOut);
addEventListener('hashchange', () => (location.hash.startsWith('#once=') ? enter() : refresh()));
document.addEventListener('visibilitychange', () => { if (!document.hidden && !byId('main').hidden) refresh(); });
enter();
