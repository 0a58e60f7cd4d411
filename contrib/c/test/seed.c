/* A client as they were written before: its own forks, and nothing of supervise.h but what it had then. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <supervise.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static void fail(int line, const char *condition)
{
	fprintf(stderr, "seed.c:%d: not so: %s\n", line, condition);
	exit(1);
}

/* Forks twice: the outer process becomes supervise, the inner one its child. */
static pid_t dfork(int controlfd, pid_t *supervisor)
{
	int report[2];
	pid_t child = 0;
	CHECK(pipe(report) == 0);
	CHECK((*supervisor = fork()) >= 0);
	if (*supervisor == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		child = fork();
		if (child == 0) {
			execl("/bin/sleep", "sleep", "1000", NULL);
			_exit(1);
		}
		if (write(report[1], &child, sizeof child) != sizeof child)
			_exit(1);
		close(report[0]);
		close(report[1]);
		dup2(controlfd, 0);
		dup2(controlfd, 1);
		execle(getenv("SUPERVISE_BIN"), "supervise", NULL, (char *[]){NULL});
		_exit(1);
	}
	close(report[1]);
	CHECK(read(report[0], &child, sizeof child) == sizeof child);
	close(report[0]);
	return child;
}

static void request(int fd, pid_t pid, int signal)
{
	struct supervise_send_signal message = {.pid = pid, .signal = signal};
	CHECK(write(fd, &message, sizeof message) == sizeof message);
}

static void expect(int fd, pid_t pid, int code, int status)
{
	siginfo_t event;
	CHECK(read(fd, &event, sizeof event) == sizeof event);
	CHECK(event.si_signo == SIGCHLD && event.si_errno == 0);
	CHECK(event.si_pid == pid && event.si_code == code && event.si_status == status && event.si_uid == getuid());
}

int main(void)
{
	int fds[2], status;
	siginfo_t event;
	pid_t supervisor;
	CHECK(getenv("SUPERVISE_BIN") != NULL);
	alarm(60);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	pid_t child = dfork(fds[1], &supervisor);
	close(fds[1]);
	request(fds[0], child, SIGSTOP);
	expect(fds[0], child, CLD_STOPPED, SIGSTOP);
	request(fds[0], child, SIGCONT);
	expect(fds[0], child, CLD_CONTINUED, SIGCONT);
	CHECK(shutdown(fds[0], SHUT_WR) == 0);
	expect(fds[0], child, CLD_KILLED, SIGKILL);
	CHECK(read(fds[0], &event, sizeof event) == 0);
	CHECK(waitpid(supervisor, &status, 0) == supervisor && status == 0);
	puts("ok seed");
	return 0;
}
