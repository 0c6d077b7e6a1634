"""A program that sends to 255.255.255.255 without naming an interface, as games do to find servers: with "game" in the local settings of a
network it leaves there, with the overlay's address as its source; without, by the default route into the LAN.

A has a default route into the underlay, which is a LAN here: B hears what A sends there too, but from another address than over the overlay,
and L, which is no node, hears nothing else.
"""
import json
import socket
import subprocess
import sys
import threading
import time

from lab import now, until

PORT = 27015
SENDER = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(sys.argv[2].encode(), (sys.argv[1], %d))
''' % PORT
LISTENER = '''
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', %d))
for address in sys.argv[1:]:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.1.2.3') + socket.inet_aton(address))
print('ready', flush=True)
while True:
    data, source = s.recvfrom(2000)
    print(source[0], data.decode(), flush=True)
''' % PORT


class Listener:
    """What comes to the port on a host, by any device: (source, text)."""

    def __init__(self, host, *groups):
        self.process = host.popen(sys.executable, '-c', LISTENER, *groups, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise RuntimeError('the listener does not listen')
        self.file = self.process.stdout
        self.got = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.file:
            self.got.append(tuple(line.split()))

    def of(self, text):
        return [source for source, got in list(self.got) if got == text]


def say(lab, text, to='255.255.255.255'):
    lab.nodes['A'].host.run(sys.executable, '-c', SENDER, to, text)


def heard(lab, listener, text, what):
    try:
        until(what, lambda: listener.of(text), 3)
    except Exception as error:
        lab.fail(str(error))
    return listener.of(text)


def routes(lab, *words):
    return json.loads(lab.nodes['A'].host.run('ip', '-j', '-4', 'route', 'show', *words).stdout)


def run(lab):
    a, b = lab.start('AB', mtu=1400)
    lan = lab.host('L')  # no node: a machine of the LAN
    lab.meshed('AB')
    a.host.run('ip', 'route', 'add', 'default', 'via', lan.address)
    at_b, at_lan = Listener(b.host, lab.ip('B')), Listener(lan, lan.address)

    # off: into the LAN, and the overlay hears nothing
    say(lab, 'off')
    lab.equal(heard(lab, at_lan, 'off', 'the LAN hears a broadcast by the default route'), [a.host.address], 'off: at the LAN, from')
    lab.equal(heard(lab, at_b, 'off', 'B hears it in the LAN'), [a.host.address], 'off: at B, from')
    lab.equal(a.network(lab.nwid)['game'], False, 'game, in the beginning')

    # on: into the overlay, with the overlay's address, and not into the LAN
    a.cli('set', lab.nwid, '--game', 'on')
    began = now()
    say(lab, 'on')
    lab.equal(heard(lab, at_b, 'on', 'B hears a broadcast with game on'), [lab.ip('A')], 'on: at B, from')
    lab.within(now() - began, 1, 'broadcast of a program to B, with its start')
    say(lab, 'group', '239.1.2.3')
    lab.equal(heard(lab, at_b, 'group', 'B hears a group with game on'), [lab.ip('A')], 'multicast at B, from')
    time.sleep(0.3)
    lab.equal(at_lan.of('on') + at_lan.of('group'), [], 'on: at the LAN')

    # still there after a restart
    a.stop()
    lab.equal(routes(lab, '255.255.255.255'), [], 'routes of a node that is stopped')
    a.start()
    a.cli('wait', lab.nwid, '--wait', 20 * lab.slow, timeout=30 * lab.slow)
    lab.equal(a.network(lab.nwid)['game'], True, 'game, after a restart')
    a.host.reaches(lab.ip('B'))
    say(lab, 'again')
    lab.equal(heard(lab, at_b, 'again', 'B hears a broadcast after a restart'), [lab.ip('A')], 'after a restart: at B, from')

    # off again; and a route of somebody else is left alone, for multicast without a word, for broadcast with one
    a.cli('set', lab.nwid, '--game', 'off')
    lab.equal(routes(lab, '255.255.255.255') + routes(lab, '224.0.0.0/4'), [], 'routes with game off')
    say(lab, 'later')
    lab.equal(heard(lab, at_lan, 'later', 'the LAN hears it with game off again'), [a.host.address], 'off again: at the LAN, from')
    lab.equal(heard(lab, at_b, 'later', 'B hears it in the LAN again'), [a.host.address], 'off again: at B, from')
    a.host.run('ip', 'route', 'add', '224.0.0.0/4', 'dev', 'u')
    a.cli('set', lab.nwid, '--game', 'on')
    lab.equal(a.network(lab.nwid)['game_reason'], '', 'with a foreign route for multicast')
    lab.equal([r['dev'] for r in routes(lab, '224.0.0.0/4')], ['u'], 'a foreign route for multicast')
    a.cli('set', lab.nwid, '--game', 'off')
    lab.equal([r['dev'] for r in routes(lab, '224.0.0.0/4')], ['u'], 'a foreign route for multicast, game off')
    a.host.run('ip', 'route', 'add', '255.255.255.255/32', 'dev', 'u')
    a.cli('set', lab.nwid, '--game', 'on')
    lab.check('another route for 255.255.255.255' in a.network(lab.nwid)['game_reason'], 'a foreign route for broadcast is named')
    lab.check('! ' + lab.nwid + ': game: another route' in a.cli('status').stdout, 'and status tells it')
    a.host.run('ip', 'route', 'del', '255.255.255.255/32', 'dev', 'u')
    until('game takes effect when the way is free', lambda: a.network(lab.nwid)['game_reason'] == '', 8)
    lab.equal([r['dev'] for r in routes(lab, '255.255.255.255')], [lab.dev('A')], 'the route for broadcast')

    # refusals
    lab.check('on or off' in a.cli('set', lab.nwid, '--game', 'maybe', code=2).stderr, '--game takes on or off')
    lab.check('nothing to set' in a.cli('set', lab.nwid, code=2).stderr, 'set needs something to set')
    a.cli('set', '0123456789abcdef', '--game', 'on', code=5)
