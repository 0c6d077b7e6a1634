// members.js: the table of one network's members. Rows are kept by key and redrawn only when they changed, so that a
// refresh never takes a half-typed name or the keyboard's place away.

import { ago, el, foreign, renew, visible } from './dom.js';

const ORDER = ['pending', 'approved', 'denied', 'revoked'];
const COLUMNS = ['State', 'Name', 'Member', 'Addresses', 'Seen', 'Actions'];
const SIGN = { pending: '◐', approved: '●', denied: '○', revoked: '✕' };
const editing = new Set(); // key_hash of rows whose name is being typed

export function memberTable() {
	return el('table', { class: 'members', role: 'table' },
		el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
			...COLUMNS.map((name) => el('th', { scope: 'col', role: 'columnheader' }, name)))),
		el('tbody', { role: 'rowgroup' }));
}

// act(verb, member, body) does it; verbs: approve deny revoke delete rename.
export function drawMembers(table, members, act) {
	const body = table.tBodies[0];
	const rows = new Map([...body.rows].map((row) => [row.dataset.keyHash, row]));
	const sorted = [...members].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.address < b.address ? -1 : 1));

	sorted.forEach((member, at) => {
		let row = rows.get(member.key_hash);
		rows.delete(member.key_hash);
		if (!row)
			row = el('tr', { role: 'row', 'data-key-hash': member.key_hash, 'data-member': member.address });
		row.dataset.state = member.state;
		if (!editing.has(member.key_hash))
			drawRow(row, member, act);
		if (body.rows[at] !== row) { // moving a row takes the keyboard's place out of it
			const held = row.contains(document.activeElement) ? document.activeElement : null;
			body.insertBefore(row, body.rows[at] || null);
			if (held)
				held.focus();
		}
	});
	for (const [key, row] of rows) {
		editing.delete(key);
		row.remove();
	}
}

function drawRow(row, member, act) {
	const seen = member.online ? 'online' : ago(member.last_seen);
	renew(row, JSON.stringify([member, seen]), () => [
		cell('State', el('span', { class: `state ${member.state}` }, el('span', { 'aria-hidden': 'true' }, `${SIGN[member.state] || '?'} `), member.state)),
		el('th', { scope: 'row', role: 'rowheader', 'data-label': 'Name' }, ...nameCell(row, member, act)),
		cell('Member', el('code', {}, member.address), el('small', {}, member.fingerprint)),
		cell('Addresses', ...addresses(member)),
		cell('Seen', el('span', { class: member.online ? 'online' : 'offline' }, seen),
			member.physical ? el('small', { title: 'where its packets come from' }, member.physical) : null),
		el('td', { role: 'cell', 'data-label': 'Actions', class: 'actions' }, ...buttons(member, act)),
	]);
}

const cell = (label, ...children) => el('td', { role: 'cell', 'data-label': label }, ...children);

function addresses(member) {
	const on = Object.entries(member.flags || {}).filter(([, is]) => is).map(([name]) => name);
	return [
		...member.ips.map((ip) => el('code', {}, ip)),
		el('code', { class: 'minor' }, member.ipv6.split('/')[0]),
		on.length ? el('small', {}, on.join(', ')) : null,
	];
}

function nameCell(row, member, act) {
	const asked = member.hostname && member.hostname !== member.name;
	const system = [member.os, member.version].filter(Boolean).map(visible).join(' · ');
	return [
		el('span', { class: 'name' },
			member.name ? foreign(member.name) : el('em', {}, 'no name'),
			button('rename', '✎', member, () => rename(row, member, act), `Rename ${visible(member.name || member.address)}`, 'quiet')),
		asked ? el('small', {}, 'calls itself ', foreign(member.hostname)) : null,
		system ? el('small', {}, el('bdi', {}, system)) : null,
	];
}

function button(action, text, member, onclick, label, kind) {
	return el('button', { type: 'button', class: kind, 'data-action': action, 'data-member': member.address, 'aria-label': label, onclick }, text);
}

function buttons(member, act) {
	const who = visible(member.name || member.address);
	const make = (verb, text, kind) => button(verb, text, member, () => act(verb, member), `${text} ${who}`, kind);
	switch (member.state) {
	case 'pending':
		return [make('approve', 'Approve', 'primary'), make('deny', 'Deny')];
	case 'approved':
		return [make('revoke', 'Revoke', 'danger')];
	default:
		return [make('approve', 'Approve'), make('delete', 'Delete', 'danger')];
	}
}

function rename(row, member, act) {
	const done = (focus) => {
		editing.delete(member.key_hash);
		row.dataset.key = '';
		drawRow(row, member, act);
		if (focus)
			row.querySelector('[data-action=rename]').focus();
	};
	const input = el('input', {
		'data-field': 'name', 'aria-label': 'Name', maxlength: 63, required: true, autocomplete: 'off',
		onkeydown: (event) => { if (event.key === 'Escape') done(true); },
	});
	const form = el('form', {
		class: 'rename',
		onsubmit: async (event) => {
			event.preventDefault();
			const changed = await act('rename', member, { name: input.value.trim() });
			if (changed) {
				member = changed;
				done(true);
			}
		},
	}, input,
	el('button', { type: 'submit', class: 'primary', 'data-action': 'rename-save' }, 'Save'),
	el('button', { type: 'button', 'data-action': 'rename-cancel', onclick: () => done(true) }, 'Cancel'));
	editing.add(member.key_hash);
	input.value = member.name;
	row.querySelector('th').replaceChildren(form);
	input.select();
	input.focus();
}
