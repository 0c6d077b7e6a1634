/* value.h: values of configuration lines that are more than a word.
 *
 * Pure, any thread. Outputs are untouched on failure.
 */
#ifndef FARLAN_UI_VALUE_H
#define FARLAN_UI_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/prefix.h"

#define RATE_LEAST 64000u /* bits/s: less carries nothing */
#define RATE_MOST  UINT64_C(1000000000000)

/* 43 characters of base64url, 32 bytes, not all of them zero. */
bool value_gate(const char *text, uint8_t ret[32]);
/* Bits per second: "50M", "800k", "2G", plain bits, RATE_LEAST to RATE_MOST; "0" = no limit. */
bool value_rate(const char *text, uint64_t *ret);

#define DURATION_TEXT 32
#define DURATION_MOST (100 * 365 * 86400u) /* longer is never */
/* Seconds: "90", "90s", "90m", "24h", "30d", "2w", 1 s to DURATION_MOST. */
bool value_duration(const char *text, uint64_t *ret);
/* The same in words of people, the two largest units: "29d 4h", "90s"; never longer than DURATION_TEXT. */
void duration_format(uint64_t seconds, char ret[DURATION_TEXT]);

/* "10.8.0.0/16", or one address; bits set behind the "/N" are a mistake of somebody. */
bool value_prefix(const char *text, struct prefix *ret);

#endif
