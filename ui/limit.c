/* limit.c: names are hashed into sets of a few buckets with a seed drawn at start, so that nobody can choose whose bucket to share.
 */
#include "ui/limit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proto/random.h"

/* FNV-1a from a secret begin, then mixed: strangers choose neither set nor key without knowing the seed, and a guess is worth
 * one bucket. */
static uint64_t key_of(uint64_t seed, const char *name)
{
	uint64_t h = seed;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	h ^= h >> 32;
	h *= seed | 1;
	h ^= h >> 29;
	return h ? h : 1;
}

void limit_source(const char *peer, char ret[LIMIT_SOURCE])
{
	uint8_t ip[16];
	snprintf(ret, LIMIT_SOURCE, "%s", peer);
	if (inet_pton(AF_INET6, peer, ip) != 1)
		return;
	memset(ip + 8, 0, 8);
	inet_ntop(AF_INET6, ip, ret, LIMIT_SOURCE);
}

uint64_t limit_take(struct limits *limits, const char *name, struct limit_rate rate, uint64_t now)
{
	while (!limits->seed)
		random_bytes(&limits->seed, sizeof(limits->seed));
	uint64_t key = key_of(limits->seed, name);
	struct limit *set = limits->bucket[key % LIMIT_SETS], *bucket = set;
	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key) {
			bucket = &set[i];
			break;
		}
		if (!set[i].key || (bucket->key && set[i].filled < bucket->filled))
			bucket = &set[i];
	}
	if (bucket->key != key)
		*bucket = (struct limit){.key = key, .filled = now, .tokens = rate.burst * 1000};
	uint64_t tokens = bucket->tokens + (now > bucket->filled ? (now - bucket->filled) * rate.per_s : 0);
	bucket->tokens = tokens < rate.burst * 1000ull ? (uint32_t)tokens : rate.burst * 1000;
	bucket->filled = now;
	if (bucket->tokens < 1000)
		return (1000 - bucket->tokens + rate.per_s - 1) / rate.per_s;
	bucket->tokens -= 1000;
	return 0;
}
