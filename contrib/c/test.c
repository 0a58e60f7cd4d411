/*
 * Tests of libsupervise with the built supervise: SUPERVISE_BIN in the environment says where it is.
 *
 *	build/test [NAME]...
 *
 * Each test is a process of its own, below one that is a subreaper: what a test leaves behind comes to that, which waits for
 * all of it. A test must leave no descriptor and no child. Nothing sleeps: a pipe that the whole job holds tells of its end.
 * SUPERVISE_TEST_CONTAINMENT, `cgroup` or `subreaper`, says how jobs are to be held here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

#define DEADLINE 120 /* s, of a test, and of what it has left to end */
#define TEXT 8192

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))
#define WANT(got, want) want_number(__LINE__, #got, (got), (want))
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ARGV(...) ((char *[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script)
#define FDS(...) .fds = (struct supervise_fd[]){__VA_ARGS__}, .nfds = COUNT(((struct supervise_fd[]){__VA_ARGS__}))

static char self[4096]; /* this program */
static char dir[4096];  /* where it is, and files may be made */

static void fail(int line, const char *condition)
{
	fprintf(stderr, "test.c:%d: not so: %s (errno: %s)\n", line, condition, strerror(errno));
	_exit(1);
}

static void want_number(int line, const char *what, long got, long want)
{
	if (got == want)
		return;
	fprintf(stderr, "test.c:%d: %s is %ld, want %ld (errno: %s)\n", line, what, got, want, strerror(errno));
	_exit(1);
}

static void want_text(int line, const char *got, const char *want)
{
	if (strcmp(got, want) == 0)
		return;
	fprintf(stderr, "test.c:%d: got %s\nwant %s\n", line, got, want);
	_exit(1);
}

#define WANT_TEXT(got, want) want_text(__LINE__, (got), (want))

/* Jobs. */

struct job {
	int fd;
	pid_t pid, supervisor;
};

/* The pid of supervise is asked for, and so it has to be waited for: see end. */
static struct job start(char *const argv[], struct supervise_options o)
{
	struct job j;
	o.pid = &j.pid;
	o.supervisor = &j.supervisor;
	j.fd = supervise_spawnfd(argv, &o);
	CHECK(j.fd >= 0 && j.pid > 0 && j.supervisor > 0);
	return j;
}

static siginfo_t next(struct job j)
{
	siginfo_t event = {0};
	WANT(supervise_read_event(j.fd, &event), 1);
	return event;
}

static void expect(struct job j, int code, int status)
{
	siginfo_t event = next(j);
	WANT(event.si_pid, j.pid);
	WANT(event.si_code, code);
	WANT(event.si_status, status);
	WANT(event.si_uid, getuid());
}

/* Reads what is left, and waits for supervise. */
static void end(struct job j)
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
static void drop(struct job j)
{
	int status;
	close(j.fd);
	WANT(waitpid(j.supervisor, &status, 0), j.supervisor);
	WANT(status, 0);
}

/* Has the main process stopped, which tells that supervise is up, and that the main process lives. */
static void stop(struct job j)
{
	WANT(supervise_send_signal(j.fd, j.pid, SIGSTOP), 0);
	expect(j, CLD_STOPPED, SIGSTOP);
}

/* Reads a pipe to its end. */
static char *slurp(int fd)
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
static char *output(char *const argv[], struct supervise_options o)
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

static char *read_file(const char *format, int pid)
{
	char path[64];
	snprintf(path, sizeof path, format, pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return slurp(fd);
}

/* Makes a file beside this program; delete() is its end. */
static const char *make(const char *name, const char *text, mode_t mode)
{
	static char path[sizeof dir + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
	return path;
}

static void delete(const char *name)
{
	char path[sizeof dir + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

static bool end_of(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);
	close(fd);
	return n == 0;
}

/* A command that has daemons, of sessions of their own and forked twice, all of which hold descriptor 3. Each says a byte. */
#define SAY "printf x; exec sleep 1000"
#define FAMILY "trap '' HUP INT TERM; setsid sh -c '" SAY "' & (setsid sh -c '(" SAY ") & " SAY "' &); " SAY
#define FAMILY_SIZE 4

/* Waits until they are all there. */
static void await_family(int said)
{
	char c;
	for (int i = 0; i < FAMILY_SIZE; i++)
		WANT(read(said, &c, 1), 1);
	close(said);
}

/* Starts it; alive is a pipe whose end tells that all are dead. */
static struct job start_family(int *alive)
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
static void print_fds(int to)
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

static int count_fds(void)
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
static void want_alone(void)
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

/* The tests. */

static void test_events(void)
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

static void test_signals(void)
{
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	stop(j);
	WANT(supervise_send_signal(j.fd, j.pid, SIGCONT), 0);
	expect(j, CLD_CONTINUED, SIGCONT);
	WANT(supervise_send_signal(j.fd, j.pid, SIGTSTP), 0); /* not for an orphaned process group */
	expect(j, CLD_STOPPED, SIGTSTP);
	WANT(supervise_send_signal(j.fd, j.pid, 0), 0);
	WANT(supervise_send_signal(j.fd, getpid(), SIGKILL), 0); /* no child: ignored */
	WANT(supervise_send_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	end(j);
}

static void test_send_errors(void)
{
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	int wrong[][2] = {{j.pid, -1}, {j.pid, 65}, {0, SIGKILL}, {-1, SIGKILL}};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		WANT(supervise_send_signal(j.fd, wrong[i][0], wrong[i][1]), -1);
		WANT(errno, EINVAL);
	}
	WANT(supervise_send_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	siginfo_t event;
	WANT(supervise_read_event(j.fd, &event), 0);
	WANT(supervise_send_signal(j.fd, j.pid, SIGKILL), -1); /* and no SIGPIPE */
	WANT(errno, EPIPE);
	end(j);
}

/* A supervise that has ended with requests unread: the kernel says ECONNRESET before the last events. */
static void test_read_errors(void)
{
	int ends[2];
	siginfo_t event = {.si_signo = SIGCHLD};
	WANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	WANT(write(ends[1], "short", 5), 5);
	WANT(supervise_read_event(ends[0], &event), -1);
	WANT(errno, EPROTO);
	event.si_pid = 42;
	WANT(write(ends[1], &event, sizeof event), sizeof event);
	WANT(supervise_send_signal(ends[0], 42, 9), 0);
	close(ends[1]);
	WANT(supervise_read_event(ends[0], &event), 1);
	WANT(event.si_pid, 42);
	WANT(supervise_read_event(ends[0], &event), 0);
	close(ends[0]);
	WANT(supervise_read_event(ends[0], &event), -1);
	WANT(errno, EBADF);
}

/* The other order: the request that finds it gone is told the same, whichever way the kernel puts it. */
static void test_send_reset(void)
{
	int ends[2];
	WANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	WANT(supervise_send_signal(ends[0], 42, 9), 0);
	close(ends[1]);
	WANT(supervise_send_signal(ends[0], 42, 9), -1);
	WANT(errno, EPIPE);
	close(ends[0]);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

static void test_nonblock(void)
{
	siginfo_t event;
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){.flags = O_NONBLOCK});
	WANT(supervise_read_event(j.fd, &event), -1);
	WANT(errno, EAGAIN);
	WANT(kill(j.supervisor, SIGSTOP), 0);
	int n = 0;
	while (supervise_send_signal(j.fd, j.pid, 0) == 0 && n < 1 << 20)
		n++;
	WANT(errno, EAGAIN);
	CHECK(n > 0);
	WANT(kill(j.supervisor, SIGCONT), 0);
	fcntl(j.fd, F_SETFL, 0);
	WANT(supervise_send_signal(j.fd, j.pid, SIGKILL), 0);
	expect(j, CLD_KILLED, SIGKILL);
	end(j);
}

static void test_interrupted(void)
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

static void test_flags(void)
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

/* NULL and zeros will do, and leave the caller nothing to wait for. */
static void test_no_options(void)
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
static void test_size(void)
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

/* Each error leaves nothing, whether supervise is to be the caller's child or not. */
static void want_error(int line, char *const argv[], struct supervise_options o, int error)
{
	pid_t pid = -1, supervisor = -1;
	o.pid = &pid;
	for (int i = 0; i < 2; i++) {
		int fds = count_fds();
		o.supervisor = i == 0 ? NULL : &supervisor;
		int fd = supervise_spawnfd(argv, &o), got = errno;
		want_number(line, "what is returned", fd, -1);
		want_number(line, "errno", got, error);
		want_number(line, "pid", pid, -1);
		want_number(line, "supervisor", supervisor, -1);
		want_number(line, "descriptors", count_fds(), fds);
		want_alone();
	}
}

#define WANT_ERROR(error, argv, ...) want_error(__LINE__, argv, (struct supervise_options){__VA_ARGS__}, error)

static void test_command_errors(void)
{
	char *true_[] = {"true", NULL}, *none[] = {NULL};
	char *dot[] = {"/", NULL}, *empty[] = {"", NULL};
	WANT_ERROR(ENOENT, ARGV("no-such-command"), 0);
	WANT_ERROR(ENOENT, ARGV("/no/such/command"), 0);
	WANT_ERROR(ENOENT, empty, 0);
	WANT_ERROR(ENOENT, true_, .cwd = "/no/such/directory");
	WANT_ERROR(ENOTDIR, true_, .cwd = "/dev/null");
	WANT_ERROR(EACCES, dot, 0);
	WANT_ERROR(EINVAL, NULL, 0);
	WANT_ERROR(EINVAL, none, 0);
	WANT_ERROR(EINVAL, true_, .flags = 1UL << 40);
	WANT_ERROR(EINVAL, true_, .flags = O_CLOEXEC | SUPERVISE_INHERITABLE);
	WANT_ERROR(EACCES, ARGV((char *)make("plain", "#!/bin/sh\n", 0644)), 0);
	WANT_ERROR(ENOEXEC, ARGV((char *)make("plain", "echo\n", 0755)), 0);
	delete("plain");
	char *huge = malloc(1 << 20);
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	WANT_ERROR(E2BIG, ARGV("true", huge), 0);
	WANT_ERROR(ENAMETOOLONG, ARGV(huge), 0);
	free(huge);
}

static void test_fd_errors(void)
{
	struct rlimit limit;
	char *true_[] = {"true", NULL};
	WANT(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int beyond = (int)(limit.rlim_cur > INT_MAX ? INT_MAX : limit.rlim_cur);
	WANT_ERROR(EBADF, true_, FDS({-1, 0}));
	WANT_ERROR(EBADF, true_, FDS({5, 999}));
	WANT_ERROR(EBADF, true_, FDS({5, -2}));
	WANT_ERROR(EBADF, true_, FDS({beyond, 0}));
	WANT_ERROR(EINVAL, true_, FDS({5, 0}, {6, 0}, {5, 1}));
	WANT_ERROR(EINVAL, true_, .nfds = 1);
}

/* Without room for a descriptor, wherever it runs out. */
static void test_fd_limit(void)
{
	struct rlimit old, low;
	int used = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the first that is free */
	close(used);
	WANT(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	int failed = 0, fd = -1;
	for (low.rlim_cur = (rlim_t)used; fd < 0; low.rlim_cur++) {
		CHECK(failed++ < 20);
		setrlimit(RLIMIT_NOFILE, &low);
		fd = supervise_spawnfd(ARGV("true"), &(struct supervise_options){FDS({0, 1}, {1, 0})});
		int error = errno;
		setrlimit(RLIMIT_NOFILE, &old);
		if (fd < 0) {
			WANT(error, EMFILE);
			want_alone();
		}
	}
	CHECK(failed > 4); /* two sockets, three pipes, copies */
	close(fd);
}

static void test_no_supervise(void)
{
	char *sh[] = {"/bin/sh", "-c", "exit 0", NULL}, *saved = strdup(getenv("SUPERVISE_BIN")), *path = strdup(getenv("PATH"));
	WANT_ERROR(ENOPKG, sh, .supervise = "/no/such/supervise");
	WANT_ERROR(ENOPKG, sh, .supervise = "no-such-supervise");
	WANT_ERROR(ENOPKG, sh, .supervise = "/");
	WANT_ERROR(ENOPKG, sh, .supervise = make("no-supervise", "#!/bin/sh\n", 0644));
	setenv("SUPERVISE_BIN", "/no/such/supervise", 1);
	WANT_ERROR(ENOPKG, sh, 0);
	unsetenv("SUPERVISE_BIN");
	setenv("PATH", "/no/such/directory", 1);
	WANT_ERROR(ENOPKG, sh, 0);
	setenv("PATH", path, 1);
	setenv("SUPERVISE_BIN", saved, 1);
	delete("no-supervise");
	free(saved);
	free(path);
}

/* By option, by SUPERVISE_BIN, and on PATH, in this order. */
static void test_find_supervise(void)
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

/* It is there, but cannot be executed after all: the command runs by then, and is ended with all it has started. */
static void test_bad_supervise(void)
{
	const char *bad = make("bad-supervise", "nothing to execute", 0755);
	for (int i = 0; i < 20; i++) {
		int ends[2];
		char c;
		WANT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		struct supervise_options o = {.supervise = bad, FDS({3, ends[1]})};
		WANT(supervise_spawnfd(SH("exec >/dev/null; " FAMILY), &o), -1);
		WANT(errno, ENOEXEC);
		want_alone();
		close(ends[1]);
		WANT(read(ends[0], &c, 1), 0); /* at once */
		close(ends[0]);
	}
	WANT_ERROR(ENOEXEC, SH("exit 0"), .supervise = bad);
	delete("bad-supervise");
}

static void test_environment(void)
{
	WANT_TEXT(output(ARGV("/usr/bin/env"), (struct supervise_options){.envp = ARGV("A=b", "C=")}), "A=b\nC=\n");
	char *none[] = {NULL};
	WANT_TEXT(output(ARGV("env"), (struct supervise_options){.envp = none}), "");
	setenv("SUPERVISE_TEST_WORD", "inherited", 1);
	CHECK(strstr(output(ARGV("env"), (struct supervise_options){0}), "\nSUPERVISE_TEST_WORD=inherited\n") != NULL);
	WANT_TEXT(output(ARGV("/bin/pwd"), (struct supervise_options){.cwd = "/"}), "/\n");
}

/* argv[0] is looked up on the new environment's PATH, if it has one, else on the caller's. */
static void test_path(void)
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

/* The descriptors that a process started with these options has, as print_fds has them. */
static char *fds_of(struct supervise_fd *fds, size_t n, int report)
{
	int ends[2];
	char number[16];
	struct supervise_fd *all = calloc(n + 1, sizeof *all);
	for (size_t i = 0; i < n; i++)
		all[i] = fds[i];
	WANT(pipe2(ends, O_CLOEXEC), 0);
	all[n] = (struct supervise_fd){report, ends[1]};
	snprintf(number, sizeof number, "%d", report);
	struct job j = start(ARGV(self, "helper-fds", number), (struct supervise_options){.fds = all, .nfds = n + 1});
	free(all);
	close(ends[1]);
	char *text = slurp(ends[0]);
	expect(j, CLD_EXITED, 0);
	end(j);
	/* Without the last line, which is the report's. */
	char *last = strrchr(text, '=');
	while (last != NULL && last > text && last[-1] != '\n')
		last--;
	if (last != NULL)
		*last = '\0';
	return text;
}

#define FDS_OF(report, ...) fds_of((struct supervise_fd[]){__VA_ARGS__}, COUNT(((struct supervise_fd[]){__VA_ARGS__})), report)

static void open_at(int fd, const char *path, int flags)
{
	int opened = open(path, O_RDONLY);
	CHECK(opened >= 0 && dup3(opened, fd, flags) == fd);
	close(opened);
}

#define STDIO "0=/dev/null\n1=/dev/null\n2=/dev/null\n"

static void test_fds(void)
{
	open_at(10, "/", 0);
	open_at(11, "/dev", 0);
	open_at(12, "/proc", O_CLOEXEC);
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}), STDIO "10=/\n11=/dev\n"); /* what the caller lets be inherited, is */
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, 11}, {11, 10}), STDIO "10=/dev\n11=/\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, 11}, {11, 12}, {12, 10}), STDIO "10=/dev\n11=/proc\n12=/\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, SUPERVISE_CLOSED}, {15, SUPERVISE_CLOSED}), STDIO "11=/dev\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {12, 12}), STDIO "10=/\n11=/dev\n12=/proc\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {3, 10}, {4, 10}, {5, 10}, {6, 11}, {7, 12}), STDIO "3=/\n4=/\n5=/\n6=/dev\n7=/proc\n10=/\n11=/dev\n");
	WANT_TEXT(FDS_OF(20, {0, 10}, {1, SUPERVISE_CLOSED}, {2, SUPERVISE_CLOSED}), "0=/\n10=/\n11=/dev\n");
	close(10);
	close(11);
	close(12);
}

/* The library's own descriptors would be 0, 1 and 2, and get in the way of the child's. */
static void test_no_stdio(void)
{
	int saved[3];
	for (int fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	char *text = fds_of(NULL, 0, 20);
	int ok = strcmp(text, "") == 0;
	WANT_ERROR(ENOENT, ARGV("no-such-command"), 0);
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	CHECK(j.fd > 2);
	stop(j);
	drop(j);
	for (int fd = 0; fd < 3; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	CHECK(ok);
}

static void test_many_fds(void)
{
	struct supervise_fd fds[200];
	for (int i = 0; i < 200; i++)
		fds[i] = (struct supervise_fd){i < 3 ? i : i + 1, 0};
	char *text = fds_of(fds, 200, 900), *line = text;
	int n = 0;
	for (; (line = strchr(line, '\n')) != NULL; line++)
		n++;
	WANT(n, 200);
}

/* Supervise keeps nothing of the caller's open: what the job has closed is closed. */
static void test_supervise_holds_nothing(void)
{
	int ends[2];
	WANT(pipe(ends), 0);
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	char script[64];
	snprintf(script, sizeof script, "exec %d>&-; exec sleep 1000", ends[1]);
	struct job j = start(SH(script), (struct supervise_options){0});
	close(ends[1]);
	CHECK(end_of(ends[0]));
	stop(j);
	WANT_TEXT(read_file("/proc/%d/environ", j.supervisor), "");
	drop(j);
}

static void test_close_ends_all(void)
{
	int alive;
	struct job j = start_family(&alive);
	drop(j);
	fcntl(alive, F_SETFL, O_NONBLOCK);
	CHECK(end_of(alive)); /* at once: supervise does not end before its job */
}

/* The end of requests ends the job too, and the events still come. */
static void test_shutdown(void)
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
static void test_close_ends_all_unseen(void)
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
static void test_caller_killed(void)
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
static void test_supervisor_killed(void)
{
	int live[2], out[2], status;
	siginfo_t event;
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	struct job j = start(SH("kill -STOP $$; " FAMILY), (struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	close(live[1]);
	close(out[1]);
	expect(j, CLD_STOPPED, SIGSTOP);
	WANT(supervise_send_signal(j.fd, j.pid, SIGCONT), 0);
	expect(j, CLD_CONTINUED, SIGCONT);
	await_family(out[0]);
	WANT(kill(j.supervisor, SIGKILL), 0);
	WANT(supervise_read_event(j.fd, &event), 0);
	WANT(waitpid(j.supervisor, &status, 0), j.supervisor);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(end_of(live[0]));
	close(j.fd);
}

static void test_daemon_outlives_main(void)
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

static void test_session(void)
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

/* A line of /proc/self/status of the main process, as a number. */
static unsigned long long signals_of(const char *line, struct supervise_options o)
{
	char *text = output(ARGV("cat", "/proc/self/status"), o), *at = strstr(text, line);
	CHECK(at != NULL);
	return strtoull(at + strlen(line), NULL, 16);
}

#define BIT(sig) (1ULL << ((sig) - 1))

static void test_mask(void)
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

static void test_ignored(void)
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
	{.sa_handler = SIG_DFL}, {.sa_handler = SIG_IGN}, {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, {.sa_handler = child_ended},
};

/* Whatever is done about SIGCHLD, events come, and nobody is told of a child that he did not ask for. */
static void test_sigchld(void)
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

static void test_sigchld_errors(void)
{
	for (size_t i = 0; i < 5 * COUNT(dispositions); i++) {
		sigaction(SIGCHLD, &dispositions[i % COUNT(dispositions)], NULL);
		WANT_ERROR(ENOENT, ARGV("no-such-command"), 0);
	}
	WANT(told, 0);
	signal(SIGCHLD, SIG_DFL);
}

/* Who asks for supervise's pid has a child like any other. */
static void test_sigchld_supervisor(void)
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

#define THREADS 8
#define ROUNDS 10

/* Each round has a pipe, and the job that pipe and nothing else. */
static void *spawn_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int ends[2];
		siginfo_t event;
		WANT(pipe2(ends, O_CLOEXEC), 0);
		struct supervise_options o = {FDS({0, SUPERVISE_CLOSED}, {1, ends[1]}, {2, SUPERVISE_CLOSED})};
		int fd = supervise_spawnfd(ARGV(self, "helper-fds", "1"), &o);
		CHECK(fd >= 0);
		close(ends[1]);
		char *text = slurp(ends[0]), *end;
		CHECK(strncmp(text, "1=pipe:", 7) == 0 && (end = strchr(text, '\n')) != NULL && end[1] == '\0');
		WANT(supervise_read_event(fd, &event), 1);
		WANT(supervise_read_event(fd, &event), 0);
		close(fd);
	}
	return NULL;
}

/* Errors in other threads meanwhile. */
static void *fail_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS * 10; i++) {
		WANT(supervise_spawnfd(ARGV("no-such-command"), NULL), -1);
		WANT(errno, ENOENT);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		WANT(pthread_create(&threads[i], NULL, i % 4 == 3 ? fail_many : spawn_many, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		WANT(pthread_join(threads[i], NULL), 0);
}

static int spawned = -1;

static void *spawn_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	spawned = supervise_spawnfd(ARGV("true"), NULL);
	pthread_testcancel();
	return arg;
}

/* A cancellation waits until the call is over. */
static void test_cancel(void)
{
	pthread_t thread;
	void *result;
	WANT(pthread_create(&thread, NULL, spawn_cancelled, NULL), 0);
	WANT(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED && spawned >= 0);
	close(spawned);
}

/*
 * A job within a job: the end of the outer one is that of the inner. The inner one starts when the outer supervise is up, which
 * it would otherwise overtake, and make a cgroup that neither of them is left to remove.
 */
static void test_nested(void)
{
	int live[2], out[2];
	WANT(pipe2(live, O_CLOEXEC), 0);
	WANT(pipe2(out, O_CLOEXEC), 0);
	struct job j = start(ARGV(self, "helper-nested"), (struct supervise_options){FDS({1, out[1]}, {3, live[1]})});
	close(live[1]);
	close(out[1]);
	expect(j, CLD_STOPPED, SIGSTOP);
	WANT(supervise_send_signal(j.fd, j.pid, SIGCONT), 0);
	await_family(out[0]);
	drop(j);
	CHECK(end_of(live[0]));
}

/* The job is held as whoever runs the tests has meant it. */
static void test_containment(void)
{
	const char *want = getenv("SUPERVISE_TEST_CONTAINMENT");
	struct job j = start(ARGV("sleep", "1000"), (struct supervise_options){0});
	stop(j);
	bool in_job = strstr(read_file("/proc/%d/cgroup", j.pid), "/jobs-") != NULL;
	if (want != NULL)
		WANT(in_job, strcmp(want, "cgroup") == 0);
	drop(j);
}

static const struct { const char *name; void (*run)(void); } tests[] = {
	{"events", test_events},
	{"signals", test_signals},
	{"send errors", test_send_errors},
	{"send reset", test_send_reset},
	{"read errors", test_read_errors},
	{"nonblock", test_nonblock},
	{"interrupted", test_interrupted},
	{"flags", test_flags},
	{"no options", test_no_options},
	{"size", test_size},
	{"command errors", test_command_errors},
	{"fd errors", test_fd_errors},
	{"fd limit", test_fd_limit},
	{"no supervise", test_no_supervise},
	{"find supervise", test_find_supervise},
	{"bad supervise", test_bad_supervise},
	{"environment", test_environment},
	{"path", test_path},
	{"fds", test_fds},
	{"no stdio", test_no_stdio},
	{"many fds", test_many_fds},
	{"supervise holds nothing", test_supervise_holds_nothing},
	{"close ends all", test_close_ends_all},
	{"close ends all unseen", test_close_ends_all_unseen},
	{"shutdown", test_shutdown},
	{"caller killed", test_caller_killed},
	{"supervisor killed", test_supervisor_killed},
	{"daemon outlives main", test_daemon_outlives_main},
	{"session", test_session},
	{"mask", test_mask},
	{"ignored", test_ignored},
	{"sigchld", test_sigchld},
	{"sigchld errors", test_sigchld_errors},
	{"sigchld supervisor", test_sigchld_supervisor},
	{"threads", test_threads},
	{"cancel", test_cancel},
	{"nested", test_nested},
	{"containment", test_containment},
};

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
