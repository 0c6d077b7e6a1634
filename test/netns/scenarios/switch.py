"""Numbered frames both ways while the path changes: from the relay to a direct one nothing is lost and nothing comes twice; off a
direct one that dies, both ways or one way, the outage is 2.5 s at most, and nothing comes twice.

The root is 40 ms away and the members 10 ms from each other, so that on the way up frames by the new path overtake those that are
still under way by the old one.
"""
import time

from lab import now, until
from measure import beacons_off, both, ended

ALONE = True

OUTAGE_S = 2.5
ROUNDS = 2
DIRECT_S = 45  # until a pair tries again by itself after its direct way was blocked: not what is measured here
SETTLED_S = 2.0


ONE_WAY = '''table bridge farlan_one_way {
	chain forward {
		type filter hook forward priority 0;
		ether saddr %s ether daddr %s meta l4proto udp drop
	}
}
'''


def paths(lab):
    a, b = lab.nodes['A'], lab.nodes['B']
    return a.path(b), b.path(a)


def up(lab, where):
    """The block is lifted under traffic."""
    flows = both(lab, 'A', 'B')
    time.sleep(1.0)
    lab.equal(paths(lab), ('relay', 'relay'), f'{where}: paths before the block is lifted')
    lab.unblock('A', 'B')
    begun = now()
    until(f'{where}: A and B direct', lambda: paths(lab) == ('direct', 'direct'), DIRECT_S, every=0.2)
    lab.note(f'{where}: direct after {now() - begun:.1f} s')
    time.sleep(SETTLED_S)
    lab.equal(paths(lab), ('direct', 'direct'), f'{where}: paths at the end')
    for flow in ended(flows):
        got = flow.got
        lab.note(f'{where}: {flow}: {flow.sent["sent"]} sent, {flow.lost()} lost, {got["twice"]} twice, {got["overtaken"]} overtaken, '
                 f'longest pause {flow.longest() * 1000:.0f} ms')
        lab.check(flow.sent['sent'] > 2000, f'{where}: {flow}: only {flow.sent["sent"]} frames sent')
        lab.equal(flow.lost(), 0, f'{where}: {flow}: frames lost (missing: {got["missing"][:5]})')
        lab.equal(got['twice'], 0, f'{where}: {flow}: frames that came twice')


def down(lab, where):
    """The direct way dies under traffic."""
    flows = both(lab, 'A', 'B')
    time.sleep(1.0)
    lab.equal(paths(lab), ('direct', 'direct'), f'{where}: paths before the block')
    begun = now()
    lab.block('A', 'B')
    until(f'{where}: A and B by the relay', lambda: paths(lab) == ('relay', 'relay'), 10, every=0.1)
    lab.note(f'{where}: relayed after {now() - begun:.1f} s')
    time.sleep(SETTLED_S)
    for flow in ended(flows):
        got = flow.got
        lab.note(f'{where}: {flow}: {flow.sent["sent"]} sent, {flow.lost()} lost, {got["twice"]} twice')
        lab.check(flow.lost() > 0, f'{where}: {flow}: nothing was lost, so nothing was blocked')
        outage = flow.longest(begun)
        lab.within(outage, OUTAGE_S, f'{where}: {flow}: outage')
        lab.equal(flow.lost_after(begun + lab.allowed(outage, OUTAGE_S)), 0, f'{where}: {flow}: frames lost later than that')
        lab.equal(got['twice'], 0, f'{where}: {flow}: frames that came twice')


def one_way(lab, frm, to):
    """What goes from one to the other directly is lost, what comes back is not; the other way is not to suffer for longer."""
    where = f'{frm} -> {to} blocked'
    until(f'{where}: A and B direct', lambda: paths(lab) == ('direct', 'direct'), DIRECT_S, every=0.2)
    flows = both(lab, 'A', 'B')
    time.sleep(1.0)
    begun = now()
    lab.net.run('nft', '-f', '-', input=ONE_WAY % (lab.hosts[frm].mac(), lab.hosts[to].mac()))
    time.sleep(6.0)
    for flow in ended(flows):
        lab.note(f'{where}: {flow}: {flow.sent["sent"]} sent, {flow.lost()} lost, {flow.got["twice"]} twice')
        lab.check(flow.lost() > 0 or flow.frm != frm, f'{where}: {flow}: nothing was lost, so nothing was blocked')
        outage = flow.longest(begun)
        lab.within(outage, OUTAGE_S, f'{where}: {flow}: outage')
        lab.equal(flow.lost_after(begun + lab.allowed(outage, OUTAGE_S)), 0, f'{where}: {flow}: frames lost later than that')
        lab.equal(flow.got['twice'], 0, f'{where}: {flow}: frames that came twice')
    lab.net.run('nft', 'delete', 'table', 'bridge', 'farlan_one_way')


def run(lab):
    lab.host('R', wire=['--delay 20ms'])
    lab.host('C')
    for name in 'AB':
        lab.host(name, wire=['--delay 2500us'])
    beacons_off(lab)
    lab.block('A', 'B')
    lab.start('AB')
    lab.meshed('AB')
    until('A and B by the relay', lambda: paths(lab) == ('relay', 'relay'), 10)
    time.sleep(2.0)  # handshakes that crossed are over
    for i in range(ROUNDS):
        up(lab, f'up {i + 1}')
        down(lab, f'down {i + 1}')
    lab.unblock('A', 'B')
    one_way(lab, 'A', 'B')
    one_way(lab, 'B', 'A')
