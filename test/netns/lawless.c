/* lawless: farland of a member that keeps to no rule: no storm limit, no guard, any EtherType, any source MAC; the rest is farland as it is.
 *
 *     lawless ...    as farland
 *
 * What a receiver is worth shows against a sender that does not check itself. Two of the daemon's files are compiled here with other names for some
 * functions, and what the daemon calls are the functions below; everything else comes out of the same libraries. A member that believes to be
 * a bridge sends frames of any source; what others hold it to is its credential.
 */
#define police_out  police_out_of_the_law
#define police_type police_type_by_the_law
#include "node/police.c"
#undef police_type
#undef police_out
#define rights_publish rights_by_the_law
#define request        node_request /* node/ and ui/ have a struct of that name each */
#include "node/rights.c"
#undef request
#undef rights_publish

#include "ui/farland.c"

enum drop police_out(struct port *port, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us);
enum drop police_type(const struct port *port, const uint8_t *frame);
void rights_publish(struct net *net);

enum drop police_type(const struct port *port, const uint8_t *frame)
{
	(void)port, (void)frame;
	return DROP_NONE;
}

enum drop police_out(struct port *port, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us)
{
	(void)port, (void)frame, (void)len, (void)unknown, (void)now_us;
	return DROP_NONE;
}

void rights_publish(struct net *net)
{
	rights_by_the_law(net);
	atomic_fetch_or(&net->port->own_flags, MEMBER_BRIDGE);
}
