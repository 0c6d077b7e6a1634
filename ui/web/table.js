// table.js: the members as rows of one height, of which only those near the screen exist. The page itself scrolls.

import { session } from './may.js';
import { h, html, useEffect, useLayoutEffect, useReducer, useRef, useState } from './preact.js';
import { row } from './row.js';

const HEIGHT = 60, CARD = 188, AROUND = 8, GROW = 3;
const COLUMNS = [['c-state', 'State', 'state'], ['c-name', 'Name', 'name'], ['c-ip', 'Addresses', 'address'], ['c-tags', 'Tags', ''], ['c-link', 'Link', 'link'], ['c-version', 'Version', 'version'], ['c-seen', 'Last seen', 'seen']];
const narrow = matchMedia('(max-width: 639.9px)');

const keyOf = (member) => member.key_hash || member.address;

// Which rows exist: those on the screen at once, those around it a few in each frame, so that no jump draws many.
function useWindow(body, total) {
	const [, redraw] = useReducer((n) => n + 1, 0);
	const now = useRef({ from: 0, to: 0, height: 0 });
	const height = narrow.matches ? CARD : HEIGHT;
	const look = () => {
		const top = body.current ? -body.current.getBoundingClientRect().top : 0, old = now.current;
		const first = Math.max(0, Math.min(total, Math.floor(top / height))), last = Math.max(first, Math.min(total, Math.ceil((top + innerHeight) / height)));
		const met = old.from <= last && old.to >= first;
		const from = Math.max(0, first - AROUND, met ? Math.min(first, old.from) - GROW : first);
		const to = Math.min(total, last + AROUND, met ? Math.max(last, old.to) + GROW : last);
		now.current = { from, to, height };
		return from !== old.from || to !== old.to || height !== old.height;
	};
	useEffect(() => {
		let frame = 0;
		const moved = () => {
			frame ||= requestAnimationFrame(() => {
				frame = 0;
				if (!look())
					return;
				redraw();
				moved(); // until there is nothing more around it
			});
		};
		addEventListener('scroll', moved, { passive: true });
		addEventListener('resize', moved);
		moved();
		return () => {
			cancelAnimationFrame(frame);
			removeEventListener('scroll', moved);
			removeEventListener('resize', moved);
		};
	}, [total, height]);
	if (now.current.height !== height || now.current.to > total || !now.current.to)
		look();
	return now.current;
}

// A row that moves, or whose button went with its state, takes the keyboard's place along: it is given back to the row.
function useHeld(body) {
	const held = useRef(null);
	useEffect(() => {
		const came = (event) => { 
			const row = event.target.closest?.('tr[data-key-hash]');
			held.current = row && { key: row.dataset.keyHash, action: event.target.dataset.action };
		};
		const pressed = (event) => { if (!event.target.closest?.('tr, dialog')) held.current = null; };
		document.addEventListener('focusin', came);
		document.addEventListener('pointerdown', pressed);
		return () => {
			document.removeEventListener('focusin', came);
			document.removeEventListener('pointerdown', pressed);
		};
	}, []);
	useLayoutEffect(() => {
		if (!held.current || document.activeElement !== document.body)
			return;
		const row = body.current?.querySelector(`tr[data-key-hash="${CSS.escape(held.current.key)}"]`);
		((held.current.action && row?.querySelector(`[data-action="${CSS.escape(held.current.action)}"]`)) || row?.querySelector('.c-name a, .c-name input') || document.getElementById('main'))?.focus({ preventScroll: true });
	});
}

function Heads({ sort, setSort, all, some, pickAll, total }) {
	const box = useRef(null);
	useEffect(() => { box.current.indeterminate = some && !all; });
	return html`<thead role="rowgroup"><tr role="row" aria-rowindex="1"><th role="columnheader" scope="col" class="c-pick"><input ref=${box} type="checkbox" data-action="select-all" checked=${all} aria-label=${`Select all ${total} shown`} onClick=${(e) => pickAll(e.target.checked)} /></th>
		${COLUMNS.map(([kind, text, key]) => {
			const on = sort.replace('-', '') === key && key !== '';
			return html`<th role="columnheader" scope="col" class=${kind} key=${kind} aria-sort=${on ? (sort.startsWith('-') ? 'descending' : 'ascending') : null}>${key ? html`<button type="button" class="sort" data-sort=${key} onClick=${() => setSort(on && !sort.startsWith('-') ? `-${key}` : on ? '' : key)}>${text}<span aria-hidden="true">${on ? (sort.startsWith('-') ? ' ↓' : ' ↑') : ''}</span></button>` : text}</th>`;
		})}<th role="columnheader" scope="col" class="c-deeds"><span class="hidden">Actions</span></th></tr></thead>`;
}

// picked: a Set of key hashes; setPicked takes the next one.
export function Table({ nwid, name, members, sort, setSort, picked, setPicked }) {
	const body = useRef(null), last = useRef(0), now = useRef(null), kept = useRef(new Map());
	now.current = { members, picked }; // rows that are not drawn again keep the functions they were drawn with
	const [editing, setEditing] = useState(null);
	const [minute, setMinute] = useState(0);
	const { from, to, height } = useWindow(body, members.length);
	useHeld(body);
	useEffect(() => {
		const timer = setInterval(() => setMinute((n) => n + 1), 30000);
		return () => clearInterval(timer);
	}, []);
	const edit = (member, left) => {
		setEditing(member ? keyOf(member) : null);
		if (left)
			setTimeout(() => body.current?.querySelector(`tr[data-key-hash="${left.key_hash}"] [data-action=rename]`)?.focus(), 0);
	};
	const select = (member, at, on, shift) => {
		const next = new Set(now.current.picked);
		const [low, high] = shift ? [Math.min(at, last.current), Math.max(at, last.current)] : [at, at];
		for (const m of now.current.members.slice(low, high + 1))
			next[on ? 'add' : 'delete'](keyOf(m));
		last.current = at;
		setPicked(next);
	};
	const some = members.some((m) => picked.has(keyOf(m)));
	const all = some && members.every((m) => picked.has(keyOf(m)));
	const pickAll = (on) => setPicked(on ? new Set(members.map(keyOf)) : new Set());
	const before = kept.current, rights = session()?.scopes?.join(); // they decide what a row offers
	kept.current = new Map();
	const rows = members.slice(from, to).map((m, i) => {
		const one = row(before, { nwid, member: m, at: from + i, minute, rights, selected: picked.has(keyOf(m)), editing: editing === keyOf(m), edit, select });
		kept.current.set(keyOf(m), one);
		return one.tr;
	});
	const gap = (key, px) => html`<tr class="gap" key=${key} role="presentation" style=${{ height: `${px}px` }}></tr>`;
	return html`<table class="members" role="table" aria-label=${`Members of ${name}`} aria-rowcount=${members.length + 1}>
		<${Heads} sort=${sort} setSort=${setSort} all=${all} some=${some} pickAll=${pickAll} total=${members.length} />
		${h('tbody', { role: 'rowgroup', ref: body }, gap('above', from * height), ...rows, gap('below', (members.length - to) * height))}</table>`;
}
