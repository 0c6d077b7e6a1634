// live.js: the stream of changes. One tab holds it and tells the others: browsers open six connections to a host, and a
// stream takes one for good. Hidden tabs hold none. While there is no stream, the page asks every five seconds instead.
//
// The lock and the channel need a secure context (HTTPS or this machine); elsewhere each visible tab has its own stream.
// states: "live", "asking" (no stream), "away" (nobody answers; store.js finds that out).

const RETRY_MS = [1000, 2000, 5000];
const listeners = new Set();
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('farlan-live') : null;
let source = null, release = null, queue = null, retry = 0, timer = 0, running = false, state = 'asking', resumed = false;

// listener({change}) for each change, ({state}) when it turns, ({reset: true}) when anything may have changed.
export function listen(listener) {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

const tell = (message) => { for (const listener of listeners) listener(message); };
function all(message) {
	tell(message);
	channel?.postMessage(message);
}

function turn(next) {
	state = next;
	all({ state });
}

export const liveState = () => state;

function opened() {
	retry = 0;
	turn('live');
	if (!resumed) // what happened before the first event is not in the stream
		all({ reset: true });
	resumed = true;
}

// What failed before may be a controller that restarts: the browser's own retry keeps the resume point, ours does not.
function failed() {
	turn('asking');
	if (source.readyState !== EventSource.CLOSED)
		return;
	resumed = false;
	source = null;
	clearTimeout(timer);
	timer = setTimeout(connect, RETRY_MS[Math.min(retry++, RETRY_MS.length - 1)]);
}

function connect() {
	if (!release || source)
		return;
	source = new EventSource('/v1/events');
	source.addEventListener('hello', opened);
	source.addEventListener('reset', () => all({ reset: true }));
	source.addEventListener('change', (event) => {
		try {
			all({ change: JSON.parse(event.data) });
		} catch { /* not ours to mend: the next reset brings it right */ }
	});
	source.addEventListener('error', failed);
}

const hold = () => new Promise((resolve) => {
	release = resolve;
	connect();
});

function begin() {
	if (document.hidden || queue || !running)
		return;
	queue = new AbortController();
	if (!navigator.locks) {
		hold();
		return;
	}
	channel?.postMessage({ who: true });
	navigator.locks.request('farlan-live', { signal: queue.signal }, hold).catch(() => {});
}

function end() {
	clearTimeout(timer);
	queue?.abort();
	queue = null;
	source?.close();
	source = null;
	resumed = false;
	release?.();
	release = null;
	state = 'asking';
}

channel?.addEventListener('message', ({ data }) => {
	if (data.who) {
		if (source)
			channel.postMessage({ state });
		return;
	}
	if (document.hidden || source)
		return;
	if (data.state)
		state = data.state;
	tell(data);
});

document.addEventListener('visibilitychange', () => {
	if (!running)
		return;
	if (document.hidden) {
		end();
	} else {
		begin();
		tell({ reset: true });
	}
});

export function start() {
	running = true;
	begin();
}

export function stop() {
	running = false;
	end();
}
