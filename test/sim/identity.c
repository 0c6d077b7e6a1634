/* identity.c: the fixed identities of the simulated hosts.
 *
 * An identity's secrets are hashes of a counter; identities.inc lists the counters whose proof of work holds, with the address that it
 * gives, so that a world of a hundred nodes costs no Argon2id. `sim --identities N` prints that table anew; the scenario
 * "identities" computes the work of every entry again. Verdicts of proof of work are looked up here instead of computed.
 */
#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "test/sim/sim.h"

static const struct {
	uint32_t counter;
	uint64_t address;
} table[] = {
#include "test/sim/identities.inc"
};

#define TABLE_N (sizeof table / sizeof *table)

static struct secret cache[TABLE_N];
static bool cached[TABLE_N];

static void secrets_of(uint32_t counter, uint8_t x[32], uint8_t seed[32])
{
	uint8_t le[4];
	le32_to(le, counter);
	hash256(x, "sim x", le, sizeof le);
	hash256(seed, "sim ed", le, sizeof le);
}

static void keys_of(uint32_t counter, struct secret *s)
{
	uint8_t seed[32];
	secrets_of(counter, s->x, seed);
	assert(!crypto_scalarmult_base(s->self.x, s->x));
	assert(!crypto_sign_seed_keypair(s->self.ed, s->ed, seed));
	identity_hash(&s->self);
}

unsigned identities(void)
{
	return TABLE_N;
}

const struct secret *identity_of(unsigned i)
{
	assert(i < TABLE_N);
	if (!cached[i]) {
		keys_of(table[i].counter, &cache[i]);
		cache[i].self.address = table[i].address;
		cached[i] = true;
	}
	return &cache[i];
}

/* As work_result(): a claimed address must be the computed one, none (0) is filled in. */
bool identity_verdict(struct identity *claimed)
{
	for (unsigned i = 0; i < TABLE_N; i++) {
		const struct identity *known = &identity_of(i)->self;
		if (memcmp(known->x, claimed->x, 32) || memcmp(known->ed, claimed->ed, 32))
			continue;
		if (claimed->address && claimed->address != known->address)
			return false;
		claimed->address = known->address;
		return true;
	}
	return false;
}

bool identity_verify(unsigned i)
{
	uint8_t x[32], seed[32];
	struct secret derived;
	secrets_of(table[i].counter, x, seed);
	return secret_derive(&derived, x, seed) && !memcmp(&derived, identity_of(i), sizeof derived);
}

void identities_print(unsigned n)
{
	for (uint32_t counter = 1; n; counter++) {
		struct secret s = {0};
		uint64_t address;
		keys_of(counter, &s);
		if (!ident_work(s.self.x, s.self.ed, &address))
			continue;
		printf("{%" PRIu32 ", UINT64_C(0x%010" PRIx64 ")},\n", counter, address);
		fflush(stdout);
		n--;
	}
}
