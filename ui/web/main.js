// main.js: the way in, and which view stands where. #once=TOKEN is traded for a session at once and wiped from the address bar.

import { Accounts } from './accounts.js';
import { Addresses } from './addresses.js';
import { call, onSignedOut } from './api.js';
import { Audit } from './audit.js';
import { Deliveries } from './deliveries.js';
import { MustEnrol } from './factor.js';
import { Home } from './home.js';
import { AllInvites, Invites } from './invites.js';
import * as live from './live.js';
import { Login } from './login.js';
import { Member } from './member.js';
import { Members } from './members.js';
import { Lost, More, Networks, NetworkFrame } from './networks.js';
import { NetworkSettings } from './rules.js';
import { Empty } from './parts.js';
import { h, html, render, useEffect, useState } from './preact.js';
import { useRoute } from './route.js';
import { Settings } from './settings.js';
import { Shell } from './shell.js';
import { forget, inside, useData } from './store.js';
import { Topology } from './topology.js';
import { Traffic } from './traffic.js';
import { Welcome } from './welcome.js';

// A view of several roots gets an element around them: this Preact loses their order when one of them comes later.
const rooted = (View) => (props) => {
	const drawn = View(props);
	return Array.isArray(drawn) ? h('div', { class: 'view' }, ...drawn) : drawn;
};
const Frame = rooted(NetworkFrame);
const VIEWS = Object.fromEntries(Object.entries({
	home: Home, networks: Networks, invites: AllInvites, audit: Audit, accounts: Accounts, settings: Settings, more: More, welcome: Welcome, lost: Lost,
	members: Members, member: Member, 'network-invites': Invites, 'network-addresses': Addresses, 'network-topology': Topology, 'network-traffic': Traffic, webhook: Deliveries, 'network-settings': NetworkSettings,
}).map(([name, View]) => [name, rooted(View)]));

function View({ route, status }) {
	const View = VIEWS[route.view];
	const view = html`<${View} key=${route.path} route=${route} nwid=${route.nwid} status=${status} />`;
	return route.nwid ? html`<${Frame} route=${route} key=${route.nwid}>${view}<//>` : view;
}

function Inside({ leave }) {
	const route = useRoute();
	const status = useData('/v1/status'), session = useData('/v1/session');
	useEffect(() => {
		live.start();
		return live.stop;
	}, []);
	useEffect(() => { scrollTo(0, 0); }, [route.path]);
	if (session.data?.needs === 'second-factor')
		return html`<${MustEnrol} session=${session.data} leave=${leave} />`;
	if (!status.data || (!session.data && !session.problem))
		return html`<main id="main" class="alone" aria-busy="true"><p class="loading" role="status">${status.problem ? status.problem.title : 'Loading…'}</p></main>`;
	const first = status.data.first_run && route.view === 'home';
	if (first || route.view === 'welcome')
		return html`<${Welcome} status=${status.data} />`;
	return html`<${Shell} route=${route} status=${status.data} leave=${leave}><${View} route=${route} status=${status.data} /><//>`;
}

// entering, out or in. why: what the way in says first.
function App() {
	const [door, setDoor] = useState({ is: 'entering', why: null });
	const out = (why) => {
		live.stop();
		forget();
		setDoor((d) => (d.is === 'out' ? d : { is: 'out', why })); // several answers say it; the first knows why
	};
	const enter = async () => {
		const once = /^#once=([0-9a-zA-Z_-]+)$/.exec(location.hash);
		if (!once)
			return setDoor((d) => (d.is === 'out' ? d : { is: 'in', why: null }));
		history.replaceState(null, '', location.pathname); // first: the token must not stay in the bar, whatever follows
		let why = null;
		try {
			await call('POST', '/v1/session', { once: once[1] });
		} catch (problem) {
			why = problem; // a link that was used up may still be ours: with a session the page simply opens
		}
		return setDoor({ is: 'in', why });
	};
	useEffect(() => {
		const again = () => { if (location.hash.startsWith('#once=')) enter(); };
		addEventListener('hashchange', again);
		enter();
		return () => removeEventListener('hashchange', again);
	}, []);
	useEffect(() => {
		// Who never was inside needs no word about it.
		onSignedOut(() => out(door.why || (inside() ? { title: 'Your session has ended', detail: 'Sign in, and you are back where you were.' } : null)));
	}, [door]);
	const leave = async () => {
		await call('DELETE', '/v1/session').catch(() => {});
		out({ title: 'You have signed out', detail: '', calm: true });
	};
	if (door.is === 'entering')
		return html`<main id="main" class="alone"><p class="loading" role="status">Opening…</p></main>`;
	if (door.is === 'out')
		return html`<${Login} why=${door.why} entered=${() => setDoor({ is: 'in', why: null })} />`;
	return html`<${Inside} leave=${leave} />`;
}

const root = document.getElementById('app');
root.replaceChildren();
if (globalThis.CSS?.supports('color', 'light-dark(#000, #fff)'))
	render(html`<${App} />`, root);
else
	render(html`<main id="main" class="alone"><${Empty} icon="warn" title="This browser is too old for the page"><p>Everything here can also be done with <code>farlan</code> on the controller's machine.</p><//></main>`, root);
