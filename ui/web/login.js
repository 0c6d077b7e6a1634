// login.js: who is not signed in: a one-time link from the controller's machine, or user and password.

import { call } from './api.js';
import { Command, Form, Input } from './parts.js';
import { html, useState } from './preact.js';

export function Login({ why, entered }) {
	const [user, setUser] = useState(''), [password, setPassword] = useState('');
	const enter = async () => {
		await call('POST', '/v1/session', { user: user.trim(), password }, { long: true });
		entered();
	};
	return html`<main id="main" class="alone"><section id="signedout" class="card door" aria-label="Sign in">
		<p class="brand"><img src="./icon.svg" width="36" height="36" alt="" /></p><h1>Farlan controller</h1>
		${why && html`<div class=${`notice ${why.calm ? '' : 'wait'}`} role="status" id="signedout-why"><strong>${why.title}.</strong> ${why.detail}</div>`}
		<${Form} label="Sign in" save=${enter}>
			<${Input} label="User" name="user" autocomplete="username" required maxlength="32" value=${user} onValue=${setUser} data-field="user" />
			<${Input} label="Password" kind="password" name="password" autocomplete="current-password" required maxlength="1024" value=${password} onValue=${setPassword} data-field="password" />
			<p class="buttons"><button type="submit" class="primary" data-action="signin">Sign in</button></p>
		<//>
		<hr /><p>No password yet, or forgotten? On the controller's machine, this makes a link that works once, within 15 minutes:</p><p><${Command} text="sudo farlan page" /></p>
	</section></main>`;
}
