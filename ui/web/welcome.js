// welcome.js: the first run: a user, a network, an invitation. Each step stands by itself, so a reload loses nothing.

import { call, networkPath } from './api.js';
import { Invitation } from './invites.js';
import { Toasts } from './notices.js';
import { Command, Form, Icon, Input } from './parts.js';
import { html, useEffect, useRef, useState } from './preact.js';
import { go } from './route.js';
import { refresh } from './store.js';
import { suggest } from './subnet.js';

const STEPS = ['You', 'Network', 'Invitation'];

function Account({ done }) {
	const [user, setUser] = useState('admin'), [password, setPassword] = useState(''), [again, setAgain] = useState('');
	const save = async () => {
		if (password !== again)
			throw { title: 'The two passwords differ', detail: 'Type the same one twice.', hint: '' }; // eslint-disable-line no-throw-literal
		await call('POST', '/v1/setup', { user: user.trim(), password }, { long: true });
		done();
	};
	return html`<h1>Welcome to Farlan</h1><p class="lead">First, a user of your own. Then you come back to this page with a password instead of a link from the terminal.</p>
		<${Form} label="Your user" save=${save}>
			<${Input} label="User" required maxlength="32" pattern="[a-z0-9._\\-]+" title="small letters, digits, . _ -" autocomplete="username" value=${user} onValue=${setUser} data-field="user" />
			<${Input} label="Password" kind="password" required minlength="8" maxlength="1024" autocomplete="new-password" help="Eight characters at least; a few words are better than one with signs." value=${password} onValue=${setPassword} data-field="password" />
			<${Input} label="Password, again" kind="password" required autocomplete="new-password" value=${again} onValue=${setAgain} data-field="password-again" />
			<p class="buttons"><button type="submit" class="primary" data-action="setup">Continue</button><button type="button" class="quiet" data-action="setup-skip" onClick=${done}>Not now</button></p>
		<//>`;
}

function Network({ taken, done }) {
	const [name, setName] = useState(''), [ipv4, setIpv4] = useState(() => suggest(taken));
	const save = async () => {
		const pool = ipv4.trim();
		done(await call('POST', '/v1/networks', { name: name.trim(), ...(pool ? { ipv4: pool } : {}) }));
	};
	return html`<h1>Your network</h1><p class="lead">A network is one Ethernet that its members share, wherever they are.</p>
		<${Form} label="Your network" save=${save}>
			<${Input} label="Name" required maxlength="63" placeholder="home" value=${name} onValue=${setName} data-field="network-name" />
			<${Input} label="IPv4 addresses" maxlength="18" spellcheck=${false} help="Members get theirs from here. This range clashes with no network of this controller; change it if your LAN uses it. Empty: IPv6 only." value=${ipv4} onValue=${setIpv4} data-field="network-ipv4" />
			<p class="buttons"><button type="submit" class="primary" data-action="create">Make the network</button></p>
		<//>`;
}

function Invite({ network }) {
	const [state, setState] = useState({ invite: null, problem: null });
	const asked = useRef(false);
	useEffect(() => {
		if (asked.current)
			return;
		asked.current = true;
		call('POST', `${networkPath(network.id)}/invites`, { name: 'first devices', uses: 5, expires_in: 86400 })
			.then((invite) => setState({ invite, problem: null }), (problem) => setState({ invite: null, problem }));
	}, []);
	return html`<h1>Bring in a device</h1>
		${state.invite && html`<p class="lead">For five devices, valid for a day. They are members at once, without waiting for you.</p><${Invitation} invite=${state.invite} />`}
		${state.problem && html`<p class="lead">On a device that shall join; it then waits here for your approval:</p><p><${Command} text=${`farlan join ${network.id}`} /></p>`}
		<p class="buttons"><button type="button" class="primary" data-action="welcome-done" onClick=${() => go(`/n/${network.id}`)}>Go to the network</button></p>`;
}

export function Welcome({ status }) {
	const [step, setStep] = useState(status.user || status.first_run === false ? 1 : 0);
	const [network, setNetwork] = useState(null);
	useEffect(() => { if (location.hash !== '#/welcome') history.replaceState(null, '', '#/welcome'); }, []);
	const made = (n) => {
		setNetwork(n);
		setStep(2);
		refresh('/v1/status');
	};
	return html`<main id="main" class="alone" tabindex="-1"><section class="card door" aria-label="First steps">
		<ol class="steps">${STEPS.map((name, i) => html`<li key=${name} aria-current=${i === step ? 'step' : null} class=${i < step ? 'done' : ''}>${i < step ? html`<${Icon} name="check" />` : html`<span aria-hidden="true">${i + 1}</span>`} ${name}</li>`)}</ol>
		${step === 0 && html`<${Account} done=${() => setStep(1)} />`}
		${step === 1 && html`<${Network} taken=${(status.networks || []).map((n) => n.ipv4)} done=${made} />`}
		${step === 2 && html`<${Invite} network=${network} />`}
	</section><${Toasts} /></main>`;
}
