/* totp_test.c: codes against RFC 6238, appendix B, and RFC 4226, appendix D; base32 against RFC 4648. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/totp.h"

static const uint8_t secret[TOTP_SECRET + 1] = "12345678901234567890";

static void vectors(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t code;
	} rfc6238[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
	               {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
	static const uint32_t rfc4226[] = {755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489};
	(void)state;
	for (size_t i = 0; i < sizeof(rfc6238) / sizeof(rfc6238[0]); i++)
		assert_int_equal(totp_code(secret, rfc6238[i].at / TOTP_STEP_S, 8), rfc6238[i].code);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(totp_code(secret, i, 6), rfc4226[i]);
}

static void the_window(void **state)
{
	uint64_t step = 7;
	(void)state;
	for (uint64_t off = 0; off <= 4; off++) {
		bool near = off >= 1 && off <= 3; /* around step 2 */
		assert_int_equal(totp_find(secret, totp_code(secret, off, 6), 2, 1, &step), near);
		assert_int_equal(step, near ? off : off == 0 ? 7 : 3);
	}
	assert_true(totp_find(secret, 755224, 1, 3, &step)); /* nothing before the first step is looked at */
	assert_int_equal(step, 0);
	assert_true(totp_find(secret, totp_code(secret, 1100, 6), 1000, 120, &step));
	assert_int_equal(step, 1100);
	assert_false(totp_find(secret, 1000000, 1000, 120, &step));
	assert_false(totp_find(secret, TOTP_NONE, 1000, 120, &step));
}

static void base32(void **state)
{
	char text[33];
	(void)state;
	base32_format((const uint8_t *)"fooba", 5, text);
	assert_string_equal(text, "MZXW6YTB");
	base32_format(secret, TOTP_SECRET, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	base32_format(secret, 0, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(the_window), cmocka_unit_test(base32)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
