// addresses.js: the pool and how full it is, managed routes, DNS.

import { networkPath } from './api.js';
import { changeNetwork } from './deeds.js';
import { Gauge } from './home.js';
import { may } from './may.js';
import { Act, Card, Facts, Form, Icon, Id, Input, Pending, SaveBar, useDraft } from './parts.js';
import { html, useState } from './preact.js';
import { Automatic } from './ranges.js';
import { useData } from './store.js';
import { overlap, prefix } from './subnet.js';
import { count, visible, words } from './text.js';

// What the controller would say only after saving.
function clashes(text, network, others) {
	const mine = prefix(text);
	if (!mine)
		return [];
	return [...others.filter((n) => n.id !== network.id && prefix(n.ipv4) && overlap(mine, prefix(n.ipv4))).map((n) => `Overlaps with ${visible(n.name, 40)} (${n.ipv4}).`),
		...(network.routes || []).filter((r) => prefix(r.target) && overlap(mine, prefix(r.target))).map((r) => `Overlaps with the route to ${r.target}.`)];
}

function Pool({ network: n, others }) {
	const draft = useDraft({ ipv4: n.ipv4 || '' });
	const warnings = 'ipv4' in draft.changes ? clashes(draft.value('ipv4'), n, others) : [];
	const save = async () => {
		await changeNetwork(n, { ipv4: draft.value('ipv4').trim() || null }, { ipv4: n.ipv4 });
		draft.reset();
	};
	const pool = n.pool;
	return html`<${Card} title="IPv4 pool">${pool?.size > 0 && html`<${Gauge} value=${pool.used} of=${pool.size} label=${`${pool.used} of ${pool.size} addresses used`} /><p class="hint figure">${count(pool.used)} used, ${count(pool.rest ?? pool.size - pool.used)} free</p>`}
		<${Form} label="IPv4 pool" barred=${!may('write', n.id)} save=${save}><${Input} label="Range" maxlength="18" spellcheck=${false} placeholder="10.144.7.0/24" help="Members get theirs from it; those they have stay. Empty: none." value=${draft.value('ipv4')} onValue=${draft.set('ipv4')} data-setting="ipv4" />
		${warnings.map((w) => html`<p class="notice wait">${w}</p>`)}<${SaveBar} draft=${draft} action="pool" /><//>
		<${Facts} rows=${[['IPv6', n.ipv6 && html`<${Id} text=${n.ipv6} label="Copy the IPv6 prefix" />`]]} /><//>`;
}

function Routes({ network: n }) {
	const [target, setTarget] = useState(''), [via, setVia] = useState('');
	const routes = n.routes || [];
	const put = (next) => changeNetwork(n, { routes: next }, { routes });
	const add = async () => {
		await put([...routes, { target: target.trim(), via: via.trim() || null }]);
		setTarget('');
		setVia('');
	};
	return html`<${Card} title="Routes">${routes.length ? html`<table class="list" aria-label="Routes"><thead><tr><th scope="col">To</th><th scope="col">By</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead><tbody>${routes.map((r) => html`<tr key=${r.target}><th scope="row" data-label="To"><code>${visible(r.target, 50)}</code></th><td data-label="By">${r.via ? html`<code>${visible(r.via, 50)}</code>` : 'the network itself'}</td>
			<td class="end">${may('write', n.id) && html`<${Act} kind="quiet icon-only" action="route-delete" label=${`Remove the route to ${visible(r.target, 50)}`} work=${() => put(routes.filter((o) => o !== r))}><${Icon} name="close" /><//>`}</td></tr>`)}</tbody></table>` : html`<p class="hint">None. A route tells members that a subnet is behind one of them.</p>`}
		${may('write', n.id) && html`<${Form} label="New route" class="form inline" save=${add}><${Input} label="To" required maxlength="49" spellcheck=${false} placeholder="192.168.7.0/24" value=${target} onValue=${setTarget} data-field="route-target" /><${Input} label="By the member with" maxlength="45" spellcheck=${false} placeholder="10.144.7.5" value=${via} onValue=${setVia} data-field="route-via" />
		<p class="buttons"><button type="submit" data-action="route-add">Add</button></p><//>`}<//>`;
}

function Dns({ network: n }) {
	const dns = n.dns || { domain: '', servers: [] };
	const draft = useDraft({ domain: dns.domain || '', servers: dns.servers.join(' ') });
	const save = async () => {
		await changeNetwork(n, { dns: { domain: draft.value('domain').trim(), servers: words(draft.value('servers')) } }, { dns });
		draft.reset();
	};
	return html`<${Card} title="DNS"><${Form} label="DNS" barred=${!may('write', n.id)} save=${save}><${Input} label="Domain" maxlength="63" spellcheck=${false} placeholder="home.lan" value=${draft.value('domain')} onValue=${draft.set('domain')} data-setting="dns-domain" />
		<${Input} label="Servers" spellcheck=${false} help="Addresses, separated by spaces" value=${draft.value('servers')} onValue=${draft.set('servers')} data-setting="dns-servers" /><${SaveBar} draft=${draft} action="dns" /><//><//>`;
}

export function Addresses({ nwid }) {
	const cell = useData(networkPath(nwid));
	const all = useData('/v1/networks');
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="addresses" />`;
	const n = cell.data;
	return html`${n.warnings?.length > 0 && html`<div class="notice wait" role="status">${n.warnings.map((w) => html`<p>${visible(w, 300)}</p>`)}</div>`}
		<div class="grid"><${Pool} network=${n} others=${all.data?.networks || []} />${['ranges', 'auto_assign', 'ipv6_auto'].some((name) => name in n) && html`<${Automatic} network=${n} />`}${'routes' in n && html`<${Routes} network=${n} />`}${'dns' in n && html`<${Dns} network=${n} />`}</div>`;
}
