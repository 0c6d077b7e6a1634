"""A server of one's own: `server up` on a bare host, a machine that joins by nothing but the printed link, both members of the picture; run again it
changes nothing; down, up, and purged it leaves nothing behind."""
import json
import os
import signal
import subprocess

import lab as labs
from lab import BIN, Daemon, until

PAGE = 8443
WALL = '''table inet wall {
	chain input {
		type filter hook input priority 0; policy drop;
		iif lo accept
		udp dport 22 accept
	}
}
'''


def farlan(lab, *argv, code=0, home='server'):
    """On the server's host, as its admin would."""
    return lab.hosts['S'].run(os.path.join(BIN, 'farlan'), '--home', os.path.join(lab.folder, home), *argv, code=code, timeout=120)


def up(lab, *options):
    return json.loads(farlan(lab, '-o', 'json', 'server', 'up', *options).stdout)


def daemons(lab):
    """What runs on the server's host: {pid: program}."""
    pids = labs.run('ip', 'netns', 'pids', lab.hosts['S'].ns).stdout.split()
    found = {}
    for pid in pids:
        try:
            with open(f'/proc/{pid}/comm', encoding='ascii') as file:
                found[int(pid)] = file.read().strip()
        except FileNotFoundError:
            pass
    return {pid: name for pid, name in found.items() if name.startswith('farlan')}


def stray(lab):
    for pid in daemons(lab):
        os.kill(pid, signal.SIGKILL)


def refused(lab):
    """What is wrong is told before anything is done."""
    host = lab.hosts['S']
    for options, code, word in (
            (['--listen', 'here'], 2, 'IP:PORT'),
            (['--address', 'no such name!'], 2, '--address'),
            (['--listen', '203.0.113.77:9993'], 2, 'no address of this machine'),
            (['--http', '198.18.99.99:8080', '--https', 'none'], 2, 'no address of this machine')):
        done = farlan(lab, 'server', 'up', *options, code=None)
        lab.equal(done.returncode, code, f'exit of server up {" ".join(options)}: {done.stderr}')
        lab.check(word in done.stderr, f'server up {" ".join(options)} says: {done.stderr}')
    holder = host.popen('python3', '-c', 'import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("0.0.0.0",9993)); '
                        'print("ready",flush=True); time.sleep(600)', stdout=subprocess.PIPE, text=True)
    lab.equal(holder.stdout.readline(), 'ready\n', 'the port is held')
    done = farlan(lab, 'server', 'up', code=None)
    lab.equal(done.returncode, 8, 'exit where UDP 9993 is taken')
    lab.check('ss -lunp' in done.stderr and '--listen' in done.stderr, f'it says: {done.stderr}')
    holder.kill()
    holder.wait()
    lab.check(not os.path.exists(os.path.join(lab.folder, 'server')), 'nothing was written')
    lab.equal(farlan(lab, 'server', 'status', code=None).returncode, 5, 'status of nothing')
    lab.equal(farlan(lab, 'server', 'down', code=None).returncode, 5, 'down of nothing')


def foreign(lab):
    """A record of another version, and a config of somebody else, are left alone."""
    folder = os.path.join(lab.folder, 'foreign')
    os.makedirs(os.path.join(folder, 'root'), 0o700)
    record, config = os.path.join(folder, 'server.json'), os.path.join(folder, 'root', 'farland.conf')
    with open(record, 'w', encoding='ascii') as file:
        file.write('{"schema": "farlan.server.record/9"}')
    done = farlan(lab, 'server', 'up', home='foreign', code=None)
    lab.check(done.returncode == 8 and 'another version' in done.stderr, f'another version: {done.returncode} {done.stderr}')
    os.remove(record)
    with open(config, 'w', encoding='ascii', opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write('workers = 1\n')
    done = farlan(lab, 'server', 'up', home='foreign', code=None)
    lab.check(done.returncode == 8 and 'not of farlan server up' in done.stderr, f'somebody\'s config: {done.returncode} {done.stderr}')
    with open(config, encoding='ascii') as file:
        lab.equal(file.read(), 'workers = 1\n', 'the config of somebody else')
    lab.check(not daemons(lab), 'nothing was started')


def page(lab, link):
    """The one-time link opens at the address others have, by TLS."""
    _, _, host = link.partition('://')
    lab.check(link.startswith(f'https://{lab.hosts["S"].address}:{PAGE}/#once='), f'the page\'s link: {link.split("=")[0]}')
    done = lab.hosts['A'].run('curl', '-sk', '--compressed', '-o', '/dev/null', '-w', '%{http_code}', f'https://{host.split("#")[0]}')
    lab.equal(done.stdout, '200', 'the page, from another host')


def joined(lab, link):
    a, b = lab.nodes['A'], lab.nodes['B']
    for node in (a, b):
        done = labs.run(os.path.join(BIN, 'farlan'), '--home', node.home, 'join', '-', '--wait', '60', input=link + '\n', code=None, timeout=90)
        lab.equal(done.returncode, 0, f'join by link: {done.stdout}{done.stderr}')
    a.host.reaches(lab.ip('B'), 20)
    b.host.reaches(lab.ip('A'), 10)
    lab.equal(a.host.ping(lab.ip('B'), count=20, interval=0.02), 20, 'pings')


def topology(lab):
    path = f'http://localhost/v1/networks/{lab.nwid}/topology'
    done = labs.run('curl', '-s', '--unix-socket', os.path.join(lab.folder, 'server/controller/farlan-controller.sock'), path)
    return json.loads(done.stdout)


def seen(lab):
    """The controller sees both, and the way between them."""
    ends = sorted(lab.nodes[n].address() for n in 'AB')

    def direct():
        return any(sorted((l['a'], l['b'])) == ends and l['link'] == 'direct' and l['rtt_ms'] > 0 for l in topology(lab)['links'])
    until('A - B direct in the picture', direct, 30)
    nodes = {n['address']: n for n in topology(lab)['nodes']}
    lab.check(all(nodes[e]['online'] and nodes[e]['role'] == 'member' for e in ends), f'nodes of the picture: {nodes}')
    lab.equal(sorted(n['role'] for n in nodes.values()), ['controller', 'member', 'member', 'root'], 'roles')


def programs(lab):
    """Those that know ZeroTier One's API find theirs where they look; an `up` that says nothing of it keeps it, and none ends it."""
    def status():
        token = os.path.join(lab.folder, 'server/controller/zt1.token')
        with open(token, encoding='ascii') as file:
            return lab.hosts['S'].run('curl', '-s', '-H', f'X-ZT1-Auth: {file.read()}', 'http://127.0.0.1:9993/status', code=None).stdout
    lab.check('"online"' in status(), f'zt1: {status()}')
    before = daemons(lab)
    up(lab)
    lab.equal(daemons(lab), before, 'zt1 is kept')
    up(lab, '--zt1', 'none')
    lab.equal(status(), '', 'zt1 is closed')


def again(lab, first):
    """It may be run at any time: nothing restarts, the network is the same."""
    before = daemons(lab)
    second = up(lab)
    lab.equal(second['network'], first['network'], 'the network')
    lab.equal(daemons(lab), before, 'daemons that run')
    lab.check(second['invitation'] != first['invitation'], 'a new invitation')
    farlan(lab, 'server', 'down')
    lab.equal(daemons(lab), {}, 'after down')
    lab.equal(farlan(lab, 'server', 'status', code=None).returncode, 3, 'status when stopped')
    third = up(lab, '--zt1-api')
    programs(lab)
    lab.equal(third['network'], first['network'], 'the network after down and up')
    lab.equal(farlan(lab, 'server', 'status').returncode, 0, 'status')
    until('A is back at its controller', lambda: lab.nodes['A'].json('status').get('online'), 60)


def walled(lab):
    """A firewall of this machine that would keep everybody out is named."""
    host = lab.hosts['S']
    host.run('nft', '-f', '-', input=WALL)
    done = farlan(lab, 'server', 'up')
    lab.check('firewall drops UDP 9993' in done.stderr, f'behind a firewall it says: {done.stderr}')
    host.run('nft', 'delete', 'table', 'inet', 'wall')
    lab.check('firewall' not in farlan(lab, 'server', 'up').stderr, 'without one it says nothing')


def purge(lab):
    folder = os.path.join(lab.folder, 'server')
    lab.equal(farlan(lab, 'server', 'down', '--purge', code=None).returncode, 2, 'a purge nobody confirms')
    lab.equal(len(daemons(lab)), 2, 'daemons after that')
    farlan(lab, 'server', 'down', '--purge', '--yes')
    lab.equal(daemons(lab), {}, 'daemons after the purge')
    lab.check(not os.path.exists(folder), f'left behind: {os.listdir(folder) if os.path.exists(folder) else ""}')
    for kind in ('-lunH', '-ltnH'):
        lab.equal(lab.hosts['S'].run('ss', kind).stdout, '', f'listeners, ss {kind}')


def steps(lab):
    refused(lab)
    foreign(lab)
    first = up(lab, '--name', 'home')
    lab.nwid = first['network']
    lab.equal(sorted(daemons(lab).values()), ['farlan-controll', 'farland'], 'daemons')
    for name in 'AB':
        lab.nodes[name] = Daemon(lab, lab.host(name), 'farland', []).start()
    page(lab, first['page'])
    joined(lab, first['invitation'])
    seen(lab)
    again(lab, first)
    walled(lab)
    lab.nodes['A'].host.reaches(lab.ip('B'), 20)
    purge(lab)


def run(lab):
    lab.host('S')
    # as a VPS has: a way out by default
    labs.run('ip', '-n', lab.hosts['S'].ns, 'route', 'add', 'default', 'via', '198.18.255.254')
    try:
        steps(lab)
    finally:
        stray(lab)
