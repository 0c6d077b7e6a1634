"""Issue 4, sight: ping tells its paths and ends when direct, peers say why they are relayed, netcheck tells of roots, events come as they happen."""
import json
import subprocess
import threading

import lab as labs
from lab import now, until

LONG = True


WALL = '''table inet wall {
	chain in {
		type filter hook input priority 0; policy drop;
		ct state established accept
		udp dport 9993 accept
	}
}
'''


class Events:
    """farlan events -o jsonl of a node, read as it writes."""

    def __init__(self, node):
        argv = [f'{labs.BIN}/farlan', '--home', node.home, 'events', '-o', 'jsonl', '--since', '0']
        self.got = []
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        node.lab.processes.append(self.process)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.got.append((now(), json.loads(line)))

    def find(self, since=0.0, **fields):
        return next(((at, e) for at, e in list(self.got) if at >= since and all(e.get(k) == v for k, v in fields.items())), None)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ping(node, who, *options, code=0):
    """The replies, by -o jsonl."""
    done = node.cli('ping', who, '-o', 'jsonl', *options, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(lab):
    lab.start_root()
    second, line = lab.start_root(name='S')
    for name in 'CAB':
        lab.host(name)
    lab.block('A', 'B')
    lab.start_controller()
    for name in 'AB':
        lab.start_node(name, '--add-root', line)
    lab.nwid = lab.create()
    a, b = lab.nodes['A'], lab.nodes['B']
    events = Events(a)
    for name in 'AB':
        lab.join(name)
    relays = {lab.root.address(), second.address()}

    # relayed: a session is made by the ping itself, every reply names the root, and the verdict is a failure
    replies = ping(a, lab.ip('B'), '--count', 3, code=1)
    answered = [r for r in replies if r['state'] == 'answered']
    lab.check(len(answered) >= 2, f'pings by the relay: {[r["state"] for r in replies]}')
    for r in answered:
        lab.equal((r['link'], r['direct']), ('relay', False), 'link of a relayed ping')
        lab.check(r['relay'] in relays and r['via'] == f'root relay {r["relay"]}', f'relay of a ping: {r["via"]}')
        lab.check(0 < r['rtt_us'] < 500000, f'round trip of a ping: {r["rtt_us"]} us')
    lab.equal([r['state'] for r in ping(a, b.address(), '--until-direct', 'off', '--count', 1)], ['answered'], 'ping by address')
    mac = b.network(lab.nwid)['mac']
    lab.equal([r['address'] for r in ping(a, mac, '--until-direct', 'off', '--count', 1)], [b.address()], 'ping by MAC')
    lab.equal([r['via'] for r in ping(a, lab.root.address())], [lab.root.host.endpoint()], 'ping of a root')
    lab.check([r['direct'] for r in ping(a, lab.controller.address())][-1:] == [True], 'ping of the controller')
    for nobody in ('10.77.0.250', '0123456789', 'nobody'):
        a.cli('ping', nobody, code=5)
    done = a.cli('ping', b.address(), '--count', 1, code=1)
    lab.check('not directly' in done.stderr, f'verdict of a relayed ping: {done.stderr!r}')

    def peer():
        return next(p for p in a.json('peers')['peers'] if p['address'] == b.address())
    lab.equal((peer()['link'], peer()['networks']), ('relay', 1), 'link of a relayed peer')
    lab.check(peer()['why'], 'why the peer is relayed')
    lab.note(f'why relayed: {peer()["why"]}')
    table = a.cli('peers').stdout.splitlines()
    lab.check(table[0].split()[:3] == ['PEER', 'NAME', 'ROLE'] and any(b.address() in row and 'via ' in row for row in table), f'peers: {table}')

    status = lab.root.json('root', 'status')['relay']
    lab.check(status['registered'] == 3 and status['circuits'] >= 0, f'what the root says of its relaying: {status}')
    lab.check('nodes registered' in lab.root.cli('root', 'status').stdout, 'root status for people')
    lab.equal(a.json('status')['warnings'], [], 'warnings of a healthy node')

    # the way opens: a ping goes until it is direct
    opened = now()
    lab.unblock('A', 'B')
    replies = ping(a, b.address(), '--count', 120)
    lab.equal((replies[-1]['direct'], replies[-1]['via']), (True, b.host.endpoint()), 'the last ping')
    lab.check(all(not r['direct'] for r in replies[:-1]), 'only the last ping is direct')
    lab.note(f'direct {now() - opened:.1f} s after the way opened')
    lab.equal((peer()['link'], peer()['why']), ('direct', ''), 'link of a direct peer')
    lab.check(a.cli('ping', b.address()).stdout.count(' direct after ') == 1, 'a direct ping says so')

    # netcheck: two roots see this host's own address, so there is no NAT
    check = a.json('netcheck')
    lab.equal(check['schema'], 'farlan.netcheck/1', 'schema of netcheck')
    lab.equal((check['udp4']['reached'], check['udp4']['mapping'], check['udp4']['observed']), (True, 'none', a.host.endpoint()), 'udp4 of netcheck')
    lab.equal(sorted(r['address'] for r in check['roots'] if r['answers'] and r['rtt_us']), sorted(relays), 'roots of netcheck')
    lab.equal(check['udp6']['reached'], False, 'udp6 of netcheck')
    lab.equal(check['tls'], False, 'tls of netcheck')
    text = a.cli('netcheck').stdout
    lab.check('roots see this host\'s own address' in text and 'path mtu' in text, f'netcheck: {text}')
    a.host.run('nft', '-f', '-', input=WALL)
    wall = json.loads(a.host.run(f'{labs.BIN}/farlan', '--home', a.home, '-o', 'json', 'netcheck').stdout)['firewall']
    lab.equal(wall, {'checked': True, 'policy': 'drop', 'accepted': True}, 'the firewall that lets us in')
    a.host.run('nft', 'delete', 'table', 'inet', 'wall')

    # events: what happened so far, and a root that goes
    until('peer.up of B', lambda: events.find(type='peer.up', peer=b.address()), 5)
    until('peer.path of B', lambda: events.find(type='peer.path', peer=b.address(), to=b.host.endpoint()), 5)
    until('network.state', lambda: events.find(type='network.state', network=lab.nwid, to='joined'), 5)
    killed = now()
    second.kill()
    at, down = until('root.down', lambda: events.find(type='root.down', peer=second_address(relays, lab)), 60)
    lab.note(f'root.down {at - killed:.1f} s after the root was killed')
    lab.check('Z' in down['time'] and down['from'], f'the event: {down}')
    numbers = [e['seq'] for _, e in events.got]
    lab.equal(numbers, list(range(1, len(numbers) + 1)), 'numbers of the events')
    check = a.json('netcheck')
    lab.equal(sum(r['answers'] for r in check['roots']), 1, 'roots that answer after one was killed')
    lab.check('unknown' in check['udp4']['mapping'] or check['udp4']['mapping'] == 'none', 'mapping with one root')
    events.stop()
    last = a.json('events')['last']
    lab.check(last >= len(numbers), f'the last event {last}')
    lab.equal(a.cli('events', '--since', last, '--wait', 0).stdout, '', 'events after the last')

    # a warning comes and is in status of both kinds
    lab.root.stop()
    until('the warning that no root answers', lambda: [w['code'] for w in a.json('status')['warnings']] == ['no-root'], 60, every=0.5)
    lab.check('! no root answers' in a.cli('status').stdout, 'the warning for people')
    lab.check('warnings' in lab.controller.json('status'), 'warnings of the controller')

    # all roots gone: netcheck fails and says so
    until('netcheck without a root', lambda: a.cli('netcheck', code=None).returncode == 1, 60, every=1)
    began = now()
    a.cli('netcheck', code=1)
    lab.within(now() - began, 5 * labs.SLOW, 'netcheck without a root')


def second_address(relays, lab):
    return next(iter(relays - {lab.root.address()}))
