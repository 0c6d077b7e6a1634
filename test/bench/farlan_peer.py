"""farlan_peer.py: Farlan as a peer of the overlay bench (overlay.py beside this file, or any harness of the same interface).

The harness executes this file with its own UNDER, addr, wait_dev and sh in sight and calls one public function with a lab of
two sides. Each function sets up root, controller and one member node on either side, all with the daemons' defaults, and
returns the members' addresses in the overlay. Programs come from $FARLAN_BIN, else from build/ of the current folder.

A figure must not be that of another path than its name says: the path between the members is looked at before the function
returns, and once more when the lab closes; either raises. Root and controller are no part of the direct data path, so
their CPU time and memory are not counted; in farlan_relay the root carries every frame and is counted like the members.
"""
import base64
import glob
import json
import os
import shutil
import time

_POOL = '10.98.0.0/24'
_ROOT = '10.97.2.1'  # of the relay, the same address seen from both sides
_SECONDS = 30


def _program(name):
    path = os.path.join(os.path.abspath(os.environ.get('FARLAN_BIN') or 'build'), name)
    if not os.access(path, os.X_OK):
        raise RuntimeError(f'no program {path}: build first, or say where by FARLAN_BIN')
    return path


def _logs(lab):
    tails = []
    for name in sorted(glob.glob(os.path.join(lab.dir, 'log*'))):
        with open(name, encoding='utf-8', errors='replace') as file:
            tails.append(file.read()[-600:])
    return '\n'.join(tails)


def _until(lab, what, ask, seconds=_SECONDS):
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise RuntimeError(f'after {seconds} s still not: {what}\n{_logs(lab)}')
        time.sleep(0.05)


class _Daemon:
    """farland or farlan-controller on a side, with a home of its own below lab.dir."""

    def __init__(self, lab, side, name, program, *options, overlay=False, config=''):
        self.lab, self.side, self.name, self.home = lab, side, name, os.path.join(lab.dir, name)
        os.mkdir(self.home, 0o700)
        with open(os.path.join(self.home, program + '.conf'), 'w', encoding='ascii') as file:
            file.write(config)
        mine = os.path.join(self.home, 'identity.secret')
        kept = os.path.join(os.path.dirname(_program(program)), 'identities', f'bench-{name}.secret')
        if os.path.exists(kept):  # an identity costs seconds of work, by design: that of the first run serves all later ones
            shutil.copy2(kept, mine)
        self.process = lab.start(side, [_program(program), '--home', self.home, *options], overlay=overlay)
        _until(lab, f'{name} answers', self.answers, 120)
        if not os.path.exists(kept):
            os.makedirs(os.path.dirname(kept), 0o700, exist_ok=True)
            shutil.copy2(mine, kept)

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f'{self.name} ended by itself with {self.process.returncode}\n{_logs(self.lab)}')

    def cli(self, *argv, check=True):
        return sh([_program('farlan'), '--home', self.home, *argv], check=check)

    def json(self, *argv):
        return json.loads(self.cli('-o', 'json', *argv))

    def answers(self):
        self.alive()
        return self.cli('status', check=False)

    def online(self):
        self.alive()
        return self.json('status')['online']

    def address(self):
        return self.cli('id').strip().split(':')[1]

    def network(self, nwid):
        return next(n for n in self.json('networks')['networks'] if n['id'] == nwid)

    def peer(self, address):
        self.alive()
        return next((p for p in self.json('peers')['peers'] if p['address'] == address), {})


def _third_side(lab):
    """A namespace linked to both sides, and no link between these any more. Its number is 2."""
    third = lab.ns[0] + 'r'
    sh(['ip', 'netns', 'del', third], check=False)
    sh(['ip', 'netns', 'add', third])
    lab.ns.append(third)  # the lab takes down what is listed there
    lab.run(2, ['sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward'])  # what arrives went through the root, not past it
    lab.run(2, ['ip', 'link', 'set', 'lo', 'up'])
    lab.run(2, ['ip', 'addr', 'add', _ROOT + '/32', 'dev', 'lo'])
    for side in (0, 1):
        lab.run(side, ['ip', 'link', 'set', 'u0', 'down'])
        lab.run(side, ['ip', 'link', 'add', 'r0', 'type', 'veth', 'peer', 'name', f'r{side}', 'netns', third])
        lab.run(2, ['ip', 'addr', 'add', f'10.97.{side}.1/24', 'dev', f'r{side}'])
        lab.run(2, ['ip', 'link', 'set', f'r{side}', 'up'])
        lab.run(side, ['ip', 'addr', 'add', f'10.97.{side}.2/24', 'dev', 'r0'])
        lab.run(side, ['ip', 'link', 'set', 'r0', 'up'])
        lab.run(side, ['ip', 'route', 'add', _ROOT, 'via', f'10.97.{side}.1'])


def _admit(lab, controller, members, options):
    """Makes a network and has the members in it; their addresses in the order of the members."""
    nwid = controller.cli('network', 'create', 'bench', '--ipv4', _POOL, *options).split()[-1]
    for member in members:
        address = member.address()
        member.cli('join', nwid, '--wait', '0', check=False)  # it waits for an approval: not an exit of 0
        _until(lab, f'{member.name} asks to be let in',
               lambda: any(m['address'] == address for m in controller.json('member', 'list', nwid)['members']))
        controller.cli('member', 'approve', nwid, address, '--name', member.name)
        member.cli('wait', nwid, '--wait', str(_SECONDS))
        state = member.network(nwid)['state']
        if state != 'joined':
            raise RuntimeError(f'{member.name} is {state}, not joined')
    return nwid


def _checked_at_close(lab, check):
    """The lab's close also asks whether what was measured is still what it was; it takes everything down in any case."""
    close = lab.close

    def checked():
        try:
            check()
        finally:
            close()
    lab.close = checked


def _setup(lab, path='direct', suite=None, mtu=None):
    relayed = path == 'relay'
    if relayed:
        _third_side(lab)
    place, at = (2, _ROOT) if relayed else (0, UNDER[0])
    # A root of one's own has a gate; a public one gives each stranger 50 Mbit/s unless told otherwise.
    gate = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')
    root = _Daemon(lab, place, 'root', 'farland', '--root', '--listen', f'{at}:9993', overlay=relayed, config=f'root-gate = {gate}\n')
    line = root.cli('root-line', f'{at}:9993').strip()
    controller = _Daemon(lab, place, 'controller', 'farlan-controller', '--add-root', line)
    members = [_Daemon(lab, side, f'member{side}', 'farland', '--add-root', line, overlay=True,
                       config=f'suite = {suite}\n' if suite else '') for side in (0, 1)]
    for daemon in (controller, *members):
        _until(lab, f'{daemon.name} is online', daemon.online)
    nwid = _admit(lab, controller, members, ['--mtu', str(mtu)] if mtu else [])
    networks = [member.network(nwid) for member in members]
    over = tuple(next(a.split('/')[0] for a in network['addresses'] if ':' not in a) for network in networks)
    ids = [member.address() for member in members]

    def paths():
        return [members[side].peer(ids[1 - side]).get('path', 'none') for side in (0, 1)]

    def ready():
        lab.run(0, ['ping', '-q', '-c', '1', '-W', '1', over[1]], check=False)
        return paths() == [path, path]

    def check():
        if paths() != [path, path]:
            raise RuntimeError(f'the path is {" and ".join(paths())}, not {path}: no figure of this run counts')
        for side in (0, 1):
            got = members[side].peer(ids[1 - side])['suite']
            if suite and not got.startswith(suite):
                raise RuntimeError(f'the suite is {got}, not {suite}')
            link = json.loads(lab.run(side, ['ip', '-j', 'link', 'show', 'dev', networks[side]['dev']]))[0]
            if link['mtu'] != networks[side]['mtu'] or (mtu and link['mtu'] != mtu):
                raise RuntimeError(f'{link["ifname"]} has an MTU of {link["mtu"]}, not {mtu or networks[side]["mtu"]}')

    _until(lab, f'{path} path between the members', ready)
    check()
    _checked_at_close(lab, check)
    return over


def farlan(lab):
    "Farlan: direct path, suite by hardware"
    return _setup(lab)


def farlan_chacha(lab):
    "Farlan: direct path, ChaCha20-Poly1305 by `suite = chacha` of both members"
    return _setup(lab, suite='chacha')


def farlan_relay(lab):
    "Farlan: no path between the members but the root's, which is counted too"
    return _setup(lab, path='relay')


def farlan_mtu9000(lab):
    "Farlan: a network of MTU 9000 over the underlay of 1500"
    return _setup(lab, mtu=9000)
