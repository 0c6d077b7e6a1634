// crowd.js: all members of a network, ten thousand of them if need be, kept current row by row.
//
// They come in pages, so that reading none of them takes the screen away for long; a change of one member asks for that one
// only, a storm of changes for all. A row that did not change stays the same object: what was worked out from it (what the
// search looks through, what is drawn) is worked out once.

import { get, memberPath, networkPath } from './api.js';
import { cellOf, redraw, soon } from './store.js';

const PAGE = 500, PAGES_MAX = 64, ONE_BY_ONE_MAX = 12, GATHER_MS = 60, RATES_MS = 60000;

const same = (a, b) => a.revision === b.revision && a.state === b.state && a.online === b.online && a.last_seen === b.last_seen &&
	a.link === b.link && a.rtt_ms === b.rtt_ms && a.acknowledged === b.acknowledged && a.physical === b.physical && a.traffic?.rx_bps === b.traffic?.rx_bps && a.traffic?.tx_bps === b.traffic?.tx_bps;

const keyOf = (member) => member.key_hash || member.address;

function put(rows, member) {
	const key = keyOf(member), old = rows.get(key);
	if (!old || !same(old, member))
		rows.set(key, member);
}

const finished = (rows, whole) => ({ rows, list: [...rows.values()], whole });

// The old rows stay until the last page is there; the first time, each page is shown as it comes.
async function loadAll(cell) {
	const before = cell.data, rows = new Map();
	let cursor = '';
	for (let page = 0; page < PAGES_MAX; page++) {
		const answer = await get(`${cell.path}?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
		for (const member of answer.members) {
			const old = before?.rows.get(keyOf(member));
			rows.set(keyOf(member), old && same(old, member) ? old : member);
		}
		if (!answer.next)
			break;
		cursor = answer.next;
		if (!before) {
			cell.data = finished(rows, false);
			redraw(cell);
		}
	}
	return finished(rows, true);
}

async function loadOnes(cell, addresses) {
	const answers = await Promise.all(addresses.map((address) => get(`${cell.path}/${address}`).then((m) => [address, m], (p) => [address, p])));
	if (!cell.data || answers.some(([, answer]) => answer instanceof Error && answer.status !== 404))
		return soon(cell); // a key that collides, or nobody there: the list knows
	for (const [address, answer] of answers)
		if (answer instanceof Error)
			remove(cell.data.rows, address);
		else
			put(cell.data.rows, answer);
	cell.data = finished(cell.data.rows, true);
	redraw(cell);
}

function remove(rows, address) {
	for (const [key, member] of rows)
		if (member.address === address)
			rows.delete(key);
}

export function crowd(nwid) {
	const cell = cellOf(`${networkPath(nwid)}/members`, loadAll);
	if (cell.change)
		return cell;
	const touched = new Set();
	let timer = 0;
	const flush = () => {
		timer = 0;
		const addresses = [...touched];
		touched.clear();
		if (!cell.watchers.size || cell.flight || !cell.data?.whole || addresses.length > ONE_BY_ONE_MAX)
			soon(cell);
		else
			loadOnes(cell, addresses);
	};
	cell.change = ({ kind, network, address }) => {
		// Rates of many members are not worth reading them all every ten seconds.
		if (kind === 'traffic' && (!network || network === nwid) && (!cell.data || cell.data.list.length <= PAGE || Date.now() - cell.asked >= RATES_MS))
			return void soon(cell);
		if ((kind !== 'member' && kind !== 'live') || (network && network !== nwid))
			return;
		if (!address)
			return void soon(cell);
		touched.add(address);
		timer ||= setTimeout(flush, GATHER_MS);
	};
	return cell;
}

// What an edit answered is shown at once; the change that follows says the same.
export function shown(nwid, members, gone = []) {
	const cell = crowd(nwid); // it may be asked for the first time after an edit elsewhere
	for (const member of members) {
		const one = cellOf(memberPath(nwid, member.address));
		one.data = member;
		redraw(one);
	}
	if (!cell.data)
		return;
	for (const member of members)
		put(cell.data.rows, member);
	for (const address of gone)
		remove(cell.data.rows, address);
	cell.data = finished(cell.data.rows, cell.data.whole);
	redraw(cell);
}
