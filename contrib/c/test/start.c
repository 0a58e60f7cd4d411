/* How the main process starts: what it is given, and where supervise is found. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* NULL and zeros will do, and leave the caller nothing to wait for. */
void test_no_options(void)
{
	siginfo_t event;
	for (int i = 0; i < 2; i++) {
		struct supervise_options zero = {0};
		int fd = supervise_spawnfd(SH("exit 4"), i == 0 ? NULL : &zero);
		CHECK(fd >= 0);
		WANT(waitpid(-1, NULL, WNOHANG | __WALL), -1);
		WANT(errno, ECHILD);
		WANT(supervise_read_event(fd, &event), 1);
		WANT(event.si_status, 4);
		WANT(supervise_read_event(fd, &event), 0);
		close(fd);
	}
}

/* A program of tomorrow with the library of today, and one that has the size wrong. */
void test_size(void)
{
	struct { struct supervise_options o; long later; } big = {.o = {.size = sizeof big}};
	int fd = supervise_spawnfd(ARGV("true"), &big.o);
	CHECK(fd >= 0);
	close(fd);
	big.later = 1;
	WANT(supervise_spawnfd(ARGV("true"), &big.o), -1);
	WANT(errno, E2BIG);
	WANT(supervise_spawnfd(ARGV("true"), &(struct supervise_options){.size = sizeof(size_t)}), -1);
	WANT(errno, EINVAL);
}

/* By option, by SUPERVISE_BIN, and on PATH, in this order. */
void test_find_supervise(void)
{
	char *saved = strdup(getenv("SUPERVISE_BIN")), *path = strdup(getenv("PATH")), link[sizeof dir + 16];
	setenv("SUPERVISE_BIN", "/no/such/supervise", 1);
	drop(start(ARGV("sleep", "1000"), (struct supervise_options){.supervise = saved}));
	snprintf(link, sizeof link, "%s/supervise", dir);
	unlink(link);
	WANT(symlink(saved, link), 0);
	unsetenv("SUPERVISE_BIN");
	char *longer = malloc(strlen(path) + sizeof dir + 2);
	sprintf(longer, "%s:%s", dir, path);
	setenv("PATH", longer, 1);
	drop(start(ARGV("sleep", "1000"), (struct supervise_options){0}));
	unlink(link);
	setenv("PATH", path, 1);
	setenv("SUPERVISE_BIN", saved, 1);
	free(saved);
	free(path);
	free(longer);
}

void test_environment(void)
{
	WANT_TEXT(output(ARGV("/usr/bin/env"), (struct supervise_options){.envp = ARGV("A=b", "C=")}), "A=b\nC=\n");
	char *none[] = {NULL};
	WANT_TEXT(output(ARGV("env"), (struct supervise_options){.envp = none}), "");
	setenv("SUPERVISE_TEST_WORD", "inherited", 1);
	CHECK(strstr(output(ARGV("env"), (struct supervise_options){0}), "\nSUPERVISE_TEST_WORD=inherited\n") != NULL);
	WANT_TEXT(output(ARGV("/bin/pwd"), (struct supervise_options){.cwd = "/"}), "/\n");
}

/* argv[0] is looked up on the new environment's PATH, if it has one, else on the caller's. */
void test_path(void)
{
	char path[sizeof dir + 64], *said = "here\n", *argv[] = {"supervise-test-command", NULL};
	make(argv[0], "#!/bin/sh\necho here\n", 0755);
	snprintf(path, sizeof path, "PATH=/no/such:%s", dir);
	WANT_TEXT(output(argv, (struct supervise_options){.envp = ARGV(path)}), said);
	WANT_TEXT(output(argv, (struct supervise_options){.envp = ARGV("PATH=."), .cwd = dir}), said);
	WANT_TEXT(output(argv, (struct supervise_options){.envp = ARGV("PATH=/no/such:"), .cwd = dir}), said);
	WANT_ERROR(ENOENT, argv, .envp = ARGV("A=b"));
	WANT_ERROR(ENOENT, argv, .envp = ARGV("PATH=/no/such"));
	char *old = strdup(getenv("PATH"));
	setenv("PATH", path + strlen("PATH="), 1);
	WANT_TEXT(output(argv, (struct supervise_options){.envp = ARGV("A=b")}), said);
	setenv("PATH", old, 1);
	free(old);
	make(argv[0], "#!/bin/sh\n", 0644);
	WANT_ERROR(EACCES, argv, .envp = ARGV(path));
	delete(argv[0]);
}

void test_session(void)
{
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	WANT(getsid(j.pid), j.supervisor);
	WANT(getpgid(j.pid), j.pid);
	WANT(getpgid(j.supervisor), j.supervisor);
	drop(j);
	j = start(SH("trap '' USR1; kill -USR1 0; exit 5"), (struct supervise_options){0});
	expect(j, CLD_EXITED, 5);
	end(j);
}

/* The job is held as whoever runs the tests has meant it. */
void test_containment(void)
{
	const char *want = getenv("SUPERVISE_TEST_CONTAINMENT");
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	stop(j);
	bool in_job = strstr(read_file("/proc/%d/cgroup", j.pid), "/jobs-") != NULL;
	if (want != NULL)
		WANT(in_job, strcmp(want, "cgroup") == 0);
	drop(j);
}
