// deeds.js: what an admin does to members and networks: asks where it cannot be undone, does it, shows the result, and offers the way back.

import { Problem, call, memberPath, networkPath } from './api.js';
import { shown } from './crowd.js';
import { ask, said } from './notices.js';
import { refresh } from './store.js';
import { nameOf, plural, visible, words } from './text.js';

const BATCH = 500;
const ASK = {
	revoke: { yes: 'Revoke', text: 'It is cut off from every member at once. Approving it later lets it in again.', reason: 'Reason (the device shows it)' },
	ban: { yes: 'Ban', text: 'Its key is refused in every network of this controller, until you lift the ban.', reason: 'Reason' },
	delete: { yes: 'Delete', text: 'Its entry and its addresses are given up. If somebody joins from it again, it waits for approval as a new device.' },
};
const DONE = { approve: 'approved', deny: 'denied', revoke: 'revoked', ban: 'banned', unban: 'no longer banned', delete: 'deleted', tag: 'tagged' };

const settle = (nwid) => {
	for (const path of ['/v1/networks', networkPath(nwid), '/v1/waiting'])
		refresh(path);
};

// The member as it stands afterwards, or null when it was not done.
export async function act(nwid, member, verb, body) {
	const path = memberPath(nwid, member.address), who = nameOf(member);
	let given = body;
	if (ASK[verb]) {
		const reason = await ask({ title: `${ASK[verb].yes} ${who}?`, danger: true, ...ASK[verb] });
		if (reason === null)
			return null;
		given = reason ? { reason } : undefined;
	}
	const after = verb === 'delete' ? await call('DELETE', path) : await call('POST', `${path}/${verb}`, given);
	shown(nwid, verb === 'delete' ? [] : [after], verb === 'delete' ? [member.address] : []);
	settle(nwid);
	said(`${who} is ${DONE[verb]}.`);
	return after;
}

// An edit of fields; before: those fields as they were, to take it back.
export async function change(nwid, member, fields, before) {
	const after = await call('PATCH', memberPath(nwid, member.address), fields);
	shown(nwid, [after]);
	said('Saved.', before && (() => change(nwid, after, before)));
	return after;
}

// A PATCH of the network that fails if somebody else changed it since; before: to take it back.
export async function changeNetwork(network, fields, before) {
	const after = await call('PATCH', networkPath(network.id), fields, { revision: network.revision });
	refresh(networkPath(network.id));
	refresh('/v1/networks');
	said(after.warnings?.length ? `Saved. ${visible(after.warnings.join(' '), 300)}` : 'Saved.', before && (() => changeNetwork(after, before)));
	return after;
}

async function slices(nwid, members, request, each) {
	for (let at = 0; at < members.length; at += BATCH) {
		const slice = members.slice(at, at + BATCH);
		const { results } = await call('POST', `${networkPath(nwid)}/members:batch`, { ...request, members: slice.map((m) => m.address) }, { long: true });
		each(results);
	}
}

// Many at once, in few requests. What failed for one does not stop the others.
export async function actOnMany(nwid, members, action, tags) {
	if (ASK[action] && await ask({ title: `${ASK[action].yes} ${plural(members.length, 'member')}?`, danger: true, yes: ASK[action].yes, text: ASK[action].text.replace(/^It is|^Its entry and its|^Its key is/, (m) => ({ 'It is': 'They are', 'Its entry and its': 'Their entries and', 'Its key is': 'Their keys are' }[m])) }) === null)
		return false;
	const good = [], gone = [], bad = [];
	await slices(nwid, members, tags ? { action, tags } : { action }, (results) => {
		for (const result of results)
			if (!result.ok)
				bad.push(result);
			else if (result.member && action !== 'delete')
				good.push(result.member);
			else
				gone.push(result.address);
	});
	shown(nwid, good, action === 'delete' ? gone : []);
	settle(nwid);
	if (!good.length && !gone.length)
		throw new Problem(bad[0].problem?.status || 409, bad[0].problem || { title: 'Nothing was done' });
	said(`${plural(good.length + gone.length, 'member')} ${DONE[action]}${bad.length ? `, ${bad.length} not: ${bad[0].problem?.title || ''}` : ''}.`);
	return true;
}

export async function tagMany(nwid, members) {
	const text = await ask({ title: `Tag ${plural(members.length, 'member')}`, text: 'These tags replace the ones they have. Letters, digits and . _ : - ; several are separated by spaces.', yes: 'Tag', reason: 'Tags' });
	return text === null ? false : actOnMany(nwid, members, 'tag', words(text));
}
