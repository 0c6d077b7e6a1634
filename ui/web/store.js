// store.js: what the controller said, by path, for all views at once. A change names what it touched; those answers that
// somebody looks at are asked for again, the others when somebody does. Old data stays on show until new has come.

import { Problem, get } from './api.js';
import { liveState, listen } from './live.js';
import { useEffect, useReducer } from './preact.js';

const SOON_MS = 60, PAUSE_MS = 700, PAUSE_MAX_MS = 5000, POLL_MS = 5000, AWAY_MS = 2000, CELLS_MAX = 300;
const cells = new Map();
const watchers = new Set();
export const reach = { away: false, since: null }; // since: when the last answer came

const redrawReach = () => { for (const redraw of watchers) redraw(); };

function reached(is) {
	if (is)
		reach.since = new Date();
	if (reach.away === !is)
		return;
	reach.away = !is;
	redrawReach();
	if (is)
		refreshAll();
}

// One answer. load(cell) may be another way to get the data than one GET; it returns what cell.data becomes.
export function cellOf(path, load = () => get(path)) {
	let cell = cells.get(path);
	if (!cell) {
		if (cells.size >= CELLS_MAX)
			for (const [name, old] of cells)
				if (!old.watchers.size && !old.flight)
					cells.delete(name);
		cell = { path, load, data: null, problem: null, watchers: new Set(), flight: false, dirty: true, timer: 0, asked: 0, took: 0, change: null };
		cells.set(path, cell);
	}
	return cell;
}

// Has the controller let us in since the page was opened?
export const inside = () => cells.get('/v1/status')?.data != null;

export const redraw = (cell) => { for (const f of cell.watchers) f(); };

async function ask(cell) {
	clearTimeout(cell.timer);
	cell.timer = 0;
	if (cell.flight) {
		cell.dirty = true;
		return;
	}
	cell.flight = true;
	cell.dirty = false;
	cell.asked = Date.now();
	try {
		cell.data = await cell.load(cell);
		cell.problem = null;
		reached(true);
	} catch (problem) {
		if (!(problem instanceof Problem))
			throw problem;
		cell.problem = problem;
		reached(problem.status !== 0);
	} finally {
		cell.flight = false;
		cell.took = cell.problem ? 0 : Date.now() - cell.asked;
		redraw(cell);
	}
	if (cell.dirty && cell.watchers.size && !reach.away)
		soon(cell);
}

// A storm of changes asks once per pause, and a slow answer pauses for longer.
export function soon(cell) {
	cell.dirty = true;
	if (cell.timer || cell.flight || !cell.watchers.size)
		return;
	cell.timer = setTimeout(() => ask(cell), Math.max(SOON_MS, cell.asked + Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MS, 5 * cell.took)) - Date.now()));
}

export const refresh = (path) => { const cell = cells.get(path); if (cell) ask(cell); };
export function refreshAll() {
	for (const cell of cells.values())
		if (cell.watchers.size)
			ask(cell);
		else
			cell.dirty = true;
}

export function forget() {
	for (const cell of cells.values())
		clearTimeout(cell.timer);
	cells.clear();
	reach.away = false;
}

// Which answers a change is about; without a network it is about all of them.
const within = (network, path) => (network ? path.startsWith(`/v1/networks/${network}`) : path.startsWith('/v1/networks/'));
const touches = {
	traffic: ({ network }, path) => path === '/v1/networks' || (within(network, path) && (path.includes('/traffic?') || path.split('/').length === 6)),
	webhook: (_, path) => path === '/v1/status' || path.startsWith('/v1/webhooks'),
	network: ({ network }, path) => path === '/v1/status' || path === '/v1/networks' || (within(network, path) && path.split('/').length === 4),
	member: ({ network, address }, path) => path === '/v1/networks' || path === '/v1/waiting' ||
		(within(network, path) && !path.includes('/invites') && !path.includes('/traffic?') && (!address || !path.includes('/members/') || path.endsWith(`/${address}`))),
	live: ({ network, address }, path) => path === '/v1/networks' ||
		(within(network, path) && (path.endsWith('/topology') || path.split('/').length === 4 || (path.includes('/members/') && !path.includes('/traffic?') && (!address || path.endsWith(`/${address}`))))),
	invite: ({ network }, path) => path === '/v1/invites' || (within(network, path) && path.endsWith('/invites')),
	audit: (_, path) => path.startsWith('/v1/audit'),
	account: (_, path) => path === '/v1/users' || path === '/v1/tokens' || path === '/v1/status' || path === '/v1/session',
};

listen(({ change, reset }) => {
	if (reset)
		refreshAll();
	for (const cell of change && touches[change.kind] ? cells.values() : [])
		if (cell.change)
			cell.change(change);
		else if (touches[change.kind](change, cell.path))
			soon(cell);
});

// Without a stream, and while nobody answers, asking is all there is.
let polled = 0;
setInterval(() => {
	const every = reach.away ? AWAY_MS : liveState() === 'live' ? Infinity : POLL_MS;
	if (document.hidden || Date.now() - polled < every)
		return;
	polled = Date.now();
	const shown = [...cells.values()].filter((cell) => cell.watchers.size);
	if (reach.away && shown.length)
		ask(shown[0]); // one knock; an answer refreshes the rest
	else
		shown.forEach(ask);
}, 500);

export function useCell(cell) {
	const [, f] = useReducer((n) => n + 1, 0);
	useEffect(() => {
		if (!cell)
			return undefined;
		cell.watchers.add(f);
		if (cell.dirty || cell.problem || liveState() !== 'live')
			ask(cell);
		return () => cell.watchers.delete(f);
	}, [cell]);
	return cell || { data: null, problem: null };
}

export const useData = (path) => useCell(path ? cellOf(path) : null);

export function useReach() {
	const [, f] = useReducer((n) => n + 1, 0);
	useEffect(() => {
		watchers.add(f);
		const end = listen(({ state }) => { if (state) f(); });
		return () => { watchers.delete(f); end(); };
	}, []);
	return { ...reach, live: liveState() === 'live' };
}
