"""Shows 6: replayed datagrams bring nothing to the device twice; a million strange ones bring no answer, cost no memory and
no ping."""
import json
import os

from lab import Capture, Pinging, Receiver, SLOW, pcap_frames, tool, udp_payload, until

ALONE = True

COUNT = 1000000 // (20 if SLOW > 1 else 1)
RATE = 60000 // (20 if SLOW > 1 else 1)
TRIES = 3
SEED = int.from_bytes(os.urandom(4), 'big')
REPLAY = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin:
    s.sendto(bytes.fromhex(line), (sys.argv[1], int(sys.argv[2])))
'''


def without_checksum(frame):
    """UDP over IPv4 may go without; the captured one was left to the device to compute."""
    head = 14 + (frame[14] & 15) * 4
    return frame[:head + 6] + b'\0\0' + frame[head + 8:]


def replay(lab):
    a, b = lab.nodes['A'], lab.nodes['B']
    until('A - B direct', lambda: a.path(b) == 'direct', 15)
    receiver = Receiver(b.host, lab.dev('B'), 60, '88b5')
    capture = Capture(lab.net, 'vB', os.path.join(lab.folder, 'replay.pcap'), 'udp')
    source = lab.tap_mac('A')
    sent = [(lab.tap_mac('B') if i % 2 else b'\xff' * 6) + source + b'\x88\xb5' + f'frame {i} '.encode() * 6 for i in range(100)]
    a.host.send(lab.dev('A'), *sent, gap_us=500)
    until('all frames at B', lambda: len(receiver.frames()) >= len(sent), 5)
    frames = [f for f in pcap_frames(capture.stop()) if udp_payload(f)]
    to_b = [(f, udp_payload(f)) for f in frames if udp_payload(f)[1][0] == b.host.address]
    from_a = [f for f, (source_at, _, _) in to_b if source_at[0] == a.host.address]
    lab.check(len(from_a) >= len(sent), f'only {len(from_a)} datagrams of A captured of {len(frames)}, {b.json("peers")}')
    before = b.drops()
    for _ in range(3):  # the same address: the whole frame again, out of B's port of the bridge
        lab.net.send('vB', *[without_checksum(f) for f, _ in to_b], gap_us=100)
    for _ in range(3):  # another one
        lab.hosts['D'].run('python3', '-c', REPLAY, b.host.address, to_b[0][1][1][1], input='\n'.join(p[2].hex() for _, p in to_b) + '\n')
    after = until('replays counted at B', lambda: sum(b.drops().values()) >= sum(before.values()) + 6 * len(sent) and b.drops(), 5)
    lab.note(f'{6 * len(to_b)} replayed datagrams, drops at B: {after}')
    last = b'\xff' * 6 + source + b'\x88\xb5' + b'the last one, after all replays'
    a.host.send(lab.dev('A'), last)
    until('the last frame at B', lambda: last in receiver.frames(), 5)
    got = receiver.stop()
    for frame in sent + [last]:
        lab.equal(got.count(frame), 1, f'copies of {frame[14:30]!r}')
    lab.equal(len(got), len(sent) + 1, 'frames in all')
    lab.equal(a.path(b), 'direct', 'path of B at A after replays from elsewhere')
    lab.equal(a.host.ping(lab.ip('B'), count=20, interval=0.02), 20, 'pings after the replays')


def flood(lab, what, daemon, samples, pinger, to):
    address, port = daemon.host.address, 9993
    file = os.path.join(lab.folder, f'samples-{what}')
    with open(file, 'w', encoding='ascii') as f:
        f.write('\n'.join(s.hex() for s in samples) + '\n')
    lab.check(len(samples) >= 20, f'{what}: only {len(samples)} samples')
    stranger = lab.hosts['X']

    def burst(count, mode, rate=RATE):
        return json.loads(stranger.run(tool('flood'), address, port, count, rate, SEED, mode, file, timeout=250).stdout)
    burst(2000, 'mutate')  # what a first stranger makes it load and allocate is not growth
    before = daemon.rss_kib()
    for again in range(TRIES):  # what a daemon can take in a second is the machine's matter: a flood it cannot take is tried slower, as long
        count, counted = COUNT // 3**again, sum(daemon.drops().values())
        pinging = Pinging(pinger, to, '-i', '0.01', '-c', int(COUNT / RATE * 90))
        done = burst(count, 'mutate', RATE // 3**again)
        sent, lost, last = pinging.end(60 + 2 * done['ms'] / 1000)
        drops = daemon.drops()
        took = sum(drops.values()) - counted
        lab.note(f'{what}: {done["sent"]} datagrams in {done["ms"]} ms (seed {SEED}), {took} dropped, answers {done["answers"]}; {sent} pings, '
                 f'{lost} lost, the last {last} not answered')
        lab.equal(done['answers'], 0, f'{what}: answers to random and mutated datagrams')
        if sent > 0 and lost == 0 and last <= 10 and took >= count * 0.9:
            break
    grown = daemon.rss_kib() - before
    lab.note(f'{what}: RSS {grown:+d} KiB')
    lab.check(grown <= 1024 or lab.sanitized, f'{what}: RSS grew by {grown} KiB')
    lab.check(sent > 0 and lost == 0 and last <= 10, f'{what}: {lost} of {sent} pings did not come through the flood, the last {last} not')
    lab.check(took >= count * 0.9, f'{what}: the daemon counted only {drops} (the rest never came to it)')
    # replays from a strange address, first as they are, then with another mac2: at most one short answer to each
    for mode in ('same', 'tail'):
        done = burst(2000, mode, 5000)
        longest = max(len(s) for s in samples)
        lab.note(f'{what}: {done["sent"]} {mode}: {done["answers"]} answers, longest {done["longest"]}')
        lab.check(done['answers'] <= done['sent'] and done['longest'] <= longest, f'{what}: {mode}: {done}')
        if mode == 'same':
            lab.equal(done['answers'], 0, f'{what}: answers to plain replays')


def run(lab):
    lab.host('R')
    for name in 'CABDX':
        lab.host(name)
    captures = {n: Capture(lab.net, f'v{n}', os.path.join(lab.folder, f'{n}.pcap'), 'udp') for n in 'RA'}
    lab.start('ABD')
    lab.meshed('ABD')
    lab.nodes['A'].host.ping(lab.ip('B'), count=20, interval=0.02)
    samples = {}
    for n, c in captures.items():
        payloads = [udp_payload(f) for f in pcap_frames(c.stop()) if udp_payload(f)]
        samples[n] = [p[2] for p in payloads if p[1] == (lab.hosts[n].address, 9993) and 32 < len(p[2]) <= 1472][:2000]
    replay(lab)
    flood(lab, 'node', lab.nodes['A'], samples['A'], lab.nodes['B'].host, lab.ip('A'))
    flood(lab, 'root', lab.root, samples['R'], lab.nodes['B'].host, lab.ip('A'))
