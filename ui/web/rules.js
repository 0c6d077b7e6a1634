// rules.js: limits and switches of a network. What is half typed is never overwritten by news; only what was changed is sent.

import { call, networkPath } from './api.js';
import { changeNetwork } from './deeds.js';
import { may } from './may.js';
import { ask, said } from './notices.js';
import { EtherTypes } from './ethertypes.js';
import { Act, Card, Form, Input, Pending, SaveBar, Switch, useDraft } from './parts.js';
import { html } from './preact.js';
import { go } from './route.js';
import { refresh, useData } from './store.js';
import { visible } from './text.js';

const NUMBERS = [
	['mtu', 'MTU', '1500 or more where a member bridges a LAN', 1280, 9000],
	['storm', 'Storm limit, frames per second', 'broadcast and frames to unknown addresses, of one member; 0 = no limit', 0, 1000000],
	['multicast-rate', 'Multicast rate, Mbit/s', 'of one member; 0 = no limit', 0, 100000, 1000],
	['multicast-limit', 'Multicast copies', 'that a member makes itself before replicators take over; 0 = all', 0, 1000],
];
const SWITCHES = [
	['public', 'Public', 'whoever asks is approved'],
	['broadcast', 'Broadcast', 'frames to everybody pass'],
	['multicast', 'Multicast', 'frames to groups pass'],
	['ra-guard', 'RA guard', 'only routers announce routers'],
	['dhcp-guard', 'DHCP guard', 'only DHCP servers answer'],
	['ip-guard', 'IP guard', 'members use only their own addresses'],
];
const scale = Object.fromEntries(NUMBERS.map(([name, , , , , unit]) => [name, unit || 1]));

function Fields({ network, names, title, action, children }) {
	const held = Object.fromEntries(names.map((name) => [name, scale[name] ? network[name] / scale[name] : network[name] ?? '']));
	const draft = useDraft(held);
	const sent = (fields) => Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, scale[k] ? Math.round(v * scale[k]) : v]));
	const save = async () => {
		await changeNetwork(network, sent(draft.changes), Object.fromEntries(Object.keys(draft.changes).map((k) => [k, network[k]])));
		draft.reset();
	};
	return html`<${Card} title=${title}><${Form} label=${title} class=${action === 'switches' ? 'form switches' : 'form'} barred=${!may('write', network.id)} save=${save}>${children(draft)}<${SaveBar} draft=${draft} action=${action} /><//><//>`;
}

async function remove(network) {
	const yes = await ask({ title: `Delete ${visible(network.name, 63)}?`, text: 'All its members are cut off, its invitations end, and its id is never used again.', yes: 'Delete the network', danger: true, type: network.name });
	if (yes === null)
		return;
	await call('DELETE', networkPath(network.id));
	refresh('/v1/networks');
	said(`${visible(network.name, 63)} is deleted.`);
	go('/networks');
}

export function NetworkSettings({ nwid }) {
	const cell = useData(networkPath(nwid));
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="settings" />`;
	const n = cell.data;
	const text = 'description' in n ? ['name', 'description'] : ['name'];
	return html`<div class="grid">
		<${Fields} network=${n} names=${text} title="Name" action="name">${(d) => html`<${Input} label="Name" required maxlength="63" value=${d.value('name')} onValue=${d.set('name')} data-setting="name" />
			${text[1] && html`<${Input} label="Description" kind="area" rows="2" maxlength="200" value=${d.value('description')} onValue=${d.set('description')} data-setting="description" />`}`}<//>
		<${Fields} network=${n} names=${SWITCHES.map(([name]) => name)} title="Switches" action="switches">${(d) => SWITCHES.map(([name, label, help]) => html`<${Switch} key=${name} label=${label} help=${help} value=${d.value(name)} onValue=${d.set(name)} data-setting=${name} />`)}<//>
		<${Fields} network=${n} names=${NUMBERS.map(([name]) => name)} title="Limits" action="settings">${(d) => NUMBERS.map(([name, label, help, min, max, unit]) => html`<${Input} key=${name} kind="number" label=${label} help=${help} min=${min} max=${max} step=${unit ? 'any' : 1} required value=${d.value(name)} onValue=${d.set(name)} data-setting=${name} />`)}<//>
		${'ethertypes' in n && html`<${EtherTypes} network=${n} />`}
		${may('write', n.id) && html`<${Card} title="End of it"><p>Deleting a network cuts off all its members. There is no way back.</p><p class="buttons"><${Act} kind="danger" action="network-delete" work=${() => remove(n)}>Delete the network<//></p><//>`}
	</div>`;
}
