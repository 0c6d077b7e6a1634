"""A set of four roots at different distances, one of them run by nobody: two members whose homes have no root in common meet
by a root within 3 s; the root that carries them is taken out of the set and another put in, and no ping is lost for more
than a second; what too few keys signed is refused and said."""
import os
import re
import shutil
import signal
import subprocess
import time

from lab import BIN, Daemon, now, run as command, until

LONG = True

NAMES = ['R1', 'R2', 'R3', 'R4', 'R5']
DELAYS = [1, 3, 6, 9, 12]  # ms, each way
NOBODY = 65534


class Unprivileged:
    """The host of a daemon that has no user and no capability of ours."""

    def __init__(self, host):
        self.host = host

    def __getattr__(self, name):
        return getattr(self.host, name)

    def popen(self, *argv, **how):
        return self.host.popen('setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all',
                               '--no-new-privs', *argv, **how)


def farlan(*argv, code=0):
    return command(os.path.join(BIN, 'farlan'), *argv, code=code)


def daemon(lab, name, program='farland', lines=(), host=None):
    """With a config of its own and an identity, not started."""
    one = Daemon(lab, host or lab.host(name), program)
    os.makedirs(one.home, 0o700, exist_ok=True)
    open(one.log, 'ab').close()
    if os.path.exists(one.identity_kept()):
        shutil.copy2(one.identity_kept(), os.path.join(one.home, 'identity.secret'))
    with open(os.path.join(one.home, f'{program}.conf'), 'w', encoding='ascii') as file:
        file.write(''.join(line + '\n' for line in lines))
    return one


def put(source, one):
    """A file of the set for one daemon, as its administrator would."""
    to = os.path.join(one.home, 'set.frs')
    shutil.copy(source, to + '.new')
    if isinstance(one.host, Unprivileged):
        os.chown(to + '.new', NOBODY, NOBODY)
    os.rename(to + '.new', to)


def log(one):
    with open(one.log, encoding='utf-8', errors='replace') as file:
        return file.read()


def online(one):
    return {root['address'] for root in one.json('status')['roots'] if root['online']}


def relay(one, peer):
    address = peer.address()
    return next((p['relay'] for p in one.json('peers')['peers'] if p['address'] == address), None)


def answers(process):
    out = process.communicate(timeout=60)[0]
    return [float(line[1:line.index(']')]) for line in out.splitlines() if 'icmp_seq' in line and 'time=' in line]


def run(lab):
    os.chmod(lab.folder, 0o711)
    roots = {}
    for name, delay in zip(NAMES, DELAYS):
        lab.host(name, wire=[f'--delay {delay}ms'])
        host = Unprivileged(lab.hosts[name]) if name == 'R1' else None
        roots[name] = daemon(lab, name, lines=['root = yes', f'listen = {lab.hosts[name].endpoint()}', 'root-set = set.frs'], host=host)
    lines = {name: one.cli('root-line', one.host.endpoint()).stdout.strip() for name, one in roots.items()}
    address = {name: line.split(':')[1] for name, line in lines.items()}

    # the set: two of three keys sign
    keys = [os.path.join(lab.folder, f'key{i}') for i in range(3)]
    for key in keys:
        farlan('root-set', 'new-key', key)
        lab.equal(os.stat(key).st_mode & 0o777, 0o600, 'mode of a key')
    first, second, third = (os.path.join(lab.folder, f'set{i}') for i in (1, 2, 3))
    farlan('root-set', 'create', first, *(x for key in keys for x in ('--key', key)), '--threshold', 2)
    for name in NAMES[:4]:
        farlan('root-set', 'add', first, lines[name], '--region', 'lab')
    farlan('root-set', 'sign', first, '--key', keys[0])
    farlan('root-set', 'verify', first, code=7)
    farlan('root-set', 'sign', first, '--key', keys[2])
    farlan('root-set', 'verify', first)

    # one line in the config of each is all
    for name in NAMES[:4]:
        put(first, roots[name])
        if name == 'R1':
            for file in [roots[name].home, *(os.path.join(roots[name].home, f) for f in os.listdir(roots[name].home))]:
                os.chown(file, NOBODY, NOBODY)
        roots[name].start()
    status = open(f'/proc/{roots["R1"].process.pid}/status', encoding='ascii').read()
    lab.check(re.search(rf'^Uid:\s+{NOBODY}\s+{NOBODY}', status, re.M) and re.search(r'^CapEff:\s+0+$', status, re.M), 'R1 runs as nobody')
    for name in NAMES[:4]:
        until(f'{name} is at the other three', lambda name=name: roots[name].roots() == 3, 10)
    lab.controller = daemon(lab, 'C', 'farlan-controller', ['root-set = set.frs', 'http = none'])
    for name in 'AB':
        lab.nodes[name] = daemon(lab, name, lines=['root-set = set.frs', 'workers = 1'])
    everybody = [*roots.values(), lab.controller, *lab.nodes.values()]
    for one in (lab.controller, *lab.nodes.values()):
        put(first, one)
    a, b = lab.nodes['A'], lab.nodes['B']
    for name in ('R1', 'R2'):  # so A's homes are the far ones, and stay so when the near ones are back
        lab.block('A', name)
    lab.block('A', 'B')
    for one in (lab.controller, a, b):
        one.start().online()
    until('A is at home with the far roots', lambda: online(a) == {address['R3'], address['R4']}, 10)
    until('B is at home with the near roots', lambda: online(b) == {address['R1'], address['R2']}, 10)
    for name in ('R1', 'R2'):
        lab.unblock('A', name)
    lab.nwid = lab.create()
    for name in 'AB':
        lab.join(name)

    # members of different homes
    begun = now()
    a.host.reaches(lab.ip('B'), 10)
    lab.within(now() - begun, 3.0 * lab.slow, 'first ping between members of different homes')
    lab.equal(a.path(b), 'relay', 'path while their own is blocked')
    used = relay(a, b)
    lab.check(used in address.values(), f'relay in use: {used}')
    replace(lab, roots, address, lines, keys, first, second, used)
    refuse(lab, roots, keys, second, third, everybody)


def replace(lab, roots, address, lines, keys, first, second, used):
    a, b = lab.nodes['A'], lab.nodes['B']
    gone = next(name for name in NAMES if address[name] == used)
    stays = next(name for name in NAMES[:4] if name != gone)
    shutil.copy(first, second)
    farlan('root-set', 'remove', second, used)
    farlan('root-set', 'add', second, lines['R5'])
    farlan('root-set', 'sign', second, '--key', keys[1], '--key', keys[2])
    put(second, roots['R5'])
    roots['R5'].start()
    pinging = a.host.popen('ping', '-n', '-D', '-i', '0.05', '-W', '1', '-w', 24, lab.ip('B'), stdout=subprocess.PIPE, text=True)
    time.sleep(2)  # answers before, so that there is a gap to measure
    put(second, roots[stays])
    roots[stays].process.send_signal(signal.SIGHUP)
    changed = now()
    for name, one in {**roots, 'C': lab.controller, **lab.nodes}.items():
        if name not in (gone, 'R5'):
            until(f'{name} has the new set', lambda one=one: 'document 2 of root set' in log(one), 20)
    lab.note(f'the new set is with everybody after {now() - changed:.1f} s')
    got = answers(pinging)
    lab.check(len(got) > 300, f'{len(got)} pings answered')
    lab.within(max(y - x for x, y in zip(got, got[1:])), 1.0, f'{gone} taken out while it relays: longest pause of pings')
    until('A and B talk by another root', lambda: relay(a, b) not in (used, None) and relay(b, a) not in (used, None), 10)
    until(f'{stays} is at R5', lambda: address['R5'] in online(roots[stays]), 10)
    lab.equal(a.host.ping(lab.ip('B'), count=10, interval=0.05), 10, 'pings by another root')


def refuse(lab, roots, keys, second, third, everybody):
    shutil.copy(second, third)
    farlan('root-set', 'remove', third, farlan('id', '--home', roots['R5'].home).stdout.split(':')[1])
    farlan('root-set', 'sign', third, '--key', keys[0])
    for one in (lab.nodes['A'], roots['R5']):
        put(third, one)
        one.process.send_signal(signal.SIGHUP)
        until('the refusal is logged', lambda one=one: re.search(r'set\.frs: document \d of \d is refused: not signed by enough', log(one)), 5)
        one.alive()
    lab.check(not any('document 3 of root set' in log(one) for one in everybody if os.path.exists(one.log)), 'document 3 is in use somewhere')
    # nor does a daemon start with it
    fresh = daemon(lab, 'D', lines=['root-set = set.frs'])
    lab.daemons.remove(fresh)
    put(third, fresh)
    done = fresh.host.run(os.path.join(BIN, 'farland'), '--home', fresh.home, code=None, timeout=30 * lab.slow)
    lab.check(done.returncode == 2 and 'not signed by enough' in done.stderr, f'farland with a refused set: {done.returncode} {done.stderr}')
    # whoever restarts with the first file still has the second document
    a = lab.nodes['A']
    put(os.path.join(lab.folder, 'set1'), a)
    a.stop()
    a.start().online()
    fifth = next(one.address() for name, one in roots.items() if name == 'R5')
    lab.check(any(root['address'] == fifth for root in a.json('status')['roots']), 'an old file rolled the set back')
