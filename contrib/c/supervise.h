/* libsupervise: processes by a descriptor, which nothing they start outlives. See supervise_spawnfd(3). */
#ifndef _SUPERVISE_H
#define _SUPERVISE_H 1

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/select.h> /* sigset_t, of which <signal.h> says nothing under -std=c99 */
#include <sys/types.h>

#include "supervise_protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A descriptor of the main process: a copy of one of the caller's, or none. */
struct supervise_fd {
	int target;
	int source; /* the caller's, or SUPERVISE_CLOSED */
};

#define SUPERVISE_CLOSED (-1)

/* A flag beside O_NONBLOCK and O_CLOEXEC: the descriptor that is returned survives execve(2). */
#define SUPERVISE_INHERITABLE 1

/* How to start the main process. Every field may be 0. */
struct supervise_options {
	size_t size;                    /* sizeof(struct supervise_options); 0: the fields below, and none that come later */
	unsigned long flags;            /* of the descriptor that is returned, close-on-exec if there is none: see above */
	char *const *envp;              /* the whole environment; NULL: the caller's */
	const char *cwd;                /* the working directory; NULL: the caller's */
	const struct supervise_fd *fds; /* descriptors, all set at once, so that they can be swapped */
	size_t nfds;                    /* how many */
	const sigset_t *sigmask;        /* the signal mask; NULL: the calling thread's */
	const sigset_t *sigdefault;     /* signals that it shall not ignore though the caller does; NULL: only SIGCHLD */
	const char *supervise;          /* the program; NULL: from SUPERVISE_BIN in the environment, else on PATH */
	pid_t *pid;                     /* where the main process's id goes */
	pid_t *supervisor;              /* where supervise's id goes, and the caller has to wait for it; NULL: it is not his child */
};

/* Starts argv[0] and returns the descriptor whose closing ends it and all it has started. On an error, -1 and errno.
 * It has no terminal: the manual page says what to do for ssh, sudo and gpg. */
int supervise_spawnfd(char *const argv[], const struct supervise_options *options);

#ifdef SI_USER /* <signal.h> has a siginfo_t: not under -std=c99, unless _POSIX_C_SOURCE or the like is defined */

/* Reads an event: 1, or 0 at the end, when all are dead. On an error, -1 and errno. */
int supervise_read_event(int fd, siginfo_t *event);

/* Says whether the process that an event is about has ended: a stop and a continuation are events too. */
int supervise_event_ended(const siginfo_t *event);

#endif

/* Asks for a signal to be sent to a child of supervise, such as the main process. On an error, -1 and errno. */
int supervise_signal(int fd, pid_t pid, int signal);

#ifdef SUPERVISE_1_0 /* for those who call it by its name of 1.0. A program that has a function of that name is left alone */
#define supervise_send_signal(fd, pid, signal) supervise_signal(fd, pid, signal)
#endif

#ifdef __cplusplus
}
#endif

#endif
