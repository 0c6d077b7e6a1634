// factor.js: one's own second factor: a code that an app shows beside the password. The secret is shown once, so are the codes
// that replace the app when the phone is lost.

import { call } from './api.js';
import { keep } from './audit.js';
import { Code } from './login.js';
import { Dialogs, Toasts, openDialog, said } from './notices.js';
import { Copy, Form, Icon, Input } from './parts.js';
import { html, useState } from './preact.js';
import { refresh } from './store.js';
import { plural, visible } from './text.js';

const pathOf = (user) => `/v1/users/${encodeURIComponent(user)}`;
const settle = () => { for (const path of ['/v1/session', '/v1/users', '/v1/status']) refresh(path); };
const spaced = (secret) => visible(secret, 64).replace(/(.{4})(?=.)/g, '$1 ');
const bare = (code) => code.replace(/\s/g, '');

function Codes({ codes, user, close }) {
	const text = codes.map((code) => visible(code, 40)).join('\n');
	const file = () => keep(new Blob([`Farlan: recovery codes of ${user} at ${location.host}\nEach works once, instead of the code of the app.\n\n${text}\n`], { type: 'text/plain' }), 'farlan-recovery-codes.txt');
	return html`<div class="print"><h2>Recovery codes of ${visible(user, 32)}</h2><p>If the phone is lost, each of these lets you in once. Keep them where the phone is not.</p>
		<ol class="codes" data-field="recovery-codes">${codes.map((code) => html`<li key=${code}><code>${visible(code, 40)}</code></li>`)}</ol></div>
		<p class="notice wait">Shown only now.</p>
		<p class="buttons end"><${Copy} text=${text} label="Copy the codes">Copy<//><button type="button" data-action="codes-download" onClick=${file}><${Icon} name="download" />Download</button><button type="button" data-action="codes-print" onClick=${() => print()}>Print</button><button type="button" class="primary" data-action="codes-close" onClick=${() => close(null)}>I have kept them</button></p>`;
}

const Cancel = ({ close }) => html`<button type="button" data-action="factor-cancel" onClick=${() => close(null)}>Cancel</button>`;
const Password = ({ value, onValue }) => html`<${Input} label="Your password" kind="password" required maxlength="1024" autocomplete="current-password" value=${value} onValue=${onValue} data-field="factor-password" />`;

function Confirm({ user, made, done, close }) {
	const [code, setCode] = useState('');
	const picture = made.qr_svg ? `data:image/svg+xml;charset=utf-8,${encodeURIComponent(made.qr_svg)}` : null;
	const save = async () => {
		done((await call('POST', `${pathOf(user)}/second-factor/confirm`, { code: bare(code) })).codes);
		settle();
	};
	return html`<h2>Bring it into your app</h2><div class="invitation">${picture && html`<img class="qr" src=${picture} width="200" height="200" alt="The secret as a QR code" />`}
		<div><p>Scan this with an authenticator app, or type the secret there:</p><p class="field"><span class="label">Secret</span><code class="link-text" data-field="factor-secret">${spaced(made.secret)}</code></p><p class="buttons"><${Copy} text=${made.secret} label="Copy the secret">Copy the secret<//></p></div></div>
		<${Form} label="Confirm the second factor" save=${save}><${Code} label="The code it shows now" value=${code} onValue=${setCode} /><p class="buttons end"><${Cancel} close=${close} /><button type="submit" class="primary" data-action="factor-confirm">Turn it on</button></p><//>`;
}

// The codes are told once: they outlive the view, which may change as soon as the session has its rights.
function useKept(kept) {
	const [codes, setCodes] = useState(kept.codes);
	return [codes, (told) => { kept.codes = told; setCodes(told); }];
}

// Password, then the secret, then the codes. kept: of this window.
const Enrol = (user, kept = { codes: null }) => ({ close }) => {
	const [password, setPassword] = useState(''), [made, setMade] = useState(null), [codes, setCodes] = useKept(kept);
	if (codes)
		return html`<${Codes} codes=${codes} user=${user} close=${close} />`;
	if (made)
		return html`<${Confirm} user=${user} made=${made} done=${setCodes} close=${close} />`;
	const save = async () => {
		setMade(await call('POST', `${pathOf(user)}/second-factor`, { password }, { long: true }));
		setPassword('');
	};
	return html`<h2>Second factor</h2><p>Besides your password, signing in then needs a code that changes every half minute.</p><${Form} label="Second factor" save=${save}><${Password} value=${password} onValue=${setPassword} /><p class="buttons end"><${Cancel} close=${close} /><button type="submit" class="primary" data-action="factor-begin">Go on</button></p><//>`;
};

// What needs password and code: new codes, or the end of it.
const Proof = ({ title, text, yes, danger, action, work, close }) => {
	const [f, setF] = useState({ password: '', code: '' }), [recovery, setRecovery] = useState(false);
	const set = (name) => (value) => setF((old) => ({ ...old, [name]: value }));
	return html`<h2>${title}</h2><p>${text}</p><${Form} label=${title} save=${() => work({ password: f.password, code: bare(f.code) })}><${Password} value=${f.password} onValue=${set('password')} /><${Code} key=${recovery} recovery=${recovery} value=${f.code} onValue=${set('code')} />
		<p class="buttons end"><button type="button" class="quiet" data-action="factor-other" onClick=${() => { setRecovery(!recovery); set('code')(''); }}>${recovery ? 'Use the app' : 'Use a recovery code'}</button><${Cancel} close=${close} /><button type="submit" class=${danger ? 'danger' : 'primary'} data-action=${action}>${yes}</button></p><//>`;
};

const Renew = (user, kept = { codes: null }) => ({ close }) => {
	const [codes, setCodes] = useKept(kept);
	const work = async (proof) => {
		setCodes((await call('POST', `${pathOf(user)}/recovery-codes`, proof, { long: true })).codes);
		settle();
	};
	return codes ? html`<${Codes} codes=${codes} user=${user} close=${close} />` : html`<${Proof} title="New recovery codes" text="The ones you have stop working." yes="Make them" action="codes-make" work=${work} close=${close} />`;
};

const Off = (user) => ({ close }) => html`<${Proof} title="Turn the second factor off" text="Then the password alone lets in." yes="Turn it off" danger=${true} action="factor-off" close=${close} work=${async (proof) => {
	await call('DELETE', `${pathOf(user)}/second-factor`, proof, { long: true });
	settle();
	close('');
	said('The second factor is off.');
}} />`;

// Where the controller asks for a second factor and the user has none yet: first this, then the rest.
export const MustEnrol = ({ session: s, leave }) => html`<main id="main" class="alone"><section class="card door" aria-label="Second factor"><h1>One more step</h1>
	<p class="lead">This controller asks everybody for a second factor. Turn yours on, and everything opens.</p><${Factor} session=${s} /><hr /><p class="buttons"><button type="button" class="quiet" data-action="signout" onClick=${leave}><${Icon} name="out" />Sign out</button></p></section><${Toasts} /><${Dialogs} /></main>`;

export function Factor({ session: s }) {
	return html`<div class="factor" data-field="factor" data-on=${s.second_factor ? 'yes' : 'no'}><p>${s.second_factor ? html`<span class="state online"><span aria-hidden="true">●</span> on</span>` : html`<span class="state offline"><span aria-hidden="true">○</span> off</span>`}${typeof s.recovery_left === 'number' && s.second_factor ? html`<small class=${s.recovery_left < 3 ? 'warn' : ''}>${plural(s.recovery_left, 'recovery code')} left</small>` : ''}</p>
		<p class="buttons">${s.second_factor ? html`<button type="button" data-action="codes-open" onClick=${() => openDialog(Renew(s.user), 'Recovery codes')}>New recovery codes</button><button type="button" class="danger" data-action="factor-off-open" onClick=${() => openDialog(Off(s.user), 'Second factor')}>Turn it off</button>` : html`<button type="button" class="primary" data-action="factor-open" onClick=${() => openDialog(Enrol(s.user), 'Second factor')}>Turn it on</button>`}</p></div>`;
}
