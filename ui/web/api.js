// api.js: the only place that talks to the controller. Same routes as the command line uses.

// What a request failed with: the server's problem object, or one of our own when nobody answered.
export class Problem extends Error {
	constructor(status, body) {
		super(body.title || `status ${status}`);
		this.status = status;
		this.title = body.title || `The controller answered with status ${status}`;
		this.detail = body.detail || '';
		this.hint = body.hint || '';
	}
}

const DEADLINE_MS = 10000;

export async function call(method, path, body) {
	let answer;
	try {
		answer = await fetch(path, {
			method,
			credentials: 'same-origin',
			cache: 'no-store',
			signal: AbortSignal.timeout(DEADLINE_MS),
			headers: method === 'GET' ? {} : { 'Content-Type': 'application/json' },
			body: method === 'GET' ? undefined : JSON.stringify(body || {}),
		});
	} catch {
		throw new Problem(0, { title: 'The controller does not answer', hint: 'Is farlan-controller running?' });
	}
	const object = await answer.json().catch(() => ({}));
	if (!answer.ok)
		throw new Problem(answer.status, object);
	return object;
}

export const memberPath = (nwid, address) =>
	`/v1/networks/${encodeURIComponent(nwid)}/members/${encodeURIComponent(address)}`;
