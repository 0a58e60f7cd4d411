/* What cannot be started, and leaves nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

void test_command_errors(void)
{
	char *true_[] = {"true", NULL}, *none[] = {NULL};
	char *dot[] = {"/", NULL}, *empty[] = {"", NULL};
	WANT_ERROR(ENOENT, ARGV("no-such-command"), 0);
	WANT_ERROR(ENOENT, ARGV("/no/such/command"), 0);
	WANT_ERROR(ENOENT, empty, 0);
	WANT_ERROR(ENOENT, true_, .cwd = "/no/such/directory");
	WANT_ERROR(ENOTDIR, true_, .cwd = "/dev/null");
	WANT_ERROR(EACCES, dot, 0);
	WANT_ERROR(EINVAL, NULL, 0);
	WANT_ERROR(EINVAL, none, 0);
	WANT_ERROR(EINVAL, true_, .flags = 1UL << 40);
	WANT_ERROR(EINVAL, true_, .flags = O_CLOEXEC | SUPERVISE_INHERITABLE);
	WANT_ERROR(EACCES, ARGV((char *)make("plain", "#!/bin/sh\n", 0644)), 0);
	WANT_ERROR(ENOEXEC, ARGV((char *)make("plain", "echo\n", 0755)), 0);
	delete("plain");
	char *huge = malloc(1 << 20);
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	WANT_ERROR(E2BIG, ARGV("true", huge), 0);
	WANT_ERROR(ENAMETOOLONG, ARGV(huge), 0);
	free(huge);
}

void test_fd_errors(void)
{
	struct rlimit limit;
	char *true_[] = {"true", NULL};
	WANT(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int beyond = (int)(limit.rlim_cur > INT_MAX ? INT_MAX : limit.rlim_cur);
	WANT_ERROR(EBADF, true_, FDS({-1, 0}));
	WANT_ERROR(EBADF, true_, FDS({5, 999}));
	WANT_ERROR(EBADF, true_, FDS({5, -2}));
	WANT_ERROR(EBADF, true_, FDS({beyond, 0}));
	WANT_ERROR(EINVAL, true_, FDS({5, 0}, {6, 0}, {5, 1}));
	WANT_ERROR(EINVAL, true_, .nfds = 1);
}

/* Without room for a descriptor, wherever it runs out. */
void test_fd_limit(void)
{
	struct rlimit old, low;
	int used = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the first that is free */
	close(used);
	WANT(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	int failed = 0, fd = -1;
	for (low.rlim_cur = (rlim_t)used; fd < 0; low.rlim_cur++) {
		CHECK(failed++ < 20);
		setrlimit(RLIMIT_NOFILE, &low);
		fd = supervise_spawnfd(ARGV("true"), &(struct supervise_options){FDS({0, 1}, {1, 0})});
		int error = errno;
		setrlimit(RLIMIT_NOFILE, &old);
		if (fd < 0) {
			WANT(error, EMFILE);
			want_alone();
		}
	}
	CHECK(failed > 4); /* two sockets, three pipes, copies */
	close(fd);
}

void test_no_supervise(void)
{
	char *sh[] = {"/bin/sh", "-c", "exit 0", NULL}, *saved = strdup(getenv("SUPERVISE_BIN")), *path = strdup(getenv("PATH"));
	WANT_ERROR(ENOPKG, sh, .supervise = "/no/such/supervise");
	WANT_ERROR(ENOPKG, sh, .supervise = "no-such-supervise");
	WANT_ERROR(ENOPKG, sh, .supervise = "/");
	WANT_ERROR(ENOPKG, sh, .supervise = make("no-supervise", "#!/bin/sh\n", 0644));
	setenv("SUPERVISE_BIN", "/no/such/supervise", 1);
	WANT_ERROR(ENOPKG, sh, 0);
	unsetenv("SUPERVISE_BIN");
	setenv("PATH", "/no/such/directory", 1);
	WANT_ERROR(ENOPKG, sh, 0);
	setenv("PATH", path, 1);
	setenv("SUPERVISE_BIN", saved, 1);
	delete("no-supervise");
	free(saved);
	free(path);
}

/* It is there, but cannot be executed after all: the command runs by then, and is ended with all it has started. */
void test_bad_supervise(void)
{
	const char *bad = make("bad-supervise", "nothing to execute", 0755);
	for (int i = 0; i < 20; i++) {
		int ends[2];
		char c;
		WANT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		struct supervise_options o = {.supervise = bad, FDS({3, ends[1]})};
		WANT(supervise_spawnfd(SH("exec >/dev/null; " FAMILY), &o), -1);
		WANT(errno, ENOEXEC);
		want_alone();
		close(ends[1]);
		WANT(read(ends[0], &c, 1), 0); /* at once */
		close(ends[0]);
	}
	WANT_ERROR(ENOEXEC, SH("exit 0"), .supervise = bad);
	delete("bad-supervise");
}
