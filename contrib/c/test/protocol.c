/* What goes to and fro through the descriptor. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"

void test_events(void)
{
	struct { char *script; int code, status; } table[] = {
		{"exit 0", CLD_EXITED, 0},
		{"exit 3", CLD_EXITED, 3},
		{"kill -KILL $$", CLD_KILLED, SIGKILL},
		{"kill -TERM $$", CLD_KILLED, SIGTERM},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct job j = start(SH(table[i].script), (struct supervise_options){0});
		expect(j, table[i].code, table[i].status);
		end(j);
	}
}

/* A stop and a continuation are events of a process that has not ended. */
void test_event_ended(void)
{
	int codes[] = {0, CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED};
	for (size_t i = 0; i < COUNT(codes); i++)
		WANT(supervise_event_ended(&(siginfo_t){.si_code = codes[i]}), 1 <= i && i <= 3);
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	int signals[] = {SIGSTOP, SIGCONT, SIGKILL};
	for (size_t i = 0; i < COUNT(signals); i++) {
		WANT(supervise_signal(j.fd, j.pid, signals[i]), 0);
		siginfo_t event = next(j);
		WANT(event.si_status, signals[i]);
		WANT(supervise_event_ended(&event), signals[i] == SIGKILL);
	}
	end(j);
}

void test_signals(void)
{
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	stop(j);
	WANT(supervise_signal(j.fd, j.pid, SIGCONT), 0);
	expect(j, CLD_CONTINUED, SIGCONT);
	WANT(supervise_signal(j.fd, j.pid, SIGTSTP), 0); /* not for an orphaned process group */
	expect(j, CLD_STOPPED, SIGTSTP);
	WANT(supervise_signal(j.fd, j.pid, 0), 0);
	WANT(supervise_signal(j.fd, getpid(), SIGKILL), 0); /* no child: ignored */
	WANT(supervise_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	end(j);
}

void test_send_errors(void)
{
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	int wrong[][2] = {{j.pid, -1}, {j.pid, 65}, {0, SIGKILL}, {-1, SIGKILL}};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		WANT(supervise_signal(j.fd, wrong[i][0], wrong[i][1]), -1);
		WANT(errno, EINVAL);
	}
	WANT(supervise_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	siginfo_t event;
	WANT(supervise_read_event(j.fd, &event), 0);
	WANT(supervise_signal(j.fd, j.pid, SIGKILL), -1); /* and no SIGPIPE */
	WANT(errno, EPIPE);
	end(j);
}

/* A supervise that has ended with requests unread: the kernel says ECONNRESET before the last events. */
void test_read_errors(void)
{
	int ends[2];
	siginfo_t event = {.si_signo = SIGCHLD};
	WANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	WANT(write(ends[1], "short", 5), 5);
	WANT(supervise_read_event(ends[0], &event), -1);
	WANT(errno, EPROTO);
	event.si_pid = 42;
	WANT(write(ends[1], &event, sizeof event), sizeof event);
	WANT(supervise_signal(ends[0], 42, 9), 0);
	close(ends[1]);
	WANT(supervise_read_event(ends[0], &event), 1);
	WANT(event.si_pid, 42);
	WANT(supervise_read_event(ends[0], &event), 0);
	close(ends[0]);
	WANT(supervise_read_event(ends[0], &event), -1);
	WANT(errno, EBADF);
}

/* The other order: the request that finds it gone is told the same, whichever way the kernel puts it. */
void test_send_reset(void)
{
	int ends[2];
	WANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	WANT(supervise_signal(ends[0], 42, 9), 0);
	close(ends[1]);
	WANT(supervise_signal(ends[0], 42, 9), -1);
	WANT(errno, EPIPE);
	close(ends[0]);
}

void test_nonblock(void)
{
	siginfo_t event;
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){.flags = O_NONBLOCK});
	WANT(supervise_read_event(j.fd, &event), -1);
	WANT(errno, EAGAIN);
	WANT(kill(j.supervisor, SIGSTOP), 0);
	int n = 0;
	while (supervise_signal(j.fd, j.pid, 0) == 0 && n < 1 << 20)
		n++;
	WANT(errno, EAGAIN);
	CHECK(n > 0);
	WANT(kill(j.supervisor, SIGCONT), 0);
	fcntl(j.fd, F_SETFL, 0);
	WANT(supervise_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	end(j);
}

void test_interrupted(void)
{
	siginfo_t event;
	struct sigaction action = {.sa_handler = ignore_signal}, old; /* no SA_RESTART */
	struct itimerval often = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
	unsigned int left = alarm(0); /* the same clock */
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	WANT(supervise_read_event(j.fd, &event), -1);
	WANT(errno, EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	alarm(left);
	drop(j);
}

void test_flags(void)
{
	struct { unsigned long flags; int fd_flags, status_flags; } table[] = {
		{0, FD_CLOEXEC, 0},
		{O_CLOEXEC, FD_CLOEXEC, 0},
		{O_NONBLOCK, FD_CLOEXEC, O_NONBLOCK},
		{SUPERVISE_INHERITABLE, 0, 0},
		{SUPERVISE_INHERITABLE | O_NONBLOCK, 0, O_NONBLOCK},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){.flags = table[i].flags});
		WANT(fcntl(j.fd, F_GETFD), table[i].fd_flags);
		WANT(fcntl(j.fd, F_GETFL) & O_NONBLOCK, table[i].status_flags);
		drop(j);
	}
}
