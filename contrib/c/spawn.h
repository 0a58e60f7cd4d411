/*
 * How supervise_spawnfd starts a job.
 *
 *	caller ── intermediate ── outer ── inner
 *	   |            |           |        └ executes the command: the main process
 *	   |            |           └ subreaper and session leader; executes supervise, when inner has succeeded
 *	   |            └ exits, so that supervise is not the caller's child; only if the caller did not ask for its pid
 *	   └ returns when all three have executed or exited
 *
 * Each is a clone that shares the memory of the one before, which sleeps meanwhile (CLONE_VM | CLONE_VFORK), as posix_spawn(3)
 * does it: however big the caller, nothing is copied, and no handler of pthread_atfork(3) runs. Where that is emulated by a
 * plain fork (valgrind, qemu-user) it works as well: what they tell each other is in a mapping that is shared anyway, and that
 * it is complete is told by the end of a pipe, the write ends of which are closed by execve or exit.
 *
 * All signals are blocked until just before each execve, and no handler is left by then.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>

#include "supervise.h"

#define STACK_SIZE (64 << 10)

enum { INTERMEDIATE, OUTER, INNER, PROCESSES };

/* A plan is all that the processes need, made before the first fork. */
struct plan {
	/* What they report. */
	volatile pid_t main, supervisor;
	volatile int error; /* an errno; 0: none yet */

	const struct supervise_options *options;
	char *const *argv;
	char *const *envp;
	char **commands;  /* paths at which argv[0] may be */
	char *supervise;  /* path */
	int *staged;      /* room for a descriptor for each of options->fds */
	sigset_t sigmask; /* of the main process */
	int socket[2];    /* the caller's end, supervise's end */
	int executed;     /* the write end of the pipe that the last process to be started is awaited by */

	char stack[PROCESSES][STACK_SIZE] __attribute__((aligned(16)));
};

/* A program that is linked with the archive has names of its own. */
#define candidates supervise_internal_candidates
#define path_of supervise_internal_path_of
#define find_supervise supervise_internal_find_supervise
#define off_stdio supervise_internal_off_stdio
#define start supervise_internal_start

/* path.c */
char **candidates(const char *name, const char *path);
const char *path_of(char *const envp[]);
char *find_supervise(const char *name);

/* child.c */
int off_stdio(int *fd);
pid_t start(struct plan *p);

#endif
