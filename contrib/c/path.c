/* Looking up programs: all that must be done before a fork, because it allocates. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spawn.h"

/* What execvp(3) takes where there is no PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

static size_t count(const char *text, char c)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == c;
	return n;
}

/* Writes dir/name, where an empty dir is the working directory, and returns the byte after it. */
static char *join(char *to, const char *dir, size_t length, const char *name)
{
	memcpy(to, dir, length);
	to += length;
	if (length > 0)
		*to++ = '/';
	return stpcpy(to, name) + 1;
}

/* The paths a program may be found at, and NULL; in one block, to be freed. */
char **candidates(const char *name, const char *path)
{
	if (*name == '\0' || strchr(name, '/') != NULL)
		path = ""; /* itself, which for an empty name does not exist */
	else if (path == NULL)
		path = DEFAULT_PATH;
	size_t n = count(path, ':') + 1;
	char **list = malloc((n + 1) * sizeof *list + strlen(path) + n * (strlen(name) + 2));
	if (list == NULL)
		return NULL;
	char *text = (char *)(list + n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t length = strcspn(path, ":");
		list[i] = text;
		text = join(text, path, length, name);
		path += length + 1;
	}
	list[n] = NULL;
	return list;
}

/* The value of PATH in an environment, NULL if it has none. */
const char *path_of(char *const envp[])
{
	for (; *envp != NULL; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return NULL;
}

static bool executable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* Finds supervise, before anything is started: a command must not run without it. The result is to be freed. */
char *find_supervise(const char *name)
{
	if (name == NULL)
		name = secure_getenv("SUPERVISE_BIN"); /* who gained privileges is not told by the environment what to run */
	if (name == NULL || *name == '\0')
		name = "supervise";
	char **list = candidates(name, getenv("PATH"));
	if (list == NULL)
		return NULL;
	char **path = list, *found = NULL;
	while (*path != NULL && !executable(*path))
		path++;
	int error = ENOPKG;
	if (*path != NULL) {
		found = strdup(*path);
		error = errno;
	}
	free(list);
	errno = error;
	return found;
}
