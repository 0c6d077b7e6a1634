"""A and B cannot reach each other, M is a member that may relay: after a few seconds by the root M carries their frames, the root dies and
nobody notices, A starts again and finds B by M alone. Without the right, or without the will of its operator, M carries nothing."""
import time

from lab import until

LONG = True


def by(node, peer):
    """Whose relay node uses for peer: an address, or None when straight or not at all."""
    for p in node.json('peers')['peers']:
        if p['address'] == peer.address():
            return p['relay'] if p['path'] == 'relay' else None
    return None


def run(lab):
    root, _ = lab.start_root()
    for name in 'CABM':
        lab.host(name)
    lab.block('A', 'B')
    lab.start_controller()
    for name in 'ABM':
        lab.start_node(name)
    lab.nwid = lab.create()
    for name in 'ABM':
        lab.join(name)
    lab.meshed('ABM')
    a, b, m = (lab.nodes[name] for name in 'ABM')
    a.host.reaches(lab.ip('B'), 10)
    lab.equal(by(a, b), root.address(), 'first by the root')
    time.sleep(8)  # longer than a pair stays with its root when there is another relay
    a.host.reaches(lab.ip('B'), 5)
    lab.equal(by(a, b), root.address(), 'M has no right yet')

    lab.controller.cli('member', 'set', lab.nwid, m.address(), '--relay', 'on')
    a.host.reaches(lab.ip('M'), 5)
    b.host.reaches(lab.ip('M'), 5)
    pings = a.host.popen('ping', '-n', '-q', '-i', '0.02', '-w', '45', lab.ip('B'))
    until('A and B talk by M', lambda: by(a, b) == m.address() and by(b, a) == m.address(), 40)
    pings.terminate()
    pings.wait()
    lab.equal(a.host.ping(lab.ip('B'), count=50, interval=0.02), 50, 'pings by M')

    root.kill()
    lab.equal(a.host.ping(lab.ip('B'), count=300, interval=0.02), 300, 'pings while the root is dead')
    lab.equal(by(a, b), m.address(), 'by M without a root')
    a.kill()
    a.start()
    until('A is joined again', lambda: a.network(lab.nwid)['state'] == 'joined', 10)
    a.host.reaches(lab.ip('B'), 10)
    lab.equal(by(a, b), m.address(), 'by M after a start without a root')

    root.start()
    for node in (a, b, m):
        until(f'{node.host.name} is at the root again', lambda node=node: node.roots() == 1, 45)
    m.stop()
    with open(f'{m.home}/farland.conf', 'a', encoding='ascii') as conf:
        conf.write('relay = no\n')
    m.start()
    for node in (a, b):
        node.host.reaches(lab.ip('M'), 10)
    a.host.reaches(lab.ip('B'), 10)
    until('A and B are back at the root', lambda: by(a, b) == root.address(), 30)
    lab.equal(a.host.ping(lab.ip('B'), count=50, interval=0.02), 50, 'pings by the root, M being unwilling')
    time.sleep(8)
    a.host.reaches(lab.ip('B'), 5)
    lab.equal(by(a, b), root.address(), 'M is unwilling')
    lab.note('by the root, by a member, without a root, by the root again')
