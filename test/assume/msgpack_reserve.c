/* Belief, and the reason why every document is walked by our cursor before msgpack-c sees it: a
 * header of five bytes
 * ("an array of 32 Mi elements") makes msgpack-c reserve the whole array, 24 bytes an element,
 * before it asks whether the elements are there. With 256 MiB to spare that is out of memory; with
 * enough it says "go on". */
#include <msgpack.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED 1
#endif

int main(void)
{
	static const char five[] = {(char)0xdd, 0x02, 0, 0, 0}; /* array 32, 2^25 elements */
	alarm(20);
#ifdef SANITIZED
	printf("cannot be tried here: sanitizers need address space without bounds\n");
	return 77;
#endif
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;
	if (!f || fscanf(f, "%lu", &pages) != 1) {
		printf("cannot be tried here: no /proc\n");
		return 77;
	}
	fclose(f);
	const struct rlimit bound = {.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (256u << 20), .rlim_max = RLIM_INFINITY};
	msgpack_unpacked result;
	size_t at = 0;
	msgpack_unpacked_init(&result);
	if (setrlimit(RLIMIT_AS, &bound) < 0) {
		printf("cannot be tried here: RLIMIT_AS\n");
		return 77;
	}
	msgpack_unpack_return r = msgpack_unpack_next(&result, five, sizeof(five), &at);
	msgpack_unpacked_destroy(&result);
	if (r == MSGPACK_UNPACK_CONTINUE) {
		fprintf(stderr, "msgpack_reserve: five bytes no longer reserve 768 MiB: the walk "
		                "before unpacking may be asked again\n");
		return 1;
	}
	if (r != MSGPACK_UNPACK_NOMEM_ERROR) {
		fprintf(stderr, "msgpack_reserve: answer %d\n", (int)r);
		return 1;
	}
	return 0;
}
