/* A SPANK plugin (spank(7)) by which each task of a job is started by "supervise run".
 *
 *     srun|sbatch ── --supervise, --supervise-flags ──> slurmstepd ── fork ──> a task
 *                                                                              │ slurm_spank_task_init: here
 *                                                                              │ prologs of the task, its limits
 *     supervise run FLAGS -- COMMAND <── execve ── supervise-task <── execve ──┘
 *
 * slurmstepd executes the command after the plugin's last turn, and takes no other command from it. But the words of the command
 * line can be written: the first becomes supervise-task, and what it was goes into the environment, with the flags. To execute
 * supervise from here would leave out the prologs and the limits (Slurm 22.05, slurmd/slurmstepd/task.c, exec_task).
 */
#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "task.h"

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/libexec/supervise"
#endif

SPANK_PLUGIN(supervise, 1);

/* From plugstack.conf. */
static const char *helper = LIBEXECDIR "/supervise-task";
static const char *program = "supervise"; /* by the task's PATH, if it has no slash */
static const char *records = "";          /* directory of the records, "": none */
static char given[4096];                  /* flags of supervise run, a blank before each word */

static bool on, off;
static char wanted[4096]; /* flags of the command line, a blank before each word */

static int set_on(int val, const char *text, int remote)
{
	(void)text, (void)remote;
	on = val, off = !val;
	return 0;
}

/* append appends words to a list of flags, 0: it has room. */
static int append(char *list, size_t size, const char *words)
{
	size_t used = strlen(list);

	if ((size_t)snprintf(list + used, size - used, " %s", words) < size - used)
		return 0;
	list[used] = 0;
	slurm_error("supervise: the flags have more than %zu bytes", size - 1);
	return -1;
}

static int set_flags(int val, const char *text, int remote)
{
	(void)val, (void)remote;
	on = true;
	return append(wanted, sizeof wanted, text);
}

static struct spank_option options[] = {
	{"supervise", NULL, "start each task by supervise run: nothing that it starts outlives it", 0, 1, set_on},
	{"no-supervise", NULL, "do not, where it is the default", 0, 0, set_on},
	{"supervise-flags", "FLAGS", "flags of supervise run, with blanks between, as \"--memory-max 2G --grace 10s\"; implies --supervise",
	 1, 0, set_flags},
	SPANK_OPTIONS_TABLE_END,
};

/* value returns what is behind the = of a word of plugstack.conf that begins with a name and =, NULL: it does not. */
static const char *value(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

/* configure takes one word of plugstack.conf. */
static int configure(const char *word)
{
	const char *v;

	if (strcmp(word, "default") == 0)
		on = true;
	else if ((v = value(word, "program")))
		program = v;
	else if ((v = value(word, "helper")))
		helper = v;
	else if ((v = value(word, "records")))
		records = v;
	else if ((v = value(word, "flag")))
		return append(given, sizeof given, v);
	else {
		slurm_error("supervise: plugstack.conf: \"%s\" is none of default, program=, helper=, records= and flag=", word);
		return -1;
	}
	return 0;
}

int slurm_spank_init(spank_t sp, int ac, char **av)
{
	int i;

	for (i = 0; i < ac; i++)
		if (configure(av[i]))
			return -1;
	for (i = 0; options[i].name; i++)
		if (spank_option_register(sp, &options[i]) != ESPANK_SUCCESS)
			return -1;
	return 0;
}

/* name_task writes JOB.STEP.TASK, of an array ARRAY_INDEX.STEP.TASK, and .rN behind that where the job was requeued N times.
 * STEP is batch for the batch script. */
static void name_task(spank_t sp, char *name, size_t size)
{
	uint32_t job = 0, step = 0, task = 0, array = 0, index = NO_VAL;
	char id[64], step_name[16] = "batch", restarts[16];

	spank_get_item(sp, S_JOB_ID, &job);
	spank_get_item(sp, S_JOB_STEPID, &step);
	spank_get_item(sp, S_TASK_GLOBAL_ID, &task);
	spank_get_item(sp, S_JOB_ARRAY_ID, &array);
	spank_get_item(sp, S_JOB_ARRAY_TASK_ID, &index);
	if (array && index != NO_VAL)
		snprintf(id, sizeof id, "%u_%u", array, index);
	else
		snprintf(id, sizeof id, "%u", job);
	if (step != SLURM_BATCH_SCRIPT)
		snprintf(step_name, sizeof step_name, "%u", step);
	/* S_SLURM_RESTART_COUNT is 0 in the task of a batch script (22.05). */
	if (spank_getenv(sp, "SLURM_RESTART_COUNT", restarts, sizeof restarts) != ESPANK_SUCCESS)
		*restarts = 0;
	snprintf(name, size, "%s.%s.%u%s%.8s", id, step_name, task, *restarts ? ".r" : "", restarts);
}

/* name_record writes the path of the record, "": there is to be none. The directory of the job's environment goes before
 * plugstack.conf's. It is made if only its last part is missing: what is wrong with it otherwise says supervise. */
static int name_record(spank_t sp, const char *name, char *path, size_t size)
{
	char dir[3072];
	spank_err_t err = spank_getenv(sp, "SUPERVISE_RECORD_DIR", dir, sizeof dir);

	*path = 0;
	if (err == ESPANK_NOSPACE) {
		slurm_error("supervise: SUPERVISE_RECORD_DIR has more than %zu bytes", sizeof dir - 1);
		return -1;
	}
	if (err != ESPANK_SUCCESS)
		snprintf(dir, sizeof dir, "%s", records);
	if (!*dir)
		return 0;
	mkdir(dir, 0777);
	snprintf(path, size, "%s/%s.json", dir, name);
	return 0;
}

/* is_list says whether a text is a list of tasks and their commands, as --multi-prog has it: "0-3 ./a x" and so on. */
static bool is_list(const char *text)
{
	bool any = false;
	size_t n;

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		n = strspn(text, "0123456789,-*:");
		if (*text == '\n')
			continue;
		if (!n || (text[n] != ' ' && text[n] != '\t'))
			return false;
		any = true;
	}
	return any;
}

/* is_multi says whether each task has a command of its own. Then the words are the name of the file and all that is in it. */
static bool is_multi(int argc, char **argv)
{
	return argc > 1 && strchr(argv[1], '\n') && is_list(argv[1]);
}

/* replace has the task execute supervise-task in place of its command. */
static int replace(spank_t sp)
{
	char **argv, name[128], record[3300], flags[sizeof given + sizeof wanted];
	int argc;

	if (spank_get_item(sp, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1)
		return 0; /* there is nothing to start, which slurmstepd says */
	if (is_multi(argc, argv)) {
		slurm_error("supervise: --multi-prog: put \"supervise run --\" before each command in %s instead", argv[0]);
		return -1;
	}
	if (access(helper, X_OK)) {
		slurm_error("supervise: %s: %m: install it on this node, or name it by helper= in plugstack.conf", helper);
		return -1;
	}
	name_task(sp, name, sizeof name);
	if (name_record(sp, name, record, sizeof record))
		return -1;
	snprintf(flags, sizeof flags, "%s%s", given, wanted);
	if (spank_setenv(sp, TASK_PROGRAM, program, 1) || spank_setenv(sp, TASK_NAME, name, 1) ||
	    spank_setenv(sp, TASK_RECORD, record, 1) || spank_setenv(sp, TASK_FLAGS, flags, 1) ||
	    spank_setenv(sp, TASK_COMMAND, argv[0], 1)) {
		slurm_error("supervise: no memory");
		return -1;
	}
	argv[0] = (char *)helper;
	return 0;
}

/* In the task's process, as its user, in its cgroup and its directory. A task that supervise cannot hold is not started, also where
 * plugstack.conf calls the plugin optional. */
int slurm_spank_task_init(spank_t sp, int ac, char **av)
{
	(void)ac, (void)av;
	if (on && !off && replace(sp))
		_exit(125);
	return 0;
}

/* In slurmstepd. supervise ends by no signal but one that has killed it: then there is no record. */
int slurm_spank_task_exit(spank_t sp, int ac, char **av)
{
	uint32_t task = 0;
	int status = 0;

	(void)ac, (void)av;
	if (!on || off || spank_get_item(sp, S_TASK_EXIT_STATUS, &status) != ESPANK_SUCCESS || !WIFSIGNALED(status))
		return 0;
	spank_get_item(sp, S_TASK_GLOBAL_ID, &task);
	slurm_error("supervise: task %u has no record: its supervise was ended by signal %d", task, WTERMSIG(status));
	return 0;
}
