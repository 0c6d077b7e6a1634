// invites.js: invitations of a network. The link is a secret: it is shown once, when it is made.

import { call, get, networkPath } from './api.js';
import { Barred, may } from './may.js';
import { ask, openDialog, said } from './notices.js';
import { Act, Card, Command, Copy, Empty, Foreign, Form, Icon, Input, Pending, State, Time } from './parts.js';
import { html, useState } from './preact.js';
import { Preapprovals } from './preapprovals.js';
import { cellOf, refresh, useCell, useData } from './store.js';
import { count, duration, visible, words } from './text.js';

const EXPIRIES = [['3600', 'in an hour'], ['86400', 'in a day'], ['604800', 'in a week'], ['2592000', 'in 30 days'], ['', 'never']];
const EPHEMERAL = [['', 'stays a member'], ['300', 'is deleted when offline for 5 minutes'], ['3600', 'is deleted when offline for an hour'], ['86400', 'is deleted when offline for a day']];

// As made: link, QR and the command. The QR is an image of its own document, so nothing in it can act in ours.
export function Invitation({ invite }) {
	const picture = invite.qr_svg ? `data:image/svg+xml;charset=utf-8,${encodeURIComponent(invite.qr_svg)}` : null;
	return html`<div class="invitation">${picture && html`<img class="qr" src=${picture} width="220" height="220" alt="The link as a QR code" />`}
		<div><p class="field"><span class="label">Link</span><code class="link-text" data-field="link">${visible(invite.link, 1200)}</code></p>
		<p class="buttons"><${Copy} text=${invite.link} label="Copy the link">Copy the link<//><${Copy} text=${`farlan join '${invite.link}'`} label="Copy the command">Copy as a command<//></p>
		<p class="notice wait">Shown only now: whoever has the link can join${invite.uses ? ` (${invite.uses === 1 ? 'once' : `${invite.uses} times`})` : ''}${invite.expires_in ? `, for ${duration(invite.expires_in)}` : ''}.</p></div></div>`;
}

const Made = (invite) => ({ close }) => html`<h2>Invitation</h2><${Invitation} invite=${invite} /><p class="buttons end"><button type="button" class="primary" data-action="invite-close" onClick=${() => close(null)}>Done</button></p>`;

function Create({ nwid }) {
	const [f, setF] = useState({ name: '', uses: '1', expires: '86400', tags: '', ephemeral: '' });
	const set = (name) => (value) => setF({ ...f, [name]: value });
	const save = async () => {
		const body = { uses: f.uses === '' ? null : Number(f.uses) };
		if (f.name.trim())
			body.name = f.name.trim();
		if (f.expires)
			body.expires_in = Number(f.expires);
		if (words(f.tags).length)
			body.tags = words(f.tags);
		if (f.ephemeral)
			body.ephemeral = Number(f.ephemeral);
		const invite = await call('POST', `${networkPath(nwid)}/invites`, body);
		refresh(`${networkPath(nwid)}/invites`);
		setF({ ...f, name: '' });
		openDialog(Made(invite), 'Invitation');
	};
	if (!may('write', nwid))
		return html`<${Barred} what="invite" />`;
	return html`<${Card} title="New invitation"><${Form} label="New invitation" class="form columns" save=${save}>
		<${Input} label="For whom" maxlength="63" placeholder="Anna's phone" value=${f.name} onValue=${set('name')} data-field="invite-name" />
		<${Input} label="How often it works" options=${[['1', 'once'], ['5', '5 times'], ['20', '20 times'], ['', 'as often as wanted']]} value=${f.uses} onValue=${set('uses')} data-field="invite-uses" />
		<${Input} label="It ends" options=${EXPIRIES} value=${f.expires} onValue=${set('expires')} data-field="invite-expires" />
		<${Input} label="Tags" maxlength="200" spellcheck=${false} value=${f.tags} onValue=${set('tags')} data-field="invite-tags" />
		<${Input} label="Who comes by it" options=${EPHEMERAL} value=${f.ephemeral} onValue=${set('ephemeral')} data-field="invite-ephemeral" />
		<p class="buttons"><button type="submit" class="primary" data-action="invite-create">Make the link</button></p><//><//>`;
}

async function revoke(nwid, invite) {
	if (await ask({ title: `Revoke ${visible(invite.name || invite.id, 63)}?`, text: 'Nobody joins by it any more. Those it let in stay members.', yes: 'Revoke', danger: true }) === null)
		return;
	await call('DELETE', `${networkPath(nwid)}/invites/${encodeURIComponent(invite.id)}`);
	refresh(`${networkPath(nwid)}/invites`);
	refresh('/v1/invites');
	said('The invitation is revoked.');
}

const List = ({ invites, label }) => html`<div class="sheet"><table class="list" aria-label=${label}><thead><tr><th scope="col">For</th><th scope="col">State</th><th scope="col">Uses left</th><th scope="col">Ends</th><th scope="col">Tags</th><th scope="col">Made</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
	<tbody>${invites.map(({ network, invite: i }) => html`<tr key=${i.id} class=${i.state === 'open' ? '' : 'past'} data-invite=${i.id}><th scope="row" data-label="For">${i.name ? html`<${Foreign} text=${i.name} />` : html`<code>${i.id}</code>`}${network.name && html`<small><a href=${`#/n/${network.id}/invites`}><${Foreign} text=${network.name} /></a></small>`}</th>
		<td data-label="State"><${State} state=${i.state} /></td><td data-label="Uses left" class="figure">${i.uses ? `${count(i.uses_left)} of ${count(i.uses)}` : 'no limit'}</td><td data-label="Ends">${i.state !== 'open' ? '–' : i.expires_in ? `in ${duration(i.expires_in)}` : 'never'}</td>
		<td data-label="Tags">${(i.tags || []).map((tag) => html`<span class="tag">${visible(tag, 32)}</span>`)}</td><td data-label="Made"><${Time} at=${i.created} />${i.created_by && html`<small>${visible(i.created_by, 40)}</small>`}</td>
		<td class="end">${i.state === 'open' && may('write', network.id) && html`<${Act} kind="quiet danger" action="invite-revoke" label=${`Revoke ${visible(i.name || i.id, 40)}`} work=${() => revoke(network.id, i)}>Revoke<//>`}</td></tr>`)}</tbody></table></div>`;

const newest = (a, b) => (b.invite.state === 'open') - (a.invite.state === 'open') || (b.invite.created || 0) - (a.invite.created || 0);

export function Invites({ nwid }) {
	const cell = useData(`${networkPath(nwid)}/invites`);
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="invitations" /><${Card} title="Without an invitation"><p>On a device that shall join; it then waits for your approval:</p><p><${Command} text=${`farlan join ${nwid}`} /></p><//>`;
	const invites = cell.data.invites.map((invite) => ({ network: { id: nwid }, invite })).sort(newest);
	return html`<${Create} nwid=${nwid} />${invites.length ? html`<${List} invites=${invites} label="Invitations" />` : html`<${Empty} icon="invites" title="No invitations yet"><p>A link lets a device in at once: its owner opens it, or types <code>farlan join</code> and the link.</p><//>`}<${Preapprovals} nwid=${nwid} />`;
}

async function loadAll() {
	const { networks } = await get('/v1/networks');
	const lists = await Promise.all(networks.slice(0, 50).map((network) => get(`${networkPath(network.id)}/invites`).then(({ invites }) => invites.map((invite) => ({ network, invite })))));
	return lists.flat().sort(newest);
}

// Of all networks: which doors stand open.
export function AllInvites() {
	const cell = useCell(cellOf('/v1/invites', loadAll));
	const networks = useData('/v1/networks').data?.networks || [];
	return html`<h1>Invitations</h1><${Pending} cell=${cell} what="invitations" />
		${networks.length > 0 && html`<${Card} title="Invite somebody to"><ul class="plain links">${networks.map((n) => html`<li><a href=${`#/n/${n.id}/invites`}><${Icon} name="plus" /><${Foreign} text=${n.name} /></a></li>`)}</ul><//>`}
		${cell.data?.length > 0 && html`<${List} invites=${cell.data} label="Invitations of all networks" />`}${cell.data && !cell.data.length && html`<${Empty} icon="invites" title="No invitations yet"><p>${networks.length ? 'Choose a network above.' : html`First <a href="#/welcome">make a network</a>.`}</p><//>`}`;
}
