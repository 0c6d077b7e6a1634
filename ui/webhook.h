/* webhook.h: sends what waits in the controller's outbox: HTTP requests, signed, by libcurl on a thread of their own.
 *
 * Control thread only, and nothing here blocks it. Bounded: 16 requests at once, 4 of one
 * webhook; an answer is read to 4 KiB, its head to 32 KiB, all of it for 15 s.
 */
#ifndef FARLAN_UI_WEBHOOK_H
#define FARLAN_UI_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOKS_AT_ONCE   16
#define WEBHOOK_AT_ONCE    4 /* of one */
#define WEBHOOK_CONNECT_MS 5000
#define WEBHOOK_WHOLE_MS   15000
#define WEBHOOK_ANSWER_MAX 4096
#define WEBHOOK_HEAD_MAX   32768
#define WEBHOOK_SIGNATURE  96 /* "t=...,v1=" and 64 hex digits */

struct uv_loop_s;
struct controller;
struct webhooks;

struct webhooks_config {
	struct uv_loop_s *loop;
	struct controller *controller;
	bool allow_private;       /* a webhook may be allowed to reach private addresses */
	const char *ca;           /* file of authorities beside which none is believed; NULL = the system's. Borrowed */
	void (*kick)(void *self); /* an outcome was noted: the turn is to be settled soon */
	void *self;
	unsigned hurry; /* times are divided by it, those of retries too: for tests. 0 = 1 */
};

int webhooks_new(struct webhooks **ret, const struct webhooks_config *); /* 0 or -errno */
void webhooks_free(struct webhooks *);                                   /* before the controller; what was on its way is sent again */
/* After the controller has settled: sends what is due. Returns when to call it again, ms of now; UINT64_MAX = after the next turn. */
uint64_t webhooks_turn(struct webhooks *, uint64_t now);

/* The value of Farlan-Signature. */
void webhook_sign(const char *secret, uint64_t unix_s, const char *body, size_t len, char ret[WEBHOOK_SIGNATURE]);

#endif
