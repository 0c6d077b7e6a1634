// ethertypes.js: which protocols may cross the network: all, the usual three, or a list of one's own.

import { changeNetwork } from './deeds.js';
import { may } from './may.js';
import { Card, Form, Input, SaveBar, useDraft } from './parts.js';
import { html } from './preact.js';
import { words } from './text.js';

const NAMES = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, vlan: 0x8100, qinq: 0x88a8, mpls: 0x8847, pppoe: 0x8864, lldp: 0x88cc, macsec: 0x88e5, profinet: 0x8892, ethercat: 0x88a4, goose: 0x88b8, ptp: 0x88f7, ipx: 0x8137, wol: 0x0842 };
const USUAL = [NAMES.ipv4, NAMES.arp, NAMES.ipv6];
const MODES = [['all', 'All protocols'], ['usual', 'IPv4, ARP and IPv6 only'], ['own', 'Only those of this list']];

const named = new Map(Object.entries(NAMES).map(([name, type]) => [type, name]));
const asText = (types) => (types || []).map((type) => named.get(type) || `0x${type.toString(16).padStart(4, '0')}`).join(' ');
const same = (a, b) => a.length === b.length && a.every((type) => b.includes(type));
const modeOf = (types) => (types === null ? 'all' : same(types, USUAL) ? 'usual' : 'own');

function parsed(text) {
	const types = words(text.toLowerCase()).map((word) => NAMES[word] ?? (/^0x[0-9a-f]{1,4}$/.test(word) ? parseInt(word, 16) : NaN));
	const wrong = types.findIndex(Number.isNaN);
	if (wrong >= 0 || !types.length)
		throw { title: wrong >= 0 ? `What is “${words(text)[wrong]}”?` : 'The list is empty', detail: '', hint: `Names (${Object.keys(NAMES).slice(0, 8).join(', ')} …) or numbers like 0x88cc` }; // eslint-disable-line no-throw-literal
	return [...new Set(types)].sort((a, b) => a - b);
}

export function EtherTypes({ network: n }) {
	const draft = useDraft({ mode: modeOf(n.ethertypes), list: asText(n.ethertypes ?? USUAL) });
	const save = async () => {
		const mode = draft.value('mode');
		await changeNetwork(n, { ethertypes: mode === 'all' ? null : mode === 'usual' ? [...USUAL].sort((a, b) => a - b) : parsed(draft.value('list')) }, { ethertypes: n.ethertypes });
		draft.reset();
	};
	return html`<${Card} title="Protocols"><${Form} label="Protocols" barred=${!may('write', n.id)} save=${save}>
		<${Input} label="What may cross" options=${MODES} help="by the EtherType of each frame; the rest is dropped at both ends" value=${draft.value('mode')} onValue=${draft.set('mode')} data-setting="ethertypes-mode" />
		${draft.value('mode') === 'own' && html`<${Input} label="EtherTypes" kind="area" rows="2" spellcheck=${false} maxlength="300" help="Names or numbers, 16 at most: ipv4 arp ipv6 0x88cc" value=${draft.value('list')} onValue=${draft.set('list')} data-setting="ethertypes" />`}
		<${SaveBar} draft=${draft} action="ethertypes" /><//><//>`;
}
