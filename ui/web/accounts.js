// accounts.js: oneself, users with passwords and roles, and tokens for scripts. A token is shown once, when it is made.

import { call } from './api.js';
import { Factor } from './factor.js';
import { may } from './may.js';
import { ask, openDialog, said, showProblem } from './notices.js';
import { Act, Card, Facts, Copy, Form, Input, Pending, State, Time } from './parts.js';
import { html, useState } from './preact.js';
import { refresh, useData } from './store.js';
import { duration, visible } from './text.js';

const EXPIRIES = [['2592000', 'in 30 days'], ['7776000', 'in 90 days'], ['31536000', 'in a year'], ['', 'never']];
const ROLES = [['read', 'sees everything'], ['approve', 'lets devices in'], ['admin', 'does everything']];
const e = encodeURIComponent;

function Passwords({ label, save, action, old, user, role }) {
	const [f, setF] = useState({ name: '', password: '', again: '', old: '', role: 'read' });
	const set = (name) => (value) => setF({ ...f, [name]: value });
	const submit = async () => {
		if (f.password !== f.again)
			throw { title: 'The two passwords differ', detail: 'Type the same one twice.', hint: '' }; // eslint-disable-line no-throw-literal
		await save(f);
		setF({ ...f, name: '', password: '', again: '', old: '' });
	};
	return html`<${Form} class="form columns" label=${label} save=${submit}>${user && html`<${Input} label="User" required maxlength="32" pattern="[a-z0-9._\\-]+" title="small letters, digits, . _ -" autocomplete="off" value=${f.name} onValue=${set('name')} data-field="user" />`}${role && html`<${Input} label="Role" options=${ROLES.map(([v, text]) => [v, `${v}: ${text}`])} value=${f.role} onValue=${set('role')} data-field="user-role" />`}
		${old && html`<${Input} label="Password until now" kind="password" required autocomplete="current-password" value=${f.old} onValue=${set('old')} data-field="password-old" />`}
		<${Input} label="Password" kind="password" required minlength="8" maxlength="1024" autocomplete="new-password" value=${f.password} onValue=${set('password')} data-field="password" /><${Input} label="Password, again" kind="password" required autocomplete="new-password" value=${f.again} onValue=${set('again')} data-field="password-again" />
		<p class="buttons"><button type="submit" class="primary" data-action=${action}>${label}</button></p><//>`;
}

const Change = (name, self) => ({ close }) => html`<h2>Password of ${visible(name, 32)}</h2><${Passwords} label="Change the password" action="user-password" old=${self} save=${async (f) => {
	await call('PATCH', `/v1/users/${e(name)}`, { password: f.password, ...(self ? { old_password: f.old } : {}) }, { long: true });
	close('');
	said('The password is changed; other sessions of that user have ended.');
}} /><p class="buttons end"><button type="button" data-action="user-cancel" onClick=${() => close(null)}>Cancel</button></p>`;

async function remove(user) {
	if (await ask({ title: `Delete ${visible(user.name, 32)}?`, text: 'Their sessions end at once.', yes: 'Delete', danger: true }) === null)
		return;
	await call('DELETE', `/v1/users/${e(user.name)}`);
	refresh('/v1/users');
	said('The user is deleted.');
}

async function setRole(user, role) {
	try {
		await call('PATCH', `/v1/users/${e(user.name)}`, { role });
		said(`${visible(user.name, 32)} is ${role} now.`);
	} catch (problem) {
		showProblem(problem);
	}
	refresh('/v1/users');
	refresh('/v1/session');
}

async function factorOff(user) {
	if (await ask({ title: `Turn off the second factor of ${visible(user.name, 32)}?`, text: 'Then their password alone lets in, until they turn it on again. It is written down in the audit log.', yes: 'Turn it off', danger: true }) === null)
		return;
	await call('DELETE', `/v1/users/${e(user.name)}/second-factor`, {});
	refresh('/v1/users');
	said('The second factor is off.');
}

// The last admin stays one: the controller would refuse it.
const Role = ({ user: u, last }) => html`<select aria-label=${`Role of ${visible(u.name, 32)}`} data-field="role" disabled=${last} title=${last ? 'the last admin stays one' : undefined} value=${u.role} onChange=${(event) => setRole(u, event.target.value)}>${ROLES.map(([role, text]) => html`<option key=${role} value=${role} title=${text} selected=${u.role === role}>${role}</option>`)}</select>`;

function Users({ status }) {
	const cell = useData('/v1/users');
	const first = cell.data && !cell.data.users.length, roles = cell.data?.users.some((u) => u.role), admins = cell.data?.users.filter((u) => u.role === 'admin').length;
	const add = async (f) => {
		await call('POST', first && !status.user ? '/v1/setup' : '/v1/users', first && !status.user ? { user: f.name, password: f.password } : { name: f.name, password: f.password, ...(roles ? { role: f.role } : {}) }, { long: true });
		for (const path of ['/v1/users', '/v1/status'])
			refresh(path);
		said(`${visible(f.name, 32)} can sign in.`);
	};
	return html`<${Card} title="Users"><${Pending} cell=${cell} what="users" />
		${cell.data?.users.length > 0 && html`<table class="list" aria-label="Users"><thead><tr><th scope="col">User</th>${roles && html`<th scope="col">Role</th><th scope="col">Second factor</th>`}<th scope="col">Made</th><th scope="col">Last signed in</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead><tbody>${cell.data.users.map((u) => html`<tr key=${u.name} data-user=${u.name}><th scope="row" data-label="User">${visible(u.name, 32)}${u.name === status.user ? html`<small>you</small>` : ''}</th>${roles && html`<td data-label="Role"><${Role} user=${u} last=${u.role === 'admin' && admins === 1} /></td><td data-label="Second factor">${u.second_factor ? 'on' : 'off'}</td>`}<td data-label="Made"><${Time} at=${u.created} /></td><td data-label="Last signed in"><${Time} at=${u.last_login} /></td>
			<td class="end"><button type="button" class="quiet" data-action="user-password-open" onClick=${() => openDialog(Change(u.name, u.name === status.user), 'Password')}>Password</button>${u.second_factor && u.name !== status.user && html`<${Act} kind="quiet danger" action="user-factor-off" label=${`Second factor off: ${visible(u.name, 32)}`} work=${() => factorOff(u)}>Second factor off<//>`}${u.name !== status.user && html`<${Act} kind="quiet danger" action="user-delete" label=${`Delete ${visible(u.name, 32)}`} work=${() => remove(u)}>Delete<//>`}</td></tr>`)}</tbody></table>`}
		${cell.data && html`<h3>${first ? 'The first user' : 'One more user'}</h3><${Passwords} label="Add the user" action="user-add" user=${true} role=${roles && !first} save=${add} />`}<//>`;
}

const Made = (token) => ({ close }) => html`<h2>Token ${visible(token.name, 63)}</h2><p class="field"><span class="label">Token</span><code class="link-text" data-field="token">${visible(token.token, 200)}</code></p><p class="notice wait">Shown only now. Send it as <code>Authorization: Bearer …</code></p><p class="buttons end"><${Copy} text=${token.token} label="Copy the token">Copy the token<//><button type="button" class="primary" data-action="token-close" onClick=${() => close(null)}>Done</button></p>`;

function NewToken({ networks }) {
	const [f, setF] = useState({ name: '', scope: 'read', expires: '7776000' });
	const set = (name) => (value) => setF({ ...f, [name]: value });
	const scopes = [['read', 'read everything'], ['members:approve', 'approve and deny members'], ...networks.map((n) => [`network:${n.id}:write`, `manage ${visible(n.name, 40)}`]), ['admin', 'everything']];
	const save = async () => {
		const token = await call('POST', '/v1/tokens', { name: f.name.trim(), scopes: [f.scope], ...(f.expires ? { expires_in: Number(f.expires) } : {}) });
		refresh('/v1/tokens');
		setF({ ...f, name: '' });
		openDialog(Made(token), 'Token');
	};
	return html`<${Form} class="form columns" label="New token" save=${save}><${Input} label="For what" required maxlength="63" placeholder="monitoring" value=${f.name} onValue=${set('name')} data-field="token-name" /><${Input} label="It may" options=${scopes} value=${f.scope} onValue=${set('scope')} data-field="token-scope" /><${Input} label="It ends" options=${EXPIRIES} value=${f.expires} onValue=${set('expires')} data-field="token-expires" />
		<p class="buttons"><button type="submit" class="primary" data-action="token-create">Make the token</button></p><//>`;
}

async function revoke(token) {
	if (await ask({ title: `Revoke ${visible(token.name, 63)}?`, text: 'Whatever uses it is shut out at once.', yes: 'Revoke', danger: true }) === null)
		return;
	await call('DELETE', `/v1/tokens/${e(token.id)}`);
	refresh('/v1/tokens');
	said('The token is revoked.');
}

function Tokens() {
	const cell = useData('/v1/tokens');
	const networks = useData('/v1/networks').data?.networks || [];
	return html`<${Card} title="Tokens"><${Pending} cell=${cell} what="tokens" />
		${cell.data?.tokens.length > 0 && html`<table class="list" aria-label="Tokens"><thead><tr><th scope="col">For what</th><th scope="col">It may</th><th scope="col">Ends</th><th scope="col">Last used</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead><tbody>${cell.data.tokens.map((t) => html`<tr key=${t.id} data-token=${t.id}><th scope="row" data-label="For what">${visible(t.name, 63)}</th><td data-label="It may">${t.scopes.map((s) => html`<code>${visible(s, 40)}</code> `)}</td><td data-label="Ends">${t.state && t.state !== 'open' ? html`<${State} state=${t.state} />` : t.expires_in ? `in ${duration(t.expires_in)}` : 'never'}</td><td data-label="Last used"><${Time} at=${t.last_used} /></td>
			<td class="end"><${Act} kind="quiet danger" action="token-revoke" label=${`Revoke ${visible(t.name, 63)}`} work=${() => revoke(t)}>Revoke<//></td></tr>`)}</tbody></table>`}
		${cell.data && !cell.data.tokens.length && html`<p class="hint">None. A token lets a script do one thing without a password.</p>`}${cell.data && html`<h3>New token</h3><${NewToken} networks=${networks} />`}<//>`;
}

function You({ status }) {
	const { data: s } = useData('/v1/session');
	if (!s?.user)
		return status.user ? null : html`<${Card} title="You"><p>You came in by a one-time link: with every right, and without a password or a second factor.</p><//>`;
	return html`<${Card} title="You"><${Facts} rows=${[['User', visible(s.user, 32)], ['Role', s.role && html`<span data-field="own-role">${visible(s.role, 20)}</span> <small>${ROLES.find(([role]) => role === s.role)?.[1]}</small>`], ['Password', html`<button type="button" data-action="own-password" onClick=${() => openDialog(Change(s.user, true), 'Password')}>Change it</button>`],
		['Second factor', 'second_factor' in s ? html`<${Factor} session=${s} />` : null]]} /><//>`;
}

export const Accounts = ({ status }) => html`<h1>Accounts</h1><${You} status=${status} />${may('admin') ? html`<${Users} status=${status} />` : html`<p class="hint" data-field="barred">Users and tokens are for admins.</p>`}${may('admin') && html`<${Tokens} />`}`;
