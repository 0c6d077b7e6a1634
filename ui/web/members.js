// members.js: the main view: who is in the network, found, filtered and acted on, one or many at once.

import { crowd } from './crowd.js';
import { actOnMany, tagMany } from './deeds.js';
import { chosen, counts, FILTERS } from './filter.js';
import { Barred, may } from './may.js';
import { Act, Command, Empty, Icon, Pending } from './parts.js';
import { html, useEffect, useMemo, useRef, useState } from './preact.js';
import { setQuery } from './route.js';
import { showProblem } from './notices.js';
import { useCell, useData } from './store.js';
import { Table } from './table.js';
import { count, plural, visible } from './text.js';

const typing = (target) => target.closest?.('input:not([type=checkbox]), textarea, select, dialog');

function useKeys(search, approve, clear) {
	const keys = useRef(null);
	keys.current = { approve, clear };
	useEffect(() => {
		const pressed = (event) => {
			if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target))
				return;
			if (event.key === '/') {
				event.preventDefault();
				search.current?.focus();
				search.current?.select();
			} else if (event.key === 'a') {
				keys.current.approve();
			} else if (event.key === 'x') {
				event.target.closest?.('tr')?.querySelector('[data-action=select]')?.click();
			} else if (event.key === 'Escape') {
				keys.current.clear();
			}
		};
		addEventListener('keydown', pressed);
		return () => removeEventListener('keydown', pressed);
	}, []);
}

function Filters({ query, found, tags, search }) {
	const state = query.get('state') || '';
	return html`<div class="filters"><div class="search"><${Icon} name="search" /><input ref=${search} type="search" data-field="search" aria-label="Search members" placeholder="Search" aria-keyshortcuts="/" value=${query.get('q') || ''} onInput=${(e) => setQuery({ q: e.target.value })} /><kbd aria-hidden="true">/</kbd></div>
		<div class="chips" role="group" aria-label="Which members">${FILTERS.map(([key, text]) => html`<button type="button" key=${key} data-filter=${key || 'all'} aria-pressed=${state === key} onClick=${() => setQuery({ state: key })}>${text} <span class="figure">${count(found[key])}</span></button>`)}</div>
		${tags.length > 0 && html`<select aria-label="Tag" data-field="tag" onChange=${(e) => setQuery({ tag: e.target.value })}><option value="" selected=${!query.get('tag')}>Any tag</option>${tags.map((tag) => html`<option key=${tag} value=${tag} selected=${query.get('tag') === tag}>${visible(tag, 32)}</option>`)}</select>`}</div>`;
}

function Many({ nwid, members, clear }) {
	if (!members.length)
		return null;
	if (!may('approve', nwid))
		return html`<div class="many" role="region" aria-label="Selected members"><strong>${count(members.length)} selected</strong><${Barred} /><button type="button" class="quiet" data-action="select-none" onClick=${clear}>Clear</button></div>`;
	const edits = may('write', nwid);
	const many = (action) => async () => { if (await actOnMany(nwid, members, action)) clear(); };
	return html`<div class="many" role="region" aria-label="Selected members"><strong>${count(members.length)} selected</strong>
		<${Act} kind="primary" action="approve-many" work=${many('approve')}>Approve<//><${Act} action="deny-many" work=${many('deny')}>Deny<//>
		${edits && html`<${Act} action="tag-many" work=${async () => { if (await tagMany(nwid, members)) clear(); }}>Tag<//>`}${edits && html`<${Act} kind="danger" action="revoke-many" work=${many('revoke')}>Revoke<//>`}${edits && html`<${Act} kind="danger" action="delete-many" work=${many('delete')}>Delete<//>`}
		<button type="button" class="quiet" data-action="select-none" onClick=${clear}>Clear</button></div>`;
}

const None = ({ nwid }) => html`<${Empty} icon="devices" title="No members yet"><p>Make an invitation, and a device is a member as soon as it opens the link:</p><p><a class="button primary" href=${`#/n/${nwid}/invites`}>Invite a device</a></p>
	<p>Or on a device that shall join; it then waits here for your approval:</p><p><${Command} text=${`farlan join ${nwid}`} /></p><//>`;

export function Members({ nwid, route }) {
	const cell = useCell(crowd(nwid));
	const network = useData(`/v1/networks/${nwid}`).data;
	const search = useRef(null);
	const [picked, setPicked] = useState(new Set());
	const { query } = route;
	const list = cell.data?.list || [];
	const [state, q, tag, sort] = ['state', 'q', 'tag', 'sort'].map((name) => query.get(name) || '');
	const members = useMemo(() => chosen(list, { state, q, tag, sort }), [cell.data, state, q, tag, sort]);
	const { found, tags } = useMemo(() => counts(list), [cell.data]);
	const selected = useMemo(() => (picked.size ? list.filter((m) => picked.has(m.key_hash || m.address)) : []), [cell.data, picked]);
	const clear = () => setPicked(new Set());
	useKeys(search, () => {
		if (selected.length && may('approve', nwid))
			actOnMany(nwid, selected, 'approve').then(clear, showProblem);
	}, clear);
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="members" />`;
	if (!list.length && cell.data.whole)
		return html`<${None} nwid=${nwid} />`;
	return html`${found.pending > 0 && state !== 'pending' && html`<div class="notice wait sticky">${plural(found.pending, 'device waits', 'devices wait')} for approval. <a href=${`#/n/${nwid}?state=pending`}>Show only ${found.pending === 1 ? 'it' : 'them'}</a></div>`}
		<${Filters} query=${query} found=${found} tags=${tags} search=${search} />
		<p class="hidden" role="status">${plural(members.length, 'member')} shown</p>
		${members.length ? html`<${Table} nwid=${nwid} name=${visible(network?.name || nwid, 63)} members=${members} sort=${sort} setSort=${(s) => setQuery({ sort: s })} picked=${picked} setPicked=${setPicked} />`
			: html`<${Empty} icon="search" title="Nobody fits"><p>None of ${plural(list.length, 'member')} is like that.</p><p><button type="button" data-action="filters-clear" onClick=${() => setQuery({ state: '', q: '', tag: '' })}>Show all</button></p><//>`}
		<${Many} nwid=${nwid} members=${selected} clear=${clear} />`;
}
