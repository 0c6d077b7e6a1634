// ranges.js: from which parts of the pool members get addresses, and whether they get any by themselves.

import { changeNetwork } from './deeds.js';
import { may } from './may.js';
import { Card, Form, Input, SaveBar, Switch, useDraft } from './parts.js';
import { html } from './preact.js';
import { prefix } from './subnet.js';

const LINE = /^([0-9.]+)\s*(?:-|–|to|\s)\s*([0-9.]+)$/;
const asText = (ranges) => (ranges || []).map(({ first, last }) => (first === last ? first : `${first} - ${last}`)).join('\n');

// One range in a line; one address alone is a range, too. The controller says what is wrong with them.
function ranges(text) {
	return text.split(/[\n,;]+/).map((line) => line.trim()).filter(Boolean).map((line) => {
		const [, first, last] = LINE.exec(line) || [null, line, line];
		return { first, last };
	});
}

const value = (ip) => prefix(`${ip}/32`)?.ip ?? null;

// What gives nothing: said while it is typed, as the controller says it afterwards.
function outside(text, network) {
	const pool = prefix(network.ipv4 || '');
	return ranges(text).filter(({ first, last }) => {
		const [low, high] = [value(first), value(last)];
		return low !== null && high !== null && (!pool || high < pool.ip || low >= pool.ip + pool.size);
	}).map(({ first, last }) => `${first} - ${last} lies outside ${network.ipv4 || 'of any pool'}: nothing is given from it.`);
}

export function Automatic({ network: n }) {
	const draft = useDraft({ ranges: asText(n.ranges), auto_assign: n.auto_assign, ipv6_auto: n.ipv6_auto });
	const warnings = 'ranges' in draft.changes ? outside(draft.value('ranges'), n) : [];
	const save = async () => {
		const fields = { ...draft.changes };
		if ('ranges' in fields)
			fields.ranges = ranges(fields.ranges);
		await changeNetwork(n, fields, Object.fromEntries(Object.keys(fields).map((name) => [name, n[name]])));
		draft.reset();
	};
	return html`<${Card} title="Automatic addresses"><${Form} label="Automatic addresses" barred=${!may('write', n.id)} save=${save}>
		${'auto_assign' in n && html`<div class="switches"><${Switch} label="IPv4 for new members" help="from the pool; without it, an admin sets them" value=${draft.value('auto_assign')} onValue=${draft.set('auto_assign')} data-setting="auto_assign" /></div>`}
		${'ranges' in n && html`<${Input} label="Only from these ranges" kind="area" rows=${Math.max(2, n.ranges.length)} spellcheck=${false} maxlength="700" placeholder="10.144.7.100 - 10.144.7.199" help="One in a line, 16 at most; empty: the whole pool" value=${draft.value('ranges')} onValue=${draft.set('ranges')} data-setting="ranges" />`}
		${warnings.map((w) => html`<p class="notice wait">${w}</p>`)}
		${'ipv6_auto' in n && html`<div class="switches"><${Switch} label="IPv6 derived from the key" help=${`each member has its own in ${n.ipv6 || 'the network'} for good`} value=${draft.value('ipv6_auto')} onValue=${draft.set('ipv6_auto')} data-setting="ipv6_auto" /></div>`}
		<${SaveBar} draft=${draft} action="automatic" /><//><//>`;
}
