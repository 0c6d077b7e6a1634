"""Suites and backends: who offers no AES has ChaCha20-Poly1305 with all, libsodium, libipsec-mb, avx2 and vaes understand each other, peers and status tell which."""
import os

import lab as labs
from lab import BIN

ALONE = True

CONFIGS = {
    'A': '',
    'B': 'suite = chacha\nbackend = libsodium\n',
    'D': 'backend = libsodium\n',
    'E': 'suite = chacha\n',
}
CHACHA, AES = 'chacha20-poly1305', 'aes256-gcm'


def cpu_has(*flags):
    with open('/proc/cpuinfo') as f:
        return set(flags) <= set(next((line for line in f if line.startswith('flags')), '').split())


def built():
    return 'libIPSec_MB' in labs.run('ldd', os.path.join(BIN, 'farland')).stdout and cpu_has('aes', 'pclmulqdq', 'avx2', 'bmi2')


def vaes():
    """As seal_vaes.c decides: with AVX-512 libipsec-mb has what it has."""
    return cpu_has('aes', 'pclmulqdq', 'avx2', 'vaes', 'vpclmulqdq') and not (built() and cpu_has('avx512f'))


def avx2():
    return cpu_has('avx2', 'bmi2') and not (built() and cpu_has('avx512f'))


def configured(lab, name, text):
    home = os.path.join(lab.folder, name)
    os.makedirs(home, 0o700, exist_ok=True)
    with open(os.path.join(home, 'farland.conf'), 'w') as f:
        f.write(text)


def refused(lab):
    """A backend this build has not stops the daemon with a word; what is no backend is the config's error."""
    host = lab.host('A')
    for value in ('openssl', *([] if built() else ['ipsec-mb']), *([] if avx2() else ['avx2']), *([] if vaes() else ['vaes'])):
        configured(lab, 'F', f'backend = {value}\n')
        done = host.run(os.path.join(BIN, 'farland'), '--home', os.path.join(lab.folder, 'F'), '--add-root', lab.root_line, code=2)
        lab.check('backend' in done.stderr, f'backend = {value}: {done.stderr}')


def pairs(lab):
    aes, library = cpu_has('aes', 'pclmulqdq'), 'ipsec-mb' if built() else 'libsodium'
    best = {CHACHA: 'avx2' if avx2() else library, AES: 'vaes' if vaes() else library}
    for a in CONFIGS:
        for b in CONFIGS:
            if a == b:
                continue
            lab.equal(lab.nodes[a].host.ping(lab.ip(b), count=20, interval=0.02, size=1200), 20, f'pings {a} -> {b}')
            suite = CHACHA if 'chacha' in CONFIGS[a] + CONFIGS[b] or not aes else AES
            backend = 'libsodium' if 'libsodium' in CONFIGS[a] else best[suite]
            address = lab.nodes[b].address()
            peer = next(p for p in lab.nodes[a].json('peers')['peers'] if p['address'] == address)
            lab.equal((peer['suite'], peer['backend']), (suite, backend), f'suite and backend of {b} at {a}')
            line = next(x for x in lab.nodes[a].cli('peers').stdout.splitlines() if x.startswith(address))
            lab.check(f'{suite} ({backend})' in line, f'farlan peers at {a}: {line}')
        status = lab.nodes[a].json('status')['peers']
        lab.equal(sum(s['peers'] for s in status['suites']), status['direct'] + status['relay'], f'peers counted by suite at {a}')
        backend = 'libsodium' if 'libsodium' in CONFIGS[a] else best[CHACHA]
        shown = lab.nodes[a].cli('status').stdout
        lab.check(f' {CHACHA} ({backend})' in shown, f'farlan status at {a}: {shown}')


def run(lab):
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    for name, text in CONFIGS.items():
        configured(lab, name, text)
        lab.start_node(name).online()
    lab.nwid = lab.create()
    for name in CONFIGS:
        lab.join(name)
    lab.meshed(CONFIGS)
    pairs(lab)
    refused(lab)
