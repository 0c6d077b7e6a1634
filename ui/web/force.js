// force.js: places for nodes so that linked ones are near and nobody is on top of another. Pure; a step is O(n^2), n <= 300.
//
// Repulsion by 1/d, springs along the links, a weak pull to the middle; it cools down and stops. The begin is a sunflower by
// address, so that the same network looks the same each time.

const REPEL = 16000, SPRING = 0.04, LENGTH = 130, MIDDLE = 0.006, DAMP = 0.82;

export function field(nodes, links) {
	const at = new Map(nodes.map((node, i) => [node.address, i]));
	const points = nodes.map((_, i) => {
		const r = 26 * Math.sqrt(i + 0.5), angle = i * 2.399963;
		return { x: r * Math.cos(angle), y: r * Math.sin(angle), vx: 0, vy: 0 };
	});
	const springs = links.map(({ a, b }) => [at.get(a), at.get(b)]).filter(([a, b]) => a !== undefined && b !== undefined && a !== b);
	return { points, springs, heat: 1 };
}

// One step. false: it has cooled down.
export function step({ points, springs, heat }, state) {
	for (let i = 0; i < points.length; i++)
		for (let j = i + 1; j < points.length; j++) {
			const p = points[i], q = points[j], dx = p.x - q.x || 0.1, dy = p.y - q.y || 0.1;
			const f = Math.min(9, REPEL / (dx * dx + dy * dy + 30) / 10) * heat, d = Math.hypot(dx, dy);
			p.vx += (f * dx) / d; p.vy += (f * dy) / d;
			q.vx -= (f * dx) / d; q.vy -= (f * dy) / d;
		}
	for (const [a, b] of springs) {
		const p = points[a], q = points[b], dx = q.x - p.x, dy = q.y - p.y, d = Math.hypot(dx, dy) || 0.1;
		const f = SPRING * (d - LENGTH) * heat;
		p.vx += (f * dx) / d; p.vy += (f * dy) / d;
		q.vx -= (f * dx) / d; q.vy -= (f * dy) / d;
	}
	for (const p of points) {
		p.vx = (p.vx - p.x * MIDDLE * heat) * DAMP;
		p.vy = (p.vy - p.y * MIDDLE * heat) * DAMP;
		p.x += p.vx;
		p.y += p.vy;
	}
	state.heat *= 0.985;
	return state.heat > 0.05;
}

export function box(points) {
	const xs = points.map((p) => p.x), ys = points.map((p) => p.y), margin = 48;
	const [left, right, top, bottom] = [Math.min(...xs, -240), Math.max(...xs, 240), Math.min(...ys, -150), Math.max(...ys, 150)];
	return [left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin].map(Math.round).join(' ');
}
