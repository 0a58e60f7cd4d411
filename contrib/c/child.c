/*
 * The processes between the fork and execve. They share the caller's memory, and other threads hold locks in it: only
 * async-signal-safe functions, and no memory but the plan and the own stack. A sanitizer knows nothing of such stacks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"

#ifdef __clang__
#define CHILD __attribute__((no_sanitize("address", "memory", "thread")))
#else
#define CHILD __attribute__((no_sanitize_address, no_sanitize_thread))
#endif

#define FIRST_FREE 3          /* 0, 1 and 2 mean something to everybody */
#define CLOSE_RANGE_CLOEXEC_ 4/* linux/close_range.h */
#define LIKELY_FDS (1 << 16)  /* before Linux 5.11, descriptors above are left as they are */

/* Notes why the job cannot be started. The first reason counts. */
CHILD static int fail(struct plan *p, int error)
{
	if (p->error == 0)
		p->error = error;
	return 1;
}

/* Moves a new descriptor off 0, 1 and 2, where another will be put on it. */
CHILD int off_stdio(int *fd)
{
	if (*fd >= FIRST_FREE)
		return 0;
	int low = *fd;
	*fd = fcntl(low, F_DUPFD_CLOEXEC, FIRST_FREE);
	close(low);
	return *fd < 0 ? -1 : 0;
}

/* Waits until nobody has the other end of a pipe, into which nothing is written. */
CHILD static void await_end(int pipe)
{
	char nothing;
	while (read(pipe, &nothing, sizeof nothing) < 0 && errno == EINTR)
		;
}

/*
 * Starts the next process, and waits until it and those it starts have executed or exited. With exit signal 0 no SIGCHLD tells
 * of its end, and only __WCLONE sees it, whatever the caller does about SIGCHLD; execve makes it SIGCHLD.
 */
CHILD static pid_t run_next(struct plan *p, int which, int (*body)(void *), int exit_signal)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = -1;
	if (off_stdio(&ends[0]) == 0 && off_stdio(&ends[1]) == 0) {
		p->executed = ends[1];
		pid = clone(body, p->stack[which] + STACK_SIZE, CLONE_VM | CLONE_VFORK | exit_signal, p);
	}
	int error = errno;
	close(ends[1]);
	if (pid >= 0)
		await_end(ends[0]);
	close(ends[0]);
	errno = error;
	return pid;
}

CHILD static void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

/* Takes all handlers away. Without CLONE_SIGHAND the table of them is a copy. */
CHILD static void reset_handlers(void)
{
	struct sigaction action;
	for (int sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			signal(sig, SIG_DFL);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would have the kernel throw statuses away */
}

CHILD static bool is_target(const struct supervise_options *o, int fd)
{
	for (size_t i = 0; i < o->nfds; i++)
		if (o->fds[i].target == fd)
			return true;
	return false;
}

/* Copies a descriptor to a number that no other will be put on. */
CHILD static int aside(const struct supervise_options *o, int fd)
{
	int copy = FIRST_FREE - 1;
	do
		copy = fcntl(fd, F_DUPFD_CLOEXEC, copy + 1);
	while (copy >= 0 && is_target(o, copy));
	return copy;
}

/* Sets the descriptors of the main process: first a copy of each source, because a target may be the source of another. */
CHILD static int set_fds(struct plan *p)
{
	const struct supervise_options *o = p->options;
	for (size_t i = 0; i < o->nfds; i++)
		if (o->fds[i].source != SUPERVISE_CLOSED && (p->staged[i] = aside(o, o->fds[i].source)) < 0)
			return -1;
	for (size_t i = 0; i < o->nfds; i++)
		if (o->fds[i].source == SUPERVISE_CLOSED)
			close(o->fds[i].target); /* it may be closed already */
		else if (dup2(p->staged[i], o->fds[i].target) < 0)
			return -1;
	return 0;
}

CHILD static void set_signals(struct plan *p)
{
	const sigset_t *set = p->options->sigdefault;
	for (int sig = 1; sig < NSIG && set != NULL; sig++)
		if (sigismember(set, sig) == 1)
			signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &p->sigmask, NULL);
}

/* Executes the command. What is not there is looked for elsewhere, as execvp(3) does; it returns an errno. */
CHILD static int execute(struct plan *p)
{
	int error = ENOENT;
	for (char **path = p->commands; *path != NULL; path++) {
		execve(*path, p->argv, p->envp);
		if (errno == EACCES)
			error = EACCES;
		else if (errno != ENOENT && errno != ENOTDIR)
			return errno;
	}
	return error;
}

/*
 * The main process. It leads a process group, so that `kill 0` spares supervise; and one whose parent is of another group of
 * the same session, which is why the kernel lets SIGTSTP stop it.
 */
CHILD static int inner(void *arg)
{
	struct plan *p = arg;
	setpgid(0, 0);
	if ((p->executed = aside(p->options, p->executed)) < 0 || set_fds(p) < 0)
		return fail(p, errno);
	if (p->options->cwd != NULL && chdir(p->options->cwd) < 0)
		return fail(p, errno);
	set_signals(p);
	return fail(p, execute(p));
}

/* Keeps what the caller lets its children inherit from supervise, which would hold it open as long as the job lives. */
CHILD static void close_on_exec(unsigned int first)
{
	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC_) == 0)
		return;
	for (int fd = (int)first; fd < LIKELY_FDS; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Becomes supervise, without arguments or environment. It returns an errno. */
CHILD static int supervise(struct plan *p)
{
	char *const argv[] = {"supervise", NULL}, *const envp[] = {NULL};
	sigset_t none;
	if (dup2(p->socket[1], 0) < 0 || dup2(p->socket[1], 1) < 0)
		return errno;
	close_on_exec(FIRST_FREE);
	sigemptyset(&none); /* a signal that ends it must, whatever the calling thread has blocked */
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(p->supervise, argv, envp);
	return errno;
}

/* Kills those who are our children now, and says whether there are any. */
CHILD static bool kill_children(void)
{
	char text[4096];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text);
	pid_t pid = 0;
	bool any = false;
	close(fd);
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] != ' ') {
			pid = pid * 10 + (text[i] - '0');
			continue;
		}
		kill(pid, SIGKILL); /* each number is followed by a space; one that is cut off comes next time */
		pid = 0;
		any = true;
	}
	return any;
}

/* Ends the main process, which could have started anything by now: an orphan becomes our child before its parent is reaped. */
CHILD static void end_all(pid_t main)
{
	kill(main, SIGKILL);
	while (kill_children())
		wait_for(-1);
}

CHILD static int outer(void *arg)
{
	struct plan *p = arg;
	setsid();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return fail(p, errno);
	pid_t main = run_next(p, INNER, inner, SIGCHLD);
	if (main < 0)
		return fail(p, errno);
	if (p->error != 0) {
		wait_for(main);
		return 1;
	}
	p->main = main;
	p->supervisor = getpid();
	fail(p, supervise(p));
	end_all(main);
	return 1;
}

CHILD static int intermediate(void *arg)
{
	struct plan *p = arg;
	pid_t pid = run_next(p, OUTER, outer, 0);
	if (pid < 0)
		return fail(p, errno);
	if (p->error != 0)
		wait_for(pid);
	return 0;
}

/* The first of them, whichever it is, takes the handlers away for all. */
CHILD static int first(void *arg)
{
	struct plan *p = arg;
	reset_handlers();
	return p->options->supervisor != NULL ? outer(arg) : intermediate(arg);
}

/* Starts them all; every signal is blocked. */
pid_t start(struct plan *p)
{
	return run_next(p, INTERMEDIATE, first, 0);
}
