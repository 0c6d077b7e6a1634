// dom.js: elements and text. Names come from strangers' machines: text nodes only, never markup, and nothing invisible.

// Controls, bidi marks and overrides, zero-width and other format characters, lone surrogates, line separators.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;

// The same text with every character that shows nothing, or turns what follows around, written out.
export const visible = (text) =>
	String(text).replace(HIDDEN, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);

// el('td', {class: 'x', 'data-a': 1, onclick: f}, child, 'text'): attributes by name, listeners by on..., null left out.
export function el(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (name.startsWith('on'))
			element.addEventListener(name.slice(2), value);
		else if (value === true)
			element.setAttribute(name, '');
		else if (value !== null && value !== undefined && value !== false)
			element.setAttribute(name, value);
	}
	element.append(...children.filter((child) => child !== null && child !== undefined));
	return element;
}

// A name of unknown direction, isolated from what stands around it.
export const foreign = (text) => el('bdi', { class: 'foreign' }, visible(text));

export const byId = (id) => document.getElementById(id);

// Replaces the children only if the key differs from the last one, and keeps the keyboard's place by data-action.
export function renew(parent, key, make) {
	if (parent.dataset.key === key)
		return;
	const held = parent.contains(document.activeElement) ? document.activeElement : null;
	const wanted = held && { action: held.dataset.action, member: held.dataset.member, href: held.getAttribute('href') };
	parent.replaceChildren(...make());
	parent.dataset.key = key;
	if (!held)
		return;
	const next = [...parent.querySelectorAll('a, button, input, summary')].find((e) =>
		(wanted.action && e.dataset.action === wanted.action && e.dataset.member === wanted.member) ||
		(wanted.href && e.getAttribute('href') === wanted.href));
	(next || parent.querySelector('button, a') || byId('main')).focus();
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

export function ago(seconds) {
	if (seconds === null || seconds === undefined)
		return 'never';
	const past = Math.round(seconds - Date.now() / 1000);
	if (past > -60)
		return 'now';
	for (const [unit, size] of [['day', 86400], ['hour', 3600], ['minute', 60]])
		if (-past >= size)
			return relative.format(Math.trunc(past / size), unit);
	return 'now';
}
