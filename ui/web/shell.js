// shell.js: what stands around every view: the rail (a bar at the bottom on phones), how current it is, who waits.

import { roleName, session } from './may.js';
import { Dialogs, Toasts, openDialog } from './notices.js';
import { Icon } from './parts.js';
import { html, useEffect } from './preact.js';
import { useData, useReach } from './store.js';
import { clock, plural, visible } from './text.js';

const RAIL = [['home', '#/', 'Home'], ['networks', '#/networks', 'Networks'], ['invites', '#/invites', 'Invites'], ['audit', '#/audit', 'Audit'], ['accounts', '#/accounts', 'Accounts'], ['settings', '#/settings', 'Settings']];
const BAR = [...RAIL.slice(0, 3), ['more', '#/more', 'More']];
const RAIL_NETWORKS = 8;

const here = (route, name) => (name === 'more' ? ['audit', 'accounts', 'settings', 'more'].includes(route.view) : route.nwid ? name === 'networks' : route.view === name);

function Rail({ route, networks, status, leave }) {
	const reach = useReach();
	return html`<nav class="rail" aria-label="Main">
		<a class="brand" href="#/"><img src="./icon.svg" width="28" height="28" alt="" /><span>Farlan</span></a>
		<ul>${RAIL.map(([name, href, text]) => html`<li key=${name}><a href=${href} aria-current=${here(route, name) && !route.nwid ? 'page' : null}><${Icon} name=${name} />${text}</a>
			${name === 'networks' && networks.length > 0 && html`<ul class="sub">${networks.slice(0, RAIL_NETWORKS).map((n) => html`<li key=${n.id}><a href=${`#/n/${n.id}`} data-network=${n.id} aria-current=${route.nwid === n.id ? 'page' : null}><bdi class="cut">${visible(n.name, 40)}</bdi>${n.pending > 0 && html`<span class="badge" aria-label=${`${n.pending} pending`}>${n.pending}</span>`}</a></li>`)}</ul>`}</li>`)}</ul>
		<div class="foot"><p class=${`link-state ${reach.away ? 'away' : reach.live ? 'live' : 'asking'}`}>${reach.away ? 'not connected' : reach.live ? 'live' : 'asks every 5 s'}</p>
			<p class="who">${status.user ? visible(status.user, 32) : 'by one-time link'}${session()?.role && session().role !== 'admin' ? html` <span class="minor">(${roleName()})</span>` : ''}</p>
			<button type="button" class="quiet" data-action="signout" onClick=${leave}><${Icon} name="out" />Sign out</button></div>
	</nav>`;
}

const Bar = ({ route, pending }) => html`<nav class="bar" aria-label="Main, short"><ul>${BAR.map(([name, href, text]) => html`<li key=${name}><a href=${href} aria-current=${here(route, name) ? 'page' : null}><${Icon} name=${name} /><span>${text}</span>${name === 'home' && pending > 0 && html`<span class="badge" aria-hidden="true">${pending}</span>`}</a></li>`)}</ul></nav>`;

const KEYS = [['/', 'search the members'], ['a', 'approve the selected ones'], ['x', 'select the row that has the focus'], ['Esc', 'end the selection'], ['?', 'this help']];
const Help = ({ close }) => html`<h2>Keys</h2><dl class="keys">${KEYS.map(([key, text]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
	<p class="buttons end"><button type="button" class="primary" data-action="help-close" onClick=${() => close(null)}>Close</button></p>`;

function helpKey(event) {
	if (event.key === '?' && !event.target.closest?.('input, textarea, select, dialog'))
		openDialog(Help, 'Keys');
}

// Never hidden, only empty: a live region must stand in the page before its text comes, or nobody reads it out.
const Waiting = ({ pending }) => html`<p id="pending" class="hidden" role="status" aria-live="polite">${pending ? `${plural(pending, 'device waits', 'devices wait')} for approval` : ''}</p>`;

function Trouble({ status }) {
	const reach = useReach();
	if (reach.away)
		return html`<div id="trouble" class="notice bad" role="status"><strong>The controller does not answer.</strong> ${reach.since ? `What you see is as of ${clock(reach.since)}.` : ''} It is asked again every two seconds.</div>`;
	if (status.health && status.health !== 'ok')
		return html`<div id="trouble" class="notice bad" role="status"><strong>The controller does not sign.</strong> ${visible(status.health, 300)}</div>`;
	if (status.online === false)
		return html`<div id="trouble" class="notice bad" role="status"><strong>No root answers.</strong> Members that are not connected already cannot find this controller.</div>`;
	return null;
}

export function Shell({ route, status, leave, children }) {
	const { data } = useData('/v1/networks');
	const networks = data?.networks || status.networks || [];
	const pending = networks.reduce((sum, n) => sum + n.pending, 0);
	const reach = useReach();
	useEffect(() => {
		addEventListener('keydown', helpKey);
		return () => removeEventListener('keydown', helpKey);
	}, []);
	useEffect(() => {
		document.title = `${pending ? `(${pending}) ` : ''}Farlan controller`;
	}, [pending]);
	return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>Skip to content</a>
		<${Rail} route=${route} networks=${networks} status=${status} leave=${leave} />
		<main id="main" tabindex="-1" class=${reach.away ? 'stale' : ''}><${Waiting} pending=${pending} /><${Trouble} status=${status} />${children}</main>
		<${Bar} route=${route} pending=${pending} /><${Toasts} /><${Dialogs} />`;
}
