/*
 * Tests of libsupervise with the built supervise: SUPERVISE_BIN in the environment says where it is.
 *
 *	build/test/all [NAME]...
 *
 * Each test is a process of its own, below one that is a subreaper: what a test leaves behind comes to that, which waits for
 * all of it. A test must leave no descriptor and no child. Nothing sleeps: a pipe that the whole job holds tells of its end.
 * SUPERVISE_TEST_CONTAINMENT, `cgroup` or `subreaper`, says how jobs are to be held here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define DEADLINE 120 /* s, of a test, and of what it has left to end */

#define X(name) {#name, name},
static const struct { const char *name; void (*run)(void); } tests[] = {TESTS};
#undef X

/* Standard input is /dev/null, and what else somebody has left open for us is closed. */
static void known_fds(void)
{
	close(0);
	CHECK(open("/dev/null", O_RDWR) == 0);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

/* This program as a command of a job. */
static int helper(char *argv[])
{
	if (strcmp(argv[1], "helper-fds") == 0) {
		print_fds(atoi(argv[2]));
		_exit(0);
	}
	if (strcmp(argv[1], "helper-nested") == 0) {
		raise(SIGSTOP);
		if (supervise_spawnfd(SH(FAMILY), NULL) >= 0)
			pause();
		_exit(1);
	}
	fprintf(stderr, "%s: no such helper\n", argv[1]);
	_exit(2);
}

/* The process of a test. */
static void run(size_t i)
{
	int fds = count_fds();
	alarm(DEADLINE);
	tests[i].run();
	WANT(count_fds(), fds);
	WANT(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	exit(0); /* the sanitizers look for leaks */
}

/* Waits for what the test has left: a supervise that is ending. */
static void wait_for_all(void)
{
	alarm(DEADLINE);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
	alarm(0);
}

static bool passes(size_t i)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		run(i);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	wait_for_all();
	printf("%s %s\n", status == 0 ? "ok" : "FAIL", tests[i].name);
	fflush(stdout);
	return status == 0;
}

static bool wanted(int argc, char *argv[], size_t i)
{
	bool any = argc <= 1;
	for (int a = 1; a < argc; a++)
		any = any || strcmp(argv[a], tests[i].name) == 0;
	return any;
}

int main(int argc, char *argv[])
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	CHECK(n > 0);
	if (argc > 1 && strncmp(argv[1], "helper-", 7) == 0)
		return helper(argv);
	strcpy(dir, self);
	*strrchr(dir, '/') = '\0';
	if (getenv("SUPERVISE_BIN") == NULL) {
		fprintf(stderr, "SUPERVISE_BIN is not set: say where the program is\n");
		return 2;
	}
	WANT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	known_fds();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1); /* all of which everybody may search */
	int failed = 0;
	for (size_t i = 0; i < COUNT(tests); i++)
		failed += wanted(argc, argv, i) && !passes(i);
	return failed > 0;
}
