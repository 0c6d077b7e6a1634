// spark.js: how much flows, in the little room of a row or a tile.

import { networkPath } from './api.js';
import { html } from './preact.js';
import { useData } from './store.js';
import { rate } from './text.js';

const WIDTH = 120, HEIGHT = 24;

// values: numbers, or null where nobody told. The line breaks there.
export function Spark({ values, label }) {
	const top = Math.max(1, ...values.map((v) => v ?? 0)), wide = WIDTH / Math.max(1, values.length - 1);
	let path = '', pen = false;
	values.forEach((v, i) => {
		if (v !== null)
			path += `${pen ? 'L' : 'M'}${(i * wide).toFixed(1)} ${(HEIGHT - 2 - (v / top) * (HEIGHT - 4)).toFixed(1)}${pen ? '' : 'h.1'}`;
		pen = v !== null;
	});
	return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}><path d=${path} /></svg>`;
}

// traffic: {rx_bps, tx_bps} or null where nothing was told of the last minute. brief: where there is no room for the unit.
const short = (bps) => html`${rate(bps).replace(/ ?(.?)bit\/s$/, '$1')}<span class="hidden"> bit/s</span>`;
export function Rates({ traffic, brief }) {
	if (!traffic)
		return null;
	const words = brief ? short : rate;
	return html`<span class="rates figure" data-field="rates" title=${`in ${rate(traffic.rx_bps)}, out ${rate(traffic.tx_bps)}`}><span><span aria-hidden="true">↓</span><span class="hidden">in </span>${words(traffic.rx_bps)}</span> <span><span aria-hidden="true">↑</span><span class="hidden">out </span>${words(traffic.tx_bps)}</span></span>`;
}

export function NetworkSpark({ network }) {
	const { data } = useData(`${networkPath(network.id)}/traffic?range=1h`);
	const values = data ? data.rx_bytes.map((v, i) => (v === null && data.tx_bytes[i] === null) || (data.unfinished && i === data.slots - 1) ? null : (v ?? 0) + (data.tx_bytes[i] ?? 0)) : [];
	return values.some((v) => v !== null) ? html`<${Spark} values=${values} label="Traffic of the last hour" />` : null;
}
