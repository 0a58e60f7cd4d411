/* The caller's side of starting a job. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"

/* The fields of the first version, which a size of 0 means. A later one grows behind them. */
#define FIRST_SIZE (offsetof(struct supervise_options, supervisor) + sizeof(pid_t *))

#define FLAGS ((unsigned long)(O_NONBLOCK | O_CLOEXEC | SUPERVISE_INHERITABLE))

extern char **environ;

/* Copies the caller's options, which may be of an older or of a newer version. What we do not know must be 0. */
static int copy_options(struct supervise_options *to, const struct supervise_options *from)
{
	memset(to, 0, sizeof *to);
	if (from == NULL)
		return 0;
	size_t size = from->size != 0 ? from->size : FIRST_SIZE;
	if (size < FIRST_SIZE)
		return EINVAL;
	for (size_t i = sizeof *to; i < size; i++)
		if (((const char *)from)[i] != 0)
			return E2BIG;
	memcpy(to, from, size < sizeof *to ? size : sizeof *to);
	return 0;
}

/* Checks a descriptor before we open any, which could get the number of one that is closed. */
static int check_fd(const struct supervise_fd *fds, size_t i)
{
	if (fds[i].target < 0)
		return EBADF;
	if (fds[i].source != SUPERVISE_CLOSED && fcntl(fds[i].source, F_GETFD) < 0)
		return EBADF;
	for (size_t j = 0; j < i; j++)
		if (fds[j].target == fds[i].target)
			return EINVAL;
	return 0;
}

static int check(char *const argv[], const struct supervise_options *o)
{
	if (argv == NULL || argv[0] == NULL || (o->flags & ~FLAGS) != 0 || (o->fds == NULL && o->nfds > 0))
		return EINVAL;
	if ((o->flags & O_CLOEXEC) != 0 && (o->flags & SUPERVISE_INHERITABLE) != 0)
		return EINVAL;
	int error = 0;
	for (size_t i = 0; i < o->nfds && error == 0; i++)
		error = check_fd(o->fds, i);
	return error;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_plan(struct plan *p)
{
	int error = errno;
	close_fd(p->socket[0]);
	close_fd(p->socket[1]);
	free(p->commands);
	free(p->supervise);
	free(p->staged);
	munmap(p, sizeof *p);
	errno = error;
}

static int connect_plan(struct plan *p)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->socket) < 0)
		return -1;
	return off_stdio(&p->socket[0]) < 0 ? -1 : off_stdio(&p->socket[1]);
}

static int look_up(struct plan *p)
{
	const char *path = path_of(p->envp);
	p->commands = candidates(p->argv[0], path != NULL ? path : getenv("PATH"));
	p->supervise = find_supervise(p->options->supervise);
	return p->commands != NULL && p->supervise != NULL ? 0 : -1;
}

static struct plan *new_plan(char *const argv[], const struct supervise_options *o)
{
	static char *const empty[] = {NULL};
	struct plan *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	p->options = o;
	p->argv = argv;
	p->envp = o->envp != NULL ? o->envp : environ != NULL ? environ : empty; /* clearenv(3) leaves none */
	p->socket[0] = p->socket[1] = -1;
	p->staged = calloc(o->nfds + 1, sizeof *p->staged);
	if (p->staged != NULL && look_up(p) == 0 && connect_plan(p) == 0)
		return p;
	free_plan(p);
	return NULL;
}

/* Starts the processes with all signals blocked, for a handler of the caller's must not run in one that shares its memory. */
static pid_t start_blocked(struct plan *p)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p->sigmask = p->options->sigmask != NULL ? *p->options->sigmask : old;
	pid_t pid = start(p);
	int error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return pid;
}

/* Runs a plan to its end, and returns an errno. */
static int run(struct plan *p)
{
	pid_t pid = start_blocked(p);
	if (pid < 0)
		return errno;
	/* It is there for us alone; supervise, which has executed, is the caller's to wait for. */
	if (p->error != 0 || p->options->supervisor == NULL)
		while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	if (p->error == 0 && p->main == 0)
		return ECANCELED; /* somebody has killed one of them */
	return p->error;
}

static int set_flags(int fd, unsigned long flags)
{
	if ((flags & O_NONBLOCK) != 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	return (flags & SUPERVISE_INHERITABLE) != 0 ? fcntl(fd, F_SETFD, 0) : 0;
}

static int spawn(char *const argv[], const struct supervise_options *o)
{
	struct plan *p = new_plan(argv, o);
	if (p == NULL)
		return -1;
	int fd = -1, error = run(p);
	if (error == 0) {
		fd = p->socket[0];
		p->socket[0] = -1;
		set_flags(fd, o->flags); /* cannot fail: it is open */
		if (o->pid != NULL)
			*o->pid = p->main;
		if (o->supervisor != NULL)
			*o->supervisor = p->supervisor;
	}
	free_plan(p);
	errno = error != 0 ? error : errno;
	return fd;
}

int supervise_spawnfd(char *const argv[], const struct supervise_options *options)
{
	struct supervise_options o;
	int error = copy_options(&o, options);
	if (error == 0)
		error = check(argv, &o);
	if (error != 0) {
		errno = error;
		return -1;
	}
	int state; /* a thread that is cancelled half-way would leave a job behind */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int fd = spawn(argv, &o);
	pthread_setcancelstate(state, NULL);
	return fd;
}
