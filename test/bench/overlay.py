#!/usr/bin/env python3
"""overlay.py: Farlan and other overlays on the same bench.

Two namespaces with a veth pair between them (MTU 1500) are the world of one measurement: each holds a node of the overlay
under test, and ping and iperf3 talk through it. A round takes every peer once, one after the other; so whatever else the
machine does in a minute does not fall on one peer alone. What counts is the median over the rounds, and its ratio to that
of a reference peer: absolute figures are of this machine and this hour.

Further peers come from files (--adapter). Such a file is executed with UNDER, OVER, addr, wait_dev and sh in sight; each of
its functions without a leading underscore is a peer. A peer gets the lab, starts its daemons by lab.start(side, argv), with
overlay=False if they are no part of the data path, runs commands by lab.run(side, argv), keeps files in lab.dir, and
returns the addresses of both sides to be measured. Everybody measures with defaults.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

UNDER = ('10.99.0.1', '10.99.0.2')
OVER = ('10.98.0.1', '10.98.0.2')
HERE = os.path.dirname(os.path.abspath(__file__))

# name: digits after the point, what it is
FIGURES = {
    'tcp_gbps': (3, 'Gbit/s, one TCP stream'),
    'tcp4_gbps': (3, 'Gbit/s, four TCP streams'),
    'udp64_kpps': (1, 'thousand datagrams of 64 bytes that arrive each second'),
    'cpu_s_per_gb': (2, "core-seconds of the overlay's processes on both sides per GB of the one stream"),
    'rtt_us': (0, 'microseconds, median of 500 pings 4 ms apart'),
    'rtt_p99_us': (0, 'the 99th percentile of these'),
    'rss_mb': (1, 'MiB, peak of the largest of these processes'),
    'ready_s': (2, 'seconds from configured to the first answer'),
}


def sh(argv, check=True, timeout=60, **how):
    """A command, or a line for the shell: what it prints."""
    done = subprocess.run(argv, shell=isinstance(argv, str), capture_output=True, text=True, timeout=timeout, check=False, **how)
    if check and done.returncode != 0:
        raise RuntimeError(f'{argv if isinstance(argv, str) else " ".join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


class Lab:
    """The two sides, and what runs on them. Names carry our pid, so that two benches do not meet."""

    def __init__(self):
        self.ns, self.procs = [], []
        self.dir = tempfile.mkdtemp(prefix='overlay-')
        try:
            for side in 'ab':
                sh(['ip', 'netns', 'add', f'ov{os.getpid()}{side}'])
                self.ns.append(f'ov{os.getpid()}{side}')
            a, b = self.ns
            sh(['ip', '-n', a, 'link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'u0', 'netns', b])
            for name, address in zip(self.ns, UNDER):
                sh(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
                sh(['ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', 'u0'])
                sh(['ip', '-n', name, 'link', 'set', 'u0', 'up'])
        except BaseException:
            self.close()
            raise

    def argv(self, side, argv):
        return ['ip', 'netns', 'exec', self.ns[side], *argv]

    def run(self, side, argv, **how):
        return sh(self.argv(side, argv), **how)

    def start(self, side, argv, overlay=True, **how):
        """A daemon; with overlay its CPU time and memory are the overlay's."""
        with open(os.path.join(self.dir, f'log{len(self.procs)}'), 'wb') as log:
            process = subprocess.Popen(self.argv(side, argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, **how)
        self.procs.append((process, overlay))
        return process

    def counted(self):
        """/proc folders of the overlay's processes. One that ended by itself spoils every figure."""
        for process, overlay in self.procs:
            if overlay:
                if process.poll() is not None:
                    raise RuntimeError(f'{" ".join(process.args[4:])} ended by itself with {process.returncode}\n{self.logs()}')
                yield f'/proc/{process.pid}'

    def cpu_s(self):
        ticks = 0
        for proc in self.counted():
            with open(f'{proc}/stat', encoding='utf-8') as file:
                fields = file.read().rpartition(')')[2].split()  # from field 3 of proc(5) on; 14 and 15 are utime and stime
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf('SC_CLK_TCK')

    def peak_mib(self):
        peaks = [0.0]
        for proc in self.counted():
            with open(f'{proc}/status', encoding='utf-8') as file:
                peaks.append(int(re.search(r'^VmHWM:\s+(\d+) kB', file.read(), re.M)[1]) / 1024)
        return max(peaks)

    def logs(self):
        text = ''
        for number in range(len(self.procs)):
            with open(os.path.join(self.dir, f'log{number}'), encoding='utf-8', errors='replace') as file:
                text += file.read()[-1000:]
        return text

    def close(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process, _ in self.procs:
                if process.poll() is None:
                    os.killpg(process.pid, sign)
            end = time.monotonic() + 3
            while time.monotonic() < end and any(process.poll() is None for process, _ in self.procs):
                time.sleep(0.02)
        for name in self.ns:
            sh(['ip', 'netns', 'del', name], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def wait_dev(lab, side, dev, seconds=15):
    end = time.monotonic() + seconds
    while not lab.run(side, ['ip', '-o', 'link', 'show', 'dev', dev], check=False):
        if time.monotonic() > end:
            raise RuntimeError(f'side {side} has no {dev} after {seconds} s\n{lab.logs()}')
        time.sleep(0.05)


def addr(lab, side, dev, mtu=None):
    """The device of a side gets its address in the overlay and goes up."""
    lab.run(side, ['ip', 'addr', 'replace', f'{OVER[side]}/24', 'dev', dev])
    lab.run(side, ['ip', 'link', 'set', 'dev', dev, *(['mtu', str(mtu)] if mtu else []), 'up'])


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='ascii', opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    return path


# ---- peers: the docstring is what --list says

def none(lab):
    """the veth pair itself"""
    return UNDER


def vxlan(lab):
    """VXLAN of the kernel: Ethernet in UDP, in clear"""
    for side in (0, 1):
        lab.run(side, ['ip', 'link', 'add', 'vx', 'type', 'vxlan', 'id', '1', 'dstport', '4789', 'dev', 'u0',
                       'local', UNDER[side], 'remote', UNDER[1 - side]])
        addr(lab, side, 'vx')
    return OVER


def tinc(lab):
    """tinc 1.0 as a switch, ciphers as it comes"""
    homes = [f'{lab.dir}/tinc{side}' for side in (0, 1)]
    for side, home in enumerate(homes):
        write(f'{home}/tinc.conf', f'Name = side{side}\nMode = switch\nDeviceType = tap\nInterface = tc\n'
              + ('ConnectTo = side0\n' if side == 1 else ''))
        write(f'{home}/hosts/side{side}', f'Address = {UNDER[side]}\n')
        sh(['tincd', '-c', home, '-K'], input='\n' * 4)  # takes the names of files that it offers
    for side, home in enumerate(homes):
        shutil.copy(f'{home}/hosts/side{side}', f'{homes[1 - side]}/hosts/')
    for side, home in enumerate(homes):
        lab.start(side, ['tincd', '-D', '-c', home, f'--pidfile={home}/pid'])
    for side in (0, 1):
        wait_dev(lab, side, 'tc')
        addr(lab, side, 'tc')
    return OVER


def fastd_by(lab, method):
    keys = [dict(re.findall(r'(\w+): ([0-9a-f]{64})', sh(['fastd', '--generate-key']))) for _ in (0, 1)]
    for side in (0, 1):
        lab.start(side, ['fastd', '-c', write(f'{lab.dir}/fastd{side}/conf', f'''
            interface "fd"; mode tap; method "{method}"; mtu 1426;
            bind {UNDER[side]}:10000; secret "{keys[side]['Secret']}";
            peer "other" {{ remote {UNDER[1 - side]}:10000; key "{keys[1 - side]['Public']}"; }}
            ''')])
    for side in (0, 1):
        wait_dev(lab, side, 'fd')
        addr(lab, side, 'fd')
    return OVER


def fastd(lab):
    """fastd by the method its manual recommends, salsa2012+umac"""
    return fastd_by(lab, 'salsa2012+umac')


def fastd_gcm(lab):
    """fastd by aes128-gcm"""
    return fastd_by(lab, 'aes128-gcm')


def openvpn(lab):
    """OpenVPN with a TAP device, TLS by fingerprints, AES-256-GCM"""
    prints = []
    for side in (0, 1):
        sh(['openssl', 'req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '1',
            '-subj', f'/CN=side{side}', '-keyout', f'{lab.dir}/ovpn{side}.key', '-out', f'{lab.dir}/ovpn{side}.crt'])
        prints.append(sh(['openssl', 'x509', '-noout', '-sha256', '-fingerprint', '-in', f'{lab.dir}/ovpn{side}.crt'])
                      .strip().partition('=')[2])
    role = (['--tls-server', '--dh', 'none', '--local', UNDER[0]], ['--tls-client', '--nobind', '--remote', UNDER[0]])
    for side in (0, 1):
        lab.start(side, ['openvpn', '--dev-type', 'tap', '--dev', 'vpn', '--proto', 'udp', '--cert', f'{lab.dir}/ovpn{side}.crt',
                         '--key', f'{lab.dir}/ovpn{side}.key', '--peer-fingerprint', prints[1 - side],
                         '--cipher', 'AES-256-GCM', '--data-ciphers', 'AES-256-GCM', *role[side]])
    for side in (0, 1):
        wait_dev(lab, side, 'vpn')
        addr(lab, side, 'vpn')
    return OVER


def nebula(lab):
    """nebula, layer 3, AES-256-GCM"""
    ca = f'{lab.dir}/ca'
    sh(['nebula-cert', 'ca', '-name', 'bench', '-out-crt', f'{ca}.crt', '-out-key', f'{ca}.key'])
    for side in (0, 1):
        mine = f'{lab.dir}/nebula{side}'
        sh(['nebula-cert', 'sign', '-name', f'side{side}', '-ip', f'{OVER[side]}/24', '-ca-crt', f'{ca}.crt', '-ca-key', f'{ca}.key',
            '-out-crt', f'{mine}.crt', '-out-key', f'{mine}.key'])
        everything = [{'port': 'any', 'proto': 'any', 'host': 'any'}]
        lab.start(side, ['nebula', '-config', write(f'{mine}.yml', json.dumps({  # JSON is YAML
            'pki': {'ca': f'{ca}.crt', 'cert': f'{mine}.crt', 'key': f'{mine}.key'},
            'static_host_map': {OVER[1 - side]: [f'{UNDER[1 - side]}:4242']},
            'lighthouse': {'am_lighthouse': side == 0, 'hosts': [OVER[0]] if side == 1 else []},
            'listen': {'host': '0.0.0.0', 'port': 4242},
            'tun': {'dev': 'neb'},
            'firewall': {'inbound': everything, 'outbound': everything},
        }))])
    for side in (0, 1):
        wait_dev(lab, side, 'neb')
    return OVER


def wireguard_go(lab):
    """wireguard-go, layer 3"""
    secret = [sh(['wg', 'genkey']) for _ in (0, 1)]
    public = [sh(['wg', 'pubkey'], input=key).strip() for key in secret]
    for side in (0, 1):
        dev = f'w{os.getpid()}{"ab"[side]}'  # also the name of a control socket that all namespaces see
        lab.start(side, ['wireguard-go', '-f', dev])
        wait_dev(lab, side, dev)
        setup = ['wg', 'set', dev, 'private-key', write(f'{lab.dir}/wg{side}/key', secret[side]), 'listen-port', '51820',
                 'peer', public[1 - side], 'endpoint', f'{UNDER[1 - side]}:51820', 'allowed-ips', f'{OVER[1 - side]}/32']
        for attempt in range(50):  # the device is there before the control socket
            if subprocess.run(lab.argv(side, setup), capture_output=attempt < 49, check=attempt == 49).returncode == 0:
                break
            time.sleep(0.1)
        addr(lab, side, dev, 1420)
    return OVER


PEERS = {peer.__name__: peer for peer in (none, vxlan, tinc, fastd, fastd_gcm, openvpn, nebula, wireguard_go)}


def adopt(path):
    """Peers of an adapter's file."""
    scope = {thing.__name__: thing for thing in (addr, wait_dev, sh)} | {'UNDER': UNDER, 'OVER': OVER}
    with open(path, encoding='utf-8') as file:
        exec(compile(file.read(), path, 'exec'), scope)
    for name, thing in scope.items():
        code = getattr(thing, '__code__', None)
        if not name.startswith('_') and code and code.co_filename == path:
            PEERS[name] = thing


# ---- figures

def first_answer(lab, to, seconds=60):
    begun = time.monotonic()
    while subprocess.run(lab.argv(0, ['ping', '-n', '-q', '-c', '1', '-W', '1', to]), capture_output=True, check=False).returncode != 0:
        if time.monotonic() - begun > seconds:
            raise RuntimeError(f'no answer from {to} in {seconds} s\n{lab.logs()}')
        time.sleep(0.05)
    return time.monotonic() - begun


def round_trips(lab, to):
    said = lab.run(0, ['ping', '-n', '-c', '500', '-i', '0.004', to], check=False)
    times = sorted(1000 * float(ms) for ms in re.findall(r' time=([\d.]+) ms', said))
    if len(times) < 400:
        raise RuntimeError(f'{len(times)} of 500 pings answered')
    return {'rtt_us': statistics.median(times), 'rtt_p99_us': times[len(times) * 99 // 100]}


def transfer(lab, to, seconds, *options):
    """iperf3 from side 0 to 1: its JSON's "end", and what CPU time the overlay spent meanwhile."""
    server = lab.start(1, ['iperf3', '-s', '-1'], overlay=False)
    end = time.monotonic() + 5
    while not lab.run(1, ['ss', '-Htln', 'sport = :5201']) and time.monotonic() < end:
        time.sleep(0.02)
    before = lab.cpu_s()
    said = json.loads(lab.run(0, ['iperf3', '-J', '-c', to, '-t', str(seconds), *options], timeout=seconds + 30))
    spent = lab.cpu_s() - before
    server.wait(10)
    return said['end'], spent


def measure(peer, seconds):
    lab = Lab()
    try:
        to = PEERS[peer](lab)[1]
        m = {'ready_s': first_answer(lab, to)}
        time.sleep(1)  # what the daemons do once at the beginning is not to be in the figures
        m |= round_trips(lab, to)
        end, spent = transfer(lab, to, seconds)
        got = end['sum_received']
        m |= {'tcp_gbps': got['bits_per_second'] / 1e9, 'cpu_s_per_gb': spent * 1e9 / got['bytes'],
              'tcp_retr': end['sum_sent']['retransmits']}
        m['tcp4_gbps'] = transfer(lab, to, seconds, '-P', '4')[0]['sum_received']['bits_per_second'] / 1e9
        got = transfer(lab, to, seconds, '-u', '-b', '0', '-l', '64')[0]['sum']
        m |= {'udp64_kpps': (got['packets'] - got['lost_packets']) / got['seconds'] / 1000, 'udp64_loss': got['lost_percent']}
        m['rss_mb'] = lab.peak_mib()
        return m
    finally:
        lab.close()


def table(title, rows):
    print(f'\n{title:14}' + ''.join(f'{name:>13}' for name in FIGURES))
    for peer, cells in rows.items():
        print(f'{peer:14}' + ''.join(f'{cell:>13}' for cell in cells))


def report(taken, baseline):
    medians = {peer: {name: statistics.median(m[name] for m in ms) for name in FIGURES} for peer, ms in taken.items() if ms}
    table('medians', {peer: [f'{m[name]:.{FIGURES[name][0]}f}' for name in FIGURES] for peer, m in medians.items()})
    base = medians.get(baseline)
    if base:
        table(f'x {baseline}', {peer: [f'{m[name] / base[name]:.2f}' if base[name] else '-' for name in FIGURES]
                               for peer, m in medians.items()})
    print()
    for name, (_, text) in FIGURES.items():
        print(f'{name:14}{text}')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0], epilog='Needs root.')
    parser.add_argument('--adapter', action='append', metavar='FILE', help='file of further peers (default: farlan_peer.py beside this)')
    parser.add_argument('--peers', metavar='A,B,...', help='default: all')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=4, help='of each transfer')
    parser.add_argument('--baseline', metavar='PEER', default='vxlan', help='reference of the ratios')
    parser.add_argument('--json', metavar='FILE', help='keep every figure there')
    parser.add_argument('--list', action='store_true', help='name the peers and end')
    return parser, parser.parse_args()


def main():
    parser, options = arguments()
    for path in options.adapter or [os.path.join(HERE, 'farlan_peer.py')]:
        adopt(path)
    if options.list:
        for name, peer in PEERS.items():
            print(f'{name:16}{peer.__doc__}')
        return 0
    peers = options.peers.split(',') if options.peers else list(PEERS)
    strangers = [name for name in peers if name not in PEERS]
    if strangers or options.rounds < 1 or options.seconds < 1:
        parser.error(f'no such peer: {", ".join(strangers)}' if strangers else '--rounds and --seconds begin at 1')
    if os.geteuid() != 0:
        parser.exit(1, 'overlay: namespaces and TAP devices need root: sudo make bench\n')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that "finally" takes the lab down
    taken, failed = {peer: [] for peer in peers}, 0
    for number in range(1, options.rounds + 1):
        for peer in peers:
            try:
                m = measure(peer, options.seconds)
            except (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f'{number} {peer:14} FAILED: {problem}', flush=True)
                continue
            taken[peer].append(m)
            print(f'{number} {peer:14} ' + ' '.join(f'{name}={m[name]:.4g}' for name in m), flush=True)
    report(taken, options.baseline)
    if options.json:
        with open(options.json, 'w', encoding='ascii') as file:
            json.dump(taken, file, indent=1)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
