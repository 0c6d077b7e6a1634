// text.js: strings and times for people. Names come from strangers' machines: everything invisible in them is written out.

// Controls, bidi marks and overrides, zero-width and other format characters, lone surrogates, line separators.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;
// Letters of several alphabets in one word are how a name pretends to be another.
const LATIN = /\p{Script=Latin}/u, LOOKALIKE = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Cherokee}]/u;

// The same text with every character that shows nothing, or turns what follows around, written out; at most max characters.
export function visible(text, max = 200) {
	const all = String(text ?? '');
	const head = all.length > 4 * max ? all.slice(0, 4 * max) : all; // a surrogate cut in two is written out like any other
	const shown = head.replace(HIDDEN, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
	const points = [...shown];
	return points.length > max || head !== all ? `${points.slice(0, max).join('')}…` : shown;
}

// As people write it: the controller's reasons begin small, for a terminal.
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const lookalike = (text) => String(text ?? '').split(/[\s.-]+/).some((word) => LATIN.test(word) && LOOKALIKE.test(word));

export const nameOf = (member) => visible(member.name || member.hostname || member.address, 63);

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const number = new Intl.NumberFormat('en');
const moment = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const UNITS = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]];

export const count = (n) => number.format(n ?? 0);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const when = (seconds) => moment.format(new Date(seconds * 1000));
export const clock = (date) => date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });

export function ago(seconds) {
	if (seconds === null || seconds === undefined)
		return 'never';
	const past = Math.round(seconds - Date.now() / 1000);
	const unit = UNITS.find(([, size]) => Math.abs(past) >= size);
	return unit ? relative.format(Math.trunc(past / unit[1]), unit[0]) : past > 5 ? 'in a moment' : 'just now';
}

// 5400 -> "1 hour 30 minutes": the two largest units.
export function duration(seconds) {
	const words = [];
	let rest = Math.max(0, Math.round(seconds));
	for (const [unit, size] of [...UNITS, ['second', 1]]) {
		const n = Math.floor(rest / size);
		rest -= n * size;
		if (n)
			words.push(plural(n, unit));
		else if (words.length)
			break;
		if (words.length === 2)
			break;
	}
	return words.join(' ') || 'no time';
}

export const size = (bytes) => (bytes >= 1048576 ? `${(bytes / 1048576).toFixed(1)} MB` : `${Math.ceil(bytes / 1024)} KB`);
// 1234567 -> "1.23 MB": three digits, decimal prefixes, as lines and disks are sold.
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];
function scaled(n, unit) {
	const of = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.abs(n))) / 3 + 1e-9)));
	const value = n / 1000 ** of;
	return `${Number(value.toPrecision(value >= 100 ? 4 : 3)).toLocaleString('en', { maximumFractionDigits: value >= 100 ? 0 : 2 })} ${PREFIXES[of]}${unit}`;
}
export const rate = (bps) => scaled(bps, 'bit/s');
export const bytes = (n) => scaled(n, 'B');

export const rtt = (ms) => (ms === null || ms === undefined ? '' : ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);

// "a, b c" -> ["a", "b", "c"], for tags and addresses typed by people.
export const words = (text) => String(text).split(/[\s,]+/).filter(Boolean);
