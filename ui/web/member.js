// member.js: everything about one member.

import { memberPath } from './api.js';
import { Entries } from './audit.js';
import { Lines } from './chart.js';
import { act, change } from './deeds.js';
import { may, mayDo } from './may.js';
import { Act, Card, Facts, Foreign, Form, Id, Input, Pending, SaveBar, State, Switch, Time, stateOf, useDraft } from './parts.js';
import { html, useEffect, useRef, useState } from './preact.js';
import { go } from './route.js';
import { useData } from './store.js';
import { duration, rtt, visible, words } from './text.js';
import { MemberTraffic } from './traffic.js';

const RIGHTS = [
	['bridge', 'Bridge', 'may speak for other devices: its LAN joins the network'],
	['router', 'Router', 'may announce routers and carry routes'],
	['dhcp-server', 'DHCP server', 'may hand out addresses'],
	['relay', 'Relay', 'may carry traffic between members that find no direct way'],
	['replicator', 'Replicator', 'copies multicast for others'],
	['anchor', 'Anchor', 'keeps the lists of who listens to what'],
	['passive', 'Passive', 'only listens: what it sends to all is not passed on'],
	['ip-guard-exempt', 'Exempt from the IP guard', 'may use addresses that are not its own'],
];
const EXPIRIES = [['', 'as it is'], ['never', 'never'], ['86400', 'in a day'], ['604800', 'in a week'], ['2592000', 'in 30 days'], ['7776000', 'in 90 days'], ['31536000', 'in a year']];

function Link({ member: m }) {
	const samples = useRef([]);
	const [, redraw] = useState(0);
	useEffect(() => {
		if (!m.online || m.rtt_ms === null || m.rtt_ms === undefined)
			return;
		samples.current = [...samples.current.slice(-599), [Date.now() / 1000, m.rtt_ms]];
		redraw(samples.current.length);
	}, [m]);
	return html`<${Card} title="Link"><${Facts} rows=${[
		['Way', m.online ? (m.link === 'relay' ? 'relayed' : m.link || 'connected') : 'offline'], ['Round trip', rtt(m.rtt_ms)], ['Packets come from', m.physical && html`<${Id} text=${visible(m.physical, 64)} label="Copy the endpoint" />`],
		['Last seen', m.online ? 'now' : html`<${Time} at=${m.last_seen} />`], ['First seen', html`<${Time} at=${m.first_seen} />`]]} />
		${samples.current.length > 1 && html`<${Lines} name="link" title="Round trip since you opened this page" at=${samples.current.map(([at]) => at)} lines=${[{ key: 'line-0', label: 'to the controller', values: samples.current.map(([, ms]) => ms) }]} say=${rtt} />`}<//>`;
}

function Words({ nwid, member }) {
	const held = { name: member.name || '', description: member.description || '', tags: (member.tags || []).join(' ') };
	const draft = useDraft(held);
	const save = async () => {
		const fields = { ...draft.changes }, before = Object.fromEntries(Object.keys(fields).map((k) => [k, k === 'tags' ? member.tags || [] : held[k]]));
		if ('tags' in fields)
			fields.tags = words(fields.tags);
		await change(nwid, member, fields, before);
		draft.reset();
	};
	return html`<${Card} title="Name and tags"><${Form} label="Name and tags" barred=${!may('write', nwid)} save=${save}>
		<${Input} label="Name" maxlength="63" required value=${draft.value('name')} onValue=${draft.set('name')} data-field="name" />
		<${Input} label="Description" kind="area" rows="2" maxlength="200" value=${draft.value('description')} onValue=${draft.set('description')} data-field="description" />
		<${Input} label="Tags" help="Separated by spaces" spellcheck=${false} value=${draft.value('tags')} onValue=${draft.set('tags')} data-field="tags" />
		<${SaveBar} draft=${draft} action="words" /><//><//>`;
}

function Addresses({ nwid, member }) {
	const held = { ips: member.ips.map((ip) => ip.split('/')[0]).join('\n'), expiry: '', auto_ip: member.auto_ip };
	const draft = useDraft(held);
	const save = async () => {
		const fields = {};
		if ('ips' in draft.changes)
			Object.assign(fields, words(draft.changes.ips).length === 1 ? { ip: words(draft.changes.ips)[0] } : { ips: words(draft.changes.ips) });
		if ('auto_ip' in draft.changes)
			fields.auto_ip = draft.changes.auto_ip;
		if ('expiry' in draft.changes)
			fields.expires_in = draft.changes.expiry === 'never' ? null : Number(draft.changes.expiry);
		await change(nwid, member, fields);
		draft.reset();
	};
	return html`<${Card} title="Addresses and expiry"><${Form} label="Addresses and expiry" barred=${!may('write', nwid)} save=${save}>
		<${Input} label="IPv4 addresses" kind="area" rows=${Math.max(1, member.ips.length)} help="One in a line; they stay its own" spellcheck=${false} value=${draft.value('ips')} onValue=${draft.set('ips')} data-field="ips" />
		${'auto_ip' in member && html`<div class="switches"><${Switch} label="From the pool" help="gets an address by itself when it has none" value=${draft.value('auto_ip')} onValue=${draft.set('auto_ip')} data-field="auto-ip" /></div>`}
		<p class="field"><span class="label">IPv6</span><${Id} text=${member.ipv6?.split('/')[0]} label="Copy the IPv6 address" /></p>
		<${Input} label="The approval ends" options=${EXPIRIES} help=${member.expires_in ? `now: in ${duration(member.expires_in)}` : 'now: never'} value=${draft.value('expiry')} onValue=${draft.set('expiry')} data-field="expiry" />
		<${SaveBar} draft=${draft} action="addresses" /><//><//>`;
}

function Rights({ nwid, member }) {
	const draft = useDraft(member.flags || {});
	const save = async () => {
		await change(nwid, member, draft.changes, Object.fromEntries(Object.keys(draft.changes).map((k) => [k, member.flags[k]])));
		draft.reset();
	};
	return html`<${Card} title="Rights"><${Form} class="form switches" label="Rights" barred=${!may('write', nwid)} save=${save}>${RIGHTS.filter(([name]) => name in (member.flags || {})).map(([name, label, help]) => html`<${Switch} key=${name} label=${label} help=${help} value=${draft.value(name)} onValue=${draft.set(name)} data-flag=${name} />`)}
		<${SaveBar} draft=${draft} action="rights" /><//><//>`;
}

function Events({ nwid, member }) {
	const cell = useData(`/v1/audit?limit=20&network=${nwid}&member=${member.address}`);
	if (cell.problem?.status === 404)
		return null;
	return html`<${Card} title="What happened" action=${html`<a href=${`#/audit?network=${nwid}&member=${member.address}`}>All of it</a>`}><${Pending} cell=${cell} what="audit" />
		${cell.data && (cell.data.entries.length ? html`<${Entries} entries=${cell.data.entries} brief=${true} />` : html`<p class="hint">Nothing yet.</p>`)}<//>`;
}

function Deeds({ nwid, member }) {
	const deed = (verb, text, kind) => mayDo(verb, nwid, member) && html`<${Act} kind=${kind} action=${verb} member=${member.address} work=${() => act(nwid, member, verb).then((done) => { if (done && verb === 'delete') go(`/n/${nwid}`); })}>${text}<//>`;
	const approved = member.state === 'approved';
	return html`<div class="buttons">${!approved && member.state !== 'banned' && deed('approve', 'Approve', 'primary')}${member.state === 'pending' && deed('deny', 'Deny')}${approved && deed('revoke', 'Revoke', 'danger')}
		${member.state === 'banned' ? deed('unban', 'Lift ban') : deed('ban', 'Ban', 'danger')}${deed('delete', 'Delete', 'danger')}</div>`;
}

export function Member({ nwid, route }) {
	const cell = useData(memberPath(nwid, route.member));
	if (!cell.data)
		return html`<p class="crumb"><a href=${`#/n/${nwid}`}>Members</a></p><${Pending} cell=${cell} what="such member" />`;
	const m = cell.data;
	return html`<div class="head"><div><h2 class="title"><${Foreign} text=${m.name || m.hostname || m.address} /></h2><p class="meta"><${State} state=${stateOf(m)} /><${Id} text=${m.address} label="Copy the address" />${(m.tags || []).map((tag) => html`<span class="tag">${visible(tag, 32)}</span>`)}</p></div><${Deeds} nwid=${nwid} member=${m} /></div>
		${m.reason && html`<div class="notice">${visible(m.reason, 200)}</div>`}
		<div class="grid"><${Card} title="Identity"><${Facts} rows=${[['Fingerprint', html`<span class="words">${visible(m.fingerprint, 120)}</span>`], ['Calls itself', m.hostname && html`<${Foreign} text=${m.hostname} />`], ['System', visible(m.os, 60)], ['Farlan', visible(m.version, 40)],
			['Came by', m.invite && html`an invitation <code>${visible(m.invite, 16)}</code>`], ['Ephemeral', m.ephemeral ? 'deleted when it is offline for long' : null], ['Approved', m.authorized_at ? html`<${Time} at=${m.authorized_at} />` : null], ['Shut out', m.deauthorized_at && m.state !== 'approved' ? html`<${Time} at=${m.deauthorized_at} />` : null], ['Expires', m.expires_in ? `in ${duration(m.expires_in)}` : null], ['Has the settings of', m.acknowledged ? `version ${m.acknowledged}` : null]]} /><//>
		<${Link} key=${m.address} member=${m} /><${Words} nwid=${nwid} member=${m} /><${Addresses} nwid=${nwid} member=${m} /><${Rights} nwid=${nwid} member=${m} /><${Events} nwid=${nwid} member=${m} /></div>
		<${MemberTraffic} key=${`t${m.address}`} nwid=${nwid} member=${m} route=${route} />`;
}
