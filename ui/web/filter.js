// filter.js: which members are shown and in what order. Pure, and cheap for ten thousand: what is searched is joined once per row.

import { stateOf } from './parts.js';

const RANK = { pending: 0, approved: 1, denied: 2, revoked: 3, banned: 4 };
const texts = new WeakMap();

function textOf(m) {
	let text = texts.get(m);
	if (text === undefined) {
		text = [m.name, m.hostname, m.address, m.description, m.os, m.version, m.physical, ...(m.ips || []), m.ipv6, ...(m.tags || [])].join('\n').toLowerCase();
		texts.set(m, text);
	}
	return text;
}

export const FILTERS = [
	['', 'All', () => true],
	['pending', 'Pending', (m) => m.state === 'pending'],
	['online', 'Online', (m) => m.state === 'approved' && m.online],
	['relay', 'Relayed', (m) => m.state === 'approved' && m.online && m.link === 'relay'],
	['offline', 'Offline', (m) => m.state === 'approved' && !m.online],
	['revoked', 'Shut out', (m) => m.state === 'revoked' || m.state === 'denied' || m.state === 'banned'],
];

const name = (m) => m.name || m.hostname || '￿';
const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const ip = (m) => (m.ips?.[0] || '').split(/[./]/).reduce((sum, n) => sum * 256 + Number(n), 0);
const ORDERS = {
	name: (a, b) => text(name(a).toLowerCase(), name(b).toLowerCase()),
	address: (a, b) => ip(a) - ip(b),
	link: (a, b) => (a.rtt_ms ?? 1e9) - (b.rtt_ms ?? 1e9),
	version: (a, b) => text(a.version || '', b.version || ''),
	seen: (a, b) => (b.online - a.online) || ((b.last_seen || 0) - (a.last_seen || 0)),
	state: (a, b) => text(stateOf(a), stateOf(b)),
};

export function counts(list) {
	const found = Object.fromEntries(FILTERS.map(([key]) => [key, 0]));
	const tags = new Map();
	for (const m of list) {
		for (const [key, , is] of FILTERS)
			if (is(m))
				found[key]++;
		for (const tag of m.tags || [])
			tags.set(tag, (tags.get(tag) || 0) + 1);
	}
	return { found, tags: [...tags.keys()].sort().slice(0, 200) };
}

// Who waits is on top whatever the order. sort: a name of ORDERS, "-" before it turns it around.
export function chosen(list, { state, q, tag, sort }) {
	const is = (FILTERS.find(([key]) => key === (state || '')) || FILTERS[0])[2];
	const wanted = (q || '').toLowerCase().split(/\s+/).filter(Boolean);
	const kept = list.filter((m) => is(m) && (!tag || m.tags?.includes(tag)) && (!wanted.length || wanted.every((word) => textOf(m).includes(word))));
	const down = sort?.startsWith('-') ? -1 : 1;
	const order = ORDERS[(sort || '').replace('-', '')];
	const rank = order ? (m) => (m.state === 'pending' ? 0 : 1) : (m) => RANK[m.state] ?? 9;
	return kept.sort((a, b) => rank(a) - rank(b) || (order ? down * order(a, b) : ORDERS.name(a, b)) || text(a.address, b.address));
}
