// networks.js: the list of networks, and what stands above each view of one.

import { call } from './api.js';
import { may } from './may.js';
import { openDialog } from './notices.js';
import { Card, Copy, Empty, Foreign, Form, Icon, Id, Input, Pending, Time } from './parts.js';
import { html, useState } from './preact.js';
import { go } from './route.js';
import { refresh, useData } from './store.js';
import { suggest } from './subnet.js';
import { count, visible } from './text.js';

const TABS = [['members', '', 'Members'], ['network-invites', '/invites', 'Invites'], ['network-addresses', '/addresses', 'Addresses'], ['network-topology', '/topology', 'Topology'], ['network-traffic', '/traffic', 'Traffic'], ['network-settings', '/settings', 'Settings']];

const Create = (taken) => ({ close }) => {
	const [name, setName] = useState(''), [ipv4, setIpv4] = useState(() => suggest(taken));
	const save = async () => {
		const network = await call('POST', '/v1/networks', { name: name.trim(), ...(ipv4.trim() ? { ipv4: ipv4.trim() } : {}) });
		refresh('/v1/networks');
		close('');
		go(`/n/${network.id}`);
	};
	return html`<h2>New network</h2><${Form} label="New network" save=${save}>
		<${Input} label="Name" required maxlength="63" value=${name} onValue=${setName} data-field="network-name" />
		<${Input} label="IPv4 addresses" maxlength="18" spellcheck=${false} help="Members get theirs from here; empty: IPv6 only." value=${ipv4} onValue=${setIpv4} data-field="network-ipv4" />
		<p class="buttons end"><button type="button" data-action="create-cancel" onClick=${() => close(null)}>Cancel</button><button type="submit" class="primary" data-action="create">Make the network</button></p><//>`;
};

export function Networks() {
	const cell = useData('/v1/networks');
	const networks = cell.data?.networks || [];
	const create = () => openDialog(Create(networks.map((n) => n.ipv4)), 'New network');
	return html`<div class="head"><h1>Networks</h1>${may('admin') && html`<button type="button" class="primary" data-action="create-open" onClick=${create}><${Icon} name="plus" />New network</button>`}</div>
		<${Pending} cell=${cell} what="networks" />
		${cell.data && !networks.length && html`<${Empty} icon="networks" title="No network yet"><p>A network is one Ethernet that its members share. Make the first one with “New network”.</p><//>`}
		${networks.length > 0 && html`<div class="sheet"><table class="list" aria-label="Networks"><thead><tr><th scope="col">Name</th><th scope="col">Network id</th><th scope="col">Online</th><th scope="col">Pending</th><th scope="col">IPv4</th><th scope="col">Made</th></tr></thead>
			<tbody>${networks.map((n) => html`<tr key=${n.id}><th scope="row"><a href=${`#/n/${n.id}`} data-network=${n.id}><${Foreign} text=${n.name} /></a></th><td data-label="Network id"><${Id} text=${n.id} label="Copy the network id" /></td>
				<td data-label="Online" class="figure">${count(n.online)} of ${count(n.members)}</td><td data-label="Pending">${n.pending ? html`<span class="badge">${n.pending}</span>` : '–'}</td><td data-label="IPv4"><code>${n.ipv4 || '–'}</code></td><td data-label="Made"><${Time} at=${n.created} /></td></tr>`)}</tbody></table></div>`}`;
}

export function NetworkFrame({ route, children }) {
	const cell = useData(`/v1/networks/${route.nwid}`);
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="such network" />`;
	const n = cell.data;
	return html`<header class="network-head"><p class="crumb"><a href="#/networks">Networks</a></p>
			<h1 id="network-name"><${Foreign} text=${n.name} /></h1>
			<p class="meta"><span class="id"><code data-field="nwid">${n.id}</code><${Copy} text=${n.id} label="Copy the network id" /></span><span>${count(n.online)} of ${count(n.members)} online</span><span>${n.ipv4 || 'IPv6 only'}</span>${n.public && html`<span class="badge">public</span>`}</p>
			${n.description && html`<p class="about"><bdi>${visible(n.description, 300)}</bdi></p>`}
			<nav class="tabs" aria-label="Parts of the network"><ul>${TABS.map(([view, path, text]) => html`<li key=${view}><a href=${`#/n/${n.id}${path}`} aria-current=${route.view === view || (view === 'members' && route.view === 'member') ? 'page' : null}>${text}${view === 'members' && n.pending > 0 ? html` <span class="badge" aria-label=${`${n.pending} pending`}>${n.pending}</span>` : ''}</a></li>`)}</ul></nav></header>
		${children}`;
}

export const More = () => html`<h1>More</h1><${Card} title="Pages"><ul class="plain links">${[['audit', 'Audit'], ['accounts', 'Accounts'], ['settings', 'Settings']].map(([name, text]) => html`<li><a href=${`#/${name}`}><${Icon} name=${name} />${text}</a></li>`)}</ul><//>`;
export const Lost = () => html`<h1>Not found</h1><${Empty} icon="info" title="Nothing is here"><p>The address does not name a page. <a href="#/">Home</a></p><//>`;
