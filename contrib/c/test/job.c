/* What the tests are made of: jobs, what they write, and what is left of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

char self[PATH_SIZE], dir[PATH_SIZE];

void fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", file, line, condition, strerror(errno));
	_exit(1);
}

void want_number(const char *file, int line, const char *what, long got, long want)
{
	if (got == want)
		return;
	fprintf(stderr, "%s:%d: %s is %ld, want %ld (errno: %s)\n", file, line, what, got, want, strerror(errno));
	_exit(1);
}

void want_text(const char *file, int line, const char *got, const char *want)
{
	if (strcmp(got, want) == 0)
		return;
	fprintf(stderr, "%s:%d: got %s\nwant %s\n", file, line, got, want);
	_exit(1);
}

/* The pid of supervise is asked for, and so it has to be waited for: see end. */
struct job start(char *const argv[], struct supervise_options o)
{
	struct job j;
	o.pid = &j.pid;
	o.supervisor = &j.supervisor;
	j.fd = supervise_spawnfd(argv, &o);
	CHECK(j.fd >= 0 && j.pid > 0 && j.supervisor > 0);
	return j;
}

siginfo_t next(struct job j)
{
	siginfo_t event = {0};
	WANT(supervise_read_event(j.fd, &event), 1);
	return event;
}

void expect(struct job j, int code, int status)
{
	siginfo_t event = next(j);
	WANT(event.si_pid, j.pid);
	WANT(event.si_code, code);
	WANT(event.si_status, status);
	WANT(event.si_uid, getuid());
}

/* Reads what is left, and waits for supervise. */
void end(struct job j)
{
	siginfo_t event;
	int n, status;
	while ((n = supervise_read_event(j.fd, &event)) == 1)
		;
	WANT(n, 0);
	close(j.fd);
	WANT(waitpid(j.supervisor, &status, 0), j.supervisor);
	WANT(status, 0);
}

/* Closes the descriptor while the job runs. */
void drop(struct job j)
{
	int status;
	close(j.fd);
	WANT(waitpid(j.supervisor, &status, 0), j.supervisor);
	WANT(status, 0);
}

/* Has the main process stopped, which tells that supervise is up, and that the main process lives. */
void stop(struct job j)
{
	WANT(supervise_signal(j.fd, j.pid, SIGSTOP), 0);
	expect(j, CLD_STOPPED, SIGSTOP);
}

/* Reads a pipe to its end. */
char *slurp(int fd)
{
	static _Thread_local char text[TEXT];
	size_t n = 0;
	ssize_t got;
	while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fd);
	return text;
}

/* What a command writes to its standard output. */
char *output(char *const argv[], struct supervise_options o)
{
	int ends[2];
	WANT(pipe2(ends, O_CLOEXEC), 0);
	o.fds = (struct supervise_fd[]){{1, ends[1]}};
	o.nfds = 1;
	struct job j = start(argv, o);
	close(ends[1]);
	char *text = slurp(ends[0]);
	expect(j, CLD_EXITED, 0);
	end(j);
	return text;
}

char *read_file(const char *format, int pid)
{
	char path[64];
	snprintf(path, sizeof path, format, pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return slurp(fd);
}

/* Makes a file beside this program; delete() is its end. */
const char *make(const char *name, const char *text, mode_t mode)
{
	static char path[sizeof dir + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
	return path;
}

void delete(const char *name)
{
	char path[sizeof dir + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

bool end_of(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);
	close(fd);
	return n == 0;
}

/* Waits until they are all there. */
void await_family(int said)
{
	char c;
	for (int i = 0; i < FAMILY_SIZE; i++)
		WANT(read(said, &c, 1), 1);
	close(said);
}

/* Starts it; alive is a pipe whose end tells that all are dead. */
struct job start_family(int *alive)
{
	int live[2], out[2];
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	struct job j = start(SH(FAMILY), (struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	close(live[1]);
	close(out[1]);
	await_family(out[0]);
	*alive = live[0];
	return j;
}

/* What is left. */

/* Prints the open descriptors and what they are, in order; for a helper process, to descriptor 1 or another. */
void print_fds(int to)
{
	char path[64], what[256], line[TEXT];
	size_t n = 0;
	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, what, sizeof what - 1);
		if (length < 0)
			continue;
		what[length] = '\0';
		n += (size_t)snprintf(line + n, sizeof line - n, "%d=%s\n", fd, what);
	}
	CHECK(write(to, line, n) == (ssize_t)n);
}

int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	CHECK(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* No process of ours, and none that has come to the subreaper above: it has us alone. */
void want_alone(void)
{
	char path[64], text[64];
	WANT(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	WANT(errno, ECHILD);
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", getppid(), getppid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	snprintf(text, sizeof text, "%d ", getpid());
	WANT_TEXT(slurp(fd), text);
}

/* Each error leaves nothing, whether supervise is to be the caller's child or not. */
void want_error(const char *file, int line, char *const argv[], struct supervise_options o, int error)
{
	pid_t pid = -1, supervisor = -1;
	o.pid = &pid;
	for (int i = 0; i < 2; i++) {
		int fds = count_fds();
		o.supervisor = i == 0 ? NULL : &supervisor;
		int fd = supervise_spawnfd(argv, &o), got = errno;
		want_number(file, line, "what is returned", fd, -1);
		want_number(file, line, "errno", got, error);
		want_number(file, line, "pid", pid, -1);
		want_number(file, line, "supervisor", supervisor, -1);
		want_number(file, line, "descriptors", count_fds(), fds);
		want_alone();
	}
}

/* A handler. */
void ignore_signal(int sig)
{
	(void)sig;
}
