"""Neighbours on a LAN without any root: members that restart with addresses nobody knows find each other by multicast; a member that is told
to keep silent does; garbage, beacons from afar and replays draw nothing."""
import os
import time

from lab import Capture, now, pcap_frames, udp_payload, until

GROUP, PORT, BYTES = '239.255.99.95', 9995, 113
LAN_S = 5.0

# Sends each line of stdin, a hex datagram, to the group: "TTL [SOURCE]".
SHOUT = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(sys.argv[1]))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[2]))
s.bind((sys.argv[2], 0))
for line in sys.stdin:
    s.sendto(bytes.fromhex(line), (%r, %d))
''' % (GROUP, PORT)


def shout(host, source, ttl, datagrams):
    host.run('python3', '-c', SHOUT, ttl, source, input='\n'.join(d.hex() for d in datagrams) + '\n')


def first_answer(lab, frm, to, limit):
    begun = now()
    while now() - begun < limit:
        if lab.hosts[frm].run('ping', '-n', '-q', '-c', '1', '-W', '0.2', to, code=None).returncode == 0:
            return now() - begun
    return None


def move(lab, name, fresh):
    host = lab.hosts[name]
    host.addr('del', host.address)
    host.addr('add', fresh)
    host.address = fresh


def calls(frames, source=None):
    """(source, TTL, payload) of each beacon, or of what looks like one."""
    found = []
    for frame in frames:
        udp = udp_payload(frame)
        if udp and udp[1] == (GROUP, PORT) and (source is None or udp[0][0] == source):
            found.append((udp[0][0], frame[22], udp[2]))
    return found


def restarted(lab, names, fresh):
    """Both stop, move, start: seconds from the start to the first answer."""
    ips = {name: lab.ip(name) for name in names}
    for name, address in zip(names, fresh):
        lab.nodes[name].stop()
        move(lab, name, address)
    for name in names:
        lab.nodes[name].start(ready=False)
    begun = now()
    for name in names:
        until(f'{name} has its device', lambda name=name: lab.nodes[name].taps(), 5)
    took = first_answer(lab, names[0], ips[names[1]], 15)
    if lab.check(took is not None, f'{names}: no answer in 15 s'):
        lab.within(now() - begun, LAN_S, f'{names} at new addresses, no root: start to the first answer')
        lab.equal(lab.nodes[names[0]].path(lab.nodes[names[1]]), 'direct', f'{names}: path')
    for name in names:
        lab.nodes[name].ready()


def seen(lab, host):
    """What runs over the LAN, as the stranger X sees it."""
    return Capture(host, 'u', os.path.join(lab.folder, f'calls{time.monotonic_ns()}.pcap'), 'udp')


def silence(lab, stranger):
    """Nothing a stranger shouts is answered, whatever it is; the members count it."""
    a = lab.nodes['A']
    good = calls(pcap_frames(lab.calls), lab.hosts['B'].address)
    lab.check(good, 'a beacon of B was recorded')
    before = a.drops().get('beacon', 0)
    watch = seen(lab, stranger)
    noise = [os.urandom(BYTES) for _ in range(60)] + [os.urandom(n) for n in (0, 1, 16, 57, 112, 114, 200, 1400)]
    shout(stranger, stranger.address, 255, noise)
    time.sleep(1.5)
    shout(stranger, stranger.address, 255, [good[-1][2]] * 20)  # a replay, with the stranger as its source
    time.sleep(2.0)
    heard = [udp for udp in map(udp_payload, pcap_frames(watch.stop())) if udp]
    lab.check(any(udp[1] == (GROUP, PORT) and udp[0][0] == stranger.address for udp in heard), 'the shouts were on the LAN')
    to_stranger = [udp for udp in heard if udp[1][0] == stranger.address]
    lab.equal(len(to_stranger), 0, 'datagrams to the stranger')
    counted = a.drops().get('beacon', 0) - before
    lab.check(60 <= counted <= 100, f'A counted {counted} calls of strangers')


def afar(lab, stranger):
    """A router's work shows in the TTL, and a source of another net is no neighbour: neither is even tried."""
    a = lab.nodes['A']
    before = a.drops()
    shout(stranger, stranger.address, 254, [os.urandom(BYTES) for _ in range(10)])
    stranger.run('ip', 'addr', 'add', '203.0.113.9/24', 'dev', 'u')
    shout(stranger, '203.0.113.9', 255, [os.urandom(BYTES) for _ in range(10)])
    time.sleep(0.5)
    after = a.drops()
    lab.equal([after.get(k, 0) - before.get(k, 0) for k in ('beacon', 'beacon-rate')], [0, 0], 'calls from afar that A looked at')


def quiet(lab, stranger):
    """lan-discovery = no: not a word, and no ear."""
    d = lab.nodes['D']
    d.stop()
    with open(os.path.join(d.home, 'farland.conf'), 'a', encoding='utf-8') as file:
        file.write('lan-discovery = no\n')
    watch = seen(lab, stranger)
    d.start()
    time.sleep(4.0)
    frames = pcap_frames(watch.stop())
    lab.equal(len(calls(frames, d.host.address)), 0, 'beacons of a node that is told not to')
    groups = d.host.run('ip', 'maddr', 'show', 'dev', 'u').stdout
    lab.check(GROUP not in groups, f'it listens all the same: {groups}')


def run(lab):
    lab.start('ABD')
    lab.meshed('ABD')
    stranger = lab.host('X')
    for x, y in (('A', 'B'), ('B', 'A')):
        until(f'{x} - {y} direct', lambda x=x, y=y: lab.nodes[x].path(lab.nodes[y]) == 'direct', 15)
    lab.controller.kill()
    lab.root.kill()
    watch = seen(lab, stranger)
    restarted(lab, 'AB', ('198.19.9.1', '198.19.9.2'))
    time.sleep(4.0)
    lab.calls = watch.stop()
    beacons = calls(pcap_frames(lab.calls))
    mine = [b for b in beacons if b[0] in ('198.19.9.1', '198.19.9.2')]
    lab.check(6 <= len(mine) <= 16, f'{len(mine)} beacons of two nodes that started')
    lab.check(all(ttl == 255 and len(payload) == BYTES for _, ttl, payload in mine), 'TTL and size of beacons')
    lab.equal(len({payload[:16] for _, _, payload in mine}), len(mine), 'salts')
    silence(lab, stranger)
    afar(lab, stranger)
    restarted(lab, 'BA', ('198.19.9.3', '198.19.9.4'))
    lab.hosts['A'].reaches(lab.ip('B'), 5)
    quiet(lab, stranger)
