// subnet.js: IPv4 prefixes as numbers, for suggestions and for what the page warns of while a person types.

const RANGES = [[0x0a900000, 12], [0xac1c0000, 14], [0xc0a80000, 16]]; // 10.144/12, 172.28/14, 192.168/16: seldom used at home first

export function prefix(text) {
	const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(String(text).trim());
	if (!match || match.slice(1, 5).some((n) => n > 255) || match[5] > 32)
		return null;
	const bits = Number(match[5]), size = 2 ** (32 - bits);
	const ip = match.slice(1, 5).reduce((sum, n) => sum * 256 + Number(n), 0);
	return { ip: ip - (ip % size), bits, size, exact: ip % size === 0 };
}

export const overlap = (a, b) => a.ip < b.ip + b.size && b.ip < a.ip + a.size;
export const format = ({ ip, bits }) => `${[24, 16, 8, 0].map((shift) => Math.floor(ip / 2 ** shift) % 256).join('.')}/${bits}`;

// A /24 that no network of the list uses; the first ones tried differ from one controller to the next.
export function suggest(taken) {
	const used = taken.map(prefix).filter(Boolean);
	const begin = crypto.getRandomValues(new Uint8Array(1))[0];
	for (const [base, bits] of RANGES) {
		const many = 2 ** (24 - bits);
		for (let i = 0; i < many; i++) {
			const candidate = { ip: base + ((begin * 7 + i) % many) * 256, bits: 24, size: 256 };
			if (!used.some((other) => overlap(other, candidate)))
				return format(candidate);
		}
	}
	return '';
}
