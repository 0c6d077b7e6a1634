// hooks.js: programs elsewhere that are told what happens here. The secret that signs is shown once, when it is made.

import { call } from './api.js';
import { openDialog, ask, said } from './notices.js';
import { Act, Card, Copy, Foreign, Form, Icon, Input, Pending, State, Switch, Time } from './parts.js';
import { html, useState } from './preact.js';
import { refresh, useData } from './store.js';
import { count, plural, visible } from './text.js';

export const pathOf = (id) => `/v1/webhooks/${encodeURIComponent(id)}`;
// What is asked for by one check; the rest of a list that a script made stays as it is.
const GROUPS = [
	['Members', [['member.pending', 'somebody waits'], ['member.approve', 'approved'], ['member.deny', 'denied'], ['member.revoke', 'revoked'], ['member.online', 'online'], ['member.offline', 'offline'], ['member.link', 'direct or relayed'], ['member.set', 'edited'], ['member.*', 'all of members']]],
	['Networks', [['network.create', 'made'], ['network.set', 'edited'], ['network.delete', 'deleted'], ['network.*', 'all of networks']]],
	['The rest', [['invite.*', 'invitations'], ['user.*', 'users'], ['token.*', 'tokens'], ['webhook.*', 'webhooks'], ['*', 'everything']]],
];
const WORDS = { ok: 'works', failing: 'fails', off: 'off', suspended: 'suspended' };

const Made = (hook) => ({ close }) => html`<h2>Secret of ${visible(hook.name, 63)}</h2><p>Each delivery is signed with it (header <code>Farlan-Signature</code>): the receiver knows by it that it comes from here.</p>
	<p class="field"><span class="label">Secret</span><code class="link-text" data-field="webhook-secret">${visible(hook.secret, 80)}</code></p><p class="notice wait">Shown only now.</p>
	<p class="buttons end"><${Copy} text=${hook.secret} label="Copy the secret">Copy the secret<//><button type="button" class="primary" data-action="webhook-close" onClick=${() => close(null)}>Done</button></p>`;

export function settle(id) {
	for (const path of ['/v1/webhooks', ...(id ? [pathOf(id)] : [])])
		refresh(path);
}

const Check = ({ label, on, toggle, ...rest }) => html`<label class="check"><input type="checkbox" checked=${on} onChange=${toggle} ...${rest} />${label}</label>`;

function Events({ events, set }) {
	const toggle = (event) => set(events.includes(event) ? events.filter((e) => e !== event) : [...events, event]);
	const covered = (event) => events.includes('*') && event !== '*' ? true : events.includes(event) || (!event.endsWith('*') && events.includes(`${event.split('.')[0]}.*`));
	return GROUPS.map(([title, list]) => html`<fieldset class="checks" key=${title}><legend>${title}</legend>${list.map(([event, text]) => html`<${Check} key=${event} label=${text} on=${covered(event)} disabled=${covered(event) && !events.includes(event)} toggle=${() => toggle(event)} data-event=${event} />`)}</fieldset>`);
}

const sorted = (list) => [...list].sort().join();

// hook: null for a new one.
const Edit = (hook, networks) => ({ close }) => {
	const held = { name: hook?.name || '', url: hook?.url || '', events: hook?.events || ['member.pending'], networks: hook?.networks || [], enabled: hook?.enabled ?? true, allow_private: hook?.allow_private ?? false };
	const [f, setF] = useState(held);
	const set = (name) => (value) => setF((old) => ({ ...old, [name]: value }));
	const save = async () => {
		if (!f.events.length)
			throw { title: 'It would never be told anything', detail: 'Choose at least one event.', hint: '' }; // eslint-disable-line no-throw-literal
		const body = { ...f, name: f.name.trim(), url: f.url.trim() };
		const changed = Object.fromEntries(Object.entries(body).filter(([name, v]) => (Array.isArray(v) ? sorted(v) !== sorted(held[name]) : v !== held[name])));
		if (!body.allow_private && !hook)
			delete body.allow_private;
		const after = await (hook ? call('PATCH', pathOf(hook.id), changed, { revision: hook.revision }) : call('POST', '/v1/webhooks', body));
		settle(after.id);
		close('');
		if (after.secret)
			openDialog(Made(after), 'Secret');
		else
			said('Saved.');
	};
	return html`<h2>${hook ? visible(hook.name, 63) : 'New webhook'}</h2><${Form} label=${hook ? 'Webhook' : 'New webhook'} save=${save}>
		<${Input} label="Name" required maxlength="48" placeholder="chat room" value=${f.name} onValue=${set('name')} data-field="webhook-name" />
		<${Input} label="URL" kind="url" required maxlength="1024" spellcheck=${false} placeholder="https://example.org/farlan" pattern="https?://.+" value=${f.url} onValue=${set('url')} data-field="webhook-url" />
		<div class="events-chosen"><${Events} events=${f.events} set=${set('events')} /></div>
		${networks.length > 1 && html`<fieldset class="checks"><legend>Only of these networks (none: all)</legend>${networks.slice(0, 40).map((n) => html`<${Check} key=${n.id} label=${html`<${Foreign} text=${n.name} max=${30} />`} on=${f.networks.includes(n.id)} toggle=${() => set('networks')(f.networks.includes(n.id) ? f.networks.filter((id) => id !== n.id) : [...f.networks, n.id])} data-network-check=${n.id} />`)}</fieldset>`}
		<div class="switches"><${Switch} label="Enabled" value=${f.enabled} onValue=${set('enabled')} data-field="webhook-enabled" /><${Switch} label="May reach private addresses" help="this machine, a LAN; only where the controller's settings allow it (webhook-private = yes)" value=${f.allow_private} onValue=${set('allow_private')} data-field="webhook-private" /></div>
		<p class="buttons end"><button type="button" data-action="webhook-cancel" onClick=${() => close(null)}>Cancel</button><button type="submit" class="primary" data-action="webhook-save">${hook ? 'Save' : 'Make it'}</button></p><//>`;
};

export const openEdit = (hook, networks) => openDialog(Edit(hook, networks), 'Webhook');

export async function renew(hook) {
	if (await ask({ title: `A new secret for ${visible(hook.name, 63)}?`, text: 'The old one stops at once: until the receiver has the new one, it will refuse what comes.', yes: 'Make it', danger: true }) === null)
		return;
	const after = await call('POST', `${pathOf(hook.id)}/secret`, {});
	settle(hook.id);
	openDialog(Made({ ...hook, ...after }), 'Secret');
}

export const HookState = ({ hook: h }) => html`<span data-field="webhook-state" data-state=${h.state}><${State} state=${h.state === 'ok' ? 'online' : h.state === 'off' ? 'offline' : h.state === 'failing' ? 'pending' : 'revoked'} of=${WORDS[h.state] || visible(h.state, 20)} />${h.failing_since ? html`<small>since <${Time} at=${h.failing_since} /></small>` : ''}</span>`;

export function Webhooks() {
	const cell = useData('/v1/webhooks'), networks = useData('/v1/networks').data?.networks || [];
	const hooks = cell.data?.webhooks || [];
	if (cell.problem?.status === 404 && !cell.data)
		return null;
	return html`<${Card} title="Webhooks" action=${html`<button type="button" data-action="webhook-open" onClick=${() => openEdit(null, networks)}><${Icon} name="plus" />New webhook</button>`}><${Pending} cell=${cell} what="webhooks" />
		${hooks.length > 0 && html`<table class="list" aria-label="Webhooks"><thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Told</th><th scope="col">Last</th><th scope="col">Waiting</th></tr></thead>
			<tbody>${hooks.map((h) => html`<tr key=${h.id} data-webhook=${h.id}><th scope="row" data-label="Name"><a href=${`#/webhooks/${h.id}`}><${Foreign} text=${h.name} /></a><small class="cut">${visible(h.url, 60)}</small></th><td data-label="State"><${HookState} hook=${h} /></td>
			<td data-label="Told">${h.events.includes('*') ? 'everything' : visible(h.events.join(', '), 80)}${h.networks?.length ? html`<small>of ${plural(h.networks.length, 'network')}</small>` : ''}</td><td data-label="Last">${h.last ? html`<${Time} at=${h.last.at} /><small>${visible(h.last.error || `status ${h.last.status}`, 60)}</small>` : '–'}</td><td data-label="Waiting" class="figure">${count(h.queue)}${h.dropped ? html`<small class="warn">${count(h.dropped)} lost</small>` : ''}</td></tr>`)}</tbody></table>`}
		${cell.data && !hooks.length && html`<p class="hint">None. A webhook tells a program of yours at once when somebody waits, comes or goes: a chat room, a script, a home automation.</p>`}<//>`;
}
