// route.js: what is shown is the URL's fragment, filters too: #/n/ID/invites?state=open. Links can be sent and survive a reload.

import { useEffect, useReducer } from './preact.js';

const ID = /^[0-9a-f]{16}$/, ADDRESS = /^[0-9a-f]{10}$/;
const NETWORK_VIEWS = ['invites', 'addresses', 'topology', 'traffic', 'settings'];
const VIEWS = ['networks', 'invites', 'audit', 'accounts', 'settings', 'more', 'welcome'];

function parse(hash) {
	const [path, search = ''] = hash.replace(/^#/, '').split('?');
	const parts = path.split('/').filter(Boolean);
	const route = { path: `/${parts.join('/')}`, query: new URLSearchParams(search), view: 'home', nwid: null, member: null };
	if (parts[0] === 'n' && ID.test(parts[1] || '')) {
		route.nwid = parts[1];
		route.view = 'members';
		if (parts[2] === 'm' && ADDRESS.test(parts[3] || ''))
			return { ...route, view: 'member', member: parts[3] };
		if (NETWORK_VIEWS.includes(parts[2]))
			route.view = `network-${parts[2]}`;
		return route;
	}
	if (parts[0] === 'webhooks' && ID.test(parts[1] || ''))
		return { ...route, view: 'webhook', webhook: parts[1] };
	if (VIEWS.includes(parts[0]))
		route.view = parts[0];
	else if (parts.length)
		route.view = 'lost';
	return route;
}

export const route = () => parse(location.hash);
export const go = (path) => { location.hash = path; };

// Fields of the query; empty ones are left out. Replaces the entry: typing into a filter does not fill the history.
export function setQuery(fields) {
	const { path, query } = route();
	for (const [name, value] of Object.entries(fields))
		if (value)
			query.set(name, value);
		else
			query.delete(name);
	const text = query.toString();
	history.replaceState(null, '', `#${path}${text ? `?${text}` : ''}`);
	dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute() {
	const [, redraw] = useReducer((n) => n + 1, 0);
	useEffect(() => {
		addEventListener('hashchange', redraw);
		return () => removeEventListener('hashchange', redraw);
	}, []);
	return route();
}
