// chart.js: lines over time, drawn by uPlot, which is loaded only where a chart is shown.
//
// Colours come from the style sheet: each line has a word in the legend, and what colour that word's sign has is what the canvas
// gets, in either theme. Where nothing was told there is a gap; a sample between two gaps is a dot. With the keyboard a chart
// is a slider over time: arrows walk, and what stands there is read out.

import { html, useEffect, useRef, useState } from './preact.js';

const HEIGHT = 170, DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 4]];
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

const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
export const moment = (at, step) => (step >= 3600 ? `${day.format(at * 1000)}, ${hour.format(at * 1000)}` : hour.format(at * 1000));
const tick = (at, i, all, every) => (every >= 86400 || new Date(at * 1000).getHours() + new Date(at * 1000).getMinutes() === 0 ? day.format(at * 1000) : hour.format(at * 1000));

// The newest sample, where it is not whole yet, is a dashed end: series of its own, beside each line.
function columns({ at, lines, open }) {
	const last = at.length - 1;
	const whole = lines.map(({ values }) => (open ? values.map((v, i) => (i === last ? null : v)) : values));
	return [at, ...whole, ...(open ? lines.map(({ values }) => values.map((v, i) => (i >= last - 1 ? v : null))) : [])];
}

// Samples that stand alone, which a line would not show.
const lone = (plot, series) => {
	const values = plot.data[series], found = [];
	for (let i = 0; i < values.length; i++)
		if (values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null)
			found.push(i);
	return found;
};

function options(props, figure, box, moved) {
	const now = () => props.current, ink = (key) => getComputedStyle(figure.querySelector(`.sign.${key}`)).color;
	const axis = { stroke: () => getComputedStyle(box).color, grid: { stroke: () => getComputedStyle(box).borderTopColor, width: 1 }, ticks: { show: false }, font: '11px system-ui' };
	const series = (line, i, dash) => ({ stroke: () => ink(line.key), width: 1.6, dash, fill: i || dash ? undefined : () => ink(line.key).replace('rgb(', 'rgba(').replace(')', ', .14)'), points: { show: false, size: 5, fill: () => ink(line.key), filter: lone } });
	const { lines, open } = now();
	return {
		width: Math.max(200, box.clientWidth), height: HEIGHT, legend: { show: false }, focus: { alpha: 1 },
		cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: (u, i) => ink(now().lines[(i - 1) % now().lines.length].key) } },
		scales: { y: { range: (u, low, high) => [0, Math.max(high * 1.12, now().least || 1)] } },
		axes: [{ ...axis, space: 64, size: 26, values: (u, ticks, of, space, every) => ticks.map((t, i) => tick(t, i, ticks, every)) }, { ...axis, size: 76, values: (u, ticks) => ticks.map((v) => now().say(v)) }],
		series: [{}, ...lines.map((line, i) => series(line, i, DASHES[i % DASHES.length].length ? DASHES[i % DASHES.length] : undefined)), ...(open ? lines.map((line, i) => series(line, i, [3, 3])) : [])],
		hooks: {
			setCursor: [(u) => moved(u.cursor.idx ?? null)],
			// What was drawn, for whoever compares it: the sum of each line's samples, with the one that is not whole yet.
			draw: [(u) => { box.dataset.drawn = JSON.stringify(now().lines.map((_, i) => u.data[i + 1].reduce((sum, v) => sum + (v ?? 0), open ? u.data[lines.length + i + 1].at(-1) ?? 0 : 0))); }],
		},
	};
}

const dark = matchMedia('(prefers-color-scheme: dark)');

function usePlot(props, figure, box, moved) {
	const plot = useRef(null);
	useEffect(() => {
		let gone = false;
		const resized = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(200, box.current.clientWidth), height: HEIGHT }));
		const repaint = () => plot.current?.redraw();
		load().then((Plot) => {
			if (gone)
				return;
			plot.current = new Plot(options(props, figure.current, box.current, moved), columns(props.current), box.current);
			resized.observe(box.current);
		}, () => { if (box.current) box.current.dataset.drawn = 'failed'; });
		dark.addEventListener('change', repaint);
		return () => {
			gone = true;
			resized.disconnect();
			dark.removeEventListener('change', repaint);
			plot.current?.destroy();
			plot.current = null;
		};
	}, []);
	useEffect(() => { plot.current?.setData(columns(props.current)); }, [props.current.at, props.current.lines, props.current.open]);
	return plot;
}

const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

function Drawn(props) {
	const { title, name, at, lines, say, step = 1 } = props;
	const figure = useRef(null), box = useRef(null), now = useRef(props), [cursor, setCursor] = useState(null);
	now.current = props;
	const plot = usePlot(now, figure, box, setCursor);
	const newest = at.length - (props.open && at.length > 1 ? 2 : 1);
	const here = cursor === null || cursor >= at.length ? Math.max(0, newest) : cursor;
	const told = lines.map(({ values }) => (values[here] === null || values[here] === undefined ? 'nothing' : say(values[here])));
	const pressed = (event) => {
		const to = event.key === 'Home' ? 0 : event.key === 'End' ? at.length - 1 : KEYS[event.key] ? Math.min(at.length - 1, Math.max(0, here + KEYS[event.key])) : null;
		if (to === null || event.ctrlKey || event.altKey || event.metaKey)
			return;
		event.preventDefault();
		setCursor(to);
		plot.current?.setCursor({ left: plot.current.valToPos(at[to], 'x'), top: 0 });
	};
	return html`<figure ref=${figure} class="chart" data-chart=${name}><figcaption><strong>${title}</strong><span class="readout figure"><span class="minor">${at.length ? moment(at[here], step) : ''}</span>${lines.map((line, i) => html`<span key=${line.key}><span class=${`sign ${line.key}`} aria-hidden="true">${'━╍┅┉┄'[i % 5]}</span> ${line.label} ${told[i]}</span>`)}</span></figcaption>
		<div ref=${box} class="plot" tabindex="0" role="slider" aria-label=${`${title}, over time`} aria-valuemin="0" aria-valuemax=${Math.max(0, at.length - 1)} aria-valuenow=${here} aria-valuetext=${`${at.length ? moment(at[here], step) : ''}: ${lines.map((line, i) => `${line.label} ${told[i]}`).join(', ')}`} onKeyDown=${pressed}></div></figure>`;
}

// at: unix seconds; lines: [{key, label, values: [number or null]}], key: a colour of the style sheet (line-0 …); say(value) -> text; least: what the scale shows at least;
// step: seconds between samples; open: the newest is not whole yet. Other lines make another chart.
export const Lines = (props) => html`<${Drawn} key=${`${props.lines.map((line) => line.label).join()}${props.open ? '+' : ''}`} ...${props} />`;
