/* gateway_fake.h: a router's side of PCP and NAT-PMP on a loopback address, good or bad as a test likes. Its own thread answers. */
#ifndef FARLAN_TEST_UNIT_GATEWAY_FAKE_H
#define FARLAN_TEST_UNIT_GATEWAY_FAKE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum manner {
	GOOD,
	SILENT,
	WRONG_NONCE,
	WRONG_SOURCE, /* another host answers */
	WRONG_PORT,   /* for another port of ours */
	TRUNCATED,
	NO_RESOURCES,
	OLD,     /* PCP: answers as NAT-PMP does to a version it does not know */
	NOWHERE, /* maps to 0.0.0.0 */
};

struct fake {
	char ip[16];
	int fd, stop_fd, stranger_fd;
	pthread_t thread;
	_Atomic enum manner pcp, nat_pmp;
	atomic_uint epoch, lifetime, lifetime_of_port; /* lifetime_of_port: port << 16 | seconds; beats lifetime */
	_Atomic uint32_t outside;                      /* network order */
	atomic_uint shift;                             /* external port - internal port */
	atomic_uint maps, deletes, addresses, old_maps, old_deletes;
	atomic_uint asked_port; /* the last MAP's */
	pthread_mutex_t lock;
	uint8_t last[60]; /* the last PCP request */
};

static void fake_put32(uint8_t *to, uint32_t v)
{
	v = htonl(v);
	memcpy(to, &v, 4);
}

static uint32_t fake_get32(const uint8_t *from)
{
	uint32_t v;
	memcpy(&v, from, 4);
	return ntohl(v);
}

static void fake_put16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static uint32_t fake_lifetime(struct fake *f, unsigned port)
{
	unsigned special = f->lifetime_of_port;
	return special && special >> 16 == port ? special & 0xffff : f->lifetime;
}

static size_t fake_pcp(struct fake *f, const uint8_t *asked, size_t len, uint8_t *answer)
{
	if (len != 60 || f->pcp == SILENT)
		return 0;
	if (f->pcp == OLD) {
		memcpy(answer, "\0\x81\0\1", 4);
		fake_put32(answer + 4, f->epoch);
		return 8;
	}
	unsigned port = (unsigned)asked[40] << 8 | asked[41];
	bool removes = fake_get32(asked + 4) == 0;
	pthread_mutex_lock(&f->lock);
	memcpy(f->last, asked, 60);
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_add(removes ? &f->deletes : &f->maps, 1);
	f->asked_port = port;
	memcpy(answer, asked, 60);
	answer[1] |= 0x80;
	answer[3] = f->pcp == NO_RESOURCES ? 8 : 0;
	memset(answer + 8, 0, 16);
	fake_put32(answer + 4, removes ? 0 : f->pcp == NO_RESOURCES ? 30 : fake_lifetime(f, port));
	fake_put32(answer + 8, f->epoch);
	answer[24] ^= f->pcp == WRONG_NONCE;
	answer[41] ^= f->pcp == WRONG_PORT;
	fake_put16(answer + 42, port + f->shift);
	memset(answer + 44, 0, 10);
	memset(answer + 54, 0xff, 2);
	uint32_t outside = f->pcp == NOWHERE ? 0 : f->outside;
	memcpy(answer + 56, &outside, 4);
	return f->pcp == TRUNCATED ? 56 : 60;
}

static size_t fake_nat_pmp(struct fake *f, const uint8_t *asked, size_t len, uint8_t *answer)
{
	if (f->nat_pmp == SILENT)
		return 0;
	memset(answer, 0, 16);
	answer[1] = asked[1] | 0x80;
	answer[3] = f->nat_pmp == NO_RESOURCES ? 4 : 0;
	fake_put32(answer + 4, f->epoch);
	if (len == 2) {
		uint32_t outside = f->outside;
		atomic_fetch_add(&f->addresses, 1);
		memcpy(answer + 8, &outside, 4);
		return 12;
	}
	if (len != 12 || asked[1] != 1)
		return 0;
	unsigned port = (unsigned)asked[4] << 8 | asked[5];
	bool removes = fake_get32(asked + 8) == 0;
	atomic_fetch_add(removes ? &f->old_deletes : &f->old_maps, 1);
	fake_put16(answer + 8, port);
	fake_put16(answer + 10, port + f->shift);
	fake_put32(answer + 12, removes ? 0 : fake_lifetime(f, port));
	return 16;
}

static void *fake_body(void *self)
{
	struct fake *f = self;
	struct pollfd fds[2] = {{.fd = f->fd, .events = POLLIN}, {.fd = f->stop_fd, .events = POLLIN}};
	while (poll(fds, 2, -1) >= 0 && !fds[1].revents) {
		uint8_t asked[1200], answer[64];
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(f->fd, asked, sizeof(asked), 0, (struct sockaddr *)&from, &from_len);
		if (n < 2)
			continue;
		bool new = asked[0] == 2;
		size_t len = new ? fake_pcp(f, asked, (size_t)n, answer) : fake_nat_pmp(f, asked, (size_t)n, answer);
		int by = new && f->pcp == WRONG_SOURCE ? f->stranger_fd : f->fd;
		if (len)
			assert_int_equal(sendto(by, answer, len, 0, (struct sockaddr *)&from, from_len), (ssize_t)len);
	}
	return NULL;
}

static int fake_socket(const char *ip)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5351)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, ip, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* At 127.9.0.n; strangers at 127.9.1.n. */
static void fake_open(struct fake *f, unsigned n, enum manner pcp, enum manner nat_pmp)
{
	char stranger[16];
	memset(f, 0, sizeof(*f));
	snprintf(f->ip, sizeof(f->ip), "127.9.0.%u", n);
	snprintf(stranger, sizeof(stranger), "127.9.1.%u", n);
	f->fd = fake_socket(f->ip);
	f->stranger_fd = fake_socket(stranger);
	f->stop_fd = eventfd(0, EFD_CLOEXEC);
	f->pcp = pcp;
	f->nat_pmp = nat_pmp;
	f->epoch = 1000;
	f->lifetime = 7200;
	f->outside = inet_addr("8.8.4.4");
	pthread_mutex_init(&f->lock, NULL);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_body, f), 0);
}

static void fake_close(struct fake *f)
{
	const uint64_t one = 1;
	assert_int_equal(write(f->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(f->thread, NULL);
	close(f->fd);
	close(f->stop_fd);
	close(f->stranger_fd);
	pthread_mutex_destroy(&f->lock);
}

#endif
