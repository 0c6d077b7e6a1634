// notices.js: what the page says about what was done: toasts, refusals, and questions before what cannot be undone.

import { html, useEffect, useReducer, useRef, useState } from './preact.js';

const TOAST_MS = 6000, TOASTS_MAX = 3;
let toasts = [], question = null, serial = 0;
const redraws = new Set();
const changed = () => { for (const redraw of redraws) redraw(); };

function useNotices() {
	const [, redraw] = useReducer((n) => n + 1, 0);
	useEffect(() => {
		redraws.add(redraw);
		return () => redraws.delete(redraw);
	}, []);
}

const drop = (id) => {
	toasts = toasts.filter((toast) => toast.id !== id);
	changed();
};

function add(toast) {
	toasts = [...toasts.slice(1 - TOASTS_MAX), { id: ++serial, ...toast }];
	changed();
	return serial;
}

// Says what was done; undo() takes it back.
export function said(text, undo) {
	const id = add({ text, undo });
	setTimeout(drop, TOAST_MS, id);
}

// What failed stays until it is dismissed. Who is signed out sees the way in instead.
export function showProblem(problem) {
	if (!problem.title)
		throw problem;
	if (problem.status !== 401)
		add({ problem });
}

export function quiet() {
	toasts = toasts.filter((toast) => !toast.problem);
	changed();
}

export function Toasts() {
	useNotices();
	const bad = toasts.filter((t) => t.problem), good = toasts.filter((t) => !t.problem);
	return html`<div class="toasts">
		<div id="error" role="alert">${bad.map(({ id, problem }) => html`<div class="toast bad" key=${id}><p><strong>${problem.title}.</strong> ${problem.detail} ${problem.hint && html`<em>${problem.hint}</em>`}${problem.command && html` <code>${problem.command}</code>`}</p>
			<button type="button" class="quiet" data-action="error-close" onClick=${() => drop(id)}>Dismiss</button></div>`)}</div>
		<div id="said" role="status">${good.map(({ id, text, undo }) => html`<div class="toast" key=${id}><p>${text}</p>
			${undo && html`<button type="button" class="quiet" data-action="undo" onClick=${() => { drop(id); Promise.resolve(undo()).catch(showProblem); }}>Undo</button>`}</div>`)}</div>
	</div>`;
}

// ask({title, text, yes, danger, reason, type}): the answer is null for no, else what was typed ('' where nothing is asked for).
// reason: label of a text asked for; type: a text that must be typed to go on.
export const ask = (what) => new Promise((resolve) => {
	question?.resolve(null);
	question = { ...what, resolve };
	changed();
});

// A window of the page's own: content is a component that gets {close}.
export const openDialog = (content, label) => ask({ content, label });

export function Dialogs() {
	useNotices();
	const box = useRef(null), opener = useRef(null);
	const [typed, setTyped] = useState('');
	useEffect(() => {
		if (!question || !box.current || box.current.open)
			return;
		setTyped('');
		opener.current = document.activeElement;
		box.current.showModal();
	});
	if (!question)
		return null;
	const { title, text, yes, danger, reason, type, content, label } = question;
	const close = (answer) => {
		const { resolve } = question;
		question = null;
		box.current?.close();
		resolve(answer);
		changed();
		opener.current?.isConnected && opener.current.focus();
	};
	const ready = !type || typed === type;
	return html`<dialog ref=${box} aria-label=${label || title} class=${content ? 'wide' : ''} onCancel=${(e) => { e.preventDefault(); close(null); }}>
		${content ? html`<${content} close=${close} />` : html`<form method="dialog" onSubmit=${(e) => { e.preventDefault(); if (ready) close(typed); }}>
			<h2>${title}</h2><p>${text}</p>
			${(reason || type) && html`<div class="field"><label for="dialog-text">${reason || html`Type <strong>${type}</strong> to go on`}</label><input id="dialog-text" data-field="reason" maxlength="120" value=${typed} onInput=${(e) => setTyped(e.target.value)} autocomplete="off" /></div>`}
			<p class="buttons end"><button type="button" data-action="confirm-no" onClick=${() => close(null)}>Cancel</button>
			<button type="submit" class=${danger ? 'danger' : 'primary'} data-action="confirm-yes" disabled=${!ready}>${yes}</button></p></form>`}
	</dialog>`;
}
