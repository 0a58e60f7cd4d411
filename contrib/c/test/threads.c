/* Several threads at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define THREADS 8
#define ROUNDS 10

/* Each round has a pipe, and the job that pipe and nothing else. */
static void *spawn_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int ends[2];
		siginfo_t event;
		WANT(pipe2(ends, O_CLOEXEC), 0);
		struct supervise_options o = {FDS({0, SUPERVISE_CLOSED}, {1, ends[1]}, {2, SUPERVISE_CLOSED})};
		int fd = supervise_spawnfd(ARGV(self, "helper-fds", "1"), &o);
		CHECK(fd >= 0);
		close(ends[1]);
		char *text = slurp(ends[0]), *end;
		CHECK(strncmp(text, "1=pipe:", 7) == 0 && (end = strchr(text, '\n')) != NULL && end[1] == '\0');
		WANT(supervise_read_event(fd, &event), 1);
		WANT(supervise_read_event(fd, &event), 0);
		close(fd);
	}
	return NULL;
}

/* Errors in other threads meanwhile. */
static void *fail_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS * 10; i++) {
		WANT(supervise_spawnfd(ARGV("no-such-command"), NULL), -1);
		WANT(errno, ENOENT);
	}
	return NULL;
}

void test_threads(void)
{
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		WANT(pthread_create(&threads[i], NULL, i % 4 == 3 ? fail_many : spawn_many, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		WANT(pthread_join(threads[i], NULL), 0);
}

static int spawned = -1;

static void *spawn_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	spawned = supervise_spawnfd(ARGV("true"), NULL);
	pthread_testcancel();
	return arg;
}

/* A cancellation waits until the call is over. */
void test_cancel(void)
{
	pthread_t thread;
	void *result;
	WANT(pthread_create(&thread, NULL, spawn_cancelled, NULL), 0);
	WANT(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED && spawned >= 0);
	close(spawned);
}
