"""kill -9 and a new start a second later: a member's, a root's, a whole site's. Traffic goes both ways 3 s after the start, by a direct
way and by a relay, whether the other side talks all the time or only the one that came back.

B is reached directly, X only by the root. An answer to a ping proves both ways. The members' kernels have no IPv6, so that a device which
comes up says nothing by itself: only the daemons can find each other.
"""
import subprocess
import time

from lab import now, until
from measure import beacons_off, both, ended

LONG = True

LIMIT_S = 3.0
DOWN_S = 1.0


class Pinger:
    """20 pings a second for so long; answers() ends it: the times of the answers, CLOCK_REALTIME."""

    def __init__(self, host, to):
        self.process = host.popen('ping', '-n', '-D', '-i', '0.05', '-W', '1', to, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def answers(self):
        self.process.terminate()
        out = self.process.communicate(timeout=20)[0]
        return [float(line[1:line.index(']')]) for line in out.splitlines() if 'icmp_seq' in line and 'time=' in line]


def asks(host, to, until_s):
    """Pings one by one, as somebody would who waits for it, until one is answered; when that was."""
    while time.time() < until_s:
        if host.run('ping', '-n', '-q', '-c', '1', '-W', '0.2', to, code=None).returncode == 0:
            return time.time()
        time.sleep(0.02)
    return None


def started(*daemons):
    """Of the first of them."""
    begun = time.time()
    for daemon in daemons:
        daemon.start(ready=False)
    return begun


def member(lab, name, path, talking):
    """name is killed and comes back; A talks to it meanwhile, or nobody does until it is back."""
    a, x = lab.nodes['A'], lab.nodes[name]
    where = f'{name} restarts ({path}), {"A talks all the time" if talking else "it talks first"}'
    until(f'{where}: {path} before it', lambda: (a.path(x), x.path(a)) == (path, path), 40)
    mine, its = lab.ip('A'), lab.ip(name)
    pinger = Pinger(a.host, its) if talking else None
    time.sleep(0.5)
    x.kill()
    time.sleep(DOWN_S)
    begun = started(x)
    back = asks(x.host, mine, begun + 15) if not talking else None
    if talking:
        time.sleep(LIMIT_S + 2.0)
        got = pinger.answers()
        lab.check(any(at < begun - DOWN_S for at in got), f'{where}: no answers before it was killed')
        back = min((at for at in got if at > begun), default=None)
        late = [at for at in got if at > begun + LIMIT_S]
        lab.check(len(late) >= 30, f'{where}: only {len(late)} of 40 answers in the two seconds after the limit')
    if lab.check(back is not None, f'{where}: no answer at all'):
        lab.within(back - begun, LIMIT_S, f'{where}: start to the first answer')
    x.ready()
    lab.equal(a.host.ping(its, count=20, interval=0.02), 20, f'{where}: pings A -> {name} afterwards')
    lab.equal(x.host.ping(mine, count=20, interval=0.02), 20, f'{where}: pings {name} -> A afterwards')


def root(lab, where, askers):
    """The only root: who talks directly notices nothing, who talks by it goes on 3 s after its start, whoever of them asks."""
    names = {'A': ('A', 'X'), 'X': ('X', 'A')}
    a, x = lab.nodes['A'], lab.nodes['X']
    until(f'{where}: X by the root', lambda: (a.path(x), x.path(a)) == ('relay', 'relay'), 10)
    flows = both(lab, 'A', 'B')
    pingers = {f'{one} -> {other}': Pinger(lab.hosts[one], lab.ip(other)) for one, other in (names[asker] for asker in askers)}
    time.sleep(0.5)
    lab.root.kill()
    time.sleep(DOWN_S)
    begun = started(lab.root)
    time.sleep(LIMIT_S + 3.0)
    for flow in ended(flows):
        lab.equal((flow.lost(), flow.got['twice']), (0, 0), f'{where}: direct frames {flow} lost and twice')
    for name, pinger in pingers.items():
        got = pinger.answers()
        back = min((at for at in got if at > begun), default=None)
        if lab.check(back is not None, f'{where}: {name}: no answer any more'):
            lab.within(back - begun, LIMIT_S, f'{where}: {name}: its start to the first answer by it')
            late = [at for at in got if at > begun + LIMIT_S]
            lab.check(len(late) >= 45, f'{where}: {name}: only {len(late)} of 60 answers in the three seconds after the limit')
    lab.root.ready()


def site(lab):
    """A power cut: root and X and B at once, A is elsewhere. Who was reached directly is found from what A and B remember."""
    a, b, x = (lab.nodes[n] for n in 'ABX')
    pingers = {'B': Pinger(a.host, lab.ip('B')), 'X': Pinger(a.host, lab.ip('X'))}
    time.sleep(0.5)
    for daemon in (lab.root, b, x):
        daemon.kill()
    time.sleep(DOWN_S)
    begun = started(lab.root, b, x)
    time.sleep(LIMIT_S + 5.0)
    for name, pinger in pingers.items():
        back = min((at for at in pinger.answers() if at > begun), default=None)
        if lab.check(back is not None, f'site restarts: {name}: no answer any more'):
            lab.within(back - begun, LIMIT_S, f'site restarts: A -> {name}: its start to the first answer')
    for daemon in (lab.root, b, x):
        daemon.ready()


def run(lab):
    begun = now()
    for name in 'RCABX':
        lab.host(name).run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1')
    beacons_off(lab)
    lab.block('A', 'X')
    lab.start('ABX')
    lab.meshed('ABX')
    for talking in (True, False):
        member(lab, 'B', 'direct', talking)
        member(lab, 'X', 'relay', talking)
    for askers in ('AX', 'A', 'X', 'A'):  # one way of asking: the other side hears all the time
        root(lab, f'root restarts, pings of {" and ".join(askers)}', askers)
    site(lab)
    lab.note(f'in all {now() - begun:.0f} s')
