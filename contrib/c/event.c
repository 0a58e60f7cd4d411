/* The two directions of the descriptor. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervise.h"

/* protocol/ of the Go sources has the offsets. */
_Static_assert(sizeof(siginfo_t) == 128, "an event");
_Static_assert(sizeof(struct supervise_send_signal) == 8, "a request");

#define MAX_SIGNAL 64

int supervise_read_event(int fd, siginfo_t *event)
{
	ssize_t n;
	/* A supervise that ended with requests unread has the kernel say so first, and only once; the last events come after it. */
	do
		n = read(fd, event, sizeof *event);
	while (n < 0 && errno == ECONNRESET);
	if (n <= 0)
		return (int)n;
	if (n == (ssize_t)sizeof *event)
		return 1;
	errno = EPROTO;
	return -1;
}

int supervise_event_ended(const siginfo_t *event)
{
	return event->si_code == CLD_EXITED || event->si_code == CLD_KILLED || event->si_code == CLD_DUMPED;
}

int supervise_signal(int fd, pid_t pid, int signal)
{
	/* Supervise would ignore a signal that does not exist, and the caller would not know. */
	if (pid <= 0 || signal < 0 || signal > MAX_SIGNAL) {
		errno = EINVAL;
		return -1;
	}
	struct supervise_send_signal request = {.pid = pid, .signal = signal};
	if (send(fd, &request, sizeof request, MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == ECONNRESET) /* the same to the caller: it is gone */
		errno = EPIPE;
	return -1;
}

/* The name of 1.0, for programs that were linked then. One that has a function of that name is left alone. */
int supervise_send_signal(int fd, pid_t pid, int signal) __attribute__((weak, alias("supervise_signal")));
