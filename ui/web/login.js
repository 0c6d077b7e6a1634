// login.js: who is not signed in: a one-time link from the controller's machine, or user and password, and then the code of a
// second factor where the user has one. The password stays in the form: it is sent again with the code.

import { call } from './api.js';
import { Command, Form, Input } from './parts.js';
import { html, useEffect, useRef, useState } from './preact.js';

// six digits by the app, or a recovery code: phones show the keys that are needed.
export function Code({ value, onValue, recovery, label = 'Code of your app', ...rest }) {
	return recovery ? html`<${Input} label="Recovery code" required maxlength="40" spellcheck=${false} autocapitalize="none" autocomplete="off" help="One of those you kept; each works once." value=${value} onValue=${onValue} data-field="code" ...${rest} />`
		: html`<${Input} label=${label} required inputmode="numeric" autocomplete="one-time-code" maxlength="8" pattern="[0-9 ]{6,7}" title="six digits" value=${value} onValue=${onValue} data-field="code" ...${rest} />`;
}

export function Login({ why, entered }) {
	const [f, setF] = useState({ user: '', password: '', code: '' }), [second, setSecond] = useState(null); // null, 'app' or 'recovery'
	const box = useRef(null);
	const set = (name) => (value) => setF((old) => ({ ...old, [name]: value }));
	useEffect(() => { if (second) box.current?.querySelector('[data-field=code]')?.focus(); }, [second]);
	const enter = async () => {
		try {
			await call('POST', '/v1/session', { user: f.user.trim(), password: f.password, ...(second ? { code: f.code.replace(/\s/g, '') } : {}) }, { long: true });
		} catch (problem) {
			if (problem.reason !== 'second-factor' || second)
				throw problem;
			return setSecond('app');
		}
		return entered();
	};
	const turn = (to) => { set('code')(''); setSecond(to); };
	return html`<main id="main" class="alone"><section id="signedout" class="card door" aria-label="Sign in" ref=${box}>
		<p class="brand"><img src="./icon.svg" width="36" height="36" alt="" /></p><h1>Farlan controller</h1>
		${why && !second && html`<div class=${`notice ${why.calm ? '' : 'wait'}`} role="status" id="signedout-why"><strong>${why.title}.</strong> ${why.detail}</div>`}
		${second ? html`<${Form} key="second" label="Second step" save=${enter}><p class="lead" role="status">The password is right. Now ${second === 'app' ? 'the code that your app shows for Farlan' : 'one of your recovery codes'}.</p>
			<${Code} key=${second} recovery=${second === 'recovery'} value=${f.code} onValue=${set('code')} />
			<p class="buttons"><button type="submit" class="primary" data-action="signin-code">Sign in</button><button type="button" class="quiet" data-action="signin-other" onClick=${() => turn(second === 'app' ? 'recovery' : 'app')}>${second === 'app' ? 'Use a recovery code' : 'Use the app'}</button><button type="button" class="quiet" data-action="signin-back" onClick=${() => turn(null)}>Back</button></p><//>`
		: html`<${Form} key="first" label="Sign in" save=${enter}>
			<${Input} label="User" name="user" autocomplete="username" required maxlength="32" value=${f.user} onValue=${set('user')} data-field="user" />
			<${Input} label="Password" kind="password" name="password" autocomplete="current-password" required maxlength="1024" value=${f.password} onValue=${set('password')} data-field="password" />
			<p class="buttons"><button type="submit" class="primary" data-action="signin">Sign in</button></p>
		<//>`}
		<hr /><p>No password yet, or forgotten${second ? ', or the phone lost' : ''}? On the controller's machine, this makes a link that works once, within 15 minutes:</p><p><${Command} text="sudo farlan page" /></p>
	</section></main>`;
}
