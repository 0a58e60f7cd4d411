/* supervise-task is what slurmstepd executes in place of the command of a task: it executes supervise run, with the command. The
 * plugin (supervise.c) has left in the environment what it needs, and it is taken out of there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task.h"

static void fail(const char *format, ...)
{
	va_list args;

	fputs("supervise-task: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(125);
}

/* take returns a variable of the environment, which that lacks from then on. */
static char *take(const char *name)
{
	const char *value = getenv(name);
	char *copy;

	if (!value)
		fail("%s is not set: srun --supervise starts this program", name);
	if (!(copy = strdup(value)))
		fail("no memory");
	unsetenv(name);
	return copy;
}

/* joined returns two texts as one. */
static char *joined(const char *a, const char *b)
{
	char *both = malloc(strlen(a) + strlen(b) + 1);

	if (!both)
		fail("no memory");
	return strcat(strcpy(both, a), b);
}

int main(int argc, char **argv)
{
	char *program = take(TASK_PROGRAM), *name = take(TASK_NAME), *record = take(TASK_RECORD), *flags = take(TASK_FLAGS);
	char **words = calloc(strlen(flags) + argc + 9, sizeof *words), *word, count[64];
	int n = 0, i;

	if (!words)
		fail("no memory");
	words[n++] = "supervise";
	words[n++] = "run";
	words[n++] = "--owner=parent"; /* slurmstepd: nothing of the task outlives that either */
	words[n++] = joined("--name=", name);
	if (*record)
		words[n++] = joined("--record=", record);
	snprintf(count, sizeof count, "--command-words=%d", argc);
	words[n++] = count; /* else the first word among the flags that is none would be the command */
	for (word = strtok(flags, " \t\n"); word; word = strtok(NULL, " \t\n"))
		words[n++] = word;
	words[n++] = "--";
	words[n++] = take(TASK_COMMAND);
	for (i = 1; i < argc; i++)
		words[n++] = argv[i];
	execvp(program, words);
	fail("%s: %s: install supervise on this node, or name it by program= in plugstack.conf", program, strerror(errno));
}
