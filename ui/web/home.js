// home.js: who waits, first; then the networks and how the controller itself is.

import { act } from './deeds.js';
import { get, networkPath } from './api.js';
import { Barred, may } from './may.js';
import { Act, Card, Empty, Facts, Foreign, Id, Notice, Pending } from './parts.js';
import { html } from './preact.js';
import { NetworkSpark, Rates } from './spark.js';
import { cellOf, useCell, useData } from './store.js';
import { ago, count, nameOf, plural, visible } from './text.js';

const WAITING_MAX = 50, SHOWN = 6, SPARKS = 8;

// Those who wait, in whatever network.
async function loadWaiting() {
	const { networks } = await get('/v1/networks');
	const found = [];
	for (const network of networks.filter((n) => n.pending > 0)) {
		const { members } = await get(`${networkPath(network.id)}/members?state=pending&limit=${WAITING_MAX}`);
		found.push(...members.filter((m) => m.state === 'pending').map((member) => ({ network, member })));
		if (found.length >= WAITING_MAX)
			break;
	}
	return found.slice(0, WAITING_MAX);
}

const Waiting = ({ network, member }) => html`<li class="waiting" data-member=${member.address} data-state="pending">
	<div class="who"><a href=${`#/n/${network.id}/m/${member.address}`}><strong><${Foreign} text=${member.name || member.hostname || 'no name'} /></strong></a>
		<small>wants to join <a href=${`#/n/${network.id}`}><${Foreign} text=${network.name} /></a>${member.first_seen ? `, asked ${ago(member.first_seen)}` : ''}${member.physical ? ` from ${visible(member.physical, 60)}` : ''}</small></div>
	<div class="print"><code>${member.address}</code><span class="words" title="The device shows the same words: farlan id">${visible(member.fingerprint, 120)}</span></div>
	${may('approve', network.id) && html`<div class="buttons"><${Act} kind="primary" action="approve" member=${member.address} label=${`Approve ${nameOf(member)}`} work=${() => act(network.id, member, 'approve')}>Approve<//>
		<${Act} action="deny" member=${member.address} label=${`Deny ${nameOf(member)}`} work=${() => act(network.id, member, 'deny')}>Deny<//></div>`}</li>`;

function WaitingList({ networks }) {
	const cell = useCell(cellOf('/v1/waiting', loadWaiting));
	const pending = networks.reduce((sum, n) => sum + n.pending, 0);
	if (!cell.data?.length)
		return null;
	return html`<${Card} class="wait" title=${`${plural(Math.max(pending, cell.data.length), 'device waits', 'devices wait')} for approval`}>
		<ul class="plain rows">${cell.data.slice(0, SHOWN).map((w) => html`<${Waiting} key=${w.network.id + w.member.key_hash} ...${w} />`)}</ul>
		${pending > SHOWN && html`<p>and ${pending - SHOWN} more: ${networks.filter((n) => n.pending).map((n, i) => html`${i ? ', ' : ''}<a href=${`#/n/${n.id}?state=pending`}>${n.pending} in <${Foreign} text=${n.name} /></a>`)}</p>`}
		<p class="hint">Compare the words with those that <code>farlan id</code> shows on the device: they are its key, and nobody can feign them.</p>${!may('approve') && html`<${Barred} what="decide" />`}<//>`;
}

export function Gauge({ value, of, label }) {
	const share = of ? Math.min(1, value / of) : 0;
	return html`<svg class="gauge" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label}><rect class="rest" width="100" height="6" rx="3" /><rect class="part" width=${value ? Math.max(3, share * 100) : 0} height="6" rx="3" /></svg>`;
}

const NetworkCard = ({ network: n, spark }) => html`<li><a class="tile" href=${`#/n/${n.id}`} data-network=${n.id}>
	<strong><${Foreign} text=${n.name} max=${48} /></strong><span class="big">${count(n.online)}<small> of ${count(Math.max(0, n.members))} online</small></span>
	<${Gauge} value=${n.online} of=${n.members} label=${`${n.online} of ${n.members} online`} />
	${(spark || n.traffic) && html`<span class="flow">${spark && html`<${NetworkSpark} network=${n} />`}<${Rates} traffic=${n.traffic} /></span>`}
	<small class="row-ends"><span>${n.ipv4 || 'IPv6 only'}</span>${n.pending > 0 ? html`<span class="badge">${n.pending} pending</span>` : n.relayed > 0 ? html`<span>${n.relayed} relayed</span>` : ''}</small></a></li>`;

const root = (r) => html`<span class=${`state ${r.online ? 'online' : 'revoked'}`}><span aria-hidden="true">${r.online ? '●' : '✕'}</span> ${r.online ? 'connected' : 'no answer'}</span>`;

export function Health({ status }) {
	const failing = (status.webhooks?.failing || 0) + (status.webhooks?.suspended || 0);
	return html`<${Card} title="This controller"><${Facts} rows=${[
		['Signing', status.health === 'ok' ? html`<span class="state online"><span aria-hidden="true">●</span> ok</span>` : visible(status.health, 200)],
		...(status.roots || []).map((r, i) => [`Root ${i + 1}`, html`${root(r)} <code class="minor">${visible(r.endpoint || r.address || '', 64)}</code>`]),
		['Webhooks', failing ? html`<a class="warn" href="#/settings">${plural(failing, 'fails', 'fail')}</a>` : null],
		['Address', html`<${Id} text=${status.address} label="Copy the address" />`],
		['Fingerprint', html`<span class="words">${visible(status.fingerprint, 120)}</span>`],
		['Version', visible(status.version, 40)]]} /><//>`;
}

export function Home({ status }) {
	const cell = useData('/v1/networks');
	const networks = cell.data?.networks || [];
	return html`<h1>Home</h1>
		${status.first_run !== undefined && !status.user && html`<${Notice}>You came in by a one-time link. <a href="#/accounts">Make a user with a password</a> to come back without the terminal.<//>`}
		<${WaitingList} networks=${networks} />
		<div class="split"><section aria-label="Networks"><h2 class="over">Networks</h2><${Pending} cell=${cell} what="networks" />
			${cell.data && !networks.length && html`<${Empty} icon="networks" title="No network yet"><p>A network is one Ethernet that its members share.</p>${may('admin') && html`<p><a class="button primary" href="#/welcome">Make the first one</a></p>`}<//>`}
			<ul class="plain tiles">${networks.map((n, i) => html`<${NetworkCard} key=${n.id} network=${n} spark=${i < SPARKS} />`)}</ul></section>
		<section aria-label="Health"><h2 class="over">Health</h2><${Health} status=${status} /></section></div>`;
}
