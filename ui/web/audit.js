// audit.js: who did what, newest first; the chain of hashes can be checked, and all of it taken home.

import { call, get } from './api.js';
import { said } from './notices.js';
import { Act, Card, Empty, Form, Icon, Input, Pending, Refusal, Time } from './parts.js';
import { html, useEffect, useState } from './preact.js';
import { route as currentRoute, setQuery } from './route.js';
import { useData } from './store.js';
import { count, visible, when } from './text.js';

const PAGE = 100, EXPORT_MAX = 100000;
const FILTERS = [['actor', 'By whom', 'user:anna'], ['action', 'What', 'member.approve'], ['network', 'Network id', ''], ['member', 'Member', '']];

const text = (value) => (value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value));
const turned = (v) => v !== null && typeof v === 'object' && 'was' in v && 'now' in v;
const detail = (d) => Object.entries(d || {}).map(([k, v]) => `${k.replaceAll('_', ' ')}: ${turned(v) ? `${text(v.was) || 'none'} → ${text(v.now) || 'none'}` : text(v)}`).join(', ');
const target = (e) => e.network && html`<a href=${e.member ? `#/n/${e.network}/m/${e.member}` : `#/n/${e.network}`}><code>${visible(e.member || e.network, 20)}</code></a>`;

export function Entries({ entries, brief }) {
	if (brief)
		return html`<ul class="plain events">${entries.map((e) => html`<li key=${e.seq}><strong>${visible(e.action, 40)}</strong> <span>${visible(e.actor, 64)}</span> <small><${Time} at=${e.time} />${e.detail && html` · <bdi>${visible(detail(e.detail), 120)}</bdi>`}</small></li>`)}</ul>`;
	return html`<div class="sheet"><table class="list audit" aria-label="Audit log"><thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">By whom</th><th scope="col">On what</th><th scope="col">Detail</th></tr></thead>
		<tbody>${entries.map((e) => html`<tr key=${e.seq} data-seq=${e.seq}><td data-label="When" class="when" title=${e.time ? when(e.time) : ''}><${Time} at=${e.time} /><small class="figure">#${e.seq}</small></td><th scope="row" data-label="What">${visible(e.action, 40)}</th>
		<td data-label="By whom"><bdi>${visible(e.actor, 64)}</bdi>${e.from && html`<small><bdi>${visible(e.from, 64)}</bdi></small>`}</td><td data-label="On what" class="when">${target(e) || '–'}</td><td data-label="Detail" class="detail"><bdi>${visible(detail(e.detail), 300)}</bdi></td></tr>`)}</tbody></table></div>`;
}

function queryOf(query) {
	const fields = FILTERS.map(([name]) => [name, query.get(name)]).filter(([, value]) => value);
	return new URLSearchParams(fields).toString();
}

async function exported() {
	const search = queryOf(currentRoute().query), lines = [];
	let cursor = '';
	do {
		const answer = await get(`/v1/audit?limit=1000${search && `&${search}`}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
		lines.push(...answer.entries.map((e) => JSON.stringify(e)));
		cursor = answer.next || '';
	} while (cursor && lines.length < EXPORT_MAX);
	keep(new Blob([`${lines.join('\n')}\n`], { type: 'application/x-ndjson' }), 'farlan-audit.jsonl');
	said(`${count(lines.length)} entries are in farlan-audit.jsonl.`);
}

// A file into the browser's downloads.
export function keep(blob, name) {
	const link = document.createElement('a');
	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function Verdict({ verdict: v }) {
	if (!v)
		return null;
	return v.ok ? html`<div class="notice good" role="status" data-field="verdict"><strong>The log is whole.</strong> ${count(v.entries)} entries, each with the hash of the one before. Head <code>${visible(String(v.head || '').slice(0, 16), 16)}</code></div>`
		: html`<div class="notice bad" role="alert" data-field="verdict"><strong>The log was tampered with or is damaged,</strong> from entry ${count(v.broken_at)} on.</div>`;
}

export function Audit({ route }) {
	const search = queryOf(route.query), path = `/v1/audit?limit=${PAGE}${search && `&${search}`}`;
	const cell = useData(path);
	const [more, setMore] = useState({ entries: [], next: undefined }), [verdict, setVerdict] = useState(null);
	useEffect(() => setMore({ entries: [], next: undefined }), [path]);
	const first = cell.data?.entries || [];
	const next = more.next === undefined ? cell.data?.next : more.next;
	const entries = [...first, ...more.entries.filter((e) => !first.length || e.seq < first.at(-1).seq)];
	const load = async () => {
		const answer = await get(`${path}&cursor=${encodeURIComponent(next)}`);
		setMore({ entries: [...more.entries, ...answer.entries], next: answer.next });
	};
	return html`<div class="head"><h1>Audit</h1><p class="buttons"><${Act} action="audit-verify" work=${async () => setVerdict(await call('POST', '/v1/audit/verify', undefined, { long: true }))}><${Icon} name="check" />Verify<//><${Act} action="audit-export" work=${exported}><${Icon} name="download" />Export<//></p></div>
		<${Verdict} verdict=${verdict} />
		<${Card} title="Filter"><${Form} class="form columns" label="Filter" save=${async () => {}}>${FILTERS.map(([name, label, placeholder]) => html`<${Input} key=${name} label=${label} placeholder=${placeholder} maxlength="64" spellcheck=${false} value=${route.query.get(name) || ''} onValue=${(v) => setQuery({ [name]: v.trim() })} data-field=${`audit-${name}`} />`)}<//><//>
		${!cell.data && cell.problem?.status === 400 ? html`<${Refusal} problem=${cell.problem} />` : html`<${Pending} cell=${cell} what="audit log" />`}
		${cell.data && (entries.length ? html`<${Entries} entries=${entries} />` : html`<${Empty} icon="audit" title="Nothing fits"><p>${search ? 'No entry is like that.' : 'What admins do and who was let in will be written here.'}</p><//>`)}
		${next && html`<p class="buttons"><${Act} action="audit-more" work=${load}>Older ones<//></p>`}`;
}
