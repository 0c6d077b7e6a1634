// settings.js: webhooks, backup and restore, other APIs, and what this program is.

import { fetchFile, headerText, sendFile } from './api.js';
import { keep } from './audit.js';
import { Health } from './home.js';
import { Webhooks } from './hooks.js';
import { may } from './may.js';
import { said } from './notices.js';
import { Card, Command, Facts, Form, Input } from './parts.js';
import { html, useState } from './preact.js';
import { count, size, visible, when } from './text.js';

function Backup() {
	const [f, setF] = useState({ passphrase: '', again: '' });
	const save = async () => {
		if (f.passphrase !== f.again)
			throw { title: 'The two passphrases differ', detail: 'Type the same one twice.', hint: '' }; // eslint-disable-line no-throw-literal
		const blob = await fetchFile('/v1/backup', { passphrase: f.passphrase });
		keep(blob, `farlan-controller-${new Date().toISOString().slice(0, 10)}.backup`);
		setF({ passphrase: '', again: '' });
		said(`The backup (${size(blob.size)}) is in your downloads.`);
	};
	return html`<${Card} title="Backup"><p>Networks, members, invitations, users, the audit log and the controller's identity, encrypted with a passphrase of yours. Without the passphrase the file is of no use to anybody, you included.</p>
		<${Form} class="form columns" label="Backup" save=${save}><${Input} label="Passphrase" kind="password" required minlength="8" maxlength="1024" autocomplete="new-password" value=${f.passphrase} onValue=${(v) => setF({ ...f, passphrase: v })} data-field="backup-passphrase" /><${Input} label="Passphrase, again" kind="password" required autocomplete="new-password" value=${f.again} onValue=${(v) => setF({ ...f, again: v })} data-field="backup-again" />
		<p class="buttons"><button type="submit" class="primary" data-action="backup">Download the backup</button></p><//><//>`;
}

function Report({ report: r, file }) {
	return html`<div data-field="restore-report"><${Facts} rows=${[['Controller', html`<code>${visible(r.controller, 64)}</code>`], ['Written', r.written_at ? when(r.written_at) : null], ['Networks', count(r.networks)], ['Members', count(r.members)]]} />
		${r.newer_than_now === false && html`<p class="notice wait">It is older than what this controller holds now: what happened since would be lost.</p>`}${(r.problems || []).map((p) => html`<p class="notice bad">${visible(p, 300)}</p>`)}
		<p>To restore it, on the controller's machine, with the controller stopped:</p><p><${Command} text=${`sudo farlan restore ${file}`} /></p></div>`;
}

function Restore() {
	const [file, setFile] = useState(null), [passphrase, setPassphrase] = useState(''), [report, setReport] = useState(null);
	const save = async () => setReport(await sendFile('/v1/restore?dry_run=true', file, { 'Farlan-Passphrase': headerText(passphrase) }));
	return html`<${Card} title="Look into a backup"><p>Nothing is changed here; you see what is in the file and whether it is whole.</p>
		<${Form} class="form columns" label="Look into a backup" save=${save}><${Input} label="File" kind="file" required onValue=${() => {}} onChange=${(e) => { setFile(e.target.files[0] || null); setReport(null); }} data-field="restore-file" /><${Input} label="Passphrase" kind="password" required maxlength="1024" autocomplete="off" value=${passphrase} onValue=${setPassphrase} data-field="restore-passphrase" />
		<p class="buttons"><button type="submit" data-action="restore">Look</button></p><//>${report && html`<${Report} report=${report} file=${visible(file?.name || 'FILE', 80)} />`}<//>`;
}

const About = ({ status }) => html`<${Card} title="About"><${Facts} rows=${[['Farlan', visible(status.version, 40)], ['Page', status.page && html`<code>${visible(status.page, 80)}</code>`], ['API', html`<a href="./v1/openapi.json">/v1/openapi.json</a>`], ['Licence', 'Apache-2.0']]} />
	<p class="hint">This page contains Preact (MIT, © 2015 Jason Miller), htm (Apache-2.0) and uPlot (MIT, © Leon Sorokin).</p><//>`;

// What programs made for ZeroTier's controller may talk to.
function Compatible({ zt1 }) {
	return html`<${Card} title="ZeroTier-compatible API"><p data-field="zt1">${zt1 ? html`<span class="state online"><span aria-hidden="true">●</span> on</span>` : html`<span class="state offline"><span aria-hidden="true">○</span> off</span>`}</p>
		${zt1 ? html`<${Facts} rows=${[['Listens at', zt1.listen.map((at) => html`<code key=${at}>${visible(at, 80)}</code> `)], ['Token file', html`<code>${visible(zt1.token_file, 200)}</code>`]]} />` : html`<p>To switch it on, in <code>farlan-controller.conf</code>:</p><p><${Command} text="zt1 = 127.0.0.1:9994" /></p>`}
		<p class="hint">It lets programs written for ZeroTier's controller manage networks here. ZeroTier nodes themselves cannot join: members need Farlan.</p><//>`;
}

export const Settings = ({ status }) => html`<h1>Settings</h1>${may('admin') && html`<${Webhooks} />`}<div class="grid">${may('admin') ? html`<${Backup} />` : html`<p class="hint" data-field="barred">Backups and webhooks are for admins.</p>`}${may('admin') && html`<${Restore} />`}${'zt1' in status && html`<${Compatible} zt1=${status.zt1} />`}<${Health} status=${status} /><${About} status=${status} /></div>`;
