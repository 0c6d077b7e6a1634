// row.js: one member in the table; drawn again only when something of it changed.

import { act, change } from './deeds.js';
import { may, mayDo } from './may.js';
import { Act, Foreign, Form, Icon, State, stateOf } from './parts.js';
import { html, useEffect, useRef, useState } from './preact.js';
import { Rates } from './spark.js';
import { ago, nameOf, rtt, visible } from './text.js';

function Rename({ nwid, member, done }) {
	const [name, setName] = useState(member.name || '');
	const input = useRef(null);
	useEffect(() => { input.current.focus(); input.current.select(); }, []);
	const save = async () => {
		if (name.trim() !== member.name)
			await change(nwid, member, { name: name.trim() }, { name: member.name });
		done();
	};
	return html`<${Form} class="rename" label="Rename" loud=${true} save=${save}>
		<input ref=${input} data-field="name" aria-label="Name" maxlength="63" required autocomplete="off" value=${name} onInput=${(e) => setName(e.target.value)} onKeyDown=${(e) => { if (e.key === 'Escape') { e.stopPropagation(); done(); } }} />
		<button type="submit" class="primary icon-only" data-action="rename-save" aria-label="Save"><${Icon} name="check" /></button>
		<button type="button" class="quiet icon-only" data-action="rename-cancel" aria-label="Cancel" onClick=${done}><${Icon} name="close" /></button><//>`;
}

const deed = (nwid, member, verb, text, kind) => mayDo(verb, nwid, member) && html`<${Act} kind=${kind} action=${verb} member=${member.address} label=${`${text} ${nameOf(member)}`} work=${() => act(nwid, member, verb)}>${text}<//>`;

export function Deeds({ nwid, member }) {
	switch (member.state) {
	case 'pending':
		return html`${deed(nwid, member, 'approve', 'Approve', 'primary')}${deed(nwid, member, 'deny', 'Deny')}`;
	case 'approved':
		return deed(nwid, member, 'revoke', 'Revoke', 'quiet danger');
	case 'banned':
		return deed(nwid, member, 'unban', 'Lift ban', 'quiet');
	default:
		return html`${deed(nwid, member, 'approve', 'Approve', 'quiet')}${deed(nwid, member, 'delete', 'Delete', 'quiet danger')}`;
	}
}

function Name({ nwid, member, editing, edit }) {
	if (editing)
		return html`<${Rename} nwid=${nwid} member=${member} done=${() => edit(null, member)} />`;
	const more = [member.hostname && member.hostname !== member.name ? visible(member.hostname, 40) : '', member.os ? visible(member.os, 40) : ''].filter(Boolean).join(' · ');
	return html`<span class="name"><a href=${`#/n/${nwid}/m/${member.address}`}>${member.name || member.hostname ? html`<${Foreign} text=${member.name || member.hostname} />` : html`<em>no name</em>`}</a>
			${may('write', nwid) && html`<button type="button" class="quiet icon-only" data-action="rename" data-member=${member.address} aria-label=${`Rename ${nameOf(member)}`} onClick=${() => edit(member)}><${Icon} name="edit" /></button>`}</span>
		<small class="cut"><code>${member.address}</code>${more && html` · <bdi>${more}</bdi>`}</small>`;
}

const cell = (label, kind, children) => html`<td role="cell" data-label=${label} class=${kind}>${children}</td>`;

function Known({ member: m }) {
	const flags = Object.entries(m.flags || {}).filter(([, on]) => on).map(([flag]) => flag);
	const seen = m.online ? 'now' : ago(m.last_seen);
	return html`${cell('Addresses', 'c-ip', html`<code>${m.ips?.[0]?.split('/')[0] || m.ipv6?.split('/')[0]}</code>${m.ips?.length > 1 ? html`<small>and ${m.ips.length - 1} more</small>` : flags.length > 0 && html`<small class="cut" title=${flags.join(', ')}>${flags.join(', ')}</small>`}`)}
		${cell('Tags', 'c-tags', (m.tags || []).slice(0, 3).map((tag) => html`<span class="tag" key=${tag}>${visible(tag, 32)}</span>`))}
		${cell('Link', m.online && m.link ? 'c-link' : 'c-link none', m.online && m.link ? html`<span class=${`link ${m.link}`}>${m.link === 'relay' ? 'relayed' : m.link}</span><small class="figure">${rtt(m.rtt_ms)}</small>` : '–')}
		${cell('Version', 'c-version', html`<span class="cut">${visible(m.version || '–', 20)}</span>`)}
		${cell('Last seen', 'c-seen', html`<span>${seen}</span>${m.online && m.traffic && html`<small><${Rates} traffic=${m.traffic} brief=${true} /></small>`}`)}`;
}

const Stranger = ({ member: m }) => cell('Key', 'c-print', html`<span class="words cut" title="farlan id on the device shows the same words">${visible(m.fingerprint, 120)}</span><small class="cut">${m.physical ? `from ${visible(m.physical, 60)}, ` : ''}${m.first_seen ? `asked ${ago(m.first_seen)}` : ''}</small>`);

const drawn = ({ nwid, member, selected, editing, at, edit, select }) => html`<tr key=${member.key_hash || member.address} role="row" aria-rowindex=${at + 2} aria-selected=${selected} data-key-hash=${member.key_hash} data-member=${member.address} data-state=${member.state}>
	<td role="cell" class="c-pick"><input type="checkbox" data-action="select" checked=${selected} aria-label=${`Select ${nameOf(member)}`} onClick=${(e) => select(member, at, e.target.checked, e.shiftKey)} /></td>
	${cell('State', 'c-state', html`<${State} state=${stateOf(member)} />`)}
	<th role="rowheader" scope="row" class="c-name" data-label="Name"><${Name} nwid=${nwid} member=${member} editing=${editing} edit=${edit} /></th>
	${member.state === 'pending' ? html`<${Stranger} member=${member} />` : html`<${Known} member=${member} />`}
	<td role="cell" class="c-deeds"><${Deeds} nwid=${nwid} member=${member} /></td></tr>`;

const KEPT = ['member', 'selected', 'editing', 'at', 'minute', 'rights'];

// The row as last drawn if nothing of it changed: Preact leaves what it has seen before alone. A component that says so itself
// (shouldComponentUpdate) would be taken out and put in again whenever rows above it go.
export function row(kept, props) {
	const key = props.member.key_hash || props.member.address, old = kept.get(key);
	if (old && KEPT.every((name) => old.props[name] === props[name]))
		return old;
	const now = { props, tr: drawn(props) };
	kept.set(key, now);
	return now;
}
