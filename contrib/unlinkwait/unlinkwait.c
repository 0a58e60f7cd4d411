/*
 * unlinkwait PATH: waits until a file has no link left, and exits with 0; with 1 if it cannot be waited for. The process holds
 * what it has inherited, so that the life of a file becomes that of a descriptor: see unlinkwait(1).
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads what has happened to the file, and says whether more will be told of it. */
static bool await_change(int notify)
{
	union {
		struct inotify_event event;
		char space[4096];
	} all;
	ssize_t n = read(notify, all.space, sizeof all);
	if (n < 0 && errno != EINTR)
		err(1, "reading from inotify");
	const struct inotify_event *event;
	for (char *at = all.space; at < all.space + n; at += sizeof *event + event->len) {
		event = (const void *)at;
		if ((event->mask & (IN_IGNORED | IN_UNMOUNT)) != 0)
			return false;
	}
	return true;
}

/* Begins to watch a file. Each change of the number of its links is told as a change of its attributes. */
static int watch(int file)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", file); /* this very file, whatever has its name by now */
	int notify = inotify_init1(IN_CLOEXEC);
	if (notify < 0 || inotify_add_watch(notify, path, IN_ATTRIB) < 0)
		err(1, "inotify");
	return notify;
}

static bool has_links(int file)
{
	struct stat st;
	if (fstat(file, &st) < 0)
		err(1, "fstat");
	return st.st_nlink > 0;
}

int main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: unlinkwait PATH\n");
		return 1;
	}
	int file = open(argv[1], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* of a FIFO, without waiting for a writer */
	if (file < 0)
		err(1, "%s", argv[1]);
	int notify = watch(file);
	bool watched = true;
	while (has_links(file)) {
		if (!watched)
			errx(1, "%s cannot be watched any more", argv[1]);
		watched = await_change(notify);
	}
	return 0;
}
