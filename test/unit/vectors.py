#!/usr/bin/env python3
"""Second opinion on the vectors of proto/PROTOCOL.md, with nothing but the standard library.

X25519, ChaCha20, XChaCha20, Poly1305 and SipHash-2-4 are written out here in their plainest form (RFC 7748, RFC 8439,
draft-irtf-cfrg-xchacha, the SipHash paper); BLAKE2b is hashlib's. The messages are built from the inputs of the block
by the words of the document, sharing nothing with the C code. Last line: N passed, N failed.
"""
import hashlib
import re
import struct
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "proto" / "PROTOCOL.md"
P = 2**255 - 19
M32, M64 = 2**32 - 1, 2**64 - 1
passed = failed = 0


def check(name, got, want):
    global passed, failed
    if got == want:
        passed += 1
        return
    failed += 1
    print(f"{name}:\n  made  {got.hex()}\n  given {want.hex()}")


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & ~7 & ~(1 << 255) | 1 << 254
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


def rotl(v, n, bits):
    return (v << n | v >> (bits - n)) & ((1 << bits) - 1)


def chacha_rounds(state):
    s = list(state)

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & M32
            s[z] = rotl(s[z] ^ s[x], n, 32)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def chacha_block(key, nonce, counter):
    start = SIGMA + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((a + b) & M32 for a, b in zip(start, chacha_rounds(start))))


def chacha20(key, nonce, data, counter=0):
    out = bytearray()
    for i in range(0, len(data), 64):
        block = chacha_block(key, nonce, counter + i // 64)
        out += bytes(x ^ y for x, y in zip(data[i : i + 64], block))
    return bytes(out)


def hchacha20(key, nonce16):
    s = chacha_rounds(SIGMA + struct.unpack("<8I", key) + struct.unpack("<4I", nonce16))
    return struct.pack("<8I", *s[0:4], *s[12:16])


def xchacha20(key, nonce24, data):
    return chacha20(hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:], data)


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) & (2**128 - 1)).to_bytes(16, "little")


def pad16(b):
    return b + bytes(-len(b) % 16)


def seal(key, nonce, plain, ad):
    """ChaCha20-Poly1305 of RFC 8439."""
    c = chacha20(key, nonce, plain, 1)
    lengths = struct.pack("<QQ", len(ad), len(c))
    return c + poly1305(chacha_block(key, nonce, 0)[:32], pad16(ad) + pad16(c) + lengths)


def xseal(key, nonce24, plain, ad):
    return seal(hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:], plain, ad)


def siphash(key, data):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        a, b, c, d = v
        for _ in range(n):
            a = (a + b) & M64
            b = rotl(b, 13, 64) ^ a
            a = rotl(a, 32, 64)
            c = (c + d) & M64
            d = rotl(d, 16, 64) ^ c
            a = (a + d) & M64
            d = rotl(d, 21, 64) ^ a
            c = (c + b) & M64
            b = rotl(b, 17, 64) ^ c
            c = rotl(c, 32, 64)
        v[:] = [a, b, c, d]

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for (m,) in struct.iter_unpack("<Q", padded):
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


def blake(n, data, key=b""):
    return hashlib.blake2b(data, digest_size=n, key=key).digest()


def label(text):
    return bytes([len(text)]) + text.encode()


def h256(text, data):
    return blake(32, label(text) + data)


class Noise:
    """IKpsk2 by tokens; psk = zeros."""

    def __init__(self, prologue, responder_static):
        self.h = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b".ljust(64, b"\0")
        self.ck = self.h
        self.mix_hash(prologue)
        self.mix_hash(responder_static)

    def mix_hash(self, data):
        self.h = blake(64, self.h + data)

    @staticmethod
    def hmac(key, data):
        key = key.ljust(128, b"\0")
        inner = blake(64, bytes(b ^ 0x36 for b in key) + data)
        return blake(64, bytes(b ^ 0x5C for b in key) + inner)

    def hkdf(self, data, n):
        temp, out, last = self.hmac(self.ck, data), [], b""
        for i in range(n):
            last = self.hmac(temp, last + bytes([i + 1]))
            out.append(last)
        return out

    def mix_key(self, data):
        self.ck, k = self.hkdf(data, 2)
        self.k, self.n = k[:32], 0

    def e(self, point):
        self.mix_hash(point)
        self.mix_key(point)
        return point

    def psk(self, psk=bytes(32)):
        self.ck, mixed, k = self.hkdf(psk, 3)
        self.mix_hash(mixed)
        self.k, self.n = k[:32], 0

    def encrypt(self, plain):
        out = seal(self.k, bytes(4) + struct.pack("<Q", self.n), plain, self.h)
        self.n += 1
        self.mix_hash(out)
        return out


IDX_A, IDX_B, CAPS = 0x11223340, 0x55667780, 2 | 3 << 2


def gate_keys(key_hash, gate):
    both = key_hash + gate
    keys = {name: h256("fln1 " + name, both) for name in ("mac1", "mask", "cookie", "hint")}
    keys["hint"] = keys["hint"][:16]
    return keys


def make_init(v, who, gate, cookie):
    salt = v[who + ".salt"] + siphash(gate["hint"], v[who + ".salt"])[:4]
    plain = struct.pack("<I", CAPS) + v["init.ts"] + v["a.identity"][32:] + v[who + ".fresh"] + v["init.tlvs"]
    header = struct.pack("<BBHI", 1, 1, 104 + len(plain) + 16, IDX_A)
    x_b = v["b.identity"][:32]
    ns = Noise(b"fln1\x01" + v["b.key_hash"] + header, x_b)
    msg = ns.e(public(v[who + ".e_secret"]))
    ns.mix_key(x25519(v[who + ".e_secret"], x_b))
    msg += ns.encrypt(v["a.identity"][:32])
    ns.mix_key(x25519(v["a.x_secret"], x_b))
    msg += ns.encrypt(plain)
    out = salt + xchacha20(gate["mask"], salt + bytes(8), header + msg + v[who + ".pad"])
    mac1 = blake(16, out, gate["mac1"])
    out += mac1
    out += blake(16, out, cookie) if cookie else v[who + ".mac2_random"]
    return out, ns, mac1


def endpoint(ip, port):
    return struct.pack("<BBH", 4, 0, port) + bytes(ip) + bytes(12)


def make_resp(v, ns):
    e = v["resp.e_secret"]
    ck1 = ns.ck
    plain = struct.pack("<IBBHI", IDX_B, 2, 4, 1472, CAPS) + endpoint((192, 0, 2, 1), 51820) + struct.pack(">I", 9)
    plain += v["resp.tlvs"]
    header = struct.pack("<BBH", 1, 2, 52 + len(plain) + 16)
    msg = ns.e(public(e))
    ns.mix_key(x25519(e, public(v["init1.e_secret"])))
    ns.mix_key(x25519(e, v["a.identity"][:32]))
    ns.psk()
    msg += ns.encrypt(plain)
    mask = blake(32, label("fln1 resp"), ck1)
    out = struct.pack("<I", IDX_A) + v["resp.salt"]
    out += chacha20(mask, v["resp.salt"], header + msg + v["resp.pad"])
    out += blake(16, out, blake(32, label("fln1 rmac"), ck1))
    k1, k2 = (k[:32] for k in ns.hkdf(b"", 2))
    exporter = Noise.hmac(ns.ck, label("fln1 exporter") + ns.h)[:32]
    return out, ck1, k1, k2, exporter


def make_retry(v, who, gate, kind, mac1):
    nonce = v[who + ".nonce"]
    return struct.pack("<I", IDX_A) + nonce + xseal(gate["cookie"], nonce, bytes([kind]) + bytes(7) + v[who + ".value"], mac1)


def make_leg(exporter, receiver, other, direction, seq, inner):
    x = struct.pack("<IIB", receiver, other, direction)
    key = blake(16, label("fln1 leg") + x, exporter)
    hp = blake(16, label("fln1 lhp") + x, exporter)
    tag = siphash(key, struct.pack("<III", receiver, seq, len(inner)) + inner[:32])
    wire = seq ^ struct.unpack("<I", siphash(hp, tag)[:4])[0]
    return key, hp, struct.pack("<II", receiver, wire) + tag + inner


def self_test():
    """The primitives against their RFCs, so that a failure below is one of the messages."""
    h = bytes.fromhex
    check("X25519", x25519(h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                           h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
          h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"))
    key = bytes(range(0x80, 0xA0))
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")
    check("ChaCha20-Poly1305", seal(key, h("070000004041424344454647"), text, h("50515253c0c1c2c3c4c5c6c7"))[-16:],
          h("1ae10b594f09e26a7e902ecbd0600691"))
    check("HChaCha20", hchacha20(bytes(range(32)), h("000000090000004a0000000031415927")),
          h("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"))
    check("SipHash", siphash(bytes(range(16)), bytes(range(15))), struct.pack("<Q", 0xA129CA6149BE45E5))


def read_block(text, name):
    block = re.search(rf"<!-- {name}: begin -->(.*?)<!-- {name}: end -->", text, re.S)
    if not block:
        sys.exit(f"no block of {name} in {DOCUMENT}")
    pairs = re.findall(r"^(\S+) +([0-9a-f]+|-)$", block.group(1), re.M)
    return {name: b"" if value == "-" else bytes.fromhex(value) for name, value in pairs}


def kdf(key, i, n):
    """crypto_kdf_blake2b: the subkey's number is the salt, the context the personalization."""
    salt, person = struct.pack("<Q", i).ljust(16, b"\0"), b"fln1data".ljust(16, b"\0")
    return hashlib.blake2b(b"", digest_size=n, key=key, salt=salt, person=person).digest()


def data_packet(v):
    """Suite 2; lane 2, number 5."""
    key, idx, lane, number = bytes(range(32)), 0x11223342, 2, 5
    aead, iv, hp = kdf(key, 1, 32), kdf(key, 2, 16)[:12], kdf(key, 3, 16)
    nonce = bytes(a ^ b for a, b in zip(iv, struct.pack(">IQ", lane, number)))
    check("data.aead", aead, v["data.aead"])
    check("data.iv", iv, v["data.iv"])
    check("data.hp", hp, v["data.hp"])
    check("data.nonce", nonce, v["data.nonce"])
    sealed = seal(aead, nonce, v["data.plaintext"], struct.pack("<IQ", idx, number))
    masked = bytes(a ^ b for a, b in zip(struct.pack("<Q", number), siphash(hp, sealed[-16:])))
    check("data.suite2", struct.pack("<I", idx) + masked + sealed, v["data.suite2"])


def primitives(v):
    check("x_secret", public(v["x_secret"]), v["identity"][:32])
    check("key_hash", h256("fln1 key", v["identity"]), v["key_hash"])
    check("address", v["argon2id_d"][27:], v["address"])
    check("d[0]", v["argon2id_d"][:1], b"\0")
    h = h256("fln1 mac", v["nwid"])
    first = {0x52: 0x32, 0x02: 0x06}.get(h[0] & 0xFC | 2, h[0] & 0xFC | 2)
    check("mac", bytes([first]) + bytes(a ^ b for a, b in zip(v["address"], h[1:6])), v["mac"])
    ula = b"\xfd" + h256("fln1 ula", v["nwid"])[:5] + bytes(2) + b"\2" + v["address"] + bytes(2)
    check("ipv6", ula, v["ipv6"])
    data_packet(v)
    key, hp, packet = make_leg(bytes(range(0x80, 0xA0)), 0xCAFE0010, 0xCAFE0020, 0, 9, v["data.suite2"])
    check("leg.key", key, v["leg.key"])
    check("leg.hp", hp, v["leg.hp"])
    check("leg.packet", packet, v["leg.packet"])
    for name, value in gate_keys(v["key_hash"], bytes(32)).items():
        check("gate." + name, value, v["gate." + name])
    check("gate.pair", h256("fln1 pair gate", x25519(bytes(range(0x20, 0x40)), v["identity"][:32])), v["gate.pair"])
    calls = v["address"] + v["identity"] + struct.pack("<HH", 9993, 9995) + struct.pack(">II", 7, 3)
    salt = bytes(range(0xA0, 0xB0))
    key = h256("fln1 lan", bytes(range(0x40, 0x60)))
    check("beacon.key", key, v["beacon.key"])
    check("beacon", salt + xseal(key, salt + bytes(8), calls, b""), v["beacon"])
    salt = bytes(range(12))
    check("salt", salt + siphash(v["gate.hint"], salt)[:4], v["salt"])
    secret, port = bytes(range(0x60, 0x80)), struct.pack(">H", 51820)
    v6 = bytes.fromhex("20010db8") + bytes(11) + b"\1"
    v4 = bytes((192, 0, 2, 1)) + bytes(12)
    check("cookie 4", blake(16, b"\4" + v4 + port, secret), v["cookie.192.0.2.1:51820"])
    check("cookie 6", blake(16, b"\6" + v6 + port, secret), v["cookie.2001:db8::1:51820"])
    ts = bytes.fromhex("00000007000000003b9aca00")
    check("fresh", blake(16, label("fln1 fresh") + v["key_hash"] + ts, secret), v["fresh"])


D25519 = -121665 * pow(121666, P - 2, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493
BASE_Y = 4 * pow(5, P - 2, P) % P


def ed_x(y):
    square = (y * y - 1) * pow(D25519 * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x % 2 else x  # the even one, as RFC 8032 has the base point


def ed_add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D25519 * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P)


def ed_mul(n):
    out, point = (0, 1), (ed_x(BASE_Y), BASE_Y)
    while n:
        out = ed_add(out, point) if n & 1 else out
        point = ed_add(point, point)
        n >>= 1
    return (out[1] | (out[0] & 1) << 255).to_bytes(32, "little")


def ed_sign(seed, message):
    """Public key and signature, RFC 8032 section 5.1.6."""
    h = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(h[:32], "little") & ~7 & ~(1 << 255) | 1 << 254
    key = ed_mul(scalar)
    r = int.from_bytes(hashlib.sha512(h[32:] + message).digest(), "little") % ORDER
    point = ed_mul(r)
    k = int.from_bytes(hashlib.sha512(point + key + message).digest(), "little") % ORDER
    return key, point + ((r + k * scalar) % ORDER).to_bytes(32, "little")


def messages(v):
    gate = gate_keys(v["b.key_hash"], bytes(32))
    for side in "ab":
        check(side + ".x", public(v[side + ".x_secret"]), v[side + ".identity"][:32])
        check(side + ".key_hash", h256("fln1 key", v[side + ".identity"]), v[side + ".key_hash"])
    cookie = blake(16, b"\4" + bytes((192, 0, 2, 1)) + bytes(12) + struct.pack(">H", 51820), v["secret_2min"])
    fresh = blake(16, label("fln1 fresh") + v["a.key_hash"] + v["init.ts"], v["secret_2min"])
    check("cookie", cookie, v["retry_cookie.value"])
    check("fresh", fresh, v["retry_fresh.value"])
    check("init2.fresh", fresh, v["init2.fresh"])

    init, ns, mac1 = make_init(v, "init1", gate, None)
    check("init1", init, v["init1"])
    check("init2", make_init(v, "init2", gate, cookie)[0], v["init2"])
    check("retry_cookie", make_retry(v, "retry_cookie", gate, 1, mac1), v["retry_cookie"])
    check("retry_fresh", make_retry(v, "retry_fresh", gate, 2, mac1), v["retry_fresh"])
    names = ("resp", "resp.ck1", "key_a_to_b", "key_b_to_a", "exporter")
    made = make_resp(v, ns)
    for name, value in zip(names, made):
        check(name, value, v[name])
    legs = (("leg_to_b", 0xCAFE0010, 0xCAFE0020, 0, 9), ("leg_to_a", 0xCAFE0020, 0xCAFE0010, 1, 0))
    for name, receiver, other, direction, seq in legs:
        key, hp, packet = make_leg(made[4], receiver, other, direction, seq, v["retry_cookie"])
        check(name + ".key", key, v[name + ".key"])
        check(name + ".hp", hp, v[name + ".hp"])
        check(name, packet, v[name])
    statement = label("fln1 join") + made[4] + bytes.fromhex("c5057629d8000001") + v["a.key_hash"]
    key, proof = ed_sign(v["invite.seed"], statement)
    check("invite.public", key, v["invite.public"])
    check("invite.proof", proof, v["invite.proof"])


def main():
    self_test()
    try:
        text = DOCUMENT.read_text()
        primitives(read_block(text, "primitives"))
        messages(read_block(text, "messages"))
    except KeyError as missing:
        check(f"the block lacks {missing}", b"\0", b"\1")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
