/* The end of a job, whoever ends it. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

void test_close_ends_all(void)
{
	int alive;
	struct job j = start_family(&alive);
	drop(j);
	fcntl(alive, F_SETFL, O_NONBLOCK);
	CHECK(end_of(alive)); /* at once: supervise does not end before its job */
}

/* The end of requests ends the job too, and the events still come. */
void test_shutdown(void)
{
	int alive;
	struct job j = start_family(&alive);
	WANT(shutdown(j.fd, SHUT_WR), 0);
	siginfo_t event;
	int n = 0, main = 0;
	while (supervise_read_event(j.fd, &event) == 1) {
		WANT(event.si_code, CLD_KILLED);
		WANT(event.si_status, SIGKILL);
		main += event.si_pid == j.pid;
		n++;
	}
	WANT(main, 1);
	WANT(n, FAMILY_SIZE);
	end(j);
	CHECK(end_of(alive));
}

/* The same without a pid of supervise's to wait for. */
void test_close_ends_all_unseen(void)
{
	int live[2], out[2];
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	int fd = supervise_spawnfd(SH(FAMILY), &(struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	CHECK(fd >= 0);
	close(live[1]);
	close(out[1]);
	await_family(out[0]);
	close(fd);
	CHECK(end_of(live[0]));
}

/* The caller's death is the same as closing. */
void test_caller_killed(void)
{
	int live[2], out[2], status;
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	pid_t caller = fork();
	if (caller == 0) {
		supervise_spawnfd(SH(FAMILY), &(struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
		pause();
	}
	close(live[1]);
	close(out[1]);
	await_family(out[0]);
	WANT(kill(caller, SIGKILL), 0);
	WANT(waitpid(caller, &status, 0), caller);
	CHECK(end_of(live[0]));
}

/* A job that starts its daemons when supervise is up. The guardian, which ends them here, is then there for all of them. */
void test_supervisor_killed(void)
{
	int live[2], out[2], status;
	siginfo_t event;
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	struct job j = start(SH("kill -STOP $$; " FAMILY), (struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	close(live[1]);
	close(out[1]);
	expect(j, CLD_STOPPED, SIGSTOP);
	WANT(supervise_signal(j.fd, j.pid, SIGCONT), 0);
	expect(j, CLD_CONTINUED, SIGCONT);
	await_family(out[0]);
	WANT(kill(j.supervisor, SIGKILL), 0);
	WANT(supervise_read_event(j.fd, &event), 0);
	WANT(waitpid(j.supervisor, &status, 0), j.supervisor);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(end_of(live[0]));
	close(j.fd);
}

void test_daemon_outlives_main(void)
{
	int alive[2];
	WANT(pipe2(alive, O_CLOEXEC), 0);
	struct job j = start(SH("setsid sleep 1000 & exit 7"), (struct supervise_options){FDS({3, alive[1]})});
	close(alive[1]);
	expect(j, CLD_EXITED, 7);
	WANT(shutdown(j.fd, SHUT_WR), 0);
	siginfo_t event = next(j); /* the orphan is a child of supervise by now */
	WANT(event.si_code, CLD_KILLED);
	end(j);
	CHECK(end_of(alive[0]));
}

/*
 * A job within a job: the end of the outer one is that of the inner. The inner one starts when the outer supervise is up, which
 * it would otherwise overtake, and make a cgroup that neither of them is left to remove.
 */
void test_nested(void)
{
	int live[2], out[2];
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	struct job j = start(ARGV(self, "helper-nested"), (struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	close(live[1]);
	close(out[1]);
	expect(j, CLD_STOPPED, SIGSTOP);
	WANT(supervise_signal(j.fd, j.pid, SIGCONT), 0);
	await_family(out[0]);
	drop(j);
	CHECK(end_of(live[0]));
}
