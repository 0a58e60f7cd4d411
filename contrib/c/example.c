/* Runs a command, prints what happens to it and to whatever it leaves behind, and exits as it did. */
#define _POSIX_C_SOURCE 200809L /* siginfo_t */
#include <errno.h>
#include <stdio.h>
#include <supervise.h>

static void print(const siginfo_t *event)
{
	const char *names[] = {"?", "exited", "killed", "dumped", "trapped", "stopped", "continued"};
	int known = event->si_code >= CLD_EXITED && event->si_code <= CLD_CONTINUED;
	printf("%d %s %d\n", (int)event->si_pid, names[known ? event->si_code : 0], event->si_status);
	fflush(stdout);
}

/* Reads events until the main process has ended, and returns how, or -1. */
static int await_main(int fd, pid_t pid)
{
	siginfo_t event;
	int n;
	while ((n = supervise_read_event(fd, &event)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		print(&event);
		if (event.si_pid == pid && supervise_event_ended(&event))
			return event.si_code == CLD_EXITED ? event.si_status : 128 + event.si_status;
	}
	return -1;
}

int main(int argc, char *argv[])
{
	pid_t pid;
	struct supervise_options options = {.size = sizeof options, .pid = &pid};
	if (argc < 2) {
		fprintf(stderr, "usage: example COMMAND [ARGUMENT]...\n");
		return 2;
	}
	int fd = supervise_spawnfd(argv + 1, &options);
	if (fd < 0) {
		int status = errno == ENOENT ? 127 : 125;
		perror(argv[1]);
		return status;
	}
	int status = await_main(fd, pid);
	if (status < 0)
		fprintf(stderr, "supervise is gone\n");
	return status < 0 ? 125 : status; /* the descriptor closes, and ends what is left */
}
