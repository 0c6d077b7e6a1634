// preapprovals.js: devices known by their address before they ask: let in at once, or only their place kept.

import { call, networkPath } from './api.js';
import { may } from './may.js';
import { ask, said } from './notices.js';
import { Act, Card, Foreign, Form, Input, Pending } from './parts.js';
import { html, useState } from './preact.js';
import { refresh, useData } from './store.js';
import { visible, words } from './text.js';

const KINDS = [['yes', 'is let in at once'], ['no', 'waits for approval, its place is kept']];
const EMPTY = { address: '', name: '', ip: '', tags: '', approve: 'yes' };
const pathOf = (nwid) => `${networkPath(nwid)}/preapprovals`;

function Add({ nwid }) {
	const [f, setF] = useState(EMPTY);
	const set = (name) => (value) => setF({ ...f, [name]: value });
	const save = async () => {
		const body = { address: f.address.trim().toLowerCase(), approve: f.approve === 'yes' };
		for (const name of ['name', 'ip'])
			if (f[name].trim())
				body[name] = f[name].trim();
		if (words(f.tags).length)
			body.tags = words(f.tags);
		await call('POST', pathOf(nwid), body);
		refresh(pathOf(nwid));
		setF({ ...EMPTY, approve: f.approve });
		said(body.approve ? `${body.address} is let in as soon as it asks.` : `The place of ${body.address} is kept.`);
	};
	return html`<${Form} label="Device known beforehand" class="form columns" save=${save}>
		<${Input} label="Address of the device" required minlength="10" maxlength="10" pattern="[0-9a-fA-F]{10}" title="ten digits 0-9 a-f, as farlan id shows them" spellcheck=${false} placeholder="1a2b3c4d5e" value=${f.address} onValue=${set('address')} data-field="preapproval-address" />
		<${Input} label="When it asks, it" options=${KINDS} value=${f.approve} onValue=${set('approve')} data-field="preapproval-approve" />
		<${Input} label="Name" maxlength="63" value=${f.name} onValue=${set('name')} data-field="preapproval-name" />
		<${Input} label="IPv4 address" maxlength="15" spellcheck=${false} value=${f.ip} onValue=${set('ip')} data-field="preapproval-ip" />
		<${Input} label="Tags" maxlength="200" spellcheck=${false} value=${f.tags} onValue=${set('tags')} data-field="preapproval-tags" />
		<p class="buttons"><button type="submit" data-action="preapproval-add">Add the device</button></p><//>`;
}

async function remove(nwid, p) {
	if (await ask({ title: `Forget ${visible(p.name || p.address, 63)}?`, text: 'When it asks, it waits for approval like any other device.', yes: 'Forget', danger: true }) === null)
		return;
	await call('DELETE', `${pathOf(nwid)}/${encodeURIComponent(p.address)}`);
	refresh(pathOf(nwid));
	said('It is forgotten.');
}

const addresses = (p) => (p.ips || (p.ip ? [p.ip] : [])).map((ip) => ip.split('/')[0]).join(', ');

export function Preapprovals({ nwid }) {
	const cell = useData(pathOf(nwid)), list = cell.data?.preapprovals || [];
	return html`<${Card} title="Devices known beforehand"><${Pending} cell=${cell} what="devices known beforehand" />
		${list.length > 0 && html`<table class="list" aria-label="Devices known beforehand"><thead><tr><th scope="col">Address</th><th scope="col">Name</th><th scope="col">When it asks</th><th scope="col">IPv4</th><th scope="col">Tags</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
			<tbody>${list.map((p) => html`<tr key=${p.address} data-preapproval=${p.address}><th scope="row" data-label="Address"><code>${visible(p.address, 20)}</code></th><td data-label="Name">${p.name ? html`<${Foreign} text=${p.name} />` : '–'}</td><td data-label="When it asks">${p.approve === false ? 'it waits, its place is kept' : 'it is let in'}</td><td data-label="IPv4"><code>${visible(addresses(p) || '–', 80)}</code></td>
			<td data-label="Tags">${(p.tags || []).map((tag) => html`<span class="tag">${visible(tag, 32)}</span>`)}</td><td class="end">${may('write', nwid) && html`<${Act} kind="quiet danger" action="preapproval-delete" label=${`Forget ${visible(p.name || p.address, 40)}`} work=${() => remove(nwid, p)}>Forget<//>`}</td></tr>`)}</tbody></table>`}
		${cell.data && !list.length && html`<p class="hint">None. Whose address you know (its owner sees it with <code>farlan id</code>) needs no link.</p>`}
		${cell.data && may('write', nwid) && html`<h3>One more</h3><${Add} nwid=${nwid} />`}<//>`;
}
