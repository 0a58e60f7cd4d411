/* Signal masks and dispositions, above all of SIGCHLD. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* A line of /proc/self/status of the main process, as a number. */
static unsigned long long signals_of(const char *line, struct supervise_options o)
{
	char *text = output(ARGV("cat", "/proc/self/status"), o), *at = strstr(text, line);
	CHECK(at != NULL);
	return strtoull(at + strlen(line), NULL, 16);
}

#define BIT(sig) (1ULL << ((sig) - 1))

void test_mask(void)
{
	sigset_t some, none, all, old;
	sigemptyset(&none);
	sigfillset(&all);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &some, &old);
	CHECK((signals_of("SigBlk:", (struct supervise_options){0}) & BIT(SIGUSR1)) != 0);
	WANT((long)signals_of("SigBlk:", (struct supervise_options){.sigmask = &none}), 0);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	stop(j);
	WANT(kill(j.supervisor, SIGUSR2), 0); /* supervise does not inherit the mask */
	expect(j, CLD_KILLED, SIGKILL);
	end(j);
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, &old, &now);
	CHECK(sigismember(&now, SIGUSR2) == 1);
}

void test_ignored(void)
{
	sigset_t pipe_;
	sigemptyset(&pipe_);
	sigaddset(&pipe_, SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGUSR1, ignore_signal);
	int fd = supervise_spawnfd(ARGV("true"), NULL);
	CHECK(fd >= 0 && signal(SIGUSR1, ignore_signal) == ignore_signal && signal(SIGCHLD, SIG_DFL) == SIG_IGN);
	close(fd);
	CHECK((signals_of("SigIgn:", (struct supervise_options){0}) & BIT(SIGPIPE)) != 0);
	CHECK((signals_of("SigIgn:", (struct supervise_options){.sigdefault = &pipe_}) & BIT(SIGPIPE)) == 0);
}

static volatile sig_atomic_t told;

static void child_ended(int sig)
{
	int error = errno;
	(void)sig;
	told++;
	while (waitpid(-1, NULL, WNOHANG) > 0) /* as many do */
		;
	errno = error;
}

static const struct sigaction dispositions[] = {
	{.sa_handler = SIG_DFL},
	{.sa_handler = SIG_IGN},
	{.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT},
	{.sa_handler = child_ended},
};

/* Whatever is done about SIGCHLD, events come, and nobody is told of a child that he did not ask for. */
void test_sigchld(void)
{
	siginfo_t event;
	for (size_t i = 0; i < 5 * COUNT(dispositions); i++) {
		sigaction(SIGCHLD, &dispositions[i % COUNT(dispositions)], NULL);
		int fd = supervise_spawnfd(SH("exit 9"), NULL);
		CHECK(fd >= 0);
		WANT(supervise_read_event(fd, &event), 1);
		WANT(event.si_status, 9);
		WANT(supervise_read_event(fd, &event), 0);
		close(fd);
		WANT(waitpid(-1, NULL, __WALL), -1);
		WANT(errno, ECHILD);
	}
	WANT(told, 0);
	signal(SIGCHLD, SIG_DFL);
}

void test_sigchld_errors(void)
{
	for (size_t i = 0; i < 5 * COUNT(dispositions); i++) {
		sigaction(SIGCHLD, &dispositions[i % COUNT(dispositions)], NULL);
		WANT_ERROR(ENOENT, ARGV("no-such-command"), 0);
	}
	WANT(told, 0);
	signal(SIGCHLD, SIG_DFL);
}

/* Who asks for supervise's pid has a child like any other. */
void test_sigchld_supervisor(void)
{
	struct job j;
	siginfo_t event;
	struct supervise_options o = {.pid = &j.pid, .supervisor = &j.supervisor};
	sigset_t chld, old;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &chld, &old);
	j.fd = supervise_spawnfd(SH("exit 9"), &o);
	CHECK(j.fd >= 0);
	WANT(sigwaitinfo(&chld, &event), SIGCHLD);
	WANT(event.si_pid, j.supervisor);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	expect(j, CLD_EXITED, 9);
	end(j);
	signal(SIGCHLD, SIG_IGN);
	j.fd = supervise_spawnfd(SH("exit 9"), &o);
	CHECK(j.fd >= 0);
	expect(j, CLD_EXITED, 9);
	WANT(supervise_read_event(j.fd, &event), 0);
	WANT(waitpid(j.supervisor, NULL, 0), -1); /* returns when it is gone */
	WANT(errno, ECHILD);
	close(j.fd);
	signal(SIGCHLD, SIG_DFL);
}
