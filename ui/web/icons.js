// icons.js: outlines on a grid of 20, drawn with a stroke of 1.6 by the style sheet.
const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

export const icons = {
	home: 'M3 9.5 10 3.5l7 6V16.5h-4.5v-4h-5v4H3z',
	networks: `${circle(10, 4.5, 2)} ${circle(4.5, 15, 2)} ${circle(15.5, 15, 2)} M9 6.3 5.5 13.2 M11 6.3l3.5 6.9 M6.5 15h7`,
	invites: 'M3 6h14v3a1.5 1.5 0 0 0 0 3v3H3v-3a1.5 1.5 0 0 0 0-3z M12 6v1.5 M12 9.7v1.5 M12 13.3V15',
	audit: 'M5 3h10v14H5z M7.5 7h5 M7.5 10h5 M7.5 13h3',
	accounts: `${circle(10, 6.8, 3)} M4 17c.4-3.4 2.8-5 6-5s5.6 1.6 6 5`,
	settings: 'M3 6h8 M15 6h2 M3 14h2 M9 14h8 M13 4v4 M7 12v4',
	traffic: 'M3 16V9 M8 16V4 M13 16v-5 M17.500 16V7',
	more: `${circle(4.5, 10, 0.7)} ${circle(10, 10, 0.7)} ${circle(15.5, 10, 0.7)}`,
	copy: 'M7 7h9v9H7z M4 13V4h9',
	check: 'M4 10.500l4 4 8-9',
	close: 'M5 5l10 10 M15 5 5 15',
	edit: 'M4 16l.8-3.600L13 4.200l2.8 2.8-8.2 8.200z M11.5 5.700l2.8 2.8',
	search: `${circle(8.5, 8.5, 4.5)} M12 12l5 5`,
	plus: 'M10 4v12 M4 10h12',
	warn: 'M10 3.5 18 17H2z M10 8.500v4 M10 14.500v.3',
	info: `${circle(10, 10, 7)} M10 9v5 M10 6v.3`,
	key: `${circle(6.5, 13, 3)} M8.7 10.8 15.5 4 M13 6.500l2.3 2.3`,
	clock: `${circle(10, 10, 7)} M10 6v4.200l2.8 1.8`,
	devices: 'M3 4.500h14v8.500H3z M7 16.500h6 M10 13v3.5',
	download: 'M10 3v9 M6 8.500l4 4 4-4 M4 16.500h12',
	out: 'M8 4H4v12h4 M12 6.500l3.5 3.5-3.5 3.5 M8 10h7.5',
	back: 'M12 5l-5 5 5 5',
};
