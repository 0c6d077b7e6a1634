"""A root relays for A and D while X, which it knows, asks it for 10 000 circuits a second, half of them to A and D: their pings all
come back, their transfers keep nine tenths of their speed, and a pair that never talked finds each other by it within 3 s. For
strangers it does nothing at all: what A sends to it, again or changed and from another address, brings no answer, and nothing
goes out to D.

The wire of A carries 50 Mbit/s, so that the transfers measure the root and not this machine.
"""
import json
import os
import random
import statistics
import subprocess
import time

from lab import Capture, Pinging, SLOW, pcap_frames, tool, udp_payload, until
from measure import Server, Transfer, whole
from scenarios.roots import PAIR_S, first_answer, strangers as never_talked

ALONE = True

RATE = 10000 // SLOW
LINE = '50mbit'
SIZE = 16 << 20
RUNS = 3
STORM_S = 20 * SLOW
SHARE = 0.9
EPOCH = 2000000000  # of X's second life: the greater one counts


class Storm:
    def __init__(self, lab, victims, rate, seconds):
        x = lab.nodes['X']
        secret = os.path.join(x.home, 'identity.secret')
        hashes = {m['address']: m['key_hash'] for m in lab.members().values()}
        targets = [f'{lab.nodes[v].address()}:{hashes[lab.nodes[v].address()]}' for v in victims]
        self.process = x.host.popen(tool('caller'), secret, EPOCH, lab.root_line, 9993, rate, seconds, *targets,
                                    stdout=subprocess.PIPE, text=True)
        lab.check(self.process.stdout.readline() == '{"ready": true}\n', 'X was let in by the root')

    def end(self):
        out = self.process.communicate(timeout=4 * STORM_S + 60)[0]
        return json.loads(out.splitlines()[-1])


def speed(lab, what):
    """Of one transfer by the root, in Mbit/s."""
    transfer = Transfer(lab.hosts['A'], lab.ip('D'), SIZE, 60)
    report = transfer.end(65)
    return SIZE * 8e-6 / report['seconds'] if whole(lab, transfer, report, what) else 0.0


def pair(lab):
    """Two that never talked find each other in the storm."""
    never_talked(lab, 'F', 'G', 'storm')
    took = first_answer(lab, 'F', lab.ip('G'), 15)
    if lab.check(took is not None, 'storm: a new pair: no answer in 15 s'):
        lab.within(took, PAIR_S, 'storm: a new pair: first ping to its answer')


def compared(lab, rate, seconds, meanwhile):
    """Transfers before a storm and in it: (whether it is as it should be, what it is about)."""
    before = [speed(lab, f'calm {i + 1}') for i in range(RUNS)]
    drops = lab.root.drops()
    flood = Storm(lab, 'AD', rate, seconds)
    pinging = Pinging(lab.hosts['E'], lab.ip('D'), '-i', '0.02', '-W', '2')
    meanwhile(lab)
    during = [speed(lab, f'storm {i + 1}') for i in range(RUNS)]
    lasted = flood.process.poll() is None
    done = flood.end()
    sent, lost, last = pinging.end(0)
    counted = {k: n - drops.get(k, 0) for k, n in lab.root.drops().items() if n > drops.get(k, 0)}
    lab.note(f'storm: {done["sent"]} CONNECTs in {seconds} s; the root dropped {counted}')
    calm, stormy = statistics.median(before), statistics.median(during)
    lab.note(f'storm: {sent} pings, {lost} lost; {calm:.0f} Mbit/s before, {stormy:.0f} Mbit/s in it ({stormy / calm if calm else 0:.2f})')
    return [(lasted, 'the storm lasted as long as the transfers'),
            (done['sent'] >= 0.9 * rate * seconds, f'storm: only {done["sent"]} CONNECTs left'),
            (sum(counted.values()) >= 0.5 * done['sent'], f'storm: the root refused only {counted} of {done["sent"]}'),
            (sent > 500 and lost == 0 and last <= 10, f'storm: {sent} pings, {lost} lost, the last {last} not answered'),
            (calm > 10 and stormy >= SHARE * calm, f'storm: {stormy:.1f} Mbit/s, {calm:.1f} before')]


def storm(lab):
    """What a machine can do at all is no matter of ours: a storm it cannot stand is tried with fewer, and for longer."""
    a, d = lab.nodes['A'], lab.nodes['D']
    Server(lab.hosts['D'])
    lab.tried('storm', lambda again: compared(lab, RATE // 3**again, STORM_S * (again + 1), (lambda lab: None) if again else pair))
    lab.equal((a.path(d), d.path(a)), ('relay', 'relay'), 'paths after the storm')


def strangers(lab):
    """Y is nobody: the root has no session with it."""
    a, d, y, root = lab.nodes['A'], lab.nodes['D'], lab.hosts['Y'], lab.root
    capture = Capture(lab.net, lab.hosts['R'].port, os.path.join(lab.folder, 'legs.pcap'),
                      f'udp and src host {a.host.address} and dst host {root.host.address}')
    lab.equal(a.host.ping(lab.ip('D'), count=240, interval=0.005), 240, 'pings by the root')
    legs = [p[2] for p in map(udp_payload, pcap_frames(capture.stop())) if p and len(p[2]) >= 64]
    lab.check(len(legs) >= 200, f'only {len(legs)} datagrams of A captured on their way to the root')
    file = os.path.join(lab.folder, 'legs')
    with open(file, 'w', encoding='ascii') as f:
        f.write('\n'.join(p.hex() for p in legs[:2000]) + '\n')
    out = Capture(lab.net, lab.hosts['R'].port, os.path.join(lab.folder, 'out.pcap'), f'udp and src host {root.host.address}')
    drops, begun, count = sum(root.drops().values()), time.monotonic(), 0
    for mode in ('same', 'mutate', 'tail'):
        done = json.loads(y.run(tool('flood'), root.host.address, 9993, 5000, 5000, random.getrandbits(32), mode, file, timeout=60).stdout)
        count += done['sent']
        lab.equal(done['answers'], 0, f'strangers: answers of the root to legs of another, {mode}')
    took = time.monotonic() - begun
    sent = [p for p in map(udp_payload, pcap_frames(out.stop())) if p]
    to = {host: sum(p[1][0] == lab.hosts[host].address for p in sent) for host in 'ADY'}
    lab.note(f'strangers: {count} datagrams in {took:.1f} s; the root sent {to}, and dropped {sum(root.drops().values()) - drops} of what came')
    lab.equal(to['Y'], 0, 'strangers: datagrams from the root to the stranger')
    # legs of 200 and more were copied; what goes to D by itself is a keepalive now and then
    lab.check(to['D'] <= 20, f'strangers: the root sent {to["D"]} datagrams to D, which nobody in the network asked for')
    lab.check(sum(root.drops().values()) - drops >= 0.9 * count, 'strangers: the root counted each of them')
    path, got = a.path(d), a.host.ping(lab.ip('D'), count=20, interval=0.02)
    lab.check(path == 'relay' and got >= 19, f'strangers: A to D afterwards: {path}, {got} of 20')


def run(lab):
    lab.host('R')
    lab.host('C')
    lab.host('A', wire=[f'--rate {LINE}', '--queue 60ms'])
    for name in 'DEFGXY':
        lab.host(name)
    for name in 'FG':
        lab.hosts[name].run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1')
    lab.block('F', 'G')
    for name in 'AE':  # E's pings share no line with the transfers
        lab.block(name, 'D')
    lab.start('ADEFGX')
    lab.meshed('ADE')
    d = lab.nodes['D']
    for one in (lab.nodes['A'], lab.nodes['E']):
        until(f'{one.host.name} and D by the root', lambda one=one: (one.path(d), d.path(one)) == ('relay', 'relay'), 15)
    lab.nodes['X'].stop()
    storm(lab)
    strangers(lab)
