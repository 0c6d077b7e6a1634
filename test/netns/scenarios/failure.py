"""Shows 5: controller and root die; members talk on, find each other again from disk; a later revocation bites."""
import subprocess
import time

from lab import Pinging, Receiver, now, tool, until
from strain import STRAIN

ALONE = True


def run(lab):
    a, b, d = lab.start('ABD')
    lab.meshed('ABD')
    for x in (a, b, d):
        for y in (a, b, d):
            if x is not y:
                until(f'{x.host.name} - {y.host.name} direct', lambda x=x, y=y: x.path(y) == 'direct', 15)
    pinging = Pinging(a.host, lab.ip('B'), '-i', '0.05', '-w', '12')
    lab.controller.kill()
    lab.root.kill()
    sent, lost, last = pinging.end()
    lab.check(sent >= 100 and lost <= 1 and last <= 20, f'12 s of pings without root and controller: {sent}, {lost} lost, the last {last} not answered')
    lab.note(f'without root and controller: {sent} pings, {lost} lost')

    for node in (a, b):
        node.stop()
    begun = now()
    for node in (a, b):
        node.start(ready=False)
    for node in (a, b):
        node.ready()
    for name in 'AB':
        until(f'{name} has its network from disk', lambda name=name: lab.nodes[name].network(lab.nwid)['state'] == 'joined', 10)
    a.host.reaches(lab.ip('B'), 15)
    lab.note(f'restart to first ping, from disk: {(now() - begun) * 1000:.0f} ms')
    lab.equal(a.host.ping(lab.ip('B'), count=20, interval=0.05), 20, 'pings after both were restarted')
    d.host.reaches(lab.ip('A'), 15)
    lab.check(True, '')

    lab.root.start()
    lab.controller.start()
    back = now()
    receivers = {n: Receiver(lab.nodes[n].host, lab.dev(n), 30, '88b5') for n in 'AD'}
    sender = b.host.popen(tool('frames'), 'send', lab.dev('B'), '-', 100000, 5000, stdin=subprocess.PIPE)
    sender.stdin.write((b'\xff' * 6 + lab.tap_mac('B') + b'\x88\xb5' + b'revoke me' * 5).hex().encode() + b'\n')
    sender.stdin.close()
    for n, receiver in receivers.items():
        until(f'frames of B at {n}', receiver.frames, 10)
    time.sleep(max(0.0, back + 2.0 - now()))  # "2 s later" is what is tested
    begun = now()
    lab.note(f'revoked {begun - back:.2f} s after root and controller answered again')
    lab.controller.cli('member', 'revoke', lab.nwid, b.address())
    STRAIN.rest(begun, 3.5)  # silence can only be seen by waiting
    for n, receiver in receivers.items():
        last = max(at for at, _ in receiver.got)
        lab.within(max(0.0, last - begun), 1.0, f'revoke to the last frame of B at {n}', begun)
        receiver.stop()
    sender.kill()
    sender.wait()
