"""Superframes are cut and joined on the way, and nobody can tell: byte streams, datagrams and checksums are those of a run
without offloads, whatever the sizes of network and path, under loss, and behind a bridge into a plain veth.

The kernel offers what the device offers: where the device has no TSO, the same streams go through frame by frame and must be
the same too; where it has, superframes must be seen at both ends, or the run has shown nothing.
"""
import json
import re
import signal
import subprocess
import threading

from lab import Failure, Host, now, run as command, tool, until

ALONE = True

OFFLOADS = ('tx-tcp-segmentation', 'tx-udp-segmentation', 'tx-checksum-ip-generic')
PORT = 7000
TRIES = 5  # of datagrams that queues may lose

# name, bytes each way, size of a write, flags (n nodelay, m more, u urgent), MSS
STREAMS = [
    ('bulk', 3 << 20, 65536, '-', 0),
    ('mixed writes', 1 << 20, 0, '-', 0),
    ('mixed writes, nodelay', 1 << 20, 0, 'n', 0),
    ('mixed writes, more', 1 << 20, 0, 'm', 0),
    ('1000-byte writes, nodelay, more', 300000, 1000, 'nm', 0),
    ('one byte', 1, 1, '-', 0),
    ('one-byte writes', 3000, 1, 'n', 0),
    ('urgent bytes', 200000, 4096, 'u', 0),
    ('64 KiB in one write and FIN', 65536, 65536, '-', 0),
    ('MSS 536', 300000, 65536, '-', 536),
    ('MSS 88: above 255 segments in one', 900000, 65536, '-', 88),
]
PLAIN = [
    ('bulk without timestamps and ECN', 3 << 20, 65536, '-', 0),
    ('mixed writes without timestamps and ECN', 1 << 20, 0, 'n', 0),
]
LOSSY = [row for row in STREAMS if row[0] in ('bulk', 'mixed writes, nodelay', 'mixed writes, more', 'urgent bytes', 'MSS 88: above 255 segments in one')]
BY_LOSS = {'frag-timeout', 'frag-limit', 'replay', 'init-replay', 'leg-replay', 'leg-dead', 'index', 'pending-len', 'probe', 'ctrl-dup', 'stranger', 'no-path', 'send'}
LOSS = ('--loss 1%', '--reorder 1%')
MARK = '''table netdev farlan {
	chain in {
		type filter hook ingress device "eth" priority 0;
		ip ecn ect0 numgen inc mod 20 == 0 ip ecn set ce
		ip6 ecn ect0 numgen inc mod 20 == 0 ip6 ecn set ce
	}
}
'''
DATAGRAMS = ['1200x54', '1200x48', '1200x20+700', '500x64+77', '9x64+8', '6x3', '1000*40', '64*60', '1200*2', '1352*8', '700x2+699']
JUMBO = ['8900x7', '4000x15+3999', '8952*4']


class Network:
    """One of the two networks the members share; the IPv6 addresses are ours."""

    def __init__(self, lab, number, mtu):
        self.lab, self.number, self.mtu, self.made = lab, number, mtu, mtu  # made: what is compared has that name, whatever becomes of it
        self.nwid = lab.create(f'mtu{mtu}', mtu=mtu, ipv4=f'10.{77 + number}.0.0/24')

    def dev(self, name):
        return self.lab.nodes[name].network(self.nwid)['dev']

    def six(self, name):
        return f'fd{77 + self.number}::{"ABH".index(name) + 1}'

    def ip(self, name, version):
        if version == 6:
            return self.six(name)
        return f'10.{77 + self.number}.0.200' if name == 'H' else next(
            a.split('/')[0] for a in self.lab.nodes[name].network(self.nwid)['addresses'] if ':' not in a)

    def up(self, names='AB'):
        """Devices are there and answer each other on both families."""
        for name in names:
            node = self.lab.nodes[name]
            until(f'{name} has its device of {self.nwid}', lambda node=node: node.network(self.nwid)['state'] == 'joined', 20)
            node.host.run('ip', 'addr', 'replace', f'{self.six(name)}/64', 'dev', self.dev(name), 'nodad')
        for version in (4, 6):
            self.lab.nodes['A'].host.reaches(self.ip('B', version), 15)

    def features(self, name, verb='show'):
        return json.loads(self.lab.nodes[name].host.run(tool('features'), self.dev(name), verb).stdout)


class Ended:
    """A tool that is ready, and prints one JSON object when it is told to end."""

    def __init__(self, host, *argv):
        self.process = host.popen(tool(argv[0]), *argv[1:], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'ready\n':
            raise Failure(f'{argv} on {host.name} does not start')

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return json.loads(self.process.communicate(timeout=20)[0] or 'null')


def seed_of(name):
    return 1 + sum(ord(c) * 31 ** (i % 4) for i, c in enumerate(name)) % 100000


def stream(lab, host, address, row, where, kept, tries=6):
    """One TCP connection; what both ends tell of it goes to kept. An urgent pointer is seen only by a reader who is awake before the
    next one, and a segment sent again may carry a wrong one out of the kernel itself: those must be right once in a few tries."""
    name, size, write, flags, mss = row
    marks = [size // 9 * (k + 1) for k in range(8)] if flags == 'u' else []
    for _ in range(1 if where.startswith('loss') else tries):
        done = host.run(tool('streams'), 'tcp', address, PORT, seed_of(name), size, write, flags, mss, 30, code=None, timeout=60)
        if done.returncode:
            lab.fail(f'{where}: {name}: {done.stderr.strip()}')
            return
        told = json.loads(done.stdout)
        for way in ('up', 'down'):
            lab.check(told[way]['bad'] == -1 and told[way]['received'] == size,
                      f'{where}: {name}, {way}: {told[way]["received"]} bytes of {size}, first wrong one at {told[way]["bad"]}')
        if told['up']['urgent'] == told['down']['urgent'] == marks:
            break
    kept[where, name] = told
    if not where.startswith('loss'):
        for way in ('up', 'down'):
            lab.equal(told[way]['urgent'], marks, f'{where}: {name}, {way}: offsets of urgent bytes')


def gap_us(again):
    """Between runs of datagrams. A device holds some 500 frames and drops more, and how fast a worker empties it is the machine's
    matter: each try is slower than the one before, the last one waits 0.24 s."""
    return 3000 * 3**again


def datagrams(lab, sender, receiver, address, port, specs, where):
    """UDP from one host to another. What came must be all of it once in a few tries, and never anything else than what was sent, in
    order."""
    seed, lossy, rounds = seed_of(where), where.startswith('loss'), 5
    wanted = rounds * sum(int(re.split(r'[x*+]', spec)[1]) + ('+' in spec) for spec in specs)
    for again in range(TRIES):
        port += 10  # nothing of the try before may come late to this one
        there = Ended(receiver, 'streams', 'udp-recv', port, seed, wanted)
        sent = json.loads(sender.run(tool('streams'), 'udp-send', address, port, seed, rounds, gap_us(again), *specs).stdout)
        lab.equal(sent['datagrams'], wanted, f'{where}: datagrams sent')
        got = there.end()
        lab.equal(got['bad'], 0, f'{where}: datagrams with a wrong byte or length')
        if lossy:
            lab.check(0.8 * wanted < got['datagrams'] <= wanted, f'{where}: {got["datagrams"]} datagrams of {wanted}')
            return
        lab.equal(got['disordered'], 0, f'{where}: datagrams that came too late')
        if got == sent:
            break
        lab.note(f'{where}: {sent["datagrams"] - got["datagrams"]} of {sent["datagrams"]} datagrams did not come, try {again + 1}')
    lab.equal(got, sent, f'{where}: datagrams, their sizes, order and contents')


def family(lab, net, version, rows, specs, where, kept, to):
    a, other, address = lab.hosts['A'], lab.hosts[to], net.ip(to, version)
    where = f'{where}, network {net.made}, IPv{version}'
    for row in rows:
        stream(lab, a, address, row, where, kept)
    if specs:
        datagrams(lab, a, other, address, 7100 + version, specs, f'{where}, up')
        datagrams(lab, other, a, net.ip('A', version), 7200 + version, specs, f'{where}, down')


def both_families(lab, net, *what):
    """IPv4 and IPv6 at the same time: their frames mix on the way."""
    errors = []

    def guarded(version):
        try:
            family(lab, net, version, *what)
        except Exception as error:  # of a thread: the scenario must hear of it
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(version,)) for version in (4, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def settings(lab, ecn, timestamps):
    for name in 'ABH':
        lab.hosts[name].run('sysctl', '-q', '-w', f'net.ipv4.tcp_ecn={ecn}', 'net.ipv4.tcp_ecn_fallback=0', f'net.ipv4.tcp_timestamps={timestamps}')


def negotiated(lab, kept, names, **wanted):
    """The streams were what they are called: TCP agreed on what the settings say."""
    for (where, name), told in kept.items():
        if name in names:
            lab.equal({k: told[k] for k in wanted}, wanted, f'{where}: {name}: negotiated')


def matrix(lab, net, where, kept, to='B'):
    """Every kind of stream and datagram, both ways, on both families."""
    specs = DATAGRAMS + (JUMBO if net.mtu == 9000 else [])
    both_families(lab, net, STREAMS, [], where, kept, to)
    both_families(lab, net, [], specs, where, kept, to)  # not beside TCP, which fills every queue until one overflows
    settings(lab, ecn=0, timestamps=0)
    both_families(lab, net, PLAIN, [], where, kept, to)
    settings(lab, ecn=1, timestamps=1)


def superframes(lab, net, where, on):
    """A bulk run looked at where the members' kernels hand frames out and take them in."""
    offered, uso = (net.features('A')[k] for k in OFFLOADS[:2])
    out = Ended(lab.hosts['A'], 'witness', net.dev('A'), net.mtu, 'out')
    into = Ended(lab.hosts['B'], 'witness', net.dev('B'), net.mtu, 'in')
    both_families(lab, net, [('bulk', 3 << 20, 65536, '-', 0), STREAMS[-1]], [], f'{where}, looked at', {}, 'B')
    out, into = out.end(), into.end()
    udp = Ended(lab.hosts['A'], 'witness', net.dev('A'), net.mtu, 'out')
    both_families(lab, net, [], ['1200x48'], f'{where}, looked at', {}, 'B')
    udp = udp.end()
    lab.note(f'{where}, network {net.made}: {out["longer"]} of {out["frames"]} frames out and {into["longer"]} of {into["frames"]} in are superframes')
    for side, seen in (('out', out), ('in', into)):
        lab.equal((seen['bad_ip'], seen['bad_l4'], seen['malformed']), (0, 0, 0), f'{where}, network {net.made}, {side}: wrong checksums and lengths: {seen}')
        lab.check(seen['tcp'] > 100, f'{where}, network {net.made}, {side}: the witness saw the streams: {seen}')
    lab.note(f'{where}, network {net.made}: up to {out["segments"]} segments in one frame out, {into["segments"]} in; {udp["longer"]} frames of datagrams out')
    if on and uso:
        lab.check(udp['longer'] > 5, f'{where}, network {net.made}: superframes of datagrams: {udp}')
    if on and offered:
        lab.segments.append(out['segments'])
        lab.check(out['longer'] > 10 and into['longer'] > 10, f'{where}, network {net.made}: superframes on both sides: {out}, {into}')
    if not on:
        lab.equal((offered, out['longer'], out['partial']), (False, 0, 0), f'{where}, network {net.made}: offloads are off: {out}')


def no_drops(lab, before, where):
    """None but probes of a path's size that the kernel refused, 3 for each size above the device's MTU; and on a machine that has other
    things to do an answer may be late and a question come twice, or a handshake of before the restart come after it."""
    for name in 'AB':
        after = lab.nodes[name].drops()
        more = {k: n - before[name].get(k, 0) for k, n in after.items() if n > before[name].get(k, 0)}
        for late in ('ctrl-dup', 'init-replay', 'stranger', 'leg-dead'):
            more.pop(late, 0)
        lab.check(more.pop('send', 0) <= 100, f'{where}: datagrams of {name} that the kernel refused: {after}')
        lab.equal(more, {}, f'{where}: drops at {name}')


def size(lab, one, other):
    """The largest datagram of a direct path, 0 where there is none."""
    address = lab.nodes[other].address()
    return next((p['datagram'] for p in lab.nodes[one].json('peers')['peers'] if p['address'] == address and p['path'] == 'direct'), 0)


def underlay(lab, mtu):
    """Another MTU of the ways to A and B; the daemons start anew, so that no path remembers a larger one."""
    for name in 'AB':
        lab.nodes[name].stop()
        lab.hosts[name].mtu(mtu)
    lab.hosts['A'].wire.set(f'--mtu {mtu}')
    for name in 'AB':
        lab.nodes[name].start(ready=False)
    for name in 'AB':
        lab.nodes[name].ready()
    for net in lab.networks:
        net.up()
    for one, other in ('AB', 'BA'):
        until(f'{one} has a direct path to {other} for datagrams of {mtu - 28}', lambda one=one, other=other: size(lab, one, other) == mtu - 28, 15)


def flags(lab, net, tries=8):
    """FIN, PSH and CWR stand on one segment each: as many leave A's kernel as arrive at H, cut, joined and cut again."""
    what = f'behind a bridge, network {net.made}'
    rows = [('bulk', 1 << 20, 65536, '-', 0), ('mixed writes, nodelay', 300000, 0, 'n', 0), ('one byte', 1, 1, '-', 0)]
    lab.hosts['H'].run('nft', '-f', '-', input=MARK)
    for version in (4, 6):
        for again in range(tries):
            kept = {}
            out, into = Ended(lab.hosts['A'], 'witness', net.dev('A'), net.mtu, 'out'), Ended(lab.hosts['H'], 'witness', 'eth', net.mtu, 'in')
            family(lab, net, version, rows, [], what, kept, 'H')
            out, into = ({k: seen[k] for k in ('fin', 'psh', 'cwr', 'unseen')} for seen in (out.end(), into.end()))
            if out == into:
                break  # else a full queue may have taken one of them
        lab.equal(into, out, f'{what}, IPv{version}: flags at H as they left A, in {again + 1} tries')
        lab.check(out['cwr'] > 0 and out['psh'] > 10 and out['fin'] >= 3 and not out['unseen'], f'{what}, IPv{version}: there were flags to look at: {out}')
        lab.note(f'{what}, IPv{version}: {out["psh"]} PSH, {out["cwr"]} CWR, {again + 1} tries')
    lab.hosts['H'].run('nft', 'delete', 'table', 'netdev', 'farlan')


def may_bridge(lab, net):
    """A LAN sends 1500 bytes: below that a bridge is refused, and the refusal names the command that is given here."""
    bridge = ('member', 'set', net.nwid, lab.nodes['B'].address(), '--bridge', 'on')
    if net.mtu < 1500:
        refused = lab.controller.cli(*bridge, code=None)
        lab.equal(refused.returncode, 8, f'network {net.mtu}: exit of --bridge on')
        lab.check(f'farlan network set {net.nwid} --mtu 1500' in refused.stderr, f'network {net.mtu}: the way out: {refused.stderr}')
        lab.controller.cli('network', 'set', net.nwid, '--mtu', '1500')
        net.mtu = 1500
        for name in 'AB':
            until(f'{name}: the device follows', lambda name=name: ' mtu 1500 ' in command(
                'ip', '-n', lab.hosts[name].ns, 'link', 'show', 'dev', net.dev(name)).stdout, 5)
    lab.controller.cli(*bridge)
    lowered = lab.controller.cli('network', 'set', net.nwid, '--mtu', '1400', code=None)
    lab.equal(lowered.returncode, 8, f'network {net.mtu}: exit of --mtu 1400 under a bridge')


def behind_bridge(lab, net, kept, lossy):
    """H has a plain veth into a bridge with B's device: what reaches it are whole frames, complete, none too long."""
    b, h, where = lab.hosts['B'], lab.hosts['H'], f'behind a bridge, network {net.made}'
    may_bridge(lab, net)
    run_b = ('ip', '-n', b.ns, 'link')
    command(*run_b, 'add', 'name', 'br1', 'mtu', net.mtu, 'type', 'bridge', 'mcast_snooping', '0')
    command(*run_b, 'add', 'name', 'hv', 'mtu', net.mtu, 'type', 'veth', 'peer', 'name', 'eth', 'mtu', net.mtu, 'netns', h.ns)
    for host, dev in ((b, 'hv'), (h, 'eth')):
        left = json.loads(host.run(tool('features'), dev, 'off').stdout)
        lab.check(not any(left[k] for k in OFFLOADS + ('rx-gro',)), f'{where}: the veth has no offloads: {left}')
    for dev in ('hv', net.dev('B')):
        command(*run_b, 'set', dev, 'master', 'br1', 'up')
    command(*run_b, 'set', 'br1', 'up')
    command('ip', '-n', h.ns, 'link', 'set', 'eth', 'up')
    h.run('ip', 'addr', 'add', f'{net.ip("H", 4)}/24', 'dev', 'eth')
    h.run('ip', 'addr', 'add', f'{net.six("H")}/64', 'dev', 'eth', 'nodad')
    for version in (4, 6):
        lab.hosts['A'].reaches(net.ip('H', version), 15)
    server, witness = Ended(h, 'streams', 'serve', PORT), Ended(h, 'witness', 'eth', net.mtu, 'in')
    before = {name: lab.nodes[name].drops() for name in 'AB'}
    matrix(lab, net, 'behind a bridge', kept, 'H')
    flags(lab, net)
    no_drops(lab, before, where)
    if lossy:
        lab.hosts['A'].wire.set(*LOSS)
        both_families(lab, net, [STREAMS[0], STREAMS[2]], [], 'loss, behind a bridge', kept, 'H')
        lab.hosts['A'].wire.set('--loss 0%', '--reorder 0%')
    seen = witness.end()
    server.end()
    lab.check(seen['tcp'] > 5000 and seen['udp'] > 500, f'{where}: the witness saw the streams: {seen}')
    wrong = {k: seen[k] for k in ('longer', 'bad_ip', 'bad_l4', 'partial', 'malformed') if seen[k]}
    lab.equal(wrong, {}, f'{where}: frames at H that are too long, wrong or incomplete: {seen}')
    lab.note(f'{where}: {seen["frames"]} frames at H, the longest {seen["longest"]}, {seen["unseen"]} not looked at')
    command(*run_b, 'del', 'hv')
    command(*run_b, 'del', 'br1')


def same(lab, kept, reference):
    """What arrived is what arrived without offloads, byte for byte."""
    def key(where, name):
        return *where.split(', ')[-2:], name
    wanted = {key(*k): told for k, told in kept.items() if k[0].startswith(reference)}
    lab.equal(len(wanted), 2 * 2 * len(STREAMS + PLAIN), 'streams to compare with')
    for (where, name), told in kept.items():
        one = wanted[key(where, name)]
        for way in ('up', 'down'):
            lab.equal(told[way]['hash'], one[way]['hash'], f'{where}: {name}, {way}: hash of the stream')


def prepare(lab):
    """A by a wire, B by a veth: a device with few offloads and one with many below the daemons."""
    lab.start_root()
    lab.start_controller()
    lab.host('A', wire=['--mtu 1500', '--seed 5'])
    for name in 'AB':
        lab.start_node(name)
    lab.hosts['H'] = Host(lab, 'H', None)
    lab.controller.online()
    lab.networks = [Network(lab, number, mtu) for number, mtu in enumerate((1400, 9000))]
    for net in lab.networks:
        lab.nwid = net.nwid
        for name in 'AB':
            lab.join(name)
    settings(lab, ecn=1, timestamps=1)
    return Ended(lab.hosts['B'], 'streams', 'serve', PORT)


def lossy(lab, kept):
    """Now that frames get lost: the last part, since what loss does to handshakes and probes shows for a while."""
    before = {name: lab.nodes[name].drops() for name in 'AB'}
    lab.hosts['A'].wire.set(*LOSS)
    for net in lab.networks:
        net.up()
        both_families(lab, net, LOSSY, DATAGRAMS, 'loss', kept, 'B')
    lost = lab.hosts['A'].wire.counters()
    lab.check(all(lost[way]['lost'] > 50 and lost[way]['reordered'] > 50 for way in 'ab'), f'the wire lost and reordered: {lost}')
    lab.note(f'loss: {lost["a"]["lost"]} + {lost["b"]["lost"]} lost, {lost["a"]["reordered"]} + {lost["b"]["reordered"]} overtaken')
    for name in 'AB':
        drops = lab.nodes[name].drops()
        lab.note(f'drops of {name} under loss: {drops}')
        lab.equal({k for k, n in drops.items() if n > before[name].get(k, 0)} - BY_LOSS, set(), f'loss: drops at {name} that loss does not explain')


def run(lab):
    server, kept, lab.segments = prepare(lab), {}, []  # segments: the most in one frame, of each run where the device offers TSO
    underlay(lab, 1500)
    began = now()
    for where in ('no offloads', 'underlay 1500', 'underlay 1260', 'underlay 9000'):
        if where != 'no offloads':
            underlay(lab, int(where.split()[1]))
        before = {name: lab.nodes[name].drops() for name in 'AB'}
        for net in lab.networks:
            if where == 'no offloads':
                for name in 'AB':
                    left = net.features(name, 'off')
                    lab.check(not any(left[k] for k in OFFLOADS), f'{name}: offloads of {net.dev(name)} are off: {left}')
            superframes(lab, net, where, where != 'no offloads')
            matrix(lab, net, where, kept)
        no_drops(lab, before, where)
        lab.note(f'{where}: after {now() - began:.0f} s')
    underlay(lab, 1500)
    for net in lab.networks:
        behind_bridge(lab, net, kept, lossy=net is lab.networks[-1])
    lossy(lab, kept)
    lab.note(f'all: {now() - began:.0f} s')
    server.end()
    names = {row[0] for row in STREAMS + LOSSY}
    negotiated(lab, kept, names, ecn=True, timestamps=True, sack=True)
    negotiated(lab, kept, {row[0] for row in PLAIN}, ecn=False, timestamps=False, sack=True)
    same(lab, kept, 'no offloads')
    lab.check(not lab.segments or max(lab.segments) > 255, f'superframes of more segments than one has on the wire: {lab.segments}')
