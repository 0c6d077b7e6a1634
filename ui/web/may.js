// may.js: what this session may do. What would be refused is not offered; the controller has the last word all the same.

import { html } from './preact.js';
import { cellOf } from './store.js';
import { visible } from './text.js';

export const session = () => cellOf('/v1/session').data;

// what: 'admin', 'write' (edits of a network) or 'approve'.
export function may(what, nwid) {
	const scopes = session()?.scopes;
	if (!scopes || scopes.includes('admin'))
		return true;
	if (what === 'admin' || !nwid)
		return what === 'approve' && scopes.includes('members:approve');
	return scopes.includes(`network:${nwid}:write`) || (what === 'approve' && scopes.includes('members:approve'));
}

// Who may only approve decides of those who wait or were denied.
export function mayDo(verb, nwid, member) {
	if (verb === 'ban' || verb === 'unban')
		return may('admin');
	if (verb !== 'approve' && verb !== 'deny')
		return may('write', nwid);
	return may('write', nwid) || (may('approve', nwid) && (!member || member.state === 'pending' || member.state === 'denied'));
}

export const roleName = () => visible(session()?.role || 'this session', 20);
export const Barred = ({ what = 'change it' }) => html`<p class="hint barred" data-field="barred">Your role (${roleName()}) lets you look at this, not ${what}.</p>`;
