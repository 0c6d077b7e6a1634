#!/usr/bin/env python3
"""aead_vectors.py: writes aead_vectors.inc, ChaCha20-Poly1305 texts that drive Poly1305 to its edges.

Random texts never bring the accumulator near p = 2^130 - 5, to the seams between an implementation's limbs or to a tag of
all ones; wrong carries live there. So each row's first block of ciphertext is solved for: the accumulator, modulo p, is what
the comment says, either at the end or when the blocks after the first begin. Everything from RFC 8439, in whole numbers.

key = 00 01 .. 1f, nonce = be96(number), AAD = 00 .. 0b, ciphertext = first block, then "more" bytes of the fill.
"""
import struct

P = 2**130 - 5
KEY = bytes(range(32))
AAD = bytes(range(12))


def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce))
    x = s[:]

    def quarter(a, b, c, d):
        for i, j, k, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[i] = (x[i] + x[j]) & 0xFFFFFFFF
            v = x[k] ^ x[i]
            x[k] = (v << n | v >> (32 - n)) & 0xFFFFFFFF

    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*q)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, s)))


def number(block):
    return int.from_bytes(block, "little") + (1 << 128)


def blocks_of(rest, total):
    padded = rest + bytes(-len(rest) % 16)
    blocks = [number(padded[i : i + 16]) for i in range(0, len(padded), 16)]
    return blocks + [number(struct.pack("<QQ", len(AAD), total))]


def solve(n, goal, where, fill, more):
    """First block and tag for nonce n, or None when the solution is not a block."""
    one_time = chacha_block(KEY, 0, n.to_bytes(12, "big"))
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(one_time[16:32], "little")
    tail = blocks_of(bytes([fill]) * more, 16 + more)
    before = number(AAD + bytes(4)) * r % P
    if where == "tag":
        want, where = (goal - s) % 2**128, "end"
        wants = [want + k * 2**128 for k in range(4) if want + k * 2**128 < P]
    else:
        wants = [goal]
    for want in wants:
        if where == "end":
            for block in reversed(tail):
                want = (want * pow(r, -1, P) - block) % P
        first = (want * pow(r, -1, P) - before) % P - (1 << 128)
        if 0 <= first < 1 << 128:
            h = (before + first + (1 << 128)) * r % P
            for block in tail:
                h = (h + block) * r % P
            return first.to_bytes(16, "little"), ((h + s) % 2**128).to_bytes(16, "little")
    return None


goals = [(f"{k}", k) for k in range(6)] + [(f"p - {k}", P - k) for k in range(1, 7)]
goals += [(f"2^{e} - 1", 2**e - 1) for e in (26, 44, 52, 64, 78, 88, 104, 127, 128, 129)]
goals += [(f"2^{e}", 2**e) for e in (64, 128, 129)] + [("p - 2^64", P - 2**64), ("2^130 - 2^128", 2**130 - 2**128)]
rows = [(name, goal, "end") for name, goal in goals] + [(name, goal, "first") for name, goal in goals]
rows += [("0", 0, "tag"), ("1", 1, "tag"), ("2^128 - 1", 2**128 - 1, "tag"), ("2^127", 2**127, "tag")]
shapes = [(0xFF, 16), (0x00, 48), (0xFF, 304), (0xFE, 131), (0x80, 1409), (0xFF, 0), (0xFF, 7)]

nonce = 0
for at, (name, goal, where) in enumerate(rows):
    fill, more = shapes[at % len(shapes)]
    found = None
    while not found:
        nonce += 1
        found = solve(nonce, goal, where, fill, more)
    told = {"end": "accumulator at the end", "first": "accumulator after the first block", "tag": "tag"}[where]
    print(f'{{{nonce}, 0x{fill:02x}, {more}, "{found[0].hex()}", "{found[1].hex()}"}}, /* {told}: {name} */')
