/* The descriptors of the main process, and of supervise. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

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

void test_fds(void)
{
	open_at(10, "/", 0);
	open_at(11, "/dev", 0);
	open_at(12, "/proc", O_CLOEXEC);
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}), STDIO "10=/\n11=/dev\n"); /* what the caller lets be inherited, is */
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, 11}, {11, 10}), STDIO "10=/dev\n11=/\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, 11}, {11, 12}, {12, 10}), STDIO "10=/dev\n11=/proc\n12=/\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {10, SUPERVISE_CLOSED}, {15, SUPERVISE_CLOSED}), STDIO "11=/dev\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {12, 12}), STDIO "10=/\n11=/dev\n12=/proc\n");
	WANT_TEXT(FDS_OF(20, {1, 0}, {2, 0}, {3, 10}, {4, 10}, {5, 10}, {6, 11}, {7, 12}),
		STDIO "3=/\n4=/\n5=/\n6=/dev\n7=/proc\n10=/\n11=/dev\n");
	WANT_TEXT(FDS_OF(20, {0, 10}, {1, SUPERVISE_CLOSED}, {2, SUPERVISE_CLOSED}), "0=/\n10=/\n11=/dev\n");
	close(10);
	close(11);
	close(12);
}

/* The library's own descriptors would be 0, 1 and 2, and get in the way of the child's. */
void test_no_stdio(void)
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

void test_many_fds(void)
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
void test_supervise_holds_nothing(void)
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
