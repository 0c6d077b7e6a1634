-- Version 1. Later versions are steps of their own in store.c; this file never changes once released.
-- Unsigned 64-bit numbers stand in INTEGER as their two's complement. Times named *_wall are seconds of the wall clock
-- and for display only; all others are network time.

CREATE TABLE meta (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	owner BLOB NOT NULL CHECK (length(owner) = 32), -- key_hash of the controller this database belongs to
	ceiling INTEGER NOT NULL,                       -- nothing is signed beyond this network time
	revision INTEGER NOT NULL                       -- of the whole database; every row takes its revision from here
) STRICT;

CREATE TABLE network (
	nwid INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	mtu INTEGER NOT NULL,
	pool BLOB CHECK (length(pool) = 4), -- NULL = none
	pool_bits INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	gate BLOB NOT NULL CHECK (length(gate) = 32),
	version INTEGER NOT NULL,  -- largest HEAD version reserved
	rev_epoch INTEGER NOT NULL,
	serials INTEGER NOT NULL,  -- serials below this are reserved
	created_wall INTEGER NOT NULL,
	revision INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,
	key_hash BLOB NOT NULL CHECK (length(key_hash) = 32),
	keys BLOB NOT NULL CHECK (length(keys) = 64), -- X25519, Ed25519
	address INTEGER NOT NULL,
	state INTEGER NOT NULL,
	name TEXT NOT NULL,        -- the admin's, '' = none
	hostname TEXT NOT NULL,
	os TEXT NOT NULL,
	version TEXT NOT NULL,
	flags_on INTEGER NOT NULL,
	flags_off INTEGER NOT NULL,
	serial INTEGER NOT NULL,   -- of its newest credential, 0 = never had one
	first_seen_wall INTEGER NOT NULL,
	last_seen_wall INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	UNIQUE (nwid, key_hash)
) STRICT;
CREATE INDEX member_key ON member (key_hash);
CREATE INDEX member_address ON member (nwid, address);

-- An address in use has a member; a freed one has none and waits until it may be handed out again.
CREATE TABLE lease (
	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,
	ip BLOB NOT NULL CHECK (length(ip) = 4),
	bits INTEGER NOT NULL,
	member INTEGER REFERENCES member (id),
	freed INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	PRIMARY KEY (nwid, ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_member ON lease (member);

CREATE TABLE revocation (
	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,
	key_hash BLOB NOT NULL CHECK (length(key_hash) = 32),
	min_serial INTEGER NOT NULL,
	drop_after INTEGER NOT NULL, -- no credential below min_serial can be valid after this network time
	revision INTEGER NOT NULL,
	PRIMARY KEY (nwid, key_hash)
) STRICT, WITHOUT ROWID;
