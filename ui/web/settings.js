// settings.js: limits and switches of the network shown. What is half typed is never overwritten by a refresh; only what was
// changed is sent, so that two admins with different fields in mind do not undo each other.

import { el } from './dom.js';

const NUMBERS = [
	{ name: 'mtu', label: 'MTU', help: '1500 or more where a member bridges a LAN', min: 1280, max: 9000 },
	{ name: 'storm', label: 'Storm limit, frames per second', help: 'broadcast and frames to unknown addresses, of one member; 0 = no limit', min: 0, max: 1000000 },
	{ name: 'multicast-rate', label: 'Multicast rate, Mbit/s', help: 'of one member; 0 = no limit', min: 0, max: 100000, unit: 1000 },
	{ name: 'multicast-limit', label: 'Multicast copies', help: 'that a member makes itself before replicators take over; 0 = all', min: 0, max: 1000 },
];
const SWITCHES = [
	{ name: 'public', label: 'Public: whoever asks is approved' },
	{ name: 'broadcast', label: 'Broadcast passes' },
	{ name: 'multicast', label: 'Multicast passes' },
	{ name: 'ra-guard', label: 'RA guard: only routers announce routers' },
	{ name: 'dhcp-guard', label: 'DHCP guard: only DHCP servers answer' },
	{ name: 'ip-guard', label: 'IP guard: members use only their own addresses' },
];

// save(changes) does it and tells whether it was done.
export function settingsPanel(save) {
	const inputs = new Map();
	let held = null, dirty = false;

	const number = (f) => {
		const input = el('input', { type: 'number', id: `set-${f.name}`, 'data-setting': f.name, min: f.min, max: f.max,
			step: f.unit ? 'any' : 1, required: true, 'aria-describedby': `set-${f.name}-help` });
		inputs.set(f.name, { f, input, shown: () => held[f.name] / (f.unit || 1), asked: () => Math.round(input.valueAsNumber * (f.unit || 1)),
			put: (v) => { input.value = v; } });
		return el('p', {}, el('label', { for: `set-${f.name}` }, f.label), input, el('small', { id: `set-${f.name}-help` }, f.help));
	};
	const toggle = (f) => {
		const input = el('input', { type: 'checkbox', id: `set-${f.name}`, 'data-setting': f.name });
		inputs.set(f.name, { f, input, shown: () => held[f.name], asked: () => input.checked, put: (v) => { input.checked = v; } });
		return el('p', { class: 'switch' }, input, el('label', { for: `set-${f.name}` }, f.label));
	};
	const show = () => {
		dirty = false;
		buttons.hidden = true;
		for (const { put, shown } of inputs.values())
			put(shown());
	};
	const buttons = el('p', { class: 'buttons', hidden: true },
		el('button', { type: 'submit', class: 'primary', 'data-action': 'settings-save' }, 'Save'),
		el('button', { type: 'button', 'data-action': 'settings-cancel', onclick: show }, 'Cancel'));
	const form = el('form', {
		autocomplete: 'off',
		oninput: () => {
			dirty = true;
			buttons.hidden = false;
		},
		onsubmit: async (event) => {
			event.preventDefault();
			const changes = {};
			for (const [name, { asked }] of inputs)
				if (asked() !== held[name])
					changes[name] = asked();
			const after = Object.keys(changes).length ? await save(changes) : held;
			if (after) {
				held = after;
				show();
			}
		},
	}, ...NUMBERS.map(number), ...SWITCHES.map(toggle), buttons);
	const panel = el('details', { id: 'settings' }, el('summary', { 'data-action': 'settings-open' }, 'Settings'), form);

	return {
		panel,
		draw: (network) => {
			if (dirty)
				return;
			held = network;
			show();
		},
	};
}
