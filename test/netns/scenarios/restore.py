"""Backup on one machine, restore on another. The members find the controller by its identity at its new address and go on,
without joining anew and without a lost frame, although the backup is older than what was signed after it; on the old machine the same
backup asks before anything is signed.
"""
import os
import time

from lab import Daemon, Pinging, until

LONG = True
FOUND_S = 60  # the members' session with the old one must be given up first
FORK = 'two different HEADs'


def started(lab, daemon):
    """Not by its ready(): that would keep the identity for the host of this name."""
    daemon.start(ready=False)
    until(f'{daemon.host.name} answers', lambda: daemon.alive() and daemon.cli('status', code=None).returncode == 0, 20)
    return daemon.online()


def members_online(controller, nwid):
    return {m['address'] for m in controller.json('member', 'list', nwid)['members'] if m['online']}


def run(lab):
    a, b = lab.start('AB')
    lab.meshed('AB')
    secret, file = os.path.join(lab.folder, 'passphrase'), os.path.join(lab.folder, 'backup')
    with open(secret, 'w', encoding='ascii') as f:
        f.write('correct horse battery\n')
    old = lab.controller
    old.cli('backup', file, '--passphrase-file', secret)
    lab.equal(os.stat(file).st_mode & 0o777, 0o600, 'mode of the backup')
    with open(file, 'rb') as f:
        sealed = f.read()
    lab.check(lab.nwid.encode() not in sealed and b'SQLite' not in sealed, 'the backup shows what it holds')

    # what is signed after the backup: versions, serials, and a revocation taken back
    for n in range(3):
        old.cli('member', 'set', lab.nwid, a.address(), '--name', f'later{n}')
        old.cli('member', 'revoke', lab.nwid, b.address())
        old.cli('member', 'approve', lab.nwid, b.address())
    until('B is a member again', lambda: b.network(lab.nwid)['state'] == 'joined', 10)
    a.host.reaches(lab.ip('B'), 15)
    seen = lab.nodes['A'].network(lab.nwid)['version']
    old.stop()

    pinging = Pinging(a.host, lab.ip('B'), '-i', '0.1')
    new = Daemon(lab, lab.host('restored'), 'farlan-controller', ['--add-root', lab.root_line, '--http', 'none'])
    dry = new.cli('restore', file, '--passphrase-file', secret, '--dry-run').stdout
    lab.check(old.address() in dry and not os.path.exists(new.home), f'the dry run says what it holds and makes nothing: {dry}')
    new.cli('restore', file, '--passphrase-file', secret)
    began = time.monotonic()
    started(lab, new)
    lab.equal(new.json('status')['health'], 'ok', 'health on the new machine')
    until('both members are online at the new machine', lambda: members_online(new, lab.nwid) == {a.address(), b.address()}, FOUND_S)
    lab.note(f'start on the new machine to both members online: {time.monotonic() - began:.1f} s')
    until('A has a HEAD of the restored controller', lambda: a.network(lab.nwid)['version'] > seen + (1 << 31), 15)
    until('B too', lambda: b.network(lab.nwid)['version'] > seen + (1 << 31), 15)
    for node in (a, b):
        lab.equal(node.network(lab.nwid)['state'], 'joined', f'state of {node.host.name}')
    sent, lost, last = pinging.end(0)
    lab.check(sent > 10 and lost == 0 and last <= 5, f'pings while the controller moved: {sent}, {lost} lost, the last {last} not answered')

    # it rules: a revocation bites, an approval works, credentials are taken
    new.cli('member', 'revoke', lab.nwid, b.address())
    until('B is out', lambda: b.network(lab.nwid)['state'] != 'joined', 10)
    new.cli('member', 'approve', lab.nwid, b.address())
    until('B is in again', lambda: b.network(lab.nwid)['state'] == 'joined', 15)
    a.host.reaches(lab.ip('B'), 15)
    whole = new.json('audit', '--verify')
    lab.check(whole['ok'] and whole['entries'] > 3, f'the audit goes on: {whole}')
    new.stop()

    # the old machine remembers what it signed: the backup is older, and it asks
    old.cli('restore', file, '--passphrase-file', secret, code=8)
    old.cli('restore', file, '--passphrase-file', secret, '--yes')
    old.start(ready=False)
    until('the old machine answers', lambda: old.cli('status', code=None).returncode == 0, 20)
    lab.check('controller trust' in old.json('status')['health'], f'health of the older database: {old.json("status")["health"]}')
    lab.check('trust' in old.cli('network', 'set', lab.nwid, '--mtu', '1500', code=1).stderr, 'an edit is refused until it is trusted')
    old.cli('controller', 'trust')
    lab.equal(old.json('status')['health'], 'ok', 'health after the word')
    for node in (a, b):
        with open(node.log, encoding='utf-8', errors='replace') as log:
            lab.check(FORK not in log.read(), f'{node.host.name} saw two HEADs of one version')
