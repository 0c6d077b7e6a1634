/* drop.h: why a packet went no further. One line is a counter: its enum name, its printed name, its text.
 *
 * A verdict is either DROP_NONE (alive) or the one counter that moves when the packet dies. Whoever sets a verdict
 * does not count; the end of the turn counts each dead packet once. Any thread may read the tables.
 */
#ifndef FARLAN_PROTO_BASE_DROP_H
#define FARLAN_PROTO_BASE_DROP_H

#define DROP_LIST(X)                                                                                                                       \
	X(NONE, "none", "not dropped")                                                                                                     \
	/* outside, before any proof */                                                                                                    \
	X(SHORT, "short", "datagram shorter than any message")                                                                             \
	X(INDEX, "index", "first word names nothing here and it is no INIT")                                                               \
	X(STRANGER, "stranger", "INIT candidate whose hint or mac1 fits no gate")                                                          \
	X(BUDGET, "budget", "strangers' budget of this second is spent")                                                                   \
	X(BEACON, "beacon", "call on the LAN that names no member of a network of ours, or was heard before")                              \
	X(BEACON_RATE, "beacon-rate", "calls on the LAN above 50 a second")                                                                \
	X(PENDING_LEN, "pending-len", "neither RETRY nor RESP by its length")                                                              \
	/* handshake */                                                                                                                    \
	X(INIT_REPLAY, "init-replay", "INIT seen before or not newer than the last one")                                                   \
	X(INIT_FORM, "init-form", "INIT with bad version, kind or length")                                                                 \
	X(INIT_CRYPTO, "init-crypto", "INIT that does not decrypt")                                                                        \
	X(INIT_DENIED, "init-denied", "INIT of an identity with no business here")                                                         \
	X(INIT_RATE, "init-rate", "INIT above the source's or the identity's rate")                                                        \
	X(INIT_COOKIE, "init-cookie", "INIT without the cookie asked for under load")                                                      \
	X(INIT_POW, "init-pow", "identity not yet or not validly proven by its work")                                                      \
	X(RESP_CRYPTO, "resp-crypto", "RESP that does not decrypt")                                                                        \
	X(RESP_FORM, "resp-form", "RESP that offers what was not asked")                                                                   \
	X(RETRY_CRYPTO, "retry-crypto", "RETRY that does not decrypt or was not waited for")                                               \
	/* data */                                                                                                                         \
	X(LANE, "lane", "lane above what was announced")                                                                                   \
	X(REPLAY, "replay", "number seen before or behind the window")                                                                     \
	X(AEAD, "aead", "does not decrypt")                                                                                                \
	X(EXPIRED, "expired", "session past its reject time")                                                                              \
	X(CLASS, "class", "frame on a session of class control")                                                                           \
	X(TYPE, "type", "inner type unknown or reserved")                                                                                  \
	X(MALFORMED, "malformed", "body of a known type that does not parse")                                                              \
	X(CHAN, "chan", "channel not open for this peer")                                                                                  \
	X(FRAG, "frag", "fragment that fits no rule of reassembly")                                                                        \
	X(FRAG_TIMEOUT, "frag-timeout", "frame whose fragments did not all come in time")                                                  \
	X(FRAG_LIMIT, "frag-limit", "fragment above the quota of its session")                                                             \
	/* legs */                                                                                                                         \
	X(LEG_TAG, "leg-tag", "leg packet with a wrong tag")                                                                               \
	X(LEG_REPLAY, "leg-replay", "leg packet seen before")                                                                              \
	X(LEG_NEST, "leg-nest", "leg packet inside a leg packet")                                                                          \
	X(LEG_RATE, "leg-rate", "relayed bytes above the node's rate")                                                                     \
	X(LEG_DEAD, "leg-dead", "circuit without a far end")                                                                               \
	/* frames */                                                                                                                       \
	X(FRAME_SHORT, "frame-short", "frame shorter than an Ethernet header")                                                             \
	X(FRAME_LONG, "frame-long", "frame longer than the network's MTU allows")                                                          \
	X(SOURCE_MAC, "source-mac", "source MAC its sender does not own")                                                                  \
	X(OWN_MAC, "own-mac", "frame that claims this node's own MAC")                                                                     \
	X(LINK_LOCAL, "link-local", "01:80:c2:00:00:0x outside bridges")                                                                   \
	X(NO_MEMBER, "no-member", "destination is no member and no bridge could know it")                                                  \
	X(OFF, "off", "broadcast or multicast, switched off in this network")                                                              \
	X(ETHERTYPE, "ethertype", "frame of a protocol that the network does not let pass")                                                \
	X(STORM, "storm", "broadcast or unknown unicast above the network's limit")                                                        \
	X(STORM_MULTICAST, "storm-multicast", "multicast above the network's limit")                                                       \
	X(RA_GUARD, "ra-guard", "router announcement or redirect of a member without the router right")                                    \
	X(DHCP_GUARD, "dhcp-guard", "DHCP answer of a member without the dhcp-server right")                                               \
	X(IP_GUARD, "ip-guard", "IP address or neighbour claim that its sender does not own")                                              \
	X(FLAP, "flap", "source MAC that keeps moving between members: held where it was")                                                 \
	X(LOOP, "loop", "frame that came round by a loop")                                                                                 \
	X(BLOCKED, "blocked", "port shut by the loop guard")                                                                               \
	X(REPLICATE, "replicate", "frame to copy for others, from or to a member without the replicator right")                            \
	X(NO_SESSION, "no-session", "no session and no room to wait for one")                                                              \
	X(WAIT_LIMIT, "wait-limit", "frame pushed out of the queue of a peer without session")                                             \
	X(LANE_FULL, "lane-full", "key used up, rekey is late")                                                                            \
	X(NO_PATH, "no-path", "session without a usable path")                                                                             \
	X(NESTED, "nested", "datagram of this node's own that came back into a device of its own")                                         \
	X(BARRED, "barred", "question from an address inside a network of this node, or one its config avoids")                            \
	X(OFFLOAD, "offload", "frame whose checksum or segment hint does not fit its headers")                                             \
	/* the machine */                                                                                                                  \
	X(MAIL_FULL, "mail-full", "ring to the control thread full")                                                                       \
	X(MAIL_RATE, "mail-rate", "message for the control thread above its sender's rate")                                                \
	X(STREAM, "stream", "queue of a TLS stream full, or stood too long in it")                                                         \
	X(SEND, "send", "the kernel refused the datagram")                                                                                 \
	X(NIC_FULL, "nic-full", "frame that an interface added to a network brought faster than it was read")                              \
	X(TAP_WRITE, "tap-write", "the TAP device refused the frame")                                                                      \
	/* control messages */                                                                                                             \
	X(CTRL_FORM, "ctrl-form", "control message that does not parse")                                                                   \
	X(CTRL_DUP, "ctrl-dup", "control request answered before")                                                                         \
	X(CTRL_RATE, "ctrl-rate", "control message above the peer's rate")                                                                 \
	X(PROBE, "probe", "PROBE_ACK nobody waits for")

enum drop {
#define X(name, word, text) DROP_##name,
	DROP_LIST(X)
#undef X
	    DROP_COUNT
};

const char *drop_name(enum drop); /* the word of `farlan drops`; "?" out of range */
const char *drop_text(enum drop); /* one sentence for people */

#endif
