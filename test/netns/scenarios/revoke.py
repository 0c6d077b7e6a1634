"""Shows 7: a revoked member's frames stop within 1 s at every member; its join exits 7. Once with a member that hears of it,
once with one that does not and goes on sending: then it is the others that must shut it out."""
import subprocess
import time

from lab import Receiver, now, tool, until


class Sender:
    """Broadcast and unicast frames of a member to others, every 3 ms."""

    def __init__(self, lab, name, to):
        self.lab, self.name = lab, name
        self.receivers = {n: Receiver(lab.nodes[n].host, lab.dev(n), 30, '88b5') for n in to}
        source = lab.tap_mac(name)
        lines = [(mac + source + b'\x88\xb5' + b'out with me ' * 4).hex() for mac in (b'\xff' * 6, *[lab.tap_mac(n) for n in to])]
        self.process = lab.nodes[name].host.popen(tool('frames'), 'send', lab.dev(name), '-', 100000, 3000, stdin=subprocess.PIPE,
                                                  stderr=subprocess.DEVNULL)
        self.process.stdin.write('\n'.join(lines).encode() + b'\n')
        self.process.stdin.close()
        for n, receiver in self.receivers.items():
            until(f'frames of {name} at {n}', lambda receiver=receiver: len(receiver.frames()) > 20, 5)

    def revoked(self):
        lab = self.lab
        begun = now()
        lab.controller.cli('member', 'revoke', lab.nwid, lab.nodes[self.name].address())
        time.sleep(3.0)  # silence can only be seen by waiting; after some more the deaf one learns of it from the others and is silent itself
        seen = now() - begun
        for n, receiver in self.receivers.items():
            last = max(0.0, max(at for at, _ in receiver.got) - begun)
            lab.within(last, 1.0, f'revoke to the last frame of {self.name} at {n}', begun)
            lab.check(last < seen - 0.5, f'frames of {self.name} still come to {n}')
            receiver.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()


def honest(lab):
    b = lab.nodes['B']
    sender = Sender(lab, 'B', 'ADE')
    sender.revoked()
    sender.stop()
    lab.equal(b.cli('join', lab.nwid, '--wait', '5', code=None).returncode, 7, 'exit of join of the revoked')
    lab.equal(lab.members()[b.address()]['state'], 'revoked', 'state')
    lab.equal(lab.nodes['A'].host.ping(lab.ip('D'), count=20, interval=0.02), 20, 'pings among the others')
    lab.equal(lab.nodes['A'].host.ping('10.77.0.2'), 0, 'answers of the revoked')


def deaf(lab):
    e = lab.nodes['E']
    for other in 'AD':
        until(f'E - {other} direct', lambda other=other: e.path(lab.nodes[other]) == 'direct', 15)
    own = Receiver(e.host, lab.dev('E'), 40, '88b7')
    sender = Sender(lab, 'E', 'AD')
    for other in 'RC':
        lab.block('E', other)
    sender.revoked()
    lab.check(sender.process.poll() is None, 'E still sent when silence was measured')
    sender.stop()
    lab.nodes['A'].host.send(lab.dev('A'), b'\xff' * 6 + lab.tap_mac('A') + b'\x88\xb7' + b'not for E', count=20, gap_us=5000)
    time.sleep(0.5)  # silence again
    lab.equal(len(own.stop()), 0, 'frames of A that reach the revoked E')
    for other in 'RC':
        lab.unblock('E', other)
    e.online(60)
    until('join of E exits 7 once it reaches the controller again',
          lambda: e.cli('join', lab.nwid, '--wait', '1', code=None).returncode == 7, 60, every=0.5)
    lab.check(True, '')


def run(lab):
    lab.start('ABDE')
    lab.meshed('ABDE')
    honest(lab)
    deaf(lab)
