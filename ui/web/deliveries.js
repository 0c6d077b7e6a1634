// deliveries.js: one webhook: what was sent, what waits, and what came back.

import { call, get } from './api.js';
import { HookState, openEdit, pathOf, renew, settle } from './hooks.js';
import { ask, said } from './notices.js';
import { Act, Empty, Foreign, Id, Pending, State, Time } from './parts.js';
import { html, useEffect, useState } from './preact.js';
import { go, setQuery } from './route.js';
import { refresh, useData } from './store.js';
import { ago, count, plural, visible } from './text.js';

const PAGE = 50, BODY_MAX = 16384;
const STATES = [['', 'All'], ['waiting', 'Waiting'], ['delivered', 'Delivered'], ['failed', 'Failed']];
const SHOWN = { waiting: 'pending', delivered: 'online', failed: 'revoked' };

const logOf = (id, state) => `${pathOf(id)}/deliveries?limit=${PAGE}${state && `&state=${state}`}`;
const pretty = (body) => {
	try {
		return JSON.stringify(JSON.parse(body), null, 2);
	} catch {
		return body;
	}
};

// The text as sent, laid out; line by line, so that what is hidden in it is written out.
const Body = ({ text }) => html`<pre tabindex="0" aria-label="Body of the delivery">${pretty(String(text ?? '')).slice(0, BODY_MAX).split('\n').map((line) => visible(line, 2000)).join('\n')}</pre>`;

function Delivery({ delivery: d, hook, again }) {
	const [open, setOpen] = useState(false);
	const retry = async () => {
		await call('POST', `${pathOf(hook.id)}/deliveries/${encodeURIComponent(d.id)}/retry`, {});
		again();
		said('It is sent once more.');
	};
	return html`<li class="delivery" data-delivery=${d.id} data-state=${d.state}><div class="delivery-head"><strong>${visible(d.event, 40)}</strong><${State} state=${SHOWN[d.state] || 'offline'} of=${visible(d.state, 20)} />
			<span class="minor"><${Time} at=${d.created} />, ${plural(d.attempts, 'attempt')}${d.status ? html`, <span data-field="status">status ${d.status}</span>` : ''}${d.ms ? `, ${count(d.ms)} ms` : ''}${d.state === 'waiting' && d.next_at ? html`, <span data-field="next">next ${ago(d.next_at)}</span>` : ''}</span></div>
		${d.error && html`<p class="warn-text" data-field="error"><bdi>${visible(d.error, 200)}</bdi></p>`}
		<div class="delivery-foot"><details onToggle=${(e) => setOpen(e.target.open)}><summary>Body <code class="minor">${visible(d.id, 40)}</code></summary>${open && html`<${Body} text=${d.body} />`}</details><${Act} action="delivery-retry" label=${`Send again: ${visible(d.event, 40)}`} work=${retry}>Send again<//></div></li>`;
}

async function remove(hook) {
	if (await ask({ title: `Delete ${visible(hook.name, 63)}?`, text: hook.queue ? `${plural(hook.queue, 'delivery waits', 'deliveries wait')} and will not be sent.` : 'Nothing more is sent to it.', yes: 'Delete', danger: true }) === null)
		return;
	await call('DELETE', pathOf(hook.id));
	settle();
	said('The webhook is deleted.');
	go('/settings');
}

function Log({ hook, state }) {
	const path = logOf(hook.id, state), cell = useData(path);
	const [more, setMore] = useState({ rows: [], next: undefined });
	useEffect(() => setMore({ rows: [], next: undefined }), [path]);
	const first = cell.data?.deliveries || [], ids = new Set(first.map((d) => d.id));
	const rows = [...first, ...more.rows.filter((d) => !ids.has(d.id))], next = more.next === undefined ? cell.data?.next : more.next;
	const load = async () => {
		const answer = await get(`${path}&cursor=${encodeURIComponent(next)}`);
		setMore({ rows: [...more.rows, ...answer.deliveries], next: answer.next });
	};
	return html`<section aria-label="Deliveries"><h2 class="over">Deliveries</h2><div class="filters"><div class="chips" role="group" aria-label="Which deliveries">${STATES.map(([key, text]) => html`<button type="button" key=${key} data-filter=${key || 'all'} aria-pressed=${state === key} onClick=${() => setQuery({ state: key })}>${text}</button>`)}</div></div>
		<${Pending} cell=${cell} what="deliveries" />${rows.length > 0 && html`<div class="card"><ul class="plain rows" data-field="deliveries">${rows.map((d) => html`<${Delivery} key=${d.id} delivery=${d} hook=${hook} again=${() => refresh(path)} />`)}</ul></div>`}
		${cell.data && !rows.length && html`<${Empty} icon="audit" title="Nothing here"><p>${state ? 'No delivery is like that.' : 'As soon as something happens that it is told of, it stands here.'}</p><//>`}
		${next && html`<p class="buttons"><${Act} action="deliveries-more" work=${load}>Older ones<//></p>`}</section>`;
}

export function Deliveries({ route }) {
	const cell = useData(pathOf(route.webhook)), networks = useData('/v1/networks').data?.networks || [];
	const state = STATES.some(([key]) => key === route.query.get('state')) ? route.query.get('state') : '';
	if (!cell.data)
		return html`<p class="crumb"><a href="#/settings">Settings</a></p><h1>Webhook</h1><${Pending} cell=${cell} what="such webhook" />`;
	const h = cell.data;
	const test = async () => {
		await call('POST', `${pathOf(h.id)}/test`, {});
		refresh(logOf(h.id, state));
		said('A test is on its way.');
	};
	const resting = h.state === 'off' || h.state === 'suspended';
	const resume = async () => {
		await call('PATCH', pathOf(h.id), { enabled: true }, { revision: h.revision });
		settle(h.id);
		said('It is on.');
	};
	return html`<p class="crumb"><a href="#/settings">Settings</a></p><div class="head"><div><h1><${Foreign} text=${h.name} /></h1><p class="meta"><${HookState} hook=${h} /><${Id} text=${visible(h.url, 200)} label="Copy the URL" /></p></div>
			<div class="buttons">${resting ? html`<${Act} kind="primary" action="webhook-resume" work=${resume}>Switch it on<//>` : html`<${Act} kind="primary" action="webhook-test" work=${test}>Send a test<//>`}<button type="button" data-action="webhook-edit" onClick=${() => openEdit(h, networks)}>Edit</button><${Act} action="webhook-renew" work=${() => renew(h)}>New secret<//><${Act} kind="danger" action="webhook-delete" work=${() => remove(h)}>Delete<//></div></div>
		${h.state === 'suspended' && html`<div class="notice bad" role="status"><strong>It is suspended.</strong> The receiver failed for too long or said that it is gone. Mend it, then switch it on.</div>`}${h.dropped > 0 && html`<div class="notice wait">${plural(h.dropped, 'delivery', 'deliveries')} got lost because too many waited.</div>`}
		<p class="hint">Told of: ${visible(h.events.join(', '), 300)}${h.networks?.length ? `, in ${plural(h.networks.length, 'network')}` : ''}. ${count(h.queue)} waiting.</p><${Log} hook=${h} state=${state} />`;
}
