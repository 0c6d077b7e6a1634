/* blame.h: the drops that are one member's doing, for its counters (struct member of view.h). */
#ifndef FARLAN_NODE_BLAME_H
#define FARLAN_NODE_BLAME_H

#define BLAME_LIST(X)                                                                                                                      \
	X(TYPE)                                                                                                                            \
	X(MALFORMED)                                                                                                                       \
	X(FRAME_SHORT)                                                                                                                     \
	X(FRAME_LONG)                                                                                                                      \
	X(OFFLOAD)                                                                                                                         \
	X(SOURCE_MAC)                                                                                                                      \
	X(OWN_MAC)                                                                                                                         \
	X(LINK_LOCAL)                                                                                                                      \
	X(NO_MEMBER)                                                                                                                       \
	X(ETHERTYPE)                                                                                                                       \
	X(OFF)                                                                                                                             \
	X(STORM)                                                                                                                           \
	X(STORM_MULTICAST)                                                                                                                 \
	X(RA_GUARD)                                                                                                                        \
	X(DHCP_GUARD)                                                                                                                      \
	X(IP_GUARD)                                                                                                                        \
	X(FLAP)                                                                                                                            \
	X(LOOP)                                                                                                                            \
	X(REPLICATE)

enum blame {
#define X(name) BLAME_##name,
	BLAME_LIST(X)
#undef X
	    BLAME_COUNT
};

#endif
