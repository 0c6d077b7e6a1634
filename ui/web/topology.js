// topology.js: who talks to whom directly and who by a relay; the same as a list below, for those who do not look at pictures.

import { networkPath } from './api.js';
import { box, field, step } from './force.js';
import { Empty, Foreign, Pending } from './parts.js';
import { html, useEffect, useMemo, useReducer, useRef } from './preact.js';
import { go } from './route.js';
import { useData } from './store.js';
import { plural, rtt, visible } from './text.js';

const NODES_MAX = 300, LIST_MAX = 500, SLICE_MS = 8;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

// The picture settles in slices between frames; a few nodes more or less begin it anew, other news only change the colours.
function useLayout(nodes, links) {
	const [, redraw] = useReducer((n) => n + 1, 0);
	const key = nodes.map((n) => n.address).join() + links.length;
	const state = useMemo(() => field(nodes, links), [key]);
	const frame = useRef(0);
	useEffect(() => {
		const turn = () => {
			const end = performance.now() + SLICE_MS;
			let warm = true;
			while (warm && performance.now() < end)
				warm = step(state, state);
			if (!calm.matches || !warm)
				redraw();
			frame.current = warm ? requestAnimationFrame(turn) : 0;
		};
		frame.current = requestAnimationFrame(turn);
		return () => cancelAnimationFrame(frame.current);
	}, [state]);
	return state.points;
}

const speed = (link) => (link.link === 'relay' ? 'relay' : link.rtt_ms === null || link.rtt_ms === undefined ? '' : link.rtt_ms < 30 ? 'fast' : link.rtt_ms < 120 ? 'fair' : 'slow');

function Picture({ nwid, nodes, links }) {
	const points = useLayout(nodes, links);
	const at = new Map(nodes.map((n, i) => [n.address, points[i]]));
	const named = nodes.length <= 80;
	return html`<svg class="topology" viewBox=${box(points)} role="img" aria-label=${`${plural(nodes.length, 'node')}, ${plural(links.length, 'link')}; the list below says the same`}>
		${links.map((l) => { const [p, q] = [at.get(l.a), at.get(l.b)]; return p && q && html`<line key=${`${l.a}-${l.b}`} class=${`edge ${speed(l)}`} x1=${p.x} y1=${p.y} x2=${q.x} y2=${q.y}><title>${rtt(l.rtt_ms) || l.link}</title></line>`; })}
		${nodes.map((n, i) => html`<g key=${n.address} onClick=${n.role === 'member' ? () => go(`/n/${nwid}/m/${n.address}`) : undefined} class=${`node ${n.role} ${n.online ? 'on' : 'off'}`} transform=${`translate(${points[i].x.toFixed(1)} ${points[i].y.toFixed(1)})`}>
			${n.role === 'member' ? html`<circle r="9" />` : html`<rect x="-9" y="-9" width="18" height="18" rx=${n.role === 'root' ? 2 : 6} />`}<title>${visible(n.name || n.address, 40)}</title>${named && html`<text y="24">${visible(n.name || n.address, 16)}</text>`}</g>`)}</svg>`;
}

const Legend = () => html`<ul class="plain legend" aria-label="Legend"><li><svg viewBox="0 0 30 10" aria-hidden="true"><line class="edge fast" x1="0" y1="5" x2="30" y2="5" /></svg>direct, under 30 ms</li><li><svg viewBox="0 0 30 10" aria-hidden="true"><line class="edge fair" x1="0" y1="5" x2="30" y2="5" /></svg>direct, under 120 ms</li><li><svg viewBox="0 0 30 10" aria-hidden="true"><line class="edge slow" x1="0" y1="5" x2="30" y2="5" /></svg>direct, slower</li><li><svg viewBox="0 0 30 10" aria-hidden="true"><line class="edge relay" x1="0" y1="5" x2="30" y2="5" /></svg>relayed</li></ul>`;

export function Topology({ nwid }) {
	const cell = useData(`${networkPath(nwid)}/topology`);
	if (!cell.data)
		return html`<${Pending} cell=${cell} what="topology" />`;
	const degree = new Map();
	for (const { a, b } of cell.data.links)
		for (const x of [a, b])
			degree.set(x, (degree.get(x) || 0) + 1);
	const all = cell.data.nodes;
	const ranked = all.length > NODES_MAX ? [...all].sort((a, b) => b.online - a.online || (degree.get(b.address) || 0) - (degree.get(a.address) || 0)).slice(0, NODES_MAX) : all;
	const nodes = [...ranked].sort((a, b) => (a.address < b.address ? -1 : 1)), shown = new Set(nodes.map((n) => n.address));
	const links = cell.data.links.filter((l) => shown.has(l.a) && shown.has(l.b));
	const byAddress = new Map(all.map((n) => [n.address, n]));
	const name = (address) => {
		const n = byAddress.get(address), text = html`<${Foreign} text=${n?.name || address} />`;
		return n?.role === 'member' ? html`<a href=${`#/n/${nwid}/m/${address}`}>${text}</a>` : text;
	};
	if (!all.length)
		return html`<${Empty} icon="networks" title="Nobody is here yet"><p>As soon as members are online, this shows who reaches whom, and how.</p><//>`;
	return html`<section class="card picture" aria-label="Topology"><${Picture} nwid=${nwid} nodes=${nodes} links=${links} /><${Legend} /></section>
		${all.length > nodes.length && html`<p class="hint">The ${NODES_MAX} best connected of ${all.length} are shown.</p>`}
		<h2 class="over">${plural(cell.data.links.length, 'link')}</h2>
		${cell.data.links.length > 0 && html`<div class="sheet"><table class="list" aria-label="Links"><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Way</th><th scope="col">Round trip</th></tr></thead>
			<tbody>${cell.data.links.slice(0, LIST_MAX).map((l) => html`<tr key=${`${l.a}-${l.b}`}><th scope="row" data-label="From">${name(l.a)}</th><td data-label="To">${name(l.b)}</td><td data-label="Way">${l.link === 'relay' ? 'relayed' : 'direct'}</td><td data-label="Round trip" class="figure">${rtt(l.rtt_ms) || '–'}</td></tr>`)}</tbody></table></div>`}`;
}
