"""Two sites joined by a second cable: one broadcast causes 50 copies at most at any host, the guard opens the loop within 3 s and both ends
name it, and 6 s after the cable is pulled the port that was shut opens again. Pings between all sites go on meanwhile.

A and B are the sites with the cable, D is a third one. Cables make no noise of their own here: the copies that are counted are of one frame.
"""
import collections
import threading
import time

from lab import Receiver, mac_bytes, now, run as command, until
from measure import Pings
from scenarios.sight import Events
from sites import bridged

COPIES = 50
MARKS = 400
OPEN_S = 3.0
CLOSE_S = 6.5   # six of silence, counted from the last probe that came through, and a moment
OUTAGE_S = 3.0
TYPE = '0x88b5'
NAMES = 'ABD'


def frame(host, mark):
    return b'\xff' * 6 + mac_bytes(host.mac('lan')) + b'\x88\xb5' + mark.encode().ljust(46, b'.')


def broadcast(host, mark):
    host.send('lan', frame(host, mark))


class Ears:
    """At each host, how often it hears a frame."""

    def __init__(self, hosts):
        self.at = {host.name: Receiver(host, 'lan', 120, TYPE) for host in hosts}

    def copies(self, mark):
        return {name: sum(frame[14:].startswith(mark.encode()) for frame in ear.frames()) for name, ear in self.at.items()}

    def most(self, prefix):
        """Of those marks, how often the one was heard that was heard most, by host."""
        return {name: max(collections.Counter(f[14:24] for f in ear.frames() if f[14:].startswith(prefix.encode())).values(), default=0)
                for name, ear in self.at.items()}


def blocked(lab):
    return [name for name in 'AB' if lab.nodes[name].network(lab.nwid)['blocked']]


def named(lab, name, other):
    """The warning of its status that names the other end."""
    texts = [w['text'] for w in lab.nodes[name].json('status')['warnings'] if w['code'] == 'loop']
    return texts and lab.nodes[other].address() in texts[0] and texts[0]


def run(lab):
    sites = bridged(lab, NAMES)
    hosts = {name: sites[name].cable(f'{name}1', f'10.50.0.{i + 1}/24') for i, name in enumerate(NAMES)}
    ip = {name: f'10.50.0.{i + 1}' for i, name in enumerate(NAMES)}
    for a in NAMES:
        for b in NAMES:
            if a != b:
                hosts[a].reaches(ip[b], 15)
    events = {name: Events(lab.nodes[name]) for name in 'AB'}
    ears = Ears(hosts.values())
    pings = [Pings(hosts[a], ip[b]) for a, b in ('DA', 'DB', 'AB')]
    time.sleep(1.0)

    # The cable. When it begins to carry is the kernel's business: broadcasts are on their way all the time, each with a mark of its own.
    a, b = sites['A'].host.ns, sites['B'].host.ns
    command('ip', '-n', a, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', b)
    marks = [frame(hosts['A'], f'first{i:05}') for i in range(MARKS)]
    sender = threading.Thread(target=hosts['A'].send, args=('lan', *marks), kwargs={'gap_us': 2_000_000 // MARKS})
    sender.start()
    for ns in (a, b):
        command('ip', '-n', ns, 'link', 'set', 'cable', 'master', 'br1', 'up')
    plugged = now()
    until('one of both ports is shut', lambda: len(blocked(lab)) == 1, 10)
    lab.within(now() - plugged, OPEN_S, 'the loop is open')
    until('A names B', lambda: named(lab, 'A', 'B'), 5)
    until('B names A', lambda: named(lab, 'B', 'A'), 5)
    shut = blocked(lab)[0]
    lab.note(named(lab, shut, 'AB'.replace(shut, '')))
    sender.join()
    time.sleep(1.0)
    copies = ears.most('first')
    lab.note(f'most copies of one broadcast: {copies}')
    lab.check(max(copies.values()) <= COPIES, f'copies of one broadcast: {copies}, at most {COPIES}')
    lab.check(copies['B1'] and copies['D1'], f'no broadcast came: {copies}')

    for i, name in enumerate(NAMES):
        broadcast(hosts[name], f'shut{i}')
    time.sleep(1.0)
    for i, name in enumerate(NAMES):
        heard = ears.copies(f'shut{i}')
        heard.pop(f'{name}1')
        lab.check(set(heard.values()) == {1}, f'while the port is shut a broadcast of {name}1 comes once to each: {heard}')
    time.sleep(5.0)  # longer than a silence
    lab.equal(blocked(lab), [shut], 'the port is shut while the cable is there')

    command('ip', '-n', a, 'link', 'del', 'cable')
    pulled = now()
    until('the port opens again', lambda: not blocked(lab), 15)
    lab.within(now() - pulled, CLOSE_S, 'the port opens after the cable is pulled')
    lab.check(now() - pulled > 3.0, 'it does not open before it was silent for a while')
    until('no warning is left', lambda: not any(w['code'] == 'loop' for name in 'AB' for w in lab.nodes[name].json('status')['warnings']), 8)
    time.sleep(2.0)
    for ping in pings:
        ping.stop()
        lab.check(ping.last() > now() - 2.0, f'{ping}: answers at the end')
        lab.within(ping.longest(plugged, pulled), OUTAGE_S, f'{ping}: outage while the loop is found')
        lab.within(ping.longest(pulled, now()), CLOSE_S + 1.0, f'{ping}: outage until the port is open')
    for name in NAMES:
        broadcast(hosts[name], f'again{name}')
    time.sleep(1.0)
    for name in NAMES:
        heard = ears.copies(f'again{name}')
        heard.pop(f'{name}1')
        lab.check(set(heard.values()) == {1}, f'afterwards a broadcast of {name}1 comes once to each: {heard}')
    for name in 'AB':
        told = [e['to'] for _, e in events[name].got if e['type'] == 'network.loop' and e['network'] == lab.nwid]
        lab.check(len(told) >= 2 and 'also bridged by' in told[0] and 'no more' in told[-1], f'events at {name}: {told}')
        events[name].stop()
