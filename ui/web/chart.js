// chart.js: a line over time, drawn by uPlot, which is loaded only where a chart is shown.

import { html, useEffect, useRef } from './preact.js';

const HEIGHT = 140;
let loading = null;

function load() {
	loading ||= new Promise((resolve, reject) => {
		const sheet = document.createElement('link');
		sheet.rel = 'stylesheet';
		sheet.href = './uplot.css';
		document.head.append(sheet);
		import('./uplot.js').then((module) => resolve(module.default), reject);
	});
	return loading;
}

const color = (name, of) => getComputedStyle(of).getPropertyValue(name).trim();

// samples: [[unix seconds, value], ...], growing.
export function Chart({ samples, label }) {
	const box = useRef(null), plot = useRef(null), last = useRef(samples);
	last.current = samples;
	const data = () => [last.current.map(([at]) => at), last.current.map(([, value]) => value)];
	useEffect(() => {
		let gone = false;
		const size = () => ({ width: Math.max(200, box.current.clientWidth), height: HEIGHT });
		const resized = () => plot.current?.setSize(size());
		load().then((Plot) => {
			if (gone)
				return;
			const axis = { stroke: color('--soft', box.current), grid: { stroke: color('--line', box.current), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
			plot.current = new Plot({ ...size(), legend: { show: false }, cursor: { show: false }, scales: { y: { range: (u, low, high) => [0, Math.max(1, high * 1.2)] } },
				axes: [axis, { ...axis, size: 44 }], series: [{}, { stroke: color('--accent', box.current), width: 2, points: { show: false } }] }, data(), box.current);
		}, () => {});
		addEventListener('resize', resized);
		return () => {
			gone = true;
			removeEventListener('resize', resized);
			plot.current?.destroy();
			plot.current = null;
		};
	}, []);
	useEffect(() => { plot.current?.setData(data()); });
	const now = samples.at(-1)[1];
	return html`<figure class="chart"><figcaption>${label}</figcaption><div ref=${box} role="img" aria-label=${`${label}; now ${now}`}></div></figure>`;
}
