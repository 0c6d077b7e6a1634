// parts.js: the small things every view is built of.

import { h, html, useEffect, useRef, useState } from './preact.js';
import { icons } from './icons.js';
import { Barred, roleName } from './may.js';
import { showProblem } from './notices.js';
import { ago, lookalike, visible, when } from './text.js';

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d=${icons[name]} /></svg>`;

// A name of unknown direction, isolated from what stands around it.
export const Foreign = ({ text, max = 63 }) => html`<bdi class="foreign" title=${lookalike(text) ? 'Mixes alphabets whose letters look alike' : undefined}>${visible(text, max)}${lookalike(text) ? html`<span class="warn" aria-label="mixes alphabets"> ≠</span>` : ''}</bdi>`;

const SIGN = { approved: '●', pending: '◐', denied: '○', revoked: '✕', banned: '⊘', online: '●', offline: '○', open: '●', spent: '○', expired: '○' };

// A state is always a word; sign and colour only help.
export const State = ({ state, of }) => html`<span class=${`state ${state}`}><span aria-hidden="true">${SIGN[state] || '○'}</span> ${of || state}</span>`;

// What a person wants to know first: waiting, online, offline, or why not.
export const stateOf = (member) => (member.state === 'approved' ? (member.online ? 'online' : 'offline') : member.state);

async function toClipboard(text) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text);
	const area = document.createElement('textarea'); // without HTTPS there is only the old way
	area.value = text;
	area.className = 'offscreen';
	document.body.append(area);
	area.select();
	const done = document.execCommand('copy');
	area.remove();
	if (!done)
		throw new Error('not copied');
	return undefined;
}

export function Copy({ text, label, children }) {
	const [done, setDone] = useState('');
	useEffect(() => {
		const timer = done && setTimeout(() => setDone(''), 1600);
		return () => clearTimeout(timer);
	}, [done]);
	const copy = () => toClipboard(text).then(() => setDone('Copied'), () => setDone('Not copied'));
	return html`<button type="button" class=${children ? 'copy' : 'quiet icon-only'} data-action="copy" aria-label=${children ? undefined : label} title=${label} onClick=${copy}>
		<${Icon} name=${done === 'Copied' ? 'check' : 'copy'} />${children && html`<span>${done || children}</span>`}<span class="hidden" aria-live="polite">${done}</span></button>`;
}

export const Command = ({ text }) => html`<span class="command"><code>${text}</code><${Copy} text=${text} label="Copy the command" /></span>`;
export const Id = ({ text, label }) => html`<span class="id"><code>${text}</code><${Copy} text=${text} label=${label || 'Copy'} /></span>`;
export const Time = ({ at }) => (at ? html`<time datetime=${new Date(at * 1000).toISOString()} title=${when(at)}>${ago(at)}</time>` : html`<span>never</span>`);

// A button that is busy while its work runs, and tells when it failed. work() returns a promise.
export function Act({ work, kind, action, label, disabled, member, type, children }) {
	const [busy, setBusy] = useState(false);
	const here = useRef(true);
	useEffect(() => () => { here.current = false; }, []);
	const click = async () => {
		setBusy(true);
		try {
			await work();
		} catch (problem) {
			showProblem(problem);
		}
		if (here.current)
			setBusy(false);
	};
	return html`<button type=${type || 'button'} class=${kind} data-action=${action} data-member=${member} aria-label=${label} disabled=${disabled || busy} aria-busy=${busy} onClick=${type ? undefined : click}>${children}</button>`;
}

// Children one by one, not as a list in a list: there this Preact loses their order when one comes later.
const several = (children) => (Array.isArray(children) ? children : [children]);

// A form whose refusal stands where it was typed. save(event) returns a promise; errors: pointers of the server's problem.
// barred: this session may not send it, so it only shows what is set.
export function Form({ save, label, loud, barred, children, class: kind }) {
	const [state, setState] = useState({ busy: false, problem: null });
	const submit = async (event) => {
		event.preventDefault();
		const form = event.target;
		setState({ busy: true, problem: null });
		try {
			await save(form);
			setState({ busy: false, problem: null });
		} catch (problem) {
			if (!problem.title)
				throw problem;
			if (loud) // there is no room for it here
				showProblem(problem);
			setState({ busy: false, problem: loud ? null : problem });
		}
	};
	return h('form', { class: kind || 'form', 'aria-label': label, autocomplete: 'off', 'aria-busy': state.busy, onSubmit: submit }, ...(barred ? [h('fieldset', { disabled: true, class: 'bare' }, ...several(children)), html`<${Barred} />`] : several(children)), state.problem && html`<${Refusal} problem=${state.problem} />`);
}

export const Refusal = ({ problem }) => html`<div class="notice bad" role="alert"><strong>${problem.title}.</strong> ${problem.detail}${problem.detail && !/[.!?]$/.test(problem.detail) ? '.' : ''} ${problem.hint && html`<em>${problem.hint}</em>`}
	${problem.errors?.map((e) => html`<div><code>${visible(e.pointer)}</code> ${visible(e.message)}</div>`)}${problem.command && html`<${Command} text=${problem.command} />`}</div>`;

let fields = 0;
export function Field({ label, help, children, make }) {
	const id = useRef(null);
	id.current ||= `f${++fields}`;
	return html`<div class="field"><label for=${id.current}>${label}</label>${make({ id: id.current, 'aria-describedby': help ? `${id.current}-help` : undefined })}${help && html`<small id=${`${id.current}-help`}>${help}</small>`}${children}</div>`;
}

// Text, number, select (options) or area, under its label.
export function Input({ label, help, kind = 'text', options, value, onValue, ...rest }) {
	const set = (event) => onValue(kind === 'number' ? event.target.valueAsNumber : event.target.value);
	return html`<${Field} label=${label} help=${help} make=${(a) => (options
		? html`<select ...${a} ...${rest} value=${value} onChange=${set}>${options.map(([v, text]) => html`<option value=${v} selected=${String(v) === String(value)}>${text}</option>`)}</select>`
		: kind === 'area' ? html`<textarea ...${a} ...${rest} value=${value} onInput=${set} />`
			: html`<input type=${kind} ...${a} ...${rest} value=${value} onInput=${set} />`)} />`;
}

export const Switch = ({ label, help, value, onValue, ...rest }) => html`<${Field} help=${help} make=${(a) => html`<input type="checkbox" role="switch" ...${a} ...${rest} checked=${value} onChange=${(e) => onValue(e.target.checked)} />`} label=${label} />`;

export const Notice = ({ kind = '', children }) => html`<div class=${`notice ${kind}`}>${children}</div>`;
export const Card = ({ title, action, children, class: kind }) => h('section', { class: `card ${kind || ''}`, 'aria-label': title }, html`<header class="card-head"><h2>${title}</h2>${action}</header>`, ...several(children));
export const Empty = ({ icon, title, children }) => html`<div class="empty"><${Icon} name=${icon} /><h2>${title}</h2>${children}</div>`;
export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter(([, v]) => v !== null && v !== undefined && v !== '').map(([k, v]) => html`<div><dt>${k}</dt><dd>${v}</dd></div>`)}</dl>`;

// While nothing has come, and when what came is a refusal. A route the controller does not have is said so, calmly.
export function Pending({ cell, what }) {
	if (cell.data || !cell.problem)
		return cell.data ? null : html`<p class="loading" role="status">Loading…</p>`;
	if (cell.problem.status === 404 || cell.problem.status === 405)
		return html`<${Empty} icon="info" title=${`No ${what} here`}><p>${cell.problem.detail || 'This controller does not have it.'}</p><//>`;
	if (cell.problem.status === 403)
		return html`<${Empty} icon="key" title="Not for your role"><p>Your role (${roleName()}) does not let you see this.</p><//>`;
	return html`<${Refusal} problem=${cell.problem} />`;
}

// What is typed and not saved yet: held stays as the controller has it, changes are only what differs.
export function useDraft(held) {
	const [draft, setDraft] = useState({});
	const value = (name) => (name in draft ? draft[name] : held?.[name]);
	const changes = Object.fromEntries(Object.entries(draft).filter(([name, v]) => JSON.stringify(v) !== JSON.stringify(held?.[name])));
	return { value, set: (name) => (v) => setDraft((d) => ({ ...d, [name]: v })), changes, dirty: Object.keys(changes).length > 0, reset: () => setDraft({}) };
}

export const SaveBar = ({ draft, action }) => (draft.dirty ? html`<p class="buttons"><button type="submit" class="primary" data-action=${`${action}-save`}>Save</button><button type="button" data-action=${`${action}-cancel`} onClick=${draft.reset}>Cancel</button></p>` : null);
