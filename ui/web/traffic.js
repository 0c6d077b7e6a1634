// traffic.js: what the network, or one member, carried: an hour, a day or thirty days of it. What is drawn stands below as figures.

import { memberPath, networkPath } from './api.js';
import { Lines, moment } from './chart.js';
import { Gauge } from './home.js';
import { Card, Empty, Foreign, Pending } from './parts.js';
import { html, useEffect, useMemo, useState } from './preact.js';
import { setQuery } from './route.js';
import { refresh, useData } from './store.js';
import { bytes, count, plural, rate, rtt, visible } from './text.js';

const RANGES = [['1h', '1 hour', 'the last hour'], ['24h', '24 hours', 'the last 24 hours'], ['30d', '30 days', 'the last 30 days']];
const REPORT_S = 60, REASONS_MAX = 4, AGAIN_MS = 30000;
const PER = { 60: 'in a minute', 600: 'in ten minutes', 7200: 'in two hours' };

const rangeOf = (query) => RANGES.find(([key]) => key === query.get('range')) || RANGES[0];
const whole = (n) => (n < 10 && n % 1 ? n.toFixed(1) : count(Math.round(n)));

// Rates of the slots. The newest, where it is not over: what was told so far over the time so far, which is never less than what
// lies between two reports.
function series(data) {
	const at = Array.from({ length: data.slots }, (_, i) => data.start + i * data.step), last = data.slots - 1;
	const open = data.unfinished === true;
	const span = (i) => (open && i === last ? Math.min(data.step, Math.max(REPORT_S, Date.now() / 1000 - at[last])) : data.step);
	const held = (v) => v === null || v === undefined;
	const per = (values, times = 1) => values.map((v, i) => (held(v) ? null : (v * times) / span(i)));
	const as = (values, divide = 1) => values.map((v) => (held(v) ? null : v / divide));
	const reasons = (data.drop_reasons || []).map((r) => ({ ...r, slots: r.slots || [] })), others = reasons.slice(REASONS_MAX);
	const shown = reasons.slice(0, REASONS_MAX).map((r, i) => ({ key: `line-${i}`, label: visible(r.reason.replaceAll('-', ' '), 32), values: as(r.slots) }));
	if (others.length)
		shown.push({ key: `line-${REASONS_MAX}`, label: 'all else', values: as(at.map((_, i) => others.reduce((sum, r) => (r.slots[i] === null || r.slots[i] === undefined ? sum : (sum ?? 0) + r.slots[i]), null))) });
	const pair = (inwards, outwards) => [{ key: 'line-0', label: 'in', values: inwards }, { key: 'line-1', label: 'out', values: outwards }];
	return {
		at, open, bits: pair(per(data.rx_bytes, 8), per(data.tx_bytes, 8)), frames: pair(per(data.rx_frames), per(data.tx_frames)),
		drops: shown.length ? shown : [{ key: 'line-2', label: 'dropped', values: as(data.drops) }], rtt: [{ key: 'line-0', label: 'median', values: as(data.rtt_us, 1000) }],
	};
}

const Range = ({ range }) => html`<div class="chips" role="group" aria-label="Time shown">${RANGES.map(([key, text]) => html`<button type="button" key=${key} data-range=${key} aria-pressed=${key === range} onClick=${() => setQuery({ range: key === '1h' ? '' : key })}>${text}</button>`)}</div>`;

const Total = ({ name, value, exact }) => html`<div><dt>${name}</dt><dd class="big"><data value=${exact} data-total=${name.toLowerCase().replaceAll(' ', '-')}>${value}</data></dd></div>`;
const Totals = ({ data }) => html`<dl class="totals"><${Total} name="In" value=${bytes(data.totals.rx_bytes)} exact=${data.totals.rx_bytes} /><${Total} name="Out" value=${bytes(data.totals.tx_bytes)} exact=${data.totals.tx_bytes} />
	<${Total} name="Frames in" value=${count(data.totals.rx_frames)} exact=${data.totals.rx_frames} /><${Total} name="Frames out" value=${count(data.totals.tx_frames)} exact=${data.totals.tx_frames} /><${Total} name="Dropped" value=${count(data.totals.drops)} exact=${data.totals.drops} /></dl>`;

const figure = (n, text) => html`<data value=${n ?? ''}>${n === null || n === undefined ? '–' : text(n)}</data>`;
const COLUMNS = [['In', 'rx_bytes', bytes], ['Out', 'tx_bytes', bytes], ['Frames in', 'rx_frames', count], ['Frames out', 'tx_frames', count], ['Dropped', 'drops', count], ['Round trip', 'rtt_us', (us) => rtt(us / 1000)]];

// The same as the charts, for those who read. Only made when it is opened.
function Figures({ data, what }) {
	const [open, setOpen] = useState(false);
	const rows = open ? Array.from({ length: data.slots }, (_, i) => data.slots - 1 - i).filter((i) => COLUMNS.some(([, field]) => (data[field]?.[i] ?? null) !== null)) : [];
	return html`<details class="card figures" data-field="figures" onToggle=${(e) => setOpen(e.target.open)}><summary>The figures as a table</summary>
		${open && html`<table class="list figure" aria-label=${`Traffic of ${what}, by time`}><thead><tr><th scope="col">From</th>${COLUMNS.map(([name]) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
			<tbody>${rows.map((i) => html`<tr key=${i} data-slot=${data.start + i * data.step}><th scope="row" data-label="From">${moment(data.start + i * data.step, data.step)}${data.unfinished && i === data.slots - 1 ? html`<small>not over yet</small>` : ''}</th>${COLUMNS.map(([name, field, text]) => html`<td key=${name} data-label=${name}>${figure(data[field]?.[i], text)}</td>`)}</tr>`)}</tbody></table>`}</details>`;
}

function Most({ nwid, data }) {
	if (!data.members?.length)
		return null;
	const most = data.members[0].rx_bytes + data.members[0].tx_bytes;
	return html`<${Card} title="Members with the most"><table class="list" aria-label="Members with the most traffic"><thead><tr><th scope="col">Member</th><th scope="col">In</th><th scope="col">Out</th><th scope="col">Share</th></tr></thead>
		<tbody>${data.members.map((m) => html`<tr key=${m.address} data-member=${m.address}><th scope="row" data-label="Member"><a href=${`#/n/${nwid}/m/${m.address}`}><${Foreign} text=${m.name || m.address} /></a></th><td data-label="In" class="figure">${figure(m.rx_bytes, bytes)}</td><td data-label="Out" class="figure">${figure(m.tx_bytes, bytes)}</td>
		<td data-label="Share" class="share"><${Gauge} value=${m.rx_bytes + m.tx_bytes} of=${most} label=${`${bytes(m.rx_bytes + m.tx_bytes)} in all`} /></td></tr>`)}</tbody></table><//>`;
}

const Reasons = ({ data }) => (data.drop_reasons?.length > 0 ? html`<${Card} title="Why frames were dropped"><table class="list" aria-label="Reasons of drops"><thead><tr><th scope="col">Reason</th><th scope="col">Frames</th></tr></thead><tbody>${data.drop_reasons.map((r) => html`<tr key=${r.reason} data-reason=${r.reason}><th scope="row" data-label="Reason">${visible(r.reason.replaceAll('-', ' '), 40)}</th><td data-label="Frames" class="figure">${figure(r.total, count)}</td></tr>`)}</tbody></table><//>` : null);

const silent = (data) => [data.rx_bytes, data.tx_bytes, data.rtt_us, data.drops].every((values) => values.every((v) => v === null));

function Charts({ data, names }) {
	const { at, open, bits, frames, drops, rtt: trips } = useMemo(() => series(data), [data]);
	const some = (lines) => lines.some(({ values }) => values.some((v) => v !== null));
	const chart = (name, title, lines, say, least = 1) => names.includes(name) && some(lines) && html`<${Lines} name=${name} title=${title} at=${at} lines=${lines} say=${say} least=${least} step=${data.step} open=${open} />`;
	return html`<div class="charts">${chart('bits', 'Bits per second', bits, rate)}${chart('frames', 'Frames per second', frames, whole)}${chart('drops', `Frames dropped, ${PER[data.step] || 'in each slot'}`, drops, whole, 4)}${chart('rtt', 'Round trip, ms', trips, (ms) => (ms < 10 ? ms.toFixed(1) : whole(ms)))}</div>`;
}

const ALL = ['bits', 'frames', 'drops', 'rtt'];
const None = () => html`<${Empty} icon="traffic" title="No samples yet"><p>Members report every ${REPORT_S} s what they carried.</p><//>`;

// News come with samples; that a slot is over comes by the clock alone.
function useTraffic(path) {
	const cell = useData(path);
	useEffect(() => {
		const timer = setInterval(() => { if (!document.hidden) refresh(path); }, AGAIN_MS);
		return () => clearInterval(timer);
	}, [path]);
	return cell;
}

export function Traffic({ nwid, route }) {
	const [range, , words] = rangeOf(route.query);
	const cell = useTraffic(`${networkPath(nwid)}/traffic?range=${range}`), data = cell.data;
	return html`<div class="head"><h2 class="title">Traffic of ${words}</h2><${Range} range=${range} /></div><${Pending} cell=${cell} what="traffic" />
		${data && (silent(data) ? html`<${None} />` : html`<div data-traffic=${range}><section class="card" aria-label="Sum"><${Totals} data=${data} />${typeof data.reporting === 'number' && html`<p class="hint">${plural(data.reporting, 'member reports', 'members report')}. In is what came from the network to their ports, out is what they sent.</p>`}</section>
			<section class="card" aria-label="Charts"><${Charts} data=${data} names=${ALL} /></section><${Figures} data=${data} what="the network" /><div class="grid"><${Most} nwid=${nwid} data=${data} /><${Reasons} data=${data} /></div></div>`)}`;
}

// A part of the member's view.
export function MemberTraffic({ nwid, member, route }) {
	const [range, , words] = rangeOf(route.query);
	const cell = useTraffic(`${memberPath(nwid, member.address)}/traffic?range=${range}`), data = cell.data;
	if (!data && (cell.problem?.status === 404 || cell.problem?.status === 405))
		return null;
	return html`<section class="wide-part" aria-label="Traffic"><div class="head"><h2 class="title">Traffic of ${words}</h2><${Range} range=${range} /></div><${Pending} cell=${cell} what="traffic" />
		${data && (silent(data) ? html`<${None} />` : html`<div data-traffic=${range}><div class="card"><${Totals} data=${data} /><${Charts} data=${data} names=${ALL} /></div><${Figures} data=${data} what="this member" /><${Reasons} data=${data} /></div>`)}</section>`;
}
