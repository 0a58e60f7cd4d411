/* What the tests are made of. A check that fails ends the process of the test. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervise.h"

#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
#define WANT(got, want) want_number(__FILE__, __LINE__, #got, (got), (want))
#define WANT_TEXT(got, want) want_text(__FILE__, __LINE__, (got), (want))
#define WANT_ERROR(error, argv, ...) want_error(__FILE__, __LINE__, argv, (struct supervise_options){__VA_ARGS__}, error)
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ARGV(...) ((char *[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script)
#define FDS(...) .fds = (struct supervise_fd[]){__VA_ARGS__}, .nfds = COUNT(((struct supervise_fd[]){__VA_ARGS__}))

#define PATH_SIZE 4096
#define TEXT 8192

extern char self[PATH_SIZE]; /* this program */
extern char dir[PATH_SIZE];  /* where it is, and files may be made */

struct job {
	int fd;
	pid_t pid, supervisor;
};

/* A command that has daemons, of sessions of their own and forked twice, all of which hold descriptor 3. Each says a byte. */
#define SAY "printf x; exec sleep 1000"
#define FAMILY "trap '' HUP INT TERM; setsid sh -c '" SAY "' & (setsid sh -c '(" SAY ") & " SAY "' &); " SAY
#define FAMILY_SIZE 4

void fail(const char *file, int line, const char *condition);
void want_number(const char *file, int line, const char *what, long got, long want);
void want_text(const char *file, int line, const char *got, const char *want);
void want_error(const char *file, int line, char *const argv[], struct supervise_options o, int error);

struct job start(char *const argv[], struct supervise_options o);
struct job start_family(int *alive);
void await_family(int said);
siginfo_t next(struct job j);
void expect(struct job j, int code, int status);
void stop(struct job j);
void end(struct job j);
void drop(struct job j);
char *output(char *const argv[], struct supervise_options o);

char *slurp(int fd);
char *read_file(const char *format, int pid);
const char *make(const char *name, const char *text, mode_t mode);
void delete(const char *name);
bool end_of(int fd);
void print_fds(int to);
int count_fds(void);
void want_alone(void);
void ignore_signal(int sig);

#define TESTS \
	X(test_events) \
	X(test_event_ended) \
	X(test_signals) \
	X(test_send_errors) \
	X(test_send_reset) \
	X(test_read_errors) \
	X(test_nonblock) \
	X(test_interrupted) \
	X(test_flags) \
	X(test_no_options) \
	X(test_size) \
	X(test_command_errors) \
	X(test_fd_errors) \
	X(test_fd_limit) \
	X(test_no_supervise) \
	X(test_find_supervise) \
	X(test_bad_supervise) \
	X(test_environment) \
	X(test_path) \
	X(test_fds) \
	X(test_no_stdio) \
	X(test_many_fds) \
	X(test_supervise_holds_nothing) \
	X(test_close_ends_all) \
	X(test_close_ends_all_unseen) \
	X(test_shutdown) \
	X(test_caller_killed) \
	X(test_supervisor_killed) \
	X(test_daemon_outlives_main) \
	X(test_session) \
	X(test_mask) \
	X(test_ignored) \
	X(test_sigchld) \
	X(test_sigchld_errors) \
	X(test_sigchld_supervisor) \
	X(test_threads) \
	X(test_cancel) \
	X(test_nested) \
	X(test_containment)

#define X(name) void name(void);
TESTS
#undef X

#endif
