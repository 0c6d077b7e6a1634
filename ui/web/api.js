// api.js: the only place that talks to the controller. Same routes as the command line uses.

import { sentence, visible } from './text.js';

// What a request failed with: the server's problem object, or one of our own when nobody answered (status 0).
export class Problem extends Error {
	constructor(status, body) {
		super(body.title || `status ${status}`);
		this.status = status;
		this.title = sentence(visible(body.title || `The controller answered with status ${status}`));
		this.detail = sentence(visible(body.detail || '', 400));
		this.hint = sentence(visible(body.hint || '', 400));
		this.command = visible(body.command || '', 300);
		this.reason = String(body.reason ?? '');
		this.errors = Array.isArray(body.errors) ? body.errors.slice(0, 8) : [];
	}
}

const DEADLINE_MS = 15000, LONG_MS = 120000; // LONG: passwords and backups are work
let signedOut = () => {};
export const onSignedOut = (f) => { signedOut = f; };

const UNREACHED = { title: 'The controller does not answer', hint: 'It may be restarting; the page goes on by itself as soon as it is back.' };

export async function send(method, path, { body, headers = {}, ms = DEADLINE_MS } = {}) {
	let answer;
	try {
		answer = await fetch(path, { method, credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(ms), headers, body });
	} catch {
		throw new Problem(0, UNREACHED);
	}
	if (answer.ok)
		return answer;
	const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
	if (answer.status === 401 && !path.startsWith('/v1/session') && !problem.reason.startsWith('second-factor'))
		signedOut(problem);
	throw problem;
}

// revision: the edit counts only if the object still has it; somebody else's edit in between is a 412.
export async function call(method, path, body, { revision, long } = {}) {
	const headers = method === 'GET' ? {} : { 'Content-Type': 'application/json' };
	if (revision !== undefined)
		headers['If-Match'] = `"${revision}"`;
	const answer = await send(method, path, { headers, ms: long ? LONG_MS : DEADLINE_MS, body: method === 'GET' ? undefined : JSON.stringify(body || {}) });
	try {
		return answer.status === 204 ? {} : await answer.json();
	} catch {
		throw new Problem(0, UNREACHED); // cut off in the middle
	}
}

export const get = (path) => call('GET', path);

// A file to send or to keep: backup and restore.
export const sendFile = async (path, file, headers) => (await send('POST', path, { ms: LONG_MS, body: file, headers: { 'Content-Type': 'application/octet-stream', ...headers } })).json();
export const fetchFile = async (path, body) => (await send('POST', path, { ms: LONG_MS, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })).blob();

// A header is made of bytes: UTF-8, each byte as one character.
export const headerText = (text) => String.fromCharCode(...new TextEncoder().encode(text));

const e = encodeURIComponent;
export const networkPath = (nwid) => `/v1/networks/${e(nwid)}`;
export const memberPath = (nwid, address) => `${networkPath(nwid)}/members/${e(address)}`;
